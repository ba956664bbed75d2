//! What a server says of itself.

use redis::aio::MultiplexedConnection;

use crate::doctor::ServerFacts;

use super::fault::Fault;
use super::seen::line;
use super::shared::Shared;

impl Shared {
    /// Reads what the judgement of a server needs.
    pub(super) async fn facts(&self, redis: &mut MultiplexedConnection) -> Result<ServerFacts, Fault> {
        let memory: String = redis::cmd("INFO").arg("memory").query_async(redis).await?;
        let persistence: String = redis::cmd("INFO").arg("persistence").query_async(redis).await?;
        let replication: String = redis::cmd("INFO").arg("replication").query_async(redis).await?;
        let number = |info: &str, name: &str| line(info, name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(ServerFacts {
            place: self.address.to_string(),
            policy: line(&memory, "maxmemory_policy").map(str::to_owned),
            memory: (number(&memory, "used_memory"), number(&memory, "maxmemory")),
            appendonly: line(&persistence, "aof_enabled") == Some("1"),
            save: setting(redis, "save").await?,
            replicas: number(&replication, "connected_slaves"),
            expected: self.address.replicas().map(u64::from),
            sentinels: self.address.has_sentinels(),
            min_replicas: setting(redis, "min-replicas-to-write").await?.and_then(|text| text.parse().ok()),
            max_lag: setting(redis, "min-replicas-max-lag").await?.and_then(|text| text.parse().ok()),
            counts_replicas: line(&replication, "min_slaves_good_slaves").is_some(),
        })
    }
}

/// A setting, if the server and the rights of this user let us see it.
async fn setting(redis: &mut MultiplexedConnection, name: &str) -> Result<Option<String>, Fault> {
    let asked = redis::cmd("CONFIG").arg("GET").arg(name).query_async::<Vec<String>>(redis).await;
    match asked.map_err(Fault::from) {
        Ok(pair) => Ok(pair.into_iter().nth(1)),
        // Managed servers keep their settings to themselves, and a node has no right to see passwords.
        Err(fault) if fault.is_code("NOPERM") || fault.is_code("ERR") => Ok(None),
        Err(fault) => Err(fault),
    }
}
