//! A failover on a real network: servers and nodes in network namespaces of their own, a link that goes down and
//! swallows what is under way, an address that moves from the old primary to the new one.
//!
//! ```text
//!   nodes ──┬── bridge ──┬── old primary ─┐
//!           │            │                link between the two, which is cut
//!           │            └── replica ─────┘
//!           one knows the old primary by its own address, the others by one that moves
//! ```
//!
//! That wants Linux and root; where it cannot be had, this says so and shows nothing.
#![cfg(all(feature = "redis", target_os = "linux"))]

mod fleet;
mod redis_support;

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleet::wire::Answer;
use fleet::{Ask, Node, Route, Said, Setup, Wait};
use redis_support::{APP, NEW, PASSWORD, address, program};
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Options, RedisStore};
use sealjar::time::Clock;

/// The name that all namespaces of one run begin with.
const NAME: &str = "SEALJAR_TEST_NETNS";
const BOUND: Duration = Duration::from_secs(2);
const MAX_LAG: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a node of the other test, in a process of its own"]
async fn node() {
    fleet::node::serve().await;
}

#[test]
fn a_replica_is_promoted_on_a_network_that_was_cut() {
    let name = format!("sealjar-{}", std::process::id());
    let Some(_network) = Network::new(&name) else {
        println!("NOT SHOWN: network namespaces cannot be had here (`ip netns add`, as root)");
        return;
    };
    let inside = Command::new("ip")
        .args(["netns", "exec", &format!("{name}-n")])
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside", "--nocapture"])
        .env(NAME, &name)
        .status();
    assert!(inside.unwrap().success(), "what happened is told above");
}

/// Three namespaces, a bridge in that of the nodes, and a link between the servers.
struct Network(String);

impl Network {
    fn new(name: &str) -> Option<Self> {
        let ip = |words: &str| {
            let words = words.replace('@', &format!("{name}-"));
            let done = Command::new("ip").args(words.split(' ')).stderr(Stdio::null()).status();
            done.is_ok_and(|status| status.success())
        };
        if !ip("netns add @n") {
            return None;
        }
        let network = Self(name.to_owned());
        let steps = [
            "netns add @a",
            "netns add @b",
            "-n @n link set lo up",
            "-n @a link set lo up",
            "-n @b link set lo up",
            "-n @n link add hub type bridge",
            "-n @n addr add 10.231.77.1/24 dev hub",
            "-n @n link set hub up",
            "-n @n link add to-a type veth peer name net netns @a",
            "-n @n link add to-b type veth peer name net netns @b",
            "-n @n link set to-a master hub up",
            "-n @n link set to-b master hub up",
            "-n @a addr add 10.231.77.2/24 dev net",
            "-n @a addr add 10.231.77.10/24 dev net",
            "-n @b addr add 10.231.77.3/24 dev net",
            "-n @a link set net up",
            "-n @b link set net up",
            "-n @a link add pair type veth peer name pair netns @b",
            "-n @a addr add 10.231.78.2/24 dev pair",
            "-n @b addr add 10.231.78.3/24 dev pair",
            "-n @a link set pair up",
            "-n @b link set pair up",
        ];
        steps.iter().all(|step| ip(step)).then_some(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for end in ["n", "a", "b"] {
            let _ = Command::new("ip").args(["netns", "del", &format!("{}-{end}", self.0)]).status();
        }
    }
}

fn ip(words: &str) {
    let name = env::var(NAME).unwrap();
    let words = words.replace('@', &format!("{name}-"));
    assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
}

/// A server in a namespace; it ends with this value.
struct Server {
    child: Child,
    host: &'static str,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(end: &str, host: &'static str, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{end}", env::var(NAME).unwrap())]).arg(program());
        command.args(["--port", "6379", "--bind", "0.0.0.0", "--save", "", "--appendonly", "yes"]);
        command.args(["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(folder.path()).args(settings);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, host, _folder: folder }
    }

    async fn command(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(format!("redis://:{PASSWORD}@{}:6379", self.host))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut connection).await
    }

