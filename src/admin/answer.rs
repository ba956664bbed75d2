//! What is answered, and the fields that every answer carries.

use serde_json::Value;
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response};

use crate::io::stream::Lines;

use super::console::Page;
use super::problem::Problem;

/// An answer that is whole at once; it can be given again.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// Where the thing is that was made, below the place where the routes are mounted.
    pub location: Option<String>,
}

impl Told {
    /// 200 with this body.
    #[must_use]
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body, location: None }
    }
}

/// Any answer.
pub enum Answer {
    /// One that is whole.
    Told(Told),
    /// Server-sent events, as they happen.
    Events(Lines),
    /// Metrics, in the text format of Prometheus.
    Metrics(String),
    /// The console.
    Page(&'static Page),
}

/// The answer as a response. `prefix` is where the routes are mounted.
pub fn response(answer: Answer, prefix: &str) -> Response {
    match answer {
        Answer::Told(Told { status, body, location }) => {
            let mut response = json(status, "application/json", &body);
            if let Some(location) =
                location.and_then(|location| HeaderValue::try_from([prefix, &location].concat()).ok())
            {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        Answer::Events(lines) => {
            let mut response = warp::reply::stream(lines).into_response();
            guard(response.headers_mut());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            response
        }
        Answer::Metrics(text) => {
            let mut response = text.into_response();
            guard(response.headers_mut());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(crate::metrics::CONTENT_TYPE));
            response
        }
        Answer::Page(Page { html, policy }) => {
            let mut response = html.as_str().into_response();
            guard(response.headers_mut());
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy.clone());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            response
        }
    }
}

/// A problem as a response.
#[must_use]
pub fn refusal(problem: &Problem) -> Response {
    let mut response = json(problem.kind.status(), "application/problem+json", &problem.to_json());
    let fields = [
        (WWW_AUTHENTICATE, problem.more.challenge.clone()),
        (ALLOW, problem.more.allow.clone()),
        (RETRY_AFTER, problem.retry_seconds().map(|seconds| seconds.to_string())),
    ];
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn json(status: u16, kind: &'static str, body: &Value) -> Response {
    let mut response = body.to_string().into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    guard(response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Nothing is kept, guessed, framed or told to others.
pub fn guard(headers: &mut HeaderMap) {
    for (name, value) in GUARD {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

const GUARD: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
