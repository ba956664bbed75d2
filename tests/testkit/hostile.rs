//! Hostile headers: the right verdict, no panic, and work that does not grow with what was sent.
//!
//! Work is counted in allocations and in fields read, which are the same on every machine, not in time.

use std::cell::Cell;

use allocation_counter::{AllocationInfo, measure};
use sealjar::Verdict::{self, BadSeal, Duplicate, Live, Malformed, NoCookie, TooLarge, Undecodable, UnknownKey};
use sealjar::cookie::header::{self, MAX_CANDIDATES, MAX_HEADER, MAX_PAIRS};
use sealjar::judge::{authenticate, judge};
use sealjar::payload::{self, MAX_DEPTH};
use sealjar::seal::{Binding, Content, Purpose, seal_with};
use sealjar::wire::{MAX_COOKIE, Suite};
use sealjar::{Map, key::Key, ring::RingKey, secret::Secret, time::Seconds};
use serde::de::IgnoredAny;

use crate::case::{Case, folder, read_all};

/// What one candidate may cost: its decoded bytes, and a little to keep what opened in.
const MAX_BYTES: u64 = MAX_CANDIDATES as u64 * (MAX_COOKIE as u64 + 512);
const MAX_ALLOCATIONS: u64 = 4 * MAX_CANDIDATES as u64;

fn case(name: &str) -> Case {
    let mut cases = read_all(&folder()).into_iter();
    cases.find(|case| case.name == name).expect("the kit has lost a golden cookie")
}

/// Judges fields and measures what that costs.
fn cost(case: &Case, fields: &[Vec<u8>]) -> (Verdict, AllocationInfo) {
    let (config, ring, now) = (case.config(), case.ring(), case.clock());
    let judge = || match authenticate(fields.iter().map(Vec::as_slice), &config, &ring, now) {
        Ok(_) => Live,
        Err(refusal) => refusal.verdict,
    };
    // The choice of base64's engine is made once in a process, and is not this header's cost.
    let _ = judge();
    let mut verdict = Live;
    let info = measure(|| verdict = judge());
    (verdict, info)
}

