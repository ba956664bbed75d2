//! What a server is refused for at the start, and in which words.
#![cfg(feature = "redis")]

mod redis_support;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_support::{APP, NEW, PASSWORD, Server, address, list_key, options};
use sealjar::id::ShortId;
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Made, Making, Options, RedisStore};
use sealjar::key::{ListKey, RingSecret};
use sealjar::revocation::{Record, Revocation, RevocationStore as _};
use sealjar::secret::Secret;
use sealjar::time::{Clock, Day, ManualClock, Seconds, minutes};
use sealjar::{Builder, Sessions};

/// The error of opening, which says its sentence without any password.
async fn refusal(url: &str) -> String {
    let began = Instant::now();
    let error = RedisStore::open(address(url), &options(&list_key(7))).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "told after {:?}", began.elapsed());
    let all = format!("{error} {error:?}");
    assert!(!all.contains(PASSWORD) && !all.contains("wrong-word"), "{all}");
    error.to_string()
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_within_two_seconds() {
    let server = Server::start();
    let url = |who: &str| format!("redis://{who}127.0.0.1:{}", server.port());
    says(
        &refusal(&url(":wrong-word@")).await,
        &["refused the password of the user default", "Check user and password"],
    );
    says(&refusal(&url("alice:wrong-word@")).await, &["refused the password of the user alice"]);
    says(&refusal(&url("")).await, &["wants a password", "redis://user:password@host"]);
}

#[tokio::test]
async fn nobody_there_is_told_within_two_seconds() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    // Takes the connection, and never says a word.
    says(&refusal(&format!("redis://127.0.0.1:{port}")).await, &["did not answer in time", "Bring the server back"]);
    drop(socket);
    says(&refusal(&format!("redis://127.0.0.1:{port}")).await, &["nothing listens at", "Bring the server back"]);
}

#[tokio::test]
async fn a_replica_is_refused() {
    let primary = Server::start();
    primary.init(NEW).await.unwrap();
    let port = primary.port().to_string();
    let replica = Server::with(&["--appendonly", "yes", "--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]);
    says(&refusal(&replica.url()).await, &["is a replica", "Point the address at the primary"]);
}

#[tokio::test]
async fn an_empty_server_is_no_list_and_is_made_one_once() {
    let server = Server::start();
    says(&refusal(&server.url()).await, &["there is no revocation list", "sealjar store init", "--after-loss"]);
    assert_eq!(server.init(NEW).await.unwrap(), Made::New);
    assert_eq!(server.init(NEW).await.unwrap(), Made::Already);
    let whole = server.init(Making::AfterLoss).await.unwrap_err().to_string();
    says(&whole, &["is whole, so nothing was lost", "sealjar revoke all"]);
    server.open().await.unwrap();
}

#[tokio::test]
async fn another_list_key_is_refused() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let other = RedisStore::open(address(&server.url()), &options(&list_key(8))).await.unwrap_err().to_string();
    says(&other, &["made under another list key", "the same file `list.key`"]);
    let other = RedisStore::make(address(&server.url()), &options(&list_key(8)), NEW).await.unwrap_err().to_string();
    says(&other, &["made under another list key"]);
}

/// A list key of its own would be one that this list cannot be used under, and stand in the way of the right one.
#[tokio::test]
async fn a_home_without_the_lists_key_makes_none_of_its_own() {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let home = dir.path().join("home");
    let keys = KeyFolder::new(home.join("keys"));
    let start = async |builder: Builder<u32>| builder.home(&home).list(server.url()).start().await;
    let plain = || Sessions::builder(APP);
    let said = start(plain()).await.unwrap_err().to_string();
    says(&said, &["there is no revocation list", "sealjar store init"]);
    assert!(!home.exists(), "the list is made elsewhere, under a list key that is not here yet");

    let list_key = ListKey::generate().unwrap();
    RedisStore::make(address(&server.admin_url()), &options(&list_key), NEW).await.unwrap();
    // 32 bytes that look random.
    let secret = || std::array::from_fn(|i| u8::try_from(i).unwrap().wrapping_mul(37));
    let secret = || RingSecret::dangerous_from_bytes(Secret::new(secret()));
    for builder in [plain(), plain().localhost(), plain().ring_secret(secret())] {
        let said = start(builder).await.unwrap_err().to_string();
        says(&said, &["made under a list key that is not here", "the same file `list.key`"]);
        assert!(!home.exists(), "nothing is left behind");
    }
    // The right one has nothing in its way.
    keys.keep_list_key(&list_key).unwrap();
    let sessions = start(plain()).await.unwrap();
    assert!(sessions.key_ring().sealing().is_some());
}

#[tokio::test]
async fn a_clock_that_is_off_is_refused() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let key = list_key(7);
    let open = async |off: u64| {
        let now = Clock::system().now().millis / 1000 + off;
        let clock = Clock::manual(ManualClock::at(Seconds(u32::try_from(now).unwrap())));
        RedisStore::open(address(&server.url()), &Options { app: APP, list_key: &key, clock }).await
    };
    open(290).await.unwrap();
    says(&open(310).await.unwrap_err().to_string(), &["s apart", "Let both follow a time server"]);
}

