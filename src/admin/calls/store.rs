//! `/v1/store`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::doctor::whole;
use crate::io::place::Opening;
use crate::revocation::Bounds;
use crate::trouble::{Finding, Severity, Trouble};

use super::super::answer::{Answer, Told};
use super::super::ask::{About, Ask, Step};
use super::super::audit::checked_reason;
use super::super::problem::{Kind, Problem};
use super::super::route::Changed;
use super::super::service::Service;
use super::keys::dry;
use super::revocations::there;

/// `GET /v1/store`.
///
/// # Errors
///
/// 503 when the list is out of reach.
pub async fn look(service: &Service) -> Result<Step, Problem> {
    let operator = &service.operator;
    operator.refresh().await?;
    let (nodes, condition) = (operator.nodes().await?, operator.store().condition().await?);
    let (view, now) = (operator.view(), operator.now());
    let risks: Vec<_> = risks(operator.app(), nodes.healed, condition.findings).map(as_json).collect();
    Ok(Step::looked(json!({
        "store": operator.store().describe(),
        "app": operator.app(),
        "incarnation": nodes.incarnation.to_string(),
        "healed": nodes.healed,
        "records": view.list.len(),
        "position": view.lower_bound().0,
        "freshness": view.freshness(Bounds::default(), now).name(),
        "nodes": nodes.alive().count(),
        "memory": {
            "here": view.list.bytes(),
            "list": condition.list,
            "server": condition.server,
            "limit": condition.limit,
        },
        "risks": risks,
    })))
}

/// What is not as it should be, of what `sealjar doctor` asks about the store and the list in it.
pub fn risks(app: &str, healed: bool, findings: Vec<Finding>) -> impl Iterator<Item = Finding> {
    findings.into_iter().chain([whole(app, healed)]).filter(|finding| finding.severity > Severity::Ok)
}

fn as_json(finding: Finding) -> Value {
    let Finding { trouble, severity, seen, fix } = finding;
    json!({ "code": trouble.map(Trouble::code), "severity": severity.name(), "seen": seen, "fix": fix })
}

/// The body of `POST /v1/store:init`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Making {
    #[serde(default)]
    after_loss: bool,
    #[serde(default)]
    dry_run: bool,
    #[serde(default, deserialize_with = "there")]
    reason: Option<String>,
}

/// `POST /v1/store:init`: makes the list where it is missing; `after_loss` also where it waits for a process that
/// knows what it lost, and none is left. That logs everybody out.
///
/// # Errors
///
/// 409 for a list that is whole, or one that cannot be made from here; 503 when the server is out of reach.
pub async fn init(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let Making { after_loss, dry_run, reason } = ask.read()?;
    let reason = checked_reason(reason)?;
    let scope = if after_loss { "after_loss" } else { "if_missing" };
    let about = About { scope: Some(scope.into()), reason, ..About::default() };
    let refuse = |detail: String| Err(Problem::new(Kind::WrongState, detail).about(&about));
    let store = service.operator.store().describe();
    match service.operator.nodes().await {
        Ok(nodes) if nodes.healed => {
            return refuse(format!("The list in {store} is whole, so there is nothing to make"));
        }
        Ok(_) if !after_loss => {
            return refuse(format!(
                "The list in {store} is there, and waits for nodes to give back what it lost. Wait for a minute; \
                 if none is left that knows, send after_loss, which logs everybody out"
            ));
        }
        _ => {}
    }
    let Some(place) = service.place.clone() else {
        return refuse("This endpoint was not told where lists are made. Use `sealjar store init`".to_owned());
    };
    let operator = service.operator.clone();
    if dry_run {
        let (app, list_key, clock) = (operator.app(), operator.list_key(), operator.clock());
        let opening = Opening { app, list_key, create: false, own_file: None, clock };
        let made = place.plan_anew(&opening, after_loss).await.map_err(|error| Problem::from(error).about(&about))?;
        let body = json!({ "made": made, "dry_run": true });
        return Ok(Step::Answered { answer: Answer::Told(Told::ok(body)), about: dry(about) });
    }
    let change = Box::pin(async move {
        let (app, list_key, clock) = (operator.app(), operator.list_key(), operator.clock());
        let opening = Opening { app, list_key, create: false, own_file: None, clock };
        let made = place.make_anew(&opening, after_loss).await?;
        Ok(Changed { told: Told::ok(json!({ "made": made, "dry_run": false })), result: made.to_owned() })
    });
    Ok(Step::Change { about, change })
}
