//! Keys on their way to the nodes: wrapped under a secret that every node has and the list's store has not.
//!
//! ```text
//!  wrapped = nonce (24, from the kernel) ║ XAES-256-GCM(key of the app, created (4) ║ secret (32)) ║ tag (16)
//!  probe   = nonce (24, from the kernel) ║ tag (16)       under the wrapped key itself, over nothing
//! ```
//!
//! A wrapped key is bound to the app, to what it is (a session key or the list key) and to its id; so nothing in
//! the store can be moved to where it means something else. A probe shows that a node not only has a key of
//! the right name, but can open with it what another node sealed.

use zeroize::{Zeroize as _, Zeroizing};

use crate::aead::{BadSeal, Xaes256Gcm};
use crate::error::Error;
use crate::id::KeyId;
use crate::key::{Key, ListKey, RingSecret, SubKeys};
use crate::random;
use crate::secret::Secret;
use crate::time::Seconds;

/// Name of the parcel with a wrapped key: this, then the key's id.
pub const WRAPPED_KEY: &str = "key:";
/// Name of the parcel with a key's probe: this, then the key's id.
pub const KEY_PROBE: &str = "probe:";
/// Name of the parcel with the wrapped list key.
pub const WRAPPED_LIST_KEY: &str = "list";

const NONCE: usize = 24;
const TAG: usize = 16;
const CREATED: usize = 4;
const SECRET: usize = 32;

/// Why a wrapped key or a probe is of no use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It is not as long as it has to be.
    #[error("it is damaged")]
    Damaged,
    /// It was wrapped under another ring secret, for another app or key, or was altered.
    #[error("it does not open: the ring secret here is not the one that it was wrapped under, or it was altered")]
    Sealed,
    /// It opened and holds another key than it is named after.
    #[error("it holds another key than it is named after")]
    Named,
}

impl From<BadSeal> for NotOurs {
    fn from(_: BadSeal) -> Self {
        Self::Sealed
    }
}

impl RingSecret {
    /// Wraps a session key for the nodes of one app.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn wrap(&self, app: &str, key: &Key) -> Result<Vec<u8>, Error> {
        self.seal(app, &key.id().to_string(), key.created(), key.secret())
    }

    /// Unwraps the session key with this id.
    ///
    /// # Errors
    ///
    /// [`NotOurs`].
    pub fn unwrap(&self, app: &str, id: KeyId, wrapped: &[u8]) -> Result<Key, NotOurs> {
        let (created, secret) = self.open(app, &id.to_string(), wrapped)?;
        let key = Key::dangerous_from_bytes(secret, created);
        if key.id() == id { Ok(key) } else { Err(NotOurs::Named) }
    }

    /// Wraps the list key.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn wrap_list_key(&self, app: &str, key: &ListKey) -> Result<Vec<u8>, Error> {
        self.seal(app, LIST, Seconds(0), key.secret())
    }

    /// Unwraps the list key.
    ///
    /// # Errors
    ///
    /// [`NotOurs`].
    pub fn unwrap_list_key(&self, app: &str, wrapped: &[u8]) -> Result<ListKey, NotOurs> {
        self.open(app, LIST, wrapped).map(|(_, secret)| ListKey::from_bytes(secret))
    }

    fn seal(&self, app: &str, field: &str, created: Seconds, secret: &Secret) -> Result<Vec<u8>, Error> {
        let nonce = random::kernel()?;
        let mut body = Zeroizing::new([&created.0.to_be_bytes()[..], secret.expose()].concat());
        // Fails for lengths only that this has not.
        let tag = Xaes256Gcm::new(&self.wrapping(app)).seal(&nonce, field.as_bytes(), &mut body).unwrap_or_default();
        Ok([&nonce[..], &body, &tag].concat())
    }

    fn open(&self, app: &str, field: &str, wrapped: &[u8]) -> Result<(Seconds, Secret), NotOurs> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE>().ok_or(NotOurs::Damaged)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(NotOurs::Damaged)?;
        let mut body: [u8; CREATED + SECRET] = body.try_into().map_err(|_| NotOurs::Damaged)?;
        Xaes256Gcm::new(&self.wrapping(app)).open(nonce, field.as_bytes(), &mut body, tag)?;
        let mut secret = [0; SECRET];
        secret.copy_from_slice(&body[CREATED..]);
        let created = Seconds(body[..CREATED].iter().fold(0, |number, byte| number << 8 | u32::from(*byte)));
        body.zeroize();
        let opened = Secret::new(secret);
        secret.zeroize();
        Ok((created, opened))
    }
}

