//! Where a Redis server is, and with which password; only the first is ever shown.

use std::fmt;
use std::net::IpAddr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::Error;

/// The address of a Redis or Valkey server: `redis://` or `rediss://`, with user and password in it.
///
/// # Security
///
/// `Display` and `Debug` show host, port and database only. A password is sent over TLS, or within this
/// machine; anything else has to be asked for with `?tls=off` at the end.
#[derive(Clone)]
pub struct RedisAddress {
    info: Box<ConnectionInfo>,
    place: String,
}

const FORM: &str = "Write redis://127.0.0.1:6379, or rediss://user:password@host:6379/0 with special characters \
     percent-encoded";

impl RedisAddress {
    /// Whether an address is one of Redis at all.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with("redis://") || text.starts_with("rediss://")
    }

    /// Reads an address. Nothing is asked of the network.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for one that cannot be read, and for one that would send the password to another
    /// host without TLS. Neither repeats the address.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreadable = || Error::config("the address of Redis cannot be read", FORM);
        let (address, plain) = text.strip_suffix("?tls=off").map_or((text, false), |address| (address, true));
        if !Self::is_one(address) {
            return Err(unreadable());
        }
        let info = address.into_connection_info().map_err(|_| unreadable())?;
        let (scheme, host, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => ("redis", host, *port),
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(Error::config(
                    "the address of Redis asks for TLS without looking at the certificate",
                    "Leave `#insecure` away; name a private certificate authority in the variable SSL_CERT_FILE",
                ));
            }
            ConnectionAddr::TcpTls { host, port, .. } => ("rediss", host, *port),
            _ => return Err(unreadable()),
        };
        if scheme == "redis" && !plain && !is_this_machine(host) {
            return Err(Error::config(
                format!("the way to Redis at {host} is not encrypted, and the password and one-time values go over it"),
                "Write rediss://, or, where the network itself is encrypted, add ?tls=off to the address",
            ));
        }
        let place = match info.redis_settings().db() {
            0 => format!("{scheme}://{host}:{port}"),
            database => format!("{scheme}://{host}:{port}/{database}"),
        };
        Ok(Self { info: Box::new(info), place })
    }

    /// What the client connects with.
    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Whom the server takes us for.
    pub(super) fn user(&self) -> &str {
        self.info.redis_settings().username().unwrap_or("default")
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.place)
    }
}

impl PartialEq for RedisAddress {
    fn eq(&self, other: &Self) -> bool {
        let who = |address: &Self| {
            let settings = address.info.redis_settings();
            (settings.username().map(str::to_owned), settings.password().map(str::to_owned))
        };
        self.place == other.place && who(self) == who(other)
    }
}

impl Eq for RedisAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let address = RedisAddress::parse("redis://alice:hunter2@127.0.0.1:7000/3").unwrap();
        assert_eq!(address.to_string(), "redis://127.0.0.1:7000/3");
        assert_eq!(format!("{address:?}"), "RedisAddress(redis://127.0.0.1:7000/3)");
        assert_eq!(address.user(), "alice");
        for wrong in ["redis://:hunter2@:x", "redis://hunter2@host", "rediss://:hunter2@host/#insecure", "hunter2"] {
            let said = RedisAddress::parse(wrong).unwrap_err().to_string();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn another_host_wants_tls() {
        let said = RedisAddress::parse("redis://db.example:6379").unwrap_err().to_string();
        assert!(said.contains("not encrypted") && said.contains("rediss://") && said.contains("?tls=off"), "{said}");
        for good in ["redis://localhost", "redis://[::1]", "rediss://db.example", "redis://db.example:6379?tls=off"] {
            RedisAddress::parse(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        assert!(
            RedisAddress::parse("rediss://db.example/#insecure").unwrap_err().to_string().contains("SSL_CERT_FILE")
        );
    }
}
