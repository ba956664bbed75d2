//! `/v1/revocations` and `/v1/operations`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::json;
use tracing::Instrument as _;

use crate::error::Error;
use crate::io::in_force::Wish;
use crate::io::task;
use crate::operator::{Operator, Scope};
use crate::random;
use crate::revocation::{Durability, Progress, Record};
use crate::wire;

use super::super::answer::{Answer, Told};
use super::super::ask::{About, Ask, Step};
use super::super::audit::checked_reason;
use super::super::operations::{Operation, Operations};
use super::super::page::{self, RowKey};
use super::super::problem::{Kind, Problem};
use super::super::route::Changed;
use super::super::rows::{self, Row};
use super::super::scope;
use super::super::service::Service;

/// The body of `POST /v1/revocations`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    scope: ScopeName,
    #[serde(default, deserialize_with = "there")]
    target: Option<String>,
    #[serde(default, deserialize_with = "there")]
    reason: Option<String>,
    #[serde(default)]
    wait: Wait,
    #[serde(default = "one", deserialize_with = "whole")]
    replicas: u32,
    #[serde(default = "ten", deserialize_with = "whole")]
    timeout_seconds: u32,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScopeName {
    Session,
    Subject,
    Tenant,
    Label,
    All,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wait {
    #[default]
    Committed,
    Replicated,
    InForce,
}

/// A text that may be left out, but not be `null`.
pub(super) fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

const fn one() -> u32 {
    1
}

pub(super) const fn ten() -> u32 {
    10
}

/// JSON has one kind of number: 10.0 is an integer too (JSON Schema, section 6.1.1).
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e9).contains(n));
    // In range and without a fraction, so that nothing is lost.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    whole.map(|n| n as u32).ok_or_else(|| serde::de::Error::custom("this number is not one of a small count"))
}

/// The longest name, in bytes.
const NAME: usize = 1024;

impl Wanted {
    fn scope(&self) -> Result<Scope, Problem> {
        let target = match (&self.scope, &self.target) {
            (ScopeName::All, None) => return Ok(Scope::All),
            (ScopeName::All, Some(_)) => return invalid("The scope all has no target"),
            (_, None) => return invalid("This scope needs a target: a session's handle, or a name"),
            (_, Some(target)) => target,
        };
        if target.len() > NAME {
            return invalid("The target has more than 1024 bytes");
        }
        Ok(match self.scope {
            ScopeName::Session => Scope::Session(target.parse()?),
            ScopeName::Subject => Scope::Subject(target.clone()),
            ScopeName::Tenant => Scope::Tenant(target.clone()),
            ScopeName::Label | ScopeName::All => Scope::Label(target.clone()),
        })
    }

    fn wish(&self) -> Result<Wish, Problem> {
        if !(1..=60).contains(&self.timeout_seconds) || !(1..=100).contains(&self.replicas) {
            return invalid("timeout_seconds goes from 1 to 60, replicas from 1 to 100");
        }
        let durability = match self.wait {
            Wait::Committed => Durability::Committed,
            Wait::Replicated => Durability::Replicated,
            Wait::InForce => Durability::InForce,
        };
        Ok(Wish { durability, replicas: self.replicas, patience: Duration::from_secs(self.timeout_seconds.into()) })
    }
}

fn invalid<T>(detail: &str) -> Result<T, Problem> {
    Err(Problem::new(Kind::Invalid, detail))
}

