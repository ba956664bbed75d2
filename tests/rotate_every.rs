//! Keys are rotated by age: by exactly one of several nodes, and nobody loses a session.
#![cfg(all(feature = "sqlite", feature = "redis"))]

mod redis_support;
mod support_sessions;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use redis_support::{APP, Server, address, list_key, options};
use sealjar::id::KeyId;
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::io::redis::RedisStore;
use sealjar::key::RingSecret;
use sealjar::operator::{KeyStatus, KeyStep, Operator};
use sealjar::ring::RingKey;
use sealjar::rotation::KeyState;
use sealjar::secret::Secret;
use sealjar::time::{Clock, hours, minutes};
use sealjar::{Builder, Sessions, Verdict};
use support_sessions::{Browser, Home, Visitor};
use tempfile::TempDir;

fn sealing(sessions: &Sessions<Visitor>) -> Option<KeyId> {
    sessions.key_ring().sealing().map(RingKey::id)
}

/// Waits for something that comes by itself.
async fn until<T>(what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within {patience:?}: {what}");
}

/// The key that all nodes seal with, once it is another one.
async fn next_key(nodes: &[Sessions<Visitor>], before: Option<KeyId>, patience: Duration) -> Option<KeyId> {
    until("all nodes seal with the next key", patience, async || {
        let keys: BTreeSet<_> = nodes.iter().map(sealing).collect();
        (keys.len() == 1 && !keys.contains(&before)).then(|| keys.first().copied().flatten())
    })
    .await
}

/// One cookie of each node.
async fn log_in_everywhere(nodes: &[Sessions<Visitor>]) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for node in nodes {
        let mut browser = Browser::default();
        browser.log_in(node, "7").await;
        browsers.push(browser);
    }
    browsers
}

/// A node whose list is a little too old for a moment says so; any other answer than yes is a lost session.
async fn all_open_all(nodes: &[Sessions<Visitor>], browsers: &[Browser]) {
    for (by, browser) in browsers.iter().enumerate() {
        for (at, node) in nodes.iter().enumerate() {
            until("it can tell", Duration::from_secs(20), async || {
                let verdict = Browser::with(browser.cookie()).open(node).await.verdict();
                assert!(
                    [Verdict::Live, Verdict::ListUnavailable].contains(&verdict),
                    "{at} of what {by} sealed: {verdict:?}"
                );
                (verdict == Verdict::Live).then_some(())
            })
            .await;
        }
    }
}

fn in_state(keys: &[KeyStatus], state: KeyState) -> usize {
    keys.iter().filter(|key| key.state == state).count()
}

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_of_one_host_make_one_key_a_period_and_old_ones_go() {
    let home = Home::new();
    let start = || home.builder().idle(hours(12)).absolute(hours(12)).rotate_every(hours(1)).start();
    let nodes: [Sessions<Visitor>; 3] = [start().await.unwrap(), start().await.unwrap(), start().await.unwrap()];
    let clock = home.clock();
    let folder = KeyFolder::new(home.path().join("keys"));
    let operator = Operator::open(&ListPlace::in_home(home.path()), folder, None, clock).await.unwrap();
    let keys = async || operator.key_status().await.unwrap().keys;
    let mut browsers = log_in_everywhere(&nodes).await;
    let mut seals = sealing(&nodes[0]);
    for period in 1..=4 {
        home.jump(minutes(59));
        all_open_all(&nodes, &browsers).await;
        assert_eq!((sealing(&nodes[0]), keys().await.len()), (seals, period), "not before its time");
        home.jump(minutes(1));
        seals = next_key(&nodes, seals, PATIENCE).await;
        all_open_all(&nodes, &browsers).await;
        browsers.extend(log_in_everywhere(&nodes).await);
        assert_eq!(keys().await.len(), period + 1, "one key, whoever made it");
    }
    let operators = keys().await;
    assert_eq!(in_state(&operators, KeyState::Active), 5, "cookies under them are good");

    home.jump(hours(13));
    seals = next_key(&nodes, seals, PATIENCE).await;
    until("those before the last two are retired", PATIENCE, async || {
        (in_state(&keys().await, KeyState::Retired) == 4).then_some(())
    })
    .await;
    home.jump(hours(24));
    until("and destroyed", PATIENCE, async || (in_state(&keys().await, KeyState::Destroyed) == 4).then_some(())).await;
    let erased = operators.iter().filter(|key| !home.path().join(format!("keys/{}.key", key.id)).exists());
    until("their files too", PATIENCE, async || (erased.clone().count() == 4).then_some(())).await;
    let left = async |empty: bool| {
        let parcels = operator.store().parcels().await.unwrap();
        parcels.iter().filter(|parcel| parcel.content.is_empty() == empty).count()
    };
    // Of the first one nothing was kept: nobody staged it.
    until("what was kept for nodes is emptied", PATIENCE, async || (left(true).await == 3).then_some(())).await;
    operator.tidy_keys().await.unwrap();
    assert_eq!(left(true).await, 0, "and removed by the next tool");

    seals = next_key(&nodes, seals, PATIENCE).await;
    let staged = operator.change_keys(KeyStep::Stage).await.unwrap().key;
    assert_eq!(next_key(&nodes, seals, PATIENCE).await, staged, "one that a person has staged is promoted too");
}

