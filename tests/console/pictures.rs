//! Pictures of the console, for people to look at: `target/console/*.png`.
//!
//! `cargo test --all-features --test console -- --ignored pictures`

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::stage::{ENTER, Stage};
use crate::support::browser::{Browser, Driver};

#[test]
#[ignore = "takes pictures, which people look at"]
fn pictures() {
    let stage = Stage::redis(3);
    let cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let browser = driver.browser();
    browser.open(&stage.url());
    take(&browser, "gate");
    browser.write("#token", &format!("{}{ENTER}", stage.token("read,revoke.all,keys")));
    browser.see("#tile-nodes", "3 of 3 follow");
    browser.see("#no-risks", "No risk was found");
    take(&browser, "all-well");

    // A logout while a node hangs; the store has got risks.
    let server = stage.server.as_ref().expect("a server");
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(server.command(&["CONFIG", "SET", "maxmemory", "64mb"]));
    runtime.block_on(server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]));
    stage.nodes[2].process.signal("STOP");
    browser.write("#target", "7");
    browser.write("#reason", &format!("phone stolen{ENTER}"));
    browser.see("#logout-note", "Every session of the subject 7");
    take(&browser, "dry-run");
    browser.click("#do-it");
    browser.see("#progress-words", "In force on 2 of 3 nodes");
    browser.write("#cookie", &format!("{cookie}{ENTER}"));
    browser.see("#why-answer", "revoked_subject");
    browser.see("#tile-nodes", "1 of 3 silent");
    browser.see("#store-risks", "eviction policy");
    take(&browser, "logout");

    // A rotation that waits for the same node; then it is done.
    browser.click("#rotate");
    browser.write("#key-reason", &format!("once a quarter{ENTER}"));
    browser.see("#rotation-note", "2 of 3 nodes have it");
    take(&browser, "rotation");
    stage.nodes[2].process.signal("CONT");
    browser.see("#rotation-note", "seals new cookies from now on");
    browser.see("#progress-words", "In force on 3 of 3 nodes");
    take(&browser, "rotated");
}

/// The whole page, on a phone and on a desk, light and dark.
fn take(browser: &Browser, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("console");
    fs::create_dir_all(&folder).expect("a folder");
    for scheme in ["light", "dark"] {
        browser.prefers(scheme);
        for (what, width) in [("phone", 390), ("desk", 1440)] {
            browser.screen(width, 900);
            browser.run("scrollTo(0, 0)");
            let whole = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
            let taken = browser.call("POST", "/goog/cdp/execute", &whole).expect("a picture");
            let picture = STANDARD.decode(taken["data"].as_str().expect("base64")).expect("base64");
            fs::write(folder.join(format!("{name}-{what}-{scheme}.png")), picture).expect("it is kept");
        }
    }
}
