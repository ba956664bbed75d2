//! Who follows the list, what each of them says of itself, and for whom somebody has to wait.
//!
//! ```text
//!              seen                              lease            margin
//!  node ────────┤ last beat that counted ├─────────────────────┼──────────┤ lapsed
//!                                         trusts its copy, at the most     so nobody waits for it any more
//! ```
//!
//! A node registers *before* it reads the list, with nothing applied. So whoever waits until every node has
//! applied a position misses nobody: not one that read the list a moment before the position was taken.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, KeyId, NodeId};
use crate::rotation::life;
use crate::rotation::{Ack, Held, KeyRecord, KeyState, Member, Refusal};
use crate::time::{Day, Position, Seconds, minutes};

/// What a node's last sign of life can lag behind its last beat: `min-replicas-max-lag` across a failover, which
/// a server may not exceed; the embedded list's heartbeat.
pub const MAX_LAG: Duration = Duration::from_secs(10);
/// Beyond a lease, until a node counts as lapsed: the lag, and 2 s for clocks that drift apart within the lease.
pub const MARGIN: Duration = MAX_LAG.saturating_add(Duration::from_secs(2));

/// Memory is waited for this long where nobody says how long: also of a node that never lapses, else one that died
/// would keep every newcomer out.
const MEMORY: Duration = minutes(1);

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// For people: host and process.
    pub name: String,
    /// The version of this crate in it.
    pub version: String,
    /// H in milliseconds: so long it trusts its copy after the last beat that counted. None: for ever,
    /// because a route of it allows that.
    pub lease_ms: Option<u64>,
    /// Everything that was published up to here it denies. 0 until its first beat counted.
    pub applied: u64,
    /// Whether its copy of the list was within its lease when it said this, or is the one of its own file. After a loss: that
    /// it has served through it, and knows all that was decided.
    #[serde(default)]
    pub served: bool,
    /// How many wishes wait in its own file for the store.
    #[serde(default)]
    pub spooled: u64,
    /// What it says of keys.
    #[serde(default)]
    pub keys: BTreeMap<String, KeyReport>,
    /// The key that it seals with.
    #[serde(default)]
    pub sealing: Option<String>,
    /// Whether its keys are on a disk that outlives the process.
    #[serde(default)]
    pub durable: bool,
    /// Live sessions and refusals since it started, by verdict; those that never came are left out.
    #[serde(default)]
    pub verdicts: BTreeMap<String, u64>,
}

/// What a node says of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyReport {
    /// Whether it can open what is sealed under the key.
    pub ack: KeyAck,
    /// What the list says of the key, as far as this node has heard: the number of the state, the promotion,
    /// the mark. None for a key that it only has a file of.
    #[serde(default)]
    pub record: Option<(u8, u32, u32)>,
    /// How many cookies it has opened under it on that [`day`](KeyReport::day), from its first beat on that day on.
    #[serde(default)]
    pub opened: u64,
    /// The day of the count, by the store's clock: days since 1970, UTC.
    #[serde(default)]
    pub day: u32,
    /// When it last opened one, in Unix seconds.
    #[serde(default)]
    pub last_seen: Option<u32>,
}

/// Whether a node can use a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAck {
    /// It has heard of the key and has not got it.
    Absent,
    /// It has loaded it and, where there is a probe, opened that.
    Loaded,
    /// It cannot, and why: a sentence without secrets.
    Refused(String),
}

impl Report {
    /// What a node says before it has read anything.
    #[must_use]
    pub fn new(name: String, lease: Option<Duration>) -> Self {
        let lease_ms = lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (keys, verdicts) = (BTreeMap::new(), BTreeMap::new());
        Self {
            name,
            version,
            lease_ms,
            applied: 0,
            served: false,
            spooled: 0,
            keys,
            sealing: None,
            durable: false,
            verdicts,
        }
    }

