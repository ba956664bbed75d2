//! Chromium, driven over the `WebDriver` protocol.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Process, eventually, http};

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

pub struct Driver {
    /// Ends the driver when dropped.
    _process: Process,
    url: String,
}

impl Driver {
    pub fn start() -> Self {
        // It takes a port that is free for IPv4 and wants the same for IPv6, which something else may have: again, then.
        let mut tries = (0..5).map(|_| {
            let mut command = Command::new("chromedriver");
            let process = Process::start(command.arg("--port=0").stderr(Stdio::null()))
                .unwrap_or_else(|error| panic!("chromedriver does not start ({error}). {INSTALL}"));
            let port = process.said("started successfully on port ")?;
            Some(Self { url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')), _process: process })
        });
        tries.find_map(|driver| driver).expect("chromedriver starts")
    }

    /// A new browser, with a profile of its own.
    pub fn browser(&self) -> Browser {
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

pub struct Browser {
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
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        call(method, &format!("{}{path}", self.url), body)
    }

    pub fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url })).expect("the page loads");
    }

    /// Does something to the element, as soon as it is there and can take it.
    pub fn to(&self, css: &str, action: &str, body: &Value) -> Value {
        eventually(&format!("{action} {css}"), || {
            let found = self.call("POST", "/element", &json!({ "using": "css selector", "value": css }))?;
            let id = found.as_object().and_then(|o| o.values().next()).and_then(Value::as_str).expect("a reference");
            let method = if action == "text" || action == "displayed" { "GET" } else { "POST" };
            let done = self.call(method, &format!("/element/{id}/{action}"), body);
            // The page may have moved it under a bar that stays in place; a person would scroll a little.
            if done.as_ref().is_err_and(|why| why.contains("intercepted")) {
                self.run("scrollBy(0, -100)");
            }
            done
        })
    }

    pub fn click(&self, css: &str) {
        self.to(css, "click", &json!({}));
    }

    pub fn write(&self, css: &str, text: &str) {
        self.to(css, "clear", &json!({}));
        self.to(css, "value", &json!({ "text": text }));
    }

    /// Waits until the element's text has `words` in it, and returns all of it.
    pub fn see(&self, css: &str, words: &str) -> String {
        let text = || self.to(css, "text", &Value::Null).as_str().unwrap_or_default().to_owned();
        eventually(&format!("see `{words}` in {css}"), || {
            let text = text();
            if text.contains(words) { Ok(text) } else { Err(format!("it says `{text}`")) }
        })
    }

    /// Runs a script in the page.
    pub fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] })).expect("the script runs")
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let key = |key: char| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let actions: Vec<_> = keys.chars().flat_map(key).collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] });
        self.call("POST", "/actions", &body).expect("keys are pressed");
    }

    /// The screen's size in CSS pixels.
    pub fn screen(&self, width: u32, height: u32) {
        let mobile = width < 768;
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile }),
        );
    }

    /// What the person has chosen: `light` or `dark`.
    pub fn prefers(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    pub fn cdp(&self, command: &str, params: &Value) {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": params })).expect(command);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = call("DELETE", &self.url, &Value::Null);
    }
}
