//! Tokens that nobody should act on. After all of them, the session is alive.

use std::collections::BTreeSet;

use sealjar::backchannel::{Algorithm, Refusal};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::{App, List, logout, post, provider, runtime};
use crate::mint::{EVENT, ISSUER, JwksServer, Key, claims, claims_with, jwks, now};
use crate::redis_support::Server;
use crate::support::http;

/// An app whose provider's keys are in a file: that is always as new as it can be, so no key is unknown for now only.
fn app_with(list: List, keys: &[&Key]) -> (App, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(keys)).unwrap();
    (App::start_with(runtime(), list, provider().keys_file(file)), folder)
}

/// Good but for the change.
fn with(key: &Key, changes: &Value) -> String {
    let mut all = json!({ "sid": "s1", "sub": "ada" });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key.token(&claims_with(&all))
}

fn good() -> Value {
    claims_with(&json!({ "sid": "s1", "sub": "ada" }))
}

/// `(what it is, the token, why it is refused)`.
fn wrong_tokens(rsa: &Key, ec: &Key, thief: &Key) -> Vec<(&'static str, String, Refusal)> {
    let now = now();
    let mut wrong = wrong_headers(rsa, ec, thief);
    let claim = |what, changes: Value, refusal| (what, with(rsa, &changes), refusal);
    wrong.extend([
        claim("no iss", json!({ "iss": null }), Refusal::Claims),
        claim("no aud", json!({ "aud": null }), Refusal::Claims),
        claim("no iat", json!({ "iat": null }), Refusal::Claims),
        claim("no exp", json!({ "exp": null }), Refusal::Claims),
        claim("no jti", json!({ "jti": null }), Refusal::Claims),
        claim("an empty jti", json!({ "jti": "" }), Refusal::Claims),
        claim("exp in quotes", json!({ "exp": (now + 60).to_string() }), Refusal::Claims),
        claim("iat in quotes", json!({ "iat": now.to_string() }), Refusal::Claims),
        claim("aud as a number", json!({ "aud": 7 }), Refusal::Claims),
        claim("sid as a number", json!({ "sid": 7 }), Refusal::Claims),
        claim("another issuer", json!({ "iss": "https://id.example.org/realms/two" }), Refusal::Issuer),
        claim("the issuer with a slash", json!({ "iss": format!("{ISSUER}/") }), Refusal::Issuer),
        claim("another audience", json!({ "aud": "blog-client" }), Refusal::Audience),
        claim("no audience at all", json!({ "aud": [] }), Refusal::Audience),
        claim("for us and another client", json!({ "aud": ["shop-client", "blog-client"] }), Refusal::Audience),
        claim("authorized to another client", json!({ "azp": "blog-client" }), Refusal::Audience),
        claim("expired", json!({ "iat": now - 300, "exp": now - 120 }), Refusal::Expired),
        claim("good for a day", json!({ "exp": now + 86_400 }), Refusal::TooLong),
        claim("issued in the future", json!({ "iat": now + 300, "exp": now + 400 }), Refusal::FromTheFuture),
        claim("not valid before", json!({ "nbf": now + 300 }), Refusal::FromTheFuture),
        claim("no events", json!({ "events": null }), Refusal::NotALogout),
        claim(
            "another event",
            json!({ "events": { "http://schemas.openid.net/event/other": {} } }),
            Refusal::NotALogout,
        ),
        claim("events as text", json!({ "events": EVENT }), Refusal::NotALogout),
        claim("events as a list", json!({ "events": [EVENT] }), Refusal::NotALogout),
        claim("the event as null", json!({ "events": { EVENT: null } }), Refusal::NotALogout),
        claim("the event as true", json!({ "events": { EVENT: true } }), Refusal::NotALogout),
        claim("the event as text", json!({ "events": { EVENT: "{}" } }), Refusal::NotALogout),
        claim("the event as a list", json!({ "events": { EVENT: [] } }), Refusal::NotALogout),
        claim("a nonce", json!({ "nonce": "n-0S6_WzA2Mj" }), Refusal::Nonce),
        claim("neither sub nor sid", json!({ "sub": null, "sid": null }), Refusal::Nobody),
        claim("an ID token", json!({ "events": null, "nonce": "n", "auth_time": now }), Refusal::NotALogout),
    ]);
    let doubled = good().to_string().replacen('{', &format!("{{\"iss\":\"{ISSUER}\","), 1);
    let null_nonce = good().to_string().replacen('{', "{\"nonce\":null,", 1);
    wrong.extend([
        ("iss twice", rsa.over(&doubled), Refusal::Claims),
        ("nonce: null", rsa.over(&null_nonce), Refusal::Nonce),
        ("signed text", rsa.over("logout, please"), Refusal::Claims),
        ("a signed list", rsa.over("[]"), Refusal::Claims),
        ("signed nothing", rsa.over(""), Refusal::Claims),
    ]);
    wrong
}

