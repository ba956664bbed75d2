//! The trait that every store of the list fulfils. SQLite and Redis do; a contract suite says what that
//! means.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::{Incarnation, NodeId, ShortId};
use crate::rotation::Rotation;
use crate::time::{Day, Position, Seconds};
use crate::trouble::Finding;
use crate::wire::Suite;

use super::node::{Nodes, Report};
use super::record::{Record, Revocation};
use super::records::Records;
use super::replica::View;

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

    /// The same, unless this life of the store is over or its rotation list has become another one than `list`;
    /// then nothing is added, and there is no receipt. So of several who decide on the same list one goes ahead.
    fn publish_over<'a>(
        &'a self,
        life: Incarnation,
        list: &'a Rotation,
        revocations: &'a [Revocation],
    ) -> StoreFuture<'a, Option<Receipt>>;

    /// [`RevocationStore::publish`] for wishes that may wait: where the store is away and this node has a file of its own, they are
    /// written there, and the receipt says [`Durability::Accepted`]. Its records are what is to be enforced here
    /// until they are published, which happens as soon as the store answers, also by the next process over that
    /// file. Positions are taken then, not now.
    ///
    /// Sessions, cut-offs and "everybody" may wait; floors and keys may not. Without such a file it is
    /// [`RevocationStore::publish`].
    fn publish_or_spool<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        self.publish(revocations)
    }

    /// How this node's own file fares; none where it has none.
    fn own_file(&self) -> Option<OwnFileState> {
        None
    }

    /// Raises a session's generation floor, unless it is as high already: then somebody else was first.
    ///
    /// Of several callers that want the same floor exactly one is told [`Raised::Done`].
    fn raise(&self, id: ShortId, floor: u32, day: Day) -> StoreFuture<'_, Raised>;

    /// Gives back records that the store may have lost; known ones do no harm. From then on it gives out
    /// positions above `above` only, and above those of the records. Answers where they stand now.
    fn restore(&self, records: Vec<Record>, above: Position) -> StoreFuture<'_, Stand>;

    /// A reader of its own for one replica.
    fn follower(&self) -> Box<dyn Follower>;

    /// Who follows the list. Nodes that have not applied `wanted` are asked to say so as soon as they have.
    fn nodes(&self, wanted: Position) -> StoreFuture<'_, Nodes>;

    /// Removes a node that will not come back, so that nobody waits for it. One that is alive after all
    /// registers again with its next beat. Says whether it was there.
    fn forget_node(&self, node: NodeId) -> StoreFuture<'_, bool>;

    /// How many replicas of the store have everything that was published up to now in this life of it, after
    /// waiting for `wanted` of them, no longer than `patience`. None if that life is over.
    fn replicated(&self, life: Incarnation, wanted: u32, patience: Duration) -> StoreFuture<'_, Option<u32>>;

    /// Spends a one-time value: the first call for it wins, for ever and everywhere.
    fn take_once(&self, value: OnceValue) -> StoreFuture<'_, Once>;

    /// Tells the store how a cookie of this app is configured, so that tools can judge it.
    fn announce<'a>(&'a self, profile: &'a Profile) -> StoreFuture<'a, ()>;

    /// What was announced.
    fn profiles(&self) -> StoreFuture<'_, Vec<Profile>>;

    /// Keeps something for the nodes, in place of what was there under that name. It is no record: nobody's
    /// replica holds it, so whoever kept it has to keep it again in another life of the store.
    fn keep<'a>(&'a self, parcel: &'a Parcel) -> StoreFuture<'a, ()>;

    /// Throws a parcel away. Says whether it was there.
    fn discard<'a>(&'a self, name: &'a str) -> StoreFuture<'a, bool>;

    /// What is kept, by name.
    fn parcels(&self) -> StoreFuture<'_, Vec<Parcel>>;

    /// How the store fares: what it takes up, and what was found of it. Changes nothing. A store that cannot tell
    /// says nothing.
    fn condition(&self) -> StoreFuture<'_, Condition> {
        Box::pin(async { Ok(Condition::default()) })
    }

    /// How long to wait between two beats.
    fn beat_interval(&self) -> Duration;
}

