//! Who may do this? One decision over what a request says of itself, made before its body is read.
//!
//! | in this order | otherwise |
//! |---|---|
//! | `Host` is there, once, and one of the fixed list (against DNS rebinding) | 400, 421 |
//! | `Origin`, if any, is this very site; `Sec-Fetch-Site`, if any, says so (against other sites in a browser) | 403 |
//! | a bearer token, once, is there and known | 401, or 429 after too many wrong ones |
//! | it has the scope | 403 |
//!
//! No cookie is ever looked at: a cookie sealed by the system that is managed here must not manage it.

use std::time::Duration;

use crate::time::Seconds;

use super::scope::Scope;
use super::token::{KnownToken, Token, TokenBook};

/// Under which names the endpoint may be addressed.
#[derive(Clone, Debug)]
pub struct Site {
    hosts: Vec<String>,
    scheme: &'static str,
}

impl Site {
    /// The hosts, each `name` or `name:port` (a name alone goes with every port); `tls` where browsers see `https`.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = impl Into<String>>, tls: bool) -> Self {
        let hosts = hosts.into_iter().map(|host| host.into().to_ascii_lowercase()).collect();
        Self { hosts, scheme: if tls { "https" } else { "http" } }
    }

    /// The names of this machine for itself.
    #[must_use]
    pub fn loopback() -> Self {
        Self::new(["127.0.0.1", "localhost", "[::1]"], false)
    }

    fn answers_to(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|known| *known == host || without_port(&host) == Some(known))
    }
}

/// The name of `name:port`; nothing if there is no port.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = host.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|c| c.is_ascii_digit())).then_some(name)
}

/// What a request says of itself. A field that came twice with different values is `Twice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Not at all.
    Nothing,
    /// Once.
    Once(&'a str),
    /// More than once, or not in ASCII: nobody can tell what was meant.
    Unclear,
}

/// The fields that decide.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `Host`, or HTTP/2's `:authority`.
    pub host: Said<'a>,
    /// `Origin`.
    pub origin: Said<'a>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Said<'a>,
    /// `Authorization`.
    pub authorization: Said<'a>,
}

/// What a route wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// No token: it tells nothing.
    Nothing,
    /// A token with one of these scopes.
    OneOf(&'static [Scope]),
}

/// Why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: no host, or not one.
    NoHost,
    /// 421: a host that is not of the list.
    ForeignHost,
    /// 403: from another site.
    ForeignOrigin,
    /// 401: no token.
    NoToken,
    /// 401: none that is known.
    WrongToken,
    /// 429: too many wrong ones; try after this.
    TooMany(Duration),
    /// 403: the token has none of these scopes.
    MissingScope(&'static [Scope]),
}

/// Decides. With a token that is known the answer holds it; for one that is wrong, the caller counts the
/// failure and may answer [`Refusal::TooMany`] instead.
///
/// # Errors
///
/// The [`Refusal`], and whose token it was if one was known.
pub fn decide<'b>(
    site: &Site,
    asked: &Asked<'_>,
    need: Need,
    book: &'b TokenBook,
    now: Seconds,
) -> Result<Option<&'b KnownToken>, (Refusal, Option<&'b KnownToken>)> {
    let refuse = |refusal| Err((refusal, None));
    let Said::Once(host) = asked.host else { return refuse(Refusal::NoHost) };
    if !site.answers_to(host) {
        return refuse(Refusal::ForeignHost);
    }
    if !is_own(site, host, asked) {
        return refuse(Refusal::ForeignOrigin);
    }
    let Need::OneOf(scopes) = need else { return Ok(None) };
    let token = match asked.authorization {
        Said::Nothing => return refuse(Refusal::NoToken),
        Said::Unclear => return refuse(Refusal::WrongToken),
        Said::Once(text) => bearer(text),
    };
    let Some(known) = token.and_then(|token| book.find(&token, now)) else { return refuse(Refusal::WrongToken) };
    if scopes.iter().any(|scope| known.scopes.allow(*scope)) {
        Ok(Some(known))
    } else {
        Err((Refusal::MissingScope(scopes), Some(known)))
    }
}

/// Programs send neither field; browsers send `Sec-Fetch-Site` always, and `Origin` with whatever can change
/// something. `none` is what a person typed.
fn is_own(site: &Site, host: &str, asked: &Asked<'_>) -> bool {
    let origin = match asked.origin {
        Said::Nothing => true,
        Said::Once(origin) => origin
            .split_once("://")
            .is_some_and(|(scheme, authority)| scheme == site.scheme && authority.eq_ignore_ascii_case(host)),
        Said::Unclear => false,
    };
    origin && matches!(asked.sec_fetch_site, Said::Nothing | Said::Once("same-origin" | "none"))
}

