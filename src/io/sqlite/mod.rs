//! The embedded list: one SQLite file that several processes of one host share.
//!
//! ```text
//!   app ──┐                       ┌── publish, take_once: one transaction, on disk when it returns
//!   app ──┼── sealjar.db (WAL) ───┤
//!   tool ─┘                       └── beat: data_version, incarnation, the path's device and inode
//! ```
//!
//! What it does not do: work across hosts, or on a network file system. A host that is lost with its
//! disk takes the list along.

mod create;
mod fault;
mod file;
mod follower;
mod nodes;
mod own;
mod process;
mod rows;
mod schema;
mod shared;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::{Incarnation, NodeId, ShortId};
use crate::revocation::store::StoreFuture;
use crate::revocation::{
    Condition, Durability, Follower, Nodes, Once, OnceValue, Parcel, Profile, Raised, Receipt, Record, Revocation,
    RevocationStore, Stand,
};
use crate::rotation::Rotation;
use crate::time::{Clock, Day, Position};

pub use own::{Depth, Keep, OwnFile};

use fault::Fault;
use file::Db;
use follower::SqliteFollower;
use schema::{Kind, Owner};
use shared::Shared;

/// How long a transaction of another process is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How many writers may wait for their turn.
const QUEUE: usize = 256;
/// How often a file may be replaced during one call.
const ATTEMPTS: usize = 5;

/// How to open the list.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The app that the list is for. A file belongs to one.
    pub app: &'a str,
    /// [`ListKey::fingerprint`](crate::key::ListKey::fingerprint). A file belongs to one list key.
    pub list_key: &'a str,
    /// Whether to create the file, and the last folder above it, where it is missing; now and when it is
    /// removed under the running program.
    pub create: bool,
    /// Whether a file that had to be created now, or that was lost earlier and never made good, logs
    /// everybody out. To be set where cookies may exist that the lost list would have denied.
    pub log_out_everybody: bool,
    /// The store's clock.
    pub clock: Clock,
}

/// The list in one SQLite file.
///
/// Cloning gives another handle on the same connection.
///
/// # Consistency
///
/// `publish`, `restore` and `take_once` return when the transaction is on disk (`synchronous=FULL`), in
/// the file that lies at the path at that moment. A file that was removed, replaced or rolled back is
/// noticed by the next call: a new incarnation begins, and every follower gets the whole list anew.
/// Positions rise across processes and restarts, and when the clock goes back.
///
/// # Errors
///
/// [`Error::Store`] from every call: the file is damaged, foreign, read-only or locked, or the disk is
/// full. After an error from a writing call the change may be in the file or not; repeating it does no
/// harm, except for `take_once`, whose value then counts as spent.
#[derive(Clone)]
pub struct SqliteStore(Arc<Shared>);

impl SqliteStore {
    /// Opens the list, and creates it if need be. Blocks on the disk: for the start of a program.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the file cannot be used, is damaged, is another program's, or belongs to
    /// another app or list key.
    pub fn open(path: &Path, options: &Options<'_>) -> Result<Self, Error> {
        let action = "opening the revocation list";
        let path = file::resolve(path).map_err(|fault| fault.told(action, path))?;
        let owner = Owner { app: options.app.to_owned(), list_key: options.list_key.to_owned() };
        let mut shared = Shared::new(path, Kind::List, owner, options.clock.clone());
        shared.create = options.create;
        shared.log_out_everybody = options.log_out_everybody;
        shared.start().map_err(|fault| fault.told(action, &shared.path))?;
        Ok(Self(Arc::new(shared)))
    }

    /// Opens the list that is there, whosever it is: for tools. Never creates a file.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when there is no file, or it cannot be used, is damaged, or is another program's.
    pub fn open_existing(path: &Path, clock: Clock) -> Result<Self, Error> {
        let action = "opening the revocation list";
        let open = || {
            let path = file::resolve(path)?;
            let owner = schema::owner(&Db::open(&path, Kind::List, None)?.conn)?;
            let shared = Shared::new(path, Kind::List, owner, clock);
            shared.start()?;
            Ok(Self(Arc::new(shared)))
        };
        open().map_err(|fault: Fault| fault.told(action, path))
    }

    /// The app that the list is for.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.0.owner.app
    }

    /// The fingerprint of the list key that the list was made under.
    #[must_use]
    pub fn list_key(&self) -> &str {
        &self.0.owner.list_key
    }

    /// Where it is: absolute, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.0.path)
            .field("app", &self.0.owner.app)
            .finish_non_exhaustive()
    }
}

/// SQLite waits for disks and locks, so it runs beside the async threads. A caller that goes away does
/// not stop it.
async fn blocking<T: Send + 'static>(
    shared: Arc<Shared>,
    action: &'static str,
    work: impl FnOnce(&Shared) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Error> {
    let task = tokio::task::spawn_blocking(move || work(&shared).map_err(|fault| fault.told(action, &shared.path)));
    match task.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(stopped)) => Err(Error::Store {
            action,
            problem: "the runtime is shutting down".to_owned(),
            fix: "Finish such calls before the program ends".into(),
            source: Some(Box::new(stopped)),
        }),
    }
}

