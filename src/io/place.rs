//! Where a list is, in words, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::key::{ListKey, RingSecret};
use crate::revocation::RevocationStore;
use crate::time::Clock;

use super::folder::KeyFolder;

#[cfg(feature = "sqlite")]
use super::kept::Recalled;
#[cfg(feature = "redis")]
use super::redis::{Made, Making, Options, RedisAddress, RedisStore};
#[cfg(feature = "redis")]
use crate::revocation::Memory;

/// Where a node keeps its own file in a home folder.
#[must_use]
pub fn own_file_in_home(home: &Path) -> PathBuf {
    home.join("node.db")
}

/// The address of a revocation list: `sqlite:` and a path, `redis://` or `rediss://` and a server, or
/// `redis+sentinel://` or `rediss+sentinel://` and the Sentinels that know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListPlace {
    /// The embedded list, in this file.
    Sqlite(PathBuf),
    /// The list on this server.
    #[cfg(feature = "redis")]
    Redis(RedisAddress),
}

/// How the address of a list on a server begins.
const SERVERS: [&str; 4] = ["redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://"];

/// How to open a list.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// The app that the list is for.
    pub app: &'a str,
    /// The key under which names are hashed.
    pub list_key: &'a ListKey,
    /// Whether a list on a server may be made here, as for development. The embedded one always may.
    pub create: bool,
    /// A file of this node's own, as a memory of a list on a server. The embedded list needs none.
    pub own_file: Option<&'a Path>,
    /// This machine's clock.
    pub clock: &'a Clock,
}

impl ListPlace {
    /// The list of a home folder.
    #[must_use]
    pub fn in_home(home: &Path) -> Self {
        Self::Sqlite(home.join("list.db"))
    }

