//! Rotation by age, as a node does it. What is due is said by [`crate::rotation::automatic`]; the steps are those of
//! operators, through the same gates.

use std::sync::Arc;
use std::time::Duration;

use super::Operator;
use super::keys::{KeyDone, KeyStep, KeyStepError, Staged};
use crate::id::KeyId;
use crate::io::folder::KeyFolder;
use crate::key::{Key, ListKey, RingSecret};
use crate::revocation::RevocationStore;
use crate::rotation::{Due, Refusal};
use crate::time::{Clock, Seconds};

impl Operator {
    /// The hands of a node, over its own list, folder and secrets. Reads nothing yet.
    pub(crate) fn of_node(
        store: Arc<dyn RevocationStore>,
        app: String,
        list_key: Arc<ListKey>,
        folder: KeyFolder,
        ring_secret: Option<Arc<RingSecret>>,
        clock: Clock,
    ) -> Self {
        Self { ring_secret, throws_away: false, ..Self::unread(store, app, list_key, folder, clock) }
    }

    /// Takes a step that is due. Nothing if somebody else is just taking it.
    ///
    /// # Errors
    ///
    /// [`KeyStepError`]: its gate is shut, or somebody else was quicker.
    pub(crate) async fn take(
        &self,
        due: Due,
        births: &[(KeyId, Seconds)],
        period: Duration,
    ) -> Result<Option<KeyDone>, KeyStepError> {
        match due {
            Due::Stage => {
                let key = Key::generate(self.now().seconds())?;
                self.stage(&key, |fleet| fleet.stage_by_age(key.id(), births, period)).await.map(Some)
            }
            Due::Promote(_) => self.promote_staged().await,
            Due::Retire(key) => self.change_keys(KeyStep::Retire { key, force: false }).await.map(Some),
            Due::Destroy(key) => self.change_keys(KeyStep::Destroy(key)).await.map(Some),
        }
    }

    /// Whoever staged it, a node or a person.
    async fn promote_staged(&self) -> Result<Option<KeyDone>, KeyStepError> {
        let standing = self.standing().await?;
        let Some(key) = standing.list.staged() else { return Ok(None) };
        match self.go_on(&standing, key).await? {
            Staged::Unfinished(key) => Err(Refusal::Elsewhere(key).into()),
            Staged::New(key) | Staged::Before(key) => {
                let done = self.change_keys(KeyStep::Promote(key)).await?;
                // Somebody else was quicker.
                Ok(Some(done).filter(|done| !done.change.is_empty()))
            }
        }
    }
}
