//! A file of lines to which several processes append, one at a time, and which says how far it had come.
//!
//! What a line is, others decide: they are told how the file ends and give back what follows.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Result, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::private::{self, belong_to_owner_of, folder_of};

/// A journal: the file, and its head beside it.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
    head: PathBuf,
}

/// How the file ends.
#[derive(Debug, Default)]
pub struct End {
    /// The last whole line, without its line feed.
    pub last: Option<String>,
    /// How many bytes stand behind it, of a line that was never finished. They will be cut off.
    pub torn: u64,
    /// What the head says.
    pub head: Option<String>,
}

/// What follows.
#[derive(Debug)]
pub struct Addition {
    /// Whole lines, each with its line feed.
    pub lines: String,
    /// What the head shall say.
    pub head: String,
}

/// No line is longer.
const LONGEST: u64 = 64 * 1024;
/// Nor is any head.
const HEAD: u64 = 1024;

impl Journal {
    /// Names a journal; nothing is touched yet.
    #[must_use]
    pub fn new(path: PathBuf, head: PathBuf) -> Self {
        Self { path, head }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends what `next` says. The lines are on the disk when this returns. Blocks on the disk, and on
    /// other processes that append.
    ///
    /// The head is written after the lines, so that it is never ahead of what was written.
    ///
    /// # Errors
    ///
    /// Those of the system: then nothing of the lines counts, and the next call cuts off what is there.
    /// [`ErrorKind::InvalidData`] when the file ends with more than a line can have: that is nothing which was begun
    /// here and not finished, so it is not cut off, and nothing is written.
    pub fn append<T>(&self, next: impl FnOnce(End) -> (Addition, T)) -> Result<T> {
        let _turn = private::lock(&self.path)?;
        let mut file = private::private(OpenOptions::new().read(true).append(true).create(true)).open(&self.path)?;
        belong_to_owner_of(folder_of(&self.path), &file)?;
        let (last, whole) = last_line(&mut file)?;
        let length = file.metadata()?.len();
        must_be_ours(length - whole)?;
        let (Addition { lines, head }, answer) =
            next(End { last, torn: length - whole, head: private::read(&self.head, HEAD)? });
        if length > whole {
            file.set_len(whole)?;
        }
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a line would be in the way of nobody: it is cut off the next time. Better now.
            let _ = file.set_len(whole);
            return Err(error);
        }
        private::replace(&self.head, &head, false)?;
        Ok(answer)
    }

    /// Reads every whole line that is there now, without its line feed, and then says how many bytes stand
    /// behind the last and what the head says. Others append meanwhile, and what they append is not read: lines
    /// that are there do not change, so only the end and the head are looked at together. If this user may not lock
    /// the file, the end may be one that is just being written.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn read(&self, mut line: impl FnMut(&[u8])) -> Result<(usize, Option<String>)> {
        let Stand { file, whole, length, head } = self.stand()?;
        let Some(file) = file else { return Ok((0, head)) };
        // A file of somebody else's without line feeds has no lines: it is read in pieces, not into memory as a whole.
        let end = if whole == 0 { length } else { whole };
        let (mut reader, mut bytes) = (BufReader::new(file).take(end), Vec::new());
        loop {
            bytes.clear();
            let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)?;
            match bytes.split_last() {
                Some((b'\n', whole)) => line(whole),
                _ if read as u64 == LONGEST => line(&bytes),
                _ => return Ok((bytes.len() + usize::try_from(length - end).unwrap_or(usize::MAX), head)),
            }
        }
    }

    /// Reads the whole lines that are there now from the last to the first, until `line` has had enough and says
    /// so with `false`. Otherwise as [`Journal::read`].
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn read_back(&self, mut line: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let Stand { file, whole, .. } = self.stand()?;
        let Some(mut file) = file else { return Ok(()) };
        // What has been read and not told: it ends with a line feed.
        let (mut start, mut bytes) = (whole, Vec::new());
        while start > 0 {
            let end = start;
            start = start.saturating_sub(LONGEST);
            file.seek(SeekFrom::Start(start))?;
            let mut before = Vec::new();
            if (&file).take(end - start).read_to_end(&mut before)? as u64 != end - start {
                // Somebody has cut the file off meanwhile.
                return Ok(());
            }
            // No record is as long as that: its middle is left out.
            bytes.drain(..bytes.len().saturating_sub(1).saturating_sub(usize::try_from(LONGEST).unwrap_or(usize::MAX)));
            bytes.splice(..0, before);
            while let Some(feed) = bytes.len().checked_sub(1) {
                let begins = match bytes[..feed].iter().rposition(|&byte| byte == b'\n') {
                    Some(other) => other + 1,
                    None if start == 0 => 0,
                    None => break,
                };
                if !line(&bytes[begins..feed]) {
                    return Ok(());
                }
                bytes.truncate(begins);
            }
        }
        Ok(())
    }

    /// How far it has come. The lock is held for as long as that takes, however long the file is.
    fn stand(&self) -> Result<Stand> {
        if !folder_of(&self.path).is_dir() {
            return Ok(Stand::default());
        }
        let _turn = private::lock(&self.path).ok();
        let head = private::read(&self.head, HEAD)?;
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Stand { head, ..Stand::default() }),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let (_, whole) = last_line(&mut file)?;
        file.rewind()?;
        Ok(Stand { file: Some(file), whole, length: length.max(whole), head })
    }
}

/// How far a journal had come at one moment.
#[derive(Debug, Default)]
struct Stand {
    /// The file, if there is one.
    file: Option<File>,
    /// How many bytes its whole lines have.
    whole: u64,
    /// How many bytes it has.
    length: u64,
    /// What the head says.
    head: Option<String>,
}

/// What stands behind the last whole line is cut off only if it can be the beginning of one.
fn must_be_ours(torn: u64) -> Result<()> {
    if torn <= LONGEST {
        return Ok(());
    }
    let why =
        format!("there is no line feed in its last {LONGEST} bytes: nothing here wrote that, and it is not cut off");
    Err(Error::new(ErrorKind::InvalidData, why))
}

/// The last whole line, none if it begins further back than two of them may, and how many bytes the file has up to its end.
fn last_line(file: &mut File) -> Result<(Option<String>, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    // Two lines at most: one that is torn, and the one before it.
    let start = length.saturating_sub(2 * LONGEST);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(2 * LONGEST).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') else { return Ok((None, 0)) };
    let line = bytes[..end].rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok((Some(String::from_utf8_lossy(line).into_owned()), start + end as u64 + 1))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
