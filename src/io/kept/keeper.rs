//! Writes what a node learns into its own file, behind the back of whoever brought it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Instrument as _;

use crate::error::Error;
use crate::id::Incarnation;
use crate::revocation::{
    Durability, Origin, OwnFileState, Profile, Receipt, Record, Records, Revocation, RevocationList, Snapshot, View,
};
use crate::time::{Clock, Position};

use super::super::sqlite::{Depth, Keep, OwnFile};
use super::super::wake::Wake;
use super::state::{Held, Job, State};

/// Records in one transaction: others get their turn in between.
const BATCH: usize = 10_000;
/// How often the file may be replaced under one write.
const ATTEMPTS: usize = 3;
/// Longest wait for a wish to be on disk.
const SPOOL: Duration = Duration::from_secs(3);

pub(super) struct Keeper {
    pub file: OwnFile,
    pub clock: Clock,
    place: String,
    state: Mutex<State>,
    /// Rings when a write has ended.
    written: Wake,
    /// Taken by whoever publishes what waits.
    pub settling: tokio::sync::Mutex<()>,
    recalled: Mutex<Records>,
}

impl Keeper {
    pub(super) fn new(file: OwnFile, snapshot: Snapshot, life: Incarnation, place: String, clock: Clock) -> Self {
        let Snapshot { origin, records: mut recalled, waiting, profiles } = snapshot;
        let list = RevocationList::of(&mut recalled);
        recalled.extend(waiting.iter().map(|waiting| waiting.record));
        let known = origin.map(|origin| origin.position).unwrap_or_default();
        let state = State::recalled(Held { life: Some(life), list }, known, waiting, profiles);
        Self {
            file,
            clock,
            place,
            state: Mutex::new(state),
            written: Wake::default(),
            settling: tokio::sync::Mutex::default(),
            recalled: Mutex::new(recalled),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was in the file when this process began, and the highest position of it.
    pub(super) fn recall(&self) -> (Records, Position) {
        let recalled = std::mem::take(&mut *self.recalled.lock().unwrap_or_else(PoisonError::into_inner));
        (recalled, self.lock().applied)
    }

    pub(super) fn profiles_beyond(&self, known: &[Profile]) -> Vec<Profile> {
        let is_new = |profile: &&Profile| known.iter().all(|known| known.cookie != profile.cookie);
        self.lock().profiles.iter().filter(is_new).cloned().collect()
    }

    pub(super) fn is_away(&self) -> bool {
        self.lock().standing.away
    }

    pub(super) fn state(&self) -> OwnFileState {
        let (state, now) = (self.lock(), self.clock.now());
        let slow = || state.is_slow(now).then(|| "a write to it has not ended for some seconds".to_owned());
        OwnFileState {
            path: self.file.path().to_owned(),
            waiting: state.spool.waiting().waiting,
            cut_offs: state.spool.waiting().cut_offs,
            failing: state.was_failing().map(str::to_owned).or_else(slow),
        }
    }

    /// Records that were published here.
    pub(super) fn heard(self: &Arc<Self>, records: &[Record], position: Position) {
        self.change(|state| {
            state.pending.news.extend(records);
            state.pending.limit();
            state.saw(position);
        });
    }

    pub(super) fn announced(self: &Arc<Self>, profile: &Profile) {
        self.change(|state| {
            if !state.profiles.contains(profile) {
                state.profiles.retain(|known| known.cookie != profile.cookie);
                state.profiles.push(profile.clone());
                state.pending.profiles.push(profile.clone());
            }
        });
    }

    /// Changes what is to be written, and sees to it that it is.
    pub(super) fn change(self: &Arc<Self>, change: impl FnOnce(&mut State)) {
        let job = {
            let mut state = self.lock();
            change(&mut state);
            state.begin(self.clock.now())
        };
        if let Some(job) = job {
            // No child of the request that had something to write: the next one's is written along.
            let span = tracing::info_span!(parent: None, "own_file", file = %self.file.path().display());
            tokio::spawn(self.clone().work(job).instrument(span));
        }
    }

    /// Waits until all is written, or the disk is known not to do its work. Says whether it came to that.
    pub(super) async fn flush(&self, longest: Duration) -> bool {
        let (mut waiter, end) = (self.written.waiter(), self.clock.now().boot + longest);
        loop {
            let now = self.clock.now();
            if self.lock().is_settled(now) {
                return true;
            }
            let left = end.saturating_sub(now.boot);
            if left.is_zero() {
                return false;
            }
            waiter.changed(left).await;
        }
    }

    /// Wishes for the time when the server is back; on disk when this returns.
    pub(super) async fn spool(&self, wishes: &[Revocation]) -> Result<Receipt, Error> {
        let (position, life) = {
            let mut state = self.lock();
            (state.take_position(self.clock.now()), state.life().unwrap_or(Incarnation(0)))
        };
        let spooled = tokio::time::timeout(SPOOL, self.file.spool(wishes.to_vec(), position)).await;
        let spooled = spooled.unwrap_or_else(|_| {
            Err(Error::Store {
                action: "writing this node's own file",
                problem: format!("{} was not written within {} s", self.file.path().display(), SPOOL.as_secs()),
                fix: "Look at its disk".into(),
                source: None,
            })
        });
        let waiting = spooled.inspect_err(|error| {
            tracing::error!(%error, "a revocation could not be accepted while the list's store is away");
        })?;
        let records: Vec<_> = waiting.iter().map(|waiting| waiting.record).collect();
        self.lock().spool.mine.extend(waiting);
        tracing::warn!(
            records = records.len(),
            "the list's store is away: a revocation is enforced here, and published as soon as it is back"
        );
        Ok(Receipt { durability: Durability::Accepted, position, incarnation: life, records })
    }

    /// Writes until nothing is due.
    async fn work(self: Arc<Self>, job: Job) {
        let mut next = Some(job);
        while let Some(mut job) = next {
            let written = self.write(&mut job).await;
            let now = self.clock.now();
            let mut state = self.lock();
            let before = state.was_failing().map(str::to_owned);
            match written {
                Ok(depth) => {
                    state.wrote(job, depth, now);
                    if before.is_some() {
                        tracing::info!(file = %self.file.path().display(), "this node's own file is written again");
                    }
                }
                Err(error) => {
                    state.failed(job, error.to_string(), now);
                    if before.as_deref() != state.was_failing() {
                        tracing::error!(%error, "this node remembers the revocation list in memory only");
                    }
                }
            }
            next = state.begin(now);
            drop(state);
            self.written.all();
        }
    }

    /// Brings the file to where the job is, and `job.held` with it.
    async fn write(&self, job: &mut Job) -> Result<Depth, Error> {
        for _ in 0..ATTEMPTS {
            let records = lacking(job).await?;
            if let Some(depth) = self.write_all(job, &records).await? {
                return Ok(depth);
            }
        }
        Err(Error::Store {
            action: "writing this node's own file",
            problem: format!("{} was replaced again and again", self.file.path().display()),
            fix: "Look for the program that replaces it, and stop that".into(),
            source: None,
        })
    }

    /// Nothing if it has to be done again, because another file lies there, or the same as it once was.
    async fn write_all(&self, job: &mut Job, records: &[Record]) -> Result<Option<Depth>, Error> {
        let (highest, whole) = (job.highest, job.view.as_ref().and_then(|view| self.origin(view)));
        let (most, last) = records.split_at(records.len().saturating_sub(1) / BATCH * BATCH);
        for chunk in most.chunks(BATCH) {
            let keep = Keep { records: chunk.to_vec(), highest, ..Keep::default() };
            if !job.is_same(self.file.keep(Arc::new(keep)).await?.0) {
                return Ok(None);
            }
        }
        let (profiles, published) = (job.pending.profiles.clone(), job.pending.published.clone());
        let whole = whole.zip(job.held.life);
        let keep = Keep { records: last.to_vec(), profiles, published, highest, whole };
        let (life, depth) = self.file.keep(Arc::new(keep)).await?;
        let is_same = job.is_same(life);
        match &job.view {
            // Nothing to compare with yet: the next beat that counts brings it.
            None => Ok(Some(depth)),
            Some(view) if is_same => {
                job.held.list = view.list.clone();
                job.pending.all = false;
                Ok(Some(depth))
            }
            Some(_) => Ok(None),
        }
    }

    fn origin(&self, view: &View) -> Option<Origin> {
        let (life, now) = (view.incarnation()?, self.clock.now());
        let age = u64::try_from(view.age(now)?.as_millis()).unwrap_or(u64::MAX);
        let at = now.millis.saturating_sub(age);
        Some(Origin { place: self.place.clone(), life, position: view.lower_bound(), at })
    }
}

impl Job {
    /// Whether the file is the one that it was. All has to be written into another one.
    fn is_same(&mut self, life: Incarnation) -> bool {
        let is_same = self.held.life == Some(life);
        if !is_same {
            self.held = Held { life: Some(life), list: RevocationList::default() };
            self.pending.all = true;
        }
        is_same
    }
}

/// What the job has to write: the news, or everything that the file may lack.
async fn lacking(job: &Job) -> Result<Vec<Record>, Error> {
    let news = job.pending.news.clone();
    let Some(view) = job.view.clone().filter(|_| job.pending.all) else { return Ok(news) };
    let held = job.held.list.clone();
    let compare = move || view.list.records().filter(|record| !held.holds(record)).chain(news).collect();
    tokio::task::spawn_blocking(compare).await.map_err(|stopped| Error::Store {
        action: "writing this node's own file",
        problem: "the runtime is shutting down".to_owned(),
        fix: "Finish such calls before the program ends".into(),
        source: Some(Box::new(stopped)),
    })
}
