//! What the keeper of an own file has to remember between two writes. No I/O.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{Incarnation, NodeId};
use crate::revocation::memory::{position_here, reach};
use crate::revocation::{Beat, Profile, Record, RevocationList, View, Waiting};
use crate::time::{Now, Position};

use super::super::sqlite::Depth;
use super::spool::Spool;

/// An unchanged list is confirmed in the file this often.
const TOUCH: Duration = Duration::from_secs(10);
/// After a failure the disk is left alone this long.
const RETRY: Duration = Duration::from_secs(2);
/// A write that takes longer counts as failing: others no longer wait for it.
const SLOW: Duration = Duration::from_secs(5);
/// So many records wait for a disk that fails; more of them are found again by comparing.
const NEWS: usize = 100_000;

#[derive(Default)]
pub(super) struct State {
    /// What came, and is not in the file yet.
    pub pending: Pending,
    /// What this process knows after the last beat that counted.
    view: Option<Arc<View>>,
    /// Whether that is news, and whether the beat after it will have brought more than news.
    touched: bool,
    brings_all: bool,
    pub held: Held,
    /// The highest position that the store gave out, as far as known here.
    pub highest: Position,
    /// The highest position that was given out or applied here.
    pub applied: Position,
    pub spool: Spool,
    pub standing: Standing,
    pub profiles: Vec<Profile>,
    /// Since when the disk is being written.
    writing: Option<Duration>,
    /// Up to where the file is whole, and since when.
    whole: (Position, Duration),
    failing: Option<Failing>,
}

/// How this process stands to the server, and to those that used the file before.
#[derive(Default)]
pub(super) struct Standing {
    /// Whether the last beat failed.
    pub away: bool,
    /// Processes of this home that are gone. Nobody needs to wait for them when this one has registered, which
    /// owes what they knew.
    pub ended: Vec<NodeId>,
}

/// To be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub news: Vec<Record>,
    pub profiles: Vec<Profile>,
    pub published: Vec<i64>,
    /// More may be missing in the file than the news.
    pub all: bool,
}

/// What the file holds at the least.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// The file's life; none where nothing is known of it.
    pub life: Option<Incarnation>,
    pub list: RevocationList,
}

#[derive(Clone, Debug)]
struct Failing {
    why: String,
    since: Duration,
}

/// One write.
pub(super) struct Job {
    pub pending: Pending,
    pub view: Option<Arc<View>>,
    pub held: Held,
    pub highest: Position,
}

impl Pending {
    fn has_news(&self) -> bool {
        !(self.news.is_empty() && self.profiles.is_empty() && self.published.is_empty())
    }

    /// What comes before what came meanwhile.
    fn put_back(&mut self, earlier: Self) {
        let later = std::mem::replace(self, earlier);
        self.news.extend(later.news);
        self.profiles.extend(later.profiles);
        self.published.extend(later.published);
        self.all |= later.all;
        self.limit();
    }

    pub(super) fn limit(&mut self) {
        if self.news.len() > NEWS {
            self.news.drain(..self.news.len() - NEWS);
            self.all = true;
        }
    }
}

impl State {
    /// How it begins, with what was in the file. What the file lacks is found out when a beat has counted.
    pub(super) fn recalled(held: Held, known: Position, mine: Vec<Waiting>, profiles: Vec<Profile>) -> Self {
        let pending = Pending { all: true, ..Pending::default() };
        let mut state = Self { pending, held, profiles, ..Self::default() };
        state.saw(known);
        state.applied = state.applied.max(reach(&mine));
        state.spool.mine = mine;
        state
    }

    /// What to write now, if anything is due. The caller writes it, and says what came of it.
    pub(super) fn begin(&mut self, now: Now) -> Option<Job> {
        let rests = self.failing.as_ref().is_some_and(|failing| now.boot.saturating_sub(failing.since) < RETRY);
        let compares = self.pending.all && self.view.is_some();
        let touch = self.touched && now.boot.saturating_sub(self.whole.1) >= TOUCH;
        if self.writing.is_some() || rests || !(self.pending.has_news() || compares || touch) {
            return None;
        }
        self.writing = Some(now.boot);
        self.touched = false;
        Some(Job {
            pending: std::mem::take(&mut self.pending),
            view: self.view.clone(),
            held: std::mem::take(&mut self.held),
            highest: self.highest,
        })
    }

