//! `sealjar keys status`

use std::process::ExitCode;

use sealjar::Error;
use sealjar::explain::in_words;
use sealjar::operator::{FleetKeys, KeyStatus, Operator};
use sealjar::time::Seconds;
use serde_json::{Value, json};

use crate::output::Output;

pub async fn status(operator: &Operator, output: &Output) -> Result<ExitCode, Error> {
    let (fleet, now) = (operator.key_status().await?, operator.now().seconds());
    let keys: Vec<_> = fleet.keys.iter().map(as_json).collect();
    let value = json!({ "healed": fleet.healed, "nodes": fleet.nodes, "keys": keys, "refused": fleet.refused });
    output.answer(&value, || table(&fleet, now, output));
    Ok(ExitCode::SUCCESS)
}

fn as_json(key: &KeyStatus) -> Value {
    json!({
        "key": key.id.to_string(),
        "state": key.state.name(),
        "role": key.role.name(),
        "promotion": key.record.map_or(0, |record| record.promotion),
        "created": key.created.map(|created| created.0),
        "opened": key.opened,
        "last_seen": key.last_seen.map(|seen| seen.0),
        "has": key.has,
        "lacks": key.lacks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sealing": key.sealing,
        "next": key.next.as_ref().map(|next| json!({
            "step": next.name,
            "waits": next.waits.as_ref().map(ToString::to_string),
        })),
    })
}

fn table(fleet: &FleetKeys, now: Seconds, output: &Output) -> String {
    let since = |then: Option<Seconds>| then.map_or_else(|| "-".to_owned(), |then| in_words(then.until(now)));
    let cells = |key: &KeyStatus| {
        let nodes =
            if key.state.opens() { format!("{} of {}", key.has.len(), fleet.nodes.len()) } else { "-".to_owned() };
        let last = key.last_seen.map_or_else(|| "-".to_owned(), |_| format!("{} ago", since(key.last_seen)));
        vec![
            key.id.to_string(),
            key.state.name().to_owned(),
            key.role.name().to_owned(),
            since(key.created),
            key.opened.to_string(),
            last,
            nodes,
            key.next.as_ref().map_or("-", |next| next.name).to_owned(),
        ]
    };
    let rows: Vec<_> = fleet.keys.iter().map(cells).collect();
    let head = ["KEY", "STATE", "ROLE", "AGE", "TODAY", "LAST", "ON NODES", "NEXT"];
    let mut lines = vec![output.table(&head, &rows)];
    for key in &fleet.keys {
        if let Some(next) = &key.next {
            let waits = next.waits.as_ref().map_or_else(|| "can be done now".to_owned(), ToString::to_string);
            lines.push(format!("{} {}: {waits}", key.id, next.name));
        }
        if key.next.is_none() {
            lines.extend(key.lacks.iter().map(|missing| format!("{} is missing on {missing}", key.id)));
        }
    }
    lines.extend(fleet.refused.iter().map(|why| format!("{} {why}", output.good_or_bad(false, "not used:"))));
    if !fleet.healed {
        lines.push("The list has lost records, and nodes are giving them back.".to_owned());
    }
    lines.push("TODAY: cookies that nodes have opened under it on this UTC day, by the clock of the list.".to_owned());
    lines.join("\n")
}
