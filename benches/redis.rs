//! What the list costs in Redis, and how fast a new process has it, through the real store and a real server.
//!
//! ```text
//! bash tests/redis_support/servers.sh      # once
//! cargo bench --bench redis
//! ```
//!
//! `SEALJAR_TEST_SERVER` names another server program.

#[path = "../tests/redis_support/mod.rs"]
mod redis_support;
#[path = "support/session.rs"]
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sealjar::id::ShortId;
use sealjar::io::follow::Follow;
use sealjar::payload;
use sealjar::revocation::{Replica, Report, Revocation, RevocationStore};
use sealjar::time::{Clock, Day, days, minutes};
use sealjar::wire::Suite;
use tokio::runtime::Runtime;

use redis_support::{NEW, Server, program};
use session::Visitor;

/// Revocations that come together: a busy second.
const TOGETHER: u64 = 200;
/// Until the sessions would have expired.
const DAYS: u32 = 31;

fn main() {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (counts, times) = if measures { ([100_000, 1_000_000], 21) } else { ([1_000, 2_000], 3) };
    // One thread, so that everything that is allocated is counted.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("{}", program().display());
    for count in counts {
        println!("\n{count} over {DAYS} days");
        let server = server();
        row("bytes of Redis for each revoked session", runtime.block_on(revoke(&server, count, DAYS)));
        row("  a key for each revoked token instead", runtime.block_on(keys(count, "revoked:", b"1")));
        row("  each session on the server, revoked or not", runtime.block_on(keys(count, "session:", &bytes())));
        load(&runtime, &server, count, times);
    }
    println!("\n{} on one day", counts[1]);
    let server = server();
    row("bytes of Redis for each revoked session", runtime.block_on(revoke(&server, counts[1], 1)));
    load(&runtime, &server, counts[1], times);
}

/// Writes down what it is told, as the list wants it.
fn server() -> Server {
    Server::with(&["--appendonly", "yes", "--appendfsync", "everysec"])
}

fn row(name: &str, figure: f64) {
    println!("{name:<52} {figure:>8.1}");
}

/// The session of all figures, as a session store would keep it.
fn bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    payload::encode(Suite::Encrypted, &Visitor::typical(), &mut bytes).expect("MessagePack");
    bytes
}

/// Revokes so many, and answers what that took of Redis for each.
async fn revoke(server: &Server, count: u64, days: u32) -> f64 {
    server.init(NEW).await.expect("a new list");
    let store = server.open().await.expect("the list");
    let today = Clock::system().now().seconds().day();
    let before = used(server).await;
    for from in (0..count).step_by(usize::try_from(TOGETHER).expect("a small number")) {
        let revocation = |n: u64| Revocation::Session {
            id: ShortId(mixed(n)),
            day: Day(today.0 + u32::try_from(mixed(n ^ 1) % u64::from(days)).expect("a small number")),
        };
        let revocations: Vec<_> = (from..count.min(from + TOGETHER)).map(revocation).collect();
        store.publish(&revocations).await.expect("a publication");
    }
    each(before, used(server).await, count)
}

/// The same number of keys on a server of their own.
async fn keys(count: u64, prefix: &str, value: &[u8]) -> f64 {
    let server = Server::with(&["--appendonly", "no"]);
    let client = redis::Client::open(server.url()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let before = used(&server).await;
    let end = Clock::system().now().seconds().after(days(u64::from(DAYS)));
    for from in (0..count).step_by(1000) {
        let mut pipe = redis::pipe();
        for n in from..count.min(from + 1000) {
            // Named as most name them: 128 random bits in hexadecimal.
            let key = format!("{prefix}{:016x}{:016x}", mixed(n), mixed(!n));
            pipe.cmd("SET").arg(key).arg(value).arg("EXAT").arg(end.0).ignore();
        }
        pipe.exec_async(&mut connection).await.expect("keys");
    }
    each(before, used(&server).await, count)
}

/// A new process connects, checks the server, reads the list, and may answer requests. Then its connections are
/// cut, so that it reads everything again.
fn load(runtime: &Runtime, server: &Server, count: u64, times: usize) {
    let (mut loads, mut again, mut peak, mut rest, mut peak_again) = (Vec::new(), Vec::new(), 0, 0, 0);
    for _ in 0..times {
        let (replica, mut follow) = (Arc::new(Replica::default()), None);
        let start = Instant::now();
        let used = allocation_counter::measure(|| {
            runtime.block_on(async {
                let store = Arc::new(server.open().await.expect("the list"));
                let report = || Report::new("bench".into(), Some(minutes(1)));
                let following = Follow::start(store, replica.clone(), Clock::system(), vec![], report, |_, _| {});
                let follow = follow.insert(following);
                follow.beat(false).await.expect("a beat");
            });
        });
        loads.push(start.elapsed());
        assert_eq!(replica.view().list.len() as u64, count);
        (peak, rest) = (used.bytes_max, used.bytes_current.unsigned_abs());
        runtime.block_on(server.command(&["CLIENT", "KILL", "TYPE", "normal"]));
        let start = Instant::now();
        let used = allocation_counter::measure(|| {
            runtime.block_on(async { follow.as_ref().expect("it follows").beat(false).await.expect("a beat") });
        });
        again.push(start.elapsed());
        peak_again = rest + used.bytes_max;
        drop((follow, replica));
        // The task that followed ends here, and not within the next measurement.
        runtime.block_on(async { tokio::task::yield_now().await });
    }
    let millis = |mut spans: Vec<Duration>| {
        spans.sort();
        spans[spans.len() / 2].as_secs_f64() * 1000.0
    };
    row("ms until a new process has them", millis(loads));
    row("ms until it has read them again", millis(again));
    row("MB of the process for them", megabytes(rest));
    row("  at most, while it read them", megabytes(peak));
    row("  at most, while it read them again", megabytes(peak_again));
}

async fn used(server: &Server) -> u64 {
    let redis::Value::BulkString(info) = server.command(&["INFO", "memory"]).await else { panic!("no answer") };
    let info = String::from_utf8(info).expect("text");
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("the line");
    line.trim().parse().expect("a number")
}

#[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn each(before: u64, after: u64, count: u64) -> f64 {
    after.saturating_sub(before) as f64 / count as f64
}

fn megabytes(bytes: u64) -> f64 {
    each(0, bytes, 1_000_000)
}

/// As random as real ids (a step of `SplitMix64`), and the same in every run.
fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
