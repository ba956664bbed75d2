//! What a store and its followers have in common: how they connect, and what this process remembers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::doctor::{CLOCKS_APART, clock};
use crate::id::{Incarnation, NodeId};
use crate::key::ControlKey;
use crate::revocation;
use crate::time::{Clock, Day, Position};
use crate::trouble::{Severity, Trouble};

use super::address::RedisAddress;
use super::control::{Control, Fields, LIST};
use super::dial::dial;
use super::fault::Fault;
use super::members::{self, Members};
use super::names::{Bucket, Names};
use super::scripts;
use super::seen::{REPLIES, Seen, next};
use super::{ATTEMPTS, RESPONSE};

/// How far a life that follows a loss leaves the positions of the lost one behind: other processes may
/// have taken some that nobody here has seen, from a server whose clock was ahead of this one's.
const LEAP: Duration = Duration::from_secs(10);
/// Between two looks at a server that is loading.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Shared {
    pub address: RedisAddress,
    pub names: Names,
    pub control_key: ControlKey,
    pub fingerprint: String,
    pub clock: Clock,
    memory: Mutex<Memory>,
    writer: tokio::sync::Mutex<Option<Conn>>,
}

/// What this process knows of the list, for the day that the server forgets it.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The life that a follower here has read. None: nobody here has anything to give back.
    pub known: Option<Incarnation>,
    /// The highest position seen.
    pub highest: Position,
    pub last: Day,
    pub control: Fields,
    pub members: Members,
    /// Whether giving back failed and has not succeeded since.
    pub owing: bool,
    /// Why a lost list is not begun anew, although something is known of it.
    pub doubt: Option<String>,
    /// The name of the first follower, and whether it remembers a list from before, to be given back.
    pub reserved: Option<(NodeId, bool)>,
}

