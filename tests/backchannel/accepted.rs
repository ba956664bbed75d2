//! Good tokens: whose sessions end, and whose do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use sealjar::backchannel::{self, Refusal};
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::operator::Operator;
use sealjar::time::Clock;
use sealjar::{Login, Request};
use serde_json::json;

use crate::app::{App, List, Visitor, logout, post, provider, serve, verdict};
use crate::mint::{Key, claims_with};
use crate::redis_support::Server;
use crate::support::eventually;

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// Every kind of list, every algorithm, every way to say whose sessions end.
fn ends_what_it_means_and_nothing_else(list: List) {
    let keys = ALGORITHMS.map(|alg| Key::new(alg, alg));
    let (app, served) = App::start(list, &keys.each_ref());
    for key in &keys {
        for (what, claims, ended) in [
            ("sid", json!({ "sid": "s1" }), &["one"][..]),
            ("sid and sub", json!({ "sid": "s1", "sub": "ada" }), &["one"]),
            ("sub", json!({ "sub": "ada" }), &["one", "two", "without sid"]),
        ] {
            let sessions = [
                ("one", app.log_in("7", "ada", Some("s1"))),
                ("two", app.log_in("7", "ada", Some("s2"))),
                ("without sid", app.log_in("7", "ada", None)),
                ("somebody else", app.log_in("8", "bob", Some("s3"))),
                ("their name is that session's", app.log_in("9", "s1", Some("ada"))),
                ("of another issuer", app.log_in_at("7", "https://id.example.org/realms/two", "ada", Some("s1"))),
                ("the parts run together", app.log_in_at("7", "https://id.example.org/realms/on", "eada", Some("es1"))),
            ];
            for (name, cookie) in &sessions {
                assert_eq!(app.verdict(cookie), "live", "{name}");
            }
            let answer = app.logout(&key.token(&claims_with(&claims)));
            assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{what}, {}", key.alg);
            for (name, cookie) in &sessions {
                let expected = if ended.contains(name) { "revoked_label" } else { "live" };
                assert_eq!(app.verdict(cookie), expected, "{name} after a logout by {what}, {}", key.alg);
            }
            let again = app.log_in("7", "ada", Some("s1"));
            assert_eq!(app.verdict(&again), "live", "a later login is not touched");
        }
    }
    assert_eq!(served.asked(), 1, "the keys are asked for once");
}

#[test]
fn a_logout_at_the_provider_ends_what_it_means_with_sqlite() {
    ends_what_it_means_and_nothing_else(List::Sqlite);
}

#[test]
fn a_logout_at_the_provider_ends_what_it_means_with_redis() {
    ends_what_it_means_and_nothing_else(List::Redis(Server::start()));
}

/// What providers send in practice: no `typ`, `JWT`, several audiences of one, claims that nobody asked for.
#[test]
fn the_dialects_of_providers_are_understood() {
    let key = Key::new("k", "RS256");
    let (app, _) = App::start(List::Sqlite, &[&key]);
    let good = |claims| claims_with(&claims);
    let tokens = [
        key.with_header(&json!({ "typ": null }), &good(json!({ "sid": "s1" }))),
        key.with_header(&json!({ "typ": "JWT" }), &good(json!({ "sid": "s1" }))),
        key.with_header(&json!({ "kid": null }), &good(json!({ "sid": "s1" }))),
        key.with_header(&json!({ "x": "y", "jku": "http://127.0.0.1:9/" }), &good(json!({ "sid": "s1" }))),
        key.token(&good(json!({ "sid": "s1", "aud": ["shop-client"], "azp": "shop-client", "typ": "Logout" }))),
        key.token(&good(json!({ "sid": "s1", "events": { "http://schemas.openid.net/event/backchannel-logout": { "x": 1 }, "y": {} } }))),
        key.token(&good(json!({ "sid": "s1", "sub": null, "trace": [1, { "two": 3 }] }))),
    ];
    for token in &tokens {
        let cookie = app.log_in("7", "ada", Some("s1"));
        assert_eq!(app.logout(token).status, 200, "{token}");
        assert_eq!(app.verdict(&cookie), "revoked_label");
    }
    let cookie = app.log_in("7", "ada", Some("s1"));
    let token = key.token(&good(json!({ "sid": "s1" })));
    let encoded = token.replace('.', "%2E").replace('-', "%2D");
    let form = format!("state=x&logout_token={encoded}&logout=1");
    let answer = post(&app.url, "Application/X-WWW-Form-Urlencoded; charset=UTF-8", &form);
    assert_eq!(answer.status, 200, "other fields are ignored, and so is how it was encoded");
    assert_eq!(app.verdict(&cookie), "revoked_label");
}

