//! All sessions of one app: opens them, revokes them, watches keys and list.

use std::sync::Arc;
use std::time::Duration;

use crate::builder::Builder;
use crate::core::Core;
use crate::counters::Counters;
use crate::error::Error;
use crate::explain::{Explanation, explain};
use crate::id::{Handle, TagKind};
use crate::io::in_force::{self, Reached, Wish};
#[cfg(doc)]
use crate::metrics;
use crate::payload;
use crate::revocation::{Freshness, OwnFileState, Progress, Receipt, Revocation, RoutePolicy};
use crate::ring::KeyRing;
use crate::seal::Opened;
use crate::session::{Payload, Request, Session};
use crate::verdict::Verdict;
use crate::wire::Suite;

/// The sessions of one app, configured and running. Cheap to clone; make one and share it.
///
/// ```no_run
/// # #[derive(Default, serde::Serialize, serde::Deserialize)] struct Visitor { name: String }
/// # async fn start() -> Result<(), sealjar::Error> {
/// use sealjar::{Sessions, hours, minutes};
/// let sessions = Sessions::<Visitor>::builder("shop")
///     .keys("keys")                                // the key ring's folder, from `sealjar keys init`
///     .list("sqlite:sealjar.db")                   // what was revoked
///     .idle(minutes(30))
///     .absolute(hours(12))
///     .start()
///     .await?;
/// # Ok(()) }
/// ```
pub struct Sessions<T: Payload> {
    pub(crate) core: Arc<Core>,
    migrate: Option<Migrate<T>>,
    policy: RoutePolicy,
}

/// Turns a payload of an older schema into today's type.
pub(crate) type Migrate<T> = Arc<dyn Fn(Old<'_>) -> Option<T> + Send + Sync>;

/// A payload that the app's type does not fit any more.
#[derive(Clone, Copy)]
pub struct Old<'a> {
    schema: u16,
    suite: Suite,
    bytes: &'a [u8],
}

impl Old<'_> {
    /// The schema version that it was sealed with.
    #[must_use]
    pub const fn schema(&self) -> u16 {
        self.schema
    }

    /// Reads it as an older type.
    #[must_use]
    pub fn decode<U: serde::de::DeserializeOwned>(&self) -> Option<U> {
        payload::decode(self.suite, self.bytes).ok()
    }
}

impl<T: Payload> Sessions<T> {
    /// Begins a configuration for the app with this id: 3 to 32 lower-case letters, digits and `-`.
    ///
    /// The id is part of every seal: cookies of one app never open in another.
    pub fn builder(app: impl Into<String>) -> Builder<T> {
        Builder::new(app.into())
    }

    pub(crate) fn new(core: Arc<Core>, migrate: Option<Migrate<T>>) -> Self {
        Self { core, migrate, policy: RoutePolicy::Default }
    }

    /// The same sessions for routes that go on with a list up to H old (60 s).
    #[must_use]
    pub fn relaxed(&self) -> Self {
        Self { policy: RoutePolicy::Relaxed, ..self.clone() }
    }

    /// The same sessions for routes that ask the list's store about every session.
    #[must_use]
    pub fn strict(&self) -> Self {
        Self { policy: RoutePolicy::Strict, ..self.clone() }
    }

    /// The same sessions for routes that go on with whatever list there is, however old it is.
    ///
    /// # Security
    ///
    /// While the list's store is away, what is revoked elsewhere goes on working here, without a bound. This
    /// node says so to the others, so that nothing counts as in force before it has heard of it; until it
    /// could say so, the route is as [`Sessions::relaxed`].
    #[must_use]
    pub fn allow_when_lost(&self) -> Self {
        self.core.allow_when_lost();
        Self { policy: RoutePolicy::AllowWhenLost, ..self.clone() }
    }

    /// Waits until a revocation is worth more than being committed, for instance in force on every node;
    /// `on_progress` is told as nodes confirm, with the time since the call.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be asked. The revocation is as durable as its receipt says.
    pub async fn wait(
        &self,
        receipt: &Receipt,
        wish: Wish,
        on_progress: impl FnMut(&Progress, Duration) + Send,
    ) -> Result<Reached, Error> {
        in_force::wait(&*self.core.store, &self.core.clock, receipt, wish, on_progress).await
    }

    /// Stops following the list and takes this node off the list of those that are waited for: for the end
    /// of a program. No session is opened any more; every request gets 503.
    pub async fn leave(&self) {
        self.core.follow.leave().await;
    }

