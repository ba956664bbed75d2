//! The key ring: an immutable snapshot of which keys open and which one seals.
//!
//! A ring is assembled from values (the keys at hand, the rotation list, the time) and then never
//! changes; when any of these changes, a new ring takes its place. Keys are found by id, before any
//! cryptography and never by trial.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::id::KeyId;
use crate::key::{Key, SubKeys};
use crate::rotation::{KeyState, Rotation};
use crate::time::{Day, Position, Seconds};
use crate::verdict::Verdict;

/// A key with the sub-keys of one app.
pub struct RingKey {
    id: KeyId,
    created: Seconds,
    sub: SubKeys,
    /// Since it was loaded.
    opened: AtomicU64,
    last_seen: AtomicU32,
    /// The day that is counted, and what had been opened when it began.
    today: Mutex<(Day, u64)>,
}

/// What comes sealed under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// How many live sessions came under it on the day that was asked for: from the first time on at which that day
    /// was asked for.
    pub opened: u64,
    /// When the last one came, on whatever day since it was loaded.
    pub last_seen: Option<Seconds>,
}

impl RingKey {
    /// Derives the sub-keys of `app`.
    #[must_use]
    pub fn new(key: &Key, app: &str) -> Self {
        let (opened, last_seen, today) = (AtomicU64::new(0), AtomicU32::new(0), Mutex::default());
        Self { id: key.id(), created: key.created(), sub: key.derive(app), opened, last_seen, today }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// When it was made.
    #[must_use]
    pub const fn created(&self) -> Seconds {
        self.created
    }

    /// What came under it `today`. A node asks with every beat, by the clock of the list's store, so that all count the
    /// same day.
    #[must_use]
    pub fn evidence(&self, today: Day) -> Evidence {
        let last = Seconds(self.last_seen.load(Ordering::Relaxed));
        let opened = self.opened.load(Ordering::Relaxed);
        let mut counted = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the first day there is nothing to leave out.
        if counted.0 != today {
            *counted = (today, if counted.0 == Day::default() { 0 } else { opened });
        }
        Evidence { opened: opened - counted.1, last_seen: (last > Seconds(0)).then_some(last) }
    }

    /// How many came under it since it was loaded.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn note_opened(&self, now: Seconds) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.last_seen.store(now.0, Ordering::Relaxed);
    }

    pub(crate) const fn sub(&self) -> &SubKeys {
        &self.sub
    }
}

/// All keys of one app at one moment.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Arc<RingKey>>,
    sealing: Option<Arc<RingKey>>,
    rotation: Rotation,
    heard: Position,
}

impl KeyRing {
    /// Puts a ring together.
    ///
    /// `window` is how long every process may take to load a new file: a key without a record in the
    /// rotation list seals only when it is older than that.
    #[must_use]
    pub fn assemble(keys: Vec<Arc<RingKey>>, rotation: Rotation, now: Seconds, window: Duration) -> Self {
        let born: Vec<_> = keys.iter().map(|key| (key.id, key.created)).collect();
        let sealing = rotation.sealing(&born, now, window);
        let sealing = sealing.and_then(|id| keys.iter().find(|key| key.id == id)).cloned();
        Self { keys, sealing, rotation, heard: Position::default() }
    }

    /// The same, with all in it that was published up to this position.
    #[must_use]
    pub fn as_of(self, heard: Position) -> Self {
        Self { heard, ..self }
    }

    /// All that was published up to this position is in it: what is not in it lies above.
    #[must_use]
    pub const fn heard(&self) -> Position {
        self.heard
    }

    /// The key that seals; none if every key at hand is out of service.
    #[must_use]
    pub fn sealing(&self) -> Option<&RingKey> {
        self.sealing.as_deref()
    }

    /// The key that a cookie names.
    ///
    /// # Errors
    ///
    /// [`Verdict::UnknownKey`], [`Verdict::RetiredKey`] or [`Verdict::CompromisedKey`]. A key that is
    /// out of service says so even when its file is gone: the list remembers its id.
    pub fn find(&self, id: KeyId) -> Result<&RingKey, Verdict> {
        match self.rotation.record(id).map(|record| record.state) {
            Some(KeyState::Compromised) => return Err(Verdict::CompromisedKey),
            Some(KeyState::Retired | KeyState::Destroyed) => return Err(Verdict::RetiredKey),
            Some(KeyState::Staged | KeyState::Active) | None => {}
        }
        self.keys.iter().find(|key| key.id == id).map(Arc::as_ref).ok_or(Verdict::UnknownKey)
    }

    /// Where a key stands; none if neither its file nor a record of it is known.
    #[must_use]
    pub fn state(&self, id: KeyId) -> Option<KeyState> {
        let at_hand = self.keys.iter().any(|key| key.id == id);
        self.rotation.record(id).map(|record| record.state).or(at_hand.then_some(KeyState::Active))
    }

    /// Every key at hand with its state.
    pub fn keys(&self) -> impl Iterator<Item = (&RingKey, KeyState)> {
        self.keys.iter().map(|key| (key.as_ref(), self.rotation.state(key.id)))
    }

    /// The keys themselves, to build the next ring without deriving them again.
    pub(crate) fn shared(&self) -> &[Arc<RingKey>] {
        &self.keys
    }

    /// The rotation list that this ring was assembled with.
    pub(crate) const fn rotation(&self) -> &Rotation {
        &self.rotation
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_map();
        for (key, state) in self.keys() {
            list.entry(&key.id, &state.name());
        }
        list.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::KeyRecord;
    use crate::secret::Secret;

    fn key(byte: u8, created: u32) -> Arc<RingKey> {
        Arc::new(RingKey::new(&Key::dangerous_from_bytes(Secret::new([byte; 32]), Seconds(created)), "shop"))
    }

    #[test]
    fn a_key_out_of_service_is_refused_by_name_even_without_its_file() {
        let (here, gone) = (key(1, 100), key(2, 50));
        let mut rotation = Rotation::default();
        rotation.insert(gone.id(), KeyRecord::new(KeyState::Destroyed, 0));
        let ring = KeyRing::assemble(vec![here.clone()], rotation, Seconds(200), Duration::ZERO);
        assert_eq!(ring.find(here.id()).map(RingKey::id), Ok(here.id()));
        assert_eq!(ring.find(gone.id()).err(), Some(Verdict::RetiredKey));
        assert_eq!(ring.find(KeyId([0; 4])).err(), Some(Verdict::UnknownKey));
    }

    #[test]
    fn what_comes_under_a_key_is_counted_by_the_day() {
        let key = key(1, 100);
        let evidence = |day| (key.evidence(Day(day)).opened, key.evidence(Day(day)).last_seen);
        key.note_opened(Seconds(200));
        assert_eq!(evidence(7), (1, Some(Seconds(200))), "also what came before the first look");
        key.note_opened(Seconds(300));
        assert_eq!(evidence(7).0, 2);
        assert_eq!(evidence(8), (0, Some(Seconds(300))));
        key.note_opened(Seconds(400));
        assert_eq!(evidence(8), (1, Some(Seconds(400))));
    }

    #[test]
    fn debug_names_keys_by_id_and_state_only() {
        let ring = KeyRing::assemble(vec![key(1, 100)], Rotation::default(), Seconds(200), Duration::ZERO);
        let id = ring.sealing().unwrap().id();
        assert_eq!(format!("{ring:?}"), format!("{{KeyId({id}): \"active\"}}"));
    }
}
