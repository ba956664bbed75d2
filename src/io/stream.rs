//! A body that is written while it is read: for server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

/// The reader's end: an HTTP body.
#[derive(Debug)]
pub struct Lines(mpsc::Receiver<String>);

/// The writer's end.
#[derive(Clone, Debug)]
pub struct Writer(mpsc::Sender<String>);

/// How many pieces may wait for a reader that is slow.
const WAITING: usize = 64;

/// Both ends.
#[must_use]
pub fn lines() -> (Writer, Lines) {
    let (writer, reader) = mpsc::channel(WAITING);
    (Writer(writer), Lines(reader))
}

impl Writer {
    /// Writes a piece. Says whether it will be read: not if nobody reads any more, nor if the reader is so
    /// slow that there is no room for it.
    #[must_use]
    pub fn write(&self, piece: String) -> bool {
        self.0.try_send(piece).is_ok()
    }
}

impl warp::Stream for Lines {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|piece| piece.map(Ok))
    }
}
