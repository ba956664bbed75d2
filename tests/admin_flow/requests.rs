//! Streams, pages, keys that make a request happen once, and clients that go away.

use std::collections::BTreeSet;

use serde_json::{Value, json as value};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use crate::admin_support::{Ask, PATIENCE};
use crate::stage::{Node, Stage, until};
use crate::support_sessions::Browser;

pub async fn what_changes_is_told_as_it_changes(stage: Stage) {
    let (sessions, node, endpoint) = (stage.app().await, Node::start(&stage), stage.endpoint());
    let token = stage.token("read,revoke");
    let stream = Ask::new("GET", "/v1/events").token(&token).connect(endpoint.address).await;
    let mut lines = tokio::io::BufReader::new(stream).lines();
    let mut event = async |name: &str, wanted: &dyn Fn(&Value) -> bool| {
        let found = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the stream goes on");
                if line == format!("event: {name}") {
                    let data = lines.next_line().await.unwrap().unwrap();
                    let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                    if wanted(&data) {
                        return data;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {name}"))
    };
    event("hello", &|hello| hello["records"].is_u64()).await;
    event("nodes", &|nodes| nodes["nodes"].as_array().unwrap().len() == 2).await;
    node.signal("STOP");
    let wanted = value!({ "scope": "subject", "target": "canary-ada" });
    let operation = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await.json();
    let is_it = |told: &Value| told["id"] == operation["id"];
    let told = event("operation", &|told| is_it(told) && told["nodes"]["confirmed"] == 1).await;
    assert_eq!(told["nodes"]["outstanding"][0]["name"], node.name());
    node.signal("CONT");
    event("operation", &|told| is_it(told) && told["state"] == "in_force").await;
    // What others revoke is told as well.
    sessions.revoke_tenant("acme").await.unwrap();
    let news = event("revocations", &|news| {
        news["revocations"].as_array().unwrap().iter().any(|row| row["kind"] == "cut_off")
    });
    assert_eq!(news.await["whole"], false);
}

pub async fn pages_show_every_revocation_once(stage: Stage) {
    let (sessions, endpoint) = (stage.app().await, stage.endpoint());
    let token = stage.token("read,revoke");
    let mut browser = Browser::default();
    browser.log_in(&sessions, "canary-ada").await;
    let handle = browser.open(&sessions).await.handle().unwrap();
    let mut handles = BTreeSet::new();
    for n in 0..230 {
        let handle = sealjar::Handle { id: sealjar::id::ShortId(n), day: handle.day };
        sessions.revoke_session(handle).await.unwrap();
        handles.insert(handle.to_string());
    }
    let (mut seen, mut path, mut pages) = (Vec::new(), "/v1/revocations?kind=session&limit=100".to_owned(), 0);
    loop {
        let page = endpoint.get(&token, &path).await;
        seen.extend(page["revocations"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/revocations?kind=session&limit=100&cursor={next}");
    }
    assert_eq!((pages, seen.len(), seen.into_iter().collect::<BTreeSet<_>>()), (3, 230, handles));
    let one = endpoint.get(&token, "/v1/revocations?target=00000000000000a5").await;
    assert_eq!(one["revocations"].as_array().unwrap().len(), 1, "{one}");
    for wrong in
        ["limit=0", "limit=501", "limit=x", "cursor=zz", "kind=junk", "target=bob", "what=1", "limit=1&limit=2"]
    {
        let refused = endpoint.ask(&token, "GET", &format!("/v1/revocations?{wrong}"), None).await;
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{wrong}");
    }
}

pub async fn a_key_makes_a_request_happen_once(stage: Stage) {
    let (_sessions, endpoint) = (stage.app().await, stage.endpoint());
    let (token, other) = (stage.token("read,revoke"), stage.token("revoke"));
    let ask = |token: &str, key: &str, target: &str| {
        let body = value!({ "scope": "subject", "target": target }).to_string();
        Ask::new("POST", "/v1/revocations").token(token).field("Idempotency-Key", key).json(&body)
    };
    let send = async |ask: Ask| ask.send(endpoint.address).await;
    let (first, again) = (send(ask(&token, "k1", "canary-ada")).await, send(ask(&token, "k1", "canary-ada")).await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((first.json(), first.field("location")), (again.json(), again.field("location")));
    let refused = send(ask(&token, "k1", "bob")).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "other-request"));
    assert_ne!(
        send(ask(&other, "k1", "canary-ada")).await.json()["id"],
        first.json()["id"],
        "keys belong to their token"
    );
    for key in ["", &"k".repeat(256)] {
        assert_eq!(send(ask(&token, key, "canary-ada")).await.problem(), "bad-request");
    }
    // Many at once: one does it, the others hear the same or that it is being done.
    let all: Vec<_> = (0..12)
        .map(|_| {
            tokio::spawn({
                let (ask, address) = (ask(&token, "k2", "canary-ada"), endpoint.address);
                async move { ask.send(address).await }
            })
        })
        .collect();
    let (mut ids, mut busy) = (BTreeSet::new(), 0);
    for one in all {
        let answer = one.await.unwrap();
        if answer.status == 201 {
            ids.insert(answer.json()["id"].as_str().unwrap().to_owned());
        } else {
            assert_eq!((answer.status, answer.problem().as_str()), (409, "in-progress"));
            busy += 1;
        }
    }
    assert_eq!(ids.len(), 1, "{busy} were told to wait");
    let operations = endpoint.get(&token, "/v1/operations").await;
    assert_eq!(operations["operations"].as_array().unwrap().len(), 3, "k1, k1 of the other token, k2: {operations}");
    let attempts = endpoint.get(&token, "/v1/audit?event=attempt").await;
    let revoked = attempts["records"].as_array().unwrap().iter().filter(|record| record["action"] == "revoke");
    assert_eq!(revoked.count(), 3);
}

pub async fn a_client_that_hangs_up_stops_nothing(stage: Stage) {
    let (_sessions, node, endpoint) = (stage.app().await, Node::start(&stage), stage.endpoint());
    let token = stage.token("read,revoke");
    node.signal("STOP");
    let wanted = value!({ "scope": "subject", "target": "canary-ada", "wait": "in_force", "timeout_seconds": 2 });
    let ask = Ask::new("POST", "/v1/revocations").token(&token).field("Idempotency-Key", "k").json(&wanted.to_string());
    let mut stream = ask.connect(endpoint.address).await;
    until(async || endpoint.get(&token, "/v1/operations").await["operations"].as_array().unwrap().len() == 1).await;
    stream.shutdown().await.unwrap();
    drop(stream);
    let busy = ask.send(endpoint.address).await;
    assert_eq!((busy.status, busy.problem().as_str()), (409, "in-progress"), "it is still at work");
    assert_eq!(busy.field("retry-after"), Some("2"));
    until(async || {
        let outcome = endpoint.get(&token, "/v1/audit?event=outcome").await;
        // Making the token is written down as well.
        outcome["records"].as_array().unwrap().iter().filter(|record| record["action"] == "revoke").count() == 1
    })
    .await;
    // The outcome is written a moment before the answer is kept.
    let mut again = ask.send(endpoint.address).await;
    while again.status == 409 {
        again = ask.send(endpoint.address).await;
    }
    assert_eq!((again.status, &again.json()["state"]), (202, &value!("committed")), "and was done once");
}
