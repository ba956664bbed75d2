//! `/v1/events`: what changes, as it changes, as server-sent events (WHATWG HTML, section 9.2).
//!
//! | event | data | when |
//! |---|---|---|
//! | `hello` | records, position | first |
//! | `revocations` | the new rows, 100 at most; `more` counts the others; `whole` asks to read again | at once |
//! | `nodes` | as `GET /v1/nodes` | when they differ, once a second at most |
//! | `operation` | as `GET /v1/operations/{id}` | when it has come further |
//! | `store` | `away` and why; `back` | when it changes |
//!
//! Nothing is kept for a client that was away: after connecting again it reads what it shows, as every doubt
//! about the list is answered by reading it again. A reader that is too slow is cut off, and so is one whose token is
//! taken back or ends, a second later at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::Span;

use crate::error::Error;
use crate::io::stream::{Lines, Writer, lines};
use crate::io::task;
use crate::operator::Operator;
use crate::revocation::Beat;
use crate::time::Now;

use super::operations::Operations;
use super::rows::{self, Row};
use super::scope::Scope;
use super::token::TokenId;
use super::tokens::TokenFile;

/// How many may listen.
const MOST: usize = 32;
/// Rows of one event.
const ROWS: usize = 100;
/// Between two looks while an operation is on its way.
const SOON: Duration = Duration::from_millis(100);
/// Between two looks otherwise, two events about nodes, and two looks at the tokens.
const SECOND: Duration = Duration::from_secs(1);
/// How many of the last operations are watched.
const RECENT: usize = 20;
/// Shows who is gone, and keeps proxies from cutting the line.
const COMMENT: &str = ":\n\n";

/// Who listens. One task looks for all of them, while there is one, and another looks at their tokens: however long the
/// store takes to answer, a token that was taken back hears nothing more.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Listeners>>);

#[derive(Default)]
struct Listeners {
    writers: Vec<(Option<TokenId>, Writer)>,
    running: bool,
    guarded: bool,
    closed: bool,
}

