//! Identifiers: which key, which session, which group of sessions.

use std::fmt;
use std::str::FromStr;

use crate::time::Day;

/// Which key sealed a cookie: the first 4 bytes of a hash of the key, so equal ids mean equal keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let n = fixed_hex(text, 8).ok_or(NotAnId("a key id is 8 hexadecimal digits"))?;
        u32::try_from(n).map(|n| Self(n.to_be_bytes())).map_err(|_| NotAnId("a key id is 8 hexadecimal digits"))
    }
}

/// A session's name for its whole life: 12 random bytes from the kernel, new at every login.
///
/// # Security
///
/// Half of the nonce of every seal of that session, and visible to whoever holds the cookie. `Debug`
/// shows only the [`ShortId`], which opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 12]);

impl SessionId {
    /// The part that the revocation list and the logs know a session by.
    #[must_use]
    pub const fn short(self) -> ShortId {
        match self.0.first_chunk() {
            Some(first) => ShortId(u64::from_be_bytes(*first)),
            None => unreachable!(),
        }
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({}..)", self.short())
    }
}

/// The first 8 bytes of a session id: enough to tell sessions apart, not enough to seal anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId(pub u64);

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortId({self})")
    }
}

impl FromStr for ShortId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        fixed_hex(text, 16).map(Self).ok_or(NotAnId("a session's id is 16 hexadecimal digits"))
    }
}

/// What people call a session by: its short id and the UTC day it expires on, `5f1d..-2026-11-24`.
///
/// Logs, `explain` and the command line print it, and `revoke session` takes it. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The session.
    pub id: ShortId,
    /// The day on which it expires for good; its revocation is kept until then.
    pub day: Day,
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.day)
    }
}

impl FromStr for Handle {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        const FORM: NotAnId = NotAnId("a session's handle looks like 0123456789abcdef-2026-11-24");
        let (id, day) = text.split_once('-').ok_or(FORM)?;
        Ok(Self { id: id.parse().map_err(|_| FORM)?, day: day.parse().map_err(|_| FORM)? })
    }
}

/// A keyed hash of a subject, a tenant or a label: how the list speaks of people without naming them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// What kind of name was hashed into a [`Tag`]. The kind is part of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// Who is logged in.
    Subject,
    /// Which customer, organisation or realm the subject belongs to.
    Tenant,
    /// Anything else the app wants to revoke by: a device, a region.
    Label,
    /// A user at an OpenID provider: issuer and `sub`. Sealed as a label.
    ProviderSubject,
    /// A session at an OpenID provider: issuer and `sid`. Sealed as a label.
    ProviderSession,
    /// A logout token that was acted on: issuer and `jti`. No session carries it.
    LogoutToken,
}

/// The life of one store: a new one begins whenever the store has lost something.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Incarnation {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        fixed_hex(text, 16).map(Self).ok_or(NotAnId("an incarnation is 16 hexadecimal digits"))
    }
}

/// One process that follows the list, from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        fixed_hex(text, 16).map(Self).ok_or(NotAnId("a node's id is 16 hexadecimal digits"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

/// Text that should have been an identifier and is not; says what one looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnId(pub(crate) &'static str);

fn fixed_hex(text: &str, digits: usize) -> Option<u64> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back() {
        let text = "00ff00ff00ff00ff-2026-11-24";
        assert_eq!(text.parse::<Handle>().unwrap().to_string(), text);
    }

    #[test]
    fn sloppy_ids_are_refused() {
        for text in ["", "+0ff00ff00ff00ff", "00ff", "00ff00ff00ff00fg", "00ff00ff00ff00ff0"] {
            assert!(text.parse::<ShortId>().is_err(), "{text}");
        }
        assert!("7f3a12c".parse::<KeyId>().is_err());
        assert_eq!("7f3a12cd".parse::<KeyId>().unwrap().to_string(), "7f3a12cd");
    }

    #[test]
    fn debug_hides_the_last_four_bytes_of_a_session_id() {
        let id = SessionId(*b"ABCDEFGHwxyz");
        assert_eq!(format!("{id:?}"), "SessionId(4142434445464748..)");
    }
}
