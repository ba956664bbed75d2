//! Looks at the key folder once a second and hands over what it holds when that has changed.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::{Instrument as _, Span};

use super::folder::{Contents, Fingerprint, KeyFolder};
use super::wake::Waiter;

const INTERVAL: Duration = Duration::from_secs(1);
/// What is done after changes is done at least this often.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Watches for anything that differs from what was `seen`, until `changed` answers `false`.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(folder: KeyFolder, mut seen: Fingerprint, changed: impl Fn(Contents) -> bool + Send + 'static) {
    let span = tracing::info_span!(parent: None, "key_folder", folder = %folder.path().display());
    let watching = async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let (folder, before) = (folder.clone(), seen.clone());
            let looked = spawn_blocking(move || look(&folder, &before)).await;
            if let Ok(Some((now, contents))) = looked {
                seen = now;
                if !changed(contents) {
                    return;
                }
            }
        }
    };
    tokio::spawn(watching.instrument(span));
}

/// Runs what waits for a disk beside the async threads. Nothing if the runtime is ending.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    spawn_blocking(work).await.ok()
}

/// Runs `step` in this span after every change of what `waiter` waits for, and every few seconds, until it answers
/// `false`.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn after_changes<F: Future<Output = bool> + Send>(
    span: Span,
    mut waiter: Waiter,
    step: impl Fn() -> F + Send + 'static,
) {
    let stepping = async move {
        while step().await {
            waiter.changed(AT_LEAST).await;
        }
    };
    tokio::spawn(stepping.instrument(span));
}

/// Runs `step` in this span again and again, each time after the pause that it answers, until it answers none.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn again<F: Future<Output = Option<Duration>> + Send>(span: Span, step: impl Fn() -> F + Send + 'static) {
    let stepping = async move {
        while let Some(pause) = step().await {
            tokio::time::sleep(pause).await;
        }
    };
    tokio::spawn(stepping.instrument(span));
}

/// The folder's contents, if it looks different from before.
fn look(folder: &KeyFolder, before: &Fingerprint) -> Option<(Fingerprint, Contents)> {
    // A folder that is gone or unreadable looks like an empty one.
    let now = folder.fingerprint().unwrap_or_default();
    (now != *before).then(|| (now, folder.read().unwrap_or_default()))
}
