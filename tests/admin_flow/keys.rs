//! Key rotation over HTTP.

use sealjar::Verdict;
use serde_json::{Value, json as value};

use crate::stage::{Node, Stage, until};
use crate::support_sessions::{Browser, Visitor};

pub async fn a_key_is_rotated_step_by_step_and_a_shut_gate_says_for_whom_it_waits(stage: Stage) {
    let (sessions, endpoint) = (stage.app().await, stage.endpoint());
    let token = stage.token("read,keys");
    let post = async |path: &str, body: Value| endpoint.ask(&token, "POST", path, Some(&body)).await;
    let first = endpoint.get(&token, "/v1/keys").await["keys"][0]["id"].as_str().unwrap().to_owned();
    let dry = post("/v1/rotations", value!({ "dry_run": true })).await;
    assert_eq!(
        (dry.status, dry.json()),
        (
            200,
            value!({ "dry_run": true, "key": null, "found": null, "promoted": false, "waiting_for": [], "operation": null })
        )
    );
    assert_eq!(endpoint.get(&token, "/v1/rotations").await["staged"], Value::Null, "a dry run stages nothing");

    let node = Node::start(&stage);
    node.signal("STOP");
    let begun = post("/v1/rotations", value!({ "reason": "quarterly" })).await;
    let key = begun.json()["key"].as_str().unwrap().to_owned();
    assert_eq!((begun.status, &begun.json()["found"]), (201, &value!("new")));
    assert_eq!(begun.field("location"), Some(&*format!("/v1/keys/{key}")));
    assert_eq!(
        post("/v1/rotations", value!({})).await.json()["key"],
        key,
        "it goes on with the one that is on its way"
    );
    let promote = format!("/v1/keys/{key}:promote");
    // The living one has it soon; the frozen one is named.
    until(async || endpoint.get(&token, "/v1/rotations").await["staged"]["has"].as_array().unwrap().len() == 1).await;
    let shut = post(&promote, value!({})).await;
    assert_eq!((shut.status, shut.problem().as_str()), (409, "wrong-state"));
    let waiting_for = shut.json()["waiting_for"].as_array().unwrap().clone();
    assert_eq!(waiting_for.len(), 1, "{shut:?}");
    assert!(waiting_for[0].as_str().unwrap().starts_with(&node.name()), "{shut:?}");
    assert_eq!((&shut.json()["may_pass"], shut.field("retry-after")), (&value!(true), Some("2")));
    assert_eq!(endpoint.get(&token, &format!("/v1/keys/{first}")).await["role"], "seals");
    node.signal("CONT");
    let mut done = shut;
    until(async || {
        done = post(&promote, value!({ "reason": "quarterly" })).await;
        done.status == 201
    })
    .await;
    assert_eq!(endpoint.get(&token, &format!("/v1/keys/{key}")).await["role"], "seals");
    let place = done.field("location").unwrap();
    until(async || endpoint.get(&token, place).await["state"] == "in_force").await;
    let again = post(&promote, value!({})).await;
    let said = again.json();
    assert_eq!((again.status, &said["key"]), (200, &value!(key)), "it was done before: {said}");
    assert_eq!((&said["changes"], &said["operation"]), (&value!([]), &Value::Null), "{said}");

    let retire = format!("/v1/keys/{first}:retire");
    let shut = post(&retire, value!({})).await;
    assert_eq!(shut.status, 409);
    assert!(shut.body.contains("cookies under it may be good until"), "{shut:?}");
    let mut retired = shut;
    until(async || {
        retired = post(&retire, value!({ "force": true })).await;
        retired.status == 201
    })
    .await;
    let kept = post(&format!("/v1/keys/{first}:destroy"), value!({})).await;
    assert!(kept.status == 409 && kept.body.contains("its bytes are kept until"), "{kept:?}");
    assert_eq!(post(&format!("/v1/keys/{key}:abort"), value!({})).await.status, 409, "it is not staged any more");
    for (path, body) in [
        (&promote, value!({ "force": true })),
        (&retire, value!({ "replacement": "0badcafe" })),
        (&format!("/v1/keys/{key}:compromise"), value!({ "replacement": "me" })),
        (&"/v1/rotations".to_owned(), value!({ "force": false })),
    ] {
        assert_eq!(post(path, body).await.problem(), "invalid", "{path}");
    }
    let audit = stage.cli(&["audit", "list", "--target", &first, "--limit", "1"]);
    assert_eq!(audit["records"][0]["action"], "destroy_key", "what was refused is there too: {audit}");
    let mut browser = Browser::default();
    browser.log_in(&sessions, "canary-ada").await;
    let why = endpoint.ask(&token, "POST", "/v1/explain", Some(&value!({ "cookie": browser.cookie() }))).await.json();
    assert_eq!((&why["verdict"], &why["key"]), (&value!("live"), &value!(key)));
}

