//! What a token is good for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// One thing that a token may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Look: revocations, nodes, keys, the store, events, the audit; and have cookies explained.
    #[serde(rename = "read")]
    Read,
    /// Revoke a session, a subject, a tenant or a label.
    #[serde(rename = "revoke")]
    Revoke,
    /// Log everybody out. Includes [`Scope::Revoke`].
    #[serde(rename = "revoke.all")]
    RevokeAll,
    /// Rotate keys, and forget nodes.
    #[serde(rename = "keys")]
    Keys,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Revoke, Self::RevokeAll, Self::Keys];

    /// Its name on the command line, in files and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Revoke => "revoke",
            Self::RevokeAll => "revoke.all",
            Self::Keys => "keys",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            Error::usage("that is not a scope of a token", "Choose among read, revoke, revoke.all and keys")
        })
    }
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// A set of scopes, each once.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Whether something that needs this scope is allowed.
    #[must_use]
    pub fn allow(&self, needed: Scope) -> bool {
        self.0.iter().any(|&scope| scope == needed || (scope, needed) == (Scope::RevokeAll, Scope::Revoke))
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    /// `read,revoke`, as the command line takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_scope_includes_the_smaller_and_no_other_does() {
        for held in Scope::ALL {
            for needed in Scope::ALL {
                let expected = held == needed || (held, needed) == (Scope::RevokeAll, Scope::Revoke);
                assert_eq!(Scopes::of(&[held]).allow(needed), expected, "{held} for {needed}");
            }
        }
    }
}
