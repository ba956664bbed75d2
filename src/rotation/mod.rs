//! Key rotation over a fleet: which key is where, and what may happen to it next. No I/O, no clock.
//!
//! ```text
//!  stage ──► every node loads it and opens the probe ──► promote ──► drain ──► retire ──► destroy
//!    │                                                       │
//!    └─► abort                      compromise: from anywhere, with a replacement, ungated
//! ```
//!
//! - [`list`]: the states of keys, and records that merge by maximum.
//! - [`member`]: what is known of each node.
//! - [`life`]: when a store that lost something is whole again, and when a node may serve.
//! - [`gate`]: the decisions. Each answers the records to publish, or a [`Refusal`] that names the nodes.
//! - [`automatic`]: what is due by age, where nodes rotate by themselves.
//! - [`invariants`]: what must hold, as functions over states; property tests and the model checker call them.
//!
//! The store applies what a gate answered only if nothing that the gate looked at has changed meanwhile.

pub mod automatic;
pub mod gate;
pub mod invariants;
pub mod life;
pub mod list;
pub mod member;
mod refusal;

pub use automatic::Due;
pub use gate::{Change, Fleet, Terms};
pub use life::{Life, Standing};
pub use list::{KeyRecord, KeyState, Rotation};
pub use member::{Ack, Held, Member};
pub use refusal::{Lack, Missing, Refusal};
