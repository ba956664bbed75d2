//! Each rule that keeps a revocation from being lost, by a story that ends badly without it. `tests/rules.sh`
//! takes the rules away, one at a time, in a copy of the source, and expects these tests to notice.
//!
//! What would be accepted although it was revoked is called a breach here.
#![cfg(feature = "redis")]

#[path = "fleet/link.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod link;
mod redis_support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use link::{Link, Way};
use redis_support::{APP, NEW, PASSWORD, Server, address, list_key, node_url, options};
use sealjar::id::ShortId;
use sealjar::io::follow::Follow;
use sealjar::io::redis::RedisStore;
use sealjar::revocation::{Follower, Record, Replica, Report, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day, minutes};

/// What one process has: its store, its copy of the list, and what reads the one into the other, by hand.
struct Node {
    store: RedisStore,
    replica: Replica,
    follower: Box<dyn Follower>,
}

impl Node {
    /// Has read the list.
    async fn at(url: &str) -> Self {
        let began = Instant::now();
        loop {
            match Self::try_at(url).await {
                Ok(node) => return node,
                // On a busy machine a replica may for a moment lag by more than it may.
                Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
            }
        }
    }

    async fn try_at(url: &str) -> Result<Self, sealjar::Error> {
        let store = RedisStore::open(address(url), &options(&list_key(7))).await?;
        let follower = store.follower();
        let mut node = Self { store, replica: Replica::default(), follower };
        node.beat().await?;
        Ok(node)
    }

    /// What the task that follows the store does once a second.
    async fn beat(&mut self) -> Result<(), sealjar::Error> {
        let now = Clock::system().now();
        let served = self.replica.view().incarnation().is_some();
        self.follower.describe(Report { served, ..Report::new("node".into(), Some(minutes(1))) });
        let mut beat = self.follower.beat(false).await?;
        let lost = self.replica.absorb(&mut beat, now);
        if !lost.is_empty() {
            self.store.restore(lost, self.replica.view().lower_bound()).await?;
        }
        self.replica.confirm(&beat, now);
        Ok(())
    }

    async fn revoke(&self, id: u64) {
        let receipt = self.store.publish(&[Revocation::Session { id: ShortId(id), day: tomorrow() }]).await.unwrap();
        self.replica.apply(&receipt.records, receipt.position);
    }

    fn knows(&self) -> BTreeSet<u64> {
        knows(&self.replica)
    }
}

fn knows(replica: &Replica) -> BTreeSet<u64> {
    let id = |record| if let Record::Session { id, .. } = record { Some(id.0) } else { None };
    replica.view().list.records().filter_map(id).collect()
}

fn tomorrow() -> Day {
    Day(Clock::system().now().seconds().day().0 + 1)
}

async fn started() -> Server {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    server
}

/// As an app does it.
struct App {
    replica: Arc<Replica>,
    follow: Follow,
}

impl App {
    async fn at(server: &Server) -> (Self, RedisStore) {
        let (store, replica) = (server.open().await.unwrap(), Arc::new(Replica::default()));
        let report = || Report::new("app".into(), Some(minutes(1)));
        let follow =
            Follow::start(Arc::new(store.clone()), replica.clone(), Clock::system(), Vec::new(), report, |_, _| ());
        (Self { replica, follow }, store)
    }

