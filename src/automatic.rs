//! Rotation by age in a node: it looks now and then whether something is due, and does it if no other was quicker.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tracing::Instrument as _;

use crate::config::{Config, KEEP};
use crate::core::Core;
use crate::error::Error;
use crate::id::KeyId;
use crate::io::folder::KeyFolder;
use crate::io::follow::process_name;
use crate::io::watch;
use crate::operator::{KeyStepError, Operator};
use crate::revocation::Freshness;
use crate::revocation::node::MARGIN;
use crate::rotation::automatic::due;
use crate::rotation::{Due, Refusal, Terms};
use crate::time::Seconds;

/// Between two looks at the list.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause after steps that failed.
const LONGEST: Duration = Duration::from_hours(1);
/// Between two tries to retire and to destroy, whose gates may be shut for long.
const TIDY: Duration = Duration::from_secs(30);

/// Refuses what could stage a key that reaches nobody.
///
/// # Errors
///
/// [`Error::Config`] and why the nodes cannot be given a new key from here.
pub fn check(config: &Config, folder: &KeyFolder, one_host: bool, has_ring_secret: bool) -> Result<(), Error> {
    if config.rotate_every().is_none() || has_ring_secret {
        return Ok(());
    }
    if !one_host {
        return Err(Error::config(
            "`.rotate_every(..)` has to bring new keys to every node, the list is not in a file of this host, and this \
             node has no ring secret under which keys could travel through it",
            "Give every node the same ring secret (`.ring_secret(..)`, made by `sealjar keys ring-secret`), or leave \
             `.rotate_every(..)` away and put key files into every node's folder by hand",
        ));
    }
    folder.can_be_written().map_err(|error| {
        Error::config(
            format!("`.rotate_every(..)` has to put new keys into the key folder that the processes of this host share; {error}"),
            "Let this program write there, or give it a ring secret (`.ring_secret(..)`)",
        )
    })
}

/// Looks after the keys of this node's fleet from now on, until the node is gone.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(core: &Arc<Core>, operator: Operator, period: Duration) {
    let automatic = Arc::new(Automatic { core: Arc::downgrade(core), operator, period, told: Mutex::default() });
    let store = core.store.describe();
    let span = tracing::info_span!(parent: None, "rotate_every", store, node = process_name());
    watch::again(span, move || {
        let automatic = automatic.clone();
        async move { automatic.look().await }
    });
}

struct Automatic {
    core: Weak<Core>,
    operator: Operator,
    period: Duration,
    told: Mutex<Told>,
}

/// What was said last, so that it is said once.
#[derive(Default)]
struct Told {
    why: String,
    since: Duration,
    is_warned: bool,
    /// The pause after the last failure.
    pause: Duration,
    /// When keys were last to be retired or destroyed.
    tidied: Option<Duration>,
}

/// What a look at the list found.
struct Look {
    due: Vec<Due>,
    births: Vec<(KeyId, Seconds)>,
    boot: Duration,
    lease: Duration,
}

impl Automatic {
    /// Answers when to look again; nothing when the node is gone.
    async fn look(&self) -> Option<Duration> {
        let look = self.core.upgrade()?.look_what_is_due(self.period);
        let mut pause = LOOK;
        for step in look.due {
            if matches!(step, Due::Retire(_) | Due::Destroy(_)) && !self.is_time_to_tidy(look.boot) {
                continue;
            }
            let span = tracing::info_span!("key_step", step = name(step));
            let taken = async {
                let done = self.operator.take(step, &look.births, self.period).await;
                self.tell(step, done.map(|done| done.and_then(|done| done.key)), look.boot, look.lease)
            };
            pause = pause.max(taken.instrument(span).await);
        }
        Some(pause)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_time_to_tidy(&self, now: Duration) -> bool {
        let mut told = self.told();
        let is_time = told.tidied.is_none_or(|last| last == now || now.saturating_sub(last) >= TIDY);
        if is_time {
            told.tidied = Some(now);
        }
        is_time
    }

    /// Says what came of a step. Answers how long to wait before another.
    fn tell(&self, step: Due, done: Result<Option<KeyId>, KeyStepError>, now: Duration, lease: Duration) -> Duration {
        let mut told = self.told();
        match done {
            Ok(key) => {
                (told.why, told.pause) = (String::new(), Duration::ZERO);
                let Some(key) = key else { return Duration::ZERO };
                match step {
                    Due::Stage => {
                        tracing::info!(%key, "the newest key is old enough: another one is on its way to the nodes");
                    }
                    Due::Promote(_) => tracing::info!(%key, "every node has the new key: it seals from now on"),
                    Due::Retire(_) => tracing::info!(%key, "an old key is retired: all cookies under it have expired"),
                    Due::Destroy(_) => tracing::info!(%key, "a retired key is destroyed"),
                }
                Duration::ZERO
            }
            // Another one was quicker, or the list has changed since the look.
            Err(KeyStepError::Refused(
                Refusal::Young(_) | Refusal::Staged(_) | Refusal::Seals(_) | Refusal::State { .. },
            )) => Duration::ZERO,
            Err(error) => {
                let (why, failed) = (error.to_string(), matches!(error, KeyStepError::Failed(_)));
                if told.why != why {
                    (told.why, told.since, told.is_warned) = (why.clone(), now, false);
                    tracing::info!(why, "rotation by age waits");
                }
                // Every rotation waits for a moment; what goes on for longer than a node is waited for needs a person.
                if !told.is_warned && (failed || now.saturating_sub(told.since) > lease + MARGIN) {
                    told.is_warned = true;
                    tracing::warn!(why, "rotation by age does not come further; see `sealjar keys status`");
                }
                // A key that was staged and could not be written leaves its id behind: not again at once.
                told.pause = if failed { (told.pause * 2).clamp(LOOK, LONGEST) } else { Duration::ZERO };
                told.pause
            }
        }
    }
}

/// As the log says it.
const fn name(step: Due) -> &'static str {
    match step {
        Due::Stage => "stage",
        Due::Promote(_) => "promote",
        Due::Retire(_) => "retire",
        Due::Destroy(_) => "destroy",
    }
}

impl Core {
    fn look_what_is_due(&self, period: Duration) -> Look {
        let (now, view, ring) = (self.now(), self.replica.view(), self.ring.load());
        let births: Vec<_> = ring.keys().map(|(key, _)| (key.id(), key.created())).collect();
        let (lease, longest) = (self.config.bounds().lost, self.config.absolute());
        let terms = Terms { lease, longest, keep: KEEP };
        // Who does not know where the list stands decides nothing.
        let due = match view.freshness(self.config.bounds(), now) {
            Freshness::Fresh => due(view.list.rotation(), &births, view.clock(now).seconds(), terms, period),
            _ => Vec::new(),
        };
        Look { due, births, boot: now.boot, lease }
    }
}