    /// Opens the session that came with a request. There always is one; its verdict says why it is empty.
    ///
    /// `cookies` are the raw values of all `Cookie` fields. With warp, use `Sessions::open`.
    pub async fn begin<'a>(&self, cookies: impl IntoIterator<Item = &'a [u8]>, request: Request<'_>) -> Session<T> {
        let sampled = self.core.counters.is_sample().then(|| self.core.now());
        let (verdict, opened) = match self.core.admit(cookies, self.policy).await {
            Ok(opened) => match self.decode(&opened) {
                Some((value, migrated)) => {
                    self.core.note(Verdict::Live, Some(&opened), request.route);
                    let mut session = Session::live(self.core.clone(), opened, value, request);
                    if migrated {
                        session.update(|_| ());
                    }
                    if let Some(began) = sampled {
                        self.core.counters.opening().observe(self.core.now().boot.saturating_sub(began.boot));
                    }
                    return session;
                }
                None => (Verdict::Undecodable, vec![opened]),
            },
            Err(refusal) => (refusal.verdict, refusal.opened),
        };
        self.core.note(verdict, opened.first(), request.route);
        Session::refused(self.core.clone(), verdict, opened, request)
    }

    /// Ends one session, by the handle that logs and `explain` print.
    ///
    /// Where the list's store is away and this node has an [own file](Builder::own_file), the receipt says
    /// [`Durability::Accepted`](crate::revocation::Durability::Accepted): it is enforced by this process, and
    /// published as soon as the store answers.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when neither can be written: then nothing was revoked.
    pub async fn revoke_session(&self, handle: Handle) -> Result<Receipt, Error> {
        self.core.revoke(&[Revocation::Session { id: handle.id, day: handle.day }]).await
    }

    /// Ends every session of a subject that has begun by now.
    ///
    /// # Errors
    ///
    /// As [`Sessions::revoke_session`].
    pub async fn revoke_subject(&self, subject: &str) -> Result<Receipt, Error> {
        self.cut_off(TagKind::Subject, subject).await
    }

    /// Ends every session of a tenant that has begun by now.
    ///
    /// # Errors
    ///
    /// As [`Sessions::revoke_session`].
    pub async fn revoke_tenant(&self, tenant: &str) -> Result<Receipt, Error> {
        self.cut_off(TagKind::Tenant, tenant).await
    }

    /// Ends every session with a label that has begun by now.
    ///
    /// # Errors
    ///
    /// As [`Sessions::revoke_session`].
    pub async fn revoke_label(&self, label: &str) -> Result<Receipt, Error> {
        self.cut_off(TagKind::Label, label).await
    }

    /// Ends every session that has begun by now.
    ///
    /// # Errors
    ///
    /// As [`Sessions::revoke_session`]. While it waits for the store, nobody can log in here.
    pub async fn revoke_all(&self) -> Result<Receipt, Error> {
        self.core.revoke(&[Revocation::Everybody]).await
    }

    /// Explains a bare value, a `Cookie:` line or a `Set-Cookie:` line. For operators, not for clients.
    #[must_use]
    pub fn explain(&self, text: &str) -> Explanation {
        let Core { config, ring, replica, .. } = &*self.core;
        explain(text, config, &ring.load(), &replica.view(), self.core.now())
    }

    /// How often each verdict was reached.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// What monitoring reads of this process: text for Prometheus, of the type [`metrics::CONTENT_TYPE`].
    ///
    /// Verdicts, the list's state and age, what is in it, publications, one-time values, keys by state, how
    /// long opening and sealing took. Names of people, sessions and cookies are in none of it.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.core.metrics()
    }

    /// How far the revocation list can be trusted now.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.core.freshness()
    }

    /// How this node's own file fares: what waits in it for the list's store, and why it cannot be written, if so.
    /// None without one ([`Builder::own_file`]).
    #[must_use]
    pub fn own_file(&self) -> Option<OwnFileState> {
        self.core.store.own_file()
    }

    /// The key ring of this moment.
    #[must_use]
    pub fn key_ring(&self) -> Arc<KeyRing> {
        self.core.ring.load_full()
    }

    /// The configuration, checked.
    #[must_use]
    pub fn config(&self) -> &crate::config::Config {
        &self.core.config
    }

    async fn cut_off(&self, kind: TagKind, name: &str) -> Result<Receipt, Error> {
        self.core.revoke(&[Revocation::CutOff { tag: self.core.tag(kind, name), day: self.core.last_day() }]).await
    }

    /// The app's type, and whether it was migrated from an older one.
    fn decode(&self, opened: &Opened) -> Option<(T, bool)> {
        let (suite, bytes, schema) = (opened.suite, opened.payload(), opened.claims.schema);
        let migrate = || self.migrate.as_ref()?(Old { schema, suite, bytes }).map(|value| (value, true));
        if schema != self.core.config.schema()
            && let Some(migrated) = migrate()
        {
            return Some(migrated);
        }
        match payload::decode(suite, bytes) {
            Ok(value) => Some((value, false)),
            Err(payload::Undecodable) => migrate(),
        }
    }
}

impl<T: Payload> Clone for Sessions<T> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), migrate: self.migrate.clone(), policy: self.policy }
    }
}

impl<T: Payload> std::fmt::Debug for Sessions<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("app", &self.core.config.app())
            .field("cookie", &self.core.config.cookie().name())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
