//! `sealjar keys rotate`: the whole conversation. It keeps nothing of its own: all that it has reached stands in
//! the list, so whoever asks next goes on from there.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use sealjar::Error;
use sealjar::id::KeyId;
use sealjar::io::in_force::Wish;
use sealjar::operator::{KeyDone, KeyStep, KeyStepError, Operator, Staged};
use sealjar::revocation::Durability;
use sealjar::rotation::{KeyState, Refusal};
use serde_json::{Value, json};

use super::{by_hand, refused};
use crate::output::Output;

/// Between two looks at the nodes.
const PAUSE: Duration = Duration::from_millis(200);
/// After the promotion, for the nodes to say that they have it.
const REPORT: Duration = Duration::from_secs(5);

pub async fn rotate(
    operator: &Operator,
    patience: Duration,
    dry_run: bool,
    output: &Output,
) -> Result<ExitCode, Error> {
    if dry_run {
        return plan(operator, output).await;
    }
    let mut progress = Progress::begin(operator, output);
    let (key, resumed) = match staged(operator, patience, &mut progress).await? {
        Ok(staged) => staged,
        Err(why) => return Ok(late(operator, None, &why, output)),
    };
    let done = match promoted(operator, key, patience, &mut progress).await? {
        Ok(done) => done,
        Err(why) => return Ok(late(operator, Some(key), &why, output)),
    };
    let mut nodes = 0;
    if let Some(receipt) = &done.receipt {
        let wish = Wish { durability: Durability::InForce, replicas: 0, patience: REPORT };
        // It is promoted, whatever becomes of this.
        let reached = operator.wait(receipt, wish, |_, _| ()).await.ok();
        nodes = reached.and_then(|reached| reached.progress).map_or(0, |progress| progress.confirmed.len());
    }
    let tidied = operator.tidy_keys().await;
    let (tidied, untidy) = match tidied {
        Ok(tidied) => (tidied, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let as_json: Vec<Value> =
        tidied.iter().map(|(key, state)| json!({ "key": key.to_string(), "state": state.name() })).collect();
    let took = progress.elapsed();
    let value = json!({
        "done": true,
        "key": key.to_string(),
        "resumed": resumed,
        "nodes": nodes,
        "took_ms": took.as_millis(),
        "tidied": as_json,
        "warning": done.warning.or(untidy),
    });
    output.answer(&value, || {
        let head = format!(
            "{} with {key} from now on, after {:.1} s; {nodes} node(s) have confirmed it. Older cookies stay good.",
            output.bold("Sealing"),
            took.as_secs_f64()
        );
        tidied.iter().fold(head, |text, (key, state)| format!("{text}\n{key} has served its time: {state}."))
    });
    Ok(ExitCode::SUCCESS)
}

/// A key on its way, new or begun before; or why there is none in time.
async fn staged(
    operator: &Operator,
    patience: Duration,
    progress: &mut Progress<'_>,
) -> Result<Result<(KeyId, bool), String>, Error> {
    loop {
        let why = match operator.begin_rotation(None).await {
            Ok(Staged::New(key)) => {
                let what = match by_hand(operator, key) {
                    None => format!("{key} is new, and on its way to the nodes"),
                    Some(copy) => format!("{key} is new. {copy}"),
                };
                progress.say(&what);
                return Ok(Ok((key, false)));
            }
            Ok(Staged::Before(key)) => {
                let what = match by_hand(operator, key) {
                    None => format!("{key} is on its way already; going on with it"),
                    Some(copy) => format!("{key} was staged before; going on with it. {copy}"),
                };
                progress.say(&what);
                return Ok(Ok((key, true)));
            }
            Ok(Staged::Unfinished(key)) => format!("waiting whether somebody else is just staging {key}"),
            Err(error) => passing(error)?,
        };
        progress.waiting(&why);
        if progress.elapsed() >= patience {
            return Ok(Err(why));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The promotion, when every live node has the key; or who lacks it.
async fn promoted(
    operator: &Operator,
    key: KeyId,
    patience: Duration,
    progress: &mut Progress<'_>,
) -> Result<Result<KeyDone, String>, Error> {
    loop {
        let why = match once(operator, key, progress).await {
            Ok(done) => return Ok(Ok(done)),
            Err(error) => passing(error)?,
        };
        progress.waiting(&why);
        if progress.elapsed() >= patience {
            return Ok(Err(why));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One look at everything. What a store has lost meanwhile is put there again.
async fn once(operator: &Operator, key: KeyId, progress: &mut Progress<'_>) -> Result<KeyDone, KeyStepError> {
    operator.refresh().await?;
    let record = operator.view().list.rotation().record(key);
    match record.map(|record| record.state) {
        // Somebody else was quicker, or this one's own answer was lost.
        Some(KeyState::Active) => {
            return Ok(KeyDone { key: Some(key), change: Vec::new(), receipt: None, warning: None });
        }
        Some(KeyState::Staged) | None => drop(operator.begin_rotation(Some(key)).await?),
        Some(state) => {
            return Err(Error::Usage {
                problem: format!("somebody else has taken the key {key} back meanwhile: it is {state}").into(),
                fix: "Begin anew with `sealjar keys rotate`".into(),
            }
            .into());
        }
    }
    if let Some(status) = operator.key_status().await?.keys.iter().find(|status| status.id == key) {
        for node in &status.has {
            progress.acknowledged(node);
        }
    }
    operator.change_keys(KeyStep::Promote(key)).await
}

/// What may pass by itself: a gate that is shut, a store that is away for a moment.
fn passing(error: KeyStepError) -> Result<String, Error> {
    match error {
        error if error.may_pass() => Ok(error.to_string()),
        // Somebody else was quicker: the next look goes on with that key, or finds that it seals.
        KeyStepError::Refused(refusal @ (Refusal::Staged(_) | Refusal::Seals(_))) => Ok(refusal.to_string()),
        KeyStepError::Failed(error @ Error::Store { .. }) => Ok(error.to_string()),
        KeyStepError::Failed(error) => Err(error),
        KeyStepError::Refused(refusal) => {
            let fix = "See `sealjar keys status`".into();
            Err(Error::Usage { problem: refusal.to_string().into(), fix })
        }
    }
}

fn late(operator: &Operator, key: Option<KeyId>, why: &str, output: &Output) -> ExitCode {
    let name = key.map(|key| key.to_string());
    let copy = key.and_then(|key| by_hand(operator, key));
    let value = json!({ "done": false, "key": name, "reason": why, "may_pass": true, "by_hand": copy });
    output.answer(&value, || {
        let next = copy.or_else(|| name.map(|key| format!("{key} is on its way.")));
        format!(
            "{} in time: {why}.\nNodes go on with the keys that they have. {}\n`sealjar keys rotate` goes on from here, \
             `sealjar keys rotate --abort` takes the new key back.",
            output.good_or_bad(false, "Not done"),
            next.unwrap_or_default(),
        )
    });
    ExitCode::from(5)
}

async fn plan(operator: &Operator, output: &Output) -> Result<ExitCode, Error> {
    operator.refresh().await?;
    let staged = operator.view().list.rotation().staged();
    let step = staged.map_or(KeyStep::Stage, KeyStep::Promote);
    match operator.plan_keys(step).await {
        Ok(_) => {
            let key = staged.map(|key| key.to_string());
            output.answer(&json!({ "dry_run": true, "staged": key }), || match &key {
                Some(key) => format!("Would promote {key}, which every live node has. Nothing was changed."),
                None => "Would make a new key and bring it to every node. Nothing was changed.".to_owned(),
            });
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refused(error, output),
    }
}

pub async fn abort(operator: &Operator, force: bool, dry_run: bool, output: &Output) -> Result<ExitCode, Error> {
    operator.refresh().await?;
    let Some(key) = operator.view().list.rotation().staged() else {
        return Err(Error::Usage {
            problem: "no key is on its way".into(),
            fix: "See `sealjar keys status`; a key that seals is not taken back, but followed by another".into(),
        });
    };
    super::step::step(operator, KeyStep::Abort { key, force }, dry_run, output).await
}

/// Tells a person what happens, each thing once.
pub struct Progress<'a> {
    operator: &'a Operator,
    output: &'a Output,
    began: Duration,
    acknowledged: BTreeSet<String>,
    waiting: String,
}

impl<'a> Progress<'a> {
    pub fn begin(operator: &'a Operator, output: &'a Output) -> Self {
        let began = operator.now().boot;
        Self { operator, output, began, acknowledged: BTreeSet::new(), waiting: String::new() }
    }

    pub fn elapsed(&self) -> Duration {
        self.operator.now().boot.saturating_sub(self.began)
    }

    fn say(&self, line: &str) {
        self.output.progress(&format!("{:>7.1} s  {line}", self.elapsed().as_secs_f64()));
    }

    fn acknowledged(&mut self, node: &str) {
        if self.acknowledged.insert(node.to_owned()) {
            self.say(&format!("{node} has it"));
        }
    }

    pub fn waiting(&mut self, why: &str) {
        if self.waiting != why {
            why.clone_into(&mut self.waiting);
            self.say(why);
        }
    }
}
