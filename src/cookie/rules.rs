//! The attributes of our cookie, checked once when the app starts.
//!
//! Browsers drop a cookie that they do not like without a word: the login "works" and never sticks.
//! So everything that they would drop is refused here, with the sentence that says what to write.

use std::net::IpAddr;
use std::time::Duration;

use cookie::{Cookie, Expiration};

use crate::error::Error;
use crate::wire::MAX_COOKIE;

pub use cookie::SameSite;

/// Longest name, so that there is room for a session behind it.
const MAX_NAME: usize = 64;

/// A cookie's name and attributes that browsers will take. It cannot hold any others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRules {
    name: String,
    domain: Option<String>,
    path: String,
    same_site: SameSite,
    secure: bool,
    http_only: bool,
    persistent: bool,
}

/// What the builder was told; [`CookieWishes::check`] turns it into [`CookieRules`] or refuses it.
#[derive(Clone, Debug)]
pub(crate) struct CookieWishes {
    pub(crate) name: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) path: String,
    pub(crate) same_site: SameSite,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) persistent: bool,
}

impl Default for CookieWishes {
    fn default() -> Self {
        Self {
            name: None,
            domain: None,
            path: "/".into(),
            same_site: SameSite::Lax,
            secure: true,
            http_only: true,
            persistent: false,
        }
    }
}

impl CookieWishes {
    /// Checks everything that browsers check, for the app with this id.
    ///
    /// The name is `__Host-<app>` when the cookie is bound to one host over https, `__Secure-<app>` when
    /// it has a domain, and the plain app id on a development host.
    pub(crate) fn check(self, app: &str) -> Result<CookieRules, Error> {
        let domain = self.domain.as_deref().map(check_domain).transpose()?;
        let name = self.name.clone().unwrap_or_else(|| match (self.secure, &domain) {
            (false, _) => app.to_owned(),
            (true, None) if self.path == "/" => format!("__Host-{app}"),
            (true, _) => format!("__Secure-{app}"),
        });
        check_name(&name)?;
        check_path(&self.path)?;
        self.check_prefix(&name)?;
        if self.same_site == SameSite::None && !self.secure {
            return Err(Error::config(
                "SameSite=None needs Secure: browsers drop the cookie without a word",
                "Leave out `.localhost()` and serve https, or leave SameSite at Lax",
            ));
        }
        let Self { path, same_site, secure, http_only, persistent, .. } = self;
        Ok(CookieRules { name, domain, path, same_site, secure, http_only, persistent })
    }

    fn check_prefix(&self, name: &str) -> Result<(), Error> {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("__host-") {
            if self.domain.is_some() {
                return Err(Error::config(
                    format!("the cookie `{name}` has a Domain, and browsers drop a __Host- cookie that has one"),
                    "Leave out `.domain(..)` for one host, or leave out `.name(..)` and the name becomes __Secure-<app>",
                ));
            }
            if self.path != "/" {
                return Err(Error::config(
                    format!(
                        "the cookie `{name}` has Path={}, and browsers drop a __Host- cookie with any Path but /",
                        self.path
                    ),
                    "Leave out `.path(..)`, or leave out `.name(..)` and the name becomes __Secure-<app>",
                ));
            }
        }
        if (lower.starts_with("__host-") || lower.starts_with("__secure-")) && !self.secure {
            return Err(Error::config(
                format!("the cookie `{name}` is not Secure, and browsers drop such a name without it"),
                "Leave out `.localhost()` and serve https, or leave out `.name(..)`",
            ));
        }
        Ok(())
    }
}

impl CookieRules {
    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether page scripts are kept from it.
    #[must_use]
    pub const fn is_http_only(&self) -> bool {
        self.http_only
    }

    /// The `Set-Cookie` value that stores `value`. `left` is how long the session can last at most.
    ///
    /// The caller has checked the size with [`CookieRules::characters`].
    #[must_use]
    pub fn set(&self, value: String, left: Duration) -> String {
        let mut cookie = self.attributes(self.name.clone(), value);
        if self.persistent {
            cookie.set_max_age(::time::Duration::seconds(i64::try_from(left.as_secs()).unwrap_or(i64::MAX)));
        }
        cookie.to_string()
    }

