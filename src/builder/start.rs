//! Starting sessions: what was configured is checked, keys and list are read, and what goes on beside requests begins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{Builder, List};
use crate::automatic;
use crate::config::Config;
use crate::core::{Core, Shared};
use crate::core_keys::Keys;
use crate::counters::Counters;
use crate::error::Error;
use crate::id::KeyId;
use crate::io::folder::{Contents, Fingerprint, KeyFolder, Refused};
use crate::io::follow::{Follow, process_name};
use crate::io::place::{self, ListPlace, Opening};
use crate::io::watch;
use crate::key::{Key, ListKey, RingSecret};
use crate::operator::Operator;
use crate::revocation::{Replica, Report, RevocationStore};
use crate::ring::{KeyRing, RingKey};
use crate::rotation::Rotation;
use crate::session::Payload;
use crate::sessions::Sessions;
use crate::time::Clock;

impl<T: Payload> Builder<T> {
    /// Checks everything, reads keys and list, and starts following both.
    ///
    /// After a loss of the list's store it waits for other processes to give back what they know, or to have
    /// been silent for a little over a minute. The log says so.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for what browsers would drop, [`Error::Key`] for an empty folder or an unfit key,
    /// [`Error::Store`] when the list cannot be read. Each says what to do.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn start(self) -> Result<Sessions<T>, Error> {
        let secure = self.wishes.cookie.secure;
        let config = self.wishes.check(&self.app)?;
        let folder = KeyFolder::new(self.keys);
        let first_start = !folder.has_keys();
        let place = match &self.list {
            List::At(place) => Some(ListPlace::parse(place)?),
            List::Store(_) => None,
        };
        let list_key = list_key(&folder, place.as_ref(), self.ring_secret.as_ref(), &config, &self.clock).await?;
        if self.home.is_some() && list_key.is_none() {
            let on = place.as_ref().filter(|_| first_start);
            make_keys(&folder, on, config.app(), !secure, &self.clock).await?;
        }
        let list_key = Arc::new(list_key.map_or_else(|| folder.list_key(), Ok)?);
        automatic::check(&config, &folder, matches!(place, Some(ListPlace::Sqlite(_))), self.ring_secret.is_some())?;
        let (seen, keys) = read_keys(&folder, self.ring_secret.is_some())?;
        let opening = Opening {
            app: config.app(),
            list_key: &list_key,
            create: !secure,
            own_file: self.own_file.as_deref(),
            clock: &self.clock,
        };
        let store = match self.list {
            List::Store(store) => match opening.own_file {
                Some(path) => place::beside(store, path, &opening).await?,
                None => store,
            },
            List::At(_) => {
                let place = place.expect("it was parsed above");
                open(&place, self.home.as_deref(), opening, first_start).await?
            }
        };
        let ring_secret = self.ring_secret.map(Arc::new);
        let keys = Keys::new(folder.clone(), ring_secret.clone(), derive(&keys, config.app()));
        let core = start(config, self.clock, store, list_key, keys).await?;
        if core.ring.load().sealing().is_none() {
            // Nobody could log in; the folder's own sentence says what to do.
            folder.load()?;
        }
        watch_folder(folder.clone(), seen, &core);
        carry_keys(&core);
        if let Some(period) = core.config.rotate_every() {
            let (store, app, list_key) = (core.store.clone(), core.config.app().to_owned(), core.list_key.clone());
            let hands = Operator::of_node(store, app, list_key, folder, ring_secret, core.clock.clone());
            automatic::start(&core, hands, period);
        }
        Ok(Sessions::new(core, self.migrate))
    }
}

/// For a home that has none yet. Not beside a list that others have made: its key would stand in the way of theirs.
async fn make_keys(
    folder: &KeyFolder,
    list: Option<&ListPlace>,
    app: &str,
    create: bool,
    clock: &Clock,
) -> Result<(), Error> {
    if let Some(place) = list
        && !folder.has_list_key()?
    {
        place.must_be_free(app, create, clock).await?;
    }
    folder.init(clock.now().seconds())
}

/// The keys of the folder, and how it looked before they were read, so that one that arrives meanwhile is noticed.
fn read_keys(folder: &KeyFolder, through_the_list: bool) -> Result<(Fingerprint, Vec<Key>), Error> {
    let seen =
        folder.fingerprint().or_else(|error| if through_the_list { Ok(Fingerprint::default()) } else { Err(error) })?;
    let may_be_empty = through_the_list && folder.read().map_or(true, |contents| contents.keys.is_empty());
    Ok((seen, if may_be_empty { Vec::new() } else { folder.load()? }))
}

/// The list at its place; on a server, with the node's own file beside it.
async fn open(
    place: &ListPlace,
    home: Option<&Path>,
    mut opening: Opening<'_>,
    first_start: bool,
) -> Result<Arc<dyn RevocationStore>, Error> {
    if let (ListPlace::Sqlite(_), Some(path)) = (place, opening.own_file) {
        return Err(Error::config(
            format!("the list is {place}, and {} would be a second file beside it", path.display()),
            "Leave `.own_file(..)` away: it is for a list on a server",
        ));
    }
    let in_home = home.map(place::own_file_in_home);
    if cfg!(feature = "sqlite") {
        opening.own_file = opening.own_file.or(in_home.as_deref());
    }
    let lost = !first_start && !place.exists();
    let store = place.open(&opening).await?;
    if lost {
        tracing::warn!(list = %place, "there are keys and was no list, so it was made anew: whoever had a session has to log in again");
    }
    Ok(store)
}

