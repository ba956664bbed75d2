//! How many wrong tokens are answered, in memory that cannot grow.
//!
//! A bucket for each source and one for all of them. Each refills evenly; an empty one says how long to
//! wait. A wrong token costs; a right one is never asked to wait, from wherever it comes: with 256 random
//! bits there is nothing to slow down, and an operator in an incident must not be locked out by whoever
//! happens to share an address (as everybody does behind one proxy).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::quota::{Bucket, Rate};
use crate::time::Now;

/// Wrong tokens from one source: 10 a minute.
pub const PER_SOURCE: Rate = Rate { most: 10, window: Duration::from_secs(60) };
/// Wrong tokens from everywhere: 100 a minute.
pub const IN_ALL: Rate = Rate { most: 100, window: Duration::from_secs(60) };
/// The most sources that are remembered, about 100 KiB; the one that is nearest to full makes room.
const SOURCES: usize = 1024;

/// The failures of late.
#[derive(Debug, Default)]
pub struct Limiter {
    sources: HashMap<Source, Bucket>,
    all: Bucket,
}

/// Where a request came from: an address, or the 64-bit network of one of IPv6, within which anybody has
/// as many addresses as they like. Nothing where the transport has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// The source that an address belongs to.
    #[must_use]
    pub fn of(peer: Option<IpAddr>) -> Self {
        Self(peer.map(|peer| match peer.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

impl Limiter {
    /// Counts a wrong token.
    ///
    /// # Errors
    ///
    /// How long to wait, when there were too many.
    pub fn fail(&mut self, source: Source, now: Now) -> Result<(), Duration> {
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES {
            let fullest = self.sources.iter().min_by_key(|(_, bucket)| **bucket).map(|(source, _)| *source);
            fullest.map(|source| self.sources.remove(&source));
        }
        self.sources.entry(source).or_default().take(PER_SOURCE, now)?;
        self.all.take(IN_ALL, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { millis: 0, boot: Duration::from_millis(1_000_000 + millis) }
    }

    fn source(n: u32) -> Source {
        Source::of(Some(IpAddr::V4(n.into())))
    }

    #[test]
    fn ten_wrong_tokens_a_minute_from_one_source_and_no_wait_for_another() {
        let mut limiter = Limiter::default();
        for _ in 0..10 {
            assert_eq!(limiter.fail(source(1), at(0)), Ok(()));
        }
        assert_eq!(limiter.fail(source(1), at(0)), Err(Duration::from_secs(6)));
        assert_eq!(limiter.fail(source(1), at(2_000)), Err(Duration::from_secs(4)), "asking costs nothing");
        assert_eq!(limiter.fail(source(2), at(2_000)), Ok(()));
        assert_eq!(limiter.fail(source(1), at(6_000)), Ok(()), "one has come back");
        assert_eq!(limiter.fail(source(1), at(6_000)), Err(Duration::from_secs(6)));
        for _ in 0..10 {
            assert_eq!(limiter.fail(source(1), at(66_000)), Ok(()), "a minute later all are back");
        }
    }

    #[test]
    fn a_hundred_a_minute_in_all_and_memory_is_bounded() {
        let mut limiter = Limiter::default();
        let answered = (0..5_000).filter(|&n| limiter.fail(source(n), at(0)).is_ok()).count();
        assert_eq!(answered, 100);
        assert!(limiter.sources.len() <= SOURCES);
        assert!(limiter.fail(source(9_999), at(0)).is_err());
        assert_eq!(limiter.fail(source(9_999), at(600)), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let of = |text: &str| Source::of(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
