//! The warp face: `sessions.open()`, `sessions.require()`, `session.reply(..)`, and what to recover with.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;

use warp::filters::path::FullPath;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, HeaderValue, RETRY_AFTER, SET_COOKIE, VARY};
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use crate::error::Error;
use crate::metrics;
use crate::session::{Payload, Request, Session, Stamp};
use crate::sessions::Sessions;
use crate::verdict::Verdict;

/// Seconds after which a client may try again while the list is out of reach.
const RETRY_SECONDS: u16 = 2;

impl<T: Payload> Sessions<T> {
    /// A filter that opens the session of a request. It never rejects: a session that is not there is
    /// empty, and its verdict says why.
    ///
    /// ```
    /// # use warp::Filter; use sealjar::{Session, Sessions};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)] struct Visitor { name: String }
    /// # fn routes(sessions: &Sessions<Visitor>) -> warp::filters::BoxedFilter<(warp::reply::Response,)> {
    /// warp::path("me").and(sessions.open()).map(|session: Session<Visitor>| {
    ///     let name = session.get().name.clone();
    ///     session.reply(format!("hello {name}"))
    /// })
    /// # .boxed() }
    /// ```
    #[must_use]
    pub fn open(&self) -> impl Filter<Extract = (Session<T>,), Error = Infallible> + Clone + Send + Sync + use<T> {
        let sessions = self.clone();
        request().then(move |route: Route, headers: HeaderMap| {
            let sessions = sessions.clone();
            async move { begin(&sessions, &route, &headers).await }
        })
    }

    /// A filter that lets only live sessions through, and rejects with [`NoSession`] otherwise.
    ///
    /// Follow it with a `recover`: [`recover_json`], or [`recover_to`] a login page. Without one, warp
    /// answers 500.
    #[must_use]
    pub fn require(&self) -> impl Filter<Extract = (Session<T>,), Error = Rejection> + Clone + Send + Sync + use<T> {
        self.open().and_then(|session: Session<T>| async move {
            let verdict = session.verdict();
            if verdict.is_live() {
                return Ok(session);
            }
            let stamp = session.commit().unwrap_or(Stamp::Nothing);
            Err(warp::reject::custom(NoSession { verdict, stamp }))
        })
    }
}

impl<T: Payload> Sessions<T> {
    /// A filter that answers with [`Sessions::metrics`]. Put it behind a path of your choice that only
    /// monitoring can reach.
    ///
    /// ```
    /// # use warp::Filter; use sealjar::Sessions;
    /// # fn routes(sessions: &Sessions<u32>) -> warp::filters::BoxedFilter<(warp::reply::Response,)> {
    /// warp::path("metrics").and(warp::get()).and(sessions.metrics_page())
    /// # .boxed() }
    /// ```
    #[must_use]
    pub fn metrics_page(
        &self,
    ) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + use<T> {
        let sessions = self.clone();
        warp::any().map(move || {
            let mut response = sessions.metrics().into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
            response
        })
    }
}

impl<T: Payload> Session<T> {
    /// Answers with `reply`, and stamps it with what became of the session: `Set-Cookie`,
    /// `Cache-Control: no-store`, `Vary: Cookie`. Other headers of the reply stay as they are.
    ///
    /// Make the call first and the reply of its outcome then: `let said = s.logout().await; s.reply(said)`.
    /// A page with personal content that sets no cookie gets `Vary: Cookie` only; whether caches may keep
    /// it is the app's to say.
    ///
    /// Takes the session, so nothing can be changed after it was sealed. If it cannot be sealed (it has
    /// grown too large), the answer is 500 and the reason is in the log; if the revocation list is out of
    /// reach, it is 503 and the client keeps its cookie.
    pub fn reply(self, reply: impl Reply) -> Response {
        match self.commit() {
            Ok(stamp) => stamp_reply(stamp, reply),
            Err(error) => vary(error.into_response()),
        }
    }
}

/// Rejected by [`Sessions::require`]: there is no live session.
///
/// # Security
///
/// The verdict is for the operator; the ready-made replies do not show it to the client.
pub struct NoSession {
    verdict: Verdict,
    stamp: Stamp,
}

impl NoSession {
    /// Why there is none.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Stamps a reply of one's own: the headers that a refused session needs, 503 if the list is out of reach.
    pub fn reply(&self, reply: impl Reply) -> Response {
        stamp_reply(self.stamp.clone(), reply)
    }
}

