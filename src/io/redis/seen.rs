//! What the server says of itself and of the list, read in one transaction.

use std::collections::HashMap;

use redis::{Pipeline, Value};

use crate::id::Incarnation;
use crate::time::{Day, Position};

use super::fault::Fault;
use super::names::Names;

/// The server, the time, and which life of which list.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub server: Server,
    /// The server's clock.
    pub time: Position,
    /// None where there is no list.
    pub epoch: Option<Epoch>,
}

/// Which process on which history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    run: String,
    pub replication: String,
    primary: bool,
    version: u32,
}

/// The epoch hash.
#[derive(Clone, Debug)]
pub(super) struct Epoch {
    pub incarnation: Incarnation,
    /// The server's history when this life began. Another one now: something may be lost.
    pub replication: String,
    /// Whether somebody may still have to give back what was lost.
    pub healing: bool,
    /// The highest position that was given out.
    pub mark: Position,
    /// No bucket has a later day.
    pub last: Day,
}

/// How many replies [`Seen::ask`] adds.
pub(super) const REPLIES: usize = 4;

impl Seen {
    pub(super) fn ask(pipe: &mut Pipeline, names: &Names) {
        pipe.cmd("INFO").arg("server");
        pipe.cmd("INFO").arg("replication");
        pipe.cmd("TIME");
        pipe.cmd("HGETALL").arg(&names.epoch);
    }

    pub(super) fn read(replies: &mut impl Iterator<Item = Value>) -> Result<Self, Fault> {
        let server: String = next(replies)?;
        let replication: String = next(replies)?;
        let time = time(next(replies)?);
        let epoch: HashMap<String, String> = next(replies)?;
        let said = |name| line(&server, name).or_else(|| line(&replication, name)).unwrap_or_default();
        let server = Server {
            run: said("run_id").to_owned(),
            replication: said("master_replid").to_owned(),
            primary: said("role") == "master",
            version: said("redis_version").split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0),
        };
        let epoch = if epoch.is_empty() { None } else { Some(Epoch::read(&epoch)?) };
        Ok(Self { server, time, epoch })
    }
}

impl Server {
    /// Refuses what cannot hold the list at all.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.version < 7 {
            return Err(Fault::said(
                format!("the server is of version {}, and the list needs Redis 7 or Valkey 8", self.version),
                "Use a newer server",
            ));
        }
        if !self.primary {
            return Err(Fault::said(
                "the server is a replica, and only a primary takes revocations",
                "Point the address at the primary",
            ));
        }
        Ok(())
    }
}

impl Epoch {
    fn read(fields: &HashMap<String, String>) -> Result<Self, Fault> {
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let read = || {
            Some(Self {
                incarnation: field("incarnation").parse().ok()?,
                replication: field("replication").to_owned(),
                healing: field("state") != "healed",
                mark: Position(field("mark").parse().ok()?),
                last: Day(field("last").parse().ok()?),
            })
        };
        read().ok_or_else(|| {
            Fault::said(
                "the list's epoch is not one that this program wrote",
                "Look for what else writes to keys that begin with {sealjar:, or use a database of its own for the list",
            )
        })
    }
}

/// The next reply, as what is wanted.
pub(super) fn next<T: redis::FromRedisValue>(replies: &mut impl Iterator<Item = Value>) -> Result<T, Fault> {
    Ok(redis::from_redis_value(replies.next().unwrap_or(Value::Nil))?)
}

/// A reply to `TIME`.
pub(super) fn time((seconds, micros): (u64, u64)) -> Position {
    Position(seconds * 1000 + micros / 1000)
}

/// A line of `INFO`.
pub(super) fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}
