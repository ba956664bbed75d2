//! Real servers for tests: each on a free port of this machine, in a folder of its own, stopped by its own
//! process id.
//!
//! `servers.sh` installs them. `SEALJAR_TEST_SERVER` names the program to test against; without it, the first
//! one that is found.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use sealjar::Error;
use sealjar::io::redis::{Made, Making, Options, RedisAddress, RedisStore};
use sealjar::key::ListKey;
use sealjar::secret::Secret;
use sealjar::time::Clock;
use tempfile::TempDir;

pub const PASSWORD: &str = "hunter2-not-to-be-seen";
pub const APP: &str = "shop";

/// The program.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("SEALJAR_TEST_SERVER") {
        return named.into();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("redis-servers");
    let installed = ["redis-7.0", "valkey-8", "redis-8.2", "valkey-9.1"].map(|name| folder.join(name).join("server"));
    let system = ["/usr/bin/redis-server", "/usr/bin/valkey-server", "/usr/local/bin/redis-server"].map(PathBuf::from);
    let found = installed.into_iter().chain(system).find(|path| path.exists());
    found.expect("no Redis and no Valkey is installed: run `bash tests/redis_support/servers.sh`, then try again")
}

pub const NEW: Making = Making::IfMissing { log_out_everybody: false };

/// A running server; it ends with this value.
pub struct Server {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// One that writes everything down at once.
    pub fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// With settings of its own, in which `{port}` stands for its port.
    pub fn with(settings: &[&str]) -> Self {
        Self::try_with(settings).unwrap_or_else(|| panic!("{} does not start", program().display()))
    }

    /// Nothing if the program does not know such settings.
    pub fn try_with(settings: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|&word| word.to_owned()).collect();
        let mut server = Self { folder, port: 0, settings, child: Mutex::default() };
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
        let mut command = Command::new(program());
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
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

    /// Sends a signal to the process: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.lock().unwrap().as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    pub async fn init(&self, making: Making) -> Result<Made, Error> {
        RedisStore::make(address(&self.url()), &options(&list_key(7)), making).await
    }

    pub async fn open(&self) -> Result<RedisStore, Error> {
        RedisStore::open(address(&self.url()), &options(&list_key(7))).await
    }

    /// What an operator would type into the server's own command line.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        let asked = command.query_async(&mut connection);
        tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
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