/// warp shows this to the client where nobody recovers, so it tells the developer what to do and nothing else.
impl fmt::Debug for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no session; the route lacks .recover(sealjar::warp::recover_json)")
    }
}

impl warp::reject::Reject for NoSession {}

/// Recovers from [`NoSession`] with 401 and `{"error":"no_session"}`; 503 if the list is out of reach.
///
/// ```
/// # use warp::Filter; use sealjar::{Session, Sessions};
/// # fn routes(sessions: &Sessions<u32>) -> warp::filters::BoxedFilter<(warp::reply::Response,)> {
/// warp::path("account").and(sessions.require())
///     .map(|session: Session<u32>| session.reply("yours"))
///     .recover(sealjar::warp::recover_json)
/// # .unify().boxed() }
/// ```
///
/// # Errors
///
/// Passes every other rejection on.
#[allow(clippy::unused_async, reason = "warp's `recover` wants a future")]
pub async fn recover_json(rejection: Rejection) -> Result<Response, Rejection> {
    match rejection.find::<NoSession>() {
        Some(none) => Ok(none.reply(error_json(StatusCode::UNAUTHORIZED, "no_session"))),
        None => Err(rejection),
    }
}

/// Recovers from [`NoSession`] with 303 to a login page; 503 if the list is out of reach.
///
/// # Panics
///
/// When `page` is not the text of a `Location` header.
pub fn recover_to(
    page: &str,
) -> impl Fn(Rejection) -> std::pin::Pin<Box<dyn Future<Output = Result<Response, Rejection>> + Send>> + Clone + use<> {
    let page = HeaderValue::from_str(page).expect("a login page's address has only visible ASCII");
    move |rejection| {
        let page = page.clone();
        Box::pin(async move {
            let Some(none) = rejection.find::<NoSession>() else { return Err(rejection) };
            let see_other = warp::reply::with_status(warp::reply::reply(), StatusCode::SEE_OTHER);
            Ok(none.reply(warp::reply::with_header(see_other, "location", page)))
        })
    }
}

/// So that a handler can answer with the `Result` of a session call. The client learns that something
/// failed and whether to try again; the sentence is in the log.
impl Reply for Error {
    fn into_response(self) -> Response {
        tracing::error!(error = %self, "a session call failed");
        match self {
            Self::Store { .. } => retry_later(),
            Self::Superseded => error_json(StatusCode::CONFLICT, "superseded"),
            _ => error_json(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

struct Route(Method, FullPath);

/// warp gives single headers by name only as their first value, and HTTP/2 splits `Cookie` over several.
fn request() -> impl Filter<Extract = (Route, HeaderMap), Error = Infallible> + Clone {
    warp::method().and(warp::path::full()).map(Route).and(warp::header::headers_cloned())
}

async fn begin<T: Payload>(sessions: &Sessions<T>, route: &Route, headers: &HeaderMap) -> Session<T> {
    let route = [route.0.as_str(), " ", route.1.as_str()].concat();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    sessions.begin(cookies, Request { route: Some(&route), host }).await
}

fn stamp_reply(stamp: Stamp, reply: impl Reply) -> Response {
    match stamp {
        Stamp::Nothing => vary(reply.into_response()),
        Stamp::Unavailable => vary(retry_later()),
        Stamp::SetCookie(lines) => {
            let mut response = vary(reply.into_response());
            for line in lines {
                // Our own lines are visible ASCII; the builder saw to that.
                if let Ok(line) = HeaderValue::from_str(&line) {
                    response.headers_mut().append(SET_COOKIE, line);
                }
            }
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    }
}

fn vary(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let says = |value: &HeaderValue| {
        let names = value.to_str().unwrap_or_default();
        names.split(',').any(|name| name.trim().eq_ignore_ascii_case("cookie") || name.trim() == "*")
    };
    if !headers.get_all(VARY).iter().any(says) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    response
}

fn retry_later() -> Response {
    let mut response = error_json(StatusCode::SERVICE_UNAVAILABLE, "try_again");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    response
}

fn error_json(status: StatusCode, error: &'static str) -> Response {
    let body = warp::reply::json(&serde_json::json!({ "error": error }));
    warp::reply::with_status(body, status).into_response()
}
