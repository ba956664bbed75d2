//! The login: out here, everywhere, and what an open stream hears of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{self, Client, Example};

pub fn ada() -> Value {
    json!({ "user_id": 7, "name": "Ada", "email": "ada@example.org" })
}

#[test]
fn a_login_from_beginning_to_end() {
    let example = Example::start("login");
    let mut client = example.client();
    let none = client.get("/me");
    assert_eq!((none.status, &none.json), (401, &json!({ "error": "no_session", "verdict": "no_cookie" })));

    assert_eq!(client.post("/login", &ada()).json, json!({ "user_id": 7, "name": "Ada" }));
    let me = client.get("/me");
    assert_eq!((me.status, &me.json), (200, &json!({ "user_id": 7, "name": "Ada" })));
    assert_eq!(me.all("set-cookie").count(), 0, "reading a young session writes nothing");

    let old = client.clone().cookie;
    assert_eq!(client.post("/logout", &Value::Null).json["logged_out"], "here");
    assert_eq!(client.get("/me").verdict(), "no_cookie");
    client.cookie = old;
    let revoked = client.get("/me");
    assert_eq!((revoked.status, revoked.verdict()), (401, "revoked_session"));
    assert_eq!(client.post("/logout", &Value::Null).verdict(), "revoked_session", "there is nothing left to log out");
}

#[test]
fn everywhere_means_every_session_of_the_user() {
    let example = Example::start("login");
    let mut clients = [example.client(), example.client(), example.client()];
    for client in &mut clients {
        client.post("/login", &ada());
    }
    let mut grace = example.client();
    grace.post("/login", &json!({ "user_id": 8, "name": "Grace", "email": "grace@example.org" }));
    assert_eq!(clients[0].post("/logout-everywhere", &Value::Null).json["logged_out"], "everywhere");
    assert_eq!(clients[1].get("/me").verdict(), "revoked_subject");
    assert_eq!(clients[2].get("/me").verdict(), "revoked_subject");
    assert_eq!(grace.get("/me").status, 200);
}

#[test]
fn a_stream_that_is_open_ends_at_once_when_its_session_is_revoked() {
    let example = Example::start("login");
    let mut client = example.client();
    client.post("/login", &ada());
    let mut events = Events::open(&example, &client);
    assert_eq!(events.next().as_deref(), Some("begun Ada"));
    let elsewhere = client.clone();
    let waiting = std::thread::spawn(move || {
        let ended = events.next();
        (ended, events.next(), Instant::now())
    });
    let mut elsewhere = elsewhere;
    assert_eq!(elsewhere.post("/logout-everywhere", &Value::Null).status, 200);
    let revoked = Instant::now();
    let (ended, after, closed) = waiting.join().expect("it was read");
    assert_eq!((ended.as_deref(), after), (Some("ended revoked_subject"), None), "and then it is closed");
    println!("closed {:?} after the answer to the logout", closed.saturating_duration_since(revoked));
}

/// A stream of server-sent events, as a browser reads it.
struct Events(std::io::Lines<BufReader<TcpStream>>);

impl Events {
    fn open(example: &Example, client: &Client) -> Self {
        let address = example.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(support::PATIENCE)).expect("a socket");
        let cookie = client.cookie.as_deref().expect("logged in");
        let request = format!("GET /events HTTP/1.0\r\nHost: {address}\r\nCookie: login={cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it takes requests");
        Self(BufReader::new(stream).lines())
    }
}

impl Iterator for Events {
    type Item = String;

    /// `name data`; nothing when the server has closed the stream.
    fn next(&mut self) -> Option<String> {
        let mut line = |name: &str| {
            self.0
                .by_ref()
                .map(|line| line.expect("within patience"))
                .find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        Some(format!("{} {}", line("event:")?, line("data:")?))
    }
}

#[test]
fn logging_in_again_ends_the_session_before() {
    let example = Example::start("login");
    let mut client = example.client();
    client.post("/login", &ada());
    let mut old = client.clone();
    client.post("/login", &ada());
    assert_ne!(old.cookie, client.cookie);
    assert_eq!(client.get("/me").status, 200);
    assert_eq!(old.get("/me").verdict(), "revoked_session");
}

#[test]
fn a_cookie_of_one_example_is_nothing_to_the_other() {
    let (captcha, login) = (Example::start("captcha"), Example::start("login"));
    let mut client = login.client();
    client.post("/login", &ada());
    let mut other = captcha.client().with(client.cookie);
    assert_eq!(other.get("/session").verdict(), "unknown_key");
}

#[test]
fn after_kill_9_the_login_is_as_it_was() {
    let example = Example::start("login");
    let (mut out, mut stays) = (example.client(), example.client());
    out.post("/login", &ada());
    stays.post("/login", &ada());
    let old = out.cookie.clone();
    assert_eq!(out.post("/logout", &Value::Null).status, 200);
    let example = example.crash_and_restart();
    let mut client = example.client().with(old);
    assert_eq!(client.get("/me").verdict(), "revoked_session");
    client.cookie = stays.cookie;
    assert_eq!(client.get("/me").status, 200);
}
