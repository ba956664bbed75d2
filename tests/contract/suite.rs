//! One test for each promise of [`RevocationStore`], over any [`Backend`].

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sealjar::id::{Incarnation, KeyId, ShortId, Tag};
use sealjar::revocation::{
    Beat, Durability, Follower, Heard, Nodes, Once, OnceValue, Parcel, Profile, Raised, Record, Replica, Report,
    Revocation, RevocationList, RevocationStore,
};
use sealjar::rotation::{KeyRecord, KeyState};
use sealjar::time::{Clock, Day, Position, Seconds, days, hours, minutes};
use sealjar::wire::Suite;

pub use crate::over::*;

/// When the tests take place: now, because a server's clock cannot be set.
pub static NOW: LazyLock<Seconds> = LazyLock::new(|| Clock::system().now().seconds());

/// A store that the contract is tried on: one list, empty at first.
pub trait Backend: Sized {
    /// A new list. With `log_out_everybody`, one in whose place another was lost.
    async fn new(log_out_everybody: bool) -> Self;

    /// Another handle on the list, as another process would have it.
    async fn handle(&self) -> Arc<dyn RevocationStore>;

    /// A handle with the rights of an operator's tool, where those are others.
    async fn tool(&self) -> Arc<dyn RevocationStore> {
        self.handle().await
    }

    /// A handle whose process has a clock that is behind, if the store goes by that clock.
    async fn handle_with_clock_behind(&self, by: Duration) -> Option<Arc<dyn RevocationStore>>;

    /// Takes everything away from under the running handles.
    async fn lose(&self);

    /// What must not be in any description of the store.
    fn secrets(&self) -> Vec<String>;
}

/// Makes a test of every promise for one backend.
macro_rules! contract {
    ($backend:ty) => {
        crate::suite::contract!($backend:
            a_publication_is_seen_by_other_followers
            every_kind_of_record_comes_back_as_it_was
            a_batch_has_one_position_and_is_seen_whole
            a_long_list_is_read_whole
            positions_rise_across_handles_and_under_concurrency
            positions_do_not_go_back_with_the_clock
            a_publication_is_above_every_stamp_and_beat_before_it
            order_and_repetition_do_not_matter
            of_several_who_raise_a_floor_to_the_same_one_does
            what_was_decided_on_another_rotation_list_is_not_published
            of_several_who_decide_on_the_same_rotation_list_one_goes_ahead
            a_cut_off_is_kept_as_long_as_the_longest_session
            what_was_forgotten_is_taken_back_too
            records_that_are_given_back_are_seen_and_positions_stay_above
            giving_back_what_is_known_does_no_harm
            a_one_time_value_has_one_winner
            a_one_time_value_is_refused_when_foreign_or_expired
            profiles_are_announced_and_merged
            the_first_beat_is_whole_and_the_next_ones_are_news
            a_beat_whose_caller_went_away_loses_nothing
            a_loss_begins_a_new_incarnation_and_the_memory_heals_it
            a_publication_after_a_loss_is_not_lost
            one_time_values_do_not_survive_a_loss
            everybody_is_logged_out_where_a_list_was_lost
            parcels_are_kept_replaced_and_thrown_away
            nodes_are_waited_for_until_they_have_applied
            a_node_that_is_gone_can_be_forgotten
            a_description_holds_no_secret
        );
    };
    ($backend:ty: $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                crate::suite::$promise::<$backend>().await;
            }
        )+
    };
}
pub(crate) use contract;

fn today() -> Day {
    NOW.day()
}

fn session(id: u64) -> Revocation {
    Revocation::Session { id: ShortId(id), day: today() }
}

fn session_record(id: u64) -> Record {
    Record::Session { id: ShortId(id), day: today() }
}

fn ids(records: &[Record]) -> Vec<u64> {
    records
        .iter()
        .map(|record| if let Record::Session { id, .. } = record { id.0 } else { panic!("{record:?}") })
        .collect()
}

async fn beat(follower: &mut Box<dyn Follower>) -> Beat {
    follower.beat(false).await.unwrap()
}

