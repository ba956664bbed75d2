//! Sealing and opening: bytes and a key in, bytes out.
//!
//! What gives a cookie its meaning is bound to its seal. The associated data is each of these with its
//! length in front (two bytes, big endian), so that no two sets of them run together:
//!
//! ```text
//!  suite 1 │ key id 4 │ session id 12 │ app id │ cookie name │ purpose
//!  └───── as received ───────────────┘
//! ```
//!
//! A cookie therefore never opens under another suite, key, app, name or purpose.

use crate::claims::Claims;
use crate::id::{Handle, KeyId, SessionId};
use crate::random;
use crate::ring::RingKey;
use crate::time::Position;
use crate::verdict::Verdict;
use crate::wire::{self, HEADER, NONCE, Suite, TAG, Unverified};

/// What a cookie is for. Part of its seal, so that one can never pass for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session.
    Session,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
        }
    }
}

/// The part of the associated data that is the same for every cookie of one configuration.
#[derive(Clone, Debug)]
pub struct Binding(Vec<u8>);

/// App id, cookie name and purpose fit: 32, 64 and 7 bytes with their lengths.
const MAX_BINDING: usize = 128;
/// Suite, key id and session id with their lengths.
const BOUND_HEADER: usize = 2 + 1 + 2 + 4 + 2 + 12;

impl Binding {
    /// Binds to an app id (at most 32 bytes), a cookie name (at most 64) and a purpose.
    ///
    /// # Panics
    ///
    /// When app id and name are longer; configuration refuses such before.
    #[must_use]
    pub fn new(app: &str, cookie: &str, purpose: Purpose) -> Self {
        let mut bytes = Vec::new();
        for field in [app, cookie, purpose.name()] {
            push_field(&mut bytes, field.as_bytes());
        }
        assert!(bytes.len() <= MAX_BINDING, "app id and cookie name are checked by the configuration");
        Self(bytes)
    }

    /// The associated data of an envelope with this header, on the stack.
    fn aad(&self, header: &[u8]) -> Aad {
        let mut aad = Aad { bytes: [0; BOUND_HEADER + MAX_BINDING], length: 0 };
        for field in [&header[..1], &header[1..5], &header[5..HEADER]] {
            aad.push(&[0, u8::try_from(field.len()).unwrap_or(u8::MAX)]);
            aad.push(field);
        }
        aad.push(&self.0);
        aad
    }
}

struct Aad {
    bytes: [u8; BOUND_HEADER + MAX_BINDING],
    length: usize,
}

impl Aad {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn push_field(out: &mut Vec<u8>, field: &[u8]) {
    out.extend_from_slice(&u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(field);
}

/// An envelope whose seal held. Authentic, which is not yet to say allowed now.
pub struct Opened {
    /// The suite it is of.
    pub suite: Suite,
    /// The key it was sealed under.
    pub key: KeyId,
    /// The session.
    pub session: SessionId,
    /// What the seal vouches for.
    pub claims: Claims,
    /// All that was published up to this position was known to who opened it, a denial of its key among it. The judge
    /// says so.
    pub heard: Position,
    bytes: Vec<u8>,
    /// The extras reach to the payload, and that to the end.
    extras_at: usize,
    payload_at: usize,
}

impl Opened {
    /// What people call the session.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        Handle { id: self.session.short(), day: self.claims.expires.day() }
    }

