//! The server goes away, and comes back; the store does.

use serde_json::json;

use crate::stage::{ENTER, Stage};
use crate::support::browser::Driver;

#[test]
fn it_says_when_the_server_or_the_store_is_away_and_when_it_is_back() {
    let mut stage = Stage::redis(2);
    let driver = Driver::start();
    let browser = stage.console(&driver, "read,revoke");
    browser.see("#tile-nodes", "2 of 2 follow");

    let endpoint = stage.endpoint.take().expect("it runs");
    let address = endpoint.address.to_string();
    endpoint.signal("TERM");
    endpoint.ended();
    browser.see("#link", "Server away since");
    assert_eq!(browser.run("return document.title.startsWith('Server away')"), json!(true));
    // Nothing is sent into the dark: it says that nothing was changed, and what was typed stays.
    browser.write("#target", "7");
    browser.write("#reason", &format!("lost phone{ENTER}"));
    browser.see("#logout-note", "Nothing was changed");

    let cookie = stage.nodes[0].log_in(7);
    stage.sealjar(&["revoke", "subject", "5", "--reason", "meanwhile"]);
    stage.endpoint = Some(stage.serve(&address));
    browser.see("#link", "Live");
    browser.see("#audit-rows", "meanwhile");
    browser.click("#dry-run");
    browser.see("#logout-note", "Every session of the subject 7");
    browser.click("#do-it");
    browser.see("#progress-words", "In force on 2 of 2 nodes");
    assert_eq!(stage.nodes[1].verdict(&cookie), "revoked_subject");

    let server = stage.server.as_ref().expect("the list is on one");
    server.kill();
    browser.see("#link", "List out of reach since");
    server.restart();
    browser.see("#link", "Live");
    browser.see("#tile-store", "whole");
    browser.see("#tile-nodes", "2 of 2 follow");

    // A node that stops says goodbye, and its row stays a while, so that nothing moves.
    let mut gone = stage.nodes.pop().expect("a node");
    let name = gone.name();
    gone.process.terminate();
    let left = browser.see("#node-rows li.gone", "left ");
    assert!(left.contains(&name), "{left}");
    browser.see("#tile-nodes", "1 of 1 follow");
}
