//! No file in its place, or a new one.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use sealjar::io::sqlite::{Options, SqliteStore};
use sealjar::revocation::{Record, RevocationStore as _};
use sealjar::time::{Clock, ManualClock, Position, Seconds, minutes};

use crate::sqlite_support::{MOVE_AWAY, NOW, Place, beat, ids, options, read, session};
use crate::{backup, record};

#[tokio::test]
async fn a_log_that_was_left_behind_is_not_played_into_the_new_file() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    let before = beat(&mut follower).await;
    // Only the file itself: its log, with session 1 in it, stays.
    fs::remove_file(place.path()).unwrap();
    assert!(place.beside("-wal").exists());
    let after = beat(&mut follower).await;
    assert!(after.whole && after.records.is_empty());
    assert_ne!(after.incarnation, before.incarnation);
    store.restore(vec![record(1)], after.position).await.unwrap();
    store.publish(&[session(2)]).await.unwrap();
    drop((store, follower));
    assert_eq!(read(&place).await, [1, 2].into());
}

/// The file is moved aside for a while, and something that is no list lies there: its log is not thrown away.
#[tokio::test]
async fn a_file_that_was_aside_for_a_while_is_taken_back_with_its_log() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;
    let aside = place.beside(".aside");
    fs::rename(place.path(), &aside).unwrap();
    fs::create_dir(place.path()).unwrap();
    assert!(follower.beat(false).await.is_err());
    assert!(store.publish(&[session(2)]).await.is_err());
    fs::remove_dir(place.path()).unwrap();
    fs::rename(&aside, place.path()).unwrap();
    beat(&mut follower).await;
    store.publish(&[session(3)]).await.unwrap();
    drop((store, follower));
    assert_eq!(read(&place).await, [1, 3].into());
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_log_that_was_removed() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;
    fs::remove_file(place.beside("-wal")).unwrap();
    let problem =
        format!("{}-wal, where its latest records are, was removed or replaced. {MOVE_AWAY}", place.path().display());
    let error = store.publish(&[session(2)]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("publishing to the revocation list failed: {problem}"));
    let error = follower.beat(false).await.unwrap_err();
    assert_eq!(error.to_string(), format!("reading the revocation list failed: {problem}"));
    // The way out that the sentence names.
    for suffix in ["", "-shm"] {
        fs::rename(place.beside(suffix), place.beside(&format!("{suffix}.damaged"))).unwrap();
    }
    assert!(beat(&mut follower).await.whole);
    store.restore(vec![record(1)], Position(0)).await.unwrap();
    store.publish(&[session(2)]).await.unwrap();
    assert_eq!(read(&place).await, [1, 2].into());
}

#[tokio::test]
async fn a_tool_does_not_make_a_list_that_vanished() {
    let place = Place::new();
    drop(place.open());
    let tool = SqliteStore::open_existing(&place.path(), place.clock()).unwrap();
    fs::remove_file(place.path()).unwrap();
    assert_eq!(
        tool.publish(&[session(1)]).await.unwrap_err().to_string(),
        format!(
            "publishing to the revocation list failed: {} does not exist. \
             An app makes it when it first starts; start it once, or name the file that the list is in",
            place.path().display()
        )
    );
    assert!(!place.path().exists());
}

#[tokio::test]
async fn who_dies_before_giving_back_logs_everybody_out_at_the_next_start() {
    let careful = |place: &Place| {
        let options = Options { log_out_everybody: true, ..options(place.clock()) };
        SqliteStore::open(&place.path(), &options).unwrap()
    };
    for gave_back in [false, true] {
        let place = Place::new();
        let store = place.open();
        let mut follower = store.follower();
        store.publish(&[session(1)]).await.unwrap();
        beat(&mut follower).await;
        fs::remove_file(place.path()).unwrap();
        assert!(beat(&mut follower).await.whole);
        if gave_back {
            // A caller that comes back had nothing to give, or has given it.
            assert!(!beat(&mut follower).await.whole);
        }
        drop((store, follower));
        let records = beat(&mut careful(&place).follower()).await.records.to_vec();
        let everybody = records.iter().filter(|record| matches!(record, Record::Everybody { .. })).count();
        assert_eq!(everybody, usize::from(!gave_back), "{records:?}");
        assert_eq!(beat(&mut careful(&place).follower()).await.records.to_vec(), records, "once, not at every start");
    }
}

#[tokio::test]
async fn a_list_that_vanished_before_anybody_knew_it_logs_everybody_out() {
    let place = Place::new();
    drop(place.open());
    let options = Options { log_out_everybody: true, ..options(place.clock()) };
    let store = SqliteStore::open(&place.path(), &options).unwrap();
    fs::remove_file(place.path()).unwrap();
    let records = beat(&mut store.follower()).await.records.to_vec();
    assert!(matches!(records[..], [Record::Everybody { .. }]), "{records:?}");
}

