//! How often others may cause something: an answer, a record on a disk, a line in a log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Now;

/// Allows `most` at once, and as many again within `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The most at once.
    pub most: u32,
    /// How long an empty bucket takes to fill.
    pub window: Duration,
}

/// Lines of a log that anybody can cause: 10 at once, and one in 6 seconds after that.
const LINES: Rate = Rate { most: 10, window: Duration::from_secs(60) };

/// A bucket, as the moment (boot time) at which it will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// Takes one out.
    ///
    /// # Errors
    ///
    /// How long to wait until there is one.
    pub fn take(&mut self, rate: Rate, now: Now) -> Result<(), Duration> {
        let one = rate.window / rate.most;
        let full_at = self.full_at.max(now.boot) + one;
        match full_at.checked_sub(now.boot + rate.window) {
            Some(early) if early > Duration::ZERO => Err(early),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }
}

/// So many one by one; the others are counted, and the next one tells how many they were.
#[derive(Debug, Default)]
pub struct Quota {
    bucket: Bucket,
    skipped: u64,
}

impl Quota {
    /// Whether there is room for this one: then how many were skipped since the last.
    pub fn take(&mut self, rate: Rate, now: Now) -> Option<u64> {
        if self.bucket.take(rate, now).is_err() {
            self.skipped += 1;
            return None;
        }
        Some(std::mem::take(&mut self.skipped))
    }
}

/// A line of the log that anybody can cause: said 10 times at once, and once in 6 seconds after that. So nobody fills the
/// disk with it, and none is without a trace.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Quota>);

impl Seldom {
    /// Whether it is said now: then how many were not, since the last.
    pub fn say(&self, now: Now) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(LINES, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_cause_is_said_seldom_and_counted() {
        let (seldom, at) =
            (Seldom::default(), |seconds: u64| Now { millis: 0, boot: Duration::from_secs(1_000 + seconds) });
        let said: Vec<_> = (0..7_275).filter_map(|_| seldom.say(at(0))).collect();
        assert_eq!(said, [0; 10]);
        assert_eq!(seldom.say(at(5)), None);
        assert_eq!(seldom.say(at(6)), Some(7_266), "and the next one tells how many were skipped");
        assert_eq!(seldom.say(at(6)), None);
        assert_eq!(seldom.say(at(60)), Some(1));
    }
}
