//! A user is logged out everywhere, and the operator sees it happen.

use serde_json::json;

use crate::stage::{ENTER, Stage};
use crate::support::browser::{Browser, Driver};
use crate::support::eventually;

#[test]
fn a_user_is_logged_out_everywhere_with_the_list_in_a_file() {
    logged_out_everywhere(&Stage::sqlite(3));
}

#[test]
fn a_user_is_logged_out_everywhere_with_the_list_in_redis() {
    logged_out_everywhere(&Stage::redis(3));
}

fn logged_out_everywhere(stage: &Stage) {
    let (here, there) = (&stage.nodes[0], &stage.nodes[1]);
    let (laptop, phone, other) = (here.log_in(7), there.log_in(7), here.log_in(8));
    let driver = Driver::start();
    let browser = stage.console(&driver, "read,revoke.all");
    browser.see("#link", "Live");
    browser.see("#tile-nodes", "3 of 3 follow");
    for node in &stage.nodes {
        browser.see("#node-rows", &node.name());
    }
    browser.see("#progress-words", "Nothing was revoked here yet");

    // The reason is asked for; Enter alone changes nothing.
    browser.write("#target", &format!("7{ENTER}"));
    assert_eq!(browser.run("return document.activeElement.id"), json!("reason"));
    browser.write("#reason", &format!("<img src=x onerror=alert(1)> 4711{ENTER}"));
    let plan = browser.see("#logout-note", "Every session of the subject 7");
    assert!(plan.contains("1 record for ") && plan.contains("3 nodes must hear of it"), "{plan}");
    for (node, cookie) in [(here, &laptop), (there, &laptop), (there, &phone)] {
        assert_eq!(node.verdict(cookie), "live", "a dry run changes nothing");
    }
    browser.see("#progress-words", "Nothing was revoked here yet");

    browser.press(ENTER);
    browser.see("#progress-words", "In force on 3 of 3 nodes");
    for node in &stage.nodes {
        assert_eq!(
            [&laptop, &phone, &other].map(|cookie| node.verdict(cookie)),
            ["revoked_subject", "revoked_subject", "live"]
        );
    }
    browser.see("#progress-after", "after ");
    let done = browser
        .run("return [...document.querySelectorAll('#progress-nodes li.good .value')].map((v) => v.textContent)");
    let done = done.as_array().expect("a list");
    assert!(
        done.len() == 3 && done.iter().all(|took| took.as_str().is_some_and(|took| took.ends_with('s'))),
        "{done:?}"
    );
    browser.see("#progress-about", "“<img src=x onerror=alert(1)> 4711”");
    browser.see("#audit-rows li:first-child", "revoke subject 7");
    assert_eq!(browser.run("return document.images.length"), json!(0), "text stays text");

    explained(stage, &browser, &laptop);
    a_node_hangs(stage, &browser, &other);
    everybody(stage, &browser);
}

/// The cookie that was refused, pasted; and nothing of it is left.
fn explained(stage: &Stage, browser: &Browser, cookie: &str) {
    browser.write("#cookie", &format!("Cookie: theme=dark; {cookie}{ENTER}"));
    let said = browser.see("#why-answer", "revoked_subject");
    for words in
        ["Refused", "All sessions of this user", "Log in again", "subject 7", "by token", "4711", "Ends in any case"]
    {
        assert!(said.contains(words), "`{words}` is not in `{said}`");
    }
    assert_eq!(browser.run("return document.querySelector('#cookie').value"), json!(""));
    let value = cookie.split_once('=').expect("a pair").1;
    let page = browser.run("return location.href + document.documentElement.outerHTML");
    assert!(!page.as_str().expect("a page").contains(value), "it stands nowhere in the page");
    let log = std::fs::read_to_string(stage.home().join("audit.jsonl")).expect("an audit");
    assert!(!log.contains(value));

    browser.write("#cookie", &format!("{}{ENTER}", stage.nodes[2].log_in(9)));
    browser.see("#why-answer", "Accepted");
    browser.click("#why-logout");
    let filled = browser.run("return [document.querySelector('#target').value, document.activeElement.id]");
    assert!(filled[0].as_str().is_some_and(|handle| handle.len() == 27), "{filled}");
    assert_eq!(filled[1], json!("reason"));
}

/// Who is missing is named, with what to do about it, until it is there.
fn a_node_hangs(stage: &Stage, browser: &Browser, cookie: &str) {
    let (hanging, others) = stage.nodes.split_last().expect("nodes");
    hanging.process.signal("STOP");
    browser.run("scrollTo(0, 0)");
    browser.click("input[value=subject]");
    browser.write("#target", "8");
    browser.write("#reason", &format!("lost phone{ENTER}"));
    browser.see("#logout-note", "Every session of the subject 8");
    browser.click("#do-it");
    browser.see("#progress-words", "In force on 2 of 3 nodes");
    let missing = browser.see("#progress-nodes li.warn", "not yet");
    assert!(missing.contains(&hanging.name()) && missing.contains("beat"), "{missing}");
    browser.see("#tile-progress", "2 of 3 nodes");
    for node in others {
        assert_eq!(node.verdict(cookie), "revoked_subject");
    }
    hanging.process.signal("CONT");
    browser.see("#progress-words", "In force on 3 of 3 nodes");
    browser.see("#earlier-rows", "subject 7");
    assert_eq!(hanging.verdict(cookie), "revoked_subject");
}

/// It takes a scope of its own, and the typed name of the app.
fn everybody(stage: &Stage, browser: &Browser) {
    let cookie = stage.nodes[0].log_in(7);
    browser.see("#app", "login");
    browser.run("scrollTo(0, 0)");
    browser.click("#scope-all");
    browser.write("#reason", &format!("leak{ENTER}"));
    let plan = browser.see("#logout-note", "Everybody in login would be logged out");
    assert!(plan.contains("Type login above"), "{plan}");
    let enabled = "return !document.querySelector('#do-it').disabled";
    for typed in ["", "log", "Login"] {
        browser.write("#target", typed);
        assert_eq!(browser.run(enabled), json!(false), "{typed}");
    }
    assert_eq!(stage.nodes[0].verdict(&cookie), "live");
    browser.write("#target", "login");
    browser.click("#do-it");
    browser.see("#progress-about", "everybody");
    browser.see("#progress-words", "In force on 3 of 3 nodes");
    assert_eq!(stage.nodes[0].verdict(&cookie), "revoked_all");

    // What the dry run was about is what the second button does: another word, and it is off again.
    browser.run("scrollTo(0, 0)");
    browser.click("input[value=tenant]");
    browser.write("#target", "acme");
    browser.write("#reason", &format!("merged{ENTER}"));
    browser.see("#logout-note", "Every session of the tenant acme");
    eventually("press the button", || match browser.run(enabled) {
        on if on == true => Ok(()),
        off => Err(off.to_string()),
    });
    browser.press("!");
    browser.click("#reason");
    browser.press("!");
    assert_eq!(browser.run(enabled), json!(false));
    browser.see("#logout-note", "First a dry run");
}
