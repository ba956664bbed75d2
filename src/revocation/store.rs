//! The trait that every store of the list fulfils. SQLite and Redis do; a contract suite says what that
//! means.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::Error;
use crate::id::{Incarnation, ShortId};
use crate::time::{Day, Position, Seconds};
use crate::wire::Suite;

use super::record::{Record, Revocation};

/// A boxed future, so that stores can stand behind `dyn`.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A boxed wait for news.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where revocations are kept.
///
/// # Consistency
///
/// Records only ever accumulate, until the day after which no session can match them. `publish` returns
/// when the records are as durable as its [`Receipt`] says, never before. Positions that a store hands
/// out never go back, whatever its clock does.
pub trait RevocationStore: Send + Sync + 'static {
    /// Where it is, in words for logs and errors; without credentials.
    fn describe(&self) -> String;

    /// Adds revocations, all or none, at one new position.
    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt>;

    /// Raises a session's generation floor, unless it is as high already: then somebody else was first.
    ///
    /// Of several callers that want the same floor exactly one is told [`Raised::Done`].
    fn raise(&self, id: ShortId, floor: u32, day: Day) -> StoreFuture<'_, Raised>;

    /// Gives back records that the store may have lost; known ones do no harm. From then on it gives out
    /// positions above `above` only, and above those of the records.
    fn restore(&self, records: Vec<Record>, above: Position) -> StoreFuture<'_, ()>;

    /// A reader of its own for one replica.
    fn follower(&self) -> Box<dyn Follower>;

    /// Spends a one-time value: the first call for it wins, for ever and everywhere.
    fn take_once(&self, value: OnceValue) -> StoreFuture<'_, Once>;

    /// Tells the store how a cookie of this app is configured, so that tools can judge it.
    fn announce<'a>(&'a self, profile: &'a Profile) -> StoreFuture<'a, ()>;

    /// What was announced.
    fn profiles(&self) -> StoreFuture<'_, Vec<Profile>>;

    /// How long to wait between two beats.
    fn beat_interval(&self) -> Duration;
}

/// Reads the store for one replica.
pub trait Follower: Send + 'static {
    /// Proves that the store is there and is the one it was, and brings what is new.
    ///
    /// With `stamp` it also takes a new position, and keeps it, so that no later clock can go below it.
    fn beat(&mut self, stamp: bool) -> StoreFuture<'_, Beat>;

    /// Resolves when the store says that there may be news, so that a beat need not wait for its turn.
    /// For ever pending where a store cannot tell. May be dropped at any time, and asked for again.
    fn wait(&mut self) -> Waiting<'_> {
        Box::pin(std::future::pending())
    }
}

/// What a beat brought.
#[derive(Clone, Debug)]
pub struct Beat {
    /// Whose life of the store this is.
    pub incarnation: Incarnation,
    /// A lower bound: every publication that this beat has not seen will be above it.
    pub position: Position,
    /// The store's clock, for telling what comes from the future.
    pub clock: Position,
    /// The records since the last beat, or all of them.
    pub records: Vec<Record>,
    /// Whether `records` is the whole list, read anew because this is the first beat or the store was
    /// replaced, restored or emptied. A replica that knows more gives it back.
    pub whole: bool,
    /// Whether the store has everything that anybody remembers. If not, some process that knows more has
    /// yet to give it back, and a replica that knew nothing before must not trust this beat.
    pub healed: bool,
}

/// What a publication is worth, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Applied in this process and written to its own file; to be published.
    Accepted,
    /// In the store: on the disk of the embedded one, in the primary of one on a server.
    Committed,
    /// On as many replicas of the store as were asked for.
    Replicated,
    /// Every process that follows the store has it.
    InForce,
}

impl Durability {
    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Committed => "committed",
            Self::Replicated => "replicated",
            Self::InForce => "in_force",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Proof of a publication.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// How far it got.
    pub durability: Durability,
    /// The position it was given.
    pub position: Position,
    /// The records as they stand in the list.
    pub records: Vec<Record>,
}

/// What came of raising a floor.
#[derive(Clone, Debug)]
pub enum Raised {
    /// It is raised now.
    Done(Receipt),
    /// It had been raised before, to this.
    Behind(Record),
}

/// A one-time value that is to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnceValue {
    /// Keyed hash of the value's nonce.
    pub hash: [u8; 16],
    /// The store's life in which it was offered; another one refuses it.
    pub incarnation: Incarnation,
    /// When it expires.
    pub expires: Seconds,
}

/// What became of a one-time value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// Spent now, for the first time.
    First,
    /// It had been spent before.
    Spent,
    /// It was offered in another life of the store, which cannot know whether it was spent since.
    Foreign,
    /// Its time is over.
    Expired,
}

/// How one cookie of the app is configured; what a tool needs to judge it as the app does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The cookie's name.
    pub cookie: String,
    /// Its suite.
    pub suite: Suite,
    /// Its idle lifetime.
    pub idle: Duration,
    /// Its absolute lifetime.
    pub absolute: Duration,
    /// The longest absolute lifetime that it was ever announced with: sessions that old may still be
    /// about, so cut-offs are kept that long. Stores merge it by maximum.
    pub longest: Duration,
}
