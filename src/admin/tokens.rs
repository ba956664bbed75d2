//! The file of tokens: made, read and changed here, and read again by the running endpoint when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::io::private::{self, Stamp};
use crate::time::Seconds;

use super::scope::Scopes;
use super::token::{Token, TokenBook, TokenId};

/// The file `tokens.json` of a home.
///
/// # Security
///
/// At mode 0600, and refused if others may read it. It holds hashes only; who reads it can use none of
/// the tokens, who writes it can add one.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<TokenBook>)>>,
}

/// A thousand tokens with long names.
const LARGEST: u64 = 1 << 20;

impl TokenFile {
    /// The one of this home. Nothing is touched yet.
    #[must_use]
    pub fn in_home(home: &Path) -> Self {
        Self { path: home.join("tokens.json"), read: Mutex::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens of this moment. Reads the file only if it looks different from the last time; one that
    /// is missing has no tokens. Blocks on the disk, shortly.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the file cannot be read, is open to others, or is none of ours: then nobody
    /// is let in.
    pub fn current(&self) -> Result<Arc<TokenBook>, Error> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = private::stamp(&self.path).map_err(|e| self.cannot("read", &e))?;
        if let Some((seen, book)) = &*read
            && *seen == stamp
        {
            return Ok(book.clone());
        }
        let book = Arc::new(self.load()?);
        *read = Some((stamp, book.clone()));
        Ok(book)
    }

    /// Makes a token. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the file cannot be read or written, [`Error::Usage`] as [`TokenBook::add`],
    /// [`Error::Random`].
    pub fn make(
        &self,
        name: &str,
        scopes: Scopes,
        now: Seconds,
        expires: Option<Seconds>,
    ) -> Result<(Token, TokenId), Error> {
        let token = Token::generate()?;
        let id = self.change(|book| book.add(&token, name, scopes, now, expires))?;
        Ok((token, id))
    }

    /// Whether [`TokenFile::make`] would make such a token. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`TokenFile::make`], but for what only writing shows.
    pub fn would_make(&self, name: &str, scopes: Scopes, now: Seconds, expires: Option<Seconds>) -> Result<(), Error> {
        self.load()?.add(&Token::generate()?, name, scopes, now, expires).map(drop)
    }

    /// Takes a token back, at once. Says whether it was there.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the file cannot be read or written.
    pub fn revoke(&self, id: TokenId) -> Result<bool, Error> {
        self.change(|book| Ok(book.remove(id)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut TokenBook) -> Result<T, Error>) -> Result<T, Error> {
        let _turn = private::lock(&self.path).map_err(|e| self.cannot("locked", &e))?;
        let mut book = self.load()?;
        let done = change(&mut book)?;
        private::replace(&self.path, &book.to_text(), true).map_err(|e| self.cannot("written", &e))?;
        Ok(done)
    }

    fn load(&self) -> Result<TokenBook, Error> {
        match private::read(&self.path, LARGEST) {
            Ok(Some(text)) => TokenBook::parse(&text).map_err(|error| match error {
                Error::Config { problem, fix } => {
                    Error::config(format!("the file {}: {problem}", self.path.display()), fix)
                }
                other => other,
            }),
            Ok(None) => Ok(TokenBook::default()),
            Err(error) => Err(self.cannot("read", &error)),
        }
    }

    fn cannot(&self, what: &str, error: &std::io::Error) -> Error {
        Error::config(
            format!("the file of tokens {} cannot be {what} ({error})", self.path.display()),
            "Let the user that runs this program own it, at mode 0600, in a folder that is there",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::scope::Scope;

    const NOW: Seconds = Seconds(1_795_447_200);

    #[test]
    fn a_running_endpoint_sees_tokens_come_and_go() {
        let home = tempfile::tempdir().unwrap();
        let (running, tool) = (TokenFile::in_home(home.path()), TokenFile::in_home(home.path()));
        assert_eq!(running.current().unwrap().iter().count(), 0, "no file yet");
        let (token, id) = tool.make("ci", Scopes::of(&[Scope::Read]), NOW, None).unwrap();
        assert_eq!(running.current().unwrap().find(&token, NOW).unwrap().id(), id);
        assert!(Arc::ptr_eq(&running.current().unwrap(), &running.current().unwrap()), "read once");
        assert!(tool.revoke(id).unwrap() && !tool.revoke(id).unwrap());
        assert!(running.current().unwrap().find(&token, NOW).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_or_nobody_is_let_in() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let file = TokenFile::in_home(home.path());
        let (token, _) = file.make("", Scopes::of(&[Scope::Read]), NOW, None).unwrap();
        let mode = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(file.current().unwrap().find(&token, NOW).is_some());
        mode(0o640);
        let said = TokenFile::in_home(home.path()).current().unwrap_err().to_string();
        assert!(said.contains("run `chmod 600` on it"), "{said}");
        assert!(file.current().is_err(), "who has read it before looks again as well");
        mode(0o600);
        std::fs::write(file.path(), "junk").unwrap();
        assert!(file.current().unwrap_err().to_string().contains("it is no list of tokens"));
    }

    #[test]
    fn many_make_tokens_at_once_and_none_is_lost() {
        let home = tempfile::tempdir().unwrap();
        let make = || TokenFile::in_home(home.path()).make("", Scopes::of(&[Scope::Read]), NOW, None).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        make();
                    }
                });
            }
        });
        assert_eq!(TokenFile::in_home(home.path()).current().unwrap().iter().count(), 40);
    }
}
