//! The program is killed at each of its writes, once before the server has heard of it and once before the program has
//! heard of the answer; then the same command is run again to its end.
//!
//! ```text
//!   sealjar keys … ──TCP──► tap (in the test) ──TCP──► Redis ◄── two nodes
//! ```

use std::process::Command;

use serde_json::{Value, json};

use crate::tap::{Lost, Tap};
use crate::world::World;
use crate::{PATIENCE, all_are_live, cookies, forget, parcels, rotate, until, verdict};

const ROTATE: &[&str] = &["keys", "rotate"];
/// Of a rotation: the record, the wrapped key and the probe come before it.
const PROMOTION: usize = 4;
/// The verdict on what a leaked key has sealed.
const LEAKED: &str = "compromised_key";

/// Which write is the last one, and what of it gets lost.
type Moment = (usize, Lost);

/// The first write lost on its way there, then on its way back, then the second, and so on.
fn moments() -> impl Iterator<Item = Moment> {
    (1..20).flat_map(|at| [Lost::Request, Lost::Answer].map(|lost| (at, lost)))
}

/// Runs a command until a moment, and ends it there; or says how many writes it had when it came to its own end before.
async fn ended(world: &World, signal: &str, command: &[&str], (at, lost): Moment) -> Result<(), usize> {
    let tap = Tap::to(world.server().port(), at, lost).await;
    let mut child = world.run_through(tap.port(), command);
    tokio::select! {
        () = tap.reached() => {}
        ended = child.wait() => {
            assert!(ended.unwrap().success(), "{command:?}");
            return Err(tap.writes().len());
        }
    }
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    assert!(!child.wait().await.unwrap().success(), "{command:?} went on after {signal}");
    println!("{signal} of {command:?} at write {at}, {lost:?} lost: {}", tap.writes().pop().unwrap());
    Ok(())
}

