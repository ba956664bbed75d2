//! What only looks: `/v1/explain`, `/v1/keys`, `/v1/audit`, `/v1/token`, and whether this endpoint is well.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::revocation::{Bounds, Freshness};
use crate::time::Seconds;

use super::super::answer::{Answer, Told};
use super::super::ask::{About, Ask, Step};
use super::super::audit::Event;
use super::super::problem::{Kind, Problem};
use super::super::service::Service;
use super::super::{console, openapi, page, table};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pasted {
    cookie: String,
}

/// `POST /v1/explain`.
///
/// # Errors
///
/// 409 while no app has announced a cookie, 503 when the list is out of reach.
pub async fn explain(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let Pasted { cookie } = ask.read()?;
    service.operator.refresh().await?;
    let explained = service.operator.explain(&cookie).await.map_err(|error| match error {
        Error::Config { .. } => Problem::new(Kind::WrongState, error.to_string()),
        other => other.into(),
    })?;
    let hit = explained.hit.clone();
    let found = match hit {
        Some(hit) => service.written.look(move |trail| trail.who_revoked(&hit)).await?,
        None => None,
    };
    let target = explained.session.as_ref().map(|session| session.handle.clone());
    let about = About { target, result: Some(explained.verdict.to_owned()), ..About::default() };
    let mut body = json!(explained);
    body["revoked_by"] = json!(found);
    Ok(Step::Answered { answer: Answer::Told(Told::ok(body)), about })
}

/// The largest number that every reader of JSON can hold (RFC 8259, section 6).
const LAST: usize = (1 << 53) - 1;

/// `GET /v1/audit`.
///
/// # Errors
///
/// 400 for a cursor or a limit that is none, 500 when the audit cannot be read.
pub async fn audit(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let limit = ask.number("limit", page::USUAL, page::MOST)?;
    let before = ask.number("cursor", LAST, LAST)? as u64;
    let kind = |field| ask.one_of(field, &Event::ALL.map(Event::name));
    let (event, without, target) = (kind("event")?, kind("without")?, ask.target()?);
    let body = service.written.look(move |trail| {
        let mut records = trail.recent(limit + 1, Some(before), |record| {
            let is_event = |wanted: &str| record.entry.event.name() == wanted;
            event.is_none_or(is_event)
                && !without.is_some_and(is_event)
                && (target.is_none() || record.entry.target == target)
        })?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|record| record.seq.to_string());
        Ok(json!({ "records": records, "next": next }))
    });
    Ok(Step::looked(body.await?))
}

/// `GET /v1/events`.
///
/// # Errors
///
/// 429 while too many listen.
pub fn events(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let reader = service.listen(&ask.who).ok_or_else(|| {
        Problem::new(Kind::TooMuchAtOnce, "32 listen already, or this process is about to end")
            .after(Duration::from_secs(5))
    })?;
    Ok(Step::Answered { answer: Answer::Events(reader), about: About::default() })
}

/// `GET /v1/token`.
pub fn token(ask: &Ask) -> Step {
    let token = ask.who.token.as_ref();
    Step::looked(json!({
        "id": token.map(|token| token.id().to_string()),
        "name": token.map(|token| &token.name),
        "scopes": token.map(|token| &token.scopes),
        "expires": token.and_then(|token| token.expires).map(|end| Seconds(end).to_string()),
    }))
}

/// `GET /healthz`.
pub fn health() -> Step {
    Step::looked(json!({ "status": "alive" }))
}

/// `GET /readyz`.
///
/// # Errors
///
/// 503 when the list cannot be read.
pub async fn ready(service: &Service) -> Result<Step, Problem> {
    // Nobody showed a token: the sentence with the store's address stays in the log.
    let away = || Problem::new(Kind::StoreUnavailable, "The revocation list cannot be read; the log says why");
    service.operator.refresh().await.map_err(|error| {
        if let Some(skipped) = service.not_ready.say(service.operator.now()).map(NonZeroU64::new) {
            tracing::warn!(%error, skipped, "the admin endpoint is not ready");
        }
        away()
    })?;
    match service.operator.view().freshness(Bounds::default(), service.operator.now()) {
        Freshness::Fresh => Ok(Step::looked(json!({ "status": "ready" }))),
        _ => Err(away()),
    }
}

/// `GET /`.
pub fn console() -> Step {
    Step::Answered { answer: Answer::Page(console::page()), about: About::default() }
}

/// `GET /openapi.json`.
#[cfg_attr(not(feature = "backchannel"), allow(unused_mut, unused_variables, reason = "it is the table, then"))]
pub fn document(service: &Service, ask: &Ask) -> Step {
    let mut document = openapi::document(table::ROUTES, &ask.prefix);
    #[cfg(feature = "backchannel")]
    if service.logouts.get().is_some() {
        super::super::logout::describe(&mut document);
    }
    Step::looked(document)
}
