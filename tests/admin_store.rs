//! `/v1/store` over both stores: what the list takes up, what is risky, and how a list that nobody gives back is made
//! anew.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod redis_support;

use std::path::Path;
use std::time::Duration;

use admin_support::{Endpoint, PATIENCE, json, token};
use redis_support::Server;
use sealjar::Sessions;
use sealjar::revocation::Freshness;
use serde_json::{Value, json as value};

const KEYS: &str = "read,revoke.all";

async fn app(home: &Path, list: &str) -> Sessions<u32> {
    Sessions::builder("shop").keys(home.join("keys")).list(list).start().await.unwrap()
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    home
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Code and severity of each risk.
fn risks(store: &Value) -> Vec<(&str, &str)> {
    let risks = store["risks"].as_array().unwrap().iter();
    risks.map(|risk| (risk["code"].as_str().unwrap(), risk["severity"].as_str().unwrap())).collect()
}

/// What `sealjar doctor` finds, in the same form as the risks.
fn found(home: &Path, list: Option<&str>) -> Vec<Value> {
    let all = json(home, list, &["doctor"]);
    let bad = |finding: &&Value| finding["severity"] != "ok";
    all["findings"].as_array().unwrap().iter().filter(bad).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_says_what_it_takes_up() {
    let home = home();
    let list = home.path().join("list.db");
    let sessions = app(home.path(), &format!("sqlite:{}", list.display())).await;
    let (endpoint, token) = (Endpoint::start(home.path(), None), token(home.path(), KEYS));
    let before = endpoint.get(&token, "/v1/store").await;
    assert_eq!(risks(&before), [], "{before}");
    assert_eq!((&before["memory"]["server"], &before["memory"]["limit"]), (&Value::Null, &Value::Null));
    let file = std::fs::metadata(&list).unwrap().len();
    assert!(before["memory"]["list"].as_u64().unwrap() >= file, "{before}");
    for n in 0..300 {
        sessions.revoke_label(&format!("label {n}")).await.unwrap();
    }
    let after = endpoint.get(&token, "/v1/store").await;
    let grown = |of: &str| after["memory"][of].as_u64().unwrap() - before["memory"][of].as_u64().unwrap();
    assert!(grown("here") >= 300 * 24 && grown("here") < 100_000, "a tag, a position, a day: {after}");
    assert!(grown("list") > 0, "{after}");
    std::fs::set_permissions(&list, std::os::unix::fs::PermissionsExt::from_mode(0o604)).unwrap();
    let open = endpoint.get(&token, "/v1/store").await;
    assert_eq!(risks(&open), [("list_file_open", "warning")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_says_what_it_uses_and_its_risks_are_the_doctors() {
    let (home, server) = (home(), Server::start());
    let list = server.admin_url();
    json(home.path(), Some(&list), &["store", "init"]);
    let sessions = app(home.path(), &server.url()).await;
    let (endpoint, token) = (Endpoint::start(home.path(), Some(&list)), token(home.path(), KEYS));
    let good = endpoint.get(&token, "/v1/store").await;
    assert_eq!(risks(&good), [], "{good}");
    assert_eq!(good["memory"]["limit"], Value::Null);
    assert!(good["memory"]["server"].as_u64().unwrap() > 100_000, "{good}");
    for n in 0..10 {
        sessions.revoke_label(&format!("label {n}")).await.unwrap();
    }
    for setting in [["maxmemory", "64mb"], ["maxmemory-policy", "allkeys-lru"], ["appendonly", "no"], ["save", ""]] {
        server.command(&[&["CONFIG", "SET"], &setting[..]].concat()).await;
    }
    let bad = endpoint.get(&token, "/v1/store").await;
    assert_eq!(risks(&bad), [("eviction_policy", "problem"), ("no_persistence", "problem")], "{bad}");
    assert_eq!(bad["memory"]["limit"], 64 * 1024 * 1024);
    assert_eq!(bad["memory"]["list"], 10 * 16, "ten records of 16 bytes");
    assert_eq!(bad["risks"], Value::Array(found(home.path(), Some(&list))), "the same words");
}

/// The file is gone, and no app is left: the endpoint makes it, logs everybody out, and gives back what it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_is_made_anew() {
    let home = home();
    let list = home.path().join("list.db");
    drop(app(home.path(), &format!("sqlite:{}", list.display())).await);
    let (endpoint, token) = (Endpoint::start(home.path(), None), token(home.path(), KEYS));
    let wanted = value!({ "scope": "label", "target": "x" });
    assert_eq!(endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await.status, 201);
    let life = endpoint.get(&token, "/v1/store").await["incarnation"].clone();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(home.path().join(format!("list.db{end}")));
    }
    assert_eq!(endpoint.ask(&token, "GET", "/v1/store", None).await.status, 503);
    made_anew(&endpoint, &token, &life).await;
    assert_eq!(listed(&endpoint, &token, "cut_off").await, 1, "what the endpoint knew is there again");
}

/// The server lost the list, and the app that knows it was killed: the list waits for it, and an operator does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_nobody_gives_back_is_made_anew() {
    let (home, server) = (home(), Server::start());
    json(home.path(), Some(&server.admin_url()), &["store", "init"]);
    let sessions = app(home.path(), &server.url()).await;
    assert_eq!(sessions.freshness(), Freshness::Fresh);
    let (endpoint, token) = (Endpoint::start(home.path(), Some(&server.admin_url())), token(home.path(), KEYS));
    let life = endpoint.get(&token, "/v1/store").await["incarnation"].clone();
    until("the endpoint knows that the app is there", async || {
        endpoint.get(&token, "/v1/nodes").await["nodes"].as_array().unwrap().len() == 1
    })
    .await;
    // Like a process that was killed: it says no goodbye.
    drop(sessions);
    server.command(&["FLUSHALL"]).await;
    until("the list waits for the app", async || {
        let store = endpoint.ask(&token, "GET", "/v1/store", None).await;
        store.status == 200 && store.json()["healed"] == false && risks(&store.json()) == [("healing", "warning")]
    })
    .await;
    let refused = endpoint.ask(&token, "POST", "/v1/store:init", Some(&value!({}))).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "wrong-state"));
    assert!(refused.body.contains("after_loss"), "{refused:?}");
    made_anew(&endpoint, &token, &life).await;
}

