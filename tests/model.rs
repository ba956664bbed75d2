//! The pure model of revocation, by many random sequences: nothing launders a revoked session, and positions
//! miss no session whatever the clocks do. (That records only ever add denials, in any order, stands beside
//! the list: `src/revocation/list_tests.rs`.)

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sealjar::claims::{Claims, Tags};
use sealjar::id::{Incarnation, SessionId, Tag};
use sealjar::io::folder::KeyFolder;
use sealjar::revocation::{Beat, Heard, Record, Replica, RevocationList};
use sealjar::seal::{self, Content};
use sealjar::time::{Clock, Day, ManualClock, Now, Position, Seconds, hours, minutes};
use sealjar::wire::Suite;
use sealjar::{Request, Sessions, Stamp, Verdict, judge, payload};
use serde::{Deserialize, Serialize};

/// 10^5 in a release build, as CI makes; fewer where each takes a hundred times as long.
const SEQUENCES: u32 = if cfg!(debug_assertions) { 500 } else { 100_000 };
const START: Seconds = Seconds(1_795_447_200);
/// The store's position by then.
const NOW: Position = Position(START.0 as u64 * 1000);
/// Half of the sessions are born after what the nodes have heard of last, by up to so many positions.
const UNHEARD: u64 = 50;

#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    steps: u32,
}

/// Three processes that share their keys and have not heard of any revocation; they seal under two different keys.
struct Nodes {
    _folder: tempfile::TempDir,
    running: Vec<Sessions<Visitor>>,
    /// The store's position by the time that a chain is judged.
    now: Position,
    runtime: tokio::runtime::Runtime,
}

impl Nodes {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = |at| {
            let clock = Clock::manual(ManualClock::at(at));
            Sessions::<Visitor>::builder("shop").home(folder.path()).localhost().clock(clock)
        };
        // Keys and list are made together, so nobody is logged out.
        drop(runtime.block_on(home(Seconds(START.0 - 86_400)).start()).unwrap());
        KeyFolder::new(folder.path().join("keys")).new_key(Seconds(START.0 - 60)).unwrap();
        let node = |window| runtime.block_on(home(START).propagation(window).start()).unwrap();
        let windows = [Duration::from_secs(5), minutes(5), Duration::from_secs(5)];
        let running: Vec<_> = windows.into_iter().map(node).collect();
        let sealing = |node: &Sessions<Visitor>| node.key_ring().sealing().unwrap().id();
        assert_ne!(sealing(&running[0]), sealing(&running[1]), "a chain changes keys");
        let heard = || running.iter().map(|node| node.key_ring().heard());
        // The start of the last one may be news to the first.
        let behind = || heard().any(|position| position == Position(0) || Some(position) != heard().max());
        let began = Instant::now();
        while behind() {
            assert!(began.elapsed() < minutes(1), "{:?}", heard().collect::<Vec<_>>());
            std::thread::sleep(Duration::from_millis(20));
        }
        let heard = running[0].key_ring().heard();
        Self { _folder: folder, running, now: Position(heard.0 + UNHEARD), runtime }
    }

    /// A cookie as some process sealed it a while ago.
    fn seal(&self, id: SessionId, claims: &Claims) -> String {
        let (config, ring) = (self.running[0].config(), self.running[0].key_ring());
        let mut payload = Vec::new();
        payload::encode(Suite::Encrypted, &Visitor::default(), &mut payload).unwrap();
        let content = Content { session: id, claims, extras: &[], payload: &payload };
        let value = seal::seal(Suite::Encrypted, content, ring.sealing().unwrap(), config.binding()).unwrap();
        format!("{}={value}", config.cookie().name())
    }

    /// What a node sets in its place; the same if it sets none.
    fn pass_through(&self, node: usize, cookie: String, changes: bool) -> String {
        let opened = self.running[node].begin([cookie.as_bytes()], Request::default());
        let mut session = self.runtime.block_on(opened);
        assert_eq!(session.verdict(), Verdict::Live);
        if changes {
            session.update(|visitor| visitor.steps += 1);
        }
        match session.commit().unwrap() {
            Stamp::SetCookie(lines) => lines[0].split(';').next().unwrap().to_owned(),
            _ => cookie,
        }
    }

    /// What becomes of a birth: under another key, none is later than what the node had heard of.
    fn birth_after(&self, chain: &[(usize, bool)], born: Position) -> Position {
        let (mut born, mut key) = (born, self.running[0].key_ring().sealing().unwrap().id());
        for (node, _) in chain {
            let ring = self.running[*node].key_ring();
            let next = ring.sealing().unwrap().id();
            if next != key {
                (born, key) = (born.min(ring.heard()), next);
            }
        }
        born
    }

    /// What a process says of it that has heard of everything.
    fn judge(&self, cookie: &str, records: &[Record]) -> (Option<(SessionId, Claims)>, Verdict) {
        let replica = Replica::default();
        let now = Now { millis: u64::from(START.0) * 1000, boot: Duration::ZERO };
        let (position, incarnation) = (self.now, Incarnation(1));
        let records = records.to_vec();
        let mut beat = Beat {
            incarnation,
            position,
            clock: self.now,
            records: records.into(),
            whole: true,
            healed: true,
            heard: Heard::Yes,
        };
        assert!(replica.absorb(&mut beat, now).is_empty());
        replica.confirm(&beat, now);
        let (config, ring) = (self.running[0].config(), self.running[0].key_ring());
        let Ok(authentic) = judge::authenticate([cookie.as_bytes()], config, &ring, now) else {
            panic!("the chain made no cookie that opens");
        };
        match judge::judge(authentic, &replica.view(), now) {
            Ok(opened) => (Some((opened.session, opened.claims)), Verdict::Live),
            Err(refusal) => (refusal.opened.first().map(|opened| (opened.session, opened.claims)), refusal.verdict),
        }
    }
}

