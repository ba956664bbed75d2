//! The captcha: an image, and its answer in the cookie.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{self, Answer, Client, Example, Process, command, eventually};

/// Gets an image, reads it, answers it.
pub fn log_in(example: &Example, client: &mut Client, name: &str) {
    let answer = new_captcha(example, client);
    let said = client.post("/answer", &json!({ "answer": answer, "name": name }));
    assert_eq!((said.status, &said.json["captcha"]), (200, &json!("right")), "{}", said.text);
}

pub fn new_captcha(example: &Example, client: &mut Client) -> String {
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
