//! What the examples show, shown again by real processes over HTTP.

#![cfg(all(feature = "warp", feature = "sqlite"))]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};
use support::{Answer, Client, Example, Process, command, eventually};

// --- the captcha -------------------------------------------------------------------------------------

/// Gets an image, reads it, answers it.
fn log_in(example: &Example, client: &mut Client, name: &str) {
    let answer = new_captcha(example, client);
    let said = client.post("/answer", &json!({ "answer": answer, "name": name }));
    assert_eq!((said.status, &said.json["captcha"]), (200, &json!("right")), "{}", said.text);
}

fn new_captcha(example: &Example, client: &mut Client) -> String {
    let image = client.get("/captcha.png");
    assert_eq!(image.status, 200);
    assert!(image.text.contains("PNG"), "a picture");
    assert!(client.cookie.is_some(), "the answer came along, sealed");
    example.captcha_answer()
}

fn replay(client: &mut Client, cookie: &str) -> Answer {
    client.post("/replay", &json!({ "cookie": cookie, "take_captcha": true }))
}

#[test]
fn a_captcha_is_read_in_the_request_after_the_one_that_made_it() {
    let example = Example::start("captcha");
    let mut ada = example.client();
    log_in(&example, &mut ada, "Ada");
    let session = ada.get("/session");
    assert_eq!((session.verdict(), &session.json["name"]), ("live", &json!("Ada")));
    assert_eq!(session.json["logged_in"], true);
    assert_eq!(session.json["cookie"]["session"]["idle"], 300);
}

#[test]
fn upper_and_lower_case_are_the_same_and_a_wrong_answer_needs_a_new_image() {
    let example = Example::start("captcha");
    let mut ada = example.client();
    let answer = new_captcha(&example, &mut ada);
    let kept = ada.cookie.clone();
    let said = ada.post("/answer", &json!({ "answer": "wrong", "name": "Ada" }));
    assert_eq!((said.status, &said.json["captcha"]), (403, &json!("wrong")));
    let said = ada.post("/answer", &json!({ "answer": answer, "name": "Ada" }));
    assert_eq!((said.status, &said.json["captcha"]), (403, &json!("absent")), "the new cookie has no answer any more");
    ada.cookie = kept;
    let said = ada.post("/answer", &json!({ "answer": answer, "name": "Ada" }));
    assert_eq!((said.status, &said.json["captcha"]), (403, &json!("spent")), "the old cookie has, and it is used up");

    let answer = new_captcha(&example, &mut ada).to_lowercase();
    let said = ada.post("/answer", &json!({ "answer": format!(" {answer} "), "name": "Ada" }));
    assert_eq!(said.status, 200, "{}", said.text);
}

#[test]
fn an_answered_captcha_cannot_be_replayed_with_an_old_cookie() {
    let example = Example::start("captcha");
    let mut ada = example.client();
    let answer = new_captcha(&example, &mut ada);
    let copied = ada.cookie.clone();
    ada.post("/answer", &json!({ "answer": answer, "name": "Ada" }));

    let mut thief = example.client().with(copied.clone());
    let said = thief.post("/answer", &json!({ "answer": answer, "name": "Mallory" }));
    assert_eq!((said.status, &said.json["captcha"]), (403, &json!("spent")));
    let said = replay(&mut example.client(), &copied.unwrap());
    assert_eq!(said.json["captcha"]["captcha"], "spent");
    assert!(!said.text.contains(&answer), "no route tells the answer");
}

#[test]
fn a_copy_of_a_logged_out_cookie_is_refused_and_the_log_says_why() {
    let example = Example::start("captcha");
    let mut ada = example.client();
    log_in(&example, &mut ada, "Ada");
    let copied = ada.get("/copy").json["cookie"].as_str().unwrap().to_owned();
    assert_eq!(Some(&copied), ada.cookie.as_ref());
    let before = replay(&mut example.client(), &copied);
    assert_eq!((before.verdict(), &before.json["name"]), ("live", &json!("Ada")), "stolen, and not yet revoked");

    assert_eq!(ada.post("/logout", &Value::Null).status, 200);
    assert_eq!(ada.cookie, None, "the browser was told to drop it");
    assert_eq!(ada.get("/session").verdict(), "no_cookie");

    let mut thief = example.client().with(Some(copied.clone()));
    let session = thief.get("/session");
    assert_eq!((session.verdict(), &session.json["name"]), ("revoked_session", &json!("")));
    assert_eq!(replay(&mut example.client(), &copied).verdict(), "revoked_session");
    let counters = session.json["counters"].as_array().unwrap();
    let count = |code: &str| counters.iter().find(|c| c["verdict"] == code).map(|c| c["count"].clone());
    assert_eq!(count("revoked_session"), Some(json!(1)), "its own request is counted");
    let log = example.log();
    assert!(log.contains("revoked_session") && log.contains("GET /session"), "{log}");
    assert!(!log.contains(&copied), "a cookie is a secret");
}

