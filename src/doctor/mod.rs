//! What is wrong, judged from what was seen: pure functions from facts to findings.
//!
//! ```text
//!  what was seen (io)            judged here              told
//!  ServerFacts ───────────────► judge ──► Finding ──┬──► start: the first problem is the error, warnings are logged
//!  KeyFacts, ListFacts, a line ► judge ──► Finding ──┴──► `sealjar doctor`: all of them
//! ```
//!
//! An app's start and the command line ask the same functions, so they cannot disagree.

pub mod cookie;
mod file;
mod keys;
mod list;
mod server;

pub use file::file;
pub use keys::{KeyFacts, RingSecretFacts};
pub use list::{ListFacts, whole};
pub use server::{CLOCKS_APART, ServerFacts, clock};

use crate::error::Error;
use crate::trouble::{Finding, Severity, Trouble};

/// What an error says, as a problem.
#[must_use]
pub fn said(trouble: Trouble, error: &Error) -> Finding {
    Finding::problem(trouble, error.problem()).fixed_by(error.fix())
}

/// The worst of all.
#[must_use]
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}
