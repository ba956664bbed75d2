//! Configuring sessions, and starting them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::{Config, Wishes};
use crate::cookie::SameSite;
use crate::core::Core;
use crate::counters::Counters;
use crate::error::Error;
use crate::io::folder::{Contents, Fingerprint, KeyFolder, Refused};
use crate::io::follow::Follow;
use crate::io::place::{ListPlace, Opening};
use crate::io::watch;
use crate::key::{Key, ListKey};
use crate::revocation::{Bounds, Replica, RevocationStore};
use crate::ring::{KeyRing, RingKey};
use crate::rotation::Rotation;
use crate::session::Payload;
use crate::sessions::{Migrate, Old, Sessions};
use crate::time::Clock;
use crate::wire::Suite;

/// Builds [`Sessions`]. Everything that browsers would silently drop is refused by [`Builder::start`].
#[must_use]
pub struct Builder<T: Payload> {
    app: String,
    wishes: Wishes,
    keys: PathBuf,
    list: List,
    make_keys: bool,
    clock: Clock,
    migrate: Option<Migrate<T>>,
}

enum List {
    At(String),
    Store(Arc<dyn RevocationStore>),
}

impl<T: Payload> Builder<T> {
    pub(crate) fn new(app: String) -> Self {
        Self {
            app,
            wishes: Wishes::default(),
            keys: "keys".into(),
            list: List::At("sqlite:sealjar.db".into()),
            make_keys: false,
            clock: Clock::system(),
            migrate: None,
        }
    }

    /// The key ring's folder, made by `sealjar keys init`. Default: `keys`.
    pub fn keys(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keys = folder.into();
        self
    }

    /// Where the revocation list is. Default: `sqlite:sealjar.db`, made if missing.
    ///
    /// `sqlite:` and a path for one host; `redis://` or `rediss://`, user, password and host for several. A list
    /// on a server is made once, by `sealjar store init`, because an empty server may be one that lost it;
    /// with [`Builder::localhost`] it makes itself.
    pub fn list(mut self, url: impl Into<String>) -> Self {
        self.list = List::At(url.into());
        self
    }

    /// A folder of the app's own with keys (`keys`) and list (`list.db`) in it, all made on first start.
    ///
    /// For one host. Back it up: without its keys every session ends, without its list everybody has to
    /// log in again.
    pub fn home(mut self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        self.keys = folder.join("keys");
        self.list = List::At(ListPlace::in_home(folder).to_string());
        self.make_keys = true;
        self
    }

    /// A store of one's own making instead of a built-in one.
    pub fn store(mut self, store: Arc<dyn RevocationStore>) -> Self {
        self.list = List::Store(store);
        self
    }

