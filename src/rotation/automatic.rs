//! Rotation by age: the steps that a fleet takes by itself, without an operator.
//!
//! ```text
//!  nothing staged, the newest key older than the period ──► stage ──► promote, when that gate opens
//!  another one took over, the longest session is over    ──► retire ──► destroy, after the restore window
//! ```
//!
//! Every node decides, on the same list and by the store's clock. Exactly one goes ahead, because a step is published
//! over the list that it was decided on, and no other: the others then find the key staged, and the age of the
//! newest one new. What may be done next is left to the [gates](super::gate), as for an operator.

use std::time::Duration;

use crate::id::KeyId;
use crate::time::Seconds;

use super::gate::{Change, Fleet, Terms};
use super::list::{KeyState, Rotation};
use super::refusal::Refusal;

/// A step whose time has come. Its gate may be shut all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A new key begins its way to the nodes.
    Stage,
    /// The key that is on its way is to seal, as soon as every node has it.
    Promote(KeyId),
    /// Another key took over so long ago that all cookies under this one have expired.
    Retire(KeyId),
    /// The restore window of a retired key is over.
    Destroy(KeyId),
}

/// What is due now. `births` are the days of birth of the keys at hand, for keys that the list gives no date.
#[must_use]
pub fn due(list: &Rotation, births: &[(KeyId, Seconds)], now: Seconds, terms: Terms, period: Duration) -> Vec<Due> {
    let rotation = match list.staged() {
        Some(key) => Some(Due::Promote(key)),
        None => next(list, births, period).filter(|next| *next <= now).map(|_| Due::Stage),
    };
    let newest = list.newest();
    let over = list.records().filter_map(|(key, record)| match record.state {
        KeyState::Active if newest.is_some_and(|newest| newest != key) => {
            (record.mark.after(terms.longest) <= now).then_some(Due::Retire(key))
        }
        KeyState::Retired => (record.mark.after(terms.keep) <= now).then_some(Due::Destroy(key)),
        _ => None,
    });
    rotation.into_iter().chain(over).collect()
}

/// When the next key is due: a period after the newest one was staged, or made if the list does not say when. None
/// where nobody here knows how old it is.
#[must_use]
pub fn next(list: &Rotation, births: &[(KeyId, Seconds)], period: Duration) -> Option<Seconds> {
    let born = |key| births.iter().find(|(born, _)| *born == key).map(|(_, seconds)| *seconds);
    let began = match list.newest() {
        Some(key) => list.record(key).map(|record| record.mark).filter(|mark| *mark > Seconds(0)).or_else(|| born(key)),
        // Nothing was ever promoted: the youngest of those in service.
        None => births.iter().filter(|(key, _)| list.state(*key).opens()).map(|(_, seconds)| *seconds).max(),
    };
    began.map(|began| began.after(period))
}