/// A session that is some minutes old: who, and with which tags.
fn any_session(now: Position) -> impl Strategy<Value = (SessionId, Claims)> {
    let tag = || proptest::option::of((0..4_u64).prop_map(Tag));
    let labels = proptest::collection::vec((0..4_u64).prop_map(Tag), 0..4);
    let numbers = (any::<[u8; 12]>(), 0..100_u64, 0..4_u32, 0..300_u32);
    (numbers, tag(), tag(), labels).prop_map(move |((id, before, generation, age), subject, tenant, labels)| {
        let sealed_at = Seconds(START.0 - age);
        let mut tags = Tags::of(subject, tenant);
        labels.into_iter().for_each(|label| assert!(tags.add_label(label)));
        let (born, expires) = (Position(now.0 - before), sealed_at.after(hours(12)));
        let claims = Claims { born, generation, sealed_at, expires, authenticated_at: sealed_at, tags, schema: 0 };
        (SessionId(id), claims)
    })
}

/// Records of which many mean that session.
fn any_records() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
    proptest::collection::vec((0..4_u8, 0..5_u64, 0..100_u64), 0..4)
}

fn record((kind, number, before): (u8, u64, u64), id: SessionId, claims: &Claims, now: Position) -> Record {
    let (day, position) = (claims.expires.day(), Position(now.0 - before));
    match kind {
        0 if number == 0 => Record::Session { id: id.short(), day },
        0 => Record::Session { id: SessionId([9; 12]).short(), day },
        1 => Record::Floor { id: id.short(), floor: u32::try_from(number).unwrap(), day },
        2 => Record::CutOff { tag: Tag(number), position, day },
        _ => Record::Everybody { position: Position(position.0 - 80) },
    }
}

/// Re-sealing copies id, birth, generation and tags, so what is denied before is denied after, and for the
/// same reason: whichever processes seal it, under whichever keys, having heard of nothing. Only under another key a
/// birth that a node cannot know of is lowered: that may deny more, and never less.
#[test]
fn no_chain_of_nodes_launders_a_session() {
    let nodes = Nodes::start();
    let (denied, live, lowered) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(SEQUENCES)
    });
    let chain = proptest::collection::vec((0..3_usize, any::<bool>()), 1..4);
    let outcome = runner.run(&(any_session(nodes.now), any_records(), chain), |((id, claims), wishes, chain)| {
        let records: Vec<_> = wishes.into_iter().map(|wish| record(wish, id, &claims, nodes.now)).collect();
        let mut cookie = nodes.seal(id, &claims);
        let (_, before) = nodes.judge(&cookie, &records);
        let kind = if before.is_live() { &live } else { &denied };
        kind.set(kind.get() + 1);
        let born = nodes.birth_after(&chain, claims.born);
        for (node, changes) in chain {
            cookie = nodes.pass_through(node, cookie, changes);
        }
        let (seen, after) = nodes.judge(&cookie, &records);
        let (same_id, sealed) = seen.unwrap();
        if born == claims.born {
            prop_assert_eq!(after, before);
        } else {
            lowered.set(lowered.get() + 1);
            prop_assert!(before.is_live() || !after.is_live(), "{before}, and after the chain {after}");
        }
        prop_assert_eq!(same_id, id);
        prop_assert!(sealed.sealed_at == START || sealed.sealed_at == claims.sealed_at);
        prop_assert_eq!(Claims { sealed_at: claims.sealed_at, ..sealed }, Claims { born, ..claims });
        Ok(())
    });
    outcome.unwrap();
    let (denied, live, lowered) = (denied.get(), live.get(), lowered.get());
    let counts = format!("{denied} denied, {live} live, {lowered} with a lower birth");
    assert!([denied, live, lowered].into_iter().all(|count| count > SEQUENCES / 10), "{counts}");
}

/// The store: a clock that may be set back and forth, and positions that never go back. As the scripts in
/// Redis and the embedded store give them out.
struct Store {
    clock: i64,
    mark: u64,
    list: RevocationList,
}