/// What stands for the id of the list key.
const LIST: &str = "list";
const PROBE: &[u8] = b"sealjar v1 probe";

impl Key {
    /// Seals a probe: whoever opens it can open this key's cookies.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn probe(&self, app: &str) -> Result<Vec<u8>, Error> {
        let nonce = random::kernel()?;
        let tag = self.derive(app).seal.seal(&nonce, PROBE, &mut []).unwrap_or_default();
        Ok([&nonce[..], &tag].concat())
    }
}

impl SubKeys {
    /// Opens a probe that another node sealed.
    ///
    /// # Errors
    ///
    /// [`NotOurs`].
    pub fn open_probe(&self, probe: &[u8]) -> Result<(), NotOurs> {
        let (nonce, tag) = probe.split_first_chunk::<NONCE>().ok_or(NotOurs::Damaged)?;
        let tag: &[u8; TAG] = tag.try_into().map_err(|_| NotOurs::Damaged)?;
        Ok(self.seal.open(nonce, PROBE, &mut [], tag)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_secret(byte: u8) -> RingSecret {
        RingSecret::dangerous_from_bytes(Secret::new([byte; 32]))
    }

    fn key(byte: u8) -> Key {
        Key::dangerous_from_bytes(Secret::new([byte; 32]), Seconds(1_795_447_200))
    }

    #[test]
    fn a_wrapped_key_comes_back_as_it_was() {
        let (secret, key) = (ring_secret(1), key(2));
        let wrapped = secret.wrap("shop", &key).unwrap();
        let back = secret.unwrap("shop", key.id(), &wrapped).unwrap();
        assert_eq!((back.id(), back.created()), (key.id(), key.created()));
        assert!(back.secret() == key.secret());
        assert_ne!(wrapped, secret.wrap("shop", &key).unwrap(), "each time under another nonce");
        let list = ListKey::from_bytes(Secret::new([3; 32]));
        let wrapped = secret.wrap_list_key("shop", &list).unwrap();
        assert_eq!(secret.unwrap_list_key("shop", &wrapped).unwrap().fingerprint(), list.fingerprint());
    }

    #[test]
    fn it_opens_only_where_it_belongs() {
        let (secret, key, other) = (ring_secret(1), key(2), key(4));
        let wrapped = secret.wrap("shop", &key).unwrap();
        let refused = |result: Result<Key, NotOurs>| result.err();
        assert_eq!(
            refused(ring_secret(9).unwrap("shop", key.id(), &wrapped)),
            Some(NotOurs::Sealed),
            "another ring secret"
        );
        assert_eq!(refused(secret.unwrap("mail", key.id(), &wrapped)), Some(NotOurs::Sealed), "another app");
        assert_eq!(refused(secret.unwrap("shop", other.id(), &wrapped)), Some(NotOurs::Sealed), "another id");
        assert!(secret.unwrap_list_key("shop", &wrapped).is_err(), "another field");
        for index in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[index] ^= 1;
            assert_eq!(refused(secret.unwrap("shop", key.id(), &altered)), Some(NotOurs::Sealed));
            assert!(secret.unwrap("shop", key.id(), &wrapped[..index]).is_err());
        }
    }

    #[test]
    fn a_probe_opens_under_its_key_and_app_only() {
        let probe = key(2).probe("shop").unwrap();
        assert_eq!(key(2).derive("shop").open_probe(&probe), Ok(()));
        assert_eq!(key(3).derive("shop").open_probe(&probe), Err(NotOurs::Sealed));
        assert_eq!(key(2).derive("mail").open_probe(&probe), Err(NotOurs::Sealed));
        assert_eq!(key(2).derive("shop").open_probe(&probe[1..]), Err(NotOurs::Damaged));
    }
}
