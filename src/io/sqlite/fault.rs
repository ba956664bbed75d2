//! What went wrong with the file, in sentences that say what to do.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::error::Error;

use super::LOCK_WAIT;

/// A failure before it knows what the caller was doing.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite's.
    Sql(rusqlite::Error),
    /// The file system's, around the file itself.
    Io(io::Error),
    /// Ours: the file is not what it should be.
    Said { problem: String, fix: &'static str },
    /// The kernel gave no random bytes.
    Random(Error),
}

pub(super) const DAMAGED: &str = "Move it away together with its -wal and -shm files: a program that is running \
     then writes a new list from memory. If none is running, put a copy back, or start with a new list and log \
     everybody out";
const FULL: &str = "Free some space and try again; nothing that was acknowledged is lost";
const READ_ONLY: &str = "Make the file and its folder writable for the user that this program runs as";
const LOCKED: &str = "Look for a program that holds it, such as a database shell with an unfinished transaction, \
     and try again";
const DISK: &str = "Check the disk and the system's log, then try again";

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    pub(super) fn damaged(path: &Path, why: &str) -> Self {
        Self::Said { problem: format!("{} is damaged ({why})", path.display()), fix: DAMAGED }
    }

    pub(super) fn read_only(path: &Path) -> Self {
        Self::Said { problem: format!("{} cannot be written", path.display()), fix: READ_ONLY }
    }

    /// Whether the list can still be read through the same connection, although not written.
    pub(super) fn only_blocks_writing(&self) -> bool {
        match self {
            Self::Sql(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            Self::Io(_) | Self::Said { .. } | Self::Random(_) => false,
        }
    }

    /// The sentence for the caller.
    pub(super) fn told(self, action: &'static str, path: &Path) -> Error {
        let file = path.display();
        let (problem, fix, source): (_, _, Option<Box<dyn std::error::Error + Send + Sync>>) = match self {
            Self::Random(error) => return error,
            Self::Said { problem, fix } => (problem, fix, None),
            Self::Sql(error) => {
                let (problem, fix) = sql_sentence(&error, path);
                (problem, fix, Some(Box::new(error)))
            }
            Self::Io(error) => {
                let (problem, fix) = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        (format!("there is no space left for {file}"), FULL)
                    }
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                        (format!("{file} cannot be written ({error})"), READ_ONLY)
                    }
                    io::ErrorKind::NotFound => (
                        format!("the folder of {file} does not exist, nor the one above it"),
                        "Create the folder, or name another place for the list",
                    ),
                    _ => (format!("the file system refused {file} ({error})"), DISK),
                };
                (problem, fix, Some(Box::new(error)))
            }
        };
        Error::Store { action, problem, fix: Cow::Borrowed(fix), source }
    }
}

fn sql_sentence(error: &rusqlite::Error, path: &Path) -> (String, &'static str) {
    let file = path.display();
    // A shared-memory file that cannot grow is a full disk too, although SQLite calls it an I/O error.
    let extended = error.sqlite_error().map_or(0, |e| e.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (format!("there is no space left for {file}"), FULL),
        Some(ErrorCode::SystemIoFailure) if extended == ffi::SQLITE_IOERR_SHMSIZE => {
            (format!("there is no space left for {file}"), FULL)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (format!("{file} is damaged ({error})"), DAMAGED),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (format!("{file} cannot be written ({error})"), READ_ONLY)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (format!("{file} stayed locked by another process for {} s", LOCK_WAIT.as_secs()), LOCKED)
        }
        Some(ErrorCode::CannotOpen) => (
            format!("{file} cannot be opened ({error})"),
            "Check that it is a file, and that this user may write to it and to its folder",
        ),
        Some(ErrorCode::SystemIoFailure) => (format!("the disk of {file} failed ({error})"), DISK),
        _ => (format!("{file} cannot be used ({error})"), DISK),
    }
}