impl Store {
    fn take(&mut self, now: i64) -> Position {
        self.mark = self.mark.max(u64::try_from(now + self.clock).unwrap()) + 1;
        Position(self.mark)
    }
}

/// A process: its wall clock, and its copy of the list.
struct Node {
    clock: i64,
    replica: Replica,
}

impl Node {
    fn beat(&self, store: &Store, boot: u64) {
        let (records, position) = (store.list.records().collect(), Position(store.mark));
        let mut beat = Beat {
            incarnation: Incarnation(1),
            position,
            clock: position,
            records,
            whole: false,
            healed: true,
            heard: Heard::Yes,
        };
        let now = Now { millis: 0, boot: Duration::from_millis(boot) };
        assert!(self.replica.absorb(&mut beat, now).is_empty());
        self.replica.confirm(&beat, now);
    }
}

struct Login {
    at: u64,
    /// Whether the store gave out its position.
    stamped: bool,
    born: Position,
    by_wall_clock: Position,
}

struct Cut {
    at: u64,
    position: Position,
    by_wall_clock: Position,
}

#[derive(Debug, Default)]
struct Tally {
    pairs: u32,
    missed: u32,
    missed_by_wall_clocks: u32,
    /// Of logins that the store gave a position.
    denied_too_much: u32,
    denied_too_much_unasked: u32,
}

/// One subject, three processes whose clocks are up to 2 s off, and a store whose clock is set about as well.
fn schedule(seed: u64, tally: &mut Tally) {
    let mut random = StdRng::seed_from_u64(seed);
    let tag = Tag(7);
    let off = |random: &mut StdRng| random.random_range(-2_000..=2_000_i64);
    let mut store = Store { clock: off(&mut random), mark: NOW.0 - 10_000, list: RevocationList::default() };
    let mut nodes: Vec<_> = (0..3).map(|_| Node { clock: off(&mut random), replica: Replica::default() }).collect();
    nodes.iter().for_each(|node| node.beat(&store, 0));
    let (mut logins, mut cuts) = (Vec::new(), Vec::new());
    let mut at = NOW.0;
    for _ in 0..random.random_range(6..20) {
        at += random.random_range(1..800);
        let (now, boot) = (i64::try_from(at).unwrap(), at - NOW.0);
        let index = random.random_range(0..nodes.len());
        match random.random_range(0..10) {
            0 => store.clock = off(&mut random),
            1 => nodes[index].clock = off(&mut random),
            2..4 => nodes[index].beat(&store, boot),
            4..7 => {
                let node = &nodes[index];
                let by_wall_clock = Position(u64::try_from(now + node.clock).unwrap());
                let stamped = random.random_bool(0.5);
                let position = if stamped {
                    let position = store.take(now);
                    node.beat(&store, boot);
                    position
                } else {
                    // The store does not answer: the last lower bound serves.
                    node.replica.view().lower_bound()
                };
                let born = position.max(node.replica.view().list.free_from([tag].into_iter()));
                logins.push(Login { at, stamped, born, by_wall_clock });
            }
            _ => {
                let position = store.take(now);
                store.list.insert(Record::CutOff { tag, position, day: Day(START.0 / 86_400 + 1) });
                let by_wall_clock = Position(u64::try_from(now + nodes[index].clock).unwrap());
                cuts.push(Cut { at, position, by_wall_clock });
            }
        }
    }
    for login in &logins {
        for cut in &cuts {
            count(login, cut, tag, tally);
        }
    }
}

fn count(login: &Login, cut: &Cut, tag: Tag, tally: &mut Tally) {
    let catches = |born, position| {
        let expires = START.after(hours(12));
        let tags = Tags::of(Some(tag), None);
        let claims =
            Claims { born, generation: 0, sealed_at: START, expires, authenticated_at: START, tags, schema: 0 };
        let mut list = RevocationList::default();
        list.insert(Record::CutOff { tag, position, day: expires.day() });
        list.check(SessionId([1; 12]), &claims).is_some()
    };
    let denied = catches(login.born, cut.position);
    tally.pairs += 1;
    if login.at < cut.at {
        tally.missed += u32::from(!denied);
        tally.missed_by_wall_clocks += u32::from(!catches(login.by_wall_clock, cut.by_wall_clock));
    } else if login.stamped {
        tally.denied_too_much += u32::from(denied);
    } else {
        tally.denied_too_much_unasked += u32::from(denied);
    }
}

#[test]
fn positions_miss_no_session_under_skewed_clocks() {
    let schedules = if cfg!(debug_assertions) { 10_000 } else { 200_000 };
    let mut tally = Tally::default();
    for seed in 0..schedules {
        schedule(seed, &mut tally);
    }
    println!("{schedules} schedules: {tally:?}");
    assert_eq!(tally.missed, 0);
    assert_eq!(tally.denied_too_much, 0, "whoever logs in after a cut-off is in at once");
    assert!(tally.missed_by_wall_clocks > tally.pairs / 50, "the same schedules do break wall clocks: {tally:?}");
}
