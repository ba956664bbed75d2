//! The file, recognised and watched, because it can be taken away, replaced or rolled back under a running
//! program, and SQLite would go on writing into the one that is gone.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};

use super::LOCK_WAIT;
use super::fault::{DAMAGED, Fault};
use super::schema::{self, Kind, Owner, VERSION};

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    pub(super) fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(meta.dev(), meta.ino())
    }

    /// Elsewhere an open file cannot be replaced; the time of its making tells it from its successor.
    #[cfg(not(unix))]
    pub(super) fn of(meta: &Metadata) -> Self {
        let made = meta.created().ok().and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self(0, made.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(super) const fn numbers(self) -> (u64, u64) {
        (self.0, self.1)
    }

    pub(super) const fn from_numbers(device: u64, inode: u64) -> Self {
        Self(device, inode)
    }

    fn at(path: &Path) -> io::Result<Option<Self>> {
        Ok(look(path)?.as_ref().map(Self::of))
    }
}

/// What lies at the path right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    main: FileId,
    /// In WAL mode the file itself changes at checkpoints only, so a change is rare and worth a fresh look:
    /// somebody may have copied another one over it.
    touched: (Option<SystemTime>, u64),
    wal: Option<FileId>,
}

impl Seen {
    fn at(path: &Path) -> io::Result<Option<Self>> {
        // The log first: whoever replaces the file removes the file before the log.
        let wal = FileId::at(&beside(path, "-wal"))?;
        let Some(meta) = look(path)? else { return Ok(None) };
        Ok(Some(Self { main: FileId::of(&meta), touched: (meta.modified().ok(), meta.len()), wal }))
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Db {
    pub conn: Connection,
    pub file: FileId,
    /// Tells this connection from every other one of the process: `data_version` compares only within one.
    pub serial: u64,
    seen: Seen,
    shm: Option<FileId>,
}

/// What a connection is to the path it was opened at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is what lies there.
    Current,
    /// The same file, but its bytes were changed outside the log: caches may be wrong.
    Touched,
    /// Another file lies there.
    Replaced,
    /// Nothing lies there.
    Missing,
}

impl Db {
    /// Opens the file and makes sure that it is of this kind, and this owner's if one is named.
    pub(super) fn open(path: &Path, kind: Kind, owner: Option<&Owner>) -> Result<Self, Fault> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        loop {
            let Some(before) = Seen::at(path)? else { return Err(missing(path)) };
            if before.touched.1 == 0 {
                return Err(Fault::damaged(path, "it is empty"));
            }
            let conn = connect(path)?;
            recognise(&conn, path, kind, owner)?;
            let seen = Seen::at(path)?;
            // Replaced while it was being opened: which of the two was opened, nobody knows.
            if let Some(seen) = seen.filter(|seen| seen.main == before.main) {
                let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
                let shm = FileId::at(&beside(path, "-shm"))?;
                return Ok(Self { conn, file: seen.main, serial, seen, shm });
            }
        }
    }

    /// Compares with the path.
    pub(super) fn standing(&self, path: &Path) -> Result<Standing, Fault> {
        match Seen::at(path)? {
            None => Ok(Standing::Missing),
            Some(seen) if seen.main != self.file => Ok(Standing::Replaced),
            Some(seen) if seen.wal != self.seen.wal => Err(Fault::Said {
                problem: format!("{}-wal, where its latest records are, was removed or replaced", path.display()),
                fix: DAMAGED,
            }),
            Some(seen) if seen.touched != self.seen.touched => Ok(Standing::Touched),
            Some(_) => Ok(Standing::Current),
        }
    }

    /// Whether what was just committed is in the file that everybody else will open.
    pub(super) fn is_in_place(&self, path: &Path) -> Result<bool, Fault> {
        Ok(matches!(self.standing(path)?, Standing::Current | Standing::Touched))
    }

    /// Removes the log of the replaced file, which SQLite would otherwise play into its successor.
    ///
    /// A log that came along with the successor is another file, and stays. Where no file lies at the path
    /// that could be a list (a folder, an unfinished copy), nothing is played, and ours may yet come back.
    pub(super) fn remove_leftovers(&self, path: &Path) -> Result<(), Fault> {
        let _locked = lock_folder(path)?;
        if !look(path)?.is_some_and(|successor| successor.is_file() && successor.len() > 0) {
            return Ok(());
        }
        for (suffix, ours) in [("-wal", self.seen.wal), ("-shm", self.shm)] {
            let file = beside(path, suffix);
            if ours.is_some() && FileId::at(&file)? == ours {
                remove(&file)?;
            }
        }
        Ok(())
    }

