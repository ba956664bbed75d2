//! A store with a file of the node's own beside it is a store like others.

use std::sync::Arc;
use std::time::Duration;

use sealjar::io::kept::Recalled;
use sealjar::io::place::Opening;
use sealjar::io::redis::{Making, RedisStore};
use sealjar::revocation::RevocationStore;
use sealjar::time::Clock;
use tempfile::TempDir;

use crate::redis_support::{APP, PASSWORD, Server, address, list_key, options};
use crate::suite::Backend;

struct Kept(Server, TempDir);

impl Backend for Kept {
    async fn new(log_out_everybody: bool) -> Self {
        let server = Server::start();
        server.init(Making::IfMissing { log_out_everybody }).await.unwrap();
        Self(server, tempfile::tempdir().unwrap())
    }

    /// All of one home.
    async fn handle(&self) -> Arc<dyn RevocationStore> {
        let (list_key, clock) = (list_key(7), Clock::system());
        let opening = Opening { app: APP, list_key: &list_key, create: false, own_file: None, clock: &clock };
        let recalled = Recalled::open(&self.1.path().join("node.db"), &opening).await.unwrap();
        Arc::new(recalled.beside(Arc::new(self.0.open().await.unwrap()), "the server".into()))
    }

    /// A tool has no file of its own.
    async fn tool(&self) -> Arc<dyn RevocationStore> {
        let url = self.0.admin_url();
        Arc::new(RedisStore::open(address(&url), &options(&list_key(7))).await.unwrap())
    }

    /// It goes by the server's clock.
    async fn handle_with_clock_behind(&self, _: Duration) -> Option<Arc<dyn RevocationStore>> {
        None
    }

    async fn lose(&self) {
        self.0.command(&["FLUSHALL"]).await;
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned(), list_key(7).fingerprint()]
    }
}

crate::suite::contract!(Kept);
