//! When a provider's keys are asked for again: a decision about what is known and what time it is.
//!
//! ```text
//!  asked for ──── fresh ────┬───────────────── kept ─────────────────┬───► not used any more
//!             used as is    │ asked for again; used if that fails    │
//! ```
//!
//! A token that does not verify may be signed with a key that is newer than what is known. Then keys are asked for
//! before their time, but never within the pause: whoever sends made-up key ids makes nobody fetch more often.

use std::sync::Arc;
use std::time::Duration;

use crate::time::{hours, minutes};

use super::keys::{KeySet, NotAKeySet};

/// How often, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For how long keys are used without asking.
    pub fresh: Duration,
    /// The least time between two askings.
    pub pause: Duration,
    /// How long keys are used when asking fails.
    pub kept: Duration,
}

impl Pace {
    /// For a file: read for each token, so that a change counts at once. If it becomes unreadable, what was read last
    /// goes on.
    pub const FILE: Self = Self { fresh: Duration::ZERO, pause: Duration::ZERO, kept: Duration::MAX };
    /// For a URL: every 10 minutes when tokens come, no two within 10 seconds; for a day if it is out of reach.
    pub const URL: Self = Self { fresh: minutes(10), pause: Duration::from_secs(10), kept: hours(24) };
}

/// What is known of a provider's keys. Times are boot times.
#[derive(Debug, Default)]
pub struct Cached {
    known: Option<Known>,
    tried: Option<Duration>,
}

#[derive(Debug)]
struct Known {
    keys: Arc<KeySet>,
    bytes: Vec<u8>,
    at: Duration,
}

/// What to do for somebody who wants keys.
#[derive(Clone, Debug)]
pub enum Step {
    /// Use these.
    Use(Arc<KeySet>),
    /// Ask for them.
    Fetch,
    /// Nothing that could be used, and too early to ask: as long as this.
    Wait(Duration),
}

impl Cached {
    /// For a token that came at `asked`: the keys to verify it with.
    #[must_use]
    pub fn keys(&self, pace: Pace, asked: Duration, now: Duration) -> Step {
        match &self.known {
            Some(known) if known.at >= asked || now.saturating_sub(known.at) < pace.fresh => {
                Step::Use(known.keys.clone())
            }
            _ => match self.fetch(pace, now) {
                Step::Wait(left) => self.kept(pace, now).map_or(Step::Wait(left), Step::Use),
                step => step,
            },
        }
    }

    /// For a token that came at `asked`, and that what is known does not verify: keys that were asked for since. If the
    /// token does not verify with these, it never will.
    #[must_use]
    pub fn newer(&self, pace: Pace, asked: Duration, now: Duration) -> Step {
        match &self.known {
            Some(known) if known.at >= asked => Step::Use(known.keys.clone()),
            _ => self.fetch(pace, now),
        }
    }

    /// What goes on being used when asking has failed.
    #[must_use]
    pub fn kept(&self, pace: Pace, now: Duration) -> Option<Arc<KeySet>> {
        self.known.as_ref().filter(|known| now.saturating_sub(known.at) < pace.kept).map(|known| known.keys.clone())
    }

    /// Takes what an asking brought that began `at`. Says whether it was news.
    ///
    /// # Errors
    ///
    /// [`NotAKeySet`]; what was known stays.
    pub fn learn(&mut self, bytes: Vec<u8>, at: Duration) -> Result<bool, NotAKeySet> {
        self.tried = Some(at);
        if let Some(known) = self.known.as_mut().filter(|known| known.bytes == bytes) {
            known.at = at;
            return Ok(false);
        }
        let keys = Arc::new(KeySet::parse(&bytes)?);
        self.known = Some(Known { keys, bytes, at });
        Ok(true)
    }

    /// Notes an asking that began `at` and failed.
    pub const fn failed(&mut self, at: Duration) {
        self.tried = Some(at);
    }

    fn fetch(&self, pace: Pace, now: Duration) -> Step {
        let since = self.tried.map(|tried| now.saturating_sub(tried));
        match since.and_then(|since| pace.pause.checked_sub(since)).filter(|left| !left.is_zero()) {
            Some(left) => Step::Wait(left),
            None => Step::Fetch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cached(seconds: u64) -> Cached {
        let mut cached = Cached::default();
        assert_eq!(cached.learn(SET.to_vec(), at(seconds)), Ok(true));
        cached
    }

    /// `use`, `fetch`, or the seconds to wait.
    fn said(step: &Step) -> String {
        match step {
            Step::Use(_) => "use".into(),
            Step::Fetch => "fetch".into(),
            Step::Wait(left) => left.as_secs().to_string(),
        }
    }

    #[test]
    fn keys_are_used_while_fresh_asked_for_then_and_kept_for_a_day_if_that_fails() {
        let mut cached = cached(1000);
        let keys = |cached: &Cached, now| said(&cached.keys(Pace::URL, at(now), at(now)));
        assert_eq!(said(&Cached::default().keys(Pace::URL, at(0), at(0))), "fetch");
        assert_eq!(keys(&cached, 1599), "use");
        assert_eq!(keys(&cached, 1600), "fetch");
        cached.failed(at(1600));
        assert_eq!(keys(&cached, 1609), "use", "the old ones, and nobody is asked");
        assert_eq!(keys(&cached, 1610), "fetch");
        let day_later = 1000 + 86_400;
        cached.failed(at(day_later - 1));
        assert_eq!(keys(&cached, day_later - 1), "use");
        assert_eq!(keys(&cached, day_later), "9", "a key that was withdrawn must stop working some day");
    }

    #[test]
    fn newer_keys_are_asked_for_once_in_a_pause() {
        let mut cached = cached(1000);
        let newer = |cached: &Cached, asked, now| said(&cached.newer(Pace::URL, at(asked), at(now)));
        assert_eq!(newer(&cached, 1000, 1000), "use", "they were asked for on behalf of this token");
        assert_eq!(newer(&cached, 1001, 1001), "9");
        assert_eq!(newer(&cached, 1010, 1010), "fetch");
        assert_eq!(cached.learn(SET.to_vec(), at(1010)), Ok(false));
        assert_eq!(newer(&cached, 1010, 1011), "use", "as new as this token can want them");
        assert_eq!(newer(&cached, 1011, 1011), "9");
    }

    #[test]
    fn a_file_is_read_for_each_token_and_what_was_read_last_is_kept() {
        let mut cached = cached(1000);
        assert_eq!(said(&cached.keys(Pace::FILE, at(1001), at(1001))), "fetch");
        cached.failed(at(1001));
        assert!(cached.kept(Pace::FILE, at(1_000_000)).is_some());
        assert_eq!(cached.learn(b"{}".to_vec(), at(1002)), Err(NotAKeySet::Malformed));
        assert!(cached.kept(Pace::FILE, at(1002)).is_some(), "a bad file replaces nothing");
    }
}
