//! `/metrics` of the endpoint, and that documents, dashboard and alerts speak of metrics that there are.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod redis_support;

use std::collections::BTreeSet;
use std::path::Path;

use admin_support::{Ask, Endpoint, PATIENCE, json, token};
use redis_support::Server;
use sealjar::Sessions;
use serde_json::json as value;

/// A home and a server with a list; the app's address of it is the node's.
fn stage() -> (tempfile::TempDir, Server) {
    let (home, server) = (tempfile::tempdir().unwrap(), Server::start());
    json(home.path(), None, &["keys", "init"]);
    json(home.path(), Some(&server.admin_url()), &["store", "init"]);
    (home, server)
}

async fn app(home: &Path, server: &Server) -> Sessions<u32> {
    Sessions::builder("shop").keys(home.join("keys")).list(server.url()).start().await.unwrap()
}

async fn scraped(endpoint: &Endpoint, token: &str) -> String {
    let answer = endpoint.ask(token, "GET", "/metrics", None).await;
    assert_eq!((answer.status, answer.field("content-type")), (200, Some(sealjar::metrics::CONTENT_TYPE)));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    redis_support::canaries::keep(answer.body.as_bytes());
    answer.body
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|has| has == line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_tells_what_it_did_and_how_list_and_store_are() {
    let (home, server) = stage();
    let sessions = app(home.path(), &server).await;
    let endpoint = Endpoint::start(home.path(), Some(&server.admin_url()));
    let (reader, revoker) = (token(home.path(), "read"), token(home.path(), "revoke"));
    let wanted = value!({ "scope": "subject", "target": "canary", "reason": "canary" });
    assert_eq!(endpoint.ask(&revoker, "POST", "/v1/revocations", Some(&wanted)).await.status, 201);
    assert_eq!(endpoint.ask(&reader, "POST", "/v1/revocations", Some(&wanted)).await.status, 403);
    assert_eq!(endpoint.ask(&revoker, "GET", "/metrics", None).await.status, 403);
    assert_eq!(Ask::new("GET", "/metrics").send(endpoint.address).await.status, 401, "it is nobody else's business");
    server.command(&["CONFIG", "SET", "maxmemory", "64mb"]).await;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let text = scraped(&endpoint, &reader).await;
    for line in [
        "sealjar_admin_actions_total{action=\"revoke\",result=\"done\"} 1",
        "sealjar_admin_actions_total{action=\"revoke\",result=\"scope-missing\"} 1",
        "sealjar_admin_actions_total{action=\"metrics\",result=\"scope-missing\"} 1",
        "sealjar_admin_actions_total{action=\"metrics\",result=\"token-missing\"} 1",
        "sealjar_list_state{state=\"fresh\"} 1",
        "sealjar_list_entries{kind=\"cut_off\"} 1",
        "sealjar_store_up 1",
        "sealjar_store_list_bytes 16",
        "sealjar_store_memory_limit_bytes 67108864",
        "sealjar_store_risks{code=\"eviction_policy\",severity=\"problem\"} 1",
        "sealjar_fleet_nodes{state=\"follows\"} 1",
        "sealjar_fleet_keys{state=\"active\"} 1",
    ] {
        assert!(has(&text, line), "`{line}` is not in\n{text}");
    }
    assert!(!text.contains("canary") && !text.contains(redis_support::PASSWORD), "no name is in it: {text}");
    let again = scraped(&endpoint, &reader).await;
    assert!(has(&again, "sealjar_admin_actions_total{action=\"metrics\",result=\"looked\"} 1"), "{again}");
    let audit = endpoint.get(&reader, "/v1/audit").await;
    let written: Vec<_> = audit["records"].as_array().unwrap().iter().filter(|it| it["action"] == "metrics").collect();
    assert!(written.len() == 2 && written.iter().all(|it| it["event"] == "refused"), "only refusals: {audit}");
    drop(sessions);

    server.kill();
    let away = scraped(&endpoint, &reader).await;
    assert!(has(&away, "sealjar_store_up 0") && !away.contains("sealjar_store_risks{"), "{away}");
}

/// What another process publishes arrives here, and it is told how long that took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn propagation_is_measured_where_a_revocation_arrives() {
    let (home, server) = stage();
    let (here, there) = (app(home.path(), &server).await, app(home.path(), &server).await);
    let endpoint = Endpoint::start(home.path(), Some(&server.admin_url()));
    let reader = token(home.path(), "read");
    for n in 1..=3 {
        there.revoke_label(&format!("label {n}")).await.unwrap();
        let arrived = async {
            let line = format!("sealjar_propagation_seconds_count {n}");
            while !has(&here.metrics(), &line) || !has(&scraped(&endpoint, &reader).await, &line) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("it arrives, and counts once");
    }
    let text = here.metrics();
    let within = text.lines().find_map(|line| line.strip_prefix("sealjar_propagation_seconds_bucket{le=\"5\"} "));
    assert_eq!(within, Some("3"), "{text}");
}

/// Documents, dashboards and alerts that speak of what nobody tells stay empty, and silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_dashboard_and_alerts_speak_of_the_metrics_that_there_are() {
    let (home, server) = stage();
    server.command(&["CONFIG", "SET", "maxmemory", "64mb"]).await;
    let sessions = app(home.path(), &server).await;
    let endpoint = Endpoint::start(home.path(), Some(&server.admin_url()));
    let text = sessions.metrics() + &scraped(&endpoint, &token(home.path(), "read")).await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let told: BTreeSet<_> = types.clone().map(|(name, _)| name).collect();
    for (name, kind) in types {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    for file in ["grafana.json", "alerts.yml", "README.md"] {
        let asks = std::fs::read_to_string(folder.join(file)).unwrap();
        let names =
            asks.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("sealjar_"));
        let names: BTreeSet<_> = names.map(|name| name.trim_end_matches("_bucket")).collect();
        assert!(names.len() > 4, "{file} asks for something");
        assert!(names.is_subset(&told), "{file} asks for {:?}", names.difference(&told).collect::<Vec<_>>());
        if file == "README.md" {
            assert_eq!(names, told, "every metric is explained");
        }
    }
}
