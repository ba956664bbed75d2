//! Following the file.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::id::{Incarnation, NodeId};
use crate::revocation::store::StoreFuture;
use crate::revocation::{Beat, Follower, Heard, Node, Records, Report};
use crate::time::{Now, Position};

use super::fault::Fault;
use super::file::Db;
use super::nodes::{self, HEARTBEAT};
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
    id: NodeId,
    /// What it says of itself; nothing where a tool reads.
    report: Option<Arc<Report>>,
    /// Moves only when a beat was delivered, so that a beat whose caller went away loses nothing.
    cursor: Option<Cursor>,
}

/// How far the caller has been brought.
#[derive(Clone, Debug)]
struct Cursor {
    known: Known,
    /// The connection, and its `data_version`: while both stand, nobody else has written.
    version: (u64, i64),
    /// Whether the caller was told of a loss. When it comes back it has given back what it knew.
    told_of_loss: bool,
    /// What was last said of this node, and when, by boot time.
    said: Option<(Duration, Arc<Report>)>,
    /// The position that somebody wants to hear of.
    wanted: Position,
}

/// A node as its own follower knows it.
#[derive(Clone, PartialEq, Eq)]
struct Member {
    id: NodeId,
    report: Arc<Report>,
}

impl Member {
    fn write(&self, tx: &Transaction<'_>, life: Option<Incarnation>, seen: Position) -> rusqlite::Result<()> {
        let report = Some(Report::clone(&self.report));
        nodes::write(tx, &Node { id: self.id, seen, gave_back: life, report })
    }
}

/// Whether a beat writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    No,
    /// This node is not on the list of those that are waited for.
    ToRegister,
    /// Housekeeping: while another process writes, or the disk is full, it can wait for the next beat.
    IfEasy,
    Must,
}

/// What one transaction may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access<'a> {
    /// Read what is new.
    Read,
    /// Also take a position, heal, and write down what the node that reads says of itself, if it is one.
    Write(Option<&'a Member>),
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
        let id = NodeId(u64::from_be_bytes(crate::random::fresh()));
        Self { shared, db: Arc::default(), id, report: None, cursor: None }
    }

    fn member(&self) -> Option<Member> {
        self.report.clone().map(|report| Member { id: self.id, report })
    }
}

impl Follower for SqliteFollower {
    fn beat(&mut self, stamp: bool) -> StoreFuture<'_, Beat> {
        Box::pin(async move {
            let (db, cursor, member) = (self.db.clone(), self.cursor.clone(), self.member());
            let beat = move |shared: &Shared| shared.beat(&mut lock(&db), cursor.as_ref(), member.as_ref(), stamp);
            let (beat, cursor) = blocking(self.shared.clone(), "reading the revocation list", beat).await?;
            self.cursor = Some(cursor);
            self.shared.remembered.store(true, Ordering::SeqCst);
            self.shared.saw(beat.position);
            Ok(beat)
        })
    }

    fn describe(&mut self, report: Report) {
        self.report = Some(Arc::new(report));
    }

    fn acknowledge(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let (Some(member), Some(cursor)) = (self.member(), &mut self.cursor) else { return Ok(()) };
            let (report, known, told_of_loss) = (member.report.clone(), cursor.known, cursor.told_of_loss);
            let say = move |shared: &Shared| shared.say(&member, known, told_of_loss);
            blocking(self.shared.clone(), "acknowledging to the revocation list", say).await?;
            cursor.said = cursor.said.take().map(|(at, _)| (at, report));
            Ok(())
        })
    }

    fn leave(&mut self) -> StoreFuture<'_, ()> {
        let id = self.id;
        Box::pin(blocking(self.shared.clone(), "leaving the revocation list", move |shared| {
            shared.forget_node(id).map(drop)
        }))
    }
}

impl Shared {
    fn beat(
        &self,
        slot: &mut Option<Db>,
        cursor: Option<&Cursor>,
        member: Option<&Member>,
        stamp: bool,
    ) -> Result<(Beat, Cursor), Fault> {
        for _ in 0..ATTEMPTS {
            let done = self.current(slot).and_then(|db| {
                let found = self.beat_once(db, cursor, member, stamp)?;
                Ok(db.is_in_place(&self.path)?.then_some(found))
            });
            match settle(slot, done)? {
                Some(Found::News(beat, cursor)) => {
                    let heard = heard(cursor.said.as_ref(), member, cursor.wanted);
                    return Ok((Beat { heard, ..beat }, cursor));
                }
                Some(Found::Loss) | None => {}
            }
        }
        Err(self.restless())
    }

    /// As of the beat that was delivered last; saying it again makes no node look younger.
    fn say(&self, member: &Member, known: Known, told_of_loss: bool) -> Result<(), Fault> {
        self.note(|tx, meta| {
            let life = Some(known.incarnation).filter(|life| *life == meta.incarnation && !told_of_loss);
            let seen = nodes::read(tx)?.into_iter().find(|node| node.id == member.id).map(|node| node.seen);
            // Not registered, because the disk was full: the next beat sees to that.
            seen.map_or(Ok(()), |seen| member.write(tx, life, seen))
        })
    }

