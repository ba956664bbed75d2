//! What a store and its followers have in common: the path, the writing connection, and the transaction
//! that every change goes through.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::doctor;
use crate::id::{Incarnation, NodeId, ShortId};
use crate::io::private::mode;
use crate::revocation::{Condition, Nodes, Once, OnceValue, Record, Revocation, RevocationList, Stand};
use crate::rotation::Rotation;
use crate::time::{Clock, Day, Now, Position};

use super::create;
use super::fault::Fault;
use super::file::{self, Db, FileId, Standing};
use super::nodes;
use super::rows::{self, Last};
use super::schema::{Birth, Kind, Meta, Owner};
use super::{ATTEMPTS, QUEUE};

#[derive(Debug)]
pub(super) struct Shared {
    pub path: PathBuf,
    pub kind: Kind,
    pub owner: Owner,
    pub clock: Clock,
    pub create: bool,
    pub log_out_everybody: bool,
    /// Whether somebody in this process knows the list, and so could give it back.
    pub remembered: AtomicBool,
    /// Whether giving back failed and has not succeeded since.
    pub owing: AtomicBool,
    /// The highest position that this process has seen in the file: a file that takes its place is
    /// raised above it, whatever the clock says by then.
    highest: AtomicU64,
    writer: Mutex<Writer>,
    /// Who waits to write, and whose turn it is.
    pub queue: Arc<Semaphore>,
    pub turn: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Writer {
    db: Option<Db>,
    known: Option<Known>,
}

/// What the file held when it was last looked at; what it must still hold if nothing was lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub incarnation: Incarnation,
    pub file: FileId,
    pub mark: Position,
    pub last: Last,
}

impl Known {
    /// Whether the file went back in time, or is a copy: then its life ends and a new one begins.
    pub(super) fn is_lost(&self, tx: &Transaction<'_>, meta: &Meta, file: FileId) -> rusqlite::Result<bool> {
        Ok(self.file != file || meta.mark < self.mark || !self.last.is_in(tx, meta)?)
    }
}

/// One transaction that changes the file.
pub(super) struct Change<'a> {
    pub tx: &'a Transaction<'a>,
    pub meta: &'a mut Meta,
    pub now: Now,
    /// Taken for this change.
    pub position: Position,
    added: Option<Last>,
}

impl Change<'_> {
    pub(super) fn add(&mut self, records: &[Record]) -> Result<(), Fault> {
        self.added = rows::insert(self.tx, records, self.position)?.or(self.added);
        Ok(())
    }

    /// What wishes become at a position. How long a cut-off matters, the file knows best.
    pub(super) fn records(&self, wishes: &[Revocation], position: Position) -> rusqlite::Result<Vec<Record>> {
        let longest = rows::longest(self.tx)?.unwrap_or_default();
        let last_day = self.now.seconds().after(longest).day();
        let record = |wish: &Revocation| match wish.at(position) {
            Record::CutOff { tag, position, day } => Record::CutOff { tag, position, day: day.max(last_day) },
            other => other,
        };
        Ok(wishes.iter().map(record).collect())
    }

    /// From now on positions are above this one.
    pub(super) fn rise_above(&mut self, above: Position) {
        if above >= self.position {
            self.meta.mark = above;
            self.position = self.meta.take(self.now);
        }
    }
}

impl Shared {
    pub(super) fn new(path: PathBuf, kind: Kind, owner: Owner, clock: Clock) -> Self {
        Self {
            path,
            kind,
            owner,
            clock,
            create: false,
            log_out_everybody: false,
            remembered: AtomicBool::new(false),
            owing: AtomicBool::new(false),
            highest: AtomicU64::new(0),
            writer: Mutex::default(),
            queue: Arc::new(Semaphore::new(QUEUE)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) fn start(&self) -> Result<(), Fault> {
        self.current(&mut lock(&self.writer).db)?.inspect(&self.path)?;
        create::clear(&self.path)?;
        if self.log_out_everybody && self.read(|tx| Ok(Meta::read(tx)?.healing))? {
            // Whoever remembered the list died before giving it back.
            self.write(|change| {
                change.meta.healing = false;
                change.meta.leave_behind_the_lost(change.now);
                change.position = change.meta.take(change.now);
                change.add(&[Record::Everybody { position: change.position }])
            })?;
        }
        Ok(())
    }

    /// The connection to the file that lies at the path now.
    pub(super) fn current<'a>(&self, slot: &'a mut Option<Db>) -> Result<&'a mut Db, Fault> {
        let standing = slot.as_ref().map(|db| db.standing(&self.path)).transpose()?;
        if standing != Some(Standing::Current) {
            if let Some(old) = slot.as_ref().filter(|_| standing == Some(Standing::Replaced)) {
                old.remove_leftovers(&self.path)?;
            }
            // The old one is dropped after the new one is open: as long as somebody has the file open,
            // its inode is not given to another file, and its log is not removed.
            *slot = Some(self.open()?);
        }
        slot.as_mut().ok_or_else(|| file::missing(&self.path))
    }

