//! Authentic cookies that are refused all the same: times, the list, the payload.

use sealjar::revocation::Record;
use sealjar::time::{Day, Position, Seconds};
use sealjar::verdict::Verdict::{
    self, AbsoluteExpired, BadSeal, FromTheFuture, IdleExpired, ListUnavailable, RevokedAll, RevokedLabel,
    RevokedSession, RevokedSubject, RevokedTenant, Superseded, Undecodable,
};
use sealjar::wire::Suite;
use serde_json::json;

use super::seed::{ABSOLUTE, CLOCK, IDLE, NOW, SUITES, Seed, flipped, tag};
use crate::case::{Case, Form, List};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for suite in SUITES {
        times(suite, &mut cases);
    }
    future(&mut cases);
    lists(&mut cases);
    copies(&mut cases);
    unavailable(&mut cases);
    undecodable(&mut cases);
    cases
}

fn times(suite: Suite, cases: &mut Vec<Case>) {
    let mut add = |what: &str, about: &str, expect: Verdict, sealed_at: u32, expires: u32| {
        let seed = Seed::of(suite).with(|s| {
            (s.claims.sealed_at, s.claims.expires) = (Seconds(sealed_at), Seconds(expires));
        });
        let name = format!("{}-{}-{what}", expect.code().replace('_', "-"), suite.name());
        cases.push(seed.case(&name, about, expect));
    };
    add("to-the-second", "idle for exactly its idle lifetime", IdleExpired, NOW - IDLE, NOW + 1000);
    add("first", "both have run out, idle first", IdleExpired, NOW - 9000, NOW - 10);
    add("same-moment", "both run out in the same second", IdleExpired, NOW - IDLE, NOW);
    add("to-the-second", "at its absolute end", AbsoluteExpired, NOW - 300, NOW);
    add("first", "both have run out, the absolute one first", AbsoluteExpired, NOW - 9000, NOW - 9000 + 5);
    add("long-ago", "long after", AbsoluteExpired, NOW - 1000, NOW - 900);
    add("sealed-ahead", "sealed in the future and ended in the past", AbsoluteExpired, NOW + 3600, NOW - 1);
    add("zero", "times at the start of their range", AbsoluteExpired, 0, 0);
    add("sealed", "sealed 61 s ahead", FromTheFuture, NOW + 61, NOW + 1000);
    add("sealed-in-2106", "sealed at the end of time", FromTheFuture, u32::MAX, u32::MAX);
}

fn future(cases: &mut Vec<Case>) {
    let born = |name: &str, about: &str, born: u64, list: List| {
        let seed = Seed::of(Suite::Encrypted).with(|s| s.claims.born = Position(born));
        Case { list, ..seed.case(&format!("from-the-future-{name}"), about, FromTheFuture) }
    };
    let list = List::Read { clock: CLOCK, age: 1 };
    cases.push(born("born", "born a millisecond beyond the skew", CLOCK + 1000 + 60_001, list));
    cases.push(born("born-last", "born at the last position there is", u64::MAX, list));
    let behind = List::Read { clock: CLOCK - 3_600_000, age: 0 };
    cases.push(born("list-behind", "the list was restored from an old copy", CLOCK - 600_000, behind));
}

fn sealed() -> Seed {
    Seed::of(Suite::Encrypted).tagged(4).with(|s| s.claims.generation = 3)
}