#[tokio::test]
async fn a_clock_that_goes_wrong_later_stops_the_beats_and_no_position_follows_it() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let (key, now) = (list_key(7), Clock::system().now().seconds());
    // It stands still, so within three seconds the server is ahead of the latest time that is taken for possible.
    let behind = ManualClock::at(Seconds(now.0 - 297));
    let options = |hand: &Arc<ManualClock>| Options { app: APP, list_key: &key, clock: Clock::manual(hand.clone()) };
    let store = RedisStore::open(address(&server.url()), &options(&behind)).await.unwrap();
    let mut follower = store.follower();
    follower.beat(false).await.unwrap();
    let latest = (u64::from(now.0) - 297 + 300) * 1000;
    let mut written = 0;
    let position = loop {
        let position = store.publish(&[Revocation::Everybody]).await.unwrap().position;
        written += 1;
        if Clock::system().now().millis > latest + 1000 {
            break position;
        }
    };
    assert!(position.0 <= latest + 2 * written, "{position:?} follows the server's clock beyond {latest}");
    says(&follower.beat(true).await.unwrap_err().to_string(), &["s apart", "Let both follow a time server"]);
    behind.advance(minutes(5));
    assert!(follower.beat(true).await.unwrap().whole, "and then everything is read again");
}

#[tokio::test]
async fn a_day_that_no_session_reaches_is_refused() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let store = server.open().await.unwrap();
    let day = Day(Clock::system().now().seconds().day().0 + 500);
    let said = store.publish(&[Revocation::Session { id: ShortId(1), day }]).await.unwrap_err().to_string();
    says(&said, &[&day.to_string(), "further ahead than any session can live", "Check the day"]);
}

#[tokio::test]
async fn two_apps_share_a_server_and_nothing_else() {
    let server = Server::start();
    let key = list_key(7);
    let of = |app| Options { app, list_key: &key, clock: Clock::system() };
    let (mut stores, mut followers) = (Vec::new(), Vec::new());
    for app in ["one", "two"] {
        RedisStore::make(address(&server.root_url()), &of(app), NEW).await.unwrap();
        stores.push(RedisStore::open(address(&server.root_url()), &of(app)).await.unwrap());
        followers.push(stores.last().unwrap().follower());
    }
    let receipt = stores[0].publish(&[Revocation::Everybody]).await.unwrap();
    assert_eq!(followers[0].beat(false).await.unwrap().records.to_vec(), receipt.records);
    assert!(followers[1].beat(false).await.unwrap().records.is_empty());
    let (one, two) = (followers[0].beat(false).await.unwrap(), followers[1].beat(false).await.unwrap());
    assert_ne!(one.incarnation, two.incarnation);
}

#[tokio::test]
async fn a_forged_record_is_not_believed() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let store = server.open().await.unwrap();
    let mut follower = store.follower();
    follower.beat(false).await.unwrap();
    store.publish(&[Revocation::Everybody]).await.unwrap();
    let [Record::Everybody { .. }] = follower.beat(false).await.unwrap().records.to_vec()[..] else { panic!() };
    let control = format!("{{sealjar:{APP}}}:control");
    server.command(&["HSET", &control, "everybody", "0000000000000000000000000000"]).await;
    let said = server.open().await.unwrap().follower().beat(false).await.unwrap_err().to_string();
    says(&said, &["`everybody`", "was not written by a holder of the list key", "--after-loss"]);
    assert!(follower.beat(false).await.is_err());
}
