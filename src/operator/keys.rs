//! Key rotation as operators do it: read where everything stands, ask the gate, publish what it answers.
//!
//! ```text
//!  list, nodes ──► gate ──► publish, if the list is still the same ──► parcels, files
//!       ▲                          │ it is not
//!       └──────────────────────────┘
//! ```
//!
//! A new key is put on record before its bytes are anywhere: bytes without a record would count as a key that is
//! active by its age. So whoever dies in between leaves a key that nobody has, which the next one takes back.
//!
//! # Consistency
//!
//! Of several operators who decide on the same list one goes ahead, and the others decide anew. A node that
//! registers between the look at the nodes and the publication, a few milliseconds, is not asked.

use thiserror::Error as ThisError;

use super::Operator;
use crate::error::Error;
use crate::id::{Incarnation, KeyId};
use crate::key::Key;
use crate::revocation::node::longest_lease;
use crate::revocation::{Nodes, Receipt, Revocation};
use crate::rotation::{Ack, Change, Fleet, KeyState, Life, Member, Refusal, Rotation, Terms};
use crate::time::Seconds;
use crate::wrap::{KEY_PROBE, WRAPPED_KEY};

/// How often the list may change under a decision.
const ATTEMPTS: usize = 20;

/// What is to happen to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// A new key begins its way to the nodes.
    Stage,
    /// A key that was active before is about to be promoted again.
    Recall(KeyId),
    /// The key becomes the one that seals. Of one that does already nothing is changed.
    Promote(KeyId),
    /// Nodes stop opening with the key.
    Retire {
        /// Which.
        key: KeyId,
        /// Although cookies under it may still be good: whoever holds one has to log in again.
        force: bool,
    },
    /// The key's bytes are erased everywhere; its id stays.
    Destroy(KeyId),
    /// A staged key is taken back.
    Abort {
        /// The key.
        key: KeyId,
        /// Although it may have been promoted before the store lost records: where no node has it, and its bytes are lost.
        force: bool,
    },
    /// The key is known to others: it is denied at once, another one seals, and everybody logs in again.
    Compromise {
        /// The key.
        leaked: KeyId,
        /// What seals instead; without it, a key that all live nodes have, or else a new one.
        replacement: Option<KeyId>,
    },
}

/// What was done.
#[derive(Clone, Debug)]
pub struct KeyDone {
    /// The key that the step was about; of a compromise, the one that seals now, if there is one.
    pub key: Option<KeyId>,
    /// What was published; nothing where the step was done before.
    pub change: Change,
    /// Proof of it; none for a plan, and where nothing was published.
    pub receipt: Option<Receipt>,
    /// What could not be done and does no harm, in a sentence.
    pub warning: Option<String>,
}

/// What became of the key that is on its way to the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staged {
    /// There was none, and this one is now.
    New(KeyId),
    /// This one was staged before.
    Before(KeyId),
    /// Whoever staged this one has perhaps not finished; look again in a moment.
    Unfinished(KeyId),
}

/// Why a step was not done.
#[derive(Debug, ThisError)]
pub enum KeyStepError {
    /// A gate is shut.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The list or the key folder cannot be read or written.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl KeyStepError {
    /// Whether the same step may be done later without anything else being changed.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        use Refusal::{Draining, Holders, Kept, Owing, Settling, Waiting};
        let Self::Refused(refusal) = self else { return false };
        matches!(refusal, Owing(_) | Settling(_) | Waiting(_) | Holders(_) | Draining(_) | Kept(_))
    }
}

/// All that gates look at, and in which life of the store that was.
pub(super) struct Standing {
    pub(super) list: Rotation,
    pub(super) members: Vec<Member>,
    pub(super) nodes: Nodes,
    terms: Terms,
}

impl Standing {
    pub(super) fn fleet(&self) -> Fleet<'_> {
        let Self { list, members, nodes, terms } = self;
        let life = Life { began: nodes.begun.seconds(), whole: nodes.healed };
        Fleet { list, members, life, now: nodes.now.seconds(), terms: *terms }
    }

    pub(super) fn life(&self) -> Incarnation {
        self.nodes.incarnation
    }

    /// Whether any live node opens with it.
    fn is_held(&self, key: KeyId) -> bool {
        let holds = |member: &Member| member.holds.get(&key).is_some_and(|held| held.ack == Ack::Loaded);
        self.members.iter().any(holds)
    }
}

impl Operator {
    /// What a step would publish.
    ///
    /// # Errors
    ///
    /// [`KeyStepError`].
    pub async fn plan_keys(&self, step: KeyStep) -> Result<KeyDone, KeyStepError> {
        let standing = self.standing().await?;
        let fleet = standing.fleet();
        let (key, change) = match step {
            KeyStep::Stage => {
                let key = Key::generate(fleet.now)?.id();
                (Some(key), fleet.stage(key)?)
            }
            KeyStep::Compromise { leaked, replacement } => {
                self.must_be_known(&standing, leaked)?;
                if let Some(key) = fleet.replaced(leaked, replacement) {
                    (Some(key), Change::new())
                } else {
                    let replacement = replacement.or_else(|| fleet.replacement(leaked));
                    (replacement, fleet.compromise(leaked, replacement)?)
                }
            }
            step => decide(&fleet, step)?,
        };
        Ok(KeyDone { key, change, receipt: None, warning: None })
    }