    /// It is written. `job.held` is what the file holds by now.
    pub(super) fn wrote(&mut self, job: Job, depth: Depth, now: Now) {
        self.writing = None;
        self.failing = None;
        self.held = job.held;
        self.spool.depth = depth;
        self.pending.all |= job.pending.all;
        if let Some(view) = job.view.filter(|_| !job.pending.all) {
            self.whole = (view.lower_bound(), now.boot);
        }
    }

    /// It could not be written, or not all of it.
    pub(super) fn failed(&mut self, job: Job, why: String, now: Now) {
        self.writing = None;
        self.failing = Some(Failing { why, since: now.boot });
        self.held = job.held;
        self.pending.put_back(job.pending);
    }

    pub(super) fn was_failing(&self) -> Option<&str> {
        self.failing.as_ref().map(|failing| &*failing.why)
    }

    pub(super) fn is_slow(&self, now: Now) -> bool {
        self.writing.is_some_and(|since| now.boot.saturating_sub(since) > SLOW)
    }

    /// Whether nothing is left to wait for: all is written, or the disk does not do its work.
    pub(super) fn is_settled(&self, now: Now) -> bool {
        let is_written = self.writing.is_none() && !self.pending.has_news() && !self.pending.all;
        is_written || self.failing.is_some() || self.is_slow(now)
    }

    /// Up to where this node may say that it has applied the list: no further than its file goes.
    pub(super) fn limit(&self, applied: u64, now: Now) -> u64 {
        if self.is_settled(now) { applied } else { applied.min(self.whole.0.0) }
    }

    /// What a beat brought. It is written with the view that the beat is confirmed by.
    pub(super) fn beaten(&mut self, beat: &Beat) {
        self.standing.away = false;
        if beat.whole {
            self.brings_all = true;
        } else {
            self.pending.news.extend(beat.records.iter());
            self.pending.limit();
        }
        self.saw(beat.position);
    }

    /// A beat counted; everything that it brought is in the view.
    pub(super) fn confirmed(&mut self, view: &Arc<View>) {
        self.view = Some(view.clone());
        self.touched = true;
        self.pending.all |= std::mem::take(&mut self.brings_all);
    }

    /// The life of the store that this process has read.
    pub(super) fn life(&self) -> Option<Incarnation> {
        self.view.as_ref().and_then(|view| view.incarnation())
    }

    /// A position for wishes that wait.
    pub(super) fn take_position(&mut self, now: Now) -> Position {
        let clock = self.view.as_ref().map_or(self.applied, |view| view.clock(now));
        self.applied = position_here(clock, self.applied);
        self.applied
    }

