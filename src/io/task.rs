//! Work beside the request that asked for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{Instrument as _, Span};

use crate::error::Error;

/// Runs what blocks on the disk on a thread where that does no harm, in the span of whoever asked for it.
///
/// # Errors
///
/// [`Error::Config`] when the runtime is shutting down; otherwise what `work` says.
///
/// # Panics
///
/// Where `work` does, and outside a tokio runtime.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let span = Span::current();
    joined(tokio::task::spawn_blocking(move || span.in_scope(work)).await)?
}

/// Lets one piece of work through at a time; the others wait, in the order in which they came. Clones share the turn.
#[derive(Clone, Debug, Default)]
pub struct OneByOne(Arc<Mutex<()>>);

impl OneByOne {
    /// Runs what blocks, as [`blocking`] does, when it is its turn. The turn lasts until the work has ended, even if
    /// whoever waits for it goes away.
    ///
    /// # Errors
    ///
    /// As [`blocking`].
    ///
    /// # Panics
    ///
    /// As [`blocking`].
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.0.clone().lock_owned().await;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        blocking(work).await
    }
}

/// Runs to its end, even if whoever waits for it goes away; in the span of whoever asked for it.
///
/// # Errors
///
/// [`Error::Config`] when the runtime is shutting down.
///
/// # Panics
///
/// Where `work` does, and outside a tokio runtime.
pub async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Error> {
    joined(tokio::spawn(work.in_current_span()).await)
}

/// Starts work that nobody waits for, in a span of its own.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(span: Span, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work.instrument(span));
}

/// Waits.
pub async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

/// What `work` says, if it does so in time.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

fn joined<T>(outcome: Result<T, tokio::task::JoinError>) -> Result<T, Error> {
    outcome.map_err(|stopped| match stopped.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::config("the runtime is shutting down", "Finish such calls before the program ends"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_at_a_time_also_when_nobody_waits_for_the_first_any_more() {
        let one = OneByOne::default();
        let ((start, started), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
        let first = one.clone();
        let waits = tokio::spawn(async move {
            let work = move || {
                start.send(()).unwrap();
                ended.recv().unwrap();
                Ok(())
            };
            first.blocking(work).await
        });
        tokio::task::spawn_blocking(move || started.recv().unwrap()).await.unwrap();
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        let mut second = std::pin::pin!(one.blocking(|| Ok(2)));
        assert!(within(Duration::from_millis(50), &mut second).await.is_none(), "the first is still at work");
        end.send(()).unwrap();
        assert_eq!(second.await.unwrap(), 2);
    }
}
