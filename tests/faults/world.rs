//! One world: a server with its replicas, some nodes with their links, and whoever restarts what was killed.
//!
//! ```text
//!   clients ──► nodes ──link──► primary ◄──link── replicas       (replicas in every other world)
//! ```

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Options, RedisStore};
use sealjar::time::Clock;

use crate::book::Book;
use crate::client::Client;
use crate::fleet::node::FILE;
use crate::fleet::{Link, Node, Route, Setup, boot_micros};
use crate::history::{Bounds, History, ProcessNo, Seen, Span};
use crate::redis_support::{APP, NEW, PASSWORD, Server, address, node_url, programs};

/// `min-replicas-max-lag` of servers with replicas, in seconds.
pub const MAX_LAG: u64 = 2;
/// How long it may take until all is well again after the last fault: a process that was killed is waited for a
/// minute where the list was lost.
const RECOVERY: Duration = Duration::from_secs(100);

/// What a seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub program: PathBuf,
    pub replicas: usize,
    pub nodes: usize,
    pub fsync: &'static str,
    pub fresh: Duration,
    /// Whether each node has a file of its own.
    pub files: bool,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let programs = programs();
        let program = programs[random.random_range(0..programs.len())].clone();
        let replicas = if random.random_bool(0.5) { 2 } else { 0 };
        let nodes = random.random_range(3..=4);
        let fsync = if random.random_bool(0.5) { "always" } else { "everysec" };
        let fresh = Duration::from_secs(if random.random_bool(0.5) { 2 } else { 5 });
        let files = random.random_bool(0.5);
        Self { seed, program, replicas, nodes, fsync, fresh, files }
    }
}

pub struct World {
    pub plan: Plan,
    pub book: Book,
    pub servers: Vec<Server>,
    /// The way of each server to the one that it follows.
    pub follows: Vec<Link>,
    pub primary: AtomicUsize,
    pub slots: Vec<Slot>,
    pub over: AtomicBool,
    setup: Setup,
    _home: tempfile::TempDir,
}

/// A place for a node: its link, its file, and the process that is there now.
pub struct Slot {
    pub link: Link,
    file: Option<PathBuf>,
    now: Mutex<Arc<Running>>,
}

pub struct Running {
    pub node: Node,
    pub process: ProcessNo,
    pub is_stopped: AtomicBool,
}