pub async fn a_publication_is_seen_by_other_followers<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let mut follower = theirs.follower();
    assert!(beat(&mut follower).await.records.is_empty());
    let receipt = ours.publish(&[session(7)]).await.unwrap();
    assert!(receipt.durability >= Durability::Committed);
    assert_eq!(receipt.records, [session_record(7)]);
    let seen = beat(&mut follower).await;
    assert_eq!(seen.records.to_vec(), receipt.records);
    assert!(seen.position >= receipt.position, "a beat covers what it has seen");
    assert!(!seen.whole);
    assert!(beat(&mut follower).await.records.is_empty(), "and brings it once");
}

pub async fn every_kind_of_record_comes_back_as_it_was<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let key = |state, promotion| KeyRecord { state, promotion, mark: Seconds(promotion) };
    let wishes = [
        Revocation::Session { id: ShortId(u64::MAX), day: today() },
        Revocation::Floor { id: ShortId(1 << 63), floor: u32::MAX, day: Day(today().0 + 1) },
        Revocation::CutOff { tag: Tag(u64::MAX - 1), day: Day(today().0 + 365) },
        Revocation::Everybody,
        Revocation::Key { key: KeyId([0xff; 4]), record: key(KeyState::Compromised, u32::MAX) },
        Revocation::Key { key: KeyId([0; 4]), record: key(KeyState::Staged, 0) },
    ];
    let receipt = store.publish(&wishes).await.unwrap();
    let wanted: Vec<_> = wishes.iter().map(|wish| wish.at(receipt.position)).collect();
    assert_eq!(receipt.records, wanted);
    let unordered = |records: &[Record]| records.iter().map(|record| format!("{record:?}")).collect::<HashSet<_>>();
    let records = beat(&mut store.follower()).await.records.to_vec();
    assert_eq!(records.len(), wanted.len());
    assert_eq!(unordered(&records), unordered(&wanted));
}

pub async fn a_batch_has_one_position_and_is_seen_whole<B: Backend>() {
    const SIZE: u64 = 50;
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let mut follower = theirs.follower();
    let writer = tokio::spawn(async move {
        for batch in 0..20 {
            let wishes: Vec<_> =
                (0..SIZE).map(|n| Revocation::CutOff { tag: Tag(batch * SIZE + n), day: today() }).collect();
            ours.publish(&wishes).await.unwrap();
        }
    });
    let (mut seen, mut positions) = (0, HashSet::new());
    while seen < 20 * SIZE {
        let records = beat(&mut follower).await.records.to_vec();
        assert_eq!(records.len() as u64 % SIZE, 0, "a follower saw a part of a batch");
        seen += records.len() as u64;
        positions.extend(
            records.iter().map(|record| if let Record::CutOff { position, .. } = record { position.0 } else { 0 }),
        );
    }
    writer.await.unwrap();
    assert_eq!(positions.len(), 20);
}

/// Longer than what is read in one go, in several places.
pub async fn a_long_list_is_read_whole<B: Backend>() {
    const SESSIONS: u64 = 150_000;
    const CUT_OFFS: u64 = 50_000;
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let day = |n: u64| Day(today().0 + u32::from(n.is_multiple_of(3)));
    let sessions = (0..SESSIONS).map(|n| Revocation::Session { id: ShortId(n), day: day(n) });
    let cut_offs = (0..CUT_OFFS).map(|n| Revocation::CutOff { tag: Tag(n), day: today() });
    let wishes: Vec<_> = sessions.chain(cut_offs).collect();
    let receipt = store.publish(&wishes).await.unwrap();
    let mut follower = backend.handle().await.follower();
    let list: RevocationList = beat(&mut follower).await.records.iter().collect();
    assert_eq!(list.len() as u64, SESSIONS + CUT_OFFS);
    assert!(receipt.records.iter().all(|record| list.holds(record)));
    assert!(beat(&mut follower).await.records.is_empty(), "and once");
}

pub async fn positions_rise_across_handles_and_under_concurrency<B: Backend>() {
    let backend = B::new(false).await;
    let handles = [backend.handle().await, backend.handle().await];
    let mut last = Position(0);
    for round in 0..10 {
        let receipt = handles[round % 2].publish(&[session(1)]).await.unwrap();
        assert!(receipt.position > last);
        last = receipt.position;
    }
    let tasks = (0..8).map(|task| {
        let store = handles[task % 2].clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            for _ in 0..10 {
                mine.push(store.publish(&[session(2)]).await.unwrap().position);
            }
            mine
        })
    });
    let mut all = HashSet::new();
    for task in tasks.collect::<Vec<_>>() {
        let mine = task.await.unwrap();
        assert!(mine.is_sorted() && mine[0] > last);
        all.extend(mine);
    }
    assert_eq!(all.len(), 80, "no position is given out twice");
}

