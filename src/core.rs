//! What all sessions of one configuration share, and the few calls that reach the store.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::claims::{Claims, Tags};
use crate::config::Config;
use crate::core_keys::Keys;
use crate::counters::{Counters, Published, Spending};
use crate::error::Error;
use crate::id::{KeyId, SessionId, ShortId, Tag, TagKind};
use crate::io::follow::Follow;
use crate::io::wake::Wake;
use crate::judge::{self, Authentic, Refusal, UnknownKey};
use crate::key::ListKey;
use crate::revocation::freshness::Admission;
use crate::revocation::{
    Durability, Freshness, Once, OnceValue, Raised, Receipt, Record, Replica, Report, Revocation, RevocationStore,
    RoutePolicy, View,
};
use crate::ring::{KeyRing, RingKey};
use crate::seal::Opened;
use crate::sealing::{Said, Sealing};
use crate::time::{Clock, Day, Now, Position};
use crate::verdict::Verdict;

/// An open connection looks at the clock this often, if nothing happens.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The shared state behind [`Sessions`](crate::Sessions) and every [`Session`](crate::Session) of it.
pub struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) list_key: Arc<ListKey>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) ring: ArcSwap<KeyRing>,
    pub(crate) store: Arc<dyn RevocationStore>,
    pub(crate) follow: Follow,
    pub(crate) shared: Shared,
    pub(crate) keys: Keys,
}

/// What requests, beats and open connections tell each other.
#[derive(Default)]
pub struct Shared {
    /// Rings when the list may have changed.
    pub(crate) changed: Wake,
    never_lapses: NeverLapses,
    sealing: Mutex<Sealing>,
}