fn lists(cases: &mut Vec<Case>) {
    let seed = sealed();
    let (day, born, id) = (seed.claims.expires.day(), seed.claims.born.0, seed.session.short());
    let cut = |name: &str, position| Record::CutOff { tag: tag(name), position: Position(position), day };
    let revoked = Record::Session { id, day };
    let floor = |floor| Record::Floor { id, floor, day };
    let all = |position| Record::Everybody { position: Position(position) };
    let mut add = |what: &str, about: &str, expect: Verdict, records: &[Record]| {
        let name = format!("{}-{what}", expect.code().replace('_', "-"));
        cases.push(Case { records: records.to_vec(), ..seed.case(&name, about, expect) });
    };
    add("itself", "it was revoked", RevokedSession, &[revoked]);
    let forgotten = |days, position| Record::Forgotten { day: Day(day.0 + days), position: Position(position) };
    add("forgotten", "nobody remembers whether it was revoked", AbsoluteExpired, &[forgotten(1, born)]);
    add("forgotten-revoked", "a reason that is known goes first", RevokedAll, &[forgotten(1, born), all(born)]);
    add(
        "first",
        "the narrowest reason is named",
        RevokedSession,
        &[all(CLOCK), cut("subject", CLOCK), floor(9), revoked],
    );
    add("floor", "its generation is below the floor", Superseded, &[floor(4)]);
    add("highest-floor", "the highest floor counts", Superseded, &[floor(4), floor(1)]);
    add("before-subject", "an old copy of a subject that was cut off", Superseded, &[cut("subject", CLOCK), floor(4)]);
    add("at-birth", "its subject was cut off in the millisecond of its birth", RevokedSubject, &[cut("subject", born)]);
    add("later", "its subject was cut off later", RevokedSubject, &[cut("subject", CLOCK)]);
    add(
        "latest-counts",
        "of two cut-offs the later counts",
        RevokedSubject,
        &[cut("subject", born), cut("subject", 5)],
    );
    add("before-tenant", "subject goes before tenant", RevokedSubject, &[cut("tenant", CLOCK), cut("subject", CLOCK)]);
    add("at-birth", "its tenant was cut off in the millisecond of its birth", RevokedTenant, &[cut("tenant", born)]);
    add("before-label", "tenant goes before labels", RevokedTenant, &[cut("label 0", CLOCK), cut("tenant", CLOCK)]);
    for n in [0, 3] {
        let about = "one of its labels was cut off";
        add(&format!("{n}"), about, RevokedLabel, &[cut(&format!("label {n}"), born)]);
    }
    add("before-all", "labels go before everybody", RevokedLabel, &[all(CLOCK), cut("label 1", CLOCK)]);
    add("at-birth", "everybody was logged out in the millisecond of its birth", RevokedAll, &[all(born)]);
    add("latest-counts", "of two such records the later counts", RevokedAll, &[all(CLOCK), all(7)]);
    let signed = Seed::of(Suite::Signed).tagged(1);
    for (expect, record) in [
        (RevokedSession, revoked),
        (RevokedSubject, cut("subject", CLOCK)),
        (RevokedTenant, cut("tenant", CLOCK)),
        (RevokedLabel, cut("label 0", CLOCK)),
        (RevokedAll, all(CLOCK)),
        (Superseded, floor(1)),
    ] {
        let name = format!("{}-signed", expect.code().replace('_', "-"));
        cases.push(Case { records: vec![record], ..signed.case(&name, "signed sessions are judged alike", expect) });
    }
    let visitor = Seed::of(Suite::Encrypted);
    let case = visitor.case("revoked-all-visitor", "a visitor is part of everybody", RevokedAll);
    cases.push(Case { records: vec![all(CLOCK)], ..case });
    let zero = visitor.with(|s| s.claims.born = Position(0));
    let case = zero.case("revoked-all-at-zero", "position 0 is a position", RevokedAll);
    cases.push(Case { records: vec![all(0)], ..case });
}

fn copies(cases: &mut Vec<Case>) {
    let (new, old) = (sealed(), sealed().with(|s| s.claims.generation = 2));
    let (day, id) = (new.claims.expires.day(), new.session.short());
    let mut add = |name: &str, about: &str, expect: Verdict, records: &[Record], seeds: [&Seed; 2]| {
        let fields = seeds.map(|seed| format!("{}={}", seed.cookie, seed.text())).join("; ").into_bytes();
        cases.push(Case { records: records.to_vec(), fields: vec![fields], ..new.case(name, about, expect) });
    };
    let floor = Record::Floor { id, floor: 9, day };
    add("superseded-copies", "two copies, both too old", Superseded, &[floor], [&old, &new]);
    let revoked = Record::Session { id, day };
    add("revoked-session-copies", "no copy of a revoked session helps", RevokedSession, &[revoked], [&old, &new]);
    let late = old.clone().with(|s| s.claims.expires = Seconds(NOW));
    let idle = new.clone().with(|s| s.claims.sealed_at = Seconds(NOW - IDLE));
    add("idle-expired-copies", "of two that are too old, the newest says why", IdleExpired, &[], [&late, &idle]);
    let plain = Seed::of(Suite::Encrypted).with(|s| s.claims.generation = 2);
    let cut = Record::CutOff { tag: tag("label 3"), position: Position(CLOCK), day };
    let all = Record::Everybody { position: Position(CLOCK) };
    add(
        "revoked-label-copies",
        "both denied for different reasons: the newest's is named",
        RevokedLabel,
        &[cut, all],
        [&plain, &new],
    );
}

