//! What a long revocation list costs: time for each session that is checked against it, memory for itself.
//!
//! ```text
//! cargo bench --bench list
//! ```

#[path = "support/harness.rs"]
mod harness;

use std::hint::black_box;

use sealjar::claims::{Claims, Tags};
use sealjar::id::{SessionId, Tag};
use sealjar::revocation::{Denial, Record, Replica};
use sealjar::time::{Position, Seconds};

use harness::Table;

/// All sessions and all revocations fall on one day, the worst case for its set.
const EXPIRES: Seconds = Seconds(1_795_490_400);

fn main() {
    let lists = [0, 100_000, 1_000_000].map(list);
    println!("The replica in memory, everything on one day: bytes at rest, and the most while it grew");
    for list in &lists {
        println!(
            "{:>9} revoked sessions {:>10}, {:>10} when they came at once",
            list.count, list.bytes, list.peak_at_once
        );
    }
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (peak, (worst, at)) = one_by_one(if measures { 1_000_000 } else { 10_000 });
    println!("{:>37} {peak:>11} when they came one by one", "");
    println!("{:>37} {worst:>11.1} bytes for each at the worst moment, with {at} of them", "");
    let mut table = Table::default();
    for (name, list, revoked) in [
        ("empty list", &lists[0], false),
        ("100,000 revoked, another session", &lists[1], false),
        ("1,000,000 revoked, another session", &lists[2], false),
        ("1,000,000 revoked, one of them", &lists[2], true),
    ] {
        let (mut nth, claims) = (0, claims());
        let mut check = move || {
            // A different session each time, so that the set is not served from the nearest cache.
            nth = (nth + 1) % 100_000;
            list.replica.view().list.check(session(if revoked { nth } else { nth + u64::MAX / 2 }), &claims)
        };
        assert_eq!(check(), revoked.then_some(Denial::Session), "{name}");
        table.row(name, check);
    }
    table.print("Checking a session with subject and tenant against the list", &["empty list"]);
}

/// A replica with so many revoked sessions, and what it holds.
struct List {
    replica: Replica,
    count: u64,
    bytes: i64,
    peak_at_once: u64,
}

fn list(count: u64) -> List {
    let records: Vec<_> = (0..count).map(record).collect();
    let replica = Replica::default();
    let used = allocation_counter::measure(|| replica.apply(black_box(&records), Position(1)));
    List { replica, count, bytes: used.bytes_current, peak_at_once: used.bytes_max }
}

/// Readers hold the snapshot before while a shard is copied, and now and then a shard doubles. The most bytes
/// on the way to so many; and the most for each that was there, from a tenth of them on, with how many those were.
fn one_by_one(count: u64) -> (u64, (f64, u64)) {
    const STEP: usize = 1000;
    let (replica, mut bytes, mut peak, mut worst) = (Replica::default(), 0, 0, (0.0, 0));
    for from in (0..count).step_by(STEP) {
        let used = allocation_counter::measure(|| {
            (from..from + STEP as u64).for_each(|n| replica.apply(&[record(n)], Position(n)));
        });
        let here = u64::try_from(bytes).unwrap_or(0) + used.bytes_max;
        bytes += used.bytes_current;
        peak = here.max(peak);
        #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let each = here as f64 / from.max(1) as f64;
        if from >= count / 10 && each > worst.0 {
            worst = (each, from);
        }
    }
    (peak, worst)
}

fn record(n: u64) -> Record {
    Record::Session { id: session(n).short(), day: EXPIRES.day() }
}

/// The ids are as random as real ones (a step of `SplitMix64`), and the same in every run.
fn session(n: u64) -> SessionId {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut id = [0; 12];
    id[..8].copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
    SessionId(id)
}

fn claims() -> Claims {
    let [sealed_at, authenticated_at] = [Seconds(EXPIRES.0 - 100); 2];
    let tags = Tags::of(Some(Tag(1)), Some(Tag(2)));
    Claims { born: Position(5), generation: 0, sealed_at, expires: EXPIRES, authenticated_at, tags, schema: 0 }
}
