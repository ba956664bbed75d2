//! A node's own file: the same file as the embedded list, as a memory of a list that is on a server.
//!
//! It holds each record once, so that a list can be written over itself, and by several processes. It is
//! whole when its `origin` names its present life: a file that was removed or rolled back under a running
//! program begins another one, and then all has to be written again before it counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::error::Error;
use crate::id::{Incarnation, NodeId};
use crate::revocation::{Origin, Profile, Record, Revocation, Snapshot, Waiting};
use crate::time::{Clock, Position};

use super::fault::Fault;
use super::file::{self, Db};
use super::process::Presence;
use super::rows::{self, CUT_OFF, EVERYBODY, Last, Row};
use super::schema::{self, Kind, Meta, Owner};
use super::shared::{Change, Shared};
use super::{blocking, writing};

pub(super) const TABLES: &str = "
CREATE UNIQUE INDEX one_of_each ON record (id, kind, day, value);
CREATE TABLE origin (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    place TEXT NOT NULL,
    life INTEGER NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    file INTEGER NOT NULL
) STRICT;
CREATE TABLE spool (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    day INTEGER NOT NULL,
    id INTEGER NOT NULL,
    value INTEGER NOT NULL,
    claimed INTEGER NOT NULL
) STRICT;
";

/// So long a wish is left to the process that said it is publishing it; longer than publishing can take.
const CLAIM: Duration = Duration::from_secs(15);
/// How many wishes are published at once.
const BATCH: usize = 1_000;

/// The file of one node, or of several on one host that share it.
#[derive(Clone)]
pub struct OwnFile {
    shared: Arc<Shared>,
    /// Where the file is opened by a process that uses it, and not by a tool that looks at it.
    presence: Option<Arc<Presence>>,
}

/// How much waits in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Wishes.
    pub waiting: u64,
    /// Of them, those that end more than one session.
    pub cut_offs: u64,
}

/// Something to be kept.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Records.
    pub records: Vec<Record>,
    /// Configurations of the app's cookies.
    pub profiles: Vec<Profile>,
    /// Wishes that were published.
    pub published: Vec<i64>,
    /// The highest position that the store is known to have given out.
    pub highest: Position,
    /// With these records everything is in the file that the store had here; if the file still lives the life
    /// that is named beside.
    pub whole: Option<(Origin, Incarnation)>,
}

impl OwnFile {
    /// Opens the file for a process of this name, on this host, and makes it if it is missing. `list_key` is the
    /// fingerprint of that key. Answers which earlier processes over it have ended. Blocks on the disk: for the
    /// start of a program.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be used, is damaged, is no such file, or belongs to another app or list
    /// key.
    pub fn open(
        path: &Path,
        owner: (&str, &str),
        process: (NodeId, &str),
        clock: Clock,
    ) -> Result<(Self, Vec<NodeId>), Error> {
        let ((app, list_key), (id, host)) = (owner, process);
        let path = file::resolve(path).map_err(|fault| fault.told(OPENING, path))?;
        let owner = Owner { app: app.to_owned(), list_key: list_key.to_owned() };
        let mut shared = Shared::new(path, Kind::Own, owner, clock);
        shared.create = true;
        let entered = shared.start().and_then(|()| shared.enter(id, host));
        let (presence, ended) = entered.map_err(|fault| fault.told(OPENING, &shared.path))?;
        Ok((Self { shared: Arc::new(shared), presence: Some(Arc::new(presence)) }, ended))
    }

    /// Opens the file that is there, whosever it is: for tools.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when there is none, or it cannot be used, is damaged, or is no such file.
    pub fn open_existing(path: &Path, clock: Clock) -> Result<Self, Error> {
        let open = || {
            let path = file::resolve(path)?;
            let owner = schema::owner(&Db::open(&path, Kind::Own, None)?.conn)?;
            Ok(Self { shared: Arc::new(Shared::new(path, Kind::Own, owner, clock)), presence: None })
        };
        open().map_err(|fault: Fault| fault.told(OPENING, path))
    }

