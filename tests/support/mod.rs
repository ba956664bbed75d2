//! An example as a real process, and a client that talks to it over HTTP.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod browser;
#[allow(clippy::duplicate_mod, reason = "each helper brings it along")]
#[path = "../canaries/mod.rs"]
pub mod canaries;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes; a test that gets there has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The example's executable, built first: `cargo test --test ..` alone does not build examples.
pub fn executable(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    &BUILT.get_or_init(build)[name]
}

fn build() -> BTreeMap<String, PathBuf> {
    // The features of this test's own build, so that nothing is built twice.
    let features = [
        ("warp", cfg!(feature = "warp")),
        ("sqlite", cfg!(feature = "sqlite")),
        ("redis", cfg!(feature = "redis")),
        ("cli", cfg!(feature = "cli")),
    ];
    let features: Vec<_> = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", "captcha", "--example", "login", "--message-format", "json"]);
    cargo.args(["--no-default-features", "--features", &features.join(",")]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells a test of its package. To a cargo that inherits it the build script of `ring` has changed, and
    // with that all that stands on it: here, and in the next build outside.
    let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    std::env::vars().filter(|(name, _)| of_package(name)).for_each(|(name, _)| {
        cargo.env_remove(name);
    });
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "the examples do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("cargo writes JSON");
    let built = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, message["executable"].as_str()?.into()))
    });
    built.collect()
}

/// A program that dies with the test, and what it says on stdout.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().expect("it was piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    /// The rest of the next line that has `text` in it.
    pub fn after(&self, text: &str) -> String {
        self.said(text).unwrap_or_else(|| panic!("the program never said `{text}`"))
    }

    /// The same; nothing if the program ends, or takes too long, without such a line.
    pub fn said(&self, text: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            if let Some((_, rest)) = line.split_once(text) {
                return Some(rest.to_owned());
            }
        }
    }

    /// Ends it, and returns all that it has said since.
    pub fn rest(mut self) -> Vec<String> {
        self.terminate();
        self.lines.iter().collect()
    }

    /// Asks it to stop, as `kill` and process managers do.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "the signal was sent");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9: nothing is tidied up.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running example.
pub struct Example {
    pub process: Process,
    pub url: String,
    home: TempDir,
    name: &'static str,
    /// Where its list is, if not in its home.
    list: Option<String>,
}

impl Example {
    pub fn start(name: &'static str) -> Self {
        Self::start_in(name, tempfile::tempdir().expect("a scratch folder"), None)
    }

    /// Over a list on a server, and a folder that may have its keys already.
    pub fn start_on(name: &'static str, home: TempDir, list: &str) -> Self {
        Self::start_in(name, home, Some(list.to_owned()))
    }

    fn start_in(name: &'static str, home: TempDir, list: Option<String>) -> Self {
        let log = canaries::log_at(&home.path().join("log"));
        let mut command = command(name, &home.path().join("home"));
        command.envs(list.iter().map(|list| ("REDIS_URL", list)));
        // Port 0: the system chooses a free one, and the example says which.
        let process = Process::start(command.env("PORT", "0").env("SEALJAR_DEMO_TELL", "1").stderr(log));
        let process = process.expect("the example was built");
        let said = process.after("open ");
        let (url, rest) = said.split_once(' ').expect("address, then folder");
        assert!(
            rest.contains(&*home.path().join("home").to_string_lossy()),
            "it says where it keeps its files: {said}"
        );
        canaries::plant_keys(&home.path().join("home/keys"));
        Self { process, url: url.to_owned(), home, name, list }
    }

    /// kill -9, and a new process over the same folder.
    pub fn crash_and_restart(self) -> Self {
        self.crash_and(|| ()).0
    }

    /// kill -9, then whatever happens while it is down, and a new process over the same folder.
    pub fn crash_and<T>(mut self, meanwhile: impl FnOnce() -> T) -> (Self, T) {
        self.process.kill();
        let value = meanwhile();
        (Self::start_in(self.name, self.home, self.list), value)
    }

    /// The folder with its keys and its list.
    pub fn home(&self) -> PathBuf {
        self.home.path().join("home")
    }

    /// What the operator reads.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).expect("a log")
    }

    pub fn client(&self) -> Client {
        Client { url: self.url.clone(), name: self.name, cookie: None }
    }

    /// The answer of the captcha that was drawn last. No route tells it; the terminal does, for tests.
    pub fn captcha_answer(&self) -> String {
        self.process.after("the captcha says ")
    }
}

/// An example's command, with nothing of this machine's environment that it would listen to.
pub fn command(name: &str, home: &Path) -> Command {
    let mut command = Command::new(executable(name));
    command.env_remove("REDIS_URL").env_remove("SEALJAR_DEMO_TELL").env("SEALJAR_HOME", home);
    command
}

/// A client with a jar for one cookie.
#[derive(Clone)]
pub struct Client {
    url: String,
    name: &'static str,
    pub cookie: Option<String>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub json: Value,
}

impl Client {
    /// The same client with another cookie in its jar.
    pub fn with(self, cookie: Option<String>) -> Self {
        Self { cookie, ..self }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(("application/json", &body.to_string())))
    }

    pub fn send(&mut self, method: &str, path: &str, body: Option<(&str, &str)>) -> Answer {
        let cookie = self.cookie.iter().map(|value| ("cookie", format!("{}={value}", self.name)));
        let answer = http(method, &format!("{}{path}", self.url), cookie, body);
        for line in answer.all("set-cookie") {
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("name and value");
            canaries::plant_cookie(value);
            assert_eq!(name, self.name);
            self.cookie = Some(value.to_owned()).filter(|_| !line.contains("Max-Age=0"));
        }
        answer
    }
}

impl Answer {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn verdict(&self) -> &str {
        self.json["verdict"].as_str().unwrap_or_else(|| panic!("no verdict in {} {}", self.status, self.text))
    }
}

/// Tries until it works.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) if Instant::now() > deadline => panic!("could not {what}: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// One request. Never through a proxy, never redirected; 4xx and 5xx are answers like others.
pub fn http(
    method: &str,
    url: &str,
    headers: impl IntoIterator<Item = (&'static str, String)>,
    body: Option<(&str, &str)>,
) -> Answer {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    let agent = AGENT.get_or_init(|| {
        let config = ureq::Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
        config.timeout_global(Some(PATIENCE)).build().into()
    });
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some((kind, _)) = body {
        request = request.header("content-type", kind);
    }
    let response = match body {
        Some((_, text)) => agent.run(request.body(text.to_owned()).expect("a request")),
        None if method == "POST" => agent.run(request.body(String::new()).expect("a request")),
        None => agent.run(request.body(()).expect("a request")),
    };
    let mut response = response.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
    let status = response.status().as_u16();
    let read = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        (name.to_string(), value.to_str().expect("visible ASCII").to_owned())
    };
    let headers = response.headers().iter().map(read).collect();
    let bytes = response.body_mut().read_to_vec().expect("the whole body");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, text, json }
}
