use proptest::prelude::*;

use super::*;
use crate::claims::Tags;
use crate::id::KeyId;
use crate::rotation::{KeyRecord, KeyState};
use crate::time::Seconds;

const TODAY: Day = Day(20_000);

fn claims(born: u64, generation: u32, tags: Tags) -> Claims {
    let expires = Seconds(TODAY.0 * 86_400 + 10);
    Claims { born: Position(born), generation, sealed_at: expires, expires, authenticated_at: expires, tags, schema: 0 }
}

fn session(n: u64) -> SessionId {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&n.to_be_bytes());
    SessionId(id)
}

#[test]
fn each_scope_denies_what_it_names_and_nothing_else() {
    let mut list = RevocationList::default();
    let subject = Tags::of(Some(Tag(1)), None);
    let tenant = Tags::of(None, Some(Tag(2)));
    let mut label = Tags::default();
    label.add_label(Tag(9));
    label.add_label(Tag(3));
    for record in [
        Record::Session { id: ShortId(7), day: TODAY },
        Record::Floor { id: ShortId(8), floor: 2, day: TODAY },
        Record::CutOff { tag: Tag(1), position: Position(100), day: TODAY },
        Record::CutOff { tag: Tag(2), position: Position(100), day: TODAY },
        Record::CutOff { tag: Tag(3), position: Position(100), day: TODAY },
        Record::Everybody { position: Position(50) },
    ] {
        assert!(list.insert(record), "{record:?} is news");
        assert!(!list.insert(record), "{record:?} is known by now");
    }
    let check = |id, born, generation, tags| list.check(session(id), &claims(born, generation, tags));
    let none = Tags::default();
    assert_eq!(check(7, 500, 9, none), Some(Denial::Session));
    assert_eq!(check(8, 500, 1, none), Some(Denial::Superseded));
    assert_eq!(check(8, 500, 2, none), None);
    for (tags, denial) in [(subject, Denial::Subject), (tenant, Denial::Tenant), (label, Denial::Label)] {
        assert_eq!(check(1, 100, 0, tags), Some(denial), "born at the cut-off");
        assert_eq!(check(1, 101, 0, tags), None, "born after it");
    }
    assert_eq!(check(1, 50, 0, none), Some(Denial::Everybody));
    assert_eq!(check(1, 51, 0, none), None);
    assert_eq!(list.records().count(), list.len());
}

#[test]
fn a_session_born_at_free_from_passes_every_cut_off() {
    let mut list = RevocationList::default();
    assert_eq!(list.free_from([Tag(1)].into_iter()), Position(0));
    list.insert(Record::CutOff { tag: Tag(1), position: Position(100), day: TODAY });
    list.insert(Record::Everybody { position: Position(70) });
    let tags = Tags::of(Some(Tag(1)), None);
    let born = list.free_from(tags.all());
    assert_eq!(born, Position(101));
    assert_eq!(list.check(session(1), &claims(born.0, 0, tags)), None);
}

#[test]
fn pruning_drops_days_that_are_over_and_keeps_the_rest() {
    let mut list = RevocationList::default();
    let yesterday = Day(TODAY.0 - 1);
    list.insert(Record::Session { id: ShortId(1), day: yesterday });
    list.insert(Record::Session { id: ShortId(2), day: TODAY });
    list.insert(Record::CutOff { tag: Tag(1), position: Position(1), day: yesterday });
    list.insert(Record::CutOff { tag: Tag(2), position: Position(1), day: TODAY });
    list.forget(TODAY, Position(9));
    assert_eq!(list.len(), 3, "two that go on, and that something was forgotten");
    assert_eq!(list.check(session(2), &claims(5, 0, Tags::default())), Some(Denial::Session));
}

/// A clock that ran ahead while records were dropped brings nobody back when it is corrected.
#[test]
fn what_was_forgotten_too_early_stays_denied() {
    let mut list = RevocationList::default();
    list.insert(Record::Session { id: ShortId(1), day: TODAY });
    list.insert(Record::CutOff { tag: Tag(1), position: Position(50), day: TODAY });
    list.forget(Day(TODAY.0 + 2), Position(60));
    let cut = Tags::of(Some(Tag(1)), None);
    assert_eq!(list.check(session(1), &claims(10, 0, Tags::default())), Some(Denial::Forgotten));
    assert_eq!(list.check(session(2), &claims(50, 0, cut)), Some(Denial::Forgotten));
    assert_eq!(list.check(session(3), &claims(61, 0, Tags::default())), None, "born since");
    let before = list.len();
    list.forget(Day(TODAY.0 + 2), Position(99));
    assert_eq!(list.len(), before, "nothing was dropped, so nothing is noted");
}

