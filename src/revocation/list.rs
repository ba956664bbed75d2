//! The list itself, as a value, and the one fold that judges a session by it.
//!
//! The cookie carries its expiry day, so a check opens one day:
//!
//! ```text
//!   days   2026-11-23   sessions: 300,000 ids   floors: 12
//!          2026-11-24   sessions: 700,000 ids   floors: 40
//!   cut-offs by tag · everybody · keys
//! ```

use std::collections::BTreeMap;

use crate::claims::Claims;
use crate::id::{KeyId, SessionId, ShortId, Tag};
use crate::rotation::{KeyRecord, Rotation};
use crate::time::{Day, Position};

use super::memory::cuts_off;
use super::record::Record;
use super::records::Records;
use super::shards::{Shards, Value};

/// What the list says of a session, if it denies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// This session was revoked.
    Session,
    /// Its subject's sessions were cut off.
    Subject,
    /// Its tenant's sessions were cut off.
    Tenant,
    /// One of its labels was cut off.
    Label,
    /// Everybody was.
    Everybody,
    /// An older copy of a session that has moved on.
    Superseded,
    /// Whether it was revoked is not known any more.
    Forgotten,
}

/// The revocation list: grows, merges, judges. Cloning is cheap: copies share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct RevocationList {
    days: BTreeMap<Day, DayList>,
    cut_offs: Shards<CutOff>,
    everybody: Option<Position>,
    rotation: Rotation,
    /// What was dropped: mostly one entry, as each day's covers the one before.
    forgotten: Vec<(Day, Position)>,
    /// Cut-offs that wait in this node's own file. The store will place them above whatever it has given out by then,
    /// so here they mean everybody until it has. No part of the list as stores and other nodes know it.
    unplaced: Vec<Record>,
}

#[derive(Clone, Debug, Default)]
struct DayList {
    sessions: Shards<()>,
    floors: Shards<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CutOff {
    position: Position,
    day: Day,
}

impl Value for CutOff {
    fn join(self, other: Self) -> Self {
        Self { position: self.position.max(other.position), day: self.day.max(other.day) }
    }
}

impl RevocationList {
    /// The one place that decides whether a session was revoked.
    ///
    /// `None` lets it pass. The narrowest reason is named first.
    #[must_use]
    pub fn check(&self, session: SessionId, claims: &Claims) -> Option<Denial> {
        let id = session.short().0;
        if let Some(day) = self.days.get(&claims.expires.day()) {
            if day.sessions.get(id).is_some() {
                return Some(Denial::Session);
            }
            if day.floors.get(id).is_some_and(|floor| claims.generation < floor) {
                return Some(Denial::Superseded);
            }
        }
        let unplaced = |is: &dyn Fn(&Record) -> bool| self.unplaced.iter().any(is);
        let cut = |tag: Tag| {
            self.cut_off(tag).is_some_and(|position| claims.born <= position)
                || unplaced(&|record| matches!(record, Record::CutOff { tag: of, .. } if *of == tag))
        };
        if claims.tags.subject.is_some_and(cut) {
            Some(Denial::Subject)
        } else if claims.tags.tenant.is_some_and(cut) {
            Some(Denial::Tenant)
        } else if claims.tags.labels().any(cut) {
            Some(Denial::Label)
        } else if self.everybody.is_some_and(|position| claims.born <= position)
            || unplaced(&|record| matches!(record, Record::Everybody { .. }))
        {
            Some(Denial::Everybody)
        } else if self.forgotten.iter().any(|&(day, position)| claims.expires.day() < day && claims.born <= position) {
            Some(Denial::Forgotten)
        } else {
            None
        }
    }

    /// The earliest position at which a session with these tags is born free of every cut-off known here.
    #[must_use]
    pub fn free_from(&self, tags: impl Iterator<Item = Tag>) -> Position {
        let cut_offs = tags.filter_map(|tag| self.cut_off(tag)).chain(self.everybody);
        cut_offs.max().map_or(Position(0), Position::next)
    }