/// Writers take turns, and only so many may wait: one thread is busy with them, whoever floods the app, and
/// the threads that beats need stay free. Who finds the queue full is told so at once.
async fn writing<T: Send + 'static>(
    shared: Arc<Shared>,
    action: &'static str,
    work: impl FnOnce(&Shared) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Error> {
    let Ok(place) = shared.queue.clone().try_acquire_owned() else {
        let problem = format!("{QUEUE} writers are waiting for the disk already");
        let fix = "Try again in a moment; if this goes on, somebody floods the app, or the disk is slow";
        return Err(Error::Store { action, problem, fix: fix.into(), source: None });
    };
    let turn = shared.turn.clone().acquire_owned().await;
    blocking(shared, action, move |shared| {
        let done = work(shared);
        drop((turn, place));
        done
    })
    .await
}

impl RevocationStore for SqliteStore {
    fn describe(&self) -> String {
        format!("the SQLite file {}", self.0.path.display())
    }

    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        let revocations = revocations.to_vec();
        Box::pin(writing(self.0.clone(), "publishing to the revocation list", move |shared| {
            let (Stand { incarnation, position }, records) = shared.publish(&revocations)?;
            Ok(Receipt { durability: Durability::Committed, position, incarnation, records })
        }))
    }

    fn publish_over<'a>(
        &'a self,
        life: Incarnation,
        list: &'a Rotation,
        revocations: &'a [Revocation],
    ) -> StoreFuture<'a, Option<Receipt>> {
        let (only_over, revocations) = ((life, list.clone()), revocations.to_vec());
        Box::pin(writing(self.0.clone(), "publishing to the revocation list", move |shared| {
            let (Stand { incarnation, position }, records) = shared.publish_over(Some(&only_over), &revocations)?;
            Ok(records.map(|records| Receipt { durability: Durability::Committed, position, incarnation, records }))
        }))
    }

    fn raise(&self, id: ShortId, floor: u32, day: Day) -> StoreFuture<'_, Raised> {
        Box::pin(writing(self.0.clone(), "publishing to the revocation list", move |shared| {
            let (Stand { incarnation, position }, raised) = shared.raise(id, floor, day)?;
            Ok(match raised {
                Ok(record) => {
                    let (durability, records) = (Durability::Committed, vec![record]);
                    Raised::Done(Receipt { durability, position, incarnation, records })
                }
                Err(known) => Raised::Behind(known),
            })
        }))
    }

    fn restore(&self, records: Vec<Record>, above: Position) -> StoreFuture<'_, Stand> {
        Box::pin(writing(self.0.clone(), "giving back to the revocation list", move |shared| {
            shared.give_back(&records, above)
        }))
    }

    fn follower(&self) -> Box<dyn Follower> {
        Box::new(SqliteFollower::new(self.0.clone()))
    }

    fn nodes(&self, wanted: Position) -> StoreFuture<'_, Nodes> {
        Box::pin(blocking(self.0.clone(), "reading who follows the revocation list", move |shared| {
            shared.nodes(wanted)
        }))
    }

    fn forget_node(&self, node: NodeId) -> StoreFuture<'_, bool> {
        Box::pin(writing(self.0.clone(), "forgetting a node", move |shared| shared.forget_node(node)))
    }

    /// A file has no replicas.
    fn replicated(&self, life: Incarnation, _: u32, _: Duration) -> StoreFuture<'_, Option<u32>> {
        Box::pin(blocking(self.0.clone(), "reading the revocation list", move |shared| {
            let nodes = shared.nodes(Position(0))?;
            Ok((nodes.incarnation == life).then_some(0))
        }))
    }

    fn take_once(&self, value: OnceValue) -> StoreFuture<'_, Once> {
        Box::pin(writing(self.0.clone(), "spending a one-time value", move |shared| shared.spend(value)))
    }

    fn announce<'a>(&'a self, profile: &'a Profile) -> StoreFuture<'a, ()> {
        let profile = profile.clone();
        Box::pin(blocking(self.0.clone(), "announcing a cookie's configuration", move |shared| {
            let known = shared.read(|tx| rows::profiles(tx, &shared.path))?;
            if !known.iter().any(|known| rows::is_announced(known, &profile)) {
                shared.write(|change| Ok(rows::announce(change.tx, &profile)?))?;
            }
            Ok(())
        }))
    }

    fn profiles(&self) -> StoreFuture<'_, Vec<Profile>> {
        Box::pin(blocking(self.0.clone(), "reading the revocation list", |shared| {
            shared.read(|tx| rows::profiles(tx, &shared.path))
        }))
    }

    fn keep<'a>(&'a self, parcel: &'a Parcel) -> StoreFuture<'a, ()> {
        let parcel = parcel.clone();
        Box::pin(writing(self.0.clone(), "keeping something for the nodes", move |shared| {
            shared.note(|tx, _| rows::keep(tx, &parcel))
        }))
    }

    fn discard<'a>(&'a self, name: &'a str) -> StoreFuture<'a, bool> {
        let name = name.to_owned();
        Box::pin(writing(self.0.clone(), "throwing away what was kept for the nodes", move |shared| {
            shared.note(|tx, _| rows::discard(tx, &name))
        }))
    }

    fn parcels(&self) -> StoreFuture<'_, Vec<Parcel>> {
        Box::pin(blocking(self.0.clone(), "reading what is kept for the nodes", |shared| {
            shared.read(|tx| Ok(rows::parcels(tx)?))
        }))
    }

    fn condition(&self) -> StoreFuture<'_, Condition> {
        Box::pin(blocking(self.0.clone(), "looking at the revocation list", Shared::condition))
    }

    /// 200 ms: a beat without news costs two system calls and one read of shared memory.
    fn beat_interval(&self) -> Duration {
        Duration::from_millis(200)
    }
}
