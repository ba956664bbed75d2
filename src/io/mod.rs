//! The only place with files, sockets and a runtime. Decisions are made elsewhere, on values.

pub mod folder;
pub mod follow;
pub mod place;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod watch;