impl World {
    pub async fn start(plan: Plan) -> Arc<Self> {
        let home = tempfile::tempdir().unwrap();
        let keys = KeyFolder::new(home.path().join("keys"));
        keys.init(Clock::system().now().seconds()).unwrap();
        let lag = MAX_LAG.to_string();
        let mut settings = vec!["--appendonly", "yes", "--appendfsync", plan.fsync, "--masterauth", PASSWORD];
        settings.extend(["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]);
        if plan.replicas > 0 {
            settings.extend(["--min-replicas-to-write", "1", "--min-replicas-max-lag", &lag]);
        }
        let servers: Vec<_> =
            (0..=plan.replicas).map(|_| Server::of(plan.program.clone(), &settings).expect("a server")).collect();
        let mut follows = Vec::new();
        for _ in &servers {
            follows.push(Link::to(servers[0].port()).await);
        }
        let mut slots = Vec::new();
        let bounds = (plan.fresh, Duration::from_secs(60));
        let setup = Setup { url: String::new(), home: keys.path().to_owned(), bounds };
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap();
        // The server counts whole seconds, once a second.
        let lag = if plan.replicas > 0 { Duration::from_secs(MAX_LAG + 2) } else { Duration::ZERO };
        let bounds = Bounds { fresh: micros(plan.fresh), lag: micros(lag), ..Bounds::default() };
        let book = Book::with(History { bounds, ..History::default() });
        for node in 0..plan.nodes {
            let link = Link::to(servers[0].port()).await;
            let file = plan.files.then(|| home.path().join(format!("node-{node}.db")));
            let now = Mutex::new(Arc::new(Running::spawn(&setup, &link, file.as_deref(), &book)));
            slots.push(Slot { link, file, now });
        }
        let (primary, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let world = Arc::new(Self { plan, book, servers, follows, primary, slots, over, setup, _home: home });
        for server in 1..world.servers.len() {
            world.follow(server).await;
        }
        world.in_sync().await;
        let list_key = keys.list_key().unwrap();
        let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
        RedisStore::make(address(&world.primary().admin_url()), &options, NEW).await.unwrap();
        for slot in &world.slots {
            world.clone().watch(slot.now());
        }
        world
    }

    pub fn primary(&self) -> &Server {
        &self.servers[self.primary.load(Ordering::SeqCst)]
    }

    /// Makes a server follow where its link leads.
    pub async fn follow(&self, server: usize) {
        let port = self.follows[server].port().to_string();
        self.servers[server].command(&["REPLICAOF", "127.0.0.1", &port]).await;
    }

    /// Waits until the replicas have everything. Answers a time before which everything was written that they have.
    pub async fn in_sync(&self) -> u64 {
        let began = Instant::now();
        loop {
            let at = boot_micros();
            if self.primary().is_replicated(self.plan.replicas).await {
                return at;
            }
            assert!(began.elapsed() < RECOVERY, "the replicas do not follow (seed {})", self.plan.seed);
        }
    }

    /// Puts a new process in the place of one that was killed.
    pub fn respawn(self: &Arc<Self>, slot: usize) {
        let slot = &self.slots[slot];
        let new = Arc::new(Running::spawn(&self.setup, &slot.link, slot.file.as_deref(), &self.book));
        *slot.now.lock().unwrap() = new.clone();
        self.clone().watch(new);
    }

    /// Writes down when it is ready.
    fn watch(self: Arc<Self>, running: Arc<Running>) {
        tokio::spawn(async move {
            if let Some(at) = running.node.ready().await {
                self.book.say(format!("{:?} is ready", running.process));
                self.book.life(running.process, |life| life.ready = Some(at));
            }
        });
    }

    pub fn kill(&self, slot: usize) {
        let running = self.slots[slot].now();
        let at = running.node.kill();
        self.book.life(running.process, |life| life.killed = Some(at));
    }

    /// Waits until all is well and has been for so long that every process knows what the others do. Then
    /// looks at many sessions through every node.
    pub async fn audit(self: &Arc<Self>, random: &mut StdRng) {
        let began = Instant::now();
        let mut client = Client::new(self.clone(), random.random());
        loop {
            let since = boot_micros();
            let Err(why) = self.is_well(&mut client).await else {
                self.book.calm(Span::of(since, boot_micros()));
                break;
            };
            assert!(
                began.elapsed() < RECOVERY,
                "seed {}: not well again {RECOVERY:?} after the last fault: {why}\n{}",
                self.plan.seed,
                self.book.story().join("\n")
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.book.say(format!("all is well after {:?}", began.elapsed()));
        for known in self.book.sample(random, 60) {
            for slot in 0..self.slots.len() {
                for (cookie, text) in [known.newest(), known.any(random)] {
                    client.open(slot, cookie, text, Route::Default).await;
                }
            }
        }
    }

    /// In two rounds every node has a beat that counts: in the first it gives back what it knows, in the
    /// second it reads what the others did.
    async fn is_well(&self, client: &mut Client) -> Result<(), String> {
        for slot in &self.slots {
            let running = slot.now();
            if !running.node.is_ready() {
                return Err(format!("{:?} is not ready: {}", running.process, running.node.trouble()));
            }
        }
        let known = client.login(0).await.ok_or("nobody can log in")?;
        for _ in 0..2 {
            for slot in 0..self.slots.len() {
                let (cookie, text) = known.newest();
                match client.open(slot, cookie, text, Route::Strict).await {
                    Some(Seen::Live) => {}
                    other => return Err(format!("{:?} says {other:?}", self.slots[slot].now().process)),
                }
            }
        }
        Ok(())
    }

    /// Ends every process.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        (0..self.slots.len()).for_each(|slot| self.kill(slot));
    }
}

impl Slot {
    pub fn now(&self) -> Arc<Running> {
        self.now.lock().unwrap().clone()
    }
}

impl Running {
    fn spawn(setup: &Setup, link: &Link, file: Option<&Path>, book: &Book) -> Self {
        let process = book.begins(file.is_some());
        book.say(format!("{process:?} begins"));
        let setup = Setup { url: node_url(link.port()), ..setup.clone() };
        let variables: Vec<_> = file.map(|path| (FILE, path.to_str().unwrap())).into_iter().collect();
        let node = Node::spawn_with(&setup, &variables);
        Self { node, process, is_stopped: AtomicBool::new(false) }
    }
}
