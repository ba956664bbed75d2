//! What can happen, and what comes of it. What gates decide is in `gates`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sealjar::id::KeyId;
use sealjar::rotation::invariants::{self as k, Closed};
use sealjar::rotation::life::heal;
use sealjar::rotation::{Change, KeyState, Standing, Terms};
use sealjar::time::{Position, days, minutes};

use super::World;
use super::gates::gates;
use super::state::{Entry, Memory, SPARE, Slot, State};

const LEASE: Duration = minutes(1);
pub const TERMS: Terms = Terms { lease: LEASE, longest: days(1), keep: days(1) };

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start(usize),
    Beat(usize),
    RunOut(usize),
    Crash(usize),
    Freeze,
    Failover,
    Wipe,
    Heal,
    /// A gate opened, and its records are published.
    Gate(Gate, Change),
    Compromise(KeyId, Change),
    Confirm(KeyId),
    Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Stage(KeyId),
    Promote(KeyId),
    Recall(KeyId),
    Retire(KeyId),
    Abort(KeyId),
}

use Action::{Age, Beat, Compromise, Confirm, Crash, Failover, Freeze, Heal, RunOut, Start, Wipe};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(gate, _) => write!(f, "{gate:?}"),
            Compromise(key, _) => write!(f, "Compromise({key:?})"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// What could be tried. Of nodes that are alike, one is enough.
pub fn possible(world: &World, state: &State, actions: &mut Vec<Action>) {
    for index in 0..state.slots.len() {
        if index > 0 && state.slots[index] == state.slots[index - 1] {
            continue;
        }
        actions.extend([Start(index), Beat(index), RunOut(index)]);
        if state.left.crashes > 0 {
            actions.push(Crash(index));
        }
    }
    let left = state.left;
    let may_be_lost = world.beyond_the_limit || state.gone <= 1 || state.slots.iter().any(Slot::serves);
    if left.failovers > 0 {
        match state.backup {
            Some(_) => actions.push(Failover),
            None if state.store.there => actions.push(Freeze),
            None => {}
        }
    }
    if left.wipes > 0 {
        actions.push(Wipe);
    }
    if !may_be_lost {
        actions.retain(|action| !matches!(action, Failover | Wipe));
    }
    actions.push(Heal);
    if left.ages > 0 {
        actions.push(Age);
    }
    gates(world, state, actions);
}

/// What comes of an action; nothing if it cannot be, or changes nothing.
pub fn take(world: &World, before: &State, action: Action) -> Option<State> {
    let mut state = before.clone();
    match action {
        Start(index) => start(world, &mut state.slots[index])?,
        Beat(index) => beat(world, &mut state, index)?,
        RunOut(index) => run_out(world, &mut state, index)?,
        Crash(index) => crash(world, &mut state, index)?,
        Freeze => freeze(&mut state),
        Failover => fail_over(&mut state)?,
        Wipe => wipe(&mut state),
        Heal => whole_again(world, &mut state)?,
        Action::Gate(gate, change) => {
            apply(&mut state, change, 0);
            match gate {
                Gate::Promote(key) => promoted(world, before, &mut state, key),
                Gate::Retire(_) => decided(&mut state),
                Gate::Stage(_) => state.left.stages -= 1,
                Gate::Recall(_) | Gate::Abort(_) => {}
            }
        }
        Compromise(_, change) => {
            state.left.compromises -= 1;
            let everybody = u64::from(state.now.0);
            apply(&mut state, change, everybody);
            state.unprotected.insert(SPARE);
        }
        Confirm(key) => {
            state.closed.insert(Closed { key, everybody: Position(state.store.memory.everybody) });
            state.unprotected.clear();
            decided(&mut state);
        }
        Age => {
            // Longer than any lease: whoever still serves has had beats, and heard all that there was to hear.
            let heard = |slot: &Slot| slot.met && slot.memory.as_deref().is_some_and(|memory| knows(memory, &state));
            if !state.slots.iter().all(|slot| slot.lapsed || !slot.serves() || heard(slot)) {
                return None;
            }
            state.left.ages -= 1;
            state.now = state.now.after(days(1)).after(minutes(10));
            state.cookies.clear();
        }
    }
    lease_passes(world, &mut state);
    state.slots.sort();
    if state == *before {
        return None;
    }
    check(world, &mut state);
    Some(state)
}

/// Everything that must hold in the state that came of it.
fn check(world: &World, state: &mut State) {
    let serving = state.serving();
    let sealed: Vec<_> = serving.iter().filter_map(k::Node::seals).collect();
    let mut cookies = state.cookies.clone();
    cookies.extend(sealed);
    let outcomes = [
        k::openable(&serving, &state.unprotected),
        k::not_orphaned(&serving, &cookies, &state.unprotected),
        if state.store.whole { k::retired_rightly(&state.store.memory.list, &serving, &cookies) } else { Ok(()) },
        k::stays_closed(&state.closed, &serving),
    ];
    state.cookies = cookies;
    outcomes.into_iter().for_each(|outcome| state.note(world, outcome));
}

fn start(world: &World, slot: &mut Slot) -> Option<()> {
    if slot.standing.is_some() || (slot.entry.is_some() && !slot.lapsed) {
        return None;
    }
    slot.standing = Some(Standing::Joining);
    slot.memory = slot.memory.take().filter(|_| world.durable);
    (slot.met, slot.lapsed, slot.entry) = (false, false, None);
    Some(())
}

fn beat(world: &World, state: &mut State, index: usize) -> Option<()> {
    let rules = world.rules;
    let State { slots, store, now, .. } = state;
    let slot = &mut slots[index];
    let standing = slot.standing?;
    if let Some(memory) = &slot.memory {
        store.there = true;
        if rules.push_back {
            let list = memory.list.given_back(&store.memory.list, *now, LEASE).into_iter().collect();
            merge(&mut store.memory, &Memory { list, everybody: memory.everybody });
        }
        store.witnessed |= standing == Standing::Serving;
    }
    let whole = match standing {
        Standing::Joining if !rules.heal_before_joining => store.there,
        Standing::Fenced if !rules.heal_before_resuming => store.there,
        _ => store.there && store.whole,
    };
    // It is written before anything is read; without the rule it says that it is, and is not.
    let registers = rules.register_first || standing != Standing::Joining;
    let after = standing.after_beat(true, whole);
    slot.standing = Some(after);
    if after != Standing::Joining && store.there {
        let mut memory = slot.memory.take().unwrap_or_default();
        let was = memory.clone();
        merge(&mut memory, &store.memory);
        let kept = k::never_down(&was.list, &memory.list);
        slot.memory = Some(memory);
        slot.met = true;
        if registers || slot.entry.is_some() {
            slot.entry = Some(Entry { gave_back: true, told: slot.memory.clone().unwrap_or_default() });
        }
        slot.lapsed = false;
        state.note(world, kept);
        return Some(());
    }
    slot.lapsed = false;
    if registers {
        slot.entry = Some(Entry { gave_back: true, told: Arc::default() });
    }
    Some(())
}

/// A shared memory is copied only if there is something new.
fn merge(into: &mut Arc<Memory>, from: &Memory) {
    let mut merged = Memory::clone(into);
    merged.merge(from);
    if merged != **into {
        *into = Arc::new(merged);
    }
}

/// Whether there is nothing in the store that this memory lacks.
fn knows(memory: &Memory, state: &State) -> bool {
    let mut merged = memory.clone();
    merged.merge(&state.store.memory);
    merged == *memory
}

/// A decision counted on the nodes that had not lapsed. Some may have crashed unnoticed.
fn decided(state: &mut State) {
    let dead = |slot: &&Slot| slot.entry.is_some() && !slot.lapsed && !slot.serves();
    let mut gone = state.slots.iter().filter(dead).count();
    if state.slots.len() > 1 && state.slots.iter().filter(|slot| slot.entry.is_some()).count() == 1 {
        // A lone node with a disk: nobody else is started until it is back.
        gone += 1;
    }
    state.gone = u8::try_from(gone).unwrap_or(2).min(2);
}

/// Whether a node may stop serving without going beyond the limit; see the head of the module.
fn may_leave(world: &World, state: &State, index: usize) -> bool {
    let other = state.slots.iter().enumerate().any(|(at, slot)| at != index && slot.serves());
    let known = (state.store.there && state.store.whole) || state.store.witnessed;
    world.beyond_the_limit || known || other || state.gone == 0 || !state.slots[index].serves()
}

fn run_out(world: &World, state: &mut State, index: usize) -> Option<()> {
    let slot = &state.slots[index];
    let silent = slot.standing != Some(Standing::Joining) && (slot.standing.is_some() || slot.entry.is_some());
    if slot.lapsed || !silent || !may_leave(world, state, index) {
        return None;
    }
    let slot = &mut state.slots[index];
    state.gone = (state.gone + u8::from(slot.serves())).min(2);
    slot.lapsed = true;
    if world.rules.stop_at_the_lease {
        let silence = LEASE + Duration::from_millis(1);
        slot.standing = slot.standing.map(|standing| standing.after_silence(silence, LEASE));
    }
    Some(())
}

fn crash(world: &World, state: &mut State, index: usize) -> Option<()> {
    state.slots[index].standing?;
    if !may_leave(world, state, index) {
        return None;
    }
    state.left.crashes -= 1;
    let slot = &mut state.slots[index];
    state.gone = (state.gone + u8::from(slot.serves() && !slot.lapsed)).min(2);
    (slot.standing, slot.met) = (None, false);
    slot.memory = slot.memory.take().filter(|_| world.durable);
    Some(())
}

fn freeze(state: &mut State) {
    state.backup = Some(state.store.memory.clone());
    for slot in &mut state.slots {
        slot.backup = slot.entry.clone().map(|entry| Entry { gave_back: false, ..entry });
    }
}

fn fail_over(state: &mut State) -> Option<()> {
    let memory = state.backup.take()?;
    state.left.failovers -= 1;
    for slot in &mut state.slots {
        slot.entry = slot.backup.take();
    }
    new_life(state, memory, true);
    Some(())
}

fn wipe(state: &mut State) {
    state.left.wipes -= 1;
    for slot in &mut state.slots {
        slot.entry = None;
    }
    new_life(state, Arc::default(), false);
}

fn new_life(state: &mut State, memory: Arc<Memory>, there: bool) {
    state.now = state.now.after(minutes(2));
    let store = &mut state.store;
    (store.memory, store.there, store.whole, store.witnessed, store.began) = (memory, there, false, false, state.now);
    // What follows the store loses with it.
    state.backup = None;
    for slot in &mut state.slots {
        (slot.met, slot.backup) = (false, None);
    }
}

fn whole_again(world: &World, state: &mut State) -> Option<()> {
    if state.store.whole || !state.store.there {
        return None;
    }
    let now = if has_waited(world, state) { state.now.after(LEASE) } else { state.now };
    heal(&state.members(world.durable), state.store.began.until(now), LEASE).ok()?;
    state.store.whole = true;
    state.now = now;
    Some(())
}

/// Whether a new life of the store may have lasted for a lease by now.
fn has_waited(world: &World, state: &State) -> bool {
    let met = |slot: &Slot| slot.met || slot.lapsed || !slot.serves();
    !world.rules.wait_out_leases || state.slots.iter().all(met)
}

/// A lease passes as soon as it can. That opens gates, and keeps nobody from anything.
fn lease_passes(world: &World, state: &mut State) {
    let aged = state.store.began.until(state.now) >= LEASE;
    if state.store.there && state.store.whole && !aged && has_waited(world, state) {
        state.now = state.now.after(LEASE);
    }
}

fn apply(state: &mut State, change: Change, everybody: u64) {
    merge(&mut state.store.memory, &Memory { list: change.into_iter().collect(), everybody });
}

/// A promotion that was published: whether K4 held at that moment.
fn promoted(world: &World, before: &State, state: &mut State, key: KeyId) {
    if before.store.memory.list.state(key) == KeyState::Active {
        state.left.returns -= 1;
    }
    let told = |slot: &&Slot| slot.entry.as_ref().is_some_and(|entry| entry.told.as_node().opens(key));
    let remember = before.slots.iter().filter(|slot| !slot.lapsed).filter(told).count();
    let alone = world.durable && before.slots.iter().filter(|slot| slot.entry.is_some()).count() == 1;
    let rightly = k::promoted_rightly(key, &before.serving(), remember, if alone { 1 } else { 2 });
    state.note(world, rightly);
    decided(state);
}
