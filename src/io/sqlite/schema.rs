//! The tables, and the rules that hold in every transaction.
//!
//! ```text
//!   meta     one row: whose list, which life, the highest position given out, what was pruned
//!   record   the feed: seq rises, rows are only added, and pruned when no session can match them
//!   once     hashes of spent one-time values, until they expire
//!   profile  how each cookie is configured, for tools
//!   parcel   wrapped keys and probes, for the nodes
//!   node     who follows the file
//!   wanted   one row: the position that somebody wants them to say they have applied
//!
//!   origin   in a node's own file, one row at the most: where and when its records were last whole
//!   spool    in a node's own file: wishes that wait for the store
//!   process  in a node's own file: who uses it
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
use super::{nodes, own, process, rows};

/// What a file is for. A list and a node's own file have the same records, and neither may be taken for the
/// other: one is the truth, the other a memory of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The revocation list.
    List,
    /// What a node remembers of a list that is on a server.
    Own,
}

impl Kind {
    /// "SEAL" and "SEAN": a file without one of them belongs to another program.
    pub(super) const fn application(self) -> i32 {
        match self {
            Self::List => 0x5345_414c,
            Self::Own => 0x5345_414e,
        }
    }

    pub(super) fn of(application: i32) -> Option<Self> {
        [Self::List, Self::Own].into_iter().find(|kind| kind.application() == application)
    }

    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Own => "own file",
        }
    }
}

/// Grows when an older program could no longer read the file rightly.
pub(super) const VERSION: i32 = 2;

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
    forgotten INTEGER NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0
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
CREATE TABLE parcel (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID;
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
    /// When this life began with a loss; 0 for a first one.
    pub begun: Position,
}

/// How a new file begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    pub kind: Kind,
    pub healing: bool,
    pub log_out_everybody: bool,
}

/// Writes the tables into an empty database.
pub(super) fn create(conn: &mut Connection, owner: &Owner, birth: Birth, now: Now) -> Result<(), Fault> {
    let tx = conn.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.execute_batch(nodes::TABLES)?;
    if birth.kind == Kind::Own {
        tx.execute_batch(own::TABLES)?;
        tx.execute_batch(process::TABLE)?;
    }
    tx.pragma_update(None, "application_id", birth.kind.application())?;
    tx.pragma_update(None, "user_version", VERSION)?;
    let mut meta = Meta {
        incarnation: new_incarnation()?,
        healing: birth.healing,
        mark: Position(0),
        pruned_day: Day(0),
        pruned_seq: 0,
        swept: 0,
        forgotten: Seconds(0),
        begun: Position(0),
    };
    if birth.healing {
        meta.begun = meta.clock(now);
    }
    tx.execute("INSERT INTO meta VALUES (1, ?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0)", params![owner.app, owner.list_key])?;
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

/// Adds what files of the same schema did not have from the start. A program that does not know it reads them as well.
pub(super) fn complete(conn: &Connection) -> rusqlite::Result<()> {
    let has = || conn.prepare("SELECT begun FROM meta").map(drop);
    if has().is_ok() {
        return Ok(());
    }
    let added = conn.execute_batch("ALTER TABLE meta ADD COLUMN begun INTEGER NOT NULL DEFAULT 0");
    // Another process may be quicker.
    has().or(added)
}

pub(super) fn owner(conn: &Connection) -> rusqlite::Result<Owner> {
    conn.query_one("SELECT app, list_key FROM meta", [], |row| Ok(Owner { app: row.get(0)?, list_key: row.get(1)? }))
}

impl Meta {
    pub(super) fn read(tx: &Transaction<'_>) -> rusqlite::Result<Self> {
        let mut statement = tx.prepare_cached(
            "SELECT incarnation, healing, mark, pruned_day, pruned_seq, swept, forgotten, begun FROM meta",
        )?;
        statement.query_one([], |row| {
            Ok(Self {
                incarnation: Incarnation(row.get::<_, i64>(0)?.cast_unsigned()),
                healing: row.get(1)?,
                mark: Position(row.get::<_, i64>(2)?.cast_unsigned()),
                pruned_day: Day(row.get(3)?),
                pruned_seq: row.get(4)?,
                swept: row.get::<_, i64>(5)?.cast_unsigned(),
                forgotten: Seconds(row.get(6)?),
                begun: Position(row.get::<_, i64>(7)?.cast_unsigned()),
            })
        })
    }

    pub(super) fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = tx.prepare_cached(
            "UPDATE meta SET incarnation = ?1, healing = ?2, mark = ?3, pruned_day = ?4, pruned_seq = ?5, swept = ?6, \
             forgotten = ?7, begun = ?8",
        )?;
        statement.execute(params![
            self.incarnation.0.cast_signed(),
            self.healing,
            self.mark.0.cast_signed(),
            self.pruned_day.0,
            self.pruned_seq,
            self.swept.cast_signed(),
            self.forgotten.0,
            self.begun.0.cast_signed(),
        ])?;
        Ok(())
    }

    /// A new life: something was lost, and whoever remembers it has to give it back.
    pub(super) fn begin_anew(&mut self, now: Now) -> Result<(), Fault> {
        self.incarnation = new_incarnation()?;
        self.healing = true;
        self.begun = self.clock(now);
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
