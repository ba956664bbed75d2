//! Seals that do not hold.

use sealjar::verdict::Verdict::BadSeal;
use sealjar::wire::{self, HEADER, NONCE, Suite};
use serde_json::json;

use super::seed::{SUITES, Seed, decode, flipped, hmac, key, key_value, parts, prefixed, session};
use crate::case::Case;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for suite in SUITES {
        elsewhere(suite, &mut cases);
    }
    encrypted(&mut cases);
    signed(&mut cases);
    cases
}

fn seed(suite: Suite) -> Seed {
    Seed::of(suite).value(&json!({"name": "Ada"}))
}

/// Made for another app, name, purpose or key.
fn elsewhere(suite: Suite, cases: &mut Vec<Case>) {
    let here = seed(suite);
    let mut add = |what: &str, about: &str, value: &str| {
        let name = format!("bad-seal-{}-{what}", suite.name());
        cases.push(Case { keys: vec![key(1), key(2)], ..here.case_of(&name, about, BadSeal, value) });
    };
    add("other-app", "made for another app", &here.clone().with(|s| s.app = "shoq".into()).text());
    add(
        "longer-app",
        "made for an app whose id begins like ours",
        &here.clone().with(|s| s.app = "shop-".into()).text(),
    );
    add("other-name", "made for another cookie name", &here.clone().with(|s| s.cookie = "__Secure-shop".into()).text());
    let shifted = here.clone().with(|s| (s.app, s.cookie) = ("shop__".into(), "Host-shop".into()));
    add("shifted-fields", "app and name that only run together the same", &shifted.text());
    add("other-purpose", "made for another purpose", &here.forge(&here.claims_bytes(), "handoff"));
    let mut bare = here.header();
    bare.extend_from_slice(b"shop__Host-shopsession");
    let bare = here.forge_with(&here.claims_bytes(), &bare);
    add("no-lengths", "associated data without lengths", &bare);
    add("no-associated-data", "no associated data", &here.forge_with(&here.claims_bytes(), b""));
    let (first, rest) =
        here.text().split_once('.').map_or((here.text(), String::new()), |(a, b)| (a.into(), format!(".{b}")));
    let mut bytes = decode(&first);
    bytes[1..5].copy_from_slice(&key_value(2).id().0);
    add("other-key-named", "another key of the ring is named", &(wire::encode(&bytes) + &rest));
    bytes[1..5].copy_from_slice(&key_value(1).id().0);
    bytes[5..HEADER].copy_from_slice(&session("b").0);
    add("other-session-named", "another session is named", &(wire::encode(&bytes) + &rest));
}

fn encrypted(cases: &mut Vec<Case>) {
    let one = seed(Suite::Encrypted);
    let text = one.text();
    let bytes = decode(&text);
    let mut add = |what: &str, about: &str, bytes: &[u8]| {
        let name = format!("bad-seal-encrypted-{what}");
        cases.push(one.case_of(&name, about, BadSeal, &wire::encode(bytes)));
    };
    for (what, about, at) in [
        ("bit-in-session", "a bit of the session id is flipped", HEADER - 1),
        ("bit-in-nonce", "a bit of the nonce is flipped", HEADER),
        ("bit-in-claims", "a bit of the sealed claims is flipped", HEADER + NONCE),
        ("bit-in-payload", "a bit of the sealed payload is flipped", bytes.len() - 17),
        ("bit-in-tag", "the last bit of the tag is flipped", bytes.len() - 1),
    ] {
        add(what, about, &decode(&flipped(&text, at)));
    }
    add("cut-by-a-byte", "the last byte is missing", &bytes[..bytes.len() - 1]);
    add("a-byte-more", "a byte more at the end", &[&bytes[..], &[0]].concat());
    add("tag-of-zeros", "a tag of zeros", &[&bytes[..bytes.len() - 16], &[0; 16]].concat());
    let other = decode(&one.clone().with(|s| s.randomness = 2).text());
    add("nonce-of-a-copy", "the nonce of another copy", &[&bytes[..17], &other[17..29], &bytes[29..]].concat());
    add("tag-of-a-copy", "the tag of another copy", &[&bytes[..bytes.len() - 16], &other[other.len() - 16..]].concat());
    add("body-of-a-copy", "the body of another copy", &[&bytes[..29], &other[29..]].concat());
    let [under, purpose] = ["sign", "nonce hedge"].map(|purpose| {
        let mut body = [one.claims_bytes(), one.payload.clone()].concat();
        let nonce: [u8; 24] = bytes[5..29].try_into().expect("24 bytes");
        let cipher = sealjar::aead::Xaes256Gcm::new(&one.sub_key(purpose));
        let tag = cipher.seal(&nonce, &one.aad("session"), &mut body).expect("short");
        [&bytes[..29], &body, &tag].concat()
    });
    add("under-the-signing-key", "sealed under the sub-key for signing", &under);
    add("under-the-hedge-key", "sealed under the sub-key for nonces", &purpose);
    let two = format!("{}={}; {0}=x", one.cookie, flipped(&text, 50));
    let case = one.case("bad-seal-then-garbage", "of several that fail, the first says why", BadSeal);
    cases.push(Case { fields: vec![two.into_bytes()], ..case });
}

