//! A key: 32 random bytes, an id made from them, and a birthday.

use std::fmt::Write as _;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::aead::Xaes256Gcm;
use crate::error::Error;
use crate::id::{KeyId, Tag, TagKind};
use crate::mac::MacKey;
use crate::random;
use crate::secret::Secret;
use crate::time::Seconds;
use crate::wire;

/// A sealing key as it stands in the key folder.
pub struct Key {
    id: KeyId,
    created: Seconds,
    secret: Secret,
}

/// The long-lived key under which subjects, tenants and labels are hashed for the revocation list.
///
/// It outlives every sealing key, so that the list goes on meaning the same through a rotation.
pub struct ListKey {
    secret: Secret,
}

const KEY_MAGIC: &str = "SEALJAR-SECRET-KEY-1";
const LIST_MAGIC: &str = "SEALJAR-LIST-KEY-1";

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

impl ListKey {
    /// A new one from the kernel's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { secret: Secret::new(random::kernel()?) })
    }

    /// From bytes that come from elsewhere.
    #[must_use]
    pub const fn from_bytes(secret: Secret) -> Self {
        Self { secret }
    }

    /// The text of its file.
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "# A sealjar list key: names of users are hashed under it in the revocation list.\n\
             # It stays the same for as long as the list lives; without it no user's sessions can be revoked.\n\
             {LIST_MAGIC}\nsecret: {}\n",
            Zeroizing::new(wire::encode(self.secret.expose())).as_str(),
        ))
    }

    /// Reads the text of its file.
    ///
    /// # Errors
    ///
    /// As [`Key::from_file`].
    pub fn from_file(text: &str) -> Result<Self, Error> {
        let secret = Fields::parse(text, LIST_MAGIC, &["secret"])?.secret()?;
        refuse_weak(secret.expose())?;
        Ok(Self { secret })
    }

    /// What the store remembers it by: tells two list keys apart and reveals neither.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mac = self.mac().sign(b"sealjar v1 list key fingerprint");
        mac[..8].iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The tag of a subject, tenant or label of one app: 8 bytes of HMAC-SHA256, the kind hashed along.
    #[must_use]
    pub fn tag(&self, app: &str, kind: TagKind, name: &str) -> Tag {
        let kind = match kind {
            TagKind::Subject => "subject",
            TagKind::Tenant => "tenant",
            TagKind::Label => "label",
        };
        Tag(u64::from_be_bytes(first(&self.mac().sign_fields(&[kind.as_bytes(), app.as_bytes(), name.as_bytes()]))))
    }

    /// What one app's records in a store that others may write to are signed with.
    #[must_use]
    pub fn control(&self, app: &str) -> ControlKey {
        ControlKey(MacKey::new(expand(&self.secret, "control", app).expose()))
    }

    /// The name under which a one-time value is remembered as spent.
    #[must_use]
    pub fn once(&self, app: &str, nonce: &[u8; 16]) -> [u8; 16] {
        first(&self.mac().sign_fields(&[b"once", app.as_bytes(), nonce]))
    }

    fn mac(&self) -> MacKey {
        MacKey::new(self.secret.expose())
    }
}

/// Signs the few records of a list that speak of everybody: so that write access to the store is not
/// enough to forge them.
pub struct ControlKey(MacKey);

/// The length of a [`ControlKey`]'s signature.
pub const CONTROL_MAC: usize = 16;

impl ControlKey {
    /// Signs the content of one field.
    #[must_use]
    pub fn sign(&self, field: &str, content: &[u8]) -> [u8; CONTROL_MAC] {
        let mac = self.0.sign_fields(&[field.as_bytes(), content]);
        let mut first = [0; CONTROL_MAC];
        first.copy_from_slice(&mac[..CONTROL_MAC]);
        first
    }

    /// Whether a signature is this key's, for this field and content.
    #[must_use]
    pub fn verify(&self, field: &str, content: &[u8], signature: &[u8]) -> bool {
        self.sign(field, content).ct_eq(signature).into()
    }
}

impl std::fmt::Debug for ControlKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ControlKey(..)")
    }
}

impl std::fmt::Debug for ListKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListKey({})", self.fingerprint())
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

/// The first bytes of a MAC, where all of it would be too long to keep.
fn first<const N: usize>(mac: &[u8; 32]) -> [u8; N] {
    let mut first = [0; N];
    first.copy_from_slice(&mac[..N]);
    first
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

/// The lines of a key file: comments, a magic line, then `name: value` each once.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str, magic: &str, names: &[&str]) -> Result<Self, Error> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        if lines.next() != Some(magic) {
            return Err(Error::key(
                format!("it does not begin with {magic}, so it is no key of ours or of another version"),
                "Make keys with `sealjar keys new`; a passphrase or bytes from elsewhere will not do",
            ));
        }
        let mut fields = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else {
                return Err(Error::key(
                    "it has a line without `name: value`",
                    "Restore the file from a backup of secrets",
                ));
            };
            if !names.contains(&name) || fields.iter().any(|&(seen, _)| seen == name) {
                return Err(Error::key(
                    "it has a line that is unknown or stands there twice",
                    "Restore the file from a backup of secrets",
                ));
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Result<&'a str, Error> {
        self.0.iter().find(|(found, _)| *found == name).map(|&(_, value)| value).ok_or_else(|| {
            Error::key(format!("its line `{name}:` is missing"), "Restore the file from a backup of secrets")
        })
    }

    fn secret(&self) -> Result<Secret, Error> {
        let wrong = |problem: String| {
            Error::key(problem, "Make a key with `sealjar keys new`, or restore this one from a backup of secrets")
        };
        let bytes = wire::decode(self.get("secret")?)
            .map(Zeroizing::new)
            .ok_or_else(|| wrong("its secret is not base64url".into()))?;
        let bytes: Zeroizing<[u8; 32]> = <[u8; 32]>::try_from(bytes.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| wrong(format!("its secret has {} bytes instead of 32", bytes.len())))?;
        Ok(Secret::new(*bytes))
    }
}

/// Refuses what people put where random bytes belong. Random bytes fail none of these (below 2⁻⁴⁰).
fn refuse_weak(bytes: &[u8; 32]) -> Result<(), Error> {
    let problem = if bytes.iter().all(|&b| b == bytes[0]) {
        "its secret is one byte over and over"
    } else if (1..=16).any(|period| bytes.iter().skip(period).eq(bytes.iter().take(32 - period))) {
        "its secret repeats itself"
    } else if bytes.iter().all(|b| (0x20..0x7f).contains(b)) {
        "its secret reads as text, so somebody typed it"
    } else if bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)) {
        "its secret counts upwards"
    } else {
        return Ok(());
    };
    Err(Error::key(problem, "Keys must be random: make one with `sealjar keys new`"))
}
