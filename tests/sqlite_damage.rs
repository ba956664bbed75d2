//! Files that cannot be used, and what is said about each.
#![cfg(all(feature = "sqlite", unix))]

mod sqlite_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sealjar::Error;
use sealjar::io::sqlite::{Options, SqliteStore};
use sealjar::revocation::{Durability, RevocationStore};
use sealjar::time::{Clock, ManualClock};
use sqlite_support::{APP, FINGERPRINT, MOVE_AWAY, Mount, NOW, Place, beat, ids, options, read, session};

fn sentence<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => {
            assert!(matches!(error, Error::Store { .. }), "{error:?}");
            error.to_string()
        }
    }
}

async fn filled() -> Place {
    let place = Place::new();
    let store = place.open();
    let sessions: Vec<_> = (0..2000).map(session).collect();
    store.publish(&sessions).await.unwrap();
    place
}

type Damage = fn(&mut Vec<u8>);

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_way_out() {
    let no_database = "file is not a database";
    let half = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2 / 4096 * 4096);
    let cases: [(&str, &str, Damage); 5] = [
        ("emptied", "it is empty", |bytes| bytes.clear()),
        ("header", no_database, |bytes| bytes[..16].iter_mut().for_each(|byte| *byte ^= 0xff)),
        ("garbage", no_database, |bytes| {
            let mut n = 1_u32;
            bytes.iter_mut().for_each(|byte| {
                n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = n.to_be_bytes()[0];
            });
        }),
        ("truncated", "", half),
        ("a page", "", |bytes| {
            let middle = bytes.len() / 2 / 4096 * 4096;
            bytes[middle..middle + 4096].fill(0xa5);
        }),
    ];
    for (name, why, damage) in cases {
        let place = filled().await;
        let mut bytes = fs::read(place.path()).unwrap();
        damage(&mut bytes);
        fs::write(place.path(), &bytes).unwrap();
        let said = sentence(place.try_open());
        let begin = format!("opening the revocation list failed: {} is damaged (", place.path().display());
        let reason = said.strip_prefix(&begin).unwrap_or_else(|| panic!("{name}: {said}"));
        let reason = reason.strip_suffix(&format!("). {MOVE_AWAY}")).unwrap_or_else(|| panic!("{name}: {said}"));
        assert!(why.is_empty() || reason == why, "{name}: {said}");
        assert!(!reason.is_empty(), "{name}: {said}");
        assert_eq!(fs::read(place.path()).unwrap(), bytes, "{name}: nobody repairs what is not understood");

        // The way out that the sentence names.
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::rename(place.beside(suffix), place.beside(&format!("{suffix}.damaged")));
        }
        assert!(read(&place).await.is_empty());
    }
}

