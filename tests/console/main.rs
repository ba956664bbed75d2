//! An operator at the console: a real browser, real apps as nodes, the list in a file and in Redis.
//!
//! Wants `chromium` and `chromedriver`, as `tests/browser.rs` does.
#![cfg(all(feature = "cli", unix))]

#[path = "../admin_support/mod.rs"]
mod admin_support;
#[path = "../redis_support/mod.rs"]
mod redis_support;
#[path = "../support/mod.rs"]
mod support;

mod stage;
mod store;

mod away;
mod figures;
mod logout;
mod look;
mod pictures;
mod rotation;
mod tokens;
