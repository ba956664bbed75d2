//! Time as values, and the only place that reads a clock.
//!
//! Three kinds of time, never mixed: **wall** seconds (what a cookie expires by), **boot** time (what
//! staleness is measured by: it never jumps, and it goes on while the machine sleeps), and a
//! **position** in the revocation list (milliseconds of the store's clock that never go back).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::id::NotAnId;

/// Unix seconds. Four bytes in the cookie, good until the year 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u32);

impl Seconds {
    /// Later by `span`, which is rounded down to whole seconds; stops at the end of the range.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole_seconds(span)))
    }

    /// How long until `later`; zero if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::from(later.0.saturating_sub(self.0)))
    }

    /// The UTC day that this second falls in.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(self.0 / DAY)
    }
}

impl fmt::Display for Seconds {
    /// RFC 3339 in UTC, `2026-11-23T15:20:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{}T{h:02}:{m:02}:{s:02}Z", self.day())
    }
}

const DAY: u32 = 86_400;

/// A UTC day, counted from 1970-01-01. Revocations are kept and dropped by the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The first second after this day.
    #[must_use]
    pub const fn end(self) -> Seconds {
        Seconds(self.0.saturating_add(1).saturating_mul(DAY))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = ::time::Date::from_julian_day(UNIX_JULIAN_DAY.saturating_add_unsigned(self.0));
        match date {
            Ok(d) => write!(f, "{:04}-{:02}-{:02}", d.year(), u8::from(d.month()), d.day()),
            Err(_) => write!(f, "day{}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let form = ::time::macros::format_description!("[year]-[month]-[day]");
        ::time::Date::parse(text, &form)
            .ok()
            .and_then(|date| u32::try_from(date.to_julian_day() - UNIX_JULIAN_DAY).ok())
            .map(Self)
            .ok_or(NotAnId("a day looks like 2026-11-24"))
    }
}

const UNIX_JULIAN_DAY: i32 = 2_440_588;

/// A place in the revocation list's own time: milliseconds of the store's clock, never going back.
///
/// A session carries the position at which it was born; a cut-off denies every session born at or
/// before it. Both come from the store, so no node's clock can make a revocation miss a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Later by `span`.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// As wall time, for people.
    #[must_use]
    pub fn seconds(self) -> Seconds {
        Seconds(u32::try_from(self.0 / 1000).unwrap_or(u32::MAX))
    }
}

/// One reading of the clocks. Decisions take it as a value; they never ask for the time themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970, by this machine's wall clock.
    pub millis: u64,
    /// Time since boot, suspend included.
    pub boot: Duration,
}

impl Now {
    /// The wall clock in whole seconds.
    #[must_use]
    pub fn seconds(self) -> Seconds {
        Seconds(u32::try_from(self.millis / 1000).unwrap_or(u32::MAX))
    }
}

/// Where `now` comes from: the system, or a hand that a test moves.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<ManualClock>>);

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that moves only when told to. For tests of an app's own expiry behaviour.
    #[must_use]
    pub const fn manual(hand: Arc<ManualClock>) -> Self {
        Self(Some(hand))
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        match &self.0 {
            Some(hand) => hand.now(),
            None => Now { millis: wall_millis(), boot: boot_time() },
        }
    }
}

/// A clock for tests: starts at a given wall time, moves by [`ManualClock::advance`].
#[derive(Debug)]
pub struct ManualClock {
    start: u64,
    elapsed: AtomicU64,
}

impl ManualClock {
    /// Stands at `start` until moved.
    #[must_use]
    pub fn at(start: Seconds) -> Arc<Self> {
        Arc::new(Self { start: u64::from(start.0) * 1000, elapsed: AtomicU64::new(0) })
    }

    /// Moves wall and boot time forward together.
    pub fn advance(&self, span: Duration) {
        self.elapsed.fetch_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn now(&self) -> Now {
        let elapsed = self.elapsed.load(Ordering::SeqCst);
        Now { millis: self.start + elapsed, boot: Duration::from_millis(elapsed) }
    }
}

fn wall_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX))
}

/// `CLOCK_BOOTTIME` counts the time a suspended machine sleeps; a node that wakes up must know how
/// old its list is. `Instant` does not promise that.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(t.tv_sec.cast_unsigned(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Elsewhere no portable clock counts suspend, so wall time stands in: a jump forward only makes the
/// list look staler than it is, which fails closed.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_time() -> Duration {
    Duration::from_millis(wall_millis())
}

/// A duration in whole seconds, as the cookie stores it.
#[must_use]
pub fn whole_seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// `minutes(30)` reads better in a builder than seconds do.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// `hours(12)`.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// `days(7)`.
#[must_use]
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_print_and_read_back() {
        assert_eq!(Day(0).to_string(), "1970-01-01");
        assert_eq!(Seconds(1_795_447_200).to_string(), "2026-11-23T15:20:00Z");
        assert_eq!("2026-11-23".parse::<Day>().unwrap(), Seconds(1_795_447_200).day());
        assert!("2026-13-01".parse::<Day>().is_err());
        assert!("1969-12-31".parse::<Day>().is_err());
    }

    #[test]
    fn a_day_ends_where_the_next_begins() {
        let day = Seconds(1_795_447_200).day();
        assert_eq!(day.end().day(), Day(day.0 + 1));
        assert_eq!(Seconds(day.end().0 - 1).day(), day);
    }

    #[test]
    fn the_manual_clock_moves_both_hands() {
        let hand = ManualClock::at(Seconds(100));
        let clock = Clock::manual(hand.clone());
        hand.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Now { millis: 105_000, boot: Duration::from_secs(5) });
    }
}