    /// A session ends when it was not used for this long. Default: 30 minutes.
    ///
    /// The use is recorded at most every tenth of it, so it is exact to 10 %.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.wishes.idle = idle;
        self
    }

    /// A session ends after this long, whatever happens. Default: 12 hours; at most 400 days.
    pub fn absolute(mut self, absolute: Duration) -> Self {
        self.wishes.absolute = absolute;
        self
    }

    /// For development over plain http on this machine: a cookie without `Secure`, named after the app.
    ///
    /// # Security
    ///
    /// Anybody on the network path can read such a cookie. Never serve it beyond localhost.
    pub fn localhost(mut self) -> Self {
        self.wishes.cookie.secure = false;
        self
    }

    /// Shares the cookie with all hosts under a domain, and gives up the `__Host-` prefix for it.
    ///
    /// # Security
    ///
    /// Every host under the domain can then read, replace and plant it.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.wishes.cookie.domain = Some(domain.into());
        self
    }

    /// The cookie's name. Default: `__Host-<app>`, or what the other attributes allow.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.wishes.cookie.name = Some(name.into());
        self
    }

    /// The path below which browsers send the cookie. Default `/`. It is no security boundary.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.wishes.cookie.path = path.into();
        self
    }

    /// Default: `Lax`. It is always written; `None` needs https.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.wishes.cookie.same_site = same_site;
        self
    }

    /// Keeps the cookie when the browser is closed, until the absolute lifetime ends.
    pub fn persistent(mut self) -> Self {
        self.wishes.cookie.persistent = true;
        self
    }

    /// Signs instead of encrypting: the page's script can read the session, and so can the visitor.
    /// Beside an encrypted session of the same app, give it a [`Builder::name`] of its own.
    ///
    /// # Security
    ///
    /// Put nothing secret in it, and give it no authority that an encrypted session does not carry too.
    /// The cookie is not `HttpOnly`.
    pub fn signed(mut self) -> Self {
        self.wishes.suite = Suite::Signed;
        self
    }

    /// The version of the app's type, sealed along. Default: 0.
    pub fn schema(mut self, schema: u16) -> Self {
        self.wishes.schema = schema;
        self
    }

    /// What to do with a payload of another schema, or one that does not decode. `None` starts afresh.
    pub fn migrate(mut self, migrate: impl Fn(Old<'_>) -> Option<T> + Send + Sync + 'static) -> Self {
        self.migrate = Some(Arc::new(migrate));
        self
    }

    /// S and H: how old the revocation list may be. Default: 5 and 60 seconds.
    pub fn bounds(mut self, fresh: Duration, lost: Duration) -> Self {
        self.wishes.bounds = Bounds { fresh, lost };
        self
    }

    /// How long a new key file may take to reach every process before it seals. Default: 5 seconds, for
    /// processes that share the folder; raise it where files are deployed one by one.
    pub fn propagation(mut self, window: Duration) -> Self {
        self.wishes.propagation = window;
        self
    }

    /// Another clock, for tests of an app's own expiry.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything, reads keys and list, and starts following both.
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
        if self.make_keys {
            folder.init(self.clock.now().seconds())?;
        }
        // Before the keys are read, so that one that arrives meanwhile is noticed.
        let seen = folder.fingerprint()?;
        let (keys, list_key) = (folder.load()?, folder.list_key()?);
        let store = match self.list {
            List::Store(store) => store,
            List::At(place) => {
                let place = ListPlace::parse(&place)?;
                let lost = !first_start && !place.exists();
                let (app, list_key, clock) = (config.app(), &list_key, &self.clock);
                let store = place.open(&Opening { app, list_key, create: !secure, clock }).await?;
                if lost {
                    tracing::warn!(list = %place, "there are keys and was no list, so it was made anew: whoever had a session has to log in again");
                }
                store
            }
        };
        let core = start(config, self.clock, store, list_key, &keys).await?;
        watch_folder(folder, seen, &core);
        Ok(Sessions::new(core, self.migrate))
    }
}

async fn start(
    config: Config,
    clock: Clock,
    store: Arc<dyn RevocationStore>,
    list_key: ListKey,
    keys: &[Key],
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
    let ring =
        KeyRing::assemble(derive(keys, config.app()), Rotation::default(), clock.now().seconds(), config.propagation());
    let replica = Arc::new(Replica::default());
    let core = Arc::new_cyclic(|core: &Weak<Core>| {
        let core = core.clone();
        let on_beat = move || {
            if let Some(core) = core.upgrade() {
                core.refresh_ring(None);
            }
        };
        let follow = Follow::start(store.clone(), replica.clone(), clock.clone(), profiles, on_beat);
        let ring = ArcSwap::from_pointee(ring);
        Core { config, clock, counters: Counters::default(), list_key, replica, ring, store, follow }
    });
    core.follow.beat(false).await?;
    core.refresh_ring(None);
    Ok(core)
}

/// Loads new key files while the app runs. A file that is bad, or cannot be read just now, is named in the
/// log; if its key was loaded before, that stays.
fn watch_folder(folder: KeyFolder, seen: Fingerprint, core: &Arc<Core>) {
    let core = Arc::downgrade(core);
    watch::start(folder, seen, move |contents: Contents| {
        let Some(core) = core.upgrade() else { return false };
        let mut keys = derive(&contents.keys, core.config.app());
        for Refused { id, error } in &contents.refused {
            tracing::error!(%error, "a key file is not used");
            keys.extend(core.ring.load().shared().iter().find(|key| Some(key.id()) == *id).cloned());
        }
        for gone in core.ring.load().shared().iter().filter(|old| keys.iter().all(|key| key.id() != old.id())) {
            tracing::warn!(key = %gone.id(), "a key file is gone; cookies that were sealed under it are refused from now on");
        }
        if keys.is_empty() {
            tracing::error!("the key folder has no usable key any more; going on with those that are loaded");
        } else {
            core.refresh_ring(Some(keys));
        }
        true
    });
}

fn derive(keys: &[Key], app: &str) -> Vec<Arc<RingKey>> {
    keys.iter().map(|key| Arc::new(RingKey::new(key, app))).collect()
}
