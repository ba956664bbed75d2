//! How old the list may be, and what a route does about it: one table, no I/O.
//!
//! | list is | `relaxed` route | default route | `strict` route | `allow_when_lost` |
//! |---|---|---|---|---|
//! | fresh (at most S old) | decide here | decide here | a beat that began after the request | decide here |
//! | stale (at most H old) | decide here | a beat, else 503 | the same | decide here |
//! | lost (older than H) | 503 | 503 | 503 | decide here |
//! | joining (never read) | 503 | 503 | 503 | 503 |
//!
//! The age is counted from the *start* of the last beat that counted, on a clock that counts suspend.

use std::time::Duration;

use crate::time::{Now, minutes};

/// S and H.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// S: a list up to this old is trusted everywhere.
    pub fresh: Duration,
    /// H: a list older than this is trusted nowhere.
    pub lost: Duration,
}

impl Default for Bounds {
    /// 5 and 60 seconds.
    fn default() -> Self {
        Self { fresh: Duration::from_secs(5), lost: minutes(1) }
    }
}

/// What the list's age amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Never read yet.
    Joining,
    /// Within S.
    Fresh,
    /// Beyond S, within H.
    Stale,
    /// Beyond H.
    Lost,
}

impl Freshness {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Joining, Self::Fresh, Self::Stale, Self::Lost];

    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Lost => "lost",
        }
    }
}

impl Bounds {
    /// Judges the age of a list whose last good beat began at `beat` (boot time).
    #[must_use]
    pub fn judge(&self, beat: Option<Duration>, now: Now) -> Freshness {
        let Some(beat) = beat else { return Freshness::Joining };
        match now.boot.saturating_sub(beat) {
            age if age <= self.fresh => Freshness::Fresh,
            age if age <= self.lost => Freshness::Stale,
            _ => Freshness::Lost,
        }
    }
}

/// How much a route insists on the list being current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoutePolicy {
    /// Goes on with a stale list, up to H.
    Relaxed,
    /// Asks the store when the list is stale.
    #[default]
    Default,
    /// Asks the store for every request that brings a good cookie.
    Strict,
    /// Goes on with whatever list there is, however old. Fails open because the app said so, by name.
    AllowWhenLost,
}

/// What to do before the list may be consulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Consult it as it is.
    Local,
    /// Have a beat that begins now, then consult it.
    Beat,
    /// It cannot be consulted: 503.
    Unavailable,
}

impl RoutePolicy {
    /// The table above.
    #[must_use]
    pub const fn admit(self, freshness: Freshness) -> Admission {
        match (self, freshness) {
            (_, Freshness::Joining) => Admission::Unavailable,
            (Self::AllowWhenLost, _) => Admission::Local,
            (_, Freshness::Lost) => Admission::Unavailable,
            (Self::Strict, _) | (Self::Default, Freshness::Stale) => Admission::Beat,
            (Self::Relaxed, _) | (Self::Default, Freshness::Fresh) => Admission::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_judged_at_the_bounds() {
        let bounds = Bounds::default();
        let at = |millis| Now { millis: 0, boot: Duration::from_millis(millis) };
        let beat = Some(Duration::from_secs(100));
        assert_eq!(bounds.judge(None, at(0)), Freshness::Joining);
        assert_eq!(bounds.judge(beat, at(105_000)), Freshness::Fresh);
        assert_eq!(bounds.judge(beat, at(105_001)), Freshness::Stale);
        assert_eq!(bounds.judge(beat, at(160_000)), Freshness::Stale);
        assert_eq!(bounds.judge(beat, at(160_001)), Freshness::Lost);
    }

    #[test]
    fn the_table_of_routes() {
        use Admission::{Beat, Local, Unavailable};
        let row = |freshness| {
            use RoutePolicy::{AllowWhenLost, Default, Relaxed, Strict};
            [Relaxed, Default, Strict, AllowWhenLost].map(|policy| policy.admit(freshness))
        };
        assert_eq!(row(Freshness::Fresh), [Local, Local, Beat, Local]);
        assert_eq!(row(Freshness::Stale), [Local, Beat, Beat, Local]);
        assert_eq!(row(Freshness::Lost), [Unavailable, Unavailable, Unavailable, Local]);
        assert_eq!(row(Freshness::Joining), [Unavailable; 4]);
    }
}
