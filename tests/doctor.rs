//! `sealjar doctor`, run as a process: it looks at everything, does not stop at the first problem, and changes
//! nothing.
#![cfg(all(feature = "redis", feature = "cli"))]

mod redis_support;
mod support_sessions;

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use redis_support::{APP, NEW, PASSWORD, Server, address, installed, rule};
use sealjar::Sessions;
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Options, RedisStore, Role};
use sealjar::time::Clock;
use sealjar::trouble::Trouble;
use serde_json::Value;
use support_sessions::Visitor;

fn run(home: &Path, url: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
    command.env("SEALJAR_HOME", home).env("SEALJAR_APP", APP).env_remove("REDIS_URL").stdin(Stdio::null());
    if let Some(url) = url {
        command.env("REDIS_URL", url);
    }
    let output = command.arg("doctor").args(arguments).output().unwrap();
    support_sessions::canaries::keep(&[&output.stdout[..], &output.stderr[..]].concat());
    let said = format!("{output:?}");
    assert!(!said.contains(PASSWORD) && !said.contains("wrong-word"), "{said}");
    output
}

/// The exit code, and severity and code of each finding that is not ok.
struct Found {
    exit: i32,
    all: Value,
}

impl Found {
    fn new(home: &Path, url: Option<&str>, arguments: &[&str]) -> Self {
        let output = run(home, url, &[&["--json"], arguments].concat());
        let all = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        Self { exit: output.status.code().unwrap(), all }
    }

    fn findings(&self) -> &[Value] {
        self.all["findings"].as_array().unwrap()
    }

    fn troubles(&self) -> Vec<&str> {
        let troubles = self.findings().iter().filter_map(|finding| finding["code"].as_str());
        troubles.collect()
    }

    /// Exactly these, in this order, and the exit code that goes with them.
    fn are(&self, exit: i32, troubles: &[Trouble]) {
        let codes: Vec<_> = troubles.iter().map(|trouble| trouble.code()).collect();
        assert_eq!((self.troubles(), self.exit), (codes, exit), "{:#}", self.all);
        for finding in self.findings() {
            assert_eq!(finding["fix"].is_null(), finding["severity"] == "ok", "{finding}");
            assert!(!finding["seen"].as_str().unwrap().is_empty());
        }
    }

    fn seen(&self) -> String {
        self.findings().iter().map(|finding| format!("{}\n", finding["seen"].as_str().unwrap())).collect()
    }
}

/// A home with keys, and the list made for them on a server.
async fn home(server: &Server) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = KeyFolder::new(home.path().join("keys"));
    folder.init(Clock::system().now().seconds()).unwrap();
    let list_key = folder.list_key().unwrap();
    let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
    RedisStore::make(address(&server.admin_url()), &options, NEW).await.unwrap();
    home
}

async fn app(home: &Path, url: &str) -> Sessions<Visitor> {
    Sessions::builder(APP).keys(home.join("keys")).list(url).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_app_has_nothing_wrong() {
    let server = Server::start();
    let home = home(&server).await;
    let home = home.path();
    let sessions = app(home, &server.url()).await;
    for url in [server.admin_url(), server.url()] {
        let found = Found::new(home, Some(&url), &["--strict"]);
        found.are(0, &[]);
        for word in ["does not leave this machine", "drops nothing", "logs every change", "may do all that an app does"]
        {
            assert!(found.seen().contains(word), "{word}: {}", found.seen());
        }
        for word in
            ["1 key(s) open", "the list of shop is whole", "1 node(s) follow", "__Host-shop is bound to one host"]
        {
            assert!(found.seen().contains(word), "{word}: {}", found.seen());
        }
    }
    let text = run(home, Some(&server.admin_url()), &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("ok ") && text.trim_end().ends_with("All is well."), "{text}");

    // A key that was made on another host, and has not reached this node.
    let other = tempfile::tempdir().unwrap();
    let (theirs, keys) = (home.join("keys"), other.path().join("keys"));
    std::fs::DirBuilder::new().mode(0o700).create(&keys).unwrap();
    for file in std::fs::read_dir(theirs).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), keys.join(file.file_name())).unwrap();
    }
    let key = KeyFolder::new(&keys).new_key(Clock::system().now().seconds()).unwrap();
    let found = Found::new(other.path(), Some(&server.admin_url()), &[]);
    found.are(1, &[Trouble::NodeLacksKey]);
    assert!(found.seen().contains(&format!("cannot use the key {}", key.id())), "{}", found.seen());
    drop(sessions);
}

