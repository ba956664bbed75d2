//! What a generated cookie is made from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{KeyInit as _, Mac as _};
use sealjar::aead::Xaes256Gcm;
use sealjar::claims::{Claims, Tags};
use sealjar::id::{SessionId, Tag};
use sealjar::key::Key;
use sealjar::payload;
use sealjar::ring::RingKey;
use sealjar::seal::{Binding, Content, Purpose, seal_with};
use sealjar::secret::Secret;
use sealjar::time::{Position, Seconds};
use sealjar::verdict::Verdict;
use sealjar::wire::{self, HEADER, Suite};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::case::{Case, Form, List};

/// 2026-11-23T15:20:00Z.
pub const NOW: u32 = 1_795_447_200;
/// The same moment by the list's clock.
pub const CLOCK: u64 = NOW as u64 * 1000;
pub const IDLE: u32 = 1800;
pub const ABSOLUTE: u32 = 43_200;
pub const NAME: &str = "__Host-shop";
pub const SUITES: [Suite; 2] = [Suite::Encrypted, Suite::Signed];
/// How many keys the kit publishes.
pub const KEYS: u8 = 5;

/// The published keys: hashes of text, so that they look as random as real ones.
pub fn key(n: u8) -> [u8; 32] {
    Sha256::digest(format!("sealjar test kit, key {n}")).into()
}

pub fn key_value(n: u8) -> Key {
    Key::dangerous_from_bytes(Secret::new(key(n)), Seconds(0))
}

pub fn session(name: &str) -> SessionId {
    let digest = Sha256::digest(format!("sealjar test kit, session {name}"));
    SessionId(std::array::from_fn(|i| digest[i]))
}

pub fn tag(name: &str) -> Tag {
    let digest = Sha256::digest(format!("sealjar test kit, tag {name}"));
    Tag(u64::from_be_bytes(std::array::from_fn(|i| digest[i])))
}

#[derive(Clone)]
pub struct Seed {
    pub suite: Suite,
    pub key: u8,
    pub app: String,
    pub cookie: String,
    pub session: SessionId,
    pub claims: Claims,
    pub extras: Vec<u8>,
    pub payload: Vec<u8>,
    pub randomness: u8,
}

impl Seed {
    /// A visitor with an empty map, ten minutes old, sealed five minutes ago.
    pub fn of(suite: Suite) -> Self {
        let claims = Claims {
            born: Position(CLOCK - 600_000),
            generation: 0,
            sealed_at: Seconds(NOW - 300),
            expires: Seconds(NOW - 600 + ABSOLUTE),
            authenticated_at: Seconds(NOW - 600),
            tags: Tags::default(),
            schema: 1,
        };
        let seed = Self {
            suite,
            key: 1,
            app: "shop".into(),
            cookie: NAME.into(),
            session: session("a"),
            claims,
            extras: Vec::new(),
            payload: Vec::new(),
            randomness: 1,
        };
        seed.value(&json!({}))
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn value(mut self, value: &Value) -> Self {
        self.payload.clear();
        payload::encode(self.suite, value, &mut self.payload).expect("a JSON value can be written");
        self
    }

    /// Logged in, with a tenant and this many labels.
    pub fn tagged(mut self, labels: usize) -> Self {
        self.claims.tags = Tags::of(Some(tag("subject")), Some(tag("tenant")));
        for n in 0..labels {
            assert!(self.claims.tags.add_label(tag(&format!("label {n}"))));
        }
        self
    }

    pub fn ring_key(&self) -> RingKey {
        RingKey::new(&key_value(self.key), &self.app)
    }

    /// The cookie's value, sealed by the crate.
    pub fn text(&self) -> String {
        let content =
            Content { session: self.session, claims: &self.claims, extras: &self.extras, payload: &self.payload };
        let binding = Binding::new(&self.app, &self.cookie, Purpose::Session);
        seal_with(self.suite, content, &self.ring_key(), &binding, &[self.randomness; 32]).expect("it fits")
    }

    /// The encoded claims and extras.
    pub fn claims_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.claims.encode(&self.extras, &mut bytes);
        bytes
    }

