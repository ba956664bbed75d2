//! Cookie fields, one a line: only values of the exact name are found, and what was not sealed is not live.
#![no_main]
#![allow(dead_code, reason = "each target uses a part of the kit")]

mod kit;

use libfuzzer_sys::fuzz_target;
use sealjar::cookie::header::{MAX_CANDIDATES, MAX_HEADER, MAX_PAIRS, find};
use sealjar::judge::authenticate;
use sealjar::verdict::Verdict;
use sealjar::wire::Suite;

/// The same search, written as plainly as can be.
fn plainly<'a>(fields: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let pairs = fields.iter().flat_map(|field| field.split(|&b| b == b';'));
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let trim = |bytes: &'a [u8]| {
        let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
        &bytes[start..end]
    };
    let name = format!("{}=", kit::NAME).into_bytes();
    pairs.map(trim).filter(|pair| pair.starts_with(&name)).map(|pair| trim(&pair[name.len()..])).collect()
}

fuzz_target!(|data: &[u8]| {
    let fields: Vec<_> = data.split(|&b| b == b'\n').collect();
    let found = find(fields.iter().copied(), kit::NAME);
    let pairs: usize = fields.iter().map(|field| field.split(|&b| b == b';').count()).sum();
    let bytes: usize = fields.iter().map(|field| field.len()).sum();
    let plain = plainly(&fields);
    match &found {
        Ok(found) => assert_eq!(found.values().collect::<Vec<_>>(), plain),
        Err(Verdict::NoCookie) => assert!(plain.is_empty()),
        Err(Verdict::TooLarge) => assert!(bytes > MAX_HEADER || pairs > MAX_PAIRS),
        Err(Verdict::Duplicate) => assert!(plain.len() > MAX_CANDIDATES),
        Err(other) => panic!("the header alone cannot be {other}"),
    }
    // Another cookie in front changes nothing, whatever is in it.
    if pairs < MAX_PAIRS && bytes + data.len() + 2 <= MAX_HEADER {
        let mut other = b"a=".to_vec();
        other.extend(data.iter().filter(|&&b| b != b';'));
        let with_other = find(std::iter::once(&other[..]).chain(fields.iter().copied()), kit::NAME);
        assert_eq!(with_other, found);
    }
    for suite in [Suite::Encrypted, Suite::Signed] {
        if authenticate(fields.iter().copied(), kit::config(suite), &kit::RING, kit::now()).is_ok() {
            let sealed = plain.iter().any(|value| kit::SEALED.contains(*value));
            assert!(sealed, "live, and nobody sealed it");
        }
    }
});