    /// The `Set-Cookie` value that removes the cookie: the same attributes, or browsers keep it.
    #[must_use]
    pub fn remove(&self) -> String {
        let mut cookie = self.attributes(self.name.clone(), String::new());
        cookie.set_max_age(::time::Duration::ZERO);
        cookie.set_expires(Expiration::from(::time::OffsetDateTime::UNIX_EPOCH));
        cookie.to_string()
    }

    /// Every removal that gets rid of copies which a sibling host, or an older configuration, may have left.
    ///
    /// A cookie is removed by name, path and domain together. So every domain is tried that `host` and its
    /// siblings can have used; copies under another path are out of reach.
    #[must_use]
    pub fn remove_all(&self, host: Option<&str>) -> Vec<String> {
        let mut all = vec![self.remove()];
        if !self.name.starts_with("__Host-") {
            let domains = host.map(domains_of).unwrap_or_default().into_iter().map(Some);
            for domain in domains.chain([None]).filter(|domain| *domain != self.domain) {
                all.push(Self { domain, ..self.clone() }.remove());
            }
        }
        all
    }

    /// How browsers count the size: name and value, attributes apart.
    #[must_use]
    pub const fn characters(&self, value: usize) -> usize {
        self.name.len() + value
    }

    /// The most that browsers take.
    #[must_use]
    pub const fn limit(&self) -> usize {
        MAX_COOKIE
    }

    fn attributes(&self, name: String, value: String) -> Cookie<'static> {
        let mut cookie = Cookie::new(name, value);
        cookie.set_path(self.path.clone());
        cookie.set_secure(self.secure);
        cookie.set_http_only(self.http_only);
        cookie.set_same_site(self.same_site);
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.clone());
        }
        cookie
    }
}

/// The host itself and its parents, as far as cookies can be set for them. `host` is what a client sent.
fn domains_of(host: &str) -> Vec<String> {
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    let parents = std::iter::successors(Some(host), |domain| domain.split_once('.').map(|(_, parent)| parent));
    parents.map_while(|domain| check_domain(domain).ok()).take(MAX_PARENTS).collect()
}

/// Deeper hosts than this are expired incompletely; a hostile `Host` must not make a long reply.
const MAX_PARENTS: usize = 6;

const WRITE: &str = "Leave it out for one host, or write the bare parent of your hosts: `.domain(\"example.org\")`";

fn check_domain(domain: &str) -> Result<String, Error> {
    let refuse = |why: &str, fix: &'static str| {
        Err(Error::config(format!("`.domain({domain:?})` {why}, and browsers drop the cookie without a word"), fix))
    };
    if domain.contains('*') {
        return refuse("has a `*`, which is not a host", WRITE);
    }
    if domain.contains("://") {
        return refuse("has a scheme", WRITE);
    }
    if domain.contains('/') {
        return refuse("has a path", WRITE);
    }
    if domain.parse::<IpAddr>().is_ok() || domain.starts_with('[') {
        return refuse("is an IP address, which has no parent domain", "Leave out `.domain(..)`");
    }
    if domain.contains(':') {
        return refuse("has a port, and cookies know no ports", WRITE);
    }
    if domain.starts_with('.') {
        return refuse("begins with a dot", WRITE);
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !domain.split('.').all(label) || domain.len() > 253 {
        return refuse("is not a host name (internationalised names are written in their xn-- form)", WRITE);
    }
    let lower = domain.to_ascii_lowercase();
    if lower == "localhost" || lower.ends_with(".localhost") {
        return refuse("is this machine itself", "Leave it out, and call `.localhost()` for plain http");
    }
    if psl::suffix_str(&lower) == Some(lower.as_str()) {
        return refuse(
            "is a public suffix, under which strangers register names",
            "Write the name that you registered: `.domain(\"example.org\")`, not `.domain(\"org\")`",
        );
    }
    Ok(lower)
}

fn check_name(name: &str) -> Result<(), Error> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(token) {
        return Err(Error::config(
            format!(
                "`.name({name:?})` is not a cookie name of 1 to {MAX_NAME} token characters (RFC 9110, section 5.6.2)"
            ),
            "Use letters, digits, `-` and `_`",
        ));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), Error> {
    let plain = |b: u8| (0x21..0x7f).contains(&b) && b != b';';
    if !path.starts_with('/') || !path.bytes().all(plain) || path.len() > 1024 {
        return Err(Error::config(
            format!("`.path({path:?})` is not a path that begins with `/`, so browsers would choose one of their own"),
            "Write `.path(\"/app\")`, or leave it out for the whole host",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