#[tokio::test]
async fn where_giving_back_failed_the_whole_list_comes_again() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;
    fs::remove_file(place.path()).unwrap();
    assert!(beat(&mut follower).await.whole);
    let shell = place.raw();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.restore(vec![record(1)], Position(0)).await.unwrap_err();
    assert!(beat(&mut follower).await.whole);
    shell.execute_batch("COMMIT").unwrap();
    let again = beat(&mut follower).await;
    assert!(again.whole && again.records.is_empty());
    store.restore(vec![record(1)], Position(0)).await.unwrap();
    let news = beat(&mut follower).await;
    assert!(!news.whole);
    assert_eq!(ids(&news.records.to_vec()), [1].into());
}

#[tokio::test]
async fn positions_stay_above_all_earlier_ones_when_file_and_clock_are_lost_together() {
    let place = Place::new();
    let ahead = Clock::manual(ManualClock::at(Seconds(NOW.0 + 86_400)));
    let (store, by_its_clock) = (place.open(), SqliteStore::open(&place.path(), &options(ahead)).unwrap());
    let mut follower = store.follower();
    let born = by_its_clock.follower().beat(true).await.unwrap().position;
    assert!(beat(&mut follower).await.position >= born);
    fs::remove_file(place.path()).unwrap();
    // Nothing was revoked, so nothing is given back; and the process that goes on has the clock of yesterday.
    assert!(beat(&mut follower).await.position >= born);
    assert!(store.publish(&[session(1)]).await.unwrap().position > born);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_removed_while_a_publication_waits_gets_no_acknowledgement() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let shell = place.raw();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.publish(&[session(1)]).await }
    });
    // No event tells that somebody waits for SQLite's lock. Too short a time would only make the test easier.
    tokio::time::sleep(Duration::from_millis(200)).await;
    fs::remove_file(place.path()).unwrap();
    shell.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(read(&place).await, [1].into(), "it went into the file that took its place");
}

/// Swaps the file away again and again while another task publishes. What was acknowledged must be in a
/// file that was in place at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_into_a_file_that_is_gone() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            for id in 0.. {
                store.publish(&[session(id)]).await.unwrap();
                sender.send(id).unwrap();
                if stop.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
            }
        }
    });
    let mut acknowledged = BTreeSet::new();
    let mut kept = Vec::new();
    for round in 0..25 {
        for _ in 0..=round % 7 {
            acknowledged.insert(receiver.recv().await.unwrap());
        }
        // Second names keep what is removed, with the log that belongs to it.
        let keep = place.beside(&format!(".{round}"));
        fs::hard_link(place.path(), &keep).unwrap();
        fs::hard_link(place.beside("-wal"), format!("{}-wal", keep.display())).unwrap();
        fs::remove_file(place.path()).unwrap();
        kept.push(keep);
        while !place.path().exists() {
            acknowledged.insert(receiver.recv().await.unwrap());
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    writer.await.unwrap();
    while let Some(id) = receiver.recv().await {
        acknowledged.insert(id);
    }
    drop(store);
    kept.push(place.path());
    let mut found = BTreeSet::new();
    for file in &kept {
        let raw = rusqlite::Connection::open(file).unwrap();
        let mut rows = raw.prepare("SELECT id FROM record WHERE kind = 1").unwrap();
        let rows = rows.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        found.extend(rows.map(|id| id.unwrap().cast_unsigned()));
    }
    let missing: Vec<_> = acknowledged.difference(&found).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(acknowledged.len() > 50);
}

/// Gates wait for a lease from then on, and a key that was staged before is not taken back.
#[tokio::test]
async fn a_life_says_when_it_began_with_a_loss() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    let told = async || store.nodes(Position(0)).await.unwrap().begun;
    beat(&mut follower).await;
    assert_eq!(told().await, Position(0), "the first life began without one");
    let copy = backup(&place);
    store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;

    for loss in ["an older copy", "no file"] {
        place.hand.advance(minutes(1));
        let now = Clock::manual(place.hand.clone()).now().seconds();
        match loss {
            "no file" => fs::remove_file(place.path()).unwrap(),
            _ => fs::rename(&copy, place.path()).unwrap(),
        }
        beat(&mut follower).await;
        let began = told().await;
        assert_eq!(began.seconds(), now, "{loss}");
        place.hand.advance(minutes(1));
        store.restore(vec![record(1)], Position(0)).await.unwrap();
        beat(&mut follower).await;
        assert_eq!(told().await, began, "{loss}: it stays so when all is given back");
    }
}

#[tokio::test]
async fn a_file_of_before_is_completed_when_it_is_opened() {
    let place = Place::new();
    drop(place.open());
    place.raw().execute_batch("ALTER TABLE meta DROP COLUMN begun").unwrap();
    let (one, two) = (place.open(), place.open());
    assert_eq!(one.nodes(Position(0)).await.unwrap().begun, Position(0));
    two.publish(&[session(1)]).await.unwrap();
}
