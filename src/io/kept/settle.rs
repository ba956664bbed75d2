//! Publishing what waits, as soon as the store answers.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::revocation::memory::{Owed, cuts_off, owed};
use crate::revocation::replica::remembered;
use crate::revocation::{Record, RevocationStore, Waiting};
use crate::time::Position;

use super::keeper::Keeper;

/// Who else publishes is asked this long; then what this process knows by itself is published.
const CLAIM: Duration = Duration::from_millis(500);

/// What was published.
#[derive(Default)]
pub(super) struct Settled {
    /// As the store has it.
    pub records: Vec<Record>,
    /// The cut-offs among it, as they waited.
    pub placed: Vec<Record>,
}

impl Keeper {
    /// Publishes everything that waits, and says what that came to. Nothing waits when it returns, but for
    /// what another process over the same file is publishing.
    pub(super) async fn settle(self: Arc<Self>, server: Arc<dyn RevocationStore>) -> Result<Settled, Error> {
        let _one_at_a_time = self.settling.lock().await;
        let mut settled = Settled::default();
        while self.lock().spool.waiting().waiting > 0 {
            let claimed = self.claim().await;
            if claimed.is_empty() {
                self.look().await;
                break;
            }
            match self.pay(&*server, &claimed).await {
                Ok(paid) => {
                    settled.records.extend(paid);
                    settled.placed.extend(claimed.iter().map(|wish| wish.record).filter(cuts_off));
                }
                Err(error) => {
                    // What is not given back now is free in a while.
                    let _ = self.file.release(claimed.iter().map(|wish| wish.seq).collect()).await;
                    return Err(error);
                }
            }
        }
        Ok(settled)
    }

    /// The wishes to publish now.
    async fn claim(&self) -> Vec<Waiting> {
        match tokio::time::timeout(CLAIM, self.file.claim()).await {
            Ok(Ok(claimed)) => {
                let done = self.lock().pending.published.clone();
                claimed.into_iter().filter(|wish| !done.contains(&wish.seq)).collect()
            }
            // Fails open because a wish that is published twice does less harm than one that waits for a disk.
            Ok(Err(_)) | Err(_) => self.lock().spool.mine.clone(),
        }
    }

    async fn pay(self: &Arc<Self>, server: &dyn RevocationStore, claimed: &[Waiting]) -> Result<Vec<Record>, Error> {
        let Owed { wishes, above } = owed(claimed, remembered(self.clock.now()));
        if above > Position(0) {
            server.restore(Vec::new(), above).await?;
        }
        let (records, position) = if wishes.is_empty() {
            (Vec::new(), Position(0))
        } else {
            let receipt = server.publish(&wishes).await?;
            (receipt.records, receipt.position)
        };
        self.change(|state| {
            let done = state.spool.published(claimed);
            state.pending.published.extend(done);
            state.pending.news.extend(&records);
            state.saw(position);
        });
        tracing::info!(
            wishes = claimed.len(),
            store = server.describe(),
            "what waited for the list's store is published"
        );
        Ok(records)
    }

    /// Somebody else has done it, or is doing it: what is left?
    async fn look(&self) {
        let file = self.file.clone();
        if let Ok(Ok(waiting)) = tokio::task::spawn_blocking(move || file.waiting()).await {
            self.lock().spool.found(&waiting);
        }
    }
}