    /// Reads every page; says what is wrong.
    pub(super) fn inspect(&self, path: &Path) -> Result<(), Fault> {
        let verdict: String = self.conn.query_one("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" { Ok(()) } else { Err(Fault::damaged(path, verdict.trim_start_matches("*** "))) }
    }
}

pub(super) fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(LOCK_WAIT)?;
    // SQLite falls back to reading by itself, and then fails later and less clearly.
    if conn.is_readonly("main")? {
        return Err(Fault::read_only(path));
    }
    Ok(conn)
}

/// Reads before it writes anything, so that a foreign database stays as it was.
fn recognise(conn: &Connection, path: &Path, kind: Kind, owner: Option<&Owner>) -> Result<(), Fault> {
    let file = path.display();
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if let Some(problem) = match Kind::of(application) {
        Some(found) if found == kind => None,
        Some(Kind::List) => Some(format!("{file} is a revocation list, and not a node's own file")),
        Some(Kind::Own) => Some(format!("{file} is a node's own file, and not a revocation list")),
        None => Some(format!("{file} is a SQLite database of another program")),
    } {
        let fix = match kind {
            Kind::List => "Name another file for the revocation list; this one was not changed",
            Kind::Own => "Name another file for the node's own; this one was not changed",
        };
        return Err(Fault::Said { problem, fix });
    }
    let version: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        return Err(Fault::Said {
            problem: format!("{file} was written by a newer sealjar (schema {version}; this one knows {VERSION})"),
            fix: "Update this program; the file was not changed",
        });
    }
    if let Some(owner) = owner {
        same_owner(&schema::owner(conn)?, owner, kind, path)?;
    }
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    schema::complete(conn)?;
    // A copy may come in another mode; from its first read in this one on, the log is there to be watched.
    schema::owner(conn)?;
    Ok(())
}

fn same_owner(found: &Owner, wanted: &Owner, kind: Kind, path: &Path) -> Result<(), Fault> {
    let file = path.display();
    if found.app != wanted.app {
        return Err(Fault::Said {
            problem: format!("{file} is the {} of the app {:?}, and this is {:?}", kind.noun(), found.app, wanted.app),
            fix: match kind {
                Kind::List => "Give each app a list of its own, or call this app by the other name",
                Kind::Own => "Give each app a folder of its own, or call this app by the other name",
            },
        });
    }
    if found.list_key != wanted.list_key {
        return Err(Fault::Said {
            problem: format!(
                "{file} was made under the list key {}, and this program has {}",
                found.list_key, wanted.list_key
            ),
            fix: match kind {
                Kind::List => "Give this program the list key that the list was made under: it lies in the key folder",
                Kind::Own => {
                    "Give this program the list key that it had before: it lies in the key folder. If that is lost, \
                     remove the file"
                }
            },
        });
    }
    Ok(())
}

pub(super) fn missing(path: &Path) -> Fault {
    Fault::Said {
        problem: format!("{} does not exist", path.display()),
        fix: "An app makes it when it first starts; start it once, or name the file that the list is in",
    }
}

/// An absolute path without links, because SQLite keeps its log beside the real file.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, Fault> {
    let path = std::path::absolute(path)?;
    match fs::canonicalize(&path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = fs::canonicalize(folder_of(&path)).unwrap_or_else(|_| folder_of(&path).to_owned());
            Ok(path.file_name().map_or(path.clone(), |name| folder.join(name)))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Held while a file is put in its place: two processes may notice at once that it is gone, and the
/// slower one must not take the quicker one's log for a leftover. Ends with the process, even by kill.
#[cfg(unix)]
pub(super) fn lock_folder(path: &Path) -> io::Result<File> {
    let folder = File::open(folder_of(path))?;
    folder.lock()?;
    Ok(folder)
}

/// Elsewhere folders cannot be locked.
#[cfg(not(unix))]
pub(super) fn lock_folder(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}
