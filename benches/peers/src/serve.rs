//! The same app seven times: `POST /login` sets the session, `GET /me` reads it and says who it is of.
//!
//! Every library is set up as its README says, with its own defaults. Those without a session have the same
//! routes, answer `GET /me` with the same bytes, and read no cookie. Each has one thread that serves.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use actix_session::{SessionMiddleware, storage::RedisSessionStore};
use actix_web::{App, HttpResponse, HttpServer, web};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sealjar::Sessions;
use serde::Serialize;
use seshcookie::{SessionConfig, SessionKeys, SessionLayer};
use tower_sessions::SessionManagerLayer;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use warp::Filter;

use crate::session::Visitor;

/// What `GET /me` answers.
#[derive(Clone, Serialize)]
pub struct Me {
    name: String,
    user_id: u64,
}

impl From<&Visitor> for Me {
    fn from(visitor: &Visitor) -> Self {
        Self { name: visitor.name.clone(), user_id: visitor.user_id }
    }
}

static ANYBODY: LazyLock<Me> = LazyLock::new(|| Me::from(&Visitor::typical()));

/// Serves one of the apps, for ever.
pub fn serve(system: &str, port: u16, redis: &str) {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if system.starts_with("actix") {
        return actix_web::rt::System::new().block_on(async {
            match system {
                "actix" => actix(at).await,
                "actix-session" => actix_session(at, redis).await,
                _ => panic!("{system} is none of them"),
            }
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        match system {
            "warp" => warp(at).await,
            "sealjar" => sealjar(at, redis).await,
            "axum" => axum(at).await,
            "seshcookie" => seshcookie(at).await,
            "tower-sessions" => tower_sessions(at, redis).await,
            _ => panic!("{system} is none of them"),
        }
    });
}

async fn warp(at: SocketAddr) {
    let me = warp::path("me").map(|| warp::reply::json(&*ANYBODY));
    let login = warp::path("login").and(warp::post()).map(|| "welcome");
    warp::serve(me.or(login)).run(at).await;
}

async fn sealjar(at: SocketAddr, redis: &str) {
    let home = tempfile::tempdir().unwrap();
    let sessions = Sessions::<Visitor>::builder("shop").home(home.path()).list(redis).localhost().start();
    let sessions = sessions.await.unwrap();
    let me = warp::path("me").and(sessions.open()).map(|session: sealjar::Session<Visitor>| {
        if session.is_logged_in() {
            let me = warp::reply::json(&Me::from(session.get()));
            session.reply(me)
        } else {
            session.reply(warp::http::StatusCode::UNAUTHORIZED)
        }
    });
    let login = warp::path("login").and(warp::post()).and(sessions.open());
    let login = login.then(|mut session: sealjar::Session<Visitor>| async move {
        let said = session.login("7", Visitor::typical()).await.map(|_| "welcome");
        session.reply(said)
    });
    warp::serve(me.or(login)).run(at).await;
}

async fn axum(at: SocketAddr) {
    let app = Router::new().route("/me", get(|| async { axum::Json(&*ANYBODY) }));
    let app = app.route("/login", post(|| async {}));
    axum::serve(tokio::net::TcpListener::bind(at).await.unwrap(), app).await.unwrap();
}

async fn seshcookie(at: SocketAddr) {
    async fn me(session: seshcookie::Session<Visitor>) -> Response {
        match session.get().await {
            Some(visitor) => axum::Json(Me::from(&visitor)).into_response(),
            None => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    async fn login(session: seshcookie::Session<Visitor>) {
        session.insert(Visitor::typical()).await;
    }
    let config = SessionConfig::default().secure(false);
    let layer = SessionLayer::<Visitor>::new(SessionKeys::new(&[7; 32]).unwrap(), config).unwrap();
    let app = Router::new().route("/me", get(me)).route("/login", post(login)).layer(layer);
    axum::serve(tokio::net::TcpListener::bind(at).await.unwrap(), app).await.unwrap();
}

async fn tower_sessions(at: SocketAddr, redis: &str) {
    async fn me(session: tower_sessions::Session) -> Response {
        match session.get::<Visitor>("visitor").await.unwrap() {
            Some(visitor) => axum::Json(Me::from(&visitor)).into_response(),
            None => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    async fn login(session: tower_sessions::Session) {
        session.insert("visitor", Visitor::typical()).await.unwrap();
    }
    let pool = Pool::new(Config::from_url(redis).unwrap(), None, None, None, 6).unwrap();
    let _connected = pool.connect();
    pool.wait_for_connect().await.unwrap();
    let layer = SessionManagerLayer::new(RedisStore::new(pool)).with_secure(false);
    let app = Router::new().route("/me", get(me)).route("/login", post(login)).layer(layer);
    axum::serve(tokio::net::TcpListener::bind(at).await.unwrap(), app).await.unwrap();
}

async fn actix(at: SocketAddr) {
    let app = || {
        let me = web::get().to(|| async { HttpResponse::Ok().json(&*ANYBODY) });
        App::new().route("/me", me).route("/login", web::post().to(HttpResponse::Ok))
    };
    HttpServer::new(app).workers(1).bind(at).unwrap().run().await.unwrap();
}

async fn actix_session(at: SocketAddr, redis: &str) {
    async fn me(session: actix_session::Session) -> HttpResponse {
        match session.get::<Visitor>("visitor").unwrap() {
            Some(visitor) => HttpResponse::Ok().json(Me::from(&visitor)),
            None => HttpResponse::Unauthorized().finish(),
        }
    }
    async fn login(session: actix_session::Session) -> HttpResponse {
        session.insert("visitor", Visitor::typical()).unwrap();
        HttpResponse::Ok().finish()
    }
    let store = RedisSessionStore::new(redis).await.unwrap();
    let key = actix_web::cookie::Key::generate();
    let app = move || {
        let sessions = SessionMiddleware::builder(store.clone(), key.clone()).cookie_secure(false).build();
        App::new().wrap(sessions).route("/me", web::get().to(me)).route("/login", web::post().to(login))
    };
    HttpServer::new(app).workers(1).bind(at).unwrap().run().await.unwrap();
}
