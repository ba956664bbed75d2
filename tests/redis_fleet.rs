//! Fleets of node processes on one server: how fast a revocation reaches all of them, and who gets a one-time value.
#![cfg(feature = "redis")]

mod fleet;
mod redis_support;

#[cfg(feature = "cli")]
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fleet::wire::Answer;
use fleet::{Ask, Node, Route, Said, Setup, Wait};
use redis_support::{APP, NEW, Server, address};
use sealjar::io::folder::KeyFolder;
use sealjar::io::redis::{Options, RedisStore};
use sealjar::time::Clock;

/// 10,000 in a release build, as CI makes.
const RACES: usize = if cfg!(debug_assertions) { 500 } else { 10_000 };
const CLIENTS: usize = 16;
const ROUNDS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a node of the other tests, in a process of its own"]
async fn node() {
    fleet::node::serve().await;
}

struct Fleet {
    server: Server,
    nodes: Vec<Node>,
    home: tempfile::TempDir,
}

impl Fleet {
    async fn of(number: usize) -> Self {
        let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
        let keys = KeyFolder::new(home.path().join("keys"));
        keys.init(Clock::system().now().seconds()).unwrap();
        let list_key = keys.list_key().unwrap();
        let options = Options { app: APP, list_key: &list_key, clock: Clock::system() };
        RedisStore::make(address(&server.admin_url()), &options, NEW).await.unwrap();
        let bounds = (Duration::from_secs(5), Duration::from_secs(60));
        let setup = Setup { url: server.url(), home: keys.path().to_owned(), bounds };
        let nodes: Vec<_> = (0..number).map(|_| Node::spawn(&setup)).collect();
        for node in &nodes {
            assert!(node.ready().await.is_some(), "a node ended: {}", node.trouble());
        }
        Self { server, nodes, home }
    }

    async fn ask(&self, node: usize, ask: Ask) -> Answer {
        self.nodes[node % self.nodes.len()].ask(ask).await.answer()
    }

    /// The program `sealjar`, as an operator of this fleet.
    #[cfg(feature = "cli")]
    async fn sealjar(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command.env("SEALJAR_HOME", self.home.path()).env("REDIS_URL", self.server.admin_url()).env("SEALJAR_APP", APP);
        command.args(arguments).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Cookie and handle of a new session.
    async fn log_in(&self, node: usize, subject: usize) -> (String, String) {
        let answer = self.ask(node, Ask::Login { subject: subject.to_string(), cookie: None }).await;
        let Said::Done { cookie: Some(cookie), handle: Some(handle), .. } = answer.said else {
            panic!("nobody could log in: {answer:?}");
        };
        (cookie, handle)
    }

    async fn offer(&self, node: usize, cookie: &str) -> String {
        let answer = self.ask(node, Ask::Offer { cookie: cookie.to_owned() }).await;
        let Said::Done { cookie: Some(offered), .. } = answer.said else { panic!("nothing was offered: {answer:?}") };
        offered
    }

    /// All clients at once, through all nodes; how many got the value.
    async fn race(&self, offered: &str) -> usize {
        let takes = (0..CLIENTS).map(|client| self.ask(client, Ask::Take { cookie: offered.to_owned() }));
        let answers = join_all(takes).await;
        let is_first = |answer: &&Answer| matches!(&answer.said, Said::Taken { code, .. } if code == "first");
        answers.iter().filter(is_first).count()
    }
}

/// Every one of them at once.
async fn join_all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(futures).await
}

