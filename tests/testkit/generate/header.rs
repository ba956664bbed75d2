//! What is decided before any cryptography: the header, the envelope, the suite, the key.

use sealjar::rotation::KeyState;
use sealjar::verdict::Verdict::{
    self, CompromisedKey, Duplicate, Malformed, NoCookie, RetiredKey, TooLarge, UnknownKey, WrongSuite,
};
use sealjar::wire::{self, Suite};
use serde_json::json;

use super::seed::{NAME, SUITES, Seed, decode, key, key_value, parts, session};
use crate::case::Case;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    no_cookie(&mut cases);
    malformed(&mut cases);
    malformed_signed(&mut cases);
    too_large(&mut cases);
    duplicate(&mut cases);
    suites_and_keys(&mut cases);
    cases
}

fn encrypted() -> Seed {
    Seed::of(Suite::Encrypted).value(&json!({"name": "Ada"}))
}

fn signed() -> Seed {
    Seed::of(Suite::Signed).value(&json!({"name": "Ada"}))
}

fn no_cookie(cases: &mut Vec<Case>) {
    let seed = encrypted();
    let value = seed.text();
    let mut add = |name: &str, about: &str, fields: &[&[u8]]| {
        let case = seed.case(&format!("no-cookie-{name}"), about, NoCookie);
        cases.push(Case { fields: fields.iter().map(|field| field.to_vec()).collect(), ..case });
    };
    add("no-field", "no Cookie field at all", &[]);
    add("empty-field", "an empty field", &[b""]);
    add("only-others", "other cookies only", &[b"a=1; b=2", b"c=3"]);
    for (name, about, cookie) in [
        ("lower-case", "names are compared with their case", "__host-shop"),
        ("percent-encoded", "names are not decoded", "%5F%5FHost-shop"),
        ("percent-encoded-inside", "names are not decoded anywhere", "__Host%2Dshop"),
        ("space-before-equals", "the name is not trimmed at its end", "__Host-shop "),
        ("longer", "a longer name", "__Host-shopping"),
        ("prefixed", "a name that ends like ours", "x__Host-shop"),
        ("quoted-name", "a name in quotes", "\"__Host-shop\""),
        ("unicode-space", "a space that is not SP or HTAB is part of the name", "\u{2003}__Host-shop"),
        ("no-break-space", "a no-break space too", "\u{a0}__Host-shop"),
        ("vertical-tab", "a vertical tab too", "\u{b}__Host-shop"),
        ("form-feed", "a form feed too", "\u{c}__Host-shop"),
        ("nul", "a NUL byte too", "\0__Host-shop"),
        ("byte-order-mark", "a byte order mark too", "\u{feff}__Host-shop"),
        ("empty-name-before", "a pair with an empty name", "=__Host-shop"),
        ("attribute-like", "an attribute of RFC 2965", "$Version=1, __Host-shop"),
    ] {
        add(name, about, &[format!("{cookie}={value}").as_bytes()]);
    }
    add("no-equals", "our name without a value", &[b"a=1; __Host-shop; b=2"]);
    add("comma-separated", "a comma does not separate cookies", &[format!("a=1, {NAME}={value}").as_bytes()]);
    add("name-alone-then-value", "the name in one field, the value in another", &[b"__Host-shop", value.as_bytes()]);
}

