//! Configuring sessions; `start` begins them.

mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Wishes;
use crate::cookie::SameSite;
use crate::io::place::ListPlace;
use crate::key::RingSecret;
use crate::revocation::{Bounds, RevocationStore};
use crate::session::Payload;
use crate::sessions::{Migrate, Old};
use crate::time::Clock;
use crate::wire::Suite;

/// Builds [`Sessions`](crate::Sessions). Everything that browsers would silently drop is refused by [`Builder::start`].
#[must_use]
pub struct Builder<T: Payload> {
    app: String,
    wishes: Wishes,
    keys: PathBuf,
    list: List,
    own_file: Option<PathBuf>,
    home: Option<PathBuf>,
    ring_secret: Option<RingSecret>,
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
            own_file: None,
            home: None,
            ring_secret: None,
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
    /// `sqlite:` and a path for one host; `redis://` or `rediss://`, user, password and host for several, or
    /// `redis+sentinel://` or `rediss+sentinel://` and the Sentinels that know the primary. A list
    /// on a server is made once, by `sealjar store init`, because an empty server may be one that lost it;
    /// with [`Builder::localhost`] it makes itself. Give a node of such a list an [own file](Builder::own_file).
    pub fn list(mut self, url: impl Into<String>) -> Self {
        self.list = List::At(url.into());
        self
    }

    /// A folder of the app's own with keys (`keys`) and list (`list.db`) in it, all made on first start.
    ///
    /// For one host. Back it up: without its keys every session ends, without its list everybody has to
    /// log in again. With a [`Builder::list`] on a server behind it, the folder holds the node's
    /// [own file](Builder::own_file) instead (`node.db`), and the keys are those of the list: they come with the
    /// [ring secret](Builder::ring_secret), or are copied here, and are made only where the list is made too.
    pub fn home(mut self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        self.keys = folder.join("keys");
        self.list = List::At(ListPlace::in_home(folder).to_string());
        self.home = Some(folder.to_owned());
        self
    }

    /// A file of this node's own beside a list on a server; made if it is missing.
    ///
    /// It remembers the list. If the server loses it while no node is running, this one fills it again when it
    /// starts within an hour, and nobody is logged out. And while the server is away, [`Session::logout`]
    /// (and revoking by subject, tenant, label, all) is accepted: enforced by this process at once, published
    /// when the server is back, also after a crash. It holds the list's records: short ids, keyed hashes,
    /// times; no names and no keys. Several processes on one host may share it.
    ///
    /// [`Session::logout`]: crate::Session::logout
    ///
    /// # Consistency
    ///
    /// What is [in force](crate::revocation::Durability::InForce) is in the file of every node that confirmed
    /// it, unless its disk failed: then the log says so, and [`Sessions::own_file`](crate::Sessions::own_file).
    ///
    /// # Security
    ///
    /// What other nodes revoked in the hour in which this one was away is not in its file: a list that it fills
    /// again lacks that until one that knows it comes back. The file is made for its owner alone (0600), and
    /// whoever can write to it can take revocations out of it.
    pub fn own_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.own_file = Some(path.into());
        self
    }

    /// The secret that every node of a fleet has: keys then travel through the list, wrapped under it, and one
    /// command rotates them everywhere. A node with an empty key folder gets all that it needs from the list.
    ///
    /// # Security
    ///
    /// Who has this secret and can read the list's store can forge every session.
    pub fn ring_secret(mut self, secret: RingSecret) -> Self {
        self.ring_secret = Some(secret);
        self
    }

    /// Makes the next key when the newest one is this old, and brings it to every node, as `sealjar keys rotate` does;
    /// retires and destroys old keys when their time has come. Off by default.
    ///
    /// Every node may be told so. Exactly one makes the key: whoever is first to put it on record. Age is counted from
    /// the moment at which the newest key was staged, by the clock of the list's store. A key that an operator has
    /// staged is promoted too. `sealjar keys rotate` at any time makes the next one due a period later.
    ///
    /// It needs a way on which keys reach every node: a [ring secret](Builder::ring_secret), or a list in a file of
    /// one host, whose processes share the key folder. The user of a Redis server needs no further rights.
    ///
    /// # Errors
    ///
    /// [`Builder::start`] refuses a node that could not bring keys to the others, and a period below what one
    /// rotation may take (H and 12 s), or below a twentieth of [`Builder::absolute`], because each key stays in use
    /// until the sessions under it are over.
    ///
    /// # Consistency
    ///
    /// All gates hold as for an operator: a node that does not acknowledge holds the new key up until it has lapsed,
    /// and a list that has lost records until it is whole. The log says what it waits for.
    pub fn rotate_every(mut self, period: Duration) -> Self {
        self.wishes.rotate_every = Some(period);
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
}