/// The list key that comes through the list, where a new node has a ring secret and nothing else.
async fn list_key(
    folder: &KeyFolder,
    place: Option<&ListPlace>,
    secret: Option<&RingSecret>,
    config: &Config,
    clock: &Clock,
) -> Result<Option<ListKey>, Error> {
    let (Some(place), Some(secret)) = (place, secret) else { return Ok(None) };
    let Some(list_key) = place.list_key(folder, config.app(), &[secret], clock).await? else { return Ok(None) };
    if let Err(error) = folder.keep_list_key(&list_key) {
        tracing::warn!(%error, "the list key is kept in memory only; it will come through the list again");
    }
    Ok(Some(list_key))
}

async fn start(
    config: Config,
    clock: Clock,
    store: Arc<dyn RevocationStore>,
    list_key: Arc<ListKey>,
    keys: Keys,
) -> Result<Arc<Core>, Error> {
    let mut profiles = store.profiles().await?;
    let mut own = config.profile();
    profiles.retain(|known| {
        let ours = known.cookie == own.cookie;
        if ours {
            own.longest = own.longest.max(known.longest);
        }
        !ours
    });
    profiles.push(own);
    let (at_hand, now) = (keys.at_hand(), clock.now().seconds());
    let ring = KeyRing::assemble(at_hand, Rotation::default(), now, config.propagation());
    let replica = Arc::new(Replica::default());
    let core = Arc::new_cyclic(|core: &Weak<Core>| {
        let core = core.clone();
        let (name, bounds, described) = (process_name(), config.bounds(), core.clone());
        let report = move || match described.upgrade() {
            Some(core) => core.report(name.clone()),
            None => Report::new(name.clone(), Some(bounds.lost)),
        };
        let on_beat = move |heard, travelled: &[Duration]| {
            if let Some(core) = core.upgrade() {
                core.counters.count_travelled(travelled);
                core.after_beat(heard);
            }
        };
        let follow = Follow::start(store.clone(), replica.clone(), clock.clone(), profiles, report, on_beat);
        let (ring, counters, shared) = (ArcSwap::from_pointee(ring), Counters::default(), Shared::default());
        Core { config, clock, counters, list_key, replica, ring, store, follow, shared, keys }
    });
    core.follow.join(core.config.bounds().lost).await?;
    core.refresh_ring(None);
    core.carry_keys().await?;
    Ok(core)
}

/// Whenever the list has changed: fetches and erases keys, opens probes, and says so.
fn carry_keys(core: &Arc<Core>) {
    let (waiter, store) = (core.shared.changed.waiter(), core.store.describe());
    let span = tracing::info_span!(parent: None, "carry_keys", store, node = process_name());
    let core = Arc::downgrade(core);
    watch::after_changes(span, waiter, move || {
        let core = core.upgrade();
        async move {
            let Some(core) = core else { return false };
            if let Err(error) = core.carry_keys().await {
                tracing::warn!(%error, "keys that the list speaks of could not be looked after; it is tried again");
            }
            true
        }
    });
}

/// Loads new key files while the app runs. A file that is bad, or cannot be read just now, is named in the
/// log; if its key was loaded before, that stays.
fn watch_folder(folder: KeyFolder, seen: Fingerprint, core: &Arc<Core>) {
    let core = Arc::downgrade(core);
    watch::start(folder, seen, move |contents: Contents| {
        let Some(core) = core.upgrade() else { return false };
        let loaded = core.ring.load().shared().to_vec();
        let known = |id: KeyId| loaded.iter().find(|key| key.id() == id).cloned();
        let app = core.config.app();
        // One that was loaded before goes on counting what it opens.
        let load = |key: &Key| known(key.id()).unwrap_or_else(|| Arc::new(RingKey::new(key, app)));
        let mut keys: Vec<_> = contents.keys.iter().map(load).collect();
        let mut unused = BTreeMap::new();
        for Refused { id, error } in &contents.refused {
            tracing::error!(%error, "a key file is not used");
            match (id, id.and_then(known)) {
                (_, Some(key)) => keys.push(key),
                (Some(id), None) => drop(unused.insert(*id, error.to_string())),
                (None, None) => {}
            }
        }
        for gone in loaded.iter().filter(|old| keys.iter().all(|key| key.id() != old.id())) {
            tracing::warn!(key = %gone.id(), "a key file is gone; cookies that were sealed under it are refused from now on");
        }
        let keys = if keys.is_empty() {
            tracing::error!("the key folder has no usable key any more; going on with those that are loaded");
            loaded
        } else {
            keys
        };
        core.refresh_ring(Some(core.keys.in_folder(keys, unused)));
        core.shared.changed.all();
        true
    });
}

fn derive(keys: &[Key], app: &str) -> Vec<Arc<RingKey>> {
    keys.iter().map(|key| Arc::new(RingKey::new(key, app))).collect()
}
