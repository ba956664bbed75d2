//! Keys are rotated by the real program over a fleet of real processes, on a real server and under load.
#![cfg(all(feature = "redis", feature = "cli"))]

mod by_hand;
mod dry_run;
mod failover;
#[path = "../fleet/mod.rs"]
mod fleet;
mod forged;
mod killed;
mod load;
#[path = "../redis_support/mod.rs"]
mod redis_support;
mod ring_secret;
mod tap;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{Ask, Route, Said};
use load::{Elders, Load};
use sealjar::io::folder::KeyFolder;
use sealjar::revocation::{Parcel, RevocationStore as _};
use serde_json::{Value, json as value};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use world::{BOUNDS, World};

const ROTATIONS: usize = 20;
/// Longer than a node that was killed is waited for: H and 12 s.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a node of the other tests, in a process of its own"]
async fn node() {
    fleet::node::serve().await;
}

async fn rotate(world: &World) -> String {
    let done = world.done(&["keys", "rotate"]).await;
    done["key"].as_str().unwrap().to_owned()
}

fn nobody_lost_anything(world: &World) {
    let faults = world.faults.lock().unwrap();
    assert!(faults.is_empty(), "breach: {} faults: {faults:#?}", faults.len());
}

/// Waits for something that comes by itself.
async fn until<T>(what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within {patience:?}: {what}");
}

/// What a node says to a cookie.
async fn verdict(world: &World, node: usize, cookie: &str) -> String {
    match world.ask(node, Ask::Open { cookie: cookie.to_owned(), route: Route::Default }).await {
        Some(Said::Verdict { code, .. }) => code,
        other => format!("{other:?}"),
    }
}

async fn log_in(world: &World, node: usize) -> Option<String> {
    match world.ask(node, Ask::Login { subject: "7".into(), cookie: None }).await {
        Some(Said::Done { cookie, .. }) => cookie,
        _ => None,
    }
}

/// A cookie from each node that serves.
async fn cookies(world: &World) -> Vec<String> {
    let mut cookies = Vec::new();
    for node in world.up() {
        cookies.push(until("a login", PATIENCE, async || log_in(world, node).await).await);
    }
    cookies
}

/// Every node opens every cookie. One that is busy, or behind for a moment, is asked again.
async fn all_are_live(world: &World, cookies: &[String], when: &str) {
    for node in world.up() {
        for cookie in cookies {
            let said = until("an answer", PATIENCE, async || {
                let said = verdict(world, node, cookie).await;
                (said != "None" && said != "list_unavailable").then_some(said)
            });
            assert_eq!(said.await, "live", "breach: node {node}, {when}");
        }
    }
}