/// This key seals, none is on its way, every node has all keys that are in use, and the audit is whole.
async fn in_order(world: &World, sealing: &str, when: &str) {
    let nodes: Vec<_> = world.up().into_iter().map(|node| json!(world.name(node))).collect();
    until("every node has every key", PATIENCE, async || {
        let status = world.done(&["keys", "status"]).await;
        let keys = status["keys"].as_array().unwrap();
        let of = |member: &str, value: &str| keys.iter().filter(|key| key[member] == value).collect::<Vec<_>>();
        assert_eq!(of("state", "staged"), Vec::<&Value>::new(), "{when}: {status:#}");
        let seals = of("role", "seals");
        assert!(seals.len() == 1 && seals[0]["key"] == *sealing && status["healed"] == true, "{when}: {status:#}");
        let is_everywhere = |key: &&Value| nodes.iter().all(|node| key["has"].as_array().unwrap().contains(node));
        of("state", "active").iter().all(is_everywhere).then_some(())
    })
    .await;
    assert_eq!(world.done(&["audit", "verify"]).await["whole"], true, "{when}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_was_killed_at_any_write_is_gone_on_with() {
    let world = World::lasting(2).await;
    let mut minted = cookies(&world).await;
    for moment in moments() {
        let before = world.sealing().await;
        if let Err(writes) = ended(&world, "KILL", ROTATE, moment).await {
            assert_eq!((writes, moment), (PROMOTION, (PROMOTION + 1, Lost::Request)));
            break;
        }
        goes_on(&world, &before, &mut minted, &format!("killed at {moment:?}")).await;
    }
    // As people do when it takes them too long.
    let before = world.sealing().await;
    ended(&world, "INT", ROTATE, (2, Lost::Answer)).await.unwrap();
    goes_on(&world, &before, &mut minted, "interrupted").await;
    // One that takes back what another has left behind.
    let before = world.sealing().await;
    ended(&world, "KILL", ROTATE, (1, Lost::Answer)).await.unwrap();
    let staged = world.keys("staged").await;
    ended(&world, "KILL", ROTATE, (1, Lost::Answer)).await.unwrap();
    assert!(world.keys("retired").await.contains(&staged[0]), "nobody had its bytes");
    goes_on(&world, &before, &mut minted, "killed while it took a key back").await;
}

/// After a rotation that was ended, the next one.
async fn goes_on(world: &World, before: &str, minted: &mut Vec<String>, when: &str) {
    let (staged, now) = (world.keys("staged").await, world.sealing().await);
    assert!(staged.len() <= 1 && (staged.is_empty() || now == before), "{when}: {staged:?} staged, {now} seals");
    minted.extend(cookies(world).await);
    all_are_live(world, minted, when).await;
    let done = world.done(ROTATE).await;
    let key = done["key"].as_str().unwrap();
    in_order(world, key, when).await;
    match staged.first() {
        Some(staged) if is_here(world, staged) => {
            assert!(key == staged && done["resumed"] == true, "{when}: {staged} is gone on with: {done}");
        }
        Some(staged) => {
            assert!(world.keys("retired").await.contains(staged), "{when}: nobody has the bytes of {staged}");
        }
        None => assert!(key != before && done["resumed"] == false, "{when}: {done}"),
    }
    minted.extend(cookies(world).await);
    all_are_live(world, minted, when).await;
}

fn is_here(world: &World, key: &str) -> bool {
    world.operator_keys().join(format!("{key}.key")).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_was_killed_when_it_retired_an_old_key_is_gone_on_with() {
    let world = World::of(2).await;
    let first = world.sealing().await;
    rotate(&world).await;
    until("the first key has served its time", PATIENCE, async || {
        let status = world.done(&["keys", "status"]).await;
        let first = status["keys"].as_array().unwrap().iter().find(|key| key["key"] == *first).unwrap();
        (first["next"]["step"] == "retire" && first["next"]["waits"].is_null()).then_some(())
    })
    .await;
    for (lost, retired) in [(Lost::Request, 0), (Lost::Answer, 1)] {
        // Until every node has said that it seals with the new key, it goes on to its end without.
        until("it retires a key", PATIENCE, async || ended(&world, "KILL", ROTATE, (PROMOTION + 1, lost)).await.ok())
            .await;
        assert_eq!(
            (world.keys("retired").await.len(), world.keys("staged").await.len()),
            (retired, 0),
            "{lost:?} lost"
        );
    }
    let last = rotate(&world).await;
    in_order(&world, &last, "killed when it retired a key").await;
    assert!(world.keys("retired").await.contains(&first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_that_was_killed_at_any_write_is_gone_on_with() {
    let world = World::lasting(2).await;
    let mut minted = cookies(&world).await;
    for moment in moments() {
        ended(&world, "KILL", ROTATE, (PROMOTION, Lost::Request)).await.unwrap();
        let staged = world.keys("staged").await.remove(0);
        if let Err(writes) = promoted(&world, moment, &staged, &mut minted).await {
            assert_eq!((writes, moment), (1, (2, Lost::Request)), "a staged key is promoted");
            break;
        }
    }
    for moment in moments() {
        let (active, now) = (world.keys("active").await, world.sealing().await);
        let older = active.iter().find(|key| **key != now).unwrap();
        if let Err(writes) = promoted(&world, moment, older, &mut minted).await {
            assert_eq!((writes, moment), (2, (3, Lost::Request)), "an older key is recalled and promoted");
            break;
        }
    }
}

async fn promoted(world: &World, moment: Moment, key: &str, minted: &mut Vec<String>) -> Result<(), usize> {
    let (promote, when) = (["keys", "promote", key], format!("{key} promoted, killed at {moment:?}"));
    let before = world.sealing().await;
    let ended = ended(world, "KILL", &promote, moment).await;
    let now = world.sealing().await;
    assert!(now == key || now == before, "{when}: {now} seals");
    minted.extend(cookies(world).await);
    all_are_live(world, minted, &when).await;
    let again = world.done(&promote).await;
    let is_news = again["changes"] != json!([]);
    assert_eq!((again["key"].as_str(), is_news), (Some(key), now == before), "{when}: {again}");
    in_order(world, key, &when).await;
    minted.extend(cookies(world).await);
    all_are_live(world, minted, &when).await;
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromise_that_was_killed_at_any_write_is_gone_on_with() {
    let world = World::lasting(2).await;
    let (mut refused, mut denied) = (Vec::new(), Vec::new());
    for moment in moments() {
        let leaked = world.sealing().await;
        let when = format!("{leaked} compromised, killed at {moment:?}");
        let minted = cookies(&world).await;
        all_are_live(&world, &minted, &when).await;
        let compromise = ["keys", "compromise", &leaked, "--yes"];
        let ended = ended(&world, "KILL", &compromise, moment).await;
        // All of it or nothing.
        let staged = world.keys("staged").await;
        assert!(staged.len() <= 1, "{when}: {staged:?}");
        let is_denied = world.keys("compromised").await.contains(&leaked);
        let mut since = Vec::new();
        if is_denied {
            all_are_refused(&world, &minted, LEAKED, &when).await;
            since = cookies(&world).await;
        } else {
            all_are_live(&world, &minted, &when).await;
        }
        let done = world.done(&compromise).await;
        assert_eq!(done["before"], is_denied, "{when}: {done}");
        all_are_live(&world, &since, &format!("{when}: nobody is logged out once more")).await;
        refused.extend(minted);
        denied.push(leaked);
        let replacement = done["replacement"].as_str().unwrap();
        assert!(staged.iter().all(|staged| staged == replacement || !is_here(&world, staged)), "{when}: {done}");
        let fresh = cookies(&world).await;
        let anew = world.add(world.folder(&format!("anew-{}", denied.len())), "ring").await;
        all_are_refused(&world, &refused, LEAKED, &when).await;
        all_are_live(&world, &fresh, &when).await;
        world.kill(anew);
        forget(&world, anew).await;
        cleared(&world, replacement, &denied, &when).await;
        if let Err(writes) = ended {
            assert_eq!((writes, moment), (6, (7, Lost::Request)));
            break;
        }
    }
    // Where another key is at hand, all is done with one write: the sessions too are over that the leaked key never sealed.
    let others = cookies(&world).await;
    let leaked = rotate(&world).await;
    let (minted, when) = (cookies(&world).await, "killed when another key was at hand");
    let compromise = ["keys", "compromise", &leaked, "--yes"];
    ended(&world, "KILL", &compromise, (1, Lost::Answer)).await.unwrap();
    all_are_refused(&world, &minted, LEAKED, when).await;
    all_are_refused(&world, &others, "revoked_all", when).await;
    let done = world.done(&compromise).await;
    in_order(&world, done["replacement"].as_str().unwrap(), when).await;
    all_are_live(&world, &cookies(&world).await, when).await;
}

/// Once more a rotation, as after every emergency: then nothing is left over from the one that was killed. The key before
/// is retired, so that the next emergency finds no other in common and makes one.
async fn cleared(world: &World, replacement: &str, denied: &[String], when: &str) {
    assert_eq!(world.sealing().await, replacement, "{when}");
    let last = rotate(world).await;
    in_order(world, &last, when).await;
    let compromised = world.keys("compromised").await;
    assert!(denied.iter().all(|key| compromised.contains(key)), "{when}: {compromised:?}");
    let kept = parcels(world).await;
    assert!(denied.iter().all(|key| kept.iter().all(|parcel| !parcel.name.ends_with(key))), "{when}: bytes are left");
    until("it is retired", PATIENCE, async || {
        (world.sealjar(&["keys", "retire", replacement, "--force"]).await.0 == 0).then_some(())
    })
    .await;
}

/// No node opens any of them.
async fn all_are_refused(world: &World, cookies: &[String], code: &str, when: &str) {
    for node in world.up() {
        for cookie in cookies {
            until(&format!("node {node} refuses it, {when}"), PATIENCE, async || {
                (verdict(world, node, cookie).await == code).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrapping_anew_that_was_killed_at_any_write_is_gone_on_with() {
    let world = World::lasting(2).await;
    let minted = cookies(&world).await;
    rotate(&world).await;
    let mut before = world.secret("ring");
    for (number, moment) in moments().enumerate() {
        let (name, when) = (format!("new-{number}"), format!("wrapped anew, killed at {moment:?}"));
        let new = world.secret(&name);
        world.done(&["keys", "ring-secret", new.to_str().unwrap()]).await;
        // All that it needs it finds in the list, under one of the two.
        let rewrap = ["keys", "rewrap", before.to_str().unwrap(), "--ring-secret", new.to_str().unwrap()];
        let rewrap = [&rewrap[..], &["--keys", "nowhere"]].concat();
        let ended = ended(&world, "KILL", &rewrap, moment).await;
        all_are_live(&world, &minted, &when).await;
        let done = world.done(&rewrap).await;
        assert_eq!((&done["done"], &done["unopened"]), (&json!(true), &json!([])), "{when}: {done}");
        let anew = world.add(world.folder(&format!("anew-{number}")), &name).await;
        all_are_live(&world, &minted, &when).await;
        world.kill(anew);
        forget(&world, anew).await;
        in_order(&world, &world.sealing().await, &when).await;
        if let Err(writes) = ended {
            assert_eq!((writes, moment), (3, (4, Lost::Request)), "two keys and the list key");
            break;
        }
        before = new;
    }
}
