//! Another file in its place: an older copy, one that was rolled back, somebody else's.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sealjar::io::sqlite::{Options, SqliteStore};
use sealjar::revocation::{Once, OnceValue, RevocationStore as _};
use sealjar::time::minutes;

use crate::sqlite_support::{NOW, Place, beat, ids, options, read, run, session};
use crate::{backup, record};

#[tokio::test]
async fn an_older_copy_begins_a_new_life_and_is_made_good() {
    for with_its_log in [false, true] {
        let place = Place::new();
        let (store, other) = (place.open(), place.open());
        let (mut one, mut two) = (store.follower(), other.follower());
        store.publish(&[session(1)]).await.unwrap();
        let before = beat(&mut one).await;
        beat(&mut two).await;
        let copy = backup(&place);
        let value = OnceValue { hash: [1; 16], incarnation: before.incarnation, expires: NOW.after(minutes(10)) };
        assert_eq!(store.take_once(value).await.unwrap(), Once::First);
        store.publish(&[session(2)]).await.unwrap();
        assert_eq!(ids(&beat(&mut one).await.records.to_vec()), [2].into());

        fs::rename(&copy, place.path()).unwrap();
        if with_its_log {
            // A log of its own, as a copy of a running list has one. It is empty and stays.
            fs::remove_file(place.beside("-wal")).unwrap();
            fs::remove_file(place.beside("-shm")).unwrap();
            fs::write(place.beside("-wal"), []).unwrap();
        }
        // The copy does not know that the value was spent. It is refused before any beat has noticed.
        assert_eq!(store.take_once(value).await.unwrap(), Once::Foreign);
        let told = beat(&mut one).await;
        assert!(told.whole);
        assert_eq!(ids(&told.records.to_vec()), [1].into());
        assert_ne!(told.incarnation, before.incarnation);
        store.restore(vec![record(2)], before.position).await.unwrap();
        let told_too = beat(&mut two).await;
        assert!(told_too.whole);
        assert_eq!(told_too.incarnation, told.incarnation, "one new life for all");
        assert_eq!(read(&place).await, [1, 2].into());
        assert!(!beat(&mut one).await.whole, "and it is told once");
    }
}

/// As a database shell's `.restore` does it: in one transaction, into the same file.
fn roll_back(place: &Place, copy: &Path) {
    let shell = place.raw();
    shell.execute("ATTACH ?1 AS older", [copy.to_str().unwrap()]).unwrap();
    let tables = ["meta", "record", "once", "profile", "sqlite_sequence"];
    let copied: String =
        tables.iter().map(|t| format!("DELETE FROM main.{t}; INSERT INTO main.{t} SELECT * FROM older.{t};")).collect();
    shell.execute_batch(&format!("BEGIN IMMEDIATE; {copied} COMMIT")).unwrap();
}

#[tokio::test]
async fn a_file_that_was_rolled_back_in_place_is_noticed() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    let copy = backup(&place);
    store.publish(&[session(2)]).await.unwrap();
    let before = beat(&mut follower).await;
    roll_back(&place, &copy);
    let told = beat(&mut follower).await;
    assert!(told.whole);
    assert_eq!(ids(&told.records.to_vec()), [1].into());
    assert_ne!(told.incarnation, before.incarnation);
    assert!(told.position > before.position);
}

#[tokio::test]
async fn a_rollback_that_took_only_spent_values_is_noticed() {
    let place = Place::new();
    let store = place.open();
    let incarnation = beat(&mut store.follower()).await.incarnation;
    let copy = backup(&place);
    let value = OnceValue { hash: [1; 16], incarnation, expires: NOW.after(minutes(10)) };
    assert_eq!(store.take_once(value).await.unwrap(), Once::First);
    roll_back(&place, &copy);
    assert_eq!(place.count("once"), 0);
    assert_eq!(store.take_once(value).await.unwrap(), Once::Foreign);
}

#[tokio::test]
async fn a_copy_is_another_life_even_if_a_newcomer_raised_its_positions() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    let incarnation = beat(&mut follower).await.incarnation;
    let copy = backup(&place);
    let value = OnceValue { hash: [1; 16], incarnation, expires: NOW.after(minutes(10)) };
    assert_eq!(store.take_once(value).await.unwrap(), Once::First);
    fs::rename(&copy, place.path()).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(place.beside(suffix)).unwrap();
    }
    place.hand.advance(Duration::from_secs(1));
    place.open().publish(&[session(1)]).await.unwrap();
    assert_eq!(store.take_once(value).await.unwrap(), Once::Foreign);
    assert_ne!(beat(&mut follower).await.incarnation, incarnation);
}

#[tokio::test]
async fn a_rollback_is_noticed_even_if_a_newcomer_published_first() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    let copy = backup(&place);
    store.publish(&[session(2)]).await.unwrap();
    let before = beat(&mut follower).await;
    roll_back(&place, &copy);
    // It knows nothing of a rollback; its record takes the number of the one that is gone, and the clock
    // takes the positions above all that were.
    place.hand.advance(Duration::from_secs(1));
    place.open().publish(&[session(3)]).await.unwrap();
    let told = beat(&mut follower).await;
    assert!(told.whole);
    assert_eq!(ids(&told.records.to_vec()), [1, 3].into());
    assert_ne!(told.incarnation, before.incarnation);
}

#[tokio::test]
async fn a_copy_over_the_running_file_is_noticed() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    store.publish(&[session(1)]).await.unwrap();
    place.raw().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let copy = place.beside(".backup");
    run("cp", &[&place.path(), &copy]);
    store.publish(&[session(2)]).await.unwrap();
    place.raw().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let before = beat(&mut follower).await;
    assert!(!before.records.is_empty());
    run("cp", &[&copy, &place.path()]);
    let told = beat(&mut follower).await;
    assert!(told.whole);
    assert_eq!(ids(&told.records.to_vec()), [1].into());
    assert_ne!(told.incarnation, before.incarnation);
    store.restore(vec![record(2)], before.position).await.unwrap();
    assert_eq!(read(&place).await, [1, 2].into());
}

#[tokio::test]
async fn another_apps_file_in_its_place_is_refused() {
    let place = Place::new();
    let store = place.open();
    let mut follower = store.follower();
    beat(&mut follower).await;
    let other = place.beside(".other");
    drop(SqliteStore::open(&other, &Options { app: "blog", ..options(place.clock()) }).unwrap());
    fs::rename(&other, place.path()).unwrap();
    let said = follower.beat(false).await.unwrap_err().to_string();
    assert!(said.contains("is the list of the app \"blog\", and this is \"shop\""), "{said}");
    assert!(store.publish(&[session(1)]).await.is_err());
}
