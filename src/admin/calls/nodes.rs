//! `/v1/nodes`.

use serde_json::json;

use crate::id::NodeId;

use super::super::answer::{Answer, Told};
use super::super::ask::{About, Ask, Step};
use super::super::problem::{Kind, Problem};
use super::super::route::Changed;
use super::super::rows;
use super::super::service::Service;
use super::keys::dry;

/// `GET /v1/nodes`.
///
/// # Errors
///
/// 503 when the list is out of reach.
pub async fn list(service: &Service) -> Result<Step, Problem> {
    let all = service.operator.nodes().await?;
    let nodes: Vec<_> = all.nodes.iter().map(|node| rows::node(node, &all)).collect();
    Ok(Step::looked(json!({ "healed": all.healed, "incarnation": all.incarnation.to_string(), "nodes": nodes })))
}

/// `POST /v1/nodes/{id}:forget`.
///
/// # Errors
///
/// 404 when there is no such node, 503 when the list is out of reach.
pub async fn forget(service: &Service, ask: &Ask) -> Result<Step, Problem> {
    let none = |id: &str| Problem::new(Kind::NotFound, format!("There is no node {id:.32}. GET /v1/nodes lists them"));
    let text = ask.id.clone().unwrap_or_default();
    let id: NodeId = text.parse().map_err(|_| none(&text))?;
    let about = About { scope: Some("node".into()), target: Some(id.to_string()), ..About::default() };
    let body = move |dry_run: bool| json!({ "id": id.to_string(), "forgotten": true, "dry_run": dry_run });
    if ask.one_of("dry_run", &["true", "false"])? == Some("true") {
        let is_there = service.operator.nodes().await?.nodes.iter().any(|node| node.id == id);
        let answer = if is_there { Answer::Told(Told::ok(body(true))) } else { return Err(none(&id.to_string())) };
        return Ok(Step::Answered { answer, about: dry(about) });
    }
    let operator = service.operator.clone();
    let change = Box::pin(async move {
        if !operator.store().forget_node(id).await? {
            return Err(none(&id.to_string()));
        }
        Ok(Changed { told: Told::ok(body(false)), result: "forgotten".into() })
    });
    Ok(Step::Change { about, change })
}