/// A dozen things are wrong at once, and each of them is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_stop_at_the_first_problem() {
    let server = Server::start();
    let home = home(&server).await;
    let home = home.path();
    let keys = home.join("keys");
    std::fs::write(keys.join("junk.key"), "hunter2").unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o770)).unwrap();
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    server.command(&["CONFIG", "SET", "appendonly", "no"]).await;
    let poorer = rule(Role::Admin, APP).replace("+expireat", "-expireat");
    server.command(&poorer.split_whitespace().collect::<Vec<_>>()).await;
    server.command(&["HSET", &format!("{{sealjar:{APP}}}:epoch"), "state", "healing"]).await;
    let found = Found::new(home, Some(&server.admin_url()), &["--set-cookie", "shop=hunter2; Domain=*; Path=/"]);
    found.are(
        1,
        &[
            Trouble::KeyFolderOpen,
            Trouble::KeyFile,
            Trouble::Eviction,
            Trouble::NoPersistence,
            Trouble::RightMissing,
            Trouble::Healing,
            Trouble::NoNodes,
            Trouble::NoCookie,
            Trouble::CookieDropped,
            Trouble::CookieUnguarded,
            Trouble::CookieUnguarded,
            Trouble::CookieUnguarded,
        ],
    );
    assert!(!found.seen().contains("hunter2"));
    assert!(found.seen().contains("run EXPIREAT"), "{}", found.seen());
    let text = run(home, Some(&server.admin_url()), &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("problem  eviction_policy: redis://127.0.0.1"), "{text}");
    assert!(text.contains("\n         Set maxmemory-policy noeviction"), "{text}");
    assert!(text.contains("5 problem(s), 3 warning(s)."), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_used_is_told_and_the_keys_are_looked_at_all_the_same() {
    let server = Server::start();
    let home = home(&server).await;
    let home = home.path();
    let port = server.port();
    let with = |url: &str| Found::new(home, Some(url), &[]);
    with(&server.url().replace(PASSWORD, "wrong-word")).are(1, &[Trouble::PasswordWrong]);
    with(&format!("redis://127.0.0.1:{port}")).are(1, &[Trouble::PasswordMissing]);
    with("redis://127.0.0.1:1").are(1, &[Trouble::Unreachable]);
    with("redis+sentinel://127.0.0.1:1/shop").are(1, &[Trouble::SentinelsAway]);
    with("redis://db.example:6379").are(1, &[Trouble::Configuration]);
    with("redis://127.0.0.1:1?tls=off&replica=0").are(1, &[Trouble::Configuration]);
    let found = with(&server.url().replace("127.0.0.1", "localhost"));
    found.are(0, &[Trouble::NoNodes, Trouble::NoCookie]);
    let strict = Found::new(home, Some(&server.url()), &["--strict"]);
    strict.are(1, &[Trouble::NoNodes, Trouble::NoCookie]);
    let no_app = Command::new(env!("CARGO_BIN_EXE_sealjar"))
        .args(["--json", "doctor"])
        .env("SEALJAR_HOME", home)
        .env("REDIS_URL", server.url())
        .env_remove("SEALJAR_APP")
        .output()
        .unwrap();
    let said = String::from_utf8(no_app.stdout).unwrap();
    assert!(said.contains("Name the app with --app") && said.contains("key(s) open"), "{said}");
    // Another home, whose list key is another one; and one without keys.
    let other = tempfile::tempdir().unwrap();
    KeyFolder::new(other.path().join("keys")).init(Clock::system().now().seconds()).unwrap();
    Found::new(other.path(), Some(&server.url()), &[]).are(1, &[Trouble::OtherListKey]);
    std::fs::remove_file(other.path().join("keys/list.key")).unwrap();
    Found::new(other.path(), Some(&server.url()), &[]).are(1, &[Trouble::ListKey]);
    let empty = tempfile::tempdir().unwrap();
    let found = Found::new(empty.path(), Some(&server.url()), &[]);
    found.are(1, &[Trouble::KeyFolder, Trouble::ListKey]);
    server.command(&["FLUSHALL"]).await;
    with(&server.url()).are(1, &[Trouble::NoList]);
    Found::new(&home.join("nowhere"), Some("redis://127.0.0.1:1"), &[])
        .are(1, &[Trouble::Configuration, Trouble::KeyFolder, Trouble::ListKey, Trouble::Unreachable]);
    let port = port.to_string();
    let replica = Server::with(&["--appendonly", "yes", "--replicaof", "127.0.0.1", &port, "--masterauth", PASSWORD]);
    assert!(with(&replica.admin_url()).troubles().contains(&Trouble::NotPrimary.code()));
    let old = installed().join("redis-6.2/server");
    if old.exists() {
        let old = Server::plain(old, &["--appendonly", "yes"]).unwrap();
        assert!(with(&old.root_url()).troubles().contains(&Trouble::OldVersion.code()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_list_is_looked_at_too() {
    let home = support_sessions::Home::new();
    let sessions: Sessions<Visitor> = home.builder().clock(Clock::system()).start().await.unwrap();
    let found = Found::new(home.path(), None, &[]);
    found.are(0, &[Trouble::CookieUnguarded]);
    assert!(found.seen().contains("1 node(s) follow") && found.seen().contains("can be read"), "{}", found.seen());
    assert!(found.seen().contains("list.db is this user's own (mode 0600)"), "{}", found.seen());
    let mode = |mode| {
        let list = home.path().join("list.db");
        std::fs::set_permissions(list, std::fs::Permissions::from_mode(mode)).unwrap();
        Found::new(home.path(), None, &[])
    };
    mode(0o640).are(0, &[Trouble::ListFileOpen, Trouble::CookieUnguarded]);
    mode(0o660).are(1, &[Trouble::ListFileOpen, Trouble::CookieUnguarded]);
    mode(0o600).are(0, &[Trouble::CookieUnguarded]);
    drop(sessions);
    home.lose_list();
    Found::new(home.path(), None, &[]).are(0, &[Trouble::NoCookie]);
    std::fs::write(home.path().join("list.db"), "no database at all, and long enough to look like one").unwrap();
    Found::new(home.path(), None, &[]).are(1, &[Trouble::ListUnusable]);
}

#[tokio::test]
async fn it_changes_nothing() {
    let server = Server::start();
    let home = home(&server).await;
    let all = async || {
        let mut all = Vec::new();
        for key in ["epoch", "control", "nodes"] {
            let key = format!("{{sealjar:{APP}}}:{key}");
            all.push(server.command(&["HGETALL", &key]).await);
        }
        all
    };
    let before = all().await;
    for _ in 0..3 {
        run(home.path(), Some(&server.admin_url()), &[]);
    }
    assert_eq!(all().await, before);
}

#[test]
fn the_set_cookie_line_comes_from_standard_input_too() {
    let home = tempfile::tempdir().unwrap();
    KeyFolder::new(home.path().join("keys")).init(Clock::system().now().seconds()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealjar"))
        .args(["--json", "doctor", "--set-cookie", "-"])
        .env("SEALJAR_HOME", home.path())
        .env_remove("REDIS_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = "Set-Cookie: __Host-shop=hunter2; Path=/; Secure; HttpOnly; SameSite=Lax";
    writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains("browsers take the cookie __Host-shop") && !said.contains("hunter2"), "{said}");
}

#[test]
fn rules_are_printed_for_the_named_app() {
    let home = tempfile::tempdir().unwrap();
    let printed = run(home.path(), Some("redis+sentinel://127.0.0.1/list/3"), &["--acl"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    for role in Role::ALL {
        let rule = sealjar::io::redis::Rule { role, app: APP, database: 3 }.to_string();
        assert!(text.contains(&rule) && rule.contains("+select"), "{text}");
    }
    assert!(text.contains(sealjar::io::redis::sentinel_rule()), "{text}");
    let json = run(home.path(), None, &["--acl", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["node"].as_str().unwrap().contains("~{sealjar:shop}:") && json["sentinel"].is_null(), "{json}");
    let unnamed =
        Command::new(env!("CARGO_BIN_EXE_sealjar")).args(["doctor", "--acl"]).env_remove("SEALJAR_APP").output();
    assert_eq!(unnamed.unwrap().status.code(), Some(2), "the app has to be named");
}