impl Events {
    /// Listens with a token of this file; nothing if too many do, or it is closed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn listen(
        &self,
        operator: &Arc<Operator>,
        operations: &Arc<Operations>,
        tokens: &Arc<TokenFile>,
        whose: Option<TokenId>,
    ) -> Option<Lines> {
        let (writer, reader) = lines();
        let view = operator.view();
        let hello = json!({ "records": view.list.len(), "position": view.lower_bound().0 });
        let greeted = writer.write(format!("retry: 2000\n{}", event("hello", &hello)));
        let mut listeners = self.held();
        if listeners.closed || listeners.writers.len() >= MOST || !greeted {
            return None;
        }
        listeners.writers.push((whose, writer));
        if !std::mem::replace(&mut listeners.guarded, true) {
            task::start(span("tokens"), self.clone().guard(tokens.clone(), operator.clone()));
        }
        if !std::mem::replace(&mut listeners.running, true) {
            let (operator, operations, events) = (operator.clone(), operations.clone(), self.clone());
            let (away, looked, nodes, known) = (false, None, Value::Null, HashMap::new());
            let watch = Watch { operator, operations, events, away, looked, nodes, known };
            task::start(span("changes"), watch.run());
        }
        Some(reader)
    }

    /// Tells what a beat has brought.
    pub fn news(&self, beat: &Beat, now: Now) {
        if beat.records.is_empty() && !beat.whole {
            return;
        }
        let told = beat.records.iter().filter(|_| !beat.whole).take(ROWS);
        let rows: Vec<_> = told.map(|record| Row::of(record, now)).collect();
        let more = if beat.whole { 0 } else { beat.records.len() - rows.len() };
        let data = json!({ "position": beat.position.0, "whole": beat.whole, "revocations": rows, "more": more });
        let piece = event("revocations", &data);
        self.held().writers.retain(|(_, writer)| writer.write(piece.clone()));
    }

    /// Ends every stream, and lets nobody listen any more: for the end of a program.
    pub fn close(&self) {
        let mut listeners = self.held();
        listeners.closed = true;
        listeners.writers.clear();
    }

    /// Ends the streams of tokens that open them no longer, while anybody listens.
    async fn guard(self, tokens: Arc<TokenFile>, operator: Arc<Operator>) {
        loop {
            task::pause(SECOND).await;
            let tokens = tokens.clone();
            // Tokens that cannot be read let nobody in, and keep nobody in.
            let book = task::blocking(move || tokens.current()).await.unwrap_or_else(|error| {
                tracing::error!(%error, "every stream of events is ended");
                Arc::default()
            });
            let now = operator.now().seconds();
            let opens = |id| book.current(id, now).is_some_and(|token| token.scopes.allow(Scope::Read));
            let mut listeners = self.held();
            listeners.writers.retain(|(whose, _)| whose.is_some_and(opens));
            listeners.guarded = !listeners.writers.is_empty();
            if !listeners.guarded {
                return;
            }
        }
    }

    /// Tells everybody; whoever cannot hear is dropped. Says whether anybody is left.
    fn tell(&self, pieces: &[String]) -> bool {
        let mut listeners = self.held();
        for piece in pieces {
            listeners.writers.retain(|(_, writer)| writer.write(piece.clone()));
        }
        listeners.running = !listeners.writers.is_empty();
        listeners.running
    }

    fn held(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a task that looks at `what` for everybody who listens: it outlives the request that began it.
fn span(what: &'static str) -> Span {
    tracing::info_span!(parent: None, "admin_events", what)
}

fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// Looks at nodes and operations for those who listen.
struct Watch {
    operator: Arc<Operator>,
    operations: Arc<Operations>,
    events: Events,
    away: bool,
    looked: Option<Duration>,
    nodes: Value,
    known: HashMap<String, Value>,
}

impl Watch {
    async fn run(mut self) {
        loop {
            let (mut pieces, mut wait) = (Vec::new(), SECOND);
            let looked = self.look(&mut pieces, &mut wait).await;
            let was_away = std::mem::replace(&mut self.away, looked.is_err());
            match looked {
                Ok(()) if was_away => pieces.push(event("store", &json!({ "state": "back" }))),
                Ok(()) => {}
                Err(error) => {
                    wait = SECOND;
                    let data = json!({ "state": "away", "problem": error.to_string() });
                    pieces.push(if was_away { COMMENT.to_owned() } else { event("store", &data) });
                }
            }
            if !self.events.tell(&pieces) {
                return;
            }
            task::pause(wait).await;
        }
    }

    async fn look(&mut self, pieces: &mut Vec<String>, wait: &mut Duration) -> Result<(), Error> {
        let now = self.operator.now();
        for mut operation in self.operations.recent(RECENT).into_iter().filter(|operation| operation.is_open(now)) {
            operation.look(&self.operator).await?;
            *wait = SOON;
            self.operations.keep(operation);
        }
        let told = self.operations.recent(RECENT);
        self.known.retain(|id, _| told.iter().any(|operation| operation.id == *id));
        for operation in told {
            let value = operation.to_json(now);
            if self.known.insert(operation.id.clone(), value.clone()) != Some(value.clone()) {
                pieces.push(event("operation", &value));
            }
        }
        if self.looked.is_none_or(|looked| now.boot.saturating_sub(looked) >= SECOND) {
            self.looked = Some(now.boot);
            let all = self.operator.nodes().await?;
            let nodes: Vec<_> = all.nodes.iter().map(|node| rows::node(node, &all)).collect();
            let value = json!({ "healed": all.healed, "incarnation": all.incarnation.to_string(), "nodes": nodes });
            pieces.push(if self.nodes == value { COMMENT.to_owned() } else { event("nodes", &value) });
            self.nodes = value;
        }
        Ok(())
    }
}