fn unavailable(cases: &mut Vec<Case>) {
    let seed = Seed::of(Suite::Encrypted).tagged(0);
    let mut add = |seed: &Seed, name: &str, about: &str, expect: Verdict, list: List| {
        cases.push(Case { list, ..seed.case(name, about, expect) });
    };
    let lost = List::Read { clock: CLOCK, age: 61 };
    add(&seed, "list-unavailable-never-read", "the list was never read", ListUnavailable, List::None);
    add(&seed, "list-unavailable-lost", "the list is older than 60 s", ListUnavailable, lost);
    let signed = Seed::of(Suite::Signed);
    add(&signed, "list-unavailable-signed", "signed sessions wait for the list alike", ListUnavailable, List::None);
    let born = seed.clone().with(|s| s.claims.born = Position(u64::MAX));
    add(&born, "list-unavailable-born-ahead", "birth is judged by a list only", ListUnavailable, List::None);
    let idle = seed.clone().with(|s| s.claims.sealed_at = Seconds(NOW - ABSOLUTE / 2));
    add(&idle, "idle-expired-without-a-list", "times are judged before the list is asked for", IdleExpired, List::None);
    let undecodable = seed.clone().with(|s| s.payload.clear());
    add(&undecodable, "list-unavailable-undecodable", "the list is asked for before decoding", ListUnavailable, lost);
    let broken = seed.case_of("bad-seal-without-a-list", "so are seals", BadSeal, &flipped(&seed.text(), 70));
    cases.push(Case { list: List::None, ..broken });
}

fn undecodable(cases: &mut Vec<Case>) {
    let mut add = |suite: Suite, what: &str, about: &str, payload: &[u8]| {
        let seed = Seed::of(suite).with(|s| s.payload = payload.to_vec());
        cases.push(seed.case(&format!("undecodable-{}-{what}", suite.name()), about, Undecodable));
    };
    let e = Suite::Encrypted;
    add(e, "empty", "no payload at all", b"");
    add(e, "byte-behind", "a byte behind the value", b"\x80\x00");
    add(e, "value-behind", "a second value", b"\x81\xa1a\x01\xc0");
    add(e, "cut-off", "a map that ends early", b"\x82\xa1a\x01");
    add(e, "text-cut-off", "text that ends early", b"\xa5abc");
    add(e, "long-text-announced", "text that announces 4 GiB", b"\xdb\xff\xff\xff\xff");
    add(e, "long-list-announced", "a list that announces 4 billion members", b"\xdd\xff\xff\xff\xff\x01");
    add(e, "reserved", "the byte that MessagePack never uses", b"\xc1");
    add(e, "nested-33", "nested one too deep", &[vec![0x91; 33], vec![0xc0]].concat());
    add(e, "nested-40", "nested too deep", &[vec![0x91; 40], vec![0xc0]].concat());
    add(e, "nested-1000", "nested far too deep", &[vec![0x91; 1000], vec![0xc0]].concat());
    add(e, "number-as-key", "keys are text", b"\x81\x01\x02");
    add(e, "bad-utf8", "text that is not UTF-8", b"\xa2\xc3\x28");
    let s = Suite::Signed;
    add(s, "empty", "no payload at all", b"");
    add(s, "value-behind", "something behind the value", b"{} {}");
    add(s, "cut-off", "an object that ends early", b"{\"a\":1");
    add(s, "trailing-comma", "a comma before the end", b"{\"a\":1,}");
    add(s, "single-quotes", "not JSON", b"{'a':1}");
    add(s, "nan", "NaN is no JSON", b"{\"a\":NaN}");
    add(s, "nested-33", "nested too deep", format!("{}{}", "[".repeat(33), "]".repeat(33)).as_bytes());
    add(s, "nested-1000", "nested far too deep", &[b'['; 1000]);
    add(s, "bad-utf8", "text that is not UTF-8", b"\"\xc3\x28\"");
    add(s, "control-in-text", "a raw line feed inside text", b"\"a\nb\"");
    add(s, "byte-order-mark", "a byte order mark", "\u{feff}{}".as_bytes());
    for suite in SUITES {
        for (what, about, value) in [
            ("missing-field", "a typed payload without one of its fields", json!({"name": "Ada"})),
            ("other-type", "a field of another type", json!({"level": "3", "name": "Ada"})),
            ("negative", "a number outside the field's range", json!({"level": -1, "name": "Ada"})),
            ("too-high", "a number beyond the field's range", json!({"level": 1_u64 << 32, "name": "Ada"})),
            ("null", "a field that is null", json!({"level": 3, "name": null})),
            ("no-map", "no map at all", json!("Ada")),
        ] {
            let seed = Seed::of(suite).value(&value);
            let name = format!("undecodable-typed-{}-{what}", suite.name());
            cases.push(Case { form: Form::Account, ..seed.case(&name, about, Undecodable) });
        }
    }
}
