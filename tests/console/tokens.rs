//! The token: where it is, where it is not, and what it is good for.

use serde_json::json;

use crate::stage::{ENTER, Stage};
use crate::support::browser::{Browser, Driver};
use crate::support::http;

#[test]
fn the_token_is_in_the_memory_of_the_page_and_nowhere_else() {
    let stage = Stage::sqlite(1);
    let driver = Driver::start();
    let browser = driver.browser();
    browser.open(&stage.url());
    nothing_but_the_pages_own_script_runs(&stage, &browser);
    browser.write("#token", &format!("sealjar_admin_{}{ENTER}", "A".repeat(43)));
    browser.see("#enter-note", "This token is not known here");

    let token = stage.token("read,revoke");
    browser.write("#token", &format!("{token}{ENTER}"));
    browser.see("#tile-nodes", "1 of 1 follow");
    browser.see("#tile-store", "whole");
    browser.see("#audit-rows", "started");
    let everything = browser.run(
        "const attributes = [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes].map((a) => a.value));
         const values = [...document.querySelectorAll('input, textarea')].map((e) => e.value);
         const places = [localStorage, sessionStorage].map((s) => JSON.stringify(s));
         const asked = performance.getEntriesByType('resource').map((r) => r.name);
         return { all: [location.href, document.cookie, document.documentElement.outerHTML, JSON.stringify(history.state),
                        ...attributes, ...values, ...places, ...asked].join(),
                  kept: localStorage.length + sessionStorage.length + document.cookie.length, asked: asked.length };",
    );
    let all = everything["all"].as_str().expect("a text");
    assert!(!all.contains(&token), "the token is in the page");
    assert!(all.contains("v1/nodes"), "the page has asked");
    assert_eq!(everything["kept"], json!(0));
    assert!(everything["asked"].as_u64() > Some(3));

    browser.open(&stage.url());
    browser.see("#gate", "Who is asking?");
    assert_eq!(browser.run("return document.querySelector('#token').value"), json!(""), "a reload forgets it");

    browser.write("#token", &format!("{token}{ENTER}"));
    browser.see("#node-rows", &stage.nodes[0].name());
    browser.click("#forget");
    browser.see("#gate", "Who is asking?");
    assert_eq!(
        browser.run("return document.querySelector('#node-rows').children.length"),
        json!(0),
        "and what it brought"
    );

    // One that was taken back while the page is open: its events end, and the page asks why.
    browser.write("#token", &format!("{token}{ENTER}"));
    browser.see("#tile-nodes", "1 of 1 follow");
    let id = stage.sealjar(&["token", "list"])["tokens"][0]["id"].as_str().expect("an id").to_owned();
    stage.sealjar(&["token", "revoke", &id]);
    browser.see("#enter-note", "not known any more");
    browser.see("#gate", "Who is asking?");
}

#[test]
fn what_a_token_is_not_good_for_is_off_and_says_why() {
    let stage = Stage::sqlite(1);
    let cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let reader = stage.console(&driver, "read");
    let why = reader.see("#logout-why-not", "here it needs revoke");
    assert!(why.contains("sealjar token new --scope read,revoke"), "{why}");
    let off = "return [...document.querySelectorAll('#logout-form input, #logout-form button')].every((e) => e.matches(':disabled'))";
    assert_eq!(reader.run(off), json!(true));
    reader.see("#tile-nodes", "1 of 1 follow");

    // Whoever may only revoke follows what they did all the same, without the events.
    let revoker = stage.console(&driver, "revoke");
    for part in ["why", "nodes", "keys", "store", "audit"] {
        revoker.see(&format!("#{part}-why-not"), "here it needs read");
    }
    assert_eq!(revoker.run("return document.querySelector('#cookie').matches(':disabled')"), json!(true));
    assert_eq!(revoker.run("return document.querySelector('#scope-all').disabled"), json!(true));
    revoker.see("#scope-hint", "Everybody needs the scope revoke.all");
    stage.nodes[0].process.signal("STOP");
    revoker.write("#target", "7");
    revoker.write("#reason", &format!("test{ENTER}"));
    revoker.see("#logout-note", "1 node must hear of it");
    revoker.click("#do-it");
    revoker.see("#progress-words", "In force on 0 of 1 node");
    stage.nodes[0].process.signal("CONT");
    revoker.see("#progress-words", "In force on 1 of 1 node");
    assert_eq!(stage.nodes[0].verdict(&cookie), "revoked_subject");
    reader.see("#progress-words", "In force on 1 of 1 node");
}

fn nothing_but_the_pages_own_script_runs(stage: &Stage, browser: &Browser) {
    let page = http("GET", &format!("{}/", stage.url()), [], None);
    assert_eq!(page.status, 200);
    let policy = page.all("content-security-policy").next().expect("a policy");
    for part in
        ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.all("cache-control").next(), Some("no-store"));
    let tried = browser.run(
        "const said = [];
         try { document.querySelector('#app').innerHTML = '<b>'; said.push('markup'); } catch (e) { said.push(e.name); }
         const script = document.createElement('script');
         try { script.textContent = 'document.title = 1'; document.body.append(script); } catch (e) { said.push(e.name); }
         return [...said, document.title, getComputedStyle(document.body).backgroundColor !== 'rgba(0, 0, 0, 0)'];",
    );
    assert_eq!(tried, json!(["TypeError", "TypeError", "sealjar console", true]));
}
