//! A person at the captcha example, with a real browser: Chromium, driven over the `WebDriver` protocol.
//!
//! Wants `chromium` and `chromedriver`; without them it fails and says how to install them.

#![cfg(all(feature = "warp", feature = "sqlite"))]

mod support;

use serde_json::{Value, json};
use support::browser::{Browser, Driver};
use support::{Example, eventually};

/// The cookie, from the browser's own store.
fn cookie(browser: &Browser) -> Result<Value, String> {
    browser.call("GET", "/cookie/captcha", &Value::Null)
}

fn log_in(browser: &Browser, example: &Example, name: &str) {
    browser.click("#new-captcha");
    let answer = example.captcha_answer();
    eventually("see the image", || {
        let shown = browser.to("#captcha", "displayed", &Value::Null);
        if shown == true { Ok(()) } else { Err("hidden".into()) }
    });
    browser.write("#answer", &answer);
    browser.write("#name", name);
    browser.click("#log-in");
    browser.see("#who", &format!("Logged in as {name}"));
}

#[test]
fn a_thief_gets_nothing_for_an_old_cookie() {
    let (example, driver) = (Example::start("captcha"), Driver::start());
    let browser = driver.browser();
    browser.open(&example.url);
    browser.see("#verdict", "no_cookie");
    browser.see("#who", "Not logged in");
    browser.see("#cause", "The client sent no session cookie");
    assert!(cookie(&browser).is_err(), "looking at the page sets no cookie");

    log_in(&browser, &example, "Ada");
    browser.see("#verdict", "live");
    browser.see("#idle", "4 min");
    let kept = cookie(&browser).expect("logged in");
    assert_eq!(kept["httpOnly"], true);
    assert_eq!(kept["sameSite"], "Lax");
    assert_eq!(kept["path"], "/");
    assert_eq!(kept["domain"], "127.0.0.1");
    assert_eq!(kept["secure"], false, "the example is for plain http on this machine");
    assert!(kept["expiry"].is_null(), "it goes when the browser is closed");
    assert_eq!(browser.run("return document.cookie"), json!(""), "no script can read it");

    // The page kept a copy of each cookie: the newest is the login, the one below had the captcha.
    browser.see("#copies li:nth-child(1)", "Logged in as Ada");
    browser.click("#copies li:nth-child(1) .replay");
    browser.see("#replay-note", "It works, as Ada");
    browser.click("#copies li:nth-child(2) .take");
    browser.see("#replay-note", "spent");

    browser.click("#logout");
    browser.see("#who", "Not logged in");
    let gone = cookie(&browser).expect_err("after logout");
    assert!(gone.contains("no such cookie"), "{gone}");

    browser.click("#copies li:nth-child(1) .replay");
    let said = browser.see("#replay-note", "revoked_session");
    assert!(said.contains("Refused") && said.contains("was logged out or revoked"), "{said}");
    browser.see("#counters", "revoked_session");
    browser.see("#verdict", "no_cookie");
}

#[test]
fn logging_out_everywhere_reaches_the_other_browser() {
    let (example, driver) = (Example::start("captcha"), Driver::start());
    let (here, there) = (driver.browser(), driver.browser());
    for browser in [&here, &there] {
        browser.open(&example.url);
        log_in(browser, &example, "Ada");
    }
    here.click("#logout-everywhere");
    here.see("#session-note", "logged out everywhere");
    there.click("#refresh");
    there.see("#verdict", "revoked_subject");
    there.see("#who", "Not logged in");
    there.see("#cause", "log out everywhere");

    log_in(&there, &example, "Ada");
    there.see("#verdict", "live");
}

#[test]
fn a_wrong_answer_is_told_and_needs_a_new_image() {
    let (example, driver) = (Example::start("captcha"), Driver::start());
    let browser = driver.browser();
    browser.open(&example.url);
    browser.click("#new-captcha");
    example.captcha_answer();
    browser.see("#copies", "A visitor with a captcha");
    browser.write("#answer", "wrong");
    // The keyboard is enough.
    browser.write("#name", "Ada\u{E007}");
    browser.see("#login-note", "wrong");
    browser.see("#no-captcha", "used up");
    log_in(&browser, &example, "Ada");
}

#[test]
fn the_pages_fit_a_phone_and_a_desk() {
    let driver = Driver::start();
    let browser = driver.browser();
    for name in ["captcha", "login"] {
        let example = Example::start(name);
        browser.open(&example.url);
        for width in [360, 390, 768, 1200] {
            browser.screen(width, 800);
            // What sticks out of its box, with everything unfolded.
            let script = "
                document.querySelectorAll('details').forEach((d) => { d.open = true; });
                const cards = [...document.querySelectorAll('.card')];
                const boxes = cards.map((card) => [card, card.parentElement.closest('.column, main') || document.body]);
                const out = boxes.filter(([card, box]) => card.getBoundingClientRect().width
                    > (box.getBoundingClientRect().width || innerWidth) + 1).map(([card]) => card.innerText.slice(0, 20));
                return { cards: cards.length, out, over: document.documentElement.scrollWidth - document.documentElement.clientWidth };";
            let seen = browser.run(script);
            assert!(seen["cards"].as_u64() >= Some(2), "{name} was shown");
            assert_eq!((&seen["out"], &seen["over"]), (&json!([]), &json!(0)), "{name}, {width} wide");
        }
    }
}