#[test]
fn logging_out_everywhere_reaches_the_other_browser_and_nobody_else() {
    let example = Example::start("captcha");
    let (mut here, mut there, mut other) = (example.client(), example.client(), example.client());
    log_in(&example, &mut here, "Ada");
    log_in(&example, &mut there, "Ada");
    log_in(&example, &mut other, "Grace");
    assert_eq!(here.post("/logout-everywhere", &Value::Null).status, 200);
    assert_eq!(there.get("/session").verdict(), "revoked_subject");
    assert_eq!(other.get("/session").verdict(), "live");
    log_in(&example, &mut there, "Ada");
    assert_eq!(there.get("/session").verdict(), "live", "who logs in afterwards is in");
}

#[test]
fn a_client_that_sends_no_cookie_is_told_so() {
    let example = Example::start("captcha");
    let mut postman = example.client();
    new_captcha(&example, &mut postman);
    postman.cookie = None;
    let said = postman.post("/answer", &json!({ "answer": "K7WQ9", "name": "Ada" }));
    assert_eq!((said.status, said.verdict()), (401, "no_cookie"));
    assert!(said.json["cause"].as_str().unwrap().contains("sent no session cookie"));
    assert!(said.json["fix"].as_str().unwrap().contains("curl use -c jar -b jar"));
    assert_eq!(postman.get("/copy").status, 404);
}

#[test]
fn a_cookie_that_was_tampered_with_is_refused_wherever_it_was_touched() {
    let example = Example::start("captcha");
    let mut ada = example.client();
    log_in(&example, &mut ada, "Ada");
    let good = ada.cookie.clone().unwrap();
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        ada.cookie = Some(String::from_utf8(bytes).unwrap());
        // Of many made-up key ids one in half a second is looked for in the list; of the others nobody can tell.
        let session = eventually("have it looked for", || {
            let session = ada.get("/session");
            if session.status == 503 { Err(session.text) } else { Ok(session) }
        });
        let expected = ["bad_seal", "malformed", "unknown_key", "wrong_suite"];
        assert!(expected.contains(&session.verdict()), "place {place}: {}", session.verdict());
        assert_eq!(session.json["logged_in"], false);
    }
    ada.cookie = Some(good);
    assert_eq!(ada.get("/session").verdict(), "live");
}

#[test]
fn after_kill_9_the_living_live_the_logged_out_stay_out_and_the_spent_stay_spent() {
    let example = Example::start("captcha");
    let (mut ada, mut grace) = (example.client(), example.client());
    let answer = new_captcha(&example, &mut ada);
    let before_answer = ada.cookie.clone().unwrap();
    ada.post("/answer", &json!({ "answer": answer, "name": "Ada" }));
    log_in(&example, &mut grace, "Grace");
    let before_logout = ada.cookie.clone().unwrap();
    assert_eq!(ada.post("/logout", &Value::Null).status, 200);

    let example = example.crash_and_restart();
    let mut client = example.client();
    client.cookie = grace.cookie;
    assert_eq!(client.get("/session").json["name"], "Grace");
    client.cookie = Some(before_logout);
    assert_eq!(client.get("/session").verdict(), "revoked_session");
    client.cookie = Some(before_answer);
    let said = client.post("/answer", &json!({ "answer": answer, "name": "Mallory" }));
    assert_eq!(said.json["captcha"], "spent");
}

#[test]
fn the_answer_is_told_to_nobody_unless_the_terminal_was_asked() {
    let home = tempfile::tempdir().unwrap();
    let process = Process::start(command("captcha", home.path()).env("PORT", "0").stderr(Stdio::null())).unwrap();
    let said = process.after("open ");
    let url = said.split(' ').next().unwrap();
    assert_eq!(support::http("GET", &format!("{url}/captcha.png"), [], None).status, 200);
    assert_eq!(process.rest(), Vec::<String>::new());
}

// --- the login ---------------------------------------------------------------------------------------

