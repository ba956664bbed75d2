//! What is revoked, and how far that has come.

use std::time::{Duration, Instant};

use sealjar::{Login, Verdict};
use serde_json::json as value;

use crate::stage::{Node, Stage, until};
use crate::support_sessions::Browser;

pub async fn a_user_is_logged_out_everywhere_and_the_audit_says_who_and_why(stage: Stage) {
    let (sessions, endpoint) = (stage.app().await, stage.endpoint());
    let token = stage.token("read,revoke");
    let mut browser = Browser::default();
    browser.log_in(&sessions, "lovelace").await;
    let dry = value!({ "scope": "subject", "target": "lovelace", "dry_run": true });
    let dry = endpoint.ask(&token, "POST", "/v1/revocations", Some(&dry)).await;
    assert_eq!((dry.status, &dry.json()["records"], &dry.json()["nodes"]), (200, &value!(1), &value!(1)));
    assert_eq!(endpoint.get(&token, "/v1/operations").await["operations"], value!([]));
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live, "a dry run changes nothing");

    let wanted = value!({ "scope": "subject", "target": "lovelace", "reason": "laptop stolen", "wait": "in_force" });
    let done = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
    let operation = done.json();
    assert_eq!((done.status, &operation["state"]), (201, &value!("in_force")), "{operation}");
    let nodes = &operation["nodes"];
    assert_eq!((&nodes["total"], &nodes["confirmed"], &nodes["outstanding"]), (&value!(1), &value!(1), &value!([])));
    assert_eq!(nodes["store_whole"], true);
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::RevokedSubject, "in force is in force");
    assert_eq!(endpoint.get(&token, done.field("location").unwrap()).await, operation);

    let pasted = value!({ "cookie": format!("Cookie: a=1; {}", browser.cookie()) });
    let why = endpoint.ask(&token, "POST", "/v1/explain", Some(&pasted)).await.json();
    assert_eq!((&why["verdict"], &why["hit"]["scope"]), (&value!("revoked_subject"), &value!("subject")));
    assert_eq!((&why["hit"]["target"], &why["revoked_by"]["reason"]), (&operation["target"], &value!("laptop stolen")));
    assert_eq!((&why["revoked_by"]["actor"], &why["revoked_by"]["result"]), (&operation["actor"], &value!("in_force")));
    assert!(operation["actor"].as_str().unwrap().ends_with("(read,revoke)"), "the token is called by its name");

    // Who knows the name finds it; who does not finds no name.
    let found = stage.cli(&["audit", "list", "--subject", "lovelace"]);
    let events: Vec<_> = found["records"].as_array().unwrap().iter().map(|record| record["event"].clone()).collect();
    assert_eq!(events, ["outcome", "attempt", "read"], "the dry run was a look");
    let audit = std::fs::read_to_string(stage.home.path().join("audit.jsonl")).unwrap();
    // A name that no hash in hexadecimal can hold by chance.
    assert!(!audit.contains("lovelace") && !audit.contains(&token[14..]), "neither names nor tokens");
    assert!(!audit.contains(&browser.cookie()[10..40]) && audit.contains("laptop stolen"));
    assert_eq!(stage.cli(&["audit", "verify"])["whole"], true);

    browser.log_in(&sessions, "lovelace").await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live, "logging in again is how it is repaired");
}

pub async fn every_scope_revokes_what_it_says(stage: Stage) {
    let (sessions, endpoint) = (stage.app().await, stage.endpoint());
    let token = stage.token("read,revoke.all");
    let revoke = async |scope: &str, target: Option<&str>| {
        let mut wanted = value!({ "scope": scope, "wait": "in_force" });
        if let Some(target) = target {
            wanted["target"] = value!(target);
        }
        let done = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
        assert_eq!(done.status, 201, "{done:?}");
        done.json()
    };
    let mut browser = Browser::default();
    let login = || Login::subject("canary-ada").tenant("acme").label("laptop");
    for (scope, verdict) in [
        ("session", Verdict::RevokedSession),
        ("bare", Verdict::RevokedSession),
        ("tenant", Verdict::RevokedTenant),
        ("label", Verdict::RevokedLabel),
        ("all", Verdict::RevokedAll),
    ] {
        browser.log_in(&sessions, login()).await;
        let handle = browser.open(&sessions).await.handle().unwrap().to_string();
        let operation = match scope {
            "session" => revoke("session", Some(&handle)).await,
            "bare" => revoke("session", Some(&handle[..16])).await,
            "tenant" => revoke(scope, Some("acme")).await,
            "label" => revoke(scope, Some("laptop")).await,
            _ => revoke(scope, None).await,
        };
        assert_eq!(browser.open(&sessions).await.verdict(), verdict, "{operation}");
        let why =
            endpoint.ask(&token, "POST", "/v1/explain", Some(&value!({ "cookie": browser.cookie() }))).await.json();
        assert_eq!(why["revoked_by"]["action"], "revoke", "{scope}: {why}");
        assert_eq!(why["revoked_by"]["result"], "in_force");
    }
    let over = value!({ "scope": "session", "target": "0123456789abcdef-1999-12-31" });
    let refused = endpoint.ask(&token, "POST", "/v1/revocations", Some(&over)).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid"));
    assert!(refused.body.contains("no session that is alive today ends on 1999-12-31"), "{refused:?}");
}

pub async fn a_node_that_is_missing_is_named_and_the_operation_goes_on(stage: Stage) {
    let (_sessions, node, endpoint) = (stage.app().await, Node::start(&stage), stage.endpoint());
    let token = stage.token("read,revoke,keys");
    node.signal("STOP");
    let wanted = value!({ "scope": "label", "target": "x", "wait": "in_force", "timeout_seconds": 1 });
    let began = Instant::now();
    let answer = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "it waited");
    let operation = answer.json();
    assert_eq!((answer.status, &operation["state"]), (202, &value!("committed")), "{operation}");
    let missing = &operation["nodes"]["outstanding"];
    assert_eq!((missing.as_array().unwrap().len(), &missing[0]["name"]), (1, &value!(node.name())), "{operation}");
    assert_eq!((&operation["nodes"]["total"], &operation["nodes"]["confirmed"]), (&value!(2), &value!(1)));
    let nodes = endpoint.get(&token, "/v1/nodes").await;
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 2, "the endpoint itself is no node: {nodes}");
    let place = answer.field("location").unwrap();
    assert_eq!(endpoint.get(&token, place).await["state"], "committed");
    node.signal("CONT");
    until(async || endpoint.get(&token, place).await["state"] == "in_force").await;

    node.signal("STOP");
    let operation = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await.json();
    let id = operation["nodes"]["outstanding"][0]["id"].as_str().unwrap();
    let forget = format!("/v1/nodes/{id}:forget");
    for _ in 0..2 {
        let dry = endpoint.ask(&token, "POST", &format!("{forget}?dry_run=true"), None).await;
        assert_eq!((dry.status, &dry.json()["dry_run"]), (200, &value!(true)), "it is there still");
    }
    assert_eq!(endpoint.ask(&token, "POST", &forget, None).await.status, 200);
    assert_eq!(endpoint.ask(&token, "POST", &format!("{forget}?dry_run=true"), None).await.problem(), "not-found");
    assert_eq!(endpoint.ask(&token, "POST", &forget, None).await.problem(), "not-found");
    let place = format!("/v1/operations/{}", operation["id"].as_str().unwrap());
    assert_eq!(endpoint.get(&token, &place).await["state"], "in_force", "nobody waits for it any more");
}