    /// Enforces the cut-offs among these, whatever positions they have, until [`RevocationList::only_unplaced`].
    pub(super) fn place_later(&mut self, records: &[Record]) {
        self.unplaced.extend(records.iter().filter(|record| cuts_off(record)));
    }

    /// Which of them the store has not placed yet. Says whether that changed anything.
    pub(super) fn only_unplaced(&mut self, still: &[Record]) -> bool {
        let before = self.unplaced.len();
        self.unplaced.retain(|record| still.contains(record));
        self.unplaced.len() != before
    }

    /// Whether cut-offs wait to be placed.
    pub(super) const fn has_unplaced(&self) -> bool {
        !self.unplaced.is_empty()
    }

    /// Merges one record in. Says whether the list learned anything.
    pub fn insert(&mut self, record: Record) -> bool {
        match record {
            Record::Session { id, day } => self.days.entry(day).or_default().sessions.insert(id.0, ()),
            Record::Floor { id, floor, day } => self.days.entry(day).or_default().floors.insert(id.0, floor),
            Record::CutOff { tag, position, day } => self.cut_offs.insert(tag.0, CutOff { position, day }),
            Record::Everybody { position } => {
                let news = self.everybody < Some(position);
                self.everybody = self.everybody.max(Some(position));
                news
            }
            Record::Key { key, record } => self.rotation.insert(key, record),
            Record::Forgotten { day, position } => self.note_forgotten(day, position),
        }
    }

    /// A list of all these records, which are sorted for it: a day's sessions come in at once, not one by one.
    #[must_use]
    pub fn of(records: &mut Records) -> Self {
        records.sort();
        let mut list: Self = records.others().iter().copied().collect();
        for (&day, ids) in records.sessions() {
            list.add_sessions(day, ids);
        }
        list
    }

    /// Merges many revoked sessions of one day in, sorted ones soonest. Says whether the list learned anything.
    pub(super) fn add_sessions(&mut self, day: Day, ids: &[u64]) -> bool {
        self.days.entry(day).or_default().sessions.add(ids, ())
    }

    /// Whether a record is in here, or covered by what is.
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        match *record {
            Record::Session { id, day } => self.days.get(&day).is_some_and(|day| day.sessions.holds(id.0, ())),
            Record::Floor { id, floor, day } => self.days.get(&day).is_some_and(|day| day.floors.holds(id.0, floor)),
            Record::CutOff { tag, position, day } => self.cut_offs.holds(tag.0, CutOff { position, day }),
            Record::Everybody { position } => self.everybody >= Some(position),
            Record::Key { key, record } => !self.rotation.clone().insert(key, record),
            Record::Forgotten { day, position } => {
                self.forgotten.iter().any(|&(known, at)| day <= known && position <= at)
            }
        }
    }

    /// Drops what no living session can match any more: days, and cut-offs, that ended before `today`.
    ///
    /// `position` must be at or above the birth of every session that the list's records can concern. What
    /// is dropped stays denied ([`Record::Forgotten`]): if the clock by which it was called over ran ahead,
    /// nothing comes back to life when the clock is corrected.
    pub fn forget(&mut self, today: Day, position: Position) {
        let kept = self.days.split_off(&today);
        if !std::mem::replace(&mut self.days, kept).is_empty() {
            self.note_forgotten(today, position);
        }
        if self.cut_offs.iter().any(|(_, cut)| cut.day < today) {
            self.cut_offs = self.cut_offs.iter().filter(|(_, cut)| cut.day >= today).collect();
            self.note_forgotten(today, position);
        }
    }

    /// Says whether it was news: an entry that another one covers is none.
    fn note_forgotten(&mut self, day: Day, position: Position) -> bool {
        let news = !self.holds(&Record::Forgotten { day, position });
        if news {
            self.forgotten.retain(|&(known, at)| !(known <= day && at <= position));
            self.forgotten.push((day, position));
        }
        news
    }

