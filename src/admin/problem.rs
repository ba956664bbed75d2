//! What an answer says when it is not what was asked for: problem details (RFC 9457), from a closed list.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::Error;

use super::ask::About;
use super::guard::Refusal;
use super::scope::Scope;

/// Every kind of problem: its name, its status, its title.
macro_rules! kinds {
    ($($kind:ident = $name:literal, $status:literal, $title:literal;)*) => {
        /// What kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $(#[doc = $title] $kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The last part of its `type`: `urn:sealjar:problem:` and this.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)* }
            }

            /// The same words for every problem of this kind.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }
        }
    };
}

kinds! {
    BadRequest = "bad-request", 400, "The request cannot be read";
    NoHost = "no-host", 400, "The request does not say for which host it is";
    TokenMissing = "token-missing", 401, "A token is needed";
    TokenUnknown = "token-unknown", 401, "The token is not known here";
    ForeignOrigin = "foreign-origin", 403, "Another site asked for this";
    ScopeMissing = "scope-missing", 403, "The token is not good for this";
    NotFound = "not-found", 404, "There is no such thing";
    MethodNotAllowed = "method-not-allowed", 405, "Not with this method";
    TooSlow = "too-slow", 408, "The request did not arrive in time";
    InProgress = "in-progress", 409, "The first request with this key is still at work";
    WrongState = "wrong-state", 409, "Not in this state";
    TooLarge = "too-large", 413, "The request is too large";
    WrongMediaType = "wrong-media-type", 415, "The body is not JSON";
    ForeignHost = "foreign-host", 421, "This host is not served here";
    OtherRequest = "other-request", 422, "This key belongs to another request";
    Invalid = "invalid", 422, "The request makes no sense";
    TooManyFailures = "too-many-failures", 429, "Too many wrong tokens";
    TooMuchAtOnce = "too-much-at-once", 429, "Too much at once";
    Internal = "internal", 500, "A configuration or a key is at fault";
    StoreUnavailable = "store-unavailable", 503, "The revocation list is out of reach";
    AuditUnavailable = "audit-unavailable", 503, "The audit cannot be written";
}

/// A problem, ready to be told.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// Everything else.
    pub more: Box<More>,
}

/// What a problem says beyond its kind.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// What happened, why, and what to do: for this one request.
    pub detail: String,
    /// Further members, such as the scopes that were needed.
    pub members: Map<String, Value>,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
    /// What `WWW-Authenticate` says, for 401 and where a scope is missing (RFC 6750, section 3).
    pub challenge: Option<String>,
    /// What `Allow` says, for 405.
    pub allow: Option<String>,
    /// What was asked for, as far as it was understood: for the audit, not for the answer.
    pub about: Option<About>,
}

impl Problem {
    /// A problem with its sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, more: Box::new(More { detail: detail.into(), ..More::default() }) }
    }

    /// With one member more.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.members.insert(name.to_owned(), value);
        self
    }

    /// Says what was asked for.
    #[must_use]
    pub fn about(mut self, about: &About) -> Self {
        self.more.about = Some(about.clone());
        self
    }

    /// To be tried again after `span`.
    #[must_use]
    pub fn after(mut self, span: Duration) -> Self {
        self.more.retry_after = Some(span);
        self
    }

    /// There for these methods.
    #[must_use]
    pub fn allowing(mut self, methods: String) -> Self {
        self.more.allow = Some(methods);
        self
    }

    /// With what `WWW-Authenticate` says.
    #[must_use]
    pub fn challenging(mut self, challenge: String) -> Self {
        self.more.challenge = Some(challenge);
        self
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = self.more.members.clone();
        body.insert("type".into(), json!(format!("urn:sealjar:problem:{}", self.kind.name())));
        body.insert("title".into(), json!(self.kind.title()));
        body.insert("status".into(), json!(self.kind.status()));
        body.insert("detail".into(), json!(self.more.detail));
        Value::Object(body)
    }

    /// `Retry-After` counts whole seconds (RFC 9110, section 10.2.3), at least one.
    #[must_use]
    pub fn retry_seconds(&self) -> Option<u64> {
        self.more.retry_after.map(|span| span.as_secs() + 1)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let challenged = |kind, detail: &str, challenge| Self::new(kind, detail).challenging(challenge);
        match refusal {
            Refusal::NoHost => Self::new(Kind::NoHost, "The field Host is missing, or is there more than once. Send it once"),
            Refusal::ForeignHost => Self::new(
                Kind::ForeignHost,
                "This endpoint answers to a fixed list of hosts only, so that no web site can reach it under a name of its own. \
                 Use one of those, or start it with --host NAME",
            ),
            Refusal::ForeignOrigin => Self::new(
                Kind::ForeignOrigin,
                "The fields Origin or Sec-Fetch-Site say that another web site asked for this. \
                 Use the console of this endpoint, or a program, which sends neither",
            ),
            Refusal::NoToken => challenged(
                Kind::TokenMissing,
                "Send the field Authorization: Bearer and a token, which `sealjar token new` makes. Cookies count for nothing here",
                CHALLENGE.to_owned(),
            ),
            Refusal::WrongToken => challenged(
                Kind::TokenUnknown,
                "It was never made here, was revoked, or is over. `sealjar token list` shows those that are known",
                format!("{CHALLENGE}, error=\"invalid_token\""),
            ),
            Refusal::TooMany(wait) => Self::new(
                Kind::TooManyFailures,
                "Too many wrong tokens came from this address or in all. Wait, or send one that is right: that is never delayed",
            )
            .after(wait),
            Refusal::MissingScope(scopes) => {
                let names = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>();
                let challenge = format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"{}\"", names.join(" "));
                let detail = format!("It needs the scope {}. Make another token with `sealjar token new --scope ...`", names.join(" or "));
                challenged(Kind::ScopeMissing, &detail, challenge).with("needs", json!(names))
            }
        }
    }
}

/// The scope that a scope of the body asks for, on top of what the route does.
#[must_use]
pub fn missing_scope(scope: &'static [Scope]) -> Problem {
    Refusal::MissingScope(scope).into()
}

const CHALLENGE: &str = "Bearer realm=\"sealjar admin\"";

impl From<Error> for Problem {
    /// The sentences of our errors hold no secret, and who reads them here has shown a token.
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Store { .. } => Self::new(Kind::StoreUnavailable, detail).after(Duration::from_secs(2)),
            Error::Usage { .. } => Self::new(Kind::Invalid, detail),
            _ => Self::new(Kind::Internal, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(Kind::ALL.iter().all(|kind| (400..600).contains(&kind.status())));
    }

    #[test]
    fn a_problem_is_told_as_rfc_9457_says() {
        let problem = Problem::from(Refusal::MissingScope(&[Scope::Read, Scope::Revoke]));
        let body = problem.to_json();
        assert_eq!(body["type"], "urn:sealjar:problem:scope-missing");
        assert_eq!((&body["status"], &body["needs"]), (&json!(403), &json!(["read", "revoke"])));
        assert_eq!(
            problem.more.challenge.clone().unwrap(),
            "Bearer realm=\"sealjar admin\", error=\"insufficient_scope\", scope=\"read revoke\""
        );
        let late = Problem::from(Refusal::TooMany(Duration::from_millis(5_200)));
        assert_eq!((late.kind.status(), late.retry_seconds()), (429, Some(6)));
    }
}