    /// Whether both say the same of what others must know before they rely on it: lease and keys.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let same = |(key, said): (&String, &KeyReport)| {
            other.keys.get(key).is_some_and(|theirs| said.ack == theirs.ack && said.record == theirs.record)
        };
        let (ours, theirs) = ((self.lease_ms, &self.sealing), (other.lease_ms, &other.sealing));
        ours == theirs && self.keys.len() == other.keys.len() && self.keys.iter().all(same)
    }

    /// What it says of a key; none if it does not know it.
    #[must_use]
    pub fn key(&self, key: KeyId) -> Option<&KeyReport> {
        self.keys.get(&key.to_string())
    }
}

impl KeyReport {
    /// What a node says of a key and its record.
    #[must_use]
    pub fn new(ack: KeyAck, record: Option<KeyRecord>) -> Self {
        let record = record.map(|record| (record.state as u8, record.promotion, record.mark.0));
        Self { ack, record, opened: 0, day: 0, last_seen: None }
    }

    /// The record as this node has heard it.
    #[must_use]
    pub fn record(&self) -> Option<KeyRecord> {
        let (state, promotion, mark) = self.record?;
        Some(KeyRecord { state: KeyState::from_number(state)?, promotion, mark: Seconds(mark) })
    }

    /// How many cookies it has opened under it on a day, as far as it has said by now.
    #[must_use]
    pub const fn opened_on(&self, day: Day) -> u64 {
        if self.day == day.0 { self.opened } else { 0 }
    }

    /// When the node last opened a cookie under this key.
    #[must_use]
    pub fn last_seen(&self) -> Option<Seconds> {
        self.last_seen.map(Seconds)
    }
}

/// One registered node, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id, new at every start.
    pub id: NodeId,
    /// At or after the start of its last beat that counted, by the store's clock.
    pub seen: Position,
    /// The life of the store that it has given back to all that it remembers, and has read its report's
    /// position in.
    pub gave_back: Option<Incarnation>,
    /// What it says. None if it cannot be read: a newer version's, or not a node's.
    pub report: Option<Report>,
}

impl Node {
    /// For people.
    #[must_use]
    pub fn name(&self) -> String {
        self.report.as_ref().map_or_else(|| self.id.to_string(), |report| report.name.clone())
    }

    /// When it lapses, if it says nothing more; never for one that goes on for ever.
    #[must_use]
    pub fn lapses(&self) -> Option<Position> {
        let lease = match &self.report {
            Some(report) => Duration::from_millis(report.lease_ms?),
            None => MEMORY,
        };
        Some(self.seen.after(lease).after(MARGIN))
    }

    /// What the gates of key rotation go by.
    #[must_use]
    pub fn member(&self, life: Incarnation, now: Position) -> Member {
        let held = |(key, said): (&String, &KeyReport)| {
            let ack = match &said.ack {
                KeyAck::Absent => Ack::Absent,
                KeyAck::Loaded => Ack::Loaded,
                KeyAck::Refused(reason) => Ack::Refused(reason.clone()),
            };
            Some((key.parse().ok()?, Held { record: said.record(), ack }))
        };
        let report = self.report.as_ref();
        Member {
            name: self.name(),
            lapsed: self.has_lapsed(now),
            gave_back: self.gave_back == Some(life),
            served: report.is_some_and(|report| report.served),
            durable: report.is_some_and(|report| report.durable),
            sealing: report.and_then(|report| report.sealing.as_ref()?.parse().ok()),
            holds: report.map(|report| report.keys.iter().filter_map(held).collect()).unwrap_or_default(),
        }
    }

    /// Whether it has been silent for longer than one that is well can be: [`MARGIN`].
    #[must_use]
    pub fn is_late(&self, now: Position) -> bool {
        self.seen.after(MARGIN) < now
    }

    /// Whether it has stopped trusting its copy of the list by `now`, so that nobody needs to wait for it.
    #[must_use]
    pub fn has_lapsed(&self, now: Position) -> bool {
        self.lapses().is_some_and(|lapses| lapses < now)
    }

