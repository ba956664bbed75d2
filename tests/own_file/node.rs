//! Nodes of one app in this process, each with a home of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::io::redis::{Options, RedisStore};
use sealjar::io::sqlite::OwnFile;
use sealjar::key::ListKey;
use sealjar::revocation::{Origin, Profile, Record, RevocationStore as _, Snapshot, Waiting};
use sealjar::time::Clock;
use sealjar::{Builder, Error, Sessions};
use tempfile::TempDir;

use crate::redis_support::{APP, NEW, Server, address};
use crate::support_sessions::{Browser, Visitor};

/// A folder with keys, and a server with a list of them.
pub struct App {
    pub server: Server,
    pub home: TempDir,
}

impl App {
    pub async fn new() -> Self {
        let app = Self { server: Server::start(), home: tempfile::tempdir().unwrap() };
        KeyFolder::new(app.home.path().join("keys")).init(Clock::system().now().seconds()).unwrap();
        app.make_list().await;
        app
    }

    pub async fn make_list(&self) {
        let (list_key, place) = (self.list_key(), ListPlace::parse(&self.server.admin_url()).unwrap());
        let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
        place.make(&options, NEW).await.unwrap();
    }

    pub fn list_key(&self) -> ListKey {
        KeyFolder::new(self.home.path().join("keys")).list_key().unwrap()
    }

    /// Another host of the same app: its keys, and nothing else.
    pub fn other_home(&self) -> TempDir {
        let other = tempfile::tempdir().unwrap();
        copy(&self.home.path().join("keys"), &other.path().join("keys"));
        other
    }

    /// Not on localhost, so it makes no list by itself.
    pub fn builder(&self, home: &Path) -> Builder<Visitor> {
        Sessions::builder(APP).home(home).list(self.server.url())
    }

    pub async fn start(&self) -> Sessions<Visitor> {
        self.try_start().await.unwrap()
    }

    pub async fn try_start(&self) -> Result<Sessions<Visitor>, Error> {
        self.builder(self.home.path()).start().await
    }

    pub fn file(&self) -> PathBuf {
        file_in(self.home.path())
    }

    /// The server dies, and its disk with it; another one takes its place.
    pub fn lose_the_list(&self) {
        self.server.kill();
        self.server.forget();
        self.server.restart();
    }

    /// Every record that the server has.
    pub async fn on_server(&self) -> Vec<Record> {
        self.store().await.follower().beat(false).await.unwrap().records.to_vec()
    }

    pub async fn store(&self) -> RedisStore {
        let list_key = self.list_key();
        let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
        RedisStore::open(address(&self.server.url()), &options).await.unwrap()
    }
}

pub fn file_in(home: &Path) -> PathBuf {
    home.join("node.db")
}

/// With modes and all.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// What a process that starts now would find in a file.
pub struct Found {
    pub origin: Option<Origin>,
    pub records: Vec<Record>,
    pub waiting: Vec<Waiting>,
    pub profiles: Vec<Profile>,
}

pub fn recall(file: &Path) -> Found {
    found(&OwnFile::open_existing(file, Clock::system()).unwrap())
}

pub fn found(file: &OwnFile) -> Found {
    let Snapshot { origin, records, waiting, profiles } = file.recall().unwrap().0;
    Found { origin, records: records.to_vec(), waiting, profiles }
}

pub fn sessions_in(records: &[Record]) -> BTreeSet<u64> {
    records
        .iter()
        .filter_map(|record| if let Record::Session { id, .. } = record { Some(id.0) } else { None })
        .collect()
}

/// A browser that is logged in, and the id of its session.
pub async fn logged_in(sessions: &Sessions<Visitor>, subject: &str) -> (Browser, u64) {
    let mut browser = Browser::default();
    browser.log_in(sessions, subject).await;
    let id = browser.open(sessions).await.handle().unwrap().id.0;
    (browser, id)
}

/// Waits for something that takes a look at the disk or the server.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 30 s: {what}");
}

/// The file has this session's end, and is whole.
pub async fn remembered(file: &Path, id: u64) {
    until("the file has it", async || {
        let snapshot = recall(file);
        snapshot.origin.is_some() && sessions_in(&snapshot.records).contains(&id)
    })
    .await;
}