    /// Does a step, or says what it waits for.
    ///
    /// A compromise denies the key, puts another in its place and logs everybody out, in one publication. It waits
    /// for nobody; [`Operator::wait`] on its receipt tells when every live node has it. Done before, it is not done
    /// again, and nobody is logged out once more.
    ///
    /// # Errors
    ///
    /// [`KeyStepError`]. Then nothing was changed, unless the store failed while it was being written.
    pub async fn change_keys(&self, step: KeyStep) -> Result<KeyDone, KeyStepError> {
        match step {
            KeyStep::Stage => {
                let key = Key::generate(self.now().seconds())?;
                self.stage(&key, |fleet| fleet.stage(key.id())).await
            }
            KeyStep::Compromise { leaked, replacement } => self.compromise(leaked, replacement).await,
            step => {
                let mut done = self.decided(|fleet| decide(fleet, step)).await?;
                match (step, done.key) {
                    (KeyStep::Abort { .. }, Some(key)) => done.warning = self.discard(key).await,
                    (KeyStep::Destroy(_), Some(key)) => {
                        let erased = self.folder.erase(key);
                        done.warning = self.discard(key).await.or(erased.err().map(|error| error.to_string()));
                    }
                    _ => {}
                }
                Ok(done)
            }
        }
    }

    /// Begins a rotation, or goes on with the one that was begun. `before` is the key that this caller staged, should
    /// the store have lost its record since.
    ///
    /// # Errors
    ///
    /// [`KeyStepError`].
    pub async fn begin_rotation(&self, before: Option<KeyId>) -> Result<Staged, KeyStepError> {
        let standing = self.standing().await?;
        let Some(key) = standing.list.staged() else {
            return match before {
                None => self.stage_new().await,
                // Somebody has promoted it, or taken it back, since the caller looked.
                Some(key) if standing.list.record(key).is_some() => Ok(Staged::Before(key)),
                Some(key) => self.stage_again(key).await,
            };
        };
        self.go_on(&standing, key).await
    }

    /// Stages a key that the list has lost; another, where its bytes are lost as well.
    async fn stage_again(&self, key: KeyId) -> Result<Staged, KeyStepError> {
        let Some(key) = self.bytes_of(key, &self.store.parcels().await?)? else { return self.stage_new().await };
        self.stage(&key, |fleet| fleet.stage_again(key.id())).await?;
        Ok(Staged::New(key.id()))
    }

    /// Goes on with the key that is staged.
    pub(super) async fn go_on(&self, standing: &Standing, key: KeyId) -> Result<Staged, KeyStepError> {
        let parcels = self.store.parcels().await?;
        if let Some(bytes) = self.bytes_of(key, &parcels)? {
            self.send(&bytes, &parcels).await?;
            return Ok(Staged::Before(key));
        }
        let is_sent = parcels
            .iter()
            .any(|parcel| [WRAPPED_KEY, KEY_PROBE].map(|kind| format!("{kind}{key}")).contains(&parcel.name));
        if is_sent || standing.is_held(key) {
            return Ok(Staged::Before(key));
        }
        // Nobody has it. Whoever staged it has died before its bytes were anywhere, or is about to write them.
        let staged = standing.list.record(key).map_or(Seconds(0), |record| record.mark);
        if standing.fleet().now < staged.after(STAGING) {
            return Ok(Staged::Unfinished(key));
        }
        match self.change_keys(KeyStep::Abort { key, force: false }).await {
            // It may be that somebody has just put it on record again after a loss, and is about to.
            Err(KeyStepError::Refused(Refusal::MayHaveSealed(_))) => Ok(Staged::Unfinished(key)),
            Err(error) => Err(error),
            Ok(_) => self.stage_new().await,
        }
    }

    async fn stage_new(&self) -> Result<Staged, KeyStepError> {
        let key = Key::generate(self.now().seconds())?;
        self.stage(&key, |fleet| fleet.stage(key.id())).await?;
        Ok(Staged::New(key.id()))
    }

