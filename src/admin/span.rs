//! The span of one request: what every line of the log about it says of it.
//!
//! | field | value |
//! |---|---|
//! | `method` | the request's |
//! | `route` | its row's path in the table of routes: never what stood for `{id}`, nor the query |
//! | `token` | the id of the token that was shown, once it is known; never the token |
//! | `status` | what was answered |

use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};
use warp::http::Method;
use warp::reply::Response;

use super::ask::Who;

/// Stands for what has no row, such as a method that a path has not got.
pub const NO_ROUTE: &str = "-";

/// A request whose span is open.
#[derive(Clone, Debug)]
pub struct Traced(Span);

impl Traced {
    /// Begins with what is known when a request comes.
    #[must_use]
    pub fn begin(method: &Method, route: &'static str) -> Self {
        let (method, token, status) = (known(method), Empty, Empty);
        Self(tracing::info_span!("admin_request", method, route, token, status))
    }

    /// Notes who asks.
    pub fn note(&self, who: &Who) {
        if let Some(id) = who.token_id() {
            self.0.record("token", display(id));
        }
    }

    /// Answers the request within the span, and says at the end what was answered.
    pub async fn answer(self, answer: impl Future<Output = Response>) -> Response {
        let response = answer.instrument(self.0.clone()).await;
        self.0.record("status", response.status().as_u16());
        self.0.in_scope(|| tracing::debug!("answered"));
        response
    }
}

/// A client may write anything for a method.
fn known(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