    /// Whether there is a list, as far as can be told without asking a server.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
            #[cfg(feature = "redis")]
            Self::Redis(_) => true,
        }
    }

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for one that is not known here. It does not repeat the address, which may hold a
    /// password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ if SERVERS.iter().any(|scheme| text.starts_with(scheme)) => Self::parse_redis(text),
            _ => Err(Error::config(
                format!(
                    "the list's address begins with none of `sqlite:`, `redis://`, `rediss://`, `redis+sentinel://` and \
                     `rediss+sentinel://` (it has {} characters)",
                    text.len()
                ),
                "Write `sqlite:` and a path, such as `sqlite:sealjar.db`, or a server, such as `redis://127.0.0.1:6379`",
            )),
        }
    }

    #[cfg(feature = "redis")]
    fn parse_redis(text: &str) -> Result<Self, Error> {
        RedisAddress::parse(text).map(Self::Redis)
    }

    #[cfg(not(feature = "redis"))]
    fn parse_redis(_: &str) -> Result<Self, Error> {
        Err(Error::config("the list is in Redis, and this build has none", "Switch the crate's feature `redis` on"))
    }

    /// Opens the list. The embedded one is made if it is missing; one on a server only where `create` says so.
    /// One that is made anew logs everybody out who had a session before: if there was a list that is lost,
    /// nobody knows what it had revoked; if there was none, nobody notices.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be opened, [`Error::Config`] when this build has no such list.
    pub async fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn RevocationStore>, Error> {
        match self {
            Self::Sqlite(path) => open_sqlite(path, opening).await,
            #[cfg(feature = "redis")]
            Self::Redis(address) => match opening.own_file {
                Some(path) => open_kept(self, address, path, opening).await,
                None => Ok(Arc::new(open_redis(address, opening, &Memory::default()).await?)),
            },
        }
    }

    /// Opens a list that is there, for tools, and says for which app it is. Makes none. A file knows its app;
    /// of a server, which may hold the lists of several, it has to be told.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it is not there or cannot be opened, [`Error::Key`] when it was made under another
    /// list key, [`Error::Usage`] for a server's list without an app.
    #[cfg_attr(
        not(feature = "redis"),
        allow(clippy::unused_async, unused_variables, reason = "the signature is that of builds with a server's list")
    )]
    pub async fn open_existing(
        &self,
        app: Option<&str>,
        list_key: &ListKey,
        clock: &Clock,
    ) -> Result<(Arc<dyn RevocationStore>, String), Error> {
        match self {
            Self::Sqlite(path) => open_existing_sqlite(path, list_key, clock.clone()),
            #[cfg(feature = "redis")]
            Self::Redis(_) => {
                let app = app.ok_or_else(|| {
                    Error::usage(
                        "a server may hold the lists of several apps",
                        "Name the app with --app, or in the variable SEALJAR_APP",
                    )
                })?;
                let opening = Opening { app, list_key, create: false, own_file: None, clock };
                Ok((self.open(&opening).await?, app.to_owned()))
            }
        }
    }

    /// The list key as nodes with a ring secret get it from a server; none where nobody has put it there.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the server cannot be asked.
    #[cfg_attr(not(feature = "redis"), allow(clippy::unused_async, unused_variables, reason = "only a server has it"))]
    pub async fn wrapped_list_key(&self, app: &str, clock: &Clock) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Sqlite(_) => Ok(None),
            #[cfg(feature = "redis")]
            Self::Redis(address) => RedisStore::wrapped_list_key(address.clone(), app, clock).await,
        }
    }

    /// The list key that comes through a list on a server, where a folder has none and one of these ring secrets opens it;
    /// none where the folder has one, or nobody has put it there.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the server cannot be asked, [`Error::Key`] when none of the secrets opens it.
    pub async fn list_key(
        &self,
        folder: &KeyFolder,
        app: &str,
        ring_secrets: &[&RingSecret],
        clock: &Clock,
    ) -> Result<Option<ListKey>, Error> {
        if folder.holds_list_key() { Ok(None) } else { self.list_key_in_list(app, ring_secrets, clock).await }
    }

    /// The list key that comes through a list on a server, whatever a folder holds; none where there is no ring secret,
    /// or nobody has put it there.
    ///
    /// # Errors
    ///
    /// As [`ListPlace::list_key`].
    pub async fn list_key_in_list(
        &self,
        app: &str,
        ring_secrets: &[&RingSecret],
        clock: &Clock,
    ) -> Result<Option<ListKey>, Error> {
        let Some(first) = ring_secrets.first() else { return Ok(None) };
        let Some(wrapped) = self.wrapped_list_key(app, clock).await? else { return Ok(None) };
        let mut tried = ring_secrets.iter().map(|secret| secret.unwrap_list_key(app, &wrapped));
        tried.find(Result::is_ok).unwrap_or_else(|| first.unwrap_list_key(app, &wrapped)).map(Some).map_err(|error| {
            Error::key(
                format!("the list key that came through {self} cannot be used: {error}"),
                format!("Use the ring secret of the nodes; its fingerprint here is {}", first.fingerprint()),
            )
        })
    }

    /// Refuses whoever is about to make a list key that a list on a server could not be used under: the file would stand in
    /// the way of the right one. `create` is as in [`Opening`].
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when there is a list, when there is none and none may be made, or the server cannot be asked.
    #[cfg_attr(not(feature = "redis"), allow(clippy::unused_async, unused_variables, reason = "only a server has it"))]
    pub async fn must_be_free(&self, app: &str, create: bool, clock: &Clock) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "redis")]
            Self::Redis(address) => RedisStore::must_be_free(address.clone(), app, create, clock).await,
        }
    }

    /// Whether it is on a server, and not in a file of this host.
    #[must_use]
    pub const fn is_on_a_server(&self) -> bool {
        !matches!(self, Self::Sqlite(_))
    }

    /// Makes a list on a server, for `sealjar store init`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an embedded list, otherwise as [`RedisStore::make`].
    #[cfg(feature = "redis")]
    pub async fn make(&self, options: &Options<'_>, making: Making) -> Result<Made, Error> {
        RedisStore::make(self.on_a_server()?, options, making).await
    }

    /// What [`ListPlace::make`] would do at this moment. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`ListPlace::make`].
    #[cfg(feature = "redis")]
    pub async fn plan(&self, options: &Options<'_>, making: Making) -> Result<Made, Error> {
        RedisStore::plan(self.on_a_server()?, options, making).await
    }

    #[cfg(feature = "redis")]
    fn on_a_server(&self) -> Result<RedisAddress, Error> {
        match self {
            Self::Sqlite(_) => Err(Error::usage(
                format!("the list is {self}, and the app makes that by itself"),
                "Name a list on a server: --list redis://127.0.0.1:6379, or the variable REDIS_URL",
            )),
            Self::Redis(address) => Ok(address.clone()),
        }
    }
}

/// Puts a file of this node's own beside a store that is open.
///
/// # Errors
///
/// [`Error::Store`] when the file cannot be used, [`Error::Config`] when this build has no SQLite.
#[cfg(feature = "sqlite")]
pub async fn beside(
    store: Arc<dyn RevocationStore>,
    path: &Path,
    opening: &Opening<'_>,
) -> Result<Arc<dyn RevocationStore>, Error> {
    let (place, recalled) = (store.describe(), Recalled::open(path, opening).await?);
    Ok(Arc::new(recalled.beside(store, place)))
}