    /// Whether it denies what was published at a position of one life of the store.
    #[must_use]
    pub fn has_applied(&self, life: Incarnation, position: Position) -> bool {
        let reached = self.report.as_ref().is_some_and(|report| report.applied >= position.0);
        reached && self.gave_back == Some(life)
    }

    /// Whether it may remember what the store of this life lacks, which began at `begun`, and is waited for
    /// until it has given it back: a lease from then on, because its last sign of life may be as old as what the
    /// store was restored from.
    #[must_use]
    pub fn owes(&self, life: Incarnation, begun: Position, now: Position) -> bool {
        let lease = self.report.as_ref().and_then(|report| report.lease_ms).map_or(MEMORY, Duration::from_millis);
        let silent = self.seen.max(begun).after(lease).after(MARGIN) < now;
        self.gave_back != Some(life) && !silent
    }
}

/// How long after a loss nodes that the store has forgotten may serve: the longest lease of those that it knows, and
/// the margin.
#[must_use]
pub fn longest_lease(nodes: &[Node]) -> Duration {
    let leases = nodes.iter().filter_map(|node| node.report.as_ref()?.lease_ms);
    leases.max().map_or(MEMORY, Duration::from_millis) + MARGIN
}

/// Whether a store of this life, which began with a loss at `begun`, has everything that anybody remembers: as
/// [`rotation::life::heal`](life::heal) decides it.
///
/// # Errors
///
/// [`Refusal::Owing`], [`Refusal::Settling`].
pub fn heal(nodes: &[Node], life: Incarnation, begun: Position, now: Position) -> Result<(), Refusal> {
    let member = |node: &Node| {
        let gave_back = node.gave_back == Some(life);
        let lapsed = !gave_back && !node.owes(life, begun, now);
        Member { lapsed, ..node.member(life, now) }
    };
    let members: Vec<_> = nodes.iter().map(member).collect();
    life::heal(&members, Duration::from_millis(now.0.saturating_sub(begun.0)), longest_lease(nodes))
}

/// Every registered node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The life of the store.
    pub incarnation: Incarnation,
    /// When this life began with a loss, by the store's clock; 0 where none is known of.
    pub begun: Position,
    /// Whether the store has everything that anybody remembers.
    pub healed: bool,
    /// The store's clock.
    pub now: Position,
    /// The nodes, oldest sign of life first.
    pub nodes: Vec<Node>,
}

/// How far a publication has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Nodes that deny it now, or have lapsed.
    pub confirmed: Vec<Node>,
    /// Nodes that may not have heard of it.
    pub outstanding: Vec<Node>,
    /// Whether the store began another life since, which may lack the publication: it has to be given back.
    pub lost: bool,
    /// Whether the store has everything that anybody remembers.
    pub healed: bool,
}

impl Nodes {
    /// The nodes that still count.
    pub fn alive(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.has_lapsed(self.now))
    }

    /// The nodes as gates see them, by name: a sentence about several is the same each time, whoever was heard last.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<_> = self.nodes.iter().map(|node| node.member(self.incarnation, self.now)).collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        members
    }

    /// How far a publication at this position of this life has come.
    #[must_use]
    pub fn progress(&self, life: Incarnation, position: Position) -> Progress {
        let done = |node: &Node| node.has_lapsed(self.now) || node.has_applied(life, position);
        let (confirmed, outstanding) = self.nodes.iter().cloned().partition(done);
        Progress { confirmed, outstanding, lost: self.incarnation != life, healed: self.healed }
    }
}

impl Progress {
    /// Every node denies it, and the store that says so is whole.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        self.outstanding.is_empty() && self.healed && !self.lost
    }
}

impl fmt::Display for Progress {
    /// `3 of 4 nodes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, all) = (self.confirmed.len(), self.confirmed.len() + self.outstanding.len());
        write!(f, "{done} of {all} node{}", if all == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
