//! Many records on their way, packed.

use std::collections::BTreeMap;

use crate::id::ShortId;
use crate::time::Day;

use super::record::Record;

/// Any number of records. Those of revoked sessions, of which there may be a million, take 8 bytes each.
#[derive(Clone, Debug, Default)]
pub struct Records {
    sessions: BTreeMap<Day, Vec<u64>>,
    others: Vec<Record>,
}

impl Records {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.values().map(Vec::len).sum::<usize>() + self.others.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// One by one: the sessions by day, then the others.
    pub fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        let session = |day| move |&id: &u64| Record::Session { id: ShortId(id), day };
        let sessions = self.sessions.iter().flat_map(move |(&day, ids)| ids.iter().map(session(day)));
        sessions.chain(self.others.iter().copied())
    }

    /// All of them, unpacked.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Record> {
        self.iter().collect()
    }

    /// Makes room for so many more sessions of a day, and for no more than these, if there is room.
    pub fn reserve(&mut self, day: Day, sessions: usize) {
        // Without it, they are given room as they come.
        let _ = self.sessions.entry(day).or_default().try_reserve_exact(sessions);
    }

    /// Sorts the sessions of each day, and drops repetitions of them.
    pub(super) fn sort(&mut self) {
        for ids in self.sessions.values_mut() {
            ids.sort_unstable();
            ids.dedup();
        }
    }

    /// The ids of the sessions of each day.
    pub(super) const fn sessions(&self) -> &BTreeMap<Day, Vec<u64>> {
        &self.sessions
    }

    /// Those that are of no revoked session.
    pub(super) fn others(&self) -> &[Record] {
        &self.others
    }
}

impl Extend<Record> for Records {
    fn extend<I: IntoIterator<Item = Record>>(&mut self, records: I) {
        for record in records {
            match record {
                Record::Session { id, day } => self.sessions.entry(day).or_default().push(id.0),
                other => self.others.push(other),
            }
        }
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut packed = Self::default();
        packed.extend(records);
        packed
    }
}

impl From<Vec<Record>> for Records {
    fn from(records: Vec<Record>) -> Self {
        records.into_iter().collect()
    }
}
