//! This process's copy of the list: read without waiting, grown by beats and by its own publications.
//!
//! # Consistency
//!
//! Readers take a whole snapshot; they see a publication of their own process as soon as the call
//! returned. A replica never forgets a record before its time because the store did.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

use crate::id::Incarnation;
use crate::time::{Day, Now, Position, Seconds};

use super::freshness::{Bounds, Freshness};
use super::list::RevocationList;
use super::record::Record;
use super::store::Beat;

/// One snapshot of the list, with the proof of its age.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The list.
    pub list: RevocationList,
    beat: Option<LastBeat>,
    /// The highest position that any record known here can have been published at.
    reached: Position,
}

#[derive(Clone, Copy, Debug)]
struct LastBeat {
    /// Boot time at which it began.
    began: Duration,
    position: Position,
    clock: Position,
    incarnation: Incarnation,
}

impl View {
    /// How far this snapshot may be trusted.
    #[must_use]
    pub fn freshness(&self, bounds: Bounds, now: Now) -> Freshness {
        bounds.judge(self.beat.map(|beat| beat.began), now)
    }

    /// The store's clock by now, as far as this process can know: for telling what comes from the future.
    #[must_use]
    pub fn clock(&self, now: Now) -> Position {
        self.beat.map_or(Position(0), |beat| beat.clock.after(now.boot.saturating_sub(beat.began)))
    }

    /// A position that every publication unknown here is above.
    #[must_use]
    pub fn lower_bound(&self) -> Position {
        self.beat.map_or(Position(0), |beat| beat.position)
    }

    /// Which life of the store this is a copy of; none before the first beat.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.beat.map(|beat| beat.incarnation)
    }
}

/// The current [`View`], shared.
#[derive(Debug, Default)]
pub struct Replica {
    view: ArcSwap<View>,
    writer: Mutex<()>,
}

impl Replica {
    /// The snapshot of this moment. Never waits.
    #[must_use]
    pub fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// Merges records that were published at a position, or by it.
    pub fn apply(&self, records: &[Record], position: Position) {
        self.change(|view| {
            view.reached = view.reached.max(position);
            records.iter().fold(false, |news, record| view.list.insert(*record) | news)
        });
    }

    /// Merges what a beat brought, which began `now`.
    ///
    /// Answers what the store has forgotten, to be given back before the beat is made to count by
    /// [`Replica::confirm`].
    #[must_use]
    pub fn absorb(&self, beat: &Beat, now: Now) -> Vec<Record> {
        let mut lost = Vec::new();
        if beat.whole {
            let mut theirs = RevocationList::default();
            for record in &beat.records {
                theirs.insert(*record);
            }
            let matters = |record: &Record| record.day().is_none_or(|day| day >= remembered(now));
            lost = self.view.load().list.records().filter(|record| matters(record) && theirs.insert(*record)).collect();
        }
        self.apply(&beat.records, beat.position);
        lost
    }

    /// Makes a beat count that began `now`: everything that it read is in, everything that the store
    /// lacked is back. Days that are over are dropped.
    pub fn confirm(&self, beat: &Beat, now: Now) {
        let Beat { position, clock, incarnation, .. } = *beat;
        self.change(|view| {
            view.reached = view.reached.max(position);
            view.list.forget(remembered(now), view.reached);
            view.beat = Some(LastBeat { began: now.boot, position, clock, incarnation });
            true
        });
    }

    fn change(&self, change: impl FnOnce(&mut View) -> bool) {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = View::clone(&self.view.load());
        if change(&mut view) {
            self.view.store(Arc::new(view));
        }
    }
}

/// The first day whose records are still kept: one hour of slack, for clocks that lag.
#[must_use]
pub fn remembered(now: Now) -> Day {
    Seconds(now.seconds().0.saturating_sub(3600)).day()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ShortId;

    fn beat(records: Vec<Record>, whole: bool) -> Beat {
        Beat { incarnation: Incarnation(1), position: Position(90), clock: Position(100), records, whole, healed: true }
    }

    fn session(n: u64, day: u32) -> Record {
        Record::Session { id: ShortId(n), day: Day(day) }
    }

    #[test]
    fn what_the_store_forgot_is_given_back_and_what_expired_is_not() {
        let replica = Replica::default();
        replica.apply(&[session(1, 9), session(2, 9)], Position(5));
        let at = |seconds: u32| Now { millis: u64::from(seconds) * 1000, boot: Duration::ZERO };
        let emptied = beat(vec![session(2, 9), session(3, 9)], true);
        assert_eq!(replica.absorb(&emptied, at(0)), [session(1, 9)]);
        assert_eq!(replica.view().list.len(), 3);
        assert_eq!(replica.absorb(&emptied, at(Day(9).end().0 + 3599)), [session(1, 9)], "an hour of slack");
        assert_eq!(replica.absorb(&emptied, at(Day(9).end().0 + 3600)), []);
        assert_eq!(replica.absorb(&beat(vec![], false), at(0)), [], "news alone prove no loss");
        replica.confirm(&emptied, at(Day(9).end().0 + 3600));
        assert_eq!(replica.view().list.len(), 1, "all gone, but that they were there");
    }

    #[test]
    fn a_view_ages_from_the_start_of_its_beat() {
        let replica = Replica::default();
        let at = |seconds| Now { millis: 0, boot: Duration::from_secs(seconds) };
        assert_eq!(replica.view().freshness(Bounds::default(), at(0)), Freshness::Joining);
        replica.confirm(&beat(vec![], true), at(10));
        assert_eq!(replica.view().freshness(Bounds::default(), at(15)), Freshness::Fresh);
        assert_eq!(replica.view().freshness(Bounds::default(), at(16)), Freshness::Stale);
        assert_eq!(replica.view().clock(at(16)), Position(6_100));
        assert_eq!(replica.view().lower_bound(), Position(90));
    }
}
