//! The only place with files, sockets and a runtime. Decisions are made elsewhere, on values.

#[cfg(feature = "sqlite")]
pub mod sqlite;
