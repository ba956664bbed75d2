//! Where each key stands. It only ever moves up.
//!
//! ```text
//!  staged ──► active ──► retired ──► destroyed          compromised above all
//!  (opens)   (opens,     (refused)   (refused)          (refused)
//!             may seal)
//! ```
//!
//! Records merge by maximum, like revocations, so any two copies of the list can be merged in any order. A
//! promotion counts for more than a state: a store that failed over may have forgotten that a key was taken back
//! or retired, and promoted it since. Whoever then brings the old news back must not undo the promotion.
//! A key without a record is *active by age*: it may seal once every process that watches the key
//! folder has had time to load it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::id::KeyId;
use crate::time::Seconds;

/// The state of a key. A later state never goes back to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyState {
    /// On its way to the nodes: opens, does not seal.
    Staged = 1,
    /// In use: opens, and the one promoted last seals.
    Active = 2,
    /// Out of service: its cookies are refused.
    Retired = 3,
    /// Its bytes are gone; the id stays, so that it is never used again.
    Destroyed = 4,
    /// Leaked: refused for ever.
    Compromised = 5,
}

impl KeyState {
    /// All states, lowest first.
    pub const ALL: [Self; 5] = [Self::Staged, Self::Active, Self::Retired, Self::Destroyed, Self::Compromised];

    /// Whether cookies sealed under such a key are opened.
    #[must_use]
    pub const fn opens(self) -> bool {
        matches!(self, Self::Staged | Self::Active)
    }

    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
            Self::Compromised => "compromised",
        }
    }

    /// The state with this number, as stores keep it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the rotation list says of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRecord {
    /// Its state.
    pub state: KeyState,
    /// Its latest promotion; the highest one among the active keys seals. 0 for never.
    pub promotion: u32,
    /// What the next gate counts from, by the store's clock: when it was staged; until when a node may
    /// have sealed with it after another was promoted; when it was retired.
    pub mark: Seconds,
}

impl KeyRecord {
    /// A record without a mark.
    #[must_use]
    pub const fn new(state: KeyState, promotion: u32) -> Self {
        Self { state, promotion, mark: Seconds(0) }
    }

    /// Both records in one: the state that comes after the later promotion, or the higher one after the same.
    /// Compromised stays compromised.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let rank = |record: &Self| (record.state == KeyState::Compromised, record.promotion, record.state);
        let state = if rank(&self) < rank(&other) { other.state } else { self.state };
        Self { state, promotion: self.promotion.max(other.promotion), mark: self.mark.max(other.mark) }
    }
}

/// The rotation list: a record for each key that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rotation(BTreeMap<KeyId, KeyRecord>);

impl FromIterator<(KeyId, KeyRecord)> for Rotation {
    /// Merges the records; several of one key too.
    fn from_iter<I: IntoIterator<Item = (KeyId, KeyRecord)>>(records: I) -> Self {
        let mut list = Self::default();
        records.into_iter().for_each(|(key, record)| {
            list.insert(key, record);
        });
        list
    }
}

impl Rotation {
    /// Merges one record in, by maximum. Says whether that changed anything.
    pub fn insert(&mut self, key: KeyId, record: KeyRecord) -> bool {
        let before = self.record(key);
        let merged = before.map_or(record, |known| known.merge(record));
        self.0.insert(key, merged);
        before != Some(merged)
    }

    /// What the list says of a key, if anything.
    #[must_use]
    pub fn record(&self, key: KeyId) -> Option<KeyRecord> {
        self.0.get(&key).copied()
    }

