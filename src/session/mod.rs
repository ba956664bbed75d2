//! One visitor's session, in the hands of one request.

mod change;
mod end;
mod extras;
mod login;
mod map;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::claims::Claims;
use crate::core::Core;
use crate::error::Error;
use crate::id::{Handle, SessionId};
use crate::revocation::{Durability, Revocation};
use crate::seal::Opened;
use crate::time::Seconds;
use crate::verdict::Verdict;

pub use change::Stamp;
use extras::Extras;
pub use extras::Taken;
pub use login::Login;
pub use map::Map;

/// What a type must be able to do to be a session: be written, be read back, and have an empty form.
///
/// Implemented for every type that can. Derive `Serialize`, `Deserialize` and `Default`; give fields
/// that you add later `#[serde(default)]`.
pub trait Payload: Serialize + DeserializeOwned + Default + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Default + Send + Sync + 'static> Payload for T {}

/// A session, opened for one request.
///
/// It is always there: when the cookie was missing or refused, it holds `T::default()` and
/// [`Session::verdict`] says why. Changes reach the browser when the session stamps the reply; a
/// changed session that is dropped without doing so says that loudly in the log. Stamp the replies of
/// pages that only read, too: that is how use is recorded against the idle lifetime.
///
/// ```
/// # use sealjar::{Session, Verdict};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)] struct Cart { items: u32 }
/// fn add_item(session: &mut Session<Cart>) {
///     session.update(|cart| cart.items += 1);
///     if !session.verdict().is_live() {
///         println!("a new cart, because: {}", session.verdict().cause());
///     }
/// }
/// ```
///
/// # Consistency
///
/// Two requests at once hold two copies of the session. The one whose response the browser stores last
/// wins; nothing is merged. Keep in the session what one request at a time changes.
pub struct Session<T: Payload> {
    core: Arc<Core>,
    value: T,
    verdict: Verdict,
    /// The cookie as it came, when it was good.
    kept: Option<Opened>,
    /// Sessions that were not opened for the app, and are as good as ever elsewhere: one of another type,
    /// or several under one name; or nobody can tell. Nothing of them is shown, and logging out ends them too.
    aside: Vec<Opened>,
    /// Who this session is from now on, where that is not who came in.
    renewed: Option<Box<Identity>>,
    extras: Extras,
    touched: bool,
    ended: bool,
    stamped: bool,
    route: Option<Box<str>>,
    /// The request's host, kept only where copies of the cookie must be expired.
    host: Option<Box<str>>,
}

/// What a session wants to know of the request it came with, beside the cookie.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Method and path, for the log.
    pub route: Option<&'a str>,
    /// The `Host` header, by which duplicates of the cookie are expired.
    pub host: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    id: SessionId,
    claims: Claims,
}

impl<T: Payload> Session<T> {
    /// A live session.
    pub(crate) fn live(core: Arc<Core>, opened: Opened, value: T, request: Request<'_>) -> Self {
        Self::new(core, Verdict::Live, Some(opened), value, request)
    }

    /// No session, and why, with the sessions whose seal held.
    pub(crate) fn refused(core: Arc<Core>, verdict: Verdict, opened: Vec<Opened>, request: Request<'_>) -> Self {
        let mut session = Self::new(core, verdict, None, T::default(), request);
        if matches!(verdict, Verdict::Undecodable | Verdict::Duplicate | Verdict::ListUnavailable) {
            session.aside = opened;
        }
        session
    }

    fn new(core: Arc<Core>, verdict: Verdict, kept: Option<Opened>, value: T, request: Request<'_>) -> Self {
        Self {
            core,
            value,
            verdict,
            renewed: None,
            extras: kept.as_ref().map(|opened| Extras::decode(opened.extras())).unwrap_or_default(),
            kept,
            aside: Vec::new(),
            touched: false,
            ended: false,
            stamped: false,
            route: request.route.map(Into::into),
            host: request.host.filter(|_| verdict == Verdict::Duplicate).map(Into::into),
        }
    }

    /// Why the session is there, or why it is not.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The app's data.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// Replaces the app's data.
    pub fn set(&mut self, value: T) {
        self.touched = true;
        self.value = value;
    }

