//! What is asked for again at the admin endpoint: the next page of the audit, a change with the same key, an operation
//! that does not end.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod support_sessions;

use std::time::Duration;

use admin_support::{Ask, Endpoint, PATIENCE, json, token};
use sealjar::Sessions;
use sealjar::admin::guard::Site;
use sealjar::admin::scope::{Scope, Scopes};
use sealjar::admin::tokens::TokenFile;
use sealjar::admin::{Admin, routes};
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::operator::Operator;
use serde_json::{Value, json as value};
use support_sessions::Home;

/// A home with an app that follows its list.
async fn stage() -> (tempfile::TempDir, Sessions<u32>, Endpoint) {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    let app = Sessions::builder("shop").home(home.path()).localhost().start().await.unwrap();
    let endpoint = Endpoint::start(home.path(), None);
    (home, app, endpoint)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn numbers(records: &Value) -> Vec<u64> {
    records.as_array().unwrap().iter().map(|record| record["seq"].as_u64().unwrap()).collect()
}

/// Pages of the audit, newest first. Each look at one is a record itself, so it grows meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_the_audit_show_every_record_once_while_it_grows() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "read,revoke");
    let revoke = async |n: u32| {
        let wanted = value!({ "scope": "subject", "target": format!("canary-{n}") });
        assert_eq!(endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await.status, 201);
    };
    for n in 0..25 {
        revoke(n).await;
    }
    let before = json(home.path(), None, &["audit", "list", "--limit", "500"]);
    let attempts = before["records"].as_array().unwrap().iter().filter(|record| record["event"] == "attempt").cloned();
    let attempts = numbers(&Value::Array(attempts.collect()));
    for (wanted, limit, pages, filter) in
        [(numbers(&before["records"]), 20, None, ""), (attempts, 7, Some(4), "&event=attempt")]
    {
        let first = wanted[0] + 1;
        let (mut seen, mut cursor, mut asked) = (Vec::new(), first.to_string(), 0);
        loop {
            let path = format!("/v1/audit?limit={limit}&cursor={cursor}{filter}");
            let page = endpoint.get(&token, &path).await;
            let records = numbers(&page["records"]);
            assert!(records.len() <= limit, "{page}");
            seen.extend(records);
            asked += 1;
            revoke(100).await;
            let Some(next) = page["next"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(seen, wanted, "{filter}");
        assert_eq!(asked, pages.unwrap_or_else(|| wanted.len().div_ceil(limit)));
    }
    let newest = numbers(&endpoint.get(&token, "/v1/audit?limit=1").await["records"]);
    assert!(newest[0] > numbers(&before["records"])[0], "without a cursor it begins with the newest");
    for wrong in ["cursor=x", "cursor=-1", "cursor=9007199254740992", "limit=0", "limit=501", "cursor=1&cursor=2"] {
        let refused = endpoint.ask(&token, "GET", &format!("/v1/audit?{wrong}"), None).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{wrong}");
    }
}

/// A rotation, and the emergency: who heard no answer asks again, and nothing is done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_and_a_compromise_with_the_same_key_happen_once() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "read,keys");
    // The same key for both: it belongs to its route.
    let post = async |path: &str, body: &Value| {
        let ask = Ask::new("POST", path).token(&token).field("Idempotency-Key", "k").json(&body.to_string());
        ask.send(endpoint.address).await
    };
    let attempts = async |action: &str| {
        let attempts = endpoint.get(&token, "/v1/audit?event=attempt").await;
        attempts["records"].as_array().unwrap().iter().filter(|record| record["action"] == action).count()
    };
    let keys = async || endpoint.get(&token, "/v1/keys").await["keys"].as_array().unwrap().clone();
    let leaked = keys().await[0]["id"].as_str().unwrap().to_owned();
    let compromise = format!("/v1/keys/{leaked}:compromise");
    for (path, action, status) in [("/v1/rotations", "rotate", 201), (&compromise, "compromise_key", 201)] {
        let body = value!({ "reason": "laptop stolen" });
        let (first, count) = (post(path, &body).await, keys().await.len());
        assert_eq!(first.status, status, "{first:?}");
        let again = post(path, &body).await;
        assert_eq!((again.status, again.json()), (status, first.json()), "{path}");
        assert_eq!(again.field("location"), first.field("location"), "{path}");
        assert_eq!((attempts(action).await, keys().await.len()), (1, count), "{path} happened once");
        let other = post(path, &value!({ "reason": "another" })).await;
        assert_eq!((other.status, other.problem().as_str()), (422, "other-request"), "{path}");
    }
    // What a rotation says without that: the key is on its way already.
    let first = post("/v1/rotations", &value!({ "reason": "laptop stolen" })).await.json();
    assert_eq!(first["found"], "new", "{first}");
    let bare = endpoint.ask(&token, "POST", &compromise, Some(&value!({ "reason": "laptop stolen" }))).await;
    assert_ne!(
        bare.body,
        post(&compromise, &value!({ "reason": "laptop stolen" })).await.body,
        "that is a new request"
    );
    assert_eq!(attempts("compromise_key").await, 2);
}

/// A node that accepts whatever it knows when it is cut off from the list (`allow_when_lost`) is waited for without end:
/// after 90 s the operation is called incomplete, and goes on being looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_is_incomplete_after_90_seconds_and_ends_when_the_node_is_taken_off() {
    let home = Home::new();
    let sessions = home.start().await;
    drop(sessions.allow_when_lost());
    let open = async || {
        let folder = KeyFolder::new(home.path().join("keys"));
        Operator::open(&ListPlace::in_home(home.path()), folder, None, home.clock()).await.unwrap()
    };
    let (operator, looker) = (open().await, open().await);
    let scopes = Scopes::of(&[Scope::Read, Scope::Revoke, Scope::Keys]);
    let made = TokenFile::in_home(home.path()).make("tool", scopes, support_sessions::START, None).unwrap();
    let token = made.0.tell();
    let routes = routes(&Admin::new(operator, None, home.path(), Site::loopback()));
    let ask = async |method: &str, path: &str, body: &str| {
        let request = warp::test::request().method(method).path(path).header("host", "localhost");
        let request =
            request.header("authorization", format!("Bearer {}", *token)).remote_addr(([127, 0, 0, 1], 9).into());
        let request =
            if body.is_empty() { request } else { request.header("content-type", "application/json").body(body) };
        let reply = request.reply(&routes).await;
        serde_json::from_slice::<Value>(reply.body()).unwrap()
    };
    until("the node says that it never lapses", async || {
        let nodes = looker.nodes().await.unwrap().nodes;
        nodes.len() == 1 && nodes[0].report.as_ref().is_some_and(|report| report.lease_ms.is_none())
    })
    .await;
    // As in a crash: it says no goodbye, and hears nothing more.
    drop(sessions);
    let begun = ask("POST", "/v1/revocations", r#"{"scope":"subject","target":"canary-ada"}"#).await;
    let place = format!("/v1/operations/{}", begun["id"].as_str().unwrap());
    let state = async || {
        let operation = ask("GET", &place, "").await;
        (operation["state"].as_str().unwrap().to_owned(), operation["nodes"]["outstanding"].as_array().unwrap().clone())
    };
    let (name, missing) = state().await;
    assert_eq!((name.as_str(), missing.len()), ("committed", 1), "{begun}");
    home.jump(Duration::from_secs(90));
    assert_eq!(state().await.0, "committed", "90 s are not more than 90 s");
    home.jump(Duration::from_secs(1));
    assert_eq!(state().await, ("incomplete".to_owned(), missing.clone()), "and it is named still");
    let id = missing[0]["id"].as_str().unwrap();
    ask("POST", &format!("/v1/nodes/{id}:forget"), "").await;
    assert_eq!(state().await, ("in_force".to_owned(), Vec::new()), "nobody is waited for any more");
}
