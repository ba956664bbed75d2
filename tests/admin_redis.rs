//! The admin endpoint over a server that goes away, comes back, and forgets.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod redis_support;

use std::time::Duration;

use admin_support::{Ask, Endpoint, PATIENCE, json, token};
use redis_support::Server;
use serde_json::{Value, json as value};
use tokio::io::AsyncBufReadExt as _;

/// A home, a server with a list, an endpoint, a token. No app.
fn stage() -> (tempfile::TempDir, Server, Endpoint, String) {
    let (home, server) = (tempfile::tempdir().unwrap(), Server::start());
    json(home.path(), None, &["keys", "init"]);
    assert_eq!(json(home.path(), Some(&server.admin_url()), &["store", "init"])["made"], "new");
    let endpoint = Endpoint::start(home.path(), Some(&server.admin_url()));
    let token = token(home.path(), "read,revoke.all,keys");
    (home, server, endpoint, token)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_nothing_is_claimed_and_afterwards_all_goes_on() {
    let (home, server, endpoint, token) = stage();
    let wanted = value!({ "scope": "subject", "target": "canary-ada", "reason": "drill" });
    let first = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
    assert_eq!(first.status, 201);
    let anew = endpoint.ask(&token, "POST", "/v1/store:init", Some(&value!({ "after_loss": true }))).await;
    assert_eq!((anew.status, anew.problem().as_str()), (409, "wrong-state"), "nothing was lost");
    let stream = Ask::new("GET", "/v1/events").token(&token).connect(endpoint.address).await;
    let mut lines = tokio::io::BufReader::new(stream).lines();
    let mut told = async |wanted: &str| -> Value {
        let found = async {
            while lines.next_line().await.unwrap().expect("the stream goes on") != format!("event: {wanted}") {}
            let data = lines.next_line().await.unwrap().unwrap();
            serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    };
    told("nodes").await;
    server.kill();
    assert_eq!(told("store").await["state"], "away");
    for path in ["/v1/nodes", "/v1/revocations", "/v1/store", "/v1/keys"] {
        let answer = endpoint.ask(&token, "GET", path, None).await;
        assert_eq!((answer.status, answer.problem().as_str()), (503, "store-unavailable"), "{path}");
        assert!(answer.field("retry-after").is_some() && !answer.body.contains(redis_support::PASSWORD));
    }
    let refused = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"));
    let ready = Ask::new("GET", "/readyz").send(endpoint.address).await;
    assert_eq!(ready.status, 503);
    assert!(!ready.body.contains("127.0.0.1"), "nobody showed a token, so it does not say where: {}", ready.body);
    assert_eq!(Ask::new("GET", "/healthz").send(endpoint.address).await.status, 200, "the process is well");
    server.restart();
    assert_eq!(told("store").await["state"], "back");
    until("it is ready", async || Ask::new("GET", "/readyz").send(endpoint.address).await.status == 200).await;
    let again = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
    assert_eq!(again.status, 201);
    let target = first.json()["target"].as_str().unwrap().to_owned();
    let audit = endpoint.get(&token, &format!("/v1/audit?target={target}")).await;
    let records = audit["records"].as_array().unwrap();
    let told: Vec<_> =
        records.iter().map(|record| (record["event"].as_str().unwrap(), record["status"].as_u64())).collect();
    let done = [("outcome", Some(201)), ("attempt", None)];
    assert_eq!(told, [&done[..], &[("refused", Some(503))], &done].concat(), "{audit}");
    assert_eq!(json(home.path(), None, &["audit", "verify"])["whole"], true);
}

/// Nobody else is left who knows the list: the endpoint does, and gives it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_forgets_the_endpoint_gives_back() {
    let (home, server, endpoint, token) = stage();
    let wanted = value!({ "scope": "subject", "target": "canary-ada" });
    let target = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await.json()["target"].clone();
    let before = endpoint.get(&token, "/v1/store").await["incarnation"].clone();
    server.command(&["FLUSHALL"]).await;
    let path = format!("/v1/revocations?target={}", target.as_str().unwrap());
    until("another life has begun", async || {
        let answer = endpoint.ask(&token, "GET", "/v1/store", None).await;
        answer.status == 200 && answer.json()["incarnation"] != before
    })
    .await;
    until("it is given back", async || {
        let found = endpoint.get(&token, &path).await;
        found["revocations"].as_array().is_some_and(|found| found.len() == 1)
    })
    .await;
    // No node has served through the loss: those that the list does not name any more may know more.
    assert_eq!(endpoint.get(&token, "/v1/store").await["healed"], false, "they have their time");
    // A tool that reads the list anew finds it there.
    let other = Endpoint::start(home.path(), Some(&server.admin_url()));
    let found = other.get(&token, &path).await;
    assert_eq!(found["revocations"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(other.get(&token, "/v1/nodes").await["nodes"], value!([]), "tools are no nodes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_not_there_are_not_claimed() {
    let (_home, server, endpoint, token) = stage();
    let wanted = value!({ "scope": "label", "target": "x", "wait": "replicated", "timeout_seconds": 1 });
    let answer = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
    assert_eq!(
        (answer.status, &answer.json()["state"], &answer.json()["replicas"]),
        (202, &value!("committed"), &value!(0))
    );
    let port = server.port().to_string();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &port, "--masterauth", redis_support::PASSWORD]);
    let wanted = value!({ "scope": "label", "target": "x", "wait": "replicated", "timeout_seconds": 5 });
    // The first replica begins another history, and so another life of the list.
    until("it is replicated", async || {
        let answer = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
        let (status, operation) = (answer.status, answer.json());
        assert_eq!(status == 201, operation["state"] == "replicated", "{operation}");
        assert_eq!(status == 201, operation["replicas"] == 1, "{operation}");
        status == 201
    })
    .await;
    drop(replica);
}
