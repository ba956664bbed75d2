//! Keys reach the nodes through the list: wrapped, opened, acknowledged, erased. Over a real server.
#![cfg(feature = "redis")]

mod redis_support;
mod support_sessions;

use std::time::Duration;

use redis_support::captured::{Captured, is_alone};
use redis_support::{APP, Server};
use sealjar::id::KeyId;
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::key::{Key, RingSecret};
use sealjar::operator::{KeyStep, Operator, Staged};
use sealjar::revocation::node::KeyAck;
use sealjar::revocation::{Node, Parcel, Revocation, RevocationStore};
use sealjar::rotation::{KeyRecord, KeyState};
use sealjar::secret::Secret;
use sealjar::time::{Clock, Position};
use sealjar::{Sessions, Verdict};
use support_sessions::{Browser, Visitor};
use tempfile::TempDir;

/// 32 bytes that look random, and tell the secrets of a test apart.
fn ring_secret(byte: u8) -> RingSecret {
    let byte = |i| byte ^ u8::try_from(i).unwrap().wrapping_mul(37);
    RingSecret::dangerous_from_bytes(Secret::new(std::array::from_fn(byte)))
}

/// A node with a home of its own.
struct Host {
    home: TempDir,
    sessions: Sessions<Visitor>,
}

impl Host {
    async fn start(server: &Server, home: TempDir, secret: Option<RingSecret>) -> Self {
        let mut builder = Sessions::builder(APP).home(home.path()).list(server.url()).localhost();
        if let Some(secret) = secret {
            builder = builder.ring_secret(secret);
        }
        let sessions = builder.start().await.unwrap();
        Self { home, sessions }
    }

    async fn fresh(server: &Server, secret: Option<RingSecret>) -> Self {
        Self::start(server, tempfile::tempdir().unwrap(), secret).await
    }

    fn folder(&self) -> KeyFolder {
        KeyFolder::new(self.home.path().join("keys"))
    }

    fn sealing(&self) -> Option<KeyId> {
        self.sessions.key_ring().sealing().map(sealjar::ring::RingKey::id)
    }
}

async fn nodes(store: &dyn RevocationStore) -> Vec<Node> {
    store.nodes(Position(0)).await.unwrap().nodes
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 12 s: {what}");
}

/// What every node says of a key, when all say something that is not `Absent`.
async fn acks(store: &dyn RevocationStore, key: KeyId, count: usize) -> Vec<KeyAck> {
    until("all nodes answer", async || {
        let said: Vec<_> =
            nodes(store).await.iter().filter_map(|node| Some(node.report.as_ref()?.key(key)?.ack.clone())).collect();
        (said.len() == count && !said.contains(&KeyAck::Absent)).then_some(said)
    })
    .await
}

