//! Making a list that is missing or lost, wherever it is: for the admin endpoint, which knows its place.

use std::path::Path;

use super::place::{ListPlace, Opening};
#[cfg(feature = "redis")]
use super::redis::{Made, Making, Options};
use crate::error::Error;
use crate::time::Position;

impl ListPlace {
    /// Makes the list where it is missing; `after_loss` also where it waits for somebody who knows what it
    /// lost, which logs everybody out. Says what came of it: `new`, `after_loss`, `already`. A file is made as
    /// apps make it: nobody knows whether there was another, so that always logs everybody out.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be made, or nothing was lost; [`Error::Config`] when this build has no
    /// such list.
    pub async fn make_anew(&self, opening: &Opening<'_>, after_loss: bool) -> Result<&'static str, Error> {
        match self {
            Self::Sqlite(path) => match self.plan_file(path, opening, after_loss).await? {
                "already" => Ok("already"),
                made => self.open(opening).await.map(|_| made),
            },
            #[cfg(feature = "redis")]
            Self::Redis(_) => self.make(&options_of(opening), making(after_loss)).await.map(Made::name),
        }
    }

    /// What [`ListPlace::make_anew`] would do at this moment, in its words. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`ListPlace::make_anew`].
    pub async fn plan_anew(&self, opening: &Opening<'_>, after_loss: bool) -> Result<&'static str, Error> {
        match self {
            Self::Sqlite(path) => self.plan_file(path, opening, after_loss).await,
            #[cfg(feature = "redis")]
            Self::Redis(_) => self.plan(&options_of(opening), making(after_loss)).await.map(Made::name),
        }
    }

    async fn plan_file(&self, path: &Path, opening: &Opening<'_>, after_loss: bool) -> Result<&'static str, Error> {
        let healed = match self.open_existing(None, opening.list_key, opening.clock).await {
            Ok((store, _)) => Some(store.nodes(Position(0)).await?.healed),
            Err(_) if !path.exists() => None,
            Err(error) => return Err(error),
        };
        let is_there = healed == Some(true) || healed == Some(false) && !after_loss;
        Ok(if is_there { "already" } else { "after_loss" })
    }
}

#[cfg(feature = "redis")]
fn options_of<'a>(opening: &Opening<'a>) -> Options<'a> {
    Options { app: opening.app, list_key: opening.list_key, clock: opening.clock.clone() }
}

#[cfg(feature = "redis")]
const fn making(after_loss: bool) -> Making {
    if after_loss { Making::AfterLoss } else { Making::IfMissing { log_out_everybody: false } }
}
