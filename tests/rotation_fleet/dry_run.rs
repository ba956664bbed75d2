//! What a key's last step would do, and does not.

use std::time::Duration;

use crate::world::World;
use crate::{rotate, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_not_destroyed_in_a_dry_run() {
    let world = World::lasting(2).await;
    let old = world.sealing().await;
    rotate(&world).await;
    world.done(&["keys", "retire", &old, "--force"]).await;
    let files = ["keys", "node-0"].map(|name| world.folder(name).join(format!("{old}.key")));
    let destroy = ["keys", "destroy", &old, "--keep", "1"];
    let dry = [&destroy[..], &["--dry-run"]].concat();
    let written = async || {
        let audit = world.done(&["audit", "list", "--limit", "5000"]).await;
        audit["records"].as_array().unwrap().iter().filter(|record| record["action"] == "destroy_key").count()
    };
    // Until every node that may still seal under it has ended or heard: H and 12 s.
    let plan = until("its time comes", Duration::from_secs(40), async || {
        let (code, said) = world.sealjar(&dry).await;
        assert!(code == 0 || said["reason"].as_str().unwrap().contains("its bytes are kept until"), "{code}: {said}");
        (code == 0).then_some(said)
    })
    .await;
    assert_eq!((&plan["done"], &plan["dry_run"]), (&false.into(), &true.into()), "{plan}");
    assert_eq!((&plan["changes"][0]["key"], &plan["changes"][0]["state"]), (&(&*old).into(), &"destroyed".into()));
    assert_eq!((world.keys("retired").await, written().await), (vec![old.clone()], 0));
    assert!(files.iter().all(|file| file.exists()), "{files:?}");

    // The same without --dry-run.
    let done = world.done(&destroy).await;
    assert_eq!((&done["done"], world.keys("destroyed").await), (&true.into(), vec![old.clone()]), "{done}");
    assert!(written().await > 0);
    for file in files {
        until("its file is erased", Duration::from_secs(10), async || (!file.exists()).then_some(())).await;
    }
}
