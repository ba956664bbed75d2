//! The plots say what the server has said.

use serde_json::json;

use crate::stage::{ENTER, Stage};
use crate::support::browser::Driver;

#[test]
fn the_plots_say_how_long_a_revocation_took_and_what_was_refused() {
    let stage = Stage::redis(2);
    let cookie = stage.nodes[0].log_in(7);
    let driver = Driver::start();
    let browser = stage.console(&driver, "read,revoke");
    let plot = |name: &str| format!("#plots figure[data-name={name}]");
    browser.see(&plot("silence"), "Longest silence of a node");
    assert_eq!(browser.run("return !!document.querySelector('[data-name=propagation]')"), json!(false), "none yet");

    browser.write("#target", "7");
    browser.write("#reason", &format!("lost phone{ENTER}"));
    browser.see("#logout-note", "Every session of the subject 7");
    browser.click("#do-it");
    browser.see("#progress-words", "In force on 2 of 2 nodes");
    let took = browser.see(&plot("propagation"), "median ");
    assert!(took.contains("last 1 revocation"), "{took}");
    let bars = "return document.querySelectorAll('[data-name=propagation] rect').length";
    assert_eq!(browser.run(bars), json!(1));

    assert_eq!(stage.nodes[1].verdict(&cookie), "revoked_subject");
    browser.see(&plot("refusals"), "since the nodes started: revoked_subject 1");
    browser.see(&plot("sessions"), "a second");
    let order = "return [...document.querySelectorAll('#plots figure')].map((figure) => figure.dataset.name)";
    assert_eq!(browser.run(order), json!(["propagation", "sessions", "refusals", "silence"]));
}
