//! Readable on a phone and a desk, light and dark, and without a pointer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{ENTER, ESCAPE, Stage, TAB};
use crate::support::browser::{Browser, Driver};

/// What sticks out at the side, and text that stands out too little (WCAG 2.2, 1.4.3: 4.5 to 1), with everything
/// that is shown now. What is switched off is left out, as there.
const LOOK: &str = "
    const channels = (text) => {
      const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
      const scale = text.startsWith('color(') ? 1 : 255;
      return [r / scale, g / scale, b / scale, a];
    };
    const light = ([r, g, b]) => [r, g, b].map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
    const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3])).concat(1);
    const ground = (e) => {
      const color = channels(getComputedStyle(e).backgroundColor);
      return color[3] === 1 ? color : over(color, e.parentElement ? ground(e.parentElement) : [1, 1, 1, 1]);
    };
    const faint = [], out = [];
    let seen = 0;
    for (const e of document.querySelectorAll('body *')) {
      const box = e.getBoundingClientRect();
      if (!e.checkVisibility() || box.width === 0 || box.height === 0) continue;
      if (box.right > innerWidth + 1 || box.left < -1) out.push(e.id || e.className || e.tagName);
      const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
      if (!own || e.closest(':disabled, label:has(:disabled)')) continue;
      seen += 1;
      const [a, b] = [light(over(channels(getComputedStyle(e).color), ground(e))), light(ground(e))].sort((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(`${e.id || e.className || e.tagName}: ${e.textContent.slice(0, 20)} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
    }
    const root = document.documentElement;
    return { seen, faint, out, over: root.scrollWidth - root.clientWidth };";

#[test]
fn it_fits_a_phone_and_a_desk_in_light_and_dark() {
    let stage = Stage::sqlite(2);
    let cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let browser = driver.browser();
    browser.open(&stage.url());
    fits(&browser, "the gate", 5);
    browser.write("#token", &format!("{}{ENTER}", stage.token("read,revoke,keys")));
    browser.see("#tile-nodes", "2 of 2 follow");
    // Long names, a refusal, a node that is missing, an answer: everything that may stand there.
    browser.write("#target", &"long-name-".repeat(25));
    browser.write("#reason", &format!("{}{ENTER}", "reason".repeat(50)));
    browser.see("#logout-note", "2 nodes must hear of it");
    stage.nodes[1].process.signal("STOP");
    // The answer waits a second for the node that is frozen. Who has gone on meanwhile is not taken back.
    browser.click("#do-it");
    browser.click("#cookie");
    browser.see("#progress-words", "In force on 1 of 2 nodes");
    browser.see("#logout-note", "Revoked at");
    assert_eq!(browser.run(FOCUS)["id"], json!("cookie"));
    browser.write("#cookie", &format!("{}AAAA{ENTER}", &cookie[..cookie.len() - 4]));
    browser.see("#why-answer", "bad_seal");
    browser.write("#target", "7");
    browser.write("#reason", &format!("once more{ENTER}"));
    browser.see("#logout-note", "Every session of the subject 7");
    browser.see("#audit-rows", "reasonreason");
    fits(&browser, "the console", 60);
    browser.click("#help");
    fits(&browser, "the shortcuts", 60);
    stage.nodes[1].process.signal("CONT");
}

fn fits(browser: &Browser, what: &str, least: u64) {
    for scheme in ["light", "dark"] {
        browser.prefers(scheme);
        for width in [360, 390, 768, 1024, 1440] {
            browser.screen(width, 900);
            let seen = browser.run(LOOK);
            assert!(seen["seen"].as_u64() >= Some(least), "{what}: {seen}");
            let found = (&seen["faint"], &seen["out"], &seen["over"]);
            assert_eq!(found, (&json!([]), &json!([]), &json!(0)), "{what}, {scheme}, {width} wide");
        }
    }
    let paper = "return getComputedStyle(document.body).backgroundColor";
    let dark = browser.run(paper);
    browser.prefers("light");
    assert_ne!(browser.run(paper), dark);
}

/// Where the focus is, and whether that can be seen.
const FOCUS: &str = "
    const e = document.activeElement, box = (e.closest('label') || e).getBoundingClientRect();
    const ringed = [e, e.closest('label')].some((x) => x && getComputedStyle(x).outlineStyle === 'solid');
    return { id: e.id || e.value || e.getAttribute('href') || e.tagName, ringed,
             shown: box.width > 0 && box.top < innerHeight && box.bottom > 0 };";

#[test]
fn the_keyboard_is_enough_and_the_focus_is_always_seen() {
    let stage = Stage::sqlite(1);
    let cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let browser = driver.browser();
    browser.screen(1200, 800);
    browser.open(&stage.url());
    assert_eq!(browser.run(FOCUS)["id"], json!("token"));
    browser.press(&format!("{}{ENTER}", stage.token("read,revoke,keys")));
    browser.see("#tile-nodes", "1 of 1 follow");
    assert_eq!(browser.run(FOCUS)["id"], json!("target"));

    // All the way round: every stop is seen, and none is left out or met twice before the round is over.
    let mut stops: Vec<String> = Vec::new();
    loop {
        let seen = browser.run(FOCUS);
        let id = seen["id"].as_str().expect("a name").to_owned();
        if id != "BODY" {
            assert_eq!((&seen["ringed"], &seen["shown"]), (&json!(true), &json!(true)), "{seen}");
        }
        if stops.first() == Some(&id) {
            break;
        }
        assert!(stops.len() < 40 && !stops.contains(&id), "{id} again after {stops:?}");
        stops.push(id);
        browser.press(TAB);
    }
    let met: BTreeSet<_> = stops.iter().map(String::as_str).collect();
    for stop in ["target", "reason", "dry-run", "cookie", "ask-why", "tile-nodes", "help", "forget", "subject"] {
        assert!(met.contains(stop), "{stop} is not among {stops:?}");
    }

    browser.press(&format!("7{TAB}lost phone{ENTER}"));
    browser.see("#logout-note", "Every session of the subject 7");
    assert_eq!(browser.run(FOCUS), json!({ "id": "do-it", "ringed": true, "shown": true }));
    browser.press(ENTER);
    browser.see("#progress-words", "In force on 1 of 1 node");
    // The event may be here before the answer, which moves the focus.
    browser.see("#logout-note", "Revoked at");
    assert_eq!(stage.nodes[0].verdict(&cookie), "revoked_subject");
    assert_eq!(browser.run(FOCUS)["id"], json!("progress"));

    // Letters jump, but are letters where one writes.
    browser.press("w");
    assert_eq!(browser.run(FOCUS)["id"], json!("cookie"));
    browser.press(&format!("{}{ENTER}", &cookie));
    browser.see("#why-answer", "revoked_subject");
    browser.press("l");
    let typed: Value = browser.run("return document.querySelector('#cookie').value");
    assert_eq!(typed, json!("l"));
    browser.press(TAB);
    for (letter, there) in [("n", "nodes"), ("k", "keys"), ("s", "store"), ("a", "audit-rows"), ("l", "target")] {
        browser.press(letter);
        assert_eq!(browser.run(FOCUS)["id"], json!(there));
    }
    browser.press(TAB);
    browser.press(TAB);
    browser.press("?");
    browser.see("#shortcuts", "why was this session refused");
    browser.press(ESCAPE);
    assert_eq!(browser.run("return document.querySelector('#shortcuts').open"), json!(false));
}
