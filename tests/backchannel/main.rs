//! OpenID Connect Back-Channel Logout against a running app: real HTTP, real lists, tokens from another library.
#![cfg(all(feature = "backchannel", feature = "redis", feature = "sqlite"))]

#[path = "../redis_support/mod.rs"]
mod redis_support;
#[path = "../support/mod.rs"]
mod support;

mod app;
mod mint;

mod accepted;
mod broken;
mod documents;
mod keys;
mod refused;
