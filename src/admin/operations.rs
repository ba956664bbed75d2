//! Operations: what was revoked through this endpoint, and how far each revocation has come since.
//!
//! | state | what is known |
//! |---|---|
//! | `accepted` | this process has it; it is not in the list yet |
//! | `committed` | it is in the list |
//! | `replicated` | it is on as many replicas of the server as were asked for |
//! | `in_force` | every node has applied it, or has stopped trusting its copy of the list |
//! | `incomplete` | 90 s have passed, and the nodes named are still missing; they may follow |
//!
//! A compromise has come to its end only when it is *complete* as well: every live node has heard that the key is denied,
//! and no crash or loss of the store undoes that ([`Operator::compromise_is_complete`]).
//!
//! Nothing watches an operation: whoever asks makes the endpoint look. They are kept in memory, the last
//! thousand; the audit keeps what was done for good.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::id::{KeyId, NodeId};
use crate::io::in_force::Reached;
use crate::operator::{KeyStepError, Operator};
use crate::revocation::{Durability, Node, Progress, Receipt, Stand};
use crate::time::Now;

use super::ask::About;
use super::rows::as_of;

/// How many are kept.
const MOST: usize = 1_000;
/// After this the nodes that are missing are called missing: the lease of a node, its margin, and some.
const LONG: Duration = Duration::from_secs(90);

/// The operations of late, oldest first.
#[derive(Debug, Default)]
pub struct Operations(Mutex<VecDeque<Operation>>);

/// One revocation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its id.
    pub id: String,
    about: About,
    actor: Option<String>,
    receipt: Receipt,
    /// Where the records stand now: in another life of the store, if it lost them.
    stand: Stand,
    begun: Now,
    replicas: Option<u32>,
    reached: Durability,
    progress: Option<Progress>,
    /// For each node that is done with it, when that was seen first: an upper bound, counted from `begun`.
    done: BTreeMap<NodeId, Duration>,
    /// The same for all of them.
    in_force: Option<Duration>,
    compromise: Option<Compromise>,
}

/// What is known of a key that was declared leaked.
#[derive(Clone, Debug)]
struct Compromise {
    leaked: KeyId,
    /// Or what it waits for, once that was asked.
    complete: Result<usize, Option<String>>,
}

impl Compromise {
    async fn look(&mut self, operator: &Operator) -> Result<(), Error> {
        if self.complete.is_err() {
            self.complete = match operator.compromise_is_complete(self.leaked).await {
                Ok(nodes) => Ok(nodes),
                Err(KeyStepError::Refused(refusal)) => Err(Some(refusal.to_string())),
                Err(KeyStepError::Failed(error)) => return Err(error),
            };
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        json!({
            "complete": self.complete.is_ok(),
            "nodes": self.complete.as_ref().ok(),
            "waits": self.complete.as_ref().err(),
        })
    }
}

impl Operation {
    /// One that was just published.
    #[must_use]
    pub fn new(id: String, about: About, actor: Option<String>, receipt: Receipt, now: Now) -> Self {
        let stand = Stand { incarnation: receipt.incarnation, position: receipt.position };
        let reached = receipt.durability;
        Self {
            id,
            about,
            actor,
            receipt,
            stand,
            begun: now,
            replicas: None,
            reached,
            progress: None,
            done: BTreeMap::new(),
            in_force: None,
            compromise: None,
        }
    }

    /// The same for a key that was declared leaked.
    #[must_use]
    pub fn of_compromise(self, leaked: KeyId) -> Self {
        Self { compromise: Some(Compromise { leaked, complete: Err(None) }), ..self }
    }

    /// What is known of it.
    #[must_use]
    pub const fn reached(&self) -> Durability {
        self.reached
    }

    /// What was published.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Takes in what a wait has reached by `now`.
    pub fn saw(&mut self, reached: Reached, now: Now) {
        self.reached = self.reached.max(reached.durability);
        self.replicas = reached.replicas.or(self.replicas);
        if let Some(progress) = reached.progress {
            self.note(progress, now);
        }
    }