#[test]
fn many_records_settle_and_are_all_found() {
    let mut list = RevocationList::default();
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let count = 20_000;
    let mut snapshots = Vec::new();
    for n in 0..count {
        let id = ShortId(spread(n));
        list.insert(Record::Session { id, day: TODAY });
        list.insert(Record::Floor { id, floor: 1, day: TODAY });
        list.insert(Record::Floor { id: ShortId(spread(n / 2)), floor: 2, day: TODAY });
        list.insert(Record::CutOff { tag: Tag(id.0), position: Position(n), day: TODAY });
        if n % 1000 == 0 {
            snapshots.push((n + 1, list.clone()));
        }
    }
    assert_eq!(list.len() as u64, 3 * count);
    let revoked = |list: &RevocationList, n| {
        list.check(session(spread(n)), &claims(0, 0, Tags::default())) == Some(Denial::Session)
    };
    assert!((0..count).all(|n| revoked(&list, n)) && !revoked(&list, count));
    for (count, list) in snapshots {
        assert_eq!(list.len() as u64, 3 * count, "a snapshot stays as it is");
        assert!(revoked(&list, count - 1) && !revoked(&list, count));
    }
    let copy: RevocationList = list.records().collect();
    assert_eq!(copy.len(), list.len());
    assert!(list.records().all(|record| copy.holds(&record)));
    assert!(!revoked(&copy, count));
}

fn any_record() -> impl Strategy<Value = Record> {
    let day = (0..3_u32).prop_map(|n| Day(TODAY.0 + n));
    prop_oneof![
        (0..6_u64, day.clone()).prop_map(|(id, day)| Record::Session { id: ShortId(id), day }),
        (0..6_u64, 0..4_u32, day.clone()).prop_map(|(id, floor, day)| Record::Floor { id: ShortId(id), floor, day }),
        (0..6_u64, 0..9_u64, day).prop_map(|(tag, position, day)| Record::CutOff {
            tag: Tag(tag),
            position: Position(position),
            day
        }),
        (0..4_u32, 0..9_u64)
            .prop_map(|(n, position)| Record::Forgotten { day: Day(TODAY.0 + n), position: Position(position) }),
        (0..9_u64).prop_map(|position| Record::Everybody { position: Position(position) }),
        (0..3_u8, 1..=5_u8, 0..3_u32, 0..3_u32).prop_map(|(key, state, promotion, mark)| Record::Key {
            key: KeyId([0, 0, 0, key]),
            record: KeyRecord { state: KeyState::from_number(state).unwrap(), promotion, mark: Seconds(mark) },
        }),
    ]
}

fn list_of(records: &[Record]) -> RevocationList {
    records.iter().copied().collect()
}

fn sorted(list: &RevocationList) -> Vec<String> {
    let mut records: Vec<_> = list.records().map(|record| format!("{record:?}")).collect();
    records.sort();
    records
}

/// 10^5 in a release build, as CI makes.
const SEQUENCES: u32 = if cfg!(debug_assertions) { 4096 } else { 100_000 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(SEQUENCES))]

    #[test]
    fn a_record_never_turns_a_denial_into_an_acceptance(
        records in proptest::collection::vec(any_record(), 0..12),
        (id, born, generation) in (0..6_u64, 0..9_u64, 0..4_u32),
        (subject, tenant) in (proptest::option::of(0..6_u64), proptest::option::of(0..6_u64)),
    ) {
        let tags = Tags::of(subject.map(Tag), tenant.map(Tag));
        let claims = claims(born, generation, tags);
        let mut list = RevocationList::default();
        let mut denied = false;
        for record in records {
            let held = list.holds(&record);
            prop_assert_eq!(list.insert(record), !held, "what is held is no news");
            prop_assert!(list.holds(&record));
            let now = list.check(session(id), &claims).is_some();
            prop_assert!(now || !denied, "{:?} let it back in", record);
            denied = now;
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter(records in proptest::collection::vec(any_record(), 0..12)) {
        let forth = list_of(&records);
        let mut backwards: Vec<_> = records.iter().rev().copied().collect();
        backwards.extend(records.iter().copied());
        prop_assert_eq!(sorted(&forth), sorted(&list_of(&backwards)));
        prop_assert_eq!(sorted(&forth), sorted(&RevocationList::of(&mut backwards.into())), "at once");
        prop_assert_eq!(forth.len(), forth.records().count());
    }

    #[test]
    fn what_is_beyond_a_store_is_what_it_would_learn(
        ours in proptest::collection::vec(any_record(), 0..12),
        theirs in proptest::collection::vec(any_record(), 0..12),
    ) {
        let mut packed = Records::from(theirs.clone());
        prop_assert_eq!(packed.len(), theirs.len());
        prop_assert_eq!(sorted(&packed.iter().collect()), sorted(&list_of(&theirs)));
        packed.sort();
        let list = list_of(&[ours, theirs.clone()].concat());
        let mut store = list_of(&theirs);
        for record in list.beyond(&packed) {
            prop_assert!(store.insert(record), "{:?} is news to it", record);
        }
        prop_assert_eq!(sorted(&store), sorted(&list));
    }
}
