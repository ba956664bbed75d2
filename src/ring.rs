//! The key ring: an immutable snapshot of which keys open and which one seals.
//!
//! A ring is assembled from values (the keys at hand, the rotation list, the time) and then never
//! changes; when any of these changes, a new ring takes its place. Keys are found by id, before any
//! cryptography and never by trial.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::KeyId;
use crate::key::{Key, SubKeys};
use crate::rotation::{KeyState, Rotation};
use crate::time::Seconds;
use crate::verdict::Verdict;

/// A key with the sub-keys of one app.
pub struct RingKey {
    id: KeyId,
    created: Seconds,
    sub: SubKeys,
}

impl RingKey {
    /// Derives the sub-keys of `app`.
    #[must_use]
    pub fn new(key: &Key, app: &str) -> Self {
        Self { id: key.id(), created: key.created(), sub: key.derive(app) }
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
        Self { keys, sealing, rotation }
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
        rotation.insert(gone.id(), KeyRecord { state: KeyState::Destroyed, promotion: 0 });
        let ring = KeyRing::assemble(vec![here.clone()], rotation, Seconds(200), Duration::ZERO);
        assert_eq!(ring.find(here.id()).map(RingKey::id), Ok(here.id()));
        assert_eq!(ring.find(gone.id()).err(), Some(Verdict::RetiredKey));
        assert_eq!(ring.find(KeyId([0; 4])).err(), Some(Verdict::UnknownKey));
    }

    #[test]
    fn debug_names_keys_by_id_and_state_only() {
        let ring = KeyRing::assemble(vec![key(1, 100)], Rotation::default(), Seconds(200), Duration::ZERO);
        let id = ring.sealing().unwrap().id();
        assert_eq!(format!("{ring:?}"), format!("{{KeyId({id}): \"active\"}}"));
    }
}
