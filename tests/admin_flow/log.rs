//! What the log says: each line with what it belongs to, and nothing that it should not know.

use serde_json::json as value;

use crate::admin_support::{Ask, Endpoint, command, json};
use crate::redis_support;
use crate::stage::{Stage, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_says_which_request_or_task_it_belongs_to() {
    let stage = Stage::redis();
    let _sessions = stage.app().await;
    let mut loud = command(stage.home.path(), stage.list().as_deref());
    loud.env("SEALJAR_LOG", "debug");
    let endpoint = Endpoint::run(loud, &[]);
    let made = json(stage.home.path(), None, &["token", "new", "--scope", "read,revoke", "--name", "canary-name"]);
    let [token, id] = ["token", "id"].map(|member| made[member].as_str().unwrap().to_owned());
    redis_support::canaries::plant(&token);

    let wanted = value!({ "scope": "subject", "target": "canary-ada", "reason": "canary-reason", "wait": "in_force" });
    let operation = endpoint.ask(&token, "POST", "/v1/revocations", Some(&wanted)).await.json();
    let ask = async |method: &str, path: &str| endpoint.ask(&token, method, path, None).await.status;
    assert_eq!(ask("GET", "/v1/operations/canary-operation?canary-query=1").await, 400);
    assert_eq!(ask("CANARY", "/v1/nodes").await, 405);
    assert_eq!(ask("POST", "/v1/store:init?dry_run=true").await, 403, "this token may not");
    let other = token.replace(&token[20..], &"x".repeat(token.len() - 20));
    assert_eq!(Ask::new("GET", "/v1/nodes").token(&other).send(endpoint.address).await.status, 401);
    stage.server.as_ref().unwrap().kill();
    // It is read by a beat, which says first that it failed.
    until(async || ask("GET", "/v1/revocations").await == 503).await;
    endpoint.signal("TERM");
    let (_, log) = endpoint.ended();

    let revoked = format!(r#"admin_request{{method="POST" route="/v1/revocations" token={id}"#);
    let operation = operation["id"].as_str().unwrap();
    for parts in [
        vec![&*revoked, " status=201}: answered"],
        vec![&*revoked, &format!(r#":operation{{id="{operation}" step="revoke" scope="subject"}}:wait{{"#)],
        vec![&format!(r#"{{method="GET" route="/v1/operations/{{id}}" token={id} status=400}}: answered"#)],
        vec![r#"{method="other" route="-" status=405}: answered"#],
        vec![&format!(r#"{{method="POST" route="/v1/store:init" token={id} status=403}}: answered"#)],
        vec![r#"{method="GET" route="/v1/nodes" status=401}: answered"#],
        vec!["follow{store=", "node=", "the revocation list cannot be read"],
    ] {
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(log.lines().any(has), "{parts:?} is in no line of\n{log}");
    }
    for secret in ["canary", "CANARY", &token[14..], redis_support::PASSWORD] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