/// Reads the store for one replica.
pub trait Follower: Send + 'static {
    /// What this node remembers from before it was started, and the highest position of that: the replica is
    /// filled with it before the first beat, so that it can be given back. Empty where nothing is remembered,
    /// and after the first call.
    fn recall(&mut self) -> (Records, Position) {
        (Records::default(), Position(0))
    }

    /// Cut-offs that wait in this node's own file: those that the store has not placed, and those of which the beats
    /// have not brought the place yet.
    fn unplaced(&self) -> Vec<Record> {
        Vec::new()
    }

    /// Hears what this node knows after a beat that counted, to be remembered. Never waits.
    fn confirmed(&mut self, view: &Arc<View>) {
        let _ = view;
    }

    /// Proves that the store is there and is the one it was, and brings what is new.
    ///
    /// With `stamp` it also takes a new position, and keeps it, so that no later clock can go below it.
    fn beat(&mut self, stamp: bool) -> StoreFuture<'_, Beat>;

    /// Resolves when the store says that there may be news, so that a beat need not wait for its turn.
    /// For ever pending where a store cannot tell. May be dropped at any time, and asked for again.
    fn wait(&mut self) -> Waiting<'_> {
        Box::pin(std::future::pending())
    }

    /// Sets what the coming beats say of this node. A follower that was told this before its first beat
    /// registers with that beat, before it reads anything; one that never is belongs to a tool.
    fn describe(&mut self, report: Report);

    /// Says it now, where somebody may be waiting for it, instead of with the next beat.
    fn acknowledge(&mut self) -> StoreFuture<'_, ()>;

    /// Takes this node off the list of those that are waited for. It must not trust its copy any more.
    fn leave(&mut self) -> StoreFuture<'_, ()>;
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
    pub records: Records,
    /// Whether `records` is the whole list, read anew because this is the first beat or the store was
    /// replaced, restored or emptied. A replica that knows more gives it back.
    pub whole: bool,
    /// Whether the store has everything that anybody remembers. If not, some process that knows more has
    /// yet to give it back, and a replica that knew nothing before must not trust this beat.
    pub healed: bool,
    /// What the store has heard of the node that beats.
    pub heard: Heard,
}

/// What the store has heard of a node ([`Follower::describe`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not the lease and the keys that it says of itself now.
    No,
    /// All that others have to know before they rely on it.
    Yes,
    /// The same, and somebody may be waiting to hear how far it is ([`Follower::acknowledge`]).
    Asked,
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

/// A place in one life of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The life.
    pub incarnation: Incarnation,
    /// The position in it.
    pub position: Position,
}

/// Proof of a publication.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// How far it got.
    pub durability: Durability,
    /// The position it was given.
    pub position: Position,
    /// The life of the store in which that was.
    pub incarnation: Incarnation,
    /// The records as they stand in the list.
    pub records: Vec<Record>,
}

/// How a node's own file fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFileState {
    /// Where it is.
    pub path: PathBuf,
    /// How many wishes wait in it for the store.
    pub waiting: u64,
    /// How many of them end more than one session. While there are any, nobody can log in without the store:
    /// they will be published above every position that is known by now.
    pub cut_offs: u64,
    /// Why it lags behind or cannot be written, if so: what is revoked now would not be remembered.
    pub failing: Option<String>,
}

/// What came of raising a floor.
#[derive(Clone, Debug)]
pub enum Raised {
    /// It is raised now.
    Done(Receipt),
    /// It had been raised before, to this.
    Behind(Record),
}

/// How a store fares ([`RevocationStore::condition`]). Sizes are in bytes; none where the store does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// What the list takes up: an embedded one's files; on a server the records as they lie there.
    pub list: Option<u64>,
    /// What the server uses, for all that it holds.
    pub server: Option<u64>,
    /// The most that the server may use; none for no limit.
    pub limit: Option<u64>,
    /// One finding for each question, the good ones too: those of `sealjar doctor` about the store itself.
    pub findings: Vec<Finding>,
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

/// Something that the store keeps for the nodes: a wrapped key, a probe.
#[derive(Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Its name: letters, digits, `:` and `-`.
    pub name: String,
    /// What is in it; the store cannot read it.
    pub content: Vec<u8>,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({}, {} bytes)", self.name, self.content.len())
    }
}
