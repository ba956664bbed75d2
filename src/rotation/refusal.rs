//! Why a gate stays shut, in words that say what to do.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::id::KeyId;
use crate::time::Seconds;

use super::list::KeyState;

/// Why a gate refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The key is not where this step begins.
    #[error("the key {key} is {}; this step wants one that is {wanted}", state.map_or("not in the rotation list", KeyState::name))]
    State {
        /// The key.
        key: KeyId,
        /// Where it is; none if the list does not know it.
        state: Option<KeyState>,
        /// What the step begins with.
        wanted: &'static str,
    },
    /// Its id is taken, by a key of today or one of the past.
    #[error("the rotation list knows the key {0} already; draw another")]
    Taken(KeyId),
    /// One key at a time.
    #[error("the key {0} is staged already; promote it, or abort that rotation first")]
    Staged(KeyId),
    /// By age, no new one is due.
    #[error(
        "the newest key is not old enough for another one{}",
        .0.map_or_else(String::new, |next| format!(" before {next}"))
    )]
    Young(Option<Seconds>),
    /// The store lost something, and does not yet have back what nodes remember.
    #[error("the store lost records and waits for {}; try again then", Names(.0))]
    Owing(Vec<String>),
    /// The store lost something, and nodes that it no longer knows may still serve.
    #[error("the store lost records; for {} s more, nodes that it no longer knows may serve", .0.as_secs())]
    Settling(Duration),
    /// A leaked key cannot replace itself.
    #[error("the key {0} is the leaked one; name another to replace it")]
    Leaked(KeyId),
    /// Nodes that serve are not ready for this.
    #[error("waiting for {}", Names(.0))]
    Waiting(Vec<Missing>),
    /// Too few nodes know.
    #[error(
        "{0} live node(s) hold it, which one crash could undo: two must, or the only registered node with its keys on disk"
    )]
    Holders(usize),
    /// Every node would be left without a key to seal with.
    #[error("the key {0} seals; promote another first")]
    Seals(KeyId),
    /// Cookies under it may still be good.
    #[error("cookies under it may be good until {0}")]
    Draining(Seconds),
    /// It may still be wanted back.
    #[error("its bytes are kept until {0}")]
    Kept(Seconds),
    /// The store lost records after the key was staged: its promotion may have been among them.
    #[error("the store lost records since the key {0} was staged, and it may have been promoted before: promote it")]
    MayHaveSealed(KeyId),
    /// Its bytes are neither here nor on a node.
    #[error(
        "the bytes of the key {0} are not here: go on where it was staged, or take it back (`sealjar keys rotate --abort`)"
    )]
    Elsewhere(KeyId),
}

/// A node that a gate waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub node: String,
    /// What it lacks.
    pub why: Lack,
}

/// What a node lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It has not heard yet.
    Record,
    /// It has heard, and has not got the key.
    Key,
    /// It has not heard that the key is recalled, or that was too long ago.
    Recall,
    /// It cannot use the key: its own words.
    Refused(String),
    /// It seals with another key.
    Sealing(Option<KeyId>),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, why } = self;
        match why {
            Lack::Record => write!(f, "{node} (has not heard yet)"),
            Lack::Key => write!(f, "{node} (has not got the key: its file is missing, or it has no ring secret)"),
            Lack::Recall => write!(f, "{node} (has not heard lately that the key is recalled)"),
            Lack::Refused(reason) => write!(f, "{node} (cannot use the key: {reason})"),
            Lack::Sealing(Some(key)) => write!(f, "{node} (seals with {key})"),
            Lack::Sealing(None) => write!(f, "{node} (has no key to seal with)"),
        }
    }
}

/// A list of names for a sentence.
struct Names<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Names<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, name)| match index {
            0 => write!(f, "{name}"),
            _ => write!(f, ", {name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_operators_knows_these_sentences() {
        let page = include_str!("../../docs/rotation.md");
        let missing = |why| Missing { node: "web-1".into(), why }.to_string();
        for said in [
            missing(Lack::Record),
            missing(Lack::Key),
            missing(Lack::Refused(String::new())),
            Refusal::Holders(1).to_string(),
            Refusal::MayHaveSealed(KeyId([0; 4])).to_string(),
        ] {
            let known = ["has not heard yet", "has not got the key: its file is missing, or it has no ring secret"];
            let known = known.into_iter().chain(["cannot use the key: ", "hold it, which one crash could undo"]);
            let known: Vec<_> =
                known.chain(["may have been promoted before"]).filter(|part| said.contains(part)).collect();
            assert!(!known.is_empty() && known.iter().all(|part| page.contains(part)), "{said}");
        }
    }
}
