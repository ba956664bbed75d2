//! What is secret in the tests, written down beside what they log: `tests/canary_scan.rs` looks for the one in the
//! other. Does something only where `SEALJAR_TEST_LOGS` names a folder, as `tests/all.sh` does.
//!
//! ```text
//!  test program ── listen ──► <program>-<pid>.log        every line of this crate, at every level
//!  its children ── keep ────► <program>-<pid>.log        what they said on standard error; metrics
//!  cookies, keys, tokens ── plant ──► <program>-<pid>.canaries
//! ```
#![allow(dead_code, reason = "each test program uses a part")]

use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

pub const FOLDER: &str = "SEALJAR_TEST_LOGS";
/// How a program is told to log at every level.
pub const LOUD: (&str, &str) = ("SEALJAR_LOG", "trace");
/// Shorter than this is found everywhere.
pub const LEAST: usize = 16;

pub fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

fn file(end: &str) -> Option<File> {
    let program = env::current_exe().ok()?;
    let name = format!("{}-{}.{end}", program.file_stem()?.to_str()?, std::process::id());
    Some(OpenOptions::new().create(true).append(true).open(folder()?.join(name)).expect("the folder of test logs"))
}

/// Writes down what this process logs from now on. A test that collects its own thread's log still does.
pub fn listen() {
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        let Some(file) = file("log") else { return };
        let own = Targets::new().with_target("sealjar", LevelFilter::TRACE);
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
        // Another part of this program may have been first, and does the same.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(own).with(lines));
    });
}

/// Writes down what a child has said, or what monitoring would read.
pub fn keep(text: &[u8]) {
    if let Some(mut file) = file("log") {
        file.write_all(text).and_then(|()| file.write_all(b"\n")).expect("the log is written");
    }
}

/// Where a child's standard error goes: into a log of its own, or nowhere.
pub fn child_log() -> Stdio {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    file(&format!("child-{}.log", NEXT.fetch_add(1, Ordering::Relaxed))).map_or_else(Stdio::null, Stdio::from)
}

/// A log that a test reads, too: where the logs are, with a link at its place.
pub fn log_at(path: &Path) -> File {
    if let (Some(folder), false) = (folder(), path.exists()) {
        let unique = path.to_string_lossy().replace('/', "-");
        let _ = std::os::unix::fs::symlink(folder.join(format!("child{unique}.log")), path);
    }
    OpenOptions::new().create(true).append(true).open(path).expect("a log")
}

/// This must be in no log.
pub fn plant(secret: &str) {
    assert!(secret.len() >= LEAST, "too short to be told from anything else");
    if let Some(mut file) = file("canaries") {
        file.write_all(format!("{secret}\n").as_bytes()).expect("the canary is written");
    }
}

/// A cookie: what is behind the key's id and the nonce, so that a part of it is found as well.
pub fn plant_cookie(value: &str) {
    let value = value.split_once('=').map_or(value, |(_, value)| value);
    for at in [40, 64, 88] {
        if let Some(part) = value.get(at..at + 24) {
            plant(part);
        }
    }
}

/// The keys in a folder.
pub fn plant_keys(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("secret: ")).for_each(plant);
    }
}
