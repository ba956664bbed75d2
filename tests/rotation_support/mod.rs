//! A model of the rotation protocol for the model checker. The decisions are the crate's own functions; what
//! is modelled is the world around them: a store that can fail over to a lagging backup or be emptied, nodes
//! that are silent, crash and come back, and time.
//!
//! What stands for what:
//!
//! - A beat is one step: it gives back what the store lacks, reads, and writes the node's line. The real one
//!   writes its line first, so it tells of a record one beat later: gates only open later for it.
//! - A lease is a step, `RunOut`: from then on gates may pass over the node. A node that keeps the rules has
//!   stopped serving by then.
//! - A new life of the store has lasted for a lease when every serving node had a beat in it: the others have
//!   stopped by then.
//! - A failover brings the store back as it was at one earlier moment, whichever.
//! - `Age` lets the longest life of a cookie pass.
//! - The limit: of the nodes that a decision counted on, at most one is gone (crashed, or silent beyond its lease)
//!   when the store loses something, until the store is whole; or another one that serves is left. If all who
//!   know are gone, and the store forgets, nobody can know (see `docs/rotation-model.md`).
//! - A node's name is free again when its lease has run out.
//!
//! A rule is switched off by lying to the function that holds it, or by going round it.

mod gates;
mod onward;
mod state;
mod step;

use stateright::{Model, Property};

pub use state::{Budget, State};
pub use step::Action;

/// The nine rules without which the protocol breaks.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "nine switches are what this is")]
pub struct Rules {
    /// A key is promoted when every live node has acknowledged it.
    pub acknowledge: bool,
    /// A node is registered before it loads the list.
    pub register_first: bool,
    /// After a loss, nodes that the store may have forgotten get a lease's time.
    pub wait_out_leases: bool,
    /// Nodes give back what the store lost.
    pub push_back: bool,
    /// Who joins loads from a whole store only.
    pub heal_before_joining: bool,
    /// Who was fenced resumes on a whole store only.
    pub heal_before_resuming: bool,
    /// Two nodes hold what one crash must not undo.
    pub two_holders: bool,
    /// A key is retired when nobody seals with it and its cookies have expired.
    pub drain: bool,
    /// A node whose lease has run out does not serve.
    pub stop_at_the_lease: bool,
}

impl Rules {
    pub const ALL: Self = Self {
        acknowledge: true,
        register_first: true,
        wait_out_leases: true,
        push_back: true,
        heal_before_joining: true,
        heal_before_resuming: true,
        two_holders: true,
        drain: true,
        stop_at_the_lease: true,
    };
}

/// One world to look through.
#[derive(Clone, Debug)]
pub struct World {
    pub rules: Rules,
    /// Nodes at the start: so many serve, so many are yet to be started.
    pub starts: Vec<(usize, usize)>,
    pub budget: Budget,
    /// Whether nodes keep their memory on a disk.
    pub durable: bool,
    /// Whether a loss may find nobody left who knows.
    pub beyond_the_limit: bool,
    /// The invariants to check.
    pub watch: Vec<&'static str>,
}

impl World {
    pub fn new(starts: &[(usize, usize)], budget: Budget) -> Self {
        Self {
            rules: Rules::ALL,
            starts: starts.to_vec(),
            budget,
            durable: false,
            beyond_the_limit: false,
            watch: vec!["K1", "K2", "K3", "K4", "K5", "K6"],
        }
    }
}

impl World {
    /// Checks in every state, too, that everybody comes to agree and that a rotation comes to its end. Dear.
    pub fn finishing(mut self) -> Self {
        self.watch.extend(["K7", "K8"]);
        self
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.starts.iter().map(|&(serving, off)| State::new(serving, off, self.budget)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        step::possible(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        step::take(self, state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all: [Property<Self>; 8] = [
            Property::always("K1", |_, state: &State| state.broke != Some("K1")),
            Property::always("K2", |_, state: &State| state.broke != Some("K2")),
            Property::always("K3", |_, state: &State| state.broke != Some("K3")),
            Property::always("K4", |_, state: &State| state.broke != Some("K4")),
            Property::always("K5", |_, state: &State| state.broke != Some("K5")),
            Property::always("K6", |_, state: &State| state.broke != Some("K6")),
            Property::always("K7", |world, state| {
                onward::settled(world, state).is_some_and(|end| onward::agrees(&end))
            }),
            Property::always("K8", |world, state| {
                onward::settled(world, state).is_some_and(|end| onward::finishes(world, end))
            }),
        ];
        all.into_iter().filter(|property| self.watch.contains(&property.name)).collect()
    }
}
