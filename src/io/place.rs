//! Where a list is, in words, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::key::ListKey;
use crate::revocation::RevocationStore;
use crate::time::Clock;

#[cfg(feature = "redis")]
use super::redis::{Made, Making, Options, RedisAddress, RedisStore};

/// The address of a revocation list: `sqlite:` and a path, `redis://` or `rediss://` and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListPlace {
    /// The embedded list, in this file.
    Sqlite(PathBuf),
    /// The list on this server.
    #[cfg(feature = "redis")]
    Redis(RedisAddress),
}

/// How to open a list.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// The app that the list is for.
    pub app: &'a str,
    /// The key under which names are hashed.
    pub list_key: &'a ListKey,
    /// Whether a list on a server may be made here, as for development. The embedded one always may.
    pub create: bool,
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
            _ if text.starts_with("redis://") || text.starts_with("rediss://") => Self::parse_redis(text),
            _ => Err(Error::config(
                format!(
                    "the list's address does not begin with `sqlite:`, `redis://` or `rediss://` (it has {} characters)",
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
            Self::Redis(address) => {
                let Opening { app, list_key, create, clock } = *opening;
                let options = Options { app, list_key, clock: clock.clone() };
                if create {
                    let making = Making::IfMissing { log_out_everybody: true };
                    RedisStore::make(address.clone(), &options, making).await?;
                }
                Ok(Arc::new(RedisStore::open(address.clone(), &options).await?))
            }
        }
    }

    /// Makes a list on a server, for `sealjar store init`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an embedded list, otherwise as [`RedisStore::make`].
    #[cfg(feature = "redis")]
    pub async fn make(&self, options: &Options<'_>, making: Making) -> Result<Made, Error> {
        match self {
            Self::Sqlite(_) => Err(Error::usage(
                format!("the list is {self}, and the app makes that by itself"),
                "Name a list on a server: --list redis://127.0.0.1:6379, or the variable REDIS_URL",
            )),
            Self::Redis(address) => RedisStore::make(address.clone(), options, making).await,
        }
    }
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

/// No list of this kind in this build.
#[cfg(not(feature = "sqlite"))]
#[allow(clippy::unused_async, reason = "the signature is that of builds with a store")]
async fn open_sqlite(path: &Path, _: &Opening<'_>) -> Result<Arc<dyn RevocationStore>, Error> {
    Err(Error::config(
        format!("the list is sqlite:{}, and this build has no SQLite", path.display()),
        "Switch the crate's feature `sqlite` on, or give a store of your own with `.store(..)`",
    ))
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
