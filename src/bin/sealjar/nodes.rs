//! `sealjar nodes list | forget`

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use sealjar::Error;
use sealjar::admin::audit::{Entry, Event};
use sealjar::admin::rows;
use sealjar::explain::in_words;
use sealjar::id::NodeId;
use sealjar::revocation::{Node, Nodes as All};
use serde_json::json;

use crate::audited::Audited;
use crate::output::Output;
use crate::place::Place;

#[derive(Subcommand)]
pub enum Nodes {
    /// Shows the processes that serve sessions by this list, how current each is, and when it lapses.
    List,
    /// Takes a node off the list that will not come back, so that nobody waits for it. One that is alive
    /// after all registers again with its next beat.
    Forget {
        /// Its id, of 16 hexadecimal digits.
        node: String,
        /// Only says what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Nodes {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let operator = place.open().await?;
        match self {
            Self::List => {
                let nodes = operator.nodes().await?;
                let value: Vec<_> = nodes.nodes.iter().map(|node| rows::node(node, &nodes)).collect();
                output.answer(&json!({ "healed": nodes.healed, "nodes": value }), || table(&nodes, output));
            }
            Self::Forget { node, dry_run } => {
                let id: NodeId = node.parse().map_err(|_| Error::Usage {
                    problem: "that is not a node's id".into(),
                    fix: "Take it from `sealjar nodes list`: 16 hexadecimal digits".into(),
                })?;
                if dry_run {
                    let nodes = operator.nodes().await?;
                    let known = nodes.nodes.iter().find(|node| node.id == id);
                    let value = json!({ "node": id.to_string(), "forgotten": known.is_some(), "dry_run": true });
                    output.answer(&value, || match known {
                        Some(node) => {
                            let (name, state) = (node.name(), rows::state(node, &nodes));
                            format!("Would take {id} ({name}, {state}) off the list. Nothing was changed.")
                        }
                        None => format!("There is no node {id}. Nothing was changed."),
                    });
                    return Ok(ExitCode::SUCCESS);
                }
                let target = Some(id.to_string());
                let entry = Entry { scope: Some("node".into()), target, ..Entry::new(Event::Attempt, "forget_node") };
                let audited = Audited::begin(place, entry)?;
                let forgotten = operator.store().forget_node(id).await;
                let known = audited.end(forgotten, |known| if *known { "forgotten" } else { "unknown" }.to_owned())?;
                output.answer(&json!({ "node": id.to_string(), "forgotten": known }), || {
                    if known { format!("Nobody waits for {id} any more.") } else { format!("There is no node {id}.") }
                });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn silence(node: &Node, all: &All) -> Duration {
    Duration::from_millis(all.now.0.saturating_sub(node.seen.0))
}

fn table(all: &All, output: &Output) -> String {
    if all.nodes.is_empty() {
        return "No app follows this list.".to_owned();
    }
    let cells = |node: &Node| {
        let report = node.report.as_ref();
        vec![
            node.id.to_string(),
            node.name(),
            rows::state(node, all).to_owned(),
            in_words(silence(node, all)),
            report.map_or("-".to_owned(), |report| report.spooled.to_string()),
            report.map_or("-", |report| &report.version).to_owned(),
        ]
    };
    let rows: Vec<_> = all.nodes.iter().map(cells).collect();
    let table = output.table(&["NODE", "NAME", "STATE", "SILENT FOR", "SPOOLED", "VERSION"], &rows);
    if all.healed { table } else { format!("{table}\nThe list has lost records, and nodes are giving them back.") }
}
