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
use super::records::Records;
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

    /// How long ago the last beat that counted began; none before the first.
    #[must_use]
    pub fn age(&self, now: Now) -> Option<Duration> {
        self.beat.map(|beat| now.boot.saturating_sub(beat.began))
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

    /// How long each record that a beat brought was on its way here, by the store's clock: of those that are no news
    /// nothing is said, nor of single sessions and floors, which do not hold when they were published.
    #[must_use]
    pub fn travelled(&self, beat: &Beat) -> Vec<Duration> {
        // Who reads the whole list meets records of any age.
        let news = if beat.whole { &[][..] } else { beat.records.others() };
        let published = news.iter().filter(|record| !self.list.holds(record)).filter_map(|record| match *record {
            Record::CutOff { position, .. } | Record::Everybody { position } => Some(position),
            _ => None,
        });
        published.map(|position| Duration::from_millis(beat.clock.0.saturating_sub(position.0))).collect()
    }

    /// Which life of the store this is a copy of; none before the first beat.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.beat.map(|beat| beat.incarnation)
    }
}

/// How many records come in at once in any case.
const AT_ONCE: usize = 1024;
/// In how many steps more than that do.
const STEPS: usize = 16;

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
        self.merge(records.iter().copied().collect(), position);
    }

    /// Merges what this process remembers from before it was started, all of it published by a position.
    pub fn fill(&self, records: Records, position: Position) {
        self.merge(records, position);
    }

    /// Enforces cut-offs that wait in this node's own file against everybody whom they can mean. What the store gives
    /// out meanwhile, in another life perhaps, is not known here, so no position would be high enough.
    pub fn enforce_unplaced(&self, records: &[Record]) {
        self.change(Position(0), |view| {
            view.list.place_later(records);
            true
        });
    }

    /// From now on only those are enforced so that still wait; the others have come, with their positions.
    ///
    /// `still` is asked while nobody can add to them: whoever adds one has made it wait before.
    pub fn only_unplaced(&self, still: impl FnOnce() -> Vec<Record>) {
        if self.view().list.has_unplaced() {
            self.change(Position(0), |view| view.list.only_unplaced(&still()));
        }
    }

    /// Merges what a beat brought, which began `now`, and takes it out of the beat.
    ///
    /// Answers what the store has forgotten, to be given back before the beat is made to count by
    /// [`Replica::confirm`].
    #[must_use]
    pub fn absorb(&self, beat: &mut Beat, now: Now) -> Vec<Record> {
        self.absorb_for(beat, now, Bounds::default().lost)
    }

    /// The same for a fleet whose nodes seal for a `lease` with a key after another was promoted unheard.
    #[must_use]
    pub fn absorb_for(&self, beat: &mut Beat, now: Now, lease: Duration) -> Vec<Record> {
        let theirs = self.merge(std::mem::take(&mut beat.records), beat.position);
        if !beat.whole {
            return Vec::new();
        }
        let matters = |record: &Record| match record {
            Record::Key { .. } => false,
            record => record.day().is_none_or(|day| day >= remembered(now)),
        };
        let view = self.view();
        let keys = theirs.others().iter().filter_map(|record| match *record {
            Record::Key { key, record } => Some((key, record)),
            _ => None,
        });
        // By the store's clock, which all marks are by and gates go by: this node's may be off.
        let keys = view.list.rotation().given_back(&keys.collect(), beat.clock.seconds(), lease);
        let keys = keys.into_iter().map(|(key, record)| Record::Key { key, record });
        view.list.beyond(&theirs).filter(matters).chain(keys).collect()
    }

    /// Makes a beat count that began `now`: everything that it read is in, everything that the store
    /// lacked is back. Days that are over are dropped.
    pub fn confirm(&self, beat: &Beat, now: Now) {
        let Beat { position, clock, incarnation, .. } = *beat;
        self.change(position, |view| {
            view.list.forget(remembered(now), view.reached);
            view.beat = Some(LastBeat { began: now.boot, position, clock, incarnation });
            true
        });
    }

    /// Takes the proof of its age away: nothing is judged by it any more.
    pub fn retire(&self) {
        self.change(Position(0), |view| view.beat.take().is_some());
    }

    /// Many come in steps, by their ids: while readers hold the snapshot before, each step copies only a part of
    /// the list, not all of it.
    fn merge(&self, mut records: Records, position: Position) -> Records {
        records.sort();
        let step = records.len().div_ceil(STEPS).max(AT_ONCE);
        for (&day, ids) in records.sessions() {
            for ids in ids.chunks(step) {
                self.change(position, |view| view.list.add_sessions(day, ids));
            }
        }
        if !records.others().is_empty() {
            let insert =
                |list: &mut RevocationList| records.others().iter().filter(|record| list.insert(**record)).count();
            self.change(position, |view| insert(&mut view.list) > 0);
        }
        records
    }

    /// Makes a snapshot that has reached a position, if it differs.
    fn change(&self, position: Position, change: impl FnOnce(&mut View) -> bool) {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = View::clone(&self.view.load());
        view.reached = view.reached.max(position);
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
    use crate::id::{KeyId, ShortId};
    use crate::revocation::Heard;
    use crate::rotation::{KeyRecord, KeyState};

    fn beat(records: Vec<Record>, whole: bool) -> Beat {
        let (position, clock, records) = (Position(90), Position(100), records.into());
        Beat { incarnation: Incarnation(1), position, clock, records, whole, healed: true, heard: Heard::Yes }
    }

    fn session(n: u64, day: u32) -> Record {
        Record::Session { id: ShortId(n), day: Day(day) }
    }

    #[test]
    fn what_the_store_forgot_is_given_back_and_what_expired_is_not() {
        let replica = Replica::default();
        replica.apply(&[session(1, 9), session(2, 9)], Position(5));
        let at = |seconds: u32| Now { millis: u64::from(seconds) * 1000, boot: Duration::ZERO };
        let emptied = || beat(vec![session(2, 9), session(3, 9)], true);
        assert_eq!(replica.absorb(&mut emptied(), at(0)), [session(1, 9)]);
        assert_eq!(replica.view().list.len(), 3);
        let end = Day(9).end().0;
        assert_eq!(replica.absorb(&mut emptied(), at(end + 3599)), [session(1, 9)], "an hour of slack");
        assert_eq!(replica.absorb(&mut emptied(), at(end + 3600)), []);
        assert_eq!(replica.absorb(&mut beat(vec![], false), at(0)), [], "news alone prove no loss");
        replica.confirm(&emptied(), at(end + 3600));
        assert_eq!(replica.view().list.len(), 1, "all gone, but that they were there");
    }

    #[test]
    fn what_is_news_says_how_long_it_was_on_its_way() {
        let cut_off =
            |n, position| Record::CutOff { tag: crate::id::Tag(n), position: Position(position), day: Day(9) };
        let replica = Replica::default();
        replica.apply(&[cut_off(1, 40)], Position(40));
        let news = vec![cut_off(1, 40), cut_off(2, 70), Record::Everybody { position: Position(120) }, session(3, 9)];
        let travelled = |whole| replica.view().travelled(&beat(news.clone(), whole));
        let millis = |all: &[u64]| all.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
        assert_eq!(travelled(false), millis(&[30, 0]), "by a clock that shows 100; it may have gone back since");
        assert!(travelled(true).is_empty(), "who reads the whole list meets records of any age");
    }

    /// As many sessions on either side are the same ones only because theirs are in ours.
    #[test]
    fn as_many_others_and_repetitions_hide_no_loss() {
        let replica = Replica::default();
        let now = Now { millis: 0, boot: Duration::ZERO };
        let floor = |floor| Record::Floor { id: ShortId(7), floor, day: Day(9) };
        replica.apply(&[session(1, 9), session(2, 9), session(4, 8), floor(5)], Position(5));
        let mut others = beat(vec![session(3, 9), session(1, 9), session(1, 9), session(4, 8), floor(6)], true);
        assert_eq!(replica.absorb(&mut others, now), [session(2, 9)], "the floor is covered by a higher one");
        assert!(others.records.is_empty(), "they are in the list now");
        let mut lower = beat(vec![session(1, 9), session(2, 9), session(3, 9), session(4, 8), floor(4)], true);
        assert_eq!(replica.absorb(&mut lower, now), [floor(6)]);
    }

    #[test]
    fn what_is_given_back_is_marked_by_the_stores_clock() {
        let replica = Replica::default();
        let key = |id, promotion, mark| Record::Key {
            key: KeyId([id; 4]),
            record: KeyRecord { state: KeyState::Active, promotion, mark: Seconds(mark) },
        };
        replica.apply(&[key(1, 1, 5), key(2, 2, 0)], Position(5));
        let stores = Position(9_000_000);
        for node in [0, 50_000_000] {
            let now = Now { millis: node, boot: Duration::ZERO };
            let mut forgot = Beat { clock: stores, ..beat(vec![key(1, 1, 5)], true) };
            let back = replica.absorb_for(&mut forgot, now, Duration::from_secs(60));
            assert_eq!(back, [key(1, 1, 9_060), key(2, 2, 0)], "whatever this node's clock says");
        }
    }

    /// In every step a reader holds on to what it has.
    #[test]
    fn many_records_come_in_whole_whoever_reads() {
        let replica = Replica::default();
        let count = 2 * (STEPS * AT_ONCE) as u64;
        let records: Vec<_> = (0..count).map(|n| session(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), 9)).collect();
        let (some, all) = records.split_at(1000);
        replica.apply(some, Position(1));
        let before = replica.view();
        replica.apply(all, Position(2));
        replica.apply(all, Position(2));
        assert_eq!((before.list.len(), replica.view().list.len()), (1000, records.len()));
        assert!(records.iter().all(|record| replica.view().list.holds(record)));
        assert!(some.iter().all(|record| before.list.holds(record)) && !before.list.holds(&all[0]));
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
