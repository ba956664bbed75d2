//! What the targets share: the test kit's key and its live cookies.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use sealjar::claims::{Claims, Tags};
use sealjar::config::Config;
use sealjar::id::SessionId;
use sealjar::key::Key;
use sealjar::revocation::Profile;
use sealjar::ring::{KeyRing, RingKey};
use sealjar::rotation::Rotation;
use sealjar::secret::Secret;
use sealjar::time::{Now, Position, Seconds};
use sealjar::wire::Suite;
use sha2::{Digest as _, Sha256};

pub const NOW: u32 = 1_795_447_200;
pub const NAME: &str = "__Host-shop";

pub fn key() -> Key {
    let bytes: [u8; 32] = Sha256::digest("sealjar test kit, key 1").into();
    Key::dangerous_from_bytes(Secret::new(bytes), Seconds(0))
}

pub static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let keys = vec![RingKey::new(&key(), "shop").into()];
    KeyRing::assemble(keys, Rotation::default(), Seconds(NOW), Duration::ZERO)
});

pub fn config(suite: Suite) -> &'static Config {
    static BOTH: LazyLock<[Config; 2]> = LazyLock::new(|| {
        [Suite::Encrypted, Suite::Signed].map(|suite| {
            let (idle, absolute) = (Duration::from_mins(30), Duration::from_hours(12));
            let profile = Profile { cookie: NAME.into(), suite, idle, absolute, longest: absolute };
            Config::of_profile("shop", &profile).expect("a good profile")
        })
    });
    let [encrypted, signed] = &*BOTH;
    if suite == Suite::Encrypted { encrypted } else { signed }
}

/// Every `=`-separated value in the test kit: no other text was ever sealed under the kit's keys.
pub static SEALED: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testkit/cases");
    let files = std::fs::read_dir(cases).expect("the test kit").map(|entry| entry.expect("an entry").path());
    let texts: Vec<_> = files.map(|path| std::fs::read_to_string(path).expect("text")).collect();
    let values = texts.iter().flat_map(|text| text.split([' ', ';', '=', '\n', '\\', '"'])).map(Into::into);
    values.collect()
});

pub fn now() -> Now {
    Now { millis: u64::from(NOW) * 1000, boot: Duration::from_secs(1) }
}

pub fn claims() -> Claims {
    Claims {
        born: Position(0),
        generation: 0,
        sealed_at: Seconds(NOW),
        expires: Seconds(NOW + 3600),
        authenticated_at: Seconds(NOW),
        tags: Tags::default(),
        schema: 0,
    }
}

pub const SESSION: SessionId = SessionId(*b"fuzz session");
