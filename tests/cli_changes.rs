//! Every command of `sealjar` that changes something: with `--dry-run` it changes nothing, and without it attempt and outcome
//! stand in the audit. That none is left out is read from the program's own help.
#![cfg(all(feature = "redis", feature = "cli"))]

mod redis_support;
mod support_sessions;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use redis_support::{APP, Server};
use sealjar::Sessions;
use sealjar::key::RingSecret;
use serde_json::Value;
use support_sessions::{Browser, Visitor};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What only looks; `admin` serves the endpoint, and what that changes has tests of its own.
const LOOKS: [&str; 13] = [
    "keys list",
    "keys status",
    "revocations list",
    "revocations stats",
    "revocations export",
    "nodes list",
    "explain",
    "admin",
    "token list",
    "audit list",
    "audit verify",
    "doctor",
    "completions",
];

/// A command that changes something.
struct Row {
    command: &'static str,
    arguments: Vec<String>,
    /// What it takes besides, when it is meant.
    really: &'static [&'static str],
    /// The exit code of the dry run: some are refused here, as the real one would be.
    code: i32,
}

fn row(command: &'static str, arguments: &[&str], really: &'static [&'static str], code: i32) -> Row {
    Row { command, arguments: arguments.iter().map(|&it| it.to_owned()).collect(), really, code }
}

/// A home and a list on a server, of an app that was killed: nothing changes here but by a command.
struct World {
    runtime: Runtime,
    server: Server,
    home: TempDir,
    /// What is no part of the home.
    beside: TempDir,
    rows: Vec<Row>,
}

impl World {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(async { Server::start() });
        let (home, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = |name: &str| {
            let file = beside.path().join(name);
            sealjar::io::ring_secret::make(&file).unwrap();
            file
        };
        let (before, after) = (secret("before.secret"), secret("after.secret"));
        let handle = killed_app(&server, home.path(), &before);
        let mut world = Self { runtime, server, home, beside, rows: Vec::new() };
        let node = world.json(&["nodes", "list"])["nodes"][0]["id"].as_str().unwrap().to_owned();
        let key = world.json(&["keys", "list"])["keys"][0]["key"].as_str().unwrap().to_owned();
        let token = world.json(&["token", "new", "--scope", "read"])["id"].as_str().unwrap().to_owned();
        let made = world.beside.path().join("made.secret");
        let (before, after, made) = (text(&before), text(&after), text(&made));
        world.rows = vec![
            row("keys init", &[], &[], 0),
            row("keys new", &[], &[], 0),
            row("keys ring-secret", &[&made], &[], 0),
            row("keys rewrap", &[&before, "--ring-secret", &after], &[], 0),
            row("keys rotate", &[], &["--wait", "1"], 0),
            row("keys promote", &[&key], &["--wait", "1"], 0),
            row("keys retire", &[&key, "--force"], &[], 2),
            row("keys destroy", &[&key], &[], 2),
            row("keys compromise", &[&key], &["--yes", "--wait", "1"], 0),
            row("revoke session", &[&handle], &[], 0),
            row("revoke subject", &["grace"], &[], 0),
            row("revoke tenant", &["acme"], &[], 0),
            row("revoke label", &["beta"], &[], 0),
            row("revoke all", &[], &["--yes"], 0),
            row("store init", &[], &[], 0),
            row("nodes forget", &[&node], &[], 0),
            row("token new", &["--scope", "read,revoke"], &[], 0),
            row("token revoke", &[&token], &[], 0),
        ];
        world
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command.env("SEALJAR_HOME", self.home.path()).env("SEALJAR_APP", APP).env("REDIS_URL", self.server.admin_url());
        command.env_remove("SEALJAR_RING_SECRET").env_remove("SEALJAR_RING_SECRET_FILE").stdin(Stdio::null());
        command.args(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {output:?}"))
    }

    /// Every byte of the home, of what is beside it, and of the server. Left out is what every command leaves there that
    /// only reads the list: who is about to follow it, and the word in the feed that wakes the others for a beat.
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        read(self.home.path(), &mut all);
        read(self.beside.path(), &mut all);
        let (feed, nodes) = (format!("{{sealjar:{APP}}}:feed"), format!("{{sealjar:{APP}}}:nodes"));
        self.runtime.block_on(async {
            let keys = self.server.command(&["KEYS", "*"]).await;
            for key in redis::from_redis_value::<Vec<String>>(keys).unwrap() {
                if key == nodes {
                    let fields = self.server.command(&["HGETALL", &key]).await;
                    let fields: BTreeMap<String, Vec<u8>> = redis::from_redis_value(fields).unwrap();
                    all.extend(fields.into_iter().filter(|(name, _)| name != "joining"));
                } else if key != feed {
                    let bytes = self.server.command(&["DUMP", &key]).await;
                    all.insert(key, redis::from_redis_value(bytes).unwrap());
                }
            }
        });
        all
    }

    /// Runs it in text and in JSON, and holds that it says so and that nothing has changed.
    fn dry(&self, command: &str, arguments: &[&str], code: i32) -> Value {
        let words: Vec<_> = command.split(' ').chain(arguments.iter().copied()).chain(["--dry-run"]).collect();
        let before = self.all();
        assert!(!before.is_empty());
        let output = self.run(&words);
        let said = String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        let said_so = said.contains("Nothing was changed.");
        assert_eq!(said_so, code == 0, "{words:?}: {said}");
        let value = self.json(&words);
        assert!(code != 0 || value["dry_run"] == true, "{words:?}: {value}");
        let after = self.all();
        let changed: Vec<_> = after.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes)).collect();
        assert!(changed.is_empty() && before.len() == after.len(), "{words:?} has changed {changed:?}");
        value
    }
}

