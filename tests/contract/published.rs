//! What is published: its positions, its order, who sees it, how long it is kept.

use std::collections::HashSet;

use sealjar::id::{KeyId, ShortId, Tag};
use sealjar::revocation::{Durability, Profile, Raised, Record, Revocation, RevocationList};
use sealjar::rotation::{KeyRecord, KeyState};
use sealjar::time::{Day, Position, Seconds, days, hours, minutes};
use sealjar::wire::Suite;

use crate::suite::{Backend, NOW, beat, ids, session, session_record, today};

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
