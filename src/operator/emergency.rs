//! A leaked key: denied, replaced, and everybody logged out, in one publication.

use super::Operator;
use super::keys::{KeyDone, KeyStepError, Standing, wishes};
use crate::error::Error;
use crate::id::KeyId;
use crate::key::Key;
use crate::revocation::Revocation;
use crate::rotation::Change;

impl Operator {
    pub(super) async fn compromise(&self, leaked: KeyId, replacement: Option<KeyId>) -> Result<KeyDone, KeyStepError> {
        let mut warning = None;
        let mut replacement = replacement;
        let standing = self.standing().await?;
        self.must_be_known(&standing, leaked)?;
        if let Some(key) = standing.fleet().replaced(leaked, replacement) {
            let warning = self.discard(leaked).await;
            return Ok(KeyDone { key: Some(key), change: Change::new(), receipt: None, warning });
        }
        standing.fleet().compromise(leaked, replacement)?;
        if replacement.is_none() {
            replacement = standing.fleet().replacement(leaked);
        }
        if replacement.is_none() {
            (replacement, warning) = self.make_replacement(leaked, &standing).await?;
        }
        let mut attempt = 0;
        loop {
            let standing = self.standing().await?;
            let change = standing.fleet().compromise(leaked, replacement)?;
            let mut wishes = wishes(&change);
            wishes.push(Revocation::Everybody);
            attempt += 1;
            let receipt = match attempt {
                1..=3 => self.store.publish_over(standing.life(), &standing.list, &wishes).await?,
                // Whatever others do meanwhile, this has to be done; records merge by maximum.
                _ => Some(self.store.publish(&wishes).await?),
            };
            if let Some(receipt) = receipt {
                self.replica.load().apply(&receipt.records, receipt.position);
                let warning = warning.or(self.discard(leaked).await);
                return Ok(KeyDone { key: replacement, change, receipt: Some(receipt), warning });
            }
        }
    }

    /// An id that nobody knows was mistyped: denying it would log everybody out, and leave the leaked key in service.
    pub(super) fn must_be_known(&self, standing: &Standing, leaked: KeyId) -> Result<(), Error> {
        let is_known = standing.list.record(leaked).is_some()
            || standing.members.iter().any(|member| member.holds.contains_key(&leaked))
            || self.in_folder()?.keys.iter().any(|key| key.id() == leaked);
        if is_known {
            return Ok(());
        }
        Err(Error::usage(
            format!("no list, no node and no folder here knows the key {leaked}"),
            "Take its id from `sealjar keys status`, or from the name of its file",
        ))
    }

    /// A key to put in the place of a leaked one where nodes have no other in common. With a ring secret it reaches
    /// them by itself, and it is there before it is promoted.
    async fn make_replacement(
        &self,
        leaked: KeyId,
        standing: &Standing,
    ) -> Result<(Option<KeyId>, Option<String>), KeyStepError> {
        let parcels = self.store.parcels().await?;
        let staged = standing.list.staged().filter(|staged| *staged != leaked);
        let bytes = staged.map(|staged| self.bytes_of(staged, &parcels)).transpose()?.flatten();
        let key = if let Some(key) = bytes {
            key
        } else {
            let key = Key::generate(self.now().seconds())?;
            // On record before its bytes are anywhere, if that can be had at once.
            if let Ok(change) = standing.fleet().stage(key.id()) {
                self.store.publish_over(standing.life(), &standing.list, &wishes(&change)).await?;
            }
            key
        };
        let kept = self.folder.keep_copy(&key);
        if kept.is_err() && self.ring_secret.is_none() {
            let warning = kept.err().map(|error| format!("there is no key in its place, because {error}"));
            return Ok((None, warning));
        }
        self.send(&key, &parcels).await?;
        Ok((Some(key.id()), kept.err().map(|error| error.to_string())))
    }
}
