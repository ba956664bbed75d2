//! What the admin endpoint must refuse, survive and never tell.
#![cfg(all(feature = "cli", unix))]

mod admin_support;

use std::path::Path;
use std::time::Duration;

use admin_support::{Ask, Endpoint, json, sealjar, token};
use sealjar::Sessions;
use serde_json::{Value, json as value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A home with keys and a list, and an endpoint over it.
async fn stage() -> (tempfile::TempDir, Sessions<u32>, Endpoint) {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), None, &["keys", "init"]);
    let app = Sessions::<u32>::builder("shop").home(home.path()).localhost().start().await.unwrap();
    let endpoint = Endpoint::start(home.path(), None);
    (home, app, endpoint)
}

const REVOKE: &str = r#"{"scope":"subject","target":"canary-subject-7f31"}"#;

async fn total(endpoint: &Endpoint, token: &str) -> u64 {
    endpoint.get(token, "/v1/revocations").await["total"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_requests_are_refused_with_a_sentence_and_change_nothing() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "read,revoke");
    let before = total(&endpoint, &token).await;
    let (own, address) = (endpoint.url(), endpoint.address);
    let revoke = || Ask::new("POST", "/v1/revocations").token(&token).json(REVOKE);
    let look = || Ask::new("GET", "/v1/nodes").token(&token);
    let with = |body: &str| Ask::new("POST", "/v1/revocations").token(&token).json(body);
    let plain = |kind: &str| {
        let mut ask = Ask::new("POST", "/v1/revocations").token(&token);
        if !kind.is_empty() {
            ask = ask.field("Content-Type", kind);
        }
        ask.body(REVOKE)
    };
    let long = "x".repeat(70_000);
    for (what, ask, status, problem) in [
        ("no host", look().host(None), 400, "no-host"),
        ("two hosts", look().field("Host", &address.to_string()), 400, "no-host"),
        ("a rebound host", look().host(Some("evil.example")), 421, "foreign-host"),
        (
            "a rebound host with our port",
            look().host(Some(&format!("evil.example:{}", address.port()))),
            421,
            "foreign-host",
        ),
        ("a user in the host", look().host(Some(&format!("x@{address}"))), 421, "foreign-host"),
        ("another site", revoke().field("Origin", "https://evil.example"), 403, "foreign-origin"),
        ("a file, or a sandbox", revoke().field("Origin", "null"), 403, "foreign-origin"),
        (
            "our host with another scheme",
            revoke().field("Origin", &own.replace("http:", "https:")),
            403,
            "foreign-origin",
        ),
        (
            "our site and another",
            revoke().field("Origin", &own).field("Origin", "https://evil.example"),
            403,
            "foreign-origin",
        ),
        ("a sibling site", revoke().field("Sec-Fetch-Site", "same-site"), 403, "foreign-origin"),
        ("a form", plain("application/x-www-form-urlencoded"), 415, "wrong-media-type"),
        ("a form's text", plain("text/plain"), 415, "wrong-media-type"),
        ("no type", plain(""), 415, "wrong-media-type"),
        ("no JSON", with("{"), 400, "bad-request"),
        ("nothing", with(""), 400, "bad-request"),
        ("JSON twice", with(r#"{"scope":"all"}{}"#), 400, "bad-request"),
        ("not UTF-8", with("\u{fffd}").body_bytes(b"{\"scope\":\"\xff\"}"), 400, "bad-request"),
        ("another member", with(r#"{"scope":"all","force":true}"#), 422, "invalid"),
        ("a member twice", with(r#"{"scope":"label","target":"a","target":"b"}"#), 422, "invalid"),
        ("null", with(r#"{"scope":"label","target":null}"#), 422, "invalid"),
        ("no target", with(r#"{"scope":"label"}"#), 422, "invalid"),
        ("an empty name", with(r#"{"scope":"label","target":""}"#), 422, "invalid"),
        ("all of somebody", with(r#"{"scope":"all","target":"ada"}"#), 422, "invalid"),
        ("no handle", with(r#"{"scope":"session","target":"ada"}"#), 422, "invalid"),
        ("a day that is none", with(r#"{"scope":"session","target":"0123456789abcdef-2026-02-30"}"#), 422, "invalid"),
        ("a day far away", with(r#"{"scope":"session","target":"0123456789abcdef-9999-12-31"}"#), 422, "invalid"),
        ("for ever", with(r#"{"scope":"label","target":"a","timeout_seconds":61}"#), 422, "invalid"),
        (
            "a long reason",
            with(&format!(r#"{{"scope":"label","target":"a","reason":"{}"}}"#, &long[..501])),
            422,
            "invalid",
        ),
        ("a long name", with(&format!(r#"{{"scope":"label","target":"{}"}}"#, &long[..1025])), 422, "invalid"),
        ("a large body", with(&long), 413, "too-large"),
        ("a token in the query", Ask::new("GET", &format!("/v1/nodes?access_token={token}")), 401, "token-missing"),
        ("a strange query", look().path("/v1/nodes?x=1"), 400, "bad-request"),
        ("a wrong method", look().method("DELETE"), 405, "method-not-allowed"),
        ("a method that is none", look().method("BREW"), 405, "method-not-allowed"),
        ("a path that is none", look().path("/v1/nodes/"), 404, "not-found"),
        ("a path upwards", look().path("/v1/../v1/nodes"), 404, "not-found"),
        ("an encoded path", look().path("/v1/%6eodes"), 404, "not-found"),
        ("a node that is none", Ask::new("POST", "/v1/nodes/x:forget").token(&token), 403, "scope-missing"),
    ] {
        let answer = ask.send(address).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{what}");
        assert!(answer.json()["detail"].as_str().unwrap().len() > 15, "{what}: {answer:?}");
        assert!(!answer.body.contains(&token[14..]) && !answer.body.contains("canary"), "{what}: {answer:?}");
    }
    assert_eq!(total(&endpoint, &token).await, before, "nothing was revoked");
    assert_eq!(revoke().send(address).await.status, 201, "and the same without the strangeness is done");
    assert_eq!(json(home.path(), None, &["audit", "verify"])["whole"], true);
}

/// A cookie, even one that is the token, opens nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cookie_is_ever_honoured() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "read");
    for name in ["shop", "token", "Authorization", "__Host-shop", "access_token"] {
        let ask = Ask::new("GET", "/v1/nodes").field("Cookie", &format!("{name}={token}; {name}=Bearer {token}"));
        assert_eq!(ask.send(endpoint.address).await.problem(), "token-missing");
    }
    for scheme in ["Basic", "Cookie", "Token", ""] {
        let ask = Ask::new("GET", "/v1/nodes").field("Authorization", format!("{scheme} {token}").trim());
        assert_eq!(ask.send(endpoint.address).await.problem(), "token-unknown", "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_tokens_are_told_to_wait_and_the_right_one_never_is() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "read");
    let wrong = Ask::new("GET", "/v1/nodes").token(&format!("sealjar_admin_{}", "A".repeat(43)));
    for _ in 0..10 {
        assert_eq!(wrong.send(endpoint.address).await.problem(), "token-unknown");
    }
    let limited = wrong.send(endpoint.address).await;
    assert_eq!((limited.status, limited.problem().as_str()), (429, "too-many-failures"));
    let wait: u64 = limited.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=7).contains(&wait), "{wait}");
    endpoint.get(&token, "/v1/nodes").await;
    let elsewhere = wrong.clone().from([127, 0, 9, 9]).send(endpoint.address).await;
    assert_eq!(elsewhere.problem(), "token-unknown", "another address has its own count");
    let missing = Ask::new("GET", "/v1/nodes").send(endpoint.address).await;
    assert_eq!(missing.problem(), "token-missing", "and no token is no guess");
    let audit = endpoint.get(&token, "/v1/audit?event=refused&limit=500").await;
    let refused = audit["records"].as_array().unwrap();
    assert_eq!(refused.len(), 13, "each attempt has its record");
    assert!(refused.iter().all(|record| record.get("actor").is_none() && record["peer"].is_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_taken_back_opens_nothing_from_then_on() {
    let (home, _app, endpoint) = stage().await;
    let (kept, gone) = (token(home.path(), "read"), token(home.path(), "read,keys"));
    endpoint.get(&gone, "/v1/nodes").await;
    let id = endpoint.get(&gone, "/v1/token").await["id"].as_str().unwrap().to_owned();
    let listed = json(home.path(), None, &["token", "list"]);
    assert!(listed["tokens"].as_array().unwrap().iter().any(|token| token["id"] == id.as_str()));
    assert!(!listed.to_string().contains(&gone[14..]), "tokens are never shown again");
    assert_eq!(json(home.path(), None, &["token", "revoke", &id])["revoked"], true);
    assert_eq!(endpoint.ask(&gone, "GET", "/v1/nodes", None).await.status, 401);
    assert_eq!(sealjar(home.path(), None, &["token", "revoke", &id]).status.code(), Some(2));
    endpoint.get(&kept, "/v1/nodes").await;
    // A file of tokens that others may read lets nobody in.
    let file = home.path().join("tokens.json");
    let mode = |mode| std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let answer = endpoint.ask(&kept, "GET", "/v1/nodes", None).await;
    assert_eq!((answer.status, answer.problem().as_str()), (500, "internal"));
    mode(0o600);
    endpoint.get(&kept, "/v1/nodes").await;
}

/// Who listens hears who is revoked: for no longer than the token is good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_taken_back_hears_nothing_more() {
    let (home, _app, endpoint) = stage().await;
    let (kept, gone) = (token(home.path(), "read,revoke"), token(home.path(), "read"));
    let listen = async |token: &str| Ask::new("GET", "/v1/events").token(token).connect(endpoint.address).await;
    let hears = async |stream: &mut tokio::net::TcpStream, word: &str| {
        let (mut heard, mut piece) = (String::new(), [0; 4096]);
        while !heard.contains(word) {
            let read = tokio::time::timeout(admin_support::PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
            assert!(read > 0, "the stream has ended: {heard:?}");
            heard += &String::from_utf8_lossy(&piece[..read]);
        }
    };
    let (mut stays, mut ends) = (listen(&kept).await, listen(&gone).await);
    hears(&mut stays, "event: hello").await;
    hears(&mut ends, "event: hello").await;
    let id = endpoint.get(&gone, "/v1/token").await["id"].as_str().unwrap().to_owned();
    json(home.path(), None, &["token", "revoke", &id]);
    let mut rest = String::new();
    tokio::time::timeout(Duration::from_secs(5), ends.read_to_string(&mut rest)).await.expect("it ends").unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream has an end: {rest:?}");
    Ask::new("POST", "/v1/revocations").token(&kept).json(REVOKE).send(endpoint.address).await;
    hears(&mut stays, "event: revocations").await;
}

/// What cannot be written down is not done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_audit_nothing_is_changed() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "read,revoke");
    let before = total(&endpoint, &token).await;
    let (audit, aside) = (home.path().join("audit.jsonl"), home.path().join("aside"));
    std::fs::rename(&audit, &aside).unwrap();
    std::fs::create_dir(&audit).unwrap();
    let refused = endpoint.ask(&token, "POST", "/v1/revocations", Some(&serde_json::from_str(REVOKE).unwrap())).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "audit-unavailable"));
    assert!(refused.field("retry-after").is_some());
    let by_hand = sealjar(home.path(), None, &["revoke", "subject", "ada"]);
    assert_eq!(by_hand.status.code(), Some(3), "nor from the command line: {by_hand:?}");
    std::fs::remove_dir(&audit).unwrap();
    std::fs::rename(&aside, &audit).unwrap();
    assert_eq!(total(&endpoint, &token).await, before, "nothing was revoked");
    let revoked = endpoint.ask(&token, "POST", "/v1/revocations", Some(&serde_json::from_str(REVOKE).unwrap())).await;
    assert_eq!(revoked.status, 201);
    assert_eq!(json(home.path(), None, &["audit", "verify"])["whole"], true);
}

/// The command line writes into the same audit, and any hand that changes the file is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_is_one_for_all_and_shows_every_change_of_it() {
    let (home, _app, endpoint) = stage().await;
    let home = home.path();
    let token = token(home, "read,revoke");
    json(home, None, &["revoke", "subject", "ada", "--reason", "left the company"]);
    endpoint.ask(&token, "POST", "/v1/revocations", Some(&value!({ "scope": "label", "target": "x" }))).await;
    let records = json(home, None, &["audit", "list", "--subject", "ada"])["records"].clone();
    assert_eq!((&records[1]["reason"], &records[1]["event"]), (&value!("left the company"), &value!("attempt")));
    assert!(records[1]["actor"].as_str().unwrap().starts_with("command line, user "), "{records}");
    assert_eq!((&records[0]["result"], &records[0]["of"]), (&value!("committed"), &records[1]["seq"]));
    let whole = json(home, None, &["audit", "verify"]);
    let kept = whole["head"].as_str().unwrap();
    assert_eq!(json(home, None, &["audit", "verify", "--head", kept])["whole"], true);

    let file = home.join("audit.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let swapped = [&[lines[1], lines[0]], &lines[2..]].concat().join("\n") + "\n";
    let altered = text.replace("left the company", "left the compony");
    let removed = [&lines[..1], &lines[2..]].concat().join("\n") + "\n";
    let cut = lines[..lines.len() - 1].join("\n") + "\n";
    for (what, forged) in [("swapped", swapped), ("altered", altered), ("removed", removed), ("cut", cut)] {
        std::fs::write(&file, &forged).unwrap();
        let verified = sealjar(home, None, &["--json", "audit", "verify"]);
        assert_eq!(verified.status.code(), Some(1), "{what}");
        let found: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert_eq!(found["whole"], false, "{what}");
        let first = found["findings"][0]["line"].as_u64().unwrap();
        let expected = match what {
            "swapped" => 1,
            "cut" => lines.len() as u64,
            "removed" => 2,
            _ => lines.iter().position(|line| line.contains("left the company")).unwrap() as u64 + 1,
        };
        assert_eq!(first, expected, "{what}: {found}");
    }
    std::fs::write(&file, &text).unwrap();
    assert_eq!(json(home, None, &["audit", "verify", "--head", kept])["whole"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_or_never_ends_is_not_waited_for() {
    let (home, _app, endpoint) = stage().await;
    let token = token(home.path(), "revoke");
    let head = |length: &str| {
        format!(
            "POST /v1/revocations HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{length}\r\n\r\n",
            endpoint.address
        )
    };
    let answer = async |mut stream: tokio::net::TcpStream| {
        let mut status = [0; 12];
        tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut status)).await.unwrap().unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    let connect = async || tokio::net::TcpStream::connect(endpoint.address).await.unwrap();
    let mut slow = connect().await;
    slow.write_all((head("Content-Length: 60") + "{\"scope\":").as_bytes()).await.unwrap();
    let slow = tokio::spawn(async move { answer(slow).await });
    let mut endless = connect().await;
    endless.write_all(head("Transfer-Encoding: chunked").as_bytes()).await.unwrap();
    let piece = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    for _ in 0..40 {
        if endless.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
    }
    assert_eq!(answer(endless).await, "413", "more than 64 KiB, whatever it said of its length");
    assert_eq!(slow.await.unwrap(), "408", "10 seconds are enough for 60 bytes");
}

#[test]
fn beyond_this_machine_it_wants_tls_or_to_be_told() {
    let home = tempfile::tempdir().unwrap();
    let refused = |listen: &str| {
        let output = sealjar(home.path(), None, &["admin", "--listen", listen]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7070"] {
        let said = refused(listen);
        assert!(
            said.contains("tokens would cross the network in plain text") && said.contains("--behind-tls-proxy"),
            "{said}"
        );
    }
    json(home.path(), None, &["keys", "init"]);
    let _list = sealjar::io::sqlite::SqliteStore::open(&home.path().join("list.db"), &options(home.path())).unwrap();
    // Port 0 is not for proxies, but shows that it listens.
    let endpoint =
        Endpoint::with(home.path(), None, &["--listen", "0.0.0.0:0", "--behind-tls-proxy", "--host", "admin.example"]);
    let address = (std::net::Ipv4Addr::LOCALHOST, endpoint.address.port()).into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |host: &str, origin: &str| {
        let ask = Ask::new("GET", "/healthz").host(Some(host)).field("Origin", origin);
        runtime.block_on(ask.send(address)).status
    };
    assert_eq!(ask("admin.example", "https://admin.example"), 200);
    assert_eq!(ask("admin.example", "http://admin.example"), 403, "browsers see https there");
    assert_eq!(ask("other.example", "https://other.example"), 421);
}

fn options(home: &Path) -> sealjar::io::sqlite::Options<'static> {
    let key = sealjar::io::folder::KeyFolder::new(home.join("keys")).list_key().unwrap();
    sealjar::io::sqlite::Options {
        app: "shop",
        list_key: Box::leak(key.fingerprint().into_boxed_str()),
        create: true,
        log_out_everybody: false,
        clock: sealjar::time::Clock::system(),
    }
}

/// Asked to stop, it ends its streams and finishes what it is doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_when_it_is_asked_to_and_says_no_secret() {
    for signal in ["TERM", "INT"] {
        let (home, _app, endpoint) = stage().await;
        let token = token(home.path(), "read,revoke");
        let mut stream = Ask::new("GET", "/v1/events").token(&token).connect(endpoint.address).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        Ask::new("POST", "/v1/revocations").token(&token).json(REVOKE).send(endpoint.address).await;
        Ask::new("GET", "/v1/nodes").token("sealjar_admin_wrong-canary").send(endpoint.address).await;
        endpoint.signal(signal);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("0\r\n\r\n"), "the stream has an end: {rest:?}");
        let began = std::time::Instant::now();
        let (status, said) = endpoint.ended();
        assert!(status.success() && began.elapsed() < Duration::from_secs(5), "{status}");
        for secret in [&token[14..], "canary"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

/// Mounted in an app, below a path, beside its own routes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_can_mount_it_below_a_path() {
    use sealjar::admin::{Admin, guard::Site, routes};
    use sealjar::io::{folder::KeyFolder, place::ListPlace};
    use sealjar::operator::Operator;
    use warp::Filter as _;

    let (home, _app, _endpoint) = stage().await;
    let token = token(home.path(), "read,revoke");
    let place = ListPlace::in_home(home.path());
    let folder = KeyFolder::new(home.path().join("keys"));
    let operator = Operator::open(&place, folder, Some("shop"), sealjar::time::Clock::system()).await.unwrap();
    let admin = Admin::new(operator, Some(place), home.path(), Site::loopback());
    let own = warp::path!("ops" / "own").map(|| "the app's own");
    let all = warp::path("ops").and(routes(&admin)).or(own).or(warp::path!("hello").map(|| "hello"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(warp::serve(all).incoming(listener).run());
    let done = Ask::new("POST", "/ops/v1/revocations").token(&token).json(REVOKE).send(address).await;
    let location = done.field("location").unwrap();
    assert!(done.status == 201 && location.starts_with("/ops/v1/operations/"), "{done:?}");
    assert_eq!(Ask::new("GET", location).token(&token).send(address).await.status, 200);
    assert_eq!(Ask::new("GET", "/ops/own").send(address).await.body, "the app's own");
    assert_eq!(Ask::new("GET", "/hello").send(address).await.body, "hello");
    let document = Ask::new("GET", "/ops/openapi.json").send(address).await.json();
    assert_eq!(document["servers"], value!([{ "url": "/ops" }]));
    let head = Ask::new("HEAD", "/ops/v1/nodes").token(&token).send(address).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    admin.close().await;
    server.abort();
}
