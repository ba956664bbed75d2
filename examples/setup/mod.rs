//! What both examples share and sessions have no part in: where they listen and keep their files, how
//! they serve a page, how they say what is wrong with a request, how they stop.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::exit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealjar::Builder;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use warp::reject::{LengthRequired, MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType};
use warp::reply::{Reply, Response, with_header, with_status};
use warp::{Filter, Rejection};

/// Says on stderr why each session is empty, and tells where keys and list are: in `$SEALJAR_HOME`, or in
/// a folder of the example's own.
pub fn home(example: &str) -> PathBuf {
    let stderr = std::io::stderr;
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(stderr().is_terminal()).init();
    let own = || {
        let target = PathBuf::from("target");
        let parent = if target.is_dir() { target } else { std::env::temp_dir() };
        parent.join(format!("sealjar-{example}"))
    };
    std::env::var_os("SEALJAR_HOME").map_or_else(own, PathBuf::from)
}

/// The one place that chooses the revocation list, and how keys travel over a fleet.
pub fn list<T: sealjar::Payload>(builder: Builder<T>, home: &Path) -> Builder<T> {
    let builder = builder.home(home);
    let builder = match sealjar::io::ring_secret::from_env().unwrap_or_else(stop) {
        Some(secret) => builder.ring_secret(secret),
        None => builder,
    };
    match std::env::var("REDIS_URL") {
        Ok(url) => builder.list(url),
        Err(_) => builder,
    }
}

/// Ends the example with a sentence that says why. Every error of sealjar says what to do next.
pub fn stop<T>(error: impl Display) -> T {
    eprintln!("error: {error}");
    exit(1);
}

/// Listens on 127.0.0.1, port `$PORT` or 3030, until Ctrl-C or SIGTERM.
pub async fn serve<R>(routes: R, home: &Path)
where
    R: Filter<Extract: Reply, Error = Rejection> + Clone + Send + Sync + 'static,
{
    let port = std::env::var("PORT").unwrap_or_else(|_| "3030".into());
    let port: u16 = port.parse().unwrap_or_else(|_| stop(format!("PORT is {port:?}, which is not a port number")));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap_or_else(|error| {
        stop(format!("port {port} is not free ({error}). Choose another: PORT=3031 cargo run --example ..."))
    });
    let address = listener.local_addr().unwrap_or_else(stop);
    let asked_to_stop = asked_to_stop();
    println!("open http://{address}  (keys and list are in {})", home.display());
    warp::serve(routes.recover(what_is_wrong)).incoming(listener).graceful(asked_to_stop).run().await;
}

/// Ends when somebody asks the program to stop. Listens from this call on, and not from the first look at the future:
/// whoever asks while the first request is answered is heard.
#[cfg(unix)]
fn asked_to_stop() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).unwrap_or_else(stop);
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

/// An answer in JSON that no cache keeps: what it says is about this visitor.
pub fn fresh(status: StatusCode, body: &Value) -> Response {
    with_header(with_status(warp::reply::json(body), status), CACHE_CONTROL, "no-store").into_response()
}

/// The page. Only its own script and its own style may run in it, by their hashes.
pub fn page(html: &'static str) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(html, "script"),
        hash(html, "style")
    );
    warp::path::end().and(warp::get()).map(move || {
        let page = with_header(warp::reply::html(html), CONTENT_SECURITY_POLICY, &policy);
        let page = with_header(page, X_CONTENT_TYPE_OPTIONS, "nosniff");
        with_header(page, REFERRER_POLICY, "no-referrer").into_response()
    })
}

fn hash(html: &str, tag: &str) -> String {
    let inside = html.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
    let (text, _) = inside.expect("the page has one of each");
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// A small JSON body.
pub fn json_body<T: DeserializeOwned + Send>() -> impl Filter<Extract = (T,), Error = Rejection> + Copy {
    warp::body::content_length_limit(16 * 1024).and(warp::body::json())
}

/// What is wrong with a request, in JSON with a sentence, instead of warp's bare status.
async fn what_is_wrong(rejection: Rejection) -> Result<Response, std::convert::Infallible> {
    let (status, error, fix) = if let Some(error) = rejection.find::<warp::body::BodyDeserializeError>() {
        (StatusCode::BAD_REQUEST, "bad_json", format!("Send the JSON that this route takes. {error}"))
    } else if rejection.find::<UnsupportedMediaType>().is_some() {
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "Send Content-Type: application/json".into())
    } else if rejection.find::<PayloadTooLarge>().is_some() {
        (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Send less".into())
    } else if rejection.find::<LengthRequired>().is_some() {
        (StatusCode::LENGTH_REQUIRED, "no_length", "Send a body, with its Content-Length".into())
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        (StatusCode::METHOD_NOT_ALLOWED, "method", "Reading is GET; whatever changes something is POST".into())
    } else {
        (StatusCode::NOT_FOUND, "not_found", "See the list of routes at the top of the example".into())
    };
    Ok(fresh(status, &json!({ "error": error, "fix": fix })))
}