fn malformed(cases: &mut Vec<Case>) {
    let seed = encrypted();
    let value = seed.text();
    let mut add = |name: &str, about: &str, value: &str| {
        cases.push(seed.case_of(&format!("malformed-{name}"), about, Malformed, value));
    };
    add("empty", "an empty value", "");
    add("short", "cut off after the header", &value[..24]);
    add("one-character-left", "a length that base64 cannot have", &value[..value.len() / 4 * 4 - 3]);
    add("quoted", "quotes are not taken off", &format!("\"{value}\""));
    add("quote-before", "nor is one alone", &format!("\"{value}"));
    add("space-inside", "a space inside", &format!("{} {}", &value[..40], &value[40..]));
    add("vertical-tab-behind", "a vertical tab behind", &format!("{value}\u{b}"));
    add("carriage-return-behind", "a carriage return behind", &format!("{value}\r"));
    add("no-break-space-behind", "a no-break space behind", &format!("{value}\u{a0}"));
    add("nul-behind", "a NUL byte behind", &format!("{value}\0"));
    add("percent-code", "a percent-code is not decoded", &format!("%{:02X}{}", value.as_bytes()[0], &value[1..]));
    add("full-width", "a letter that only looks right", &format!("\u{ff21}{}", &value[1..]));
    add("equals-before", "a second equals sign", &format!("={value}"));
    add("dot-behind", "a second part, empty", &format!("{value}."));
    add("second-part", "a second part", &format!("{value}.AAAA"));
    add("dot-before", "an empty first part", &format!(".{value}"));
    add("json", "somebody else's cookie", "{\"id\":1}");
    let short = wire::encode(&decode(&value)[..17 + 12 + 27 + 16 - 1]);
    add("one-byte-too-few", "a byte less than the smallest envelope", &short);
    // 65 characters leave six spare bits, 66 and 67 characters four and two; only zeros are canonical.
    for (spare, length) in [(4, 1), (2, 2)] {
        let bytes = decode(&value);
        let length = bytes.len() / 3 * 3 - 3 + length;
        let text = wire::encode(&bytes[..length]);
        for bit in 0..spare {
            let name = format!("stray-bit-{bit}-of-{spare}");
            add(&name, "a spare bit of the last character is set", &with_stray_bit(&text, bit));
        }
        add(&format!("padded-{}", if spare == 4 { 2 } else { 1 }), "padding", &format!("{text}{}", &"=="[..spare / 2]));
    }
    // Whichever characters the golden value has, one of these spellings differs from it.
    let plain = wire::encode(&[decode(&value), vec![0xfb, 0xff, 0xbf]].concat());
    add("standard-alphabet", "`+` and `/` instead of `-` and `_`", &plain.replace('-', "+").replace('_', "/"));
    forged(&encrypted(), cases);
}

/// Where the shape stands in the claims.
const SHAPE: usize = 24;

/// Valid seals around claims that are not of the layout.
fn forged(seed: &Seed, cases: &mut Vec<Case>) {
    let suite = seed.suite.name();
    let plain = seed.claims_bytes();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        change(&mut bytes);
        bytes
    };
    for (name, about, claims) in [
        ("reserved-bit", "a reserved bit of the shape is set", with(&|b| b[SHAPE] |= 0x20)),
        ("other-reserved-bit", "the other reserved bit is set", with(&|b| b[SHAPE] |= 0x40)),
        (
            "five-labels",
            "more labels than there may be",
            with(&|b| {
                b[SHAPE] = 5 << 2;
                let rest = b.split_off(SHAPE + 1);
                b.extend([7; 40]);
                b.extend(rest);
            }),
        ),
        (
            "empty-extras",
            "extras that are announced and empty",
            with(&|b| {
                b[SHAPE] |= 0x80;
                b.extend([0, 0]);
            }),
        ),
        (
            "long-extras",
            "extras longer than what follows",
            with(&|b| {
                b[SHAPE] |= 0x80;
                b.extend([0xff, 0xff, 1]);
            }),
        ),
        ("tags-cut-off", "four labels are announced and cut off", with(&|b| b[SHAPE] = 4 << 2)),
    ] {
        let seed = seed.clone().with(|s| {
            if name == "tags-cut-off" {
                s.payload.clear();
            }
        });
        let value = seed.forge(&claims, "session");
        let name = format!("malformed-behind-the-seal-{suite}-{name}");
        cases.push(seed.case_of(&name, about, Malformed, &value));
    }
}

