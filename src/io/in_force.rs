//! Waiting until a publication is worth more than being committed.

use std::time::Duration;

use tracing::Instrument as _;

use crate::error::Error;
use crate::revocation::{Durability, Progress, Receipt, Record, RevocationStore, Stand};
use crate::time::Clock;

/// What to wait for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The least that is good enough.
    pub durability: Durability,
    /// How many replicas of the store make [`Durability::Replicated`].
    pub replicas: u32,
    /// The longest wait.
    pub patience: Duration,
}

/// What was reached.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The durability, never more than is known.
    pub durability: Durability,
    /// Who has applied it, if that was waited for.
    pub progress: Option<Progress>,
    /// Replicas that have it, if that was waited for.
    pub replicas: Option<u32>,
    /// Since the wait began.
    pub took: Duration,
}

/// Between two looks at the nodes: short at first, because most have it within milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);
/// A store that cannot be asked for this long is given up.
const SILENCE: Duration = Duration::from_secs(10);

/// Waits until the publication is worth what is wished, or patience is over; then [`Reached`] says who is
/// missing. `on_progress` is told whenever it has come further.
///
/// Where the store begins another life meanwhile, the revocations are published again in that one, and waited
/// for there.
///
/// # Errors
///
/// [`Error::Store`] when the store cannot be asked for 10 seconds. The publication is as durable as its
/// receipt says all the same.
pub async fn wait(
    store: &dyn RevocationStore,
    clock: &Clock,
    receipt: &Receipt,
    wish: Wish,
    on_progress: impl FnMut(&Progress, Duration) + Send,
) -> Result<Reached, Error> {
    let (durability, position, life) = (wish.durability.name(), receipt.position.0, receipt.incarnation);
    let span = tracing::info_span!("wait", durability, position, %life);
    reach(store, clock, receipt, wish, on_progress).instrument(span).await
}

async fn reach(
    store: &dyn RevocationStore,
    clock: &Clock,
    receipt: &Receipt,
    wish: Wish,
    mut on_progress: impl FnMut(&Progress, Duration) + Send,
) -> Result<Reached, Error> {
    let began = clock.now().boot;
    let elapsed = || clock.now().boot.saturating_sub(began);
    let reached = |durability| Reached { durability, progress: None, replicas: None, took: elapsed() };
    let mut stand = Stand { incarnation: receipt.incarnation, position: receipt.position };
    match wish.durability {
        // What waits in this node's own file has no position yet.
        _ if receipt.durability < Durability::Committed => return Ok(reached(receipt.durability)),
        Durability::Accepted | Durability::Committed => return Ok(reached(receipt.durability)),
        Durability::Replicated => {
            let replicas = store.replicated(stand.incarnation, wish.replicas, wish.patience).await?;
            let is_enough = replicas.is_some_and(|replicas| replicas >= wish.replicas.max(1));
            let durability = if is_enough { Durability::Replicated } else { Durability::Committed };
            return Ok(Reached { replicas, ..reached(durability) });
        }
        Durability::InForce => {}
    }
    let (mut pause, mut told, mut answered) = (SHORTEST, None, Duration::ZERO);
    loop {
        let looked = look(store, &mut stand, receipt).await;
        let took = elapsed();
        let progress = match looked {
            Ok(progress) => progress,
            // It may be restarting, and it may be filled again by those who know the list.
            Err(error) if took.saturating_sub(answered) >= SILENCE.min(wish.patience) => return Err(error),
            Err(_) => {
                tokio::time::sleep(LONGEST).await;
                continue;
            }
        };
        answered = took;
        if told.replace(progress.confirmed.len()) != Some(progress.confirmed.len()) {
            tracing::debug!(%progress, "has come further");
            on_progress(&progress, took);
        }
        if progress.is_in_force() || took >= wish.patience {
            let durability = if progress.is_in_force() { Durability::InForce } else { Durability::Committed };
            return Ok(Reached { durability, progress: Some(progress), replicas: None, took });
        }
        tokio::time::sleep(pause.min(wish.patience.saturating_sub(took))).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Looks once how far a publication has come, whose records stand at `stand` now. Where the store has begun
/// another life, they are given to that one first, and stand there from then on.
///
/// # Errors
///
/// [`Error::Store`] when the store cannot be asked.
pub async fn look(store: &dyn RevocationStore, stand: &mut Stand, receipt: &Receipt) -> Result<Progress, Error> {
    let progress = store.nodes(stand.position).await?.progress(stand.incarnation, stand.position);
    if !progress.lost {
        return Ok(progress);
    }
    // Whoever lost it may have lost these records. They are published anew and not just given back: sessions
    // may have been born in the new life, above the old position, before the revocation was asked for. Records
    // that are known do no harm.
    let wishes: Vec<_> = receipt.records.iter().filter_map(Record::again).collect();
    let Receipt { incarnation, position, .. } = store.publish(&wishes).await?;
    *stand = Stand { incarnation, position };
    Ok(store.nodes(stand.position).await?.progress(stand.incarnation, stand.position))
}
