//! Several processes on one server: what one revokes, the others refuse a moment later.
#![cfg(feature = "redis")]

mod redis_support;

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_support::{NEW, Server, address, list_key, options};
use sealjar::id::ShortId;
use sealjar::io::follow::Follow;
use sealjar::io::redis::RedisStore;
use sealjar::revocation::{Replica, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day};

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
    let tell = move || {
        let (now, mut told) = (view.view().list.len(), told.lock().unwrap());
        if *told != now {
            *told = now;
            let mut out = std::io::stdout().lock();
            // The test program prints its own words without ending the line.
            write!(out, "\nhas {now}\n").and_then(|()| out.flush()).unwrap();
        }
    };
    let _follow = Follow::start(Arc::new(store), replica, Clock::system(), Vec::new(), tell);
    std::future::pending::<()>().await;
}

struct Process(Child);

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
