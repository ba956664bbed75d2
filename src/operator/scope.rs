//! Whose sessions an operator takes back, as people name them.

use std::str::FromStr;

use crate::error::Error;
use crate::id::{Handle, ShortId};

/// Whose sessions are revoked.
#[derive(Clone, PartialEq, Eq)]
pub enum Scope {
    /// One session.
    Session(SessionName),
    /// Every session of a user that has begun by now: log out everywhere.
    Subject(String),
    /// Every session of a tenant that has begun by now.
    Tenant(String),
    /// Every session with a label that has begun by now.
    Label(String),
    /// Every session that has begun by now.
    All,
}

/// A session as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionName {
    /// By its handle, `0123456789abcdef-2026-11-24`.
    Handle(Handle),
    /// Without its day, so that the revocation is written to every day on which it could end.
    Bare(ShortId),
}

impl FromStr for SessionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let handle = text.parse().map(Self::Handle);
        handle.or_else(|_| text.parse().map(Self::Bare)).map_err(|_| {
            Error::usage(
                "that is not a session's handle",
                "Take it from the log or from `sealjar explain`: 0123456789abcdef-2026-11-24, or only the 16 digits",
            )
        })
    }
}

impl Scope {
    /// The name of the scope, as programs write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Subject(_) => "subject",
            Self::Tenant(_) => "tenant",
            Self::Label(_) => "label",
            Self::All => "all",
        }
    }
}

/// Names of people stay out of logs.
impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