/// The process that receives need not have sessions, and the apps need not know of it.
#[test]
fn a_process_with_nothing_but_the_list_receives_for_the_app() {
    let key = Key::new("k", "ES256");
    for list in [List::Sqlite, List::Redis(Server::start())] {
        let (app, jwks) = App::start(list, &[&key]);
        let cookie = app.log_in("7", "ada", Some("s1"));
        let place = match &app.list {
            List::Sqlite => ListPlace::in_home(app.home.path()),
            List::Redis(server) => ListPlace::parse(&server.url()).unwrap(),
        };
        let url = app.runtime.block_on(async {
            let folder = KeyFolder::new(app.home.path().join("keys"));
            let operator = Operator::open(&place, folder, Some("shop"), Clock::system()).await.unwrap();
            serve(backchannel::route(&Arc::new(operator), provider().keys_url(&jwks.url)).unwrap())
        });
        let token = key.token(&claims_with(&json!({ "sid": "s1" })));
        assert_eq!(logout(&url, &token).status, 200);
        eventually("see the logout", || match app.verdict(&cookie).as_str() {
            "revoked_label" => Ok(()),
            other => Err(other.to_owned()),
        });
        for url in [&url, &app.url] {
            let replay = logout(url, &token);
            let said = replay.json["error_description"].as_str();
            assert_eq!((replay.status, said), (400, Some(Refusal::Replayed.cause())));
        }
    }
}

/// Acted on once, wherever it comes in the second time: what began in the meantime lives on.
#[test]
fn a_token_is_acted_on_once_by_all_processes_together() {
    for list in [List::Sqlite, List::Redis(Server::start())] {
        let key = Key::new("k", "RS256");
        let (app, served) = App::start(list, &[&key]);
        let (other, _other) = app.another(provider().keys_url(&served.url));
        let token = key.token(&claims_with(&json!({ "sub": "ada" })));
        let before = app.log_in("7", "ada", None);
        assert_eq!(app.logout(&token).status, 200);
        assert_eq!(app.verdict(&before), "revoked_label");
        let since = app.log_in("7", "ada", None);
        for url in [&app.url, &other] {
            let answer = logout(url, &token);
            assert_eq!(
                (answer.status, answer.json["error"].as_str()),
                (400, Some("invalid_request")),
                "{}",
                answer.text
            );
            assert_eq!(verdict(url, &since), "live");
        }
    }
}

/// At once from several sides: none is answered wrongly, and the session is dead.
#[test]
fn tokens_at_once_are_each_answered_for_themselves() {
    let key = Key::new("k", "EdDSA");
    let (app, served) = App::start(List::Sqlite, &[&key]);
    let sessions: Vec<_> = (0..20).map(|n| app.log_in("7", "ada", Some(&format!("s{n}")))).collect();
    let tokens: Vec<_> = (0..20).map(|n| key.token(&claims_with(&json!({ "sid": format!("s{n}") })))).collect();
    let statuses: BTreeSet<_> = std::thread::scope(|scope| {
        let sent: Vec<_> = tokens.iter().map(|token| scope.spawn(|| app.logout(token).status)).collect();
        sent.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200].into());
    assert!(sessions.iter().all(|cookie| app.verdict(cookie) == "revoked_label"));
    assert_eq!(served.asked(), 1, "one asking for all of them");
}

/// Two of the four labels; what is empty cannot be what an ID token says.
#[test]
fn a_login_names_its_provider_within_the_room_for_labels() {
    let (app, _) = App::start(List::Sqlite, &[&Key::new("k", "EdDSA")]);
    let log_in = |login: Login| {
        app.runtime.block_on(async {
            let mut session = app.sessions.begin([], Request::default()).await;
            let outcome = session.login(login, Visitor::default()).await.map(|_| ()).map_err(|error| error.to_string());
            session.discard();
            outcome
        })
    };
    let with_labels = |labels: usize| (0..labels).fold(Login::subject("7"), |login, n| login.label(n.to_string()));
    assert_eq!(log_in(with_labels(2).provider("iss", "sub", "sid")), Ok(()));
    assert_eq!(log_in(with_labels(3).provider("iss", "sub", None)), Ok(()));
    assert!(log_in(with_labels(3).provider("iss", "sub", "sid")).unwrap_err().contains("at most 4"));
    for (iss, sub, sid) in [("", "sub", None), ("iss", "", None), ("iss", "sub", Some(""))] {
        let error = log_in(with_labels(0).provider(iss, sub, sid)).unwrap_err();
        assert!(error.contains("None where it has no `sid`"), "{error}");
    }
}
