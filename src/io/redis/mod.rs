//! The list in Redis or Valkey: for apps on several hosts.
//!
//! ```text
//!   app ──┐   writer: publish, take_once      ┌───────────────┐
//!         ├── follower: a beat each second ───┤ Redis, Valkey │──── the same for every other app process
//!         └── feed: "something is new" ───────┘   primary     │
//! ```
//!
//! Three connections, because on one of them a waiting read would hold up everything else. Where the address
//! names Sentinels, each is dialled to the primary that they name at that moment.
//!
//! # Consistency
//!
//! A publication is in the primary when the call returns. Other processes have it a moment later, through
//! the feed, or with the next beat; a beat that counts is the proof. How much a crash of the server loses
//! is the server's choice (`appendfsync everysec`: a second); the processes that know it give it back.
//!
//! What a process knows can be kept in a file of its own beside it: see [`kept`](crate::io::kept).

mod acl;
mod address;
mod check;
mod control;
mod dial;
mod examine;
mod facts;
mod fault;
mod feed;
mod follower;
mod init;
mod members;
mod names;
mod nodes;
mod once;
mod pieces;
mod scripts;
mod seen;
mod sentinel;
mod shared;
mod write;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::{Incarnation, NodeId, ShortId};
use crate::key::ListKey;
use crate::revocation::store::StoreFuture;
use crate::revocation::{
    Condition, Follower, Memory, Nodes, Once, OnceValue, Parcel, Profile, Raised, Receipt, Record, Revocation,
    RevocationStore, Stand,
};
use crate::rotation::Rotation;
use crate::secret::Secret;
use crate::time::{Clock, Day, Position};

pub use acl::{Role, Rule, sentinel_rule};
pub use address::RedisAddress;
pub(crate) use examine::examine;
pub use init::{Made, Making};

use fault::Fault;
use follower::RedisFollower;
use shared::Shared;

/// Until a connection stands, password and all.
const CONNECT: Duration = Duration::from_millis(1_500);
/// Until an answer is there.
const RESPONSE: Duration = Duration::from_secs(3);
/// A beat: below the patience of those who wait for one.
const BEAT: Duration = Duration::from_millis(4_500);
/// Any other call.
const CALL: Duration = Duration::from_secs(8);
/// How often the list may change under one call.
const ATTEMPTS: usize = 5;
/// No session lives longer than this many days, with one to spare.
const HORIZON: u32 = 402;

/// Whose list it is.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The app that the list is for. Several apps may use one server.
    pub app: &'a str,
    /// The key under which names are hashed and control records signed.
    pub list_key: &'a ListKey,
    /// This machine's clock, to be compared with the server's.
    pub clock: Clock,
}

/// The list in one Redis or Valkey server.
///
/// Cloning gives another handle on the same connections.
///
/// # Errors
///
/// [`Error::Store`] from every call, within 10 seconds: the server is away, silent, full, a replica, or
/// does not let us. After an error from a writing call the change may be in the list or not; repeating it
/// does no harm, except for `take_once`, whose value then counts as spent.
///
/// # Panics
///
/// Every call, outside a tokio runtime.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

impl RedisStore {
    /// Connects, and checks that the server is fit to keep a list and holds this one.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], each with what to do: the server cannot be reached (told within 2 seconds), refuses
    /// the password, drops or forgets records, has a clock that is more than 5 minutes off, does not let
    /// us, holds no list, or one that was made under another list key.
    pub async fn open(address: RedisAddress, options: &Options<'_>) -> Result<Self, Error> {
        Self::open_remembering(address, options, &Memory::default()).await
    }

    /// The same for a process that remembers a list from before it was started. If that is the one that should
    /// be here and was lost, it is begun anew, for this process and others to give back what they know.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::open`].
    pub async fn open_remembering(
        address: RedisAddress,
        options: &Options<'_>,
        memory: &Memory,
    ) -> Result<Self, Error> {
        let store = Self(Arc::new(Shared::of(address, options)));
        store.0.remember(memory);
        let check = async {
            let mut conn = store.0.writer().await?;
            store.0.check(&mut conn).await
        };
        store.within("opening the revocation list", check).await?;
        Ok(store)
    }

    /// Makes the list, once; or makes it anew, when it was lost and no process is left that knows what was
    /// in it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]: the server is not fit to keep a list, holds one of another list key, or nothing was lost.
    pub async fn make(address: RedisAddress, options: &Options<'_>, making: Making) -> Result<Made, Error> {
        let store = Self(Arc::new(Shared::of(address, options)));
        store.within("making the revocation list", store.0.make(making, true)).await
    }

    /// What [`RedisStore::make`] would do at this moment. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::make`].
    pub async fn plan(address: RedisAddress, options: &Options<'_>, making: Making) -> Result<Made, Error> {
        let store = Self(Arc::new(Shared::of(address, options)));
        store.within("asking for the revocation list", store.0.make(making, false)).await
    }

