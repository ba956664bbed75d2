//! `/metrics`.

use crate::core_metrics::{list, propagation};
use crate::error::Error;
use crate::metrics::{Kind, Page};
use crate::operator::Operator;
use crate::revocation::{Bounds, Condition, Nodes};
use crate::rotation::KeyState;
use crate::trouble::Trouble;

use super::super::answer::Answer;
use super::super::ask::{About, Step};
use super::super::rows::{self, STATES};
use super::super::service::Service;
use super::store::risks;

/// `GET /metrics`: what this process knows. It is answered while the store is away, too, and says so then.
pub async fn metrics(service: &Service) -> Step {
    let operator = &service.operator;
    let mut page = Page::default();
    service.written.actions().tell(&mut page);
    list(&mut page, &operator.view(), Bounds::default(), operator.now());
    propagation(&mut page, &service.propagation);
    let seen = look(operator).await.inspect_err(|error| tracing::warn!(%error, "the store's metrics are left out"));
    let help = "Whether the store of the list answers.";
    page.metric("sealjar_store_up", Kind::Gauge, help).value(u8::from(seen.is_ok()));
    if let Ok((condition, nodes)) = seen {
        fleet(&mut page, &nodes);
        store(&mut page, operator.app(), nodes.healed, condition);
    }
    // The folder of keys may be out of order for itself.
    if let Ok(fleet) = operator.key_status().await {
        let mut metric =
            page.metric("sealjar_fleet_keys", Kind::Gauge, "Keys that list, folder or nodes know, by state.");
        for state in KeyState::ALL {
            metric.labelled("state", state.name(), fleet.keys.iter().filter(|key| key.state == state).count());
        }
    }
    Step::Answered { answer: Answer::Metrics(page.finish()), about: About::default() }
}

async fn look(operator: &Operator) -> Result<(Condition, Nodes), Error> {
    Ok((operator.store().condition().await?, operator.nodes().await?))
}

fn fleet(page: &mut Page, nodes: &Nodes) {
    let mut metric = page.metric("sealjar_fleet_nodes", Kind::Gauge, "Nodes that follow the list, by state.");
    for state in STATES {
        let count = nodes.nodes.iter().filter(|node| rows::state(node, nodes) == state).count();
        metric.labelled("state", state.replace(' ', "_"), count);
    }
}

fn store(page: &mut Page, app: &str, healed: bool, condition: Condition) {
    let Condition { list, server, limit, findings } = condition;
    let sizes = [
        ("sealjar_store_list_bytes", "What the list takes up in its store.", list),
        ("sealjar_store_memory_bytes", "Memory of the list's server in use, for all that it holds.", server),
        ("sealjar_store_memory_limit_bytes", "The most memory that the list's server may use.", limit),
    ];
    for (name, help, bytes) in sizes {
        if let Some(bytes) = bytes {
            page.metric(name, Kind::Gauge, help).value(bytes);
        }
    }
    let help = "What is risky about the store: 1 for each risk that was found just now.";
    let mut metric = page.metric("sealjar_store_risks", Kind::Gauge, help);
    for risk in risks(app, healed, findings) {
        let code = risk.trouble.map(Trouble::code).unwrap_or_default();
        metric.labelled_twice([("code", &code), ("severity", &risk.severity.name())], 1);
    }
}
