//! `/v1/rotations`: a new key on its way to the nodes, and, if that is waited for, in use.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::id::KeyId;
use crate::io::task;
use crate::operator::{KeyDone, KeyStep, Operator, Staged};
use crate::random;
use crate::rotation::KeyState;
use crate::wire;

use super::super::answer::{Answer, Told};
use super::super::ask::{About, Ask, Step};
use super::super::audit::checked_reason;
use super::super::operations::Operation;
use super::super::problem::{Kind, Problem};
use super::super::route::Changed;
use super::super::service::Service;
use super::keys::{dry, shut, status, taken};
use super::revocations::{ten, there, whole};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default, deserialize_with = "there")]
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    wait: Wait,
    #[serde(default = "ten", deserialize_with = "whole")]
    timeout_seconds: u32,
}

/// How far it is to go before it is answered.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wait {
    /// The key is on its way. Somebody promotes it later.
    #[default]
    Staged,
    /// Every live node has it, and seals with it from now on.
    Promoted,
}

/// The longest wait, in seconds.
const LONGEST: u32 = 60;
/// Between two looks at the nodes.
const PAUSE: Duration = Duration::from_millis(200);

/// `GET /v1/rotations`: the key that is on its way.
///
/// # Errors
///
/// As [`list`](super::keys::list).
pub async fn look(service: &Service) -> Result<Step, Problem> {
    let (fleet, now) = (service.operator.key_status().await?, service.operator.now().seconds());
    let staged = fleet.keys.iter().find(|key| key.state == KeyState::Staged);
    Ok(Step::looked(json!({ "staged": staged.map(|key| status(key, now)) })))
}

/// `POST /v1/rotations`: a new key begins its way to the nodes, or the one that is on it goes on. With `wait: promoted`
/// it is promoted as soon as its gate opens, also when the client goes away meanwhile.
///
/// # Errors
///
/// 409 while the store is not whole.
pub async fn rotate(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let Wanted { reason, dry_run, wait, timeout_seconds } = ask.read()?;
    if !(1..=LONGEST).contains(&timeout_seconds) {
        return Err(Problem::new(Kind::Invalid, format!("timeout_seconds is from 1 to {LONGEST}")));
    }
    let about = About { scope: Some("key".into()), reason: checked_reason(reason)?, ..About::default() };
    let operator = service.operator.clone();
    if dry_run {
        operator.refresh().await?;
        let staged = operator.view().list.rotation().staged();
        if staged.is_none() {
            operator.plan_keys(KeyStep::Stage).await.map_err(|error| shut(error).about(&about))?;
        }
        let body = rotated(true, staged, staged.map(|_| "before"));
        return Ok(Step::Answered { answer: Answer::Told(Told::ok(body)), about: dry(about) });
    }
    let id: [u8; 12] = random::kernel()?;
    let (operations, known, actor) = (service.operations.clone(), about.clone(), ask.who.actor());
    let span = tracing::info_span!("operation", id = wire::encode(&id), step = "rotate");
    let change = async move {
        let (key, found) = match operator.begin_rotation(None).await.map_err(shut)? {
            Staged::New(key) => (key, "new"),
            Staged::Before(key) => (key, "before"),
            Staged::Unfinished(key) => (key, "unfinished"),
        };
        let mut body = rotated(false, Some(key), Some(found));
        let told = |status, body, location| Told { status, body, location: Some(location) };
        if wait == Wait::Staged {
            let result = format!("{key} {found}");
            return Ok(Changed { told: told(201, body, format!("/v1/keys/{key}")), result });
        }
        let done = match promoted(&operator, key, Duration::from_secs(timeout_seconds.into())).await {
            Ok(done) => done,
            Err(problem) if problem.more.members.get("may_pass") == Some(&Value::Bool(true)) => {
                body["waiting_for"] = problem.more.members.get("waiting_for").cloned().unwrap_or_default();
                let result = format!("{key} {found}, not promoted yet");
                return Ok(Changed { told: told(202, body, format!("/v1/keys/{key}")), result });
            }
            Err(problem) => return Err(problem),
        };
        body["promoted"] = json!(true);
        let mut location = format!("/v1/keys/{key}");
        if let Some(receipt) = done.receipt {
            let known = About { target: Some(key.to_string()), ..known };
            let operation = Operation::new(wire::encode(&id), known, actor, receipt, operator.now());
            body["operation"] = operation.to_json(operator.now());
            location = format!("/v1/operations/{}", operation.id);
            operations.keep(operation);
        }
        Ok(Changed { told: told(201, body, location), result: format!("{key} promoted") })
    };
    Ok(Step::Change { about, change: Box::pin(change.instrument(span)) })
}

fn rotated(dry_run: bool, key: Option<KeyId>, found: Option<&str>) -> Value {
    let key = key.map(|key| key.to_string());
    json!({ "dry_run": dry_run, "key": key, "found": found, "promoted": false, "waiting_for": [], "operation": null })
}

/// Promotes a key as soon as every live node has it; or says what it waits for when the time is over.
async fn promoted(operator: &Operator, key: KeyId, patience: Duration) -> Result<KeyDone, Problem> {
    let end = operator.now().boot + patience;
    loop {
        operator.refresh().await?;
        if operator.view().list.rotation().record(key).is_some_and(|record| record.state == KeyState::Active) {
            // Somebody else was quicker.
            return Ok(KeyDone { key: Some(key), change: Vec::new(), receipt: None, warning: None });
        }
        match taken(operator, KeyStep::Promote(key)).await {
            Ok(done) => return Ok(done),
            Err(error) if !error.may_pass() || operator.now().boot >= end => return Err(shut(error)),
            Err(_) => task::pause(PAUSE).await,
        }
    }
}
