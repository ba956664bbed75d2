//! A list on a server, and beside it a file of this node's own: a memory that outlives the process, and a
//! place for wishes while the server is away.
//!
//! ```text
//!   publish ──────────► server ──┐
//!   beat ◄───────────── server ──┴─► keeper ──► node.db   every record, behind the request's back
//!   publish_or_spool ─► server, or if it is away ─► node.db   the wish, on disk before the answer
//!                       server ◄── settle ◄──────── node.db   as soon as a beat gets through
//! ```
//!
//! Nothing above this knows of it: it is a store like others.
//!
//! # Consistency
//!
//! A node does not say that it has applied a position before its file has everything up to it; so what is in
//! force outlives the node. If the disk is full or slower than some seconds, the node says so in its log and
//! in [`RevocationStore::own_file`], and goes on without: no request and no beat fails for it.

mod follower;
mod keeper;
mod settle;
mod spool;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::{Incarnation, NodeId, ShortId};
use crate::revocation::memory::can_wait;
use crate::revocation::store::StoreFuture;
use crate::revocation::{
    Condition, Follower, Memory, Nodes, Once, OnceValue, OwnFileState, Parcel, Profile, Raised, Receipt, Record,
    Revocation, RevocationStore, Snapshot, Stand,
};
use crate::rotation::Rotation;
use crate::time::{Clock, Day, Now, Position};

use super::follow::host_name;
use super::place::Opening;
use super::sqlite::OwnFile;
use follower::KeptFollower;
use keeper::Keeper;

/// How long the server is asked before a wish is spooled instead.
const PATIENCE: Duration = Duration::from_secs(4);
/// No session lives longer than this many days, with one to spare.
const HORIZON: u32 = 401;

/// A node's own file, and what it held when it was opened.
#[derive(Debug)]
pub struct Recalled {
    file: OwnFile,
    snapshot: Snapshot,
    /// The file's.
    life: Incarnation,
    /// Processes that used it and are gone.
    ended: Vec<NodeId>,
    clock: Clock,
}

impl Recalled {
    /// Opens the file, makes it if it is missing, and reads it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when it cannot be read and written: it may hold wishes that were accepted, and without
    /// them a session that was logged out would be good again.
    pub async fn open(path: &Path, opening: &Opening<'_>) -> Result<Self, Error> {
        let (path, app, clock) = (path.to_owned(), opening.app.to_owned(), opening.clock.clone());
        let list_key = opening.list_key.fingerprint();
        let open = move || {
            let id = NodeId(u64::from_be_bytes(crate::random::fresh()));
            let (file, ended) = OwnFile::open(&path, (&app, &list_key), (id, &host_name()), clock.clone())?;
            let (snapshot, life) = file.recall()?;
            Ok(Self { file, snapshot, life, ended, clock })
        };
        tokio::task::spawn_blocking(open).await.map_err(|_| {
            Error::config(
                "the runtime ended while the own file was being opened",
                "Keep it running until start() returns",
            )
        })?
    }

    /// What it is worth to a node that follows the list at `place`.
    #[must_use]
    pub fn memory(&self, place: &str, now: Now) -> Memory {
        Memory { node: self.file.process(), ..self.snapshot.memory(place, now) }
    }

    /// Puts the file beside a store, whose address, without credentials, is `place`.
    #[must_use]
    pub fn beside(self, store: Arc<dyn RevocationStore>, place: String) -> Kept {
        let Self { file, snapshot, life, ended, clock } = self;
        let keeper = Arc::new(Keeper::new(file, snapshot, life, place, clock.clone()));
        keeper.lock().standing.ended = ended;
        Kept { server: store, keeper, clock }
    }
}

/// A list on a server with a file of this node's own beside it.
#[derive(Clone)]
pub struct Kept {
    server: Arc<dyn RevocationStore>,
    keeper: Arc<Keeper>,
    clock: Clock,
}

