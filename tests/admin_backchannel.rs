//! A provider's logout at `sealjar admin`: it ends sessions of apps that are other processes, and stands in the audit.
#![cfg(all(feature = "cli", feature = "backchannel", unix))]

mod admin_support;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "backchannel/app.rs"]
mod app;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "backchannel/mint.rs"]
mod mint;
mod redis_support;
mod support;

use admin_support::{Ask, Endpoint, json, token};
use app::{App, List, logout, post};
use mint::{CLIENT, ISSUER, JwksServer, Key, claims_with};
use redis_support::Server;
use serde_json::json as value;
use support::eventually;

/// An app, and an endpoint over its list that receives the logouts of the provider with these keys.
fn stage(list: List, key: &Key) -> (App, JwksServer, Endpoint) {
    let (app, jwks) = App::start(list, &[key]);
    let list = match &app.list {
        List::Sqlite => None,
        List::Redis(server) => Some(server.admin_url()),
    };
    let flags = ["--backchannel-issuer", ISSUER, "--backchannel-client-id", CLIENT, "--backchannel-jwks", &jwks.url];
    let algorithm = ["--backchannel-algorithm", key.alg];
    let endpoint = Endpoint::with(app.home.path(), list.as_deref(), &[&flags[..], &algorithm[..]].concat());
    (app, jwks, endpoint)
}

fn ask(app: &App, endpoint: &Endpoint, ask: &Ask) -> admin_support::Answer {
    app.runtime.block_on(ask.send(endpoint.address))
}

fn a_logout_ends_the_session_in_the_app_and_is_written_down(list: List) {
    let key = Key::new("one", "ES256");
    let (app, served, endpoint) = stage(list, &key);
    let (ended, other) = (app.log_in("7", "ada", Some("s1")), app.log_in("8", "bob", Some("s2")));
    let good = key.token(&claims_with(&value!({ "sid": "s1" })));
    let answer = logout(&endpoint.url(), &good);
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    eventually("the app refuses the session", || Ok(app.verdict(&ended) == "revoked_label"));
    assert_eq!(app.verdict(&other), "live");
    for (body, why) in [(format!("logout_token={good}"), "replayed"), ("logout_token=e30.e30.e30".into(), "malformed")]
    {
        let refused = post(&endpoint.url(), "application/x-www-form-urlencoded", &body);
        assert_eq!((refused.status, &refused.json["error"]), (400, &value!("invalid_request")), "{why}");
    }
    assert_eq!(served.asked(), 1);

    // The rules of the endpoint count here too; only the bearer token does not.
    let form = |host| {
        let form = Ask::new("POST", "/backchannel-logout").field("Content-Type", "application/x-www-form-urlencoded");
        form.body(&format!("logout_token={good}")).host(host)
    };
    assert_eq!(ask(&app, &endpoint, &form(Some("evil.example"))).problem(), "foreign-host");
    let foreign = form(Some("localhost")).field("Origin", "https://evil.example");
    assert_eq!(ask(&app, &endpoint, &foreign).problem(), "foreign-origin");
    let get = ask(&app, &endpoint, &Ask::new("GET", "/backchannel-logout"));
    assert_eq!((get.status, get.field("allow")), (405, Some("POST")));

    let reader = token(app.home.path(), "read");
    let audit = app.runtime.block_on(endpoint.get(&reader, "/v1/audit"));
    let records = audit["records"].as_array().unwrap().iter().rev().filter(|it| it["action"] == "backchannel_logout");
    let told: Vec<_> =
        records.map(|it| (it["event"].as_str().unwrap(), it["result"].as_str().unwrap_or("-"))).collect();
    let refusals = ["replayed", "malformed", "foreign-host", "foreign-origin"].map(|why| ("refused", why));
    assert_eq!(told, [&[("attempt", "-"), ("outcome", "committed")], &refusals[..]].concat(), "{audit}");
    let text = audit.to_string();
    assert!(!text.contains("\"ada") && !text.contains("\"s1\"") && !text.contains(&good[..40]), "hashes only: {text}");
    assert_eq!(json(app.home.path(), None, &["audit", "verify"])["whole"], true);
    let document = ask(&app, &endpoint, &Ask::new("GET", "/openapi.json")).json();
    assert_eq!(document["paths"]["/backchannel-logout"]["post"]["security"], value!([]));
}

#[test]
fn a_logout_at_the_endpoint_ends_a_session_with_sqlite() {
    a_logout_ends_the_session_in_the_app_and_is_written_down(List::Sqlite);
}

#[test]
fn a_logout_at_the_endpoint_ends_a_session_with_redis() {
    a_logout_ends_the_session_in_the_app_and_is_written_down(List::Redis(Server::start()));
}

