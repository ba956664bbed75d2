//! The admin endpoint: what an operator does over HTTP, guarded, and written down.
//!
//! `sealjar admin` serves it. An app may serve it as well, beside its own routes or below a path:
//!
//! ```no_run
//! # #[cfg(feature = "sqlite")] mod app {
//! use sealjar::admin::{Admin, guard::Site, routes};
//! use sealjar::io::{folder::KeyFolder, place::ListPlace};
//! use sealjar::operator::Operator;
//! use sealjar::time::Clock;
//! use warp::Filter;
//!
//! # async fn serve() -> Result<(), sealjar::Error> {
//! let place = ListPlace::parse("sqlite:list.db")?;
//! let operator = Operator::open(&place, KeyFolder::new("keys"), Some("shop"), Clock::system()).await?;
//! let site = Site::new(["admin.example.org"], true);     // a proxy in front of it speaks TLS
//! let admin = Admin::new(operator, Some(place), ".".as_ref(), site);
//! let below = warp::path("ops").and(routes(&admin));       // tokens.json and audit.jsonl are in "."
//! # let _ = below;
//! # Ok(()) } }
//! ```
//!
//! ```text
//!  request ─► route ─► Host, Origin ─► token, scope ─► body ─► judged ─► written down ─► done ─► written down ─► answer
//!               │            │               │           │        │
//!               404       421, 403     401, 429, 403  413, 415   4xx         all but the 404 are in the audit
//! ```
//!
//! # What it does not do
//!
//! - Honour a cookie, or answer another site (no CORS).
//! - Make requests to addresses that a request names.
//! - Take a revocation back: the list only grows, and a mistake is repaired by logging in again.
//! - Speak TLS: the server that serves the routes does, as `sealjar admin` can, or a proxy in front of it.
//!
//! # Security
//!
//! Bearer tokens of 256 random bits, kept as hashes ([`token`]). Whoever has one may do what its scopes
//! say, whoever writes to the home can make one. See [`guard`] for what keeps browsers out, and
//! [`audit`] for what is written down.
//!
//! # Consistency
//!
//! An answer never says more than is known: `committed` is in the list, `in_force` is applied by every node
//! or past its lease ([`operations`]). Idempotency keys and operations are in the memory of one process.

pub mod actions;
pub mod answer;
pub mod ask;
pub mod audit;
mod calls;
pub mod console;
pub mod events;
pub mod guard;
pub mod idempotency;
pub mod incoming;
pub mod limiter;
#[cfg(feature = "backchannel")]
mod logout;
pub mod once;
pub mod openapi;
pub mod operations;
pub mod page;
pub mod problem;
pub mod route;
pub mod rows;
pub mod schemas;
pub mod scope;
pub mod service;
mod span;
pub mod table;
pub mod token;
pub mod tokens;
pub mod trail;
pub mod verify;
pub mod written;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use warp::filters::BoxedFilter;
use warp::filters::path::Peek;
use warp::http::Method;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::io::place::ListPlace;
use crate::operator::Operator;

use guard::Site;
use problem::{Kind, Problem};
use route::{Found, find};
use service::Service;

/// One admin endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Service>);

impl Admin {
    /// Over an open list; tokens and audit are in `home`. `site` says under which names it is served. With a
    /// `place`, a list on a server that was lost may be made anew there. Follows the list from now on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(operator: Operator, place: Option<ListPlace>, home: &Path, site: Site) -> Self {
        Self(Arc::new(Service::new(operator, place, home, site)))
    }

    /// Receives the logouts of an OpenID provider as well, at `/backchannel-logout`: to be called before
    /// [`routes`].
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config), with what to write instead; also the second time.
    #[cfg(feature = "backchannel")]
    pub fn with_logouts_of(self, provider: crate::backchannel::Provider) -> Result<Self, crate::Error> {
        let receiver = crate::backchannel::Receiver::new(self.0.operator.clone(), provider)?;
        self.0.logouts.set(receiver).map_err(|_| {
            let fix = "Mount a receiver of its own for each further provider: sealjar::backchannel::receive";
            crate::Error::config("this endpoint receives the logouts of one provider already", fix)
        })?;
        Ok(self)
    }

    /// Ends every stream of events, which would go on for ever otherwise, and stops following the list: for
    /// the end of a program.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// The routes. A request for something else is rejected as not found, so that other routes may follow.
///
/// The server must tell the peers' addresses, as `warp::serve` does, or with [`Peer`](incoming::Peer): failures are counted
/// by them.
#[must_use]
pub fn routes(admin: &Admin) -> BoxedFilter<(Response,)> {
    let service = admin.0.clone();
    let route = warp::path::peek().and(warp::method()).and_then(|path: Peek, method: Method| async move {
        match find(table::ROUTES, method.as_str(), &["/", path.as_str()].concat()) {
            Found::Nothing => Err(warp::reject::not_found()),
            found => Ok(found),
        }
    });
    let serve = move |found, incoming, body| {
        let service = service.clone();
        async move { service.serve(found, incoming, body).await }
    };
    let routes = route.and(incoming::incoming()).and(warp::body::stream()).then(serve).boxed();
    #[cfg(feature = "backchannel")]
    if let Some(receiver) = admin.0.logouts.get() {
        return logout::route(admin.0.clone(), receiver.clone()).or(routes).unify().boxed();
    }
    routes
}

/// Answers what no route took: 404, as a problem.
///
/// # Errors
///
/// None.
#[allow(clippy::unused_async, reason = "warp's `recover` wants a future")]
pub async fn not_found(_: Rejection) -> Result<Response, Infallible> {
    Ok(answer::refusal(&Problem::new(Kind::NotFound, "/openapi.json lists what is here")))
}