fn ada() -> Value {
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

#[test]
fn a_list_out_of_reach_is_503_and_the_client_keeps_its_cookie() {
    let example = Example::start("login");
    let mut client = example.client();
    client.post("/login", &ada());
    let mut out = client.clone();
    client.post("/login", &ada()); // ends the session that `out` holds
    let list = example.home().join("list.db");
    let me_becomes = |client: &mut Client, wanted: u16| {
        eventually(&format!("get {wanted} from /me"), || {
            let me = client.get("/me");
            assert!(me.status == 200 || me.status == 503, "never a false logout: {} {}", me.status, me.text);
            assert_eq!(me.all("set-cookie").count(), 0);
            if me.status == wanted { Ok(me) } else { Err(me.text) }
        })
    };

    // What stands in the file's place is no file, so that nobody can make a new one either.
    std::fs::remove_file(&list).unwrap();
    std::fs::create_dir(&list).unwrap();
    let me = me_becomes(&mut client, 503);
    assert_eq!((&me.json["error"], me.all("retry-after").next()), (&json!("try_again"), Some("2")));
    let logout = client.post("/logout", &Value::Null);
    assert_eq!((logout.status, logout.all("set-cookie").count()), (503, 0), "no logout that would not count");

    // Then it is made anew, and the process gives back what it remembers.
    std::fs::remove_dir(&list).unwrap();
    me_becomes(&mut client, 200);
    assert_eq!(out.get("/me").verdict(), "revoked_session");
}

// --- what both promise -------------------------------------------------------------------------------

#[test]
fn answers_that_set_the_cookie_are_for_no_cache_and_the_cookie_is_as_promised() {
    let (captcha, login) = (Example::start("captcha"), Example::start("login"));
    let (mut at_captcha, mut at_login) = (captcha.client(), login.client());
    let answers = [
        at_captcha.get("/captcha.png"),
        at_captcha.post("/answer", &json!({ "answer": captcha.captcha_answer(), "name": "Ada" })),
        at_captcha.post("/logout", &Value::Null),
        at_login.post("/login", &ada()),
        at_login.post("/logout", &Value::Null),
    ];
    for answer in &answers {
        let lines: Vec<_> = answer.all("set-cookie").collect();
        assert_eq!(lines.len(), 1, "{}", answer.text);
        let attributes: Vec<_> =
            lines[0].split("; ").skip(1).filter(|a| !a.contains('=') || a.starts_with("Same")).collect();
        assert_eq!(attributes, ["HttpOnly", "SameSite=Lax"], "{}", lines[0]);
        assert!(lines[0].contains("; Path=/"), "{}", lines[0]);
        assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["no-store"]);
    }
    let refused = [at_captcha.get("/session"), at_login.get("/me")];
    for answer in answers.iter().chain(&refused) {
        assert_eq!(answer.all("vary").collect::<Vec<_>>(), ["Cookie"]);
    }
}

#[test]
fn the_pages_run_nothing_but_their_own_script_and_fetch_nothing_from_elsewhere() {
    for name in ["captcha", "login"] {
        let example = Example::start(name);
        let page = example.client().get("/");
        assert_eq!(page.status, 200);
        let policy = page.all("content-security-policy").next().expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let outside: Vec<_> = page.text.split(['"', '\'', ' ', '`']).filter(|word| word.starts_with("http")).collect();
        assert_eq!(outside, ["http://www.w3.org/2000/svg"], "only the name of the icon's format");
    }
}

#[test]
fn a_request_that_is_wrong_is_told_how() {
    let example = Example::start("login");
    let mut client = example.client();
    let long = "x".repeat(20_000);
    let mut wrong = |method: &str, path: &str, body| {
        let said = client.send(method, path, body);
        (said.status, said.json["error"].as_str().unwrap_or_default().to_owned(), said.json["fix"].to_string())
    };
    for (body, hint) in [("{", "EOF"), ("{}", "user_id"), (r#"{"user_id":"7"}"#, "u64")] {
        let (status, error, fix) = wrong("POST", "/login", Some(("application/json", body)));
        assert_eq!((status, &*error), (400, "bad_json"));
        assert!(fix.contains(hint), "{fix}");
    }
    assert_eq!(wrong("POST", "/login", Some(("text/plain", "{}"))).0, 415);
    assert_eq!(wrong("POST", "/login", Some(("application/json", &long))).0, 413);
    assert_eq!(wrong("GET", "/login", None).0, 405);
    assert_eq!(wrong("POST", "/me", None).0, 405);
    assert_eq!(wrong("GET", "/nowhere", None).0, 404);
}

#[test]
fn both_stop_when_asked_to_also_while_a_browser_keeps_its_connection() {
    for name in ["captcha", "login"] {
        let mut example = Example::start(name);
        let idle = std::net::TcpStream::connect(example.url.trim_start_matches("http://")).unwrap();
        example.client().get("/");
        assert!(example.process.terminate().success(), "{name}");
        drop(idle);
    }
}

#[test]
fn what_cannot_be_is_refused_at_start_with_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for name in ["captcha", "login"] {
        for (variable, value, code, sentence) in [
            ("REDIS_URL", "redis://:secret@127.0.0.1:1", 1, "nothing listens at redis://127.0.0.1:1"),
            ("PORT", &*port, 1, "is not free"),
            ("PORT", "many", 1, "which is not a port number"),
        ] {
            let home = tempfile::tempdir().unwrap();
            let output = command(name, home.path()).env("PORT", "0").env(variable, value).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{name} with {variable}={value}: {said}");
            assert!(said.contains(sentence) && said.lines().count() == 1, "{said}");
        }
    }
}
