//! The tables, and the rules that hold in every transaction.
//!
//! ```text
//!   meta     one row: whose list, which life, the highest position given out, what was pruned
//!   record   the feed: seq rises, rows are only added, and pruned when no session can match them
//!   once     hashes of spent one-time values, until they expire
//!   profile  how each cookie is configured, for tools
//! ```
//!
//! Ids, tags and positions are unsigned here and signed in SQLite: the same 64 bits.

use rusqlite::{Connection, Transaction, params};

use crate::config::SKEW;
use crate::id::Incarnation;
use crate::revocation::Record;
use crate::revocation::replica::remembered;
use crate::time::{Day, Now, Position, Seconds};

use super::fault::Fault;
use super::rows;

/// "SEAL": a file without it belongs to another program.
pub(super) const APPLICATION: i32 = 0x5345_414c;
/// Grows when an older program could no longer read the file rightly.
pub(super) const VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    app TEXT NOT NULL,
    list_key TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    healing INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    pruned_day INTEGER NOT NULL,
    pruned_seq INTEGER NOT NULL,
    swept INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
) STRICT;
CREATE TABLE record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    id INTEGER NOT NULL,
    value INTEGER NOT NULL
) STRICT;
CREATE INDEX floor ON record (id) WHERE kind = 2;
CREATE TABLE once (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE profile (
    cookie TEXT PRIMARY KEY,
    suite INTEGER NOT NULL,
    idle_ms INTEGER NOT NULL,
    absolute_ms INTEGER NOT NULL,
    longest_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Spent values are swept out this often at most.
const SWEEP_MS: u64 = 60_000;

/// Whose list a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub app: String,
    pub list_key: String,
}

/// The row of `meta` that changes.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub incarnation: Incarnation,
    /// Whether this life began with a loss that nobody who remembers has made good yet.
    pub healing: bool,
    /// The highest position given out.
    pub mark: Position,
    pub pruned_day: Day,
    /// The highest `seq` among the rows that were pruned.
    pub pruned_seq: i64,
    /// When spent values were swept out, in milliseconds.
    pub swept: u64,
    /// The latest expiry among the spent values that were swept out: what expires by then is refused,
    /// wherever the clock went since, because nobody knows whether it was spent.
    pub forgotten: Seconds,
}

/// How a new file begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    pub healing: bool,
    pub log_out_everybody: bool,
}

/// Writes the tables into an empty database.
pub(super) fn create(conn: &mut Connection, owner: &Owner, birth: Birth, now: Now) -> Result<(), Fault> {
    let tx = conn.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    let mut meta = Meta {
        incarnation: new_incarnation()?,
        healing: birth.healing,
        mark: Position(0),
        pruned_day: Day(0),
        pruned_seq: 0,
        swept: 0,
        forgotten: Seconds(0),
    };
    tx.execute("INSERT INTO meta VALUES (1, ?1, ?2, 0, 0, 0, 0, 0, 0, 0)", params![owner.app, owner.list_key])?;
    if birth.log_out_everybody {
        meta.leave_behind_the_lost(now);
    }
    let position = meta.take(now);
    if birth.log_out_everybody {
        rows::insert(&tx, &[Record::Everybody { position }], position)?;
    }
    meta.write(&tx)?;
    Ok(tx.commit()?)
}

pub(super) fn new_incarnation() -> Result<Incarnation, Fault> {
    crate::random::kernel().map(|bytes| Incarnation(u64::from_be_bytes(bytes))).map_err(Fault::Random)
}

pub(super) fn owner(conn: &Connection) -> rusqlite::Result<Owner> {
    conn.query_one("SELECT app, list_key FROM meta", [], |row| Ok(Owner { app: row.get(0)?, list_key: row.get(1)? }))
}

impl Meta {
    pub(super) fn read(tx: &Transaction<'_>) -> rusqlite::Result<Self> {
        let mut statement =
            tx.prepare_cached("SELECT incarnation, healing, mark, pruned_day, pruned_seq, swept, forgotten FROM meta")?;
        statement.query_one([], |row| {
            Ok(Self {
                incarnation: Incarnation(row.get::<_, i64>(0)?.cast_unsigned()),
                healing: row.get(1)?,
                mark: Position(row.get::<_, i64>(2)?.cast_unsigned()),
                pruned_day: Day(row.get(3)?),
                pruned_seq: row.get(4)?,
                swept: row.get::<_, i64>(5)?.cast_unsigned(),
                forgotten: Seconds(row.get(6)?),
            })
        })
    }

    pub(super) fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = tx.prepare_cached(
            "UPDATE meta SET incarnation = ?1, healing = ?2, mark = ?3, pruned_day = ?4, pruned_seq = ?5, swept = ?6, \
             forgotten = ?7",
        )?;
        statement.execute(params![
            self.incarnation.0.cast_signed(),
            self.healing,
            self.mark.0.cast_signed(),
            self.pruned_day.0,
            self.pruned_seq,
            self.swept.cast_signed(),
            self.forgotten.0,
        ])?;
        Ok(())
    }

    /// A new life: something was lost, and whoever remembers it has to give it back.
    pub(super) fn begin_anew(&mut self) -> Result<(), Fault> {
        self.incarnation = new_incarnation()?;
        self.healing = true;
        Ok(())
    }

    /// Nobody knows the highest position of a list that is lost. It can have run ahead of the clock, by as
    /// much as clocks may differ, and "everybody" must mean the sessions that were born there too.
    pub(super) fn leave_behind_the_lost(&mut self, now: Now) {
        self.mark = self.mark.max(Position(now.millis).after(SKEW));
    }

    /// A new position: above every earlier one, whatever the clock did.
    pub(super) fn take(&mut self, now: Now) -> Position {
        self.mark = self.clock(now).next();
        self.mark
    }

    /// The store's time: the clock, or the highest position if the clock has gone back.
    pub(super) fn clock(&self, now: Now) -> Position {
        self.mark.max(Position(now.millis))
    }

    /// Forgets what no living session can match any more. Cheap: most calls find that nothing is due.
    ///
    /// By the clock of now, not by the mark: a clock that once ran ahead for a moment must not make the
    /// file forget early for ever. What it did forget in that moment stays denied.
    pub(super) fn prune(&mut self, tx: &Transaction<'_>, now: Now) -> rusqlite::Result<()> {
        let today = remembered(now);
        if today != self.pruned_day {
            let position = self.take(now);
            if let Some(last) = rows::forget(tx, today, position)? {
                self.pruned_seq = self.pruned_seq.max(last);
            }
            self.pruned_day = today;
        }
        if now.millis.abs_diff(self.swept) >= SWEEP_MS {
            let over = now.seconds().0;
            let last: Option<u32> =
                tx.query_one("SELECT max(expires) FROM once WHERE expires <= ?1", [over], |row| row.get(0))?;
            if let Some(last) = last {
                tx.execute("DELETE FROM once WHERE expires <= ?1", [over])?;
                self.forgotten = self.forgotten.max(Seconds(last));
            }
            self.swept = now.millis;
        }
        Ok(())
    }
}