    fn open(&self) -> Result<Db, Fault> {
        if self.create && !self.path.try_exists()? {
            let remembered = self.remembered.load(Ordering::SeqCst);
            let (kind, log_out_everybody) = (self.kind, self.log_out_everybody && !remembered);
            let birth = Birth { kind, healing: remembered, log_out_everybody };
            create::create(&self.path, &self.owner, birth, self.clock.now())?;
        }
        Db::open(&self.path, self.kind, Some(&self.owner))
    }

    pub(super) fn read<T>(&self, work: impl Fn(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut writer = lock(&self.writer);
        let db = self.current(&mut writer.db)?;
        let done = db.conn.transaction().map_err(Fault::Sql).and_then(|tx| work(&tx));
        settle(&mut writer.db, done)
    }

    /// Runs `work` in one transaction at a new position, and returns when that is on disk in the file that
    /// lies at the path.
    pub(super) fn write<T>(&self, work: impl Fn(&mut Change<'_>) -> Result<T, Fault>) -> Result<(Stand, T), Fault> {
        let mut writer = lock(&self.writer);
        let Writer { db: slot, known } = &mut *writer;
        for _ in 0..ATTEMPTS {
            let done = self.current(slot).and_then(|db| {
                let (after, value) = self.write_once(db, *known, &work)?;
                *known = Some(after);
                self.saw(after.mark);
                let stand = Stand { incarnation: after.incarnation, position: after.mark };
                Ok(db.is_in_place(&self.path)?.then_some((stand, value)))
            });
            if let Some(done) = settle(slot, done)? {
                return Ok(done);
            }
        }
        Err(self.restless())
    }

    fn write_once<T>(
        &self,
        db: &mut Db,
        known: Option<Known>,
        work: &impl Fn(&mut Change<'_>) -> Result<T, Fault>,
    ) -> Result<(Known, T), Fault> {
        let now = self.clock.now();
        let tx = db.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut meta = Meta::read(&tx)?;
        let mut last = Last::default();
        if let Some(known) = known.filter(|known| known.incarnation == meta.incarnation) {
            if known.is_lost(&tx, &meta, db.file)? {
                meta.begin_anew(now)?;
            } else {
                last = known.last;
            }
        }
        let position = self.advance(&tx, &mut meta, now)?;
        let mut change = Change { tx: &tx, meta: &mut meta, now, position, added: None };
        let value = work(&mut change)?;
        let last = change.added.unwrap_or(last);
        meta.write(&tx)?;
        tx.commit()?;
        Ok((Known { incarnation: meta.incarnation, file: db.file, mark: meta.mark, last }, value))
    }

    /// What every writing transaction does: prune what is due, and take a position.
    pub(super) fn advance(&self, tx: &Transaction<'_>, meta: &mut Meta, now: Now) -> Result<Position, Fault> {
        meta.prune(tx, now)?;
        meta.mark = meta.mark.max(self.highest());
        Ok(meta.take(now))
    }

    pub(super) fn highest(&self) -> Position {
        Position(self.highest.load(Ordering::SeqCst))
    }

    pub(super) fn saw(&self, mark: Position) {
        self.highest.fetch_max(mark.0, Ordering::SeqCst);
    }

    /// Adds what the file lacks. Several processes may give back the same records.
    pub(super) fn give_back(&self, records: &[Record], above: Position) -> Result<Stand, Fault> {
        let highest = records.iter().map(|record| match record {
            Record::CutOff { position, .. } | Record::Everybody { position } | Record::Forgotten { position, .. } => {
                *position
            }
            Record::Session { .. } | Record::Floor { .. } | Record::Key { .. } => Position(0),
        });
        let above = highest.fold(above, Position::max);
        self.owing.store(true, Ordering::SeqCst);
        let (stand, ()) = self.write(|change| {
            change.rise_above(above);
            let (held, _) = rows::read_after(change.tx, Last::default(), &self.path)?;
            let held: RevocationList = held.iter().collect();
            let lacking: Vec<Record> = records.iter().filter(|record| !held.holds(record)).copied().collect();
            change.meta.healing = false;
            change.add(&lacking)
        })?;
        self.owing.store(false, Ordering::SeqCst);
        Ok(stand)
    }

    /// A change that is none of the list: it takes no position, and nobody needs to give it back.
    pub(super) fn note<T>(&self, work: impl Fn(&Transaction<'_>, &Meta) -> rusqlite::Result<T>) -> Result<T, Fault> {
        let mut writer = lock(&self.writer);
        let slot = &mut writer.db;
        let done = self.current(slot).and_then(|db| {
            let tx = db.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx, &Meta::read(&tx)?)?;
            tx.commit()?;
            Ok(value)
        });
        settle(slot, done)
    }

    pub(super) fn nodes(&self, wanted: Position) -> Result<Nodes, Fault> {
        let (nodes, known) = self.read(|tx| {
            let (meta, nodes, known) = (Meta::read(tx)?, nodes::read(tx)?, nodes::wanted(tx)?);
            let (incarnation, healed, now) = (meta.incarnation, !meta.healing, meta.clock(self.clock.now()));
            Ok((Nodes { incarnation, begun: meta.begun, healed, now, nodes }, known))
        })?;
        if known < wanted {
            self.note(|tx, _| nodes::want(tx, wanted))?;
        }
        Ok(nodes)
    }

    pub(super) fn forget_node(&self, node: NodeId) -> Result<bool, Fault> {
        self.note(|tx, _| nodes::remove(tx, node))
    }

    /// How much the files of the list take up, and whether others may touch them.
    pub(super) fn condition(&self) -> Result<Condition, Fault> {
        self.read(|_| Ok(()))?;
        // Those that SQLite keeps beside the file come and go.
        let size = |end| std::fs::metadata(file::beside(&self.path, end)).map_or(0, |meta| meta.len());
        let list = ["", "-wal", "-shm"].into_iter().map(size).sum();
        let own = doctor::file(&self.path.display().to_string(), mode(&self.path));
        Ok(Condition { list: Some(list), findings: vec![own], ..Condition::default() })
    }

    /// Revocations as records of one position.
    pub(super) fn publish(&self, wishes: &[Revocation]) -> Result<(Stand, Vec<Record>), Fault> {
        self.publish_over(None, wishes).map(|(stand, records)| (stand, records.unwrap_or_default()))
    }

    /// The same, only in one life and over one rotation list, where that is asked for.
    pub(super) fn publish_over(
        &self,
        only_over: Option<&(Incarnation, Rotation)>,
        wishes: &[Revocation],
    ) -> Result<(Stand, Option<Vec<Record>>), Fault> {
        self.write(|change| {
            if let Some((life, list)) = only_over
                && (change.meta.incarnation != *life || rows::rotation(change.tx)? != *list)
            {
                return Ok(None);
            }
            let records = change.records(wishes, change.position)?;
            change.add(&records)?;
            Ok(Some(records))
        })
    }

    /// Of several who want the same floor, one gets it.
    pub(super) fn raise(&self, id: ShortId, floor: u32, day: Day) -> Result<(Stand, Result<Record, Record>), Fault> {
        self.write(|change| {
            let known = rows::floor(change.tx, id)?.filter(|known| *known >= floor);
            let record = Record::Floor { id, floor: known.unwrap_or(floor), day };
            if known.is_some() {
                return Ok(Err(record));
            }
            change.add(&[record])?;
            Ok(Ok(record))
        })
    }

    /// What can be refused by reading alone is: a flood of replays must not queue up for the disk.
    pub(super) fn spend(&self, value: OnceValue) -> Result<Once, Fault> {
        let refused = |tx: &Transaction<'_>, meta: &Meta, now: Now| {
            if value.expires <= now.seconds().max(meta.forgotten) {
                return Ok::<_, Fault>(Some(Once::Expired));
            }
            if value.incarnation != meta.incarnation {
                return Ok(Some(Once::Foreign));
            }
            Ok(rows::is_spent(tx, value.hash)?.then_some(Once::Spent))
        };
        if let Some(once) = self.read(|tx| refused(tx, &Meta::read(tx)?, self.clock.now()))? {
            return Ok(once);
        }
        let spend = |change: &mut Change<'_>| {
            if let Some(once) = refused(change.tx, change.meta, change.now)? {
                return Ok(once);
            }
            let first = rows::spend(change.tx, value.hash, value.expires)?;
            Ok(if first { Once::First } else { Once::Spent })
        };
        self.write(spend).map(|(_, once)| once)
    }

    pub(super) fn restless(&self) -> Fault {
        Fault::Said {
            problem: format!("{} was replaced again and again", self.path.display()),
            fix: "Look for the program that replaces it, and stop that",
        }
    }
}

/// After an error whose cause may lie in the connection, the next call begins with a new one. A full
/// disk or a lock is not such a cause, and on a full disk a new connection could not even read.
pub(super) fn settle<T>(slot: &mut Option<Db>, done: Result<T, Fault>) -> Result<T, Fault> {
    if done.as_ref().is_err_and(|fault| matches!(fault, Fault::Sql(_)) && !fault.only_blocks_writing()) {
        *slot = None;
    }
    done
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic cannot leave a transaction behind: it is rolled back when it is dropped.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
