//! Opening a list as a tool.

use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;

use super::Operator;
use crate::config::KEEP;
use crate::error::Error;
use crate::io::folder::{Contents, KeyFolder};
use crate::io::place::ListPlace;
use crate::key::{ListKey, RingSecret};
use crate::revocation::RevocationStore;
use crate::time::Clock;

impl Operator {
    /// Opens the list at a place, which running apps may be using, and reads it. Makes none.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be reached or read, [`Error::Key`] when the folder has no list
    /// key or another one than the list was made under, [`Error::Usage`] for a server's list without an app.
    pub async fn open(place: &ListPlace, folder: KeyFolder, app: Option<&str>, clock: Clock) -> Result<Self, Error> {
        Self::open_with(place, folder, app, clock, &[]).await
    }

    /// The same for a tool whose folder may have no list key: then it is taken from a list on a server, where nodes have
    /// put it under one of these ring secrets. It is kept in memory only.
    ///
    /// # Errors
    ///
    /// As [`Operator::open`], and [`Error::Key`] when none of the secrets opens it.
    pub async fn open_with(
        place: &ListPlace,
        folder: KeyFolder,
        app: Option<&str>,
        clock: Clock,
        ring_secrets: &[&RingSecret],
    ) -> Result<Self, Error> {
        let from_list = match app {
            Some(app) => place.list_key(&folder, app, ring_secrets, &clock).await?,
            None => None,
        };
        let list_key = from_list.map_or_else(|| folder.list_key(), Ok).map_err(|error| match error {
            Error::Key { problem, fix } if place.is_on_a_server() && !folder.holds_list_key() => Error::key(
                problem,
                format!(
                    "Give this command a copy of a node's key folder (--keys), or the nodes' ring secret and the app, \
                     with which it finds the list key in the list. Where there is no key yet: {fix}"
                ),
            ),
            error => error,
        })?;
        let (store, app) = place.open_existing(app, &list_key, &clock).await?;
        Self::over(store, app, list_key, folder, clock).await
    }

    /// Over a list that is open already, for instance the one of the app that it is built into.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be read.
    pub async fn over(
        store: Arc<dyn RevocationStore>,
        app: String,
        list_key: impl Into<Arc<ListKey>>,
        folder: KeyFolder,
        clock: Clock,
    ) -> Result<Self, Error> {
        let operator = Self::unread(store, app, list_key.into(), folder, clock);
        operator.refresh().await?;
        Ok(operator)
    }

    pub(super) fn unread(
        store: Arc<dyn RevocationStore>,
        app: String,
        list_key: Arc<ListKey>,
        folder: KeyFolder,
        clock: Clock,
    ) -> Self {
        let follower = Mutex::new(Some(store.follower()));
        let (replica, ring_secret, keep, follow) = (ArcSwap::default(), None, KEEP, OnceLock::new());
        let throws_away = true;
        Self { store, app, list_key, folder, clock, replica, ring_secret, keep, throws_away, follow, follower }
    }

    /// What the folder here holds. Where keys come through the list there need be none.
    pub(super) fn in_folder(&self) -> Result<Contents, Error> {
        match self.folder.read() {
            Err(_) if self.ring_secret.is_some() && !self.folder.path().exists() => Ok(Contents::default()),
            read => read,
        }
    }
}
