//! A captcha whose answer travels in the visitor's own cookie, sealed, and can be used once.
//!
//! `cargo run --example captcha`, then open the address that it prints. Or with curl:
//!
//! ```text
//! GET  /session             who this is, and if nobody, why
//! GET  /captcha.png         a new image; its answer is sealed into the cookie that comes with it
//! POST /answer              {"answer":"K7WQ9","name":"Ada"}: logged in
//! POST /logout              this session ends; every copy of its cookie with it
//! POST /logout-everywhere   every session of this name ends
//! GET  /copy                DEMO ONLY: the cookie's text, as a thief would have it
//! POST /replay              {"cookie":"..","take_captcha":true}: what a thief would get with a copy
//! ```
//!
//! A real app never has `/copy`, and tells strangers no more than "no session": the reasons that this
//! example shows to everybody are meant for the operator's log.

mod setup;

use captcha::Captcha;
use captcha::filters::{Dots, Noise, Wave};
use sealjar::{Error, Request, Session, Sessions, Taken, Verdict, cookie, minutes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderValue};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::{Reply, Response, with_header};
use warp::{Filter, Rejection};

/// The session. All of it is in the cookie; the server stores nothing for anybody.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    name: String,
}

#[tokio::main]
async fn main() {
    let home = setup::home("captcha");
    let sessions = setup::list(Sessions::<Visitor>::builder("captcha"), &home)
        .localhost() // Plain http. Left out, the cookie is __Host-captcha and Secure.
        .idle(minutes(5))
        .start()
        .await
        .unwrap_or_else(setup::stop);
    setup::serve(routes(&sessions), &home).await;
    sessions.leave().await; // From now on nobody waits for this process.
}

fn routes(
    sessions: &Sessions<Visitor>,
) -> impl Filter<Extract: Reply, Error = Rejection> + Clone + Send + Sync + 'static + use<> {
    let open = sessions.open();
    let all = warp::any().map({
        let sessions = sessions.clone();
        move || sessions.clone()
    });
    let sent =
        all.clone().and(warp::header::headers_cloned()).map(|all: Sessions<Visitor>, headers| sent(&all, &headers));
    // The method comes after the path: a wrong path is 404 then, and only a wrong method 405.
    let (get, post) = (warp::get, warp::post);
    let show = warp::path!("session").and(get()).and(open.clone()).and(all.clone()).and(sent.clone());
    let show = show.map(|session, all: Sessions<Visitor>, sent| self::show(session, &all, sent));
    let image = warp::path!("captcha.png").and(get()).and(open.clone()).map(new_captcha);
    let copy = warp::path!("copy").and(get()).and(sent).map(copy);
    let answer = warp::path!("answer").and(post()).and(open.clone()).and(setup::json_body()).then(answer);
    let logout = warp::path!("logout").and(post()).and(open.clone()).then(logout);
    let everywhere = warp::path!("logout-everywhere").and(post()).and(open).then(logout_everywhere);
    let replay = warp::path!("replay").and(post()).and(all).and(setup::json_body()).then(replay);
    let page = setup::page(include_str!("captcha/page.html"));
    page.or(show).or(image).or(copy).or(answer).or(logout).or(everywhere).or(replay)
}

// --- the captcha -------------------------------------------------------------------------------------

/// One request makes the image and the cookie with its answer, so that the two always match.
fn new_captcha(mut session: Session<Visitor>) -> Response {
    let (answer, png) = draw();
    // Tests have to know the answer. No route tells it, only the terminal, and only if it was asked to.
    if std::env::var_os("SEALJAR_DEMO_TELL").is_some_and(|tell| tell == "1") {
        println!("the captcha says {answer}");
    }
    let image = with_header(with_header(png, CONTENT_TYPE, "image/png"), CACHE_CONTROL, "no-store");
    let offered = session.offer_once("captcha", &answer, minutes(5)).map(|()| image);
    session.reply(offered)
}

fn draw() -> (String, Vec<u8>) {
    // No I and 1, no O and 0, and capitals only: what looks alike is not asked for.
    let chars: Vec<char> = "ACDEFGHJKMNPQRTUVWXY34679".chars().collect();
    let mut captcha = Captcha::new();
    captcha.set_chars(&chars).add_chars(5);
    captcha.apply_filter(Noise::new(0.1)).apply_filter(Wave::new(2.0, 9.0).horizontal()).view(240, 90);
    captcha.apply_filter(Dots::new(6).max_radius(5).min_radius(3));
    captcha.as_tuple().expect("a picture in memory can be written")
}

#[derive(Deserialize)]
struct Answer {
    answer: String,
    name: String,
}

async fn answer(mut session: Session<Visitor>, form: Answer) -> Response {
    // The story that this crate began with: the client sent no cookie, and nothing said so.
    if !session.verdict().is_live() {
        let why = why(session.verdict());
        return session.reply(setup::fresh(StatusCode::UNAUTHORIZED, &why));
    }
    let said = log_in(&mut session, form).await.map(|(status, body)| setup::fresh(status, &body));
    session.reply(said)
}