#[tokio::test]
async fn a_foreign_database_is_left_as_it_is() {
    let place = Place::new();
    place.raw().execute_batch("CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('x')").unwrap();
    let before = fs::read(place.path()).unwrap();
    let wanted = format!(
        "opening the revocation list failed: {} is a SQLite database of another program. \
         Name another file for the revocation list; this one was not changed",
        place.path().display()
    );
    assert_eq!(sentence(place.try_open()), wanted);
    assert_eq!(sentence(SqliteStore::open_existing(&place.path(), place.clock())), wanted);
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_file_belongs_to_one_app_and_one_list_key() {
    let place = filled().await;
    let open = |app, list_key| {
        SqliteStore::open(&place.path(), &Options { app, list_key, ..options(Clock::system()) }).map(drop)
    };
    let file = place.path().display().to_string();
    assert_eq!(
        sentence(open("blog", FINGERPRINT)),
        format!(
            "opening the revocation list failed: {file} is the list of the app \"shop\", and this is \"blog\". \
             Give each app a list of its own, or call this app by the other name"
        )
    );
    assert_eq!(
        sentence(open(APP, "fedcba9876543210")),
        format!(
            "opening the revocation list failed: {file} was made under the list key 0123456789abcdef, and this \
             program has fedcba9876543210. Give this program the list key that the list was made under: it lies in \
             the key folder"
        )
    );
    open(APP, FINGERPRINT).unwrap();
    let tool = SqliteStore::open_existing(&place.path(), Clock::system()).unwrap();
    assert_eq!((tool.app(), tool.list_key(), tool.path()), (APP, FINGERPRINT, &*place.path()));
    assert_eq!(format!("{tool:?}"), format!("SqliteStore {{ path: {file:?}, app: \"shop\", .. }}"));
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let place = filled().await;
    place.raw().pragma_update(None, "user_version", 3).unwrap();
    assert_eq!(
        sentence(place.try_open()),
        format!(
            "opening the revocation list failed: {} was written by a newer sealjar (schema 3; this one knows 2). \
             Update this program; the file was not changed",
            place.path().display()
        )
    );
}

#[test]
fn a_missing_file_is_made_only_where_that_was_asked_for() {
    let place = Place::new();
    let path = place.path();
    let missing = format!(
        "opening the revocation list failed: {} does not exist. \
         An app makes it when it first starts; start it once, or name the file that the list is in",
        path.display()
    );
    assert_eq!(sentence(SqliteStore::open_existing(&path, place.clock())), missing);
    let unmade = Options { create: false, ..options(place.clock()) };
    assert_eq!(sentence(SqliteStore::open(&path, &unmade)), missing);
    assert!(!path.exists());

    let deep = path.with_file_name("a").join("b").join("list.db");
    assert_eq!(
        sentence(SqliteStore::open(&deep, &options(place.clock()))),
        format!(
            "opening the revocation list failed: the folder of {} does not exist, nor the one above it. \
             Create the folder, or name another place for the list",
            deep.display()
        )
    );
    let folder = path.with_file_name("a");
    SqliteStore::open(&folder.join("list.db"), &options(place.clock())).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
#[ignore = "run by the next test, under a umask of its own"]
async fn child_makes_a_file() {
    let Ok(path) = std::env::var("SEALJAR_TEST_FILE") else { return };
    let store = SqliteStore::open(Path::new(&path), &options(Clock::system())).unwrap();
    store.publish(&[session(1)]).await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let mode = fs::metadata(format!("{path}{suffix}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[test]
fn only_the_owner_can_read_the_file_whatever_the_umask() {
    for umask in ["000", "022", "077", "277"] {
        let place = Place::new();
        let status = Command::new("sh")
            .args(["-c", "umask $0; exec \"$1\" --ignored --exact child_makes_a_file", umask])
            .arg(std::env::current_exe().unwrap())
            .env("SEALJAR_TEST_FILE", place.path())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success() && place.path().exists(), "umask {umask}");
    }
}

#[tokio::test]
async fn a_read_only_disk_is_named() {
    let Some(mount) = Mount::new("4m") else { return };
    let path = mount.path().join("list.db");
    let open = || SqliteStore::open(&path, &options(Clock::system()));
    open().unwrap().publish(&[session(1)]).await.unwrap();
    mount.remount("ro");
    let fix = "Make the file and its folder writable for the user that this program runs as";
    assert_eq!(
        sentence(open()),
        format!("opening the revocation list failed: {} cannot be written. {fix}", path.display())
    );
    let fresh = mount.path().join("fresh.db");
    assert_eq!(
        sentence(SqliteStore::open(&fresh, &options(Clock::system()))),
        format!(
            "opening the revocation list failed: {} cannot be written (Read-only file system (os error 30)). {fix}",
            fresh.display()
        )
    );
    mount.remount("rw");
    assert_eq!(ids(&beat(&mut open().unwrap().follower()).await.records.to_vec()), [1].into());
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged_and_can_still_be_read() {
    let Some(mount) = Mount::new("512k") else { return };
    let path = mount.path().join("list.db");
    let hand = ManualClock::at(NOW);
    let open = || SqliteStore::open(&path, &options(Clock::manual(hand.clone())));
    let store = open().unwrap();
    let mut follower = store.follower();
    let mut seen = ids(&beat(&mut follower).await.records.to_vec());
    let filler = mount.path().join("filler");
    fs::write(&filler, vec![0; 100_000]).unwrap();
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    let error = loop {
        let batch: Vec<_> = (next..next + 20).map(session).collect();
        match store.publish(&batch).await {
            Ok(receipt) => acknowledged.extend(ids(&receipt.records)),
            Err(error) => break error,
        }
        next += 20;
    };
    assert!(acknowledged.len() >= 100, "the list got {} sessions", acknowledged.len());
    let full = format!(
        "failed: there is no space left for {}. Free some space and try again; nothing that was acknowledged is lost",
        path.display()
    );
    assert_eq!(error.to_string(), format!("publishing to the revocation list {full}"));
    assert!(std::error::Error::source(&error).is_some(), "the backend's own error is kept");

    // The last bytes go to stamps.
    let (last, said) = loop {
        match follower.beat(true).await {
            Ok(beat) => seen.extend(ids(&beat.records.to_vec())),
            Err(error) => break (beat(&mut follower).await, sentence::<()>(Err(error))),
        }
    };
    assert_eq!(said, format!("reading the revocation list {full}"));
    // Reading goes on, even when a fresh mark is due, and tells exactly what was acknowledged.
    seen.extend(ids(&last.records.to_vec()));
    assert_eq!(seen.iter().copied().collect::<Vec<_>>(), acknowledged);
    hand.advance(Duration::from_secs(11));
    let idle = beat(&mut follower).await;
    assert_eq!(idle.position, last.position);
    assert!(idle.clock > last.clock);
    let other = mount.path().join("other.db");
    assert!(sentence(SqliteStore::open(&other, &options(Clock::system()))).contains("there is no space left for "));
    assert!(!other.exists(), "no half of a file stays");

    fs::remove_file(&filler).unwrap();
    let receipt = store.publish(&[session(1 << 40)]).await.unwrap();
    assert_eq!(receipt.durability, Durability::Committed);
    acknowledged.push(1 << 40);
    drop((store, follower));
    let found = beat(&mut open().unwrap().follower()).await;
    assert_eq!(ids(&found.records.to_vec()).into_iter().collect::<Vec<_>>(), acknowledged);
}

#[tokio::test]
async fn a_locked_file_is_waited_for_and_then_named() {
    let place = filled().await;
    let store = place.open();
    let mut follower = store.follower();
    beat(&mut follower).await;
    let shell = place.raw();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(
        sentence(store.publish(&[session(9999)]).await),
        format!(
            "publishing to the revocation list failed: {} stayed locked by another process for 5 s. Look for a \
             program that holds it, such as a database shell with an unfinished transaction, and try again",
            place.path().display()
        )
    );
    // Readers do not wait, not even when a fresh mark is due.
    place.hand.advance(Duration::from_secs(11));
    let began = std::time::Instant::now();
    beat(&mut follower).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    shell.execute_batch("COMMIT").unwrap();
    store.publish(&[session(9999)]).await.unwrap();
    assert_eq!(ids(&beat(&mut follower).await.records.to_vec()), [9999].into());
}
