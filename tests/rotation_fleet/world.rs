//! A fleet with a folder of keys for each node, a server, and the program `sealjar` beside them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::fleet::node::LIVES;
use crate::fleet::{Ask, Node, Outcome, Said, Setup};
use crate::redis_support::sentinel::Watched;
use crate::redis_support::{PASSWORD, Server};

/// S and H of the nodes; a node lapses 12 s after H.
pub const BOUNDS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(3));
/// The same where servers hand over, which takes some seconds.
const PATIENT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(20));
/// How long a session lasts without use, and at most.
pub const IDLE: Duration = Duration::from_secs(10);
pub const ABSOLUTE: Duration = Duration::from_secs(10);
/// The same where no session may end during a test.
const LASTING: Duration = Duration::from_secs(900);
/// A node that does not answer for this long is passed over.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Where the list is.
pub enum Place {
    Alone(Server),
    /// A primary, two replicas and Sentinels.
    Watched(Watched),
}

pub struct World {
    place: Place,
    /// S and H.
    bounds: (Duration, Duration),
    /// Idle and absolute.
    lives: (Duration, Duration),
    /// The ring secret of the environment that the program runs in; none where it is empty.
    secret: &'static str,
    home: TempDir,
    slots: Mutex<Vec<Slot>>,
    /// Every cookie that some node could not open, and why.
    pub faults: Mutex<Vec<String>>,
    pub stop: AtomicBool,
}

#[derive(Clone)]
struct Slot {
    node: Arc<Node>,
    keys: PathBuf,
    secret: PathBuf,
    up: bool,
}

impl World {
    /// A list and a first key, made as an operator would. No node yet.
    async fn new(
        place: Place,
        bounds: (Duration, Duration),
        lives: (Duration, Duration),
        secret: &'static str,
    ) -> Arc<Self> {
        let home = tempfile::tempdir().unwrap();
        let (slots, faults) = (Mutex::default(), Mutex::default());
        let world = Arc::new(Self { place, bounds, lives, secret, home, slots, faults, stop: AtomicBool::new(false) });
        world.done(&["keys", "init"]).await;
        for secret in [secret, "wrong"].into_iter().filter(|secret| !secret.is_empty()) {
            world.done(&["keys", "ring-secret", world.secret(secret).to_str().unwrap()]).await;
        }
        world.done(&["store", "init"]).await;
        world
    }

    /// One whose first node has a copy of the operator's folder; the others get all through the list. The folder of
    /// the last one cannot be written, whoever runs it: it lies below a file.
    pub async fn of(nodes: usize) -> Arc<Self> {
        Self::new(Place::Alone(Server::start()), BOUNDS, (IDLE, ABSOLUTE), "ring").await.with(nodes).await
    }

    /// The same, and no session ends by itself.
    pub async fn lasting(nodes: usize) -> Arc<Self> {
        Self::new(Place::Alone(Server::start()), BOUNDS, (LASTING, LASTING), "ring").await.with(nodes).await
    }

    /// Neither the nodes nor the program have a ring secret: each node has a copy of the operator's folder. No session
    /// ends by itself.
    pub async fn of_files(nodes: usize) -> Arc<Self> {
        let world = Self::new(Place::Alone(Server::start()), BOUNDS, (LASTING, LASTING), "").await;
        for number in 0..nodes {
            let keys = world.folder(&format!("node-{number}"));
            copy_keys(&world.operator_keys(), &keys);
            world.add(keys, "").await;
        }
        world
    }

    /// The same over servers that hand over to each other. H is longer than that takes, so that nodes serve through it.
    pub async fn watched(nodes: usize) -> Arc<Self> {
        let place = Place::Watched(Watched::start().await);
        Self::new(place, PATIENT, (IDLE, ABSOLUTE), "ring").await.with(nodes).await
    }

    async fn with(self: Arc<Self>, nodes: usize) -> Arc<Self> {
        let world = self;
        for number in 0..nodes {
            let keys = world.home.path().join(format!("node-{number}"));
            match number {
                0 => copy_keys(&world.home.path().join("keys"), &keys),
                _ if number + 1 == nodes => {
                    std::fs::write(&keys, "").unwrap();
                }
                _ => {}
            }
            let keys = if number > 0 && number + 1 == nodes { keys.join("keys") } else { keys };
            world.add(keys, "ring").await;
        }
        world
    }

    /// The one server.
    pub fn server(&self) -> &Server {
        let Place::Alone(server) = &self.place else { panic!("there are several") };
        server
    }

    /// The servers that hand over to each other.
    pub fn servers(&self) -> &Watched {
        let Place::Watched(watched) = &self.place else { panic!("there is one") };
        watched
    }