    /// Every record.
    pub fn records(&self) -> impl Iterator<Item = (KeyId, KeyRecord)> + '_ {
        self.0.iter().map(|(&key, &record)| (key, record))
    }

    /// The state of a key that is at hand.
    #[must_use]
    pub fn state(&self, key: KeyId) -> KeyState {
        self.record(key).map_or(KeyState::Active, |record| record.state)
    }

    /// The key that was promoted last, of those in use: every node that has it seals with it.
    #[must_use]
    pub fn newest(&self) -> Option<KeyId> {
        let active = self.records().filter(|(_, record)| record.state == KeyState::Active && record.promotion > 0);
        active.max_by_key(|&(key, record)| (record.promotion, key)).map(|(key, _)| key)
    }

    /// The number of the next promotion.
    #[must_use]
    pub fn next_promotion(&self) -> u32 {
        self.0.values().map(|record| record.promotion).max().unwrap_or(0).saturating_add(1)
    }

    /// What a store with `theirs` has to be given back by whoever knows this list.
    ///
    /// A promotion that comes back is news to nodes that had not heard of it: like after any promotion, they may
    /// have sealed with another key until they hear, for a `lease` at most. So whatever is given back, keys that
    /// were superseded are marked anew.
    #[must_use]
    pub fn given_back(&self, theirs: &Self, now: Seconds, lease: Duration) -> Vec<(KeyId, KeyRecord)> {
        let mut merged = theirs.clone();
        let lost: Vec<_> = self.records().filter(|&(key, record)| merged.insert(key, record)).collect();
        if lost.is_empty() {
            return lost;
        }
        let newest = merged.newest();
        let superseded = |&(key, record): &(KeyId, KeyRecord)| record.state == KeyState::Active && Some(key) != newest;
        let marked = merged.records().filter(superseded);
        let marked = marked.map(|(key, record)| (key, KeyRecord { mark: now.after(lease), ..record }));
        lost.into_iter().chain(marked).collect::<Self>().records().collect()
    }

    /// The key that is on its way to the nodes.
    #[must_use]
    pub fn staged(&self) -> Option<KeyId> {
        self.records().find(|(_, record)| record.state == KeyState::Staged).map(|(key, _)| key)
    }

    /// Which of the keys at hand seals now.
    ///
    /// The one promoted last. Without promotions, the newest one whose `window` has passed; and if none
    /// is that old, the oldest, because then nobody can know a newer one better.
    #[must_use]
    pub fn sealing(&self, keys: &[(KeyId, Seconds)], now: Seconds, window: Duration) -> Option<KeyId> {
        let active = || keys.iter().copied().filter(|&(key, _)| self.state(key) == KeyState::Active);
        // Age counts only among keys that were never promoted. Two emergencies on two sides of a failover can
        // get the same number: then the id decides, which is the same everywhere.
        let rank = |&(key, created): &(KeyId, Seconds)| match self.record(key).map_or(0, |record| record.promotion) {
            0 => (0, created, key),
            promotion => (promotion, Seconds(0), key),
        };
        let ripe = |&(key, created): &(KeyId, Seconds)| self.record(key).is_some() || created.after(window) <= now;
        let newest = active().filter(ripe).max_by_key(rank);
        newest.or_else(|| active().min_by_key(|&(key, created)| (created, key))).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: KeyId = KeyId([0, 0, 0, 1]);
    const B: KeyId = KeyId([0, 0, 0, 2]);
    const WINDOW: Duration = Duration::from_secs(5);

    fn active(promotion: u32) -> KeyRecord {
        KeyRecord::new(KeyState::Active, promotion)
    }

    #[test]
    fn the_only_key_seals_at_once_and_a_newer_one_after_the_window() {
        let list = Rotation::default();
        assert_eq!(list.sealing(&[(A, Seconds(100))], Seconds(100), WINDOW), Some(A));
        let both = [(A, Seconds(100)), (B, Seconds(200))];
        assert_eq!(list.sealing(&both, Seconds(204), WINDOW), Some(A));
        assert_eq!(list.sealing(&both, Seconds(205), WINDOW), Some(B));
        assert_eq!(list.sealing(&[], Seconds(205), WINDOW), None);
    }

    #[test]
    fn a_promotion_beats_age_and_going_back_is_promoting_again() {
        let both = [(A, Seconds(100)), (B, Seconds(200))];
        let mut list = Rotation::default();
        list.insert(B, active(1));
        list.insert(A, active(2));
        assert_eq!(list.sealing(&both, Seconds(900), WINDOW), Some(A));
        list.insert(A, KeyRecord::new(KeyState::Compromised, 0));
        assert_eq!(list.sealing(&both, Seconds(900), WINDOW), Some(B));
    }

    #[test]
    fn only_staged_and_active_keys_open() {
        let opening: Vec<_> = KeyState::ALL.into_iter().filter(|s| s.opens()).collect();
        assert_eq!(opening, [KeyState::Staged, KeyState::Active]);
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(
            records in proptest::collection::vec((0..3u8, 1..=5u8, 0..4u32, 0..9u32), 0..20),
            twice in any::<bool>(),
        ) {
            let insert = |list: &mut Rotation, &(key, state, promotion, mark): &(u8, u8, u32, u32)| {
                let record = KeyRecord { state: KeyState::from_number(state).unwrap(), promotion, mark: Seconds(mark) };
                list.insert(KeyId([0, 0, 0, key]), record);
            };
            let (mut forth, mut back) = (Rotation::default(), Rotation::default());
            records.iter().for_each(|r| insert(&mut forth, r));
            records.iter().rev().for_each(|r| insert(&mut back, r));
            if twice {
                records.iter().for_each(|r| insert(&mut back, r));
            }
            prop_assert_eq!(forth, back);
        }
    }
}
