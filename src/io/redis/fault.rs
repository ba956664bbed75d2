//! What went wrong with the server, in sentences that say what to do.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use redis::RedisError;

use crate::error::Error;
use crate::trouble::{Finding, Trouble};

use super::address::RedisAddress;

/// A failure before it knows what the caller was doing.
#[derive(Debug)]
pub(super) enum Fault {
    /// The client's or the server's.
    Redis(RedisError),
    /// No answer in time.
    Silent,
    /// Ours: the list is not what it should be.
    Said { problem: String, fix: Cow<'static, str> },
    /// Ours, and one of the troubles that have a name.
    Found(Finding),
    /// At a server that the address does not name itself, or names among others.
    At { place: String, fault: Box<Fault> },
    /// The kernel gave no random bytes.
    Random(Error),
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() { Self::Silent } else { Self::Redis(error) }
    }
}

impl From<redis::ParsingError> for Fault {
    fn from(error: redis::ParsingError) -> Self {
        Self::Redis(error.into())
    }
}

impl Fault {
    pub(super) fn said(problem: impl Into<String>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::Said { problem: problem.into(), fix: fix.into() }
    }

    pub(super) fn found(trouble: Trouble, seen: impl Into<String>) -> Self {
        Self::Found(Finding::problem(trouble, seen))
    }

    pub(super) fn at(place: String, fault: Self) -> Self {
        Self::At { place, fault: Box::new(fault) }
    }

    /// Whether the connection may be at fault, so that another one may do better: a server that was deposed
    /// says one of the two words.
    pub(super) fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Redis(error) => {
                let deposed = self.is_code("READONLY") || self.is_code("NOREPLICAS");
                error.is_io_error() || error.is_connection_dropped() || deposed
            }
            Self::At { fault, .. } => fault.is_of_the_connection(),
            Self::Said { .. } | Self::Found(_) | Self::Random(_) => false,
        }
    }

    /// Whether the server said this word first, in the command or in one of a transaction's.
    pub(super) fn is_code(&self, code: &str) -> bool {
        self.server_says().is_some_and(|(said, _)| said == code)
    }

    /// Whether a password is missing or wrong.
    pub(super) fn is_about_the_password(&self) -> bool {
        let trouble = self.trouble_at("", "").map(|(trouble, _)| trouble);
        matches!(trouble, Some(Trouble::PasswordMissing | Trouble::PasswordWrong))
    }

    /// Which command of a pipeline the user may not run, and in which words the server said so.
    pub(super) fn denial(&self) -> Option<(usize, String)> {
        let Self::Redis(error) = self else { return None };
        let refused = error.clone().into_server_errors()?;
        refused.iter().find_map(|(index, error)| {
            let details = error.details().unwrap_or_default();
            is_denied(error.code(), details).then(|| (*index, details.to_owned()))
        })
    }

    fn server_says(&self) -> Option<(String, String)> {
        let error = match self {
            Self::Redis(error) => error,
            Self::At { fault, .. } => return fault.server_says(),
            _ => return None,
        };
        let inner = error.clone().into_server_errors();
        if let Some((_, error)) = inner.as_deref().and_then(<[_]>::first) {
            return Some((error.code().to_owned(), error.details().unwrap_or_default().to_owned()));
        }
        error.code().map(|code| (code.to_owned(), error.detail().unwrap_or_default().to_owned()))
    }

    /// The sentence for the caller.
    pub(super) fn told(self, action: &'static str, address: &RedisAddress) -> Error {
        let Finding { seen: problem, fix, .. } = match self {
            Self::Random(error) => return error,
            ref fault => fault.finding(address),
        };
        let source: Option<Box<dyn StdError + Send + Sync>> = self.into_client_error().map(|e| Box::new(e) as _);
        Error::Store { action, problem, fix, source }
    }

    fn into_client_error(self) -> Option<RedisError> {
        match self {
            Self::Redis(error) => Some(error),
            Self::At { fault, .. } => fault.into_client_error(),
            _ => None,
        }
    }

    /// What was found, at the server of this address.
    pub(super) fn finding(&self, address: &RedisAddress) -> Finding {
        self.finding_at(&address.to_string(), address.user())
    }

    /// The sentence without what to do, of a server at `place` that knows us as `user`.
    pub(super) fn reason(&self, place: &str, user: &str) -> String {
        self.finding_at(place, user).seen
    }

    fn finding_at(&self, place: &str, user: &str) -> Finding {
        match self {
            Self::At { place, fault } => fault.finding_at(place, user),
            Self::Found(finding) => finding.clone(),
            Self::Said { problem, fix } => {
                Finding::problem(Trouble::ListUnusable, problem.clone()).fixed_by(fix.clone())
            }
            Self::Random(error) => Finding::problem(Trouble::ListUnusable, error.to_string()),
            Self::Silent | Self::Redis(_) => {
                let unknown = || (Trouble::UnknownAnswer, format!("{place} answered in an unknown way"));
                let (trouble, seen) = self.trouble_at(place, user).unwrap_or_else(unknown);
                Finding::problem(trouble, seen)
            }
        }
    }

    /// What the server or the way to it is telling us.
    fn trouble_at(&self, place: &str, user: &str) -> Option<(Trouble, String)> {
        let error = match self {
            Self::Redis(error) => error,
            Self::Silent => return Some((Trouble::Unreachable, format!("{place} did not answer in time"))),
            Self::At { place, fault } => return fault.trouble_at(place, user),
            Self::Said { .. } | Self::Found(_) | Self::Random(_) => return None,
        };
        if let Some((code, details)) = self.server_says() {
            return Some(answered(&code, &details, place, user));
        }
        Some(if error.kind() == redis::ErrorKind::AuthenticationFailed {
            (Trouble::PasswordWrong, refused(place, user))
        } else if error.is_connection_refusal() {
            (Trouble::Unreachable, format!("nothing listens at {place}"))
        } else if is_about_a_certificate(error) {
            (Trouble::Certificate, format!("{place} has a certificate that is not trusted here ({error})"))
        } else if error.is_io_error() || error.is_connection_dropped() {
            (Trouble::Unreachable, format!("{place} cannot be reached ({error})"))
        } else {
            (Trouble::UnknownAnswer, format!("{place} answered in an unknown way ({error})"))
        })
    }
}