pub async fn a_rotation_that_is_waited_for_ends_with_the_promotion_or_names_who_is_missing(stage: Stage) {
    let (_sessions, endpoint, token) = (stage.app().await, stage.endpoint(), stage.token("read,keys"));
    let node = Node::start(&stage);
    let rotate = async |seconds: u32| {
        let wanted = value!({ "wait": "promoted", "timeout_seconds": seconds, "reason": "quarterly" });
        endpoint.ask(&token, "POST", "/v1/rotations", Some(&wanted)).await
    };
    node.signal("STOP");
    let late = rotate(1).await;
    let said = late.json();
    assert_eq!((late.status, &said["found"], &said["promoted"]), (202, &value!("new"), &value!(false)), "{said}");
    let waiting = said["waiting_for"].as_array().unwrap();
    assert!(waiting.iter().any(|who| who.as_str().unwrap().starts_with(&node.name())), "{said}");
    node.signal("CONT");
    let done = rotate(30).await;
    let told = done.json();
    assert_eq!((done.status, &told["found"], &told["promoted"]), (201, &value!("before"), &value!(true)), "{told}");
    assert_eq!((&told["key"], &told["operation"]["scope"]), (&said["key"], &value!("key")));
    let operation = done.field("location").unwrap().to_owned();
    until(async || endpoint.get(&token, &operation).await["state"] == "in_force").await;
    let keys = endpoint.get(&token, "/v1/keys").await;
    assert_eq!((&keys["keys"][0]["id"], &keys["keys"][0]["role"]), (&told["key"], &value!("seals")), "{keys}");
    let refused = endpoint.ask(&token, "POST", "/v1/rotations", Some(&value!({ "timeout_seconds": 61 }))).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid"));
}

pub async fn a_leaked_key_is_denied_and_everybody_logs_in_again(stage: Stage) {
    let (sessions, endpoint) = (stage.app().await, stage.endpoint());
    let token = stage.token("read,keys");
    let mut browser = Browser::default();
    browser.log_in(&sessions, "canary-ada").await;
    let leaked = endpoint.get(&token, "/v1/keys").await["keys"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/keys/{leaked}:compromise");
    let node = Node::start(&stage);
    node.signal("STOP");
    let plan = endpoint.ask(&token, "POST", &path, Some(&value!({ "dry_run": true }))).await;
    assert_eq!((plan.status, browser.open(&sessions).await.verdict()), (200, Verdict::Live), "{plan:?}");
    let done = endpoint.ask(&token, "POST", &path, Some(&value!({ "reason": "laptop of an operator" }))).await;
    assert_eq!(done.status, 201, "{done:?}");
    let changed = done.json();
    assert!(
        changed["changes"].as_array().unwrap().contains(&value!({ "key": leaked, "state": "compromised" })),
        "{changed}"
    );
    assert_ne!(changed["key"], leaked, "another one seals");
    let operation = async || endpoint.get(&token, done.field("location").unwrap()).await;
    let said = operation().await;
    assert_eq!(
        (&said["compromise"]["complete"], &said["compromise"]["nodes"]),
        (&value!(false), &Value::Null),
        "{said}"
    );
    assert!(said["compromise"]["waits"].as_str().unwrap().contains(&node.name()), "{said}");
    node.signal("CONT");
    until(async || operation().await["state"] == "in_force").await;
    until(async || operation().await["compromise"] == value!({ "complete": true, "nodes": 2, "waits": null })).await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::CompromisedKey);
    let why = endpoint.ask(&token, "POST", "/v1/explain", Some(&value!({ "cookie": browser.cookie() }))).await.json();
    assert_eq!(
        (&why["verdict"], &why["revoked_by"]["action"]),
        (&value!("compromised_key"), &value!("compromise_key"))
    );
    assert_eq!(why["revoked_by"]["reason"], "laptop of an operator", "{why}");
    let mut again = Browser::default();
    until(async || {
        let mut session = again.open(&sessions).await;
        let logged_in = session.login("canary-ada", Visitor { name: "canary-ada".into(), coins: 0 }).await.is_ok();
        if logged_in {
            again.store(session);
        }
        logged_in && again.open(&sessions).await.verdict() == Verdict::Live
    })
    .await;
    let more = endpoint.ask(&token, "POST", &path, Some(&value!({ "reason": "pressed twice" }))).await;
    let said = more.json();
    assert_eq!((more.status, &said["changes"], &said["operation"]), (200, &value!([]), &Value::Null), "{said}");
    assert_eq!(again.open(&sessions).await.verdict(), Verdict::Live, "nobody is logged out once more");
}
