//! A connection to the server that the address names, or that Sentinels name for it.

use std::sync::Once;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo};

use super::CONNECT;
use super::address::{RedisAddress, Route};
use super::fault::Fault;
use super::sentinel;

/// Connects. `patience` is the longest wait for one answer later on: a client without one waits for ever on a
/// link that is half open.
pub(super) async fn dial(address: &RedisAddress, patience: Duration) -> Result<MultiplexedConnection, Fault> {
    static PROVIDER: Once = Once::new();
    if address.is_encrypted() {
        // Fails only where the app has chosen one already, and then that one serves.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    }
    match address.route() {
        Route::Server(server) => {
            let greeted = greet(address.info(server.clone())?, patience);
            tokio::time::timeout(CONNECT, greeted).await.map_err(|_| Fault::Silent)?
        }
        Route::Sentinels(sentinels) => sentinel::dial(address, sentinels, patience).await,
    }
}

/// Connects to one server, or to a Sentinel. How long that may take is the caller's to say.
pub(super) async fn connect(to: ConnectionInfo, patience: Duration) -> Result<MultiplexedConnection, Fault> {
    let client = Client::open(to)?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(Some(patience));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Connects to a server, and makes sure that it lets us have transactions.
///
/// The client (1.8.1) does not survive a refusal of `MULTI` in a transaction of its own: with overflow checks its
/// task panics, and the connection is just gone. So one is asked for here, in plain commands.
pub(super) async fn greet(to: ConnectionInfo, patience: Duration) -> Result<MultiplexedConnection, Fault> {
    let mut redis = connect(to, patience).await?;
    let mut empty = redis::pipe();
    empty.cmd("MULTI").ignore().cmd("EXEC").ignore();
    empty.exec_async(&mut redis).await?;
    Ok(redis)
}
