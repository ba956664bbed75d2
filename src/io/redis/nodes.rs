//! Who follows, and how far a publication has come.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use crate::id::{Incarnation, NodeId};
use crate::revocation::Nodes;

use super::RESPONSE;
use super::fault::Fault;
use super::members::{self, JOINING};
use super::scripts;
use super::seen::{REPLIES, Seen, next};
use super::shared::{Conn, Shared, millis};

impl Shared {
    pub(super) async fn nodes(&self) -> Result<Nodes, Fault> {
        let mut broken = 0;
        loop {
            let mut conn = self.writer().await?;
            match self.nodes_once(&mut conn).await {
                Ok(Some(nodes)) => return Ok(nodes),
                Ok(None) => self.drop_writer(conn.serial).await,
                Err(fault) if fault.is_of_the_connection() && broken == 0 => {
                    self.drop_writer(conn.serial).await;
                    broken += 1;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Nothing when there is no list any more: a new connection finds out why.
    async fn nodes_once(&self, conn: &mut Conn) -> Result<Option<Nodes>, Fault> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        Seen::ask(&mut pipe, &self.names);
        pipe.cmd("HGETALL").arg(&self.names.nodes);
        let replies: Vec<Value> = pipe.query_async(&mut conn.redis).await?;
        debug_assert_eq!(replies.len(), REPLIES + 1);
        let mut replies = replies.into_iter();
        let seen = Seen::read(&mut replies)?;
        let members: BTreeMap<String, String> = next(&mut replies)?;
        // Another history under a known life is a loss that nobody has noticed yet.
        let Some(epoch) = seen.epoch.filter(|epoch| epoch.replication == seen.server.replication) else {
            return Ok(None);
        };
        let nodes = members::serving(&members);
        let (incarnation, begun) = (epoch.incarnation, epoch.begun);
        Ok(Some(Nodes { incarnation, begun, healed: !epoch.healing, now: seen.time, nodes }))
    }

    pub(super) async fn forget_node(&self, node: NodeId) -> Result<bool, Fault> {
        let mut conn = self.writer().await?;
        let removed = self.remove_node(&mut conn, node).await;
        if removed.is_err() {
            self.drop_writer(conn.serial).await;
        }
        removed
    }

    pub(super) async fn remove_node(&self, conn: &mut Conn, node: NodeId) -> Result<bool, Fault> {
        self.memory().members.remove(&node.to_string());
        let mut remove = redis::cmd("HDEL");
        Ok(remove.arg(&self.names.nodes).arg(node.to_string()).query_async(&mut conn.redis).await?)
    }

    /// Replication is one ordered stream: a write of this connection, made now in the same life, comes behind
    /// everything that was published before. So what `WAIT` says of it holds for those as well.
    ///
    /// On a connection of its own, which it keeps waiting.
    pub(super) async fn replicated(
        &self,
        life: Incarnation,
        wanted: u32,
        patience: Duration,
    ) -> Result<Option<u32>, Fault> {
        let mut conn = self.connect_for(RESPONSE + patience).await?;
        if conn.incarnation != life {
            return Ok(None);
        }
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("EVAL").arg(scripts::SIGN).arg(1).arg(&self.names.nodes).arg(JOINING).arg("-").ignore();
        pipe.cmd("HGET").arg(&self.names.epoch).arg("incarnation");
        let (still,): (Option<String>,) = pipe.query_async(&mut conn.redis).await?;
        if still != Some(life.to_string()) {
            return Ok(None);
        }
        // 0 would mean: for ever.
        let patience = millis(patience).max(1);
        Ok(Some(redis::cmd("WAIT").arg(wanted).arg(patience).query_async(&mut conn.redis).await?))
    }
}
