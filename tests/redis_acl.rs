//! The rights of the server's users: those that are printed are enough, each of them is needed, and a missing one
//! is named. All other tests of the list in Redis run under them, too.
#![cfg(feature = "redis")]

mod redis_support;

use redis_support::{APP, NEW, PASSWORD, Server, address, list_key, options, rule};
use sealjar::id::{Handle, ShortId};
use sealjar::io::redis::{RedisStore, Role, Rule, sentinel_rule};
use sealjar::revocation::{Once, OnceValue, Report, Revocation, RevocationStore};
use sealjar::time::{Clock, minutes};

/// All that an app does with a list, losing it included.
async fn everything_an_app_does(server: &Server, store: &RedisStore) {
    let mut follower = store.follower();
    follower.describe(Report::new("node".into(), Some(minutes(1))));
    let incarnation = follower.beat(true).await.unwrap().incarnation;
    let receipt = store.publish(&[Revocation::Everybody]).await.unwrap();
    store.restore(receipt.records, receipt.position).await.unwrap();
    let now = Clock::system().now().seconds();
    store.raise(ShortId(1), 1, now.day()).await.unwrap();
    store.raise(ShortId(1), 1, now.day()).await.unwrap();
    let value = OnceValue { hash: [1; 16], incarnation, expires: now.after(minutes(5)) };
    assert_eq!(store.take_once(value).await.unwrap(), Once::First);
    assert_eq!(store.replicated(incarnation, 0, minutes(0)).await.unwrap(), Some(0));
    follower.acknowledge().await.unwrap();
    server.command(&["FLUSHALL"]).await;
    assert_ne!(follower.beat(true).await.unwrap().incarnation, incarnation);
    follower.beat(true).await.unwrap();
    // The feed, on a connection of its own.
    let waiting = follower.wait();
    store.publish(&[Revocation::Everybody]).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), waiting).await.expect("the feed tells");
    follower.leave().await.unwrap();
}

#[tokio::test]
async fn the_rights_that_are_printed_are_enough_and_no_more() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    for url in [server.url(), server.admin_url()] {
        let store = RedisStore::open(address(&url), &options(&list_key(7))).await.unwrap();
        everything_an_app_does(&server, &store).await;
    }
    let (node, admin) = (Role::Node.user(), Role::Admin.user());
    let bucket = format!("{{sealjar:{APP}}}:s:20000");
    let control = format!("{{sealjar:{APP}}}:control");
    let elsewhere = "{sealjar:other}:s:20000";
    for (user, words, allowed) in [
        (node, &["APPEND", &bucket, "x"][..], true),
        (node, &["APPEND", elsewhere, "x"], false),
        (node, &["SET", &bucket, ""], false),
        (node, &["DEL", &bucket], false),
        (node, &["HDEL", &control, "everybody"], false),
        (node, &["EXPIREAT", &control, "1"], false),
        (node, &["FLUSHALL"], false),
        (node, &["CONFIG", "GET", "requirepass"], false),
        (node, &["ACL", "LIST"], false),
        (node, &["KEYS", "*"], false),
        (admin, &["CONFIG", "GET", "save"], true),
        (admin, &["CONFIG", "SET", "save", ""], false),
        (admin, &["HDEL", &control, "parcel:key:01020304"], true),
        (admin, &["FLUSHALL"], false),
    ] {
        let tried = server.command(&[&["ACL", "DRYRUN", user], words].concat()).await;
        assert_eq!(matches!(tried, redis::Value::Okay), allowed, "{user} {words:?}: {tried:?}");
    }
}

#[test]
fn the_documented_rights_are_those_that_are_printed() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/redis.md")).unwrap();
    let documented: Vec<_> = page.lines().filter(|line| line.starts_with("ACL SETUSER")).collect();
    let printed = Role::ALL.map(|role| Rule { role, app: "<app>", database: 0 }.to_string());
    assert_eq!(documented, [&*printed[0], &*printed[1], sentinel_rule()]);
}

/// Takes every right away, one at a time.
#[tokio::test]
async fn each_right_is_needed_and_a_missing_one_names_command_and_user() {
    let server = Server::start();
    server.init(NEW).await.unwrap();
    let rule = rule(Role::Node, APP);
    let words: Vec<_> = rule.split_whitespace().collect();
    let rights: Vec<_> =
        words.iter().map(|word| word.trim_start_matches('(')).filter(|word| word.starts_with('+')).collect();
    assert!(rights.len() > 20, "{rights:?}");
    for right in rights {
        let name = right.trim_start_matches('+');
        let user = format!("without-{name}");
        let mut poorer: Vec<_> = words.iter().map(|word| word.replace(right, &format!("-{name}"))).collect();
        // `+get` is the beginning of `+getrange`, and `+hget` of `+hgetall`.
        for (poorer, word) in poorer.iter_mut().zip(&words) {
            if word.trim_start_matches('(') != right {
                (*poorer).clone_from(&(*word).to_owned());
            }
        }
        poorer[2].clone_from(&user);
        server.command(&poorer.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let opened = RedisStore::open(address(&server.url_of(&user)), &options(&list_key(7))).await;
        let said = opened.expect_err(&user).to_string();
        assert!(!said.contains(PASSWORD), "{said}");
        let lower = said.to_lowercase();
        assert!(lower.contains(&format!("does not let the user {user}")) && lower.contains(name), "{said}");
        assert!(said.contains("Give that user the rights that `sealjar doctor --acl` prints"), "{said}");
    }
}

#[tokio::test]
async fn another_database_wants_one_right_more() {
    let server = Server::start();
    let url = |user: &str| format!("{}/3", server.url_of(user));
    let admin = Rule { role: Role::Admin, app: APP, database: 3 }.to_string().replace("<password>", PASSWORD);
    let said = RedisStore::make(address(&url(Role::Admin.user())), &options(&list_key(7)), NEW).await.unwrap_err();
    let said = said.to_string().to_lowercase();
    assert!(said.contains("does not let the user sealjar-admin") && said.contains("'select'"), "{said}");
    server.command(&admin.split_whitespace().collect::<Vec<_>>()).await;
    RedisStore::make(address(&url(Role::Admin.user())), &options(&list_key(7)), NEW).await.unwrap();
    let store = RedisStore::open(address(&url(Role::Admin.user())), &options(&list_key(7))).await.unwrap();
    let handle: Handle = "0123456789abcdef-2026-11-24".parse().unwrap();
    let day = Clock::system().now().seconds().day();
    store.publish(&[Revocation::Session { id: handle.id, day }]).await.unwrap();
}
