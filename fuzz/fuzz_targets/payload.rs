//! Arbitrary bytes behind a valid seal: opened, and decoded as a typed session, as a map and as any value.
#![no_main]
#![allow(dead_code, reason = "each target uses a part of the kit")]

mod kit;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sealjar::Map;
use sealjar::judge::{authenticate, judge};
use sealjar::payload::{self, MAX_DEPTH};
use sealjar::revocation::Replica;
use sealjar::seal::{Content, seal_with};
use sealjar::wire::{MAX_COOKIE, Suite};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A session type with something of everything.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Typed {
    name: String,
    #[serde(default)]
    visits: u32,
    #[serde(default)]
    balance: i64,
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    cart: Vec<(u64, Box<str>)>,
    #[serde(default)]
    by_name: BTreeMap<String, Vec<i8>>,
    #[serde(default)]
    below: Option<Box<Typed>>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
enum State {
    #[default]
    New,
    Waiting(u8),
    Done {
        at: u64,
    },
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let suite = if choice & 1 == 0 { Suite::Encrypted } else { Suite::Signed };
    let key = kit::RING.keys().next().expect("one key").0;
    let claims = kit::claims();
    let content = Content { session: kit::SESSION, claims: &claims, extras: b"", payload: bytes };
    let config = kit::config(suite);
    let Ok(text) = seal_with(suite, content, key, config.binding(), &[7; 32]) else { return };
    if text.len() > MAX_COOKIE {
        return;
    }
    let field = format!("{}={text}", kit::NAME);
    let Ok(authentic) = authenticate([field.as_bytes()], config, &kit::RING, kit::now()) else {
        panic!("what was sealed is authentic")
    };
    let Ok(opened) = judge(authentic, &Replica::default().view(), kit::now()) else { panic!("nothing was revoked") };
    assert_eq!(opened.payload(), bytes);
    again::<Typed>(suite, bytes);
    again::<Map>(suite, bytes);
    if let Some(value) = again::<Value>(suite, bytes) {
        assert!(depth(&value) <= MAX_DEPTH);
    }
});

/// What decodes can be written, and reads back as the same.
fn again<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(suite: Suite, bytes: &[u8]) -> Option<T> {
    let value: T = payload::decode(suite, bytes).ok()?;
    let mut written = Vec::new();
    payload::encode(suite, &value, &mut written).expect("what was read can be written");
    let read: T = payload::decode(suite, &written).expect("what was written can be read");
    // serde_json reads some fractions one step off, so those compare after one more round.
    if suite == Suite::Encrypted || !written.contains(&b'.') && !written.contains(&b'e') {
        assert_eq!(read, value);
    }
    Some(value)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(members) => 1 + members.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