/// A node whose routes go on for ever may do so only when everybody who waits for nodes knows it.
#[derive(Default)]
struct NeverLapses {
    wanted: AtomicBool,
    /// Said in a beat that may not have counted.
    said: AtomicBool,
    /// Said in a beat that counted.
    known: AtomicBool,
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
        let authentic = match judge::authenticate(fields, &self.config, &self.ring.load(), now) {
            Err(Refusal { unknown: Some(unknown), .. }) => Box::pin(self.look_again(unknown)).await?,
            authentic => authentic?,
        };
        let policy = self.granted(policy);
        {
            let view = self.replica.view();
            match policy.admit(view.freshness(self.config.bounds(), now)) {
                Admission::Local => return judge::judge(authentic, &view, now),
                Admission::Unavailable => return Err(authentic.refuse(Verdict::ListUnavailable)),
                Admission::Beat => {}
            }
        }
        // Boxed, so that the way that waits does not make the common one carry its state.
        Box::pin(self.confirm(authentic)).await
    }

    /// A key that is not here may have been put in use elsewhere a moment ago.
    async fn look_again(&self, unknown: Box<UnknownKey>) -> Result<Authentic, Refusal> {
        self.look_for_key(unknown.id, self.now()).await?;
        judge::authenticate([&*unknown.cookie], &self.config, &self.ring.load(), self.now())
    }

    /// Judges by a list that was read after the request came.
    async fn confirm(&self, authentic: Authentic) -> Result<Opened, Refusal> {
        match self.follow.beat(false).await {
            Ok(_) => judge::judge(authentic, &self.replica.view(), self.now()),
            Err(_) => Err(authentic.refuse(Verdict::ListUnavailable)),
        }
    }

    /// A route may go on with a lost list only after everybody who waits for nodes can know it.
    fn granted(&self, policy: RoutePolicy) -> RoutePolicy {
        match policy {
            RoutePolicy::AllowWhenLost if !self.shared.never_lapses.known.load(Ordering::Acquire) => {
                RoutePolicy::Relaxed
            }
            policy => policy,
        }
    }

    /// From the next beat on, this node says that it never lapses.
    pub(crate) fn allow_when_lost(&self) {
        self.shared.never_lapses.wanted.store(true, Ordering::Release);
    }

    /// What this node says of itself.
    pub(crate) fn report(&self, name: String) -> Report {
        let never = self.shared.never_lapses.wanted.load(Ordering::Acquire);
        self.shared.never_lapses.said.store(never, Ordering::Release);
        let lease = (!never).then_some(self.config.bounds().lost);
        let sealing = self.ring.load().sealing().map(|key| key.id().to_string());
        let verdicts = self.counters.verdicts().filter(|(_, count)| *count > 0);
        let verdicts = verdicts.map(|(verdict, count)| (verdict.code().to_owned(), count)).collect();
        let (keys, durable) = (self.key_reports(), self.keys_are_durable());
        Report { keys, sealing, durable, verdicts, ..Report::new(name, lease) }
    }

    /// After a beat that counted. `heard` is whether the store has heard this node's report.
    pub(crate) fn after_beat(&self, heard: bool) {
        let never_lapses = &self.shared.never_lapses;
        never_lapses.known.store(heard && never_lapses.said.load(Ordering::Acquire), Ordering::Release);
        self.refresh_ring(None);
        self.shared.changed.all();
    }

    /// Waits until this session is not good any more, and says why: revoked, expired, or nobody can tell
    /// because the list is lost.
    pub(crate) async fn ended(&self, id: SessionId, claims: Claims, under: Option<KeyId>) -> Verdict {
        let mut waiter = self.shared.changed.waiter();
        loop {
            let now = self.now();
            let verdict = {
                let view = self.replica.view();
                let lost = matches!(view.freshness(self.config.bounds(), now), Freshness::Lost | Freshness::Joining);
                let leaked = under.and_then(|key| judge::leaked(key, &self.ring.load()));
                let ended = leaked.or_else(|| judge::ended(id, &claims, &view, now));
                ended.or(lost.then_some(Verdict::ListUnavailable))
            };
            if let Some(verdict) = verdict {
                return verdict;
            }
            waiter.changed(LOOK_AGAIN).await;
        }
    }

    pub(crate) fn freshness(&self) -> Freshness {
        self.replica.view().freshness(self.config.bounds(), self.now())
    }

    /// Publishes, then applies here, so that this process sees its own revocations at once.
    pub(crate) async fn publish(&self, revocations: &[Revocation]) -> Result<Receipt, Error> {
        self.published(self.store.publish(revocations).await)
    }

    /// The same for what somebody wants to end: where the store is away, it may wait in this node's own file.
    pub(crate) async fn revoke(&self, revocations: &[Revocation]) -> Result<Receipt, Error> {
        self.published(self.store.publish_or_spool(revocations).await)
    }

    fn published(&self, outcome: Result<Receipt, Error>) -> Result<Receipt, Error> {
        self.counters.count_published(Published::of(&outcome.as_ref().map(|receipt| receipt.durability)));
        let receipt = outcome?;
        if receipt.durability == Durability::Accepted {
            self.replica.enforce_unplaced(&receipt.records);
        }
        self.apply(&receipt.records, receipt.position);
        Ok(receipt)
    }

    /// Raises a session's floor, and remembers what it is whoever raised it. Says whether it was us.
    pub(crate) async fn raise(&self, id: ShortId, floor: u32, day: Day) -> Result<bool, Error> {
        match self.store.raise(id, floor, day).await? {
            Raised::Done(receipt) => {
                self.apply(&receipt.records, receipt.position);
                Ok(true)
            }
            Raised::Behind(known) => {
                self.apply(&[known], Position(0));
                Ok(false)
            }
        }
    }

    fn apply(&self, records: &[Record], position: Position) {
        self.replica.apply(records, position);
        self.shared.changed.all();
    }

    /// The position at which a session with these tags is born, after everything that was revoked so far.
    ///
    /// Asks the store for one. If it does not answer and the list is fresh, the last known lower bound
    /// serves: too low a position can only deny too much. Unless cut-offs wait for the store: they will be
    /// published above every position known now, and nobody is let in to be thrown out then.
    pub(crate) async fn born(&self, tags: &Tags) -> Result<Position, Error> {
        let stamped = match self.follow.beat(true).await {
            Ok(position) => position,
            Err(_) if self.freshness() == Freshness::Fresh => self.replica.view().lower_bound(),
            Err(error) => return Err(error),
        };
        if self.store.own_file().is_some_and(|file| file.cut_offs > 0) {
            return Err(Error::Store {
                action: "logging in",
                problem: "a cut-off that was accepted while the list's store was away is not published yet, and \
                          would end this session as well"
                    .to_owned(),
                fix: "Try again in a moment; if this goes on, the log says why it is not published".into(),
                source: None,
            });
        }
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

    pub(crate) fn tag(&self, kind: TagKind, name: &str) -> Tag {
        self.tag_of(kind, &[name])
    }

    pub(crate) fn tag_of(&self, kind: TagKind, name: &[&str]) -> Tag {
        self.list_key.tag_of(self.config.app(), kind, name)
    }

    pub(crate) async fn take_once(
        &self,
        nonce: u128,
        value: impl FnOnce([u8; 16]) -> OnceValue,
    ) -> Result<Once, Error> {
        let taken = self.store.take_once(value(self.list_key.once(self.config.app(), &nonce.to_be_bytes()))).await;
        self.counters.count_spent(match &taken {
            Ok(Once::First) => Spending::First,
            Ok(Once::Spent) => Spending::Replay,
            Ok(Once::Foreign | Once::Expired) => Spending::Refused,
            Err(_) => Spending::Failed,
        });
        taken
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
        let now = self.now();
        refresh(&self.ring, keys, &self.replica.view(), &self.config, now);
        self.tell_what_seals(now);
    }

    fn tell_what_seals(&self, now: Now) {
        let sealing = self.ring.load().sealing().map(RingKey::id);
        let said = self.shared.sealing.lock().unwrap_or_else(PoisonError::into_inner).see(sealing, now.boot);
        match said {
            Some(Said::Another(key)) => tracing::info!(%key, "sessions are sealed under another key from now on"),
            Some(Said::Waits) => {
                let waits_for = self.keys.where_from();
                tracing::info!(waits_for, "no key may seal yet: logins and new sessions fail until one has come");
            }
            Some(Said::Missing) => {
                tracing::error!("no key may seal: logins and new sessions fail until there is one (sealjar keys new)");
            }
            None => {}
        }
    }
}

fn refresh(ring: &ArcSwap<KeyRing>, keys: Option<Vec<Arc<RingKey>>>, view: &View, config: &Config, now: Now) {
    let old = ring.load();
    let changed = keys.is_some() || old.rotation() != view.list.rotation();
    let keys = keys.unwrap_or_else(|| old.shared().to_vec());
    let new = KeyRing::assemble(keys, view.list.rotation().clone(), now.seconds(), config.propagation());
    let new = new.as_of(view.lower_bound());
    let sealing = |ring: &KeyRing| ring.sealing().map(RingKey::id);
    if changed || old.heard() != new.heard() || sealing(&old) != sealing(&new) {
        ring.store(Arc::new(new));
    }
}
