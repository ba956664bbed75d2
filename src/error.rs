//! What can go wrong that is not a cookie's fault, sorted by whose turn it is to act.
//!
//! A cookie that is refused is no error: it is a [`Verdict`](crate::Verdict). Every message here says
//! what happened, why, and what to do next, and holds no secret.

use std::borrow::Cow;
use std::fmt;

/// An error of configuration, of use, or of a backend.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Yours: the builder was given something that browsers or this crate would silently get wrong.
    #[error("{problem}. {fix}")]
    Config {
        /// What is wrong.
        problem: Cow<'static, str>,
        /// What to write instead.
        fix: Cow<'static, str>,
    },
    /// Yours: a key file, or the folder of keys, cannot be used.
    #[error("{problem}. {fix}")]
    Key {
        /// What is wrong; names the file, never its content.
        problem: String,
        /// What to do.
        fix: Cow<'static, str>,
    },
    /// Yours: a call that makes no sense for this session.
    #[error("{problem}. {fix}")]
    Usage {
        /// What was called for.
        problem: Cow<'static, str>,
        /// What to call instead.
        fix: Cow<'static, str>,
    },
    /// Yours: the session no longer fits into one cookie.
    #[error(
        "the session's cookie would be {characters} characters long, and browsers drop a cookie above {limit}. \
         Keep less in the session; the heaviest fields are {heaviest}"
    )]
    TooLarge {
        /// Name and value together, as browsers count.
        characters: usize,
        /// The most that browsers take.
        limit: usize,
        /// Names and sizes of the largest fields, never their values.
        heaviest: String,
    },
    /// The client's: it used a copy of the session that another request has made an older one.
    #[error(
        "another request has changed this session for good since this copy of its cookie was sealed. \
         Nothing was changed; let the client repeat the request with its newest cookie"
    )]
    Superseded,
    /// The backend's: the revocation list could not be read or written.
    #[error("{action} failed: {problem}. {fix}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// What the backend said.
        problem: String,
        /// What to do.
        fix: Cow<'static, str>,
        /// The backend's own error.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The kernel's: no randomness, so nothing may be sealed.
    #[error("the kernel gave no random bytes ({0}). Nothing is sealed without them; check the system's random device")]
    Random(getrandom::Error),
}

/// The sentence itself, because `fn main() -> Result<(), Error>` prints this to people.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// What happened, without what to do.
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Config { problem, .. } | Self::Usage { problem, .. } => problem.clone().into_owned(),
            Self::Key { problem, .. } => problem.clone(),
            Self::Store { action, problem, .. } => format!("{action} failed: {problem}"),
            Self::TooLarge { .. } | Self::Superseded | Self::Random(_) => self.to_string(),
        }
    }

    /// What to do, where that is a sentence of its own.
    #[must_use]
    pub fn fix(&self) -> Cow<'static, str> {
        match self {
            Self::Config { fix, .. } | Self::Key { fix, .. } | Self::Usage { fix, .. } | Self::Store { fix, .. } => {
                fix.clone()
            }
            Self::TooLarge { .. } | Self::Superseded | Self::Random(_) => "".into(),
        }
    }

    pub(crate) fn config(problem: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::Config { problem: problem.into(), fix: fix.into() }
    }

    pub(crate) fn key(problem: impl Into<String>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::Key { problem: problem.into(), fix: fix.into() }
    }

    pub(crate) fn usage(problem: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::Usage { problem: problem.into(), fix: fix.into() }
    }
}
