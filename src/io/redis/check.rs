//! What is checked once, at the start, because later it would show as lost revocations.

use redis::aio::MultiplexedConnection;

use super::fault::Fault;
use super::names::{Bucket, Kind};
use super::seen::line;
use super::shared::{Conn, Shared};
use crate::time::Day;

impl Shared {
    /// Refuses a server that would forget, one whose clock is off, and a user without the rights.
    pub(super) async fn check(&self, conn: &mut Conn) -> Result<(), Fault> {
        self.check_clock(conn.seen.time)?;
        self.check_rights(&mut conn.redis).await?;
        let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut conn.redis).await?;
        let policy = line(&memory, "maxmemory_policy").unwrap_or("unknown");
        if policy != "noeviction" {
            return Err(Fault::said(
                format!(
                    "{} has the maxmemory-policy {policy}, and drops revocations when memory is short",
                    self.address
                ),
                "Set maxmemory-policy noeviction, and do not share the server with a cache",
            ));
        }
        self.check_persistence(&mut conn.redis).await?;
        self.check_replicas(&mut conn.redis).await
    }

    /// Does with nothing what will be done with records, so that a missing right is told now.
    async fn check_rights(&self, redis: &mut MultiplexedConnection) -> Result<(), Fault> {
        let none = Day(0);
        for kind in Kind::ALL {
            let name = self.names.bucket(Bucket { kind, day: none });
            redis::cmd("APPEND").arg(&name).arg("").exec_async(redis).await?;
            redis::cmd("GETRANGE").arg(&name).arg(0).arg(-1).exec_async(redis).await?;
            // In the past, so it is gone at once.
            redis::cmd("EXPIREAT").arg(&name).arg(1).exec_async(redis).await?;
        }
        let once = self.names.once(crate::id::Incarnation(0), [0; 16]);
        redis::cmd("SET").arg(once).arg("").arg("PXAT").arg(1).exec_async(redis).await?;
        let mut feed = redis::cmd("XADD");
        feed.arg(&self.names.feed).arg("MAXLEN").arg("~").arg(1000).arg("*").arg("p").arg("0");
        feed.exec_async(redis).await?;
        redis::cmd("HGETALL").arg(&self.names.nodes).exec_async(redis).await?;
        redis::cmd("HGETALL").arg(&self.names.control).exec_async(redis).await?;
        let own = "return redis.call('HGET', KEYS[1], 'incarnation')";
        redis::cmd("EVAL").arg(own).arg(1).arg(&self.names.epoch).exec_async(redis).await?;
        Ok(())
    }

    async fn check_persistence(&self, redis: &mut MultiplexedConnection) -> Result<(), Fault> {
        let persistence: String = redis::cmd("INFO").arg("persistence").query_async(redis).await?;
        if line(&persistence, "aof_enabled") == Some("1") {
            return Ok(());
        }
        match self.setting(redis, "save").await? {
            Some(save) if save.is_empty() => Err(Fault::said(
                format!("{} keeps nothing on disk, so a restart forgets every revocation", self.address),
                "Set appendonly yes",
            )),
            Some(_) => {
                tracing::warn!(
                    store = %self.address,
                    "the server saves from time to time only; with appendonly yes a crash loses a second at most"
                );
                Ok(())
            }
            None => {
                tracing::warn!(store = %self.address, "cannot tell whether the server keeps its data on disk");
                Ok(())
            }
        }
    }

    async fn check_replicas(&self, redis: &mut MultiplexedConnection) -> Result<(), Fault> {
        let replication: String = redis::cmd("INFO").arg("replication").query_async(redis).await?;
        let has_replicas = line(&replication, "connected_slaves").is_some_and(|number| number != "0");
        if has_replicas && self.setting(redis, "min-replicas-to-write").await?.is_some_and(|number| number == "0") {
            tracing::warn!(
                store = %self.address,
                "the server has replicas and min-replicas-to-write is 0: one that was deposed goes on taking \
                 revocations that are lost; set it to 1"
            );
        }
        Ok(())
    }

    /// A setting, if this user may read settings.
    async fn setting(&self, redis: &mut MultiplexedConnection, name: &str) -> Result<Option<String>, Fault> {
        let asked = redis::cmd("CONFIG").arg("GET").arg(name).query_async::<Vec<String>>(redis).await;
        match asked.map_err(Fault::from) {
            Ok(pair) => Ok(pair.into_iter().nth(1)),
            // Managed servers keep their settings to themselves.
            Err(fault) if fault.is_code("NOPERM") || fault.is_code("ERR") => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
