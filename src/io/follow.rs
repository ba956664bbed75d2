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

use crate::error::Error;
use crate::revocation::store::Waiting;
use crate::revocation::{Beat, Follower, Profile, Replica, RevocationStore};
use crate::time::{Clock, Position};

/// A running follower; it stops when this is dropped.
pub struct Follow {
    asks: mpsc::UnboundedSender<Ask>,
    task: AbortHandle,
    describe: String,
}

struct Ask {
    /// Whether a new position is wanted as well.
    stamp: bool,
    answer: oneshot::Sender<Result<Position, Reason>>,
}

/// Why a beat failed, for everybody who waited for it.
#[derive(Clone, PartialEq, Eq)]
struct Reason {
    problem: String,
    fix: Cow<'static, str>,
}

impl Reason {
    fn of(error: &Error) -> Self {
        match error {
            Error::Store { problem, fix, .. } => Self { problem: problem.clone(), fix: fix.clone() },
            other => Self { problem: other.to_string(), fix: "Until then sessions cannot be confirmed".into() },
        }
    }
}

/// Longest wait for a beat; behind it the caller answers 503.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a process that joins waits for a list that is being given back; less than [`PATIENCE`].
const HEALING: Duration = Duration::from_millis(4_800);
/// Between two looks at such a list, if nothing tells of a change.
const RETRY: Duration = Duration::from_millis(200);

impl Follow {
    /// Starts following. The `profiles` are announced to every store that is met for the first time: at the
    /// start, and again when it was made anew. `on_beat` runs after every beat that counted.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        store: Arc<dyn RevocationStore>,
        replica: Arc<Replica>,
        clock: Clock,
        profiles: Vec<Profile>,
        on_beat: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (asks, inbox) = mpsc::unbounded_channel();
        let describe = store.describe();
        let runner = Runner {
            follower: store.follower(),
            store,
            replica,
            clock,
            profiles,
            on_beat: Box::new(on_beat),
            failing: None,
        };
        Self { asks, task: tokio::spawn(runner.run(inbox)).abort_handle(), describe }
    }

    /// Waits for a beat that begins after this call. With `stamp` it takes a position, which is answered.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not answer, or not within 5 seconds.
    pub async fn beat(&self, stamp: bool) -> Result<Position, Error> {
        let (answer, answered) = oneshot::channel();
        let _ = self.asks.send(Ask { stamp, answer });
        let silent = |problem: &str| Reason {
            problem: problem.to_owned(),
            fix: format!("Bring {} back; until then sessions cannot be confirmed", self.describe).into(),
        };
        let Reason { problem, fix } = match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(position))) => return Ok(position),
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(_)) => silent("its follower has stopped"),
            Err(_) => silent("no answer within 5 s"),
        };
        Err(Error::Store { action: "reading the revocation list", problem, fix, source: None })
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Runner {
    follower: Box<dyn Follower>,
    store: Arc<dyn RevocationStore>,
    replica: Arc<Replica>,
    clock: Clock,
    profiles: Vec<Profile>,
    on_beat: Box<dyn Fn() + Send + Sync>,
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
            let outcome = self.beat(asks.iter().any(|ask| ask.stamp)).await;
            self.tell(&outcome);
            for ask in asks {
                // Whoever asked may have gone; nobody else needs the answer.
                let _ = ask.answer.send(outcome.as_ref().map(|beat| beat.position).map_err(Reason::of));
            }
        }
    }

    /// A beat that counts. Where other processes have yet to give back what the store lost, one that knew
    /// the list goes on meanwhile, and one that did not waits for them.
    async fn beat(&mut self, stamp: bool) -> Result<Beat, Error> {
        if self.replica.view().incarnation().is_some() {
            return self.try_beat(stamp).await;
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
        Err(Error::Store {
            action: "reading the revocation list",
            problem: format!("{} has lost records that other processes remember", self.store.describe()),
            fix: "Wait until they have given them back; one that has ended is waited for a minute".into(),
            source: None,
        })
    }

    async fn try_beat(&mut self, stamp: bool) -> Result<Beat, Error> {
        let now = self.clock.now();
        let beat = self.follower.beat(stamp).await?;
        let lost = self.replica.absorb(&beat, now);
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
        if beat.healed || self.replica.view().incarnation().is_some() {
            self.replica.confirm(&beat, now);
            (self.on_beat)();
        }
        Ok(beat)
    }

    /// Says it once when the store goes away, again when the reason changes, and once when it is back.
    fn tell(&mut self, outcome: &Result<Beat, Error>) {
        let failing = outcome.as_ref().err().map(Reason::of);
        if failing != self.failing {
            if let Err(error) = outcome {
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