fn code(answer: &Answer) -> &str {
    match &answer.said {
        Said::Verdict { code, .. } => code,
        other => panic!("no verdict: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_reaches_eight_processes_in_milliseconds() {
    let fleet = Fleet::of(8).await;
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let (cookie, handle) = fleet.log_in(round, round).await;
        let stays = join_all((0..8).map(|node| fleet.ask(node, Ask::Stay { cookie: cookie.clone() })));
        let revocation = async {
            // Behind the other questions, so all of them are open.
            for node in 0..8 {
                fleet.ask(node, Ask::Freshness).await;
            }
            fleet.ask(round, Ask::RevokeSession { handle, wait: Wait::No }).await
        };
        let (ended, revoked) = tokio::join!(stays, revocation);
        assert!(matches!(&revoked.said, Said::Done { durability, .. } if durability == "committed"), "{revoked:?}");
        assert!(ended.iter().all(|answer| code(answer) == "revoked_session"), "{ended:?}");
        for node in 0..8 {
            let open = fleet.ask(node, Ask::Open { cookie: cookie.clone(), route: Route::Default }).await;
            assert_eq!(code(&open), "revoked_session");
        }
        let last = ended.iter().map(|answer| answer.ended).max().unwrap();
        took.push(Duration::from_micros(last.saturating_sub(revoked.ended)));
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "from revoked to refused on every one of 8 processes, {ROUNDS} times: median {median:?}, maximum {worst:?}"
    );
    assert!(median < Duration::from_millis(200), "the feed is at work, not the beat of a second: {median:?}");
    assert!(worst < Duration::from_secs(5), "S");
}

#[cfg(feature = "cli")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_shows_each_node_as_it_confirms_and_names_the_one_that_does_not() {
    let fleet = Fleet::of(3).await;
    let names: Vec<_> = fleet.nodes.iter().map(Node::name).collect();
    let (cookie, handle) = fleet.log_in(0, 7).await;
    let list = async || {
        serde_json::from_slice::<serde_json::Value>(&fleet.sealjar(&["--json", "revocations", "list"]).await.stdout)
    };
    let revoke = ["revoke", "session", &*handle, "--wait", "in_force"];

    let dry = fleet.sealjar(&[&revoke[..], &["--dry-run"]].concat()).await;
    assert!(dry.status.success() && String::from_utf8_lossy(&dry.stdout).contains("Nothing was changed"), "{dry:?}");
    assert_eq!(list().await.unwrap()["total"], 0);

    let done = fleet.sealjar(&revoke).await;
    let (said, shown) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("In force on 3 of 3 nodes after"), "{done:?}");
    for name in &names {
        let line = shown.lines().find(|line| line.ends_with(&**name)).unwrap_or_else(|| panic!("{name}: {shown}"));
        let millis: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(millis < 90_000.0 && line.contains(" ms  "), "{line}");
    }
    for node in 0..3 {
        let open = fleet.ask(node, Ask::Open { cookie: cookie.clone(), route: Route::Default }).await;
        assert_eq!(code(&open), "revoked_session");
    }

    fleet.nodes[1].stop();
    let missed = fleet.sealjar(&["--json", "revoke", "subject", "7", "--wait", "in_force", "--patience", "2"]).await;
    fleet.nodes[1].go_on();
    let said: serde_json::Value = serde_json::from_slice(&missed.stdout).unwrap();
    assert_eq!((missed.status.code(), &said["durability"]), (Some(5), &"committed".into()), "{missed:?}");
    assert_eq!(said["nodes"]["outstanding"], serde_json::json!([names[1]]), "{said}");
    let replicated =
        fleet.sealjar(&["--json", "revoke", "subject", "7", "--wait", "replicated", "--patience", "1"]).await;
    assert_eq!(replicated.status.code(), Some(5), "there is no replica: {replicated:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_clients_one_gets_the_value_and_none_after_a_loss() {
    let fleet = Fleet::of(4).await;
    let (cookie, _) = fleet.log_in(0, 7).await;
    for round in 0..RACES {
        let offered = fleet.offer(round, &cookie).await;
        assert_eq!(fleet.race(&offered).await, 1, "breach: round {round}");
    }
    println!("{CLIENTS} clients for one value through 4 processes, {RACES} times: one got it each time");
    let mut minted = Vec::new();
    for node in 0..50 {
        minted.push(fleet.offer(node, &cookie).await);
    }
    let (before, after) = minted.split_at(25);
    for offered in before {
        assert_eq!(fleet.race(offered).await, 1);
    }
    // Nobody can know any more which of them were spent.
    fleet.server.command(&["FLUSHALL"]).await;
    for offered in before.iter().chain(after) {
        assert_eq!(fleet.race(offered).await, 0, "breach: it was minted before the loss");
    }
    for node in 0..4 {
        // A process offers in the life that it knows, until its next beat.
        let began = std::time::Instant::now();
        loop {
            let offered = fleet.offer(node, &cookie).await;
            let winners = fleet.race(&offered).await;
            assert!(winners <= 1, "breach: {winners} got it");
            if winners == 1 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "nothing that is minted since can be taken");
        }
    }
}
