//! `sealjar keys promote | retire | destroy | compromise`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sealjar::Error;
use sealjar::id::KeyId;
use sealjar::io::in_force::Wish;
use sealjar::key::RingSecret;
use sealjar::operator::{KeyDone, KeyStep, KeyStepError, Operator};
use sealjar::revocation::{Durability, Node};
use sealjar::rotation::{KeyRecord, KeyState, Refusal};
use serde_json::{Value, json};

use super::rotate::Progress;
use super::{by_hand, refused};
use crate::output::{Output, confirmed};

/// Between two looks at the nodes.
const PAUSE: Duration = Duration::from_millis(200);

/// Does one step, or says why not.
pub async fn step(operator: &Operator, step: KeyStep, dry_run: bool, output: &Output) -> Result<ExitCode, Error> {
    if let KeyStep::Retire { key, .. } = step {
        evidence(operator, key, output).await?;
    }
    let done = if dry_run { operator.plan_keys(step).await } else { operator.change_keys(step).await };
    match done {
        Ok(done) => Ok(answer(&done, dry_run, output)),
        Err(error) => refused(error, output),
    }
}

/// How many cookies still come under it, before somebody decides that they may be refused.
async fn evidence(operator: &Operator, key: KeyId, output: &Output) -> Result<(), Error> {
    if let Some(status) = operator.key_status().await?.keys.iter().find(|status| status.id == key) {
        let last = status.last_seen.map_or_else(String::new, |last| format!(", the last one at {last}"));
        output.progress(&format!("Today (UTC) nodes have opened {} cookies under {key}{last}.", status.opened));
    }
    Ok(())
}

/// A step, as programs read it.
fn outline(done: &KeyDone, dry_run: bool) -> Value {
    let state = |(key, record): &(KeyId, KeyRecord)| json!({ "key": key.to_string(), "state": record.state.name() });
    json!({
        "done": !dry_run,
        "dry_run": dry_run,
        "key": done.key.map(|key| key.to_string()),
        "changes": done.change.iter().map(state).collect::<Vec<_>>(),
        "warning": done.warning,
    })
}

fn answer(done: &KeyDone, dry_run: bool, output: &Output) -> ExitCode {
    let key = done.key.map(|key| key.to_string());
    output.answer(&outline(done, dry_run), || {
        let own = done.change.iter().rev().find(|(key, _)| Some(*key) == done.key);
        let state = own.map_or("", |(_, record)| record.state.name());
        let key = key.unwrap_or_default();
        let text = if done.change.is_empty() {
            format!("{key} seals already. Nothing was changed.")
        } else if dry_run {
            format!("{key} would be {state}. Nothing was changed.")
        } else {
            format!("{key} is {} now.", output.bold(state))
        };
        done.warning.iter().fold(text, |text, warning| format!("{text}\n{warning}"))
    });
    ExitCode::SUCCESS
}

