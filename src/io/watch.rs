//! Looks at the key folder once a second and hands over what it holds when that has changed.

use std::time::Duration;

use tokio::task::spawn_blocking;

use super::folder::{Contents, Fingerprint, KeyFolder};

const INTERVAL: Duration = Duration::from_secs(1);

/// Watches for anything that differs from what was `seen`, until `changed` answers `false`.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(folder: KeyFolder, mut seen: Fingerprint, changed: impl Fn(Contents) -> bool + Send + 'static) {
    tokio::spawn(async move {
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
    });
}

/// The folder's contents, if it looks different from before.
fn look(folder: &KeyFolder, before: &Fingerprint) -> Option<(Fingerprint, Contents)> {
    // A folder that is gone or unreadable looks like an empty one.
    let now = folder.fingerprint().unwrap_or_default();
    (now != *before).then(|| (now, folder.read().unwrap_or_default()))
}
