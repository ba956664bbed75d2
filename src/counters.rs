//! What happened since the process started, counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::revocation::Durability;
use crate::verdict::Verdict;

/// Counts since the process started. Shared by all routes.
#[derive(Debug, Default)]
pub struct Counters {
    verdicts: [AtomicU64; Verdict::ALL.len()],
    dropped: AtomicU64,
    publications: [AtomicU64; Published::ALL.len()],
    once: [AtomicU64; Spending::ALL.len()],
    opening: Histogram,
    sealing: Histogram,
    propagation: Propagation,
}

/// What came of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Written to the node's own file, to be published.
    Accepted,
    /// In the store.
    Committed,
    /// The store could not take it, and nothing was revoked.
    Failed,
}

impl Published {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Committed, Self::Failed];

    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Committed => "committed",
            Self::Failed => "failed",
        }
    }

    pub(crate) const fn of<E>(durability: &Result<Durability, E>) -> Self {
        match durability {
            Ok(Durability::Accepted) => Self::Accepted,
            Ok(_) => Self::Committed,
            Err(_) => Self::Failed,
        }
    }
}

/// What came of taking a one-time value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It was taken, for the first time.
    First,
    /// It had been taken before: an old copy of a cookie, or a repeated request.
    Replay,
    /// It had expired, or the list's store had begun another life.
    Refused,
    /// The store did not answer.
    Failed,
}

impl Spending {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::First, Self::Replay, Self::Refused, Self::Failed];

    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Replay => "replay",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Counters {
    /// How often this verdict was reached.
    #[must_use]
    pub fn verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict.index()].load(Ordering::Relaxed)
    }

    /// Each verdict with its count.
    pub fn verdicts(&self) -> impl Iterator<Item = (Verdict, u64)> + '_ {
        Verdict::ALL.into_iter().map(|verdict| (verdict, self.verdict(verdict)))
    }

    /// How many changed sessions were dropped without a reply, so that their change was lost.
    #[must_use]
    pub fn dropped_changes(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How often publishing ended so.
    #[must_use]
    pub fn published(&self, outcome: Published) -> u64 {
        self.publications[outcome as usize].load(Ordering::Relaxed)
    }

    /// How often taking a one-time value ended so.
    #[must_use]
    pub fn spent(&self, outcome: Spending) -> u64 {
        self.once[outcome as usize].load(Ordering::Relaxed)
    }

    /// How long opening a session took, from the header to the app's type: a sample of about one in 64.
    #[must_use]
    pub const fn opening(&self) -> &Histogram {
        &self.opening
    }

    /// How long sealing a session took, from the app's type to the `Set-Cookie` line.
    #[must_use]
    pub const fn sealing(&self) -> &Histogram {
        &self.sealing
    }

    /// How long revocations were on their way from the store to this process.
    #[must_use]
    pub const fn propagation(&self) -> &Propagation {
        &self.propagation
    }

    pub(crate) fn count_travelled(&self, travelled: &[Duration]) {
        travelled.iter().for_each(|took| self.propagation.observe(*took));
    }

    /// Whether to measure how long this opening takes: one in 64, because reading clocks takes a while too.
    pub(crate) fn is_sample(&self) -> bool {
        self.verdict(Verdict::Live).is_multiple_of(64)
    }

    pub(crate) fn count(&self, verdict: Verdict) {
        self.verdicts[verdict.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_published(&self, outcome: Published) {
        self.publications[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_spent(&self, outcome: Spending) {
        self.once[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// How long something took.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration; BOUNDS.len()],
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// Over [`BOUNDS`].
impl Default for Histogram {
    fn default() -> Self {
        Self { bounds: &BOUNDS, counts: Default::default(), nanos: AtomicU64::default() }
    }
}

/// How long revocations were on their way, over [`ON_THE_WAY`].
#[derive(Debug)]
pub struct Propagation(Histogram);

impl Propagation {
    pub(crate) fn observe(&self, took: Duration) {
        self.0.observe(took);
    }

    /// The times.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram {
        &self.0
    }
}

impl Default for Propagation {
    fn default() -> Self {
        Self(Histogram { bounds: &ON_THE_WAY, ..Histogram::default() })
    }
}

/// The upper bounds for what is on its way: from a server in the same room to a node that hears once a minute.
pub const ON_THE_WAY: [Duration; 8] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];

/// The upper bounds of a histogram's buckets: from what opening takes at best to what nobody should wait for.
pub const BOUNDS: [Duration; 8] = [
    Duration::from_micros(1),
    Duration::from_micros(2),
    Duration::from_micros(5),
    Duration::from_micros(20),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(100),
    Duration::from_secs(5),
];

impl Histogram {
    pub(crate) fn observe(&self, took: Duration) {
        let bucket = self.bounds.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The upper bounds of its buckets.
    #[must_use]
    pub const fn bounds(&self) -> &'static [Duration; BOUNDS.len()] {
        self.bounds
    }

    /// How many took at most each of its bounds and more than the one before; the last took longer than all.
    #[must_use]
    pub fn counts(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed))
    }

    /// The time that all together took.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_once_by_its_bound() {
        let histogram = Histogram::default();
        for nanos in [1, 1_000, 1_001, 6_000_000_000] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        assert_eq!(histogram.counts(), [2, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(histogram.sum(), Duration::from_nanos(6_000_002_002));
        let counters = Counters::default();
        counters.count_travelled(&[Duration::ZERO, Duration::from_millis(6), Duration::from_secs(61)]);
        assert_eq!(counters.propagation().histogram().counts(), [1, 1, 0, 0, 0, 0, 0, 0, 1]);
    }
}
