//! What a row of the table of routes says, and how a request finds its row.

use std::pin::Pin;

use super::answer::Told;
use super::ask::{Ask, Step};
use super::guard::Need;
use super::problem::{Kind, Problem};
use super::service::Service;

/// One operation. The dispatcher, the guard, the audit and the OpenAPI document all read this.
pub struct Route {
    /// Its name in the OpenAPI document and in the audit.
    pub id: &'static str,
    /// `GET` or `POST`; what answers `GET` answers `HEAD` too.
    pub method: &'static str,
    /// Its path; `{id}` stands for one segment without a colon.
    pub path: &'static str,
    /// Who may.
    pub need: Need,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// The query's fields.
    pub query: &'static [Parameter],
    /// The schema of the body.
    pub body: Option<&'static str>,
    /// What is answered when all is well: status, schema, meaning.
    pub answers: &'static [(u16, &'static str, &'static str)],
    /// The problems that it may have, besides those of every route like it.
    pub problems: &'static [Kind],
    /// Whether an answer is written down. What needs no token tells nothing, and what is asked for every some
    /// seconds would bury the rest; refusals are written in any case.
    pub is_written: bool,
    /// Whether `Idempotency-Key` counts.
    pub changes: bool,
    /// What does it.
    pub call: Call,
}

/// A field of the query.
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its JSON schema, as text.
    pub schema: &'static str,
}

/// For a change that takes no body.
pub const DRY_RUN: Parameter = Parameter {
    name: "dry_run",
    about: "With true it only says what would be done.",
    schema: r#"{"type": "string", "enum": ["true", "false"], "default": "false"}"#,
};

/// What does an operation: it judges the request, and answers it or says what is to be changed.
pub type Call = for<'a> fn(&'a Service, &'a Ask) -> Doing<'a, Step>;

/// A boxed future of the endpoint.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// A change that is about to be made.
pub type Change = Pin<Box<dyn Future<Output = Result<Changed, Problem>> + Send>>;

/// What came of a change.
pub struct Changed {
    /// The answer.
    pub told: Told,
    /// The same in a word, for the audit.
    pub result: String,
}

/// What a request is for.
pub enum Found {
    /// This operation, with what stands for `{id}`.
    Route(&'static Route, Option<String>),
    /// Something that there is, but not with this method; with these.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// Finds the row of a request.
#[must_use]
pub fn find(routes: &'static [Route], method: &str, path: &str) -> Found {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut others = Vec::new();
    for route in routes {
        let Some(id) = matches(route.path, path) else { continue };
        if route.method == method {
            return Found::Route(route, route.path.contains(ID).then(|| id.to_owned()));
        }
        others.push(route.method);
        others.extend((route.method == "GET").then_some("HEAD"));
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others.join(", ")) }
}

/// Whether a path is the one of a pattern, and what stands for its `{id}`, if it has one.
fn matches<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once(ID) else { return (pattern == path).then_some("") };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains(['/', ':'])).then_some(id)
}

const ID: &str = "{id}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_one_segment_and_a_verb_of_its_own() {
        let id = |pattern, path| matches(pattern, path);
        assert_eq!(id("/v1/nodes", "/v1/nodes"), Some(""));
        assert_eq!(id("/v1/nodes", "/v1/nodes/"), None);
        assert_eq!(id("/v1/keys/{id}", "/v1/keys/ab12"), Some("ab12"));
        assert_eq!(id("/v1/keys/{id}", "/v1/keys/ab12:promote"), None);
        assert_eq!(id("/v1/keys/{id}:promote", "/v1/keys/ab12:promote"), Some("ab12"));
        for other in ["/v1/keys/", "/v1/keys/a/b", "/v1/keys", "/v1/keys/:promote", "/v1/keysab"] {
            assert_eq!((id("/v1/keys/{id}", other), id("/v1/keys/{id}:promote", other)), (None, None), "{other}");
        }
    }
}
