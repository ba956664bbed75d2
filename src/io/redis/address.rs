//! Where a Redis server is, and with which password; only the first is ever shown.
//!
//! ```text
//!  redis://user:password@host:6379/0                          one server, on this machine
//!  rediss://user:password@host:6379/0                         one server, over TLS
//!  redis+sentinel://user:password@one:26379,two:26379/service/0    the primary that Sentinels name
//!  rediss+sentinel://...                                      the same, TLS to Sentinels and servers
//!
//!  ?tls=off                     the network between is encrypted by other means
//!  ?replicas=0                  nobody expects replicas; 1, 2, ..: so many must have a write
//!  ?sentinel_username=..&sentinel_password=..    what the Sentinels want; the servers' stands in front of the @
//! ```
//!
//! The form with several hosts and a service is the one that most clients in the field read.

use std::fmt;
use std::net::IpAddr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

use crate::error::Error;
use crate::trouble::Trouble;

/// The address of a Redis or Valkey server, or of the Sentinels that know it, with user and password in it.
///
/// `redis://` and `rediss://` name one server; `redis+sentinel://` and `rediss+sentinel://` name Sentinels, of
/// which every new connection asks anew which server is the primary.
///
/// # Security
///
/// `Display` and `Debug` show hosts, ports, service and database only. A password is sent over TLS, or within
/// this machine; anything else has to be asked for with `?tls=off` at the end.
#[derive(Clone)]
pub struct RedisAddress(Box<Parts>);

#[derive(Clone)]
struct Parts {
    route: Route,
    login: RedisConnectionInfo,
    scheme: Scheme,
    settings: Settings,
    place: String,
}

/// Where connections go.
#[derive(Clone)]
pub(super) enum Route {
    /// To this server.
    Server(ConnectionAddr),
    /// To the one that these name.
    Sentinels(Sentinels),
}

/// Whom to ask for the primary.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub hosts: Vec<ConnectionAddr>,
    pub service: String,
    pub login: RedisConnectionInfo,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Scheme {
    tls: bool,
    sentinel: bool,
}

/// What stands behind the question mark.
#[derive(Clone, Default)]
struct Settings {
    plain: bool,
    replicas: Option<u32>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
}

const FORM: &str = "Write redis://127.0.0.1:6379, or rediss://user:password@host:6379/0, or \
     redis+sentinel://user:password@host:26379,host:26379/service, with special characters percent-encoded";
/// Where Sentinels listen.
const SENTINEL_PORT: u16 = 26379;

impl Scheme {
    const ALL: [Self; 4] = [
        Self { tls: false, sentinel: false },
        Self { tls: true, sentinel: false },
        Self { tls: false, sentinel: true },
        Self { tls: true, sentinel: true },
    ];

    fn name(self) -> String {
        format!("{}{}", self.server(), if self.sentinel { "+sentinel" } else { "" })
    }

    const fn server(self) -> &'static str {
        if self.tls { "rediss" } else { "redis" }
    }

    /// The scheme of an address, and what stands behind it.
    fn of(address: &str) -> Option<(Self, &str)> {
        let (name, rest) = address.split_once("://")?;
        Self::ALL.into_iter().find(|scheme| scheme.name() == name).map(|scheme| (scheme, rest))
    }
}

impl RedisAddress {
    /// Reads an address. Nothing is asked of the network.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for one that cannot be read, and for one that would send the password to another
    /// host without TLS. None repeats the address.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = Scheme::of(address).ok_or_else(unreadable)?;
        let settings = Settings::parse(query, scheme)?;
        let (route, login, mut place) = if scheme.sentinel {
            sentinels(scheme, rest, &settings)?
        } else {
            let info = address.into_connection_info().map_err(|_| unreadable())?;
            let place = format!("{}://{}", scheme.name(), host_port(info.addr()));
            (Route::Server(info.addr().clone()), info.redis_settings().clone(), place)
        };
        let login = login.set_skip_set_lib_name();
        if login.db() != 0 {
            place = format!("{place}/{}", login.db());
        }
        let address = Self(Box::new(Parts { route, login, scheme, settings, place }));
        address.check()?;
        Ok(address)
    }

    fn check(&self) -> Result<(), Error> {
        for host in self.hosts() {
            if matches!(host, ConnectionAddr::TcpTls { insecure: true, .. }) {
                return Err(Error::config(
                    "the address of Redis asks for TLS without looking at the certificate",
                    "Leave `#insecure` away; name a private certificate authority in the variable SSL_CERT_FILE",
                ));
            }
            if !self.may_send_to(host) {
                return Err(Error::config(
                    format!(
                        "the way to Redis at {} is not encrypted, and the password and one-time values go over it",
                        host_port(host)
                    ),
                    Trouble::NotEncrypted.fix(),
                ));
            }
        }
        Ok(())
    }

    fn hosts(&self) -> &[ConnectionAddr] {
        match &self.0.route {
            Route::Server(host) => std::slice::from_ref(host),
            Route::Sentinels(sentinels) => &sentinels.hosts,
        }
    }

    /// Whether a password may be sent there.
    pub(super) fn may_send_to(&self, host: &ConnectionAddr) -> bool {
        match host {
            ConnectionAddr::Tcp(host, _) => self.0.settings.plain || is_this_machine(host),
            _ => true,
        }
    }

    pub(super) fn route(&self) -> &Route {
        &self.0.route
    }

    /// What the client connects with, to a server at this place.
    pub(super) fn info(&self, at: ConnectionAddr) -> RedisResult<ConnectionInfo> {
        connection(at, self.0.login.clone())
    }

    /// A server's place as Sentinels name it.
    pub(super) fn server(&self, host: String, port: u16) -> ConnectionAddr {
        if self.0.scheme.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    /// Whom the server takes us for.
    pub(super) fn user(&self) -> &str {
        user(&self.0.login)
    }

    /// Which of the server's databases.
    #[must_use]
    pub fn database(&self) -> i64 {
        self.0.login.db()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme.tls
    }

    /// Whether the password stays on this machine, as far as the address tells.
    pub(super) fn is_local(&self) -> bool {
        self.hosts().iter().all(|host| matches!(host, ConnectionAddr::Tcp(host, _) if is_this_machine(host)))
    }

    /// Whether it names Sentinels, so that a failover is expected to happen.
    #[must_use]
    pub fn has_sentinels(&self) -> bool {
        self.0.scheme.sentinel
    }

    /// How many replicas must have a write, if the address says so.
    pub(super) fn replicas(&self) -> Option<u32> {
        self.0.settings.replicas
    }
}

