//! The key folder: one file a key, made here, read here, watched by looking again.
//!
//! Looking at a folder once a second costs microseconds and notices what file system events miss: a
//! mounted secret whose symbolic link is swapped, a network file system.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::id::KeyId;
use crate::key::{Key, ListKey, RingSecret};
use crate::time::Seconds;

use super::private::{belong_to_owner_of, create_private};

const LIST_KEY: &str = "list.key";

/// A folder of keys.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    path: PathBuf,
}

/// What a folder held: usable keys, and a sentence for each file that is not.
#[derive(Debug, Default)]
pub struct Contents {
    /// The keys, oldest first.
    pub keys: Vec<Key>,
    /// The other `.key` files.
    pub refused: Vec<Refused>,
}

/// A file that is not used.
#[derive(Debug)]
pub struct Refused {
    /// The key that it should hold, by its name.
    pub id: Option<KeyId>,
    /// Why it is refused.
    pub error: Error,
}

/// The names and times of the files, to notice a change without reading keys again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<PathBuf, Option<Stamp>>);

/// When a file was last written, and when anything about it was last changed: its owner and its mode, too.
type Stamp = (SystemTime, i64, i64);

fn stamp(meta: &fs::Metadata) -> Option<Stamp> {
    let written = meta.modified().ok()?;
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt as _;
        (meta.ctime(), meta.ctime_nsec())
    };
    #[cfg(not(unix))]
    let changed = (0, 0);
    Some((written, changed.0, changed.1))
}

impl KeyFolder {
    /// Names a folder; nothing is touched yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a key, which may be there or not.
    #[must_use]
    pub fn file_of(&self, id: KeyId) -> PathBuf {
        self.path.join(format!("{id}.key"))
    }

    /// Makes the folder, its list key and its first key, each if it is missing.
    ///
    /// Several processes may do so at once: one makes them, the others find them.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be made or written.
    pub fn init(&self, now: Seconds) -> Result<(), Error> {
        make_private_folder(&self.path).map_err(|e| self.cannot("made", &e))?;
        let _one_at_a_time = self.lock()?;
        let empty = self.names()?.is_empty();
        if !self.has_list_key()? {
            // A new one beside old keys would let nobody's sessions be revoked by name any more, silently.
            if !empty {
                return Err(self.list_key_is_gone());
            }
            self.write(LIST_KEY, &ListKey::generate()?.to_file())?;
        }
        if empty {
            self.add(&Key::generate(now)?)?;
        }
        Ok(())
    }

    /// Makes a new key beside the others, younger than all of them even if the clock was set back: the
    /// youngest seals.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder was never initialised or cannot be written.
    pub fn new_key(&self, now: Seconds) -> Result<Key, Error> {
        self.must_have_list_key()?;
        let youngest = self.read()?.keys.last().map_or(Seconds(0), Key::created);
        let key = Key::generate(now.max(youngest.after(Duration::from_secs(1))))?;
        self.add(&key)?;
        Ok(key)
    }

    /// Keeps a key that came from elsewhere; one that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be written.
    pub fn keep_copy(&self, key: &Key) -> Result<(), Error> {
        if self.file_of(key.id()).exists() { Ok(()) } else { self.add(key) }
    }

    /// Keeps a list key that came from elsewhere, and makes the folder if need be.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be made or written, or has one already.
    pub fn keep_list_key(&self, key: &ListKey) -> Result<(), Error> {
        make_private_folder(&self.path).map_err(|e| self.cannot("made", &e))?;
        self.write(LIST_KEY, &key.to_file())
    }

    /// Removes a key's file. One that is not there is no fault.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be written.
    pub fn erase(&self, id: KeyId) -> Result<(), Error> {
        match fs::remove_file(self.file_of(id)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(self.cannot("written", &e)),
            _ => Ok(()),
        }
    }

