//! Waking those who wait for the list to change.

use std::time::Duration;

use tokio::sync::watch;

/// Wakes everybody who waits, without losing a change that comes between a look and the wait.
#[derive(Debug, Default)]
pub struct Wake(watch::Sender<()>);

/// One who waits.
#[derive(Debug)]
pub struct Waiter(watch::Receiver<()>);

impl Wake {
    /// Something has changed.
    pub fn all(&self) {
        self.0.send_replace(());
    }

    /// Whoever looks from now on misses no change.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        Waiter(self.0.subscribe())
    }
}

impl Waiter {
    /// Until something changed since the last call, or the time is over.
    pub async fn changed(&mut self, longest: Duration) {
        let ended = tokio::time::timeout(longest, self.0.changed()).await;
        if matches!(ended, Ok(Err(_))) {
            // Nobody is left who could wake anybody.
            tokio::time::sleep(longest).await;
        }
    }
}
