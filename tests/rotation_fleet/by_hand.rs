//! What the program says where keys are brought to nodes by hand, and where they are not.

use crate::world::World;
use crate::{PATIENCE, until};

/// What a person reads: both outputs, and the exit code.
async fn said(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let output = world.run(arguments).wait_with_output().await.unwrap();
    (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_ring_secret_the_file_is_named_that_has_to_be_copied() {
    let world = World::of_files(2).await;
    let (code, text) = said(&world, &["keys", "rotate", "--wait", "1"]).await;
    let key = world.keys("staged").await.remove(0);
    let file = world.operator_keys().join(format!("{key}.key"));
    let told = format!("Copy {} into the key folder of every node", file.display());
    assert!(code == Some(5) && text.matches(&told).count() == 2, "as it begins and at the end: {text}");
    assert!(file.exists() && !text.contains("on its way"), "nothing brings it anywhere: {text}");
    // Both wait for it, and are named in the same order whoever was heard last.
    let (_, text) = said(&world, &["keys", "rotate", "--wait", "3"]).await;
    let both = text.lines().filter(|line| line.contains("waiting for") && line.matches("has not").count() == 2);
    let mut names = [world.name(0), world.name(1)];
    names.sort();
    let mut seen = 0;
    for line in both {
        let [first, second] = names.each_ref().map(|name| line.find(&format!("{name} ")));
        assert!(first.is_some() && first < second, "{line}");
        seen += 1;
    }
    assert!(seen > 0, "{text}");
    for node in 0..2 {
        std::fs::copy(&file, world.folder(&format!("node-{node}")).join(format!("{key}.key"))).unwrap();
    }
    assert_eq!(world.done(&["keys", "rotate"]).await["key"], *key);

    // No other key in common: the new one's file is named as well.
    let old = until("the older one is retired", PATIENCE, async || {
        let old = world.keys("active").await.into_iter().find(|active| *active != key).unwrap();
        (world.sealjar(&["keys", "retire", &old, "--force"]).await.0 == 0).then_some(old)
    })
    .await;
    let (code, text) = said(&world, &["keys", "compromise", &key, "--yes"]).await;
    let now = world.keys("active").await.remove(0);
    let file = world.operator_keys().join(format!("{now}.key"));
    assert!(code == Some(0) && now != key && now != old, "{text}");
    assert!(text.contains(&format!("Copy {} into", file.display())), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_ring_secret_nothing_is_said_of_files_and_of_a_secret_that_is_missing() {
    let world = World::of(2).await;
    let leaked = world.sealing().await;
    world.pause(1);
    let (code, text) = said(&world, &["keys", "rotate", "--wait", "1"]).await;
    assert!(code == Some(5) && text.contains("is on its way"), "{text}");
    let (late, more) = said(&world, &["keys", "compromise", &leaked, "--yes", "--wait", "1"]).await;
    assert!(late == Some(5) && more.contains("Not confirmed by all"), "{more}");
    for text in [text, more] {
        assert!(!text.contains("Copy ") && !text.contains("ring secret"), "{text}");
    }
}
