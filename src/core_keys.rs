//! The keys of a node: where they come from, what it says of them, and what it does when the list speaks of one
//! that it has not got.
//!
//! ```text
//!  key folder ───────────────┐
//!                            ├──► ring ──► report: loaded, absent or refused, and why ──► the gates of rotation
//!  list: wrapped keys, probes┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::KEEP;
use crate::core::Core;
use crate::error::Error;
use crate::id::{Incarnation, KeyId};
use crate::io::folder::KeyFolder;
use crate::key::{Key, RingSecret};
use crate::revocation::node::{KeyAck, KeyReport};
use crate::revocation::{Parcel, Revocation};
use crate::ring::{Evidence, RingKey};
use crate::rotation::{Fleet, KeyState, Life, Rotation, Terms};
use crate::time::Now;
use crate::verdict::Verdict;
use crate::wrap::{KEY_PROBE, WRAPPED_KEY, WRAPPED_LIST_KEY};

/// A key id that was unknown after a beat is not asked for again this soon.
const KNOWN_UNKNOWN: Duration = Duration::from_secs(5);
/// So many such ids are remembered.
const UNKNOWN: usize = 64;
/// Between two beats for unknown key ids: whoever makes ids up must not keep the store busy.
const PACE: Duration = Duration::from_millis(500);

/// What this node knows of keys beside the ring.
#[derive(Default)]
pub struct Keys {
    ring_secret: Option<Arc<RingSecret>>,
    folder: Option<KeyFolder>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// From the folder, as it was read last.
    in_folder: Vec<Arc<RingKey>>,
    /// Unwrapped from the list, and not in the folder.
    carried: Vec<Arc<RingKey>>,
    /// Staged keys whose probe was opened here.
    probed: BTreeSet<KeyId>,
    /// Keys that cannot be used, and why.
    refused: BTreeMap<KeyId, String>,
    parcels: Vec<Parcel>,
    /// The life of the store in which the parcels were read.
    life: Option<Incarnation>,
    unknown: Vec<(KeyId, Duration)>,
    asked: Option<Duration>,
}

impl Keys {
    pub(crate) fn new(folder: KeyFolder, ring_secret: Option<Arc<RingSecret>>, in_folder: Vec<Arc<RingKey>>) -> Self {
        Self { ring_secret, folder: Some(folder), state: Mutex::new(State { in_folder, ..State::default() }) }
    }

    /// Every key at hand.
    pub(crate) fn at_hand(&self) -> Vec<Arc<RingKey>> {
        self.state().at_hand()
    }

    /// Whence a node that has none gets its keys.
    pub(crate) const fn where_from(&self) -> &'static str {
        if self.ring_secret.is_some() {
            "keys that come through the list, wrapped under the ring secret"
        } else {
            "a key in the key folder that the list lets seal"
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the folder holds now. Answers all keys at hand.
    pub(crate) fn in_folder(&self, keys: Vec<Arc<RingKey>>, refused: BTreeMap<KeyId, String>) -> Vec<Arc<RingKey>> {
        let mut state = self.state();
        state.in_folder = keys;
        state.refused = refused;
        let known: BTreeSet<_> = state.in_folder.iter().map(|key| key.id()).collect();
        state.carried.retain(|key| !known.contains(&key.id()));
        state.at_hand()
    }
}

impl State {
    fn at_hand(&self) -> Vec<Arc<RingKey>> {
        self.in_folder.iter().chain(&self.carried).cloned().collect()
    }

    fn has(&self, id: KeyId) -> bool {
        self.in_folder.iter().chain(&self.carried).any(|key| key.id() == id)
    }

    /// Whether the list may hold something that this node has not looked at yet.
    fn wants_parcels(&self, list: &Rotation, life: Incarnation, has_ring_secret: bool) -> bool {
        let lacks = |(id, record): (KeyId, crate::rotation::KeyRecord)| match record.state {
            KeyState::Staged => !self.probed.contains(&id) && !self.refused.contains_key(&id),
            KeyState::Active => has_ring_secret && !self.has(id) && !self.refused.contains_key(&id),
            KeyState::Retired | KeyState::Destroyed | KeyState::Compromised => false,
        };
        self.life != Some(life) || list.records().any(lacks)
    }

    /// What this node can say of a key.
    fn ack(&self, id: KeyId, state: Option<KeyState>) -> KeyAck {
        match self.refused.get(&id) {
            Some(reason) => KeyAck::Refused(reason.clone()),
            None if !self.has(id) => KeyAck::Absent,
            // Its name alone is no proof: the probe is.
            None if state == Some(KeyState::Staged) && !self.probed.contains(&id) => KeyAck::Absent,
            None => KeyAck::Loaded,
        }
    }
}

impl Core {
    /// What this node says of keys: those that it has, and those that the list speaks of.
    pub(crate) fn key_reports(&self) -> BTreeMap<String, KeyReport> {
        let (ring, state) = (self.ring.load(), self.keys.state());
        let today = self.replica.view().clock(self.now()).seconds().day();
        let list = ring.rotation();
        let at_hand = ring.keys().map(|(key, _)| key.id());
        let ids: BTreeSet<_> = list.records().map(|(id, _)| id).chain(at_hand).collect();
        let report = |id: KeyId| {
            let record = list.record(id);
            let mut report = KeyReport::new(state.ack(id, record.map(|record| record.state)), record);
            if let Some((key, _)) = ring.keys().find(|(key, _)| key.id() == id) {
                let Evidence { opened, last_seen } = key.evidence(today);
                (report.day, report.opened, report.last_seen) = (today.0, opened, last_seen.map(|seen| seen.0));
            }
            (id.to_string(), report)
        };
        ids.into_iter().map(report).collect()
    }

