use std::collections::BTreeMap;

use super::super::member::{Ack, Held};
use super::super::refusal::{Lack, Missing};
use super::*;

const OLD: KeyId = KeyId([0, 0, 0, 1]);
const NEW: KeyId = KeyId([0, 0, 0, 2]);
const NOW: Seconds = Seconds(1_000_000);
const TERMS: Terms =
    Terms { lease: Duration::from_secs(60), longest: Duration::from_secs(86_400), keep: Duration::from_secs(3600) };

fn list(records: &[(KeyId, KeyState, u32)]) -> Rotation {
    let mut list = Rotation::default();
    for &(key, state, promotion) in records {
        list.insert(key, KeyRecord { state, promotion, mark: Seconds(100) });
    }
    list
}

/// A node that has merged the whole list and has every key of it.
fn member(name: &str, list: &Rotation, sealing: KeyId) -> Member {
    let held = |(key, record)| (key, Held { record: Some(record), ack: Ack::Loaded });
    let holds = list.records().map(held).collect();
    Member { name: name.into(), gave_back: true, sealing: Some(sealing), holds, ..Member::default() }
}

fn fleet<'a>(list: &'a Rotation, members: &'a [Member]) -> Fleet<'a> {
    Fleet { list, members, life: Life { began: Seconds(50), whole: true }, now: NOW, terms: TERMS }
}

fn staged() -> (Rotation, Vec<Member>) {
    let list = list(&[(OLD, KeyState::Active, 1), (NEW, KeyState::Staged, 0)]);
    let members = ["one", "two", "three"].map(|name| member(name, &list, OLD)).to_vec();
    (list, members)
}

fn promoted() -> (Rotation, Vec<Member>) {
    let list = list(&[(OLD, KeyState::Active, 1), (NEW, KeyState::Active, 2)]);
    let members = ["one", "two", "three"].map(|name| member(name, &list, NEW)).to_vec();
    (list, members)
}

/// The list after a change.
fn after(list: &Rotation, change: Change) -> Rotation {
    let mut list = list.clone();
    for (key, record) in change {
        list.insert(key, record);
    }
    list
}

#[test]
fn one_key_is_staged_at_a_time_and_no_id_is_used_twice() {
    let before = list(&[(OLD, KeyState::Active, 1)]);
    let staged = after(&before, fleet(&before, &[]).stage(NEW).unwrap());
    assert_eq!(staged.record(NEW), Some(KeyRecord { state: KeyState::Staged, promotion: 0, mark: NOW }));
    assert_eq!(fleet(&staged, &[]).stage(KeyId([9; 4])), Err(Refusal::Staged(NEW)));
    assert_eq!(fleet(&staged, &[]).stage(OLD), Err(Refusal::Taken(OLD)));
    let by_age = Rotation::default();
    assert_eq!(fleet(&by_age, &[member("one", &before, OLD)]).stage(OLD), Err(Refusal::Seals(OLD)));
}

#[test]
fn a_key_that_is_staged_again_after_a_loss_cannot_be_taken_back() {
    let before = list(&[(OLD, KeyState::Active, 1)]);
    let staged = after(&before, fleet(&before, &[]).stage(NEW).unwrap());
    assert!(fleet(&staged, &[]).abort(NEW).is_ok());
    let again = after(&before, fleet(&before, &[]).stage_again(NEW).unwrap());
    let holder = [member("one", &again, NEW)];
    assert_eq!(fleet(&again, &holder).abort(NEW), Err(Refusal::MayHaveSealed(NEW)));
    let later = after(&again, fleet(&before, &[]).stage_again(NEW).unwrap());
    assert_eq!(fleet(&later, &holder).abort(NEW), Err(Refusal::MayHaveSealed(NEW)), "nor if that is done twice");
    assert_eq!(fleet(&again, &holder).abort_lost(NEW), Err(Refusal::MayHaveSealed(NEW)));
    let stranger = [member("one", &before, OLD)];
    assert_eq!(fleet(&again, &stranger).abort(NEW), Err(Refusal::MayHaveSealed(NEW)), "who had it may have crashed");
    assert!(fleet(&again, &stranger).abort_lost(NEW).is_ok(), "but for somebody who insists");
}