    /// The app's data, encoded.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// Flash messages and one-time values, encoded; mostly empty.
    #[must_use]
    pub fn extras(&self) -> &[u8] {
        &self.bytes[self.extras_at..self.payload_at]
    }
}

/// Verifies an envelope under the key that it names.
///
/// # Errors
///
/// [`Verdict::BadSeal`], and [`Verdict::Malformed`] for claims of another layout behind a valid seal.
pub fn open(envelope: Unverified, key: &RingKey, binding: &Binding) -> Result<Opened, Verdict> {
    let (suite, session) = (envelope.suite(), envelope.session_id());
    let (payload_at, mac_at) = envelope.signed_parts();
    let mut bytes = envelope.into_bytes();
    let aad = binding.aad(&bytes[..HEADER]);
    let claims_at = match suite {
        Suite::Encrypted => {
            let body_at = HEADER + NONCE;
            let (head, body) = bytes.split_at_mut(body_at);
            let (body, tag) = body.split_last_chunk_mut::<TAG>().ok_or(Verdict::Malformed)?;
            let nonce = full_nonce(session, head[HEADER..].try_into().map_err(|_| Verdict::Malformed)?);
            key.sub().seal.open(&nonce, aad.bytes(), body, tag).map_err(|_| Verdict::BadSeal)?;
            let end = bytes.len() - TAG;
            bytes.truncate(end);
            body_at
        }
        Suite::Signed => {
            let fields = [aad.bytes(), &bytes[HEADER..payload_at], &bytes[payload_at..mac_at]];
            key.sub().sign.verify_fields(&fields, &bytes[mac_at..]).map_err(|_| Verdict::BadSeal)?;
            bytes.truncate(mac_at);
            HEADER
        }
    };
    let (claims, extras, rest) = Claims::decode(&bytes[claims_at..]).ok_or(Verdict::Malformed)?;
    let rest_at = bytes.len() - rest.len();
    let extras_at = rest_at - extras.len();
    if suite == Suite::Signed && rest_at != payload_at {
        return Err(Verdict::Malformed);
    }
    let heard = Position::default();
    Ok(Opened { suite, key: key.id(), session, claims, heard, bytes, extras_at, payload_at: rest_at })
}

/// Everything that goes into a seal.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// The session.
    pub session: SessionId,
    /// What the seal vouches for.
    pub claims: &'a Claims,
    /// Flash messages and one-time values, encoded.
    pub extras: &'a [u8],
    /// The app's data, encoded.
    pub payload: &'a [u8],
}

/// Seals into the cookie's value, with a fresh nonce.
///
/// # Errors
///
/// [`Verdict::TooLarge`] for lengths that no cookie can have.
pub fn seal(suite: Suite, content: Content<'_>, key: &RingKey, binding: &Binding) -> Result<String, Verdict> {
    seal_with(suite, content, key, binding, &random::fresh())
}

/// [`seal`] with the nonce's randomness given: the pure function under it.
///
/// The nonce is *hedged*: HMAC, under a sub-key of its own, of the randomness with the associated data
/// and the message. If a machine's random state is ever repeated (a restored snapshot, a fork), two
/// different messages still get two nonces.
///
/// # Errors
///
/// As [`seal`].
pub fn seal_with(
    suite: Suite,
    content: Content<'_>,
    key: &RingKey,
    binding: &Binding,
    randomness: &[u8; 32],
) -> Result<String, Verdict> {
    if content.payload.len() > wire::MAX_COOKIE || content.extras.len() > wire::MAX_COOKIE {
        return Err(Verdict::TooLarge);
    }
    let mut bytes = Vec::with_capacity(HEADER + NONCE + 128 + content.extras.len() + content.payload.len() + TAG);
    bytes.push(suite.byte());
    bytes.extend_from_slice(&key.id().0);
    bytes.extend_from_slice(&content.session.0);
    let aad = binding.aad(&bytes);
    match suite {
        Suite::Encrypted => {
            bytes.extend_from_slice(&[0; NONCE]);
            content.claims.encode(content.extras, &mut bytes);
            bytes.extend_from_slice(content.payload);
            let (head, body) = bytes.split_at_mut(HEADER + NONCE);
            let nonce = hedge(key, randomness, &aad, body);
            head[HEADER..].copy_from_slice(&nonce);
            let nonce = full_nonce(content.session, &nonce);
            let tag = key.sub().seal.seal(&nonce, aad.bytes(), body).map_err(|_| Verdict::TooLarge)?;
            bytes.extend_from_slice(&tag);
            Ok(wire::encode(&bytes))
        }
        Suite::Signed => {
            content.claims.encode(content.extras, &mut bytes);
            let mac = key.sub().sign.sign_fields(&[aad.bytes(), &bytes[HEADER..], content.payload]);
            Ok(wire::encode_signed(&bytes, content.payload, &mac))
        }
    }
}

/// The session id is the first half: XAES then gives every session a key of its own.
fn full_nonce(session: SessionId, fresh: &[u8; NONCE]) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..12].copy_from_slice(&session.0);
    nonce[12..].copy_from_slice(fresh);
    nonce
}

fn hedge(key: &RingKey, randomness: &[u8; 32], aad: &Aad, message: &[u8]) -> [u8; NONCE] {
    let digest = key.sub().hedge.sign_fields(&[randomness, aad.bytes(), message]);
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&digest[..NONCE]);
    nonce
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