pub async fn positions_do_not_go_back_with_the_clock<B: Backend>() {
    let backend = B::new(false).await;
    let Some(behind) = backend.handle_with_clock_behind(days(1)).await else { return };
    let store = backend.handle().await;
    let mut follower = store.follower();
    let stamp = follower.beat(true).await.unwrap();
    assert!(stamp.position >= Position(u64::from(NOW.0) * 1000));
    // A session born at the stamp, and a cut-off by a process whose clock was set back by a day.
    let receipt = behind.publish(&[Revocation::Everybody]).await.unwrap();
    assert!(receipt.position > stamp.position);
    let seen = behind.follower().beat(true).await.unwrap();
    assert!(seen.position > receipt.position);
    assert!(seen.clock >= seen.position, "the store's clock does not go back either");
}

pub async fn a_publication_is_above_every_stamp_and_beat_before_it<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let mut follower = theirs.follower();
    for round in 0..20 {
        let before = follower.beat(round % 2 == 0).await.unwrap();
        let receipt = ours.publish(&[session(round)]).await.unwrap();
        assert!(receipt.position > before.position, "round {round}");
        let again = follower.beat(round % 3 == 0).await.unwrap();
        assert_eq!(ids(&again.records.to_vec()), [round]);
        assert!(again.position >= receipt.position);
        assert_eq!(again.incarnation, before.incarnation);
    }
    let stamps = [follower.beat(true).await.unwrap().position, follower.beat(true).await.unwrap().position];
    assert!(stamps[0] < stamps[1], "every stamp is a new one");
}

pub async fn order_and_repetition_do_not_matter<B: Backend>() {
    let floor = |floor| Revocation::Floor { id: ShortId(9), floor, day: today() };
    let wishes = [session(1), floor(2), floor(5), session(1), floor(3), session(4)];
    let list = async |wishes: &[Revocation]| {
        let backend = B::new(false).await;
        let store = backend.handle().await;
        for wish in wishes {
            store.publish(&[*wish]).await.unwrap();
        }
        let mut list = RevocationList::default();
        for record in beat(&mut store.follower()).await.records.to_vec() {
            list.insert(record);
        }
        let records: HashSet<String> = list.records().map(|record| format!("{record:?}")).collect();
        records
    };
    let backwards: Vec<_> = wishes.iter().rev().copied().collect();
    assert_eq!(list(&wishes).await, list(&backwards).await);
}

pub async fn of_several_who_raise_a_floor_to_the_same_one_does<B: Backend>() {
    let backend = B::new(false).await;
    let handles = [backend.handle().await, backend.handle().await];
    // Other sessions' floors are not this one's, wherever their bytes lie.
    for (id, floor) in [(1_u64 << 32, 9), (1, u32::MAX), (0, 1)] {
        handles[0].raise(ShortId(id), floor, today()).await.unwrap();
    }
    for floor in [1, 2, 7] {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let store = handles[task % 2].clone();
                tokio::spawn(async move { store.raise(ShortId(5), floor, today()).await.unwrap() })
            })
            .collect();
        let mut done = 0;
        let record = Record::Floor { id: ShortId(5), floor, day: today() };
        for task in tasks {
            match task.await.unwrap() {
                Raised::Done(receipt) => {
                    done += 1;
                    assert_eq!(receipt.records, [record]);
                }
                Raised::Behind(known) => assert_eq!(known, record),
            }
        }
        assert_eq!(done, 1);
    }
    let Raised::Behind(known) = handles[0].raise(ShortId(5), 3, today()).await.unwrap() else { panic!() };
    assert_eq!(known, Record::Floor { id: ShortId(5), floor: 7, day: today() });
    assert!(beat(&mut handles[1].follower()).await.records.to_vec().contains(&known));
}

