//! `kill -9` at any moment: nothing acknowledged is lost, and nothing is left half done.
#![cfg(all(feature = "sqlite", unix))]

mod sqlite_support;

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sealjar::io::sqlite::SqliteStore;
use sealjar::revocation::{Once, OnceValue, RevocationStore};
use sealjar::time::{Clock, minutes};
use sqlite_support::{NOW, Place, beat, ids, options, read, session};

const FILE: &str = "SEALJAR_TEST_FILE";
const FIRST: &str = "SEALJAR_TEST_FIRST";

/// The process that is killed: two sessions and one one-time value in each round, told when they are on disk.
#[tokio::test]
#[ignore = "run by the other tests of this file, in a process of its own"]
async fn child() {
    let (Ok(file), Ok(first)) = (env::var(FILE), env::var(FIRST)) else { return };
    tell("starting");
    let clock = Clock::manual(sealjar::time::ManualClock::at(NOW));
    let store = SqliteStore::open(Path::new(&file), &options(clock)).unwrap();
    let mut follower = store.follower();
    let first: u64 = first.parse().unwrap();
    for id in (first..).step_by(2) {
        store.publish(&[session(id), session(id + 1)]).await.unwrap();
        tell(&format!("acknowledged {id}"));
        let incarnation = follower.beat(id % 4 == 0).await.unwrap().incarnation;
        let value = OnceValue { hash: hash(id), incarnation, expires: NOW.after(minutes(10)) };
        assert_eq!(store.take_once(value).await.unwrap(), Once::First);
        tell(&format!("spent {id}"));
    }
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // The test program prints its own words without ending the line.
    write!(out, "\n{line}\n").and_then(|()| out.flush()).unwrap();
}

fn hash(id: u64) -> [u8; 16] {
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&id.to_be_bytes());
    hash
}

fn spawn(file: &Path, first: u64) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(FILE, file)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

/// Small and repeatable; the seed is printed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
        let seed = u64::from(seed) << 1 | 1;
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A moment that no event marks, so it is waited for by the clock.
    fn moment(&mut self, below: Duration) {
        let until = Instant::now() + Duration::from_nanos(self.below(u64::from(below.subsec_nanos())));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
}

#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<u64>,
    spent: BTreeSet<u64>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        if let Some(id) = line.strip_prefix("acknowledged ") {
            self.acknowledged.insert(id.parse().unwrap());
        } else if let Some(id) = line.strip_prefix("spent ") {
            self.spent.insert(id.parse().unwrap());
        }
    }

    fn merge(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.spent.extend(other.spent);
    }
}

/// Kills a writer after a few acknowledgements and a random moment more, and collects all that it told.
fn kill(file: &Path, first: u64, mut chance: Chance) -> Told {
    let (mut child, mut lines) = spawn(file, first);
    let mut told = Told::default();
    let enough = chance.below(12);
    while (told.acknowledged.len() as u64) < enough {
        told.hear(&lines.next().expect("the writer ended by itself"));
    }
    chance.moment(Duration::from_millis(4));
    child.kill().unwrap();
    lines.for_each(|line| told.hear(&line));
    assert!(!child.wait().unwrap().success());
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_36_kills_of_three_writers_at_once() {
    let place = Place::new();
    let mut chance = Chance::new();
    let mut told = Told::default();
    let incarnation = beat(&mut place.open().follower()).await.incarnation;
    for round in 0..12 {
        // In every other round somebody else holds the file open, so that its log is not recovered anew.
        let witness = (round % 2 == 0).then(|| place.open());
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (file, first) = (place.path(), (round * 3 + writer) << 32);
                let chance = Chance(chance.below(u64::MAX) | 1);
                std::thread::spawn(move || kill(&file, first, chance))
            })
            .collect();
        writers.into_iter().for_each(|writer| told.merge(writer.join().unwrap()));
        drop(witness);

        let store = place.open();
        let found = beat(&mut store.follower()).await;
        assert_eq!(found.incarnation, incarnation, "a killed writer is no loss");
        let found = ids(&found.records.to_vec());
        for id in &told.acknowledged {
            assert!(found.contains(id) && found.contains(&(id + 1)), "{id:#x} was acknowledged and is gone");
        }
        for id in &found {
            assert!(found.contains(&(id ^ 1)), "{id:#x} is there without its other half");
        }
        for id in &told.spent {
            let value = OnceValue { hash: hash(*id), incarnation, expires: NOW.after(minutes(10)) };
            assert_eq!(store.take_once(value).await.unwrap(), Once::Spent, "{id:#x}");
        }
        told.spent.clear();
    }
    assert!(told.acknowledged.len() > 30, "the writers got to work: {}", told.acknowledged.len());
    let verdict: String = place.raw().query_one("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_file_is_made_whole_or_not_at_all() {
    let mut chance = Chance::new();
    let (mut made, mut not_made) = (0, 0);
    for _ in 0..30 {
        let place = Place::new();
        let (mut child, mut lines) = spawn(&place.path(), 0);
        lines.by_ref().find(|line| line == "starting").unwrap();
        chance.moment(Duration::from_millis(12));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut told = Told::default();
        lines.for_each(|line| told.hear(&line));
        if place.path().exists() {
            made += 1;
        } else {
            not_made += 1;
        }
        assert!(told.acknowledged.is_subset(&read(&place).await));
        assert!(!place.beside("-new").exists(), "an unfinished one is cleared away");
    }
    println!("made {made}, not made {not_made}");
}
