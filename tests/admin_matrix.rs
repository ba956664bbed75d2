//! Every route x every scope x no token, a wrong one, the right one x this site, another one, and another host.
#![cfg(all(feature = "cli", unix))]

mod admin_support;

use std::collections::BTreeSet;

use admin_support::{Ask, Endpoint, json, token};
use sealjar::Sessions;
use sealjar::admin::table::ROUTES;
use serde_json::Value;

const SCOPES: [&str; 4] = ["read", "revoke", "revoke.all", "keys"];

/// A route, a body for it, who may, and what the right token is answered.
struct Row {
    method: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    may: &'static [&'static str],
    answer: u16,
}

const OPEN: &[&str] = &[];
/// There where a provider is named. No bearer token counts here: the logout token is what authenticates, and this one
/// is none.
const LOGOUT: &str = "/backchannel-logout";

const fn row(
    method: &'static str,
    path: &'static str,
    body: Option<&'static str>,
    may: &'static [&'static str],
    answer: u16,
) -> Row {
    Row { method, path, body, may, answer }
}

impl Row {
    fn ask(&self, token: Option<&String>) -> Ask {
        let ask = Ask::new(self.method, self.path);
        let ask = match token {
            Some(token) => ask.token(token),
            None => ask,
        };
        match self.body {
            Some(body) if self.path == LOGOUT => {
                ask.body(body).field("Content-Type", "application/x-www-form-urlencoded")
            }
            Some(body) => ask.json(body),
            None => ask,
        }
    }
}