    /// Whether every key at hand is on this node's disk.
    pub(crate) fn keys_are_durable(&self) -> bool {
        self.keys.state().carried.is_empty()
    }

    /// Brings the keys at hand to where the list says that they should be: fetches what is wrapped for this
    /// node, opens probes, keeps copies in the folder, erases what is destroyed, and says so to the store.
    ///
    /// # Errors
    ///
    /// [`Error`] of the store; it is tried again.
    pub(crate) async fn carry_keys(&self) -> Result<(), Error> {
        let (life, list) = {
            let view = self.replica.view();
            let Some(life) = view.incarnation() else { return Ok(()) };
            (life, view.list.rotation().clone())
        };
        let before = self.key_reports();
        let has_ring_secret = self.keys.ring_secret.is_some();
        let wants = self.keys.state().wants_parcels(&list, life, has_ring_secret);
        if wants {
            self.fetch_parcels(&list, life).await?;
        }
        self.erase_destroyed(&list).await;
        let keys = self.keys.state().at_hand();
        self.refresh_ring(Some(keys));
        self.note_late_seal(&list).await?;
        let after = self.key_reports();
        let news = |(id, report): (&String, &KeyReport)| {
            before.get(id).is_none_or(|before| before.ack != report.ack || before.record != report.record)
        };
        if after.iter().any(news) {
            self.follow.beat(false).await?;
        }
        Ok(())
    }

    async fn fetch_parcels(&self, list: &Rotation, life: Incarnation) -> Result<(), Error> {
        let mut parcels = self.store.parcels().await?;
        // An empty one was thrown away by a node.
        parcels.retain(|parcel| !parcel.content.is_empty());
        let missing: Vec<_> = {
            let state = self.keys.state();
            let is_new_life = state.life.is_some_and(|before| before != life);
            let known = state.parcels.iter().filter(|parcel| is_new_life && is_of_use(parcel, list));
            known.filter(|known| parcels.iter().all(|parcel| parcel.name != known.name)).cloned().collect()
        };
        for parcel in &missing {
            self.store.keep(parcel).await?;
        }
        parcels.extend(missing);
        if let Some(secret) = &self.keys.ring_secret {
            self.unwrap_keys(secret, list, &parcels).await;
            self.wrap_own(secret, list, &mut parcels).await?;
        }
        let mut state = self.keys.state();
        for parcel in &parcels {
            let Some(id) = parcel.name.strip_prefix(KEY_PROBE).and_then(|id| id.parse().ok()) else { continue };
            let opened = state.in_folder.iter().chain(&state.carried).find(|key| key.id() == id);
            match opened.map(|key| key.sub().open_probe(&parcel.content)) {
                Some(Ok(())) => drop(state.probed.insert(id)),
                Some(Err(error)) => drop(state.refused.insert(id, format!("the probe: {error}"))),
                None => {}
            }
        }
        (state.parcels, state.life) = (parcels, Some(life));
        Ok(())
    }

    /// Takes the keys over that are in use and not at hand, and keeps copies of them where it can.
    async fn unwrap_keys(&self, secret: &RingSecret, list: &Rotation, parcels: &[Parcel]) {
        for parcel in parcels {
            let Some(id) = parcel.name.strip_prefix(WRAPPED_KEY).and_then(|id| id.parse::<KeyId>().ok()) else {
                continue;
            };
            let opens = list.record(id).is_none_or(|record| record.state.opens());
            if !opens || self.keys.state().has(id) {
                continue;
            }
            match secret.unwrap(self.config.app(), id, &parcel.content) {
                Ok(key) => {
                    let loaded = Arc::new(RingKey::new(&key, self.config.app()));
                    let in_folder = self.copy_to_folder(key).await;
                    let mut state = self.keys.state();
                    state.refused.remove(&id);
                    if in_folder {
                        state.in_folder.push(loaded);
                    } else {
                        state.carried.push(loaded);
                    }
                    tracing::info!(key = %id, in_folder, "loaded a key that came through the list");
                }
                Err(error) => {
                    tracing::error!(key = %id, %error, ring_secret = secret.fingerprint(), "a key that came through the list cannot be used");
                    self.keys.state().refused.insert(id, error.to_string());
                }
            }
        }
    }

    /// Whether the copy is there. A folder that cannot be written is no fault: the list has the key.
    async fn copy_to_folder(&self, key: Key) -> bool {
        let Some(folder) = self.keys.folder.clone() else { return false };
        match crate::io::watch::beside(move || folder.keep_copy(&key)).await {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::warn!(%error, "a key is kept in memory only; it will come through the list again");
                false
            }
            None => false,
        }
    }

