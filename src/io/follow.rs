//! The task that follows the store: a beat now and then, and at once when somebody asks.
//!
//! Confirming a session on a stale list, a strict route and a login all want the same thing: a beat
//! that *began* after they asked. Everybody who asks while one is under way shares the next.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use crate::error::Error;
use crate::revocation::node::MARGIN;
use crate::revocation::store::Waiting;
use crate::revocation::{Beat, Bounds, Follower, Heard, Profile, Replica, Report, RevocationStore};
use crate::time::{Clock, Now, Position};

/// Host and process, for people who read the list of nodes.
#[must_use]
pub fn process_name() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> String {
    #[cfg(unix)]
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let host = std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".into());
    host
}

/// A running follower; it stops when this is dropped.
pub struct Follow {
    asks: mpsc::UnboundedSender<Ask>,
    task: AbortHandle,
    describe: String,
}

struct Ask {
    wish: Wish,
    answer: oneshot::Sender<Result<Position, Reason>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// A beat.
    Beat,
    /// A beat that takes a new position as well.
    Stamp,
    /// To stop, and to be taken off the list of those that are waited for.
    Leave,
}

/// Why a beat failed, for everybody who waited for it.
#[derive(Clone, PartialEq, Eq)]
struct Reason {
    problem: String,
    fix: Cow<'static, str>,
    /// Only because others have yet to give back what the store lost.
    healing: bool,
}

/// A beat that does not count.
struct Failed {
    error: Error,
    healing: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, healing: false }
    }
}

impl Reason {
    fn of(failed: &Failed) -> Self {
        let healing = failed.healing;
        match &failed.error {
            Error::Store { problem, fix, .. } => Self { problem: problem.clone(), fix: fix.clone(), healing },
            other => {
                let fix = "Until then sessions cannot be confirmed".into();
                Self { problem: other.to_string(), fix, healing }
            }
        }
    }

    fn told(self) -> Error {
        let Self { problem, fix, .. } = self;
        Error::Store { action: "reading the revocation list", problem, fix, source: None }
    }
}

/// Longest wait for a beat; behind it the caller answers 503.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a process that joins waits for a list that is being given back; less than [`PATIENCE`].
const HEALING: Duration = Duration::from_millis(4_800);
/// How much longer a process that starts waits for it than any other is waited for.
const BEYOND: Duration = Duration::from_secs(8);
/// Between two looks at such a list, if nothing tells of a change.
const RETRY: Duration = Duration::from_millis(200);

