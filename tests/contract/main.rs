//! What any store of the revocation list promises, tried on each of them.

mod suite;

#[cfg(feature = "redis")]
#[path = "../redis_support/mod.rs"]
mod redis_support;

#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "sqlite")]
mod sqlite;