async fn publish(store: &dyn RevocationStore, key: KeyId, record: KeyRecord) {
    store.publish(&[Revocation::Key { key, record }]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_an_empty_folder_gets_all_from_the_list_and_a_staged_key_travels() {
    let server = Server::start();
    let first = Host::fresh(&server, Some(ring_secret(1))).await;
    let second = Host::fresh(&server, Some(ring_secret(1))).await;
    assert_eq!(first.sealing(), second.sealing(), "the key came through the list");
    assert_eq!(first.folder().list_key().unwrap().fingerprint(), second.folder().list_key().unwrap().fingerprint());
    let mut browser = Browser::default();
    browser.log_in(&first.sessions, "7").await;
    assert_eq!(browser.open(&second.sessions).await.verdict(), Verdict::Live);

    // What `keys rotate` does, by hand.
    let key = Key::generate(Clock::system().now().seconds()).unwrap();
    let list_key = first.folder().list_key().unwrap();
    let store = server.open_under(&list_key).await;
    let wrapped = ring_secret(1).wrap(APP, &key).unwrap();
    store.keep(&Parcel { name: format!("key:{}", key.id()), content: wrapped }).await.unwrap();
    store.keep(&Parcel { name: format!("probe:{}", key.id()), content: key.probe(APP).unwrap() }).await.unwrap();
    publish(&store, key.id(), KeyRecord::new(KeyState::Staged, 0)).await;
    assert_eq!(acks(&store, key.id(), 2).await, [KeyAck::Loaded, KeyAck::Loaded]);
    assert_ne!(first.sealing(), Some(key.id()), "staged keys do not seal");
    for host in [&first, &second] {
        assert!(host.folder().path().join(format!("{}.key", key.id())).exists(), "a copy is kept");
    }
    publish(&store, key.id(), KeyRecord::new(KeyState::Active, 1)).await;
    for host in [&first, &second] {
        until("it seals", async || (host.sealing() == Some(key.id())).then_some(())).await;
    }
    assert_eq!(browser.open(&second.sessions).await.verdict(), Verdict::Live, "under the older key");
    let old = first.sessions.key_ring().keys().map(|(old, _)| old.id()).find(|old| *old != key.id()).unwrap();
    publish(&store, old, KeyRecord::new(KeyState::Destroyed, 0)).await;
    for host in [&first, &second] {
        let file = host.folder().path().join(format!("{old}.key"));
        until("its file is erased", async || (!file.exists()).then_some(())).await;
        assert_eq!(browser.open(&host.sessions).await.verdict(), Verdict::RetiredKey);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_keys_are_on_their_way_does_not_cry_for_help() {
    if !is_alone("a_node_whose_keys_are_on_their_way_does_not_cry_for_help") {
        return;
    }
    let server = Server::start();
    let first = Host::fresh(&server, Some(ring_secret(1))).await;
    let (key, list_key) = (first.sealing().unwrap(), first.folder().list_key().unwrap());
    publish(&server.open_under(&list_key).await, key, KeyRecord::new(KeyState::Active, 1)).await;
    let captured = Captured::default();
    tracing::subscriber::set_global_default(captured.log()).unwrap();
    let second = Host::fresh(&server, Some(ring_secret(1))).await;
    assert_eq!(second.sealing(), Some(key));
    let log = captured.text();
    let at = |what: &str| log.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {log}"));
    let waits = at("no key may seal yet");
    assert!(log.lines().nth(waits).unwrap().contains("wrapped under the ring secret"), "it says what it waits for");
    assert!(waits < at("loaded a key that came through the list") && !log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_ring_secret_says_so() {
    let server = Server::start();
    let first = Host::fresh(&server, Some(ring_secret(1))).await;
    let copied = tempfile::tempdir().unwrap();
    let keys = copied.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    for entry in std::fs::read_dir(first.folder().path()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
    }
    let _second = Host::start(&server, copied, Some(ring_secret(2))).await;
    let key = Key::generate(Clock::system().now().seconds()).unwrap();
    let store = server.open_under(&first.folder().list_key().unwrap()).await;
    let wrapped = ring_secret(1).wrap(APP, &key).unwrap();
    store.keep(&Parcel { name: format!("key:{}", key.id()), content: wrapped }).await.unwrap();
    publish(&store, key.id(), KeyRecord::new(KeyState::Staged, 0)).await;
    let said = until("it refuses", async || {
        let reports = nodes(&store).await.into_iter().filter_map(|node| node.report);
        reports.filter_map(|report| report.key(key.id()).map(|said| said.ack.clone())).find_map(|ack| match ack {
            KeyAck::Refused(reason) => Some(reason),
            _ => None,
        })
    });
    let said = said.await;
    assert!(said.contains("ring secret here is not the one"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_under_a_key_that_has_just_come_is_opened_by_every_node() {
    let server = Server::start();
    let (first, second) =
        (Host::fresh(&server, Some(ring_secret(1))).await, Host::fresh(&server, Some(ring_secret(1))).await);
    // An emergency waits for nobody: one node has the replacement, and seals with it at once.
    let key = first.folder().new_key(Clock::system().now().seconds()).unwrap();
    let store = server.open_under(&first.folder().list_key().unwrap()).await;
    let wrapped = ring_secret(1).wrap(APP, &key).unwrap();
    until("the first has loaded its file", async || first.sessions.key_ring().state(key.id())).await;
    store.keep(&Parcel { name: format!("key:{}", key.id()), content: wrapped }).await.unwrap();
    publish(&store, key.id(), KeyRecord::new(KeyState::Active, 1)).await;
    until("the first seals with it", async || (first.sealing() == Some(key.id())).then_some(())).await;
    let mut browser = Browser::default();
    browser.log_in(&first.sessions, "7").await;
    assert_eq!(browser.open(&second.sessions).await.verdict(), Verdict::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_key_ids_refuse_no_honest_cookie_and_do_not_flood_the_store() {
    let server = Server::start();
    let host = Host::fresh(&server, None).await;
    let mut browser = Browser::default();
    browser.log_in(&host.sessions, "7").await;
    let (name, value) = browser.cookie().split_once('=').unwrap();
    let under = |n: u32| {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = engine.decode(value).unwrap();
        bytes[1..5].copy_from_slice(&n.to_be_bytes());
        Browser::with(&format!("{name}={}", engine.encode(bytes)))
    };
    assert_eq!(under(1).open(&host.sessions).await.verdict(), Verdict::UnknownKey, "the list was asked");
    assert_eq!(under(1).open(&host.sessions).await.verdict(), Verdict::UnknownKey, "and need not be asked again");
    let verdicts = async |n| under(n).open(&host.sessions).await.verdict();
    let mut said = Vec::new();
    for n in 2..50 {
        said.push(verdicts(n).await);
    }
    assert!(said.contains(&Verdict::ListUnavailable), "too many at once: nobody can tell, so nobody is refused");
    assert_eq!(browser.open(&host.sessions).await.verdict(), Verdict::Live);
}

/// As `docs/rotation.md` has it, step by step, with a tool that has no key folder at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_ring_secret_is_given_out_without_anybody_noticing() {
    let server = Server::start();
    let (first, second) =
        (Host::fresh(&server, Some(ring_secret(1))).await, Host::fresh(&server, Some(ring_secret(1))).await);
    let mut browser = Browser::default();
    browser.log_in(&first.sessions, "7").await;
    let old = first.sealing().unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    let tool = async |secret: u8, before: u8| {
        let (secret, before) = (ring_secret(secret), ring_secret(before));
        let (place, folder) = (ListPlace::parse(&server.admin_url()).unwrap(), nowhere.path().join("keys"));
        let secrets = [&secret, &before];
        let open = Operator::open_with(&place, KeyFolder::new(folder), Some(APP), Clock::system(), &secrets);
        open.await.unwrap().with_ring_secret(Some(secret))
    };

    // Who has neither can open nothing, and changes nothing.
    let list_key = first.folder().list_key().unwrap();
    let store = server.open_under(&list_key).await;
    let before = store.parcels().await.unwrap();
    let (place, folder) = (ListPlace::parse(&server.admin_url()).unwrap(), first.folder());
    let stranger = Operator::open(&place, KeyFolder::new(folder.path()), Some(APP), Clock::system()).await.unwrap();
    assert!(stranger.rewrap(&ring_secret(1)).await.unwrap_err().to_string().contains("--ring-secret"));
    let only_list_key = tempfile::tempdir().unwrap();
    KeyFolder::new(only_list_key.path()).keep_list_key(&list_key).unwrap();
    let folder = KeyFolder::new(only_list_key.path());
    let stranger = Operator::open(&place, folder, Some(APP), Clock::system()).await.unwrap();
    let stranger = stranger.with_ring_secret(Some(ring_secret(3)));
    assert_eq!(stranger.plan_rewrap(&ring_secret(4)).await.unwrap().unopened, [old]);

    let operator = tool(2, 1).await;
    let planned = operator.plan_rewrap(&ring_secret(1)).await.unwrap();
    assert!(planned.list_key && planned.keys == [(old, true)].into() && planned.unopened.is_empty(), "{planned:?}");
    assert_eq!(store.parcels().await.unwrap(), before, "a plan changes nothing");
    assert_eq!(operator.rewrap(&ring_secret(1)).await.unwrap(), planned);
    let again = operator.rewrap(&ring_secret(1)).await.unwrap();
    assert!(!again.list_key && again.keys == [(old, false)].into(), "{again:?}");
    assert_eq!(browser.open(&second.sessions).await.verdict(), Verdict::Live, "who runs does not notice");

    // One by one; the last one starts with nothing but the new secret.
    let Host { home, sessions } = first;
    drop(sessions);
    let first = Host::start(&server, home, Some(ring_secret(2))).await;
    drop(second);
    let second = Host::fresh(&server, Some(ring_secret(2))).await;
    assert_eq!((first.sealing(), second.sealing()), (Some(old), Some(old)));
    assert_eq!(browser.open(&second.sessions).await.verdict(), Verdict::Live);
    let late = tempfile::tempdir().unwrap();
    let builder = Sessions::<Visitor>::builder(APP).home(late.path()).list(server.url()).localhost();
    let refused = builder.ring_secret(ring_secret(1)).start().await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("the list key that came through") && refused.contains("ring secret"), "{refused}");

    // The nodes that were dropped said no goodbye, and are waited for; an operator takes them off.
    let store = server.open_under(&list_key).await;
    let dropped: Vec<_> = nodes(&store).await.iter().map(|node| node.id).collect();
    for node in dropped {
        // Who is alive registers again with its next beat.
        store.forget_node(node).await.unwrap();
    }
    until("both are back", async || (nodes(&store).await.len() == 2).then_some(())).await;
    let Staged::New(new) = operator.begin_rotation(None).await.unwrap() else { panic!("a key is on its way already") };
    until("it is promoted", async || operator.change_keys(KeyStep::Promote(new)).await.ok()).await;
    for host in [&first, &second] {
        until("it seals with the new key", async || (host.sealing() == Some(new)).then_some(())).await;
        assert_eq!(browser.open(&host.sessions).await.verdict(), Verdict::Live);
    }
    assert!(!nowhere.path().join("keys").exists(), "a tool keeps no list key");
}

#[cfg(feature = "cli")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_with_the_ring_secret_needs_no_key_folder() {
    let server = Server::start();
    let host = Host::fresh(&server, Some(ring_secret(1))).await;
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("ring.secret");
    std::fs::write(&file, ring_secret(1).to_file().as_bytes()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let sealjar = async |arguments: &[&str], secret: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command.current_dir(here.path()).env_remove("SEALJAR_HOME").env_remove("SEALJAR_RING_SECRET");
        command.env("REDIS_URL", server.admin_url()).env("SEALJAR_APP", APP).args(arguments);
        command.env("SEALJAR_RING_SECRET_FILE", if secret { file.as_os_str() } else { "".as_ref() });
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = sealjar(&["keys", "status"], false).await;
    assert!(code != Some(0) && said.contains("or the nodes' ring secret and the app"), "{said}");
    let before = host.sealing().unwrap().to_string();
    let (code, said) = sealjar(&["keys", "status"], true).await;
    assert!(code == Some(0) && said.contains(&before), "{said}");
    let (code, said) = sealjar(&["nodes", "list"], true).await;
    assert!(code == Some(0), "{said}");
    // One node with its keys on its disk is enough for a key to be promoted.
    let (code, said) = sealjar(&["keys", "rotate", "--wait", "30"], true).await;
    assert!(code == Some(0), "{said}");
    until("it seals with another", async || (host.sealing().unwrap().to_string() != before).then_some(())).await;
    assert!(!here.path().join("keys").exists());
}

/// What the doctor says of a host with a ring secret: exit code, codes, all of it.
#[cfg(feature = "cli")]
fn doctor(home: &std::path::Path, url: &str, secret: &std::path::Path) -> (Option<i32>, Vec<String>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env("REDIS_URL", url).env("SEALJAR_APP", APP).env_remove("SEALJAR_RING_SECRET");
    let output = command.env("SEALJAR_RING_SECRET_FILE", secret).args(["doctor", "--json"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let all: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let findings = all["findings"].as_array().unwrap();
    let codes = findings.iter().filter_map(|finding| Some(finding["code"].as_str()?.to_owned())).collect();
    (output.status.code(), codes, said)
}

#[cfg(feature = "cli")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_knows_the_ring_secret_and_says_what_is_wrong_with_it() {
    let server = Server::start();
    let host = Host::fresh(&server, Some(ring_secret(1))).await;
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8], mode| {
        let file = here.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        file
    };
    let good = write("good.secret", ring_secret(1).to_file().as_bytes(), 0o600);
    let other = write("other.secret", ring_secret(2).to_file().as_bytes(), 0o600);
    let open = write("open.secret", ring_secret(1).to_file().as_bytes(), 0o644);
    let junk = write("junk.secret", b"hunter2", 0o600);
    let look = async |home: &std::path::Path, url: &str, secret: &std::path::Path| {
        let (home, url, secret) = (home.to_owned(), url.to_owned(), secret.to_owned());
        tokio::task::spawn_blocking(move || doctor(&home, &url, &secret)).await.unwrap()
    };
    // `.localhost()` in these tests costs the cookie its prefix.
    let unguarded = "cookie_unguarded";
    let (url, app) = (server.admin_url(), server.url());
    let (missing, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(empty.path().join("keys")).unwrap();
    for home in [missing.path(), empty.path(), host.home.path()] {
        for url in [&url, &app] {
            let (code, codes, said) = look(home, url, &good).await;
            assert_eq!((code, &*codes), (Some(0), &[unguarded.to_owned()][..]), "{said}");
            assert!(
                said.contains("opens the list key in the list") && said.contains("the list of shop is whole"),
                "{said}"
            );
        }
    }
    let nowhere = here.path().join("nowhere.secret");
    for (secret, words) in [
        (&other, "the list key that came through"),
        (&open, "open to others (mode 0644)"),
        (&junk, "junk.secret"),
        (&nowhere, "nowhere.secret: it cannot be read"),
    ] {
        // A folder that is empty is no second problem: with the right ring secret it would be none.
        let (code, codes, said) = look(missing.path(), &url, secret).await;
        assert_eq!((code, &*codes), (Some(1), &["ring_secret".to_owned()][..]), "{said}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{words}: {said}");
        // A node with its folder runs, and would get no new key.
        let (code, codes, said) = look(host.home.path(), &url, secret).await;
        assert_eq!((code, codes), (Some(1), vec!["ring_secret".to_owned(), unguarded.to_owned()]), "{said}");
    }
    let (code, codes, said) = look(missing.path(), "redis://127.0.0.1:1", &good).await;
    assert_eq!((code, &*codes), (Some(1), &["unreachable".to_owned()][..]), "{said}");
    assert_eq!(std::fs::read_dir(missing.path()).unwrap().count(), 0, "the doctor changes nothing");

    // Without anything wrapped in the list, the folder is needed.
    let bare = Server::start();
    let _host = Host::fresh(&bare, None).await;
    let (code, codes, said) = look(missing.path(), &bare.admin_url(), &good).await;
    assert_eq!((code, codes), (Some(1), vec!["key_folder".to_owned(), "list_key".to_owned()]), "{said}");
}
