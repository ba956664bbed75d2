//! Real servers for tests: each on a free port of this machine, in a folder of its own, stopped by its own
//! process id.
//!
//! `servers.sh` installs them. `SEALJAR_TEST_SERVER` names the program to test against; without it, the first
//! one that is found.
#![allow(dead_code, reason = "each test program uses a part")]

#[allow(clippy::duplicate_mod, reason = "each helper brings it along")]
#[path = "../canaries/mod.rs"]
pub mod canaries;
#[path = "../captured/mod.rs"]
pub mod captured;
pub mod sentinel;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use captured::Captured;
use sealjar::Error;
use sealjar::io::redis::{Made, Making, Options, RedisAddress, RedisStore, Role, Rule};
use sealjar::key::ListKey;
use sealjar::secret::Secret;
use sealjar::time::Clock;
use tempfile::TempDir;

pub const PASSWORD: &str = "hunter2-not-to-be-seen";
pub const APP: &str = "shop";

/// The program.
pub fn program() -> PathBuf {
    programs().remove(0)
}

/// All programs that may be tested against: the one that was named, or those that are found.
pub fn programs() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("SEALJAR_TEST_SERVER") {
        return vec![named.into()];
    }
    let folder = installed();
    let known = ["redis-7.0", "valkey-8", "redis-8.2", "valkey-9.1"].map(|name| folder.join(name).join("server"));
    let system = ["/usr/bin/redis-server", "/usr/bin/valkey-server", "/usr/local/bin/redis-server"].map(PathBuf::from);
    let found: Vec<_> = known.into_iter().chain(system).filter(|path| path.exists()).collect();
    assert!(
        !found.is_empty(),
        "no Redis and no Valkey is installed: run `bash tests/redis_support/servers.sh`, then try again"
    );
    found
}

/// Where `servers.sh` puts programs.
pub fn installed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("redis-servers")
}

pub const NEW: Making = Making::IfMissing { log_out_everybody: false };

/// It writes everything down at once.
const CAREFUL: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A running server; it ends with this value.
pub struct Server {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// One that writes everything down at once.
    pub fn start() -> Self {
        Self::with(&CAREFUL)
    }

    /// The same, with users for another app.
    pub fn for_app(app: &str) -> Self {
        Self::with_users(program(), &CAREFUL, app).expect("it starts")
    }

    /// With settings of its own, in which `{port}` stands for its port.
    pub fn with(settings: &[&str]) -> Self {
        Self::try_with(settings).unwrap_or_else(|| panic!("{} does not start", program().display()))
    }

    /// Nothing if the program does not know such settings.
    pub fn try_with(settings: &[&str]) -> Option<Self> {
        Self::of(program(), settings)
    }

    /// Of a certain program.
    pub fn of(program: PathBuf, settings: &[&str]) -> Option<Self> {
        Self::with_users(program, settings, APP)
    }

    /// With users for an app.
    pub fn with_users(program: PathBuf, settings: &[&str], app: &str) -> Option<Self> {
        let users = Role::ALL.map(|role| rule(role, app));
        let users = users.iter().flat_map(|rule| ["--user"].into_iter().chain(rule.split_whitespace().skip(2)));
        Self::plain(program, &settings.iter().copied().chain(users).collect::<Vec<_>>())
    }

