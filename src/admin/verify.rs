//! Finds whatever does not follow in an audit.

use serde::Serialize;

use super::audit::{Event, Head, chained, read};

/// Walks over the lines of an audit and finds whatever does not follow.
#[derive(Debug, Default)]
pub struct Verifier {
    head: Head,
    line: u64,
    findings: Vec<Finding>,
    anchor: Option<Head>,
    anchored: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line of the file, from 1; one past the last for what is missing at the end.
    pub line: u64,
    /// The number of the record, where it can be read.
    pub seq: Option<u64>,
    /// What is wrong, in words.
    pub problem: String,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How far it goes.
    pub head: Head,
    /// What is wrong; nothing if it is whole.
    pub findings: Vec<Finding>,
}

impl Verifier {
    /// Looks besides whether the audit still has the record of this head, which was kept elsewhere.
    #[must_use]
    pub fn anchored(anchor: Option<Head>) -> Self {
        Self { anchor, ..Self::default() }
    }

    /// Takes the next line, without its line feed.
    pub fn take(&mut self, line: &[u8]) {
        self.line += 1;
        let Some((record, covered, stated)) = std::str::from_utf8(line).ok().and_then(read) else {
            self.find(None, "cannot be read as a record".into());
            return;
        };
        let expected = self.head.seq + 1;
        let own = chained(self.head.hash, covered) == stated;
        if record.seq != expected {
            let missing = if record.seq > expected {
                format!("follows on record {}: {} between them are missing", self.head.seq, record.seq - expected)
            } else {
                format!("stands after record {}: it was moved or put in", self.head.seq)
            };
            self.find(Some(record.seq), missing);
        } else if !own {
            self.find(Some(record.seq), "was altered, or the record before it was".into());
        } else if record.entry.event == Event::TailLost {
            let told = record.entry.result.clone().unwrap_or_default();
            self.find(Some(record.seq), format!("says of itself: {told}"));
        }
        self.head = Head { seq: record.seq, hash: stated };
        if self.anchor == Some(self.head) && own {
            self.anchored = true;
        }
    }

    /// After the last line. `torn` are bytes behind it without a line feed; `head` is what the head file says.
    #[must_use]
    pub fn finish(mut self, torn: usize, head: Option<Head>) -> Verified {
        self.line += 1;
        if torn > 0 {
            self.find(None, format!("{torn} bytes of a line that was never finished"));
        }
        match head {
            None if self.head.seq > 0 => self.find(
                None,
                "the head file is missing, so nobody can tell whether records are missing at the end".into(),
            ),
            Some(head) if head.seq > self.head.seq => {
                let problem = format!(
                    "the last {} are missing: the head file knows record {}",
                    head.seq - self.head.seq,
                    head.seq
                );
                self.find(None, problem);
            }
            Some(head) if head.seq == self.head.seq && head.hash != self.head.hash => {
                self.find(Some(head.seq), "is not the one that the head file knows".into());
            }
            _ => {}
        }
        if let Some(anchor) = self.anchor.filter(|_| !self.anchored) {
            self.find(Some(anchor.seq), "is not the one whose head you gave: the audit was written anew or cut".into());
        }
        Verified { head: self.head, findings: self.findings }
    }

    fn find(&mut self, seq: Option<u64>, problem: String) {
        self.findings.push(Finding { line: self.line, seq, problem });
    }
}
