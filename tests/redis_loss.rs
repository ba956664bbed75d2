//! The server is killed, emptied, frozen: what was revoked stays revoked, and nothing hangs.
#![cfg(feature = "redis")]

mod redis_support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_support::{APP, NEW, Server};
use sealjar::id::ShortId;
use sealjar::io::follow::Follow;
use sealjar::io::redis::{Made, Making, RedisStore};
use sealjar::revocation::{Beat, Follower, Once, OnceValue, Record, Replica, Report, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day, minutes};

/// What an app process has.
struct Node {
    store: RedisStore,
    replica: Arc<Replica>,
    follow: Follow,
}

impl Node {
    async fn new(server: &Server) -> Self {
        let store = server.open().await.unwrap();
        let replica = Arc::new(Replica::default());
        let report = || Report::new("node".into(), Some(minutes(1)));
        let follow =
            Follow::start(Arc::new(store.clone()), replica.clone(), Clock::system(), Vec::new(), report, |_, _| {});
        Self { store, replica, follow }
    }

    async fn joined(server: &Server) -> Self {
        let node = Self::new(server).await;
        node.follow.beat(false).await.unwrap();
        node
    }

    async fn revoke(&self, id: u64) {
        let receipt = self.store.publish(&[session(id)]).await.unwrap();
        self.replica.apply(&receipt.records, receipt.position);
    }

    fn knows(&self) -> BTreeSet<u64> {
        ids(&self.replica.view().list.records().collect::<Vec<_>>())
    }

    /// Beats until one counts again, as the task does by itself once a second.
    async fn recover(&self) {
        let began = Instant::now();
        while let Err(error) = self.follow.beat(false).await {
            assert!(began.elapsed() < Duration::from_secs(20), "{error}");
        }
    }
}

fn today() -> Day {
    Clock::system().now().seconds().day()
}

fn session(id: u64) -> Revocation {
    Revocation::Session { id: ShortId(id), day: Day(today().0 + 1) }
}

fn ids(records: &[Record]) -> BTreeSet<u64> {
    records
        .iter()
        .filter_map(|record| if let Record::Session { id, .. } = record { Some(id.0) } else { None })
        .collect()
}

async fn beat(follower: &mut Box<dyn Follower>) -> Beat {
    follower.beat(false).await.unwrap()
}