    /// Whether there is any key file at all, good or bad.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.names().is_ok_and(|names| !names.is_empty())
    }

    /// Whether the list key is there.
    #[must_use]
    pub fn holds_list_key(&self) -> bool {
        self.has_list_key().unwrap_or(false)
    }

    /// Reads all keys.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be read. Single bad files are in [`Contents::refused`].
    pub fn read(&self) -> Result<Contents, Error> {
        let mut contents = Contents::default();
        for name in self.names()? {
            match self.read_key(&name) {
                Ok(key) => contents.keys.push(key),
                Err(error) => {
                    let id = name.strip_suffix(".key").and_then(|id| id.parse().ok());
                    contents.refused.push(Refused { id, error });
                }
            }
        }
        contents.keys.sort_by_key(|key| (key.created(), key.id()));
        Ok(contents)
    }

    /// Reads all keys and insists: every file must be good, and there must be one.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] with the first thing that is wrong.
    pub fn load(&self) -> Result<Vec<Key>, Error> {
        let Contents { keys, refused } = self.read()?;
        if let Some(first) = refused.into_iter().next() {
            return Err(first.error);
        }
        if keys.is_empty() {
            return Err(self.uninitialised());
        }
        Ok(keys)
    }

    /// Reads the list key.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when it is missing or cannot be used.
    pub fn list_key(&self) -> Result<ListKey, Error> {
        let path = self.path.join(LIST_KEY);
        self.must_have_list_key()?;
        read_private(&path).and_then(|text| ListKey::from_file(&text)).map_err(|e| in_file(&path, e))
    }

    /// What the folder looks like now; compare two to see whether to read again.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let look = |name: String| {
            let path = self.path.join(name);
            let stamp = fs::metadata(&path).ok().as_ref().and_then(stamp);
            (path, stamp)
        };
        Ok(Fingerprint(self.names()?.into_iter().map(look).collect()))
    }

    /// Finds out whether key files can be put here.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when the folder cannot be written.
    pub fn can_be_written(&self) -> Result<(), Error> {
        self.lock().map(drop)
    }

    /// Whether the list key is there; or nobody can tell.
    pub(crate) fn has_list_key(&self) -> Result<bool, Error> {
        self.path.join(LIST_KEY).try_exists().map_err(|e| self.cannot("read", &e))
    }

    fn must_have_list_key(&self) -> Result<(), Error> {
        match (self.has_list_key()?, self.names()?.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => Err(self.uninitialised()),
            (false, false) => Err(self.list_key_is_gone()),
        }
    }

    fn list_key_is_gone(&self) -> Error {
        Error::key(
            format!("the file {LIST_KEY} is missing in {}, while keys are there", self.path.display()),
            "Restore it from a backup of secrets. If it is lost for good, move the revocation list and the keys away and begin anew: everybody logs in again",
        )
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(self.uninitialised()),
            Err(e) => return Err(self.cannot("read", &e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| self.cannot("read", &e))?.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|end| end == "key") && name != LIST_KEY {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn read_key(&self, name: &str) -> Result<Key, Error> {
        let path = self.path.join(name);
        let key = read_private(&path).and_then(|text| Key::from_file(&text)).map_err(|e| in_file(&path, e))?;
        if name != format!("{}.key", key.id()) {
            let problem = format!("key file {} holds the key {}", path.display(), key.id());
            return Err(Error::key(
                problem,
                "Name each file after the key in it, `<id>.key`, and keep no copies beside it",
            ));
        }
        Ok(key)
    }

    fn add(&self, key: &Key) -> Result<(), Error> {
        self.write(&format!("{}.key", key.id()), &key.to_file())
    }

    /// Writes beside, syncs, then renames: no reader ever sees half a key, and no crash leaves one.
    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let (beside, place) = (self.path.join(format!(".{name}.new")), self.path.join(name));
        let written = (|| {
            let _ = fs::remove_file(&beside);
            let mut file = create_private(&beside)?;
            belong_to_owner_of(&self.path, &file)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            if place.exists() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(&beside, &place)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|e: std::io::Error| {
            let _ = fs::remove_file(&beside);
            self.cannot("written", &e)
        })
    }

    fn lock(&self) -> Result<File, Error> {
        let locked = create_private(&self.path.join(".lock")).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|e| self.cannot("locked", &e))
    }

    fn uninitialised(&self) -> Error {
        Error::key(
            format!("there is no key in the folder {}", self.path.display()),
            format!(
                "Make the first one with `sealjar keys init --keys {}`; on a further server copy the folder of the first, all its files at mode 0600",
                self.path.display()
            ),
        )
    }

    fn cannot(&self, what: &str, e: &std::io::Error) -> Error {
        let hint = match e.kind() {
            ErrorKind::PermissionDenied => "Let the user that runs this program own the folder, at mode 0700",
            ErrorKind::ReadOnlyFilesystem => {
                "Put the keys where this program can write, or make them on another machine and copy them here"
            }
            ErrorKind::StorageFull => "Free some space on that disk",
            _ => "Check that the path is a folder of this program's own",
        };
        Error::key(format!("the key folder {} cannot be {what} ({e})", self.path.display()), hint)
    }
}

/// Reads a ring secret from a file of its own.
///
/// # Errors
///
/// [`Error::Key`] when the file is missing, open to others, or no ring secret.
pub fn ring_secret(path: &Path) -> Result<RingSecret, Error> {
    read_private(path).and_then(|text| RingSecret::from_text(&text)).map_err(|e| in_file(path, e))
}

/// Says which file an error is about. The sentence inside never repeats the file's content.
fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Key { problem, fix } => Error::Key { problem: format!("key file {}: {problem}", path.display()), fix },
        other => other,
    }
}

fn read_private(path: &Path) -> Result<zeroize::Zeroizing<String>, Error> {
    let unreadable = |e: std::io::Error| {
        Error::key(format!("it cannot be read ({e})"), "Let the user that runs this program own it, at mode 0600")
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    check_mode(&meta)?;
    if meta.len() > 4096 {
        return Err(Error::key("it is far too large for a key", "Keep only key files with this ending in the folder"));
    }
    fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(unreadable)
}

#[cfg(unix)]
fn check_mode(meta: &fs::Metadata) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::key(
            format!("it is open to others (mode {mode:04o}), and whoever read it can forge every session"),
            "Run `chmod 600` on it; if others had access to this machine, treat the key as leaked and replace it",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &fs::Metadata) -> Result<(), Error> {
    Ok(())
}

fn make_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(all(test, unix))]
#[path = "folder_tests.rs"]
mod tests;
