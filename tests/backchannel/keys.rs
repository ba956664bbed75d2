//! The provider's keys: asked for seldom, new ones found, and nothing taken from where it should not come from.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealjar::backchannel::{Provider, Refusal};
use serde_json::{Value, json};
use warp::http::StatusCode;

use crate::app::{App, List, provider, runtime};
use crate::mint::{CLIENT, ISSUER, Key, claims_with, jwks, mint_py};
use crate::support::{Answer, Process};

fn token(key: &Key) -> String {
    key.token(&claims_with(&json!({ "sid": "s1" })))
}

fn made_up(key: &Key, n: usize) -> String {
    key.with_header(&json!({ "kid": format!("made-up-{n}") }), &claims_with(&json!({ "sid": "s1" })))
}

fn retry_after(answer: &Answer) -> Duration {
    assert_eq!(
        (answer.status, answer.json["error"].as_str()),
        (503, Some("temporarily_unavailable")),
        "{}",
        answer.text
    );
    Duration::from_secs(answer.all("retry-after").next().expect("it says when").parse().unwrap())
}

#[test]
fn made_up_key_ids_cause_no_storm_and_a_new_key_is_found_all_the_same() {
    let (old, new, thief) = (Key::new("old", "RS256"), Key::new("new", "RS256"), Key::new("thief", "RS256"));
    let (app, served) = App::start(List::Sqlite, &[&old]);
    assert_eq!(app.logout(&token(&old)).status, 200);
    let tokens: Vec<_> = (0..40).map(|n| made_up(&thief, n)).collect();
    std::thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(|| assert!(retry_after(&app.logout(token)) <= Duration::from_secs(10)));
        }
    });
    assert_eq!(served.asked(), 1, "nobody was asked because of them");
    assert_eq!(app.logout(&token(&old)).status, 200, "known keys work meanwhile");

    // The issuer rotates, and signs with the new key at once.
    served.serves(&[&new]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let first = token(&new);
    let wait = retry_after(&app.logout(&first));
    assert_eq!(app.verdict(&cookie), "live", "not refused for good, and not believed either");
    std::thread::sleep(wait);
    assert_eq!(app.logout(&first).status, 200, "as it was told to, the provider sends it again");
    assert_eq!(app.verdict(&cookie), "revoked_label");
    assert_eq!(served.asked(), 2);
    let cookie = app.log_in("7", "ada", Some("s1"));
    assert_ne!(app.logout(&token(&old)).status, 200, "the old key was withdrawn");
    assert_eq!(app.verdict(&cookie), "live");
}

/// Keys that were asked for on behalf of a token, and do not have its key, make it invalid and not "try again".
#[test]
fn a_first_token_with_an_unknown_key_is_refused_for_good() {
    let (key, thief) = (Key::new("k", "RS256"), Key::new("t", "RS256"));
    let (app, served) = App::start(List::Sqlite, &[&key]);
    let answer = app.logout(&made_up(&thief, 0));
    assert_eq!((answer.status, answer.json["error_description"].as_str()), (400, Some(Refusal::UnknownKey.cause())));
    assert_eq!(served.asked(), 1);
}

#[test]
fn many_at_once_share_one_asking() {
    let (key, thief) = (Key::new("k", "EdDSA"), Key::new("t", "EdDSA"));
    let (app, served) = App::start(List::Sqlite, &[&key]);
    let tokens: Vec<_> = (0..30).map(|n| if n % 3 == 0 { token(&key) } else { made_up(&thief, n) }).collect();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let sent: Vec<_> = tokens.iter().map(|token| scope.spawn(|| app.logout(token).status)).collect();
        sent.into_iter().for_each(|thread| *statuses.entry(thread.join().unwrap()).or_default() += 1);
    });
    assert_eq!(served.asked(), 1, "{statuses:?}");
    assert_eq!(statuses[&200], 10, "{statuses:?}");
    assert!(statuses.keys().all(|status| [200, 400, 503].contains(status)), "{statuses:?}");
}

#[test]
fn a_provider_whose_keys_cannot_be_had_is_503_and_the_next_answer_heals_it() {
    let key = Key::new("k", "RS256");
    let oct = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ" }] }).to_string();
    let too_large = format!("{}{}", " ".repeat(256 * 1024), jwks(&[&key]));
    for (what, status, body) in [
        ("an error", StatusCode::INTERNAL_SERVER_ERROR, jwks(&[&key])),
        ("a redirect", StatusCode::FOUND, jwks(&[&key])),
        ("a permanent redirect", StatusCode::PERMANENT_REDIRECT, jwks(&[&key])),
        ("no content", StatusCode::NO_CONTENT, String::new()),
        ("a page", StatusCode::OK, "<html>log in here</html>".into()),
        ("no key of use", StatusCode::OK, oct),
        ("more than 256 KiB", StatusCode::OK, too_large),
    ] {
        let (app, served) = App::start(List::Sqlite, &[&key]);
        served.answers(status, body);
        let cookie = app.log_in("7", "ada", Some("s1"));
        assert!(retry_after(&app.logout(&token(&key))) <= Duration::from_secs(10), "{what}");
        assert_eq!(app.verdict(&cookie), "live", "{what}");
        served.serves(&[&key]);
        retry_after(&app.logout(&token(&key)));
        assert_eq!(served.asked(), 1, "{what}: no second asking within the pause");
    }
}