pub async fn a_cut_off_is_kept_as_long_as_the_longest_session<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let profile = |cookie: &str, longest| Profile {
        cookie: cookie.to_owned(),
        suite: Suite::Encrypted,
        idle: minutes(30),
        absolute: hours(1),
        longest,
    };
    store.announce(&profile("short", hours(1))).await.unwrap();
    store.announce(&profile("long", days(30))).await.unwrap();
    let receipt = store.publish(&[Revocation::CutOff { tag: Tag(1), day: today() }]).await.unwrap();
    let [Record::CutOff { day, .. }] = receipt.records[..] else { panic!("{:?}", receipt.records) };
    assert_eq!(day, NOW.after(days(30)).day());
    let records = beat(&mut backend.handle().await.follower()).await.records.to_vec();
    assert_eq!(records, receipt.records);
}

pub async fn what_was_forgotten_is_taken_back_too<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let start = beat(&mut store.follower()).await.position;
    let forgotten = Record::Forgotten { day: today(), position: start };
    store.restore(vec![forgotten], start).await.unwrap();
    assert_eq!(beat(&mut backend.handle().await.follower()).await.records.to_vec(), [forgotten]);
}

pub async fn records_that_are_given_back_are_seen_and_positions_stay_above<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let mut follower = theirs.follower();
    let start = beat(&mut follower).await;
    let above = start.position.after(hours(5));
    ours.restore(vec![session_record(1)], above).await.unwrap();
    let seen = beat(&mut follower).await;
    assert_eq!(seen.records.to_vec(), [session_record(1)]);
    assert!(ours.publish(&[session(2)]).await.unwrap().position > above);
    // The positions of the records count as well, whatever the caller says.
    let far = Record::CutOff { tag: Tag(3), position: above.after(hours(5)), day: today() };
    theirs.restore(vec![far], Position(0)).await.unwrap();
    assert!(ours.publish(&[session(4)]).await.unwrap().position > above.after(hours(5)));
    assert!(beat(&mut follower).await.records.to_vec().contains(&far));
}

pub async fn giving_back_what_is_known_does_no_harm<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let receipt = ours.publish(&[session(1), Revocation::Everybody]).await.unwrap();
    ours.restore(receipt.records.clone(), receipt.position).await.unwrap();
    theirs.restore(receipt.records.clone(), Position(0)).await.unwrap();
    theirs.restore(Vec::new(), Position(0)).await.unwrap();
    let records = beat(&mut ours.follower()).await.records.to_vec();
    assert_eq!(records, receipt.records);
}

pub async fn a_one_time_value_has_one_winner<B: Backend>() {
    let backend = B::new(false).await;
    let mut handles = Vec::new();
    for _ in 0..4 {
        handles.push(backend.handle().await);
    }
    let incarnation = beat(&mut handles[0].follower()).await.incarnation;
    for round in 0..5 {
        let value = OnceValue { hash: [round; 16], incarnation, expires: NOW.after(minutes(10)) };
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let store = handles[task % 4].clone();
                tokio::spawn(async move { store.take_once(value).await.unwrap() })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        assert_eq!(outcomes.iter().filter(|once| **once == Once::First).count(), 1);
        assert_eq!(outcomes.iter().filter(|once| **once == Once::Spent).count(), 15);
    }
}

pub async fn a_one_time_value_is_refused_when_foreign_or_expired<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let incarnation = beat(&mut store.follower()).await.incarnation;
    let value = OnceValue { hash: [1; 16], incarnation, expires: NOW.after(minutes(10)) };
    let foreign = OnceValue { incarnation: Incarnation(incarnation.0 ^ 1), ..value };
    assert_eq!(store.take_once(foreign).await.unwrap(), Once::Foreign);
    let expired = OnceValue { expires: Seconds(NOW.0 - 3600), ..value };
    assert_eq!(store.take_once(expired).await.unwrap(), Once::Expired);
    assert_eq!(store.take_once(value).await.unwrap(), Once::First, "neither has spent it");
    assert_eq!(store.take_once(value).await.unwrap(), Once::Spent);
}

pub async fn profiles_are_announced_and_merged<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    assert!(ours.profiles().await.unwrap().is_empty());
    let profile = |cookie: &str, absolute| Profile {
        cookie: cookie.to_owned(),
        suite: Suite::Signed,
        idle: minutes(30),
        absolute,
        longest: absolute,
    };
    let (main, other) = (profile("__Host-session", days(7)), profile("admin", hours(1)));
    ours.announce(&main).await.unwrap();
    ours.announce(&main).await.unwrap();
    theirs.announce(&other).await.unwrap();
    assert_eq!(theirs.profiles().await.unwrap(), [main.clone(), other.clone()]);
    // A shorter life from now on; sessions of the longer one may still be about.
    let shorter = Profile { suite: Suite::Encrypted, ..profile("__Host-session", days(1)) };
    theirs.announce(&shorter).await.unwrap();
    assert_eq!(ours.profiles().await.unwrap(), [Profile { longest: days(7), ..shorter }, other]);
}

