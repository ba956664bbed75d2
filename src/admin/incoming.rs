//! A request as it came: its fields read once, its body within a bound and a time.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use warp::filters::path::{FullPath, Tail};
use warp::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use warp::http::{HeaderMap, Method};
use warp::{Buf, Filter, Stream};

use crate::io::task::within;

use super::guard::{Asked, Said};
use super::problem::{Kind, Problem};

/// The largest body: a pasted request with every cookie that a browser may send.
pub const LARGEST: usize = 64 * 1024;
/// The longest that a body may take to arrive.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Who is at the other end, where another server than warp's own accepted the connection: to be put into the request's
/// extensions. No client can say it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A request without its body.
#[derive(Debug)]
pub struct Incoming {
    /// Its method.
    pub method: Method,
    /// Its path below the place where the routes are mounted, beginning with `/`.
    pub path: String,
    /// Where they are mounted; empty for the root.
    pub prefix: String,
    /// Its query, decoded; nothing if it cannot be.
    pub query: Option<Vec<(String, String)>>,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its host: nothing if the fields contradict each other.
    authority: Result<Option<String>, ()>,
    /// Who is at the other end of the connection.
    pub peer: Option<IpAddr>,
}

impl Incoming {
    /// What the guard decides by.
    #[must_use]
    pub fn asked(&self) -> Asked<'_> {
        let host = match (self.said(&HOST), &self.authority) {
            (Said::Unclear, _) | (_, Err(())) => Said::Unclear,
            (_, Ok(Some(authority))) => Said::Once(authority),
            (said, Ok(None)) => said,
        };
        Asked {
            host,
            origin: self.said(&ORIGIN),
            sec_fetch_site: self.said(&HeaderName::from_static("sec-fetch-site")),
            authorization: self.said(&AUTHORIZATION),
        }
    }

    /// One field.
    #[must_use]
    pub fn said(&self, name: &HeaderName) -> Said<'_> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next().map(|value| value.to_str()), values.next()) {
            (None, _) => Said::Nothing,
            (Some(Ok(value)), None) => Said::Once(value),
            _ => Said::Unclear,
        }
    }

    /// Reads the body, which must say that it is JSON.
    ///
    /// # Errors
    ///
    /// 415, 413 for more than 64 KiB, 408 after 10 seconds, 400 when the connection fails.
    pub async fn json(&self, body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Vec<u8>, Problem> {
        let kind = match self.said(&CONTENT_TYPE) {
            Said::Once(kind) => kind.split(';').next().unwrap_or_default().trim(),
            _ => "",
        };
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(Kind::WrongMediaType, "Send Content-Type: application/json, once"));
        }
        let announced = self.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > LARGEST as u64) {
            return Err(too_large());
        }
        let in_time = within(PATIENCE, collect(body)).await;
        in_time.unwrap_or_else(|| Err(Problem::new(Kind::TooSlow, "The body did not arrive within 10 seconds")))
    }
}

async fn collect(body: impl Stream<Item = Result<impl Buf, warp::Error>>) -> Result<Vec<u8>, Problem> {
    let (mut body, mut bytes) = (pin!(body), Vec::new());
    while let Some(piece) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let mut piece = piece.map_err(|_| Problem::new(Kind::BadRequest, "The body broke off"))?;
        if bytes.len() + piece.remaining() > LARGEST {
            return Err(too_large());
        }
        while piece.has_remaining() {
            bytes.extend_from_slice(piece.chunk());
            piece.advance(piece.chunk().len());
        }
    }
    Ok(bytes)
}

fn too_large() -> Problem {
    Problem::new(Kind::TooLarge, format!("The body has more than {LARGEST} bytes"))
}

/// Takes a request apart; never rejects.
pub fn incoming() -> impl Filter<Extract = (Incoming,), Error = Infallible> + Clone {
    let query = warp::query::<Vec<(String, String)>>().map(Some).or(warp::any().map(|| None)).unify();
    let host =
        warp::host::optional().map(|host: Option<_>| Ok(host.map(|host: warp::host::Authority| host.to_string())));
    let host = host.or(warp::any().map(|| Err(()))).unify();
    warp::path::full()
        .and(warp::path::tail())
        .and(warp::method())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(host)
        .and(peer())
        .map(|full: FullPath, tail: Tail, method, query, headers, authority, peer: Option<SocketAddr>| {
            let path = ["/", tail.as_str()].concat();
            let prefix = full.as_str().strip_suffix(&path).unwrap_or_default().to_owned();
            Incoming { method, path, prefix, query, headers, authority, peer: peer.map(|peer| peer.ip()) }
        })
}

fn peer() -> impl Filter<Extract = (Option<SocketAddr>,), Error = Infallible> + Clone {
    let told = warp::ext::optional::<Peer>();
    warp::addr::remote()
        .and(told)
        .map(|own: Option<SocketAddr>, told: Option<Peer>| own.or(told.map(|Peer(peer)| peer)))
}