    /// Where it is: absolute, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Everything in it, and its life. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be read.
    pub fn recall(&self) -> Result<(Snapshot, Incarnation), Error> {
        let read = |tx: &Transaction<'_>| {
            let life = Meta::read(tx)?.incarnation;
            let (records, _) = rows::read_after(tx, Last::default(), &self.shared.path)?;
            let waiting = waiting(tx, &self.shared.path)?;
            let profiles = rows::profiles(tx, &self.shared.path)?;
            Ok((Snapshot { origin: origin(tx, life)?, records, waiting, profiles }, life))
        };
        self.shared.read(read).map_err(|fault| fault.told("reading this node's own file", &self.shared.path))
    }

    /// The name of the process that opened it; none for a tool.
    #[must_use]
    pub fn process(&self) -> Option<NodeId> {
        self.presence.as_ref().map(|presence| presence.id)
    }

    /// What waits, oldest first. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be read.
    pub fn waiting(&self) -> Result<Vec<Waiting>, Error> {
        let path = &self.shared.path;
        self.shared.read(|tx| waiting(tx, path)).map_err(|fault| fault.told("reading this node's own file", path))
    }

    /// Forgets processes that have ended, when nobody waits for them any more.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be written.
    pub async fn bury(&self, ended: Vec<NodeId>) -> Result<(), Error> {
        blocking(self.shared.clone(), KEEPING, move |shared| shared.bury(&ended)).await
    }

    /// Adds to what is kept. Answers the life of the file, and how much waits in it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be written.
    pub async fn keep(&self, keep: Arc<Keep>) -> Result<(Incarnation, Depth), Error> {
        writing(self.shared.clone(), KEEPING, move |shared| {
            let (stand, depth) = shared.write(|change| change.keep(&keep))?;
            Ok((stand.incarnation, depth))
        })
        .await
    }

    /// Takes wishes in, to be enforced at a position until they are published; on disk when it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be written.
    pub async fn spool(&self, wishes: Vec<Revocation>, position: Position) -> Result<Vec<Waiting>, Error> {
        writing(self.shared.clone(), KEEPING, move |shared| {
            let (_, waiting) = shared.write(|change| change.spool(&wishes, position))?;
            Ok(waiting)
        })
        .await
    }

    /// The oldest wishes that nobody else is publishing just now. They are left to the caller for a while.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be written.
    pub async fn claim(&self) -> Result<Vec<Waiting>, Error> {
        blocking(self.shared.clone(), KEEPING, move |shared| {
            let (now, path) = (shared.clock.now().millis, shared.path.clone());
            let claim = u64::try_from(CLAIM.as_millis()).unwrap_or(u64::MAX);
            shared
                .note(|tx, _| {
                    let is_free = |claimed: u64| claimed.abs_diff(now) > claim;
                    let free = claims(tx)?.into_iter().filter(|(_, claimed)| is_free(*claimed));
                    let free: Vec<i64> = free.map(|(seq, _)| seq).take(BATCH).collect();
                    set_claims(tx, &free, now)?;
                    Ok(free)
                })
                .and_then(|free| {
                    let all = shared.read(|tx| waiting(tx, &path))?;
                    Ok(all.into_iter().filter(|waiting| free.contains(&waiting.seq)).collect())
                })
        })
        .await
    }

    /// Gives claimed wishes back, so that nobody waits for them to be published.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be written: then they are free a while later.
    pub async fn release(&self, wishes: Vec<i64>) -> Result<(), Error> {
        blocking(self.shared.clone(), KEEPING, move |shared| shared.note(|tx, _| set_claims(tx, &wishes, 0))).await
    }
}

const OPENING: &str = "opening this node's own file";
const KEEPING: &str = "writing this node's own file";

impl std::fmt::Debug for OwnFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnFile").field("path", &PathBuf::from(self.path())).finish_non_exhaustive()
    }
}

