//! The warp face: what reaches the client, header by header.
#![cfg(feature = "warp")]

mod support_sessions;

use std::sync::{Arc, Mutex};

use sealjar::warp::{NoSession, recover_json, recover_to};
use sealjar::{Session, Sessions, Verdict};
use support_sessions::{Browser, Home, Visitor};
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection};

fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn routes(sessions: &Sessions<Visitor>) -> BoxedFilter<(Response,)> {
    let read = warp::path("read").and(sessions.open()).map(|session: Session<Visitor>| {
        let verdict = session.verdict().code();
        session.reply(verdict)
    });
    let write = warp::path("write").and(sessions.open()).map(|mut session: Session<Visitor>| {
        session.update(|visitor| visitor.coins += 1);
        let reply = warp::reply::with_header("done", "set-cookie", "theirs=1");
        session.reply(warp::reply::with_header(reply, "vary", "Accept"))
    });
    let login = warp::path("login").and(sessions.open()).then(|mut session: Session<Visitor>| async move {
        let said = session.login("7", Visitor::default()).await.map(|_| "welcome");
        session.reply(said)
    });
    let large = warp::path("large").and(sessions.open()).map(|mut session: Session<Visitor>| {
        session.update(|visitor| visitor.name = "secret".repeat(1000));
        session.reply("done")
    });
    read.or(write).unify().or(login).unify().or(large).unify().boxed()
}

#[tokio::test]
async fn a_read_session_varies_by_cookie_and_writes_nothing() {
    let home = Home::new();
    let routes = routes(&home.start().await);
    let reply = warp::test::request().path("/read").reply(&routes).await;
    assert_eq!((reply.status(), reply.body().as_ref()), (StatusCode::OK, &b"no_cookie"[..]));
    assert_eq!(all(reply.headers(), "vary"), ["Cookie"]);
    assert_eq!(all(reply.headers(), "set-cookie"), [""; 0]);
    assert_eq!(all(reply.headers(), "cache-control"), [""; 0]);
}

#[tokio::test]
async fn a_changed_session_is_stamped_beside_the_replys_own_headers() {
    let home = Home::new();
    let routes = routes(&home.start().await);
    let reply = warp::test::request().path("/write").reply(&routes).await;
    let cookies = all(reply.headers(), "set-cookie");
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[0], "theirs=1");
    assert!(cookies[1].starts_with("shop=A"), "{cookies:?}");
    assert!(cookies[1].ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{cookies:?}");
    assert_eq!(all(reply.headers(), "cache-control"), ["no-store"]);
    assert_eq!(all(reply.headers(), "vary"), ["Accept", "Cookie"]);
}

#[tokio::test]
async fn cookie_fields_that_http2_split_are_all_read() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let request = warp::test::request().path("/read").header("cookie", "a=\"").header("cookie", browser.cookie());
    assert_eq!(request.reply(&routes(&sessions)).await.body().as_ref(), b"live");
    let request =
        warp::test::request().path("/read").header("cookie", &b"a=\xff\xfe"[..]).header("cookie", browser.cookie());
    assert_eq!(request.reply(&routes(&sessions)).await.body().as_ref(), b"live");
}

