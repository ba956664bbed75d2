//! A store with a file of the node's own beside it is a store like others.

use std::sync::Arc;
use std::time::Duration;

use sealjar::io::kept::Recalled;
use sealjar::io::place::Opening;
use sealjar::revocation::RevocationStore;
use sealjar::time::Clock;
use tempfile::TempDir;

use crate::redis::Redis;
use crate::redis_support::{APP, list_key};
use crate::suite::Backend;

/// A list on a server, and a home.
struct Kept(Redis, TempDir);

impl Backend for Kept {
    async fn new(log_out_everybody: bool) -> Self {
        Self(Redis::new(log_out_everybody).await, tempfile::tempdir().unwrap())
    }

    /// All of one home.
    async fn handle(&self) -> Arc<dyn RevocationStore> {
        let (list_key, clock) = (list_key(7), Clock::system());
        let opening = Opening { app: APP, list_key: &list_key, create: false, own_file: None, clock: &clock };
        let recalled = Recalled::open(&self.1.path().join("node.db"), &opening).await.unwrap();
        Arc::new(recalled.beside(self.0.handle().await, "the server".into()))
    }

    /// A tool has no file of its own.
    async fn tool(&self) -> Arc<dyn RevocationStore> {
        self.0.tool().await
    }

    async fn handle_with_clock_behind(&self, by: Duration) -> Option<Arc<dyn RevocationStore>> {
        self.0.handle_with_clock_behind(by).await
    }

    async fn lose(&self) {
        self.0.lose().await;
    }

    fn secrets(&self) -> Vec<String> {
        self.0.secrets()
    }
}

crate::suite::contract!(Kept);