    pub fn header(&self) -> Vec<u8> {
        [&[self.suite.byte()][..], &key_value(self.key).id().0, &self.session.0].concat()
    }

    /// The associated data for a purpose.
    pub fn aad(&self, purpose: &str) -> Vec<u8> {
        let header = self.header();
        let mut aad = Vec::new();
        let texts = [self.app.as_str(), &self.cookie, purpose];
        for field in [&header[..1], &header[1..5], &header[5..HEADER]].into_iter().chain(texts.map(str::as_bytes)) {
            aad.extend_from_slice(&u16::try_from(field.len()).expect("short").to_be_bytes());
            aad.extend_from_slice(field);
        }
        aad
    }

    /// A sub-key, derived here once more so that seals can be made which the crate would not make.
    pub fn sub_key(&self, purpose: &str) -> Secret {
        let info = prefixed(&[b"sealjar v1", purpose.as_bytes(), self.app.as_bytes()]);
        let mut out = [0; 32];
        hkdf::Hkdf::<Sha256>::new(None, &key(self.key)).expand(&info, &mut out).expect("one block");
        Secret::new(out)
    }

    /// A valid seal around bytes of the caller's choice.
    pub fn forge(&self, claims: &[u8], purpose: &str) -> String {
        self.forge_with(claims, &self.aad(purpose))
    }

    pub fn forge_with(&self, claims: &[u8], aad: &[u8]) -> String {
        let mut bytes = self.header();
        match self.suite {
            Suite::Encrypted => {
                let fresh = [self.randomness; 12];
                let mut nonce = [0; 24];
                nonce[..12].copy_from_slice(&self.session.0);
                nonce[12..].copy_from_slice(&fresh);
                let mut body = [claims, &self.payload].concat();
                let cipher = Xaes256Gcm::new(&self.sub_key("seal"));
                let tag = cipher.seal(&nonce, aad, &mut body).expect("short");
                bytes.extend_from_slice(&fresh);
                bytes.extend_from_slice(&body);
                bytes.extend_from_slice(&tag);
                wire::encode(&bytes)
            }
            Suite::Signed => {
                bytes.extend_from_slice(claims);
                let mac = hmac(&self.sub_key("sign"), &prefixed(&[aad, claims, &self.payload]));
                wire::encode_signed(&bytes, &self.payload, &mac)
            }
        }
    }

    /// A case with this cookie alone, judged with everything as the seed has it.
    pub fn case(&self, name: &str, about: &str, expect: Verdict) -> Case {
        self.case_of(name, about, expect, &self.text())
    }

    /// The same with another value.
    pub fn case_of(&self, name: &str, about: &str, expect: Verdict, value: &str) -> Case {
        let payload = (expect == Verdict::Live)
            .then(|| payload::decode::<Value>(self.suite, &self.payload).expect("it decodes").to_string());
        Case {
            name: name.to_owned(),
            about: about.to_owned(),
            expect,
            app: self.app.clone(),
            cookie: self.cookie.clone(),
            suite: self.suite,
            idle: IDLE.into(),
            absolute: ABSOLUTE.into(),
            now: NOW,
            keys: vec![key(1)],
            key_states: Vec::new(),
            list: List::Read { clock: CLOCK, age: 1 },
            records: Vec::new(),
            form: Form::Any,
            payload,
            fields: vec![format!("{}={value}", self.cookie).into_bytes()],
        }
    }
}

pub fn hmac(key: &Secret, message: &[u8]) -> [u8; 32] {
    let mac = hmac::Hmac::<Sha256>::new_from_slice(key.expose()).expect("any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

/// Each field with its length in front, eight bytes, big endian.
pub fn prefixed(fields: &[&[u8]]) -> Vec<u8> {
    let field = |field: &&[u8]| [&(field.len() as u64).to_be_bytes()[..], field].concat();
    fields.iter().flat_map(field).collect()
}

pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("our own text")
}

/// An encrypted value with one byte of its envelope changed.
pub fn flipped(text: &str, at: usize) -> String {
    let mut bytes = decode(text);
    bytes[at] ^= 1;
    wire::encode(&bytes)
}

/// The three parts of a signed value.
pub fn parts(text: &str) -> [String; 3] {
    let parts: Vec<_> = text.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three parts")
}
