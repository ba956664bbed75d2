//! Whether a server is fit to keep a list: what is refused, what is warned of, and what can be given up by name.
#![cfg(feature = "redis")]

mod redis_support;

use redis_support::sentinel::{SERVICE, Sentinel};
use redis_support::{NEW, PASSWORD, Server, address, installed, list_key, logged, options};
use sealjar::io::redis::{RedisStore, Role};
use sealjar::revocation::{Revocation, RevocationStore as _};

const SAFE: [&str; 2] = ["--appendonly", "yes"];

async fn try_open(url: &str) -> Result<RedisStore, String> {
    RedisStore::open(address(url), &options(&list_key(7))).await.map_err(|error| error.to_string())
}

/// The error of making a list with this address, and of opening the one that is there.
async fn refusals(url: &str) -> String {
    let made = RedisStore::make(address(url), &options(&list_key(7)), NEW).await.unwrap_err().to_string();
    let opened = try_open(url).await.unwrap_err();
    let (_, made) = made.split_once(": ").unwrap();
    assert!(opened.ends_with(made), "the same at both: {opened} / {made}");
    opened
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

#[tokio::test]
async fn a_server_that_drops_records_is_refused() {
    let server = Server::with(&SAFE);
    server.init(NEW).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]).await;
    for url in [server.admin_url(), server.url()] {
        says(&refusals(&url).await, &["maxmemory-policy volatile-ttl", "Set maxmemory-policy noeviction"]);
    }
}

/// No persistence is refused. Saving from time to time is allowed, because running processes know the rest, and
/// warned of.
#[tokio::test]
async fn a_server_that_keeps_nothing_is_refused_and_one_that_saves_seldom_is_warned_of() {
    let server = Server::with(&["--appendonly", "no"]);
    says(&server.init(NEW).await.unwrap_err().to_string(), &["keeps nothing on disk", "Set appendonly yes"]);
    server.command(&["CONFIG", "SET", "save", "3600 1"]).await;
    let (guard, log) = logged();
    server.init(NEW).await.unwrap();
    try_open(&server.admin_url()).await.unwrap();
    says(&log(), &["WARN", "saves from time to time only (save 3600 1)", "seldom_saved", "Set appendonly yes"]);
    drop(guard);
    server.command(&["CONFIG", "SET", "save", ""]).await;
    says(&refusals(&server.admin_url()).await, &["keeps nothing on disk", "Set appendonly yes"]);
    // A node has no right to see settings, so it cannot tell the two apart.
    let (_guard, log) = logged();
    try_open(&server.url()).await.unwrap();
    says(&log(), &["WARN", "hides whether it saves at all", "persistence_hidden"]);
}