/// Starts the app, logs somebody in, and kills the app, to its last task. Gives back the session's handle.
fn killed_app(server: &Server, home: &Path, secret: &Path) -> String {
    let secret = RingSecret::from_text(&std::fs::read_to_string(secret).unwrap()).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let app = Sessions::builder(APP).home(home).list(server.url()).localhost().ring_secret(secret);
        let sessions: Sessions<Visitor> = app.start().await.unwrap();
        let mut browser = Browser::default();
        browser.log_in(&sessions, "grace").await;
        browser.open(&sessions).await.handle().unwrap().to_string()
    })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn read(folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            read(&path, all);
        } else {
            all.insert(text(&path), std::fs::read(&path).unwrap());
        }
    }
}

/// Every command that the help knows, with its parents.
fn commands(parents: &[String]) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_sealjar")).args(parents).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, list)) = help.split_once("Commands:\n") else { return vec![parents.join(" ")] };
    let list = list.split("\n\n").find(|part| !part.trim().is_empty()).unwrap();
    // Names stand behind two blanks, what is said of them further right.
    let names = list.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.map(|line| line.split(' ').next().unwrap().to_owned()).filter(|name| name != "help");
    names.flat_map(|name| commands(&[parents, &[name]].concat())).collect()
}

#[test]
fn with_dry_run_every_command_that_changes_something_changes_nothing() {
    let world = World::new();
    for Row { command, arguments, code, .. } in &world.rows {
        world.dry(command, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), *code);
    }
    let mut known: Vec<_> = world.rows.iter().map(|row| row.command).chain(LOOKS).map(str::to_owned).collect();
    let mut all = commands(&[]);
    known.sort();
    all.sort();
    assert_eq!(all, known, "a new command belongs to those that look, or into the table");
}