    pub fn operator_keys(&self) -> PathBuf {
        self.home.path().join("keys")
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The file of a ring secret; an empty path for an empty name, which is none.
    pub fn secret(&self, name: &str) -> PathBuf {
        if name.is_empty() { PathBuf::new() } else { self.home.path().join(format!("{name}.secret")) }
    }

    /// A further node; answers its number when it serves.
    pub async fn add(&self, keys: PathBuf, secret: &str) -> usize {
        let secret = self.secret(secret);
        let node = self.spawn(&keys, &secret).await;
        let mut slots = self.slots.lock().unwrap();
        slots.push(Slot { node, keys, secret, up: true });
        slots.len() - 1
    }

    async fn spawn(&self, keys: &Path, secret: &Path) -> Arc<Node> {
        let url = match &self.place {
            Place::Alone(server) => server.url(),
            Place::Watched(watched) => watched.url(),
        };
        let setup = Setup { url, home: keys.to_owned(), bounds: self.bounds };
        let lives = format!("{} {}", self.lives.0.as_secs(), self.lives.1.as_secs());
        let variables = [(LIVES, &*lives), ("SEALJAR_RING_SECRET_FILE", secret.to_str().unwrap())];
        let node = Node::spawn_with(&setup, &variables);
        let ready = tokio::time::timeout(Duration::from_secs(100), node.ready()).await;
        assert!(matches!(ready, Ok(Some(_))), "a node does not start: {}", node.trouble());
        Arc::new(node)
    }

    pub fn kill(&self, number: usize) {
        self.mark(number, false);
        self.node(number).kill();
    }

    /// What a node is started with from now on.
    pub fn give(&self, number: usize, secret: &str) {
        self.slots.lock().unwrap()[number].secret = self.secret(secret);
    }

    /// In the place of one that was killed, with what that had on its disk.
    pub async fn restart(&self, number: usize) {
        let Slot { keys, secret, .. } = self.slots.lock().unwrap()[number].clone();
        let node = self.spawn(&keys, &secret).await;
        self.slots.lock().unwrap()[number].node = node;
        self.mark(number, true);
    }

    pub fn pause(&self, number: usize) {
        self.mark(number, false);
        self.node(number).stop();
    }

    pub fn go_on(&self, number: usize) {
        self.node(number).go_on();
        self.mark(number, true);
    }

    fn mark(&self, number: usize, up: bool) {
        self.slots.lock().unwrap()[number].up = up;
    }

    pub fn node(&self, number: usize) -> Arc<Node> {
        self.slots.lock().unwrap()[number].node.clone()
    }

    /// The numbers of the nodes that should answer.
    pub fn up(&self) -> Vec<usize> {
        let slots = self.slots.lock().unwrap();
        (0..slots.len()).filter(|number| slots[*number].up).collect()
    }

    /// As nodes call themselves.
    pub fn name(&self, number: usize) -> String {
        self.node(number).name()
    }

    /// What a node answers; nothing when it was stopped or ended meanwhile.
    pub async fn ask(&self, number: usize, ask: Ask) -> Option<Said> {
        match tokio::time::timeout(PATIENCE, self.node(number).ask(ask)).await {
            Ok(Outcome::Answer(answer)) => Some(answer.said),
            Ok(Outcome::Died | Outcome::Hung) | Err(_) => None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let url = match &self.place {
            Place::Alone(server) => server.admin_url(),
            Place::Watched(watched) => watched.admin_url(),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command.env("SEALJAR_HOME", self.home.path()).env("REDIS_URL", url).env("SEALJAR_APP", "shop");
        command.env("SEALJAR_RING_SECRET_FILE", self.secret(self.secret)).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// The program, running.
    pub fn run(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The same, and it reaches the server through another port.
    pub fn run_through(&self, port: u16, arguments: &[&str]) -> Child {
        let server = self.server();
        let url = server.admin_url().replace(&format!(":{}", server.port()), &format!(":{port}"));
        self.command(arguments).env("REDIS_URL", url).spawn().unwrap()
    }

    /// The program's exit code and what it says in JSON.
    pub async fn sealjar(&self, arguments: &[&str]) -> (i32, Value) {
        let Output { status, stdout, stderr } =
            self.command(&[&["--json"], arguments].concat()).output().await.unwrap();
        let said = [&*String::from_utf8_lossy(&stdout), &*String::from_utf8_lossy(&stderr)].concat();
        assert!(!said.contains(PASSWORD), "{said}");
        let code = status.code().unwrap_or_else(|| panic!("{arguments:?} was killed"));
        (code, serde_json::from_slice(&stdout).unwrap_or(Value::String(said)))
    }

    /// The same, and it must succeed.
    pub async fn done(&self, arguments: &[&str]) -> Value {
        let (code, value) = self.sealjar(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {value:#}");
        value
    }

    /// `keys status`. Asked again where servers hand over to each other: the replicas of the new one may be away.
    async fn status(&self) -> Value {
        if matches!(self.place, Place::Watched(_)) {
            for _ in 0..3 {
                if let (0, status) = self.sealjar(&["keys", "status"]).await {
                    return status;
                }
            }
        }
        self.done(&["keys", "status"]).await
    }

    /// The keys in a state.
    pub async fn keys(&self, state: &str) -> Vec<String> {
        let status = self.status().await;
        let keys = status["keys"].as_array().unwrap().iter().filter(|key| key["state"] == state);
        keys.map(|key| key["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The key that seals.
    pub async fn sealing(&self) -> String {
        let status = self.status().await;
        let keys = status["keys"].as_array().unwrap();
        keys.iter().find(|key| key["role"] == "seals").unwrap()["key"].as_str().unwrap().to_owned()
    }
}

pub fn copy_keys(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
