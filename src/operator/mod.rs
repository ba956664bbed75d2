//! What operators do, from the command line or through the admin endpoint: one value for both.
//!
//! An operator's tool reads the list and writes to it, and serves no sessions: it is no node, and nobody
//! waits for it.

mod automatic;
mod emergency;
mod key_status;
mod keys;
mod open;
mod parcels;
mod revoke;
mod rewrap;
mod scope;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::{Config, PROPAGATION};
use crate::error::Error;
use crate::explain::{Explanation, KeyNodes, explain};
use crate::io::folder::KeyFolder;
use crate::io::follow::Follow;
use crate::key::{ListKey, RingSecret};
use crate::revocation::{Beat, Follower, Nodes, Profile, Replica, RevocationStore, View};
use crate::ring::{KeyRing, RingKey};
use crate::time::{Clock, Now, Position};

pub use key_status::{FleetKeys, KeyRole, KeyStatus, NextStep};
pub use keys::{KeyDone, KeyStep, KeyStepError, Staged};
pub use rewrap::Rewrapped;
pub use scope::{Scope, SessionName};

/// An open list with everything that tools need beside it.
pub struct Operator {
    store: Arc<dyn RevocationStore>,
    app: String,
    list_key: Arc<ListKey>,
    folder: KeyFolder,
    clock: Clock,
    replica: ArcSwap<Replica>,
    ring_secret: Option<Arc<RingSecret>>,
    keep: Duration,
    /// Whether it may remove what is kept for the nodes.
    throws_away: bool,
    /// Follows the list, once somebody wants that.
    follow: OnceLock<Follow>,
    /// Taken by whoever reads the list just now.
    follower: Mutex<Option<Box<dyn Follower>>>,
}

impl Operator {
    /// Follows the list from now on, for tools that run on: its view is current, and it gives back what the
    /// store has lost, as nodes do. `on_beat` runs after every beat that counted, and hears how long what is new
    /// was on its way. Does nothing the second time.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn keep_following(&self, on_beat: impl Fn(&Beat, &[Duration]) + Send + Sync + 'static) {
        let (store, replica, clock) = (self.store.clone(), self.replica.load_full(), self.clock.clone());
        self.follow.get_or_init(|| Follow::watch(store, replica, clock, on_beat));
    }

    /// Stops following: for the end of a program.
    pub async fn leave(&self) {
        if let Some(follow) = self.follow.get() {
            follow.leave().await;
        }
    }

    /// With the ring secret of the nodes, so that new keys reach them through the list.
    #[must_use]
    pub fn with_ring_secret(mut self, secret: Option<RingSecret>) -> Self {
        self.ring_secret = secret.map(Arc::new);
        self
    }

    /// Whether new keys reach the nodes through the list.
    #[must_use]
    pub const fn has_ring_secret(&self) -> bool {
        self.ring_secret.is_some()
    }

    /// How long a key's bytes are kept after it was retired, in case it is wanted back. Default: 24 hours.
    #[must_use]
    pub const fn keep_retired(mut self, span: Duration) -> Self {
        self.keep = span;
        self
    }

    /// Reads what is new in the list. Does nothing while another call is doing so.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be read.
    pub async fn refresh(&self) -> Result<(), Error> {
        if let Some(follow) = self.follow.get() {
            return follow.beat(false).await.map(drop);
        }
        let slot = || self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = slot().take();
        let Some(mut follower) = taken else { return Ok(()) };
        let now = self.now();
        let beat = follower.beat(false).await;
        *slot() = Some(follower);
        let mut beat = beat?;
        // What a tool remembers it has from the list itself; nodes give back what a store has lost. Until they
        // have, it decides on what is there.
        let mut again = beat.clone();
        if !self.replica.load().absorb(&mut beat, now).is_empty() {
            let there = Replica::default();
            let _ = there.absorb(&mut again, now);
            self.replica.store(Arc::new(there));
        }
        self.replica.load().confirm(&beat, now);
        Ok(())
    }

    /// The list as it was read last.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.replica.load().view())
    }

    /// The app that the list is for.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Where the list is.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn RevocationStore> {
        &self.store
    }

    /// The key under which names are hashed.
    #[must_use]
    pub fn list_key(&self) -> &ListKey {
        &self.list_key
    }

    /// Where the keys are.
    #[must_use]
    pub const fn folder(&self) -> &KeyFolder {
        &self.folder
    }

    /// Where the time comes from.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Who follows the list.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be read.
    pub async fn nodes(&self) -> Result<Nodes, Error> {
        self.store.nodes(Position(0)).await
    }

    /// How each cookie of the app is configured.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be read.
    pub async fn profiles(&self) -> Result<Vec<Profile>, Error> {
        self.store.profiles().await
    }

    /// Explains a bare value, or the `Cookie:` and `Set-Cookie:` lines in a text, by every configuration that
    /// an app announced in this list, and keeps the explanation that got furthest: a bare value does not say
    /// under which name it was set.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when no app has announced a cookie yet, [`Error::Key`] when the key folder cannot be
    /// read, [`Error::Store`] when the list cannot.
    pub async fn explain(&self, text: &str) -> Result<Explanation, Error> {
        let keys = self.in_folder()?.keys.iter().map(|key| RingKey::new(key, &self.app).into()).collect();
        let (view, now) = (self.view(), self.now());
        let ring = KeyRing::assemble(keys, view.list.rotation().clone(), now.seconds(), PROPAGATION);
        let mut best: Option<Explanation> = None;
        for profile in self.profiles().await? {
            let config = Config::of_profile(&self.app, &profile)?;
            for line in cookie_lines(text) {
                let next = explain(line, &config, &ring, &view, now);
                if best.as_ref().is_none_or(|best| reach(best) < reach(&next)) {
                    best = Some(next);
                }
            }
        }
        let mut best = best.ok_or_else(|| {
            Error::config(
                format!("no app has announced a cookie in {} yet", self.store.describe()),
                "Start the app once on this list; it says then how its cookie is named and how long it lives",
            )
        })?;
        if let Some(key) = best.key.as_deref().and_then(|key| key.parse().ok()) {
            best.key_nodes = Some(KeyNodes::of(key, &self.nodes().await?));
        }
        Ok(best)
    }
}

/// The lines of a pasted request or response that carry cookies; without any, all of the text.
fn cookie_lines(text: &str) -> Vec<&str> {
    let is_cookie = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().trim();
        line.contains(':') && (name.eq_ignore_ascii_case("cookie") || name.eq_ignore_ascii_case("set-cookie"))
    };
    let lines: Vec<_> = text.lines().filter(is_cookie).collect();
    if lines.is_empty() { vec![text] } else { lines }
}

fn reach(explanation: &Explanation) -> usize {
    let steps = [explanation.characters.is_some(), explanation.key_state.is_some(), explanation.session.is_some()];
    steps.into_iter().filter(|reached| *reached).count() + usize::from(explanation.verdict().is_live())
}
