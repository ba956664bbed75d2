//! What any store of the revocation list promises, tried on each of them.

mod suite;

#[cfg(feature = "sqlite")]
mod sqlite;
