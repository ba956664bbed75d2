//! A node's own file beside a list in Redis: it remembers what the server loses, and takes wishes while the
//! server is away.
#![cfg(all(feature = "redis", feature = "sqlite", feature = "cli", unix))]

#[allow(dead_code, reason = "half of it is for other tests")]
#[path = "../fleet/link.rs"]
mod link;
#[path = "../redis_support/mod.rs"]
mod redis_support;
#[path = "../sqlite_support/mod.rs"]
mod sqlite_support;
#[path = "../support_sessions/mod.rs"]
mod support_sessions;

mod disk;
mod figures;
mod file;
mod loss;
mod node;
mod spool;
