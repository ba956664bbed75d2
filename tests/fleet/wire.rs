//! What a test asks of a node, and what it answers: one line of JSON each.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    pub number: u64,
    pub ask: Ask,
}

/// What an app would do with a request. Cookies are `name=value`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Only looks.
    Open {
        cookie: String,
        route: Route,
    },
    /// Stays open until the session is not good any more.
    Stay {
        cookie: String,
    },
    /// A new session, in the place of the one that the cookie holds, if any.
    Login {
        subject: String,
        cookie: Option<String>,
    },
    Logout {
        cookie: String,
    },
    LogoutEverywhere {
        cookie: String,
    },
    /// Takes something away, so that older copies of the cookie are worthless.
    Reduce {
        cookie: String,
    },
    /// Seals a one-time value into the session.
    Offer {
        cookie: String,
    },
    /// Takes it.
    Take {
        cookie: String,
    },
    /// By its handle. With `wait`, until it is worth more than being committed, or some seconds have passed.
    RevokeSession {
        handle: String,
        wait: Wait,
    },
    RevokeSubject {
        subject: String,
        wait: Wait,
    },
    RevokeAll,
    /// Nothing but how fresh the list is.
    Freshness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    Relaxed,
    Default,
    Strict,
}

/// What to wait for after a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    No,
    Replicated,
    InForce,
}

/// One answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub number: u64,
    /// Boot time in microseconds, before anything was done and after all was done.
    pub began: u64,
    pub ended: u64,
    /// Whether the list was fresh when it began.
    pub fresh: bool,
    /// The longest single call of the library, in microseconds.
    pub longest: u64,
    pub said: Said,
}

impl Answer {
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.ended - self.began)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// The session was looked at, or the request ended there because it is not live.
    Verdict {
        /// Its stable code.
        code: String,
        /// The cookie that the response sets, if it was due for a refresh.
        cookie: Option<String>,
    },
    /// It is done, as durably as the word says. With the verdict on the cookie that came.
    Done {
        verdict: String,
        durability: String,
        cookie: Option<String>,
        handle: Option<String>,
    },
    /// What became of the one-time value.
    Taken {
        code: String,
        cookie: Option<String>,
    },
    /// The call failed: `superseded`, or `error` with what it says.
    Failed {
        kind: String,
        words: String,
    },
    Fresh(bool),
}

/// What a node says without being asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Line {
    /// It serves since this boot time.
    Ready {
        at: u64,
    },
    /// It cannot start yet, and tries again.
    NotReady {
        why: String,
    },
    Answer(Answer),
}

/// What begins each line; the test program's own words do not.
pub const MARK: &str = "node> ";
