//! Cookies that must open for ever.

use sealjar::id::KeyId;
use sealjar::revocation::Record;
use sealjar::rotation::KeyState;
use sealjar::time::{Day, Position, Seconds};
use sealjar::verdict::Verdict::Live;
use sealjar::wire::Suite;
use serde_json::{Value, json};

use super::seed::{ABSOLUTE, CLOCK, IDLE, NOW, SUITES, Seed, flipped, key, key_value, session, tag};
use crate::case::{Case, Form, List};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for suite in SUITES {
        contents(suite, &mut cases);
    }
    bounds(&mut cases);
    keys_and_names(&mut cases);
    headers(&mut cases);
    copies(&mut cases);
    lists(&mut cases);
    cases
}

fn contents(suite: Suite, cases: &mut Vec<Case>) {
    let seed = || Seed::of(suite);
    let named = |what: &str| format!("live-{}-{what}", suite.name());
    let user = json!({"name": "Ada", "roles": ["admin", "audit"], "visits": 17});
    cases.push(seed().case(&named("minimal"), "a visitor with an empty map", Live));
    cases.push(seed().tagged(0).value(&user).case(&named("login"), "a subject and a tenant", Live));
    cases.push(seed().tagged(4).value(&user).case(&named("labels"), "as many labels as there may be", Live));
    let extras = seed().with(|s| s.extras = b"\x81\xa1f\x91\xa5saved".to_vec());
    cases.push(extras.case(&named("extras"), "extras between the claims and the payload", Live));
    let all = seed().tagged(2).value(&user).with(|s| {
        s.extras = vec![0xAA; 256];
        s.claims.generation = u32::MAX;
        s.claims.schema = u16::MAX;
    });
    cases.push(all.case(&named("everything"), "tags, extras, highest generation and schema", Live));
    let label = seed().with(|s| assert!(s.claims.tags.add_label(tag("label 0"))));
    cases.push(label.case(&named("label-only"), "a label without subject and tenant", Live));
    for length in 0..3 {
        let odd = seed().value(&json!({"n": "x".repeat(length)}));
        cases.push(odd.case(&named(&format!("ending-{length}")), "the three endings of base64url", Live));
    }
    let text = json!({"text": "Zoë, 日本語, 🦀, \"quoted\", \\, \u{1}\n", "": [], "nested": {"a": {"b": [[]]}}});
    cases.push(seed().value(&text).case(&named("text"), "text of all kinds and empty containers", Live));
    let numbers = json!({"numbers": [0, 127, 128, 65536, u64::MAX, -1, -33, -129, i64::MIN, 0.5, -1.25], "yes": true, "no": false, "none": null});
    cases.push(seed().value(&numbers).case(&named("numbers"), "numbers of all widths", Live));
    let largest = (0..3100).rev().find_map(|length| {
        let seed = seed().tagged(1).value(&json!({"x": "y".repeat(length)}));
        (seed.text().len() <= 4096).then_some(seed)
    });
    cases.push(largest.expect("some fit").case(&named("largest"), "a value as long as they are read", Live));
    let account = seed().value(&json!({"level": 3, "name": "Ada", "unknown": [1, 2]}));
    let case = account.case(&named("typed"), "a typed payload; fields that it does not know are passed over", Live);
    cases.push(Case { form: Form::Account, payload: Some(r#"{"level":3,"name":"Ada"}"#.into()), ..case });
}

fn bounds(cases: &mut Vec<Case>) {
    let seed = || Seed::of(Suite::Encrypted);
    let mut add = |name: &str, about: &str, change: &dyn Fn(&mut Seed)| {
        cases.push(seed().with(|s| change(s)).case(name, about, Live));
    };
    add("live-idle-last-second", "one second before it has idled too long", &|s| {
        s.claims.sealed_at = Seconds(NOW + 1 - IDLE);
    });
    add("live-absolute-last-second", "one second before its absolute end", &|s| s.claims.expires = Seconds(NOW + 1));
    add("live-sealed-at-the-skew", "sealed 60 s ahead, as clocks may differ", &|s| {
        s.claims.sealed_at = Seconds(NOW + 60);
    });
    add("live-born-at-the-skew", "born 60 s ahead of the list's clock, which has gone on for 1 s", &|s| {
        s.claims.born = Position(CLOCK + 1000 + 60_000);
    });
    add("live-born-at-zero", "a visitor born before any list was read", &|s| s.claims.born = Position(0));
    add("live-expires-beyond-absolute", "the sealed end counts, not the configured span", &|s| {
        s.claims.expires = Seconds(NOW + 2 * ABSOLUTE);
    });
    add("live-end-of-time", "times at the end of their range", &|s| {
        s.claims.expires = Seconds(u32::MAX);
        s.claims.authenticated_at = Seconds(u32::MAX);
    });
    // Non-minimal widths: what other encoders may write.
    let wide = [
        &[0xde, 0, 6][..],
        &[0xd9, 1, b'a', 0xcf, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xda, 0, 1, b'b', 0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0, 0, 0, 1, b'c', 0xca, 0x3f, 0, 0, 0],
        &[0xa1, b'd', 0xcb, 0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18],
        &[0xa1, b'e', 0xdd, 0, 0, 0, 2, 0xd0, 0x80, 0xd1, 0x80, 0x00],
        &[0xa1, b'f', 0xdc, 0, 3, 0xcc, 5, 0xcd, 0, 5, 0xd2, 0x80, 0, 0, 0],
    ]
    .concat();
    add("live-msgpack-wide", "MessagePack in wider forms than needed", &move |s| s.payload.clone_from(&wide));
    add("live-payload-is-no-map", "the payload may be any value", &|s| s.payload = vec![0xc0]);
    add("live-nested-20", "nesting that is still followed", &|s| s.payload = [vec![0x91; 20], vec![0x07]].concat());
    add("live-encrypted-nested-32", "nesting as deep as is followed", &|s| {
        s.payload = [vec![0x91; 32], vec![0x07]].concat();
    });
    let deepest = seed().with(|s| {
        s.suite = Suite::Signed;
        s.payload = format!("{}7{}", "[".repeat(32), "]".repeat(32)).into_bytes();
    });
    cases.push(deepest.case("live-signed-nested-32", "nesting as deep as is followed", Live));
    let json = seed().with(|s| {
        s.suite = Suite::Signed;
        s.payload = format!(" {{ \"a\" : {}1{} }} ", "[".repeat(20), "]".repeat(20)).into_bytes();
    });
    cases.push(json.case("live-json-spaces-nested-21", "JSON with spaces around everything", Live));
}

fn keys_and_names(cases: &mut Vec<Case>) {
    let seed = || Seed::of(Suite::Encrypted);
    let second = seed().with(|s| s.key = 2).case("live-second-key", "the key is found by its id", Live);
    cases.push(Case { keys: vec![key(1), key(2)], ..second });
    let state =
        |name, about, id: KeyId, state| Case { key_states: vec![(id, state)], ..seed().case(name, about, Live) };
    let (own, other) = (key_value(1).id(), key_value(2).id());
    cases.push(state("live-staged-key", "a staged key opens", own, KeyState::Staged));
    cases.push(state("live-active-key", "an active key opens", own, KeyState::Active));
    cases.push(state("live-other-key-leaked", "another key was declared leaked", other, KeyState::Compromised));
    for (name, app, cookie) in [
        ("live-other-app", "a-much-longer-app-id-with-32-chr", "__Host-shop"),
        ("live-secure-name", "shop", "__Secure-shop"),
        ("live-plain-name", "shop", "shop"),
        ("live-odd-name", "shop", "!#$&'*+-.^_`|~0"),
    ] {
        for suite in SUITES {
            let placed = Seed::of(suite).with(|s| (s.app, s.cookie) = (app.into(), cookie.into()));
            cases.push(placed.case(&format!("{name}-{}", suite.name()), "another app id or cookie name", Live));
        }
    }
}

fn headers(cases: &mut Vec<Case>) {
    let seed = Seed::of(Suite::Encrypted).value(&json!({"name": "Ada"}));
    let pair = format!("{}={}", seed.cookie, seed.text());
    let mut add = |name: &str, about: &str, fields: &[Vec<u8>]| {
        cases.push(Case { fields: fields.to_vec(), ..seed.case(name, about, Live) });
    };
    let between = |before: &[u8], after: &[u8]| [before, b"; ", pair.as_bytes(), b"; ", after].concat();
    for (name, about, before, after) in [
        ("others", "other cookies around it", &b"a=1; b=2"[..], &b"c=3"[..]),
        ("unbalanced-quote", "a quote that never closes does not swallow it", b"a=\"1", b"b=2"),
        ("quotes-around", "quotes before and after do not swallow it", b"a=\"", b"b=\""),
        ("non-ascii", "another cookie in UTF-8", "a=Zoë; 名=値".as_bytes(), "é=\u{2003}".as_bytes()),
        ("invalid-utf8", "another cookie that is not UTF-8", b"a=\xff\xfe", b"\xc0=\x80"),
        ("controls", "control bytes in another cookie", b"a=\x00\x01\x7f", b"b=\x0b"),
        ("empty-pairs", "empty pairs and names", b";; ;=;=x; a", b"; ;"),
        (
            "look-alikes",
            "names that only look like ours",
            b"%5F%5FHost-shop=x; __host-shop=x; __Host-shop2=x",
            b"x__Host-shop=x; __Host-shop =x; \"__Host-shop\"=x; __Host-shop",
        ),
        ("json-beside", "a cookie with brackets, commas and equals signs", b"prefs={\"a\":[1,2]}", b"q=a=b==c,d"),
    ] {
        add(&format!("live-beside-{name}"), about, &[between(before, after)]);
    }
    let spaced = pair.replace('=', "= \t ");
    add("live-spaces-and-tabs", "SP and HTAB around the value", &[format!(" \t{spaced} \t ;\ta=1").into_bytes()]);
    add(
        "live-split-fields",
        "HTTP/2 splits the header",
        &[b"a=1".to_vec(), pair.clone().into_bytes(), b"b=2".to_vec()],
    );
    add("live-no-space-after-semicolon", "a client that writes no space", &[format!("a=1;{pair};b=2").into_bytes()]);
    add("live-512-pairs", "as many pairs as are read", &[format!("{}{pair}", "a=1; ".repeat(511)).into_bytes()]);
    let padding = "a".repeat(64 * 1024 - 4 - pair.len());
    add("live-64-kib-header", "a header as long as is read", &[format!("{pair}; b={padding}").into_bytes()]);
}

fn copies(cases: &mut Vec<Case>) {
    let copy = |n: u32| {
        let seed = Seed::of(Suite::Encrypted).value(&json!({"copy": n}));
        seed.with(|s| (s.claims.generation, s.randomness) = (n, u8::try_from(n).unwrap_or(0)))
    };
    let resealed =
        |ago: u32, n: u32| copy(n).with(|s| (s.claims.generation, s.claims.sealed_at) = (0, Seconds(NOW - ago)));
    let mut add = |name: &str, about: &str, values: &[String], live: &Seed| {
        let fields = values.iter().map(|value| format!("{}={value}", live.cookie)).collect::<Vec<_>>().join("; ");
        cases.push(Case { fields: vec![fields.into_bytes()], ..live.case(name, about, Live) });
    };
    let [first, second, third, fourth] = [1, 2, 3, 4].map(copy);
    add(
        "live-copies-higher-generation",
        "of two copies the higher generation",
        &[first.text(), second.text()],
        &second,
    );
    add("live-copies-higher-generation-first", "whatever their order", &[second.text(), first.text()], &second);
    let (old, new) = (resealed(400, 1), resealed(100, 2));
    add("live-copies-sealed-later", "of one generation the one sealed later", &[new.text(), old.text()], &new);
    let early = copy(9).with(|s| s.claims.sealed_at = Seconds(NOW - 900));
    add(
        "live-copies-generation-before-time",
        "a higher generation goes before a later seal",
        &[new.text(), early.text()],
        &early,
    );
    let four = [&second, &fourth, &first, &third].map(Seed::text);
    add("live-copies-four", "four copies in any order", &four, &fourth);
    let planted = [&vec!["x".to_owned(); 15][..], &[first.text()]].concat();
    add("live-behind-fifteen-planted", "as many of our name as are read, one of which opens", &planted, &first);
    add("live-copies-identical", "the same cookie twice", &[first.text(), first.text()], &first);
    let idle = copy(9).with(|s| s.claims.sealed_at = Seconds(NOW - IDLE));
    add(
        "live-copies-newest-idle",
        "the newest has idled too long, an older one has not",
        &[idle.text(), first.text()],
        &first,
    );
    let garbage = "AQEBAQEB".to_owned();
    add("live-beside-garbage", "a planted value that does not parse is passed over", &[garbage, first.text()], &first);
    let other = copy(5).with(|s| s.session = session("b")).text();
    let broken = flipped(&other, 60);
    add(
        "live-beside-broken-seal",
        "so is one of another session whose seal does not hold",
        &[broken, first.text()],
        &first,
    );
    let foreign = Seed::of(Suite::Signed).with(|s| s.session = session("b")).text();
    add("live-beside-other-suite", "so is one of another suite", &[first.text(), foreign], &first);
    let unknown = copy(5).with(|s| (s.session, s.key) = (session("b"), 5)).text();
    add("live-beside-unknown-key", "so is one of a key that is not at hand", &[unknown, first.text()], &first);
    let labelled = copy(9).with(|s| assert!(s.claims.tags.add_label(tag("label 0"))));
    let fields = format!("__Host-shop={}; __Host-shop={}", labelled.text(), first.text());
    let cut = Record::CutOff { tag: tag("label 0"), position: Position(CLOCK), day: Seconds(NOW).day() };
    cases.push(Case {
        records: vec![cut],
        fields: vec![fields.into_bytes()],
        ..first.case("live-copies-newest-revoked", "the newest has a revoked label, an older one does not", Live)
    });
}

fn lists(cases: &mut Vec<Case>) {
    let seed = Seed::of(Suite::Encrypted).tagged(1).value(&json!({"name": "Ada"})).with(|s| s.claims.generation = 3);
    let day = seed.claims.expires.day();
    let born = seed.claims.born.0;
    let id = seed.session.short();
    let cut = |name: &str, position| Record::CutOff { tag: tag(name), position: Position(position), day };
    for (name, about, record) in [
        ("subject-born-after", "born just after its subject was cut off", cut("subject", born - 1)),
        ("tenant-born-after", "born just after its tenant was cut off", cut("tenant", born - 1)),
        ("label-born-after", "born just after its label was cut off", cut("label 0", born - 1)),
        ("all-born-after", "born just after everybody was", Record::Everybody { position: Position(born - 1) }),
        ("other-tag", "somebody else was cut off", cut("somebody else", CLOCK)),
        ("floor-reached", "its generation is the floor", Record::Floor { id, floor: 3, day }),
        ("other-session", "another session was revoked", Record::Session { id: session("b").short(), day }),
        ("other-day", "a record for a session that ends on another day", Record::Session { id, day: Day(day.0 + 1) }),
    ] {
        cases.push(Case { records: vec![record], ..seed.case(&format!("live-list-{name}"), about, Live) });
    }
    let list = |name, about, clock, age| Case { list: List::Read { clock, age }, ..seed.case(name, about, Live) };
    cases.push(list("live-list-60-s-old", "a list as old as one may be", CLOCK, 60));
    cases.push(list("live-list-clock-behind", "the list's clock is behind ours", CLOCK - 600_000 - 60_000, 0));
    let visitor: Value = json!({"cart": [1, 2]});
    let visitor = Seed::of(Suite::Encrypted).value(&visitor);
    let records = vec![cut("subject", CLOCK), cut("tenant", CLOCK), cut("label 0", CLOCK)];
    cases.push(Case { records, ..visitor.case("live-list-visitor", "a visitor has no tag to be cut off by", Live) });
}
