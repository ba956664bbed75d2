//! Every line for a shell in docs/admin.md works, and its tables are the code's.
#![cfg(all(feature = "cli", unix))]

mod admin_support;
mod support_sessions;

use std::collections::BTreeSet;
use std::process::Command;

use admin_support::{Endpoint, json, token};
use sealjar::Sessions;
use sealjar::admin::audit::Event;
use sealjar::admin::problem::Kind;
use sealjar::admin::scope::Scope;
use sealjar::admin::table::ROUTES;
use serde_json::{Value, json as value};
use support_sessions::{Browser, Visitor};

const DOCUMENT: &str = include_str!("../docs/admin.md");

/// The first cells of the table that has this heading.
fn first_cells<'d>(head: &str) -> Vec<&'d str> {
    let rows = DOCUMENT.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    rows.take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(1).unwrap().trim()).collect()
}

#[test]
fn the_tables_are_the_codes() {
    let quoted = |cells: Vec<&str>| -> BTreeSet<String> {
        cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    };
    let rows: Vec<_> =
        DOCUMENT.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4).collect();
    let told: BTreeSet<_> = rows
        .iter()
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].parse::<u16>().unwrap())
        })
        .collect();
    assert_eq!(told, Kind::ALL.iter().map(|kind| (kind.name().to_owned(), kind.status())).collect());
    assert_eq!(quoted(first_cells("| scope")), Scope::ALL.iter().map(|scope| scope.name().to_owned()).collect());
    assert_eq!(quoted(first_cells("| `event`")), Event::ALL.iter().map(|event| event.name().to_owned()).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_for_a_shell_works() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    json(home, None, &["keys", "init"]);
    let sessions: Sessions<Visitor> = Sessions::builder("shop").home(home).localhost().start().await.unwrap();
    let endpoint = Endpoint::start(home, None);
    let token = token(home, "read,revoke.all,keys");
    let mut browser = Browser::default();
    browser.log_in(&sessions, "ada").await;
    let handle = browser.open(&sessions).await.handle().unwrap().to_string();
    let done =
        endpoint.ask(&token, "POST", "/v1/revocations", Some(&value!({ "scope": "label", "target": "x" }))).await;
    let key = endpoint.get(&token, "/v1/keys").await["keys"][0]["id"].as_str().unwrap().to_owned();
    let node = endpoint.get(&token, "/v1/nodes").await["nodes"][0]["id"].as_str().unwrap().to_owned();

    let blocks = DOCUMENT.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines: Vec<_> = blocks.flat_map(str::lines).filter(|line| line.contains("curl ")).collect();
    let mut reached = BTreeSet::new();
    for line in &lines {
        // Not slower than 3 s, and its status behind its answer.
        let line = line.replace("curl ", "curl --max-time 3 -w '\\n%{http_code}' ");
        let mut shell = Command::new("bash");
        shell.args(["-c", &line]).env("URL", endpoint.url()).env("AUTH", format!("Authorization: Bearer {token}"));
        shell.env("JSON", "Content-Type: application/json").env("HANDLE", &handle).env("NODE", &node).env("KEY", &key);
        shell.env("OPERATION", done.json()["id"].as_str().unwrap()).env("COOKIE", browser.cookie());
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (body, status) = said.rsplit_once('\n').unwrap();
        let method = if line.contains(" -d ") || line.contains("-X POST") { "POST" } else { "GET" };
        let path = line.split("$URL").nth(1).unwrap().split([' ', '?', '"']).next().unwrap();
        let path = path.replace("$OPERATION", "{id}").replace("$NODE", "{id}").replace("$KEY", "{id}");
        let expected = match (method, &*path) {
            // The list is whole, and the one key that there is seals.
            (_, "/v1/store:init") => "409",
            _ if line.contains("dry_run") => "200",
            ("POST", "/v1/revocations" | "/v1/rotations") => "201",
            ("POST", path) if path.starts_with("/v1/keys/") => "409",
            _ => "200",
        };
        assert_eq!(status, expected, "{line}: {body}{}", String::from_utf8_lossy(&output.stderr));
        if path == "/" {
            assert!(body.starts_with("<!doctype html>"), "{body}");
        } else if path == "/metrics" {
            assert!(body.contains("sealjar_store_up 1"), "{body}");
        } else if path == "/v1/events" {
            assert!(body.contains("event: hello") && body.contains("event: nodes"), "{body}");
        } else {
            assert!(output.status.success(), "{line}");
            assert!(serde_json::from_str::<Value>(body).is_ok(), "{line}: {body}");
        }
        if path == "/v1/explain" {
            assert!(body.contains("\"revoked_session\"") && body.contains("\"revoked_by\":{"), "{body}");
        }
        reached.insert((method, path));
    }
    let all: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path.to_owned())).collect();
    assert_eq!(reached, all, "a line for every route");
}

/// A shell takes the token from standard output, and a person reads about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_that_makes_a_token_works_in_a_shell() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    json(home, None, &["keys", "init"]);
    let _sessions: Sessions<Visitor> = Sessions::builder("shop").home(home).localhost().start().await.unwrap();
    let endpoint = Endpoint::start(home, None);
    let line = DOCUMENT.lines().find(|line| line.starts_with("TOKEN=$(sealjar token new")).unwrap();
    let program = admin_support::command(home, None);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("sealjar() {{ \"$0\" \"$@\"; }}\n{line}\nprintf %s \"$TOKEN\"")])
        .arg(program.get_program());
    shell.env("SEALJAR_HOME", home).env_remove("REDIS_URL");
    let output = shell.output().unwrap();
    let (token, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    admin_support::canaries::plant(&token);
    assert!(said.starts_with("This is the token ") && said.contains("good for read,revoke"), "{said}");
    assert!(token.starts_with("sealjar_admin_") && !said.contains(&token[14..]), "{said}");
    endpoint.get(&token, "/v1/nodes").await;
}
