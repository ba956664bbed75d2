//! The app: a login from an ID token's values, a page that says why there is no session, and the receiver.

use sealjar::backchannel::{self, Algorithm, Provider};
use sealjar::{Login, Session, Sessions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use warp::Filter;
use warp::reply::Reply;

use crate::mint::{CLIENT, ISSUER, JwksServer, Key};
use crate::redis_support::Server;
use crate::support::{Answer, canaries, http};

#[derive(Default, Serialize, Deserialize)]
pub struct Visitor {
    name: String,
}

/// Who logs in, as the ID token says.
#[derive(Serialize, Deserialize)]
struct Who {
    subject: String,
    iss: String,
    sub: String,
    sid: Option<String>,
}

/// Where the list is.
pub enum List {
    Sqlite,
    Redis(Server),
}

/// A running app, its folder, and the runtime that it runs in.
pub struct App {
    pub url: String,
    pub sessions: Sessions<Visitor>,
    pub list: List,
    pub runtime: Runtime,
    pub home: TempDir,
}

pub fn provider() -> Provider {
    Provider::new(ISSUER, CLIENT).algorithms(Algorithm::ALL)
}

impl App {
    /// With the provider's keys at a URL.
    pub fn start(list: List, keys: &[&Key]) -> (Self, JwksServer) {
        let runtime = runtime();
        let served = runtime.block_on(async { JwksServer::start(keys) });
        let provider = provider().keys_url(&served.url);
        (Self::start_with(runtime, list, provider), served)
    }

    pub fn start_with(runtime: Runtime, list: List, provider: Provider) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (url, sessions) = runtime.block_on(process(&home, &list, provider));
        Self { url, sessions, list, runtime, home }
    }

    /// A second process of the same app, on the same keys and the same list.
    pub fn another(&self, provider: Provider) -> (String, Sessions<Visitor>) {
        self.runtime.block_on(process(&self.home, &self.list, provider))
    }

    /// Logs in, and returns the cookie.
    pub fn log_in(&self, subject: &str, sub: &str, sid: Option<&str>) -> String {
        self.log_in_at(subject, ISSUER, sub, sid)
    }

    pub fn log_in_at(&self, subject: &str, iss: &str, sub: &str, sid: Option<&str>) -> String {
        let who = Who { subject: subject.into(), iss: iss.into(), sub: sub.into(), sid: sid.map(Into::into) };
        let body = serde_json::to_string(&who).unwrap();
        let answer = http("POST", &format!("{}/login", self.url), [], Some(("application/json", &body)));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let line = answer.all("set-cookie").next().expect("a session begins").to_owned();
        canaries::plant_cookie(&line);
        line.split(';').next().unwrap().to_owned()
    }

    /// The verdict about a cookie.
    pub fn verdict(&self, cookie: &str) -> String {
        verdict(&self.url, cookie)
    }

    pub fn logout(&self, token: &str) -> Answer {
        logout(&self.url, token)
    }
}

pub fn verdict(url: &str, cookie: &str) -> String {
    http("GET", &format!("{url}/me"), [("cookie", cookie.to_owned())], None).text
}

/// As a provider sends it.
pub fn logout(url: &str, token: &str) -> Answer {
    if let Some(part) = token.get(token.len().saturating_sub(48)..).filter(|part| part.len() >= canaries::LEAST) {
        canaries::plant(part);
    }
    post(url, "application/x-www-form-urlencoded", &format!("logout_token={token}"))
}

pub fn post(url: &str, kind: &str, body: &str) -> Answer {
    let answer = http("POST", &format!("{url}/backchannel-logout"), [], Some((kind, body)));
    assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store"], "{}", answer.text);
    assert_eq!(answer.all("set-cookie").count(), 0);
    answer
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Serves on a free port of this machine, for as long as the runtime that is entered lives.
pub fn serve<F>(routes: F) -> String
where
    F: Filter<Extract: Reply, Error = warp::Rejection> + Clone + Send + Sync + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    url
}

async fn process(home: &TempDir, list: &List, provider: Provider) -> (String, Sessions<Visitor>) {
    let builder = Sessions::<Visitor>::builder("shop").home(home.path()).localhost();
    let builder = match list {
        List::Sqlite => builder,
        List::Redis(server) => builder.list(server.url()),
    };
    let sessions = builder.start().await.unwrap();
    let me = warp::path!("me").and(warp::get()).and(sessions.open()).map(|session: Session<Visitor>| {
        let verdict = session.verdict().code();
        session.reply(verdict)
    });
    let login = warp::path!("login").and(warp::post()).and(sessions.open()).and(warp::body::json()).then(log_in);
    let logout = backchannel::route(&sessions, provider).unwrap();
    (serve(me.or(login).or(logout)), sessions)
}

async fn log_in(mut session: Session<Visitor>, Who { subject, iss, sub, sid }: Who) -> warp::reply::Response {
    let login = Login::subject(&subject).provider(&iss, &sub, sid.as_deref());
    let said = session.login(login, Visitor { name: subject }).await;
    session.reply(said.map(|durability| warp::reply::json(&json!({ "durability": durability.name() }))))
}
