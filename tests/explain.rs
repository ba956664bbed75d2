//! Which record a session was refused for, as of when, and who has its key: what operators are told, in the library
//! and by `sealjar explain`.
#![cfg(feature = "cli")]

mod support_sessions;

use std::path::Path;
use std::process::Command;

use sealjar::explain::Explanation;
use sealjar::id::TagKind::{Label, Subject, Tenant};
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::operator::{Operator, Scope};
use sealjar::revocation::Record;
use sealjar::rotation::{KeyRecord, KeyState};
use sealjar::time::{Clock, Position};
use sealjar::{Login, Sessions, Verdict, days};
use support_sessions::{Browser, Home, Visitor};

/// A running app, and an operator beside it, on the real clock.
struct Scene {
    home: Home,
    sessions: Sessions<Visitor>,
    operator: Operator,
}

impl Scene {
    async fn new() -> Self {
        let home = Home::new();
        let sessions = home.builder().clock(Clock::system()).start().await.unwrap();
        let (place, folder) = (ListPlace::in_home(home.path()), KeyFolder::new(home.path().join("keys")));
        let operator = Operator::open(&place, folder, None, Clock::system()).await.unwrap();
        Self { home, sessions, operator }
    }

    /// Somebody who is logged in.
    async fn visitor(&self) -> Browser {
        let mut browser = Browser::default();
        let login = Login::subject("7").tenant("acme").label("phone").label("laptop");
        browser.log_in(&self.sessions, login).await;
        browser
    }

