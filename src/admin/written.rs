//! The audit at work: every attempt of a change is written down, and no flood of anything else fills the disk.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::io::task::{self, OneByOne};
use crate::quota::{Quota, Rate, Seldom};
use crate::time::Clock;

use super::actions::Actions;
use super::audit::{Entry, Event};
use super::problem::{Kind, Problem};
use super::token::TokenId;
use super::trail::Trail;

/// Writes records, beside the async threads.
#[derive(Debug)]
pub struct Written {
    trail: Trail,
    looks: OneByOne,
    clock: Clock,
    /// For what each token looked at, for what it was refused, and for the refusals of those who showed no good token.
    /// There are as many as the file of tokens has had tokens, while this process runs.
    quotas: Mutex<HashMap<(Event, Option<TokenId>), Quota>>,
    /// That a refusal could not be written, in the log.
    unwritten: Seldom,
    actions: Actions,
}

/// Refusals: 300 at once, 5 a second after that. Whoever reaches the endpoint can cause them.
const REFUSALS: Rate = Rate { most: 300, window: Duration::from_secs(60) };
/// Looks of one token: 600 at once, one a second after that, which is 26 MB a day.
const LOOKS: Rate = Rate { most: 600, window: Duration::from_secs(600) };

impl Written {
    /// Writes to this audit.
    #[must_use]
    pub fn new(trail: Trail, clock: Clock) -> Self {
        Self {
            trail,
            looks: OneByOne::default(),
            clock,
            quotas: Mutex::default(),
            unwritten: Seldom::default(),
            actions: Actions::default(),
        }
    }

    /// Looks into the audit, one look at a time: it may be long, and whoever may read could ask for it again and
    /// again. Nothing that is written waits for it.
    ///
    /// # Errors
    ///
    /// What `look` says.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Trail) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let trail = self.trail.clone();
        self.looks.blocking(move || look(&trail)).await
    }

    /// What was written, counted.
    #[must_use]
    pub const fn actions(&self) -> &Actions {
        &self.actions
    }

    /// Writes a record, and says its number.
    ///
    /// # Errors
    ///
    /// 503: then whatever it was about must not be done.
    pub async fn note(&self, entry: Entry) -> Result<u64, Problem> {
        self.actions.count(&entry);
        self.write(entry).await.map_err(|error| {
            tracing::error!(%error, "nothing is done at the admin endpoint, because it could not be written down");
            Problem::new(Kind::AuditUnavailable, error.to_string()).after(Duration::from_secs(5))
        })
    }

    /// Writes that a token looked at something, as far as the disk is safe from it.
    ///
    /// # Errors
    ///
    /// 503 where it had to be written and could not be: then nothing is shown.
    pub async fn looked(&self, mut entry: Entry, whose: Option<TokenId>) -> Result<(), Problem> {
        if self.is_within(LOOKS, &mut entry, whose) {
            return self.note(entry).await.map(|_| ());
        }
        self.actions.count(&entry);
        Ok(())
    }

    /// Writes a refusal, as far as the disk is safe from whoever causes them. A refusal stands whether or not it
    /// could be written.
    pub async fn refusal(&self, mut entry: Entry, whose: Option<TokenId>) {
        self.actions.count(&entry);
        if !self.is_within(REFUSALS, &mut entry, whose) {
            return;
        }
        if let Err(error) = self.write(entry).await
            && let Some(skipped) = self.unwritten.say(self.clock.now()).map(NonZeroU64::new)
        {
            tracing::error!(%error, skipped, "a refusal at the admin endpoint could not be written down");
        }
    }

    /// Whether this one is written; then it says for how many it stands.
    fn is_within(&self, rate: Rate, entry: &mut Entry, whose: Option<TokenId>) -> bool {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = quotas.entry((entry.event, whose)).or_default();
        let Some(skipped) = quota.take(rate, self.clock.now()) else { return false };
        entry.count = (skipped > 0).then_some(skipped + 1);
        true
    }

    async fn write(&self, entry: Entry) -> Result<u64, Error> {
        let (trail, now) = (self.trail.clone(), self.clock.now().seconds());
        task::blocking(move || trail.write(&entry, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(home: &tempfile::TempDir) -> (Written, std::sync::Arc<crate::time::ManualClock>) {
        let hand = crate::time::ManualClock::at(crate::time::Seconds(1_000));
        (Written::new(Trail::in_home(home.path()), Clock::manual(hand.clone())), hand)
    }

    fn ids() -> [TokenId; 2] {
        ["0a0b0c0d", "0a0b0c0e"].map(|id| id.parse().unwrap())
    }

    #[tokio::test]
    async fn a_flood_of_refusals_is_counted_and_not_written_one_by_one() {
        let home = tempfile::tempdir().unwrap();
        let (written, hand) = written(&home);
        let [one, other] = ids().map(Some);
        let refused = || Entry::new(Event::Refused, "list_nodes");
        for whose in [None, one] {
            for _ in 0..500 {
                written.refusal(refused(), whose).await;
            }
        }
        assert_eq!(written.trail.verify(None).unwrap().head.seq, 600);
        written.refusal(refused(), other).await;
        hand.advance(Duration::from_secs(1));
        written.refusal(refused(), one).await;
        written.refusal(refused(), None).await;
        let last = written.trail.recent(3, None, |_| true).unwrap();
        let counts: Vec<_> = last.iter().map(|record| record.entry.count).collect();
        assert_eq!(counts, [Some(201), Some(201), None], "200 stand in the next one");
        assert_eq!(last[0].seq, 603);
    }

    /// Whoever may only look cannot fill the disk, without which nothing can be revoked.
    #[tokio::test]
    async fn a_flood_of_looks_is_counted_and_hides_no_change_and_nobody_elses() {
        let home = tempfile::tempdir().unwrap();
        let (written, hand) = written(&home);
        let [one, other] = ids().map(Some);
        let looked = || Entry::new(Event::Read, "list_nodes");
        for _ in 0..900 {
            written.looked(looked(), one).await.unwrap();
        }
        assert_eq!(written.trail.verify(None).unwrap().head.seq, 600);
        for _ in 0..700 {
            written.note(Entry::new(Event::Attempt, "revoke")).await.unwrap();
        }
        written.refusal(Entry::new(Event::Refused, "revoke"), one).await;
        written.looked(looked(), other).await.unwrap();
        assert_eq!(written.trail.verify(None).unwrap().head.seq, 1_302, "each of these has its record");
        hand.advance(Duration::from_secs(1));
        written.looked(looked(), one).await.unwrap();
        let last = written.trail.recent(2, None, |_| true).unwrap();
        assert_eq!((last[0].entry.count, last[1].entry.count), (Some(301), None), "300 stand in the next one");
        let mut page = crate::metrics::Page::default();
        written.actions().tell(&mut page);
        let text = page.finish();
        assert!(text.contains("{action=\"list_nodes\",result=\"looked\"} 902"), "all are in the metrics: {text}");
    }
}
