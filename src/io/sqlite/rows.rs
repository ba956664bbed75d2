//! Values in and out of the tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::id::{KeyId, ShortId, Tag};
use crate::revocation::{Parcel, Profile, Record, Records};
use crate::rotation::{KeyRecord, KeyState, Rotation};
use crate::time::{Day, Position, Seconds};
use crate::wire::Suite;

use super::fault::Fault;
use super::schema::Meta;

/// Which rows a reader has had: enough to notice later that the file went back in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub seq: i64,
    /// The position at which that row was added.
    pub at: Position,
}

impl Last {
    /// Whether the file still has, or has duly pruned, the row.
    pub(super) fn is_in(self, tx: &Transaction<'_>, meta: &Meta) -> rusqlite::Result<bool> {
        if self.seq <= meta.pruned_seq {
            return Ok(true);
        }
        let mut statement = tx.prepare_cached("SELECT at FROM record WHERE seq = ?1")?;
        let at: Option<i64> = statement.query_one([self.seq], |row| row.get(0)).optional()?;
        Ok(at == Some(self.at.0.cast_signed()))
    }
}

/// Adds rows to the feed and says which was the last. A node's own file holds each record once, whoever of
/// several processes brings it.
pub(super) fn insert(tx: &Transaction<'_>, records: &[Record], at: Position) -> rusqlite::Result<Option<Last>> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO record (at, kind, day, id, value) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    let mut last = None;
    for record in records {
        let row = Row::from(record);
        if statement.execute(params![at.0.cast_signed(), row.kind, row.day, row.id, row.value])? > 0 {
            last = Some(Last { seq: tx.last_insert_rowid(), at });
        }
    }
    Ok(last)
}

/// What was added after a row, and the last row of it.
pub(super) fn read_after(tx: &Transaction<'_>, last: Last, path: &Path) -> Result<(Records, Last), Fault> {
    let mut statement =
        tx.prepare_cached("SELECT seq, at, kind, day, id, value FROM record WHERE seq > ?1 ORDER BY seq")?;
    let mut reached = last;
    let rows = statement.query_map([last.seq], |row| {
        reached = Last { seq: row.get(0)?, at: Position(row.get::<_, i64>(1)?.cast_unsigned()) };
        Ok(Row { kind: row.get(2)?, day: row.get(3)?, id: row.get(4)?, value: row.get(5)? })
    })?;
    let record = |row: Row| row.record().ok_or_else(|| Fault::damaged(path, "a record has an unknown form"));
    let records = rows.map(|row| record(row?)).collect::<Result<_, Fault>>()?;
    Ok((records, reached))
}

/// A record as its columns. What has no last day has the highest one, so that it is never pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub kind: i64,
    pub day: u32,
    pub id: i64,
    pub value: i64,
}

const SESSION: i64 = 1;
const FLOOR: i64 = 2;
pub(super) const CUT_OFF: i64 = 3;
pub(super) const EVERYBODY: i64 = 4;
const KEY: i64 = 5;
const FORGOTTEN: i64 = 6;
const NO_DAY: u32 = u32::MAX;

impl From<&Record> for Row {
    fn from(record: &Record) -> Self {
        let (kind, day, id, value) = match *record {
            Record::Session { id, day } => (SESSION, day.0, id.0, 0),
            Record::Floor { id, floor, day } => (FLOOR, day.0, id.0, u64::from(floor)),
            Record::CutOff { tag, position, day } => (CUT_OFF, day.0, tag.0, position.0),
            Record::Everybody { position } => (EVERYBODY, NO_DAY, 0, position.0),
            Record::Key { key, record } => {
                let value = u64::from(record.state as u8) << 32 | u64::from(record.promotion);
                // The mark stands above the key's 32 bits.
                let id = u64::from(record.mark.0) << 32 | u64::from(u32::from_be_bytes(key.0));
                (KEY, NO_DAY, id, value)
            }
            Record::Forgotten { day, position } => (FORGOTTEN, NO_DAY, u64::from(day.0), position.0),
        };
        Self { kind, day, id: id.cast_signed(), value: value.cast_signed() }
    }
}

impl Row {
    pub(super) fn record(self) -> Option<Record> {
        let (id, value, day) = (self.id.cast_unsigned(), self.value.cast_unsigned(), Day(self.day));
        Some(match self.kind {
            SESSION => Record::Session { id: ShortId(id), day },
            FLOOR => Record::Floor { id: ShortId(id), floor: u32::try_from(value).ok()?, day },
            CUT_OFF => Record::CutOff { tag: Tag(id), position: Position(value), day },
            EVERYBODY => Record::Everybody { position: Position(value) },
            KEY => {
                let state = KeyState::from_number(u8::try_from(value >> 32).ok()?)?;
                let promotion = u32::try_from(value & u64::from(u32::MAX)).ok()?;
                let key = KeyId(u32::try_from(id & u64::from(u32::MAX)).ok()?.to_be_bytes());
                let mark = Seconds(u32::try_from(id >> 32).ok()?);
                Record::Key { key, record: KeyRecord { state, promotion, mark } }
            }
            FORGOTTEN => Record::Forgotten { day: Day(u32::try_from(id).ok()?), position: Position(value) },
            _ => return None,
        })
    }
}

