//! The list behind Sentinels: whoever is the primary is found, and a failover forgets nothing and lets nobody in.
#![cfg(all(feature = "redis", feature = "cli"))]

mod redis_support;
mod support_sessions;

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis_support::sentinel::{SENTINEL_PASSWORD, SERVICE, Sentinel, Watched};
use redis_support::{NEW, PASSWORD, Server, address, list_key, options};
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Made, Options, RedisStore, sentinel_rule};
use sealjar::revocation::{Freshness, Revocation, RevocationStore as _};
use sealjar::time::Clock;
use sealjar::{Session, Sessions, Taken, Verdict, minutes};
use support_sessions::{Browser, Visitor};
use tempfile::TempDir;

const APP: &str = redis_support::APP;

/// An app's keys, and the list made for them.
struct Home(TempDir);

impl Home {
    async fn new(url: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.folder().init(Clock::system().now().seconds()).unwrap();
        let list_key = home.folder().list_key().unwrap();
        let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
        assert_eq!(RedisStore::make(address(url), &options, NEW).await.unwrap(), Made::New);
        home
    }

    fn folder(&self) -> KeyFolder {
        KeyFolder::new(self.0.path())
    }

    /// As a supervisor would: until it starts. A replica that a failover has moved may be away for a moment.
    async fn app(&self, url: &str) -> Sessions<Visitor> {
        let began = Instant::now();
        loop {
            match Sessions::builder(APP).keys(self.0.path()).list(url).start().await {
                Ok(sessions) => return sessions,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The error of opening, told within two seconds and without any password.
async fn refusal(url: &str) -> String {
    let began = Instant::now();
    let error = RedisStore::open(address(url), &options(&list_key(7))).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "told after {:?}", began.elapsed());
    let all = format!("{error} {error:?}");
    assert!(!all.contains(PASSWORD) && !all.contains(SENTINEL_PASSWORD) && !all.contains("wrong-word"), "{all}");
    error.to_string()
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

/// Which life of the list a server holds.
async fn life(server: &Server) -> redis::Value {
    server.command(&["HGET", &format!("{{sealjar:{APP}}}:epoch"), "incarnation"]).await
}

/// One visitor on one node while the primary changes: how often it got an answer. A 503 is none; everything else
/// has to be what is allowed.
async fn visit(sessions: Sessions<Visitor>, cookie: String, stop: Arc<AtomicBool>, allowed: Verdict) -> usize {
    let (browser, mut answers) = (Browser::with(&cookie), 0);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let verdict = browser.open(&sessions).await.verdict();
        assert!(began.elapsed() < Duration::from_secs(10), "a request hung for {:?}", began.elapsed());
        assert!(
            [allowed, Verdict::ListUnavailable].contains(&verdict),
            "breach: {verdict} after {:?}",
            began.elapsed()
        );
        answers += usize::from(verdict == allowed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    answers
}

/// What a browser is told by a node: it asks again after a 503, which any node may say while it has no answer.
async fn answered(browser: &Browser, sessions: &Sessions<Visitor>) -> Session<Visitor> {
    let began = Instant::now();
    loop {
        let session = browser.open(sessions).await;
        if session.verdict() != Verdict::ListUnavailable {
            return session;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "still no answer");
        session.discard();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Two nodes under load, while `change` makes another server the primary.
async fn a_failover_is_survived(change: impl AsyncFnOnce(&Watched) -> usize) {
    let watched = Watched::start().await;
    let url = watched.url();
    let home = Home::new(&watched.admin_url()).await;
    let (one, two) = (home.app(&url).await, home.app(&url).await);
    let (mut ada, mut bob) = (Browser::default(), Browser::default());
    ada.log_in(&one, "ada").await;
    bob.log_in(&two, "bob").await;
    let mut offering = bob.open(&one).await;
    offering.offer_once("captcha", &"seven", minutes(5)).unwrap();
    bob.store(offering);
    let revoked = ada.cookie().to_owned();
    ada.open(&one).await.logout().await.unwrap();
    assert_eq!(Browser::with(&revoked).open(&two.strict()).await.verdict(), Verdict::RevokedSession);

    let stop = Arc::new(AtomicBool::default());
    let mut visitors = Vec::new();
    for node in [&one, &two] {
        for (cookie, allowed) in [(bob.cookie(), Verdict::Live), (&*revoked, Verdict::RevokedSession)] {
            visitors.push(tokio::spawn(visit(node.clone(), cookie.to_owned(), stop.clone(), allowed)));
        }
    }
    let began = Instant::now();
    let before = life(&watched.servers[0]).await;
    let primary = change(&watched).await;
    println!("another primary is named after {:?}", began.elapsed());
    // The deposed one may go on for a moment; when it has lost its replicas it refuses every write.
    while life(&watched.servers[primary]).await == before {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody has begun a new life on the new primary");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("a new life has begun on it after {:?}", began.elapsed());
    for node in [&one, &two] {
        while let Err(error) = node.revoke_label("some device").await {
            assert!(began.elapsed() < Duration::from_secs(30), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("a node publishes to it after {:?}", began.elapsed());
    }
    support_sessions::eventually("the lists are fresh again", || {
        [&one, &two].iter().all(|node| node.freshness() == Freshness::Fresh)
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for visitor in visitors {
        assert!(visitor.await.unwrap() > 20, "the node went on answering");
    }
    let strict = two.strict();
    assert_eq!(answered(&Browser::with(&revoked), &strict).await.verdict(), Verdict::RevokedSession);
    let taken = answered(&bob, &two).await.take_once::<String>("captcha").await.unwrap();
    assert!(matches!(taken, Taken::Foreign), "nobody knows whether it was taken on the old primary");
    // A node that knew nothing joins, and has all of it.
    let three = home.app(&url).await;
    assert_eq!(answered(&Browser::with(&revoked), &three).await.verdict(), Verdict::RevokedSession);
    assert_eq!(answered(&bob, &three).await.verdict(), Verdict::Live);
    let mut carol = Browser::default();
    carol.log_in(&three, "carol").await;
    assert_eq!(answered(&carol, &one).await.verdict(), Verdict::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_an_operator_asks_for_forgets_nothing() {
    a_failover_is_survived(async |watched| watched.fail_over().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_is_replaced_and_nothing_is_forgotten() {
    a_failover_is_survived(async |watched| {
        watched.servers[0].kill();
        watched.another_than(0).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_may_want_a_password_and_may_be_away() {
    let mut watched = Watched::with(Some(SENTINEL_PASSWORD)).await;
    let url = watched.url();
    let without = url.split_once('?').unwrap().0;
    says(&refusal(without).await, &["do not let us ask", "wants a password", "?sentinel_password="]);
    says(&refusal(&format!("{without}?sentinel_password=wrong-word")).await, &["refused the password", "?sentinel_"]);
    let wrong = url.replace(PASSWORD, "wrong-word");
    let port = watched.servers[0].port();
    let named = format!("127.0.0.1:{port} (the primary of {SERVICE}, as Sentinels say)");
    says(&refusal(&wrong).await, &[&named, "refused the password of the user sealjar-node"]);
    says(
        &refusal(&url.replace(SERVICE, "other")).await,
        &["watch no service of the name other", "behind `sentinel monitor`"],
    );

    RedisStore::make(address(&url), &options(&list_key(7)), NEW).await.unwrap();
    the_program_takes_such_an_address(&watched.root_url());
    // Sentinels may have users: the printed rule is enough.
    let rule = sentinel_rule().replace("<password>", "watch-word");
    for sentinel in &watched.sentinels {
        sentinel.raw(&rule.split_whitespace().collect::<Vec<_>>(), Some(SENTINEL_PASSWORD)).await.unwrap();
    }
    let with_user = format!("{without}?sentinel_username=sealjar&sentinel_password=watch-word");
    RedisStore::open(address(&with_user), &options(&list_key(7))).await.unwrap();
    let began = Instant::now();
    watched.sentinels[0].kill();
    watched.sentinels[2].kill();
    let store = RedisStore::open(address(&url), &options(&list_key(7))).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    store.publish(&[Revocation::Everybody]).await.unwrap();
    assert!(!format!("{store:?} {}", store.describe()).contains("word"));
    watched.sentinels[1].kill();
    let said = refusal(&url).await;
    let hosts: Vec<_> = watched.sentinels.iter().map(|s| format!("nothing listens at 127.0.0.1:{}", s.port)).collect();
    says(&said, &[&hosts[0], &hosts[1], &hosts[2], "none of the Sentinels", "bring the Sentinels back"]);
    store.publish(&[Revocation::Everybody]).await.expect("who is connected needs no Sentinel");
}

fn the_program_takes_such_an_address(url: &str) {
    let home = tempfile::tempdir().unwrap();
    let sealjar = |variable: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command.env("SEALJAR_HOME", home.path()).env("SEALJAR_APP", "other").env("REDIS_URL", variable);
        let output = command.args(arguments).output().unwrap();
        let said = format!("{output:?}");
        assert!(output.status.success() && !said.contains(PASSWORD) && !said.contains(SENTINEL_PASSWORD), "{said}");
        said
    };
    sealjar("", &["keys", "init"]);
    let made = sealjar(url, &["store", "init"]);
    assert!(made.contains("Made the revocation list at redis+sentinel://127.0.0.1:"), "{made}");
    let there = sealjar("redis://127.0.0.1:1", &["--list", url, "store", "init"]);
    assert!(there.contains("is there already"), "{there}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_disagree_are_named_unless_one_of_them_is_right() {
    let (server, other) = (Server::start(), Server::start());
    server.init(NEW).await.unwrap();
    let replica_of = server.port().to_string();
    let replica =
        Server::with(&["--appendonly", "yes", "--replicaof", "127.0.0.1", &replica_of, "--masterauth", PASSWORD]);
    // One that listens and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let right = Sentinel::start(SERVICE, server.port(), None);
    let wrong = Sentinel::start(SERVICE, other.port(), None);
    let lost = Sentinel::start(SERVICE, replica.port(), None);
    let ports = |ports: &[u16]| {
        let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://:{PASSWORD}@{}/{SERVICE}?replicas=0", hosts.join(","))
    };
    let deaf = silent.local_addr().unwrap().port();
    let named = |port: u16| format!("127.0.0.1:{port}");
    let (other_port, replica_port) = (named(other.port()), named(replica.port()));
    RedisStore::open(address(&ports(&[deaf, right.port])), &options(&list_key(7))).await.unwrap();
    // A primary that is gone is passed over for the one that is there.
    other.kill();
    RedisStore::open(address(&ports(&[wrong.port, right.port])), &options(&list_key(7))).await.unwrap();
    let said = refusal(&ports(&[wrong.port])).await;
    says(&said, &[&format!("nothing listens at {other_port} (the primary of {SERVICE}"), "Bring the server back"]);
    let said = refusal(&ports(&[lost.port])).await;
    says(&said, &[&format!("name {replica_port} as the primary, and it is a replica"), "SENTINEL MASTER"]);
    let said = refusal(&ports(&[wrong.port, lost.port])).await;
    let both = [&*format!("{other_port} by 1"), &format!("{replica_port} by 1"), "none of them answers as one"];
    says(&said, &both);
    says(&refusal(&ports(&[deaf])).await, &["none of the Sentinels", "did not answer in time"]);
}
