//! XAES-256-GCM (C2SP, version 1.0), composed from the `aes` and `aes-gcm` crates.
//!
//! ```text
//! 24-byte nonce = N (12) ║ M (12)
//!
//!           ┌ AES-256(K, 00 01 58 00 ║ N  ⊕ K1) ┐
//! key Kx  = ┤                                   ├      then AES-256-GCM(Kx, nonce M)
//!           └ AES-256(K, 00 02 58 00 ║ N  ⊕ K1) ┘
//! ```
//!
//! `K1` is the CMAC subkey of `K` (NIST SP 800-38B): AES of the zero block, doubled in GF(2¹²⁸). With the
//! session id as `N`, every session is sealed under a key of its own, and `M` may be drawn at random
//! without counting seals. Nothing here is a new primitive; the published vectors are in the tests.

use aes::Aes256Enc;
use aes::cipher::consts::U12;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{AesGcm, Nonce, Tag};
use zeroize::Zeroize;

use crate::secret::Secret;

/// `Aes256Enc` instead of `Aes256`: GCM never runs the cipher backwards, and half the key schedule
/// is half the key material to wipe.
type Gcm = AesGcm<Aes256Enc, U12>;

/// A key of XAES-256-GCM with its schedule ready.
pub struct Xaes256Gcm {
    cipher: Aes256Enc,
    subkey: [u8; 16],
}

/// The seal does not hold. There is nothing more to know, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSeal;

impl Xaes256Gcm {
    /// Expands the key.
    #[must_use]
    pub fn new(key: &Secret) -> Self {
        let cipher = Aes256Enc::new(key.expose().into());
        let mut block = aes::Block::default();
        cipher.encrypt_block(&mut block);
        Self { cipher, subkey: double(block.into()) }
    }

    /// Encrypts `body` in place and returns the tag.
    ///
    /// # Errors
    ///
    /// [`BadSeal`] only for lengths that no cookie has (64 GiB).
    pub fn seal(&self, nonce: &[u8; 24], aad: &[u8], body: &mut [u8]) -> Result<[u8; 16], BadSeal> {
        let (first, second) = halves(nonce);
        gcm_seal(&self.derive(first), second, aad, body)
    }

    /// Decrypts `body` in place.
    ///
    /// # Errors
    ///
    /// [`BadSeal`] when the tag does not fit; `body` then still holds the ciphertext.
    pub fn open(&self, nonce: &[u8; 24], aad: &[u8], body: &mut [u8], tag: &[u8; 16]) -> Result<(), BadSeal> {
        let (first, second) = halves(nonce);
        gcm_open(&self.derive(first), second, aad, body, tag)
    }

    fn derive(&self, nonce: &[u8; 12]) -> Secret {
        let mut halves = [1, 2].map(|counter| {
            let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            block[4..].copy_from_slice(nonce);
            for (byte, mask) in block.iter_mut().zip(self.subkey) {
                *byte ^= mask;
            }
            block.into()
        });
        // Both at once: one alone leaves most of the processor's AES unit idle.
        self.cipher.encrypt_blocks(&mut halves);
        let mut key = [0; 32];
        for (part, half) in key.chunks_exact_mut(16).zip(&halves) {
            part.copy_from_slice(half);
        }
        let derived = Secret::new(key);
        halves.iter_mut().for_each(|half| half.as_mut_slice().zeroize());
        key.zeroize();
        derived
    }
}

impl Drop for Xaes256Gcm {
    fn drop(&mut self) {
        self.subkey.zeroize();
    }
}

/// AES-256-GCM with a 96-bit nonce and the full tag (NIST SP 800-38D).
fn gcm_seal(key: &Secret, nonce: &[u8; 12], aad: &[u8], body: &mut [u8]) -> Result<[u8; 16], BadSeal> {
    Gcm::new(key.expose().into())
        .encrypt_inout_detached(&Nonce::from(*nonce), aad, body.into())
        .map(Into::into)
        .map_err(|_| BadSeal)
}

fn gcm_open(key: &Secret, nonce: &[u8; 12], aad: &[u8], body: &mut [u8], tag: &[u8; 16]) -> Result<(), BadSeal> {
    Gcm::new(key.expose().into())
        .decrypt_inout_detached(&Nonce::from(*nonce), aad, body.into(), &Tag::from(*tag))
        .map_err(|_| BadSeal)
}

/// Doubling in GF(2¹²⁸) with the polynomial of CMAC, without a branch on the secret bit.
fn double(block: [u8; 16]) -> [u8; 16] {
    let n = u128::from_be_bytes(block);
    let carry = (n >> 127) * 0x87;
    (n << 1 ^ carry).to_be_bytes()
}

fn halves(nonce: &[u8; 24]) -> (&[u8; 12], &[u8; 12]) {
    let (first, rest) = nonce.split_first_chunk().expect("24 is more than 12");
    let (second, _) = rest.split_first_chunk().expect("12 is 12");
    (first, second)
}

#[cfg(test)]
#[path = "aead_vectors.rs"]
mod vectors;
