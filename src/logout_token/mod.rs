//! A logout token of OpenID Connect Back-Channel Logout 1.0: verified as a pure function of its bytes, the rules,
//! the provider's keys and the time.
//!
//! ```text
//! bytes ─► size ─► three parts ─► alg, crit, typ ─► Unverified ─► key ─► signature ─► claims ─► LogoutRequest
//!          └──────── Unverified::parse ────────┘                  └── Unverified::verify ─┘
//! ```
//!
//! The order is deliberate: what needs no key comes first, so that garbage costs nothing; claims come behind the
//! signature. Section numbers are those of the specification, final version with errata set 1, unless another is named.
//!
//! What section 2.6 leaves open is decided so:
//!
//! - **`typ`** (section 2.4 recommends `logout+jwt`; section 4.1 warns that demanding it breaks providers): absent,
//!   `JWT` and `logout+jwt` are taken, any other is refused. [`Rules::require_type`] demands it.
//! - **Encryption** (step 1) is not supported: a JWE is refused.
//! - **`exp`** is required, as by section 2.4, and may lie [`Rules::longest`] ahead.
//! - **Clocks** may differ by 60 s.
//! - **`jti`** (step 8) is looked up by the receiver, which has the memory. Steps 9 to 11, whether `iss`, `sub` and
//!   `sid` are those of a session here, would want a list of sessions; there is none, and a logout of a session that does
//!   not exist does nothing.
//! - Keys, or places of keys, that a header brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.

mod claims;
mod keys;
mod pace;
mod refusal;

use std::time::Duration;

use serde::Deserialize;

use crate::time::{Seconds, minutes};
use crate::wire;

use claims::Claims;

pub use claims::{EVENT, LogoutRequest, Scope};
pub use keys::{Algorithm, KeySet, MAX_JWKS, NotAKeySet, VerifyingKey};
pub use pace::{Cached, Pace, Step};
pub use refusal::Refusal;

/// The most that a logout token may have, in bytes. They have one or two thousand.
pub const MAX_TOKEN: usize = 16 * 1024;

/// What a logout token has to be like.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The provider's issuer identifier; `iss` must equal it.
    pub issuer: String,
    /// The id that the app is registered with at the provider; `aud` must have it.
    pub client_id: String,
    /// What `aud` may have besides. None unless told otherwise.
    pub trusted_audiences: Vec<String>,
    /// The signatures that are accepted. RS256 unless told otherwise (section 2.6, step 3).
    pub algorithms: Vec<Algorithm>,
    /// How far ahead a token may expire. 10 minutes unless told otherwise; section 4 recommends 2 to providers.
    pub longest: Duration,
    /// Whether `typ` must be `logout+jwt` (OWASP ASVS 5.0, 10.5.5).
    pub require_type: bool,
}

impl Rules {
    /// The rules for tokens of an issuer, for a client.
    #[must_use]
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            trusted_audiences: Vec::new(),
            algorithms: vec![Algorithm::Rs256],
            longest: minutes(10),
            require_type: false,
        }
    }
}

/// Verifies a logout token: [`Unverified::parse`], then [`Unverified::verify`].
///
/// # Errors
///
/// [`Refusal`].
pub fn verify(token: &[u8], rules: &Rules, keys: &KeySet, now: Seconds) -> Result<LogoutRequest, Refusal> {
    Unverified::parse(token, rules)?.verify(rules, keys, now)
}

/// A token that has the form of a logout token. Nothing in it is authentic yet, and the name says so.
pub struct Unverified<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// What is signed: header and payload as they came.
    message: &'a [u8],
    payload: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a JWS in its compact form apart (RFC 7515, section 5.2), and judges its header.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`] before anything is decoded; [`Refusal::Encrypted`], [`Refusal::Malformed`],
    /// [`Refusal::Algorithm`], [`Refusal::Critical`], [`Refusal::Type`].
    pub fn parse(token: &'a [u8], rules: &Rules) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLarge);
        }
        let parts: Vec<_> = token.splitn(6, |byte| *byte == b'.').collect();
        let [head, payload, signature] = parts[..] else {
            return Err(if parts.len() == 5 { Refusal::Encrypted } else { Refusal::Malformed });
        };
        let (algorithm, key_id) = judge_header(token, head, rules)?;
        let message = &token[..head.len() + 1 + payload.len()];
        let signature = decode(signature)?;
        Ok(Self { algorithm, key_id, message, payload, signature })
    }

    /// Verifies the signature under one of the provider's keys, then judges what the token says.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownKey`] and [`Refusal::BadSignature`] before any claim is looked at.
    pub fn verify(&self, rules: &Rules, keys: &KeySet, now: Seconds) -> Result<LogoutRequest, Refusal> {
        let key = keys.find(self.key_id.as_deref(), self.algorithm)?;
        key.verify(self.algorithm, self.message, &self.signature)?;
        Claims::decode(&decode(self.payload)?)?.judge(rules, now)
    }
}

/// The algorithm, if it is an accepted one, and the key's id, if there is one.
fn judge_header(token: &[u8], head: &[u8], rules: &Rules) -> Result<(Algorithm, Option<String>), Refusal> {
    let Ok(header) = jsonwebtoken::decode_header(token) else {
        return Err(undecodable(head));
    };
    let accepted = |algorithm: &Algorithm| rules.algorithms.contains(algorithm);
    let algorithm = Algorithm::of_header(header.alg).filter(accepted).ok_or(Refusal::Algorithm)?;
    if header.crit.is_some() {
        return Err(Refusal::Critical);
    }
    if !type_fits(header.typ.as_deref(), rules.require_type) {
        return Err(Refusal::Type);
    }
    Ok((algorithm, header.kid))
}

/// The decoder does not read a header whose algorithm it has never heard of, and `none` is one of these.
fn undecodable(head: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Named {
        alg: String,
    }
    let named = decode(head).ok().and_then(|json| serde_json::from_slice::<Named>(&json).ok());
    match named {
        Some(Named { alg }) if Algorithm::from_name(&alg).is_none() => Refusal::Algorithm,
        _ => Refusal::Malformed,
    }
}

/// Media types are compared without their case, and `application/` may be left out (RFC 7515, section 4.1.9).
fn type_fits(named: Option<&str>, required: bool) -> bool {
    let Some(named) = named else { return !required };
    let named = named.to_ascii_lowercase();
    match named.strip_prefix("application/").unwrap_or(&named) {
        "logout+jwt" => true,
        "jwt" => !required,
        _ => false,
    }
}

fn decode(part: &[u8]) -> Result<Vec<u8>, Refusal> {
    std::str::from_utf8(part).ok().and_then(wire::decode).ok_or(Refusal::Malformed)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
