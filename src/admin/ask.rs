//! What an operation is asked, and what it says about itself before it does anything.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Told};
use super::audit::{Entry, Event};
use super::problem::{Kind, Problem, missing_scope};
use super::route::Change;
use super::scope::Scope;
use super::token::{KnownToken, TokenId};

/// A request that was let in.
#[derive(Debug)]
pub struct Ask {
    /// Where the routes are mounted; empty for the root.
    pub prefix: String,
    /// What stands for `{id}` in the path.
    pub id: Option<String>,
    /// The query's fields, decoded; each name once, and one of those that the operation knows.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Who asks.
    pub who: Who,
}

/// Who asks, for the audit.
#[derive(Clone, Debug)]
pub struct Who {
    /// The token that they showed.
    pub token: Option<KnownToken>,
    /// From where.
    pub peer: Option<IpAddr>,
}

/// What an operation says when it has judged a request.
pub enum Step {
    /// It only looked; `about` is what at.
    Answered {
        /// The answer.
        answer: Answer,
        /// What it was about.
        about: About,
    },
    /// It is about to change something, and does when the attempt is written down.
    Change {
        /// What it is about.
        about: About,
        /// What does it.
        change: Change,
    },
}

impl Step {
    /// It looked at nothing in particular, and this is what it saw.
    #[must_use]
    pub fn looked(body: Value) -> Self {
        Self::Answered { answer: Answer::Told(Told::ok(body)), about: About::default() }
    }
}

/// What an operation is about, for the audit. Holds no secret and no name.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Which kind: a scope, a state of a key.
    pub scope: Option<String>,
    /// Whom or what: a session's handle, the keyed hash of a name, a key's id.
    pub target: Option<String>,
    /// The operator's own words.
    pub reason: Option<String>,
    /// How it ended, where that is not the status.
    pub result: Option<String>,
}

impl Who {
    /// Somebody with a token, or nobody in particular.
    #[must_use]
    pub fn of(token: Option<&KnownToken>, peer: Option<IpAddr>) -> Self {
        Self { token: token.cloned(), peer }
    }

    /// The token's id.
    #[must_use]
    pub fn token_id(&self) -> Option<TokenId> {
        self.token.as_ref().map(KnownToken::id)
    }

    /// The token's id and name.
    #[must_use]
    pub fn actor(&self) -> Option<String> {
        self.token.as_ref().map(|token| match token.name.as_str() {
            "" => format!("token {}", token.id()),
            name => format!("token {} ({name})", token.id()),
        })
    }

    /// A record of what they did.
    #[must_use]
    pub fn entry(&self, event: Event, action: &str, about: About) -> Entry {
        let About { scope, target, reason, result } = about;
        let peer = self.peer.map(|peer| peer.to_string());
        Entry { actor: self.actor(), peer, scope, target, reason, result, ..Entry::new(event, action) }
    }
}

impl Ask {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// 400 when it is no JSON, 422 when it is not what the operation takes.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // A list would be taken for the fields in their order.
        if self.body.trim_ascii_start().first() == Some(&b'[') {
            let detail = "The body is a list, and has to be an object. /openapi.json says what it looks like";
            return Err(Problem::new(Kind::Invalid, detail));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = if error.is_data() { Kind::Invalid } else { Kind::BadRequest };
            Problem::new(kind, format!("The body cannot be used: {error}. /openapi.json says what it looks like"))
        })
    }

    /// A field of the query.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A field of the query that is a number from 1 to `most`.
    ///
    /// # Errors
    ///
    /// 400 for anything else.
    pub fn number(&self, name: &str, usual: usize, most: usize) -> Result<usize, Problem> {
        let Some(text) = self.field(name) else { return Ok(usual) };
        text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
            Problem::new(Kind::BadRequest, format!("The field {name} of the query is not a number from 1 to {most}"))
        })
    }

    /// A field of the query that is one of these words.
    ///
    /// # Errors
    ///
    /// 400 for anything else.
    pub fn one_of(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(text) = self.field(name) else { return Ok(None) };
        words.iter().find(|word| **word == text).map(|word| Some(*word)).ok_or_else(|| {
            Problem::new(Kind::BadRequest, format!("The field {name} of the query is none of: {}", words.join(", ")))
        })
    }

    /// The field `target` of the query: an id, a handle, a keyed hash, or how it begins.
    ///
    /// # Errors
    ///
    /// 400 for anything else.
    pub fn target(&self) -> Result<Option<String>, Problem> {
        let Some(text) = self.field("target") else { return Ok(None) };
        let fits =
            (1..=40).contains(&text.len()) && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        fits.then(|| Some(text.to_owned())).ok_or_else(|| {
            Problem::new(
                Kind::BadRequest,
                "The field target of the query is an id, a handle or a keyed hash; never a name",
            )
        })
    }

    /// Insists on a scope that the body asks for.
    ///
    /// # Errors
    ///
    /// 403 without it.
    pub fn insist(&self, scope: &'static [Scope]) -> Result<(), Problem> {
        let held = |scope| self.who.token.as_ref().is_some_and(|token| token.scopes.allow(scope));
        if scope.iter().any(|&scope| held(scope)) { Ok(()) } else { Err(missing_scope(scope)) }
    }
}

/// The fields of a query, if each is known and there once.
///
/// # Errors
///
/// 400 otherwise.
pub fn query(fields: Option<Vec<(String, String)>>, known: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let wrong = |detail: String| Err(Problem::new(Kind::BadRequest, detail));
    let Some(fields) = fields else { return wrong("The query cannot be read".to_owned()) };
    for (n, (name, _)) in fields.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return wrong(format!("The query has a field that is not known here; known are: {}", known.join(", ")));
        }
        if fields[..n].iter().any(|(other, _)| other == name) {
            return wrong(format!("The query has the field {name} twice"));
        }
    }
    Ok(fields)
}