impl Follow {
    /// Starts following. The `profiles` are announced to every store that is met for the first time: at the
    /// start, and again when it was made anew. `report` is what this node says of itself; the position that
    /// it has applied is filled in. `on_beat` runs after every beat that counted, and hears whether the store
    /// has heard that report, and how long what is new was on its way ([`View::travelled`](crate::revocation::View::travelled)).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        store: Arc<dyn RevocationStore>,
        replica: Arc<Replica>,
        clock: Clock,
        profiles: Vec<Profile>,
        report: impl Fn() -> Report + Send + Sync + 'static,
        on_beat: impl Fn(bool, &[Duration]) + Send + Sync + 'static,
    ) -> Self {
        let heard = move |beat: &Beat, travelled: &[Duration]| on_beat(beat.heard != Heard::No, travelled);
        Self::begin(store, replica, clock, profiles, Some(Box::new(report)), Box::new(heard))
    }

    /// Starts following as a tool: it says nothing of itself and nobody waits for what it has applied, but
    /// it gives back what the store has lost. `on_beat` runs after every beat that counted, and hears how long what
    /// is new was on its way.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn watch(
        store: Arc<dyn RevocationStore>,
        replica: Arc<Replica>,
        clock: Clock,
        on_beat: impl Fn(&Beat, &[Duration]) + Send + Sync + 'static,
    ) -> Self {
        Self::begin(store, replica, clock, Vec::new(), None, Box::new(on_beat))
    }

    fn begin(
        store: Arc<dyn RevocationStore>,
        replica: Arc<Replica>,
        clock: Clock,
        profiles: Vec<Profile>,
        report: Option<Box<dyn Fn() -> Report + Send + Sync>>,
        on_beat: OnBeat,
    ) -> Self {
        let (asks, inbox) = mpsc::unbounded_channel();
        let describe = store.describe();
        let mut follower = store.follower();
        // Before the first beat, which finds out what of it the store lacks.
        let (remembered, position) = follower.recall();
        let recalled = position > Position(0) || !remembered.is_empty();
        replica.fill(remembered, position);
        replica.enforce_unplaced(&follower.unplaced());
        // No child of whatever span the app starts in: it goes on when that has long been over.
        let span = tracing::info_span!(parent: None, "follow", store = describe, node = process_name());
        let runner = Runner { recalled, follower, store, replica, clock, profiles, report, on_beat, failing: None };
        Self { asks, task: tokio::spawn(runner.run(inbox).instrument(span)).abort_handle(), describe }
    }

    /// Waits for a beat that begins after this call. With `stamp` it takes a position, which is answered.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not answer, or not within 5 seconds.
    pub async fn beat(&self, stamp: bool) -> Result<Position, Error> {
        self.try_beat(stamp).await.map_err(Reason::told)
    }

    /// Waits for the first beat that counts. While others have yet to give back what the store lost, that
    /// takes as long as they are waited for: for their `lease` and a little more at the most.
    ///
    /// # Errors
    ///
    /// As [`Follow::beat`].
    pub async fn join(&self, lease: Duration) -> Result<(), Error> {
        let joined = async {
            loop {
                match self.try_beat(false).await {
                    Ok(_) => return Ok(()),
                    Err(reason) if reason.healing => {}
                    Err(reason) => return Err(reason.told()),
                }
            }
        };
        match tokio::time::timeout(lease + MARGIN + BEYOND, joined).await {
            Ok(joined) => joined,
            Err(_) => self.beat(false).await.map(drop),
        }
    }

    async fn try_beat(&self, stamp: bool) -> Result<Position, Reason> {
        let answered = self.ask(if stamp { Wish::Stamp } else { Wish::Beat });
        let silent = |problem: &str| Reason {
            problem: problem.to_owned(),
            fix: format!("Bring {} back; until then sessions cannot be confirmed", self.describe).into(),
            healing: false,
        };
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(silent("its follower has stopped")),
            Err(_) => Err(silent("no answer within 5 s")),
        }
    }

    /// Stops following for good: this process trusts its copy of the list no more, and nobody waits for it.
    /// Returns after 2 seconds at the latest; then it is waited for until it has lapsed.
    pub async fn leave(&self) {
        let _ = tokio::time::timeout(GOODBYE, self.ask(Wish::Leave)).await;
    }

    fn ask(&self, wish: Wish) -> oneshot::Receiver<Result<Position, Reason>> {
        let (answer, answered) = oneshot::channel();
        let _ = self.asks.send(Ask { wish, answer });
        answered
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Hears of every beat that counted.
type OnBeat = Box<dyn Fn(&Beat, &[Duration]) + Send + Sync>;

struct Runner {
    /// Whether its replica was filled from a file of its own before the first beat.
    recalled: bool,
    follower: Box<dyn Follower>,
    store: Arc<dyn RevocationStore>,
    replica: Arc<Replica>,
    clock: Clock,
    profiles: Vec<Profile>,
    /// What a node says of itself; a tool says nothing.
    report: Option<Box<dyn Fn() -> Report + Send + Sync>>,
    on_beat: OnBeat,
    /// What was last said in the log.
    failing: Option<Reason>,
}

impl Runner {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Ask>) {
        let interval = self.store.beat_interval();
        loop {
            let mut asks = Vec::new();
            match tokio::time::timeout(interval, first(inbox.recv(), self.follower.wait())).await {
                Ok(Some(Some(ask))) => asks.push(ask),
                Ok(Some(None)) => return,
                // News, or the time has come.
                Ok(None) | Err(_) => {}
            }
            while let Ok(ask) = inbox.try_recv() {
                asks.push(ask);
            }
            if asks.iter().any(|ask| ask.wish == Wish::Leave) {
                self.leave().await;
                return;
            }
            let outcome = self.beat(asks.iter().any(|ask| ask.wish == Wish::Stamp)).await;
            self.tell(&outcome);
            for ask in asks {
                // Whoever asked may have gone; nobody else needs the answer.
                let _ = ask.answer.send(outcome.as_ref().map(|beat| beat.position).map_err(Reason::of));
            }
        }
    }

    /// A beat that counts. Where other processes have yet to give back what the store lost, one that knew
    /// the list goes on meanwhile, and one that did not waits for them.
    async fn beat(&mut self, stamp: bool) -> Result<Beat, Failed> {
        if self.replica.view().incarnation().is_some() {
            return Ok(self.try_beat(stamp).await?);
        }
        let counts = async {
            loop {
                let beat = self.try_beat(stamp).await?;
                if beat.healed {
                    return Ok(beat);
                }
                let _ = tokio::time::timeout(RETRY, self.follower.wait()).await;
            }
        };
        if let Ok(beat) = tokio::time::timeout(HEALING, counts).await {
            return beat;
        }
        let error = Error::Store {
            action: "reading the revocation list",
            problem: format!("{} has lost records that other processes may remember", self.store.describe()),
            fix: "Wait until they have given them back; one that has ended is waited for a little over a minute".into(),
            source: None,
        };
        Err(Failed { error, healing: true })
    }

    async fn try_beat(&mut self, stamp: bool) -> Result<Beat, Error> {
        let now = self.clock.now();
        self.describe(now);
        let mut beat = self.follower.beat(stamp).await?;
        let lease = self.report.as_ref().and_then(|report| report().lease_ms);
        let lease = lease.map_or(Bounds::default().lost, Duration::from_millis);
        // A tool shows people what came; a node has no use for it beside its replica.
        let shown = (self.report.is_none() && !beat.whole).then(|| beat.records.clone());
        let travelled = self.replica.view().travelled(&beat);
        let lost = self.replica.absorb_for(&mut beat, now, lease);
        beat.records = shown.unwrap_or_default();
        self.replica.only_unplaced(|| self.follower.unplaced());
        if !lost.is_empty() {
            tracing::warn!(
                records = lost.len(),
                store = self.store.describe(),
                "the revocation list had lost records; giving them back"
            );
            self.store.restore(lost, self.replica.view().lower_bound()).await?;
        }
        if beat.whole {
            for profile in &self.profiles {
                self.store.announce(profile).await?;
            }
        }
        // Who was silent for longer than its lease may have been left out of every decision since, like one that
        // joins: it waits until the list is whole.
        let age = self.replica.view().age(now);
        if beat.healed || age.is_some_and(|age| age <= lease) {
            self.replica.confirm(&beat, now);
            self.follower.confirmed(&self.replica.view());
            (self.on_beat)(&beat, &travelled);
            if beat.heard == Heard::Asked {
                self.describe(now);
                self.follower.acknowledge().await?;
            }
        }
        Ok(beat)
    }

    fn describe(&mut self, now: Now) {
        if let Some(report) = &self.report {
            let report = report();
            let (view, lease) = (self.replica.view(), report.lease_ms.map(Duration::from_millis));
            // One that never lapses is never left out of a decision.
            let served = view.age(now).map_or(self.recalled, |age| lease.is_none_or(|lease| age <= lease));
            self.follower.describe(Report { applied: view.lower_bound().0, served, ..report });
        }
    }

    async fn leave(&mut self) {
        self.replica.retire();
        if let Err(error) = self.follower.leave().await {
            tracing::warn!(%error, "this node could not say goodbye, and is waited for until its lease is over");
        }
    }

    /// Says it once when the store goes away, again when the reason changes, and once when it is back.
    fn tell(&mut self, outcome: &Result<Beat, Failed>) {
        let failing = outcome.as_ref().err().map(Reason::of);
        if failing != self.failing {
            if let Err(Failed { error, .. }) = outcome {
                tracing::error!(%error, "the revocation list cannot be read");
            } else {
                tracing::info!(store = self.store.describe(), "the revocation list is back");
            }
            self.failing = failing;
        }
    }
}

/// What comes first: the outcome of one, or nothing when the other did. Either may be dropped unfinished.
async fn first<T>(one: impl Future<Output = T>, mut other: Waiting<'_>) -> Option<T> {
    let mut one = pin!(one);
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => other.as_mut().poll(cx).map(|()| None),
    })
    .await
}
