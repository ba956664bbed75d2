//! What the tests of the embedded list share.
#![allow(dead_code, reason = "each test program uses a part")]

#[allow(clippy::duplicate_mod, reason = "each helper brings it along")]
#[path = "../canaries/mod.rs"]
pub mod canaries;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sealjar::Error;
use sealjar::id::ShortId;
use sealjar::io::sqlite::{Options, SqliteStore};
use sealjar::revocation::{Beat, Follower, Record, Revocation, RevocationStore};
use sealjar::time::{Clock, Day, ManualClock, Seconds};
use tempfile::TempDir;

pub const NOW: Seconds = Seconds(1_795_447_200);
pub const APP: &str = "shop";
pub const FINGERPRINT: &str = "0123456789abcdef";

/// What the damage sentences end with.
pub const MOVE_AWAY: &str = "Move it away together with its -wal and -shm files: a program that is running then \
     writes a new list from memory. If none is running, put a copy back, or start with a new list and log everybody out";

pub fn options(clock: Clock) -> Options<'static> {
    Options { app: APP, list_key: FINGERPRINT, create: true, log_out_everybody: false, clock }
}

/// A folder with a list, and the hand of its clock.
pub struct Place {
    pub folder: TempDir,
    pub hand: Arc<ManualClock>,
}

impl Place {
    pub fn new() -> Self {
        canaries::listen();
        Self { folder: tempfile::tempdir().unwrap(), hand: ManualClock::at(NOW) }
    }

    pub fn path(&self) -> PathBuf {
        // Without links, as messages show it.
        self.folder.path().canonicalize().unwrap().join("list.db")
    }

    pub fn beside(&self, suffix: &str) -> PathBuf {
        self.path().with_file_name(format!("list.db{suffix}"))
    }

    pub fn clock(&self) -> Clock {
        Clock::manual(self.hand.clone())
    }

    pub fn try_open(&self) -> Result<SqliteStore, Error> {
        SqliteStore::open(&self.path(), &options(self.clock()))
    }

    pub fn open(&self) -> SqliteStore {
        self.try_open().unwrap()
    }

    pub fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    pub fn count(&self, table: &str) -> i64 {
        self.raw().query_one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

pub fn today() -> Day {
    NOW.day()
}

pub fn session(id: u64) -> Revocation {
    Revocation::Session { id: ShortId(id), day: today() }
}

pub fn ids(records: &[Record]) -> BTreeSet<u64> {
    records
        .iter()
        .filter_map(|record| if let Record::Session { id, .. } = record { Some(id.0) } else { None })
        .collect()
}

pub async fn beat(follower: &mut Box<dyn Follower>) -> Beat {
    follower.beat(false).await.unwrap()
}

/// What a process that starts now would read.
pub async fn read(place: &Place) -> BTreeSet<u64> {
    ids(&beat(&mut place.open().follower()).await.records.to_vec())
}

/// A program of the system. Files are copied by one, because a process that opens and closes a database
/// by itself loses every lock that SQLite holds on it.
pub fn run(program: &str, arguments: &[&Path]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// A small file system of its own, if this machine lets us mount one.
pub struct Mount(TempDir);

impl Mount {
    pub fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "sealjar-test"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                eprintln!(
                    "skipped: no file system can be mounted ({})",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(error) => {
                eprintln!("skipped: there is no mount program ({error})");
                None
            }
        }
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    pub fn remount(&self, how: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
