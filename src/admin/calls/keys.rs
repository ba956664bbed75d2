//! `/v1/keys`: the steps of `sealjar keys`, one request each.
//!
//! Nothing waits here: a step whose gate is shut is 409 and says for whom it waits, and whoever asks again
//! goes on from where the list stands.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::id::KeyId;
use crate::operator::{FleetKeys, KeyDone, KeyStatus, KeyStep, KeyStepError, Operator};
use crate::random;
use crate::rotation::{Lack, Refusal};
use crate::time::Seconds;
use crate::wire;

use super::super::answer::{Answer, Told};
use super::super::ask::{About, Ask, Step};
use super::super::audit::checked_reason;
use super::super::operations::{Operation, Operations};
use super::super::problem::{Kind, Problem};
use super::super::route::Changed;
use super::super::service::Service;
use super::revocations::there;

/// The body of every step.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default, deserialize_with = "there")]
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// For `:retire`.
    #[serde(default, deserialize_with = "said")]
    force: Option<bool>,
    /// For `:compromise`.
    #[serde(default, deserialize_with = "there")]
    replacement: Option<String>,
}

/// Whether it was said at all.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    bool::deserialize(deserializer).map(Some)
}

/// A step that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `:promote`.
    Promote,
    /// `:retire`.
    Retire,
    /// `:destroy`.
    Destroy,
    /// `:abort`.
    Abort,
    /// `:compromise`.
    Compromise,
}

impl Verb {
    /// As it stands in the path.
    const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Retire => "retire",
            Self::Destroy => "destroy",
            Self::Abort => "abort",
            Self::Compromise => "compromise",
        }
    }
}

/// `GET /v1/keys`.
///
/// # Errors
///
/// 500 when the key folder cannot be read, 503 when the list is out of reach.
pub async fn list(service: &Service) -> Result<Step, Problem> {
    let (fleet, now) = (service.operator.key_status().await?, service.operator.now().seconds());
    let keys: Vec<_> = fleet.keys.iter().map(|key| status(key, now)).collect();
    let FleetKeys { healed, nodes, refused, .. } = fleet;
    Ok(Step::looked(json!({ "keys": keys, "refused": refused, "healed": healed, "nodes": nodes })))
}

/// `GET /v1/keys/{id}`.
///
/// # Errors
///
/// 404 for a key that nobody knows, 500 and 503 as the list of them.
pub async fn look(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let id = id(ask)?;
    let (fleet, now) = (service.operator.key_status().await?, service.operator.now().seconds());
    let known = fleet.keys.iter().find(|key| key.id == id).ok_or_else(unknown)?;
    Ok(Step::looked(status(known, now)))
}

/// `POST /v1/keys/{id}:…`.
///
/// # Errors
///
/// 409 when the gate of the step is shut, with the nodes that it waits for.
pub async fn step(service: &Service, ask: &Ask, verb: Verb) -> Result<Step, Problem> {
    let (key, wanted): (_, Wanted) = (id(ask)?, ask.read()?);
    let step = wanted.step(verb, key)?;
    let reason = checked_reason(wanted.reason)?;
    let about = About { scope: Some("key".into()), target: Some(key.to_string()), reason, result: None };
    if wanted.dry_run {
        let plan = service.operator.plan_keys(step).await.map_err(|error| shut(error).about(&about))?;
        let body = done(&plan, None, true);
        return Ok(Step::Answered { answer: Answer::Told(Told::ok(body)), about: dry(about) });
    }
    let id: [u8; 12] = random::kernel()?;
    let (operator, operations) = (service.operator.clone(), service.operations.clone());
    let (known, actor) = (about.clone(), ask.who.actor());
    let span = tracing::info_span!("operation", id = wire::encode(&id), step = verb.name(), key = %key);
    let change = async move {
        let mut made = taken(&operator, step).await.map_err(shut)?;
        let operation = made.receipt.take().map(|receipt| {
            let operation = Operation::new(wire::encode(&id), known, actor, receipt, operator.now());
            if let KeyStep::Compromise { leaked, .. } = step { operation.of_compromise(leaked) } else { operation }
        });
        Ok(followed(&operator, &operations, &made, operation))
    };
    Ok(Step::Change { about, change: Box::pin(change.instrument(span)) })
}

/// Takes a step. A key that was active before is recalled before it is promoted again: in one lease's time every node
/// knows that it may seal, and then the step is done.
pub(super) async fn taken(operator: &Operator, step: KeyStep) -> Result<KeyDone, KeyStepError> {
    let made = operator.change_keys(step).await;
    if let (KeyStep::Promote(key), Err(KeyStepError::Refused(refusal))) = (step, &made)
        && wants_recall(refusal)
    {
        operator.change_keys(KeyStep::Recall(key)).await?;
    }
    made
}