pub async fn the_first_beat_is_whole_and_the_next_ones_are_news<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    store.publish(&[session(1), session(2)]).await.unwrap();
    let mut follower = store.follower();
    let first = beat(&mut follower).await;
    assert!(first.whole);
    assert_eq!(ids(&first.records.to_vec()), [1, 2]);
    store.publish(&[session(3)]).await.unwrap();
    let next = follower.beat(true).await.unwrap();
    assert!(!next.whole);
    assert_eq!(ids(&next.records.to_vec()), [3]);
    assert!(backend.handle().await.follower().beat(false).await.unwrap().whole, "for every follower");
}

pub async fn a_beat_whose_caller_went_away_loses_nothing<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let mut follower = store.follower();
    beat(&mut follower).await;
    for id in 0..20 {
        store.publish(&[session(id)]).await.unwrap();
        // Polled once, so that it begins, and dropped.
        let abandoned = tokio::time::timeout(Duration::ZERO, follower.beat(id % 2 == 0)).await;
        let early = abandoned.map_or_else(|_| Vec::new(), |beat| beat.unwrap().records.to_vec());
        let records = beat(&mut follower).await.records.to_vec();
        assert_eq!(ids(&[early, records].concat()), [id]);
    }
}

pub async fn a_loss_begins_a_new_incarnation_and_the_memory_heals_it<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let (mut one, mut two) = (ours.follower(), theirs.follower());
    let receipt = ours.publish(&[session(1), session(2)]).await.unwrap();
    let before = beat(&mut one).await;
    assert_eq!(beat(&mut two).await.incarnation, before.incarnation);
    backend.lose().await;
    let after = beat(&mut one).await;
    assert!(after.whole && after.records.is_empty());
    assert_ne!(after.incarnation, before.incarnation);
    ours.restore(receipt.records.clone(), before.position).await.unwrap();
    let other = beat(&mut two).await;
    assert!(other.whole, "every follower is told");
    assert_eq!(other.incarnation, after.incarnation, "and there is one new life, not one for each");
    assert_eq!(other.records.to_vec(), receipt.records);
    assert!(theirs.publish(&[session(3)]).await.unwrap().position > before.position);
    for follower in [&mut one, &mut two] {
        let news = beat(follower).await;
        assert!(!news.whole && news.incarnation == after.incarnation);
        assert!(ids(&news.records.to_vec()).contains(&3));
    }
    assert_eq!(ids(&beat(&mut backend.handle().await.follower()).await.records.to_vec()), [1, 2, 3]);
}

pub async fn a_publication_after_a_loss_is_not_lost<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let mut follower = store.follower();
    let first = store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;
    backend.lose().await;
    // Before any beat has noticed.
    let second = store.publish(&[session(2)]).await.unwrap();
    assert!(second.position > first.position);
    let fresh = beat(&mut backend.handle().await.follower()).await;
    assert_eq!(ids(&fresh.records.to_vec()), [2]);
    let told = beat(&mut follower).await;
    assert!(told.whole);
    assert_eq!(ids(&told.records.to_vec()), [2]);
}

pub async fn one_time_values_do_not_survive_a_loss<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let incarnation = beat(&mut store.follower()).await.incarnation;
    let value = OnceValue { hash: [1; 16], incarnation, expires: NOW.after(minutes(10)) };
    assert_eq!(store.take_once(value).await.unwrap(), Once::First);
    backend.lose().await;
    assert_eq!(store.take_once(value).await.unwrap(), Once::Foreign);
}

pub async fn everybody_is_logged_out_where_a_list_was_lost<B: Backend>() {
    let backend = B::new(true).await;
    let store = backend.handle().await;
    let first = beat(&mut store.follower()).await;
    let [Record::Everybody { position }] = first.records.to_vec()[..] else { panic!("{:?}", first.records.to_vec()) };
    assert!(position <= first.position);
    assert!(store.follower().beat(true).await.unwrap().position > position, "who logs in now is in");
    let again = beat(&mut backend.handle().await.follower()).await;
    assert_eq!(again.records.to_vec(), first.records.to_vec(), "once, and not at every start");
    let unharmed = B::new(false).await;
    assert!(beat(&mut unharmed.handle().await.follower()).await.records.is_empty());
}

