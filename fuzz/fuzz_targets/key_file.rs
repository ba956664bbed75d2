//! The text of key files: what is read can be written and read again, and no error repeats a secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealjar::key::{Key, ListKey};

fuzz_target!(|text: &str| {
    match Key::from_file(text) {
        Ok(key) => {
            let again = Key::from_file(&key.to_file()).expect("what was written can be read");
            assert_eq!((again.id(), again.created()), (key.id(), key.created()));
            assert_eq!(*again.to_file(), *key.to_file());
            silent(text, &format!("{key:?}"));
        }
        Err(error) => silent(text, &format!("{error} {error:?}")),
    }
    match ListKey::from_file(text) {
        Ok(key) => {
            let again = ListKey::from_file(&key.to_file()).expect("what was written can be read");
            assert_eq!(again.fingerprint(), key.fingerprint());
            silent(text, &format!("{key:?}"));
        }
        Err(error) => silent(text, &format!("{error} {error:?}")),
    }
});

/// No word as long as a secret appears in what is shown. Our own sentences have no such words.
fn silent(text: &str, shown: &str) {
    const SECRET: usize = 43;
    for word in text.split_ascii_whitespace().filter(|word| word.len() >= SECRET) {
        assert!(!shown.contains(word), "the text of a key file is shown");
    }
}
