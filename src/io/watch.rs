//! Looks at the key folder once a second and hands over what it holds when that has changed.

use std::time::Duration;

use tokio::task::spawn_blocking;

use super::folder::{Contents, Fingerprint, KeyFolder};

const INTERVAL: Duration = Duration::from_secs(1);

/// Watches until `changed` answers `false`.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn start(folder: KeyFolder, changed: impl Fn(Contents) -> bool + Send + 'static) {
    tokio::spawn(async move {
        let mut seen = folder.fingerprint().unwrap_or_default();
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
    let now = match folder.fingerprint() {
        Ok(now) if now != *before => now,
        Ok(_) => return None,
        // Gone or unreadable counts as a change once: an empty folder is what `changed` then hears of.
        Err(_) if *before != Fingerprint::default() => return Some((Fingerprint::default(), Contents::default())),
        Err(_) => return None,
    };
    folder.read().ok().map(|contents| (now, contents))
}