    /// Retires and destroys all keys whose time has come, and throws away what is kept for nodes of keys that are
    /// gone for good.
    ///
    /// # Errors
    ///
    /// [`Error`] of the store. A gate that is shut is none.
    pub async fn tidy_keys(&self) -> Result<Vec<(KeyId, KeyState)>, Error> {
        let mut done = Vec::new();
        let due = |standing: &Standing| {
            let ids = standing.list.records().map(|(key, record)| (key, record.state));
            ids.filter_map(|(key, state)| match state {
                KeyState::Active => Some(KeyStep::Retire { key, force: false }),
                KeyState::Retired => Some(KeyStep::Destroy(key)),
                _ => None,
            })
            .filter(|step| decide(&standing.fleet(), *step).is_ok())
            .collect::<Vec<_>>()
        };
        for step in due(&self.standing().await?) {
            match self.change_keys(step).await {
                Ok(KeyDone { change, .. }) => done.extend(change.iter().map(|(key, record)| (*key, record.state))),
                Err(KeyStepError::Refused(_)) => {}
                Err(KeyStepError::Failed(error)) => return Err(error),
            }
        }
        let view = self.view();
        for parcel in self.store.parcels().await? {
            let id = parcel.name.strip_prefix(WRAPPED_KEY).or_else(|| parcel.name.strip_prefix(KEY_PROBE));
            let state = id.and_then(|id| id.parse().ok()).map(|id| view.list.rotation().state(id));
            if matches!(state, Some(KeyState::Destroyed | KeyState::Compromised)) {
                self.store.discard(&parcel.name).await?;
            }
        }
        Ok(done)
    }

    /// How many live nodes deny a compromised key, when all do.
    ///
    /// # Errors
    ///
    /// [`KeyStepError`] with the nodes that have not heard.
    pub async fn compromise_is_complete(&self, key: KeyId) -> Result<usize, KeyStepError> {
        Ok(self.standing().await?.fleet().compromised(key)?)
    }

    /// Everything that gates look at, read now.
    pub(super) async fn standing(&self) -> Result<Standing, Error> {
        self.refresh().await?;
        let list = self.view().list.rotation().clone();
        let (profiles, nodes) = (self.profiles().await?, self.nodes().await?);
        let members = nodes.members();
        let lease = longest_lease(&nodes.nodes);
        let longest = profiles.iter().map(|profile| profile.longest).max().unwrap_or(crate::config::MAX_LIFETIME);
        Ok(Standing { list, members, nodes, terms: Terms { lease, longest, keep: self.keep } })
    }

    /// Decides on the list as it is, and publishes if it still is so then.
    async fn decided(
        &self,
        decide: impl Fn(&Fleet<'_>) -> Result<(Option<KeyId>, Change), Refusal>,
    ) -> Result<KeyDone, KeyStepError> {
        for _ in 0..ATTEMPTS {
            let standing = self.standing().await?;
            let (key, change) = decide(&standing.fleet())?;
            if change.is_empty() {
                return Ok(KeyDone { key, change, receipt: None, warning: None });
            }
            let wishes = wishes(&change);
            if let Some(receipt) = self.store.publish_over(standing.life(), &standing.list, &wishes).await? {
                self.replica.load().apply(&receipt.records, receipt.position);
                return Ok(KeyDone { key, change, receipt: Some(receipt), warning: None });
            }
        }
        Err(Error::Store {
            action: "publishing to the rotation list",
            problem: format!("it changed {ATTEMPTS} times while this was being decided"),
            fix: "Look who else rotates keys, and try again".into(),
            source: None,
        }
        .into())
    }

    /// Puts a key on record, if the gate lets it, and then on its way.
    pub(super) async fn stage(
        &self,
        key: &Key,
        gate: impl Fn(&Fleet<'_>) -> Result<Change, Refusal>,
    ) -> Result<KeyDone, KeyStepError> {
        let mut done = self.decided(|fleet| Ok((Some(key.id()), gate(fleet)?))).await?;
        done.warning = match (self.folder.keep_copy(key), &self.ring_secret) {
            (Ok(()), _) => None,
            (Err(error), Some(_)) => Some(error.to_string()),
            (Err(error), None) => {
                // It could not reach anybody.
                self.decided(|fleet| decide(fleet, KeyStep::Abort { key: key.id(), force: false })).await?;
                return Err(error.into());
            }
        };
        self.send(key, &[]).await?;
        Ok(done)
    }
}

/// How long whoever stages a key may take to write its bytes.
const STAGING: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) fn decide(fleet: &Fleet<'_>, step: KeyStep) -> Result<(Option<KeyId>, Change), Refusal> {
    Ok(match step {
        KeyStep::Recall(key) => (Some(key), fleet.recall(key)?),
        KeyStep::Promote(key) => match fleet.promote(key) {
            // Whoever asks again has not heard that it was done.
            Err(Refusal::Seals(_)) => (Some(key), Change::new()),
            change => (Some(key), change?),
        },
        KeyStep::Retire { key, force: false } => (Some(key), fleet.retire(key)?),
        KeyStep::Retire { key, force: true } => (Some(key), fleet.retire_now(key)?),
        KeyStep::Destroy(key) => (Some(key), fleet.destroy(key)?),
        KeyStep::Abort { key, force: false } => (Some(key), fleet.abort(key)?),
        KeyStep::Abort { key, force: true } => (Some(key), fleet.abort_lost(key)?),
        // These make keys, which no gate does.
        KeyStep::Stage | KeyStep::Compromise { .. } => (None, Change::new()),
    })
}

pub(super) fn wishes(change: &Change) -> Vec<Revocation> {
    change.iter().map(|&(key, record)| Revocation::Key { key, record }).collect()
}
