//! The one type that holds key bytes.
//!
//! Fixed size, wiped on drop, never cloned, never serialised, compared in constant time, and silent
//! in `Debug`. Everything that is key material passes through here, so these promises are kept once.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// 32 secret bytes.
///
/// # Security
///
/// Wiped when dropped. Equality takes the same time whatever the bytes are. `Debug` prints no byte.
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes the bytes over. The caller wipes its own copy.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves: for cryptography and for writing a key file, never for messages.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", Secret::new([0xAB; 32])), "Secret(..)");
    }

    #[test]
    fn equality_is_by_value() {
        assert_eq!(Secret::new([1; 32]), Secret::new([1; 32]));
        assert_ne!(Secret::new([1; 32]), Secret::new([2; 32]));
    }
}
