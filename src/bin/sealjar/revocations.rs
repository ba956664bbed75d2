//! `sealjar revocations list`, `stats` and `export`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use sealjar::Error;
use sealjar::admin::rows::{KINDS, Row, as_of, kind};
use sealjar::operator::Operator;
use serde_json::json;

use crate::output::Output;
use crate::place::{Place, Spool};

#[derive(Subcommand)]
pub enum Revocations {
    /// Shows what is in the list. Names stand there as keyed hashes only.
    List {
        /// At most this many rows; 0 for all.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// How much is in the list: by kind, and by the day on which it ends.
    Stats,
    /// All of the list, one JSON object a line, for other programs. It is for reading: nothing takes it back in.
    Export,
}

impl Revocations {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let spool = place.waiting()?;
        let waits = spool.as_ref().and_then(Spool::sentence);
        // While the store is away, this is all that can be told, and what somebody wants to know.
        let operator = place.open().await.inspect_err(|_| waits.iter().for_each(|waits| output.progress(waits)))?;
        match self {
            Self::List { limit } => list(&operator, limit, spool, output),
            Self::Stats => stats(&operator, spool, output),
            Self::Export => export(&operator, waits.as_deref(), output),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(operator: &Operator, limit: usize, spool: Option<Spool>, output: &Output) {
    let (view, now) = (operator.view(), operator.now());
    let waits = spool.as_ref().and_then(Spool::sentence);
    let total = view.list.len();
    let limit = if limit == 0 { usize::MAX } else { limit };
    let rows: Vec<_> = view.list.records().take(limit).map(|record| Row::of(record, now)).collect();
    let value = json!({ "total": total, "revocations": rows, "waiting": spool.map(|spool| spool.waiting) });
    output.answer(&value, || {
        let cells: Vec<_> = rows.iter().map(cells).collect();
        let mut text = match rows.len() {
            0 => "Nothing is revoked.".to_owned(),
            _ => output.table(&["SCOPE", "WHAT", "AS OF", "KEPT UNTIL THE END OF"], &cells),
        };
        if total > rows.len() {
            let _ = write!(text, "\n… and {} more (--limit 0 shows all)", total - rows.len());
        }
        if let Some(waits) = waits {
            let _ = write!(text, "\n{waits}");
        }
        text
    });
}

fn stats(operator: &Operator, spool: Option<Spool>, output: &Output) {
    let (view, now) = (operator.view(), operator.now());
    let mut by_kind: BTreeMap<_, usize> = KINDS.iter().map(|kind| (*kind, 0)).collect();
    let mut by_day = BTreeMap::<_, usize>::new();
    for record in view.list.records() {
        *by_kind.entry(kind(&record)).or_default() += 1;
        if let Some(day) = record.day() {
            *by_day.entry(day.to_string()).or_default() += 1;
        }
    }
    let (total, everybody) = (view.list.len(), view.list.everybody().map(|position| as_of(position, now)));
    let waits = spool.as_ref().and_then(Spool::sentence);
    let value = json!({
        "total": total,
        "kinds": by_kind,
        "ends_on": by_day,
        "everybody_as_of": everybody,
        "waiting": spool.map(|spool| spool.waiting),
    });
    output.answer(&value, || {
        let rows = |counts: &mut dyn Iterator<Item = (&str, usize)>| -> Vec<_> {
            counts.map(|(what, count)| vec![what.to_owned(), count.to_string()]).collect()
        };
        let kinds = rows(&mut by_kind.iter().map(|(kind, count)| (*kind, *count)));
        let mut text = format!("{total} records\n\n{}", output.table(&["KIND", "RECORDS"], &kinds));
        if !by_day.is_empty() {
            let days = rows(&mut by_day.iter().map(|(day, count)| (&**day, *count)));
            let _ = write!(text, "\n\n{}", output.table(&["ENDS WITH THE DAY", "RECORDS"], &days));
        }
        if let Some(everybody) = everybody {
            let _ = write!(text, "\n\nEvery session that had begun by {everybody} has to log in again.");
        }
        if let Some(waits) = waits {
            let _ = write!(text, "\n{waits}");
        }
        text
    });
}

/// A line each, so that a list of any length is read as it comes.
fn export(operator: &Operator, waits: Option<&str>, output: &Output) {
    let (view, now) = (operator.view(), operator.now());
    Output::lines(view.list.records().map(|record| json!(Row::of(record, now))));
    if let Some(waits) = waits {
        output.progress(waits);
    }
}

fn cells(row: &Row) -> Vec<String> {
    let or_dash = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "-".into());
    vec![row.scope.to_owned(), row.what.clone(), or_dash(&row.as_of), or_dash(&row.until)]
}
