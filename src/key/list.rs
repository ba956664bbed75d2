//! The list key: what the revocation list's names are hashed under, and its few signed records signed with.

use std::fmt::Write as _;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::expand;
use super::file::{Fields, refuse_weak};
use crate::error::Error;
use crate::id::{Tag, TagKind};
use crate::mac::MacKey;
use crate::random;
use crate::secret::Secret;
use crate::wire;

const LIST_MAGIC: &str = "SEALJAR-LIST-KEY-1";

/// The long-lived key under which subjects, tenants and labels are hashed for the revocation list.
///
/// It outlives every sealing key, so that the list goes on meaning the same through a rotation.
pub struct ListKey {
    secret: Secret,
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
    /// As [`Key::from_file`](super::Key::from_file).
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
        self.tag_of(app, kind, &[name])
    }

    /// The tag of what has a name of several parts: an issuer and what it calls something. Each part is hashed
    /// behind its length, so no two names run together.
    #[must_use]
    pub fn tag_of(&self, app: &str, kind: TagKind, name: &[&str]) -> Tag {
        let kind = match kind {
            TagKind::Subject => "subject",
            TagKind::Tenant => "tenant",
            TagKind::Label => "label",
            TagKind::ProviderSubject => "provider subject",
            TagKind::ProviderSession => "provider session",
            TagKind::LogoutToken => "logout token",
        };
        let fields: Vec<_> = [kind, app].iter().chain(name).map(|field| field.as_bytes()).collect();
        Tag(u64::from_be_bytes(first(&self.mac().sign_fields(&fields))))
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

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    fn mac(&self) -> MacKey {
        MacKey::new(self.secret.expose())
    }
}

impl std::fmt::Debug for ListKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListKey({})", self.fingerprint())
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

/// The first bytes of a MAC, where all of it would be too long to keep.
fn first<const N: usize>(mac: &[u8; 32]) -> [u8; N] {
    let mut first = [0; N];
    first.copy_from_slice(&mac[..N]);
    first
}