/// No own file in this build.
///
/// # Errors
///
/// [`Error::Config`], always.
#[cfg(not(feature = "sqlite"))]
#[allow(clippy::unused_async, reason = "the signature is that of builds with SQLite")]
pub async fn beside(
    _: Arc<dyn RevocationStore>,
    path: &Path,
    _: &Opening<'_>,
) -> Result<Arc<dyn RevocationStore>, Error> {
    Err(no_own_file(path))
}

#[cfg(all(feature = "redis", feature = "sqlite"))]
async fn open_kept(
    place: &ListPlace,
    address: &RedisAddress,
    path: &Path,
    opening: &Opening<'_>,
) -> Result<Arc<dyn RevocationStore>, Error> {
    let (place, recalled) = (place.to_string(), Recalled::open(path, opening).await?);
    let memory = recalled.memory(&place, opening.clock.now());
    let server = Arc::new(open_redis(address, opening, &memory).await?);
    Ok(Arc::new(recalled.beside(server, place)))
}

#[cfg(all(feature = "redis", not(feature = "sqlite")))]
#[allow(clippy::unused_async, reason = "the signature is that of builds with SQLite")]
async fn open_kept(
    _: &ListPlace,
    _: &RedisAddress,
    path: &Path,
    _: &Opening<'_>,
) -> Result<Arc<dyn RevocationStore>, Error> {
    Err(no_own_file(path))
}

#[cfg(feature = "redis")]
async fn open_redis(address: &RedisAddress, opening: &Opening<'_>, memory: &Memory) -> Result<RedisStore, Error> {
    let Opening { app, list_key, create, clock, .. } = *opening;
    let options = Options { app, list_key, clock: clock.clone() };
    // Whoever remembers a list that was lost begins it anew, and nobody is logged out.
    if create && memory.known.is_none() {
        let making = Making::IfMissing { log_out_everybody: true };
        RedisStore::make(address.clone(), &options, making).await?;
    }
    RedisStore::open_remembering(address.clone(), &options, memory).await
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(path: &Path, opening: &Opening<'_>) -> Result<Arc<dyn RevocationStore>, Error> {
    use super::sqlite::{Options, SqliteStore};
    let path = path.to_owned();
    let Opening { app, list_key, clock, .. } = *opening;
    let (app, list_key, clock) = (app.to_owned(), list_key.fingerprint(), clock.clone());
    let open = move || {
        let (app, list_key) = (&*app, &*list_key);
        SqliteStore::open(&path, &Options { app, list_key, create: true, log_out_everybody: true, clock })
    };
    let store = tokio::task::spawn_blocking(open).await.map_err(|_| {
        Error::config("the runtime ended while the list was being opened", "Keep it running until start() returns")
    })??;
    Ok(Arc::new(store))
}

#[cfg(feature = "sqlite")]
fn open_existing_sqlite(
    path: &Path,
    list_key: &ListKey,
    clock: Clock,
) -> Result<(Arc<dyn RevocationStore>, String), Error> {
    let store = super::sqlite::SqliteStore::open_existing(path, clock)?;
    if store.list_key() != list_key.fingerprint() {
        return Err(Error::key(
            format!(
                "the list key at hand is not the one that {} was made under, so names would not match",
                store.describe()
            ),
            "Point --home, or --keys and --list, at what belongs together",
        ));
    }
    let app = store.app().to_owned();
    Ok((Arc::new(store), app))
}

#[cfg(not(feature = "sqlite"))]
fn open_existing_sqlite(path: &Path, _: &ListKey, _: Clock) -> Result<(Arc<dyn RevocationStore>, String), Error> {
    Err(no_sqlite(path))
}

#[cfg(not(feature = "sqlite"))]
fn no_own_file(path: &Path) -> Error {
    Error::config(
        format!("{} is to be this node's own file, and this build has no SQLite", path.display()),
        "Switch the crate's feature `sqlite` on, or leave `.own_file(..)` away",
    )
}

/// No list of this kind in this build.
#[cfg(not(feature = "sqlite"))]
#[allow(clippy::unused_async, reason = "the signature is that of builds with a store")]
async fn open_sqlite(path: &Path, _: &Opening<'_>) -> Result<Arc<dyn RevocationStore>, Error> {
    Err(no_sqlite(path))
}

#[cfg(not(feature = "sqlite"))]
fn no_sqlite(path: &Path) -> Error {
    Error::config(
        format!("the list is sqlite:{}, and this build has no SQLite", path.display()),
        "Switch the crate's feature `sqlite` on, or give a store of your own with `.store(..)`",
    )
}

impl fmt::Display for ListPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "redis")]
            Self::Redis(address) => address.fmt(f),
        }
    }
}
