//! What was taken back: a set that only grows, one fold that judges by it, and the trait of its stores.
//!
//! | scope | record | denies a cookie when |
//! |---|---|---|
//! | session | short id | the id is there |
//! | generation floor | short id, floor | its generation is below the floor |
//! | cut-off | tag, position | it was born at or before the position |
//! | everybody | position | it was born at or before the position |
//! | forgotten | day, position | it ends before the day and was born at or before the position |
//! | key | key id, state | it was sealed under a denied key (judged by the [ring](crate::KeyRing)) |
//!
//! There is no un-revoke: a mistake is repaired by logging in again. So adding a record never turns a
//! denial into an acceptance, order and repetition do not matter, and any two copies can be merged.

pub mod freshness;
pub mod list;
pub mod memory;
pub mod node;
pub mod record;
mod records;
pub mod replica;
mod shards;
pub mod store;

pub use freshness::{Bounds, Freshness, RoutePolicy};
pub use list::{Denial, RevocationList};
pub use memory::{Memory, Origin, Snapshot, Waiting};
pub use node::{Node, Nodes, Progress, Report};
pub use record::{Record, Revocation};
pub use records::Records;
pub use replica::{Replica, View};
pub use store::{
    Beat, Condition, Durability, Follower, Heard, Once, OnceValue, OwnFileState, Parcel, Profile, Raised, Receipt,
    RevocationStore, Stand,
};
