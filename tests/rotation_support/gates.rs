//! What the gates let through, and the lies that they are told where a rule is off.

use sealjar::id::KeyId;
use sealjar::rotation::{Ack, Change, Fleet, Held, KeyState, Life, Member, Refusal};

use super::World;
use super::state::{Memory, NEW, OLD, SPARE, State};
use super::step::Action::{self, Compromise, Confirm};
use super::step::{Gate, TERMS};

/// What the gates let through.
pub fn gates(world: &World, state: &State, actions: &mut Vec<Action>) {
    if !state.store.there {
        return;
    }
    let asked = Asked::new(world, state);
    let fleet = asked.fleet(state);
    let list = fleet.list;
    let mut open = |gate: Gate, answer: Result<Change, Refusal>| {
        actions.extend(answer.ok().map(|change| Action::Gate(gate, change)));
    };
    if state.left.stages > 0 {
        open(Gate::Stage(NEW), fleet.stage(NEW));
    }
    open(Gate::Abort(NEW), fleet.abort(NEW));
    for key in [OLD, NEW] {
        // A key that has no record is not at hand either.
        if list.record(key).is_some() && (list.state(key) != KeyState::Active || state.left.returns > 0) {
            open(Gate::Promote(key), fleet.promote(key));
            open(Gate::Recall(key), fleet.recall(key));
        }
        open(Gate::Retire(key), if world.rules.drain { fleet.retire(key) } else { fleet.retire_now(key) });
    }
    for key in [OLD, NEW] {
        let leaked = list.record(key).is_some_and(|record| record.state == KeyState::Compromised);
        if leaked && fleet.compromised(key).is_ok() {
            actions.push(Confirm(key));
        } else if !leaked && state.left.compromises > 0 && list.record(key).is_some() {
            actions.extend(fleet.compromise(key, Some(SPARE)).ok().map(|change| Compromise(key, change)));
        }
    }
}

/// What gates are told, with the lies that the rules that are off want.
struct Asked {
    members: Vec<Member>,
}

impl Asked {
    fn new(world: &World, state: &State) -> Self {
        let mut members = state.members(world.durable);
        if !world.rules.acknowledge {
            members.iter_mut().for_each(|member| pretend(member, NEW));
        }
        if !world.rules.two_holders {
            members.extend(["phantom-1", "phantom-2"].map(|name| phantom(name, &state.store.memory)));
        }
        Self { members }
    }

    fn fleet<'a>(&'a self, state: &'a State) -> Fleet<'a> {
        let life = Life { began: state.store.began, whole: state.store.whole };
        Fleet { list: &state.store.memory.list, members: &self.members, life, now: state.now, terms: TERMS }
    }
}

fn pretend(member: &mut Member, key: KeyId) {
    member.holds.insert(key, Held { record: None, ack: Ack::Loaded });
}

/// A node that is not there and says that it has everything.
fn phantom(name: &str, memory: &Memory) -> Member {
    let held = |(key, record)| (key, Held { record: Some(record), ack: Ack::Loaded });
    let holds = memory.list.records().map(held).collect();
    Member { name: name.into(), gave_back: true, sealing: memory.list.newest(), holds, ..Member::default() }
}
