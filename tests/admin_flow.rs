//! The admin endpoint as a process, over both stores: revoked, followed node by node, explained, written down.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod redis_support;
mod support_sessions;

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use admin_support::{Ask, Endpoint, PATIENCE, json, token};
use redis_support::Server;
use sealjar::io::follow::process_name;
use sealjar::{Login, Sessions, Verdict};
use serde_json::{Value, json as value};
use support_sessions::{Browser, Visitor};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

const NODE: &str = "SEALJAR_TEST_NODE";
const LIST: &str = "SEALJAR_TEST_LIST";

/// An app of its own, in a process of its own.
#[tokio::test]
#[ignore = "run by the other tests of this file, in a process of its own"]
async fn node() {
    let Ok(home) = env::var(NODE) else { return };
    let _sessions = app(Path::new(&home), env::var(LIST).ok().as_deref()).await;
    let mut out = std::io::stdout().lock();
    // The test program prints its own words without ending the line.
    write!(out, "\nready\n").and_then(|()| out.flush()).unwrap();
    drop(out);
    std::future::pending::<()>().await;
}

async fn app(home: &Path, list: Option<&str>) -> Sessions<Visitor> {
    admin_support::canaries::listen();
    let builder = Sessions::builder("shop").keys(home.join("keys"));
    let list = list.map_or_else(|| format!("sqlite:{}", home.join("list.db").display()), str::to_owned);
    builder.list(list).start().await.unwrap()
}

struct Node(Child);

impl Node {
    fn start(stage: &Stage) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "node", "--nocapture"]).env(NODE, stage.home.path());
        if let Some(list) = stage.node_list() {
            command.env(LIST, list);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "the node has started");
        Self(child)
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap().success());
    }

    fn name(&self) -> String {
        format!("{}:{}", process_name().rsplit_once(':').unwrap().0, self.0.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A home, and a server if the list is on one.
struct Stage {
    home: tempfile::TempDir,
    server: Option<Server>,
}

impl Stage {
    fn sqlite() -> Self {
        let stage = Self { home: tempfile::tempdir().unwrap(), server: None };
        json(stage.home.path(), None, &["keys", "init"]);
        stage
    }

    fn redis() -> Self {
        let stage = Self { server: Some(Server::start()), ..Self::sqlite() };
        assert_eq!(json(stage.home.path(), stage.list().as_deref(), &["store", "init"])["made"], "new");
        stage
    }

    /// The list with the rights of an operator.
    fn list(&self) -> Option<String> {
        self.server.as_ref().map(Server::admin_url)
    }

    /// The same with those of a node.
    fn node_list(&self) -> Option<String> {
        self.server.as_ref().map(Server::url)
    }

    async fn app(&self) -> Sessions<Visitor> {
        app(self.home.path(), self.node_list().as_deref()).await
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::start(self.home.path(), self.list().as_deref())
    }

    fn token(&self, scopes: &str) -> String {
        token(self.home.path(), scopes)
    }

    fn cli(&self, arguments: &[&str]) -> Value {
        json(self.home.path(), self.list().as_deref(), arguments)
    }
}

/// The same promises over both stores.
macro_rules! over_both_stores {
    ($($test:ident),* $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::Stage::sqlite()).await }
        )* }
        mod redis { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::Stage::redis()).await }
        )* }
    };
}

over_both_stores!(
    a_user_is_logged_out_everywhere_and_the_audit_says_who_and_why,
    every_scope_revokes_what_it_says,
    a_node_that_is_missing_is_named_and_the_operation_goes_on,
    what_changes_is_told_as_it_changes,
    pages_show_every_revocation_once,
    a_key_makes_a_request_happen_once,
    a_client_that_hangs_up_stops_nothing,
    a_key_is_rotated_step_by_step_and_a_shut_gate_says_for_whom_it_waits,
    a_rotation_that_is_waited_for_ends_with_the_promotion_or_names_who_is_missing,
    a_leaked_key_is_denied_and_everybody_logs_in_again,
);

async fn a_user_is_logged_out_everywhere_and_the_audit_says_who_and_why(stage: Stage) {
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

async fn every_scope_revokes_what_it_says(stage: Stage) {
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

async fn a_node_that_is_missing_is_named_and_the_operation_goes_on(stage: Stage) {
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

async fn what_changes_is_told_as_it_changes(stage: Stage) {
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

async fn pages_show_every_revocation_once(stage: Stage) {
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

async fn a_key_makes_a_request_happen_once(stage: Stage) {
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

async fn a_client_that_hangs_up_stops_nothing(stage: Stage) {
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

/// Until it holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it holds in time");
}

async fn a_key_is_rotated_step_by_step_and_a_shut_gate_says_for_whom_it_waits(stage: Stage) {
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

async fn a_rotation_that_is_waited_for_ends_with_the_promotion_or_names_who_is_missing(stage: Stage) {
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

async fn a_leaked_key_is_denied_and_everybody_logs_in_again(stage: Stage) {
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
}
