//! From the `Cookie` header to the typed session and back, beside the crates that people use today.
//!
//! ```text
//! cargo bench --bench open
//! ```

#[path = "support/harness.rs"]
mod harness;
#[path = "support/ours.rs"]
mod ours;
#[path = "support/peers.rs"]
mod peers;
#[path = "support/session.rs"]
mod session;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use sealjar::cookie::header;
use sealjar::id::Incarnation;
use sealjar::revocation::{Beat, Heard, Replica};
use sealjar::seal::{self, Content};
use sealjar::time::{Clock, Now, Position};
use sealjar::wire::{Suite, Unverified};
use sealjar::{Stamp, Verdict, judge, payload};
use tower::Service;
use warp::http::header::{COOKIE, HeaderValue};
use warp::http::{Request, Response};

use harness::Table;
use ours::{Shop, ready};
use peers::{Jar, NAME, Sesh, nothing};
use session::{Visitor, header as five_cookies};

const PRIVATE: &str = "PrivateJar (cookie 0.18) + JSON";
const SIGNED: &str = "SignedJar (cookie 0.18) + JSON";
const SESHCOOKIE: &str = "seshcookie 0.1, through its layer";
const FLOOR: &str = "aes-gcm 0.11 alone, cached key, same bytes";

fn main() {
    let (encrypted, signed) = (Shop::new(|builder| builder), Shop::new(sealjar::Builder::signed));
    let peers = Peers::new();
    peers.check(&encrypted, &signed);
    opening(&encrypted, &signed, &peers);
    steps(&encrypted, "Where the time goes, encrypted");
    steps(&signed, "Where the time goes, signed");
    refusing(&encrypted, &signed);
    sealing(&encrypted, &signed, &peers);
    characters(&encrypted, &signed, &peers);
}

struct Peers {
    private: Jar,
    private_pair: String,
    private_raw: String,
    signed: Jar,
    signed_pair: String,
    signed_raw: String,
    sesh: Sesh,
    sesh_pair: String,
}

impl Peers {
    fn new() -> Self {
        let (private, signed, sesh) = (Jar::encrypted(), Jar::signed(), Sesh::new());
        let session = Visitor::typical();
        Self {
            private_pair: private.set(&session),
            private_raw: private.seal(&session).to_string(),
            signed_pair: signed.set(&session),
            signed_raw: signed.seal(&session).to_string(),
            sesh_pair: format!("{NAME}={}", sesh.seal(&session)),
            private,
            signed,
            sesh,
        }
    }

    /// Everybody opens the same session, or the comparison is worth nothing.
    fn check(&self, encrypted: &Shop, signed: &Shop) {
        let session = Visitor::typical();
        let (mut json, mut msgpack) = (Vec::new(), Vec::new());
        payload::encode(Suite::Signed, &session, &mut json).expect("JSON");
        payload::encode(Suite::Encrypted, &session, &mut msgpack).expect("MessagePack");
        assert_eq!((json.len(), msgpack.len()), (385, 299));
        for shop in [encrypted, signed] {
            assert_eq!(shop.open(&shop.header).get(), &session);
        }
        for (jar, pair, raw) in [
            (&self.private, &self.private_pair, &self.private_raw),
            (&self.signed, &self.signed_pair, &self.signed_raw),
        ] {
            assert_eq!(jar.open(&five_cookies(pair)).as_ref(), Some(&session));
            assert_eq!(jar.open_shortest(&five_cookies(raw)).as_ref(), Some(&session));
        }
        let mut service = self.sesh.service();
        assert!(through(&mut service, &self.sesh_header()).headers().is_empty(), "the layer opened its cookie");
        let forged = HeaderValue::from_static("__Host-shop=AAAA");
        assert!(!through(&mut service, &forged).headers().is_empty(), "it removes a cookie that it cannot open");
    }

    fn sesh_header(&self) -> HeaderValue {
        HeaderValue::from_str(&five_cookies(&self.sesh_pair)).expect("visible ASCII")
    }
}

fn through<S: Service<Request<()>, Response = Response<()>>>(service: &mut S, cookies: &HeaderValue) -> S::Response {
    let mut request = Request::new(());
    request.headers_mut().insert(COOKIE, cookies.clone());
    match ready(service.call(request)) {
        Ok(response) => response,
        Err(_) => unreachable!("the service is infallible"),
    }
}