    /// A position that the store gave out.
    pub(super) fn saw(&mut self, position: Position) {
        self.highest = self.highest.max(position);
        self.applied = self.applied.max(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ShortId;
    use crate::revocation::{Heard, Records, Replica};
    use crate::time::Day;

    fn at(seconds: u64) -> Now {
        Now { millis: seconds * 1000, boot: Duration::from_secs(seconds) }
    }

    fn record(n: u64) -> Record {
        Record::Session { id: ShortId(n), day: Day(9) }
    }

    fn beat(position: u64, whole: bool) -> Beat {
        let (position, incarnation) = (Position(position), Incarnation(1));
        let (records, healed, heard) = (Records::default(), true, Heard::Yes);
        Beat { incarnation, position, clock: position, records, whole, healed, heard }
    }

    fn view(position: u64, now: Now) -> Arc<View> {
        let replica = Replica::default();
        replica.confirm(&beat(position, false), now);
        Arc::clone(&replica.view())
    }

    /// A beat that counted at this position.
    fn confirmed(state: &mut State, position: u64, now: Now) {
        state.beaten(&beat(position, false));
        state.confirmed(&view(position, now));
    }

    #[test]
    fn a_node_says_no_more_than_its_file_holds() {
        let mut state = State::default();
        state.pending.news.push(record(1));
        confirmed(&mut state, 50, at(1));
        assert_eq!(state.limit(50, at(1)), 0, "nothing is written");
        let job = state.begin(at(1)).unwrap();
        assert!(state.begin(at(1)).is_none(), "one write at a time");
        assert_eq!(state.limit(50, at(1)), 0, "it is being written");
        state.wrote(job, Depth::default(), at(1));
        assert_eq!(state.limit(60, at(1)), 60, "nothing is missing");
        state.pending.news.push(record(2));
        assert_eq!(state.limit(60, at(1)), 50);
    }

    #[test]
    fn a_slow_or_failing_disk_holds_nobody_up_for_long() {
        let mut state = State::default();
        state.pending.news.push(record(1));
        confirmed(&mut state, 50, at(1));
        let job = state.begin(at(1)).unwrap();
        assert_eq!((state.limit(50, at(6)), state.limit(50, at(7))), (0, 50), "five seconds are enough");
        state.failed(job, "full".into(), at(7));
        assert_eq!((state.limit(50, at(7)), state.was_failing()), (50, Some("full")));
        assert!(state.begin(at(8)).is_none(), "it is left alone a while");
        let again = state.begin(at(9)).unwrap();
        assert_eq!(again.pending.news, [record(1)], "nothing is lost by it");
    }

    #[test]
    fn more_news_than_can_be_kept_are_found_by_comparing() {
        let mut state = State::default();
        state.pending.news = (0..NEWS as u64).map(record).collect();
        let job = state.begin(at(1)).unwrap();
        state.pending.news.push(record(u64::MAX));
        state.failed(job, "full".into(), at(1));
        assert!(state.pending.all);
        assert_eq!((state.pending.news.len(), state.pending.news.last()), (NEWS, Some(&record(u64::MAX))));
    }

    #[test]
    fn a_quiet_list_is_confirmed_every_ten_seconds() {
        let mut state = State::default();
        confirmed(&mut state, 50, at(10));
        let job = state.begin(at(10)).unwrap();
        state.wrote(job, Depth::default(), at(10));
        confirmed(&mut state, 51, at(19));
        assert!(state.begin(at(19)).is_none());
        confirmed(&mut state, 50, at(20));
        assert!(state.begin(at(20)).is_some());
    }

    #[test]
    fn a_list_that_was_read_anew_is_compared_after_the_beat_counts() {
        let mut state = State::default();
        confirmed(&mut state, 50, at(1));
        state.beaten(&beat(60, true));
        // A publication comes in between, and is written with the view of before.
        state.pending.news.push(record(1));
        let job = state.begin(at(2)).unwrap();
        assert!(!job.pending.all);
        state.wrote(job, Depth::default(), at(2));
        state.confirmed(&view(60, at(2)));
        let job = state.begin(at(2)).unwrap();
        assert!(job.pending.all && job.view.is_some_and(|view| view.lower_bound() == Position(60)));
    }

    #[test]
    fn a_file_that_is_not_whole_yet_is_not_said_to_be() {
        let mut state = State::default();
        state.pending.all = true;
        assert!(state.begin(at(1)).is_none(), "nothing to compare with: no beat has counted");
        state.pending.news.push(record(1));
        let job = state.begin(at(1)).unwrap();
        state.wrote(job, Depth::default(), at(1));
        assert!(state.begin(at(1)).is_none());
        confirmed(&mut state, 50, at(2));
        assert_eq!(state.limit(50, at(2)), 0);
        assert!(state.begin(at(2)).unwrap().pending.all);
    }

    #[test]
    fn wishes_that_wait_lie_above_all_that_was_given_out() {
        let mut state = State::default();
        state.saw(Position(70));
        assert_eq!(state.take_position(at(1)), Position(71));
        confirmed(&mut state, 80, at(1));
        assert_eq!(state.take_position(at(3)), Position(2_080), "two seconds later by the store's clock");
        assert_eq!(state.take_position(at(3)), Position(2_081));
        assert_eq!(state.highest, Position(80), "none of which the store gave out");
    }
}
