//! What the command line changes is written down too, where there is a home: before it is done, and how it ended.

use sealjar::Error;
use sealjar::admin::audit::{Entry, Event};
use sealjar::admin::trail::Trail;
use sealjar::time::Clock;

use crate::place::Place;

/// What is about to be changed.
pub struct Audited {
    trail: Option<Trail>,
    entry: Entry,
    seq: Option<u64>,
}

impl Audited {
    /// Writes the attempt down. Without a home there is no audit, but for one that is kept in this very folder.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then nothing must be changed.
    pub fn begin(place: &Place, entry: Entry) -> Result<Self, Error> {
        let entry = Entry { actor: Some(user()), ..entry };
        let mut audited = Self { trail: place.audit_home().as_deref().map(Trail::in_home), entry, seq: None };
        audited.seq = audited.write(&audited.entry)?;
        Ok(audited)
    }

    /// Writes down how it ended, and passes that on.
    pub fn end<T>(self, outcome: Result<T, Error>, result: impl FnOnce(&T) -> String) -> Result<T, Error> {
        let said = outcome.as_ref().map_or_else(|_| "failed".to_owned(), result);
        let entry = Entry { event: Event::Outcome, of: self.seq, result: Some(said), ..self.entry.clone() };
        if let Err(error) = self.write(&entry) {
            eprintln!("sealjar: how this ended could not be written down: {error}");
        }
        outcome
    }

    fn write(&self, entry: &Entry) -> Result<Option<u64>, Error> {
        self.trail.as_ref().map(|trail| trail.write(entry, Clock::system().now().seconds())).transpose()
    }
}

/// Who runs this: the number is the system's, the name is what the environment says.
fn user() -> String {
    #[cfg(unix)]
    let uid = rustix::process::getuid().as_raw().to_string();
    #[cfg(not(unix))]
    let uid = "unknown";
    let name = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = name.filter(|name| !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control));
    name.map_or_else(|| format!("command line, user {uid}"), |name| format!("command line, user {uid} ({name})"))
}
