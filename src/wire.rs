//! The envelope: what the cookie's value looks like before anything in it is believed.
//!
//! ```text
//! suite 1, encrypted   b64( 01 │ key id 4 │ session id 12 │ nonce 12 │ sealed claims and payload │ tag 16 )
//! suite 2, signed      b64( 02 │ key id 4 │ session id 12 │ claims ) . b64( JSON payload ) . b64( HMAC 32 )
//! ```
//!
//! `b64` is base64url without padding (RFC 4648, section 5), canonical: an ending with stray bits is
//! refused, so each envelope has exactly one spelling. Lengths are checked before anything is decoded.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::NO_PAD;
use memchr::memchr;

use crate::claims::MIN_CLAIMS;
use crate::id::{KeyId, SessionId};
use crate::verdict::Verdict;

/// The most that browsers take for a cookie's name and value together (RFC 6265bis, section 5.6).
pub const MAX_COOKIE: usize = 4096;

/// Suite, key id and session id: what both suites begin with.
pub const HEADER: usize = 1 + 4 + 12;
/// The random half of the nonce that is new in every seal.
pub const NONCE: usize = 12;
/// The authentication tag of AES-256-GCM.
pub const TAG: usize = 16;
/// The signature of suite 2.
pub const MAC: usize = 32;

const MIN_ENCRYPTED: usize = HEADER + NONCE + MIN_CLAIMS + TAG;
const MIN_SIGNED: usize = HEADER + MIN_CLAIMS;

/// How a session is sealed. The first byte of the envelope names it, and it fixes everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Suite {
    /// XAES-256-GCM: nobody but the servers can read it.
    #[default]
    Encrypted,
    /// HMAC-SHA256: anybody who holds it can read it, nobody but the servers can change it.
    Signed,
}

impl Suite {
    /// The first byte of the envelope.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Encrypted => 1,
            Self::Signed => 2,
        }
    }

    /// `encrypted` or `signed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Signed => "signed",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Encrypted, Self::Signed].into_iter().find(|suite| suite.byte() == byte)
    }
}

/// A parsed envelope. Nothing in it is authentic yet, and the name says so.
pub struct Unverified {
    suite: Suite,
    bytes: Vec<u8>,
    /// Where the payload and the signature of suite 2 begin; both 0 in suite 1.
    payload_at: usize,
    mac_at: usize,
}

impl Unverified {
    /// Parses a cookie's value.
    ///
    /// # Errors
    ///
    /// [`Verdict::TooLarge`] before anything is decoded, [`Verdict::WrongSuite`] for a first byte that no
    /// suite has, otherwise [`Verdict::Malformed`].
    pub fn parse(value: &[u8]) -> Result<Self, Verdict> {
        if value.len() > MAX_COOKIE {
            return Err(Verdict::TooLarge);
        }
        let mut parts = parts(value);
        let head = parts.next().unwrap_or_default();
        let mut bytes = Vec::with_capacity(value.len() / 4 * 3 + 3);
        decode_into(head, &mut bytes)?;
        let suite = Suite::from_byte(*bytes.first().ok_or(Verdict::Malformed)?).ok_or(Verdict::WrongSuite)?;
        let (payload_at, mac_at) = match suite {
            Suite::Encrypted => (0, 0),
            Suite::Signed => {
                let payload_at = bytes.len();
                decode_into(parts.next().ok_or(Verdict::Malformed)?, &mut bytes)?;
                let mac_at = bytes.len();
                decode_into(parts.next().ok_or(Verdict::Malformed)?, &mut bytes)?;
                (payload_at, mac_at)
            }
        };
        let whole = parts.next().is_none()
            && match suite {
                Suite::Encrypted => bytes.len() >= MIN_ENCRYPTED,
                Suite::Signed => payload_at >= MIN_SIGNED && bytes.len() - mac_at == MAC,
            };
        if whole { Ok(Self { suite, bytes, payload_at, mac_at }) } else { Err(Verdict::Malformed) }
    }

    /// Which suite it claims to be of.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Which key it claims to be sealed under.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; 4];
        id.copy_from_slice(&self.bytes[1..5]);
        KeyId(id)
    }

    /// Which session it claims to be.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[5..HEADER]);
        SessionId(id)
    }

    /// The decoded bytes, for the code that verifies them.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The parts of a signed envelope: claims, payload and signature begin here.
    pub(crate) const fn signed_parts(&self) -> (usize, usize) {
        (self.payload_at, self.mac_at)
    }
}

/// Writes an encrypted envelope.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    B64.encode(bytes)
}

/// Writes a signed envelope from its three parts.
#[must_use]
pub fn encode_signed(head: &[u8], payload: &[u8], mac: &[u8]) -> String {
    let mut text = String::with_capacity((head.len() + payload.len() + mac.len()).div_ceil(3) * 4 + 4);
    B64.encode_string(head, &mut text);
    text.push('.');
    B64.encode_string(payload, &mut text);
    text.push('.');
    B64.encode_string(mac, &mut text);
    text
}

/// Decodes base64url text of ours: no padding, no stray bits. For key files and one-off values.
#[must_use]
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    B64.decode(text).ok()
}

/// base64's vector engine where the processor has one; a fifth of the time of the portable one.
static B64: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));

/// The parts between dots: one more than there are dots.
fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let left = rest?;
        let end = memchr(b'.', left);
        rest = end.map(|end| &left[end + 1..]);
        Some(&left[..end.unwrap_or(left.len())])
    })
}

fn decode_into(text: &[u8], out: &mut Vec<u8>) -> Result<(), Verdict> {
    B64.decode_vec(text, out).map_err(|_| Verdict::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<(), Verdict> {
        Unverified::parse(encode(bytes).as_bytes()).map(|_| ())
    }

    #[test]
    fn the_first_byte_decides() {
        let mut bytes = vec![0; MIN_ENCRYPTED];
        bytes[0] = 1;
        assert_eq!(parse(&bytes), Ok(()));
        bytes[0] = 3;
        assert_eq!(parse(&bytes), Err(Verdict::WrongSuite));
        bytes[0] = 2;
        assert_eq!(parse(&bytes), Err(Verdict::Malformed), "a signed envelope has three parts");
    }

    #[test]
    fn lengths_are_checked() {
        let mut bytes = vec![0; MIN_ENCRYPTED - 1];
        bytes[0] = 1;
        assert_eq!(parse(&bytes), Err(Verdict::Malformed));
        let long = vec![b'A'; MAX_COOKIE + 1];
        assert_eq!(Unverified::parse(&long).err(), Some(Verdict::TooLarge));
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let mut bytes = vec![0; MIN_ENCRYPTED];
        bytes[0] = 1;
        let good = encode(&bytes);
        assert_eq!(good.len() % 4, 0, "this test wants an ending without spare bits; extend by one byte");
        bytes.push(0);
        let good = encode(&bytes);
        assert!(Unverified::parse(good.as_bytes()).is_ok());
        for bad in [
            format!("{good}=="),
            format!("{good}="),
            format!("{}B", &good[..good.len() - 1]),
            format!("{}+{}", &good[..9], &good[10..]),
            format!(" {good}"),
            format!("{good}."),
            format!("\"{good}\""),
            good.replace('A', "%41"),
        ] {
            assert_eq!(Unverified::parse(bad.as_bytes()).err(), Some(Verdict::Malformed), "{bad}");
        }
    }
}
