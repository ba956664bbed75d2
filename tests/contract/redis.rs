//! The store on a server keeps the contract. Which server: see `redis_support`.

use std::sync::Arc;
use std::time::Duration;

use sealjar::io::redis::{Making, RedisStore};
use sealjar::revocation::RevocationStore;

use crate::redis_support::{PASSWORD, Server, address, list_key, options};
use crate::suite::Backend;

/// A list on a server of its own.
pub struct Redis(Server);

impl Backend for Redis {
    async fn new(log_out_everybody: bool) -> Self {
        let server = Server::start();
        server.init(Making::IfMissing { log_out_everybody }).await.unwrap();
        Self(server)
    }

    async fn handle(&self) -> Arc<dyn RevocationStore> {
        Arc::new(self.0.open().await.unwrap())
    }

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

crate::suite::contract!(Redis);
