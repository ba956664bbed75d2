//! The audit's two files, `audit.jsonl` and `audit.head`: appended to by every process that acts.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::explain::Hit;
use crate::io::journal::{Addition, End, Journal};
use crate::time::Seconds;

use super::audit::{self, Entry, Event, Head, Record};
use super::verify::{Verified, Verifier};

/// The audit of a home.
///
/// # Consistency
///
/// A record is on the disk when [`Trail::write`] returns. Processes take turns by a lock on a file beside
/// it. It grows by about 300 bytes a record and is never shortened; to put it aside, move both files away
/// together, and keep them together.
#[derive(Clone, Debug)]
pub struct Trail {
    journal: Journal,
}

impl Trail {
    /// The one of this home. Nothing is touched yet.
    #[must_use]
    pub fn in_home(home: &Path) -> Self {
        Self::new(home.join("audit.jsonl"), home.join("audit.head"))
    }

    /// These two files.
    #[must_use]
    pub fn new(records: PathBuf, head: PathBuf) -> Self {
        Self { journal: Journal::new(records, head) }
    }

    /// Where the records are.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// Writes a record, and says its number. Blocks on the disk, and on other processes that write.
    ///
    /// What an earlier crash or another hand has done to the end of the file is not covered up: it is
    /// written down first, in a record of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it cannot be written: then the record does not count.
    pub fn write(&self, entry: &Entry, now: Seconds) -> Result<u64, Error> {
        self.journal.append(|end| addition(&end, entry, now)).map_err(|error| self.cannot("written", &error))
    }

    /// Walks over all of it. With an `anchor`, a head that was kept elsewhere, it also says whether that
    /// record is still there.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it cannot be read. What is wrong in it is no error but a finding.
    pub fn verify(&self, anchor: Option<Head>) -> Result<Verified, Error> {
        let mut verifier = Verifier::anchored(anchor);
        let (torn, head) =
            self.journal.read(|line| verifier.take(line)).map_err(|error| self.cannot("read", &error))?;
        Ok(verifier.finish(torn, head.and_then(|head| head.parse().ok())))
    }

    /// The last `limit` records that `wanted` picks and whose number is below `before`, the newest first.
    /// Reads from the end of the file, and no further than it needs: all of it where there are too few.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it cannot be read.
    pub fn recent(
        &self,
        limit: usize,
        before: Option<u64>,
        mut wanted: impl FnMut(&Record) -> bool,
    ) -> Result<Vec<Record>, Error> {
        let mut last = Vec::new();
        let take = |line: &[u8]| {
            let record = std::str::from_utf8(line).ok().and_then(|line| Some(audit::read(line)?.0));
            let record = record.filter(|record| before.is_none_or(|before| record.seq < before) && wanted(record));
            last.extend(record);
            last.len() < limit
        };
        if limit > 0 {
            self.journal.read_back(take).map_err(|error| self.cannot("read", &error))?;
        }
        Ok(last)
    }

    /// Who revoked this last, when and why: the attempt, and how it ended.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it cannot be read.
    pub fn who_revoked(&self, hit: &Hit) -> Result<Option<Revoked>, Error> {
        let records = self.recent(LOOKED_AT, None, |record| concerns(&record.entry, hit))?;
        let outcome = |seq| records.iter().find(|record| record.entry.of == Some(seq)).map(|record| &record.entry);
        let failed = |entry: &Entry| {
            entry.status.is_some_and(|status| status >= 400) || entry.result.as_deref() == Some("failed")
        };
        let attempts = records.iter().filter(|record| record.entry.event == Event::Attempt);
        let mut done = attempts.filter(|attempt| !outcome(attempt.seq).is_some_and(failed));
        Ok(done.next().map(|attempt| {
            let result = outcome(attempt.seq).and_then(|entry| entry.result.clone());
            let (seq, at, Entry { actor, peer, reason, action, .. }) =
                (attempt.seq, attempt.at.clone(), attempt.entry.clone());
            Revoked { seq, at, action, actor, peer, reason, result }
        }))
    }

    fn cannot(&self, what: &str, error: &std::io::Error) -> Error {
        let fix = match error.kind() {
            ErrorKind::InvalidData => {
                "Look what was put into that file. Put its own end back, or move it and audit.head to another folder together; \
                 then another one is begun"
            }
            _ => "Let the user that runs this program write to that folder, and see that its disk has room",
        };
        Error::config(format!("the audit {} cannot be {what} ({error})", self.path().display()), fix)
    }
}

/// How many of the last records about something are looked at.
const LOOKED_AT: usize = 20;

/// Whether a record is about what this hit was for.
fn concerns(entry: &Entry, hit: &Hit) -> bool {
    let (action, scope, target) = (entry.action.as_str(), entry.scope.as_deref(), entry.target.as_deref());
    let is_it = match hit.scope {
        // A leaked key and a lost list log everybody out as well.
        "all" => scope == Some("all") || action == "compromise_key" || scope == Some("after_loss"),
        "key" => target == hit.target.as_deref() && matches!(action, "retire_key" | "destroy_key" | "compromise_key"),
        "session" => {
            // It may have been revoked by its bare id.
            let bare = hit.target.as_deref().and_then(|handle| handle.split_once('-')).map(|(id, _)| id);
            scope == Some("session") && target.is_some() && (target == hit.target.as_deref() || target == bare)
        }
        other => scope == Some(other) && target == hit.target.as_deref(),
    };
    is_it && matches!(entry.event, Event::Attempt | Event::Outcome)
}

/// What the audit knows of a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// The number of the record.
    pub seq: u64,
    /// When it was asked for.
    pub at: String,
    /// By which operation.
    pub action: String,
    /// By whom.
    pub actor: Option<String>,
    /// From which address.
    pub peer: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// How it ended; none if nobody could write that down.
    pub result: Option<String>,
}

/// The lines that follow on this end, and the number of the last.
fn addition(end: &End, entry: &Entry, now: Seconds) -> (Addition, u64) {
    let told: Option<Head> = end.head.as_deref().and_then(|text| text.parse().ok());
    let last = end.last.as_deref().map_or(Some(Head::default()), audit::head_of);
    // A last line that is junk is left where it is; the head says what came before it.
    let mut head = last.or(told).unwrap_or_default();
    let broken = match (last, told) {
        (None, _) => Some("the last line could not be read as a record".to_owned()),
        (Some(last), None) if last.seq > 0 => Some("the head was missing or could not be read".to_owned()),
        (Some(last), Some(told)) if told.seq > last.seq => {
            Some(format!("the head knew record {told}, and the file ended at {}", last.seq))
        }
        _ => None,
    };
    let torn = (end.torn > 0).then(|| format!("{} bytes of a line that was never finished were cut off", end.torn));
    let repair = |event, result| Entry { result: Some(result), ..Entry::new(event, "audit") };
    let repairs = [broken.map(|what| repair(Event::TailLost, what)), torn.map(|what| repair(Event::TornLine, what))];
    let mut lines = String::new();
    for entry in repairs.iter().flatten().chain([entry]) {
        let (line, next) = audit::line(head, entry, now);
        head = next;
        lines += &line;
        lines.push('\n');
    }
    (Addition { lines, head: format!("{head}\n") }, head.seq)
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
