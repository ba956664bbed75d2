//! Fleets for tests: node processes that run real `Sessions` over a real server, each over a link of its own
//! that can be cut, frozen and slowed.
//!
//! ```text
//!   test ──pipe──► node process ──TCP──► link (in the test) ──TCP──► Redis, Valkey
//! ```
//!
//! A node is the test program itself, started again; so every test program that uses this has
//!
//! ```text
//! #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
//! #[ignore = "a node of the other tests, in a process of its own"]
//! async fn node() {
//!     fleet::node::serve().await;
//! }
//! ```
#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

pub mod link;
pub mod node;
pub mod process;
pub mod wire;

use sealjar::time::Clock;

pub use link::Link;
pub use process::{Node, Outcome, Setup};
pub use wire::{Ask, Route, Said, Wait};

/// Microseconds of `CLOCK_BOOTTIME`, which all processes of a machine share.
pub fn boot_micros() -> u64 {
    u64::try_from(Clock::system().now().boot.as_micros()).unwrap()
}