#[tokio::test]
async fn what_cannot_be_sealed_is_500_and_says_nothing_to_the_client() {
    let home = Home::new();
    let reply = warp::test::request().path("/large").reply(&routes(&home.start().await)).await;
    assert_eq!(
        (reply.status(), reply.body().as_ref()),
        (StatusCode::INTERNAL_SERVER_ERROR, &br#"{"error":"internal"}"#[..])
    );
    assert_eq!(all(reply.headers(), "set-cookie"), [""; 0]);
}

#[tokio::test]
async fn require_lets_live_sessions_through_and_recovers_from_the_rest() {
    let home = Home::new();
    let sessions = home.start().await;
    let seen = Arc::new(Mutex::new(None));
    let heard = seen.clone();
    let account = warp::path("account").and(sessions.require()).map(|session: Session<Visitor>| session.reply("yours"));
    let json = account.clone().recover(recover_json);
    let page = account.clone().recover(recover_to("/login"));
    let own = account.recover(move |rejection: Rejection| {
        let none = rejection.find::<NoSession>().map(|none| (none.verdict(), none.reply(warp::reply::html("log in"))));
        *heard.lock().unwrap() = none.as_ref().map(|(verdict, _)| *verdict);
        async move { none.map(|(_, reply)| reply).ok_or(rejection) }
    });

    let request = || warp::test::request().path("/account");
    let reply = request().reply(&json).await;
    assert_eq!((reply.status(), reply.body().as_ref()), (StatusCode::UNAUTHORIZED, &br#"{"error":"no_session"}"#[..]));
    assert_eq!(all(reply.headers(), "vary"), ["Cookie"]);
    let reply = request().reply(&page).await;
    assert_eq!((reply.status(), all(reply.headers(), "location")), (StatusCode::SEE_OTHER, vec!["/login".to_owned()]));
    assert_eq!(request().reply(&own).await.body().as_ref(), b"log in");
    assert_eq!(*seen.lock().unwrap(), Some(Verdict::NoCookie));
    assert_eq!(
        warp::test::request().path("/other").reply(&json).await.status(),
        StatusCode::NOT_FOUND,
        "not ours to recover"
    );

    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let reply = request().header("cookie", browser.cookie()).reply(&json).await;
    assert_eq!((reply.status(), reply.body().as_ref()), (StatusCode::OK, &b"yours"[..]));
}

#[tokio::test]
async fn a_refused_duplicate_is_expired_by_the_recovered_reply_too() {
    let home = Home::new();
    let sessions = home.start().await;
    let (mut ours, mut planted) = (Browser::default(), Browser::default());
    ours.log_in(&sessions, "7").await;
    planted.log_in(&sessions, "8").await;
    let account = warp::path("account").and(sessions.require()).map(|session: Session<Visitor>| session.reply("yours"));
    let both = format!("{}; {}", ours.cookie(), planted.cookie());
    let request = warp::test::request().path("/account").header("host", "app.example.org").header("cookie", both);
    let reply = request.reply(&account.recover(recover_json)).await;
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(all(reply.headers(), "set-cookie").len(), 3);
    assert_eq!(all(reply.headers(), "cache-control"), ["no-store"]);
}

/// The list is out of reach: routes answer by their policy, with 503 and never with a logout.
#[tokio::test]
async fn an_unreadable_list_is_503_and_the_cookie_stays() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    home.break_list();
    let relaxed = routes(&sessions.relaxed());
    let default = routes(&sessions);
    let strict = routes(&sessions.strict());
    let read = |path| warp::test::request().path(path).header("cookie", browser.cookie());

    assert_eq!(read("/read").reply(&default).await.body().as_ref(), b"live", "fresh for S");
    assert_eq!(
        read("/read").reply(&strict).await.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "a strict route asks, and nobody answers"
    );
    home.jump(std::time::Duration::from_secs(6));
    assert_eq!(read("/read").reply(&relaxed).await.body().as_ref(), b"live", "stale");
    let reply = read("/read").reply(&default).await;
    assert_eq!(
        (reply.status(), reply.body().as_ref()),
        (StatusCode::SERVICE_UNAVAILABLE, &br#"{"error":"try_again"}"#[..])
    );
    assert_eq!(all(reply.headers(), "retry-after"), ["2"]);
    assert_eq!(all(reply.headers(), "set-cookie"), [""; 0]);
    home.jump(std::time::Duration::from_mins(1));
    for routes in [&relaxed, &default, &strict] {
        for path in ["/read", "/write", "/login"] {
            let reply = read(path).reply(routes).await;
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE, "lost: {path}");
            assert_eq!(all(reply.headers(), "set-cookie"), [""; 0]);
        }
        let reply = warp::test::request().path("/read").reply(routes).await;
        assert_eq!(reply.body().as_ref(), b"no_cookie", "who brings no cookie needs no list");
    }
    home.mend_list();
    support_sessions::eventually("the list is fresh", || sessions.freshness() == sealjar::revocation::Freshness::Fresh)
        .await;
    assert_eq!(read("/read").reply(&default).await.body().as_ref(), b"live", "back, and nobody was logged out");
}

#[tokio::test]
async fn monitoring_reads_what_happened() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.open(&sessions).await.discard();
    browser.log_in(&sessions, "canary-7").await;
    let mut session = browser.open(&sessions).await;
    session.offer_once("captcha", &"canary", sealjar::minutes(5)).unwrap();
    browser.store(session);
    for _ in 0..2 {
        let mut session = browser.open(&sessions).await;
        assert!(session.take_once::<String>("captcha").await.is_ok());
        session.discard();
    }
    sessions.revoke_subject("canary-7").await.unwrap();
    browser.open(&sessions).await.discard();
    let page = warp::path("metrics").and(sessions.metrics_page());
    let reply = warp::test::request().path("/metrics").reply(&page).await;
    assert_eq!(all(reply.headers(), "content-type"), [sealjar::metrics::CONTENT_TYPE]);
    let text = std::str::from_utf8(reply.body()).unwrap();
    support_sessions::canaries::keep(reply.body());
    let key = sessions.key_ring().sealing().unwrap().id();
    for line in [
        "sealjar_sessions_total{verdict=\"live\"} 3",
        "sealjar_sessions_total{verdict=\"no_cookie\"} 2",
        "sealjar_sessions_total{verdict=\"revoked_subject\"} 1",
        "sealjar_list_state{state=\"fresh\"} 1",
        "sealjar_list_entries{kind=\"cut_off\"} 1",
        "sealjar_publications_total{outcome=\"committed\"} 1",
        "sealjar_once_total{outcome=\"first\"} 1",
        "sealjar_once_total{outcome=\"replay\"} 1",
        "sealjar_keys{state=\"active\"} 1",
        "sealjar_can_seal 1",
        "sealjar_spool_depth 0",
        "sealjar_own_file_failing 0",
        "sealjar_propagation_seconds_count 0",
        &format!("sealjar_key_info{{key=\"{key}\",state=\"active\"}} 1"),
        &format!("sealjar_key_opens_total{{key=\"{key}\"}} 4"),
        "sealjar_open_seconds_count 1",
        "sealjar_seal_seconds_count 2",
    ] {
        assert!(text.lines().any(|has| has == line), "`{line}` is not in\n{text}");
    }
    let bytes = text.lines().find_map(|line| line.strip_prefix("sealjar_list_bytes ")?.parse::<u64>().ok());
    assert!(bytes.is_some_and(|bytes| (100..100_000).contains(&bytes)), "{bytes:?}");
    assert!(!text.contains("canary"), "no name and no value is in it");
}
