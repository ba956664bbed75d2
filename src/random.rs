//! The only place that asks for random bytes.

use rand::Rng;

use crate::error::Error;

/// Bytes straight from the kernel: for keys, session ids and one-time values.
///
/// # Errors
///
/// [`Error::Random`] when the kernel gives none. There is no weaker source to fall back to.
pub fn kernel<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

/// Fresh bytes for a nonce, from a generator in user space that the kernel seeds and reseeds.
///
/// A system call for each seal costs more than the encryption. What makes the faster source safe
/// enough here is the hedge in [`crate::seal`]: a repeated state cannot repeat a nonce for two messages.
#[must_use]
pub fn fresh<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}
