//! What a logout token says, once its signature holds, and whether that is for us.

use std::fmt;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use crate::config::SKEW;
use crate::time::Seconds;

use super::Rules;
use super::refusal::Refusal;

/// The member of `events` that makes a token a logout token (section 2.4).
pub const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout that a provider asks for: every check is behind it.
///
/// `Debug` says what there is, never whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutRequest {
    pub(super) token_id: String,
    pub(super) scope: Scope,
    pub(super) expires: Seconds,
}

/// Whose sessions end.
#[derive(Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those that were begun from one session at the provider: its `sid`.
    Session(String),
    /// All of a user at the provider: their `sub`. Only where the token has no `sid` (section 2.4).
    Subject(String),
}

impl LogoutRequest {
    /// The token's `jti`.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// Whose sessions end.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// When the token expires.
    #[must_use]
    pub const fn expires(&self) -> Seconds {
        self.expires
    }
}

impl Scope {
    /// `session` or `subject`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Subject(_) => "subject",
        }
    }
}

impl fmt::Debug for LogoutRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogoutRequest({:?}, expires {})", self.scope, self.expires)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

/// The claims of section 2.4. Others are ignored, as it says; a member that stands there twice is refused by the
/// decoder (RFC 7519, section 4).
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    iat: Number,
    exp: Number,
    nbf: Option<Number>,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    azp: Option<String>,
    events: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    nonce: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    pub(super) fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(payload).map_err(|_| Refusal::Claims)
    }

    /// Steps 4 to 7 of section 2.6; `iss`, `aud`, `iat` and `exp` as an ID token's (OpenID Connect Core 1.0, section
    /// 3.1.3.7). Step 8, the replay, needs a memory: it is the receiver's.
    pub(super) fn judge(self, rules: &Rules, now: Seconds) -> Result<LogoutRequest, Refusal> {
        if self.iss != rules.issuer {
            return Err(Refusal::Issuer);
        }
        if !self.audience_is(rules) {
            return Err(Refusal::Audience);
        }
        let expires = self.in_time(rules.longest, now)?;
        if !self.is_logout() {
            return Err(Refusal::NotALogout);
        }
        if self.nonce {
            return Err(Refusal::Nonce);
        }
        let there = |name: Option<String>| name.filter(|name| !name.is_empty());
        let scope = match (there(self.sid), there(self.sub)) {
            (Some(session), _) => Scope::Session(session),
            (None, Some(subject)) => Scope::Subject(subject),
            (None, None) => return Err(Refusal::Nobody),
        };
        let token_id = there(Some(self.jti)).ok_or(Refusal::Claims)?;
        Ok(LogoutRequest { token_id, scope, expires })
    }

    /// For this client, and for no other that is not trusted; authorized to this one, if it says to whom.
    fn audience_is(&self, rules: &Rules) -> bool {
        let all = match &self.aud {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Many(all) => all,
        };
        all.contains(&rules.client_id)
            && all.iter().all(|one| *one == rules.client_id || rules.trusted_audiences.contains(one))
            && self.azp.as_ref().is_none_or(|party| *party == rules.client_id)
    }

    fn in_time(&self, longest: Duration, now: Seconds) -> Result<Seconds, Refusal> {
        let (issued, expires) = (seconds(&self.iat)?, seconds(&self.exp)?);
        let valid_from = self.nbf.as_ref().map(seconds).transpose()?.unwrap_or(issued);
        if expires.after(SKEW) <= now {
            return Err(Refusal::Expired);
        }
        if expires > now.after(longest).after(SKEW) {
            return Err(Refusal::TooLong);
        }
        if issued.max(valid_from) > now.after(SKEW) {
            return Err(Refusal::FromTheFuture);
        }
        Ok(expires)
    }

    fn is_logout(&self) -> bool {
        self.events.as_ref().and_then(|events| events.as_object()?.get(EVENT)).is_some_and(Value::is_object)
    }
}

/// Numbers of seconds, fractions allowed (RFC 7519, section 2, `NumericDate`). Text is no number.
fn seconds(date: &Number) -> Result<Seconds, Refusal> {
    let whole = date.as_u64().or_else(|| {
        let date = date.as_f64().filter(|date| (0.0..=f64::from(u32::MAX)).contains(date))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "its range was just looked at")]
        Some(date as u64)
    });
    // What lies beyond the year 2106 is as far as time goes here.
    whole.map(|whole| Seconds(u32::try_from(whole).unwrap_or(u32::MAX))).ok_or(Refusal::Claims)
}

/// A member that is there, whatever it holds: `null` too.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}
