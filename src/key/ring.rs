//! The ring secret: what keys are wrapped under on their way to the nodes.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::expand;
use super::file::{Fields, refuse_weak};
use crate::error::Error;
use crate::mac::MacKey;
use crate::random;
use crate::secret::Secret;
use crate::wire;

const RING_MAGIC: &str = "SEALJAR-RING-SECRET-1";

/// What every node of a fleet has and the list's store has not: keys travel through the store wrapped under it.
///
/// # Security
///
/// Whoever has it and can read the store has every session key. Keep it where secrets are kept, apart from the
/// store.
pub struct RingSecret {
    secret: Secret,
}

impl RingSecret {
    /// A new one from the kernel's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { secret: Secret::new(random::kernel()?) })
    }

    /// From any bytes. For tests.
    #[must_use]
    pub const fn dangerous_from_bytes(secret: Secret) -> Self {
        Self { secret }
    }

    /// The text of its file; the line behind `secret:` alone will do in an environment variable.
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "# A sealjar ring secret: session keys travel to the nodes wrapped under it.\n\
             # Every node has the same. Keep it at mode 0600, apart from the revocation list's store.\n\
             {RING_MAGIC}\nsecret: {}\n",
            Zeroizing::new(wire::encode(self.secret.expose())).as_str(),
        ))
    }

    /// Reads the text of its file, or the secret alone.
    ///
    /// # Errors
    ///
    /// As [`Key::from_file`](super::Key::from_file).
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let alone = text.trim();
        let secret = if alone.contains(char::is_whitespace) {
            Fields::parse(text, RING_MAGIC, &["secret"])?.secret()?
        } else {
            Fields::alone(alone).secret()?
        };
        refuse_weak(secret.expose())?;
        Ok(Self { secret })
    }

    /// Tells two ring secrets apart and reveals neither.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mac = MacKey::new(self.secret.expose()).sign(b"sealjar v1 ring secret fingerprint");
        mac[..4].iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// What keys of one app are wrapped under.
    pub(crate) fn wrapping(&self, app: &str) -> Secret {
        expand(&self.secret, "wrap", app)
    }
}

impl std::fmt::Debug for RingSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RingSecret({})", self.fingerprint())
    }
}
