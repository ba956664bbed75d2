//! A home folder with a hand-moved clock, and a browser that keeps one cookie.
#![allow(dead_code, reason = "each test binary uses its part")]

#[allow(clippy::duplicate_mod, reason = "each helper brings it along")]
#[path = "../canaries/mod.rs"]
pub mod canaries;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sealjar::id::KeyId;
use sealjar::io::folder::KeyFolder;
use sealjar::revocation::Freshness;
use sealjar::time::{Clock, ManualClock, Seconds};
use sealjar::{Builder, Login, Payload, Request, Session, Sessions, Stamp};
use serde::{Deserialize, Serialize};

pub const START: Seconds = Seconds(1_795_447_200);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Visitor {
    pub name: String,
    #[serde(default)]
    pub coins: u32,
}

/// SQLite's file and its journal.
const ENDS: [&str; 3] = ["", "-wal", "-shm"];

pub struct Home {
    dir: tempfile::TempDir,
    hand: Arc<ManualClock>,
}

impl Home {
    pub fn new() -> Self {
        canaries::listen();
        Self { dir: tempfile::tempdir().unwrap(), hand: ManualClock::at(START) }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The app `shop`, idle 30 minutes, absolute 12 hours, on this home's clock.
    pub fn builder<T: Payload>(&self) -> Builder<T> {
        Sessions::builder("shop").home(self.path()).localhost().clock(Clock::manual(self.hand.clone()))
    }

    pub fn clock(&self) -> Clock {
        Clock::manual(self.hand.clone())
    }

    pub async fn start(&self) -> Sessions<Visitor> {
        let sessions = self.builder().start().await.unwrap();
        canaries::plant_keys(&self.path().join("keys"));
        sessions
    }

    /// Another process, whose clock stands elsewhere.
    pub async fn start_at(&self, now: Seconds) -> Sessions<Visitor> {
        self.builder().clock(Clock::manual(ManualClock::at(now))).start().await.unwrap()
    }

    /// Moves the clock, and waits until the list has been read at the new time.
    pub async fn advance<T: Payload>(&self, span: Duration, sessions: &Sessions<T>) {
        self.hand.advance(span);
        eventually("the list is fresh", || sessions.freshness() == Freshness::Fresh).await;
    }

    /// Moves the clock and waits for nothing.
    pub fn jump(&self, span: Duration) {
        self.hand.advance(span);
    }

    /// Puts a folder where the list was, so that nothing can be read or made there.
    pub fn break_list(&self) {
        let aside = self.path().join("aside");
        std::fs::create_dir(&aside).unwrap();
        for end in ENDS {
            let _ = std::fs::rename(self.list(end), aside.join(format!("list.db{end}")));
        }
        std::fs::create_dir(self.list("")).unwrap();
    }

    pub fn mend_list(&self) {
        std::fs::remove_dir(self.list("")).unwrap();
        for end in ENDS {
            let _ = std::fs::rename(self.path().join(format!("aside/list.db{end}")), self.list(end));
        }
    }

    pub fn new_key_now(&self) -> KeyId {
        self.folder().new_key(Clock::system().now().seconds()).unwrap().id()
    }

    pub fn remove_key(&self, key: KeyId) {
        std::fs::remove_file(self.folder().path().join(format!("{key}.key"))).unwrap();
    }

    pub fn has_list(&self) -> bool {
        self.list("").exists()
    }

    pub fn lose_list(&self) {
        for end in ENDS {
            let _ = std::fs::remove_file(self.list(end));
        }
    }

    fn list(&self, end: &str) -> PathBuf {
        self.path().join(format!("list.db{end}"))
    }

    fn folder(&self) -> KeyFolder {
        KeyFolder::new(self.path().join("keys"))
    }
}

#[derive(Default)]
pub struct Browser {
    cookie: String,
    host: Option<&'static str>,
}

impl Browser {
    pub fn with(cookie: &str) -> Self {
        Self { cookie: cookie.to_owned(), host: None }
    }

    pub fn at(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    /// `name=value`, as the browser would send it.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    pub async fn open<T: Payload>(&self, sessions: &Sessions<T>) -> Session<T> {
        let fields = (!self.cookie.is_empty()).then_some(self.cookie.as_bytes());
        sessions.begin(fields, Request { route: Some("GET /test"), host: self.host }).await
    }

    /// Takes what the response would set.
    pub fn store<T: Payload>(&mut self, session: Session<T>) {
        if let Stamp::SetCookie(lines) = session.commit().unwrap() {
            let line = lines.last().unwrap();
            self.cookie =
                if line.contains("Max-Age=0") { String::new() } else { line.split(';').next().unwrap().into() };
            canaries::plant_cookie(&self.cookie);
        }
    }

    pub async fn log_in(&mut self, sessions: &Sessions<Visitor>, login: impl Into<Login>) {
        let mut session = self.open(sessions).await;
        session.login(login, Visitor { name: "canary-user".into(), coins: 5 }).await.unwrap();
        self.store(session);
    }
}

/// Waits for something that happens by itself, without guessing how long it takes.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}