    /// Every record.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let sessions = self.days.iter().flat_map(|(&day, list)| list.ids().map(move |id| Record::Session { id, day }));
        sessions.chain(self.other_records())
    }

    /// The records that are not among `theirs`, so that a store that lost them can be given them back.
    ///
    /// `theirs` must be in here, and sorted.
    pub(super) fn beyond(&self, theirs: &Records) -> impl Iterator<Item = Record> {
        let sessions = self.days.iter().flat_map(|(&day, list)| {
            let theirs = theirs.sessions().get(&day).map_or(&[][..], Vec::as_slice);
            // All of theirs are here, so as many here are the same ones.
            let more = (list.sessions.len() != theirs.len()).then(|| list.ids());
            let missing = more.into_iter().flatten().filter(|id| theirs.binary_search(&id.0).is_err());
            missing.map(move |id| Record::Session { id, day })
        });
        let others: Self = theirs.others().iter().copied().collect();
        sessions.chain(self.other_records().filter(move |record| !others.holds(record)))
    }

    /// Those that are of no revoked session.
    fn other_records(&self) -> impl Iterator<Item = Record> + '_ {
        let floors = self.days.iter().flat_map(|(&day, list)| {
            list.floors.iter().map(move |(id, floor)| Record::Floor { id: ShortId(id), floor, day })
        });
        let cut_offs = self.cut_offs.iter().map(|(tag, cut)| Record::CutOff {
            tag: Tag(tag),
            position: cut.position,
            day: cut.day,
        });
        let everybody = self.everybody.map(|position| Record::Everybody { position });
        let keys = self.rotation.records().map(|(key, record)| Record::Key { key, record });
        let forgotten = self.forgotten.iter().map(|&(day, position)| Record::Forgotten { day, position });
        floors.chain(cut_offs).chain(everybody).chain(keys).chain(forgotten)
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.days.values().map(|day| day.sessions.len()).sum::<usize>() + self.other_records().count()
    }

    /// What it takes up in memory, in bytes. Copies share most of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let day = |day: &DayList| size_of::<DayList>() + day.sessions.bytes() + day.floors.bytes();
        let days = self.days.values().map(day).sum::<usize>();
        let few = self.forgotten.capacity() * size_of::<(Day, Position)>()
            + self.rotation.records().count() * size_of::<(KeyId, KeyRecord)>();
        size_of::<Self>() + days + self.cut_offs.bytes() + few
    }

    /// How many records of each kind it holds.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, usize); 3] {
        let sum = |count: fn(&DayList) -> usize| self.days.values().map(count).sum();
        let (sessions, floors) = (sum(|day| day.sessions.len()), sum(|day| day.floors.len()));
        [("session", sessions), ("floor", floors), ("cut_off", self.cut_offs.len())]
    }

    /// Whether nothing was ever revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records().next().is_none()
    }

    /// Where the keys stand.
    #[must_use]
    pub const fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Until when everybody is cut off, if they are.
    #[must_use]
    pub const fn everybody(&self) -> Option<Position> {
        self.everybody
    }

    /// The lowest generation of a session that is accepted, if older ones are not.
    #[must_use]
    pub fn floor(&self, id: ShortId, day: Day) -> Option<u32> {
        self.days.get(&day)?.floors.get(id.0)
    }

    /// Until when the sessions with this tag are cut off, if they are.
    #[must_use]
    pub fn cut_off(&self, tag: Tag) -> Option<Position> {
        self.cut_offs.get(tag.0).map(|cut| cut.position)
    }
}

impl DayList {
    fn ids(&self) -> impl Iterator<Item = ShortId> + '_ {
        self.sessions.iter().map(|(id, ())| ShortId(id))
    }
}

impl FromIterator<Record> for RevocationList {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut list = Self::default();
        for record in records {
            list.insert(record);
        }
        list
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