fn malformed_signed(cases: &mut Vec<Case>) {
    let seed = signed();
    let value = seed.text();
    let [head, payload, mac] = parts(&value);
    let mut add = |name: &str, about: &str, value: &str| {
        cases.push(seed.case_of(&format!("malformed-signed-{name}"), about, Malformed, value));
    };
    add("one-part", "only the first part", &head);
    add("two-parts", "no signature", &format!("{head}.{payload}"));
    add("four-parts", "a fourth part", &format!("{value}.AAAA"));
    add("dot-behind", "a fourth part, empty", &format!("{value}."));
    add("commas", "parts set apart by commas", &value.replace('.', ","));
    add("empty-mac", "an empty signature", &format!("{head}.{payload}."));
    add("short-mac", "a signature of 31 bytes", &format!("{head}.{payload}.{}", wire::encode(&decode(&mac)[..31])));
    let long = wire::encode(&[&decode(&mac)[..], &[0]].concat());
    add("long-mac", "a signature of 33 bytes", &format!("{head}.{payload}.{long}"));
    add(
        "short-claims",
        "a first part that is too short",
        &format!("{}.{payload}.{mac}", wire::encode(&decode(&head)[..43])),
    );
    add("padded-mac", "padding behind the signature", &format!("{value}="));
    let stray = with_stray_bit(&mac, 0);
    add("stray-bit-in-mac", "a spare bit of the signature is set", &format!("{head}.{payload}.{stray}"));
    let stray = with_stray_bit(&head, 1);
    add("stray-bit-in-claims", "a spare bit of the first part is set", &format!("{stray}.{payload}.{mac}"));
    add("raw-payload", "the payload is not encoded", &format!("{head}.{{\"name\":\"Ada\"}}.{mac}"));
    let behind = [&seed.claims_bytes()[..], b"!"].concat();
    add("byte-behind-claims", "a signed first part with a byte too many", &seed.forge(&behind, "session"));
    forged(&seed, cases);
}

fn with_stray_bit(text: &str, bit: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = text.split_at(text.len() - 1);
    let digit = ALPHABET.iter().position(|&c| c == last.as_bytes()[0]).expect("of the alphabet");
    format!("{start}{}", char::from(ALPHABET[digit | 1 << bit]))
}

fn too_large(cases: &mut Vec<Case>) {
    let seed = encrypted();
    let value = seed.text();
    let longest = [wire::encode(&vec![1; 3072]), "A".into()].concat();
    cases.push(seed.case_of("too-large-value", "a value of 4097 characters", TooLarge, &longest));
    let mut add = |name: &str, about: &str, fields: &[String]| {
        let fields = fields.iter().map(|field| field.clone().into_bytes()).collect();
        cases.push(Case { fields, ..seed.case(&format!("too-large-{name}"), about, TooLarge) });
    };
    let pair = format!("{NAME}={value}");
    add("513-pairs", "one pair too many", &[format!("{}{pair}", "a=1; ".repeat(512))]);
    add("513-empty-pairs", "empty pairs count", &[format!("{pair}{}", ";".repeat(512))]);
    add(
        "513-pairs-in-two-fields",
        "pairs are counted over all fields",
        &["a=1; ".repeat(256), format!("{}{pair}", "b=1;".repeat(256))],
    );
    let padding = "a".repeat(64 * 1024 + 1 - 4 - pair.len());
    add("header", "a header of 64 KiB and a byte", &[format!("{pair}; b={padding}")]);
}

fn duplicate(cases: &mut Vec<Case>) {
    let (a, b) = (encrypted(), encrypted().with(|s| s.session = session("b")));
    let mut add = |name: &str, about: &str, values: &[String]| {
        let fields = values.iter().map(|value| format!("{NAME}={value}")).collect::<Vec<_>>().join("; ");
        cases
            .push(Case { fields: vec![fields.into_bytes()], ..a.case(&format!("duplicate-{name}"), about, Duplicate) });
    };
    add("two-sessions", "two sessions under our name", &[a.text(), b.text()]);
    let idle = b.clone().with(|s| s.claims.sealed_at.0 -= 40_000).text();
    add("one-expired", "two sessions, of which one has expired", &[idle, a.text()]);
    add("with-garbage", "two sessions and something that does not open", &["x".into(), b.text(), a.text()]);
    let newer = a.clone().with(|s| s.claims.generation = 2).text();
    add("two-copies-and-another", "two copies of one session and another session", &[a.text(), newer, b.text()]);
    add("seventeen-values", "more values of our name than are read", &std::array::from_fn::<_, 17, _>(|_| a.text()));
    add(
        "seventeen-broken-values",
        "even if none of them is a cookie",
        &std::array::from_fn::<_, 17, _>(|_| "x".into()),
    );
    let twins = [NAME, NAME].map(str::as_bytes).into_iter().zip([&a, &b]);
    let fields = twins.map(|(name, seed)| [name, b"=", seed.text().as_bytes()].concat()).collect();
    cases.push(Case { fields, ..a.case("duplicate-split-fields", "two sessions in two fields", Duplicate) });
    let (a, b) = (signed(), signed().with(|s| s.session = session("b")));
    let both = format!("{NAME}={}; {NAME}={}", a.text(), b.text());
    cases
        .push(Case { fields: vec![both.into_bytes()], ..a.case("duplicate-signed", "two signed sessions", Duplicate) });
}

