//! Which processes use a node's own file, and which of them have ended.
//!
//! Each holds a file of its own locked for as long as it lives, `node.db-<its id>.lock`; the kernel lets go of
//! it however the process ends. What a process that has ended knew is in the file, so whoever gives that back
//! does it for the dead as well, and nobody has to wait for them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Transaction, params};

use crate::id::NodeId;

use super::fault::Fault;
use super::file::{FileId, beside, remove};
use super::shared::Shared;

pub(super) const TABLE: &str = "
CREATE TABLE process (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL
) STRICT;
";

/// This process among those that use the file, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Presence {
    pub id: NodeId,
    _locked: File,
}

/// What the file says of a process.
struct Process {
    id: NodeId,
    host: String,
    lock: FileId,
}

impl Shared {
    /// Enters this process, and answers which ones have ended. One that ran elsewhere is not among them, nor
    /// one whose lock is not the file that it was: the folder may be a copy, and the process alive.
    pub(super) fn enter(&self, id: NodeId, host: &str) -> Result<(Presence, Vec<NodeId>), Fault> {
        let (path, others) = (lock_of(&self.path, id), self.read(|tx| Ok(read(tx)?))?);
        let (mut ended, mut unknown) = (Vec::new(), Vec::new());
        for process in others {
            match has_ended(&lock_of(&self.path, process.id), &process, host)? {
                Some(true) => ended.push(process.id),
                Some(false) => {}
                None => unknown.push(process.id),
            }
        }
        let locked = create(&path)?;
        locked.lock()?;
        let lock = FileId::of(&locked.metadata()?);
        self.note(|tx, _| {
            unknown.iter().try_for_each(|id| delete(tx, *id))?;
            insert(tx, &Process { id, host: host.to_owned(), lock })
        })?;
        Ok((Presence { id, _locked: locked }, ended))
    }

    /// Nobody waits for these any more.
    pub(super) fn bury(&self, ended: &[NodeId]) -> Result<(), Fault> {
        self.note(|tx, _| ended.iter().try_for_each(|id| delete(tx, *id)))?;
        ended.iter().try_for_each(|id| remove(&lock_of(&self.path, *id))).map_err(Fault::Io)
    }
}

/// Nothing where that cannot be told.
fn has_ended(lock: &Path, process: &Process, host: &str) -> Result<Option<bool>, Fault> {
    if process.host != host {
        return Ok(None);
    }
    let file = match File::open(lock) {
        Ok(file) if FileId::of(&file.metadata()?) == process.lock => file,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(true)),
        Err(TryLockError::WouldBlock) => Ok(Some(false)),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn lock_of(path: &Path, id: NodeId) -> PathBuf {
    beside(path, &format!("-{id}.lock"))
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn read(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Process>> {
    let mut statement = tx.prepare("SELECT id, host, device, inode FROM process ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let unsigned = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let lock = FileId::from_numbers(unsigned(2)?, unsigned(3)?);
        Ok(Process { id: NodeId(unsigned(0)?), host: row.get(1)?, lock })
    })?;
    rows.collect()
}

fn insert(tx: &Transaction<'_>, process: &Process) -> rusqlite::Result<()> {
    let (device, inode) = process.lock.numbers();
    let values = params![process.id.0.cast_signed(), process.host, device.cast_signed(), inode.cast_signed()];
    tx.execute("INSERT INTO process VALUES (?1, ?2, ?3, ?4)", values).map(drop)
}

fn delete(tx: &Transaction<'_>, id: NodeId) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM process WHERE id = ?1", [id.0.cast_signed()]).map(drop)
}
