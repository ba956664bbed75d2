//! The shape of a login: who may see what, and what the others are told.
//!
//! `cargo run --example login`, then open the address that it prints. Or with curl:
//!
//! ```text
//! POST /login               {"user_id":7,"name":"Ada","email":"ada@example.org"}
//! GET  /me                  {"user_id":7,"name":"Ada"}, or 401 and why
//! GET  /events              a stream that stays open until the session ends, and then says why
//! POST /logout              this session ends
//! POST /logout-everywhere   every session of this user ends
//! ```

mod setup;

use std::convert::Infallible;
use std::future::ready;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use sealjar::warp::NoSession;
use sealjar::{Error, Session, Sessions, Verdict, hours, minutes};
use serde::{Deserialize, Serialize};
use serde_json::json;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};
use warp::sse::Event;
use warp::{Filter, Rejection};

/// The session: the app's own type, encrypted into the cookie.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    user_id: u64,
    name: String,
    email: String,
    roles: Vec<String>,
    csrf: String,
    locale: String,
}

#[tokio::main]
async fn main() {
    let home = setup::home("login");
    let sessions = setup::list(Sessions::<Account>::builder("login"), &home)
        .localhost() // Plain http. Left out, the cookie is __Host-login and Secure.
        .idle(minutes(30))
        .absolute(hours(12))
        .start()
        .await
        .unwrap_or_else(setup::stop);
    setup::serve(routes(&sessions), &home).await;
    sessions.leave().await; // From now on nobody waits for this process.
}

fn routes(
    sessions: &Sessions<Account>,
) -> impl Filter<Extract: Reply, Error = Rejection> + Clone + Send + Sync + 'static + use<> {
    let (get, post) = (warp::get, warp::post);
    let page = setup::page(include_str!("login/page.html"));
    // `open` lets everybody in. `require` lets in whoever has a session, and `recover` answers the rest.
    let login = warp::path!("login").and(post()).and(sessions.open()).and(setup::json_body()).then(login);
    let me = warp::path!("me").and(get()).and(sessions.require()).map(me);
    let events = warp::path!("events").and(get()).and(sessions.require()).map(events);
    let logout = warp::path!("logout").and(post()).and(sessions.open()).then(logout);
    let everywhere = warp::path!("logout-everywhere").and(post()).and(sessions.require()).then(logout_everywhere);
    page.or(login).or(me).or(events).or(logout).or(everywhere).recover(tell_why)
}

#[derive(Deserialize)]
struct Who {
    user_id: u64,
    name: String,
    email: String,
}

/// A real app checks a password here. This one believes everybody.
async fn login(mut session: Session<Account>, Who { user_id, name, email }: Who) -> Response {
    let said = async {
        let roles = ["reader", "writer", "editor"].map(String::from).into();
        let account = Account { user_id, name, email, roles, csrf: csrf_token()?, locale: "en-GB".into() };
        // The subject is what "everywhere" goes by: the id that this user keeps for ever.
        session.login(user_id.to_string(), account).await?;
        Ok::<_, Error>(me_json(&session))
    };
    let said = said.await;
    session.reply(said)
}

fn me(session: Session<Account>) -> Response {
    let said = me_json(&session);
    session.reply(said)
}

/// Stays open, and ends at once when the session was revoked, wherever that was done.
fn events(session: Session<Account>) -> Response {
    let begun = Event::default().event("begun").data(&session.get().name);
    let ended = session.revoked().map(|verdict| Event::default().event("ended").data(verdict.code()));
    let stream = stream::once(ready(begun)).chain(stream::once(ended)).map(Ok::<_, Infallible>);
    session.reply(warp::sse::reply(warp::sse::keep_alive().stream(stream)))
}

/// Opened and not required: a user can log out also while the list is out of reach.
async fn logout(mut session: Session<Account>) -> Response {
    if !matches!(session.verdict(), Verdict::Live | Verdict::ListUnavailable) {
        let said = no_session(session.verdict());
        return session.reply(said);
    }
    let said = session.logout().await.map(|_| setup::fresh(StatusCode::OK, &json!({ "logged_out": "here" })));
    session.reply(said)
}

async fn logout_everywhere(mut session: Session<Account>) -> Response {
    let said =
        session.logout_everywhere().await.map(|_| setup::fresh(StatusCode::OK, &json!({ "logged_out": "everywhere" })));
    session.reply(said)
}

fn me_json(session: &Session<Account>) -> Response {
    let Account { user_id, name, .. } = session.get();
    setup::fresh(StatusCode::OK, &json!({ "user_id": user_id, "name": name }))
}

/// 401 with the verdict's code. `NoSession::reply` makes it 503 where the list is out of reach: then nobody
/// knows whether there is a session, and the client keeps its cookie.
async fn tell_why(rejection: Rejection) -> Result<Response, Rejection> {
    let Some(none) = rejection.find::<NoSession>() else { return Err(rejection) };
    Ok(none.reply(no_session(none.verdict())))
}

fn no_session(verdict: Verdict) -> Response {
    setup::fresh(StatusCode::UNAUTHORIZED, &json!({ "error": "no_session", "verdict": verdict.code() }))
}

/// 32 characters that nobody can guess.
fn csrf_token() -> Result<String, Error> {
    Ok(format!("{:032x}", u128::from_be_bytes(sealjar::random::kernel()?)))
}
