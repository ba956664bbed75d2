//! The list in Redis or Valkey: for apps on several hosts.
//!
//! ```text
//!   app ──┐   writer: publish, take_once      ┌───────────────┐
//!         ├── follower: a beat each second ───┤ Redis, Valkey │──── the same for every other app process
//!         └── feed: "something is new" ───────┘   primary     │
//! ```
//!
//! Three connections, because on one of them a waiting read would hold up everything else.
//!
//! # Consistency
//!
//! A publication is in the primary when the call returns. Other processes have it a moment later, through
//! the feed, or with the next beat; a beat that counts is the proof. How much a crash of the server loses
//! is the server's choice (`appendfsync everysec`: a second); the processes that know it give it back.
//!
//! What it does not do yet: ask Sentinel for the primary, keep what it knows in a file of its own, or
//! wait until every process has applied a revocation.

mod address;
mod check;
mod control;
mod fault;
mod feed;
mod follower;
mod init;
mod members;
mod names;
mod scripts;
mod seen;
mod shared;
mod write;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::ShortId;
use crate::key::ListKey;
use crate::revocation::store::StoreFuture;
use crate::revocation::{Follower, Once, OnceValue, Profile, Raised, Receipt, Record, Revocation, RevocationStore};
use crate::time::{Clock, Day, Position, minutes};

pub use address::RedisAddress;
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
/// How far apart the server's clock and this machine's may be.
const CLOCKS_APART: Duration = minutes(5);
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
        let store = Self(Arc::new(Shared::of(address, options)));
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
    /// [`Error::Store`]: the server cannot be used, holds a list of another list key, or nothing was lost.
    pub async fn make(address: RedisAddress, options: &Options<'_>, making: Making) -> Result<Made, Error> {
        let store = Self(Arc::new(Shared::of(address, options)));
        store.within("making the revocation list", store.0.make(making)).await
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

    fn raise(&self, id: ShortId, floor: u32, day: Day) -> StoreFuture<'_, Raised> {
        Box::pin(self.within("publishing to the revocation list", self.0.raise(id, floor, day)))
    }

    fn restore(&self, records: Vec<Record>, above: Position) -> StoreFuture<'_, ()> {
        Box::pin(
            self.within("giving back to the revocation list", async move { self.0.give_back(&records, above).await }),
        )
    }

    fn follower(&self) -> Box<dyn Follower> {
        Box::new(RedisFollower::new(self.0.clone()))
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

    /// One second: the feed is quicker, the beat is the proof.
    fn beat_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
