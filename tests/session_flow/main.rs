//! What an app and its visitors can rely on, over the real embedded list.
#[path = "../support_sessions/mod.rs"]
mod support_sessions;

mod ends;
mod lasts;
mod stores;
