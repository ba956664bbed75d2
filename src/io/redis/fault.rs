//! What went wrong with the server, in sentences that say what to do.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use redis::RedisError;

use crate::error::Error;

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

const REVIVE: &str = "Bring the server back; until then sessions are judged by what is in memory, and lists older \
     than their bound are not trusted";

impl Fault {
    pub(super) fn said(problem: impl Into<String>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self::Said { problem: problem.into(), fix: fix.into() }
    }

    /// Whether the connection may be at fault, so that another one may do better.
    pub(super) fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Redis(error) => error.is_io_error() || error.is_connection_dropped() || self.is_code("READONLY"),
            Self::Said { .. } | Self::Random(_) => false,
        }
    }

    /// Whether the server said this word first, in the command or in one of a transaction's.
    pub(super) fn is_code(&self, code: &str) -> bool {
        self.server_says().is_some_and(|(said, _)| said == code)
    }

    fn server_says(&self) -> Option<(String, String)> {
        let Self::Redis(error) = self else { return None };
        let inner = error.clone().into_server_errors();
        if let Some((_, error)) = inner.as_deref().and_then(<[_]>::first) {
            return Some((error.code().to_owned(), error.details().unwrap_or_default().to_owned()));
        }
        error.code().map(|code| (code.to_owned(), error.detail().unwrap_or_default().to_owned()))
    }

    /// The sentence for the caller.
    pub(super) fn told(self, action: &'static str, address: &RedisAddress) -> Error {
        let (problem, fix) = match &self {
            Self::Said { problem, fix } => (problem.clone(), fix.clone()),
            Self::Silent => (format!("{address} did not answer in time"), REVIVE.into()),
            Self::Redis(error) => self.sentence(error, address),
            Self::Random(_) => (String::new(), "".into()),
        };
        let source: Option<Box<dyn StdError + Send + Sync>> = match self {
            Self::Random(error) => return error,
            Self::Redis(error) => Some(Box::new(error)),
            Self::Silent | Self::Said { .. } => None,
        };
        Error::Store { action, problem, fix, source }
    }

    fn sentence(&self, error: &RedisError, address: &RedisAddress) -> (String, Cow<'static, str>) {
        let user = address.user();
        if let Some((code, details)) = self.server_says() {
            let (problem, fix) = match &*code {
                "NOAUTH" => (
                    format!("{address} wants a password"),
                    "Put user and password into the address: redis://user:password@host:6379",
                ),
                "WRONGPASS" => return refused(address),
                "NOPERM" => (
                    format!("{address} does not let the user {user} do this ({details})"),
                    "Give that user the rights that docs/design.md lists for Redis",
                ),
                "READONLY" => {
                    (format!("{address} is a replica, or has become one"), "Point the address at the primary")
                }
                "OOM" => (format!("{address} has no memory left ({details})"), "Raise its maxmemory"),
                "MISCONF" => (
                    format!("{address} refuses writes, because it could not save to its disk"),
                    "Look at its log and its disk; it takes writes again when it can save",
                ),
                "NOREPLICAS" => (
                    format!("{address} has fewer replicas than min-replicas-to-write asks for"),
                    "Bring the replicas back; writes that could be lost are refused on purpose",
                ),
                "LOADING" => (format!("{address} is still loading its data"), "Try again in a moment"),
                _ if details.contains("can't run this command") => (
                    format!("{address} does not let the user {user} do this within a script ({details})"),
                    "Give that user the rights that docs/design.md lists for Redis",
                ),
                _ => (format!("{address} answered {code} {details}"), "Look at the server's log"),
            };
            return (problem, fix.into());
        }
        if error.kind() == redis::ErrorKind::AuthenticationFailed {
            return refused(address);
        }
        if error.is_connection_refusal() {
            return (format!("nothing listens at {address}"), REVIVE.into());
        }
        if is_about_a_certificate(error) {
            return (
                format!("{address} has a certificate that is not trusted here ({error})"),
                "Name your certificate authority in the variable SSL_CERT_FILE, and the host as it is in the certificate"
                    .into(),
            );
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return (format!("{address} cannot be reached ({error})"), REVIVE.into());
        }
        (format!("{address} answered in an unknown way ({error})"), "Check that it is Redis 7 or Valkey 8".into())
    }
}

fn refused(address: &RedisAddress) -> (String, Cow<'static, str>) {
    (
        format!("{address} refused the password of the user {}", address.user()),
        "Check user and password in the address; special characters must be percent-encoded".into(),
    )
}

/// The client keeps the error behind a pointer, and an I/O error hides what it was made from.
fn is_about_a_certificate(error: &RedisError) -> bool {
    let shared = error.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    let inner = shared.and_then(|shared| shared.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    inner.and_then(|inner| inner.downcast_ref()).is_some_and(|e| matches!(e, rustls::Error::InvalidCertificate(_)))
}
