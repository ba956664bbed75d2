//! What must happen to the cookie at the end of a request: write it, remove it, or leave it alone.
//!
//! ```text
//!  logged out ───────► remove
//!  list unavailable ─► 503, cookie untouched
//!  duplicate ────────► remove every copy
//!  changed, new, due for a refresh, sealed under an old key ─► seal and write
//!  else ─────────────► nothing
//! ```

use std::borrow::Cow;
use std::fmt;

use super::extras::Extras;
use super::{Identity, Payload, Session};
use crate::claims::{Claims, Tags};
use crate::error::Error;
use crate::id::{KeyId, SessionId};
use crate::payload;
use crate::random;
use crate::seal::{self, Content};
use crate::time::{Position, Seconds};
use crate::verdict::Verdict;

/// What the response has to carry.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub enum Stamp {
    /// No cookie. The session was read, so the response varies by `Cookie`.
    Nothing,
    /// These `Set-Cookie` lines, `Cache-Control: no-store`, and it varies by `Cookie`.
    SetCookie(Vec<String>),
    /// 503 with `Retry-After`, and no cookie: the list is out of reach, the client keeps what it has.
    Unavailable,
}

impl fmt::Debug for Stamp {
    /// Never shows the cookie: whoever has it is the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::SetCookie(lines) => write!(f, "SetCookie({} lines)", lines.len()),
            Self::Unavailable => f.write_str("Unavailable"),
        }
    }
}

impl<T: Payload> Session<T> {
    /// Decides what the response must carry, and seals the cookie if it must be written.
    ///
    /// Faces for a web framework call this; with warp it is `Session::reply`. The session is finished then.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], naming the heaviest fields, [`Error::Random`], [`Error::Usage`] for a type that
    /// cannot be written, [`Error::Key`] when no key may seal. The browser then keeps the cookie it has.
    pub fn commit(mut self) -> Result<Stamp, Error> {
        self.stamped = true;
        if self.verdict == Verdict::ListUnavailable && !self.ended {
            return Ok(Stamp::Unavailable);
        }
        let began = self.core.now();
        let now = began.seconds();
        let rules = self.core.config.cookie();
        let payload = self.payload()?;
        let mut lines = Vec::new();
        if self.verdict == Verdict::Duplicate {
            lines = rules.remove_all(self.host.as_deref());
        } else if self.ended {
            lines.push(rules.remove());
        }
        if let Some(identity) = self.identity_to_write(payload.changed, now)? {
            // Ours is written, not removed; copies elsewhere still go.
            lines.drain(..1.min(lines.len()));
            lines.push(self.write(identity, &self.extras.encode()?, &payload.bytes, &self.value, now)?);
            self.core.counters.sealing().observe(self.core.now().boot.saturating_sub(began.boot));
        }
        Ok(if lines.is_empty() { Stamp::Nothing } else { Stamp::SetCookie(lines) })
    }

    /// Whether anything happened that the browser should hear of.
    pub(super) fn has_news(&self) -> bool {
        self.ended
            || self.extras.changed()
            || self.renewed.is_some()
            || (self.touched && self.payload().is_ok_and(|p| p.changed))
    }

    /// Whose cookie to write, if one is to be written.
    fn identity_to_write(&self, payload_changed: bool, now: Seconds) -> Result<Option<Identity>, Error> {
        let changed = payload_changed || self.extras.changed();
        match (self.identity(), &self.kept) {
            (None, _) if changed && (payload_changed || !self.extras.is_empty()) => {
                self.new_identity(self.core.born_visitor()).map(Some)
            }
            (None, _) => Ok(None),
            (Some(identity), Some(kept)) => {
                let due = kept.claims.sealed_at.until(now) >= self.core.config.refresh();
                let old_key = self.core.ring.load().sealing().is_some_and(|key| key.id() != kept.key);
                Ok((changed || due || old_key || self.renewed.is_some()).then_some(identity))
            }
            (Some(identity), None) => Ok(Some(identity)),
        }
    }