/// What is wrong before a claim is looked at.
fn wrong_headers(rsa: &Key, ec: &Key, thief: &Key) -> Vec<(&'static str, String, Refusal)> {
    let token = rsa.token(&good());
    let parts: Vec<_> = token.split('.').collect();
    let swapped = ec.token(&claims_with(&json!({ "sid": "s2" })));
    let swapped = swapped.split('.').nth(1).unwrap();
    let header = |what, changes: Value, refusal| (what, rsa.with_header(&changes, &good()), refusal);
    let stolen = |what, changes: Value, refusal| (what, thief.with_header(&changes, &good()), refusal);
    vec![
        ("no signature: alg none", rsa.unsigned(&good()), Refusal::Algorithm),
        ("HS256, the PEM key as secret", rsa.misused("pem", &good()), Refusal::Algorithm),
        ("HS256, the DER key as secret", rsa.misused("der", &good()), Refusal::Algorithm),
        ("HS256, the modulus as secret", rsa.misused("n", &good()), Refusal::Algorithm),
        ("RS512, which nobody configured", rsa.signed_as("RS512", &good()), Refusal::Algorithm),
        ("a token for an API", rsa.with_header(&json!({ "typ": "at+jwt" }), &good()), Refusal::Type),
        header("a security event", json!({ "typ": "secevent+jwt" }), Refusal::Type),
        header("a critical header", json!({ "crit": ["exp"], "exp": now() }), Refusal::Critical),
        header("a key that nobody has", json!({ "kid": "nobody's" }), Refusal::UnknownKey),
        header("another kind of key", json!({ "kid": ec.id }), Refusal::UnknownKey),
        stolen("a stranger's key", json!({}), Refusal::UnknownKey),
        stolen("a stranger's key under a good id", json!({ "kid": rsa.id }), Refusal::BadSignature),
        stolen("a stranger's key, brought along", json!({ "kid": rsa.id, "jwk": thief.jwk }), Refusal::BadSignature),
        ("another payload under a signature", format!("{}.{swapped}.{}", parts[0], parts[2]), Refusal::BadSignature),
        ("a signature that is cut off", token[..token.len() - 6].to_owned(), Refusal::BadSignature),
        ("an empty signature", format!("{}.{}.", parts[0], parts[1]), Refusal::BadSignature),
        ("two parts", format!("{}.{}", parts[0], parts[1]), Refusal::Malformed),
        ("four parts", format!("{token}.x"), Refusal::Malformed),
        ("five parts, as a JWE has", format!("{token}.x.y"), Refusal::Encrypted),
        ("a thousand parts", ".".repeat(1000), Refusal::Malformed),
        ("a header that is no JSON", format!("bm8.{}.{}", parts[1], parts[2]), Refusal::Malformed),
        ("padding", format!("{}==.{}.{}", parts[0], parts[1], parts[2]), Refusal::Malformed),
        ("no token at all", "logout".to_owned(), Refusal::Malformed),
        ("a token of 16 KiB and a byte", "a".repeat(16 * 1024 + 1), Refusal::TooLarge),
    ]
}

