//! Connections that break in the worst moment: when the server has done it, and the answer is lost.
#![cfg(feature = "redis")]

mod redis_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis_support::{NEW, Server, address, list_key, node_url, options};
use sealjar::id::{ShortId, Tag};
use sealjar::io::redis::RedisStore;
use sealjar::revocation::{Once, OnceValue, Raised, Record, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day, minutes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Stands between a store and its server, and swallows answers when told to, with the connection.
struct Gap {
    port: u16,
    swallow: Arc<AtomicUsize>,
}

impl Gap {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gap = Self { port: listener.local_addr().unwrap().port(), swallow: Arc::default() };
        let (to, swallow) = (server.port(), gap.swallow.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, to, swallow.clone()));
            }
        });
        gap
    }

    async fn store(&self) -> RedisStore {
        RedisStore::open(address(&node_url(self.port)), &options(&list_key(7))).await.unwrap()
    }

    /// The next answer is lost, and its connection.
    fn lose_an_answer(&self) {
        self.swallow.store(1, Ordering::SeqCst);
    }
}

async fn join(mut client: TcpStream, to: u16, swallow: Arc<AtomicUsize>) {
    let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
    let (mut ask, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            asked = client.read(&mut ask) => match asked {
                Ok(length @ 1..) => server.write_all(&ask[..length]).await.unwrap(),
                _ => return,
            },
            answered = server.read(&mut answer) => match answered {
                Ok(length @ 1..) if swallow.swap(0, Ordering::SeqCst) == 0 => {
                    client.write_all(&answer[..length]).await.unwrap();
                }
                _ => return,
            },
        }
    }
}

fn tomorrow() -> Day {
    Day(Clock::system().now().seconds().day().0 + 1)
}

#[tokio::test]
async fn a_repeated_call_knows_that_it_has_spent_the_value_itself() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let gap = Gap::before(&server).await;
    let store = gap.store().await;
    let incarnation = store.follower().beat(false).await.unwrap().incarnation;
    let expires = Clock::system().now().seconds().after(minutes(5));
    for round in 0..5 {
        let value = OnceValue { hash: [round; 16], incarnation, expires };
        gap.lose_an_answer();
        assert_eq!(store.take_once(value).await.unwrap(), Once::First, "the same call, on another connection");
        assert_eq!(store.take_once(value).await.unwrap(), Once::Spent, "another call");
    }
}

#[tokio::test]
async fn a_repeated_call_knows_that_it_has_raised_the_floor_itself() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let gap = Gap::before(&server).await;
    let store = gap.store().await;
    for floor in 1..5 {
        gap.lose_an_answer();
        assert!(matches!(store.raise(ShortId(1), floor, tomorrow()).await.unwrap(), Raised::Done(_)));
        assert!(matches!(store.raise(ShortId(1), floor, tomorrow()).await.unwrap(), Raised::Behind(_)), "another call");
    }
}

#[tokio::test]
async fn a_repeated_publication_is_there_and_does_no_harm() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let gap = Gap::before(&server).await;
    let store = gap.store().await;
    for id in 0..5 {
        gap.lose_an_answer();
        store.publish(&[Revocation::Session { id: ShortId(id), day: tomorrow() }]).await.unwrap();
    }
    let records = server.open().await.unwrap().follower().beat(false).await.unwrap().records.to_vec();
    for id in 0..5 {
        assert!(records.contains(&Record::Session { id: ShortId(id), day: tomorrow() }));
    }
}

#[tokio::test]
async fn a_beat_whose_answer_is_lost_loses_nothing() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let gap = Gap::before(&server).await;
    let store = gap.store().await;
    let mut follower = store.follower();
    follower.beat(false).await.unwrap();
    store.publish(&[Revocation::Session { id: ShortId(1), day: tomorrow() }]).await.unwrap();
    gap.lose_an_answer();
    let beat = follower.beat(true).await.unwrap();
    assert_eq!(beat.records.to_vec(), [Record::Session { id: ShortId(1), day: tomorrow() }]);
}

/// The script puts positions behind tags as text, so no byte may mean anything to it.
#[tokio::test]
async fn cut_offs_of_any_bytes_come_back_as_they_were() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let store = server.open().await.unwrap();
    let mut follower = store.follower();
    follower.beat(false).await.unwrap();
    let tags = [0, u64::MAX, u64::from_be_bytes(*b"%0%1%%\n\0"), u64::from_be_bytes(*b"\r\n.*%w()")];
    let wishes = tags.map(|tag| Revocation::CutOff { tag: Tag(tag), day: tomorrow() });
    let mut percent = false;
    for round in 0..5_000 {
        let receipt = store.publish(&wishes).await.unwrap();
        percent |= receipt.position.0.to_be_bytes().contains(&b'%');
        assert_eq!(follower.beat(false).await.unwrap().records.to_vec(), receipt.records, "round {round}");
        if percent && round >= 20 {
            return;
        }
    }
    panic!("no position had a percent sign in it");
}
