//! OpenID Connect Back-Channel Logout 1.0: when a user logs out at the provider, the provider posts a *logout token*,
//! and the sessions that it means end everywhere.
//!
//! ```no_run
//! # use warp::Filter; use sealjar::{Login, Session, Sessions};
//! # #[derive(Default, serde::Serialize, serde::Deserialize)] struct Visitor { name: String }
//! # async fn app(sessions: Sessions<Visitor>, mut session: Session<Visitor>, visitor: Visitor) -> Result<(), sealjar::Error> {
//! # let (iss, sub, sid) = ("https://id.example.org", "248289761001", Some("08a5019c"));
//! use sealjar::backchannel::{self, Provider};
//!
//! // At login, from the verified ID token: whose session this is at the provider.
//! session.login(Login::subject("7").provider(iss, sub, sid), visitor).await?;
//!
//! // POST /backchannel-logout, which is registered at the provider as the backchannel_logout_uri.
//! let provider = Provider::new("https://id.example.org", "shop")      // the issuer, and our client id there
//!     .keys_url("https://id.example.org/jwks");                       // the issuer's jwks_uri
//! let logout = backchannel::route(&sessions, provider)?;
//! # let _ = logout.map(|reply| reply);
//! # Ok(()) }
//! ```
//!
//! ```text
//! provider ── logout_token ─► form ─► Unverified ─► keys ─► verified ─► seen before? ─► cut-off of H(iss|sid) ─► 200
//!                              │          │          │         │            │            or of H(iss|sub)
//!                              └── 400 ───┴──────────│─────────┴── 400 ─────┘                  │
//!                                                    └─────────────── 503, Retry-After ────────┘
//! ```
//!
//! No table leads from the provider's sessions to ours: both names are labels in the cookie, as keyed hashes, and a
//! logout is the cut-off of one of them. A later login is not touched.
//!
//! # Answers
//!
//! **200** only when the cut-off is committed. **400** with `invalid_request` for what is refused: [`Refusal`] is the
//! list. **503** with `Retry-After` when it cannot be kept, or when nobody can tell, because the provider's keys are out
//! of reach or were just asked for. Section 2.8 has 400 for a logout that failed as well; 503 deviates from that on
//! purpose: it says that trying again is worth it, and the sessions are still alive.
//!
//! # Consistency
//!
//! A logout is in force in this process when it is answered, elsewhere as any other revocation. A token is acted on
//! once: the cut-off and a mark of the token's `jti` are one publication, and every process reads what is new in the list
//! before it acts. Two that receive the same token at the same moment both act, as of that moment.

mod http;
mod list;
mod receiver;

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::io::jwks::{Jwks, JwksPlace};
use crate::logout_token::Rules;
use crate::time::minutes;

pub use crate::logout_token::{Algorithm, LogoutRequest, Refusal, Scope};
#[cfg(feature = "admin")]
pub(crate) use http::{answer, token};
pub use http::{receive, route};
pub use list::LogoutList;
pub use receiver::{Failure, Receiver};

/// The longest that a logout token may be accepted to live. It is the time in which a stolen one can be used.
const LONGEST: Duration = minutes(60);

/// An OpenID provider whose logout tokens are accepted: one issuer, one client id, one set of keys.
///
/// An app with several providers mounts one receiver for each, at a path of its own ([`receive`]).
#[derive(Clone, Debug)]
#[must_use]
pub struct Provider {
    rules: Rules,
    keys: Option<JwksPlace>,
}

impl Provider {
    /// The provider with this issuer identifier, for the client of this id.
    ///
    /// The issuer is compared byte by byte with `iss`: write it as the provider's metadata have it.
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self { rules: Rules::new(issuer, client_id), keys: None }
    }

    /// The issuer's keys, from its `jwks_uri`. Asked for when the first token comes, every 10 minutes while tokens
    /// come, and before that when a token does not verify, but at most once in 10 s. If the address is out of reach, the
    /// keys of the last answer go on for a day. At most 256 KiB, within 5 s, without redirects.
    ///
    /// `https`, trusted as this machine trusts (`SSL_CERT_FILE` adds an authority); `http` only on this machine.
    pub fn keys_url(mut self, url: impl Into<String>) -> Self {
        self.keys = Some(JwksPlace::Url(url.into()));
        self
    }

    /// The issuer's keys, from a file that holds its JWK Set. A change counts from the next token on; a file that
    /// becomes unreadable does not replace what was read.
    pub fn keys_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.keys = Some(JwksPlace::File(path.into()));
        self
    }

    /// The signatures that are accepted. Default: RS256 only, as the specification has it. Name what the client is
    /// registered with (`id_token_signed_response_alg`), and no more.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.rules.algorithms = algorithms.into_iter().collect();
        self
    }

    /// An audience that may stand beside the client id. Default: none; a token for others too is refused.
    pub fn trust_audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.trusted_audiences.push(audience.into());
        self
    }

    /// How far ahead a token may expire. Default: 10 minutes, at most 60. Providers are asked to send 2.
    pub fn longest(mut self, longest: Duration) -> Self {
        self.rules.longest = longest;
        self
    }

    /// Refuses tokens without `typ: logout+jwt`. Default: the header may also be missing or say `JWT`, because many
    /// providers send it so. Switch it on where the provider sends it.
    pub fn require_type(mut self) -> Self {
        self.rules.require_type = true;
        self
    }

    fn check(self) -> Result<(Rules, Jwks), Error> {
        let Self { rules, keys } = self;
        if rules.issuer.is_empty() || rules.client_id.is_empty() {
            return Err(Error::config(
                "the provider's issuer or our client id there is empty",
                "Write Provider::new(\"https://id.example.org\", \"our-client-id\")",
            ));
        }
        if rules.algorithms.is_empty() {
            return Err(Error::config(
                "no signature algorithm is accepted, so every logout would be refused",
                "Leave .algorithms(..) out for RS256, or name what the client is registered with",
            ));
        }
        if rules.longest.is_zero() || rules.longest > LONGEST {
            return Err(Error::config(
                format!("logout tokens are to live for {} s at most", rules.longest.as_secs()),
                "Write .longest(..) with 1 second to 60 minutes; providers are asked to send 2 minutes",
            ));
        }
        let keys = keys.ok_or_else(|| {
            Error::config(
                "the provider has no keys, so no signature could be verified",
                "Add .keys_url(..) with the jwks_uri of its metadata, or .keys_file(..) with a JWK Set",
            )
        })?;
        Ok((rules, Jwks::open(keys)?))
    }
}