fn refuses_all_of_them(list: List) {
    let (rsa, ec, thief) = (Key::new("r", "RS256"), Key::new("e", "ES256"), Key::new("t", "RS256"));
    let (app, _folder) = app_with(list, &[&rsa, &ec]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let mut reached: BTreeSet<_> = [Refusal::NoToken, Refusal::Replayed].map(Refusal::code).into();
    let wrong = wrong_tokens(&rsa, &ec, &thief);
    assert!(wrong.len() > 50, "{} ways", wrong.len());
    for (what, token, refusal) in wrong {
        let answer = app.logout(&token);
        assert_eq!(answer.status, 400, "{what}");
        let expected = json!({ "error": "invalid_request", "error_description": refusal.cause() });
        assert_eq!(answer.json, expected, "{what}: expected {refusal}");
        assert_eq!(app.verdict(&cookie), "live", "{what}");
        reached.insert(refusal.code());
    }
    assert_eq!(reached, Refusal::ALL.map(Refusal::code).into(), "every refusal was met; two have tests of their own");
    assert_eq!(app.logout(&with(&rsa, &json!({}))).status, 200, "and a good one works");
    assert_eq!(app.verdict(&cookie), "revoked_label");
}

#[test]
fn tokens_that_are_invalid_are_refused_each_for_its_reason_with_sqlite() {
    refuses_all_of_them(List::Sqlite);
}

#[test]
fn tokens_that_are_invalid_are_refused_each_for_its_reason_with_redis() {
    refuses_all_of_them(List::Redis(Server::start()));
}

#[test]
fn what_is_no_form_with_one_token_is_refused() {
    let key = Key::new("k", "RS256");
    let (app, _folder) = app_with(List::Sqlite, &[&key]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let (form, token) = ("application/x-www-form-urlencoded", with(&key, &json!({})));
    let no_token = Refusal::NoToken.cause();
    for (what, kind, body) in [
        ("an empty body", form, String::new()),
        ("another field", form, format!("token={token}")),
        ("another spelling", form, format!("Logout_Token={token}")),
        ("an empty token", form, "logout_token=".to_owned()),
        ("two tokens", form, format!("logout_token={token}&logout_token={token}")),
        ("JSON", "application/json", json!({ "logout_token": token }).to_string()),
        ("a form that calls itself text", "text/plain", format!("logout_token={token}")),
        ("the token alone", "application/jwt", token.clone()),
    ] {
        let answer = post(&app.url, kind, &body);
        assert_eq!((answer.status, answer.json["error_description"].as_str()), (400, Some(no_token)), "{what}");
    }
    let address = format!("{}/backchannel-logout", app.url);
    let in_query = http("POST", &format!("{address}?logout_token={token}"), [], Some((form, "")));
    assert_eq!(in_query.status, 400, "a token in an address stands in logs");
    assert_eq!(http("GET", &format!("{address}?logout_token={token}"), [], None).status, 405);
    assert_eq!(app.verdict(&cookie), "live");
    let padding = "a".repeat(60 * 1024);
    assert_eq!(post(&app.url, form, &format!("x={padding}&logout_token={token}")).status, 200, "up to 64 KiB");
    let cookie = app.log_in("7", "ada", Some("s1"));
    let large = post(&app.url, form, &format!("x={padding}{padding}&logout_token={token}"));
    assert_eq!((large.status, large.json["error_description"].as_str()), (400, Some(Refusal::TooLarge.cause())));
    assert_eq!(app.verdict(&cookie), "live");
}

/// The body comes in pieces and nobody says how long it is. It is read no further than it may go.
#[test]
fn a_body_of_unknown_length_is_read_up_to_the_cap() {
    use std::io::{Read as _, Write as _};
    let key = Key::new("k", "RS256");
    let (app, _folder) = app_with(List::Sqlite, &[&key]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let send = |pieces: &mut dyn Iterator<Item = String>| {
        let mut stream = std::net::TcpStream::connect(app.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        let head = "POST /backchannel-logout HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                    content-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for piece in pieces {
            // When enough is enough, the server stops reading, and this fails.
            if write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).is_err() {
                break;
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let token = with(&key, &json!({}));
    let (one, two) = token.split_at(token.len() / 2);
    let mut good = ["logout_token=".to_owned(), one.to_owned(), two.to_owned()].into_iter();
    assert!(send(&mut good).starts_with("HTTP/1.1 200"));
    assert_eq!(app.verdict(&cookie), "revoked_label");
    let mut endless =
        std::iter::once("logout_token=".to_owned()).chain(std::iter::repeat_n("a".repeat(8 * 1024), 10_000));
    let answer = send(&mut endless);
    let pieces = 10_000 - endless.count();
    assert!(pieces < 2_000, "{pieces} pieces were taken");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// `jku`, `x5u`, `jwk`, `x5c`: what a token says about keys is not even looked at.
#[test]
fn a_token_names_no_place_that_is_asked() {
    let (key, thief) = (Key::new("k", "RS256"), Key::new("t", "RS256"));
    let (app, _folder) = app_with(List::Sqlite, &[&key]);
    let trap = {
        let _entered = app.runtime.enter();
        JwksServer::start(&[&thief])
    };
    let cookie = app.log_in("7", "ada", Some("s1"));
    for kid in ["t", "k"] {
        for (name, value) in [("jku", json!(trap.url)), ("x5u", json!(trap.url)), ("jwk", thief.jwk.clone())] {
            let token = thief.with_header(&json!({ "kid": kid, name: value }), &good());
            assert_eq!(app.logout(&token).status, 400, "{name}");
        }
    }
    assert_eq!((trap.asked(), app.verdict(&cookie).as_str()), (0, "live"));
}

#[test]
fn what_the_provider_was_not_configured_for_is_refused() {
    let key = Key::new("k", "RS256");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(&[&key])).unwrap();
    let start =
        |provider: sealjar::backchannel::Provider| App::start_with(runtime(), List::Sqlite, provider.keys_file(&file));
    let default = sealjar::backchannel::Provider::new(ISSUER, crate::mint::CLIENT);
    let token = |changes: Value| with(&key, &changes);

    let app = start(default.clone());
    assert_eq!(app.logout(&key.signed_as("PS256", &good())).status, 400, "RS256, unless told otherwise");
    assert_eq!(app.logout(&token(json!({}))).status, 200);

    let app = start(default.clone().algorithms([Algorithm::Ps256]));
    assert_eq!(app.logout(&key.signed_as("PS256", &good())).status, 200);
    let refused = app.logout(&token(json!({})));
    assert_eq!(refused.json["error_description"].as_str(), Some(Refusal::Algorithm.cause()));

    let app = start(default.clone().require_type());
    assert_eq!(app.logout(&token(json!({}))).status, 200);
    for typ in [Value::Null, json!("JWT")] {
        let refused = app.logout(&key.with_header(&json!({ "typ": typ }), &good()));
        assert_eq!(refused.json["error_description"].as_str(), Some(Refusal::Type.cause()), "{typ}");
    }

    let app = start(default.clone().trust_audience("gateway"));
    assert_eq!(app.logout(&token(json!({ "aud": ["gateway", "shop-client"] }))).status, 200);
    assert_eq!(app.logout(&token(json!({ "aud": ["gateway"] }))).status, 400, "not without us");

    let app = start(default.longest(sealjar::minutes(1)));
    assert_eq!(app.logout(&token(json!({ "exp": now() + 115 }))).status, 200, "a minute, and one for the clocks");
    assert_eq!(app.logout(&token(json!({ "exp": now() + 180 }))).status, 400);
}

/// Without a `sid` a replay would log out whoever has logged in again since, so this is where it matters most.
#[test]
fn a_token_that_was_acted_on_is_refused_and_harms_nobody() {
    let key = Key::new("k", "RS256");
    let (app, _folder) = app_with(List::Sqlite, &[&key]);
    for scope in [json!({ "sub": "ada" }), json!({ "sid": "s1" })] {
        let token = key.token(&claims_with(&scope));
        assert_eq!(app.logout(&token).status, 200);
        let since = app.log_in("7", "ada", Some("s1"));
        let replay = app.logout(&token);
        assert_eq!((replay.status, replay.json["error_description"].as_str()), (400, Some(Refusal::Replayed.cause())));
        assert_eq!(app.verdict(&since), "live");
    }
    // Another provider's realm may use the same numbers; ours is another token.
    let mut again = claims();
    again["sub"] = json!("ada");
    let since = app.log_in("7", "ada", Some("s1"));
    assert_eq!(app.logout(&key.token(&again)).status, 200);
    assert_eq!(app.verdict(&since), "revoked_label");
    assert_eq!(logout(&app.url, &key.token(&again)).status, 400, "minted anew with the same jti: the same token");
}