fn opening(encrypted: &Shop, signed: &Shop, peers: &Peers) {
    let (private_header, private_raw) = (five_cookies(&peers.private_pair), five_cookies(&peers.private_raw));
    let (signed_header, signed_raw) = (five_cookies(&peers.signed_pair), five_cookies(&peers.signed_raw));
    let (mut sesh, mut bare, sesh_header) = (peers.sesh.service(), nothing(), peers.sesh_header());
    let mut table = Table::default();
    table.row("sealjar encrypted: Sessions::begin", || encrypted.open(&encrypted.header));
    table.row("sealjar encrypted: begin and commit, nothing changed", || encrypted.open(&encrypted.header).commit());
    table.row("sealjar encrypted: the pure path, time given", pure(encrypted));
    table.row("sealjar encrypted: decoding the struct alone", decode(Suite::Encrypted));
    table.row("sealjar signed: Sessions::begin", || signed.open(&signed.header));
    table.row("sealjar signed: the pure path, time given", pure(signed));
    table.row("sealjar signed: decoding the struct alone", decode(Suite::Signed));
    table.row(PRIVATE, || peers.private.open(&private_header));
    table.row("PrivateJar + JSON, the shortest way", || peers.private.open_shortest(&private_raw));
    table.row(SIGNED, || peers.signed.open(&signed_header));
    table.row("SignedJar + JSON, the shortest way", || peers.signed.open_shortest(&signed_raw));
    table.row(SESHCOOKIE, || through(&mut sesh, &sesh_header));
    table.row("the http request and empty service of that row, alone", || through(&mut bare, &sesh_header));
    table.row(FLOOR, floor(encrypted));
    table.print("Header of 5 cookies -> typed session", &[PRIVATE, SESHCOOKIE, FLOOR]);
}

/// What [`Shop::open`] does without clocks, counters and the handle that the app gets.
fn pure(shop: &Shop) -> impl FnMut() -> Option<Visitor> {
    let (config, ring, now) = (shop.sessions.config(), shop.sessions.key_ring(), Clock::system().now());
    let replica = read_at(now);
    move || {
        let authentic = judge::authenticate([shop.header.as_bytes()], config, &ring, now).ok()?;
        let opened = judge::judge(authentic, &replica.view(), now).ok()?;
        payload::decode(opened.suite, opened.payload()).ok()
    }
}

/// An empty list, read just now.
fn read_at(now: Now) -> Replica {
    let (replica, position) = (Replica::default(), Position(now.millis));
    let beat = Beat {
        incarnation: Incarnation(1),
        position,
        clock: position,
        records: vec![].into(),
        whole: true,
        healed: true,
        heard: Heard::Yes,
    };
    replica.confirm(&beat, now);
    replica
}

/// The steps of one open, each by itself.
fn steps(shop: &Shop, title: &str) {
    let (config, ring, value) = (shop.sessions.config(), shop.sessions.key_ring(), shop.value().as_bytes());
    let parse = || Unverified::parse(value).expect("our own cookie");
    let key = ring.find(parse().key_id()).expect("our own key");
    let (clock, suite) = (Clock::system(), config.suite());
    let mut table = Table::default();
    table.row("find the cookie in the header", || header::find([shop.header.as_bytes()], NAME));
    table.row("parse: base64 and lengths", parse);
    table.row("parse and verify the seal, read the claims", || seal::open(parse(), key, config.binding()));
    table.row("decode the struct", decode(suite));
    table.row("read both clocks", || clock.now());
    table.print(title, &[]);
}

fn decode(suite: Suite) -> impl FnMut() -> Visitor {
    let mut bytes = Vec::new();
    payload::encode(suite, &Visitor::typical(), &mut bytes).expect("a session is encoded");
    move || payload::decode(suite, &bytes).expect("and decoded")
}

/// The cipher and nothing else: no header, no base64, no derived key, no struct.
fn floor(shop: &Shop) -> impl FnMut() -> Vec<u8> + use<> {
    const OUTSIDE: usize = sealjar::wire::HEADER + sealjar::wire::NONCE + sealjar::wire::TAG;
    let (cipher, nonce, aad) = (Aes256Gcm::new(&[7; 32].into()), Nonce::from([1; 12]), [3; 51]);
    let mut sealed = vec![0; shop.value().len() * 3 / 4 - OUTSIDE];
    let tag: Tag = cipher.encrypt_inout_detached(&nonce, &aad, sealed.as_mut_slice().into()).expect("a short message");
    move || {
        let mut body = sealed.clone();
        cipher.decrypt_inout_detached(&nonce, &aad, body.as_mut_slice().into(), &tag).expect("its own seal");
        body
    }
}

