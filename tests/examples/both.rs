//! What both promise.

use serde_json::{Value, json};

use crate::login::ada;
use crate::support::{Client, Example, command, eventually};

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
