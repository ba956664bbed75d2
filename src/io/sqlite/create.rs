//! Making the file: complete from its first moment on, or not there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::time::Now;

use super::fault::Fault;
use super::file::{beside, connect, folder_of, lock_folder, look, remove};
use super::schema::{self, Birth, Owner};

const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the file. Another process that is quicker wins.
pub(super) fn create(path: &Path, owner: &Owner, birth: Birth, now: Now) -> Result<(), Fault> {
    make_folder(folder_of(path))?;
    let _locked = lock_folder(path)?;
    if look(path)?.is_some() {
        return Ok(());
    }
    // Left behind by a file that was removed: not to be played into the new one.
    for suffix in SIDE_FILES {
        remove(&beside(path, suffix))?;
    }
    let draft = draft_of(path);
    remove_draft(&draft)?;
    make_private(&draft)?;
    let written = write_draft(&draft, owner, birth, now);
    if written.is_err() {
        // The first error is the one to tell; the next attempt removes what stays.
        let _ = remove_draft(&draft);
    }
    written?;
    place(&draft, path)?;
    Ok(sync_folder(folder_of(path))?)
}

/// Clears away what a process left that died while it made the file.
pub(super) fn clear(path: &Path) -> Result<(), Fault> {
    let draft = draft_of(path);
    if look(&draft)?.is_some() {
        let _locked = lock_folder(path)?;
        remove_draft(&draft)?;
    }
    Ok(())
}

fn draft_of(path: &Path) -> PathBuf {
    beside(path, "-new")
}

fn remove_draft(draft: &Path) -> io::Result<()> {
    for suffix in SIDE_FILES {
        remove(&beside(draft, suffix))?;
    }
    remove(draft)
}

fn write_draft(draft: &Path, owner: &Owner, birth: Birth, now: Now) -> Result<(), Fault> {
    let mut conn = connect(draft)?;
    conn.pragma_update(None, "synchronous", "full")?;
    schema::create(&mut conn, owner, birth, now)?;
    // Last, so that everything is in the file and nothing in a log: closing would not say if it failed to
    // move it over.
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.close().map_err(|(_, error)| Fault::Sql(error))
}

/// A link fails where a rename would overwrite what an operator has just put back.
fn place(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Ok(()) => remove(draft),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove(draft),
        // A file system without links.
        Err(_) => fs::rename(draft, path),
    }
}

/// One level only: a mistyped path must not grow a tree.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    // The umask can only have taken away.
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders cannot be synced.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
