//! Another ring secret: what nodes find in the list is wrapped anew under it.

use std::collections::BTreeMap;

use super::Operator;
use crate::error::Error;
use crate::id::KeyId;
use crate::key::RingSecret;
use crate::revocation::Parcel;
use crate::wrap::{WRAPPED_KEY, WRAPPED_LIST_KEY};

/// What became of what was wrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys that are wrapped under the ring secret of now; `true` where that was just done.
    pub keys: BTreeMap<KeyId, bool>,
    /// Whether the list key was just wrapped anew.
    pub list_key: bool,
    /// Keys that stay as they are: neither secret opens them, and they are not in the folder here.
    pub unopened: Vec<KeyId>,
}

impl Operator {
    /// Wraps the keys that travel through the list, and the list key, under this operator's ring secret, in the place of
    /// the one `before`. Keys themselves stay the same, so nobody notices but nodes that start: those with the secret
    /// of now find all that they need, and those with the one before nothing more.
    ///
    /// What is wrapped rightly is left alone, so it can be done again, and has to be after a loss of the store: nodes
    /// that have not been restarted give back what they had read.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] without a ring secret or with the same one twice, [`Error::Store`] when the list cannot be read or written: then some
    /// keys may have been wrapped anew.
    pub async fn rewrap(&self, before: &RingSecret) -> Result<Rewrapped, Error> {
        self.rewrap_or_plan(before, true).await
    }

    /// What [`Operator::rewrap`] would do.
    ///
    /// # Errors
    ///
    /// As [`Operator::rewrap`].
    pub async fn plan_rewrap(&self, before: &RingSecret) -> Result<Rewrapped, Error> {
        self.rewrap_or_plan(before, false).await
    }

    async fn rewrap_or_plan(&self, before: &RingSecret, keeps: bool) -> Result<Rewrapped, Error> {
        let secret = self.ring_secret.as_ref().ok_or_else(|| {
            Error::usage("there is no ring secret to wrap keys under", "Name the new one with --ring-secret")
        })?;
        if secret.fingerprint() == before.fingerprint() {
            return Err(Error::usage(
                format!("both ring secrets are the same one ({})", secret.fingerprint()),
                "Name the one of before first, and the new one with --ring-secret",
            ));
        }
        let (in_folder, mut done) = (self.in_folder()?.keys, Rewrapped::default());
        for parcel in self.store.parcels().await?.into_iter().filter(|parcel| !parcel.content.is_empty()) {
            let content = if parcel.name == WRAPPED_LIST_KEY {
                if secret.unwrap_list_key(&self.app, &parcel.content).is_ok() {
                    continue;
                }
                done.list_key = true;
                secret.wrap_list_key(&self.app, &self.list_key)?
            } else {
                let Some(id) = parcel.name.strip_prefix(WRAPPED_KEY).and_then(|id| id.parse::<KeyId>().ok()) else {
                    continue;
                };
                if secret.unwrap(&self.app, id, &parcel.content).is_ok() {
                    done.keys.insert(id, false);
                    continue;
                }
                let unwrapped = before.unwrap(&self.app, id, &parcel.content).ok();
                let here = || in_folder.iter().find(|key| key.id() == id);
                let Some(key) = unwrapped.as_ref().or_else(here) else {
                    done.unopened.push(id);
                    continue;
                };
                let wrapped = secret.wrap(&self.app, key)?;
                done.keys.insert(id, true);
                wrapped
            };
            if keeps {
                self.store.keep(&Parcel { name: parcel.name, content }).await?;
            }
        }
        Ok(done)
    }
}
