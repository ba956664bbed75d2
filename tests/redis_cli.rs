//! Apps on one server, and the program `sealjar` beside them.
#![cfg(all(feature = "redis", feature = "cli"))]

mod redis_support;
mod support_sessions;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use redis_support::{PASSWORD, Server};
use sealjar::{Builder, Sessions, Verdict};
use serde_json::Value;
use support_sessions::{Browser, Visitor};

fn sealjar(home: &Path, server: &Server, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env("REDIS_URL", server.admin_url()).env_remove("SEALJAR_APP");
    let output = command.arg("--json").args(arguments).stdin(Stdio::null()).output().unwrap();
    redis_support::canaries::keep(&output.stderr);
    let said = format!("{output:?}");
    assert!(!said.contains(PASSWORD), "{said}");
    output
}

fn json(home: &Path, server: &Server, arguments: &[&str]) -> Value {
    let output = sealjar(home, server, arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {output:?}"))
}

fn says(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(code) && said.contains(words), "{output:?}");
}

/// An app that is not on localhost, so it makes no list by itself.
fn app(home: &Path, server: &Server) -> Builder<Visitor> {
    Sessions::builder("shop").keys(home.join("keys")).list(server.url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_made_by_the_program_and_shared_by_all_processes() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    let home = home.path();
    json(home, &server, &["keys", "init"]);
    let refused = app(home, &server).start().await.unwrap_err().to_string();
    assert!(refused.contains("there is no revocation list") && refused.contains("sealjar store init"), "{refused}");
    says(&sealjar(home, &server, &["store", "init"]), 2, "Name the app with --app");
    let init = ["--app", "shop", "store", "init"];
    assert_eq!(json(home, &server, &init)["made"], "new");
    assert_eq!(json(home, &server, &init)["made"], "already");
    let again = sealjar(home, &server, &[&init[..], &["--after-loss"]].concat());
    says(&again, 4, "is whole, so nothing was lost");
    says(
        &sealjar(home, &server, &["--list", "sqlite:x.db", "--app", "shop", "store", "init"]),
        2,
        "makes that by itself",
    );

    let (one, two) = (app(home, &server).start().await.unwrap(), app(home, &server).start().await.unwrap());
    let (mut ada, mut bob) = (Browser::default(), Browser::default());
    ada.log_in(&one, "7").await;
    bob.log_in(&one, "8").await;
    assert_eq!(ada.open(&two).await.verdict(), Verdict::Live);
    let revoked = json(home, &server, &["--app", "shop", "revoke", "subject", "7"]);
    assert_eq!((&revoked["durability"], &revoked["records"]), (&"committed".into(), &1.into()));
    for sessions in [&one, &two] {
        let copy = ada.cookie().to_owned();
        let mut verdict = Verdict::Live;
        for _ in 0..200 {
            verdict = Browser::with(&copy).open(sessions).await.verdict();
            if verdict != Verdict::Live {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(verdict, Verdict::RevokedSubject);
        assert_eq!(bob.open(sessions).await.verdict(), Verdict::Live);
    }
    let mut again = Browser::default();
    again.log_in(&two, "7").await;
    assert_eq!(again.open(&one).await.verdict(), Verdict::Live, "who logs in again is in at once, everywhere");
    let explained = json(home, &server, &["--app", "shop", "explain", ada.cookie()]);
    assert_eq!(explained["verdict"], "revoked_subject");
    assert_eq!(json(home, &server, &["--app", "shop", "revocations", "list"])["total"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_localhost_a_list_makes_itself() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    json(home.path(), &server, &["keys", "init"]);
    let sessions = app(home.path(), &server).localhost().start().await.unwrap();
    let mut ada = Browser::default();
    ada.log_in(&sessions, "7").await;
    // There were keys, so there may have been a list, and cookies that it denied.
    let list = json(home.path(), &server, &["--app", "shop", "revocations", "list"]);
    assert_eq!(list["total"], 1, "{list}");
    assert_eq!(ada.open(&sessions).await.verdict(), Verdict::Live);
}