fn ring_secret() -> RingSecret {
    let byte = |i| 1 ^ u8::try_from(i).unwrap().wrapping_mul(37);
    RingSecret::dangerous_from_bytes(Secret::new(std::array::from_fn(byte)))
}

/// H as short as a test wants it, and the shortest period that this allows.
const H: Duration = Duration::from_secs(3);
const PERIOD: Duration = Duration::from_secs(15);
const LIFE: Duration = Duration::from_secs(10);

fn of_server(server: &Server, home: &Path) -> Builder<Visitor> {
    let builder = Sessions::builder(APP).home(home).list(server.url()).localhost().idle(LIFE).absolute(LIFE);
    builder.bounds(Duration::from_secs(1), H).rotate_every(PERIOD)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_over_a_server_make_one_key_a_period_under_the_rights_of_nodes() {
    let server = Server::start();
    let homes: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let mut nodes = Vec::new();
    for home in &homes {
        nodes.push(of_server(&server, home.path()).ring_secret(ring_secret()).start().await.unwrap());
    }
    let mut seals = sealing(&nodes[0]);
    let mut sealed = vec![seals];
    for _ in 0..3 {
        let began = Instant::now();
        while nodes.iter().any(|node| sealing(node) == seals) {
            assert!(began.elapsed() < PERIOD + PATIENCE, "the next key does not come");
            let browsers = log_in_everywhere(&nodes).await;
            all_open_all(&nodes, &browsers).await;
        }
        seals = next_key(&nodes, seals, PATIENCE).await;
        sealed.push(seals);
    }
    let folder = KeyFolder::new(homes[0].path().join("keys"));
    let place = ListPlace::parse(&server.admin_url()).unwrap();
    let operator = Operator::open(&place, folder, Some(APP), Clock::system()).await.unwrap();
    let mut keys = operator.key_status().await.unwrap().keys;
    keys.retain(|key| key.state != KeyState::Staged);
    let drawn: BTreeSet<_> = keys.iter().map(|key| Some(key.id)).collect();
    let seen: BTreeSet<_> = sealed.iter().copied().collect();
    assert_eq!(drawn, seen, "each that was drawn sealed, and one at a time");
    let mut born: Vec<_> = keys.iter().filter_map(|key| key.created).collect();
    born.sort();
    assert_eq!(born.len(), 4, "none is gone yet");
    // Clocks of nodes and server may differ by a little, and seconds are counted whole.
    assert!(born.windows(2).all(|two| two[0].until(two[1]) + Duration::from_secs(2) >= PERIOD), "{born:?}");
    until("the first is retired when its cookies are over", Duration::from_secs(60), async || {
        let keys = operator.key_status().await.unwrap().keys;
        keys.iter().any(|key| Some(key.id) == sealed[0] && key.state == KeyState::Retired).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_could_bring_a_key_to_nobody_says_so_at_the_start() {
    let (server, home) = (Server::start(), Home::new());
    let refused = async |builder: Builder<Visitor>| builder.start().await.map(drop).unwrap_err().to_string();
    let said = refused(of_server(&server, home.path())).await;
    assert!(said.contains("this node has no ring secret") && said.contains("sealjar keys ring-secret"), "{said}");
    let store = async || {
        server.init(redis_support::NEW).await.unwrap();
        std::sync::Arc::new(RedisStore::open(address(&server.url()), &options(&list_key(7))).await.unwrap())
    };
    let said = refused(home.builder().store(store().await).rotate_every(hours(1))).await;
    assert!(said.contains("this node has no ring secret"), "{said}");
    let said = refused(home.builder().rotate_every(Duration::from_secs(60))).await;
    assert!(said.contains("at least 2160 s"), "{said}");
    // What stands where the lock should be cannot be written, whoever runs this.
    let blocked = Home::new();
    drop(blocked.start().await);
    let lock = blocked.path().join("keys/.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let beside = || {
        let list = format!("sqlite:{}", blocked.path().join("list.db").display());
        let builder = Sessions::builder("shop").keys(blocked.path().join("keys")).list(list).localhost();
        builder.clock(blocked.clock()).rotate_every(hours(1))
    };
    let said = refused(beside()).await;
    assert!(said.contains("has to put new keys into the key folder") && said.contains("cannot be locked"), "{said}");
    beside().ring_secret(ring_secret()).start().await.unwrap();
}
