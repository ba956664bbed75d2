//! A cookie's value: one spelling an envelope, one encoding a set of claims, and no seal but ours.
#![no_main]
#![allow(dead_code, reason = "each target uses a part of the kit")]

mod kit;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use sealjar::claims::Claims;
use sealjar::seal::{Content, open, seal_with};
use sealjar::verdict::Verdict;
use sealjar::wire::{MAX_COOKIE, Suite, Unverified};

fuzz_target!(|data: &[u8]| {
    parsed(data);
    claimed(data);
});

fn parsed(value: &[u8]) {
    let Ok(envelope) = Unverified::parse(value) else { return };
    assert!(value.len() <= MAX_COOKIE);
    let parts: Vec<_> = value.split(|&b| b == b'.').collect();
    let decoded: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.decode(part).expect("it was parsed")).collect();
    for (part, bytes) in parts.iter().zip(&decoded) {
        assert_eq!(URL_SAFE_NO_PAD.encode(bytes).as_bytes(), *part, "one spelling");
    }
    assert_eq!(decoded[0][0], envelope.suite().byte());
    assert_eq!(decoded[0][1..5], envelope.key_id().0);
    assert_eq!(decoded[0][5..17], envelope.session_id().0);
    assert_eq!(parts.len(), if envelope.suite() == Suite::Encrypted { 1 } else { 3 });
    let (suite, key) = (envelope.suite(), kit::RING.keys().next().expect("one key").0);
    if open(envelope, key, kit::config(suite).binding()).is_ok() {
        assert!(kit::SEALED.contains(value), "it opens, and nobody sealed it");
    }
}

/// The same bytes as claims, extras and payload: what decodes encodes to itself, and goes through both seals.
fn claimed(bytes: &[u8]) {
    let Some((claims, extras, payload)) = Claims::decode(bytes) else { return };
    let mut again = Vec::new();
    claims.encode(extras, &mut again);
    again.extend_from_slice(payload);
    assert_eq!(again, bytes, "one encoding");
    let key = kit::RING.keys().next().expect("one key").0;
    let content = Content { session: kit::SESSION, claims: &claims, extras, payload };
    for suite in [Suite::Encrypted, Suite::Signed] {
        let binding = kit::config(suite).binding();
        let Ok(text) = seal_with(suite, content, key, binding, &[7; 32]) else { continue };
        let envelope = match Unverified::parse(text.as_bytes()) {
            Ok(envelope) => envelope,
            Err(verdict) => {
                assert!(verdict == Verdict::TooLarge && text.len() > MAX_COOKIE, "{verdict}");
                continue;
            }
        };
        let opened = open(envelope, key, binding).expect("what was sealed opens");
        assert_eq!((opened.claims, opened.extras(), opened.payload()), (claims, extras, payload));
        // One bit of any character: the other value of that digit, or no digit at all.
        let mut broken = text.into_bytes();
        let at = bytes.iter().fold(0_usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % broken.len();
        broken[at] ^= 1 << (bytes[0] % 8);
        let reopened = Unverified::parse(&broken).map(|envelope| open(envelope, key, binding).is_ok());
        assert!(reopened != Ok(true), "a broken seal opens");
    }
}
