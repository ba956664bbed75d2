//! The OpenAPI document against the running endpoint, over both stores: schemathesis asks, and judges.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod redis_support;

use std::path::Path;
use std::process::Command;

use admin_support::{Endpoint, json, token};
use redis_support::Server;
use sealjar::Sessions;
use sealjar::admin::table::ROUTES;

/// Of each store: enough for several hundred requests.
const SECONDS: &str = "30";

fn script(arguments: &[&str]) -> std::process::Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admin_support/schemathesis.sh");
    Command::new("bash").arg(script).args(arguments).output().unwrap()
}

/// Runs schemathesis against an endpoint over this list, beside an app that follows it.
async fn judged(list: Option<&Server>) {
    let home = tempfile::tempdir().unwrap();
    let (home, nodes, list) = (home.path(), list.map(Server::url), list.map(Server::admin_url));
    json(home, None, &["keys", "init"]);
    if let Some(list) = &list {
        json(home, Some(list), &["store", "init"]);
    }
    let address = nodes.unwrap_or_else(|| format!("sqlite:{}", home.join("list.db").display()));
    let _app = Sessions::<u32>::builder("shop").keys(home.join("keys")).list(address).start().await.unwrap();
    let endpoint = Endpoint::with_provider(home, list.as_deref());
    let token = token(home, "read,revoke.all,keys");
    let url = endpoint.url();
    let arguments = [url.clone(), token, SECONDS.to_owned()];
    let output = tokio::task::spawn_blocking(move || script(&arguments.each_ref().map(String::as_str))).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // It takes where the document lies for no operation, and is told to leave out the events. The provider's logouts
    // are no route of the table.
    let all = ROUTES.len() - 1 + 1;
    let asked = all - 1;
    assert!(said.contains(&format!("{asked} selected / {all} total")), "{said}");
    let cases = said.lines().find_map(|line| line.trim().split_once(" generated, ")?.0.parse::<u32>().ok()).unwrap();
    println!("{cases} requests");
    assert!(cases > 150, "{said}");
    let (alive, audit) = (endpoint.get("", "/readyz").await, json(home, None, &["audit", "verify"]));
    assert_eq!((&alive["status"], &audit["whole"]), (&"ready".into(), &true.into()));
    let written = audit["records"].as_u64().unwrap();
    assert!(written > 150, "{written}");
}

/// One after the other: each run wants the machine for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_and_the_endpoint_agree_over_both_stores() {
    let installed = script(&["install"]);
    assert!(installed.status.success(), "{installed:?}");
    judged(None).await;
    judged(Some(&Server::start())).await;
}