    fn beat_once(
        &self,
        db: &mut Db,
        cursor: Option<&Cursor>,
        member: Option<&Member>,
        stamp: bool,
    ) -> Result<Found, Fault> {
        let now = self.clock.now();
        let owing = self.owing.load(Ordering::SeqCst);
        let idle = cursor.is_some_and(|c| now.millis.saturating_sub(c.known.mark.0) > IDLE_MS);
        let said = cursor.and_then(|c| c.said.as_ref());
        let unheard = |member| heard(said, Some(member), Position(0)) == Heard::No;
        let due = member.is_some() && said.is_some_and(|(at, _)| now.boot.saturating_sub(*at) > HEARTBEAT);
        let write = match stamp {
            true => Write::Must,
            false if member.is_some_and(unheard) => Write::ToRegister,
            false if idle || due || self.heals(cursor) => Write::IfEasy,
            false => Write::No,
        };
        let found = match write {
            Write::No => match cursor.filter(|c| c.version.0 == db.serial && !owing) {
                Some(cursor) if version(&db.conn)? == cursor.version.1 => return Ok(quiet(cursor.clone(), now)),
                _ => self.catch_up(db, cursor, Access::Read, now)?,
            },
            Write::Must => self.catch_up(db, cursor, Access::Write(member), now)?,
            Write::IfEasy | Write::ToRegister => {
                if write == Write::IfEasy {
                    db.conn.busy_timeout(Duration::ZERO)?;
                }
                let done = self.catch_up(db, cursor, Access::Write(member), now);
                db.conn.busy_timeout(LOCK_WAIT)?;
                match done {
                    // Fails open because the list can be read as well as ever: the older mark is a lower
                    // bound too, and nobody can publish what this beat does not see. A node that could not
                    // register tries again with every beat, 0.2 s later: no longer can one be missed by
                    // whoever waits for all nodes, after the disk has room again.
                    Err(fault) if fault.only_blocks_writing() => self.catch_up(db, cursor, Access::Read, now)?,
                    done => done?,
                }
            }
        };
        match found {
            Found::Loss => self.catch_up(db, cursor, Access::Write(member), now),
            news @ Found::News(..) => Ok(news),
        }
    }

    fn heals(&self, cursor: Option<&Cursor>) -> bool {
        cursor.is_some_and(|c| c.told_of_loss) && !self.owing.load(Ordering::SeqCst)
    }

    fn catch_up(&self, db: &mut Db, cursor: Option<&Cursor>, access: Access<'_>, now: Now) -> Result<Found, Fault> {
        let (file, serial) = (db.file, db.serial);
        let kind = match access {
            Access::Read => TransactionBehavior::Deferred,
            Access::Write(_) => TransactionBehavior::Immediate,
        };
        // Read first: what this process saw by now, the file must have.
        let highest = self.highest();
        let tx = db.conn.transaction_with_behavior(kind)?;
        let version = (serial, version(&tx)?);
        let mut meta = Meta::read(&tx)?;
        let same = cursor.map(|c| c.known).filter(|known| known.incarnation == meta.incarnation);
        let lost = same.map_or(Ok(false), |known| known.is_lost(&tx, &meta, file))?;
        if (lost || meta.mark < highest) && access == Access::Read {
            return Ok(Found::Loss);
        }
        // Where giving back has failed, the caller gets the whole list again, so that it tries again.
        let whole = lost || self.owing.load(Ordering::SeqCst);
        let from = same.filter(|_| !whole).map(|known| known.last);
        let mut told_of_loss = cursor.is_some_and(|c| c.told_of_loss || from.is_none());
        let mut said = cursor.and_then(|c| c.said.clone());
        if let Access::Write(member) = access {
            if lost {
                meta.begin_anew(now)?;
            } else if from.is_some() && self.heals(cursor) {
                meta.healing = false;
                told_of_loss = false;
            }
            self.advance(&tx, &mut meta, now)?;
            meta.write(&tx)?;
            if let Some(member) = member {
                if said.is_none() {
                    nodes::tidy(&tx, meta.clock(now))?;
                }
                member.write(&tx, Some(meta.incarnation).filter(|_| !told_of_loss), meta.clock(now))?;
                said = Some((now.boot, member.report.clone()));
            }
        }
        let wanted = nodes::wanted(&tx)?;
        let (records, reached) = rows::read_after(&tx, from.unwrap_or_default(), &self.path)?;
        tx.commit()?;
        let Meta { incarnation, mark, .. } = meta;
        let beat = Beat {
            incarnation,
            position: mark,
            clock: meta.clock(now),
            records,
            whole: from.is_none(),
            healed: true,
            heard: Heard::No,
        };
        let known = Known { incarnation, file, mark, last: reached };
        Ok(Found::News(beat, Cursor { known, version, told_of_loss, said, wanted }))
    }
}

/// Nobody has written since.
fn quiet(cursor: Cursor, now: Now) -> Found {
    let Known { incarnation, mark, .. } = cursor.known;
    let clock = mark.max(Position(now.millis));
    let (records, whole, healed, heard) = (Records::default(), false, true, Heard::No);
    Found::News(Beat { incarnation, position: mark, clock, records, whole, healed, heard }, cursor)
}

/// What the file says of a node, beside what the node says of itself.
fn heard(said: Option<&(Duration, Arc<Report>)>, member: Option<&Member>, wanted: Position) -> Heard {
    match (said, member) {
        (Some((_, said)), Some(member)) if !said.agrees(&member.report) => Heard::No,
        (Some((_, said)), Some(_)) if said.applied < wanted.0 => Heard::Asked,
        (Some(_), _) => Heard::Yes,
        (None, _) => Heard::No,
    }
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "data_version", |row| row.get(0))
}