/// A connection to a server that was found to hold this list.
#[derive(Clone)]
pub(super) struct Conn {
    pub redis: MultiplexedConnection,
    /// Tells this connection from every other one of the process.
    pub serial: u64,
    pub seen: Seen,
    /// The life in which everything on this connection takes place.
    pub incarnation: Incarnation,
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        address: RedisAddress,
        app: &str,
        control_key: ControlKey,
        fingerprint: String,
        clock: Clock,
    ) -> Self {
        let (memory, writer) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { address, names: Names::new(app), control_key, fingerprint, clock, memory, writer }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this process knows from before it was started. It is a member that has to give back what it knows
    /// from the first moment of a life that it begins: nobody may take that life for healed before it has.
    pub(super) fn remember(&self, from_before: &revocation::Memory) {
        let revocation::Memory { known, doubt, highest, last, node } = from_before.clone();
        let mut memory = self.memory();
        let node = node.unwrap_or_else(|| NodeId(u64::from_be_bytes(crate::random::fresh())));
        if known.is_some() {
            let owing = members::at(Position(self.clock.now().millis), &members::value(None, None));
            memory.members.insert(node.to_string(), owing);
        }
        memory.reserved = Some((node, highest > Position(0)));
        (memory.known, memory.doubt, memory.highest, memory.last) = (known, doubt, highest, last);
    }

    /// A connection, of which nothing is known yet but that somebody answers.
    pub(super) async fn dial(&self, patience: Duration) -> Result<MultiplexedConnection, Fault> {
        dial(&self.address, patience).await
    }

    /// A connection to the server, which is found to hold this list. A loss that shows now begins a new
    /// life of the list before anything else is done.
    pub(super) async fn connect(&self) -> Result<Conn, Fault> {
        self.connect_for(RESPONSE).await
    }

    /// The same, with more patience for each answer.
    pub(super) async fn connect_for(&self, patience: Duration) -> Result<Conn, Fault> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let mut redis = self.dial(patience).await?;
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            // Before the look: what this process has seen by now, the server must have.
            let memory = self.memory().clone();
            let (seen, list) = match self.look(&mut redis).await {
                Err(fault) if fault.is_code("LOADING") => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                looked => looked?,
            };
            seen.server.check()?;
            seen.check_backed()?;
            let is_lost = match &seen.epoch {
                None if memory.known.is_none() => return Err(self.missing()),
                Some(_) if list.is_none() && memory.known.is_none() => return Err(self.missing()),
                None => true,
                Some(epoch) => {
                    let back = memory.known == Some(epoch.incarnation) && epoch.mark < memory.highest;
                    list.is_none() || epoch.replication != seen.server.replication || back
                }
            };
            if let Some(list) = list {
                self.recognise(&list)?;
            }
            match &seen.epoch {
                Some(epoch) if !is_lost => {
                    let (serial, incarnation) = (SERIAL.fetch_add(1, Ordering::Relaxed), epoch.incarnation);
                    return Ok(Conn { redis, serial, seen, incarnation });
                }
                _ => self.begin_anew(&mut redis, &seen, &memory).await?,
            }
            attempts += 1;
        }
        Err(restless())
    }

    pub(super) async fn look(&self, redis: &mut MultiplexedConnection) -> Result<(Seen, Option<Vec<u8>>), Fault> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        Seen::ask(&mut pipe, &self.names);
        pipe.cmd("HGET").arg(&self.names.control).arg(LIST);
        let replies: Vec<Value> = pipe.query_async(redis).await?;
        debug_assert_eq!(replies.len(), REPLIES + 1);
        let mut replies = replies.into_iter();
        Ok((Seen::read(&mut replies)?, next(&mut replies)?))
    }

    /// Something was lost: whoever remembers has to give it back. Nobody may be quicker, or somebody was.
    pub(super) async fn begin_anew(
        &self,
        redis: &mut MultiplexedConnection,
        seen: &Seen,
        memory: &Memory,
    ) -> Result<(), Fault> {
        let old = seen.epoch.as_ref().map(|epoch| epoch.incarnation.to_string()).unwrap_or_default();
        let new = new_incarnation()?;
        let list = self.list();
        let mut control = memory.control.clone();
        control.insert(list.field(), list.sign(&self.control_key));
        let mut script = redis::cmd("EVAL");
        script.arg(scripts::BEGIN).arg(3).arg(&self.names.epoch).arg(&self.names.nodes).arg(&self.names.control);
        script.arg(old).arg(new.to_string()).arg(&seen.server.replication);
        script.arg(memory.highest.0).arg(memory.last.0).arg(millis(LEAP)).arg(self.latest().0).arg(control.len());
        for (field, value) in &control {
            script.arg(field).arg(value);
        }
        for (name, value) in &memory.members {
            script.arg(name).arg(value);
        }
        let begun: bool = script.query_async(redis).await?;
        if begun {
            tracing::warn!(
                store = %self.address,
                incarnation = %new,
                "the server was restarted or has lost the revocation list; whoever remembers gives it back"
            );
        }
        Ok(())
    }

    /// Refuses a list that was made under another list key, under which all names would be others.
    pub(super) fn recognise(&self, list: &[u8]) -> Result<(), Fault> {
        let theirs = list.get(..self.fingerprint.len()).unwrap_or_default();
        if theirs != self.fingerprint.as_bytes() {
            return Err(Fault::found(
                Trouble::OtherListKey,
                format!("the list at {} was made under another list key, so names would not match", self.address),
            ));
        }
        match Control::read(&self.control_key, LIST, list) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.forged(LIST)),
        }
    }

    pub(super) fn list(&self) -> Control {
        Control::List(self.fingerprint.clone())
    }

    pub(super) fn forged(&self, field: &str) -> Fault {
        Fault::found(
            Trouble::ForgedRecord,
            format!("the control record `{field}` at {} was not written by a holder of the list key", self.address),
        )
    }

    pub(super) fn damaged(&self, bucket: Bucket) -> Fault {
        Fault::said(
            format!("{} at {} ends within a record", self.names.bucket(bucket), self.address),
            "Something else writes to the list's keys: stop that, and remove this key. Running processes give its \
             records back",
        )
    }

    pub(super) fn missing(&self) -> Fault {
        let doubt = self.memory().doubt.as_ref().map(|doubt| format!(", and {doubt}")).unwrap_or_default();
        Fault::found(Trouble::NoList, format!("there is no revocation list at {}{doubt}", self.address))
    }

    /// The connection that writing calls share.
    pub(super) async fn writer(&self) -> Result<Conn, Fault> {
        let mut slot = self.writer.lock().await;
        if let Some(conn) = &*slot {
            return Ok(conn.clone());
        }
        let conn = self.connect().await?;
        *slot = Some(conn.clone());
        Ok(conn)
    }

    /// Does not use a connection again. The client itself would go on with a dead one.
    pub(super) async fn drop_writer(&self, serial: u64) {
        self.writer.lock().await.take_if(|conn| conn.serial == serial);
    }

    /// The latest time that the server's clock can rightly show.
    pub(super) fn latest(&self) -> Position {
        Position(self.clock.now().millis).after(CLOCKS_APART)
    }

    /// Refuses a server whose clock is off: it drops buckets by that clock, and sessions are judged by ours.
    pub(super) fn check_clock(&self, time: Position) -> Result<(), Fault> {
        let finding = clock(&self.address.to_string(), time, self.clock.now().millis);
        if finding.severity == Severity::Problem { Err(Fault::Found(finding)) } else { Ok(()) }
    }

    /// Remembers a position that was given out.
    pub(super) fn saw(&self, position: Position) {
        let mut memory = self.memory();
        memory.highest = memory.highest.max(position);
    }
}

pub(super) fn restless() -> Fault {
    Fault::found(Trouble::Restless, "the list changed its life again and again")
}

pub(super) fn new_incarnation() -> Result<Incarnation, Fault> {
    crate::random::kernel().map(|bytes| Incarnation(u64::from_be_bytes(bytes))).map_err(Fault::Random)
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
