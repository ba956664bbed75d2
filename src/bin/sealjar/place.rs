//! Where keys and list are: from flags, from the environment, or here.

use std::path::PathBuf;

use clap::Args;
use sealjar::Error;
use sealjar::admin::trail::Trail;
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::{ListPlace, own_file_in_home};
use sealjar::io::redis::{Made, Making, Options};
use sealjar::io::ring_secret::from_env;
use sealjar::io::sqlite::OwnFile;
use sealjar::key::RingSecret;
use sealjar::operator::Operator;
use sealjar::time::Clock;

/// Where keys and list are.
#[derive(Args)]
pub struct Place {
    /// The app's home: keys in `keys`, the list in `list.db`.
    #[arg(long, global = true, env = "SEALJAR_HOME", value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// The key ring's folder [default: `keys`, in the home if there is one]
    #[arg(long, global = true, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// The revocation list [default: what `REDIS_URL` says, or `list.db` in the home, or `sqlite:sealjar.db`]
    #[arg(long, global = true, value_name = "ADDRESS")]
    list: Option<String>,
    /// The app that a list on a server is for; a file knows its own.
    #[arg(long, global = true, env = "SEALJAR_APP", value_name = "ID")]
    app: Option<String>,
}

/// What waits for the list's store.
pub struct Spool {
    pub path: PathBuf,
    pub waiting: usize,
}

impl Spool {
    /// A sentence; nothing if nothing waits.
    pub fn sentence(&self) -> Option<String> {
        let (waiting, path) = (self.waiting, self.path.display());
        (waiting > 0).then(|| {
            format!(
                "{waiting} accepted in {path}, waiting for the list's store: enforced by the app of that home only."
            )
        })
    }
}

impl Place {
    /// Where the command line writes down what it changes: in the home that was given, or here, where an audit is kept.
    pub fn audit_home(&self) -> Option<PathBuf> {
        self.home.clone().or_else(|| Some(PathBuf::from(".")).filter(|here| Trail::in_home(here).path().exists()))
    }

    /// Where tokens and audit are.
    pub fn home(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(|| ".".into())
    }

    pub fn folder(&self) -> KeyFolder {
        let folder = self.keys.clone().or_else(|| self.home.as_ref().map(|home| home.join("keys")));
        KeyFolder::new(folder.unwrap_or_else(|| "keys".into()))
    }

    /// Opens the list, which a running app may be using, and reads it.
    pub async fn open(&self) -> Result<Operator, Error> {
        let secret = if self.folder().holds_list_key() { None } else { from_env()? };
        self.open_with(&secret.iter().collect::<Vec<_>>()).await
    }

    /// The same with ring secrets, one of which finds the list key in a list on a server where the folder has none.
    pub async fn open_with(&self, ring_secrets: &[&RingSecret]) -> Result<Operator, Error> {
        self.check()?;
        Operator::open_with(&self.list()?, self.folder(), self.app.as_deref(), Clock::system(), ring_secrets).await
    }

    /// Refuses a home that is not there, before anything is made in it.
    pub fn check(&self) -> Result<(), Error> {
        match self.home.as_ref().filter(|home| !home.is_dir()) {
            None => Ok(()),
            Some(home) => Err(Error::Config {
                problem: format!("the home {} is not a folder that is there", home.display()).into(),
                fix: "Check --home and SEALJAR_HOME: it is the folder that the app was given".into(),
            }),
        }
    }

    /// Makes the home, for its owner only, if it is not there: its audit begins before its keys do.
    pub fn make_home(&self) -> Result<(), Error> {
        let Some(home) = self.home.as_ref().filter(|home| !home.exists()) else { return Ok(()) };
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(home).map_err(|error| Error::Config {
            problem: format!("the home {} cannot be made ({error})", home.display()).into(),
            fix: "Name a folder that this user may make, with --home or SEALJAR_HOME".into(),
        })
    }

    /// Like [`Place::open`]; nothing if no list was ever made.
    pub async fn open_if_there(&self) -> Result<Option<Operator>, Error> {
        match self.list()? {
            ListPlace::Sqlite(path) if !path.exists() => Ok(None),
            _ => self.open().await.map(Some),
        }
    }

    /// How many wishes wait in the own file of a node that lives in the home; none where there is no such file.
    pub fn waiting(&self) -> Result<Option<Spool>, Error> {
        let Some(path) = self.home.as_deref().map(own_file_in_home).filter(|path| path.exists()) else {
            return Ok(None);
        };
        let waiting = OwnFile::open_existing(&path, Clock::system())?.waiting()?.len();
        Ok(Some(Spool { path, waiting }))
    }

    /// Makes a list on a server; a dry run only says what would come of it.
    pub async fn make(&self, making: Making, dry_run: bool) -> Result<(ListPlace, Made), Error> {
        let (place, list_key) = (self.list()?, self.folder().list_key()?);
        let options = Options { app: self.app()?, list_key: &list_key, clock: Clock::system() };
        let made = if dry_run { place.plan(&options, making).await? } else { place.make(&options, making).await? };
        Ok((place, made))
    }

    /// The app, where one was named.
    pub fn named_app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// The app, where one has to be named.
    pub fn app(&self) -> Result<&str, Error> {
        self.app.as_deref().ok_or_else(|| Error::Usage {
            problem: "a server may hold the lists of several apps".into(),
            fix: "Name the app with --app, or in the variable SEALJAR_APP".into(),
        })
    }

    /// Where the list is.
    pub fn list(&self) -> Result<ListPlace, Error> {
        match (&self.list, &self.home) {
            (Some(address), _) => ListPlace::parse(address),
            (None, home) => match std::env::var("REDIS_URL") {
                Ok(address) => ListPlace::parse(&address),
                Err(_) => Ok(home
                    .as_ref()
                    .map_or_else(|| ListPlace::Sqlite("sealjar.db".into()), |home| ListPlace::in_home(home))),
            },
        }
    }
}
