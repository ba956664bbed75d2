//! Files that their owner alone may read, and that no crash leaves half written.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// Makes a file at mode 0600; one that is there is an error.
pub(super) fn create_new_private(path: &Path) -> Result<File> {
    private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Opens a file at mode 0600, emptied, made if it is missing.
pub(super) fn create_private(path: &Path) -> Result<File> {
    private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)
}

/// The same options, for a file that only its owner may read if it is made now.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Reads a text of at most `limit` bytes; nothing if there is no such file.
///
/// # Errors
///
/// Those of the system; [`ErrorKind::PermissionDenied`] with a sentence when others may read the file too,
/// [`ErrorKind::FileTooLarge`] when it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Option<String>> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if is_open_to_others(&meta) {
        return Err(Error::new(ErrorKind::PermissionDenied, "it is open to others; run `chmod 600` on it"));
    }
    if meta.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    fs::read_to_string(path).map(Some)
}

/// The Unix permission bits of a file or a folder; none where there are no such.
#[must_use]
pub fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    return fs::metadata(path).ok().map(|meta| std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777);
    #[cfg(not(unix))]
    None
}

/// What a file looks like from outside; two that are equal have the same text. Nothing if it is missing.
pub type Stamp = Option<(SystemTime, u64, u64)>;

/// Looks at a file without reading it.
///
/// # Errors
///
/// Those of the system.
pub fn stamp(path: &Path) -> Result<Stamp> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.modified()?, meta.len(), identity(&meta)))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a text in the place of what was there: whoever reads sees the old one or the new one, never a part.
/// With `durable` it is on the disk when this returns.
///
/// # Errors
///
/// Those of the system; the old text stands then.
pub fn replace(path: &Path, text: &str, durable: bool) -> Result<()> {
    let (folder, name) = (folder_of(path), path.file_name().unwrap_or_default());
    let beside = folder.join([b".".as_slice(), name.as_encoded_bytes(), b".new"].concat().escape_ascii().to_string());
    let written = (|| {
        let mut file = create_private(&beside)?;
        belong_to_owner_of(folder, &file)?;
        file.write_all(text.as_bytes())?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&beside, path)?;
        if durable { File::open(folder)?.sync_all() } else { Ok(()) }
    })();
    written.inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// One process at a time: holds `.name.lock` beside the file until the answer is dropped. Waits for its turn.
///
/// # Errors
///
/// Those of the system.
pub fn lock(path: &Path) -> Result<File> {
    let name = format!(".{}.lock", path.file_name().unwrap_or_default().to_string_lossy());
    let file = create_private(&folder_of(path).join(name))?;
    belong_to_owner_of(folder_of(path), &file)?;
    file.lock().map(|()| file)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn is_open_to_others(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o077 != 0
}

/// Which file it is, and who may read it.
#[cfg(unix)]
fn identity(meta: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    meta.ino().rotate_left(16) ^ u64::from(meta.mode())
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> u64 {
    0
}

/// What root makes for an app is of no use if the app cannot read it.
#[cfg(unix)]
pub(super) fn belong_to_owner_of(folder: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (owner, own) = (fs::metadata(folder)?, file.metadata()?);
    if owner.uid() == own.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

#[cfg(not(unix))]
pub(super) fn belong_to_owner_of(_: &Path, _: &File) -> Result<()> {
    Ok(())
}
