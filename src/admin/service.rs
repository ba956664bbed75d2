//! One request from its arrival to its answer: guarded, read, judged, written down, done.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use warp::reply::Response;
use warp::{Buf, Stream};

use crate::counters::Propagation;
use crate::io::place::ListPlace;
use crate::io::stream::Lines;
use crate::io::task;
use crate::operator::Operator;
use crate::quota::Seldom;
use crate::time::Clock;

use super::answer::{Answer, Told, refusal, response};
use super::ask::{About, Ask, Step, Who, query};
use super::audit::{Entry, Event};
use super::events::Events;
use super::guard::{Need, Refusal, Site, decide};
use super::incoming::Incoming;
use super::limiter::{Limiter, Source};
use super::once::{self, Once, Turnover, Turns};
use super::operations::Operations;
use super::problem::{Kind, Problem};
use super::route::{Change, Found, Route};
use super::span::{NO_ROUTE, Traced};
use super::tokens::TokenFile;
use super::trail::Trail;
use super::written::Written;

/// What the endpoint keeps.
pub struct Service {
    pub(super) operator: Arc<Operator>,
    pub(super) operations: Arc<Operations>,
    /// Where a lost list may be made anew.
    pub(super) place: Option<ListPlace>,
    pub(super) events: Events,
    pub(super) written: Written,
    /// Why it is not ready, in the log: anybody may ask.
    pub(super) not_ready: Seldom,
    /// Why nobody is let in.
    locked: Seldom,
    /// How long what others publish is on its way to this process.
    pub(super) propagation: Arc<Propagation>,
    /// Receives a provider's logouts, where one was named.
    #[cfg(feature = "backchannel")]
    pub(super) logouts: std::sync::OnceLock<crate::backchannel::Receiver>,
    clock: Clock,
    tokens: Arc<TokenFile>,
    site: Site,
    once: Turns,
    limiter: Mutex<Limiter>,
}

impl Service {
    /// Over this list, with tokens and audit in this home.
    #[must_use]
    pub fn new(operator: Operator, place: Option<ListPlace>, home: &Path, site: Site) -> Self {
        let (clock, events) = (operator.clock().clone(), Events::default());
        let (listeners, now) = (events.clone(), clock.clone());
        let propagation = Arc::<Propagation>::default();
        let arrived = propagation.clone();
        operator.keep_following(move |beat, travelled| {
            travelled.iter().for_each(|took| arrived.observe(*took));
            listeners.news(beat, now.now());
        });
        Self {
            operator: Arc::new(operator),
            operations: Arc::default(),
            place,
            events,
            written: Written::new(Trail::in_home(home), clock.clone()),
            not_ready: Seldom::default(),
            locked: Seldom::default(),
            propagation,
            #[cfg(feature = "backchannel")]
            logouts: std::sync::OnceLock::new(),
            clock,
            tokens: Arc::new(TokenFile::in_home(home)),
            site,
            once: Turns::default(),
            limiter: Mutex::default(),
        }
    }

    /// Listens to what changes; nothing if too many do.
    pub(super) fn listen(&self, who: &Who) -> Option<Lines> {
        self.events.listen(&self.operator, &self.operations, &self.tokens, who.token_id())
    }

    /// Ends every stream of events, and stops following the list.
    pub async fn close(&self) {
        self.events.close();
        self.operator.leave().await;
    }

    /// Answers a request for something that is here.
    pub async fn serve(
        self: Arc<Self>,
        found: Found,
        incoming: Incoming,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    ) -> Response {
        let route = if let Found::Route(route, _) = &found { route.path } else { NO_ROUTE };
        let traced = Traced::begin(&incoming.method, route);
        let answered = async {
            match self.answer(found, &incoming, body, &traced).await {
                Ok(answer) => response(answer, &incoming.prefix),
                Err(problem) => refusal(&problem),
            }
        };
        traced.clone().answer(answered).await
    }

    async fn answer(
        self: &Arc<Self>,
        found: Found,
        incoming: &Incoming,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
        traced: &Traced,
    ) -> Result<Answer, Problem> {
        let (route, id) = match found {
            Found::Route(route, id) => (route, id),
            Found::OtherMethods(allow) => {
                self.admit("other", Need::Nothing, incoming, traced).await?;
                let detail = format!("This is there for {allow}");
                return Err(Problem::new(Kind::MethodNotAllowed, detail).allowing(allow));
            }
            Found::Nothing => return Err(Problem::new(Kind::NotFound, "/openapi.json lists what is here")),
        };
        let who = self.admit(route.id, route.need, incoming, traced).await?;
        let judged = self.judge(route, id, incoming, body, who.clone()).await;
        match judged {
            Ok((_, Step::Answered { answer, about })) => {
                let entry = who.entry(Event::Read, route.id, about);
                if route.is_written {
                    self.written.looked(entry, who.token_id()).await?;
                } else {
                    self.written.actions().count(&entry);
                }
                Ok(answer)
            }
            Ok((ask, Step::Change { about, change })) => self.change(route, incoming, ask, about, change).await,
            Err(problem) => {
                self.refused(route.id, who, &problem).await;
                Err(problem)
            }
        }
    }