async fn log_in(session: &mut Session<Visitor>, form: Answer) -> Result<(StatusCode, Value), Error> {
    let name = form.name.trim();
    if !(1..=40).contains(&name.chars().count()) {
        let body = json!({ "error": "name", "fix": "Give a name of 1 to 40 characters; the captcha is still good." });
        return Ok((StatusCode::BAD_REQUEST, body));
    }
    // Used up by taking it, before anybody looks whether it is right: one image, one try.
    let right = match session.take_once::<String>("captcha").await? {
        Taken::First(right) => right,
        refused => return Ok((StatusCode::FORBIDDEN, tell(&refused))),
    };
    if !form.answer.trim().eq_ignore_ascii_case(&right) {
        let body = json!({
            "captcha": "wrong",
            "cause": "That is not what the image says, and a captcha may be answered once.",
            "fix": "Take a new image.",
        });
        return Ok((StatusCode::FORBIDDEN, body));
    }
    // The subject is what "everywhere" goes by: an account's lasting id. Here the name has to do.
    session.login(name, Visitor { name: name.to_owned() }).await?;
    Ok((StatusCode::OK, json!({ "captcha": "right", "name": name })))
}

/// What came of taking the captcha's answer, in words. Never the answer itself.
fn tell(taken: &Taken<String>) -> Value {
    let (cause, fix) = match taken {
        Taken::First(_) => ("This was the first use of the answer, so it was handed over; now it is used up.", ""),
        Taken::Absent => ("No captcha's answer is sealed into this cookie.", "Get an image first: GET /captcha.png."),
        Taken::Spent => {
            ("This captcha's answer was used before; this is an old copy of the cookie.", "Take a new image.")
        }
        Taken::Expired => ("The image is more than five minutes old.", "Take a new image."),
        Taken::Foreign => ("The list of used answers was made anew since, so nobody knows.", "Take a new image."),
    };
    json!({ "captcha": taken.code(), "cause": cause, "fix": fix })
}

// --- the session -------------------------------------------------------------------------------------

/// The verdict in words. Every session that is not there says why.
fn why(verdict: Verdict) -> Value {
    json!({ "verdict": verdict.code(), "cause": verdict.cause(), "fix": verdict.fix() })
}

fn show(session: Session<Visitor>, sessions: &Sessions<Visitor>, sent: Option<String>) -> Response {
    let mut body = why(session.verdict());
    body["logged_in"] = session.is_logged_in().into();
    body["name"] = session.get().name.clone().into();
    body["cookie"] = sent.map(|value| cookie_facts(sessions, &value)).into();
    let counted = sessions.counters().verdicts();
    body["counters"] = counted
        .map(|(verdict, n)| json!({ "verdict": verdict.code(), "count": n, "cause": verdict.cause() }))
        .collect();
    session.reply(setup::fresh(StatusCode::OK, &body))
}

/// What `explain` has to say about the cookie that came: what an operator sees, and nothing secret.
fn cookie_facts(sessions: &Sessions<Visitor>, value: &str) -> Value {
    let explained = sessions.explain(value);
    let config = sessions.config();
    let left = explained.session.as_ref().map(|session| {
        // The reply is about to renew a cookie that is older than a tenth of the idle lifetime.
        let due = session.idle_left + config.refresh().as_secs() <= config.idle().as_secs();
        let idle = if due { config.idle().as_secs().min(session.absolute_left) } else { session.idle_left };
        json!({
            "handle": session.handle,
            "idle_left": idle, "idle": config.idle().as_secs(),
            "absolute_left": session.absolute_left, "absolute": config.absolute().as_secs(),
        })
    });
    json!({ "name": explained.cookie, "characters": explained.characters, "suite": explained.suite, "session": left })
}

async fn logout(mut session: Session<Visitor>) -> Response {
    let body = why(session.verdict());
    let said = session.logout().await.map(|_| setup::fresh(StatusCode::OK, &body));
    session.reply(said)
}

async fn logout_everywhere(mut session: Session<Visitor>) -> Response {
    let body = why(session.verdict());
    let said = session.logout_everywhere().await.map(|_| setup::fresh(StatusCode::OK, &body));
    session.reply(said)
}

// --- the thief ---------------------------------------------------------------------------------------

/// Scripts cannot read an `HttpOnly` cookie. This route gives it away all the same, so that the page can
/// play a thief. DEMO ONLY.
fn copy(sent: Option<String>) -> Response {
    match sent {
        Some(value) => setup::fresh(StatusCode::OK, &json!({ "cookie": value })),
        None => setup::fresh(StatusCode::NOT_FOUND, &why(Verdict::NoCookie)),
    }
}

#[derive(Deserialize)]
struct Replay {
    cookie: String,
    #[serde(default)]
    take_captcha: bool,
}

/// Opens a copied cookie as if it had come with a request, and goes as far with it as a thief could.
async fn replay(sessions: Sessions<Visitor>, form: Replay) -> Response {
    let field = format!("{}={}", sessions.config().cookie().name(), form.cookie);
    let request = Request { route: Some("POST /replay"), host: None };
    let mut session = sessions.begin([field.as_bytes()], request).await;
    let mut body = why(session.verdict());
    body["name"] = session.get().name.clone().into();
    if form.take_captcha && session.verdict().is_live() {
        match session.take_once::<String>("captcha").await {
            Ok(taken) => body["captcha"] = tell(&taken),
            Err(error) => return error.into_response(),
        }
    }
    // The thief's session ends here: its cookie must not become that of whoever pressed the button.
    match session.commit() {
        Ok(_) => setup::fresh(StatusCode::OK, &body),
        Err(error) => error.into_response(),
    }
}

/// The text of our cookie, if the request has one.
fn sent(sessions: &Sessions<Visitor>, headers: &HeaderMap) -> Option<String> {
    let fields = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let found = cookie::find(fields, sessions.config().cookie().name()).ok()?;
    Some(String::from_utf8_lossy(found.first).into_owned())
}