/// RFC 6750, section 2.1; the scheme's name in any case (RFC 9110, section 11.1).
fn bearer(authorization: &str) -> Option<Token> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim_start_matches(' ')))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::scope::Scopes;

    const NOW: Seconds = Seconds(1_000);
    const REVOKE: Need = Need::OneOf(&[Scope::Revoke]);

    fn asked(host: &str) -> Asked<'_> {
        Asked {
            host: Said::Once(host),
            origin: Said::Nothing,
            sec_fetch_site: Said::Nothing,
            authorization: Said::Nothing,
        }
    }

    fn refusal(site: &Site, asked: &Asked<'_>, need: Need, book: &TokenBook) -> Option<Refusal> {
        decide(site, asked, need, book, NOW).err().map(|(refusal, _)| refusal)
    }

    #[test]
    fn only_hosts_of_the_list_are_answered() {
        let (book, site) = (TokenBook::default(), Site::loopback());
        for host in ["127.0.0.1:7070", "localhost", "LOCALHOST:80", "[::1]:7070", "[::1]"] {
            assert_eq!(refusal(&site, &asked(host), Need::Nothing, &book), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7070",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "localhost:",
            "localhost:x",
            "localhost:80:80",
            "::1",
            "127.0.0.1@evil.example",
            "0.0.0.0:7070",
        ] {
            assert_eq!(refusal(&site, &asked(host), Need::Nothing, &book), Some(Refusal::ForeignHost), "{host}");
        }
        for host in [Said::Nothing, Said::Unclear] {
            let asked = Asked { host, ..asked("") };
            assert_eq!(refusal(&site, &asked, Need::Nothing, &book), Some(Refusal::NoHost));
        }
        let with_port = Site::new(["Admin.Example:8443"], true);
        assert_eq!(refusal(&with_port, &asked("admin.example:8443"), Need::Nothing, &book), None);
        assert_eq!(refusal(&with_port, &asked("admin.example"), Need::Nothing, &book), Some(Refusal::ForeignHost));
    }

    #[test]
    fn other_sites_are_refused_even_where_no_token_is_needed() {
        let (book, site) = (TokenBook::default(), Site::loopback());
        let from = |origin, sec_fetch_site| {
            let asked = Asked { origin, sec_fetch_site, ..asked("127.0.0.1:7070") };
            refusal(&site, &asked, Need::Nothing, &book)
        };
        for origin in [
            "null",
            "",
            "http://evil.example",
            "https://127.0.0.1:7070",
            "http://127.0.0.1",
            "http://127.0.0.1:7071",
            "http://localhost:7070",
            "http://127.0.0.1:7070/",
            "HTTP://127.0.0.1:7070",
        ] {
            assert_eq!(from(Said::Once(origin), Said::Nothing), Some(Refusal::ForeignOrigin), "{origin}");
        }
        assert_eq!(from(Said::Once("http://127.0.0.1:7070"), Said::Once("same-origin")), None);
        assert_eq!(from(Said::Nothing, Said::Once("none")), None);
        for site in ["cross-site", "same-site", "", "Same-Origin", "anything"] {
            assert_eq!(from(Said::Nothing, Said::Once(site)), Some(Refusal::ForeignOrigin), "{site}");
        }
        assert_eq!(from(Said::Unclear, Said::Nothing), Some(Refusal::ForeignOrigin));
        assert_eq!(from(Said::Nothing, Said::Unclear), Some(Refusal::ForeignOrigin));
    }

    #[test]
    fn a_token_must_be_there_known_and_good_for_it() {
        let (mut book, token, site) = (TokenBook::default(), Token::generate().unwrap(), Site::loopback());
        book.add(&token, "", Scopes::of(&[Scope::Revoke]), NOW, None).unwrap();
        let text = token.tell();
        let with = |authorization: &str, need| {
            let asked = Asked { authorization: Said::Once(authorization), ..asked("localhost") };
            refusal(&site, &asked, need, &book)
        };
        assert_eq!(with(&format!("Bearer {}", *text), REVOKE), None);
        assert_eq!(with(&format!("bEARER   {}", *text), REVOKE), None);
        assert_eq!(
            with(&format!("Bearer {}", *text), Need::OneOf(&[Scope::Read, Scope::Revoke])),
            None,
            "one is enough"
        );
        assert_eq!(
            with(&format!("Bearer {}", *text), Need::OneOf(&[Scope::Keys])),
            Some(Refusal::MissingScope(&[Scope::Keys]))
        );
        let other = Token::generate().unwrap().tell();
        for wrong in [
            &*other,
            "Bearer",
            "Bearer ",
            &format!("Bearer {}", *other),
            &format!("Basic {}", *text),
            &text,
            &format!("Bearer {} x", *text),
        ] {
            assert_eq!(with(wrong, REVOKE), Some(Refusal::WrongToken));
        }
        assert_eq!(refusal(&site, &asked("localhost"), REVOKE, &book), Some(Refusal::NoToken));
        let twice = Asked { authorization: Said::Unclear, ..asked("localhost") };
        assert_eq!(refusal(&site, &twice, REVOKE, &book), Some(Refusal::WrongToken));
    }
}