    /// The guard. Whoever brings a wrong token too often is told to wait.
    pub(super) async fn admit(
        &self,
        action: &'static str,
        need: Need,
        incoming: &Incoming,
        traced: &Traced,
    ) -> Result<Who, Problem> {
        let book = match need {
            Need::Nothing => Arc::default(),
            Need::OneOf(_) => {
                let tokens = self.tokens.clone();
                task::blocking(move || tokens.current()).await.map_err(|error| {
                    if let Some(skipped) = self.locked.say(self.clock.now()).map(NonZeroU64::new) {
                        tracing::error!(%error, skipped, "the admin endpoint lets nobody in");
                    }
                    Problem::new(Kind::Internal, "The tokens cannot be read, so nobody is let in; the log says why")
                })?
            }
        };
        let now = self.clock.now();
        let (refusal, token) = match decide(&self.site, &incoming.asked(), need, &book, now.seconds()) {
            Ok(token) => (None, token),
            Err((refusal, token)) => (Some(refusal), token),
        };
        let who = Who::of(token, incoming.peer);
        traced.note(&who);
        let Some(refusal) = refusal else { return Ok(who) };
        let source = Source::of(incoming.peer);
        let problem = match refusal {
            Refusal::WrongToken => {
                match self.limiter.lock().unwrap_or_else(PoisonError::into_inner).fail(source, now) {
                    Ok(()) => Refusal::WrongToken,
                    Err(wait) => Refusal::TooMany(wait),
                }
            }
            other => other,
        };
        let problem = Problem::from(problem);
        self.refused(action, who, &problem).await;
        Err(problem)
    }

    async fn judge(
        &self,
        route: &'static Route,
        id: Option<String>,
        incoming: &Incoming,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
        who: Who,
    ) -> Result<(Ask, Step), Problem> {
        let known: Vec<_> = route.query.iter().map(|field| field.name).collect();
        let query = query(incoming.query.clone(), &known)?;
        let body = if route.body.is_some() { incoming.json(body).await? } else { Vec::new() };
        let ask = Ask { prefix: incoming.prefix.clone(), id, query, body, who };
        if route.changes {
            // Also where nothing is changed after all: a key that is none is told at the first try.
            once::key(incoming)?;
        }
        let step = (route.call)(self, &ask).await?;
        Ok((ask, step))
    }

    /// Makes a change, once for each key; to its end, whether or not the client waits for it.
    async fn change(
        self: &Arc<Self>,
        route: &'static Route,
        incoming: &Incoming,
        ask: Ask,
        about: About,
        change: Change,
    ) -> Result<Answer, Problem> {
        let who = ask.who.clone();
        match self.once.turn(route.id, incoming, &ask, self.clock.now()) {
            Ok(Once::First(turn)) => {
                let service = self.clone();
                let made = async move { service.make(route.id, who, about, change, turn).await };
                task::to_its_end(made).await?.map(Answer::Told)
            }
            Ok(Once::Again(told)) => {
                let about = About { result: Some("answered again".into()), ..about };
                self.written.looked(who.entry(Event::Read, route.id, about), who.token_id()).await?;
                Ok(Answer::Told(told))
            }
            Err(problem) => {
                let problem = problem.about(&about);
                self.refused(route.id, who, &problem).await;
                Err(problem)
            }
        }
    }

    /// Nothing is changed that was not written down before.
    async fn make(
        &self,
        action: &'static str,
        who: Who,
        about: About,
        change: Change,
        turn: Turnover,
    ) -> Result<Told, Problem> {
        let attempt = self.written.note(who.entry(Event::Attempt, action, about.clone())).await?;
        let outcome = change.await;
        let (status, result) = match &outcome {
            Ok(changed) => (changed.told.status, changed.result.clone()),
            Err(problem) => (problem.kind.status(), problem.kind.name().to_owned()),
        };
        let about = About { result: Some(result), ..about };
        let entry = Entry { of: Some(attempt), status: Some(status), ..who.entry(Event::Outcome, action, about) };
        if let Err(problem) = self.written.note(entry).await {
            tracing::error!(attempt, detail = problem.more.detail, "how this attempt ended could not be written down");
        }
        let told = outcome?.told;
        turn.done(told.clone(), self.clock.now());
        Ok(told)
    }

    async fn refused(&self, action: &'static str, who: Who, problem: &Problem) {
        let about = problem.more.about.clone().unwrap_or_default();
        let about = About { result: Some(problem.kind.name().into()), ..about };
        let entry = Entry { status: Some(problem.kind.status()), ..who.entry(Event::Refused, action, about) };
        self.written.refusal(entry, who.token_id()).await;
    }
}
