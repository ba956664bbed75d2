//! Sessions over the real embedded list, and a cookie of theirs.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sealjar::{Builder, Request, Session, Sessions, Stamp};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::session::{Visitor, header};

/// The app `shop`, started, with one user logged in.
pub struct Shop {
    pub sessions: Sessions<Visitor>,
    /// `name=value` of the typical session.
    pub pair: String,
    /// The `Cookie` header with it.
    pub header: String,
    /// Follows the list while the test thread opens.
    _runtime: Runtime,
    _home: TempDir,
}

impl Shop {
    pub fn new(wishes: impl FnOnce(Builder<Visitor>) -> Builder<Visitor>) -> Self {
        let home = tempfile::tempdir().expect("a scratch folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the follower");
        let (sessions, pair) = runtime.block_on(async {
            let builder = wishes(Sessions::builder("shop").home(home.path()));
            let sessions = builder.start().await.expect("sessions over a new embedded list");
            let mut session = sessions.begin([], Request::default()).await;
            session.login("7", Visitor::typical()).await.expect("a login");
            let Ok(Stamp::SetCookie(lines)) = session.commit() else { panic!("a login sets the cookie") };
            let pair = lines[0].split(';').next().unwrap_or_default().to_owned();
            (sessions, pair)
        });
        Self { sessions, header: header(&pair), pair, _runtime: runtime, _home: home }
    }

    /// The cookie's value.
    pub fn value(&self) -> &str {
        self.pair.split_once('=').map_or("", |(_, value)| value)
    }

    /// Opens through the public path, without a runtime: nothing is awaited while the list is fresh.
    pub fn open(&self, header: &str) -> Session<Visitor> {
        ready(self.sessions.begin([header.as_bytes()], Request { route: Some("GET /account"), host: None }))
    }
}

/// Polls once.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a fresh list is consulted without waiting"),
    }
}
