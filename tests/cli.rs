//! The program `sealjar`, run as a process, beside an app that is running on the same folder.
#![cfg(feature = "cli")]

mod support_sessions;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sealjar::time::Clock;
use sealjar::{Sessions, Verdict, minutes};
use serde_json::Value;
use support_sessions::{Browser, Home, Visitor};

fn sealjar(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env_remove("REDIS_URL").args(arguments).stdin(Stdio::null());
    command.output().unwrap()
}

fn json(home: &Path, arguments: &[&str]) -> Value {
    let output = sealjar(home, &[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {output:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An app on the real clock, as the program is.
async fn app(home: &Home) -> Sessions<Visitor> {
    home.builder().clock(Clock::system()).start().await.unwrap()
}

#[test]
fn keys_are_made_listed_and_never_shown() {
    let home = tempfile::tempdir().unwrap();
    let empty = sealjar(home.path(), &["keys", "list"]);
    assert_eq!(empty.status.code(), Some(3));
    assert!(text(&empty.stderr).contains("Make the first one with `sealjar keys init"), "{empty:?}");
    assert_eq!(json(home.path(), &["keys", "init"])["made"], true);
    assert_eq!(json(home.path(), &["keys", "init"])["made"], false);
    let new = json(home.path(), &["keys", "new"])["key"].as_str().unwrap().to_owned();
    let listed = json(home.path(), &["keys", "list"]);
    let roles: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| (&key["key"], &key["role"])).collect();
    assert_eq!(roles.len(), 2);
    assert_eq!(roles[0].1, "seals", "the new one seals when every app has had time to load it");
    assert_eq!((roles[1].0, roles[1].1), (&Value::from(new.clone()), &Value::from("opens")));
    let file = std::fs::read_to_string(home.path().join("keys").join(format!("{new}.key"))).unwrap();
    let secret = file.lines().find_map(|line| line.strip_prefix("secret: ")).unwrap();
    assert!(!text(&sealjar(home.path(), &["keys", "list"]).stdout).contains(secret));
}

#[test]
fn a_bad_key_file_is_named_and_the_exit_code_says_so() {
    let home = tempfile::tempdir().unwrap();
    json(home.path(), &["keys", "init"]);
    std::fs::write(home.path().join("keys/junk.key"), "hunter2").unwrap();
    let listed = sealjar(home.path(), &["keys", "list"]);
    assert_eq!(listed.status.code(), Some(3));
    assert!(
        text(&listed.stdout).contains("not used: key file")
            && text(&listed.stdout).contains("junk.key: it is open to others")
    );
    assert!(!text(&listed.stdout).contains("hunter2"));
}

/// The command line revokes; the running app, which only shares the file, refuses within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_takes_effect_in_the_running_app_within_a_second() {
    let home = Home::new();
    let sessions = app(&home).await;
    let mut waits = Vec::new();
    for round in 0..9 {
        let mut browser = Browser::default();
        browser.log_in(&sessions, "7").await;
        let handle = browser.open(&sessions).await.handle().unwrap().to_string();
        let (arguments, expected) = match round % 3 {
            0 => (vec!["revoke", "subject", "7"], Verdict::RevokedSubject),
            1 => (vec!["revoke", "session", &handle], Verdict::RevokedSession),
            _ => (vec!["revoke", "all"], Verdict::RevokedAll),
        };
        let receipt = json(home.path(), &arguments);
        assert_eq!(receipt["durability"], "committed");
        let returned = Instant::now();
        let verdict = loop {
            let verdict = browser.open(&sessions).await.verdict();
            if verdict != Verdict::Live || returned.elapsed() > Duration::from_secs(20) {
                break verdict;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(verdict, expected);
        waits.push(returned.elapsed());
    }
    waits.sort();
    println!("revoke returned to refused: median {:?}, maximum {:?}", waits[4], waits[8]);
    assert!(waits[4] < Duration::from_secs(1), "{waits:?}");
    let listed = json(home.path(), &["revocations", "list"]);
    let scopes: Vec<_> =
        listed["revocations"].as_array().unwrap().iter().map(|row| row["scope"].as_str().unwrap()).collect();
    assert!(
        scopes.contains(&"session") && scopes.contains(&"all") && scopes.contains(&"subject, tenant or label"),
        "{scopes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_counted_and_exported_line_by_line() {
    let home = Home::new();
    let sessions = app(&home).await;
    for subject in ["1", "2"] {
        let mut browser = Browser::default();
        browser.log_in(&sessions, subject).await;
        let handle = browser.open(&sessions).await.handle().unwrap().to_string();
        json(home.path(), &["revoke", "session", &handle]);
    }
    json(home.path(), &["revoke", "label", "beta"]);
    let (listed, stats) = (json(home.path(), &["revocations", "list"]), json(home.path(), &["revocations", "stats"]));
    assert_eq!((&stats["kinds"]["session"], &stats["kinds"]["cut_off"]), (&2.into(), &1.into()), "{stats}");
    assert_eq!(stats["total"], listed["total"]);
    let by_day = stats["ends_on"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    assert_eq!(by_day, 3, "what has a day: {stats}");

    let exported = text(&sealjar(home.path(), &["revocations", "export"]).stdout);
    let rows = exported.lines().map(|line| serde_json::from_str(line).unwrap());
    // For a minute after the list was made, positions are ahead of the clock, and a time is the one of the look.
    let timeless = |mut row: Value| {
        let time = row["as_of"].take();
        assert_eq!(time.is_string(), row["kind"] != "session", "{row}");
        row
    };
    let listed = listed["revocations"].as_array().unwrap().iter().cloned();
    assert_eq!(rows.map(timeless).collect::<Vec<_>>(), listed.map(timeless).collect::<Vec<_>>());
}

/// Who runs `sealjar admin` in a folder has an audit there; the command line beside it is not left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_is_written_down_where_an_audit_is_kept() {
    let home = Home::new();
    let _sessions = app(&home).await;
    let here = |label: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command.current_dir(home.path()).env_remove("SEALJAR_HOME").env_remove("REDIS_URL").stdin(Stdio::null());
        let output = command.args(["--list", "sqlite:list.db", "revoke", "label", label]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let records = || std::fs::read_to_string(home.path().join("audit.jsonl")).map_or(0, |text| text.lines().count());
    here("one");
    assert_eq!(records(), 0, "nobody keeps one here");
    json(home.path(), &["revoke", "label", "two"]);
    assert_eq!(records(), 2, "attempt and outcome");
    here("three");
    assert_eq!(records(), 4);
}

#[test]
fn shells_complete_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = sealjar(Path::new("."), &["completions", shell]);
        assert!(script.status.success() && text(&script.stdout).contains("revocations"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_can_be_revoked_by_its_bare_id() {
    let home = Home::new();
    let sessions = app(&home).await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let handle = browser.open(&sessions).await.handle().unwrap().to_string();
    let receipt = json(home.path(), &["revoke", "session", &handle[..16]]);
    assert!(receipt["records"].as_u64().unwrap() >= 1);
    let strict = sessions.strict();
    assert_eq!(browser.open(&strict).await.verdict(), Verdict::RevokedSession, "a strict route asks the store");
    for junk in ["", "xyz", "0123456789abcdef-2026-13-40"] {
        let refused = sealjar(home.path(), &["revoke", "session", junk]);
        assert_eq!(refused.status.code(), Some(2), "{junk}");
        assert!(text(&refused.stderr).contains("that is not a session's handle. Take it from the log"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_takes_every_form_and_never_shows_the_payload() {
    let home = Home::new();
    let sessions = app(&home).await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "canary-subject").await;
    let value = browser.cookie().strip_prefix("shop=").unwrap();
    let forms = [
        value.to_owned(),
        browser.cookie().to_owned(),
        format!("Cookie: theme=dark; {}", browser.cookie()),
        format!("Set-Cookie: {}; Path=/; HttpOnly", browser.cookie()),
    ];
    for form in &forms {
        let output = sealjar(home.path(), &["explain", form]);
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(
            shown.starts_with("live\n")
                && shown.contains("encrypted")
                && shown.contains("(idle: ")
                && shown.contains(" left)"),
            "{shown}"
        );
        for secret in ["canary", value] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\nAccept: */*\r\n", forms[2]);
    assert_eq!(json(home.path(), &["explain", &head])["verdict"], "live", "a whole request");
    let explained = json(home.path(), &["explain", &forms[0]]);
    assert_eq!(explained["verdict"], "live");
    assert_eq!(explained["session"]["logged_in"], true);

    let handle = explained["session"]["handle"].as_str().unwrap();
    json(home.path(), &["revoke", "session", handle]);
    let refused = sealjar(home.path(), &["explain", &forms[0]]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).starts_with("revoked_session\n  cause"), "{refused:?}");
    let mut bytes = value.as_bytes().to_vec();
    // Another letter of the alphabet: any other byte would be malformed.
    bytes[60] = if bytes[60] == b'A' { b'B' } else { b'A' };
    for (cookie, verdict) in [
        (text(&bytes), "bad_seal"),
        ("theme=dark".into(), "no_cookie"),
        ("garbage".into(), "malformed"),
        ("A".repeat(5000), "too_large"),
    ] {
        assert_eq!(json(home.path(), &["explain", &cookie])["verdict"], verdict);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_reads_standard_input() {
    let home = Home::new();
    let sessions = app(&home).await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealjar"))
        .args(["--home", &home.path().display().to_string(), "--json", "explain", "-"])
        .env_remove("REDIS_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "Cookie: {}", browser.cookie()).unwrap();
    let explained: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(explained["verdict"], "live");
}

/// Two cookies of one app: a bare value is explained by the one it belongs to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_finds_out_which_cookie_a_bare_value_is() {
    let home = Home::new();
    let _sessions = app(&home).await;
    let readable = home
        .builder::<Visitor>()
        .clock(Clock::system())
        .name("shop-ui")
        .signed()
        .idle(minutes(7))
        .start()
        .await
        .unwrap();
    let mut browser = Browser::default();
    browser.log_in(&readable, "7").await;
    let explained = json(home.path(), &["explain", browser.cookie().strip_prefix("shop-ui=").unwrap()]);
    assert_eq!(
        (&explained["verdict"], &explained["cookie"], &explained["suite"]),
        (&"live".into(), &"shop-ui".into(), &"signed".into())
    );
    assert!(explained["session"]["idle_left"].as_u64().unwrap() <= 420);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_belong_together_is_refused() {
    let (home, other) = (Home::new(), Home::new());
    drop((app(&home).await, app(&other).await));
    let list = format!("sqlite:{}", other.path().join("list.db").display());
    let mixed = sealjar(home.path(), &["--list", &list, "revoke", "subject", "7"]);
    assert_eq!(mixed.status.code(), Some(3));
    assert!(text(&mixed.stderr).contains("is not the one that"), "{mixed:?}");
    let missing = sealjar(home.path(), &["--list", "sqlite:/nowhere/list.db", "revoke", "subject", "7"]);
    assert_eq!(missing.status.code(), Some(4));
    assert!(text(&missing.stderr).contains("/nowhere/list.db"), "{missing:?}");
    let redis = Command::new(env!("CARGO_BIN_EXE_sealjar"))
        .args(["--home", &home.path().display().to_string(), "revocations", "list"])
        .env("REDIS_URL", "redis://:hunter2@127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(redis.status.code(), Some(2));
    assert!(text(&redis.stderr).contains("Name the app with --app"), "{redis:?}");
    let away = Command::new(env!("CARGO_BIN_EXE_sealjar"))
        .args(["--home", &home.path().display().to_string(), "--app", "shop", "revocations", "list"])
        .env("REDIS_URL", "redis://:hunter2@127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(away.status.code(), Some(4));
    assert!(text(&away.stderr).contains("nothing listens at redis://127.0.0.1:1"), "{away:?}");
    assert!(!text(&away.stderr).contains("hunter2"));
}

#[test]
fn wrong_usage_and_help_have_their_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(sealjar(home.path(), &["revoke"]).status.code(), Some(2));
    assert_eq!(sealjar(home.path(), &["frobnicate"]).status.code(), Some(2));
    let usage = sealjar(home.path(), &["--json", "revoke"]);
    assert!(serde_json::from_slice::<Value>(&usage.stderr).unwrap()["error"]["kind"] == "usage", "{usage:?}");
    assert_eq!(sealjar(&home.path().join("nowhere"), &["revocations", "list"]).status.code(), Some(3));
    assert_eq!(sealjar(home.path(), &["--version"]).status.code(), Some(0));
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = flat(&text(&sealjar(home.path(), &["--help"]).stdout));
    let codes = help.find("Exit codes: 0 done").map(|at| &help[at..]).unwrap();
    let readme = flat(&std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap());
    assert!(codes.ends_with('.') && readme.contains(codes), "the README says the same: {codes}");
}
