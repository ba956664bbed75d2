//! `sealjar revoke …`

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use sealjar::Error;
use sealjar::admin::audit::{Entry, Event, checked_reason};
use sealjar::admin::rows::as_of;
use sealjar::io::in_force::{Reached, Wish};
use sealjar::operator::Scope;
use sealjar::revocation::{Durability, Node};
use serde_json::json;

use crate::audited::Audited;
use crate::output::{Output, confirmed};
use crate::place::Place;

#[derive(Args)]
pub struct Revoke {
    #[command(subcommand)]
    whom: Whom,
    /// How long to wait: until it is in the list (committed), on the server's replicas (replicated), or applied
    /// by every node (`in_force`).
    #[arg(long, global = true, value_enum, default_value_t = Wait::Committed)]
    wait: Wait,
    /// How many replicas, with --wait replicated.
    #[arg(long, global = true, default_value_t = 1, value_name = "NUMBER")]
    replicas: u32,
    /// The longest wait, in seconds. What is not reached by then ends with exit code 5.
    #[arg(long, global = true, default_value_t = 90, value_name = "SECONDS")]
    patience: u64,
    /// Why: stands in the audit.
    #[arg(long, global = true, value_name = "TEXT")]
    reason: Option<String>,
    /// Only says what would be revoked.
    #[arg(long, global = true)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Whom {
    /// One session, by the handle that logs and `explain` print (or only its id, of 16 hexadecimal digits).
    Session { handle: String },
    /// Every session of a user that has begun by now: log out everywhere.
    Subject { subject: String },
    /// Every session of a tenant that has begun by now.
    Tenant { tenant: String },
    /// Every session with a label that has begun by now.
    Label { label: String },
    /// Every session that has begun by now: everybody has to log in again. Asks first on a terminal.
    All {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Wait {
    Committed,
    Replicated,
    InForce,
}

impl Wait {
    const fn durability(self) -> Durability {
        match self {
            Self::Committed => Durability::Committed,
            Self::Replicated => Durability::Replicated,
            Self::InForce => Durability::InForce,
        }
    }
}

impl Revoke {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        // What was typed is judged before any file is opened.
        let scope = match &self.whom {
            Whom::Session { handle } => Scope::Session(handle.parse()?),
            Whom::Subject { subject } => Scope::Subject(subject.clone()),
            Whom::Tenant { tenant } => Scope::Tenant(tenant.clone()),
            Whom::Label { label } => Scope::Label(label.clone()),
            Whom::All { yes } => {
                if !yes && !self.dry_run && !confirmed("This logs everybody out, and there is no way back.") {
                    eprintln!("Nothing was revoked.");
                    return Ok(ExitCode::from(2));
                }
                Scope::All
            }
        };
        let reason = checked_reason(self.reason.clone())?;
        let operator = place.open().await?;
        let (app, name, whither) = (operator.app(), scope.name(), operator.store().describe());
        if self.dry_run {
            let records = operator.plan(&scope).await?.len();
            let value = json!({ "app": app, "scope": name, "dry_run": true, "records": records });
            output.answer(&value, || {
                format!("Would revoke {name} in the app {app}: {records} record(s) in {whither}. Nothing was changed.")
            });
            return Ok(ExitCode::SUCCESS);
        }
        let entry = Entry {
            scope: Some(name.to_owned()),
            target: operator.target(&scope),
            reason,
            ..Entry::new(Event::Attempt, "revoke")
        };
        let audited = Audited::begin(place, entry)?;
        let receipt = operator.revoke(&scope).await;
        let receipt = audited.end(receipt, |receipt| receipt.durability.to_string())?;
        let wish = Wish {
            durability: self.wait.durability(),
            replicas: self.replicas,
            patience: Duration::from_secs(self.patience),
        };
        let mut shown = BTreeSet::new();
        let reached = operator.wait(&receipt, wish, |progress, took| {
            for node in &progress.confirmed {
                if shown.insert(node.id) {
                    output.progress(&format!("{:>8.1} ms  {}", took.as_secs_f64() * 1000.0, node.name()));
                }
            }
        });
        let reached = reached.await?;
        let at = as_of(receipt.position, operator.now());
        let names = |nodes: &[Node]| nodes.iter().map(Node::name).collect::<Vec<_>>();
        let progress = reached.progress.as_ref();
        let within = operator.store().beat_interval().as_millis();
        let value = json!({
            "app": app,
            "scope": name,
            "as_of": at,
            "durability": reached.durability.name(),
            "position": receipt.position.0,
            "records": receipt.records.len(),
            "applied_within_ms": within,
            "waited_ms": reached.took.as_secs_f64() * 1000.0,
            "replicas": reached.replicas,
            "nodes": progress.map(|progress| json!({
                "confirmed": names(&progress.confirmed),
                "outstanding": names(&progress.outstanding),
            })),
        });
        output.answer(&value, || {
            let done = format!(
                "{} {name} in the app {app}, as of {at}: {} in {whither}.",
                output.bold("Revoked"),
                reached.durability,
            );
            format!("{done}\n{}", outcome(&reached, within))
        });
        let is_enough = reached.durability >= self.wait.durability();
        Ok(if is_enough { ExitCode::SUCCESS } else { ExitCode::from(5) })
    }
}

/// What the wait came to, in a sentence.
fn outcome(reached: &Reached, within: u128) -> String {
    match (&reached.progress, reached.replicas) {
        (Some(progress), _) if reached.durability == Durability::InForce => {
            format!("In force on {progress} after {:.1} ms.", reached.took.as_secs_f64() * 1000.0)
        }
        (Some(progress), _) => {
            let missing: Vec<_> = progress.outstanding.iter().map(Node::name).collect();
            let missing =
                if missing.is_empty() { "the list is still being given back".to_owned() } else { missing.join(", ") };
            format!(
                "In force on {progress} after {:.1} s. Not confirmed: {missing}. A node that stays silent stops trusting \
                 its list by itself; one that is gone for good can be taken off with `sealjar nodes forget`.",
                reached.took.as_secs_f64()
            )
        }
        (None, Some(replicas)) => format!("On {replicas} replica(s) of the server."),
        (None, None) => format!("Running apps that can read it apply it within {within} ms."),
    }
}