    /// A session that begins now.
    pub(super) fn new_identity(&self, born: Position) -> Result<Identity, Error> {
        let now = self.core.now().seconds();
        let claims = Claims {
            born,
            generation: 0,
            sealed_at: now,
            expires: now.after(self.core.config.absolute()),
            authenticated_at: now,
            tags: Tags::default(),
            schema: self.core.config.schema(),
        };
        Ok(Identity { id: SessionId(random::kernel()?), claims })
    }

    /// Refuses what could not be written at the end, while nothing has happened yet.
    pub(super) fn must_fit(&self, identity: Identity, extras: &Extras, value: &T) -> Result<(), Error> {
        let mut payload = Vec::with_capacity(512);
        payload::encode(self.core.config.suite(), value, &mut payload)?;
        self.write(identity, &extras.encode()?, &payload, value, self.core.now().seconds()).map(drop)
    }

    fn write(
        &self,
        identity: Identity,
        extras: &[u8],
        payload: &[u8],
        value: &T,
        now: Seconds,
    ) -> Result<String, Error> {
        let (config, ring) = (&self.core.config, self.core.ring.load());
        let key = ring.sealing().ok_or_else(|| {
            Error::key(
                "every key at hand is out of service, so nothing can be sealed",
                "Make one with `sealjar keys new`",
            )
        })?;
        // Bytes that are passed on unread keep the schema that they were written with.
        let schema = if self.touched { config.schema() } else { identity.claims.schema };
        let claims = Claims { born: self.birth(&identity, key.id()), sealed_at: now, schema, ..identity.claims };
        let content = Content { session: identity.id, claims: &claims, extras, payload };
        let sealed = seal::seal(config.suite(), content, key, config.binding());
        let characters = config.cookie().characters(sealed.as_ref().map_or(payload.len() * 4 / 3, String::len));
        match sealed {
            Ok(value) if characters <= config.cookie().limit() => {
                Ok(config.cookie().set(value, now.until(claims.expires)))
            }
            _ => {
                Err(Error::TooLarge { characters, limit: config.cookie().limit(), heaviest: payload::heaviest(value) })
            }
        }
    }

    /// Who is carried over to another key was born before anything that this node had not heard of when it opened the
    /// cookie. Else whoever has a leaked key could have a birth of their choice sealed under a good one, above the cut-off
    /// that will come with the denial. An honest birth is no later anyway: who had heard of the newer key sealed with it.
    fn birth(&self, identity: &Identity, key: KeyId) -> Position {
        let carried_over = self.kept.as_ref().filter(|kept| kept.session == identity.id && kept.key != key);
        carried_over.map_or(identity.claims.born, |kept| identity.claims.born.min(kept.heard))
    }

    /// The app's data, encoded, and whether it differs from what came in (or from an empty session).
    fn payload(&self) -> Result<Encoded<'_>, Error> {
        let suite = self.core.config.suite();
        let kept = self.kept.as_ref().filter(|_| !self.ended);
        if let (Some(kept), false) = (kept, self.touched) {
            return Ok(Encoded { bytes: Cow::Borrowed(kept.payload()), changed: false });
        }
        if !self.touched && self.identity().is_none() && self.extras.is_empty() {
            return Ok(Encoded { bytes: Cow::Borrowed(&[]), changed: false });
        }
        let mut bytes = Vec::with_capacity(512);
        payload::encode(suite, &self.value, &mut bytes)?;
        let mut before = Vec::new();
        let before = if let Some(kept) = kept {
            kept.payload()
        } else {
            payload::encode(suite, &T::default(), &mut before)?;
            &before
        };
        let changed = self.touched && before != bytes;
        Ok(Encoded { bytes: Cow::Owned(bytes), changed })
    }
}

struct Encoded<'a> {
    bytes: Cow<'a, [u8]>,
    changed: bool,
}
