//! The list itself, as a value, and the one fold that judges a session by it.
//!
//! The cookie carries its expiry day, so a check opens one day's set. A day has two halves: a *settled*
//! set that snapshots share, and a small *recent* one that is copied when a record arrives:
//!
//! ```text
//!   days   2026-11-23   settled: 300,000 ids (shared)   recent: 17
//!          2026-11-24   settled: 700,000 ids (shared)   recent: 3,100  ── at 4,096 ──► settled
//!   cut-offs by tag · everybody · keys
//! ```

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::claims::Claims;
use crate::id::{SessionId, ShortId, Tag};
use crate::rotation::Rotation;
use crate::time::{Day, Position};

use super::record::Record;

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

/// The revocation list: grows, merges, judges. Cloning is cheap, days are shared.
#[derive(Clone, Debug, Default)]
pub struct RevocationList {
    days: BTreeMap<Day, DayList>,
    cut_offs: Halves<HashMap<u64, CutOff, Identity>>,
    everybody: Option<Position>,
    rotation: Rotation,
    /// What was dropped: mostly one entry, as each day's covers the one before.
    forgotten: Vec<(Day, Position)>,
}

#[derive(Clone, Debug, Default)]
struct DayList {
    sessions: Halves<HashSet<u64, Identity>>,
    floors: Halves<HashMap<u64, u32, Identity>>,
}

/// A large shared half and a small one that is cheap to copy.
#[derive(Clone, Debug, Default)]
struct Halves<T> {
    settled: Arc<T>,
    recent: Arc<T>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CutOff {
    position: Position,
    day: Day,
}

/// How many recent entries there may be before they join the settled ones.
const RECENT: usize = 4096;

impl RevocationList {
    /// The one place that decides whether a session was revoked.
    ///
    /// `None` lets it pass. The narrowest reason is named first.
    #[must_use]
    pub fn check(&self, session: SessionId, claims: &Claims) -> Option<Denial> {
        let id = session.short().0;
        if let Some(day) = self.days.get(&claims.expires.day()) {
            if day.sessions.contains(id) {
                return Some(Denial::Session);
            }
            if day.floors.get(id).is_some_and(|floor| claims.generation < floor) {
                return Some(Denial::Superseded);
            }
        }
        let cut = |tag: Tag| self.cut_off(tag).is_some_and(|position| claims.born <= position);
        if claims.tags.subject.is_some_and(cut) {
            Some(Denial::Subject)
        } else if claims.tags.tenant.is_some_and(cut) {
            Some(Denial::Tenant)
        } else if claims.tags.labels().any(cut) {
            Some(Denial::Label)
        } else if self.everybody.is_some_and(|position| claims.born <= position) {
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

    /// Merges one record in. Says whether the list learned anything.
    pub fn insert(&mut self, record: Record) -> bool {
        match record {
            Record::Session { id, day } => self.days.entry(day).or_default().sessions.insert(id.0),
            Record::Floor { id, floor, day } => self.days.entry(day).or_default().floors.raise(id.0, floor),
            Record::CutOff { tag, position, day } => self.cut_offs.raise(tag, CutOff { position, day }),
            Record::Everybody { position } => {
                let news = self.everybody < Some(position);
                self.everybody = self.everybody.max(Some(position));
                news
            }
            Record::Key { key, record } => self.rotation.insert(key, record),
            Record::Forgotten { day, position } => self.note_forgotten(day, position),
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
            let kept = self.cut_offs.iter().filter(|(_, cut)| cut.day >= today).collect();
            self.cut_offs = Halves { settled: Arc::new(kept), recent: Arc::default() };
            self.note_forgotten(today, position);
        }
    }

    /// Says whether it was news: an entry that another one covers is none.
    fn note_forgotten(&mut self, day: Day, position: Position) -> bool {
        let news = !self.forgotten.iter().any(|&(known, at)| day <= known && position <= at);
        if news {
            self.forgotten.retain(|&(known, at)| !(known <= day && at <= position));
            self.forgotten.push((day, position));
        }
        news
    }

    /// Every record, so that a store that lost some can be given them back.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let days = self.days.iter().flat_map(|(&day, list)| {
            let sessions = list.sessions.iter().map(move |id| Record::Session { id: ShortId(id), day });
            let floors = list.floors.iter().map(move |(id, floor)| Record::Floor { id: ShortId(id), floor, day });
            sessions.chain(floors)
        });
        let cut_offs = self.cut_offs.iter().map(|(tag, cut)| Record::CutOff {
            tag: Tag(tag),
            position: cut.position,
            day: cut.day,
        });
        let everybody = self.everybody.map(|position| Record::Everybody { position });
        let keys = self.rotation.records().map(|(key, record)| Record::Key { key, record });
        let forgotten = self.forgotten.iter().map(|&(day, position)| Record::Forgotten { day, position });
        days.chain(cut_offs).chain(everybody).chain(keys).chain(forgotten)
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        let days: usize = self.days.values().map(|day| day.sessions.len() + day.floors.len()).sum();
        let others = usize::from(self.everybody.is_some()) + self.rotation.records().count() + self.forgotten.len();
        days + self.cut_offs.len() + others
    }

