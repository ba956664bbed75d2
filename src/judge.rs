//! The one place that decides about a cookie. Pure: header bytes, ring, list and time in, verdict out.
//!
//! ```text
//! authenticate:  find ─► parse ─► suite ─► key ─► seal ─► times        no list needed
//! judge:         born ─► revoked?                                      against one view of the list
//! ```
//!
//! Between the two stands the only question that may need I/O: is the list current enough for this route?

use crate::claims::Claims;
use crate::config::{Config, SKEW};
use crate::cookie::header;
use crate::id::{KeyId, SessionId};
use crate::revocation::{Denial, View};
use crate::ring::KeyRing;
use crate::rotation::KeyState;
use crate::seal::{self, Opened};
use crate::time::Now;
use crate::verdict::Verdict;
use crate::wire::Unverified;

/// A session that is sealed by us and in time, and may still have been revoked.
pub struct Authentic {
    newest: Opened,
    /// Further copies of the same session, newest first. Nearly always empty.
    older: Vec<Opened>,
}

impl Authentic {
    /// Not to be judged now.
    #[must_use]
    pub fn refuse(self, verdict: Verdict) -> Refusal {
        Refusal { opened: vec![self.newest], ..verdict.into() }
    }
}

/// Why there is no session, with what is known of the one that was refused.
pub struct Refusal {
    /// The reason.
    pub verdict: Verdict,
    /// The sessions whose seal held: mostly none or one, several for a duplicate.
    pub opened: Vec<Opened>,
    /// The cookie of which only the key is missing, to be judged again when that may have come.
    pub unknown: Option<Box<UnknownKey>>,
}

/// A cookie under a key that is not at hand.
pub struct UnknownKey {
    /// The key that it names.
    pub id: KeyId,
    /// Name and value, as they stand in a `Cookie` field.
    pub cookie: Vec<u8>,
}

impl From<Verdict> for Refusal {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, opened: Vec::new(), unknown: None }
    }
}

/// Finds, opens and times the session in the request's `Cookie` fields.
///
/// Several cookies of our name: those that do not open are passed over if one does, copies of one session
/// are sorted newest first, and different sessions are a [`Verdict::Duplicate`], because a sibling host
/// may have planted one of them.
///
/// # Errors
///
/// A [`Refusal`] with the first reason that applies.
pub fn authenticate<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    config: &Config,
    ring: &KeyRing,
    now: Now,
) -> Result<Authentic, Refusal> {
    let candidates = header::find(fields, config.cookie().name())?;
    let mut newest = open(candidates.first, config, ring, now);
    let (first, mut older) = (candidates.first, Vec::new());
    for value in candidates.others {
        match (open(value, config, ring, now), &mut newest) {
            (Ok(next), Ok(_)) => older.push(next),
            (Ok(next), Err(_)) => newest = Ok(next),
            (Err(_), _) => {}
        }
    }
    let newest = newest.map_err(|verdict| Refusal { unknown: unknown(verdict, first, config), ..verdict.into() })?;
    if older.is_empty() {
        return match in_time(&newest, config, now) {
            Ok(()) => Ok(Authentic { newest, older }),
            Err(verdict) => Err(Refusal { opened: vec![newest], ..verdict.into() }),
        };
    }
    older.push(newest);
    if older.iter().any(|copy| copy.session != older[0].session) {
        return Err(Refusal { opened: older, ..Verdict::Duplicate.into() });
    }
    newest_in_time(older, config, now)
}

/// Judges an authentic session by the list.
///
/// # Errors
///
/// A [`Refusal`]: born beyond the list's own clock, or revoked.
pub fn judge(authentic: Authentic, view: &View, now: Now) -> Result<Opened, Refusal> {
    let Authentic { newest, older } = authentic;
    let decide = |copy: &Opened| decide(copy.session, &copy.claims, view, now);
    let verdict = match decide(&newest) {
        Ok(()) => return Ok(newest),
        Err(verdict) => verdict,
    };
    let passes = |copy: &Opened| decide(copy).is_ok();
    older.into_iter().find(passes).ok_or_else(|| Refusal { opened: vec![newest], ..verdict.into() })
}

