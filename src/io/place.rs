//! Where a list is, in words, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::key::ListKey;
use crate::revocation::RevocationStore;
use crate::time::Clock;

/// The address of a revocation list: `sqlite:` and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListPlace {
    /// The embedded list, in this file.
    Sqlite(PathBuf),
}

impl ListPlace {
    /// The list of a home folder.
    #[must_use]
    pub fn in_home(home: &Path) -> Self {
        Self::Sqlite(home.join("list.db"))
    }

    /// Whether there is a list.
    #[must_use]
    pub fn exists(&self) -> bool {
        let Self::Sqlite(path) = self;
        path.exists()
    }

    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for one that is not known here.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ if text.starts_with("redis:") || text.starts_with("rediss:") => Err(Error::config(
                "the list's address names Redis, and this version keeps its list in SQLite only",
                "Write `sqlite:` and a path",
            )),
            _ => Err(Error::config(
                format!("the list's address does not begin with `sqlite:` (it has {} characters)", text.len()),
                "Write `sqlite:` and a path, such as `sqlite:sealjar.db`",
            )),
        }
    }

    /// Opens the list, or makes it. One that is made anew logs everybody out who had a session before: if
    /// there was a list that is lost, nobody knows what it had revoked; if there was none, nobody notices.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be opened.
    #[cfg(feature = "sqlite")]
    pub async fn open(&self, app: &str, list_key: &ListKey, clock: &Clock) -> Result<Arc<dyn RevocationStore>, Error> {
        use super::sqlite::{Options, SqliteStore};
        let Self::Sqlite(path) = self.clone();
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
    ///
    /// # Errors
    ///
    /// [`Error::Config`], always.
    #[cfg(not(feature = "sqlite"))]
    #[allow(clippy::unused_async, reason = "the signature is that of builds with a store")]
    pub async fn open(&self, _: &str, _: &ListKey, _: &Clock) -> Result<Arc<dyn RevocationStore>, Error> {
        Err(Error::config(
            format!("the list is {self}, and this build has no SQLite"),
            "Switch the crate's feature `sqlite` on, or give a store of your own with `.store(..)`",
        ))
    }
}

impl fmt::Display for ListPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Sqlite(path) = self;
        write!(f, "sqlite:{}", path.display())
    }
}