impl RevocationStore for Kept {
    fn describe(&self) -> String {
        self.server.describe()
    }

    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        Box::pin(async move {
            let receipt = self.server.publish(revocations).await?;
            self.keeper.heard(&receipt.records, receipt.position);
            Ok(receipt)
        })
    }

    fn publish_over<'a>(
        &'a self,
        life: Incarnation,
        list: &'a Rotation,
        revocations: &'a [Revocation],
    ) -> StoreFuture<'a, Option<Receipt>> {
        Box::pin(async move {
            let receipt = self.server.publish_over(life, list, revocations).await?;
            if let Some(receipt) = &receipt {
                self.keeper.heard(&receipt.records, receipt.position);
            }
            Ok(receipt)
        })
    }

    fn publish_or_spool<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        Box::pin(async move {
            let latest = Day(self.clock.now().seconds().day().0.saturating_add(HORIZON));
            let spools = !revocations.is_empty() && can_wait(revocations, latest);
            // What the last beat has just found out is not found out again at this caller's cost.
            let first = spools && self.keeper.is_away();
            if first && let Ok(receipt) = self.keeper.spool(revocations).await {
                return Ok(receipt);
            }
            let asked = tokio::time::timeout(PATIENCE, self.publish(revocations)).await;
            let error = match asked {
                Ok(Ok(receipt)) => return Ok(receipt),
                Ok(Err(error)) => error,
                Err(_) => Error::Store {
                    action: "publishing to the revocation list",
                    problem: format!("{} did not answer in time", self.describe()),
                    fix: "Bring it back; what was revoked meanwhile has to be revoked again".into(),
                    source: None,
                },
            };
            if !spools || first {
                return Err(error);
            }
            // The caller is told what the server said: with a disk in order it would not have mattered.
            self.keeper.spool(revocations).await.map_err(|_| error)
        })
    }

    fn own_file(&self) -> Option<OwnFileState> {
        Some(self.keeper.state())
    }

    fn raise(&self, id: ShortId, floor: u32, day: Day) -> StoreFuture<'_, Raised> {
        Box::pin(async move {
            let raised = self.server.raise(id, floor, day).await?;
            match &raised {
                Raised::Done(receipt) => self.keeper.heard(&receipt.records, receipt.position),
                Raised::Behind(known) => self.keeper.heard(&[*known], Position(0)),
            }
            Ok(raised)
        })
    }

    fn restore(&self, records: Vec<Record>, above: Position) -> StoreFuture<'_, Stand> {
        self.server.restore(records, above)
    }

    fn follower(&self) -> Box<dyn Follower> {
        Box::new(KeptFollower::new(self.server.clone(), self.keeper.clone()))
    }

    fn nodes(&self, wanted: Position) -> StoreFuture<'_, Nodes> {
        self.server.nodes(wanted)
    }

    fn forget_node(&self, node: NodeId) -> StoreFuture<'_, bool> {
        self.server.forget_node(node)
    }

    fn replicated(&self, life: Incarnation, wanted: u32, patience: Duration) -> StoreFuture<'_, Option<u32>> {
        self.server.replicated(life, wanted, patience)
    }

    fn take_once(&self, value: OnceValue) -> StoreFuture<'_, Once> {
        self.server.take_once(value)
    }

    fn announce<'a>(&'a self, profile: &'a Profile) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.server.announce(profile).await?;
            self.keeper.announced(profile);
            Ok(())
        })
    }

    /// Those that the server lost are known from the file.
    fn profiles(&self) -> StoreFuture<'_, Vec<Profile>> {
        Box::pin(async move {
            let mut profiles = self.server.profiles().await?;
            profiles.extend(self.keeper.profiles_beyond(&profiles));
            Ok(profiles)
        })
    }

    fn keep<'a>(&'a self, parcel: &'a Parcel) -> StoreFuture<'a, ()> {
        self.server.keep(parcel)
    }

    fn discard<'a>(&'a self, name: &'a str) -> StoreFuture<'a, bool> {
        self.server.discard(name)
    }

    fn parcels(&self) -> StoreFuture<'_, Vec<Parcel>> {
        self.server.parcels()
    }

    fn condition(&self) -> StoreFuture<'_, Condition> {
        self.server.condition()
    }

    fn beat_interval(&self) -> Duration {
        self.server.beat_interval()
    }
}