#[test]
fn promote_names_every_node_that_is_not_ready_and_why() {
    let (list, mut members) = staged();
    members[0].holds.remove(&NEW);
    members[1].holds.get_mut(&NEW).unwrap().ack = Ack::Refused("its ring secret is another".into());
    members[2].holds.get_mut(&NEW).unwrap().ack = Ack::Absent;
    let refused = fleet(&list, &members).promote(NEW).unwrap_err();
    let missing = |node: &str, why| Missing { node: node.into(), why };
    assert_eq!(
        refused,
        Refusal::Waiting(vec![
            missing("one", Lack::Record),
            missing("two", Lack::Refused("its ring secret is another".into())),
            missing("three", Lack::Key),
        ])
    );
    let said = refused.to_string();
    for word in ["one", "two", "three", "its ring secret is another"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn promote_passes_over_lapsed_nodes_and_wants_two_that_hold_it() {
    let (list, mut members) = staged();
    members[0].holds.clear();
    members[0].lapsed = true;
    let promoted = after(&list, fleet(&list, &members).promote(NEW).unwrap());
    assert_eq!(promoted.newest(), Some(NEW));
    assert_eq!(promoted.record(NEW).unwrap().promotion, 2);
    assert_eq!(promoted.record(OLD).unwrap().mark, NOW.after(TERMS.lease), "nodes may seal with it until then");
    members[1].lapsed = true;
    assert_eq!(fleet(&list, &members).promote(NEW), Err(Refusal::Holders(1)));
    members[2].durable = true;
    assert_eq!(fleet(&list, &members).promote(NEW), Err(Refusal::Holders(1)), "others may come back without it");
    assert!(fleet(&list, &members[2..]).promote(NEW).is_ok(), "the only node, with a disk");
    members[2].durable = false;
    assert_eq!(fleet(&list, &members[2..]).promote(NEW), Err(Refusal::Holders(1)));
    assert_eq!(fleet(&list, &[]).promote(NEW), Err(Refusal::Holders(0)));
}

#[test]
fn no_gate_opens_on_a_store_that_is_not_whole() {
    let (list, mut members) = staged();
    members[1].gave_back = false;
    let mut torn = fleet(&list, &members);
    torn.life = Life { began: NOW, whole: false };
    let owing = Refusal::Owing(vec!["two".into()]);
    assert_eq!(torn.stage(KeyId([9; 4])), Err(owing.clone()));
    assert_eq!(torn.promote(NEW), Err(owing.clone()));
    assert_eq!(torn.retire(OLD), Err(owing.clone()));
    assert_eq!(torn.retire_now(OLD), Err(owing.clone()));
    assert_eq!(torn.abort(NEW), Err(owing));
    assert!(torn.compromise(OLD, Some(NEW)).is_ok(), "but that cannot wait");
    members[1].gave_back = true;
    let mut torn = fleet(&list, &members);
    torn.life = Life { began: NOW, whole: false };
    assert_eq!(torn.promote(NEW), Err(Refusal::Settling(TERMS.lease)));
    torn.life.whole = true;
    torn.now = Seconds(NOW.0 + 59);
    assert_eq!(torn.promote(NEW), Err(Refusal::Settling(Duration::from_secs(1))), "strangers may serve until then");
    torn.now = Seconds(NOW.0 + 60);
    assert!(torn.promote(NEW).is_ok());
}

#[test]
fn going_back_is_promoting_the_older_key() {
    let (list, members) = promoted();
    assert_eq!(fleet(&list, &members).promote(NEW), Err(Refusal::Seals(NEW)));
    let missing = |node: &str| Missing { node: node.into(), why: Lack::Recall };
    let waiting = Refusal::Waiting(vec![missing("one"), missing("two"), missing("three")]);
    assert_eq!(fleet(&list, &members).promote(OLD), Err(waiting.clone()));
    let list = after(&list, fleet(&list, &members).recall(OLD).unwrap());
    assert_eq!(fleet(&list, &members).promote(OLD), Err(waiting.clone()), "nobody has heard yet");
    assert_eq!(fleet(&list, &members).recall(NEW), Err(Refusal::Seals(NEW)));
    let members = ["one", "two", "three"].map(|name| member(name, &list, NEW));
    let late = Fleet { now: NOW.after(2 * TERMS.lease + Duration::from_secs(1)), ..fleet(&list, &members) };
    assert_eq!(late.promote(OLD), Err(waiting), "that was too long ago");
    let back = after(&list, fleet(&list, &members).promote(OLD).unwrap());
    assert_eq!(back.newest(), Some(OLD));
    assert_eq!(back.record(NEW).unwrap().mark, NOW.after(TERMS.lease));
}

#[test]
fn files_without_records_become_records_at_the_first_promotion() {
    let list = list(&[(NEW, KeyState::Staged, 0)]);
    let file = KeyId([7; 4]);
    let mut members = ["one", "two"].map(|name| member(name, &list, OLD));
    for member in &mut members {
        for key in [OLD, file] {
            member.holds.insert(key, Held { record: None, ack: Ack::Loaded });
        }
    }
    let list = after(&list, fleet(&list, &members).promote(NEW).unwrap());
    for key in [OLD, file] {
        let record = list.record(key).unwrap();
        assert_eq!((record.state, record.promotion, record.mark), (KeyState::Active, 0, NOW.after(TERMS.lease)));
    }
}

#[test]
fn retire_waits_for_every_node_and_for_the_longest_session() {
    let (mut list, mut members) = promoted();
    let drained = KeyRecord { state: KeyState::Active, promotion: 1, mark: Seconds(NOW.0 - 86_400) };
    list.insert(OLD, drained);
    let retired = after(&list, fleet(&list, &members).retire(OLD).unwrap());
    assert_eq!((retired.state(OLD), retired.record(OLD).unwrap().mark), (KeyState::Retired, NOW));
    assert_eq!(fleet(&list, &members).retire(NEW), Err(Refusal::Seals(NEW)));

    members[0].sealing = Some(OLD);
    let waiting = Refusal::Waiting(vec![Missing { node: "one".into(), why: Lack::Sealing(Some(OLD)) }]);
    assert_eq!(fleet(&list, &members).retire(OLD), Err(waiting));
    assert!(fleet(&list, &members).retire_now(OLD).is_ok(), "the operator insists");
    members[0].lapsed = true;
    assert!(fleet(&list, &members).retire(OLD).is_ok());
    members[1].lapsed = true;
    assert_eq!(fleet(&list, &members).retire(OLD), Err(Refusal::Holders(1)));
    assert_eq!(fleet(&list, &members).retire_now(OLD), Err(Refusal::Holders(1)));

    let (mut list, members) = promoted();
    list.insert(OLD, KeyRecord { mark: Seconds(drained.mark.0 + 1), ..drained });
    assert_eq!(fleet(&list, &members).retire(OLD), Err(Refusal::Draining(Seconds(NOW.0 + 1))));
}

#[test]
fn a_node_that_goes_on_with_an_old_key_puts_its_retirement_off() {
    let (list, members) = promoted();
    let fleet = fleet(&list, &members);
    assert_eq!(fleet.still_seals(NEW), None);
    let told = after(&list, fleet.still_seals(OLD).unwrap());
    assert_eq!(told.record(OLD).unwrap().mark, NOW.after(TERMS.lease));
    assert_eq!(Fleet { list: &told, ..fleet }.still_seals(OLD), None, "once for half a lease");
    let later = Fleet { list: &told, now: NOW.after(Duration::from_secs(31)), ..fleet };
    assert!(later.still_seals(OLD).is_some());
}

#[test]
fn bytes_are_kept_for_the_restore_window() {
    let (list, members) = promoted();
    let retired = after(&list, fleet(&list, &members).retire_now(OLD).unwrap());
    let at = |now| Fleet { now, ..fleet(&retired, &members) };
    assert_eq!(at(Seconds(NOW.0 + 3599)).destroy(OLD), Err(Refusal::Kept(Seconds(NOW.0 + 3600))));
    let gone = after(&retired, at(Seconds(NOW.0 + 3600)).destroy(OLD).unwrap());
    assert_eq!(gone.state(OLD), KeyState::Destroyed);
    let state = Refusal::State { key: NEW, state: Some(KeyState::Active), wanted: "retired" };
    assert_eq!(at(Seconds(u32::MAX)).destroy(NEW), Err(state));
}

#[test]
fn abort_is_for_keys_that_certainly_never_sealed() {
    let (list, members) = staged();
    let fleet = fleet(&list, &members);
    let gone = after(&list, fleet.abort(NEW).unwrap());
    assert_eq!((gone.state(NEW), gone.record(NEW).unwrap().mark), (KeyState::Retired, NOW));
    assert!(matches!(Fleet { list: &gone, ..fleet }.promote(NEW), Err(Refusal::State { .. })));
    let later = Fleet { life: Life { began: Seconds(101), whole: true }, ..fleet };
    assert_eq!(later.abort(NEW), Err(Refusal::MayHaveSealed(NEW)));
    assert!(matches!(fleet.abort(OLD), Err(Refusal::State { .. })));
}

#[test]
fn a_compromise_denies_and_replaces_at_once_and_is_complete_when_everyone_knows() {
    let (list, mut members) = staged();
    members[0].holds.remove(&NEW);
    let torn = Fleet { life: Life { began: NOW, whole: false }, ..fleet(&list, &members) };
    let fresh = KeyId([8; 4]);
    let denied = after(&list, torn.compromise(OLD, Some(fresh)).unwrap());
    assert_eq!((denied.state(OLD), denied.newest()), (KeyState::Compromised, Some(fresh)));
    assert_eq!(torn.compromise(OLD, Some(OLD)), Err(Refusal::Leaked(OLD)));
    assert!(matches!(Fleet { list: &denied, ..torn }.compromise(fresh, Some(OLD)), Err(Refusal::State { .. })));

    let mut members = vec![member("one", &denied, fresh), member("two", &list, OLD)];
    let waiting = Refusal::Waiting(vec![Missing { node: "two".into(), why: Lack::Record }]);
    assert_eq!(fleet(&denied, &members).compromised(OLD), Err(waiting));
    members[1].lapsed = true;
    assert_eq!(fleet(&denied, &members).compromised(OLD), Err(Refusal::Holders(1)));
    members.push(member("three", &denied, fresh));
    assert_eq!(fleet(&denied, &members).compromised(OLD), Ok(2));
    let torn = Fleet { life: Life { began: NOW, whole: false }, ..fleet(&denied, &members) };
    assert_eq!(torn.compromised(OLD), Err(Refusal::Settling(TERMS.lease)));
}

#[test]
fn what_everyone_holds_can_replace_a_leaked_key() {
    let (list, mut members) = staged();
    assert_eq!(fleet(&list, &members).replacement(OLD), Some(NEW));
    assert_eq!(fleet(&list, &members).replacement(NEW), Some(OLD));
    members[2].holds = BTreeMap::new();
    assert_eq!(fleet(&list, &members).replacement(OLD), None);
}

#[test]
fn a_compromise_is_done_once_unless_something_else_is_to_seal() {
    let (before, members) = promoted();
    assert_eq!(fleet(&before, &members).replaced(NEW, None), None, "it seals");
    let list = after(&before, fleet(&before, &members).compromise(NEW, Some(OLD)).unwrap());
    let denied = fleet(&list, &members);
    assert_eq!(denied.replaced(NEW, None), Some(OLD));
    assert_eq!(denied.replaced(NEW, Some(OLD)), Some(OLD));
    assert_eq!(denied.replaced(NEW, Some(KeyId([9; 4]))), None);
    let nothing_seals = after(
        &before,
        vec![(OLD, KeyRecord::new(KeyState::Retired, 1)), (NEW, KeyRecord::new(KeyState::Compromised, 2))],
    );
    assert_eq!(fleet(&nothing_seals, &members).replaced(NEW, None), None, "there is something left to do");
}
