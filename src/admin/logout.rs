//! `POST /backchannel-logout`: a provider's logout, at the endpoint. It is there where a provider was named.
//!
//! The logout token is what authenticates the request, so there is no bearer token. `Host` and `Origin` are looked at as
//! everywhere here. What a good token wants is written down before it is done; refusals are written as those of
//! anybody unknown, some of them counted only.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use warp::filters::BoxedFilter;
use warp::filters::path::Peek;
use warp::reply::Response;
use warp::{Buf, Filter, Stream};

use crate::backchannel::{Failure, Receiver, Refusal, answer, token};
use crate::io::task::{self, within};

use super::answer::{guard, refusal};
use super::ask::{About, Who};
use super::audit::{Entry, Event};
use super::guard::Need;
use super::incoming::{Incoming, PATIENCE, incoming};
use super::problem::{Kind, Problem};
use super::service::Service;
use super::span::Traced;

const ACTION: &str = "backchannel_logout";
const PATH: &str = "/backchannel-logout";
/// When an audit that cannot be written is worth trying again.
const RETRY: Duration = Duration::from_secs(5);

/// The route.
pub fn route(service: Arc<Service>, receiver: Receiver) -> BoxedFilter<(Response,)> {
    let is_here =
        |path: Peek| async move { if path.as_str() == &PATH[1..] { Ok(()) } else { Err(warp::reject::not_found()) } };
    let serve = move |incoming: Incoming, body| {
        let (service, receiver) = (service.clone(), receiver.clone());
        async move {
            let traced = Traced::begin(&incoming.method, PATH);
            let mut response = traced.clone().answer(service.log_out(receiver, incoming, body, &traced)).await;
            guard(response.headers_mut());
            response
        }
    };
    let here = warp::path::peek().and_then(is_here).untuple_one();
    here.and(incoming()).and(warp::body::stream()).then(serve).boxed()
}

impl Service {
    async fn log_out(
        self: Arc<Self>,
        receiver: Receiver,
        incoming: Incoming,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
        traced: &Traced,
    ) -> Response {
        let who = match self.admit(ACTION, Need::Nothing, &incoming, traced).await {
            Err(problem) => return refusal(&problem),
            Ok(_) if incoming.method != warp::http::Method::POST => {
                let detail = "This is there for POST";
                return refusal(&Problem::new(Kind::MethodNotAllowed, detail).allowing("POST".to_owned()));
            }
            Ok(who) => who,
        };
        let found = within(PATIENCE, token(&incoming.headers, body)).await.unwrap_or(Err(Refusal::NoToken));
        let judged = match found {
            Ok(token) => receiver.judge(token.as_bytes()).await,
            Err(refusal) => Err(receiver.refuse(refusal)),
        };
        let wanted = match judged {
            Ok(wanted) => wanted,
            Err(failure) => {
                self.written.refusal(ended(&who, Event::Refused, &failure, About::default()), None).await;
                return answer(&Err(failure));
            }
        };
        let (scope, target) = (Some(format!("provider {}", wanted.scope)), Some(wanted.tag.to_string()));
        let about = About { scope, target, ..About::default() };
        let entry = who.entry(Event::Attempt, ACTION, about.clone());
        let Ok(attempt) = self.written.note(entry).await else {
            return answer(&Err(Failure::Unavailable { retry_after: RETRY }));
        };
        // To its end, whether or not the provider waits for it.
        let done = task::to_its_end(async move {
            let outcome = receiver.act(wanted).await;
            let entry = match &outcome {
                Ok(receipt) => {
                    let about = About { result: Some(receipt.durability.name().to_owned()), ..about };
                    Entry { status: Some(200), ..who.entry(Event::Outcome, ACTION, about) }
                }
                Err(failure) => ended(&who, Event::Outcome, failure, about),
            };
            if let Err(problem) = self.written.note(Entry { of: Some(attempt), ..entry }).await {
                let detail = problem.more.detail;
                tracing::error!(attempt, detail, "how this attempt ended could not be written down");
            }
            outcome.map(|_| ())
        });
        let stopped = |_| Err(Failure::Unavailable { retry_after: RETRY });
        answer(&done.await.unwrap_or_else(stopped))
    }
}

/// A record of what did not come about.
fn ended(who: &Who, event: Event, failure: &Failure, about: About) -> Entry {
    let (status, result) = match failure {
        Failure::Refused(refusal) => (400, refusal.code()),
        Failure::Unavailable { .. } => (503, "not_kept"),
    };
    Entry { status: Some(status), ..who.entry(event, ACTION, About { result: Some(result.to_owned()), ..about }) }
}

/// Adds the route to the OpenAPI document.
pub fn describe(document: &mut Value) {
    let answer = |about: &str, kinds: &[(&str, Value)]| {
        let content: serde_json::Map<_, _> =
            kinds.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
        json!({ "description": about, "content": content })
    };
    let problem = ("application/problem+json", json!({ "$ref": "#/components/schemas/Problem" }));
    let error = ("application/json", json!({ "type": "object", "required": ["error", "error_description"] }));
    document["paths"][PATH] = json!({ "post": {
        "operationId": ACTION,
        "summary": "OpenID Connect Back-Channel Logout 1.0: the provider's logout ends sessions here.",
        "security": [],
        "parameters": [],
        "requestBody": { "required": true, "content": { "application/x-www-form-urlencoded": { "schema": {
            "type": "object",
            "required": ["logout_token"],
            "properties": { "logout_token": { "type": "string", "description": "A signed logout token (section 2.4)." } },
        } } } },
        "responses": {
            "200": { "description": "The cut-off is committed." },
            "400": answer("The token is refused. Or: no usable Host.", &[error.clone(), problem.clone()]),
            "403": answer(Kind::ForeignOrigin.title(), std::slice::from_ref(&problem)),
            "421": answer(Kind::ForeignHost.title(), std::slice::from_ref(&problem)),
            "503": answer("Not kept; the provider may send it again.", &[error]),
        },
    } });
}
