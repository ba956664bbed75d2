//! What the list takes up, and what is risky about its store.

use tokio::runtime::Runtime;

use crate::stage::Stage;
use crate::support::browser::Driver;

#[test]
fn the_panel_shows_memory_and_risks() {
    let stage = Stage::redis(1);
    let server = stage.server.as_ref().expect("a server");
    let set = |name: &str, value: &str| {
        Runtime::new().expect("a runtime").block_on(server.command(&["CONFIG", "SET", name, value]));
    };
    let driver = Driver::start();
    let browser = stage.console(&driver, "read");
    browser.see("#no-risks", "No risk was found");
    browser.see("#store-facts", "in the store, ");
    browser.see("#store-facts", ", no limit");
    browser.see("#tile-store", "whole");
    set("maxmemory", "64mb");
    set("maxmemory-policy", "allkeys-lru");
    let browser = stage.console(&driver, "read");
    browser.see("#store-risks", "eviction policy");
    browser.see("#store-risks", "Set maxmemory-policy noeviction");
    browser.see("#store-facts", " of 64 MiB");
    browser.see("#tile-store", "1 risk");
}
