//! Going on from a state without further faults: does everybody come to agree, and a rotation to its end?

use sealjar::rotation::KeyState;
use sealjar::rotation::invariants as k;

use super::World;
use super::gates::gates;
use super::state::{Budget, NEW, OLD, Slot, State};
use super::step::Action::{self, Age, Beat, Heal, RunOut, Start};
use super::step::{Gate, take};

/// The world some time later, if nothing goes wrong any more: everybody runs, and has nothing left to hear.
pub fn settled(world: &World, state: &State) -> Option<State> {
    let mut state = state.clone();
    loop {
        let before = state.clone();
        for index in 0..state.slots.len() {
            if state.slots[index].standing.is_none() {
                run(world, &mut state, RunOut(index));
            }
            run(world, &mut state, Start(index));
        }
        everyone_beats(world, &mut state);
        run(world, &mut state, Heal);
        if state == before {
            break;
        }
    }
    // Where nobody remembers anything, only an operator can make the store again.
    let lost = !state.store.there && state.slots.iter().all(|slot| slot.memory.is_none());
    (lost || state.slots.iter().all(Slot::serves)).then_some(state)
}

/// K7, where everybody has heard everything.
pub fn agrees(state: &State) -> bool {
    let nodes = state.serving();
    k::converged(&nodes).is_ok()
        && state.broke.is_none()
        && nodes.iter().all(|node| *node.list == state.store.memory.list)
}

/// K8: from where everybody has heard everything, a rotation comes to its end.
pub fn finishes(world: &World, mut state: State) -> bool {
    if !state.store.there || state.store.memory.list.state(OLD) != KeyState::Active {
        return true;
    }
    match state.store.memory.list.record(NEW).map(|record| record.state) {
        None | Some(KeyState::Staged | KeyState::Active) => {}
        Some(_) => return true,
    }
    state.left = Budget { ages: 2, stages: 1, returns: 2, ..Budget::default() };
    let _ = gate(world, &mut state, Gate::Stage(NEW));
    everyone_beats(world, &mut state);
    let _ = gate(world, &mut state, Gate::Recall(NEW));
    everyone_beats(world, &mut state);
    let _ = gate(world, &mut state, Gate::Promote(NEW));
    everyone_beats(world, &mut state);
    run(world, &mut state, Age);
    gate(world, &mut state, Gate::Retire(OLD))
}

fn run(world: &World, state: &mut State, action: Action) {
    if let Some(next) = take(world, state, action) {
        *state = next;
    }
}

/// Asks for one thing. Says whether the gate opened.
fn gate(world: &World, state: &mut State, wanted: Gate) -> bool {
    let mut actions = Vec::new();
    gates(world, state, &mut actions);
    let open = actions.into_iter().find(|action| matches!(action, Action::Gate(gate, _) if *gate == wanted));
    let opened = open.is_some();
    open.into_iter().for_each(|action| run(world, state, action));
    opened
}

/// Until nobody has anything left to hear.
fn everyone_beats(world: &World, state: &mut State) {
    let mut quiet = false;
    while !quiet {
        quiet = true;
        for index in 0..state.slots.len() {
            while let Some(next) = take(world, state, Beat(index)) {
                // A beat reorders the nodes: whoever stands here now has its beat as well.
                *state = next;
                quiet = false;
            }
        }
    }
}