#[test]
fn a_hostile_header_gets_its_verdict_at_a_bounded_cost() {
    let golden = case("live-encrypted-login");
    let good = String::from_utf8(golden.fields[0].clone()).unwrap();
    let value = good.split_once('=').unwrap().1;
    let (name, pair) = (golden.cookie.as_str(), |value: &str| format!("__Host-shop={value}"));
    let key_id = &value[..22];
    let long = |length: usize| "A".repeat(length);
    let broken = pair(&format!("{key_id}{}", long(MAX_COOKIE - 22)));
    let rows: Vec<(&str, Vec<u8>, Verdict)> = vec![
        ("10,000 cookies", "a=1; ".repeat(10_000).into(), TooLarge),
        ("10,000 cookies before ours", format!("{}{good}", "a=1; ".repeat(10_000)).into(), TooLarge),
        ("10,000 cookies of one letter, within 64 KiB", "a;".repeat(10_000).into(), TooLarge),
        ("400 KB of base64", pair(&long(400_000)).into(), TooLarge),
        ("4 MB of base64 in another cookie", format!("a={}; {good}", long(4_000_000)).into(), TooLarge),
        ("the longest value in the longest header", pair(&long(MAX_HEADER - name.len() - 1)).into(), TooLarge),
        ("64 KiB of our own name", "__Host-shop=".repeat(MAX_HEADER / 12).into(), TooLarge),
        ("64 KiB of our own name and semicolons", "__Host-shop=;".repeat(MAX_HEADER / 13).into(), Duplicate),
        ("64 KiB of our own name without a value", "__Host-shop;".repeat(MAX_HEADER / 12).into(), TooLarge),
        ("64 KiB of our name run together", "__Host-shop".repeat(MAX_HEADER / 11).into(), NoCookie),
        ("64 KiB of semicolons", ";".repeat(MAX_HEADER).into(), TooLarge),
        ("64 KiB of equals signs", "=".repeat(MAX_HEADER).into(), NoCookie),
        ("64 KiB of spaces", " ".repeat(MAX_HEADER).into(), NoCookie),
        ("spaces around ours", format!("{0}{good}{0}", " ".repeat(20_000)).into(), Live),
        ("tabs around each of 512 pairs", format!("{}{good}", "\t\t\t;".repeat(511)).into(), Live),
        ("four values as long as they may be", vec![broken.clone(); 4].join("; ").into(), BadSeal),
        (
            "a good one behind three as long as they may be",
            format!("{broken}; {broken}; {broken}; {good}").into(),
            Live,
        ),
        ("sixteen that fill the header", vec![pair(&format!("AQ{}", long(4000))); 16].join("; ").into(), UnknownKey),
        ("four that are too long", vec![pair(&long(MAX_COOKIE + 1)); 4].join("; ").into(), TooLarge),
        ("four of unknown keys", vec![pair(&format!("AQ{}", long(MAX_COOKIE - 2))); 4].join("; ").into(), UnknownKey),
        ("4,096 dots", pair(&".".repeat(MAX_COOKIE)).into(), Malformed),
        ("4,096 quotes", pair(&"\"".repeat(MAX_COOKIE)).into(), Malformed),
        ("4,096 bytes that are not ASCII", [pair("").as_bytes(), &[0xff; MAX_COOKIE]].concat(), Malformed),
        ("60 KB that are not UTF-8 beside ours", [&[0xff; 60_000][..], b"; ", good.as_bytes()].concat(), Live),
        ("NUL bytes beside ours", [&[0; 60_000][..], b"; ", good.as_bytes()].concat(), Live),
        ("quotes that never close", format!("a=\"{}; {good}; b=\"\\\"", "\\\"".repeat(20_000)).into(), Live),
        ("brackets that never close", format!("a={}; {good}", "[{(".repeat(20_000)).into(), Live),
        ("percent codes of our name", format!("{}a=1", "%5F%5FHost-shop=x; ".repeat(149)).into(), NoCookie),
        ("names that begin like ours", format!("{}{good}", "__Host-sho=; ".repeat(149)).into(), Live),
    ];
    for (what, field, expect) in rows {
        let (verdict, info) = cost(&golden, &[field]);
        assert_eq!(verdict, expect, "{what}");
        assert!(info.count_total <= MAX_ALLOCATIONS, "{what}: {} allocations", info.count_total);
        assert!(info.bytes_total <= MAX_BYTES, "{what}: {} bytes", info.bytes_total);
        assert_eq!(info.count_current, 0, "{what}: something was kept");
        if expect == NoCookie {
            assert_eq!(info.count_total, 0, "{what}: looking for the cookie allocates nothing");
        }
        if expect == Duplicate {
            assert!(info.bytes_total <= 1024, "{what}: only where the values are is noted");
        }
    }
}

/// HTTP/2 lets a client split the header into any number of fields.
#[test]
fn reading_stops_at_the_caps() {
    let read = Cell::new(0);
    let counted = |field: &'static [u8], count: usize| {
        read.set(0);
        std::iter::repeat_n(field, count).inspect(|_| read.set(read.get() + 1))
    };
    assert_eq!(header::find(counted(b"a=1", 1_000_000), "__Host-shop"), Err(TooLarge));
    assert_eq!(read.get(), MAX_PAIRS + 1);
    assert_eq!(header::find(counted(b"", 1_000_000), "__Host-shop"), Err(TooLarge));
    assert_eq!(read.get(), MAX_PAIRS + 1);
    assert_eq!(header::find(counted(b"__Host-shop=x", 1_000_000), "__Host-shop"), Err(Duplicate));
    assert_eq!(read.get(), MAX_CANDIDATES + 1);
    assert_eq!(header::find(counted(&[b'a'; 1024], 1_000_000), "__Host-shop"), Err(TooLarge));
    assert_eq!(read.get(), MAX_HEADER / 1024 + 1);
}

/// Whether bytes decode as one of several types.
type Decoder = fn(Suite, &[u8]) -> bool;

