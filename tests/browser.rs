//! A person at the captcha example, with a real browser: Chromium, driven over the `WebDriver` protocol.
//!
//! Wants `chromium` and `chromedriver`; without them it fails and says how to install them.

#![cfg(all(feature = "warp", feature = "sqlite"))]

mod support;

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Example, Process, eventually, http};
use tempfile::TempDir;

const INSTALL: &str = "Install both with `apt-get install -y chromium chromium-driver`, then run the test again.";

/// Nothing of the machine's own browser, and no traffic but the test's.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

struct Driver {
    /// Ends the driver when dropped.
    _process: Process,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let mut command = Command::new("chromedriver");
        let process = Process::start(command.arg("--port=0").stderr(Stdio::null()))
            .unwrap_or_else(|error| panic!("chromedriver does not start ({error}). {INSTALL}"));
        let port = process.after("started successfully on port ");
        Self { url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')), _process: process }
    }

    /// A new browser, with a profile of its own.
    fn browser(&self) -> Browser {
        let profile = tempfile::tempdir().expect("a scratch folder");
        let folder = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<_> = FLAGS.into_iter().chain([&*folder]).collect();
        let wishes = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": flags } } } });
        let begun = call("POST", &format!("{}/session", self.url), &wishes)
            .unwrap_or_else(|error| panic!("chromium does not start ({error}). {INSTALL}"));
        let id = begun["sessionId"].as_str().expect("a session's id");
        Browser { url: format!("{}/session/{id}", self.url), _profile: profile }
    }
}

struct Browser {
    url: String,
    _profile: TempDir,
}

/// One `WebDriver` command: its value, or its error's code and message.
fn call(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let text = body.to_string();
    let answer = http(method, url, [], (method == "POST").then_some(("application/json", &*text)));
    let value = answer.json["value"].clone();
    if answer.status == 200 { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
}

impl Browser {
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        call(method, &format!("{}{path}", self.url), body)
    }

    fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url })).expect("the page loads");
    }

    /// Does something to the element, as soon as it is there and can take it.
    fn to(&self, css: &str, action: &str, body: &Value) -> Value {
        eventually(&format!("{action} {css}"), || {
            let found = self.call("POST", "/element", &json!({ "using": "css selector", "value": css }))?;
            let id = found.as_object().and_then(|o| o.values().next()).and_then(Value::as_str).expect("a reference");
            let method = if action == "text" || action == "displayed" { "GET" } else { "POST" };
            self.call(method, &format!("/element/{id}/{action}"), body)
        })
    }

    fn click(&self, css: &str) {
        self.to(css, "click", &json!({}));
    }

    fn write(&self, css: &str, text: &str) {
        self.to(css, "clear", &json!({}));
        self.to(css, "value", &json!({ "text": text }));
    }

    /// Waits until the element's text has `words` in it, and returns all of it.
    fn see(&self, css: &str, words: &str) -> String {
        let text = || self.to(css, "text", &Value::Null).as_str().unwrap_or_default().to_owned();
        eventually(&format!("see `{words}` in {css}"), || {
            let text = text();
            if text.contains(words) { Ok(text) } else { Err(format!("it says `{text}`")) }
        })
    }

    /// The cookie, from the browser's own store.
    fn cookie(&self) -> Result<Value, String> {
        self.call("GET", "/cookie/captcha", &Value::Null)
    }

    fn log_in(&self, example: &Example, name: &str) {
        self.click("#new-captcha");
        let answer = example.captcha_answer();
        eventually("see the image", || {
            let shown = self.to("#captcha", "displayed", &Value::Null);
            if shown == true { Ok(()) } else { Err("hidden".into()) }
        });
        self.write("#answer", &answer);
        self.write("#name", name);
        self.click("#log-in");
        self.see("#who", &format!("Logged in as {name}"));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = call("DELETE", &self.url, &Value::Null);
    }
}

#[test]
fn a_thief_gets_nothing_for_an_old_cookie() {
    let (example, driver) = (Example::start("captcha"), Driver::start());
    let browser = driver.browser();
    browser.open(&example.url);
    browser.see("#verdict", "no_cookie");
    browser.see("#who", "Not logged in");
    browser.see("#cause", "The client sent no session cookie");
    assert!(browser.cookie().is_err(), "looking at the page sets no cookie");

    browser.log_in(&example, "Ada");
    browser.see("#verdict", "live");
    browser.see("#idle", "4 min");
    let cookie = browser.cookie().expect("logged in");
    assert_eq!(cookie["httpOnly"], true);
    assert_eq!(cookie["sameSite"], "Lax");
    assert_eq!(cookie["path"], "/");
    assert_eq!(cookie["domain"], "127.0.0.1");
    assert_eq!(cookie["secure"], false, "the example is for plain http on this machine");
    assert!(cookie["expiry"].is_null(), "it goes when the browser is closed");
    let seen = browser.call("POST", "/execute/sync", &json!({ "script": "return document.cookie", "args": [] }));
    assert_eq!(seen, Ok(json!("")), "no script can read it");

    // The page kept a copy of each cookie: the newest is the login, the one below had the captcha.
    browser.see("#copies li:nth-child(1)", "Logged in as Ada");
    browser.click("#copies li:nth-child(1) .replay");
    browser.see("#replay-note", "It works, as Ada");
    browser.click("#copies li:nth-child(2) .take");
    browser.see("#replay-note", "spent");

    browser.click("#logout");
    browser.see("#who", "Not logged in");
    let gone = browser.cookie().expect_err("after logout");
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
        browser.log_in(&example, "Ada");
    }
    here.click("#logout-everywhere");
    here.see("#session-note", "logged out everywhere");
    there.click("#refresh");
    there.see("#verdict", "revoked_subject");
    there.see("#who", "Not logged in");
    there.see("#cause", "log out everywhere");

    there.log_in(&example, "Ada");
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
    browser.log_in(&example, "Ada");
}

#[test]
fn the_pages_fit_a_phone_and_a_desk() {
    let driver = Driver::start();
    let browser = driver.browser();
    for name in ["captcha", "login"] {
        let example = Example::start(name);
        browser.open(&example.url);
        for width in [360, 390, 768, 1200] {
            let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 768 });
            let cdp = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen });
            browser.call("POST", "/goog/cdp/execute", &cdp).expect("the window's size");
            // What sticks out of its box, with everything unfolded.
            let script = "
                document.querySelectorAll('details').forEach((d) => { d.open = true; });
                const cards = [...document.querySelectorAll('.card')];
                const boxes = cards.map((card) => [card, card.parentElement.closest('.column, main') || document.body]);
                const out = boxes.filter(([card, box]) => card.getBoundingClientRect().width
                    > (box.getBoundingClientRect().width || innerWidth) + 1).map(([card]) => card.innerText.slice(0, 20));
                return { cards: cards.length, out, over: document.documentElement.scrollWidth - document.documentElement.clientWidth };";
            let seen = browser.call("POST", "/execute/sync", &json!({ "script": script, "args": [] })).expect("a look");
            assert!(seen["cards"].as_u64() >= Some(2), "{name} was shown");
            assert_eq!((&seen["out"], &seen["over"]), (&json!([]), &json!(0)), "{name}, {width} wide");
        }
    }
}
