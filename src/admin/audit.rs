//! The audit: one line of JSON for each attempt, each line chained to the one before.
//!
//! ```text
//! {"seq":7,"at":"2026-11-23T15:20:00Z","event":"attempt","action":"revoke",...,"hash":"9f2c.."}
//!  └───────────────────────────── bytes as they stand ───────────────────────┘
//!  hash = SHA-256(hash of line 6 || these bytes), in hexadecimal digits; before the first line stand 32 zeros
//! ```
//!
//! The bytes are hashed as they stand in the file, so there is no second form of a record to argue about.
//! The chain shows that a record in the middle was altered, taken out, put in or moved. That the last ones
//! are gone shows the *head*, a small file beside it that says how far the audit had come.
//!
//! # Security
//!
//! The chain has no key: who may write both files can write them anew from the start. Copy the head
//! somewhere else now and then, and `sealjar audit verify --head` compares.
//!
//! No record holds a secret. Names stand in it as the keyed hashes of the list; the reason is the
//! operator's own text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::time::Seconds;

/// What kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something was looked at.
    Read,
    /// Something is about to be changed. It is written down first; if it cannot be, nothing is changed.
    Attempt,
    /// How an attempt ended; `of` names it.
    Outcome,
    /// It was refused before anything was done.
    Refused,
    /// The head said that there had been more records: the last ones are lost.
    TailLost,
    /// A line that was half written, by a crash or a full disk, was cut off.
    TornLine,
    /// The endpoint began to listen.
    Started,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Attempt, Self::Outcome, Self::Refused, Self::TailLost, Self::TornLine, Self::Started];

    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Attempt => "attempt",
            Self::Outcome => "outcome",
            Self::Refused => "refused",
            Self::TailLost => "tail_lost",
            Self::TornLine => "torn_line",
            Self::Started => "started",
        }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What kind of record.
    pub event: Event,
    /// What was to be done: the operation's id in the API, or the command.
    pub action: String,
    /// Who: the token's id and name, or the user of the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What it was about: a scope, a session's handle, a key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom it concerned: a session's handle, or the keyed hash of a name, as the list holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which attempt this is the outcome of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended: a state reached, or the name of a problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How many attempts this record stands for, where there were too many to write each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl Entry {
    /// A record with nothing but its kind and its action.
    pub fn new(event: Event, action: impl Into<String>) -> Self {
        Self {
            event,
            action: action.into(),
            actor: None,
            peer: None,
            scope: None,
            target: None,
            reason: None,
            of: None,
            status: None,
            result: None,
            count: None,
        }
    }
}

/// The longest reason, in characters.
const REASON: usize = 500;

/// A reason of a length that an audit can hold.
///
/// # Errors
///
/// [`Error::Usage`] for a longer one.
pub fn checked_reason(reason: Option<String>) -> Result<Option<String>, Error> {
    match reason {
        Some(reason) if reason.chars().count() > REASON => Err(Error::usage(
            "the reason has more than 500 characters",
            "Say it shorter, or write where more is written",
        )),
        reason => Ok(reason),
    }
}

/// One line of the file, read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The number of the line, from 1.
    pub seq: u64,
    /// When it was written, by this machine's clock, RFC 3339 in UTC.
    pub at: String,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// How far an audit has come: the number and the hash of its last record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, hex(&self.hash))
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (seq, hash) = text.trim_end_matches('\n').split_once([' ', ':'])?;
            Some(Self { seq: seq.parse().ok()?, hash: unhex(hash)? })
        };
        read().ok_or_else(|| {
            Error::usage(
                "that is not the head of an audit",
                "It is a number and 64 hexadecimal digits, as `sealjar audit verify` prints it",
            )
        })
    }
}

/// The line for an entry that follows on `head`, without its line feed; and the new head.
#[must_use]
pub fn line(head: Head, entry: &Entry, now: Seconds) -> (String, Head) {
    let record = Record { seq: head.seq + 1, at: now.to_string(), entry: entry.clone() };
    let mut text = serde_json::to_string(&record).unwrap_or_default();
    // The closing brace makes room for the hash.
    text.pop();
    let hash = chained(head.hash, text.as_bytes());
    text.push_str(HASH);
    text.push_str(&hex(&hash));
    text.push_str(END);
    (text, Head { seq: record.seq, hash })
}

const HASH: &str = ",\"hash\":\"";
const END: &str = "\"}";

/// Reads a line: the record, the bytes that its hash covers, and the hash that it states.
#[must_use]
pub fn read(line: &str) -> Option<(Record, &[u8], [u8; 32])> {
    let (covered, rest) = line.rsplit_once(HASH)?;
    let stated = unhex(rest.strip_suffix(END)?)?;
    let record = serde_json::from_str(line).ok()?;
    Some((record, covered.as_bytes(), stated))
}

/// The head that a line states, for whoever appends to it.
#[must_use]
pub fn head_of(line: &str) -> Option<Head> {
    read(line).map(|(record, _, hash)| Head { seq: record.seq, hash })
}

pub(super) fn chained(before: [u8; 32], bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(bytes).finalize().into()
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'a'..=b'f'));
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)).filter(|_| digits) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    digits.then_some(bytes)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