    /// Whether nothing was ever revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the keys stand.
    #[must_use]
    pub const fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    fn cut_off(&self, tag: Tag) -> Option<Position> {
        self.cut_offs.get(tag.0).map(|cut| cut.position)
    }
}

impl Halves<HashSet<u64, Identity>> {
    fn contains(&self, id: u64) -> bool {
        self.settled.contains(&id) || self.recent.contains(&id)
    }

    fn insert(&mut self, id: u64) -> bool {
        if self.contains(id) {
            return false;
        }
        Arc::make_mut(&mut self.recent).insert(id);
        if self.recent.len() >= RECENT {
            Arc::make_mut(&mut self.settled).extend(std::mem::take(&mut self.recent).iter());
        }
        true
    }

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.settled.iter().chain(self.recent.iter()).copied()
    }

    fn len(&self) -> usize {
        self.settled.len() + self.recent.len()
    }
}

impl<V: Copy> Halves<HashMap<u64, V, Identity>> {
    /// The caller has merged `value` with what was known, so the recent half is always the higher one.
    fn put(&mut self, id: u64, value: V) {
        Arc::make_mut(&mut self.recent).insert(id, value);
        if self.recent.len() >= RECENT {
            let recent = std::mem::take(&mut self.recent);
            Arc::make_mut(&mut self.settled).extend(recent.iter().map(|(&id, &value)| (id, value)));
        }
    }

    fn get(&self, id: u64) -> Option<V> {
        self.recent.get(&id).or_else(|| self.settled.get(&id)).copied()
    }

    /// Every entry once: the recent half speaks for ids that are in both.
    fn iter(&self) -> impl Iterator<Item = (u64, V)> + '_ {
        let settled = self.settled.iter().filter(|(id, _)| !self.recent.contains_key(*id));
        settled.chain(self.recent.iter()).map(|(&id, &value)| (id, value))
    }

    fn len(&self) -> usize {
        self.iter().count()
    }
}

impl Halves<HashMap<u64, u32, Identity>> {
    fn raise(&mut self, id: u64, floor: u32) -> bool {
        let news = self.get(id) < Some(floor);
        if news {
            self.put(id, floor);
        }
        news
    }
}

impl Halves<HashMap<u64, CutOff, Identity>> {
    fn raise(&mut self, tag: Tag, cut: CutOff) -> bool {
        let known = self.get(tag.0);
        let merged = known
            .map_or(cut, |known| CutOff { position: known.position.max(cut.position), day: known.day.max(cut.day) });
        let news = known != Some(merged);
        if news {
            self.put(tag.0, merged);
        }
        news
    }
}

/// Keys are random ids of ours, or keyed hashes, and are looked up only behind a verified seal: they are
/// their own hash, and nobody can choose colliding ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdentityHasher(u64);

type Identity = BuildHasherDefault<IdentityHasher>;

impl Hasher for IdentityHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
