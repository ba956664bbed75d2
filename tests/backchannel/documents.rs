//! `docs/backchannel.md` says what is so, and the log says nothing that it should not.

use std::process::Command;

use sealjar::backchannel::Refusal;
use serde_json::json;

use crate::app::{App, List};
use crate::mint::{Key, claims_with};
use crate::redis_support::captured::{Captured, is_alone};

fn read(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines between a fence and the next.
fn block<'a>(text: &'a str, fence: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{fence}\n")).unwrap_or_else(|| panic!("no block of {fence}"));
    rest.split_once("```").unwrap().0
}

#[test]
fn the_page_names_every_refusal_in_its_table() {
    let page = read("docs/backchannel.md");
    let listed: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for refusal in Refusal::ALL {
        assert!(listed.contains(&refusal.code()), "docs/backchannel.md misses {refusal}");
    }
    assert_eq!(listed.len(), Refusal::ALL.len(), "{listed:?}");
}

/// The ten lines of the page are those of the module's documentation, which are compiled.
#[test]
fn the_page_shows_the_code_that_is_compiled() {
    let module = read("src/backchannel/mod.rs");
    let lines =
        module.lines().filter_map(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    let module: String = lines.map(|line| format!("{line}\n")).collect();
    let compiled: Vec<_> = block(&module, "no_run").lines().filter(|line| !line.starts_with("# ")).collect();
    let page = read("docs/backchannel.md");
    assert_eq!(block(&page, "rust").lines().collect::<Vec<_>>(), compiled);
}

#[test]
fn the_pages_curl_logs_somebody_out() {
    let key = Key::new("k", "RS256");
    let (app, _served) = App::start(List::Sqlite, &[&key]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let page = read("docs/backchannel.md");
    let run = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", block(&page, "sh")]).env("APP", &app.url).env("NO_PROXY", "127.0.0.1");
        shell.env("LOGOUT_TOKEN", key.token(&claims_with(&json!({ "sid": "s1", "jti": "of the page" }))));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run();
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("cache-control: no-store"), "{said}");
    assert_eq!(app.verdict(&cookie), "revoked_label");
    let said = run();
    assert!(said.contains("400 Bad Request") && said.contains(Refusal::Replayed.cause()), "{said}");
}

/// Every log line at its finest, in a process of its own, whose log nobody else collects.
#[test]
fn no_token_and_nobodys_name_stands_in_the_log_or_in_an_answer() {
    if !is_alone("documents::no_token_and_nobodys_name_stands_in_the_log_or_in_an_answer") {
        return;
    }
    let captured = Captured::default();
    tracing::subscriber::set_global_default(captured.log()).unwrap();
    let key = Key::new("canary-kid-11", "RS256");
    let (app, served) = App::start(List::Sqlite, &[&key]);
    app.log_in("canary-subject-22", "canary-sub-33", Some("canary-sid-44"));
    let token =
        key.token(&claims_with(&json!({ "sid": "canary-sid-44", "sub": "canary-sub-33", "jti": "canary-jti-55" })));
    let signature = token.rsplit('.').next().unwrap().to_owned();
    let by_subject = key.token(&claims_with(&json!({ "sub": "canary-sub-33", "jti": "canary-jti-66" })));
    let wrong =
        key.token(&claims_with(&json!({ "sub": "canary-sub-33", "iss": "https://canary-issuer-77.example.org" })));
    let unknown = key.with_header(&json!({ "kid": "canary-kid-88" }), &claims_with(&json!({ "sub": "canary-sub-33" })));
    let answers: Vec<_> = [&token, &token, &by_subject, &wrong, &unknown, &token[..100].to_owned()]
        .into_iter()
        .map(|token| app.logout(token))
        .map(|answer| (answer.status, answer.text))
        .collect();
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 400, 200, 400, 503, 400]);
    served.answers(warp::http::StatusCode::OK, "canary-body-99");
    let (broken, served) = App::start(List::Sqlite, &[&key]);
    served.answers(warp::http::StatusCode::OK, "canary-body-99");
    assert_eq!(broken.logout(&token).status, 503);

    let log = captured.text();
    for word in ["logged out by the provider", "replayed", "malformed", "the provider's keys cannot be read"] {
        assert!(log.contains(word), "the log was captured: {word}");
    }
    for canary in ["canary-", &signature[..30], &token[..60]] {
        for text in answers.iter().map(|(_, text)| text).chain([&log]) {
            let at = text.find(canary);
            assert_eq!(at, None, "{canary}: {}", &text[at.unwrap_or(0).saturating_sub(200)..]);
        }
    }
}
