//! What must hold in a fleet at any moment, written once: property tests, the model checker and tests on real
//! processes ask these functions.
//!
//! | | |
//! |---|---|
//! | K1 | what any serving node seals, every serving node opens |
//! | K2 | what was sealed, and has not expired, every serving node opens |
//! | K3 | at a node, no key's state goes down |
//! | K4 | a promotion finds every serving node ready, and one crash cannot undo it |
//! | K5 | no serving node seals with a retired key, and no cookie under it is good |
//! | K6 | a completed compromise stays: no serving node opens with that key, or accepts what was born before |
//! | K7 | who has merged the same records has the same ring and seals with the same key |
//!
//! A leaked key is nobody's honest key: what it sealed is not protected. Until a compromise is complete, its
//! replacement is not protected either: some nodes have yet to hear, and ask the store when they meet it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::id::KeyId;
use crate::time::{Position, Seconds};

use super::list::{KeyState, Rotation};

/// One node, as it is and not as it says.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The records that it has merged.
    pub list: &'a Rotation,
    /// The keys at hand, with the second of their making.
    pub keys: Vec<(KeyId, Seconds)>,
    /// Sessions born at or before this are denied.
    pub everybody: Position,
}

impl Node<'_> {
    /// Whether it opens what was sealed under the key.
    #[must_use]
    pub fn opens(&self, key: KeyId) -> bool {
        self.keys.iter().any(|(id, _)| *id == key) && self.list.state(key).opens()
    }

    /// The key that it seals with. Where records rule, no window of time is left to wait for.
    #[must_use]
    pub fn seals(&self) -> Option<KeyId> {
        self.list.sealing(&self.keys, Seconds(u32::MAX), Duration::ZERO)
    }

    fn denies(&self, key: KeyId) -> bool {
        self.list.state(key) == KeyState::Compromised
    }
}

/// A compromise that was reported as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Closed {
    /// The leaked key.
    pub key: KeyId,
    /// The cut-off that came with it.
    pub everybody: Position,
}

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// `K1` to `K7`.
    pub invariant: &'static str,
    /// In which key.
    pub key: KeyId,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken for the key {}", self.invariant, self.key)
    }
}

fn hold(all: bool, invariant: &'static str, key: KeyId) -> Result<(), Breach> {
    if all { Ok(()) } else { Err(Breach { invariant, key }) }
}

/// K1, over the nodes that serve. `unprotected`: replacements whose compromise is not complete.
///
/// # Errors
///
/// The first breach.
pub fn openable(serving: &[Node<'_>], unprotected: &BTreeSet<KeyId>) -> Result<(), Breach> {
    let sealed = serving.iter().filter_map(Node::seals).collect();
    everywhere("K1", serving, &sealed, unprotected)
}

/// K2: `cookies` are the keys under which honest, unexpired cookies are about.
///
/// # Errors
///
/// The first breach.
pub fn not_orphaned(
    serving: &[Node<'_>],
    cookies: &BTreeSet<KeyId>,
    unprotected: &BTreeSet<KeyId>,
) -> Result<(), Breach> {
    everywhere("K2", serving, cookies, unprotected)
}

fn everywhere(
    invariant: &'static str,
    serving: &[Node<'_>],
    sealed: &BTreeSet<KeyId>,
    unprotected: &BTreeSet<KeyId>,
) -> Result<(), Breach> {
    let mut protected = sealed.difference(unprotected);
    let opened = |key: KeyId| serving.iter().all(|node| node.opens(key) || node.denies(key));
    protected.try_for_each(|&key| hold(opened(key), invariant, key))
}

/// K3, over a node's list before and after.
///
/// # Errors
///
/// The first breach.
pub fn never_down(before: &Rotation, after: &Rotation) -> Result<(), Breach> {
    let mut records = before.records();
    records.try_for_each(|(key, was)| {
        let is = after.record(key);
        hold(is.is_some_and(|is| is == is.merge(was)), "K3", key)
    })
}

/// K4, at the moment of a promotion: `serving` nodes, and how many nodes remember the key.
///
/// # Errors
///
/// The breach.
pub fn promoted_rightly(key: KeyId, serving: &[Node<'_>], remember: usize, wanted: usize) -> Result<(), Breach> {
    hold(serving.iter().all(|node| node.opens(key)) && remember >= wanted, "K4", key)
}

/// K5, over the nodes that serve, the store's list and the keys of unexpired cookies.
///
/// # Errors
///
/// The first breach.
pub fn retired_rightly(store: &Rotation, serving: &[Node<'_>], cookies: &BTreeSet<KeyId>) -> Result<(), Breach> {
    let mut retired = store.records().filter(|(_, record)| record.state == KeyState::Retired);
    retired.try_for_each(|(key, _)| {
        let sealing = serving.iter().any(|node| node.seals() == Some(key));
        hold(!sealing && !cookies.contains(&key), "K5", key)
    })
}

/// K6, over the nodes that serve.
///
/// # Errors
///
/// The first breach.
pub fn stays_closed(closed: &BTreeSet<Closed>, serving: &[Node<'_>]) -> Result<(), Breach> {
    closed.iter().try_for_each(|closed| {
        let kept = |node: &Node<'_>| node.denies(closed.key) && node.everybody >= closed.everybody;
        hold(serving.iter().all(kept), "K6", closed.key)
    })
}

/// K7, over nodes that have nothing left to hear.
///
/// # Errors
///
/// The first breach.
pub fn converged(nodes: &[Node<'_>]) -> Result<(), Breach> {
    nodes.windows(2).try_for_each(|pair| {
        let (one, other) = (&pair[0], &pair[1]);
        let differs = one.list.records().find(|(key, record)| other.list.record(*key) != Some(*record));
        hold(differs.is_none(), "K7", differs.map_or(KeyId([0; 4]), |(key, _)| key))?;
        never_down(other.list, one.list).map_err(|breach| Breach { invariant: "K7", ..breach })?;
        hold(one.seals() == other.seals(), "K7", one.seals().unwrap_or(KeyId([0; 4])))
    })
}