/// An address that takes the connection and says nothing.
#[test]
fn a_silent_provider_is_waited_for_five_seconds() {
    let key = Key::new("k", "RS256");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let provider = provider().keys_url(format!("http://{}/jwks", silent.local_addr().unwrap()));
    let app = App::start_with(runtime(), List::Sqlite, provider);
    let began = Instant::now();
    retry_after(&app.logout(&token(&key)));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let began = Instant::now();
    retry_after(&app.logout(&token(&key)));
    assert!(began.elapsed() < Duration::from_secs(3), "within the pause nobody waits: {:?}", began.elapsed());
}

#[test]
fn a_file_of_keys_counts_from_the_next_token_on() {
    let (old, new) = (Key::new("old", "RS256"), Key::new("new", "ES256"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(&[&old])).unwrap();
    let app = App::start_with(runtime(), List::Sqlite, provider().keys_file(&file));
    let status = |key| app.logout(&token(key)).status;
    assert_eq!((status(&old), status(&new)), (200, 400));
    std::fs::write(&file, jwks(&[&old, &new])).unwrap();
    assert_eq!((status(&old), status(&new)), (200, 200));
    std::fs::write(&file, jwks(&[&new])).unwrap();
    assert_eq!((status(&old), status(&new)), (400, 200));
    for bad in ["", "{\"keys\":[]}", "half a fi"] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(status(&new), 200, "what was read last goes on");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!((status(&new), status(&old)), (200, 503), "whether the other has come back, nobody can tell");
    std::fs::write(&file, jwks(&[&old])).unwrap();
    assert_eq!((status(&old), status(&new)), (200, 400));
}

#[test]
fn a_wrong_configuration_is_refused_at_start_with_what_to_write() {
    let app = App::start(List::Sqlite, &[&Key::new("k", "EdDSA")]).0;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, "{}").unwrap();
    let new = || Provider::new(ISSUER, CLIENT);
    let https = "https://id.example.org/jwks";
    for (provider, fix) in [
        (new(), ".keys_url("),
        (new().keys_file(folder.path().join("missing")), "jwks_uri"),
        (new().keys_file(&file), "jwks_uri"),
        (new().keys_url("http://id.example.org/jwks"), "https://id.example.org/jwks"),
        (new().keys_url(https).algorithms([]), "RS256"),
        (new().keys_url(https).longest(Duration::ZERO), "60 minutes"),
        (new().keys_url(https).longest(sealjar::minutes(61)), "60 minutes"),
        (Provider::new("", CLIENT).keys_url(https), "Provider::new("),
        (Provider::new(ISSUER, "").keys_url(https), "Provider::new("),
    ] {
        let error = sealjar::backchannel::Receiver::new(app.sessions.clone(), provider).unwrap_err().to_string();
        assert!(error.contains(fix), "{error}");
    }
}

/// The client reads its authorities from the environment of its process, so it has one of its own: this test program, run
/// again for [`https_client`] alone.
#[test]
fn keys_come_over_https_from_whom_this_machine_trusts() {
    let key = Key::new("k", "RS256");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let openssl = |words: &str| {
        let output = Command::new("openssl").current_dir(path).args(words.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {output:?}");
    };
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    for authority in ["ours", "theirs"] {
        openssl(&format!("{new} -x509 -keyout {authority}.key -out {authority}.pem -subj /CN={authority}"));
    }
    openssl(&format!("{new} -keyout key.pem -out request.pem -subj /CN=localhost"));
    std::fs::write(path.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl("x509 -req -in request.pem -CA ours.pem -CAkey ours.key -CAcreateserial -out cert.pem -extfile names");
    std::fs::write(path.join("jwks.json"), jwks(&[&key])).unwrap();
    let file = |name: &str| path.join(name).display().to_string();
    let server =
        Process::start(&mut mint_py(&["tls", "0", &file("cert.pem"), &file("key.pem"), &file("jwks.json")])).unwrap();
    let port = server.after("ready on ");
    for (authority, status) in [("ours", "200"), ("theirs", "503")] {
        let mut client = Command::new(std::env::current_exe().unwrap());
        client.args(["keys::https_client", "--exact", "--ignored", "--nocapture"]).stdin(Stdio::null());
        client.env("SSL_CERT_FILE", file(&format!("{authority}.pem"))).env_remove("SSL_CERT_DIR");
        client.env("JWKS_URL", format!("https://127.0.0.1:{port}/jwks")).env("LOGOUT_TOKEN", token(&key));
        // A proxy of this machine's would not lead to itself.
        client.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let output = client.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("answered {status}")), "{authority}: {said}");
    }
}

#[test]
#[ignore = "a part of keys_come_over_https_from_whom_this_machine_trusts"]
fn https_client() {
    let from = |name: &str| std::env::var(name).expect("the other test sets it");
    let app = App::start_with(runtime(), List::Sqlite, provider().keys_url(from("JWKS_URL")));
    println!("answered {}", app.logout(&from("LOGOUT_TOKEN")).status);
}

/// A key that is published twice, or that is named by nobody, is not guessed at.
#[test]
fn no_key_is_found_by_trial() {
    let (one, two) = (Key::new("same", "RS256"), Key::new("same", "RS256"));
    let (app, served) = App::start(List::Sqlite, &[&one, &two]);
    let without_kid = one.with_header(&json!({ "kid": Value::Null }), &claims_with(&json!({ "sid": "s1" })));
    assert_eq!(app.logout(&without_kid).status, 400);
    assert_ne!(app.logout(&token(&one)).status, 200);
    assert_eq!(served.asked(), 1);
}