async fn parcels(world: &World) -> Vec<Parcel> {
    let list_key = KeyFolder::new(world.operator_keys()).list_key().unwrap();
    world.server().open_under(&list_key).await.parcels().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_rotations_lose_nobody_while_nodes_die_start_and_stall() {
    let world = World::of(6).await;
    let load = Load::start(&world, 24);
    let mut elders = Elders::default();
    let (mut shown, mut keys, mut took) = (0, Vec::new(), Vec::new());
    for round in 0..ROTATIONS {
        elders.seal(&world).await;
        let began = Instant::now();
        let rotation = tokio::spawn({
            let world = world.clone();
            async move { rotate(&world).await }
        });
        match round {
            // Frozen while the others acknowledge: it is waited for.
            3 | 9 | 15 => {
                world.pause(2);
                tokio::time::sleep(Duration::from_millis(1500)).await;
                world.go_on(2);
            }
            // Killed, and taken off by the operator; it comes back during the next rotation.
            5 => {
                world.kill(3);
                forget(&world, 3).await;
            }
            6 => world.restart(3).await,
            // The one whose folder cannot be written gets everything through the list again.
            11 => {
                world.kill(5);
                forget(&world, 5).await;
                world.restart(5).await;
            }
            // A new node, with nothing but the ring secret.
            13 => drop(world.add(world.folder("node-6"), "ring").await),
            _ => {}
        }
        keys.push(rotation.await.unwrap());
        took.push(began.elapsed());
        elders.seal(&world).await;
        shown += elders.show(&world).await;
    }
    took.sort();
    println!(
        "{ROTATIONS} rotations: median {:?}, worst {:?}; {shown} cookies shown to nodes",
        took[ROTATIONS / 2],
        took[ROTATIONS - 1]
    );
    assert_eq!(world.sealing().await, keys[ROTATIONS - 1]);
    assert!(shown > ROTATIONS * 6, "cookies were shown to all nodes: {shown}");

    let began = Instant::now();
    // Each old key goes when its time has come, and the load goes on.
    until("all old keys are retired", Duration::from_secs(90), async || {
        for key in world.keys("active").await {
            world.sealjar(&["keys", "retire", &key]).await;
        }
        (world.keys("active").await.len() == 1).then_some(())
    })
    .await;
    println!("the last of them was retired {:?} after the last rotation", began.elapsed());
    elders.seal(&world).await;
    assert!(elders.show(&world).await > 0);
    for key in world.keys("retired").await {
        let (early, why) = world.sealjar(&["keys", "destroy", &key]).await;
        assert!(early == 5 && why["reason"].as_str().unwrap().contains("its bytes are kept until"), "{why}");
        until("it can be destroyed", Duration::from_secs(10), async || {
            (world.sealjar(&["keys", "destroy", &key, "--keep", "1"]).await.0 == 0).then_some(())
        })
        .await;
    }
    assert_eq!(world.keys("destroyed").await.len(), ROTATIONS, "all but the last, and the first of all");
    println!("and destroyed after {:?}", began.elapsed());
    let last = format!("{}.key", keys[ROTATIONS - 1]);
    for folder in ["keys", "node-0", "node-1", "node-4"].map(|name| world.folder(name)) {
        until("only the last key is on disk", Duration::from_secs(20), async || {
            let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
            names.retain(|name| name.len() == last.len() && name != "list.key");
            (names == [last.clone()]).then_some(())
        })
        .await;
    }
    println!("{}", load.end(&world).await);
    nobody_lost_anything(&world);
}

/// A rotation that waits for a node that is frozen, so that something can happen in the middle.
struct HeldUp {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl HeldUp {
    async fn by(world: &World, node: usize) -> Self {
        world.pause(node);
        let mut child = world.run(&["keys", "rotate"]);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("waiting for") {
                break;
            }
        }
        Self { child, lines }
    }

    /// It does what it was to do.
    async fn ends(mut self, after: &str) {
        let mut said = Vec::new();
        while let Ok(Some(line)) = self.lines.next_line().await {
            said.push(line);
        }
        assert!(self.child.wait().await.unwrap().success(), "after {after}: {said:#?}");
    }
}

/// As an operator does with a node that will not come back.
async fn forget(world: &World, number: usize) {
    let name = world.name(number);
    let listed = world.done(&["nodes", "list"]).await;
    let node = listed["nodes"].as_array().unwrap().iter().find(|node| node["name"] == *name).unwrap();
    assert_eq!(world.done(&["nodes", "forget", node["id"].as_str().unwrap()]).await["forgotten"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_survive_a_server_that_restarts_and_one_that_is_emptied() {
    let world = World::of(3).await;
    let load = Load::start(&world, 9);
    let mut elders = Elders::default();
    rotate(&world).await;
    for loss in ["restart", "flush", "restart", "flush"] {
        elders.seal(&world).await;
        let before = world.sealing().await;
        let rotation = HeldUp::by(&world, 1).await;
        if loss == "restart" {
            world.server().kill();
            world.server().restart();
        } else {
            world.server().command(&["FLUSHALL"]).await;
        }
        world.go_on(1);
        let began = Instant::now();
        rotation.ends(loss).await;
        println!("{loss}: sealed with a new key after {:?}", began.elapsed());
        assert_ne!(world.sealing().await, before, "after {loss}");
        elders.seal(&world).await;
        assert!(elders.show(&world).await > 0);
    }
    println!("{}", load.end(&world).await);
    nobody_lost_anything(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_ring_secret_is_named_and_nothing_is_promoted() {
    let world = World::of(2).await;
    let keys = world.folder("stranger");
    std::fs::create_dir(&keys).unwrap();
    for entry in std::fs::read_dir(world.operator_keys()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
    }
    let stranger = world.add(keys.clone(), "wrong").await;
    let before = world.sealing().await;
    let (code, said) = world.sealjar(&["keys", "rotate", "--wait", "4"]).await;
    let reason = said["reason"].as_str().unwrap();
    assert_eq!(code, 5, "{said}");
    assert!(reason.contains(&world.name(stranger)) && reason.contains("the ring secret here is not the one"), "{said}");
    assert!(!reason.contains(&world.name(0)) && !reason.contains(&world.name(1)), "only that one: {said}");
    assert_eq!(world.sealing().await, before);
    let (code, said) = world.sealjar(&["keys", "promote", said["key"].as_str().unwrap(), "--wait", "0"]).await;
    assert!(code == 5 && said["reason"].as_str().unwrap().contains(&world.name(stranger)), "{said}");
    // Its operator puts the file there by hand.
    let staged = world.keys("staged").await.remove(0);
    let file = format!("{staged}.key");
    std::fs::copy(world.operator_keys().join(&file), keys.join(&file)).unwrap();
    assert_eq!(rotate(&world).await, staged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_key_can_be_taken_back_and_an_older_one_promoted_again() {
    let world = World::lasting(2).await;
    let first = world.sealing().await;
    let second = rotate(&world).await;
    world.pause(1);
    assert_eq!(world.sealjar(&["keys", "rotate", "--wait", "1"]).await.0, 5);
    let staged = world.keys("staged").await.remove(0);
    assert_eq!(world.done(&["keys", "rotate", "--abort", "--dry-run"]).await["done"], false);
    assert_eq!(world.keys("staged").await, [&*staged], "that changed nothing");
    assert_eq!(world.done(&["keys", "rotate", "--abort"]).await["key"], *staged);
    assert_eq!(world.sealjar(&["keys", "rotate", "--abort"]).await.0, 2, "there is none");
    world.go_on(1);
    assert_eq!(world.done(&["keys", "promote", &first]).await["key"], *first);
    assert_eq!(world.sealing().await, first);
    let (code, said) = world.sealjar(&["keys", "retire", &second]).await;
    assert!(code == 5, "cookies under it are good: {said}");
    assert_eq!(world.done(&["keys", "retire", &second, "--force"]).await["changes"][0]["state"], "retired");
    assert_eq!(world.sealjar(&["keys", "retire", &first, "--force"]).await.0, 2, "it seals");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_key_is_closed_everywhere_at_once_and_for_good() {
    let world = World::lasting(3).await;
    let leaked = rotate(&world).await;
    let cookie = until("a login", PATIENCE, async || log_in(&world, 0).await).await;
    let dry = world.done(&["keys", "compromise", &leaked, "--dry-run"]).await;
    assert!(dry["dry_run"] == true && verdict(&world, 1, &cookie).await == "live", "{dry}");
    let began = Instant::now();
    let done = world.done(&["keys", "compromise", &leaked, "--yes"]).await;
    let took = began.elapsed();
    assert_eq!((&done["durability"], &done["nodes"]), (&"in_force".into(), &3.into()), "{done}");
    for node in world.up() {
        assert_eq!(verdict(&world, node, &cookie).await, "compromised_key", "node {node}");
    }
    assert!(
        took < BOUNDS.0 + Duration::from_secs(10),
        "S, and the time that a program takes on a busy machine: {took:?}"
    );
    let mut fresh = until("a login under the replacement", PATIENCE, async || log_in(&world, 1).await).await;
    for node in world.up() {
        assert_eq!(verdict(&world, node, &fresh).await, "live");
    }
    // Once more, where no other key is left in common: a new one travels at once.
    let second = world.sealing().await;
    let done = world.done(&["keys", "compromise", &second, "--yes"]).await;
    assert_eq!(done["replacement"].as_str(), Some(&*world.sealing().await), "{done}");
    assert_eq!(verdict(&world, 2, &fresh).await, "compromised_key");
    fresh = until("a login under the new key", PATIENCE, async || log_in(&world, 2).await).await;
    assert_eq!(verdict(&world, 0, &fresh).await, "live");

    for node in 0..2 {
        world.kill(node);
        forget(&world, node).await;
        world.restart(node).await;
        assert_eq!(verdict(&world, node, &cookie).await, "compromised_key", "after a restart");
    }
    world.server().command(&["FLUSHALL"]).await;
    let status = until("the list is whole again", Duration::from_secs(90), async || {
        let (code, status) = world.sealjar(&["keys", "status"]).await;
        (code == 0 && status["healed"] == true).then_some(status)
    })
    .await;
    let compromised = |status: &Value| {
        let keys = status["keys"].as_array().unwrap().iter().filter(|key| key["state"] == "compromised");
        keys.map(|key| key["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let known = compromised(&status);
    assert!(known.contains(&leaked) && known.contains(&second), "{status:#}");
    let last = world.add(world.folder("node-last"), "ring").await;
    for node in world.up() {
        assert_eq!(verdict(&world, node, &cookie).await, "compromised_key", "after a wipe, node {node}");
    }
    assert_eq!(verdict(&world, last, &fresh).await, "live");
    for key in [&leaked, &second] {
        let file = world.folder("node-0").join(format!("{key}.key"));
        until("its file is erased", Duration::from_secs(10), async || (!file.exists()).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_key_that_a_node_has_not_denied_yet_says_which_node() {
    let world = World::lasting(3).await;
    let leaked = rotate(&world).await;
    let cookie = until("a login", PATIENCE, async || log_in(&world, 0).await).await;
    world.pause(1);
    let (code, said) = world.sealjar(&["keys", "compromise", &leaked, "--yes", "--wait", "2"]).await;
    assert_eq!((code, &said["outstanding"], &said["nodes"]), (5, &value!([world.name(1)]), &Value::Null), "{said}");
    assert!(said["reason"].as_str().unwrap().contains(&world.name(1)), "{said}");
    for node in [0, 2] {
        assert_eq!(verdict(&world, node, &cookie).await, "compromised_key", "node {node}");
    }
    // What it knew is older than S by now.
    world.go_on(1);
    until("it has heard", PATIENCE, async || {
        let said = verdict(&world, 1, &cookie).await;
        assert_ne!(said, "live");
        (said == "compromised_key").then_some(())
    })
    .await;
    // Whoever may still serve without having been heard of is waited for before it is called done.
    let second = world.sealing().await;
    world.server().command(&["FLUSHALL"]).await;
    until("there is a list again", PATIENCE, async || (world.sealjar(&["keys", "status"]).await.0 == 0).then_some(()))
        .await;
    let (code, said) = world.sealjar(&["keys", "compromise", &second, "--yes"]).await;
    assert!(code == 0 && said["nodes"].as_u64() >= Some(2), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_rotate_at_once_none_gets_in_the_way_of_another() {
    let world = World::lasting(2).await;
    let rotations: Vec<_> = (0..4)
        .map(|_| {
            let world: Arc<World> = world.clone();
            tokio::spawn(async move { world.sealjar(&["keys", "rotate"]).await })
        })
        .collect();
    for rotation in rotations {
        let (code, said) = rotation.await.unwrap();
        assert_eq!(code, 0, "{said}");
    }
    assert!(world.keys("staged").await.is_empty());
    let cookie = until("a login", PATIENCE, async || log_in(&world, 0).await).await;
    assert_eq!(verdict(&world, 1, &cookie).await, "live");
}