    /// Waits until a beat of it has counted.
    async fn joins(&self) {
        let began = Instant::now();
        while let Err(error) = self.follow.join(minutes(1)).await {
            assert!(began.elapsed() < Duration::from_secs(20), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_back() {
    let server = started().await;
    let (one, store) = App::at(&server).await;
    one.follow.join(minutes(1)).await.unwrap();
    let receipt = store.publish(&[Revocation::Session { id: ShortId(1), day: tomorrow() }]).await.unwrap();
    one.replica.apply(&receipt.records, receipt.position);
    server.command(&["FLUSHALL"]).await;
    one.follow.beat(false).await.unwrap();
    one.follow.beat(false).await.unwrap();
    let (joined, _) = App::at(&server).await;
    joined.follow.join(minutes(1)).await.unwrap();
    assert_eq!(knows(&joined.replica), [1].into(), "breach: the store was emptied, and nobody filled it again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healing_before_a_joiner() {
    let server = started().await;
    let mut one = Node::at(&server.url()).await;
    one.revoke(1).await;
    server.command(&["FLUSHALL"]).await;
    // It has noticed, and has not given back yet.
    assert!(one.follower.beat(false).await.unwrap().whole);
    let (joining, _) = App::at(&server).await;
    let joined = joining.follow.beat(false).await;
    assert!(joined.is_err() || knows(&joining.replica).contains(&1), "breach: it joined a list that is not whole");
    let lost = Record::Session { id: ShortId(1), day: tomorrow() };
    one.store.restore(vec![lost], one.replica.view().lower_bound()).await.unwrap();
    one.beat().await.unwrap();
    joining.joins().await;
    assert_eq!(knows(&joining.replica), [1].into());
}

/// A server that was restored from an old file has old signs of life in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_from_the_loss_on() {
    let server = started().await;
    let (mut one, mut other) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    one.beat().await.unwrap();
    let file = server.copy();
    one.revoke(1).await;
    server.kill();
    server.restore(&file);
    server.restart();
    let nodes = format!("{{sealjar:{APP}}}:nodes");
    let members: Vec<String> = redis::from_redis_value(server.command(&["HGETALL", &nodes]).await).unwrap();
    assert_eq!(members.len(), 4, "two of them, with a value each");
    for member in members.chunks_exact(2) {
        // As they were two minutes ago.
        let (seen, rest) = member[1].split_once(' ').unwrap();
        let before = seen.parse::<u64>().unwrap() - 120_000;
        server.command(&["HSET", &nodes, &member[0], &format!("{before} {rest}")]).await;
    }
    // It knows that there is another one, and not what that one knows.
    other.beat().await.unwrap();
    other.beat().await.unwrap();
    let (joining, _) = App::at(&server).await;
    let joined = joining.follow.beat(false).await;
    assert!(joined.is_err() || knows(&joining.replica).contains(&1), "breach: nobody waited for whoever knows more");
    one.beat().await.unwrap();
    one.beat().await.unwrap();
    joining.joins().await;
    assert_eq!(knows(&joining.replica), [1].into());
}

/// And it may not name those who came later at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_for_whoever_is_not_named() {
    let server = started().await;
    let file = server.copy();
    let one = Node::at(&server.url()).await;
    one.revoke(1).await;
    server.kill();
    server.restore(&file);
    server.restart();
    let (joining, _) = App::at(&server).await;
    let joined = joining.follow.beat(false).await;
    assert!(joined.is_err() || knows(&joining.replica).contains(&1), "breach: nobody waited for whoever knows more");
}

/// Another process fills the emptied store in another order, so that it is longer than what is covered.
async fn emptied_and_filled_in_another_order(server: &Server, one: &Node, mut other: Node) {
    one.revoke(1).await;
    one.revoke(2).await;
    other.beat().await.unwrap();
    assert_eq!(other.knows(), [1, 2].into());
    server.command(&["FLUSHALL"]).await;
    other.revoke(3).await;
    other.beat().await.unwrap();
    other.beat().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn epoch_check() {
    let server = started().await;
    let mut one = Node::at(&server.url()).await;
    let other = Node::at(&server.url()).await;
    one.revoke(1).await;
    one.revoke(2).await;
    one.beat().await.unwrap();
    emptied_and_filled_in_another_order(&server, &one, other).await;
    // Over the connection that it had all the time, to the same server.
    one.beat().await.unwrap();
    assert_eq!(one.knows(), [1, 2, 3].into(), "breach: it has read on where another list had ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_again_on_a_new_connection() {
    let server = started().await;
    let link = Link::to(server.port()).await;
    let mut one = Node::at(&node_url(link.port())).await;
    let other = Node::at(&server.url()).await;
    one.revoke(1).await;
    one.revoke(2).await;
    one.beat().await.unwrap();
    emptied_and_filled_in_another_order(&server, &one, other).await;
    link.reset();
    one.beat().await.unwrap();
    assert_eq!(one.knows(), [1, 2, 3].into(), "breach: it has read on where the list of another connection had ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coverage_of_the_lengths() {
    let server = started().await;
    let (mut one, other) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    other.revoke(1).await;
    one.beat().await.unwrap();
    assert_eq!(one.knows(), [1].into(), "breach: the beat has counted, and not read what it saw");
}

/// What is removed and grows again looks the same by its length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_of_a_bucket() {
    let server = started().await;
    let (mut one, other) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    one.revoke(1).await;
    one.beat().await.unwrap();
    let bucket = format!("{{sealjar:{APP}}}:s:{}", tomorrow().0);
    server.command(&["DEL", &bucket]).await;
    other.revoke(2).await;
    one.beat().await.unwrap();
    assert_eq!(one.knows(), [1, 2].into(), "breach: it has read on in the middle of what was written since");
    one.beat().await.unwrap();
    assert_eq!(Node::at(&server.url()).await.knows(), [1, 2].into(), "breach: a bucket is gone, and nobody noticed");
}

/// Who knows nothing cannot miss what is gone by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_sees_that_a_bucket_is_gone() {
    let server = started().await;
    let mut one = Node::at(&server.url()).await;
    one.revoke(1).await;
    let bucket = format!("{{sealjar:{APP}}}:s:{}", tomorrow().0);
    // A right to set expiries is a right to take revocations back.
    server.command(&["EXPIREAT", &bucket, "1"]).await;
    let (joining, _) = App::at(&server).await;
    let joined = joining.follow.beat(false).await;
    assert!(
        joined.is_err() || knows(&joining.replica).contains(&1),
        "breach: it joined a list that has lost something"
    );
    one.beat().await.unwrap();
    one.beat().await.unwrap();
    assert_eq!(one.store.follower().beat(false).await.unwrap().records.len(), 1, "it is back");
}

/// A primary with a replica that it must have, over a link, and the replica.
async fn with_a_replica() -> (Server, Server, Link) {
    let settings = ["--appendonly", "yes", "--masterauth", PASSWORD];
    let lag = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"];
    let (primary, replica) = (Server::with(&[&settings[..], &lag].concat()), Server::with(&settings));
    let link = Link::to(primary.port()).await;
    replica.command(&["REPLICAOF", "127.0.0.1", &link.port().to_string()]).await;
    while !primary.is_replicated(1).await {}
    while primary.init(NEW).await.is_err() {}
    while !primary.is_replicated(1).await {}
    (primary, replica, link)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_in_the_beat() {
    let (old, new, link) = with_a_replica().await;
    let mut one = Node::at(&old.url()).await;
    link.set(Way::Frozen);
    new.command(&["REPLICAOF", "NO", "ONE"]).await;
    let other = Node::at(&new.url()).await;
    other.revoke(1).await;
    // It goes on answering, but takes no writes any more.
    let began = Instant::now();
    while old.try_command(&["SET", "x", "1"]).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(9), "it was deposed long ago, and takes writes");
    }
    let beat = one.beat().await;
    assert!(beat.is_err() || one.knows().contains(&1), "breach: a beat has counted at a primary that was deposed");
}

/// A primary that was frozen takes writes when it wakes up, until it looks at its replicas a second later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_wakes_up() {
    let (old, new, link) = with_a_replica().await;
    let mut one = Node::at(&old.url()).await;
    link.set(Way::Frozen);
    old.signal("STOP");
    new.command(&["REPLICAOF", "NO", "ONE"]).await;
    let other = Node::at(&new.url()).await;
    other.revoke(1).await;
    // Longer than the lag that a replica may have.
    tokio::time::sleep(Duration::from_secs(12)).await;
    // The question is there when it wakes up, and is the first thing that it answers.
    let (beat, ()) = tokio::join!(one.beat(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        old.signal("CONT");
    });
    assert!(beat.is_err() || one.knows().contains(&1), "breach: a beat has counted at a primary that was deposed");
}
