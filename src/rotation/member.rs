//! What is known of a node that follows the list: the values that gates decide on.

use std::collections::BTreeMap;

use crate::id::KeyId;
use crate::time::Seconds;

use super::list::{KeyRecord, KeyState};
use super::refusal::{Lack, Missing};

/// One registered node, as its last beat described it.
#[expect(clippy::struct_excessive_bools, reason = "four answers that have nothing to do with each other")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// Whether it was silent for so long that it has stopped serving by itself. One that is allowed to serve
    /// with a lost list never lapses.
    pub lapsed: bool,
    /// Whether it gave back to this life of the store what it remembers; one that remembers nothing has.
    pub gave_back: bool,
    /// Whether its copy of the list was within its lease when it said so last: after a loss, that it served through it.
    pub served: bool,
    /// Whether its keys and its list are on a disk that outlives the process.
    pub durable: bool,
    /// The key that it seals with.
    pub sealing: Option<KeyId>,
    /// What it holds of each key that it knows.
    pub holds: BTreeMap<KeyId, Held>,
}

/// What a node holds of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The record, as far as it has merged it; none for a key that it only has a file of.
    pub record: Option<KeyRecord>,
    /// Whether it can open with the key.
    pub ack: Ack,
}

/// A node's answer to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It knows the record and has not got the key itself.
    Absent,
    /// It loaded the key, and opened the probe that was sealed by whoever staged it.
    Loaded,
    /// It tried and could not: why, in words without secrets.
    Refused(String),
}

impl Member {
    /// Whether it is alive and opens with the key; if not, what it lacks.
    pub(crate) fn has(&self, key: KeyId) -> Result<(), Missing> {
        let why = match self.holds.get(&key).map(|held| &held.ack) {
            Some(Ack::Loaded) => return Ok(()),
            Some(Ack::Refused(reason)) => Lack::Refused(reason.clone()),
            Some(Ack::Absent) => Lack::Key,
            None => Lack::Record,
        };
        Err(Missing { node: self.name.clone(), why })
    }

    /// Whether it knows that the key has come this far.
    pub(super) fn knows(&self, key: KeyId, state: KeyState) -> Result<(), Missing> {
        let known = self.holds.get(&key).and_then(|held| held.record).is_some_and(|record| record.state >= state);
        if known { Ok(()) } else { Err(Missing { node: self.name.clone(), why: Lack::Record }) }
    }

    /// Whether it knows that the key may have sealed until then.
    pub(super) fn knows_mark(&self, key: KeyId, mark: Seconds) -> Result<(), Missing> {
        let known = self.holds.get(&key).and_then(|held| held.record).map_or(Seconds(0), |record| record.mark);
        if known >= mark { Ok(()) } else { Err(Missing { node: self.name.clone(), why: Lack::Recall }) }
    }

    /// Whether it seals with the key.
    pub(super) fn seals_with(&self, key: KeyId) -> Result<(), Missing> {
        if self.sealing == Some(key) {
            return Ok(());
        }
        Err(Missing { node: self.name.clone(), why: Lack::Sealing(self.sealing) })
    }
}

/// Asks everybody who is alive. Answers how many agreed, or who did not.
pub(super) fn everyone(
    members: &[Member],
    ask: impl Fn(&Member) -> Result<(), Missing>,
) -> Result<usize, Vec<Missing>> {
    let alive = || members.iter().filter(|member| !member.lapsed);
    let missing: Vec<_> = alive().filter_map(|member| ask(member).err()).collect();
    if missing.is_empty() { Ok(alive().count()) } else { Err(missing) }
}

/// Whether what so many live nodes hold outlives the loss of any one of them: two hold it, or the only node
/// that there is has it on its disk.
pub(super) fn outlives_one(members: &[Member], holders: usize) -> bool {
    holders >= 2 || (holders == 1 && members.len() == 1 && members.iter().all(|member| member.durable))
}
