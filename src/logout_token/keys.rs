//! A provider's public keys, and the signatures that they verify.
//!
//! `jsonwebtoken` reads the JWK Set (RFC 7517) and the keys in it, `ring` verifies. A key is bound to what it can
//! verify when it is read: an RSA key to RS256 and PS256, a P-256 key to ES256, an Ed25519 key to `EdDSA`, and to one
//! of these where its `alg` says so. Keys with a shared secret are never taken, so no HMAC can be verified here,
//! whatever a token's header asks for.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;

use super::refusal::Refusal;

/// The most that a JWK Set may have, in bytes. Nothing larger is read or parsed.
pub const MAX_JWKS: usize = 256 * 1024;
/// The most keys that a set may have. Providers publish two or three.
const MAX_KEYS: usize = 64;

/// The algorithms that logout tokens can be signed with (RFC 7518, section 3.1; RFC 8037, section 3.1).
///
/// All of them use a key pair: there is no `none` and no HMAC to switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2048 to 8192 bits. What OpenID Connect has when nothing is agreed on.
    Rs256,
    /// RSASSA-PSS with SHA-256, keys of 2048 to 8192 bits.
    Ps256,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// What JOSE calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name; names are compared with their case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn of_header(algorithm: jsonwebtoken::Algorithm) -> Option<Self> {
        match algorithm {
            jsonwebtoken::Algorithm::RS256 => Some(Self::Rs256),
            jsonwebtoken::Algorithm::PS256 => Some(Self::Ps256),
            jsonwebtoken::Algorithm::ES256 => Some(Self::Es256),
            jsonwebtoken::Algorithm::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }

    const fn of_jwk(algorithm: KeyAlgorithm) -> Option<Self> {
        match algorithm {
            KeyAlgorithm::RS256 => Some(Self::Rs256),
            KeyAlgorithm::PS256 => Some(Self::Ps256),
            KeyAlgorithm::ES256 => Some(Self::Es256),
            KeyAlgorithm::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// The keys of one issuer that can verify something.
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    passed_over: usize,
}

/// A public key, and what it verifies.
pub struct VerifyingKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why bytes are no usable JWK Set; never repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKeySet {
    /// Beyond [`MAX_JWKS`].
    #[error("it is larger than {MAX_JWKS} bytes")]
    TooLarge,
    /// Not JSON, or JSON of another shape.
    #[error("it is not a JWK Set: an object with an array `keys`")]
    Malformed,
    /// More keys than any provider has.
    #[error("it has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// A set, and of no use.
    #[error("it has no key that could verify RS256, PS256, ES256 or EdDSA")]
    NoUsableKey,
}

impl KeySet {
    /// Reads a JWK Set. Keys that are of another kind, for another use, too short or incomplete are passed over, as
    /// RFC 7517, section 5, wants it: a provider may publish keys that this version knows nothing of.
    ///
    /// # Errors
    ///
    /// [`NotAKeySet`] when the whole is not one, or has no key of use.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAKeySet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        if bytes.len() > MAX_JWKS {
            return Err(NotAKeySet::TooLarge);
        }
        let Set { keys } = serde_json::from_slice(bytes).map_err(|_| NotAKeySet::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(NotAKeySet::TooManyKeys);
        }
        let all = keys.len();
        let jwks = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<_> = jwks.filter_map(|jwk| VerifyingKey::of(&jwk)).collect();
        if keys.is_empty() {
            return Err(NotAKeySet::NoUsableKey);
        }
        Ok(Self { passed_over: all - keys.len(), keys })
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set without a usable key is not read as one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys were passed over when the set was read.
    #[must_use]
    pub const fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// The one key that a header means.
    ///
    /// By its id, never by trial. A header without `kid` is fine where only one key could be meant (OpenID Connect
    /// Core 1.0, section 10.1).
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownKey`] when there is none, or more than one.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&VerifyingKey, Refusal> {
        let fits = |key: &&VerifyingKey| {
            key.algorithms.contains(&algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        let mut found = self.keys.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(Refusal::UnknownKey),
        }
    }
}

impl VerifyingKey {
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let for_signatures = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let kinds: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[Algorithm::Rs256, Algorithm::Ps256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::Es256],
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDsa],
            _ => &[],
        };
        let wanted = |algorithm: &Algorithm| {
            common.key_algorithm.is_none_or(|named| Algorithm::of_jwk(named) == Some(*algorithm))
        };
        let algorithms: Vec<_> = kinds.iter().copied().filter(wanted).collect();
        if algorithms.is_empty() || !for_signatures {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let sound = match key.kind() {
            // No leading zeros (RFC 7518, section 6.3.1.1); ring takes 2048 to 8192 bits.
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
                n.first() != Some(&0) && (2048..=8192).contains(&bits) && !e.is_empty()
            }
            DecodingKeyKind::SecretOrDer(point) => {
                point.len() == if algorithms == [Algorithm::Es256] { 1 + 32 + 32 } else { 32 }
            }
        };
        sound.then(|| Self { id: common.key_id.clone(), algorithms, key })
    }

    /// Verifies a signature over a message. The algorithm is one of the key's own, or nothing holds.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadSignature`].
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let plain = |with: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(with, key).verify(message, signature).is_ok()
        };
        let rsa = |with: &'static RsaParameters, n: &[u8], e: &[u8]| {
            RsaPublicKeyComponents { n, e }.verify(with, message, signature).is_ok()
        };
        let holds = self.algorithms.contains(&algorithm)
            && match (algorithm, self.key.kind()) {
                (Algorithm::Rs256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                    rsa(&signature::RSA_PKCS1_2048_8192_SHA256, n, e)
                }
                (Algorithm::Ps256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                    rsa(&signature::RSA_PSS_2048_8192_SHA256, n, e)
                }
                (Algorithm::Es256, DecodingKeyKind::SecretOrDer(point)) => {
                    plain(&signature::ECDSA_P256_SHA256_FIXED, point)
                }
                (Algorithm::EdDsa, DecodingKeyKind::SecretOrDer(point)) => plain(&signature::ED25519, point),
                _ => false,
            };
        if holds { Ok(()) } else { Err(Refusal::BadSignature) }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys, {} passed over)", self.keys.len(), self.passed_over)
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