async fn listed(endpoint: &Endpoint, token: &str, kind: &str) -> usize {
    let page = endpoint.get(token, &format!("/v1/revocations?kind={kind}")).await;
    page["revocations"].as_array().unwrap().len()
}

async fn made_anew(endpoint: &Endpoint, token: &str, life: &Value) {
    let wanted = value!({ "after_loss": true, "reason": "the disk broke" });
    let dry = value!({ "after_loss": true, "dry_run": true });
    let before = endpoint.ask(token, "GET", "/v1/store", None).await;
    for _ in 0..2 {
        let said = endpoint.ask(token, "POST", "/v1/store:init", Some(&dry)).await;
        assert_eq!((said.status, said.json()), (200, value!({ "made": "after_loss", "dry_run": true })));
        let after = endpoint.ask(token, "GET", "/v1/store", None).await;
        assert_eq!((after.status, after.status == 200 && after.json()["healed"] == true), (before.status, false));
    }
    let made = endpoint.ask(token, "POST", "/v1/store:init", Some(&wanted)).await;
    assert_eq!((made.status, made.json()), (200, value!({ "made": "after_loss", "dry_run": false })));
    let mut store = Value::Null;
    until("the list is whole", async || {
        let answer = endpoint.ask(token, "GET", "/v1/store", None).await;
        store = if answer.status == 200 { answer.json() } else { Value::Null };
        store["healed"] == true
    })
    .await;
    assert!(&store["incarnation"] != life, "another life has begun: {store}");
    assert_eq!(risks(&store), []);
    assert_eq!(listed(endpoint, token, "all").await, 1, "everybody is logged out");
    let again = endpoint.ask(token, "POST", "/v1/store:init", Some(&wanted)).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "wrong-state"));
    let audit = endpoint.get(token, "/v1/audit?without=read").await;
    let told: Vec<_> = audit["records"].as_array().unwrap().iter().filter(|it| it["action"] == "init_store").collect();
    let last = told.iter().find(|record| record["event"] == "outcome").unwrap();
    assert_eq!((&last["result"], &last["reason"]), (&value!("after_loss"), &value!("the disk broke")), "{audit}");
}
