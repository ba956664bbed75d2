//! Following the file.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::revocation::store::StoreFuture;
use crate::revocation::{Beat, Follower};
use crate::time::{Now, Position};

use super::fault::Fault;
use super::file::Db;
use super::rows;
use super::schema::Meta;
use super::shared::{Known, Shared, lock, settle};
use super::{ATTEMPTS, LOCK_WAIT, blocking};

/// An idle list gets a fresh mark, and is pruned, after this many milliseconds.
const IDLE_MS: u64 = 10_000;

/// Reads the file for one replica, over a connection of its own.
pub(super) struct SqliteFollower {
    shared: Arc<Shared>,
    db: Arc<Mutex<Option<Db>>>,
    /// Moves only when a beat was delivered, so that a beat whose caller went away loses nothing.
    cursor: Option<Cursor>,
}

/// How far the caller has been brought.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    known: Known,
    /// The connection, and its `data_version`: while both stand, nobody else has written.
    version: (u64, i64),
    /// Whether the caller was told of a loss. When it comes back it has given back what it knew.
    told_of_loss: bool,
}

/// Whether a beat writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    No,
    /// Housekeeping: while another process writes, or the disk is full, it can wait for the next beat.
    IfEasy,
    Must,
}

/// What one transaction found.
enum Found {
    News(Beat, Cursor),
    /// A loss, which is not to be reported before the file has a new incarnation, and positions above all
    /// earlier ones.
    Loss,
}

impl SqliteFollower {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, db: Arc::default(), cursor: None }
    }
}

impl Follower for SqliteFollower {
    fn beat(&mut self, stamp: bool) -> StoreFuture<'_, Beat> {
        Box::pin(async move {
            let (db, cursor) = (self.db.clone(), self.cursor);
            let beat = move |shared: &Shared| shared.beat(&mut lock(&db), cursor, stamp);
            let (beat, cursor) = blocking(self.shared.clone(), "reading the revocation list", beat).await?;
            self.cursor = Some(cursor);
            self.shared.remembered.store(true, Ordering::SeqCst);
            self.shared.saw(beat.position);
            Ok(beat)
        })
    }
}

impl Shared {
    fn beat(&self, slot: &mut Option<Db>, cursor: Option<Cursor>, stamp: bool) -> Result<(Beat, Cursor), Fault> {
        for _ in 0..ATTEMPTS {
            let done = self.current(slot).and_then(|db| {
                let found = self.beat_once(db, cursor, stamp)?;
                Ok(db.is_in_place(&self.path)?.then_some(found))
            });
            match settle(slot, done)? {
                Some(Found::News(beat, cursor)) => return Ok((beat, cursor)),
                Some(Found::Loss) | None => {}
            }
        }
        Err(self.restless())
    }

    fn beat_once(&self, db: &mut Db, cursor: Option<Cursor>, stamp: bool) -> Result<Found, Fault> {
        let now = self.clock.now();
        let owing = self.owing.load(Ordering::SeqCst);
        let idle = cursor.is_some_and(|c| now.millis.saturating_sub(c.known.mark.0) > IDLE_MS);
        let write = match stamp {
            true => Write::Must,
            false if idle || self.heals(cursor) => Write::IfEasy,
            false => Write::No,
        };
        let found = match write {
            Write::No => match cursor.filter(|c| c.version.0 == db.serial && !owing) {
                Some(cursor) if version(&db.conn)? == cursor.version.1 => return Ok(quiet(cursor, now)),
                _ => self.catch_up(db, cursor, false, now)?,
            },
            Write::Must => self.catch_up(db, cursor, true, now)?,
            Write::IfEasy => {
                db.conn.busy_timeout(Duration::ZERO)?;
                let done = self.catch_up(db, cursor, true, now);
                db.conn.busy_timeout(LOCK_WAIT)?;
                match done {
                    // Fails open because the list can be read as well as ever: the older mark is a lower
                    // bound too, and nobody can publish what this beat does not see.
                    Err(fault) if fault.only_blocks_writing() => self.catch_up(db, cursor, false, now)?,
                    done => done?,
                }
            }
        };
        match found {
            Found::Loss => self.catch_up(db, cursor, true, now),
            news @ Found::News(..) => Ok(news),
        }
    }

    fn heals(&self, cursor: Option<Cursor>) -> bool {
        cursor.is_some_and(|c| c.told_of_loss) && !self.owing.load(Ordering::SeqCst)
    }

    fn catch_up(&self, db: &mut Db, cursor: Option<Cursor>, writing: bool, now: Now) -> Result<Found, Fault> {
        let (file, serial) = (db.file, db.serial);
        let kind = if writing { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
        // Read first: what this process saw by now, the file must have.
        let highest = self.highest();
        let tx = db.conn.transaction_with_behavior(kind)?;
        let version = (serial, version(&tx)?);
        let mut meta = Meta::read(&tx)?;
        let same = cursor.map(|c| c.known).filter(|known| known.incarnation == meta.incarnation);
        let lost = same.map_or(Ok(false), |known| known.is_lost(&tx, &meta, file))?;
        if (lost || meta.mark < highest) && !writing {
            return Ok(Found::Loss);
        }
        // Where giving back has failed, the caller gets the whole list again, so that it tries again.
        let whole = lost || self.owing.load(Ordering::SeqCst);
        let from = same.filter(|_| !whole).map(|known| known.last);
        let mut told_of_loss = cursor.is_some_and(|c| c.told_of_loss || from.is_none());
        if writing {
            if lost {
                meta.begin_anew()?;
            } else if from.is_some() && self.heals(cursor) {
                meta.healing = false;
                told_of_loss = false;
            }
            self.advance(&tx, &mut meta, now)?;
            meta.write(&tx)?;
        }
        let (records, reached) = rows::read_after(&tx, from.unwrap_or_default(), &self.path)?;
        tx.commit()?;
        let Meta { incarnation, mark, .. } = meta;
        let beat =
            Beat { incarnation, position: mark, clock: meta.clock(now), records, whole: from.is_none(), healed: true };
        Ok(Found::News(beat, Cursor { known: Known { incarnation, file, mark, last: reached }, version, told_of_loss }))
    }
}

/// Nobody has written since.
fn quiet(cursor: Cursor, now: Now) -> Found {
    let Known { incarnation, mark, .. } = cursor.known;
    let clock = mark.max(Position(now.millis));
    Found::News(Beat { incarnation, position: mark, clock, records: Vec::new(), whole: false, healed: true }, cursor)
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "data_version", |row| row.get(0))
}