    async fn explain(&self, browser: &Browser) -> Explanation {
        self.operator.refresh().await.unwrap();
        self.operator.explain(browser.cookie()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scope_that_hit_is_named_with_its_moment() {
    let scene = Scene::new().await;
    let key = |app: &Operator, kind, name: &str| format!("{:016x}", app.list_key().tag("shop", kind, name).0);
    for (scope, name, verdict, target) in [
        (Scope::Subject("7".into()), "subject", Verdict::RevokedSubject, Some(key(&scene.operator, Subject, "7"))),
        (Scope::Tenant("acme".into()), "tenant", Verdict::RevokedTenant, Some(key(&scene.operator, Tenant, "acme"))),
        (Scope::Label("laptop".into()), "label", Verdict::RevokedLabel, Some(key(&scene.operator, Label, "laptop"))),
        (Scope::All, "all", Verdict::RevokedAll, None),
    ] {
        let browser = scene.visitor().await;
        let live = scene.explain(&browser).await;
        assert_eq!((live.verdict(), &live.hit), (Verdict::Live, &None));
        let receipt = scene.operator.revoke(&scope).await.unwrap();
        let explained = scene.explain(&browser).await;
        let hit = explained.hit.clone().unwrap();
        assert_eq!((explained.verdict(), hit.scope, hit.target), (verdict, name, target));
        let (as_of, at) = (hit.as_of.unwrap(), receipt.position.seconds());
        let now = scene.operator.now().seconds();
        assert!(as_of == at.to_string() || as_of <= now.to_string(), "{as_of} instead of {at}");
        assert_eq!(hit.floor, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_a_generation_and_a_key_are_named() {
    let scene = Scene::new().await;
    let browser = scene.visitor().await;
    let handle = scene.explain(&browser).await.session.unwrap().handle;
    // Rights are taken away: the older copy is refused, the newer one is not.
    let mut session = browser.open(&scene.sessions).await;
    session.reduce(|visitor| visitor.coins = 0).await.unwrap();
    let hit = scene.explain(&browser).await.hit.unwrap();
    assert_eq!((hit.scope, hit.target.as_ref(), hit.floor, hit.as_of), ("generation", Some(&handle), Some(1), None));
    let mut newer = Browser::default();
    newer.store(session);
    assert_eq!(scene.explain(&newer).await.verdict(), Verdict::Live);
    scene.operator.revoke(&Scope::Session(handle.parse().unwrap())).await.unwrap();
    let hit = scene.explain(&newer).await.hit.unwrap();
    assert_eq!((hit.scope, hit.target, hit.as_of), ("session", Some(handle), None));

    let other = scene.visitor().await;
    let key = scene.explain(&other).await.key.unwrap();
    let record = KeyRecord::new(KeyState::Compromised, 0);
    let leaked = Record::Key { key: key.parse().unwrap(), record };
    scene.operator.store().restore(vec![leaked], Position(0)).await.unwrap();
    let explained = scene.explain(&other).await;
    let hit = explained.hit.clone().unwrap();
    assert_eq!((explained.verdict(), hit.scope, hit.target), (Verdict::CompromisedKey, "key", Some(key)));
}

/// The verdict says that it ended, and the times say that it has hours to live: the record tells why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_forgotten_is_named_too() {
    let scene = Scene::new().await;
    let browser = scene.visitor().await;
    let position = scene.operator.store().nodes(Position(0)).await.unwrap().now.after(days(1));
    let day = scene.operator.now().seconds().after(days(2)).day();
    scene.operator.store().restore(vec![Record::Forgotten { day, position }], Position(0)).await.unwrap();
    let explained = scene.explain(&browser).await;
    assert_eq!(explained.verdict(), Verdict::AbsoluteExpired);
    assert_eq!(explained.hit.unwrap().scope, "forgotten");
    assert!(explained.session.unwrap().absolute_left > 0);
}

/// What the command line revokes it writes down, and `explain` finds it there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_says_who_when_and_why() {
    let scene = Scene::new().await;
    let (home, keys) = (scene.home.path(), scene.home.path().join("keys"));
    let browser = scene.visitor().await;
    let quiet = sealjar(home, &keys, browser.cookie());
    assert!(!quiet.contains("revoked by"), "{quiet}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env_remove("REDIS_URL");
    let revoke = ["revoke", "subject", "7", "--reason", "a lost phone"];
    assert!(command.args(revoke).output().unwrap().status.success());
    let told = sealjar(home, &keys, browser.cookie());
    for word in ["refused for", "the subject ", "revoked by", "command line, user ", "reason", "a lost phone"] {
        assert!(told.contains(word), "`{word}` is missing in {told}");
    }
    // Somebody who has another audit, or none, is told the rest.
    scene.operator.refresh().await.unwrap();
    let explained = scene.explain(&browser).await;
    assert_eq!(serde_json::to_value(&explained).unwrap()["hit"]["scope"], "subject");
}

fn sealjar(home: &Path, keys: &Path, cookie: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env_remove("REDIS_URL").arg("--keys").arg(keys);
    String::from_utf8(command.args(["explain", cookie]).output().unwrap().stdout).unwrap()
}

/// A key that is unknown where `explain` runs, and one that has not reached the app.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_key_is_told() {
    let scene = Scene::new().await;
    let browser = scene.visitor().await;
    let (home, theirs) = (scene.home.path(), scene.home.path().join("keys"));
    let here = sealjar(home, &theirs, browser.cookie());
    assert!(here.starts_with("live\n") && here.contains(" (active)\n"), "{here}");
    // Another folder, with the same list key and without the key.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(theirs.join("list.key"), elsewhere.path().join("list.key")).unwrap();
    let other = KeyFolder::new(elsewhere.path());
    let key = other.new_key(Clock::system().now().seconds()).unwrap();
    let unknown = sealjar(home, elsewhere.path(), browser.cookie());
    let name = sealjar::io::follow::process_name();
    assert!(
        unknown.starts_with("unknown_key\n") && unknown.contains(&format!("(unknown here; loaded by {name})")),
        "{unknown}"
    );
    let operator = Operator::open(&ListPlace::in_home(home), other, None, Clock::system()).await.unwrap();
    let explained = operator.explain(browser.cookie()).await.unwrap();
    assert_eq!(explained.key_nodes.unwrap().have, std::slice::from_ref(&name));
    assert_ne!(explained.key.unwrap(), key.id().to_string());

    // A second node has that folder: what it seals, the first one cannot open.
    let second: Sessions<Visitor> =
        scene.home.builder().keys(elsewhere.path()).clock(Clock::system()).start().await.unwrap();
    let mut guest = Browser::default();
    guest.log_in(&second, "8").await;
    assert_eq!(guest.open(&scene.sessions).await.verdict(), Verdict::UnknownKey);
    let explained = operator.explain(guest.cookie()).await.unwrap();
    let nodes = explained.key_nodes.unwrap();
    assert_eq!((nodes.have.len(), nodes.lack.len()), (1, 1));
    let half = sealjar(home, elsewhere.path(), guest.cookie());
    assert!(half.starts_with("live\n") && half.contains(&format!("(active; not loaded by {name})")), "{half}");

    // The subject is cut off: the program says it in a sentence.
    scene.operator.revoke(&Scope::Subject("7".into())).await.unwrap();
    let refused = sealjar(home, &theirs, browser.cookie());
    assert!(refused.starts_with("revoked_subject\n"), "{refused}");
    let line = refused.lines().find(|line| line.trim_start().starts_with("refused for")).unwrap();
    assert!(line.contains("the subject ") && line.contains(" was cut off as of 20"), "{line}");
}