    /// Without any user but the owner.
    pub fn plain(program: PathBuf, settings: &[&str]) -> Option<Self> {
        canaries::listen();
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|&word| word.to_owned()).collect();
        let mut server = Self { program, folder, port: 0, settings, child: Mutex::default() };
        // The port may be taken between the question and the answer.
        for _ in 0..10 {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if server.run() {
                return Some(server);
            }
        }
        None
    }

    fn run(&self) -> bool {
        let mut command = Command::new(&self.program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        // A first replica has its data at once, without waiting for company.
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(self.folder.path()).args(["--requirepass", PASSWORD]);
        command.args(self.settings.iter().map(|word| word.replace("{port}", &self.port.to_string())));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        // The rest is read, so that the server never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        if !ready {
            let _ = child.wait();
            return false;
        }
        *self.child.lock().unwrap() = Some(child);
        true
    }

    /// `kill -9`.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts again after [`Server::kill`], on the same port.
    pub fn restart(&self) {
        assert!(self.run(), "the server does not start again");
    }

    /// Removes what the server has written down. After [`Server::kill`].
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path()).unwrap();
        std::fs::create_dir(self.folder.path()).unwrap();
    }

    /// A copy of what the server has written down by now, to be put back later by [`Server::restore`].
    pub fn copy(&self) -> TempDir {
        // Again, if the server has put a file in the place of another one meanwhile.
        loop {
            let (copy, before) = (tempfile::tempdir().unwrap(), names(self.folder.path()));
            if copy_folder(self.folder.path(), copy.path()).is_ok() && names(self.folder.path()) == before {
                return copy;
            }
        }
    }

    /// Puts a copy in the place of what the server has written down. After [`Server::kill`].
    pub fn restore(&self, copy: &TempDir) {
        self.forget();
        copy_folder(copy.path(), self.folder.path()).unwrap();
    }

    /// Sends a signal to the process: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.child.lock().unwrap().as_ref().unwrap().id(), name);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The list's address for an app.
    pub fn url(&self) -> String {
        node_url(self.port)
    }

    /// For tools.
    pub fn admin_url(&self) -> String {
        self.url_of(Role::Admin.user())
    }

    /// Of the server's owner, who may do everything.
    pub fn root_url(&self) -> String {
        self.url_of("default")
    }

    /// Of another user.
    pub fn url_of(&self, user: &str) -> String {
        format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    pub async fn init(&self, making: Making) -> Result<Made, Error> {
        RedisStore::make(address(&self.admin_url()), &options(&list_key(7)), making).await
    }

    pub async fn open(&self) -> Result<RedisStore, Error> {
        RedisStore::open(address(&self.url()), &options(&list_key(7))).await
    }

    /// Writes something, and waits up to a second for so many replicas to have it. With it they have all that was
    /// written before.
    pub async fn is_replicated(&self, replicas: usize) -> bool {
        let client = redis::Client::open(self.root_url()).unwrap();
        let asked = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("SET").arg("a-test-waits").arg(1).exec_async(&mut connection).await?;
            redis::cmd("WAIT").arg(replicas).arg(1000).query_async::<usize>(&mut connection).await
        };
        tokio::time::timeout(Duration::from_secs(5), asked).await.is_ok_and(|done| done.is_ok_and(|n| n >= replicas))
    }

    /// The list that a node made under a list key of its own.
    pub async fn open_under(&self, list_key: &ListKey) -> RedisStore {
        RedisStore::open(address(&self.url()), &options(list_key)).await.unwrap()
    }

    /// Whether so many replicas follow it and have all that it has.
    pub async fn has_replicas(&self, number: usize) -> bool {
        let redis::Value::BulkString(info) = self.command(&["INFO", "replication"]).await else { panic!() };
        let info = String::from_utf8(info).unwrap();
        info.lines().filter(|line| line.starts_with("slave") && line.contains("state=online")).count() >= number
    }

    /// What an operator would type into the server's own command line.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        self.try_command(words).await.unwrap()
    }

    /// The same, where the server may refuse it.
    pub async fn try_command(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.root_url()).unwrap();
        let asked = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            let mut command = redis::cmd(words[0]);
            for word in &words[1..] {
                command.arg(*word);
            }
            command.query_async(&mut connection).await
        };
        tokio::time::timeout(Duration::from_secs(5), asked).await.expect("the server answers within 5 s")
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&to)?;
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// Of all files below a folder.
fn names(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map_while(Result::ok);
    entries.flat_map(|entry| names(&entry.path()).into_iter().chain([entry.path()])).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The list's address for an app: of a user with the rights of one, for the app [`APP`] only.
pub fn node_url(port: u16) -> String {
    format!("redis://{}:{PASSWORD}@127.0.0.1:{port}", Role::Node.user())
}

/// What the server's owner types in for a user.
pub fn rule(role: Role, app: &str) -> String {
    Rule { role, app, database: 0 }.to_string().replace("<password>", PASSWORD)
}

/// Sends a signal to a process. One that is to stop stands still when this returns: a single thread of it takes the
/// signal, and until that has its turn the others go on.
pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
    while name == "STOP" && !stands_still(pid) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stands_still(pid: u32) -> bool {
    let is_stopped = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 'Z']));
    let mut threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.all(|thread| std::fs::read_to_string(thread.path().join("stat")).is_ok_and(is_stopped))
}

/// Collects what this thread logs, as long as the first value lives.
pub fn logged() -> (tracing::subscriber::DefaultGuard, impl Fn() -> String) {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(captured.clone()).finish();
    (tracing::subscriber::set_default(subscriber), move || captured.text())
}

pub fn list_key(byte: u8) -> ListKey {
    ListKey::from_bytes(Secret::new([byte; 32]))
}

pub fn options(list_key: &ListKey) -> Options<'_> {
    Options { app: APP, list_key, clock: Clock::system() }
}

pub fn address(url: &str) -> RedisAddress {
    RedisAddress::parse(url).unwrap()
}