/// 200 would be a promise that nobody keeps.
#[test]
fn what_cannot_be_kept_or_written_down_is_503() {
    let key = Key::new("one", "RS256");
    let (app, _served, endpoint) = stage(List::Redis(Server::start()), &key);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let good = key.token(&claims_with(&value!({ "sid": "s1" })));
    let trail = app.home.path().join("audit.jsonl");
    let aside = app.home.path().join("aside");
    std::fs::rename(&trail, &aside).unwrap();
    std::fs::create_dir(&trail).unwrap();
    let unwritten = logout(&endpoint.url(), &good);
    assert_eq!((unwritten.status, unwritten.all("retry-after").next()), (503, Some("5")));
    assert_eq!(app.verdict(&cookie), "live", "nothing is done that is not written down");
    std::fs::remove_dir(&trail).unwrap();
    std::fs::rename(&aside, &trail).unwrap();
    let List::Redis(server) = &app.list else { unreachable!() };
    server.kill();
    assert_eq!(logout(&endpoint.url(), &good).status, 503);
    server.restart();
    eventually("the same token, sent again, is acted on", || Ok(logout(&endpoint.url(), &good).status == 200));
    eventually("the app refuses the session", || Ok(app.verdict(&cookie) == "revoked_label"));
}

/// Nobody has to show anything for these: each is said, but not for each request, or the log would fill the disk.
#[test]
fn what_anybody_can_ask_for_does_not_flood_the_log() {
    let key = Key::new("one", "ES256");
    let (app, _served, endpoint) = stage(List::Redis(Server::start()), &key);
    let times = |count: usize, wanted: &Ask, status: u16| {
        for _ in 0..count {
            assert_eq!(ask(&app, &endpoint, wanted).status, status);
        }
    };
    let post = Ask::new("POST", "/backchannel-logout").field("Content-Type", "application/x-www-form-urlencoded");
    times(100, &post.clone().body("logout_token=e30.e30.e30"), 400);
    times(100, &post.body("nothing=in+it"), 400);
    // Tokens that others may read let nobody in.
    let known = token(app.home.path(), "read");
    let tokens = app.home.path().join("tokens.json");
    std::fs::set_permissions(&tokens, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    times(50, &Ask::new("GET", "/v1/nodes").token(&known), 500);
    // Refusals that cannot be written down.
    let trail = app.home.path().join("audit.jsonl");
    std::fs::remove_file(&trail).unwrap();
    std::fs::create_dir(&trail).unwrap();
    times(50, &Ask::new("GET", "/healthz").host(Some("evil.example")), 421);
    let List::Redis(server) = &app.list else { unreachable!() };
    server.kill();
    times(50, &Ask::new("GET", "/readyz"), 503);
    endpoint.signal("TERM");
    let (_, said) = endpoint.ended();
    for words in [
        "a provider's logout was refused",
        "the admin endpoint lets nobody in",
        "a refusal at the admin endpoint could not be written down",
        "the admin endpoint is not ready",
    ] {
        let lines: Vec<_> = said.lines().filter(|line| line.contains(words)).collect();
        assert!((10..=25).contains(&lines.len()), "{words}: {} lines of {said}", lines.len());
    }
}

#[test]
fn without_a_provider_there_is_no_such_route_and_half_a_provider_is_refused() {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    let runtime = app::runtime();
    let sessions = sealjar::Sessions::<u32>::builder("shop").home(home.path()).localhost();
    let _app = runtime.block_on(sessions.start()).unwrap();
    let endpoint = Endpoint::start(home.path(), None);
    let post = Ask::new("POST", "/backchannel-logout").body("logout_token=x");
    assert_eq!(runtime.block_on(post.send(endpoint.address)).problem(), "not-found");
    let document = runtime.block_on(Ask::new("GET", "/openapi.json").send(endpoint.address)).json();
    assert!(document["paths"]["/backchannel-logout"].is_null());
    for (flags, code, why) in [
        (&["--backchannel-issuer", ISSUER][..], 2, "--backchannel-client-id"),
        (
            &["--backchannel-issuer", ISSUER, "--backchannel-client-id", CLIENT, "--backchannel-jwks", "no.json"],
            3,
            "no.json",
        ),
        (
            &[
                "--backchannel-issuer",
                ISSUER,
                "--backchannel-client-id",
                CLIENT,
                "--backchannel-jwks",
                "x",
                "--backchannel-algorithm",
                "none",
            ],
            2,
            "RS256, PS256, ES256 or EdDSA",
        ),
    ] {
        let output = admin_support::sealjar(home.path(), None, &[&["admin"], flags].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
