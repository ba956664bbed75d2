//! `sealjar keys …` beside an app on one host: the list in a file, the folder shared.
#![cfg(feature = "cli")]

mod support_sessions;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sealjar::io::folder::{KeyFolder, ring_secret};
use sealjar::io::place::ListPlace;
use sealjar::operator::{Operator, Staged};
use sealjar::rotation::KeyState;
use sealjar::time::{Clock, days};
use sealjar::{Sessions, Verdict};
use serde_json::Value;
use support_sessions::{Browser, Home, START, Visitor, eventually};

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env_remove("REDIS_URL").args(arguments).stdin(Stdio::null());
    for variable in ["SEALJAR_RING_SECRET", "SEALJAR_RING_SECRET_FILE", "SEALJAR_APP"] {
        command.env_remove(variable);
    }
    command
}

/// In the background, so that the app beside it goes on.
async fn sealjar(home: &Path, arguments: &[&str]) -> Output {
    let mut command = command(home, arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What a command answers that does what was asked.
async fn done(home: &Path, arguments: &[&str]) -> Value {
    let output = sealjar(home, &[&["--json"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn refused(home: &Path, arguments: &[&str], code: i32, words: &str) {
    let output = sealjar(home, arguments).await;
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.code() == Some(code) && said.contains(words), "{arguments:?}: {:?}: {said}", output.status);
}

async fn app(home: &Home) -> Sessions<Visitor> {
    home.builder().clock(Clock::system()).start().await.unwrap()
}

fn sealing(sessions: &Sessions<Visitor>) -> String {
    sessions.key_ring().sealing().map(|key| key.id().to_string()).unwrap_or_default()
}

fn key<'a>(status: &'a Value, id: &str) -> &'a Value {
    status["keys"].as_array().unwrap().iter().find(|key| key["key"] == id).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_rotates_and_status_says_where_every_key_stands() {
    let home = Home::new();
    let sessions = app(&home).await;
    let (old, mut browser) = (sealing(&sessions), Browser::default());
    browser.log_in(&sessions, "7").await;

    let dry = done(home.path(), &["keys", "rotate", "--dry-run"]).await;
    assert!(
        dry["dry_run"] == true && done(home.path(), &["keys", "status"]).await["keys"].as_array().unwrap().len() == 1
    );
    let new = done(home.path(), &["keys", "rotate", "--wait", "30"]).await["key"].as_str().unwrap().to_owned();
    eventually("the app seals with it", || sealing(&sessions) == new).await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live, "its cookie is under the older key");

    let status = done(home.path(), &["keys", "status"]).await;
    let (seals, opens) = (key(&status, &new), key(&status, &old));
    assert_eq!((&seals["role"], &seals["state"], &seals["next"]), (&"seals".into(), &"active".into(), &Value::Null));
    assert_eq!((&opens["role"], &opens["next"]["step"]), (&"opens".into(), &"retire".into()));
    assert!(opens["next"]["waits"].as_str().unwrap().contains("cookies under it may be good until"), "{status:#}");
    assert_eq!(seals["has"].as_array().unwrap().len(), 1);
    let listed = done(home.path(), &["keys", "list"]).await;
    assert_eq!((&key(&listed, &new)["role"], &key(&listed, &old)["role"]), (&"seals".into(), &"opens".into()));
    let table = String::from_utf8(sealjar(home.path(), &["keys", "status"]).await.stdout).unwrap();
    let line = table.lines().find(|line| line.starts_with(&new)).unwrap();
    assert!(line.contains("active  seals") && line.contains("1 of 1"), "{table}");

    refused(home.path(), &["keys", "retire", &old], 5, "cookies under it may be good until").await;
    refused(home.path(), &["keys", "retire", &new, "--force"], 2, "promote another first").await;
    refused(home.path(), &["keys", "destroy", &old], 2, "this step wants one that is retired").await;
    refused(home.path(), &["keys", "promote", "something"], 2, "that is not a key's id").await;
    refused(home.path(), &["keys", "rotate", "--abort"], 2, "no key is on its way").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_says_how_many_cookies_still_come_under_a_key() {
    let home = Home::new();
    let sessions = app(&home).await;
    let (old, mut browser) = (sealing(&sessions), Browser::default());
    browser.log_in(&sessions, "7").await;
    done(home.path(), &["keys", "rotate", "--wait", "30"]).await;
    for _ in 0..3 {
        // The same copy again and again, as of a browser that takes no new ones.
        assert_eq!(Browser::with(browser.cookie()).open(&sessions).await.verdict(), Verdict::Live);
    }
    let mut opened = 0;
    for _ in 0..200 {
        let status = done(home.path(), &["keys", "status"]).await;
        opened = key(&status, &old)["opened"].as_u64().unwrap();
        if opened >= 3 {
            assert!(key(&status, &old)["last_seen"].as_u64().is_some());
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(opened, 3);
    refused(home.path(), &["keys", "retire", &old], 5, &format!("nodes have opened 3 cookies under {old}")).await;
    let retired = done(home.path(), &["keys", "retire", &old, "--force"]).await;
    assert_eq!(retired["changes"][0]["state"], "retired");
    let refused = async || Browser::with(browser.cookie()).open(&sessions).await.verdict();
    for _ in 0..100 {
        if refused().await == Verdict::RetiredKey {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refused().await, Verdict::RetiredKey);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_ring_secret_a_compromise_says_first_what_it_means() {
    let home = Home::new();
    let sessions = app(&home).await;
    let (leaked, mut browser) = (sealing(&sessions), Browser::default());
    browser.log_in(&sessions, "7").await;
    let dry = sealjar(home.path(), &["keys", "compromise", &leaked, "--dry-run"]).await;
    assert!(String::from_utf8_lossy(&dry.stderr).contains("Logins answer 503 on a node until the file"), "{dry:?}");
    let said = String::from_utf8_lossy(&dry.stdout);
    assert!(
        said.contains(&format!("{leaked} would be denied, a new key")) && said.contains("everybody would"),
        "{dry:?}"
    );
    refused(home.path(), &["keys", "compromise", "deadbee1", "--yes"], 2, "knows the key deadbee1").await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live, "nothing was changed");
    let said = done(home.path(), &["keys", "compromise", &leaked, "--yes"]).await;
    assert_eq!((&said["durability"], &said["outstanding"]), (&"in_force".into(), &Value::Array(Vec::new())));
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::CompromisedKey);
    let replacement = said["replacement"].as_str().unwrap();
    eventually("the file of the new key has come", || sealing(&sessions) == replacement).await;
    let mut again = Browser::default();
    again.log_in(&sessions, "7").await;
    assert_eq!(again.open(&sessions).await.verdict(), Verdict::Live);
    refused(home.path(), &["keys", "promote", &leaked, "--wait", "0"], 2, "is compromised").await;
    let file = home.path().join("keys").join(format!("{leaked}.key"));
    eventually("its file is erased", || !file.exists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_files_makes_none_in_a_dry_run() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(done(home.path(), &["keys", "init", "--dry-run"]).await["there"], false);
    assert!(!home.path().join("keys").exists());
    done(home.path(), &["keys", "init"]).await;
    done(home.path(), &["keys", "new", "--dry-run"]).await;
    assert_eq!(done(home.path(), &["keys", "list"]).await["keys"].as_array().unwrap().len(), 1);
    let file = home.path().join("ring.secret");
    let path = file.to_str().unwrap();
    done(home.path(), &["keys", "ring-secret", path, "--dry-run"]).await;
    assert!(!file.exists());
    let made = done(home.path(), &["keys", "ring-secret", path]).await;
    assert_eq!(made["fingerprint"].as_str().unwrap(), ring_secret(&file).unwrap().fingerprint());
    refused(home.path(), &["keys", "ring-secret", path], 3, "a ring secret that is in use is not replaced").await;
}

/// Every file of the key folder and what is in it, the state and the role of every key, and how much stands in the audit.
async fn everything(home: &Path) -> (BTreeMap<OsString, Vec<u8>>, Vec<[String; 3]>, usize) {
    let files = std::fs::read_dir(home.join("keys")).unwrap().map(Result::unwrap);
    let files = files.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
    let status = done(home, &["keys", "status"]).await;
    let keys = status["keys"].as_array().unwrap().iter();
    let keys = keys.map(|key| ["key", "state", "role"].map(|member| key[member].to_string())).collect();
    let audit = done(home, &["audit", "list", "--limit", "5000"]).await;
    (files, keys, audit["records"].as_array().unwrap().len())
}

/// Of destroying: `dry_run` in `tests/rotation_fleet/`, where the time for it comes soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_keys_moves_none_in_a_dry_run() {
    let home = Home::new();
    let sessions = app(&home).await;
    let (old, mut browser) = (sealing(&sessions), Browser::default());
    browser.log_in(&sessions, "7").await;
    let folder = KeyFolder::new(home.path().join("keys"));
    let operator = Operator::open(&ListPlace::in_home(home.path()), folder, None, Clock::system()).await.unwrap();
    let Staged::New(new) = operator.begin_rotation(None).await.unwrap() else { panic!("a key is on its way already") };
    let new = new.to_string();
    // What is asked for, dry; and what it says would come of it. Both times in words and as a value.
    let dry = async |arguments: &[&str], key: &str, state: &str| {
        let arguments = [arguments, &["--dry-run"]].concat();
        // The gates open when the app has said what it has.
        for _ in 0..200 {
            if sealjar(home.path(), &arguments).await.status.success() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let before = everything(home.path()).await;
        let plan = done(home.path(), &arguments).await;
        assert_eq!((&plan["done"], &plan["dry_run"]), (&false.into(), &true.into()), "{plan}");
        let told = plan["changes"].as_array().unwrap().iter().any(|it| it["key"] == key && it["state"] == state);
        assert!(told, "{plan}");
        refused(home.path(), &arguments, 0, &format!("{key} would be {state}. Nothing was changed.")).await;
        assert_eq!(everything(home.path()).await, before, "{arguments:?}");
    };

    dry(&["keys", "promote", &new], &new, "active").await;
    assert_eq!(sealing(&sessions), old);
    done(home.path(), &["keys", "promote", &new]).await;
    eventually("the app seals with it", || sealing(&sessions) == new).await;

    dry(&["keys", "retire", &old, "--force"], &old, "retired").await;
    assert_eq!(Browser::with(browser.cookie()).open(&sessions).await.verdict(), Verdict::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_secret_comes_from_a_file_or_from_the_environment_and_is_never_shown() {
    let home = Home::new();
    let _sessions = app(&home).await;
    let file = home.path().join("ring.secret");
    done(home.path(), &["keys", "ring-secret", file.to_str().unwrap()]).await;
    let twice = ["keys", "rewrap", file.to_str().unwrap(), "--ring-secret", file.to_str().unwrap()];
    refused(home.path(), &twice, 2, "both ring secrets are the same one").await;
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = text.lines().find_map(|line| line.strip_prefix("secret: ")).unwrap().to_owned();
    let status = |variable: &str, value: &str| {
        let mut command = command(home.path(), &["--json", "keys", "status"]);
        command.env(variable, value).output().unwrap()
    };
    assert!(status("SEALJAR_RING_SECRET", &secret).status.success());
    assert!(status("SEALJAR_RING_SECRET_FILE", file.to_str().unwrap()).status.success());
    for (variable, value, words) in [
        ("SEALJAR_RING_SECRET", &secret[..40], "the variable SEALJAR_RING_SECRET holds no ring secret"),
        ("SEALJAR_RING_SECRET_FILE", "/nowhere/ring.secret", "/nowhere/ring.secret"),
    ] {
        let output = status(variable, value);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && said.contains(words), "{said}");
        assert!(!said.contains(&secret[..40]), "the secret is not repeated");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_are_counted_by_the_day_of_the_lists_clock_and_summed_over_the_nodes() {
    let home = Home::new();
    let start = || home.builder::<Visitor>().idle(days(3)).absolute(days(3)).start();
    let nodes = [start().await.unwrap(), start().await.unwrap()];
    let folder = KeyFolder::new(home.path().join("keys"));
    let operator = Operator::open(&ListPlace::in_home(home.path()), folder, None, home.clock()).await.unwrap();
    let mut browser = Browser::default();
    browser.log_in(&nodes[0], "7").await;
    let open = async |node: usize| {
        assert_eq!(Browser::with(browser.cookie()).open(&nodes[node]).await.verdict(), Verdict::Live);
    };
    let said = async |opened: u64| {
        for _ in 0..200 {
            let key = operator.key_status().await.unwrap().keys.remove(0);
            if key.opened == opened {
                return key.last_seen;
            }
            // Nodes say so every 10 s.
            home.jump(Duration::from_secs(11));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody says {opened}");
    };
    open(0).await;
    open(1).await;
    open(1).await;
    assert!(said(3).await.is_some());
    home.advance(days(1), &nodes[0]).await;
    home.advance(Duration::ZERO, &nodes[1]).await;
    let yesterday = said(0).await;
    assert_eq!(yesterday.map(sealjar::time::Seconds::day), Some(START.day()), "it was seen before");
    open(1).await;
    assert!(said(1).await > yesterday);
}

/// Between two looks of a program that waits, another one may have promoted the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_on_with_a_key_that_was_promoted_meanwhile_stages_no_other() {
    let home = Home::new();
    let _app = app(&home).await;
    let folder = KeyFolder::new(home.path().join("keys"));
    let operator = Operator::open(&ListPlace::in_home(home.path()), folder, None, Clock::system()).await.unwrap();
    let rotated = done(home.path(), &["keys", "rotate"]).await;
    let promoted = rotated["key"].as_str().unwrap().parse().unwrap();
    assert_eq!(operator.begin_rotation(Some(promoted)).await.unwrap(), Staged::Before(promoted));
    let keys = operator.key_status().await.unwrap().keys;
    assert!(keys.iter().all(|key| key.state != KeyState::Staged), "{keys:?}");
}
