use std::collections::HashSet;

use super::*;
use crate::claims::Tags;
use crate::key::Key;
use crate::secret::Secret;
use crate::time::{Position, Seconds};

const SUITES: [Suite; 2] = [Suite::Encrypted, Suite::Signed];
const SESSION: SessionId = SessionId(*b"session12345");

fn key(byte: u8, app: &str) -> RingKey {
    RingKey::new(&Key::dangerous_from_bytes(Secret::new([byte; 32]), Seconds(0)), app)
}

fn claims() -> Claims {
    Claims {
        born: Position(1_000),
        generation: 0,
        sealed_at: Seconds(100),
        expires: Seconds(200),
        authenticated_at: Seconds(100),
        tags: Tags::default(),
        schema: 1,
    }
}

fn content<'a>(claims: &'a Claims, payload: &'a [u8]) -> Content<'a> {
    Content { session: SESSION, claims, extras: b"", payload }
}

fn open_text(text: &str, key: &RingKey, binding: &Binding) -> Result<Opened, Verdict> {
    open(Unverified::parse(text.as_bytes())?, key, binding)
}

#[test]
fn what_was_sealed_opens() {
    let (key, binding) = (key(1, "shop"), Binding::new("shop", "c", Purpose::Session));
    for suite in SUITES {
        for extras in [&b""[..], b"extras"] {
            for length in [0, 1, 15, 16, 17, 300, 2900] {
                let payload = vec![b'p'; length];
                let claims = claims();
                let content = Content { extras, ..content(&claims, &payload) };
                let text = seal(suite, content, &key, &binding).unwrap();
                let opened = open_text(&text, &key, &binding).unwrap();
                assert_eq!((opened.payload(), opened.extras()), (&payload[..], extras));
                assert_eq!((opened.claims, opened.session, opened.key), (claims, SESSION, key.id()));
            }
        }
    }
}

/// Key, app and name each in three variants, both suites: only the diagonal opens.
#[test]
fn a_cookie_opens_only_where_it_belongs() {
    let places: Vec<_> = [1, 2, 3]
        .into_iter()
        .flat_map(|byte| ["shop", "shopc", "blog"].map(move |app| (byte, app)))
        .flat_map(|(byte, app)| ["c", "hopc", "name"].map(move |name| (byte, app, name)))
        .map(|(byte, app, name)| (key(byte, app), Binding::new(app, name, Purpose::Session)))
        .collect();
    for suite in SUITES {
        for (i, (key, binding)) in places.iter().enumerate() {
            let text = seal(suite, content(&claims(), b"p"), key, binding).unwrap();
            for (j, (other_key, other_binding)) in places.iter().enumerate() {
                assert_eq!(open_text(&text, other_key, other_binding).is_ok(), i == j, "{i} opened at {j}");
            }
        }
    }
}

#[test]
fn a_repeated_random_state_repeats_no_nonce_for_two_messages() {
    let (key, binding) = (key(1, "shop"), Binding::new("shop", "c", Purpose::Session));
    let mut nonces = HashSet::new();
    for n in 0..20_000_u32 {
        let payload = n.to_be_bytes();
        let text = seal_with(Suite::Encrypted, content(&claims(), &payload), &key, &binding, &[7; 32]).unwrap();
        let bytes = wire::decode(&text).unwrap();
        assert!(nonces.insert(bytes[HEADER..HEADER + NONCE].to_vec()), "message {n}");
    }
}

#[test]
fn fresh_randomness_gives_the_same_message_another_nonce() {
    let (key, binding) = (key(1, "shop"), Binding::new("shop", "c", Purpose::Session));
    let once = || seal(Suite::Encrypted, content(&claims(), b"p"), &key, &binding).unwrap();
    assert_ne!(once(), once());
}

#[test]
fn a_signed_payload_cannot_move_into_the_claims() {
    let (key, binding) = (key(1, "shop"), Binding::new("shop", "c", Purpose::Session));
    let text = seal(Suite::Signed, content(&claims(), b"payload"), &key, &binding).unwrap();
    let parts: Vec<_> = text.split('.').map(|part| wire::decode(part).unwrap()).collect();
    let moved = wire::encode_signed(&[&parts[0][..], b"pay"].concat(), b"load", &parts[2]);
    assert_eq!(open_text(&moved, &key, &binding).err(), Some(Verdict::BadSeal));
}
