//! What is kept in the list for the nodes: keys, wrapped, and probes.

use super::Operator;
use crate::error::Error;
use crate::id::KeyId;
use crate::key::Key;
use crate::revocation::Parcel;
use crate::wrap::{KEY_PROBE, WRAPPED_KEY};

impl Operator {
    /// Puts into the store what nodes need to load a key, and to show that they have; what is there stays.
    pub(super) async fn send(&self, key: &Key, there: &[Parcel]) -> Result<(), Error> {
        let lacks = |name: &String| there.iter().all(|parcel| parcel.name != *name);
        let name = format!("{WRAPPED_KEY}{}", key.id());
        if let Some(secret) = self.ring_secret.as_ref().filter(|_| lacks(&name)) {
            self.store.keep(&Parcel { name, content: secret.wrap(&self.app, key)? }).await?;
        }
        let name = format!("{KEY_PROBE}{}", key.id());
        if lacks(&name) {
            self.store.keep(&Parcel { name, content: key.probe(&self.app)? }).await?;
        }
        Ok(())
    }

    /// Throws away what is kept for nodes. What that fails with is no reason to call the step undone.
    pub(super) async fn discard(&self, key: KeyId) -> Option<String> {
        let mut failed = None;
        for kind in [WRAPPED_KEY, KEY_PROBE] {
            failed = failed.or(self.throw_away(&format!("{kind}{key}")).await.err());
        }
        failed.map(|error| error.to_string())
    }

    /// Removes a parcel. A node's user of a server has no right to remove anything from the control hash, so a node
    /// leaves an empty one, which the next tool removes.
    async fn throw_away(&self, name: &str) -> Result<(), Error> {
        if self.throws_away {
            return self.store.discard(name).await.map(drop);
        }
        if self.store.parcels().await?.iter().all(|parcel| parcel.name != name) {
            return Ok(());
        }
        self.store.keep(&Parcel { name: name.to_owned(), content: Vec::new() }).await
    }

    /// The key itself, from the folder here or unwrapped from the list.
    pub(super) fn bytes_of(&self, id: KeyId, parcels: &[Parcel]) -> Result<Option<Key>, Error> {
        if let Some(key) = self.in_folder()?.keys.into_iter().find(|key| key.id() == id) {
            return Ok(Some(key));
        }
        let name = format!("{WRAPPED_KEY}{id}");
        let wrapped = parcels.iter().find(|parcel| parcel.name == name);
        let unwrapped = self.ring_secret.as_ref().zip(wrapped).map(|(secret, wrapped)| {
            secret.unwrap(&self.app, id, &wrapped.content).map_err(|error| {
                Error::key(
                    format!("the key {id} that was staged cannot be unwrapped: {error}"),
                    format!(
                        "Give this command the ring secret of the nodes; its fingerprint here is {}",
                        secret.fingerprint()
                    ),
                )
            })
        });
        unwrapped.transpose()
    }
}
