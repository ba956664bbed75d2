//! The only place with files, sockets and a runtime. Decisions are made elsewhere, on values.

mod anew;
pub mod examine;
pub mod folder;
pub mod follow;
pub mod in_force;
#[cfg(feature = "admin")]
pub mod journal;
#[cfg(feature = "backchannel")]
pub mod jwks;
#[cfg(feature = "sqlite")]
pub mod kept;
pub mod place;
pub mod private;
#[cfg(feature = "redis")]
pub mod redis;
pub mod ring_secret;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "admin")]
pub mod stream;
#[cfg(feature = "admin")]
pub mod task;
pub mod wake;
pub mod watch;
