//! A link that can be cut: a TCP proxy that stands between a client and a server, on real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What the link does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Passes it on.
    Open,
    /// Passes it on this much later, each way.
    Slow(Duration),
    /// Keeps it until the link opens again. New connections stand, and nobody answers: half-open.
    Frozen,
    /// Closes every connection, those that are there and those that come.
    Cut,
}

/// One link; it ends with this value, and so do its connections.
pub struct Link {
    port: u16,
    state: watch::Sender<State>,
    task: AbortHandle,
}

#[derive(Clone, Copy, Debug)]
struct State {
    way: Way,
    /// Where new connections go.
    target: u16,
    /// Connections of an earlier era are closed.
    era: u64,
}

impl Link {
    /// A link to a port of this machine.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel(State { way: Way::Open, target, era: 0 });
        let task = tokio::spawn(accept(listener, seen)).abort_handle();
        Self { port, state, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, way: Way) {
        self.state.send_modify(|state| {
            state.way = way;
            state.era += u64::from(way == Way::Cut);
        });
    }

    /// Leads new connections elsewhere; those that are there stay where they are.
    pub fn lead(&self, target: u16) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Closes the connections that are there.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.era += 1);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.reset();
    }
}

async fn accept(listener: TcpListener, seen: watch::Receiver<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            let now = *seen.borrow();
            let mut over = seen.clone();
            let joined = join(client, now.target, seen);
            if now.way != Way::Cut {
                tokio::select! {
                    () = joined => {}
                    _ = over.wait_for(|state| state.era != now.era) => {}
                }
            }
        });
    }
}

async fn join(client: TcpStream, target: u16, seen: watch::Receiver<State>) {
    // What comes in while the link is frozen must not reach the server at all.
    if pass(&mut seen.clone()).await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pump(from_client, to_server, seen.clone()) => {}
        () = pump(from_server, to_client, seen) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut seen: watch::Receiver<State>,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if pass(&mut seen).await.is_none() || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
    // An end of the stream does not get through a frozen link either.
    pass(&mut seen).await;
}

/// Waits as long as the link wants it. Nothing when the link is gone.
async fn pass(seen: &mut watch::Receiver<State>) -> Option<()> {
    let way = seen.wait_for(|state| state.way != Way::Frozen).await.ok()?.way;
    if let Way::Slow(delay) = way {
        tokio::time::sleep(delay).await;
        seen.wait_for(|state| state.way != Way::Frozen).await.ok()?;
    }
    Some(())
}
