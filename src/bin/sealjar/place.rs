//! Where keys and list are: from flags, from the environment, or here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sealjar::Error;
use sealjar::io::folder::KeyFolder;
use sealjar::io::place::{ListPlace, Opening};
use sealjar::io::redis::{Made, Making, Options};
use sealjar::io::sqlite::SqliteStore;
use sealjar::key::ListKey;
use sealjar::revocation::{Profile, Replica, RevocationStore, View};
use sealjar::time::{Clock, Day, Now};

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

/// An open list, with the key that its names are hashed under.
pub struct List {
    pub store: Arc<dyn RevocationStore>,
    pub app: String,
    pub key: ListKey,
    pub profiles: Vec<Profile>,
    pub now: Now,
    replica: Replica,
}

impl Place {
    pub fn folder(&self) -> KeyFolder {
        let folder = self.keys.clone().or_else(|| self.home.as_ref().map(|home| home.join("keys")));
        KeyFolder::new(folder.unwrap_or_else(|| "keys".into()))
    }

    /// Opens the list, which a running app may be using, and reads it.
    pub async fn open(&self) -> Result<List, Error> {
        if let Some(home) = self.home.as_ref().filter(|home| !home.is_dir()) {
            return Err(Error::Config {
                problem: format!("the home {} is not a folder that is there", home.display()).into(),
                fix: "Check --home and SEALJAR_HOME: it is the folder that the app was given".into(),
            });
        }
        let key = self.folder().list_key()?;
        let clock = Clock::system();
        let (store, app) = match self.list()? {
            ListPlace::Sqlite(path) => self.open_file(&path, &key, &clock)?,
            place @ ListPlace::Redis(_) => {
                let app = self.app()?;
                let opening = Opening { app, list_key: &key, create: false, clock: &clock };
                (place.open(&opening).await?, app.to_owned())
            }
        };
        let profiles = store.profiles().await?;
        let (now, replica) = (clock.now(), Replica::default());
        let beat = store.follower().beat(false).await?;
        // A replica that knew nothing before has nothing to give back.
        let _ = replica.absorb(&beat, now);
        replica.confirm(&beat, now);
        Ok(List { store, app, key, profiles, now, replica })
    }

    /// Like [`Place::open`]; nothing if no list was ever made.
    pub async fn open_if_there(&self) -> Result<Option<List>, Error> {
        match self.list()? {
            ListPlace::Sqlite(path) if !path.exists() => Ok(None),
            _ => self.open().await.map(Some),
        }
    }

    /// Makes a list on a server.
    pub async fn make(&self, making: Making) -> Result<(ListPlace, Made), Error> {
        let (place, list_key) = (self.list()?, self.folder().list_key()?);
        let options = Options { app: self.app()?, list_key: &list_key, clock: Clock::system() };
        let made = place.make(&options, making).await?;
        Ok((place, made))
    }

    fn open_file(
        &self,
        path: &Path,
        key: &ListKey,
        clock: &Clock,
    ) -> Result<(Arc<dyn RevocationStore>, String), Error> {
        let store = SqliteStore::open_existing(path, clock.clone())?;
        if store.list_key() != key.fingerprint() {
            return Err(Error::Key {
                problem: format!(
                    "the list key in {} is not the one that {} was made under, so names would not match",
                    self.folder().path().display(),
                    store.describe()
                ),
                fix: "Point --home, or --keys and --list, at what belongs together".into(),
            });
        }
        let app = store.app().to_owned();
        Ok((Arc::new(store), app))
    }

    fn app(&self) -> Result<&str, Error> {
        self.app.as_deref().ok_or_else(|| Error::Usage {
            problem: "a server may hold the lists of several apps".into(),
            fix: "Name the app with --app, or in the variable SEALJAR_APP".into(),
        })
    }

    fn list(&self) -> Result<ListPlace, Error> {
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

impl List {
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.replica.view())
    }

    /// The last day on which a session that exists by now can be alive; 400 days on if no app ever said.
    pub fn last_day(&self) -> Day {
        let longest = self.profiles.iter().map(|profile| profile.longest).max();
        self.now.seconds().after(longest.unwrap_or(sealjar::config::MAX_LIFETIME)).day()
    }
}
