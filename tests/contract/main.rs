//! What any store of the revocation list promises, tried on each of them.

mod beside;
mod followed;
mod over;
mod published;
mod suite;

#[cfg(feature = "redis")]
#[path = "../redis_support/mod.rs"]
mod redis_support;

#[cfg(feature = "redis")]
mod redis;

#[cfg(all(feature = "redis", feature = "sqlite"))]
mod kept;

#[cfg(feature = "sqlite")]
mod sqlite;
