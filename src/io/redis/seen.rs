//! What the server says of itself and of the list, read in one transaction.

use std::collections::{BTreeMap, HashMap};

use redis::{Pipeline, Value};

use crate::id::Incarnation;
use crate::revocation::node::MAX_LAG;
use crate::time::{Day, Position};
use crate::trouble::Trouble;

use super::fault::Fault;
use super::names::{Bucket, Names};

/// The server, the time, and which life of which list.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub server: Server,
    /// The server's clock.
    pub time: Position,
    /// None where there is no list.
    pub epoch: Option<Epoch>,
    /// Whether a replica that must be there answers.
    backed: bool,
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
    /// The server's time when this life began with a loss.
    pub begun: Position,
    /// How long each bucket was left.
    pub accounts: BTreeMap<Bucket, u64>,
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
        Ok(Self { server, time, epoch, backed: is_backed(&replication) })
    }

    /// Refuses a primary that may have been deposed: where it must have replicas (`min-replicas-to-write`), one
    /// has to have answered within the lag that is allowed.
    ///
    /// The server looks at this itself, but only once a second: one that was frozen and wakes up takes writes
    /// until it does, also when its replica was promoted long ago.
    pub(super) fn check_backed(&self) -> Result<(), Fault> {
        if self.backed {
            return Ok(());
        }
        let lag = MAX_LAG.as_secs();
        let seen = format!(
            "the server must have replicas (min-replicas-to-write), and none is there that answered within {lag} s"
        );
        Err(Fault::found(Trouble::ReplicasMissing, seen))
    }
}

impl Server {
    /// Refuses what cannot hold the list at all.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.version < 7 {
            let seen = format!("the server is of version {}, and the list needs Redis 7 or Valkey 8", self.version);
            return Err(Fault::found(Trouble::OldVersion, seen));
        }
        if !self.primary {
            let seen = "the server is a replica, and only a primary takes revocations";
            return Err(Fault::found(Trouble::NotPrimary, seen));
        }
        Ok(())
    }
}

impl Epoch {
    /// Whether every bucket that has to be there is as long as it was left. Whoever removes one, or lets it expire
    /// early, cannot hide that by filling it again.
    pub(super) fn is_whole(&self, lengths: &BTreeMap<Bucket, u64>, clock: Position) -> bool {
        let in_both = self.accounts.keys().chain(lengths.keys()).filter(|bucket| bucket.is_kept(clock));
        in_both.into_iter().all(|bucket| {
            let of = |map: &BTreeMap<Bucket, u64>| map.get(bucket).copied().unwrap_or(0);
            of(&self.accounts) == of(lengths)
        })
    }

    fn read(fields: &HashMap<String, String>) -> Result<Self, Fault> {
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let read = || {
            Some(Self {
                incarnation: field("incarnation").parse().ok()?,
                replication: field("replication").to_owned(),
                healing: field("state") != "healed",
                mark: Position(field("mark").parse().ok()?),
                last: Day(field("last").parse().ok()?),
                begun: Position(field("begun").parse().unwrap_or(0)),
                accounts: fields
                    .iter()
                    .filter_map(|(name, length)| Some((Bucket::of_account(name)?, length.parse().ok()?)))
                    .collect(),
            })
        };
        read()
            .ok_or_else(|| Fault::found(Trouble::ForeignWriter, "the list's epoch is not one that this program wrote"))
    }
}

/// By the replies to `INFO replication`: this line is there only where replicas are asked for.
fn is_backed(replication: &str) -> bool {
    let answers = |replica: &str| {
        let said = |name| replica.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        said("state") == Some("online")
            && said("lag").and_then(|lag| lag.parse().ok()).is_some_and(|lag: u64| lag <= MAX_LAG.as_secs())
    };
    let replicas = replication.lines().filter(|line| line.starts_with("slave") && line.contains("state="));
    line(replication, "min_slaves_good_slaves").is_none() || replicas.map(str::trim_end).any(answers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_that_must_have_replicas_is_believed_while_one_answers() {
        let info = |good: &str, replicas: &str| {
            format!("# Replication\r\nrole:master\r\nconnected_slaves:1\r\n{good}{replicas}master_replid:ab\r\n")
        };
        let (asked, replica) = ("min_slaves_good_slaves:1\r\n", |state: &str, lag: u64| {
            format!("slave0:ip=127.0.0.1,port=7001,state={state},offset=42,lag={lag}\r\n")
        });
        assert!(is_backed(&info("", "")), "nobody asked for replicas");
        assert!(is_backed(&info(asked, &replica("online", 10))));
        assert!(!is_backed(&info(asked, &replica("online", 11))), "it may have been promoted since");
        assert!(!is_backed(&info(asked, &replica("wait_bgsave", 0))));
        assert!(!is_backed(&info(asked, "")));
    }
}