/// The answer to a step that was done; how far it has come is an operation like any other.
fn followed(operator: &Operator, operations: &Operations, made: &KeyDone, operation: Option<Operation>) -> Changed {
    let (told, location) = match &operation {
        Some(operation) => (Some(operation.to_json(operator.now())), Some(format!("/v1/operations/{}", operation.id))),
        None => (None, None),
    };
    let body = done(made, told.as_ref(), false);
    operation.into_iter().for_each(|operation| operations.keep(operation));
    let states = made.change.iter().map(|(key, record)| format!("{key} {}", record.state));
    let result = if made.change.is_empty() { "done before".to_owned() } else { states.collect::<Vec<_>>().join(", ") };
    Changed { told: Told { status: if location.is_some() { 201 } else { 200 }, body, location }, result }
}

impl Wanted {
    fn step(&self, verb: Verb, key: KeyId) -> Result<KeyStep, Problem> {
        let elsewhere =
            (self.force.is_some() && verb != Verb::Retire) || (self.replacement.is_some() && verb != Verb::Compromise);
        if elsewhere {
            return Err(Problem::new(Kind::Invalid, "force belongs to :retire, replacement to :compromise"));
        }
        let replacement = self.replacement.as_deref().map(str::parse).transpose();
        let replacement = replacement.map_err(|_| Problem::new(Kind::Invalid, "The replacement is no key's id"))?;
        Ok(match verb {
            Verb::Promote => KeyStep::Promote(key),
            Verb::Retire => KeyStep::Retire { key, force: self.force.unwrap_or(false) },
            Verb::Destroy => KeyStep::Destroy(key),
            Verb::Abort => KeyStep::Abort { key, force: false },
            Verb::Compromise => KeyStep::Compromise { leaked: key, replacement },
        })
    }
}

/// A key that was active before has to be recalled before it is promoted again.
fn wants_recall(refusal: &Refusal) -> bool {
    let Refusal::Waiting(missing) = refusal else { return false };
    missing.iter().any(|missing| missing.why == Lack::Recall)
}

/// A gate that is shut: which nodes it waits for, and whether asking again can help.
pub(super) fn shut(error: KeyStepError) -> Problem {
    let may_pass = error.may_pass();
    let refusal = match error {
        KeyStepError::Failed(error) => return error.into(),
        KeyStepError::Refused(refusal) => refusal,
    };
    let waiting_for: Vec<_> = match &refusal {
        Refusal::Waiting(missing) => missing.iter().map(ToString::to_string).collect(),
        Refusal::Owing(nodes) => nodes.clone(),
        _ => Vec::new(),
    };
    let problem = Problem::new(Kind::WrongState, refusal.to_string());
    let problem = problem.with("waiting_for", json!(waiting_for)).with("may_pass", json!(may_pass));
    if may_pass { problem.after(Duration::from_secs(1)) } else { problem }
}

fn id(ask: &Ask) -> Result<KeyId, Problem> {
    ask.id.as_deref().unwrap_or_default().parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "There is no such key. GET /v1/keys lists them; an id is 8 hexadecimal digits")
}

pub(super) fn dry(about: About) -> About {
    About { result: Some("dry run".into()), ..about }
}

fn done(made: &KeyDone, operation: Option<&Value>, dry_run: bool) -> Value {
    let changes =
        made.change.iter().map(|(key, record)| json!({ "key": key.to_string(), "state": record.state.name() }));
    json!({
        "dry_run": dry_run,
        "key": made.key.map(|key| key.to_string()),
        "changes": changes.collect::<Vec<_>>(),
        "warning": made.warning,
        "operation": operation,
    })
}

pub(super) fn status(key: &KeyStatus, now: Seconds) -> Value {
    json!({
        "id": key.id.to_string(),
        "state": key.state.name(),
        "role": key.role.name(),
        "promotion": key.record.map_or(0, |record| record.promotion),
        "created": key.created.map(|created| created.to_string()),
        "counts_from": key.record.map(|record| record.mark).filter(|mark| mark.0 > 0).map(|mark| mark.to_string()),
        "age_seconds": key.created.map(|created| created.until(now).as_secs()),
        "opened": key.opened,
        "last_seen": key.last_seen.map(|seen| seen.to_string()),
        "has": key.has,
        "lacks": key.lacks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sealing": key.sealing,
        "next": key.next.as_ref().map(|next| json!({
            "step": next.name,
            "waits": next.waits.as_ref().map(ToString::to_string),
        })),
    })
}
