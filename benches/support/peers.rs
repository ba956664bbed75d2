//! The same session in the crates that people use today.

use std::convert::Infallible;
use std::time::SystemTime;

use cookie::{Cookie, CookieJar, Key};
use seshcookie::{SessionConfig, SessionKeys, SessionLayer};
use warp::http::{Request, Response};

use super::session::Visitor;

/// All peers carry the cookie under this name, as sealjar does.
pub const NAME: &str = "__Host-shop";

/// `cookie` with JSON inside, encrypted or signed.
pub struct Jar {
    key: Key,
    signed: bool,
}

impl Jar {
    pub fn encrypted() -> Self {
        Self { key: Key::generate(), signed: false }
    }

    pub fn signed() -> Self {
        Self { key: Key::generate(), signed: true }
    }

    /// The cookie, not yet percent-encoded, without attributes.
    pub fn seal(&self, session: &Visitor) -> Cookie<'static> {
        let cookie = Cookie::new(NAME, serde_json::to_string(session).expect("a session has a JSON form"));
        let mut jar = CookieJar::new();
        if self.signed {
            jar.signed_mut(&self.key).add(cookie);
        } else {
            jar.private_mut(&self.key).add(cookie);
        }
        jar.get(NAME).cloned().expect("it was just added")
    }

    /// `name=value` as axum and Rocket set it: percent-encoded, as these values hold `+`, `/` and `=`.
    pub fn set(&self, session: &Visitor) -> String {
        self.seal(session).encoded().to_string()
    }

    /// As the frameworks do it: every cookie of the header is percent-decoded and goes into a jar.
    pub fn open(&self, header: &str) -> Option<Visitor> {
        let mut jar = CookieJar::new();
        for cookie in Cookie::split_parse_encoded(header.to_owned()).flatten() {
            jar.add_original(cookie);
        }
        let cookie = if self.signed { jar.signed(&self.key).get(NAME) } else { jar.private(&self.key).get(NAME) };
        serde_json::from_str(cookie?.value()).ok()
    }

    /// The shortest way through the crate's API: no percent-encoding, other cookies parsed and dropped.
    pub fn open_shortest(&self, header: &str) -> Option<Visitor> {
        let cookie = Cookie::split_parse(header).flatten().find(|cookie| cookie.name() == NAME)?.into_owned();
        let jar = CookieJar::new();
        let cookie =
            if self.signed { jar.signed(&self.key).verify(cookie) } else { jar.private(&self.key).decrypt(cookie) };
        serde_json::from_str(cookie?.value()).ok()
    }
}

/// `seshcookie`, whose codec is private: it opens through its tower layer, around a service that does
/// nothing. For sealing it lends its codec to tests, and we borrow it.
pub struct Sesh {
    layer: SessionLayer<Visitor>,
}

impl Sesh {
    pub fn new() -> Self {
        let keys = SessionKeys::new(&[7; 32]).expect("32 bytes are enough");
        let config = SessionConfig::default().cookie_name(NAME);
        Self { layer: SessionLayer::new(keys, config).expect("a plain configuration") }
    }

    pub fn seal(&self, session: &Visitor) -> String {
        seshcookie::__testing::encode_cookie_for_layer(&self.layer, session, SystemTime::now())
    }

    /// The whole layer, ready to be called.
    pub fn service(&self) -> impl tower::Service<Request<()>, Response = Response<()>, Error = Infallible> + use<> {
        tower::Layer::layer(&self.layer, nothing())
    }
}

/// The service inside, to be measured alone as well.
pub fn nothing()
-> impl tower::Service<Request<()>, Response = Response<()>, Error = Infallible, Future: Send> + Clone + Send + use<> {
    tower::service_fn(|request: Request<()>| async move {
        drop(request);
        Ok(Response::new(()))
    })
}
