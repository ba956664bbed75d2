//! What somebody with a leaked key may have made of it before it is denied: cookies with a birth of their choice,
//! shown to a node that seals them anew under another key. All of that is over with the denial.

use std::sync::Arc;
use std::time::Duration;

use sealjar::id::KeyId;
use sealjar::key::Key;
use sealjar::ring::RingKey;
use sealjar::seal::{Binding, Content, Opened, Purpose, open, seal};
use sealjar::wire::Unverified;

use crate::fleet::link::Way;
use crate::fleet::{Ask, Link, Node, Outcome, Route, Said, Setup};
use crate::redis_support::{APP, node_url};
use crate::world::World;
use crate::{PATIENCE, log_in, rotate, until, verdict};

/// Whoever has the key, and one cookie to copy everything else from.
struct Forger {
    key: RingKey,
    name: String,
    cookie: Opened,
}

impl Forger {
    fn with(world: &World, key: &str, cookie: &str) -> Self {
        let file = std::fs::read_to_string(world.operator_keys().join(format!("{key}.key"))).unwrap();
        let key = RingKey::new(&Key::from_file(&file).unwrap(), APP);
        let (name, value) = cookie.split_once('=').unwrap();
        let opened = open(Unverified::parse(value.as_bytes()).unwrap(), &key, &Self::binding(name)).unwrap();
        Self { key, name: name.to_owned(), cookie: opened }
    }

    fn binding(name: &str) -> Binding {
        Binding::new(APP, name, Purpose::Session)
    }

    /// The same session, begun so much later.
    fn cookie(&self, later: Duration) -> String {
        let Opened { suite, session, claims, .. } = &self.cookie;
        let mut claims = *claims;
        claims.born = claims.born.after(later);
        let (extras, payload) = (self.cookie.extras(), self.cookie.payload());
        let content = Content { session: *session, claims: &claims, extras, payload };
        format!("{}={}", self.name, seal(*suite, content, &self.key, &Self::binding(&self.name)).unwrap())
    }
}

/// What a node makes of a cookie under an older key.
async fn sealed_anew(node: &Node, cookie: String) -> String {
    match node.ask(Ask::Open { cookie, route: Route::Default }).await.answer().said {
        Said::Verdict { code, cookie: Some(anew) } if code == "live" => anew,
        other => panic!("it was not sealed anew: {other:?}"),
    }
}

/// A node that hears of nothing while its link is frozen, and serves by what it knows for 20 s.
async fn node_behind(world: &World, link: &Link) -> Arc<Node> {
    let bounds = (Duration::from_secs(20), Duration::from_secs(30));
    let setup = Setup { url: node_url(link.port()), home: world.folder("behind"), bounds };
    let node = Node::spawn_with(&setup, &[("SEALJAR_RING_SECRET_FILE", world.secret("ring").to_str().unwrap())]);
    assert!(
        tokio::time::timeout(PATIENCE, node.ready()).await.is_ok_and(|ready| ready.is_some()),
        "{}",
        node.trouble()
    );
    Arc::new(node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_birth_that_a_leaked_key_claimed_outlives_its_denial() {
    let world = World::lasting(2).await;
    let link = Link::to(world.server().port()).await;
    let behind = node_behind(&world, &link).await;
    let leaked = world.sealing().await;
    let honest = until("a login", PATIENCE, async || log_in(&world, 0).await).await;
    let forger = Forger::with(&world, &leaked, &honest);
    let next = rotate(&world).await;

    let mut anew = vec![sealed_anew(&world.node(0), forger.cookie(Duration::ZERO)).await];
    // As far ahead as the skew of clocks allows.
    let ahead = forger.cookie(Duration::from_secs(50));
    anew.push(sealed_anew(&world.node(0), ahead.clone()).await);
    let (node, held_open) = (world.node(1), ahead.clone());
    let stays = tokio::spawn(async move { node.ask(Ask::Stay { cookie: held_open }).await });

    link.set(Way::Frozen);
    let (code, said) = world.sealjar(&["keys", "compromise", &leaked, "--yes", "--wait", "1"]).await;
    assert_eq!((code, said["outstanding"].as_array().map(Vec::len)), (5, Some(1)), "{said}");
    // It has not heard, and opens what is born after the cut-off.
    anew.push(sealed_anew(&behind, forger.cookie(Duration::from_secs(45))).await);
    link.set(Way::Open);

    let Outcome::Answer(answer) = stays.await.unwrap() else { panic!("it stayed open") };
    assert_eq!(answer.said, Said::Verdict { code: "compromised_key".into(), cookie: None });
    world.done(&["keys", "status"]).await;
    for node in world.up() {
        until("it has heard", PATIENCE, async || {
            (verdict(&world, node, &ahead).await == "compromised_key").then_some(())
        })
        .await;
        for (which, cookie) in anew.iter().enumerate() {
            let key = Unverified::parse(cookie.split_once('=').unwrap().1.as_bytes()).unwrap().key_id();
            assert_eq!(Ok(key), next.parse::<KeyId>(), "it is under the good key");
            assert_eq!(
                verdict(&world, node, cookie).await,
                "revoked_all",
                "breach: node {node}, the forged cookie {which}"
            );
        }
    }
    let fresh = until("a login", PATIENCE, async || log_in(&world, 1).await).await;
    assert_eq!(verdict(&world, 0, &fresh).await, "live");
}