/// Whoever holds a key can seal anything. Even so a payload cannot make the decoder recurse or hoard: as
/// deep as fits into a cookie, and announcing more than it holds.
#[test]
fn payloads_behind_a_valid_seal_stay_bounded() {
    const ROOM: usize = 2900;
    let deep = |open: &[u8], middle: &[u8], close: &[u8]| {
        let depth = ROOM / (open.len() + close.len());
        assert!(depth > 10 * MAX_DEPTH);
        [open.repeat(depth), middle.to_vec(), close.repeat(depth)].concat()
    };
    let announced = |head: &[u8]| [head, &[0; 16]].concat();
    let rows: Vec<(Suite, &str, Vec<u8>)> = vec![
        (Suite::Encrypted, "lists in lists", deep(b"\x91", b"\xc0", b"")),
        (Suite::Encrypted, "maps in maps", deep(b"\x81\xa0", b"\xc0", b"")),
        (Suite::Encrypted, "wide lists in lists", deep(b"\xdd\xff\xff\xff\xff", b"\xc0", b"")),
        (Suite::Encrypted, "wide maps in maps", deep(b"\xdf\xff\xff\xff\xff\xa0", b"\xc0", b"")),
        (Suite::Encrypted, "extensions in lists", deep(b"\x91\xc7\x00\x00", b"\xc0", b"")),
        (Suite::Encrypted, "a list that never ends", deep(b"\x91", b"", b"")),
        (Suite::Encrypted, "4 GiB of text announced", announced(b"\xdb\xff\xff\xff\xff")),
        (Suite::Encrypted, "4 GiB of bytes announced", announced(b"\xc6\xff\xff\xff\xff")),
        (Suite::Encrypted, "4 billion members announced", announced(b"\xdd\xff\xff\xff\xff")),
        (Suite::Encrypted, "4 billion pairs announced", announced(b"\xdf\xff\xff\xff\xff")),
        (Suite::Encrypted, "a 4 GiB extension announced", announced(b"\xc9\xff\xff\xff\xff\x01")),
        (Suite::Signed, "arrays in arrays", deep(b"[", b"1", b"]")),
        (Suite::Signed, "objects in objects", deep(b"{\"\":", b"1", b"}")),
        (Suite::Signed, "arrays that never end", deep(b"[", b"", b"")),
        (Suite::Signed, "brackets behind text", [&b"\"\\\"["[..], &deep(b"[", b"", b"]")].concat()),
        (Suite::Signed, "a number of 2,900 digits, twice", deep(b"9", b" ", b"9")),
    ];
    for (suite, what, bytes) in rows {
        let case = case(&format!("live-{}-minimal", suite.name()));
        let key = Key::dangerous_from_bytes(Secret::new(case.keys[0]), Seconds(0));
        let key = RingKey::new(&key, &case.app);
        let view = case.replica().view().clone();
        let opened = case.open(&case.config(), &view).unwrap_or_else(|verdict| panic!("{what}: {verdict}"));
        let content = Content { session: opened.session, claims: &opened.claims, extras: b"", payload: &bytes };
        let binding = Binding::new(&case.app, &case.cookie, Purpose::Session);
        let value = seal_with(suite, content, &key, &binding, &[1; 32]).unwrap();
        assert!(value.len() <= MAX_COOKIE, "{what}: {}", value.len());
        let field = format!("{}={value}", case.cookie).into_bytes();
        let (verdict, info) = cost(&case, std::slice::from_ref(&field));
        assert_eq!(verdict, Live, "{what}: the seal is good");
        assert!(info.count_total <= 2, "{what}: {} allocations", info.count_total);
        let case = Case { fields: vec![field], ..case };
        assert_eq!(case.run().verdict, Undecodable, "{what}");
        let Ok(authentic) = case.authenticate(&case.config()) else { panic!("{what}") };
        let Ok(opened) = judge(authentic, &view, case.clock()) else { panic!("{what}") };
        let decoders: [(&str, Decoder); 4] = [
            ("any value", |suite, bytes| payload::decode::<serde_json::Value>(suite, bytes).is_ok()),
            ("a map", |suite, bytes| payload::decode::<Map>(suite, bytes).is_ok()),
            ("a type", |suite, bytes| payload::decode::<crate::case::Account>(suite, bytes).is_ok()),
            ("nothing", |suite, bytes| payload::decode::<IgnoredAny>(suite, bytes).is_ok()),
        ];
        for (kind, decode) in decoders {
            let mut good = true;
            let info = measure(|| good = decode(suite, opened.payload()));
            assert!(!good, "{what} decodes as {kind}");
            assert!(info.count_total <= 64, "{what} as {kind}: {} allocations", info.count_total);
            assert!(info.bytes_max <= 4096, "{what} as {kind}: {} bytes", info.bytes_max);
        }
    }
}