#[test]
fn a_dry_run_of_store_init_says_who_would_be_logged_out() {
    let world = World::new();
    assert_eq!(world.dry("store init", &[], 0)["made"], "already");
    let whole = world.run(&["store", "init", "--after-loss", "--dry-run"]);
    assert_eq!(whole.status.code(), Some(4), "nothing was lost, and the real one is refused as well: {whole:?}");
    let command = |words: &[&str]| world.runtime.block_on(world.server.command(words));
    command(&["HSET", &format!("{{sealjar:{APP}}}:epoch"), "state", "healing"]);
    assert_eq!(world.dry("store init", &["--after-loss"], 0)["made"], "after_loss");
    command(&["FLUSHALL"]);
    assert_eq!(world.dry("store init", &[], 0)["made"], "new");
    assert_eq!(world.dry("store init", &["--after-loss"], 0)["made"], "after_loss");
    assert_eq!(world.json(&["store", "init"])["made"], "new", "and now really");
    assert_eq!(world.dry("store init", &[], 0)["made"], "already");
    let nobody = world.dry("nodes forget", &["0123456789abcdef"], 0);
    assert_eq!(nobody["forgotten"], false);
}

/// Newest first.
fn audit(world: &World) -> Vec<Value> {
    world.json(&["audit", "list", "--limit", "100"])["records"].as_array().unwrap().clone()
}

#[test]
fn every_command_that_changes_something_writes_down_attempt_and_outcome() {
    let world = World::new();
    for Row { command, arguments, really, .. } in &world.rows {
        let words: Vec<_> = command.split(' ').chain(arguments.iter().map(String::as_str)).collect();
        let before = audit(&world).len();
        let output = world.run(&[&words, *really].concat());
        let records = audit(&world);
        assert_eq!(records.len(), before + 2, "{words:?}: {output:?}");
        let [outcome, attempt] = &records[..2] else { panic!("{records:?}") };
        assert_eq!((&attempt["event"], &outcome["event"]), (&"attempt".into(), &"outcome".into()), "{words:?}");
        assert_eq!(outcome["of"], attempt["seq"], "{words:?}");
        assert_eq!((&outcome["action"], &attempt["action"]), (&action(command).into(), &action(command).into()));
        assert!(attempt["actor"].as_str().unwrap().starts_with("command line, user "), "{attempt}");
        let failed = outcome["result"] == "failed";
        let code = output.status.code().unwrap();
        // A leaked key is denied, whether or not all nodes have said so; of other commands 5 means: not yet.
        let is_done = code == 0 || code == 5 && *command == "keys compromise";
        assert_eq!(failed, !is_done, "{words:?}, {code}: {outcome}");
    }
    let written = std::fs::read_to_string(world.home.path().join("audit.jsonl")).unwrap();
    for secret in ["grace", "acme", "beta", "sealjar_admin_"] {
        assert!(!written.contains(secret), "{secret}: {written}");
    }
    assert_eq!(world.json(&["audit", "verify"])["whole"], true);
}

/// The operation's id in the API, where it is there as well.
fn action(command: &str) -> &'static str {
    match command {
        "keys init" => "init_keys",
        "keys new" => "new_key",
        "keys ring-secret" => "make_ring_secret",
        "keys rewrap" => "rewrap_keys",
        "keys rotate" => "rotate",
        "keys promote" => "promote_key",
        "keys retire" => "retire_key",
        "keys destroy" => "destroy_key",
        "keys compromise" => "compromise_key",
        "store init" => "init_store",
        "nodes forget" => "forget_node",
        "token new" => "make_token",
        "token revoke" => "revoke_token",
        revoke if revoke.starts_with("revoke ") => "revoke",
        other => panic!("{other} has no action"),
    }
}

#[test]
fn a_home_that_keys_init_makes_begins_with_its_audit() {
    let world = World::new();
    let fresh = world.beside.path().join("fresh");
    let home = text(&fresh);
    let dry = world.run(&["--home", &home, "keys", "init", "--dry-run"]);
    assert!(dry.status.success() && !fresh.exists(), "{dry:?}");
    assert_eq!(world.json(&["--home", &home, "keys", "init"])["made"], true);
    let records = world.json(&["--home", &home, "audit", "list"])["records"].as_array().unwrap().clone();
    let events: Vec<_> =
        records.iter().map(|it| (it["event"].as_str().unwrap(), it["action"].as_str().unwrap())).collect();
    assert_eq!(events, [("outcome", "init_keys"), ("attempt", "init_keys")]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&fresh).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
}