    /// Refuses whoever has no list key and is about to make one that this list could not be used under. `create` says
    /// whether a list that is not there may be made.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when there is a list, when there is none and none may be made, or the server cannot be asked.
    pub async fn must_be_free(address: RedisAddress, app: &str, create: bool, clock: &Clock) -> Result<(), Error> {
        let nobodys = ListKey::from_bytes(Secret::new([0; 32]));
        let store = Self(Arc::new(Shared::of(address, &Options { app, list_key: &nobodys, clock: clock.clone() })));
        store.within("asking for the revocation list", store.0.must_be_free(create)).await
    }

    /// The wrapped list key that nodes with a ring secret begin with. Nothing else of the list can be understood
    /// without it, so it is read as it lies there; being wrapped, it proves itself.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the server cannot be asked.
    pub async fn wrapped_list_key(address: RedisAddress, app: &str, clock: &Clock) -> Result<Option<Vec<u8>>, Error> {
        let nobodys = ListKey::from_bytes(Secret::new([0; 32]));
        let store = Self(Arc::new(Shared::of(address, &Options { app, list_key: &nobodys, clock: clock.clone() })));
        store.within("asking for the list key", store.0.wrapped_list_key()).await
    }

    /// No call hangs: on a link that is half open nothing else would end it.
    async fn within<T>(
        &self,
        action: &'static str,
        work: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout(CALL, work).await.unwrap_or(Err(Fault::Silent));
        done.map_err(|fault| fault.told(action, &self.0.address))
    }
}

impl Shared {
    fn of(address: RedisAddress, options: &Options<'_>) -> Self {
        let Options { app, list_key, clock } = options;
        Self::new(address, app, list_key.control(app), list_key.fingerprint(), clock.clone())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.0.address).finish_non_exhaustive()
    }
}

impl RevocationStore for RedisStore {
    fn describe(&self) -> String {
        format!("the Redis server {}", self.0.address)
    }

    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        Box::pin(self.within("publishing to the revocation list", self.0.publish(revocations)))
    }

    fn publish_over<'a>(
        &'a self,
        life: Incarnation,
        list: &'a Rotation,
        revocations: &'a [Revocation],
    ) -> StoreFuture<'a, Option<Receipt>> {
        let only_over = Some((life, list.clone()));
        Box::pin(self.within("publishing to the revocation list", self.0.publish_over(only_over, revocations)))
    }

    fn raise(&self, id: ShortId, floor: u32, day: Day) -> StoreFuture<'_, Raised> {
        Box::pin(self.within("publishing to the revocation list", self.0.raise(id, floor, day)))
    }

    fn restore(&self, records: Vec<Record>, above: Position) -> StoreFuture<'_, Stand> {
        Box::pin(
            self.within("giving back to the revocation list", async move { self.0.give_back(&records, above).await }),
        )
    }

    fn follower(&self) -> Box<dyn Follower> {
        Box::new(RedisFollower::new(self.0.clone()))
    }

    fn nodes(&self, _: Position) -> StoreFuture<'_, Nodes> {
        Box::pin(self.within("reading who follows the revocation list", self.0.nodes()))
    }

    fn forget_node(&self, node: NodeId) -> StoreFuture<'_, bool> {
        Box::pin(self.within("forgetting a node", self.0.forget_node(node)))
    }

    fn replicated(&self, life: Incarnation, wanted: u32, patience: Duration) -> StoreFuture<'_, Option<u32>> {
        Box::pin(async move {
            let replicated = self.0.replicated(life, wanted, patience).await;
            replicated.map_err(|fault| fault.told("waiting for the replicas", &self.0.address))
        })
    }

    fn take_once(&self, value: OnceValue) -> StoreFuture<'_, Once> {
        Box::pin(self.within("spending a one-time value", self.0.spend(value)))
    }

    fn announce<'a>(&'a self, profile: &'a Profile) -> StoreFuture<'a, ()> {
        Box::pin(self.within("announcing a cookie's configuration", self.0.announce(profile)))
    }

    fn profiles(&self) -> StoreFuture<'_, Vec<Profile>> {
        Box::pin(self.within("reading the revocation list", async {
            let mut profiles = self.0.profiles().await?;
            profiles.sort_by(|one, other| one.cookie.cmp(&other.cookie));
            Ok(profiles)
        }))
    }

    fn keep<'a>(&'a self, parcel: &'a Parcel) -> StoreFuture<'a, ()> {
        Box::pin(self.within("keeping something for the nodes", self.0.keep(parcel)))
    }

    fn discard<'a>(&'a self, name: &'a str) -> StoreFuture<'a, bool> {
        Box::pin(self.within("throwing away what was kept for the nodes", self.0.discard(name)))
    }

    fn parcels(&self) -> StoreFuture<'_, Vec<Parcel>> {
        Box::pin(self.within("reading what is kept for the nodes", self.0.parcels()))
    }

    fn condition(&self) -> StoreFuture<'_, Condition> {
        Box::pin(self.within("looking at the revocation list's server", self.0.condition()))
    }

    /// One second: the feed is quicker, the beat is the proof.
    fn beat_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