#[tokio::test]
async fn a_server_that_keeps_its_settings_to_itself_is_warned_of_and_used() {
    let server = Server::with(&["--appendonly", "no", "--rename-command", "CONFIG", ""]);
    let port = server.port().to_string();
    let _replica = Server::with(&["--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]);
    while !server.has_replicas(1).await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (_guard, log) = logged();
    server.init(NEW).await.unwrap();
    for url in [server.admin_url(), server.url()] {
        try_open(&url).await.unwrap().publish(&[Revocation::Everybody]).await.unwrap();
    }
    says(&log(), &["persistence_hidden", "replicas_hidden", "should have 1 replica(s), and hides"]);
    let (_guard, log) = logged();
    try_open(&format!("{}?replicas=0", server.url())).await.unwrap();
    assert!(!log().contains("replicas_hidden"), "given up by name: {}", log());
}

/// A primary that was deposed must stop taking writes, soon enough for what nodes count on.
#[tokio::test]
async fn replicas_that_nobody_waits_for_are_refused_or_given_up_by_name() {
    let server = Server::with(&SAFE);
    let port = server.port().to_string();
    server.init(NEW).await.unwrap();
    let expecting = format!("{}?replicas=1", server.admin_url());
    says(&refusals(&expecting).await, &["takes writes with 0 replicas at hand", "where 1 should have them"]);
    let replica = Server::with(&[&SAFE[..], &["--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]].concat());
    while !server.has_replicas(1).await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let said = refusals(&server.admin_url()).await;
    says(&said, &["min-replicas-to-write", "goes on taking revocations that are lost", "Set min-replicas-to-write 1"]);
    says(&said, &["?replicas=0"]);
    try_open(&format!("{}?replicas=0", server.admin_url())).await.unwrap();

    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    try_open(&server.admin_url()).await.unwrap();
    try_open(&expecting).await.unwrap();
    says(&refusals(&expecting.replace("=1", "=2")).await, &["with 1 replicas at hand", "where 2 should have them"]);
    // The server tells everybody that it insists on replicas, so a node has nothing to warn of.
    let (guard, log) = logged();
    try_open(&server.url()).await.unwrap();
    assert_eq!(log(), "");
    drop(guard);

    server.command(&["CONFIG", "SET", "min-replicas-max-lag", "60"]).await;
    let said = refusals(&server.admin_url()).await;
    says(&said, &["said nothing for 60 s (min-replicas-max-lag)", "nodes allow for 10 s", "10 or less", "?replicas=0"]);
    try_open(&format!("{}?replicas=0", server.admin_url())).await.unwrap();
    server.command(&["CONFIG", "SET", "min-replicas-max-lag", "0"]).await;
    says(&refusals(&server.admin_url()).await, &["takes writes with 0 replicas at hand"]);

    server.command(&["CONFIG", "SET", "min-replicas-max-lag", "10"]).await;
    replica.kill();
    let began = std::time::Instant::now();
    let said = loop {
        match try_open(&server.admin_url()).await {
            Err(said) => break said,
            Ok(_) => assert!(began.elapsed() < std::time::Duration::from_secs(20), "writes go on without a replica"),
        }
    };
    says(&said, &["must have replicas (min-replicas-to-write)", "Bring the replicas back"]);
}

#[tokio::test]
async fn where_there_are_sentinels_replicas_are_expected() {
    let server = Server::with(&SAFE);
    let sentinel = Sentinel::start(SERVICE, server.port(), None);
    let (user, port) = (Role::Admin.user(), sentinel.port);
    let url = format!("redis+sentinel://{user}:{PASSWORD}@127.0.0.1:{port}/{SERVICE}");
    let said = RedisStore::make(address(&url), &options(&list_key(7)), NEW).await.unwrap_err().to_string();
    says(&said, &["takes writes with 0 replicas at hand", "Set min-replicas-to-write 1"]);
    RedisStore::make(address(&format!("{url}?replicas=0")), &options(&list_key(7)), NEW).await.unwrap();
}

#[tokio::test]
async fn a_full_memory_is_warned_of_before_it_is_full() {
    let server = Server::with(&SAFE);
    server.init(NEW).await.unwrap();
    // Beside it, what connections need does not count.
    server.command(&["SETRANGE", "ballast", "20000000", "x"]).await;
    let redis::Value::BulkString(info) = server.command(&["INFO", "memory"]).await else { panic!() };
    let info = String::from_utf8(info).unwrap();
    let used: u64 = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", &(used * 105 / 100).to_string()]).await;
    let (_guard, log) = logged();
    try_open(&server.url()).await.unwrap();
    says(&log(), &["% of its maxmemory", "memory_full", "Raise its maxmemory"]);
}

#[tokio::test]
async fn an_old_server_is_refused() {
    let program = installed().join("redis-6.2/server");
    if !program.exists() {
        eprintln!("skipped: no Redis 6.2 could be had");
        return;
    }
    // It knows no rules as fine as ours, so it has the one user only.
    let server = Server::plain(program, &SAFE).unwrap();
    let said = try_open(&server.root_url()).await.unwrap_err();
    says(&said, &["is of version 6", "Use Redis 7 or Valkey 8"]);
    let made = RedisStore::make(address(&server.root_url()), &options(&list_key(7)), NEW).await.unwrap_err();
    says(&made.to_string(), &["is of version 6"]);
}
