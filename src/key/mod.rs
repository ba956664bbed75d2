//! A key: 32 random bytes, an id made from them, and a birthday. Beside it the two long-lived secrets of a fleet.

mod file;
mod list;
mod ring;

use std::fmt::Write as _;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::aead::Xaes256Gcm;
use crate::error::Error;
use crate::id::KeyId;
use crate::mac::MacKey;
use crate::random;
use crate::secret::Secret;
use crate::time::Seconds;
use crate::wire;

use file::{Fields, refuse_weak};
pub use list::{CONTROL_MAC, ControlKey, ListKey};
pub use ring::RingSecret;

/// A sealing key as it stands in the key folder.
pub struct Key {
    id: KeyId,
    created: Seconds,
    secret: Secret,
}

const KEY_MAGIC: &str = "SEALJAR-SECRET-KEY-1";

/// The ids of keys that have been published: in this project's test kit and documents.
const PUBLISHED: [KeyId; 5] = [
    KeyId([0xf6, 0xca, 0xeb, 0x2f]),
    KeyId([0x0e, 0x77, 0x7c, 0x30]),
    KeyId([0x33, 0x6b, 0x1e, 0x43]),
    KeyId([0xe6, 0x82, 0xa1, 0xd7]),
    KeyId([0x32, 0x35, 0x36, 0x18]),
];

impl Key {
    /// A new key from the kernel's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn generate(created: Seconds) -> Result<Self, Error> {
        Ok(Self::dangerous_from_bytes(Secret::new(random::kernel()?), created))
    }

    /// A key from bytes that come from elsewhere, refused when they do not look random.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] for all-equal, repeated, text-like and published bytes.
    pub fn from_bytes(secret: Secret, created: Seconds) -> Result<Self, Error> {
        refuse_weak(secret.expose())?;
        let key = Self::dangerous_from_bytes(secret, created);
        if PUBLISHED.contains(&key.id) {
            return Err(Error::key(
                format!("key {} is a sample: everybody can read it in the test kit", key.id),
                "Make one of your own with `sealjar keys new`",
            ));
        }
        Ok(key)
    }

    /// A key from any bytes. For tests and tools that must read published keys.
    #[must_use]
    pub fn dangerous_from_bytes(secret: Secret, created: Seconds) -> Self {
        let digest = Sha256::new().chain_update(b"sealjar v1 key id\0").chain_update(secret.expose()).finalize();
        Self { id: KeyId([digest[0], digest[1], digest[2], digest[3]]), created, secret }
    }

    /// Its id: the first 4 bytes of a hash of the key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// When it was made.
    #[must_use]
    pub const fn created(&self) -> Seconds {
        self.created
    }

    /// The text of its file.
    ///
    /// # Security
    ///
    /// This is the key. Write it only into a file that its owner alone can read.
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(400));
        let _ = write!(
            text,
            "# A sealjar session key. Whoever reads it can forge every session of the apps that use it.\n\
             # Keep this file at mode 0600, out of version control, and in your backups of secrets only.\n\
             {KEY_MAGIC}\nid: {}\nalgorithm: XAES-256-GCM, HMAC-SHA256\ncreated: {}\nsecret: {}\n",
            self.id,
            self.created.0,
            Zeroizing::new(wire::encode(self.secret.expose())).as_str(),
        );
        text
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] with a sentence for each way in which the text is not a key; it never repeats the text.
    pub fn from_file(text: &str) -> Result<Self, Error> {
        let fields = Fields::parse(text, KEY_MAGIC, &["id", "algorithm", "created", "secret"])?;
        let created = fields.get("created")?.parse().map(Seconds).map_err(|_| {
            Error::key(
                "its line `created:` is not a number of unix seconds",
                "Restore the file from a backup of secrets",
            )
        })?;
        let key = Self::from_bytes(fields.secret()?, created)?;
        if fields.get("id")? != key.id.to_string() {
            return Err(Error::key(
                "its id does not belong to its secret, so one of the two was altered",
                "Restore the file from a backup of secrets, or remove it and make a new key with `sealjar keys new`",
            ));
        }
        Ok(key)
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The sub-keys of one app: one for each purpose, so that no two uses share key material.
    #[must_use]
    pub fn derive(&self, app: &str) -> SubKeys {
        SubKeys {
            seal: Xaes256Gcm::new(&self.expand("seal", app)),
            sign: MacKey::new(self.expand("sign", app).expose()),
            hedge: MacKey::new(self.expand("nonce hedge", app).expose()),
        }
    }

    /// HKDF-SHA256 (RFC 5869); the info field is length-prefixed, so no two purposes and apps run together.
    fn expand(&self, purpose: &str, app: &str) -> Secret {
        expand(&self.secret, purpose, app)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("created", &self.created).finish_non_exhaustive()
    }
}

/// What one app does its work with, derived from one key.
pub struct SubKeys {
    pub(crate) seal: Xaes256Gcm,
    pub(crate) sign: MacKey,
    pub(crate) hedge: MacKey,
}

fn expand(secret: &Secret, purpose: &str, app: &str) -> Secret {
    let mut info = Vec::with_capacity(64);
    for field in ["sealjar v1", purpose, app] {
        info.extend_from_slice(&(field.len() as u64).to_be_bytes());
        info.extend_from_slice(field.as_bytes());
    }
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, secret.expose()).expand(&info, &mut out).expect("32 bytes are one block of HKDF");
    let derived = Secret::new(out);
    out.zeroize();
    derived
}
