//! A primary, its replicas, and Sentinels that watch them: all real, all on free ports of this machine.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Value;
use sealjar::io::redis::Role;
use tempfile::TempDir;

use super::{PASSWORD, Server, program};

pub const SERVICE: &str = "shop-list";
pub const SENTINEL_PASSWORD: &str = "sentinels-word-not-to-be-seen";
/// As long as a failover may take here; mostly it is two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One Sentinel; it ends with this value.
pub struct Sentinel {
    _folder: TempDir,
    child: Child,
    pub port: u16,
}

impl Sentinel {
    /// Watches a primary of this name, and hands over when two of its kind think that it is down.
    pub fn start(service: &str, primary: u16, password: Option<&str>) -> Self {
        let wanted = password.map(|word| format!("requirepass {word}\n")).unwrap_or_default();
        let started = Self::try_with(service, primary, &format!("port {{port}}\n{wanted}"));
        started.unwrap_or_else(|| panic!("{} does not start as a Sentinel", program().display()))
    }

    /// With settings of its own, in which `{port}` stands for its port. Nothing if the program does not know
    /// such settings.
    pub fn try_with(service: &str, primary: u16, settings: &str) -> Option<Self> {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let own = settings.replace("{port}", &port.to_string());
            let all = format!(
                "bind 127.0.0.1\ndir {folder}\n{own}\
                 sentinel monitor {service} 127.0.0.1 {primary} 2\n\
                 sentinel auth-pass {service} {PASSWORD}\n\
                 sentinel down-after-milliseconds {service} 700\n\
                 sentinel failover-timeout {service} 4000\n\
                 sentinel parallel-syncs {service} 4\n",
                folder = folder.path().display()
            );
            // The program writes what it learns into this file.
            let file = folder.path().join("sentinel.conf");
            fs::write(&file, all).unwrap();
            let mut command = Command::new(program());
            let command = command.arg(file).arg("--sentinel").stdin(Stdio::null()).stderr(Stdio::null());
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("+monitor"));
            std::thread::spawn(move || lines.for_each(drop));
            if ready {
                return Some(Self { _folder: folder, child, port });
            }
            let _ = child.wait();
        }
        None
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `SENTINEL <words>`.
    pub async fn command(&self, words: &[&str], password: Option<&str>) -> redis::RedisResult<Value> {
        self.raw(&[&["SENTINEL"], words].concat(), password).await
    }

    /// What an operator would type into its own command line.
    pub async fn raw(&self, words: &[&str], password: Option<&str>) -> redis::RedisResult<Value> {
        let who = password.map(|word| format!(":{word}@")).unwrap_or_default();
        let client = redis::Client::open(format!("redis://{who}127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut connection).await
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three servers and three Sentinels.
pub struct Watched {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Sentinel>,
    password: Option<&'static str>,
}

impl Watched {
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// With Sentinels that want a password of their own.
    pub async fn with(password: Option<&'static str>) -> Self {
        // After a failover one replica is left, and that is one more than none.
        let safe = ["--appendonly", "yes", "--min-replicas-to-write", "1", "--masterauth", PASSWORD];
        let primary = Server::with(&safe);
        let port = primary.port().to_string();
        let mut servers = vec![primary];
        for _ in 0..2 {
            servers.push(Server::with(&[&safe[..], &["--replicaof", "127.0.0.1", &port]].concat()));
        }
        let sentinels = (0..3).map(|_| Sentinel::start(SERVICE, servers[0].port(), password)).collect();
        let watched = Self { servers, sentinels, password };
        watched.settled(2).await;
        watched
    }

    /// The list's address for an app.
    pub fn url(&self) -> String {
        self.url_of(Role::Node.user())
    }

    /// For tools.
    pub fn admin_url(&self) -> String {
        self.url_of(Role::Admin.user())
    }

    /// Of the servers' owner, who may do everything.
    pub fn root_url(&self) -> String {
        self.url_of("default")
    }

    fn url_of(&self, user: &str) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        let word = self.password.map(|word| format!("?sentinel_password={word}")).unwrap_or_default();
        format!("redis+sentinel://{user}:{PASSWORD}@{}/{SERVICE}{word}", hosts.join(","))
    }

    /// Which of the servers the first Sentinel that is left takes for the primary.
    pub async fn primary(&self) -> usize {
        let mut named = Err(redis::RedisError::from((redis::ErrorKind::Client, "no Sentinel is left")));
        for sentinel in &self.sentinels {
            named = sentinel.command(&["GET-MASTER-ADDR-BY-NAME", SERVICE], self.password).await;
            if named.is_ok() {
                break;
            }
        }
        let (_, port): (String, u16) = redis::from_redis_value(named.unwrap()).unwrap();
        self.servers.iter().position(|server| server.port() == port).unwrap()
    }

    /// Until every Sentinel knows all others, and the primary has so many replicas.
    pub async fn settled(&self, replicas: usize) {
        let began = Instant::now();
        loop {
            let primary = self.primary().await;
            let mut good = self.servers[primary].has_replicas(replicas).await;
            for sentinel in &self.sentinels {
                let state = sentinel.command(&["MASTER", SERVICE], self.password).await.unwrap();
                let state: std::collections::HashMap<String, String> = redis::from_redis_value(state).unwrap();
                good &= state["num-other-sentinels"] == "2" && state["num-slaves"] == "2" && state["flags"] == "master";
                good &= state["port"] == self.servers[primary].port().to_string();
            }
            if good {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the Sentinels do not find each other and the servers");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Hands over as an operator does. Returns when another server is named.
    pub async fn fail_over(&self) -> usize {
        let before = self.primary().await;
        let began = Instant::now();
        // Refused while it does not know the replicas well enough.
        while let Err(error) = self.sentinels[0].command(&["FAILOVER", SERVICE], self.password).await {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.another_than(before).await
    }

    /// Until another server than this one is named.
    pub async fn another_than(&self, before: usize) -> usize {
        let began = Instant::now();
        loop {
            let now = self.primary().await;
            if now != before {
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "no failover happens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
