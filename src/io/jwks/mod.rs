//! A provider's keys, from a file or a URL that was configured: kept, and asked for again at the pace that
//! [`logout_token`](crate::logout_token) decides.
//!
//! # Security
//!
//! Nothing in a request names the place. One asking runs at a time, whoever wants it.

mod fetch;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::logout_token::{Cached, KeySet, NotAKeySet, Pace, Step};
use crate::time::Clock;

use fetch::{Fetch, read_file};

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksPlace {
    /// A JWK Set in a file.
    File(PathBuf),
    /// A JWK Set at a URL: `https`, or `http` on this machine.
    Url(String),
}

/// The keys of one place.
pub struct Jwks {
    place: JwksPlace,
    pace: Pace,
    fetch: Arc<Fetch>,
    cached: Mutex<Cached>,
    one_at_a_time: tokio::sync::Mutex<()>,
    trouble: Mutex<Option<String>>,
}

/// The moment at which a token came. Keys that were asked for since are as new as that token can want them.
#[derive(Clone, Copy, Debug)]
pub struct Asked(Duration);

/// There are no keys to verify with now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKeys {
    /// When it is worth trying again.
    pub retry_after: Duration,
}

/// What is worth waiting for when asking has just failed and nothing says how long.
const RETRY: Duration = Duration::from_secs(2);

impl Jwks {
    /// Opens a place. A file is read, so that a wrong one is noticed at start; a URL is asked when the first token
    /// comes, so that an app starts whether or not its provider is up.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a file that is no JWK Set, and a URL that is neither `https` nor on this machine.
    pub fn open(place: JwksPlace) -> Result<Self, Error> {
        let (fetch, how_often) = match &place {
            JwksPlace::File(path) => (Fetch::File(path.clone()), Pace::FILE),
            JwksPlace::Url(url) => (Fetch::url(url)?, Pace::URL),
        };
        let mut cached = Cached::default();
        if let JwksPlace::File(path) = &place {
            let at = now();
            let learned = read_file(path).and_then(|bytes| cached.learn(bytes, at).map_err(|bad| bad.to_string()));
            learned.map_err(|problem| {
                Error::config(
                    format!("the provider's keys in {} cannot be used: {problem}", path.display()),
                    "Put the JWK Set of the issuer there, as its jwks_uri serves it",
                )
            })?;
        }
        let cached = Mutex::new(cached);
        Ok(Self {
            place,
            pace: how_often,
            fetch: Arc::new(fetch),
            cached,
            one_at_a_time: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// Notes that a token came.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked(now())
    }

    /// The keys to verify a token with that came then.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] when none could ever be had, or not for a day.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn keys(&self, asked: Asked) -> Result<Arc<KeySet>, NoKeys> {
        let outcome = self.take(|cached, now| cached.keys(self.pace, asked.0, now)).await;
        outcome.or_else(|none| lock(&self.cached).kept(self.pace, now()).ok_or(none))
    }

    /// Keys that were asked for since then, for a token that [`Jwks::keys`] do not verify.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] when it is too early to ask again, and when asking fails: then nobody knows.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn newer(&self, asked: Asked) -> Result<Arc<KeySet>, NoKeys> {
        self.take(|cached, now| cached.newer(self.pace, asked.0, now)).await
    }

    async fn take(&self, step: impl Fn(&Cached, Duration) -> Step) -> Result<Arc<KeySet>, NoKeys> {
        let step = || step(&lock(&self.cached), now());
        match step() {
            Step::Use(keys) => return Ok(keys),
            Step::Wait(retry_after) => return Err(NoKeys { retry_after }),
            Step::Fetch => {}
        }
        let _one = self.one_at_a_time.lock().await;
        // Somebody else may have asked meanwhile.
        match step() {
            Step::Use(keys) => Ok(keys),
            Step::Wait(retry_after) => Err(NoKeys { retry_after }),
            Step::Fetch => self.ask().await,
        }
    }

    async fn ask(&self) -> Result<Arc<KeySet>, NoKeys> {
        let (at, fetch) = (now(), self.fetch.clone());
        let fetched = spawn_blocking(move || fetch.run()).await.unwrap_or_else(|_| Err("the runtime is ending".into()));
        let mut cached = lock(&self.cached);
        let learned = match fetched {
            Ok(bytes) => cached.learn(bytes, at).map_err(|bad: NotAKeySet| bad.to_string()),
            Err(problem) => {
                cached.failed(at);
                Err(problem)
            }
        };
        let keys = cached.kept(self.pace, at);
        drop(cached);
        self.tell(&learned, keys.as_deref());
        match (learned, keys) {
            (Ok(_), Some(keys)) => Ok(keys),
            _ => Err(NoKeys { retry_after: self.pace.pause.max(RETRY) }),
        }
    }

    /// Each trouble once, however many tokens meet it.
    fn tell(&self, learned: &Result<bool, String>, keys: Option<&KeySet>) {
        let mut trouble = lock(&self.trouble);
        match learned {
            Ok(news) => {
                if *news || trouble.is_some() {
                    let (usable, passed_over) = keys.map_or((0, 0), |keys| (keys.len(), keys.passed_over()));
                    tracing::info!(place = %self.place, usable, passed_over, "the provider's keys were read");
                }
                *trouble = None;
            }
            Err(problem) if trouble.as_deref() != Some(problem) => {
                tracing::error!(
                    place = %self.place, problem, going_on_with_older_ones = keys.is_some(),
                    "the provider's keys cannot be read; logouts that need newer ones are answered 503 until they can"
                );
                *trouble = Some(problem.clone());
            }
            Err(_) => {}
        }
    }
}

/// Boot time: pauses are real ones, whatever clock the app judges tokens by.
fn now() -> Duration {
    Clock::system().now().boot
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for JwksPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwks({})", self.place)
    }
}
