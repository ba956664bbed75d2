//! What happened: every call with what it returned and when, every process, everything that was lost. And the
//! one function that reads it for broken promises.
//!
//! Times are microseconds of one clock that every process of the machine shares.
#![allow(dead_code, reason = "each test program uses a part")]

mod check;

use std::fmt;

#[allow(unused_imports, reason = "each test program uses a part")]
pub use check::{Breach, check};

pub type Micros = u64;

/// A session, counted by the test: each successful login is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNo(pub u32);

/// A process, counted by the test: a node that is started again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessNo(pub u32);

/// A cookie: which session's, and which generation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie {
    pub session: SessionNo,
    pub generation: u32,
}

#[derive(Clone, Debug, Default)]
pub struct History {
    pub calls: Vec<Call>,
    pub lives: Vec<Life>,
    pub losses: Vec<Loss>,
    /// When anything was broken that a login may have noticed.
    pub troubles: Vec<Span>,
    /// While all was well, and for so long that every process gave back what it knew and then read what the
    /// others did.
    pub calms: Vec<Span>,
    pub bounds: Bounds,
}

/// From, and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub began: Micros,
    pub ended: Micros,
}

impl Span {
    pub const fn of(began: Micros, ended: Micros) -> Self {
        Self { began, ended }
    }

    fn overlaps(self, other: Self) -> bool {
        self.began <= other.ended && other.began <= self.ended
    }

    /// How long both lasted at once.
    fn shared(self, other: Self) -> Micros {
        self.ended.min(other.ended).saturating_sub(self.began.max(other.began))
    }
}

/// The bounds that were promised.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// S.
    pub fresh: Micros,
    /// H.
    pub lost: Micros,
    /// `min-replicas-max-lag`, where the server has replicas.
    pub lag: Micros,
    /// No call may take longer.
    pub patience: Micros,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { fresh: 5_000_000, lost: 60_000_000, lag: 0, patience: 10_000_000 }
    }
}

/// One call of the library, or a request with several.
#[derive(Clone, Debug)]
pub struct Call {
    pub process: ProcessNo,
    pub span: Span,
    /// The longest single call in it; for ever, if it never returned.
    pub longest: Micros,
    pub deed: Deed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It succeeded, so there is a session now. One that failed left nothing.
    Login {
        session: SessionNo,
        subject: u32,
    },
    Open {
        cookie: Cookie,
        policy: Policy,
        seen: Seen,
    },
    Revoke {
        what: What,
        reached: Reached,
    },
    /// A one-time value was taken, or was to be.
    Take {
        value: u32,
        minted: Micros,
        first: bool,
    },
    /// It was told of an error, and changed nothing.
    Nothing,
}

/// What the route wanted of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Up to H old. With it: whether the list was fresh when the call began.
    Relaxed {
        fresh: bool,
    },
    Default,
    Strict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Live,
    /// 503: nobody can tell just now.
    Unavailable,
    /// Any other verdict, by its code.
    Refused(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Session(SessionNo),
    /// Copies of a session below this generation.
    Floor(SessionNo, u32),
    Subject(u32),
    Everybody,
}

/// What the call was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// An error, or no answer: it may have happened, and may yet happen.
    Unknown,
    /// Applied in that process, and in its own file.
    Accepted,
    Committed,
    Replicated,
    InForce,
}

/// One process.
#[derive(Clone, Debug)]
pub struct Life {
    pub process: ProcessNo,
    /// Not after it began to read the list.
    pub begun: Micros,
    /// When it had the list. None: never.
    pub ready: Option<Micros>,
    pub killed: Option<Micros>,
    /// Whether it keeps what it knows in a file of its own, which nobody lost.
    pub has_file: bool,
    /// When it was frozen. Its calls are not to blame for that time.
    pub stops: Vec<Span>,
}

/// The store may have lost what was committed to it.
#[derive(Clone, Debug)]
pub struct Loss {
    /// While it happened.
    pub span: Span,
    /// Whatever was committed by then is still there.
    pub kept_until: Micros,
    /// Whether spent one-time values may be lost as well.
    pub values: bool,
    /// A replica was promoted, so what was replicated is there as well.
    pub failover: bool,
    /// Processes whose calls from then on went to the server that stays.
    pub moved: Vec<(ProcessNo, Micros)>,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}..{:.3} s", seconds(self.began), seconds(self.ended))
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
fn seconds(at: Micros) -> f64 {
    at as f64 / 1e6
}
