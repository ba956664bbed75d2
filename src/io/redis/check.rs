//! What is checked once, at the start, because later it would show as lost revocations.

use redis::Cmd;
use redis::aio::MultiplexedConnection;

use super::fault::Fault;
use super::names::{Bucket, Kind};
use super::shared::{Conn, Shared};
use crate::id::Incarnation;
use crate::time::Day;
use crate::trouble::{Severity, Trouble};

impl Shared {
    /// Refuses a server that would forget, one whose clock is off, and a user without the rights.
    pub(super) async fn check(&self, conn: &mut Conn) -> Result<(), Fault> {
        self.check_clock(conn.seen.time)?;
        self.check_rights(&mut conn.redis).await?;
        self.check_server(&mut conn.redis).await
    }

    /// Refuses a server that would forget.
    pub(super) async fn check_server(&self, redis: &mut MultiplexedConnection) -> Result<(), Fault> {
        for finding in self.facts(redis).await?.judge() {
            match (finding.severity, finding.trouble) {
                (Severity::Problem, _) => return Err(Fault::Found(finding)),
                (Severity::Warning, Some(trouble)) => {
                    tracing::warn!(%trouble, fix = &*finding.fix, "{}", finding.seen);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Does with nothing what will be done with records, so that a missing right is told now, by its name.
    pub(super) async fn check_rights(&self, redis: &mut MultiplexedConnection) -> Result<(), Fault> {
        let (names, commands): (Vec<_>, Vec<_>) = self.all_that_is_done().into_iter().unzip();
        let mut all = redis::pipe();
        for command in commands {
            all.add_command(command).ignore();
        }
        let Err(error) = all.exec_async(redis).await else { return Ok(()) };
        let fault = Fault::from(error);
        let Some((index, details)) = fault.denial() else { return Err(fault) };
        let (address, user, name) = (&self.address, self.address.user(), names.get(index).unwrap_or(&"this"));
        Err(Fault::found(
            Trouble::RightMissing,
            format!("{address} does not let the user {user} run {name} on the list's keys ({details})"),
        ))
    }

    fn all_that_is_done(&self) -> Vec<(&'static str, Cmd)> {
        let names = &self.names;
        let once = names.once(Incarnation(0), [0; 16]);
        let mut all = vec![
            command("SET", &[&once, "", "PXAT", "1"]),
            command("GET", &[&once]),
            command("XADD", &[&names.feed, "MAXLEN", "~", "1000", "*", "p", "0"]),
            command("XREVRANGE", &[&names.feed, "+", "-", "COUNT", "1"]),
            command("XREAD", &["COUNT", "1", "STREAMS", &names.feed, "0"]),
            command("HDEL", &[&names.nodes, "nobody"]),
            command("HDEL", &[&names.epoch, "nobody"]),
            command("WAIT", &["0", "1"]),
        ];
        for kind in Kind::ALL {
            let bucket = names.bucket(Bucket { kind, day: Day(0) });
            all.push(command("APPEND", &[&bucket, ""]));
            all.push(command("STRLEN", &[&bucket]));
            all.push(command("GETRANGE", &[&bucket, "0", "-1"]));
            // In the past, so it is gone at once.
            all.push(command("EXPIREAT", &[&bucket, "1"]));
        }
        for hash in [&names.epoch, &names.control, &names.nodes] {
            all.push(command("HGETALL", &[hash]));
            all.push(command("HGET", &[hash, "nothing"]));
            all.push(command("HLEN", &[hash]));
            all.push(command("HMGET", &[hash, "nothing"]));
            all.push(command("EVAL", &["return 1", "1", hash]));
            for name in ["HSET", "HSETNX"] {
                // What is there is written again, in one go, and nothing where there is nothing.
                let same = format!(
                    "local all = redis.call('HGETALL', KEYS[1]) \
                     if all[1] then redis.call('{name}', KEYS[1], all[1], all[2]) end"
                );
                all.push((name, command("EVAL", &[&same, "1", hash]).1));
            }
        }
        all
    }
}

fn command(name: &'static str, arguments: &[&str]) -> (&'static str, Cmd) {
    let mut command = redis::cmd(name);
    for argument in arguments {
        command.arg(*argument);
    }
    (name, command)
}
