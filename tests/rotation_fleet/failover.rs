//! The server dies in the middle, and a replica is promoted in its place.

use std::time::{Duration, Instant};

use crate::load::{Elders, Load};
use crate::redis_support::APP;
use crate::world::World;
use crate::{HeldUp, PATIENCE, log_in, nobody_lost_anything, rotate, until, verdict};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_survive_a_replica_that_is_promoted() {
    let world = World::watched(3).await;
    let load = Load::start(&world, 9);
    let (mut elders, mut shown) = (Elders::default(), 0);
    rotate(&world).await;
    for way in ["handed over", "killed"] {
        let before = world.sealing().await;
        let rotation = HeldUp::by(&world, 1).await;
        elders.seal(&world).await;
        let (began, primary) = (Instant::now(), world.servers().primary().await);
        if way == "killed" {
            world.servers().servers[primary].kill();
            world.servers().another_than(primary).await;
        } else {
            world.servers().fail_over().await;
        }
        println!("{way}: another primary after {:?}", began.elapsed());
        world.go_on(1);
        shown += elders.show(&world).await;
        rotation.ends(way).await;
        println!("{way}: sealed with a new key after {:?}", began.elapsed());
        // Right after a failover the list is none that may be asked.
        until("the list is whole again", PATIENCE, async || {
            let (code, status) = world.sealjar(&["keys", "status"]).await;
            (code == 0 && status["healed"] == true).then_some(())
        })
        .await;
        assert_ne!(world.sealing().await, before, "{way}");
        elders.seal(&world).await;
        shown += elders.show(&world).await;
    }
    // Who starts now learns all from the new primary.
    world.add(world.folder("node-last"), "ring").await;
    elders.seal(&world).await;
    shown += elders.show(&world).await;
    assert!(shown > 0);
    println!("{shown} cookies shown to nodes; {}", load.end(&world).await);
    nobody_lost_anything(&world);
}

/// What the server says of a key.
async fn record(world: &World, server: usize, key: &str) -> redis::Value {
    let control = format!("{{sealjar:{APP}}}:control");
    world.servers().servers[server].command(&["HGET", &control, &format!("key:{key}")]).await
}

/// The replica that is promoted has not heard of the compromise at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_key_stays_closed_when_a_replica_that_lags_is_promoted() {
    let world = World::watched(3).await;
    let leaked = rotate(&world).await;
    let cookie = until("a login", PATIENCE, async || log_in(&world, 0).await).await;
    let watched = world.servers();
    let primary = watched.primary().await;
    let replicas: Vec<_> = (0..3).filter(|server| *server != primary).collect();
    let (near, far) = (replicas[0], replicas[1]);
    let known = record(&world, primary, &leaked).await;
    until("both replicas know the key", Duration::from_secs(10), async || {
        (record(&world, far, &leaked).await == known).then_some(())
    })
    .await;
    // Nobody listens there.
    watched.servers[far].command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let done = world.done(&["keys", "compromise", &leaked, "--yes"]).await;
    assert_eq!((&done["durability"], &done["nodes"]), (&"in_force".into(), &3.into()), "{done}");
    assert_ne!(record(&world, primary, &leaked).await, known);
    assert_eq!(record(&world, far, &leaked).await, known, "it lags");
    watched.servers[primary].kill();
    watched.servers[near].kill();
    assert_eq!(watched.another_than(primary).await, far);
    // The primary takes no writes without a replica.
    watched.servers[near].restart();
    let port = watched.servers[far].port().to_string();
    watched.servers[near].command(&["REPLICAOF", "127.0.0.1", &port]).await;
    until("it is told", Duration::from_secs(60), async || (record(&world, far, &leaked).await != known).then_some(()))
        .await;
    for node in world.up() {
        assert_eq!(verdict(&world, node, &cookie).await, "compromised_key", "node {node}");
    }
    world.kill(1);
    world.restart(1).await;
    let last = world.add(world.folder("node-last"), "ring").await;
    for node in [1, last] {
        assert_eq!(verdict(&world, node, &cookie).await, "compromised_key", "node {node}, which started since");
    }
    let fresh = until("a login under the replacement", Duration::from_secs(10), async || log_in(&world, last).await);
    let fresh = fresh.await;
    for node in world.up() {
        assert_eq!(verdict(&world, node, &fresh).await, "live", "node {node}");
    }
    assert!(world.keys("compromised").await.contains(&leaked));
}