fn signed(cases: &mut Vec<Case>) {
    let one = seed(Suite::Signed);
    let two = one.clone().value(&json!({"name": "Eve"})).with(|s| s.claims.generation = 1);
    let ([head, payload, mac], [other_head, other_payload, other_mac]) = (parts(&one.text()), parts(&two.text()));
    let mut add = |what: &str, about: &str, value: &str| {
        cases.push(one.case_of(&format!("bad-seal-signed-{what}"), about, BadSeal, value));
    };
    add("swapped-payload", "the payload of another copy", &format!("{head}.{other_payload}.{mac}"));
    add("swapped-claims", "the claims of another copy", &format!("{other_head}.{payload}.{mac}"));
    add("swapped-mac", "the signature of another copy", &format!("{head}.{payload}.{other_mac}"));
    add("empty-payload", "the payload taken out", &format!("{head}..{mac}"));
    add("mac-of-zeros", "a signature of zeros", &format!("{head}.{payload}.{}", wire::encode(&[0; 32])));
    let (last, mut tampered) = (mac.len() - 1, decode(&mac));
    tampered[31] ^= 0x80;
    assert_eq!(last, 42);
    add("bit-in-mac", "a bit of the signature is flipped", &format!("{head}.{payload}.{}", wire::encode(&tampered)));
    let admin = wire::encode(br#"{"name":"Ada","admin":true}"#);
    add("changed-payload", "a payload that its visitor has edited", &format!("{head}.{admin}.{mac}"));
    let spaced = wire::encode(br#"{"name": "Ada"}"#);
    add("same-json", "the same JSON written differently", &format!("{head}.{spaced}.{mac}"));
    let moved = format!(
        "{}.{}.{mac}",
        wire::encode(&[&decode(&head)[..], &decode(&payload)[..3]].concat()),
        wire::encode(&decode(&payload)[3..])
    );
    add("moved-border", "bytes moved from the payload to the claims", &moved);
    for (what, about, purpose) in [
        ("under-the-sealing-key", "signed under the sub-key for sealing", "seal"),
        ("under-the-hedge-key", "signed under the sub-key for nonces", "nonce hedge"),
    ] {
        let message = prefixed(&[&one.aad("session"), &one.claims_bytes(), &one.payload]);
        let mac = wire::encode(&hmac(&one.sub_key(purpose), &message));
        add(what, about, &format!("{head}.{payload}.{mac}"));
    }
    let message = [one.aad("session"), one.claims_bytes(), one.payload.clone()].concat();
    let mac = wire::encode(&hmac(&one.sub_key("sign"), &message));
    add("message-without-lengths", "signed over plain concatenation", &format!("{head}.{payload}.{mac}"));
}