    async fn until(&self, what: &str, words: &[&str], holds: impl Fn(&redis::RedisResult<redis::Value>) -> bool) {
        let began = Instant::now();
        loop {
            let answer = self.command(words).await;
            if holds(&answer) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "not {what}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(host: &str) -> String {
    format!("redis://:{PASSWORD}@{host}:6379?tls=off")
}

async fn ask(node: &Node, ask: Ask) -> Answer {
    node.ask(ask).await.answer()
}

async fn open(node: &Node, cookie: &str) -> (String, Answer) {
    let answer = ask(node, Ask::Open { cookie: cookie.to_owned(), route: Route::Default }).await;
    let Said::Verdict { code, .. } = &answer.said else { panic!("{answer:?}") };
    (code.clone(), answer)
}

async fn until(what: &str, node: &Node, cookie: &str, code: &str) {
    let began = Instant::now();
    while open(node, cookie).await.0 != code {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn log_in(node: &Node, subject: &str) -> (String, String) {
    let answer = ask(node, Ask::Login { subject: subject.to_owned(), cookie: None }).await;
    let Said::Done { cookie: Some(cookie), handle: Some(handle), .. } = answer.said else { panic!("{answer:?}") };
    (cookie, handle)
}

async fn revoke(node: &Node, handle: &str) -> Answer {
    let answer = ask(node, Ask::RevokeSession { handle: handle.to_owned(), wait: Wait::No }).await;
    assert!(matches!(&answer.said, Said::Done { durability, .. } if durability == "committed"), "{answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the inside of the other test"]
async fn inside() {
    if env::var(NAME).is_err() {
        return;
    }
    let lag = MAX_LAG.to_string();
    let settings = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", &lag];
    let old = Server::start("a", "10.231.77.2", &settings);
    let new = Server::start("b", "10.231.77.3", &[]);
    old.until("up", &["PING"], Result::is_ok).await;
    new.until("up", &["REPLICAOF", "10.231.78.2", "6379"], Result::is_ok).await;
    old.until("replicated", &["SET", "x", "1"], Result::is_ok).await;
    let home = tempfile::tempdir().unwrap();
    let keys = KeyFolder::new(home.path().join("keys"));
    keys.init(Clock::system().now().seconds()).unwrap();
    let list_key = keys.list_key().unwrap();
    let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
    RedisStore::make(address(&url("10.231.77.10")), &options, NEW).await.unwrap();

    let bounds = (BOUND, Duration::from_secs(60));
    let node = |host| Node::spawn(&Setup { url: url(host), home: keys.path().to_owned(), bounds });
    let (stays, one, two) = (node("10.231.77.2"), node("10.231.77.10"), node("10.231.77.10"));
    for node in [&stays, &one, &two] {
        assert!(node.ready().await.is_some(), "{}", node.trouble());
    }
    let ((first, first_handle), (second, second_handle)) = (log_in(&one, "1").await, log_in(&one, "2").await);
    let (third, _) = log_in(&one, "3").await;
    old.until("replicated", &["WAIT", "1", "100"], |answer| matches!(answer, Ok(redis::Value::Int(1)))).await;

    // Nothing is told to anybody: what is sent over the link is gone.
    ip("-n @a link set pair down");
    revoke(&one, &first_handle).await;
    new.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    ip("-n @a addr del 10.231.77.10/24 dev net");
    ip("-n @b addr add 10.231.77.10/24 dev net");
    ip("-n @n neigh flush dev hub");

    // The new primary never had it. Whoever published it gives it back.
    until("the address has moved", &two, &third, "live").await;
    until("the lost revocation is given back", &two, &first, "revoked_session").await;
    assert_eq!(open(&one, &first).await.0, "revoked_session");

    // And what is revoked at the new one: the old one goes on answering whoever knows it by its own address.
    let revoked = revoke(&two, &second_handle).await;
    // The server counts whole seconds, once a second.
    let late = BOUND + Duration::from_secs(MAX_LAG + 2);
    let mut last_accepted = None;
    loop {
        let (code, answer) = open(&stays, &second).await;
        let after = Duration::from_micros(answer.began.saturating_sub(revoked.ended));
        match &*code {
            "live" => last_accepted = Some(after),
            code => assert_eq!(code, "list_unavailable"),
        }
        assert!(code != "live" || after <= late, "promise B: accepted {after:?} after it was revoked");
        if after > late + BOUND {
            break;
        }
    }
    println!("the node at the deposed primary accepted it for {last_accepted:?}, of {late:?} that are allowed");
    assert_eq!(open(&stays, &third).await.0, "list_unavailable", "503, and nobody is logged out");
    assert_eq!(open(&one, &third).await.0, "live");
}
