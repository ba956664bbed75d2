//! Where each key stands: a pure model that only ever moves up.
//!
//! ```text
//!  staged ──► active ──► retired ──► destroyed          compromised above all
//!  (opens)   (opens,     (refused)   (refused)          (refused)
//!             may seal)
//! ```
//!
//! Records merge by maximum, like revocations, so any two copies of the list can be merged in any order.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its state.
    pub state: KeyState,
    /// Its latest promotion; the highest one among the active keys seals. 0 for never.
    pub promotion: u32,
}

/// The rotation list: a record for each key that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation(BTreeMap<KeyId, KeyRecord>);

impl Rotation {
    /// Merges one record in, by maximum. Says whether that changed anything.
    pub fn insert(&mut self, key: KeyId, record: KeyRecord) -> bool {
        let before = self.record(key);
        let merged = before.map_or(record, |known| KeyRecord {
            state: known.state.max(record.state),
            promotion: known.promotion.max(record.promotion),
        });
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

    /// Which of the keys at hand seals now.
    ///
    /// The one promoted last. Without promotions, the newest one whose `window` has passed; and if none
    /// is that old, the oldest, because then nobody can know a newer one better.
    #[must_use]
    pub fn sealing(&self, keys: &[(KeyId, Seconds)], now: Seconds, window: Duration) -> Option<KeyId> {
        let active = || keys.iter().copied().filter(|&(key, _)| self.state(key) == KeyState::Active);
        let rank = |(key, created): &(KeyId, Seconds)| (self.record(*key).map_or(0, |r| r.promotion), *created, *key);
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
        KeyRecord { state: KeyState::Active, promotion }
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
        list.insert(A, KeyRecord { state: KeyState::Compromised, promotion: 0 });
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
            records in proptest::collection::vec((0..3u8, 1..=5u8, 0..4u32), 0..20),
            twice in any::<bool>(),
        ) {
            let insert = |list: &mut Rotation, &(key, state, promotion): &(u8, u8, u32)| {
                let record = KeyRecord { state: KeyState::from_number(state).unwrap(), promotion };
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
