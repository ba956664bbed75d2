//! Following the server, and telling the keeper what came of it.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::error::Error;
use crate::revocation::store::{StoreFuture, Waiting};
use crate::revocation::{Beat, Follower, Record, Records, Report, RevocationStore, View};
use crate::time::Position;

use super::super::sqlite::Depth;
use super::keeper::Keeper;
use super::settle::Settled;

/// How long a beat waits for what is owed to be published; then that goes on beside it.
const SETTLE: Duration = Duration::from_secs(3);
/// How long an acknowledgement waits for the disk; the next beat says it then.
const FLUSH: Duration = Duration::from_millis(200);
/// How long a beat waits for the store to forget who is gone.
const FORGET: Duration = Duration::from_secs(1);
/// How long a goodbye does.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// Reads the server for one replica, and brings what it reads to the keeper.
pub(super) struct KeptFollower {
    inner: Box<dyn Follower>,
    server: Arc<dyn RevocationStore>,
    keeper: Arc<Keeper>,
    /// What the node last said of itself.
    report: Option<Report>,
    /// Whether a beat was delivered: then this process is registered.
    delivered: bool,
    /// Why what waits is not published, as last said in the log.
    unpublished: Option<String>,
}

impl KeptFollower {
    pub(super) fn new(server: Arc<dyn RevocationStore>, keeper: Arc<Keeper>) -> Self {
        Self { inner: server.follower(), server, keeper, report: None, delivered: false, unpublished: None }
    }

    /// Says what the node says, as far as its file holds it.
    fn say(&mut self) {
        let Some(report) = &self.report else { return };
        let (state, now) = (self.keeper.lock(), self.keeper.clock.now());
        let (applied, spooled) = (state.limit(report.applied, now), state.spool.waiting().waiting);
        self.inner.describe(Report { applied, spooled, ..report.clone() });
    }

    /// Publishes what waits. Goes on when nobody waits for it any more.
    fn settle(&self) -> impl Future<Output = Result<Settled, Error>> + Send + use<> {
        let task = tokio::spawn(self.keeper.clone().settle(self.server.clone()).in_current_span());
        async move {
            match tokio::time::timeout(SETTLE, task).await {
                Ok(Ok(settled)) => settled,
                Ok(Err(_)) | Err(_) => Err(Error::Store {
                    action: "publishing to the revocation list",
                    problem: "what waits for the list's store is still being published".to_owned(),
                    fix: "Wait a moment".into(),
                    source: None,
                }),
            }
        }
    }

    /// Says it once when what waits cannot be published, and again when the reason changes.
    fn tell(&mut self, error: Option<&Error>) {
        let why = error.map(Error::to_string);
        if why != self.unpublished {
            if let Some(error) = error {
                tracing::warn!(%error, "what waits for the list's store is not published yet");
            }
            self.unpublished = why;
        }
    }

    fn waiting(&self) -> Depth {
        self.keeper.lock().spool.waiting()
    }

    /// What the dead of this home knew, this process knows, and is waited for until it has given it back: nobody
    /// needs to wait for them as well.
    fn bury(&self) -> impl Future<Output = ()> + Send + use<> {
        let (server, keeper, delivered) = (self.server.clone(), self.keeper.clone(), self.delivered);
        async move {
            let ended = match &*keeper.lock() {
                state if delivered && !state.standing.away => state.standing.ended.clone(),
                _ => return,
            };
            for id in &ended {
                let forgotten = tokio::time::timeout(FORGET, server.forget_node(*id)).await;
                if !matches!(forgotten, Ok(Ok(_))) {
                    return;
                }
            }
            if !ended.is_empty() {
                keeper.lock().standing.ended.clear();
                let file = keeper.file.clone();
                // If they cannot be removed here, the next process does it once more.
                tokio::spawn(async move { file.bury(ended).await });
            }
        }
    }
}

impl Follower for KeptFollower {
    fn recall(&mut self) -> (Records, Position) {
        self.keeper.recall()
    }

    fn unplaced(&self) -> Vec<Record> {
        self.keeper.lock().spool.unplaced()
    }

    fn confirmed(&mut self, view: &Arc<View>) {
        if self.report.is_some() {
            self.keeper.change(|state| state.confirmed(view));
        }
    }

    fn beat(&mut self, stamp: bool) -> StoreFuture<'_, Beat> {
        Box::pin(async move {
            if self.report.is_none() {
                // A tool reads for itself: what this process remembers is what its node knows.
                return self.inner.beat(stamp).await;
            }
            self.bury().await;
            // What was published before this beat reads is among what it brings.
            let placed = self.keeper.lock().spool.placed.len();
            let mut beat = self.inner.beat(stamp).await.inspect_err(|_| self.keeper.lock().standing.away = true)?;
            {
                let mut state = self.keeper.lock();
                state.beaten(&beat);
                state.spool.placed.drain(..placed);
            }
            self.delivered = true;
            if self.waiting().waiting > 0 {
                // Neither what the store has by now nor what it is still owed is missing in what the beat read:
                // it is not to be given back as lost.
                beat.records.extend(self.keeper.lock().spool.mine.iter().map(|waiting| waiting.record));
                let settled = self.settle().await;
                self.tell(settled.as_ref().err());
                let settled = settled.unwrap_or_default();
                self.keeper.lock().spool.placed.retain(|placed| !settled.placed.contains(placed));
                beat.records.extend(settled.records);
            }
            Ok(beat)
        })
    }

    fn wait(&mut self) -> Waiting<'_> {
        self.inner.wait()
    }

    fn describe(&mut self, report: Report) {
        self.report = Some(report);
        self.say();
    }

    fn acknowledge(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            if self.keeper.flush(FLUSH).await {
                self.say();
                self.inner.acknowledge().await?;
            }
            Ok(())
        })
    }

    fn leave(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.keeper.flush(LAST_FLUSH).await;
            self.inner.leave().await
        })
    }
}