/// What a server's error means.
fn answered(code: &str, details: &str, place: &str, user: &str) -> (Trouble, String) {
    match code {
        "NOAUTH" => (Trouble::PasswordMissing, format!("{place} wants a password")),
        "WRONGPASS" => (Trouble::PasswordWrong, refused(place, user)),
        "READONLY" => (Trouble::NotPrimary, format!("{place} is a replica, or has become one")),
        "OOM" => (Trouble::MemoryFull, format!("{place} has no memory left ({details})")),
        "MISCONF" => (Trouble::DiskFailing, format!("{place} refuses writes, because it could not save to its disk")),
        "NOREPLICAS" => {
            (Trouble::ReplicasMissing, format!("{place} has fewer replicas than min-replicas-to-write asks for"))
        }
        "LOADING" => (Trouble::Loading, format!("{place} is still loading its data")),
        _ if is_denied(code, details) => {
            (Trouble::RightMissing, format!("{place} does not let the user {user} do this ({details})"))
        }
        _ => (Trouble::UnknownAnswer, format!("{place} answered {code} {details}")),
    }
}

/// Redis 7.0 and later ones word it differently; the client hides the code where it has chosen a database.
fn is_denied(code: &str, details: &str) -> bool {
    let words = ["can't run this command", "ACL failure in script", "has no permissions to run"];
    code == "NOPERM" || words.iter().any(|words| details.contains(words))
}

fn refused(place: &str, user: &str) -> String {
    format!("{place} refused the password of the user {user}")
}

/// The client keeps the error behind a pointer, and an I/O error hides what it was made from.
fn is_about_a_certificate(error: &RedisError) -> bool {
    let shared = error.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    let inner = shared.and_then(|shared| shared.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    inner.and_then(|inner| inner.downcast_ref()).is_some_and(|e| matches!(e, rustls::Error::InvalidCertificate(_)))
}