async fn started() -> Server {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_has_everything() {
    let server = started().await;
    let node = Node::joined(&server).await;
    node.revoke(1).await;
    let before = node.replica.view().incarnation();
    server.kill();
    let error = node.store.publish(&[session(2)]).await.unwrap_err().to_string();
    assert!(error.contains("nothing listens") || error.contains("cannot be reached"), "{error}");
    server.restart();
    node.recover().await;
    assert_ne!(node.replica.view().incarnation(), before, "it may have lost something, so a new life begins");
    node.revoke(3).await;
    assert_eq!(Node::joined(&server).await.knows(), [1, 3].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_is_filled_from_memory() {
    let server = started().await;
    let (one, two) = (Node::joined(&server).await, Node::joined(&server).await);
    one.revoke(1).await;
    two.revoke(2).await;
    one.follow.beat(false).await.unwrap();
    let highest = one.store.publish(&[Revocation::Everybody]).await.unwrap().position;
    server.kill();
    server.forget();
    server.restart();
    one.recover().await;
    two.recover().await;
    let joined = Node::joined(&server).await;
    assert_eq!(joined.knows(), [1, 2].into());
    assert!(joined.store.publish(&[session(3)]).await.unwrap().position > highest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_server_is_filled_again_and_spent_values_stay_spent() {
    let server = started().await;
    let (one, two) = (Node::joined(&server).await, Node::joined(&server).await);
    for id in 0..100 {
        one.revoke(id).await;
    }
    two.follow.beat(false).await.unwrap();
    let incarnation = one.replica.view().incarnation().unwrap();
    let expires = Clock::system().now().seconds().after(minutes(5));
    let value = OnceValue { hash: [1; 16], incarnation, expires };
    assert_eq!(one.store.take_once(value).await.unwrap(), Once::First);
    server.command(&["FLUSHALL"]).await;
    assert_eq!(two.store.take_once(value).await.unwrap(), Once::Foreign);
    two.follow.beat(false).await.unwrap();
    one.follow.beat(false).await.unwrap();
    assert_eq!(two.store.take_once(value).await.unwrap(), Once::Foreign, "and it stays so");
    assert_eq!(Node::joined(&server).await.knows(), (0..100).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_while_the_list_is_given_back_waits_for_those_who_know_it() {
    let server = started().await;
    let store = server.open().await.unwrap();
    let mut follower = store.follower();
    follower.describe(Report { served: true, ..Report::new("node".into(), Some(minutes(1))) });
    beat(&mut follower).await;
    store.publish(&[session(1)]).await.unwrap();
    beat(&mut follower).await;
    server.command(&["FLUSHALL"]).await;
    // Noticed, and not given back yet.
    assert!(beat(&mut follower).await.whole);
    let joining = Node::new(&server).await;
    let refused = joining.follow.beat(false).await.unwrap_err().to_string();
    assert!(refused.contains("has lost records that other processes may remember"), "{refused}");
    assert_eq!(joining.replica.view().incarnation(), None, "no beat of it has counted");
    let lost = Record::Session { id: ShortId(1), day: Day(today().0 + 1) };
    store.restore(vec![lost], beat(&mut follower).await.position).await.unwrap();
    beat(&mut follower).await;
    joining.recover().await;
    assert_eq!(joining.knows(), [1].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_removed_is_given_back() {
    let server = started().await;
    let node = Node::joined(&server).await;
    node.revoke(1).await;
    node.follow.beat(false).await.unwrap();
    let bucket = format!("{{sealjar:{APP}}}:s:{}", today().0 + 1);
    // A right to set expiries is a right to take revocations back.
    server.command(&["EXPIREAT", &bucket, "1"]).await;
    node.follow.beat(false).await.unwrap();
    assert_eq!(Node::joined(&server).await.knows(), [1].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_knows_the_list_everybody_is_logged_out() {
    let server = started().await;
    let born = {
        let store = server.open().await.unwrap();
        store.publish(&[session(1)]).await.unwrap();
        store.follower().beat(true).await.unwrap().position
    };
    server.command(&["FLUSHALL"]).await;
    let refused = server.open().await.unwrap_err().to_string();
    assert!(refused.contains("there is no revocation list") && refused.contains("--after-loss"), "{refused}");
    assert_eq!(server.init(Making::AfterLoss).await.unwrap(), Made::AfterLoss);
    let first = beat(&mut server.open().await.unwrap().follower()).await;
    let [Record::Everybody { position }] = first.records.to_vec()[..] else { panic!("{:?}", first.records.to_vec()) };
    assert!(position > born, "whoever was logged in is out");
    let again = server.open().await.unwrap().follower().beat(true).await.unwrap();
    assert!(again.position > position, "and whoever logs in now is in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_lets_nothing_hang() {
    let server = started().await;
    let node = Node::joined(&server).await;
    server.signal("STOP");
    let began = Instant::now();
    let value = OnceValue {
        hash: [1; 16],
        incarnation: node.replica.view().incarnation().unwrap(),
        expires: Clock::system().now().seconds().after(minutes(5)),
    };
    let (wishes, mut follower) = ([session(1)], node.store.follower());
    let (publish, take, beat, opened) =
        tokio::join!(node.store.publish(&wishes), node.store.take_once(value), follower.beat(true), server.open());
    let took = began.elapsed();
    assert!(publish.is_err() && take.is_err() && beat.is_err() && opened.is_err());
    assert!(took < Duration::from_secs(10), "{took:?}");
    server.signal("CONT");
    node.recover().await;
    node.revoke(2).await;
    assert!(Node::joined(&server).await.knows().contains(&2));
}

/// A position that was taken is below every cut-off that is committed later, whoever takes and commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cut_off_is_above_every_birth_that_was_committed_before_it() {
    let server = started().await;
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(server.open().await.unwrap());
    }
    let births: Vec<_> = stores[..2]
        .iter()
        .map(|store| {
            let mut follower = store.follower();
            tokio::spawn(async move {
                let mut births = Vec::new();
                for _ in 0..100 {
                    let born = follower.beat(true).await.unwrap().position;
                    births.push((Instant::now(), born));
                }
                births
            })
        })
        .collect();
    let mut cuts = Vec::new();
    for _ in 0..50 {
        // Signed with its position, so the position is proposed from here: the harder way.
        let asked = Instant::now();
        cuts.push((asked, stores[2].publish(&[Revocation::Everybody]).await.unwrap().position));
    }
    for task in births {
        for (at, born) in task.await.unwrap() {
            let wrong = cuts.iter().find(|(asked, cut)| *asked > at && *cut <= born);
            assert!(wrong.is_none(), "born at {born:?}, and cut off later at {wrong:?}");
        }
    }
}