impl Settings {
    fn parse(query: &str, scheme: Scheme) -> Result<Self, Error> {
        let mut settings = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let known = match pair.split_once('=').unwrap_or((pair, "")) {
                ("tls", "off") if !scheme.tls => {
                    settings.plain = true;
                    true
                }
                ("replicas", number) => {
                    settings.replicas = number.parse().ok();
                    settings.replicas.is_some()
                }
                ("sentinel_username", name) if scheme.sentinel => {
                    settings.sentinel_username = Some(name.to_owned());
                    true
                }
                ("sentinel_password", word) if scheme.sentinel => {
                    settings.sentinel_password = Some(word.to_owned());
                    true
                }
                _ => false,
            };
            if !known {
                return Err(Error::config(
                    "the address of Redis has something behind its question mark that means nothing there",
                    "Write ?tls=off (without TLS), ?replicas=0, or for Sentinels ?sentinel_username=..&sentinel_password=..; a \
                     question mark in a password is written %3F",
                ));
            }
        }
        Ok(settings)
    }
}

fn unreadable() -> Error {
    Error::config("the address of Redis cannot be read", FORM)
}

/// `user:password@one:26379,two:26379/service/0`
fn sentinels(scheme: Scheme, rest: &str, settings: &Settings) -> Result<(Route, RedisConnectionInfo, String), Error> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (who, hosts) = authority.rsplit_once('@').map_or(("", authority), |(who, hosts)| (who, hosts));
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    if service.is_empty() {
        return Err(Error::config("the address names Sentinels and no service", Trouble::ServiceUnknown.fix()));
    }
    // What Sentinel itself allows in such a name.
    if !service.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err(unreadable());
    }
    let at = if who.is_empty() { "" } else { "@" };
    let login = login(&format!("redis://{who}{at}host/{database}"))?;
    let sentinel_login = match (&settings.sentinel_username, &settings.sentinel_password) {
        (None, None) => RedisConnectionInfo::default(),
        (username, password) => {
            let part = |part: &Option<String>| part.clone().unwrap_or_default();
            self::login(&format!("redis://{}:{}@host", part(username), part(password)))?
        }
    };
    let parsed: Vec<_> = hosts.split(',').map(|host| sentinel_host(scheme, host)).collect::<Result<_, _>>()?;
    let hosts: Vec<_> = parsed.iter().map(host_port).collect();
    let place = format!("{}://{}/{service}", scheme.name(), hosts.join(","));
    let login_of_sentinels = sentinel_login.set_skip_set_lib_name();
    let sentinels = Sentinels { hosts: parsed, service: service.to_owned(), login: login_of_sentinels };
    Ok((Route::Sentinels(sentinels), login, place))
}

/// The client's own parser knows how names and passwords are encoded.
fn login(url: &str) -> Result<RedisConnectionInfo, Error> {
    url.into_connection_info().map(|info| info.redis_settings().clone()).map_err(|_| unreadable())
}

fn sentinel_host(scheme: Scheme, text: &str) -> Result<ConnectionAddr, Error> {
    let plain = !text.is_empty() && !text.contains(['/', '@', '#']);
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let text = if has_port { text.to_owned() } else { format!("{text}:{SENTINEL_PORT}") };
    let url = format!("{}://{text}", scheme.server());
    let info = plain.then(|| url.into_connection_info().ok()).flatten().ok_or_else(unreadable)?;
    Ok(info.addr().clone())
}

/// What the client connects with.
pub(super) fn connection(at: ConnectionAddr, login: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    Ok(at.into_connection_info()?.set_redis_settings(login))
}

/// Whom a server takes this login for.
pub(super) fn user(login: &RedisConnectionInfo) -> &str {
    login.username().unwrap_or("default")
}

/// For people: `host:port`, with brackets around an IPv6 address.
pub(super) fn host_port(at: &ConnectionAddr) -> String {
    match at {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } if host.contains(':') => {
            format!("[{host}]:{port}")
        }
        other => other.to_string(),
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.place)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.0.place)
    }
}

impl PartialEq for RedisAddress {
    fn eq(&self, other: &Self) -> bool {
        let who = |address: &Self| {
            let Parts { login, settings, .. } = &*address.0;
            let text = |text: Option<&str>| text.map(str::to_owned);
            let Settings { plain, replicas, sentinel_username, sentinel_password } = settings.clone();
            let login = (text(login.username()), text(login.password()));
            (login, plain, replicas, sentinel_username, sentinel_password)
        };
        self.0.place == other.0.place && who(self) == who(other)
    }
}

impl Eq for RedisAddress {}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
