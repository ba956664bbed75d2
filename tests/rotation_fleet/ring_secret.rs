//! The ring secret is given out, and replaced by another: `docs/rotation.md`, step by step, with the program and processes.

use std::sync::Arc;

use serde_json::json;

use crate::load::Load;
use crate::world::{World, copy_keys};
use crate::{PATIENCE, all_are_live, cookies, nobody_lost_anything, parcels, until};

async fn restart_with(world: &World, node: usize, secret: &str) {
    world.kill(node);
    world.give(node, secret);
    world.restart(node).await;
}

/// Ends the load. Nobody may have lost a session, and none was old enough to end by itself.
async fn over(world: &Arc<World>, load: Load) {
    let said = load.end(world).await;
    println!("{said}");
    assert!(said.contains(" 0 expired as they should"), "{said}");
    nobody_lost_anything(world);
}

/// "From files to the ring secret".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_files_to_the_ring_secret_nobody_loses_a_session() {
    let world = World::of_files(3).await;
    let load = Load::start(&world, 6);
    let first = world.sealing().await;
    let old = cookies(&world).await;
    assert!(!parcels(&world).await.iter().any(|parcel| parcel.name.starts_with("key:")), "keys are in files only");

    // Step 1.
    let secret = world.secret("ring");
    let secret = secret.to_str().unwrap();
    world.done(&["keys", "ring-secret", secret]).await;

    // Step 2, for all but the last node.
    for node in 0..2 {
        restart_with(&world, node, "ring").await;
        all_are_live(&world, &old, "while the secret is given out").await;
        let file = world.folder(&format!("node-{node}")).join(format!("{first}.key"));
        assert!(file.exists(), "files stay where they are");
    }
    until("the key is in the list, wrapped", PATIENCE, async || {
        let name = format!("key:{first}");
        parcels(&world).await.iter().any(|parcel| parcel.name == name && !parcel.content.is_empty()).then_some(())
    })
    .await;
    let newcomer = world.add(world.folder("newcomer"), "ring").await;
    all_are_live(&world, &old, "with a node that began with an empty folder").await;

    // Step 3, too early. The processes that were killed are named as well, until their leases are over.
    let rotate = ["keys", "rotate", "--ring-secret", secret];
    let without = world.name(2);
    let staged = until("only the node without is named", PATIENCE, async || {
        let (code, said) = world.sealjar(&[&rotate[..], &["--wait", "1"]].concat()).await;
        let reason = said["reason"].as_str().unwrap_or_else(|| panic!("{code}: {said}"));
        assert!(code == 5 && reason.contains(&without), "{code}: {said}");
        let others_have_it = [0, 1, newcomer].iter().all(|node| !reason.contains(&world.name(*node)));
        let is_alone = reason.matches("(has not").count() == 1 && reason.contains("or it has no ring secret");
        (is_alone && others_have_it).then(|| said["key"].as_str().unwrap().to_owned())
    })
    .await;
    assert_eq!((world.sealing().await, world.keys("staged").await), (first.clone(), vec![staged.clone()]));

    // The rest of step 2, and step 3 again.
    restart_with(&world, 2, "ring").await;
    let done = world.done(&rotate).await;
    assert_eq!((done["key"].as_str(), done["resumed"].as_bool()), (Some(&*staged), Some(true)), "{done}");
    assert_eq!(world.sealing().await, staged);
    for name in ["node-0", "node-1", "node-2", "newcomer"] {
        let file = world.folder(name).join(format!("{staged}.key"));
        until("the new key has come", PATIENCE, async || file.exists().then_some(())).await;
    }
    all_are_live(&world, &old, "after the rotation").await;
    all_are_live(&world, &cookies(&world).await, "under the new key").await;
    over(&world, load).await;
}

/// "Another ring secret". The first node has its keys on its disk, the second an empty folder, and the third cannot
/// write its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_ring_secret_is_given_out_by_the_program_and_nobody_loses_a_session() {
    let world = World::lasting(3).await;
    let load = Load::start(&world, 6);
    let key = world.sealing().await;
    let old = cookies(&world).await;

    // Step 1.
    let (before, new) = (world.secret("ring"), world.secret("new"));
    let (before, new) = (before.to_str().unwrap(), new.to_str().unwrap());
    world.done(&["keys", "ring-secret", new]).await;

    // Step 2: first what it would do.
    let rewrap = ["keys", "rewrap", before, "--ring-secret", new];
    let (kept, written) = (parcels(&world).await, rewraps_on_record(&world).await);
    let dry = world.done(&[&rewrap[..], &["--dry-run"]].concat()).await;
    assert_eq!((&dry["done"], &dry["dry_run"], &dry["list_key"]), (&false.into(), &true.into(), &true.into()), "{dry}");
    assert_eq!((&dry["keys"], &dry["unopened"]), (&json!([key]), &json!([])), "{dry}");
    // Exit code 5: with a secret that is not the one, and without the key's file.
    let (wrong, only_list_key) = (world.secret("wrong"), world.folder("only-list-key"));
    copy_keys(&world.operator_keys(), &only_list_key);
    std::fs::remove_file(only_list_key.join(format!("{key}.key"))).unwrap();
    let mistaken = ["keys", "rewrap", wrong.to_str().unwrap(), "--ring-secret", new, "--dry-run", "--keys"];
    let (code, said) = world.sealjar(&[&mistaken[..], &[only_list_key.to_str().unwrap()]].concat()).await;
    assert!(code == 5 && said["unopened"] == json!([key]) && said["done"] == false, "{code}: {said}");
    let said = world.done(&[&mistaken[..], &[world.operator_keys().to_str().unwrap()]].concat()).await;
    assert_eq!(said["keys"], json!([key]), "where its file is: {said}");
    assert_eq!((parcels(&world).await, rewraps_on_record(&world).await), (kept, written), "that changed nothing");

    let done = world.done(&rewrap).await;
    assert_eq!((&done["done"], &done["list_key"]), (&true.into(), &true.into()), "{done}");
    assert_eq!((&done["keys"], &done["before"]), (&json!([key]), &json!([])), "{done}");
    assert!(rewraps_on_record(&world).await > written, "it stands in the audit");
    all_are_live(&world, &old, "nodes that run do not notice").await;

    // Step 3.
    for node in world.up() {
        restart_with(&world, node, "new").await;
        all_are_live(&world, &old, "while the other secret is given out").await;
    }
    // Step 4: nothing was left to do.
    let again = world.done(&rewrap).await;
    assert_eq!((&again["done"], &again["list_key"]), (&true.into(), &false.into()), "{again}");
    assert_eq!((&again["keys"], &again["before"]), (&json!([]), &json!([key])), "{again}");
    // Step 5.
    let done = world.done(&["keys", "rotate", "--ring-secret", new]).await;
    assert!(done["key"].as_str().is_some_and(|rotated| rotated != key), "{done}");
    assert_eq!(world.sealing().await, done["key"].as_str().unwrap());
    all_are_live(&world, &old, "after the rotation").await;
    all_are_live(&world, &cookies(&world).await, "under the new key").await;
    over(&world, load).await;
}

/// How many records of the audit are about wrapping anew.
async fn rewraps_on_record(world: &World) -> usize {
    let audit = world.done(&["audit", "list", "--limit", "5000"]).await;
    audit["records"].as_array().unwrap().iter().filter(|record| record["action"] == "rewrap_keys").count()
}
