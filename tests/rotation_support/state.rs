//! The state of the modelled world: a store with a lagging backup, and nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealjar::id::KeyId;
use sealjar::rotation::invariants::{Breach, Closed, Node};
use sealjar::rotation::{Ack, Held, KeyRecord, KeyState, Member, Rotation, Standing};
use sealjar::time::{Position, Seconds};

use super::World;

/// The key in use at the start, the one that is rotated in, and the one that replaces a leaked key.
pub const OLD: KeyId = KeyId([0, 0, 0, 1]);
pub const NEW: KeyId = KeyId([0, 0, 0, 2]);
pub const SPARE: KeyId = KeyId([0, 0, 0, 3]);

/// What somebody remembers. Keys travel with their records.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory {
    pub list: Rotation,
    /// The cut-off of everybody.
    pub everybody: u64,
}

impl Memory {
    pub fn merge(&mut self, other: &Self) {
        for (key, record) in other.list.records() {
            self.list.insert(key, record);
        }
        self.everybody = self.everybody.max(other.everybody);
    }

    pub fn as_node(&self) -> Node<'_> {
        Node { list: &self.list, keys: keys(&self.list), everybody: Position(self.everybody) }
    }
}

/// The keys at hand: of those out of service nobody has the bytes.
fn keys(list: &Rotation) -> Vec<(KeyId, Seconds)> {
    let open = list.records().filter(|(_, record)| record.state.opens());
    open.map(|(key, _)| (key, Seconds(u32::from(key.0[3])))).collect()
}

/// A node's line in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub gave_back: bool,
    /// What the node remembered at its last beat; nothing if it has not loaded.
    pub told: Arc<Memory>,
}

/// One node, its line in the store and in the backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// None while no process runs.
    pub standing: Option<Standing>,
    /// In the process, or on the disk of a durable node.
    pub memory: Option<Arc<Memory>>,
    /// Whether it had a beat in this life of the store.
    pub met: bool,
    /// Whether its last beat is older than the lease.
    pub lapsed: bool,
    pub entry: Option<Entry>,
    pub backup: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// Whether it has its epoch; without, only a node that remembers makes it again.
    pub there: bool,
    pub memory: Arc<Memory>,
    pub whole: bool,
    pub began: Seconds,
    /// Whether a node that was serving gave its memory back to this life.
    pub witnessed: bool,
}

/// What may still go wrong, and what may still be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub failovers: u8,
    pub wipes: u8,
    pub crashes: u8,
    pub compromises: u8,
    /// How often the longest life of a cookie passes.
    pub ages: u8,
    /// How many keys are drawn: an id is staged once, also if the store forgets it.
    pub stages: u8,
    /// How often an older key is promoted again.
    pub returns: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// In order, because it does not matter which is which.
    pub slots: Vec<Slot>,
    pub store: Store,
    /// What a failover brings back: the store at some earlier moment.
    pub backup: Option<Arc<Memory>>,
    pub now: Seconds,
    pub left: Budget,
    /// Keys under which honest cookies are about that have not expired.
    pub cookies: BTreeSet<KeyId>,
    /// Replacements of keys whose compromise is not complete.
    pub unprotected: BTreeSet<KeyId>,
    /// Of the nodes that were counted on for the latest decision, how many have crashed or fallen silent: none,
    /// one, or more (2).
    pub gone: u8,
    /// Completed compromises.
    pub closed: BTreeSet<Closed>,
    /// What a step broke.
    pub broke: Option<&'static str>,
}

impl State {
    /// So many nodes serve, so many are yet to be started.
    pub fn new(serving: usize, off: usize, left: Budget) -> Self {
        let mut list = Rotation::default();
        list.insert(OLD, KeyRecord::new(KeyState::Active, 1));
        let memory = Arc::new(Memory { list, everybody: 0 });
        let slot = |up: bool| Slot {
            standing: up.then_some(Standing::Serving),
            memory: up.then(|| memory.clone()),
            met: up,
            lapsed: false,
            entry: up.then(|| Entry { gave_back: true, told: memory.clone() }),
            backup: None,
        };
        let mut state = Self {
            slots: (0..serving + off).map(|index| slot(index < serving)).collect(),
            store: Store { there: true, memory: memory.clone(), whole: true, began: Seconds(0), witnessed: true },
            backup: None,
            now: Seconds(1000),
            left,
            cookies: BTreeSet::from([OLD]),
            unprotected: BTreeSet::new(),
            gone: 0,
            closed: BTreeSet::new(),
            broke: None,
        };
        state.slots.sort();
        state
    }

    /// The nodes that serve, as they are.
    pub fn serving(&self) -> Vec<Node<'_>> {
        let serving = self.slots.iter().filter(|slot| slot.serves());
        serving.filter_map(|slot| slot.memory.as_deref()).map(Memory::as_node).collect()
    }

    /// The nodes as the store knows them.
    pub fn members(&self, durable: bool) -> Vec<Member> {
        let entries =
            self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot, slot.entry.as_ref()?)));
        let served = self.store.witnessed;
        entries.map(|(index, slot, entry)| Member { served, ..member(index, slot, entry, durable) }).collect()
    }

    /// Keeps the first breach of what is watched.
    pub fn note(&mut self, world: &World, outcome: Result<(), Breach>) {
        let breach = outcome.err().map(|breach| breach.invariant);
        self.broke = self.broke.or(breach.filter(|invariant| world.watch.contains(invariant)));
    }
}

fn member(index: usize, slot: &Slot, entry: &Entry, durable: bool) -> Member {
    let held = |(key, record): (KeyId, KeyRecord)| {
        let ack = if record.state.opens() { Ack::Loaded } else { Ack::Absent };
        (key, Held { record: Some(record), ack })
    };
    Member {
        name: format!("node-{index}"),
        lapsed: slot.lapsed,
        gave_back: entry.gave_back,
        served: false,
        durable,
        sealing: entry.told.as_node().seals(),
        holds: entry.told.list.records().map(held).collect::<BTreeMap<_, _>>(),
    }
}

impl Slot {
    pub fn serves(&self) -> bool {
        self.standing == Some(Standing::Serving)
    }
}
