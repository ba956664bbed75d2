//! What each route does.

pub mod keys;
pub mod looks;
pub mod metrics;
pub mod nodes;
pub mod revocations;
pub mod rotations;
pub mod store;