/// `POST /v1/revocations`.
///
/// # Errors
///
/// 403 for everybody without `revoke.all`, 422 for what makes no sense, 503 when the list is out of reach.
pub async fn revoke(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let wanted: Wanted = ask.read()?;
    let (scope, wish, reason) = (wanted.scope()?, wanted.wish()?, checked_reason(wanted.reason.clone())?);
    let about = About {
        scope: Some(scope.name().to_owned()),
        target: service.operator.target(&scope),
        reason,
        result: wanted.dry_run.then(|| "dry run".to_owned()),
    };
    if scope == Scope::All {
        ask.insist(&[scope::Scope::RevokeAll]).map_err(|problem| problem.about(&about))?;
    }
    let plan = service.operator.plan(&scope).await.map_err(|error| Problem::from(error).about(&about))?;
    if wanted.dry_run {
        let nodes = service.operator.nodes().await?;
        let body = json!({
            "dry_run": true,
            "app": service.operator.app(),
            "scope": about.scope,
            "target": about.target,
            "records": plan.len(),
            "nodes": nodes.alive().count(),
        });
        return Ok(Step::Answered { answer: Answer::Told(Told::ok(body)), about });
    }
    let id: [u8; 12] = random::kernel()?;
    let (operator, operations) = (service.operator.clone(), service.operations.clone());
    let (known, actor) = (about.clone(), ask.who.actor());
    let span = tracing::info_span!("operation", id = wire::encode(&id), step = "revoke", scope = scope.name());
    let change = async move {
        let receipt = operator.revoke(&scope).await?;
        let mut operation = Operation::new(wire::encode(&id), known, actor, receipt, operator.now());
        operations.keep(operation.clone());
        // What is committed is committed, whether or not the rest can be waited for.
        if let Err(error) = wait(&operator, &operations, &mut operation, wish).await {
            tracing::warn!(%error, "how far a revocation has come could not be asked");
        }
        operations.keep(operation.clone());
        let (now, done) = (operator.now(), operation.reached() >= wish.durability);
        Ok(Changed {
            result: operation.state(now).to_owned(),
            told: Told {
                status: if done { 201 } else { 202 },
                body: operation.to_json(now),
                location: Some(format!("/v1/operations/{}", operation.id)),
            },
        })
    };
    Ok(Step::Change { about, change: Box::pin(change.instrument(span)) })
}

/// Who listens to events sees each node as it comes.
async fn wait(
    operator: &Operator,
    operations: &Operations,
    operation: &mut Operation,
    wish: Wish,
) -> Result<(), Error> {
    if wish.durability <= operation.reached() {
        return Ok(());
    }
    let receipt = operation.receipt().clone();
    let progressed = |progress: &Progress, _| {
        operation.note(progress.clone(), operator.now());
        operations.keep(operation.clone());
    };
    let reached = operator.wait(&receipt, wish, progressed).await?;
    operation.saw(reached, operator.now());
    Ok(())
}

/// `GET /v1/revocations`.
///
/// # Errors
///
/// 400 for a cursor or a limit that is none, 503 when the list is out of reach.
pub async fn list(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let limit = ask.number("limit", page::USUAL, page::MOST)?;
    let after = match ask.field("cursor") {
        None => None,
        Some(text) => Some(RowKey::from_cursor(text).ok_or_else(|| {
            Problem::new(Kind::BadRequest, "That is no cursor. Take it from the member `next` of the page before")
        })?),
    };
    let (kind, target) = (ask.one_of("kind", &rows::KINDS)?, ask.target()?);
    service.operator.refresh().await?;
    let (view, now) = (service.operator.view(), service.operator.now());
    let page = task::blocking(move || {
        let wanted = |record: &Record| {
            kind.is_none_or(|kind| rows::kind(record) == kind)
                && target.as_deref().is_none_or(|target| Row::of(*record, now).what.starts_with(target))
        };
        let page = page::page(view.list.records().filter(wanted), after.as_ref(), limit);
        let rows: Vec<_> = page.rows.into_iter().map(|record| Row::of(record, now)).collect();
        Ok(json!({ "total": view.list.len(), "revocations": rows, "next": page.next }))
    });
    Ok(Step::looked(page.await?))
}

/// `GET /v1/operations`.
///
/// # Errors
///
/// 400 for a limit that is none.
pub fn operations(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let limit = ask.number("limit", page::USUAL, page::MOST)?;
    let now = service.operator.now();
    let known: Vec<_> = service.operations.recent(limit).iter().map(|operation| operation.to_json(now)).collect();
    Ok(Step::looked(json!({ "operations": known })))
}

/// `GET /v1/operations/{id}`. Looks how far it has come.
///
/// # Errors
///
/// 404 for one that is not known here, 503 when the list is out of reach.
pub async fn operation(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let id = ask.id.as_deref().unwrap_or_default();
    let mut operation = service.operations.find(id).ok_or_else(|| {
        let detail = "It is not known to this process: the last 1,000 are, since it started. The audit knows all";
        Problem::new(Kind::NotFound, detail)
    })?;
    operation.look(&service.operator).await?;
    service.operations.keep(operation.clone());
    Ok(Step::looked(operation.to_json(service.operator.now())))
}
