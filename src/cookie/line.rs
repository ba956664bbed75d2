//! A `Set-Cookie` line as a client got it, whoever wrote it.

use cookie::Cookie;

use crate::error::Error;
use crate::wire::MAX_COOKIE;

use super::SameSite;
use super::rules::{CookieRules, CookieWishes};

/// The attributes of a cookie that was set; its value is only counted.
#[derive(Debug)]
pub struct Line {
    /// The cookie's name.
    pub name: String,
    /// Name and value together, as browsers count.
    pub characters: usize,
    /// Whether `Secure` stands there.
    pub secure: bool,
    /// Whether `HttpOnly` stands there.
    pub http_only: bool,
    /// Whether a `SameSite` that browsers know stands there.
    pub has_same_site: bool,
    wishes: CookieWishes,
}

impl Line {
    /// Reads what stands behind `Set-Cookie:`; nothing if that has no name and value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let cookie = Cookie::parse(text.trim()).ok()?;
        let is = |attribute: Option<bool>| attribute.unwrap_or(false);
        let wishes = CookieWishes {
            name: Some(cookie.name().to_owned()),
            domain: cookie.domain().map(str::to_owned),
            path: cookie.path().unwrap_or_default().to_owned(),
            same_site: cookie.same_site().unwrap_or(SameSite::Lax),
            secure: is(cookie.secure()),
            http_only: is(cookie.http_only()),
            persistent: cookie.max_age().is_some(),
        };
        Some(Self {
            name: cookie.name().to_owned(),
            characters: cookie.name().len() + cookie.value().len(),
            secure: wishes.secure,
            http_only: wishes.http_only,
            has_same_site: cookie.same_site().is_some(),
            wishes,
        })
    }

    /// The same rules as for an app's own cookie.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first rule of browsers that the line breaks.
    pub fn rules(&self) -> Result<CookieRules, Error> {
        self.wishes.clone().check("")
    }

    /// The most characters that browsers take.
    #[must_use]
    pub const fn limit(&self) -> usize {
        MAX_COOKIE
    }
}
