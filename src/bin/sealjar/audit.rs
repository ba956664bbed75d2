//! `sealjar audit list | verify`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use sealjar::Error;
use sealjar::admin::audit::{Head, Record};
use sealjar::admin::trail::Trail;
use sealjar::id::TagKind;
use serde_json::json;

use crate::output::Output;
use crate::place::Place;

#[derive(Subcommand)]
pub enum Audit {
    /// Shows what was done and what was refused, the newest first.
    List {
        /// At most this many records.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        whom: Whom,
    },
    /// Finds any record that was altered, taken out, put in or moved; exit code 1 if there is one.
    Verify {
        /// A head that an earlier call printed and that was kept elsewhere: looks whether that record is still there.
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<Head>,
    },
}

/// Names stand in the audit as keyed hashes; who knows a name and has the list key finds it.
#[derive(Args)]
#[group(multiple = false)]
pub struct Whom {
    /// Only what concerned this subject.
    #[arg(long)]
    subject: Option<String>,
    /// Only what concerned this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only what concerned this label.
    #[arg(long)]
    label: Option<String>,
    /// Only what concerned this: a session's handle, a key's id, or a keyed hash as `revocations list` shows it.
    #[arg(long)]
    target: Option<String>,
}

impl Audit {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let trail = Trail::in_home(&place.home());
        match self {
            Self::List { limit, whom } => list(&trail, limit, whom.target(place).await?.as_deref(), output),
            Self::Verify { head } => verify(&trail, head, output),
        }
    }
}

impl Whom {
    async fn target(self, place: &Place) -> Result<Option<String>, Error> {
        let (kind, name) = match self {
            Self { subject: Some(name), .. } => (TagKind::Subject, name),
            Self { tenant: Some(name), .. } => (TagKind::Tenant, name),
            Self { label: Some(name), .. } => (TagKind::Label, name),
            Self { target, .. } => return Ok(target),
        };
        let list = place.open().await?;
        Ok(Some(list.list_key().tag(list.app(), kind, &name).to_string()))
    }
}

fn list(trail: &Trail, limit: usize, target: Option<&str>, output: &Output) -> Result<ExitCode, Error> {
    let wanted = |record: &Record| target.is_none() || record.entry.target.as_deref() == target;
    let records = trail.recent(limit, None, wanted)?;
    output.answer(&json!({ "records": records }), || {
        if records.is_empty() {
            return format!("Nothing is written down in {}.", trail.path().display());
        }
        let head = ["NUMBER", "AT", "EVENT", "ACTION", "WHO", "WHAT", "RESULT", "REASON"];
        output.table(&head, &records.iter().map(cells).collect::<Vec<_>>())
    });
    Ok(ExitCode::SUCCESS)
}

fn cells(record: &Record) -> Vec<String> {
    let entry = &record.entry;
    let joined = |parts: [Option<&str>; 2]| match parts.iter().flatten().copied().collect::<Vec<_>>() {
        parts if parts.is_empty() => "-".to_owned(),
        parts => parts.join(" "),
    };
    let event = serde_json::to_value(entry.event).unwrap_or_default();
    vec![
        record.seq.to_string(),
        record.at.clone(),
        event.as_str().unwrap_or_default().to_owned(),
        entry.action.clone(),
        joined([entry.actor.as_deref(), entry.peer.as_deref()]),
        joined([entry.scope.as_deref(), entry.target.as_deref()]),
        joined([entry.result.as_deref(), entry.count.map(|count| format!("{count} times")).as_deref()]),
        // A reason is somebody's text: nothing in it may move the cursor of a terminal.
        entry.reason.as_deref().unwrap_or("-").escape_debug().to_string(),
    ]
}

fn verify(trail: &Trail, anchor: Option<Head>, output: &Output) -> Result<ExitCode, Error> {
    let verified = trail.verify(anchor)?;
    let (whole, head) = (verified.findings.is_empty(), verified.head.to_string().replace(' ', ":"));
    let value = json!({ "whole": whole, "records": verified.head.seq, "head": head, "findings": verified.findings });
    output.answer(&value, || {
        let state = output.good_or_bad(whole, if whole { "whole" } else { "not whole" });
        let mut text = format!("{state}: {} records in {}\nhead {head}", verified.head.seq, trail.path().display());
        for found in &verified.findings {
            let record = found.seq.map_or_else(String::new, |seq| format!(" record {seq}"));
            let _ = write!(text, "\n  line {}:{record} {}", found.line, found.problem);
        }
        text
    });
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
