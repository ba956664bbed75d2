//! How records and nodes look in answers: here and on the command line the same.

use serde::Serialize;
use serde_json::{Value, json};

use crate::id::Handle;
use crate::revocation::{Node, Nodes, Record};
use crate::time::{Day, Now, Position};

/// What kind of record, as programs call it.
#[must_use]
pub const fn kind(record: &Record) -> &'static str {
    match record {
        Record::Session { .. } => "session",
        Record::Floor { .. } => "generation_floor",
        Record::CutOff { .. } => "cut_off",
        Record::Everybody { .. } => "all",
        Record::Forgotten { .. } => "forgotten",
        Record::Key { .. } => "key",
    }
}

/// The kinds of [`kind`].
pub const KINDS: [&str; 6] = ["session", "generation_floor", "cut_off", "all", "forgotten", "key"];

/// A record of the list, for people. Names stand there as keyed hashes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What kind of record.
    pub kind: &'static str,
    /// The same in words.
    pub scope: &'static str,
    /// Whom or what.
    pub what: String,
    /// When; sessions and floors do not say.
    pub as_of: Option<String>,
    /// The last day on which it can matter; none for what is kept for good.
    pub until: Option<String>,
}

impl Row {
    /// Of a record, as it is read `now`.
    #[must_use]
    pub fn of(record: Record, now: Now) -> Self {
        let until = record.day().map(|day: Day| day.to_string());
        let row = |scope, what, as_of| Self { kind: kind(&record), scope, what, as_of, until };
        match record {
            Record::Session { id, day } => row("session", Handle { id, day }.to_string(), None),
            Record::Floor { id, floor, day } => {
                row("generation floor", format!("{}, below {floor}", Handle { id, day }), None)
            }
            Record::CutOff { tag, position, .. } => {
                row("subject, tenant or label", tag.to_string(), Some(as_of(position, now)))
            }
            Record::Everybody { position } => row("all", "everybody".into(), Some(as_of(position, now))),
            Record::Forgotten { day, position } => {
                row("forgotten", format!("what ended before {day}"), Some(as_of(position, now)))
            }
            Record::Key { key, record } => row("key", format!("{key} {}", record.state), None),
        }
    }
}

/// Positions run ahead of the clock for a minute after a list was made; people want to know when it was.
#[must_use]
pub fn as_of(position: Position, now: Now) -> String {
    position.seconds().min(now.seconds()).to_string()
}

/// The states of [`state`].
pub const STATES: [&str; 3] = ["follows", "lapsed", "never lapses"];

/// What became of a node.
#[must_use]
pub fn state(node: &Node, all: &Nodes) -> &'static str {
    match node.lapses() {
        Some(lapses) if lapses < all.now => "lapsed",
        Some(_) => "follows",
        None => "never lapses",
    }
}

/// A node, as programs read it.
#[must_use]
pub fn node(node: &Node, all: &Nodes) -> Value {
    let report = node.report.as_ref();
    json!({
        "id": node.id.to_string(),
        "name": node.name(),
        "state": state(node, all),
        "late": node.is_late(all.now),
        "silent_ms": all.now.0.saturating_sub(node.seen.0),
        "lapses_in_ms": node.lapses().map(|lapses| lapses.0.saturating_sub(all.now.0)),
        "applied": report.map(|report| report.applied),
        "spooled": report.map(|report| report.spooled),
        "version": report.map(|report| &report.version),
        "keys": report.map(|report| &report.keys),
        "verdicts": report.map(|report| &report.verdicts),
    })
}