/// What is kept of a cookie under an unknown key.
fn unknown(verdict: Verdict, value: &[u8], config: &Config) -> Option<Box<UnknownKey>> {
    if verdict != Verdict::UnknownKey {
        return None;
    }
    let envelope = Unverified::parse(value).ok()?;
    let cookie = [config.cookie().name().as_bytes(), b"=", value].concat();
    Some(Box::new(UnknownKey { id: envelope.key_id(), cookie }))
}

/// Opens one value: envelope, suite, key, seal. The key counts what it opened; that decides nothing.
fn open(value: &[u8], config: &Config, ring: &KeyRing, now: Now) -> Result<Opened, Verdict> {
    let envelope = Unverified::parse(value)?;
    if envelope.suite() != config.suite() {
        return Err(Verdict::WrongSuite);
    }
    let key = ring.find(envelope.key_id())?;
    let mut opened = seal::open(envelope, key, config.binding())?;
    opened.heard = ring.heard();
    key.note_opened(now.seconds());
    Ok(opened)
}

/// Whether the lifetimes allow a session now. Of two that have run out, the one that ended it first is named.
fn in_time(opened: &Opened, config: &Config, now: Now) -> Result<(), Verdict> {
    let (now, claims) = (now.seconds(), &opened.claims);
    let idle_end = claims.sealed_at.after(config.idle());
    if now >= idle_end && idle_end <= claims.expires {
        Err(Verdict::IdleExpired)
    } else if now >= claims.expires {
        Err(Verdict::AbsoluteExpired)
    } else if claims.sealed_at > now.after(SKEW) {
        Err(Verdict::FromTheFuture)
    } else {
        Ok(())
    }
}

fn newest_in_time(mut copies: Vec<Opened>, config: &Config, now: Now) -> Result<Authentic, Refusal> {
    copies.sort_by_key(|copy| std::cmp::Reverse((copy.claims.generation, copy.claims.sealed_at)));
    let verdict = in_time(&copies[0], config, now);
    let (mut good, mut late): (Vec<_>, Vec<_>) =
        copies.into_iter().partition(|copy| in_time(copy, config, now).is_ok());
    match verdict {
        Err(verdict) if good.is_empty() => Err(Refusal { opened: vec![late.swap_remove(0)], ..verdict.into() }),
        _ => {
            let newest = good.remove(0);
            Ok(Authentic { newest, older: good })
        }
    }
}

/// Why a session that was live when its request came is not good any more, if so: for connections that stay
/// open. Only its absolute lifetime ends it here, because what happens on an open connection renews no cookie.
#[must_use]
pub fn ended(session: SessionId, claims: &Claims, view: &View, now: Now) -> Option<Verdict> {
    if now.seconds() >= claims.expires {
        return Some(Verdict::AbsoluteExpired);
    }
    decide(session, claims, view, now).err()
}

/// The same for the key that its cookie came under: what a leaked key has sealed may claim any birth.
#[must_use]
pub fn leaked(key: KeyId, ring: &KeyRing) -> Option<Verdict> {
    (ring.state(key) == Some(KeyState::Compromised)).then_some(Verdict::CompromisedKey)
}

fn decide(session: SessionId, claims: &Claims, view: &View, now: Now) -> Result<(), Verdict> {
    if claims.born > view.clock(now).after(SKEW) {
        return Err(Verdict::FromTheFuture);
    }
    match view.list.check(session, claims) {
        None => Ok(()),
        Some(Denial::Session) => Err(Verdict::RevokedSession),
        Some(Denial::Subject) => Err(Verdict::RevokedSubject),
        Some(Denial::Tenant) => Err(Verdict::RevokedTenant),
        Some(Denial::Label) => Err(Verdict::RevokedLabel),
        Some(Denial::Everybody) => Err(Verdict::RevokedAll),
        Some(Denial::Superseded) => Err(Verdict::Superseded),
        // By the clock that dropped the records it was over.
        Some(Denial::Forgotten) => Err(Verdict::AbsoluteExpired),
    }
}