    /// Takes in how far it has come by `now`.
    pub fn note(&mut self, progress: Progress, now: Now) {
        let since = now.boot.saturating_sub(self.begun.boot);
        for node in &progress.confirmed {
            self.done.entry(node.id).or_insert(since);
        }
        if progress.is_in_force() {
            self.reached = Durability::InForce;
            self.in_force.get_or_insert(since);
        }
        self.progress = Some(progress);
    }

    /// Looks how far it has come.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be asked; what was known stays.
    pub async fn look(&mut self, operator: &Operator) -> Result<(), Error> {
        if self.reached < Durability::InForce && self.reached >= Durability::Committed {
            let progress = operator.look(&self.receipt, &mut self.stand).await?;
            self.note(progress, operator.now());
        }
        match &mut self.compromise {
            Some(compromise) => compromise.look(operator).await,
            None => Ok(()),
        }
    }

    /// Takes over what another look had seen earlier.
    fn recall(&mut self, other: &Self) {
        for (&node, &since) in &other.done {
            self.done.entry(node).and_modify(|known| *known = since.min(*known)).or_insert(since);
        }
        self.in_force = self.in_force.into_iter().chain(other.in_force).min();
        if let (Some(own), Some(Compromise { complete: Ok(nodes), .. })) = (&mut self.compromise, &other.compromise) {
            own.complete = Ok(*nodes);
        }
    }

    /// Whether looking may still show something new.
    #[must_use]
    pub fn is_open(&self, now: Now) -> bool {
        let is_complete = self.compromise.as_ref().is_none_or(|compromise| compromise.complete.is_ok());
        let is_over = self.reached >= Durability::InForce && is_complete;
        !is_over && now.boot.saturating_sub(self.begun.boot) < 2 * LONG
    }

    /// The name of its state.
    #[must_use]
    pub fn state(&self, now: Now) -> &'static str {
        let missing = self.reached < Durability::InForce && now.boot.saturating_sub(self.begun.boot) > LONG;
        if missing { "incomplete" } else { self.reached.name() }
    }

    /// As it is answered.
    #[must_use]
    pub fn to_json(&self, now: Now) -> Value {
        let millis = |span: &Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let missing = |node: &Node| json!({ "id": node.id.to_string(), "name": node.name() });
        let done = |node: &Node| {
            json!({
                "id": node.id.to_string(),
                "name": node.name(),
                "after_ms": self.done.get(&node.id).map(millis),
                "lapsed": !node.has_applied(self.stand.incarnation, self.stand.position),
            })
        };
        json!({
            "id": self.id,
            "state": self.state(now),
            "scope": self.about.scope,
            "target": self.about.target,
            "reason": self.about.reason,
            "actor": self.actor,
            "requested_at": self.begun.seconds().to_string(),
            "as_of": as_of(self.receipt.position, self.begun),
            "position": self.receipt.position.0,
            "records": self.receipt.records.len(),
            "replicas": self.replicas,
            "in_force_after_ms": self.in_force.as_ref().map(millis),
            "compromise": self.compromise.as_ref().map(Compromise::to_json),
            "nodes": self.progress.as_ref().map(|progress| json!({
                "total": progress.confirmed.len() + progress.outstanding.len(),
                "confirmed": progress.confirmed.len(),
                "done": progress.confirmed.iter().map(done).collect::<Vec<_>>(),
                "outstanding": progress.outstanding.iter().map(missing).collect::<Vec<_>>(),
                "store_whole": progress.healed && !progress.lost,
            })),
        })
    }
}

impl Operations {
    /// Keeps an operation, or what is known of it by now.
    pub fn keep(&self, operation: Operation) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter_mut().find(|known| known.id == operation.id) {
            // Two may look at once, and what is known only grows.
            Some(known) if operation.reached < known.reached => known.recall(&operation),
            Some(known) => {
                let earlier = std::mem::replace(known, operation);
                known.recall(&earlier);
            }
            None => {
                if kept.len() >= MOST {
                    kept.pop_front();
                }
                kept.push_back(operation);
            }
        }
    }

    /// The operation with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Operation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|known| known.id == id).cloned()
    }

    /// The last `limit`, newest first.
    #[must_use]
    pub fn recent(&self, limit: usize) -> Vec<Operation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().take(limit).cloned().collect()
    }
}
