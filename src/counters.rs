//! How often each verdict was reached.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::verdict::Verdict;

/// Counts since the process started. Shared by all routes.
#[derive(Debug, Default)]
pub struct Counters {
    verdicts: [AtomicU64; Verdict::ALL.len()],
    dropped: AtomicU64,
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

    pub(crate) fn count(&self, verdict: Verdict) {
        self.verdicts[verdict.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}
