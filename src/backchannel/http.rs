//! The route: a form in, one of three answers out.

use std::future::poll_fn;
use std::pin::pin;

use serde_json::json;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response};
use warp::{Buf, Filter, Rejection, Stream};

use crate::error::Error;
use crate::logout_token::Refusal;

use super::Provider;
use super::list::LogoutList;
use super::receiver::{Failure, Receiver};

/// The most that a request may have, in bytes: a token in percent encoding and what else a form may hold.
const MAX_BODY: usize = 64 * 1024;
/// The form's field (section 2.5).
const FIELD: &str = "logout_token";

/// `POST /backchannel-logout`, for the logout tokens of one provider. It opens no session and takes no cookie; the token is
/// what authenticates the request. The list may be that of the app's own sessions, or one that an
/// [`Operator`](crate::operator::Operator) has open, in an `Arc`.
///
/// # Errors
///
/// [`Error::Config`], with what to write instead.
pub fn route<L: LogoutList + Clone>(
    list: &L,
    provider: Provider,
) -> Result<impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + use<L>, Error> {
    let receiver = Receiver::new(list.clone(), provider)?;
    Ok(warp::path!("backchannel-logout").and(receive(receiver)))
}

/// The same at a path of one's own: `warp::path!("logout" / "from-acme").and(receive(receiver))`.
#[must_use]
pub fn receive(
    receiver: Receiver,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + use<> {
    let body = warp::header::headers_cloned().and(warp::body::stream());
    warp::post().and(body).then(move |headers: HeaderMap, body| {
        let receiver = receiver.clone();
        async move {
            let outcome = match token(&headers, body).await {
                Ok(token) => receiver.receive(token.as_bytes()).await.map(|_| ()),
                Err(refusal) => Err(receiver.refuse(refusal)),
            };
            answer(&outcome)
        }
    })
}

/// The one `logout_token` of a form; other fields are ignored (section 2.5).
pub(crate) async fn token(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<String, Refusal> {
    if !is_form(headers) {
        return Err(Refusal::NoToken);
    }
    let body = read(body).await?;
    let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == FIELD);
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) if !token.is_empty() => Ok(token.into_owned()),
        _ => Err(Refusal::NoToken),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default();
    named.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// As it comes, because not every provider says how long it is; no further than it may go.
async fn read(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Vec<u8>, Refusal> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(part) = poll_fn(|context| body.as_mut().poll_next(context)).await {
        let mut part = part.map_err(|_| Refusal::NoToken)?;
        if bytes.len() + part.remaining() > MAX_BODY {
            return Err(Refusal::TooLarge);
        }
        while part.has_remaining() {
            let length = {
                let chunk = part.chunk();
                bytes.extend_from_slice(chunk);
                chunk.len()
            };
            part.advance(length);
        }
    }
    Ok(bytes)
}

/// Section 2.8, but for 503; and no cache keeps any of them.
pub(crate) fn answer(outcome: &Result<(), Failure>) -> Response {
    let mut response = match outcome {
        Ok(()) => warp::reply::reply().into_response(),
        Err(Failure::Refused(refusal)) => error(StatusCode::BAD_REQUEST, "invalid_request", refusal.cause()),
        Err(Failure::Unavailable { retry_after }) => {
            let said = "The logout could not be kept just now. Send it again.";
            let mut response = error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", said);
            // Whole seconds, rounded up: sooner is too early.
            let seconds = u64::try_from(retry_after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn error(status: StatusCode, error: &str, description: &str) -> Response {
    let body = warp::reply::json(&json!({ "error": error, "error_description": description }));
    warp::reply::with_status(body, status).into_response()
}