/// Written by hand, so that a slip in the table of routes shows.
const TABLE: &[Row] = &[
    row("POST", "/v1/revocations", Some(r#"{"scope":"subject","target":"ada"}"#), &["revoke", "revoke.all"], 201),
    row("POST", "/v1/revocations", Some(r#"{"scope":"all"}"#), &["revoke.all"], 201),
    row("POST", "/v1/revocations", Some(r#"{"scope":"all","dry_run":true}"#), &["revoke.all"], 200),
    row("GET", "/v1/revocations", None, &["read"], 200),
    row("GET", "/v1/operations", None, &SCOPES, 200),
    row("GET", "/v1/operations/nope", None, &SCOPES, 404),
    row("POST", "/v1/explain", Some(r#"{"cookie":"AQEB"}"#), &["read"], 200),
    row("GET", "/v1/keys", None, &["read"], 200),
    row("GET", "/v1/keys/nope", None, &["read"], 404),
    row("POST", "/v1/keys/0badcafe:promote", Some("{}"), &["keys"], 409),
    row("POST", "/v1/keys/0badcafe:retire", Some("{}"), &["keys"], 409),
    row("POST", "/v1/keys/0badcafe:destroy", Some("{}"), &["keys"], 409),
    row("POST", "/v1/keys/0badcafe:abort", Some("{}"), &["keys"], 409),
    row("POST", "/v1/keys/0badcafe:compromise", Some(r#"{"dry_run":true}"#), &["keys"], 422),
    row("GET", "/v1/rotations", None, &["read"], 200),
    row("POST", "/v1/rotations", Some(r#"{"dry_run":true}"#), &["keys"], 200),
    row("GET", "/v1/nodes", None, &["read"], 200),
    row("POST", "/v1/nodes/0123456789abcdef:forget", None, &["keys"], 404),
    row("GET", "/v1/store", None, &["read"], 200),
    row("POST", "/v1/store:init", Some("{}"), &["revoke.all"], 409),
    row("GET", "/v1/events", None, &["read"], 200),
    row("GET", "/v1/audit", None, &["read"], 200),
    row("GET", "/v1/token", None, &SCOPES, 200),
    row("GET", "/metrics", None, &["read"], 200),
    row("GET", "/", None, OPEN, 200),
    row("GET", "/healthz", None, OPEN, 200),
    row("GET", "/readyz", None, OPEN, 200),
    row("GET", "/openapi.json", None, OPEN, 200),
    row("POST", LOGOUT, Some("logout_token=e30.e30.e30"), OPEN, 400),
];

#[derive(Clone, Copy, PartialEq)]
enum Site {
    Program,
    Same,
    Foreign,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_for_its_scope_and_refuses_other_sites() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    json(home, None, &["keys", "init"]);
    let _app = Sessions::<u32>::builder("shop").home(home).localhost().start().await.unwrap();
    let endpoint = Endpoint::with_provider(home, None);
    let tokens: Vec<_> = SCOPES.iter().map(|scope| (*scope, token(home, scope))).collect();
    let wrong = format!("sealjar_admin_{}", "A".repeat(43));
    // Making keys and tokens is written down as well.
    let begun = json(home, None, &["audit", "verify"])["records"].as_u64().unwrap();
    let (mut cases, mut from) = (0, 0_u8);
    for row in TABLE {
        for site in [Site::Program, Site::Same, Site::Foreign] {
            let tried = tokens.iter().map(|(scope, token)| (Some(*scope), Some(token)));
            for (scope, token) in tried.chain([(None, None), (None, Some(&wrong))]) {
                let is_open = row.may.is_empty();
                let expected = match (site, scope, token) {
                    (Site::Foreign, ..) => 403,
                    _ if is_open => row.answer,
                    (_, Some(scope), _) if row.may.contains(&scope) => row.answer,
                    (_, Some(_), _) => 403,
                    (_, None, _) => 401,
                };
                // Each from an address of its own, so that wrong tokens are told so and not asked to wait.
                from = from.wrapping_add(1).max(2);
                let mut ask = row.ask(token).from([127, 0, 7, from]);
                let own = endpoint.url();
                ask = match site {
                    Site::Program => ask,
                    Site::Same => ask.field("Origin", &own).field("Sec-Fetch-Site", "same-origin"),
                    Site::Foreign => ask.field("Origin", "https://evil.example").field("Sec-Fetch-Site", "cross-site"),
                };
                let status = if row.path == "/v1/events" && expected == 200 {
                    first_line(&ask, &endpoint).await
                } else {
                    let answer = ask.send(endpoint.address).await;
                    assert_eq!(answer.field("cache-control"), Some("no-store"));
                    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
                    assert!(answer.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
                    assert!(answer.field("access-control-allow-origin").is_none(), "no other site may read it");
                    assert!(answer.field("set-cookie").is_none());
                    assert_eq!(
                        answer.status == 401,
                        answer.field("www-authenticate").is_some_and(|it| !it.contains("scope="))
                    );
                    answer.status
                };
                assert_eq!(status, expected, "{} {} with {scope:?}, site {}", row.method, row.path, site as u8);
                cases += 1;
            }
        }
    }
    assert_eq!(cases, TABLE.len() * 3 * 6);
    let known: BTreeSet<_> = TABLE.iter().map(|row| (row.method, row.path)).collect();
    let fill = |path: &str| {
        let id = match path {
            path if path.starts_with("/v1/nodes/") => "0123456789abcdef",
            path if path.starts_with("/v1/keys/{id}:") => "0badcafe",
            _ => "nope",
        };
        path.replace("{id}", id)
    };
    let logout = ("POST", LOGOUT.to_owned());
    let all: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, fill(route.path))).chain([logout]).collect();
    assert_eq!(known, all.iter().map(|(method, path)| (*method, path.as_str())).collect(), "no route is left out");
    // One record for each attempt on a guarded route, and a second one for what was changed.
    let audit = json(home, None, &["audit", "verify"]);
    assert_eq!(audit["whole"], true);
    let changed = json(home, None, &["audit", "list", "--limit", "5000"]);
    let records = changed["records"].as_array().unwrap().iter().filter(|record| record["seq"].as_u64() > Some(begun));
    let events: Vec<_> = records.map(|record| record["event"].as_str().unwrap()).collect();
    let count = |event| events.iter().filter(|found| **found == event).count();
    let answered_openly = TABLE.iter().filter(|row| row.may.is_empty() && row.path != LOGOUT).count() * 2 * 6;
    // Monitoring asks every some seconds: with the one scope that may, from a program and from this site.
    let scraped = 2;
    assert_eq!(count("read") + count("attempt") + count("refused"), cases - answered_openly - scraped);
    assert_eq!(count("attempt"), count("outcome"));
}

/// By a name that is not its own, as a rebound DNS name would address it: whoever asks, and for whatever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_refused_at_another_host() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    json(home, None, &["keys", "init"]);
    let _app = Sessions::<u32>::builder("shop").home(home).localhost().start().await.unwrap();
    let endpoint = Endpoint::with_provider(home, None);
    let tokens: Vec<_> = SCOPES.iter().map(|scope| token(home, scope)).collect();
    let wrong = format!("sealjar_admin_{}", "A".repeat(43));
    let begun = json(home, None, &["audit", "verify"])["records"].as_u64().unwrap();
    let mut cases = 0;
    for row in TABLE {
        for token in tokens.iter().chain([&wrong]).map(Some).chain([None]) {
            let answer = row.ask(token).host(Some("evil.example")).send(endpoint.address).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (421, "foreign-host"),
                "{} {}",
                row.method,
                row.path
            );
            cases += 1;
        }
    }
    assert_eq!(cases, TABLE.len() * 6);
    let audit = json(home, None, &["audit", "verify"]);
    assert_eq!((&audit["whole"], audit["records"].as_u64()), (&true.into(), Some(begun + cases as u64)), "all refused");
}

/// A stream never ends: its head is enough.
async fn first_line(ask: &Ask, endpoint: &Endpoint) -> u16 {
    use tokio::io::AsyncReadExt as _;
    let mut stream = ask.connect(endpoint.address).await;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

/// The document of the server is the one of the table, and names every status that the matrix has seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_lists_what_the_matrix_sees() {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    let _app = Sessions::<u32>::builder("shop").home(home.path()).localhost().start().await.unwrap();
    let endpoint = Endpoint::with_provider(home.path(), None);
    let document: Value = Ask::new("GET", "/openapi.json").send(endpoint.address).await.json();
    for row in TABLE {
        let path = ["0123456789abcdef", "0badcafe", "nope"]
            .iter()
            .fold(row.path.to_owned(), |path, id| path.replace(id, "{id}"));
        let operation = &document["paths"][&path][row.method.to_lowercase()];
        let mut seen = vec![row.answer, 403, 421];
        seen.extend((!row.may.is_empty()).then_some(401));
        for status in seen {
            assert!(operation["responses"][status.to_string()].is_object(), "{path} {status}");
        }
        assert_eq!(operation["security"] == serde_json::json!([]), row.may.is_empty(), "{path}");
    }
}