    /// Wraps the keys of this node's folder that the list has not got yet, and the list key: so a fleet moves from
    /// files to the ring secret by being given one.
    async fn wrap_own(&self, secret: &RingSecret, list: &Rotation, parcels: &mut Vec<Parcel>) -> Result<(), Error> {
        let Some(folder) = self.keys.folder.clone() else { return Ok(()) };
        let lacks = |parcels: &[Parcel], name: &str| parcels.iter().all(|parcel| parcel.name != name);
        let mut own = Vec::new();
        if lacks(parcels, WRAPPED_LIST_KEY) {
            let content = secret.wrap_list_key(self.config.app(), &self.list_key)?;
            own.push(Parcel { name: WRAPPED_LIST_KEY.to_owned(), content });
        }
        let contents = crate::io::watch::beside(move || folder.read()).await;
        for key in contents.and_then(Result::ok).map(|contents| contents.keys).unwrap_or_default() {
            let name = format!("{WRAPPED_KEY}{}", key.id());
            let opens = list.record(key.id()).is_none_or(|record| record.state.opens());
            if opens && lacks(parcels, &name) {
                own.push(Parcel { name, content: secret.wrap(self.config.app(), &key)? });
            }
        }
        for parcel in own {
            self.store.keep(&parcel).await?;
            parcels.push(parcel);
        }
        Ok(())
    }

    /// Erases the files of destroyed keys; their ids stay in the list. Those of compromised ones too: a file would
    /// be a key in use again for whoever begins with a new list.
    async fn erase_destroyed(&self, list: &Rotation) {
        let destroyed: Vec<_> = {
            let state = self.keys.state();
            let state_of = |id: KeyId| list.record(id).map(|record| record.state);
            let is_destroyed = |id: &KeyId| matches!(state_of(*id), Some(KeyState::Destroyed | KeyState::Compromised));
            state.in_folder.iter().chain(&state.carried).map(|key| key.id()).filter(is_destroyed).collect()
        };
        for id in destroyed {
            if let Some(folder) = self.keys.folder.clone()
                && let Some(Err(error)) = crate::io::watch::beside(move || folder.erase(id)).await
            {
                tracing::error!(key = %id, %error, "a destroyed key's file cannot be erased; remove it by hand");
            }
            let mut state = self.keys.state();
            state.in_folder.retain(|key| key.id() != id);
            state.carried.retain(|key| key.id() != id);
            tracing::info!(key = %id, "a destroyed key was erased here");
        }
    }

    /// While this node seals with another key than the newest, because it has not got that, the list must know
    /// that cookies under this one are still being born.
    async fn note_late_seal(&self, list: &Rotation) -> Result<(), Error> {
        let Some(sealing) = self.ring.load().sealing().map(RingKey::id) else { return Ok(()) };
        // Marks are by the store's clock.
        let now = self.replica.view().clock(self.now()).seconds();
        let (lease, longest) = (self.config.bounds().lost, self.config.absolute());
        let fleet = Fleet {
            list,
            members: &[],
            life: Life { began: now, whole: true },
            now,
            terms: Terms { lease, longest, keep: KEEP },
        };
        if let Some(change) = fleet.still_seals(sealing) {
            let change: Vec<_> = change.into_iter().map(|(key, record)| Revocation::Key { key, record }).collect();
            self.publish(&change).await?;
        }
        Ok(())
    }

    /// A cookie names a key that is not here: it may be one that was just put in use elsewhere. Reads the list,
    /// and says whether to look again; refuses nothing for want of time.
    pub(crate) async fn look_for_key(&self, id: KeyId, now: Now) -> Result<bool, Verdict> {
        {
            let mut state = self.keys.state();
            state.unknown.retain(|(_, until)| *until > now.boot);
            if state.unknown.iter().any(|(unknown, _)| *unknown == id) {
                return Ok(false);
            }
            // Fails as "cannot tell", so that made-up ids cannot have an honest cookie refused.
            if state.asked.is_some_and(|asked| now.boot.saturating_sub(asked) < PACE) {
                return Err(Verdict::ListUnavailable);
            }
            state.asked = Some(now.boot);
        }
        self.follow.beat(false).await.map_err(|_| Verdict::ListUnavailable)?;
        self.carry_keys().await.map_err(|_| Verdict::ListUnavailable)?;
        let mut state = self.keys.state();
        let found = state.has(id);
        if !found && state.unknown.len() < UNKNOWN {
            state.unknown.push((id, now.boot + KNOWN_UNKNOWN));
        }
        Ok(found)
    }
}

/// Whether a parcel is worth giving back to a store that lost it.
fn is_of_use(parcel: &Parcel, list: &Rotation) -> bool {
    let id = parcel.name.strip_prefix(WRAPPED_KEY).or_else(|| parcel.name.strip_prefix(KEY_PROBE));
    id.and_then(|id| id.parse().ok()).is_none_or(|id: KeyId| list.state(id).opens())
}