fn suites_and_keys(cases: &mut Vec<Case>) {
    let mut add = |seed: &Seed, name: &str, about: &str, expect: Verdict, value: &str| {
        cases.push(seed.case_of(name, about, expect, value));
    };
    let (e, s) = (encrypted(), signed());
    add(&e, "wrong-suite-signed", "a signed cookie where encrypted ones are expected", WrongSuite, &s.text());
    add(&s, "wrong-suite-encrypted", "an encrypted cookie where signed ones are expected", WrongSuite, &e.text());
    for byte in [0_u8, 3, 0x81, 0xff] {
        let mut bytes = decode(&e.text());
        bytes[0] = byte;
        let about = "a first byte that no suite has";
        add(&e, &format!("wrong-suite-{byte:02x}"), about, WrongSuite, &wire::encode(&bytes));
    }
    let token = "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo";
    add(&e, "wrong-suite-token", "a token of another kind under our name", WrongSuite, token);
    add(&e, "wrong-suite-goes-before-parts", "of an unknown suite nothing more is read", WrongSuite, "AwAA.?.?.?");
    let mut bytes = decode(&e.text());
    bytes[0] = 2;
    add(&e, "malformed-encrypted-called-signed", "the suites do not share a form", Malformed, &wire::encode(&bytes));
    let [head, payload, mac] = parts(&s.text()).map(|part| decode(&part));
    let called = wire::encode_signed(&[&[1], &head[1..]].concat(), &payload, &mac);
    add(&s, "malformed-signed-called-encrypted", "nor the other way round", Malformed, &called);
    for suite in SUITES {
        let seed = Seed::of(suite).with(|s| s.key = 5);
        let name = format!("unknown-key-{}", suite.name());
        add(&seed, &name, "a key that is not at hand", UnknownKey, &seed.text());
    }
    let mut bytes = decode(&e.text());
    bytes[4] ^= 0x80;
    add(&e, "unknown-key-altered-id", "an altered key id", UnknownKey, &wire::encode(&bytes));
    let foreign = e.clone().with(|s| s.key = 5).text();
    let fields = vec![format!("{NAME}={foreign}; {NAME}=x").into_bytes()];
    cases.push(Case {
        fields,
        ..e.case("unknown-key-then-garbage", "of several that fail, the first says why", UnknownKey)
    });
    cases.push(Case { keys: Vec::new(), ..e.case("unknown-key-empty-ring", "no key is at hand at all", UnknownKey) });
    for suite in SUITES {
        for (number, state, expect) in [
            (3, KeyState::Retired, RetiredKey),
            (3, KeyState::Destroyed, RetiredKey),
            (4, KeyState::Compromised, CompromisedKey),
        ] {
            for here in [true, false] {
                let seed = Seed::of(suite).with(|s| s.key = number);
                let place = if here { "here" } else { "gone" };
                let name = format!("{}-{}-{state}-{place}", expect.code().replace('_', "-"), suite.name());
                let keys = if here { vec![key(1), key(number)] } else { vec![key(1)] };
                let key_states = vec![(key_value(number).id(), state)];
                let about = if here { "its key is refused" } else { "the id is remembered after the key has gone" };
                cases.push(Case { keys, key_states, ..seed.case(&name, about, expect) });
            }
        }
    }
    let mut bytes = decode(&e.clone().with(|s| s.key = 4).text());
    bytes[40] ^= 1;
    let case = e.case_of(
        "compromised-key-broken-seal",
        "the key is found before any cryptography",
        CompromisedKey,
        &wire::encode(&bytes),
    );
    cases.push(Case {
        key_states: vec![(key_value(4).id(), KeyState::Compromised)],
        keys: vec![key(1), key(4)],
        ..case
    });
}