    /// Changes the app's data. If it comes out as it was, nothing is written.
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        self.touched = true;
        change(&mut self.value)
    }

    /// Resolves when this session is not good any more, and says why: revoked, superseded, at the end of its
    /// absolute lifetime, or [`Verdict::ListUnavailable`] when the list is older than H (60 s), so that nobody
    /// can tell. For connections that stay open: close the WebSocket or the event stream then.
    ///
    /// The future stands on its own: take it before [`Session::reply`](crate::Session::reply) takes the
    /// session. A session that was never there is over at once. The idle lifetime does not end it, because
    /// what happens on an open connection renews no cookie.
    pub fn revoked(&self) -> impl Future<Output = Verdict> + Send + use<T> {
        let (core, verdict) = (self.core.clone(), self.verdict);
        let known = self.identity().map(|Identity { id, claims }| (id, claims));
        let under = self.kept.as_ref().filter(|kept| known.is_some_and(|(id, _)| id == kept.session));
        let under = under.map(|kept| kept.key);
        async move {
            match known {
                Some((id, claims)) => core.ended(id, claims, under).await,
                None => verdict,
            }
        }
    }

    /// Whether somebody is logged in: the session is live and has a subject.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.identity().is_some_and(|identity| identity.claims.tags.subject.is_some())
    }

    /// What people call this session; none while there is none.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.identity().map(|Identity { id, claims }| Handle { id: id.short(), day: claims.expires.day() })
    }

    /// When the session ends whatever happens; none while there is none.
    #[must_use]
    pub fn expires(&self) -> Option<Seconds> {
        self.identity().map(|identity| identity.claims.expires)
    }

    /// How long the session lasts if it is not used again; zero while there is none.
    ///
    /// A reply that refreshes the cookie sets it back to the whole idle lifetime, or to what the absolute
    /// one leaves.
    #[must_use]
    pub fn idle_left(&self) -> Duration {
        self.identity().map_or(Duration::ZERO, |Identity { claims, .. }| {
            let end = claims.sealed_at.after(self.core.config.idle()).min(claims.expires);
            self.core.now().seconds().until(end)
        })
    }

    /// Whether the user proved who they are within the last `span`: for pages that want a recent login.
    #[must_use]
    pub fn authenticated_within(&self, span: Duration) -> bool {
        let now = self.core.now().seconds();
        self.is_logged_in()
            && self.identity().is_some_and(|identity| identity.claims.authenticated_at.until(now) < span)
    }

    /// Begins a session for somebody who has just proved who they are: a new id, a new life.
    ///
    /// Takes a subject (`session.login("7", user)`), or a [`Login`] with tenant and labels. If the session
    /// had a subject before, that old session is revoked.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be reached; the session is then unchanged. A login needs the list's
    /// store, also where this node has a file of its own.
    ///
    /// # Security
    ///
    /// A cookie that somebody planted before the login is worthless after it: the id is new.
    pub async fn login(&mut self, login: impl Into<Login>, value: T) -> Result<Durability, Error> {
        self.writable()?;
        let tags = login.into().tags(&self.core)?;
        let mut identity = self.new_identity(self.core.born(&tags).await?)?;
        identity.claims.tags = tags;
        let extras = self.extras.without_once();
        // Before anything is revoked: a session that does not fit must not cost the one that is there.
        self.must_fit(identity, &extras, &value)?;
        let had_subject = |old: &&Opened| old.claims.tags.subject.is_some();
        let revocations: Vec<_> = self.sealed().filter(had_subject).map(end_of).collect();
        let durability = self.publish(&revocations).await?;
        self.renewed = Some(Box::new(identity));
        self.extras = extras;
        self.ended = false;
        self.set(value);
        Ok(durability)
    }

    /// Changes the session so that no older copy of its cookie restores what was there: for rights that
    /// are taken away and for things that are spent. Call it *before* acting on the change.
    ///
    /// Of two requests that do so at once one is told [`Error::Superseded`], and nothing is changed for it.
    /// A client that misses the response, or that had another request under way, must log in again.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be written; the session is then unchanged. This never waits in an
    /// own file: only the store can tell which of two is the first.
    /// [`Error::Superseded`] when this copy is not the newest any more; the session is then empty.
    pub async fn reduce<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        self.writable()?;
        if let (Some(identity), Some(_)) = (self.identity(), &self.kept) {
            let floor = identity.claims.generation.saturating_add(1);
            let (id, day) = (identity.id.short(), identity.claims.expires.day());
            if !self.core.raise(id, floor, day).await? {
                return Err(self.supersede());
            }
            let claims = Claims { generation: floor, ..identity.claims };
            self.renewed = Some(Box::new(Identity { claims, ..identity }));
        }
        Ok(self.update(change))
    }

    /// Leaves a message for the next request that asks: "your order was placed".
    pub fn flash(&mut self, message: impl Into<String>) {
        self.extras.flash(message.into());
    }

    /// Takes the messages that were left, oldest first. They are shown once.
    pub fn take_flashes(&mut self) -> Vec<String> {
        self.extras.take_flashes()
    }

    /// Seals a value into the session that can be taken once: a captcha's answer, an OAuth state.
    ///
    /// Nothing is stored on the server until it is taken. `lifetime` is at most 10 minutes. An offer of
    /// the same name takes the place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in a signed session, where the visitor could read the value; [`Error::Store`]
    /// before the list was first read.
    pub fn offer_once<A: Serialize>(&mut self, name: &str, value: &A, lifetime: Duration) -> Result<(), Error> {
        self.writable()?;
        self.extras.offer(&self.core, name, value, lifetime)
    }

    /// Whether this copy of the session holds a one-time value of that name. It may have been taken from
    /// another copy; only taking it tells.
    #[must_use]
    pub fn has_once(&self, name: &str) -> bool {
        self.extras.has(name)
    }

    /// Takes a one-time value: the first call anywhere gets it, every other copy of the cookie gets nothing.
    ///
    /// It is spent by this call, before the caller has looked at it. Where the effect is a database
    /// write anyway, a unique constraint there is better still.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be written: the value is not handed out then. This never waits in
    /// an own file: only the store can tell who is the first.
    pub async fn take_once<A: DeserializeOwned>(&mut self, name: &str) -> Result<Taken<A>, Error> {
        self.writable()?;
        self.extras.take(&self.core, name).await
    }

    /// Ends the use of a session that was only looked at: nothing is written, changes are lost on purpose.
    pub fn discard(mut self) {
        self.stamped = true;
    }

    /// Who this session is from now on; nobody when it is over, or never was there.
    fn identity(&self) -> Option<Identity> {
        let came_in = self.kept.as_ref().filter(|_| !self.ended);
        let came_in = || came_in.map(|opened| Identity { id: opened.session, claims: opened.claims });
        self.renewed.as_deref().copied().or_else(came_in)
    }

    /// What came in sealed: a copy of it can come again.
    fn sealed(&self) -> impl Iterator<Item = &Opened> {
        self.kept.iter().chain(&self.aside)
    }

    /// A session that was never sealed has no copies: nobody can come back with one.
    async fn publish(&self, revocations: &[Revocation]) -> Result<Durability, Error> {
        if revocations.is_empty() {
            return Ok(Durability::InForce);
        }
        Ok(self.core.publish(revocations).await?.durability)
    }

    /// Another request was first: this copy is an older one now, and holds nothing any more.
    fn supersede(&mut self) -> Error {
        self.end();
        self.ended = false;
        self.touched = false;
        self.kept = None;
        self.verdict = Verdict::Superseded;
        Error::Superseded
    }

    fn end(&mut self) {
        self.ended = true;
        self.renewed = None;
        self.extras = Extras::default();
        self.value = T::default();
    }

    fn writable(&self) -> Result<(), Error> {
        if self.verdict != Verdict::ListUnavailable {
            return Ok(());
        }
        Err(Error::Store {
            action: "changing the session",
            problem: "the revocation list is out of reach, so nobody can tell whether this session is still good"
                .into(),
            fix: "Try again in a moment; the client keeps its cookie".into(),
            source: None,
        })
    }
}

/// The end of one session, by its id.
const fn end_of(old: &Opened) -> Revocation {
    Revocation::Session { id: old.session.short(), day: old.claims.expires.day() }
}

impl<T: Payload> fmt::Debug for Session<T> {
    /// Never shows the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("verdict", &self.verdict)
            .field("handle", &self.handle())
            .finish_non_exhaustive()
    }
}

impl<T: Payload> Drop for Session<T> {
    fn drop(&mut self) {
        if !self.stamped && self.has_news() {
            self.core.counters.count_dropped();
            tracing::error!(
                route = self.route.as_deref().unwrap_or("-"),
                "a changed session was dropped without a reply, so the change is lost: answer with session.reply(..)"
            );
        }
    }
}
