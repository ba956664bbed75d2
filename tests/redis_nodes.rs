//! Several processes on one server: what one revokes, the others refuse a moment later.
#![cfg(feature = "redis")]

mod redis_support;

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_support::{NEW, PASSWORD, Server, address, list_key, options};
use sealjar::id::ShortId;
use sealjar::io::follow::{Follow, process_name};
use sealjar::io::in_force::{Wish, wait};
use sealjar::io::redis::RedisStore;
use sealjar::revocation::{Durability, Replica, Report, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day, minutes};

const URL: &str = "SEALJAR_TEST_URL";
const ROUNDS: u64 = 100;

/// A node in a process of its own: tells how many records it has, whenever that changes.
#[tokio::test]
#[ignore = "run by the other tests of this file, in a process of its own"]
async fn child() {
    let Ok(url) = env::var(URL) else { return };
    let store = RedisStore::open(address(&url), &options(&list_key(7))).await.unwrap();
    let (replica, told) = (Arc::new(Replica::default()), std::sync::Mutex::new(usize::MAX));
    let view = replica.clone();
    let tell = move |_, _: &[Duration]| {
        let (now, mut told) = (view.view().list.len(), told.lock().unwrap());
        if *told != now {
            *told = now;
            let mut out = std::io::stdout().lock();
            // The test program prints its own words without ending the line.
            write!(out, "\nhas {now}\n").and_then(|()| out.flush()).unwrap();
        }
    };
    let report = || Report::new(process_name(), Some(minutes(1)));
    let _follow = Follow::start(Arc::new(store), replica, Clock::system(), Vec::new(), report, tell);
    std::future::pending::<()>().await;
}

struct Process(Child);

impl Process {
    fn signal(&self, name: &str) {
        redis_support::signal(self.0.id(), name);
    }

    /// As the node says it.
    fn name(&self) -> String {
        let own = process_name();
        format!("{}:{}", own.rsplit_once(':').unwrap().0, self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(url: &str) -> (Process, impl Iterator<Item = usize> + use<>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(URL, url)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (Process(child), lines.filter_map(|line| line.strip_prefix("has ")?.parse().ok()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_reaches_other_processes_in_milliseconds() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let mut nodes = [spawn(&server.url()), spawn(&server.url())];
    for (_, seen) in &mut nodes {
        assert_eq!(seen.next(), Some(0), "it has joined");
    }
    let store = server.open().await.unwrap();
    let day = Day(Clock::system().now().seconds().day().0 + 1);
    let mut took = Vec::new();
    for id in 1..=ROUNDS {
        let began = Instant::now();
        store.publish(&[Revocation::Session { id: ShortId(id), day }]).await.unwrap();
        for (_, seen) in &mut nodes {
            tokio::task::block_in_place(|| {
                let has = seen.find(|has| *has as u64 >= id);
                assert_eq!(has, Some(usize::try_from(id).unwrap()));
            });
        }
        took.push(began.elapsed());
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("from the call to the last of 2 other processes: median {median:?}, worst of {ROUNDS} {worst:?}");
    assert!(median < Duration::from_millis(200), "the feed is at work, not the beat of a second: {median:?}");
}

fn in_force(patience: Duration) -> Wish {
    Wish { durability: Durability::InForce, replicas: 0, patience }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_force_is_said_when_every_process_has_it_and_laggards_are_named() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let mut nodes = [spawn(&server.url()), spawn(&server.url())];
    for (_, seen) in &mut nodes {
        assert_eq!(seen.next(), Some(0), "it has joined");
    }
    let (store, clock) = (server.open().await.unwrap(), Clock::system());
    let day = Day(clock.now().seconds().day().0 + 1);
    let publish = async |id| store.publish(&[Revocation::Session { id: ShortId(id), day }]).await.unwrap();
    let mut took = Vec::new();
    for id in 1..=ROUNDS {
        let receipt = publish(id).await;
        let reached = wait(&store, &clock, &receipt, in_force(Duration::from_secs(10)), |_, _| ()).await.unwrap();
        assert_eq!(reached.durability, Durability::InForce);
        let progress = reached.progress.unwrap();
        assert_eq!((progress.confirmed.len(), progress.outstanding.len()), (2, 0));
        for (_, seen) in &mut nodes {
            // It says so before it acknowledges, so its line is there.
            tokio::task::block_in_place(|| assert!(seen.any(|has| has as u64 >= id), "it was in force there"));
        }
        took.push(reached.took);
    }
    took.sort();
    println!(
        "from published to in force on 2 of 2: median {:?}, worst {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() / 2] < Duration::from_millis(200), "nodes acknowledge at once, not with the next beat");

    nodes[0].0.signal("STOP");
    let receipt = publish(ROUNDS + 1).await;
    let mut said = Vec::new();
    let reached = wait(&store, &clock, &receipt, in_force(Duration::from_millis(700)), |progress, _| {
        said.push(progress.to_string());
    });
    let reached = reached.await.unwrap();
    assert_eq!(reached.durability, Durability::Committed);
    let progress = reached.progress.unwrap();
    assert_eq!(progress.outstanding[0].name(), nodes[0].0.name());
    assert_eq!(said.last().map(String::as_str), Some("1 of 2 nodes"));
    nodes[0].0.signal("CONT");
    let reached = wait(&store, &clock, &receipt, in_force(Duration::from_secs(10)), |_, _| ()).await.unwrap();
    assert_eq!(reached.durability, Durability::InForce);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_lost_is_given_back_before_it_counts_as_in_force() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let (_node, mut seen) = spawn(&server.url());
    assert_eq!(seen.next(), Some(0), "it has joined");
    let (store, clock) = (server.open().await.unwrap(), Clock::system());
    let day = Day(clock.now().seconds().day().0 + 1);
    let receipt = store.publish(&[Revocation::Session { id: ShortId(1), day }]).await.unwrap();
    server.command(&["FLUSHALL"]).await;
    let reached = wait(&store, &clock, &receipt, in_force(Duration::from_secs(20)), |_, _| ()).await.unwrap();
    assert_eq!(reached.durability, Durability::InForce);
    let records = store.follower().beat(false).await.unwrap().records;
    // The node and the one who waits may both have given it back: twice does no harm.
    assert!(!records.is_empty() && records.iter().all(|record| record == receipt.records[0]), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_is_said_when_as_many_replicas_have_it() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let (store, clock) = (server.open().await.unwrap(), Clock::system());
    let day = Day(clock.now().seconds().day().0 + 1);
    let publish = async |id| store.publish(&[Revocation::Session { id: ShortId(id), day }]).await.unwrap();
    let wish =
        |patience| Wish { durability: Durability::Replicated, replicas: 1, patience: Duration::from_millis(patience) };
    let reached = wait(&store, &clock, &publish(1).await, wish(100), |_, _| ()).await.unwrap();
    assert_eq!((reached.durability, reached.replicas), (Durability::Committed, Some(0)), "it has no replica");
    let port = server.port().to_string();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]);
    let began = Instant::now();
    loop {
        // The first replica begins another history, and so another life of the list.
        let reached = wait(&store, &clock, &publish(2).await, wish(5_000), |_, _| ()).await.unwrap();
        if reached.durability == Durability::Replicated {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{reached:?}");
    }
    drop(replica);
}
