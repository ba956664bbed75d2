//! What all sessions of one configuration share, and the few calls that reach the store.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::claims::Tags;
use crate::config::Config;
use crate::counters::Counters;
use crate::error::Error;
use crate::id::{ShortId, TagKind};
use crate::io::follow::Follow;
use crate::judge::{self, Authentic, Refusal};
use crate::key::ListKey;
use crate::revocation::freshness::Admission;
use crate::revocation::{
    Freshness, Once, OnceValue, Raised, Receipt, Replica, Revocation, RevocationStore, RoutePolicy, View,
};
use crate::ring::{KeyRing, RingKey};
use crate::seal::Opened;
use crate::time::{Clock, Day, Now, Position};
use crate::verdict::Verdict;

/// The shared state behind [`Sessions`](crate::Sessions) and every [`Session`](crate::Session) of it.
pub struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) list_key: ListKey,
    pub(crate) replica: Arc<Replica>,
    pub(crate) ring: ArcSwap<KeyRing>,
    pub(crate) store: Arc<dyn RevocationStore>,
    pub(crate) follow: Follow,
}

impl Core {
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// The pipeline of one request, up to the decision. The store is asked only where the route and the
    /// list's age want it, and only for a cookie that opened and is in time.
    pub(crate) async fn admit<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a [u8]>,
        policy: RoutePolicy,
    ) -> Result<Opened, Refusal> {
        let now = self.now();
        let authentic = judge::authenticate(fields, &self.config, &self.ring.load(), now)?;
        {
            let view = self.replica.view();
            match policy.admit(view.freshness(self.config.bounds(), now)) {
                Admission::Local => return judge::judge(authentic, &view, now),
                Admission::Unavailable => return Err(Verdict::ListUnavailable.into()),
                Admission::Beat => {}
            }
        }
        // Boxed, so that the way that waits does not make the common one carry its state.
        Box::pin(self.confirm(authentic)).await
    }

    /// Judges by a list that was read after the request came.
    async fn confirm(&self, authentic: Authentic) -> Result<Opened, Refusal> {
        match self.follow.beat(false).await {
            Ok(_) => judge::judge(authentic, &self.replica.view(), self.now()),
            Err(_) => Err(Verdict::ListUnavailable.into()),
        }
    }

    pub(crate) fn freshness(&self) -> Freshness {
        self.replica.view().freshness(self.config.bounds(), self.now())
    }

    /// Publishes, then applies here, so that this process sees its own revocations at once.
    pub(crate) async fn publish(&self, revocations: &[Revocation]) -> Result<Receipt, Error> {
        let receipt = self.store.publish(revocations).await?;
        self.replica.apply(&receipt.records, receipt.position);
        Ok(receipt)
    }

    /// Raises a session's floor, and remembers what it is whoever raised it. Says whether it was us.
    pub(crate) async fn raise(&self, id: ShortId, floor: u32, day: Day) -> Result<bool, Error> {
        match self.store.raise(id, floor, day).await? {
            Raised::Done(receipt) => {
                self.replica.apply(&receipt.records, receipt.position);
                Ok(true)
            }
            Raised::Behind(known) => {
                self.replica.apply(&[known], Position(0));
                Ok(false)
            }
        }
    }

    /// The position at which a session with these tags is born, after everything that was revoked so far.
    ///
    /// Asks the store for one. If it does not answer and the list is fresh, the last known lower bound
    /// serves: too low a position can only deny too much.
    pub(crate) async fn born(&self, tags: &Tags) -> Result<Position, Error> {
        let stamped = match self.follow.beat(true).await {
            Ok(position) => position,
            Err(_) if self.freshness() == Freshness::Fresh => self.replica.view().lower_bound(),
            Err(error) => return Err(error),
        };
        Ok(stamped.max(self.replica.view().list.free_from(tags.all())))
    }

    /// The same for a visitor, who has nothing that could be cut off but by "everybody": no I/O.
    pub(crate) fn born_visitor(&self) -> Position {
        let view = self.replica.view();
        view.lower_bound().max(view.list.free_from(std::iter::empty()))
    }

    /// The last day on which a session of this configuration that exists by now can be alive. The store
    /// raises it where another one lives longer.
    pub(crate) fn last_day(&self) -> Day {
        self.now().seconds().after(self.config.absolute()).day()
    }

    pub(crate) fn tag(&self, kind: TagKind, name: &str) -> crate::id::Tag {
        self.list_key.tag(self.config.app(), kind, name)
    }

    pub(crate) async fn take_once(
        &self,
        nonce: u128,
        value: impl FnOnce([u8; 16]) -> OnceValue,
    ) -> Result<Once, Error> {
        self.store.take_once(value(self.list_key.once(self.config.app(), &nonce.to_be_bytes()))).await
    }

    /// Counts and logs a verdict, in one place.
    pub(crate) fn note(&self, verdict: Verdict, opened: Option<&Opened>, route: Option<&str>) {
        self.counters.count(verdict);
        let route = route.unwrap_or("-");
        if matches!(verdict, Verdict::Live | Verdict::NoCookie) {
            tracing::trace!(verdict = verdict.code(), route, "session");
            return;
        }
        let session = fmt::from_fn(|f| match opened {
            Some(opened) => write!(f, "{}", opened.handle()),
            None => f.write_str("-"),
        });
        let (cause, fix) = (verdict.cause(), verdict.fix());
        match verdict {
            Verdict::BadSeal | Verdict::Duplicate | Verdict::ListUnavailable | Verdict::FromTheFuture => {
                tracing::warn!(verdict = verdict.code(), route, %session, cause, fix, "no session");
            }
            _ => tracing::info!(verdict = verdict.code(), route, %session, cause, fix, "no session"),
        }
    }

    /// Puts a new ring in place when the keys at hand, the rotation list or the time want one.
    pub(crate) fn refresh_ring(&self, keys: Option<Vec<Arc<RingKey>>>) {
        refresh(&self.ring, keys, &self.replica.view(), &self.config, self.now());
    }
}

fn refresh(ring: &ArcSwap<KeyRing>, keys: Option<Vec<Arc<RingKey>>>, view: &View, config: &Config, now: Now) {
    let old = ring.load();
    let changed = keys.is_some() || old.rotation() != view.list.rotation();
    let keys = keys.unwrap_or_else(|| old.shared().to_vec());
    let new = KeyRing::assemble(keys, view.list.rotation().clone(), now.seconds(), config.propagation());
    let sealing = |ring: &KeyRing| ring.sealing().map(RingKey::id);
    if changed || sealing(&old) != sealing(&new) {
        match (sealing(&old), sealing(&new)) {
            (from, Some(to)) if from != Some(to) => {
                tracing::info!(key = %to, "sessions are sealed under another key from now on");
            }
            (_, None) => {
                tracing::error!("no key may seal: logins and new sessions fail until there is one (sealjar keys new)");
            }
            _ => {}
        }
        ring.store(Arc::new(new));
    }
}