pub async fn parcels_are_kept_replaced_and_thrown_away<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let parcel = |name: &str, content: &[u8]| Parcel { name: name.into(), content: content.into() };
    assert_eq!(theirs.parcels().await.unwrap(), []);
    for kept in [parcel("key:01020304", &[0, 255, 10]), parcel("probe:01020304", &[]), parcel("key:01020304", b"new")] {
        ours.keep(&kept).await.unwrap();
    }
    let kept = theirs.parcels().await.unwrap();
    assert_eq!(kept, [parcel("key:01020304", b"new"), parcel("probe:01020304", &[])]);
    let tool = backend.tool().await;
    assert!(tool.discard("probe:01020304").await.unwrap());
    assert!(!tool.discard("probe:01020304").await.unwrap());
    assert_eq!(ours.parcels().await.unwrap().len(), 1);
    assert!(beat(&mut ours.follower()).await.records.is_empty(), "they are no records");
}

/// What a node's task does, step by step.
async fn follow(follower: &mut Box<dyn Follower>, applied: Position) -> Beat {
    follower.describe(Report { applied: applied.0, ..Report::new("node".into(), Some(minutes(1))) });
    beat(follower).await
}

/// A node has applied what a beat brought, and tells the store's follower so.
fn apply(follower: &mut Box<dyn Follower>, replica: &Replica, beat: &Beat) {
    let now = Clock::system().now();
    assert_eq!(replica.absorb(&mut beat.clone(), now), []);
    replica.confirm(beat, now);
    follower.confirmed(&replica.view());
    follower.describe(Report { applied: beat.position.0, ..Report::new("node".into(), Some(minutes(1))) });
}

pub async fn nodes_are_waited_for_until_they_have_applied<B: Backend>() {
    let backend = B::new(false).await;
    let (ours, theirs) = (backend.handle().await, backend.handle().await);
    let (mut follower, replica) = (theirs.follower(), Replica::default());
    let first = follow(&mut follower, Position(0)).await;
    apply(&mut follower, &replica, &first);
    let receipt = ours.publish(&[session(1)]).await.unwrap();
    assert_eq!(receipt.incarnation, first.incarnation);
    let progress = |nodes: Nodes| nodes.progress(receipt.incarnation, receipt.position);
    let waiting = progress(ours.nodes(receipt.position).await.unwrap());
    assert_eq!((waiting.outstanding.len(), waiting.is_in_force()), (1, false), "registered with its first beat");
    assert_eq!(waiting.outstanding[0].name(), "node");
    let applied = follow(&mut follower, first.position).await;
    assert!(applied.position >= receipt.position && applied.heard == Heard::Asked, "somebody waits to hear of it");
    assert!(!progress(ours.nodes(receipt.position).await.unwrap()).is_in_force(), "read, and not applied yet");
    apply(&mut follower, &replica, &applied);
    follower.acknowledge().await.unwrap();
    let done = progress(ours.nodes(receipt.position).await.unwrap());
    assert!(done.is_in_force(), "{done:?}");
    follower.leave().await.unwrap();
    assert_eq!(ours.nodes(Position(0)).await.unwrap().nodes, []);
}

pub async fn a_node_that_is_gone_can_be_forgotten<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let mut follower = store.follower();
    follow(&mut follower, Position(0)).await;
    beat(&mut store.follower()).await;
    let known = store.nodes(Position(0)).await.unwrap().nodes;
    let [node] = &known[..] else { panic!("a tool that reads is no node: {known:?}") };
    assert!(store.forget_node(node.id).await.unwrap());
    assert!(!store.forget_node(node.id).await.unwrap());
    assert_eq!(store.nodes(Position(0)).await.unwrap().nodes, []);
}

pub async fn a_description_holds_no_secret<B: Backend>() {
    let backend = B::new(false).await;
    let store = backend.handle().await;
    let secrets = backend.secrets();
    assert!(!store.describe().is_empty() && !secrets.is_empty());
    for secret in secrets {
        assert!(!store.describe().contains(&secret), "{}", store.describe());
    }
    assert!(store.beat_interval() > Duration::ZERO && store.beat_interval() <= Duration::from_secs(1));
}