impl Change<'_> {
    fn keep(&mut self, keep: &Keep) -> Result<Depth, Fault> {
        // So that what the file forgets by itself stays denied for all who were born until then.
        self.rise_above(keep.highest);
        self.add(&keep.records)?;
        for profile in &keep.profiles {
            rows::announce(self.tx, profile)?;
        }
        let mut remove = self.tx.prepare_cached("DELETE FROM spool WHERE seq = ?1")?;
        for seq in &keep.published {
            remove.execute([seq])?;
        }
        let raise = "UPDATE origin SET position = max(position, ?1)";
        self.tx.execute(raise, [keep.highest.0.cast_signed()])?;
        if let Some((origin, _)) = keep.whole.as_ref().filter(|(_, life)| *life == self.meta.incarnation) {
            self.meta.healing = false;
            let (life, position, at) = (origin.life.0.cast_signed(), origin.position.max(keep.highest), origin.at);
            let file = self.meta.incarnation.0.cast_signed();
            self.tx.execute(
                "INSERT OR REPLACE INTO origin VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                params![origin.place, life, position.0.cast_signed(), at.cast_signed(), file],
            )?;
        }
        Ok(depth(self.tx)?)
    }

    fn spool(&mut self, wishes: &[Revocation], position: Position) -> Result<Vec<Waiting>, Fault> {
        let records = self.records(wishes, position)?;
        let mut insert =
            self.tx.prepare_cached("INSERT INTO spool (kind, day, id, value, claimed) VALUES (?1, ?2, ?3, ?4, 0)")?;
        let mut waiting = Vec::new();
        for record in records {
            let row = Row::from(&record);
            insert.execute(params![row.kind, row.day, row.id, row.value])?;
            waiting.push(Waiting { seq: self.tx.last_insert_rowid(), record });
        }
        Ok(waiting)
    }
}

fn depth(tx: &Transaction<'_>) -> rusqlite::Result<Depth> {
    let mut statement = tx.prepare_cached("SELECT count(*), count(*) FILTER (WHERE kind IN (?1, ?2)) FROM spool")?;
    statement.query_one([CUT_OFF, EVERYBODY], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Depth { waiting: number(0)?, cut_offs: number(1)? })
    })
}

fn waiting(tx: &Transaction<'_>, path: &Path) -> Result<Vec<Waiting>, Fault> {
    let mut statement = tx.prepare_cached("SELECT seq, kind, day, id, value FROM spool ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        let row = Row { kind: row.get(1)?, day: row.get(2)?, id: row.get(3)?, value: row.get(4)? };
        let record = row.record().ok_or_else(|| Fault::damaged(path, "a wish has an unknown form"))?;
        waiting.push(Waiting { seq, record });
    }
    Ok(waiting)
}

fn claims(tx: &Transaction<'_>) -> rusqlite::Result<Vec<(i64, u64)>> {
    let mut statement = tx.prepare_cached("SELECT seq, claimed FROM spool ORDER BY seq")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
    rows.collect()
}

fn set_claims(tx: &Transaction<'_>, wishes: &[i64], at: u64) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached("UPDATE spool SET claimed = ?2 WHERE seq = ?1")?;
    wishes.iter().try_for_each(|seq| statement.execute([*seq, at.cast_signed()]).map(drop))
}

/// Where the records come from, if all of them were written in this life of the file.
fn origin(tx: &Transaction<'_>, life: Incarnation) -> rusqlite::Result<Option<Origin>> {
    let mut statement = tx.prepare_cached("SELECT place, life, position, at FROM origin WHERE file = ?1")?;
    let origin = statement.query_one([life.0.cast_signed()], |row| {
        let unsigned = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (life, position) = (Incarnation(unsigned(1)?), Position(unsigned(2)?));
        Ok(Origin { place: row.get(0)?, life, position, at: unsigned(3)? })
    });
    origin.optional()
}
