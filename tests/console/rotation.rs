//! A key is rotated, and the timeline shows it; another one has leaked.

use serde_json::{Value, json};

use crate::stage::{ENTER, Stage};
use crate::support::browser::{Browser, Driver};

#[test]
fn a_key_is_rotated_and_one_that_leaked_is_denied() {
    let stage = Stage::redis(3);
    let old_cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let browser = stage.console(&driver, "read,keys");
    browser.see("#tile-keys", "1 key");
    browser.see("#key-rows li", "seals new cookies");
    let old = key(&browser, 1);

    // One node hangs: the others have the new key, and nothing is sealed under it.
    let hanging = &stage.nodes[2];
    hanging.process.signal("STOP");
    browser.click("#rotate");
    browser.see("#key-step-note", "Nothing stands in the way");
    browser.write("#key-reason", &format!("once a quarter{ENTER}"));
    let waiting = browser.see("#rotation-note", "2 of 3 nodes have it");
    assert!(waiting.contains("Missing: ") && waiting.contains(&hanging.name()), "{waiting}");
    browser.see("#tile-keys", "Rotating");
    browser.see("#key-rows li:nth-child(2)", "on its way to the nodes");
    let new = key(&browser, 2);
    assert_eq!(bars(&browser, 2), json!(["staged"]));
    assert_eq!(sealed_under(&stage, &browser), old);

    hanging.process.signal("CONT");
    browser.see("#rotation-note", &format!("{new} seals new cookies from now on"));
    browser.see("#key-rows li:nth-child(1)", "opens, seals no more");
    browser.see("#key-rows li:nth-child(1)", "retire: cookies under it may be good until");
    browser.see("#key-rows li:nth-child(2)", "seals new cookies");
    assert_eq!((bars(&browser, 1), bars(&browser, 2)), (json!(["seals", "opens"]), json!(["seals"])));
    browser.see("#progress-about", &format!("key {new}"));
    browser.see("#progress-words", "In force on 3 of 3 nodes");
    for node in &stage.nodes {
        assert_eq!(node.verdict(&old_cookie), "live", "nobody is logged out");
    }
    browser.see("#key-rows li:nth-child(1)", "opened today, the last");
    assert_eq!(sealed_under(&stage, &browser), new);

    // The old one has leaked: whoever holds it could make cookies.
    browser.click("#key-rows li:nth-child(1) .leaked");
    let plan = browser.see("#key-step-note", &format!("{old} would be compromised"));
    assert!(plan.contains(&format!("{new} would be active")), "{plan}");
    browser.write("#key-reason", "laptop stolen");
    let off = "return document.querySelector('#key-step-do').disabled";
    browser.write("#key-confirm", &new);
    assert_eq!(browser.run(off), json!(true), "another key's id confirms nothing");
    browser.write("#key-confirm", &format!("{old}{ENTER}"));
    browser.see("#rotation-note", &format!("{old} is compromised"));
    browser.see("#key-rows", "leaked: refused for ever");
    let row = row_of(&browser, &old);
    browser.see("#progress-about", &format!("key {old}"));
    browser.see("#progress-words", "In force on 3 of 3 nodes");
    assert_eq!(bars(&browser, row), json!(["compromised"]));
    for node in &stage.nodes {
        assert_eq!(node.verdict(&old_cookie), "compromised_key");
    }
    browser.write("#cookie", &format!("{old_cookie}{ENTER}"));
    let why = browser.see("#why-answer", "compromised_key");
    assert!(why.contains("laptop stolen"), "{why}");
}

#[test]
fn a_key_is_rotated_with_the_list_in_a_file() {
    let stage = Stage::sqlite(2);
    let old_cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let browser = stage.console(&driver, "read,keys");
    browser.see("#tile-keys", "1 key");
    browser.click("#rotate");
    browser.see("#key-step-note", "Nothing stands in the way");
    browser.write("#key-reason", &format!("once a quarter{ENTER}"));
    browser.see("#rotation-note", "seals new cookies from now on");
    browser.see("#progress-words", "In force on 2 of 2 nodes");
    assert_eq!(sealed_under(&stage, &browser), key(&browser, 2));
    for node in &stage.nodes {
        assert_eq!(node.verdict(&old_cookie), "live", "nobody is logged out");
    }

    // Another one, which somebody takes back elsewhere.
    let hanging = &stage.nodes[1];
    hanging.process.signal("STOP");
    browser.click("#rotate");
    browser.see("#key-step-note", "Nothing stands in the way");
    browser.write("#key-reason", &format!("a test{ENTER}"));
    browser.see("#rotation-note", "Missing: ");
    let third = key(&browser, 3);
    stage.sealjar(&["keys", "rotate", "--abort"]);
    browser.see("#rotation-note", &format!("{third}: retired"));
    browser.see("#tile-keys", "2 keys");
    hanging.process.signal("CONT");
}

/// The id in a row of the ring.
fn key(browser: &Browser, row: usize) -> String {
    browser.see(&format!("#key-rows li:nth-child({row}) .id"), "")
}

/// Where a key stands in the ring: without its file, which every node has erased, nobody knows how old it is.
fn row_of(browser: &Browser, key: &str) -> usize {
    let script = format!(
        "return [...document.querySelectorAll('#key-rows .id')].findIndex((id) => id.textContent.includes('{key}')) + 1"
    );
    let row = browser.run(&script).as_u64().expect("a number");
    usize::try_from(row).expect("a row of the page")
}

/// What the bar of a row is made of.
fn bars(browser: &Browser, row: usize) -> Value {
    browser.run(&format!(
        "return [...document.querySelectorAll('#key-rows li:nth-child({row}) rect')].map((bar) => bar.getAttribute('class'))"
    ))
}

/// The key of a cookie that is new, as the console says it.
fn sealed_under(stage: &Stage, browser: &Browser) -> String {
    browser.write("#cookie", &format!("{}{ENTER}", stage.nodes[1].log_in(8)));
    browser.see("#why-answer", "Accepted");
    let script = "return [...document.querySelectorAll('#why-answer div')].find((row) => row.firstChild.textContent === 'Key').lastChild.textContent";
    let said = browser.run(script);
    said.as_str().and_then(|said| said.split(',').next()).expect("a key").to_owned()
}