/// Promotes, when every live node is ready. One that was active before is recalled first.
pub async fn promote(
    operator: &Operator,
    key: KeyId,
    patience: Duration,
    dry_run: bool,
    output: &Output,
) -> Result<ExitCode, Error> {
    if dry_run {
        return step(operator, KeyStep::Promote(key), true, output).await;
    }
    let mut progress = Progress::begin(operator, output);
    operator.refresh().await?;
    let view = operator.view();
    let list = view.list.rotation();
    let is_active = list.record(key).is_some_and(|record| record.state == KeyState::Active);
    if is_active && list.newest() != Some(key) {
        // In one lease's time every node knows that it may seal again soon.
        match operator.change_keys(KeyStep::Recall(key)).await {
            Ok(_) => {}
            Err(error) => return refused(error, output),
        }
    }
    loop {
        match operator.change_keys(KeyStep::Promote(key)).await {
            Ok(done) => return Ok(answer(&done, false, output)),
            Err(error) if !error.may_pass() || progress.elapsed() >= patience => return refused(error, output),
            Err(error) => progress.waiting(&error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub struct Emergency {
    pub leaked: KeyId,
    pub replacement: Option<KeyId>,
    /// Whether to ask a person first.
    pub asks: bool,
    /// For all nodes to have it.
    pub wait: Duration,
}

pub async fn compromise(
    operator: &Operator,
    emergency: &Emergency,
    dry_run: bool,
    output: &Output,
) -> Result<ExitCode, Error> {
    let Emergency { leaked, replacement, asks, wait } = *emergency;
    let step = KeyStep::Compromise { leaked, replacement };
    let plan = match operator.plan_keys(step).await {
        Ok(plan) => plan,
        Err(error) => return refused(error, output),
    };
    if plan.key.is_none() && !operator.has_ring_secret() {
        output.progress(
            "No other key is on all live nodes, and there is no ring secret to bring them one. Logins answer 503 on a \
             node until the file of the new key has been copied to it.",
        );
    }
    if dry_run {
        return Ok(would(leaked, &plan, output));
    }
    if asks && !plan.change.is_empty() && !confirmed("This logs everybody out, and the key never comes back.") {
        eprintln!("Nothing was changed.");
        return Ok(ExitCode::from(2));
    }
    let done = match operator.change_keys(step).await {
        Ok(done) => done,
        Err(error) => return refused(error, output),
    };
    // Before the wait: nobody can log in until it is done.
    let copy = done.key.filter(|_| plan.key.is_none()).and_then(|key| by_hand(operator, key));
    copy.iter().for_each(|copy| output.progress(copy));
    let wish = Wish { durability: Durability::InForce, replicas: 0, patience: wait };
    let (mut progress, began) = (Progress::begin(operator, output), Instant::now());
    let reached = match &done.receipt {
        Some(receipt) => {
            Some(operator.wait(receipt, wish, |so_far, _| progress.waiting(&format!("{so_far} deny it"))).await?)
        }
        // It was done before, and is not done again.
        None => None,
    };
    let missing = reached.iter().flat_map(|reached| &reached.progress).flat_map(|progress| &progress.outstanding);
    let outstanding: Vec<_> = missing.map(Node::name).collect();
    let complete = completion(operator, leaked, wait.saturating_sub(began.elapsed())).await;
    let took = reached.as_ref().map_or_else(|| began.elapsed(), |reached| reached.took);
    let replaced = done.key.map(|key| key.to_string());
    let value = json!({
        "done": true,
        "key": leaked.to_string(),
        "replacement": replaced,
        "before": done.change.is_empty(),
        "durability": reached.map(|reached| reached.durability.name()),
        "nodes": complete.as_ref().ok(),
        "outstanding": outstanding,
        "reason": complete.as_ref().err(),
        "took_ms": took.as_millis(),
        "warning": done.warning,
        "by_hand": copy,
    });
    output.answer(&value, || {
        let instead = replaced.map_or_else(|| "and no key in its place".to_owned(), |key| format!("and {key} seals"));
        let denied = output.bold("denied");
        let head = if done.change.is_empty() {
            format!("{leaked} was {denied} before, {instead}; nobody is logged out once more.")
        } else {
            format!("{leaked} is {denied} now, {instead}; everybody has to log in again.")
        };
        let tail = match &complete {
            Ok(nodes) => {
                format!("All {nodes} live node(s) have confirmed it after {:.1} s.", took.as_secs_f64())
            }
            Err(why) => format!("Not confirmed by all: {why}. Who cannot be reached stops serving by itself."),
        };
        done.warning.iter().chain(&copy).fold(format!("{head}\n{tail}"), |text, more| format!("{text}\n{more}"))
    });
    Ok(if complete.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(5) })
}

/// What an emergency would do.
fn would(leaked: KeyId, plan: &KeyDone, output: &Output) -> ExitCode {
    let key = plan.key.map(|key| key.to_string());
    output.answer(&outline(plan, true), || {
        if plan.change.is_empty() {
            return format!("{leaked} is denied already. Nothing would be changed, and nobody logged out.");
        }
        let instead = key.map_or_else(
            || "a new key would be made to seal in its place".to_owned(),
            |key| format!("{key} would seal in its place"),
        );
        format!("{leaked} would be denied, {instead}, and everybody would have to log in again. Nothing was changed.")
    });
    ExitCode::SUCCESS
}

/// On how many nodes a compromise can no longer be undone; or why not yet, when `patience` is over. After a loss that
/// takes as long as nodes which the store forgot may go on.
async fn completion(operator: &Operator, leaked: KeyId, patience: Duration) -> Result<usize, String> {
    let began = Instant::now();
    loop {
        let why = match operator.compromise_is_complete(leaked).await {
            Ok(nodes) => return Ok(nodes),
            Err(KeyStepError::Failed(error)) => return Err(error.to_string()),
            // Waiting brings no more of them.
            Err(KeyStepError::Refused(refusal @ Refusal::Holders(_))) => return Err(refusal.to_string()),
            Err(KeyStepError::Refused(refusal)) => refusal,
        };
        if began.elapsed() >= patience {
            return Err(why.to_string());
        }
        tokio::time::sleep(operator.store().beat_interval()).await;
    }
}

/// Wraps what nodes find in the list under another ring secret.
pub async fn rewrap(
    operator: &Operator,
    before: &RingSecret,
    dry_run: bool,
    output: &Output,
) -> Result<ExitCode, Error> {
    let done = if dry_run { operator.plan_rewrap(before).await? } else { operator.rewrap(before).await? };
    let names = |ids: &mut dyn Iterator<Item = &KeyId>| ids.map(ToString::to_string).collect::<Vec<_>>();
    let anew = names(&mut done.keys.iter().filter(|(_, anew)| **anew).map(|(id, _)| id));
    let before = names(&mut done.keys.iter().filter(|(_, anew)| !**anew).map(|(id, _)| id));
    let unopened = names(&mut done.unopened.iter());
    let is_done = unopened.is_empty();
    let value = json!({
        "done": is_done && !dry_run,
        "dry_run": dry_run,
        "keys": anew,
        "before": before,
        "list_key": done.list_key,
        "unopened": unopened,
    });
    output.answer(&value, || {
        let (what, end) = if dry_run { ("Would wrap", " Nothing was changed.") } else { ("Wrapped", "") };
        let list_key = if done.list_key { " and the list key" } else { "" };
        let (keys, known) = (anew.len(), before.len());
        let text = format!("{what} {keys} key(s){list_key} anew; {known} were wrapped so before.{end}");
        if is_done {
            return text;
        }
        let keys = unopened.join(", ");
        format!(
            "{text}\n{} {keys}: neither secret opens them, and they are not in {}. Run this where their files are.",
            output.good_or_bad(false, "Left as they are:"),
            operator.folder().path().display()
        )
    });
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(5) })
}
