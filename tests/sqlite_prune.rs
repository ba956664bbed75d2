//! What no session can match any more leaves the file, in an idle app too.
#![cfg(all(feature = "sqlite", unix))]

mod sqlite_support;

use std::time::Duration;

use sealjar::id::{KeyId, ShortId, Tag};
use sealjar::io::sqlite::SqliteStore;
use sealjar::revocation::{Once, OnceValue, Record, Revocation, RevocationStore};
use sealjar::rotation::{KeyRecord, KeyState};
use sealjar::time::{Clock, Day, ManualClock, minutes};
use sqlite_support::{NOW, Place, beat, options, session, today};

fn until_midnight() -> Duration {
    NOW.until(today().end())
}

fn every_kind() -> [Revocation; 6] {
    let tomorrow = Day(today().0 + 1);
    [
        session(1),
        Revocation::Session { id: ShortId(2), day: tomorrow },
        Revocation::Floor { id: ShortId(3), floor: 1, day: today() },
        Revocation::CutOff { tag: Tag(4), day: today() },
        Revocation::Everybody,
        Revocation::Key { key: KeyId([1; 4]), record: KeyRecord::new(KeyState::Retired, 1) },
    ]
}

fn outlives_today(record: &Record) -> bool {
    match record {
        Record::Session { day, .. } | Record::Floor { day, .. } | Record::CutOff { day, .. } => *day > today(),
        Record::Everybody { .. } | Record::Key { .. } | Record::Forgotten { .. } => true,
    }
}

#[tokio::test]
async fn a_publication_clears_away_what_ended_an_hour_ago() {
    let place = Place::new();
    let store = place.open();
    let receipt = store.publish(&every_kind()).await.unwrap();
    place.hand.advance(until_midnight() + minutes(59));
    store.publish(&[]).await.unwrap();
    assert_eq!(place.count("record"), 6, "an hour's grace for clocks that lag");
    place.hand.advance(minutes(2));
    store.publish(&[]).await.unwrap();
    let left: Vec<_> = receipt.records.into_iter().filter(outlives_today).collect();
    assert_eq!(left.len(), 3);
    let now = beat(&mut store.follower()).await.records.to_vec();
    assert_eq!(now[..3], left);
    assert!(matches!(now[3..], [Record::Forgotten { .. }]), "and that something was dropped");
}

#[tokio::test]
async fn an_idle_app_clears_away_too_and_takes_it_for_no_loss() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    // The last row is among those that end today.
    store.publish(&[Revocation::Everybody, session(1)]).await.unwrap();
    let before = beat(&mut follower).await;
    place.hand.advance(until_midnight() + minutes(61));
    for _ in 0..3 {
        let idle = beat(&mut follower).await;
        assert!(!idle.whole && idle.incarnation == before.incarnation);
        assert!(idle.position > before.position, "the lower bound keeps up with the clock");
        place.hand.advance(minutes(1));
    }
    assert_eq!(place.count("record"), 2, "everybody, and that something was dropped");
    store.publish(&[session(2)]).await.unwrap();
    assert_eq!(beat(&mut follower).await.records.len(), 1);
}

#[tokio::test]
async fn a_beat_writes_only_when_the_mark_is_older_than_ten_seconds() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    let first = beat(&mut follower).await;
    place.hand.advance(Duration::from_secs(10));
    let quiet = beat(&mut follower).await;
    assert_eq!(quiet.position, first.position);
    assert!(quiet.clock > first.clock, "the clock is read all the same");
    place.hand.advance(Duration::from_secs(1));
    assert!(beat(&mut follower).await.position > first.position.after(Duration::from_secs(10)));
}

#[tokio::test]
async fn a_spent_value_is_kept_until_it_expires_and_cannot_come_back() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    let incarnation = beat(&mut follower).await.incarnation;
    let value = |n| OnceValue { hash: [n; 16], incarnation, expires: NOW.after(minutes(10)) };
    assert_eq!(store.take_once(value(1)).await.unwrap(), Once::First);
    place.hand.advance(minutes(9));
    assert_eq!(store.take_once(value(1)).await.unwrap(), Once::Spent);
    assert_eq!(place.count("once"), 1);
    place.hand.advance(minutes(1));
    beat(&mut follower).await;
    assert_eq!(place.count("once"), 0);
    // A clock that goes back does not make it good again, although nobody remembers that it was spent.
    let behind = SqliteStore::open(&place.path(), &options(Clock::manual(ManualClock::at(NOW)))).unwrap();
    assert_eq!(behind.take_once(value(1)).await.unwrap(), Once::Expired);
    assert_eq!(behind.take_once(value(2)).await.unwrap(), Once::Expired);
    // What expires later than anything that was forgotten is judged as ever.
    let later = OnceValue { expires: NOW.after(minutes(11)), ..value(3) };
    assert_eq!(behind.take_once(later).await.unwrap(), Once::First);
}
