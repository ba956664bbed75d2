//! Faults by the thousand, on real servers and real processes: nothing that was revoked comes back, nobody who
//! was not is logged out, nothing hangs. `bash tests/faults.sh` says how to run more of them, and one again.
#![cfg(feature = "redis")]

mod book;
mod client;
mod failover;
#[path = "../fleet/mod.rs"]
mod fleet;
#[path = "../history/mod.rs"]
mod history;
mod menu;
#[path = "../redis_support/mod.rs"]
mod redis_support;
mod world;

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use client::Client;
use history::{Breach, Call, Deed, History, Seen, What, check};
use menu::OldFile;
use world::{Plan, World};

/// How many faults in all, unless `SEALJAR_FAULTS` says so: about as many as fit into 90 seconds.
const SAMPLE: usize = 40;
/// Faults of each kind between two audits, and audits in one world.
const ROUND: usize = 3;
const ROUNDS: usize = 4;
const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a node of the other test, in a process of its own"]
async fn node() {
    fleet::node::serve().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_breaks_a_promise() {
    let number = |name: &str| {
        env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number")))
    };
    let total = number("SEALJAR_FAULTS").map_or(SAMPLE, |number| usize::try_from(number).unwrap());
    let worlds = number("SEALJAR_WORLDS").unwrap_or(6);
    let first = number("SEALJAR_SEED");
    let seeds = Arc::new(AtomicU64::new(first.unwrap_or_else(|| u64::from(std::process::id()) << 16)));
    let (done, tally) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Tally::default())));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..worlds {
        let (seeds, done, tally) = (seeds.clone(), done.clone(), tally.clone());
        tasks.push(tokio::spawn(async move {
            while done.load(Ordering::SeqCst) < total {
                let seed = seeds.fetch_add(1, Ordering::SeqCst);
                let one = live_through(seed, &done, total).await;
                tally.lock().unwrap().add(&one);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let tally = tally.lock().unwrap();
    println!("{} faults in {:.0?}: {tally:?}", done.load(Ordering::SeqCst), began.elapsed());
    assert!(tally.breaches == 0, "{} breaches; each is told above with its seed", tally.breaches);
    assert!(tally.accepted > 0 && tally.refused > 0 && tally.revoked > 0, "the clients were at work: {tally:?}");
}

#[derive(Debug, Default)]
struct Tally {
    worlds: usize,
    calls: usize,
    revoked: usize,
    accepted: usize,
    refused: usize,
    unavailable: usize,
    longest_call_ms: u64,
    breaches: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.calls += other.calls;
        self.revoked += other.revoked;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.longest_call_ms = self.longest_call_ms.max(other.longest_call_ms);
        self.breaches += other.breaches;
    }
}

/// One world from its seed to its judgement.
async fn live_through(seed: u64, done: &AtomicUsize, total: usize) -> Tally {
    let world = World::start(Plan::of(seed)).await;
    println!("seed {seed}: {:?}", world.plan);
    let mut random = StdRng::seed_from_u64(seed ^ 0x5ea1);
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(Client::new(world.clone(), random.random()).run())).collect();
    world.audit(&mut random).await;
    let mut old = OldFile::of(&world);
    for _ in 0..ROUNDS {
        let (mut one, mut other) = (StdRng::seed_from_u64(random.random()), StdRng::seed_from_u64(random.random()));
        let servers = async {
            for _ in 0..ROUND {
                pause(&mut one).await;
                menu::server_fault(&world, &mut one, &mut old).await;
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        let nodes = async {
            for _ in 0..ROUND {
                pause(&mut other).await;
                menu::node_fault(&world, &mut other).await;
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        tokio::join!(servers, nodes);
        world.audit(&mut random).await;
        if done.load(Ordering::SeqCst) >= total {
            break;
        }
    }
    world.end();
    for client in clients {
        client.await.unwrap();
    }
    judge(&world)
}

async fn pause(random: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..2_500))).await;
}

/// What else was done to the session shortly before.
fn calls_about<'a>(breach: &Breach, history: &'a History) -> impl Iterator<Item = &'a Call> + use<'a> {
    let (cookie, until) = match breach {
        Breach::Bound { cookie, accepted, .. }
        | Breach::Forgotten { cookie, accepted, .. }
        | Breach::NotGivenBack { cookie, accepted, .. }
        | Breach::FalseLogout { cookie, refused: accepted, .. } => (Some(*cookie), accepted.ended),
        _ => (None, 0),
    };
    let login = |call: &&Call| matches!(call.deed, Deed::Login { session, .. } if Some(session) == cookie.map(|cookie| cookie.session));
    let subject = history.calls.iter().find(login).map(|call| call.deed.clone());
    let about = move |call: &&Call| match (&call.deed, cookie) {
        (Deed::Open { cookie: other, .. }, Some(cookie)) => *other == cookie,
        (Deed::Revoke { what: What::Session(other) | What::Floor(other, _), .. }, Some(cookie)) => {
            *other == cookie.session
        }
        (Deed::Revoke { what: What::Subject(other), .. }, _) => {
            matches!(subject, Some(Deed::Login { subject, .. }) if subject == *other)
        }
        (Deed::Login { session, .. }, Some(cookie)) => *session == cookie.session,
        (Deed::Revoke { what: What::Everybody, .. }, _) => true,
        _ => false,
    };
    let recent = move |call: &&Call| {
        call.span.began <= until && !matches!(call.deed, Deed::Open { .. } if call.span.ended + 3_000_000 < until)
    };
    history.calls.iter().filter(about).filter(recent)
}

fn judge(world: &World) -> Tally {
    let history = world.book.history();
    let breaches = check(&history);
    let count = |is: fn(&Deed) -> bool| history.calls.iter().filter(|call| is(&call.deed)).count();
    if !breaches.is_empty() {
        let mut kinds = BTreeMap::<_, usize>::new();
        for breach in &breaches {
            *kinds.entry(breach.to_string().split(':').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        println!("\nseed {}: {kinds:?}", world.plan.seed);
        for breach in breaches.iter().take(5) {
            println!("  {breach}");
            calls_about(breach, &history).for_each(|call| println!("    {call:?}"));
        }
        println!("what was done (boot time):\n  {}\n", world.book.story().join("\n  "));
        println!("again: bash tests/faults.sh seed {}\n", world.plan.seed);
    }
    Tally {
        worlds: 1,
        calls: history.calls.len(),
        revoked: count(|deed| matches!(deed, Deed::Revoke { .. })),
        accepted: count(|deed| matches!(deed, Deed::Open { seen: Seen::Live, .. })),
        refused: count(|deed| matches!(deed, Deed::Open { seen: Seen::Refused(_), .. })),
        unavailable: count(|deed| matches!(deed, Deed::Open { seen: Seen::Unavailable, .. })),
        longest_call_ms: history.calls.iter().map(|call| call.longest / 1000).max().unwrap_or(0),
        breaches: breaches.len(),
    }
}
