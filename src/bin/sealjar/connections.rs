//! The connections of `sealjar admin`, plain or over TLS: how many there may be, and how long a client may take.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Result};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use sealjar::admin::incoming::Peer;
use sealjar::quota::Seldom;
use sealjar::time::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// The most that are open at once; who comes then waits in the system's queue until one is closed.
const MOST: usize = 256;
/// A client has this long for the handshake, for the head of each request, and to take more of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request, which is the largest buffer that a connection has as well.
const LARGEST_HEAD: usize = 32 * 1024;
/// Between two attempts, where the system gives no connection: out of file handles, some will be free again.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is told to stop; then ends when what is being answered is.
pub async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    routes: BoxedFilter<(Response,)>,
    mut stopped: oneshot::Receiver<()>,
) {
    let (graceful, mut door) = (GracefulShutdown::new(), Door::new(listener));
    loop {
        let next = {
            let mut next = pin!(door.next());
            poll_fn(|cx| match Pin::new(&mut stopped).poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => next.as_mut().poll(cx).map(Some),
            })
            .await
        };
        let Some((room, stream, peer)) = next else { break };
        let (acceptor, routes, watcher) = (acceptor.clone(), routes.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _room = room;
            match acceptor {
                None => speak(stream, peer, routes, watcher).await,
                Some(acceptor) => {
                    // Who speaks no TLS, or not in time, is let go of without a word: scanners do nothing else.
                    if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                        speak(stream, peer, routes, watcher).await;
                    }
                }
            }
        });
    }
    drop(door);
    graceful.shutdown().await;
}

/// Lets in as many as there is room for.
struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
    clock: Clock,
    full: State,
    failing: State,
}

/// Something that lasts is said once when it begins; and seldom, where somebody makes it come and go.
#[derive(Default)]
struct State {
    lasts: bool,
    seldom: Seldom,
}

impl State {
    /// Whether it is said: then how many times it was not, since the last.
    fn say(&mut self, lasts: bool, clock: &Clock) -> Option<u64> {
        let begins = lasts && !self.lasts;
        self.lasts = lasts;
        begins.then(|| self.seldom.say(clock.now()))?
    }
}

impl Door {
    fn new(listener: TcpListener) -> Self {
        let room = Arc::new(Semaphore::new(MOST));
        Self { listener, room, clock: Clock::system(), full: State::default(), failing: State::default() }
    }

    async fn next(&mut self) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
        // Who waits takes each place as it becomes free, and the system is as full as before.
        let is_full = self.room.available_permits() <= if self.full.lasts { MOST / 4 } else { 0 };
        if let Some(skipped) = self.full.say(is_full, &self.clock) {
            let skipped = NonZeroU64::new(skipped);
            tracing::warn!(most = MOST, skipped, "as many connections are open as there may be; others have to wait");
        }
        // Nobody closes this semaphore.
        let room = self.room.clone().acquire_owned().await.unwrap_or_else(|_| unreachable!());
        loop {
            let accepted = self.listener.accept().await;
            let said = self.failing.say(accepted.is_err(), &self.clock);
            let error = match accepted {
                Ok((stream, peer)) => return (room, stream, peer),
                Err(error) => error,
            };
            if let Some(skipped) = said {
                let skipped = NonZeroU64::new(skipped);
                tracing::warn!(%error, skipped, "connections cannot be accepted; this is tried ten times a second");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    routes: BoxedFilter<(Response,)>,
    watcher: Watcher,
) {
    let service = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        service.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD);
    let stream = TokioIo::new(Prompt { stream, late: None });
    let connection = watcher.watch(http.serve_connection(stream, service));
    // A client that breaks off is no event.
    drop(connection.await);
}

/// A connection whose client takes what it is sent; one that takes nothing for too long is let go of.
struct Prompt<S> {
    stream: S,
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Prompt<S> {
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        late.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let written = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, written)
    }
}