/// Drops the rows of days that are over, and says so in the feed. Answers the highest row that was dropped.
pub(super) fn forget(tx: &Transaction<'_>, today: Day, position: Position) -> rusqlite::Result<Option<i64>> {
    let over = "day < ?1 OR (kind = ?2 AND id <= ?1 AND value <= ?3)";
    let values = params![today.0, FORGOTTEN, position.0.cast_signed()];
    let dead: bool =
        tx.query_one("SELECT EXISTS (SELECT 1 FROM record WHERE day < ?1)", [today.0], |row| row.get(0))?;
    if !dead {
        return Ok(None);
    }
    let last = tx.query_one(&format!("SELECT max(seq) FROM record WHERE {over}"), values, |row| row.get(0))?;
    tx.execute(&format!("DELETE FROM record WHERE {over}"), values)?;
    insert(tx, &[Record::Forgotten { day: today, position }], position)?;
    Ok(last)
}

/// The rotation list.
pub(super) fn rotation(tx: &Transaction<'_>) -> rusqlite::Result<Rotation> {
    let mut statement = tx.prepare_cached("SELECT day, id, value FROM record WHERE kind = 5")?;
    let rows =
        statement.query_map([], |row| Ok(Row { kind: KEY, day: row.get(0)?, id: row.get(1)?, value: row.get(2)? }))?;
    let records = rows.map(|row| row.map(Row::record)).collect::<rusqlite::Result<Vec<_>>>()?;
    let key = |record: Option<Record>| {
        if let Some(Record::Key { key, record }) = record { Some((key, record)) } else { None }
    };
    Ok(records.into_iter().filter_map(key).collect())
}

/// The floor of a session, if it has one.
pub(super) fn floor(tx: &Transaction<'_>, id: ShortId) -> rusqlite::Result<Option<u32>> {
    let mut statement = tx.prepare_cached("SELECT max(value) FROM record WHERE kind = 2 AND id = ?1")?;
    statement.query_one([id.0.cast_signed()], |row| row.get(0))
}

/// The longest lifetime that any cookie of the app has or had; none before one was announced.
pub(super) fn longest(tx: &Transaction<'_>) -> rusqlite::Result<Option<Duration>> {
    let millis: Option<i64> = tx.query_one("SELECT max(longest_ms) FROM profile", [], |row| row.get(0))?;
    Ok(millis.map(|millis| Duration::from_millis(millis.cast_unsigned())))
}

/// Whether a one-time value was spent.
pub(super) fn is_spent(tx: &Transaction<'_>, hash: [u8; 16]) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached("SELECT EXISTS (SELECT 1 FROM once WHERE hash = ?1)")?;
    statement.query_one(params![hash], |row| row.get(0))
}

/// Marks a one-time value as spent. Says whether this was the first time.
pub(super) fn spend(tx: &Transaction<'_>, hash: [u8; 16], expires: Seconds) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached("INSERT OR IGNORE INTO once VALUES (?1, ?2)")?;
    Ok(statement.execute(params![hash, expires.0])? == 1)
}

pub(super) fn profiles(tx: &Transaction<'_>, path: &Path) -> Result<Vec<Profile>, Fault> {
    let mut statement =
        tx.prepare_cached("SELECT cookie, suite, idle_ms, absolute_ms, longest_ms FROM profile ORDER BY cookie")?;
    let mut rows = statement.query([])?;
    let mut profiles = Vec::new();
    while let Some(row) = rows.next()? {
        let suite: u8 = row.get(1)?;
        let suite = [Suite::Encrypted, Suite::Signed].into_iter().find(|known| known.byte() == suite);
        let span = |column| row.get(column).map(|millis: i64| Duration::from_millis(millis.cast_unsigned()));
        profiles.push(Profile {
            cookie: row.get(0)?,
            suite: suite.ok_or_else(|| Fault::damaged(path, "a profile has an unknown suite"))?,
            idle: span(2)?,
            absolute: span(3)?,
            longest: span(4)?,
        });
    }
    Ok(profiles)
}

pub(super) fn announce(tx: &Transaction<'_>, profile: &Profile) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO profile VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (cookie) DO UPDATE SET
             suite = excluded.suite, idle_ms = excluded.idle_ms, absolute_ms = excluded.absolute_ms,
             longest_ms = max(longest_ms, excluded.longest_ms)",
        params![
            profile.cookie,
            profile.suite.byte(),
            millis(profile.idle),
            millis(profile.absolute),
            millis(profile.longest)
        ],
    )?;
    Ok(())
}

/// Whether announcing a profile would change nothing.
pub(super) fn is_announced(known: &Profile, profile: &Profile) -> bool {
    let rest = |p: &Profile| (p.cookie.clone(), p.suite, millis(p.idle), millis(p.absolute));
    rest(known) == rest(profile) && known.longest >= profile.longest
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Puts a parcel in the place of what was there under its name.
pub(super) fn keep(tx: &Transaction<'_>, parcel: &Parcel) -> rusqlite::Result<()> {
    tx.execute("INSERT OR REPLACE INTO parcel VALUES (?1, ?2)", params![parcel.name, parcel.content]).map(drop)
}

pub(super) fn discard(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<bool> {
    Ok(tx.execute("DELETE FROM parcel WHERE name = ?1", [name])? > 0)
}

pub(super) fn parcels(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Parcel>> {
    let mut statement = tx.prepare("SELECT name, content FROM parcel ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok(Parcel { name: row.get(0)?, content: row.get(1)? }))?;
    rows.collect()
}