fn refusing(encrypted: &Shop, signed: &Shop) {
    let with = |value: &str| five_cookies(&format!("{NAME}={value}"));
    let forge = |value: &str| {
        let (kept, last) = value.split_at(value.len() - 8);
        with(&format!("{kept}{}", if last.starts_with("AAAA") { "BBBBBBBA" } else { "AAAAAAAA" }))
    };
    let none = five_cookies("other=1");
    let (large, short, odd) = (with(&"A".repeat(5000)), with("AQ"), with(&format!("{}!", encrypted.value())));
    let (forged, forged_signed) = (forge(encrypted.value()), forge(signed.value()));
    let mut table = Table::default();
    for (name, shop, header, verdict) in [
        ("sealjar: no cookie of ours", encrypted, &none, Verdict::NoCookie),
        ("sealjar: too large", encrypted, &large, Verdict::TooLarge),
        ("sealjar: malformed, too short", encrypted, &short, Verdict::Malformed),
        ("sealjar: malformed, a character that is none", encrypted, &odd, Verdict::Malformed),
        ("sealjar encrypted: forged", encrypted, &forged, Verdict::BadSeal),
        ("sealjar signed: forged", signed, &forged_signed, Verdict::BadSeal),
    ] {
        assert_eq!(shop.open(header).verdict(), verdict, "{name}");
        table.row(name, move || shop.open(header));
    }
    table.print("Refusing", &[]);
}

fn sealing(encrypted: &Shop, signed: &Shop, peers: &Peers) {
    let typical = Visitor::typical();
    let mut table = Table::default();
    table.row("sealjar encrypted: encode and seal", seal(encrypted, Suite::Encrypted));
    table.row("sealjar signed: encode and seal", seal(signed, Suite::Signed));
    table.row("sealjar encrypted: begin, change, commit -> Set-Cookie line", change(encrypted));
    table.row("sealjar signed: begin, change, commit -> Set-Cookie line", change(signed));
    table.row(PRIVATE, || peers.private.seal(&typical));
    table.row(SIGNED, || peers.signed.seal(&typical));
    table.row("seshcookie 0.1, its codec + JSON", || peers.sesh.seal(&typical));
    table.print("Typed session -> cookie", &[PRIVATE, "seshcookie 0.1, its codec + JSON"]);
}

fn seal(shop: &Shop, suite: Suite) -> impl FnMut() -> String {
    let (config, ring, session) = (shop.sessions.config(), shop.sessions.key_ring(), Visitor::typical());
    let envelope = Unverified::parse(shop.value().as_bytes()).expect("our own cookie");
    let key = ring.find(envelope.key_id()).expect("our own key");
    let opened = seal::open(envelope, key, config.binding()).expect("our own seal");
    move || {
        let mut bytes = Vec::with_capacity(512);
        payload::encode(suite, &session, &mut bytes).expect("a session is encoded");
        let content = Content { session: opened.session, claims: &opened.claims, extras: &[], payload: &bytes };
        seal::seal(suite, content, ring.sealing().expect("a key"), config.binding()).expect("it fits")
    }
}

fn change(shop: &Shop) -> impl FnMut() -> Stamp {
    let mut coins = 0;
    move || {
        let mut session = shop.open(&shop.header);
        coins = (coins + 1) % 1000;
        session.update(|visitor| visitor.cart[0].cents = 1000 + coins);
        session.commit().expect("it fits")
    }
}

fn characters(encrypted: &Shop, signed: &Shop, peers: &Peers) {
    println!("\nCharacters of the cookie's value, same session");
    for (name, pair) in [
        ("sealjar encrypted", &encrypted.pair),
        ("seshcookie 0.1, encrypted", &peers.sesh_pair),
        ("PrivateJar (cookie 0.18) + JSON, encrypted", &peers.private_pair),
        ("the same, not percent-encoded", &peers.private_raw),
        ("sealjar signed", &signed.pair),
        ("SignedJar (cookie 0.18) + JSON, signed", &peers.signed_pair),
        ("the same, not percent-encoded", &peers.signed_raw),
    ] {
        println!("{name:<58} {:>5}", pair.len() - NAME.len() - 1);
    }
}
