//! The feed: says that something is new, so that a beat need not wait for its turn.
//!
//! An accelerator, never the proof. It carries no records: the beat that it wakes reads them from where
//! they are kept, so there is one way in which a record arrives.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use super::RESPONSE;
use super::fault::Fault;
use super::shared::{Shared, millis};

/// How long the server holds a question back until there is news.
const BLOCK: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// A task that waits on a connection of its own: while a read blocks, nothing else gets through, and
/// giving up on it would not take it back. So it is never raced against anything.
pub(super) struct Feed {
    news: Arc<Notify>,
    task: AbortHandle,
}

impl Feed {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let news = Arc::new(Notify::new());
        let task = tokio::spawn(listen(shared, news.clone()).in_current_span()).abort_handle();
        Self { news, task }
    }

    /// Resolves when something is new since it last did.
    pub(super) fn news(&self) -> impl Future<Output = ()> + Send + '_ {
        self.news.notified()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fails open because beats go on once a second without it.
async fn listen(shared: Arc<Shared>, news: Arc<Notify>) {
    loop {
        let Err(fault) = follow(&shared, &news).await;
        let error = fault.told("reading the feed", &shared.address);
        tracing::debug!(%error, "the revocation list's feed is interrupted");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(shared: &Shared, news: &Notify) -> Result<std::convert::Infallible, Fault> {
    let mut redis = shared.dial(BLOCK + RESPONSE).await?;
    let mut cursor = last(&mut redis, &shared.names.feed).await?;
    loop {
        // Also after connecting: something may have come before.
        news.notify_one();
        // Never from `$`, which would skip what comes between two questions.
        while !read(&mut redis, &shared.names.feed, &mut cursor).await? {}
    }
}

async fn last(redis: &mut MultiplexedConnection, feed: &str) -> Result<String, Fault> {
    let mut newest = redis::cmd("XREVRANGE");
    newest.arg(feed).arg("+").arg("-").arg("COUNT").arg(1);
    let newest: Vec<(String, Vec<String>)> = newest.query_async(redis).await?;
    Ok(newest.into_iter().next().map_or_else(|| "0".to_owned(), |(id, _)| id))
}

/// Whether anything came.
async fn read(redis: &mut MultiplexedConnection, feed: &str, cursor: &mut String) -> Result<bool, Fault> {
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(1000).arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(feed).arg(&*cursor);
    let reply: Option<StreamReadReply> = read.query_async(redis).await?;
    let newest = reply.and_then(|reply| reply.keys.into_iter().next()?.ids.pop());
    let came = newest.is_some();
    if let Some(newest) = newest {
        *cursor = newest.id;
    }
    Ok(came)
}
