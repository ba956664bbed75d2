//! What the examples show, shown again by real processes over HTTP.
#![cfg(all(feature = "warp", feature = "sqlite"))]

#[path = "../support/mod.rs"]
mod support;

mod both;
mod captcha;
mod login;