impl Fleet<'_> {
    /// [`Fleet::stage`] because the newest key is older than the period.
    ///
    /// # Errors
    ///
    /// [`Refusal::Young`] when it is not, or nobody here knows; and as [`Fleet::stage`].
    pub fn stage_by_age(&self, key: KeyId, births: &[(KeyId, Seconds)], period: Duration) -> Result<Change, Refusal> {
        match next(self.list, births, period) {
            Some(next) if next <= self.now => self.stage(key),
            next => Err(Refusal::Young(next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::life::Life;
    use super::super::list::KeyRecord;
    use super::*;

    const OLD: KeyId = KeyId([0, 0, 0, 1]);
    const NEW: KeyId = KeyId([0, 0, 0, 2]);
    const THIRD: KeyId = KeyId([0, 0, 0, 3]);
    const PERIOD: Duration = Duration::from_secs(1000);
    const TERMS: Terms =
        Terms { lease: Duration::from_secs(60), longest: Duration::from_secs(500), keep: Duration::from_secs(300) };

    fn list(records: &[(KeyId, KeyState, u32, u32)]) -> Rotation {
        let record = |&(key, state, promotion, mark)| (key, KeyRecord { state, promotion, mark: Seconds(mark) });
        records.iter().map(record).collect()
    }

    fn due_at(list: &Rotation, births: &[(KeyId, Seconds)], now: u32) -> Vec<Due> {
        due(list, births, Seconds(now), TERMS, PERIOD)
    }

    #[test]
    fn the_next_key_is_due_a_period_after_the_newest_was_staged() {
        let list = list(&[(NEW, KeyState::Active, 1, 5000)]);
        assert_eq!(due_at(&list, &[], 5999), []);
        assert_eq!(due_at(&list, &[], 6000), [Due::Stage]);
        // By the list's date, also where the file says that it is older.
        assert_eq!(due_at(&list, &[(NEW, Seconds(1))], 5999), []);
    }

    #[test]
    fn without_a_date_in_the_list_a_key_is_as_old_as_its_file() {
        assert_eq!(due_at(&Rotation::default(), &[(OLD, Seconds(100)), (NEW, Seconds(300))], 1299), []);
        assert_eq!(due_at(&Rotation::default(), &[(OLD, Seconds(100)), (NEW, Seconds(300))], 1300), [Due::Stage]);
        let undated = list(&[(NEW, KeyState::Active, 1, 0)]);
        assert_eq!(due_at(&undated, &[(NEW, Seconds(300))], 1299), []);
        assert_eq!(due_at(&undated, &[(NEW, Seconds(300))], 1300), [Due::Stage]);
        assert_eq!(due_at(&undated, &[], u32::MAX), [], "nobody here knows");
        assert_eq!(due_at(&Rotation::default(), &[], u32::MAX), [], "there is no key at all");
    }

    #[test]
    fn while_a_key_is_on_its_way_no_other_is_drawn() {
        let list = list(&[(OLD, KeyState::Active, 1, 10), (NEW, KeyState::Staged, 0, 20)]);
        assert_eq!(due_at(&list, &[], 400_000), [Due::Promote(NEW)]);
    }

    #[test]
    fn one_that_was_taken_back_is_followed_by_another() {
        let list = list(&[(OLD, KeyState::Active, 1, 10), (NEW, KeyState::Retired, 0, 1990)]);
        assert_eq!(due_at(&list, &[], 2000), [Due::Stage]);
    }

    #[test]
    fn old_keys_are_retired_and_destroyed_when_their_time_is_over() {
        let list = list(&[
            (OLD, KeyState::Retired, 1, 9700),
            (NEW, KeyState::Active, 2, 9600),
            (THIRD, KeyState::Active, 3, 9700),
        ]);
        assert_eq!(due_at(&list, &[], 9999), []);
        assert_eq!(due_at(&list, &[], 10_000), [Due::Destroy(OLD)]);
        assert_eq!(due_at(&list, &[], 10_100), [Due::Destroy(OLD), Due::Retire(NEW)]);
        assert_eq!(due_at(&list, &[], 10_700), [Due::Stage, Due::Destroy(OLD), Due::Retire(NEW)]);
    }

    /// What makes it one node: the second one decides on the list of the first.
    #[test]
    fn who_comes_second_finds_nothing_to_stage() {
        let before = list(&[(OLD, KeyState::Active, 1, 10)]);
        let stage = |list: &Rotation, key, now| {
            let life = Life { began: Seconds(0), whole: true };
            Fleet { list, members: &[], life, now: Seconds(now), terms: TERMS }.stage_by_age(key, &[], PERIOD)
        };
        let change = stage(&before, NEW, 2000).unwrap();
        let mut after = before.clone();
        for (key, record) in change {
            after.insert(key, record);
        }
        assert_eq!(stage(&after, THIRD, 2000), Err(Refusal::Staged(NEW)));
        after.insert(NEW, KeyRecord::new(KeyState::Active, 2));
        assert_eq!(stage(&after, THIRD, 2000), Err(Refusal::Young(Some(Seconds(3000)))));
        assert!(stage(&after, THIRD, 3000).is_ok());
    }
}
