//! The login example over a real server, as processes that are killed: nothing in its code says that it has a
//! file of its own.
#![cfg(all(feature = "warp", feature = "redis", feature = "sqlite"))]

mod redis_support;
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use redis_support::Server;
use serde_json::{Value, json};
use support::{Client, Example, eventually};

fn log_in(example: &Example, id: u64) -> Client {
    let mut client = example.client();
    let said = client.post("/login", &json!({ "user_id": id, "name": "Ada", "email": "ada@example.org" }));
    assert_eq!(said.status, 200, "{}", said.text);
    client
}

/// A second node: its own home, the keys of the first.
fn other(example: &Example, server: &Server) -> Example {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("home")).unwrap();
    let (from, to) = (example.home().join("keys"), home.path().join("home"));
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    Example::start_on("login", home, &server.url())
}

fn first(server: &Server) -> Example {
    Example::start_on("login", tempfile::tempdir().unwrap(), &server.url())
}

/// A copy of a client's cookie, at any node.
fn at(example: &Example, client: &Client) -> Client {
    example.client().with(client.cookie.clone())
}

fn becomes(example: &Example, copy: &Client, wanted: &str) {
    eventually(&format!("be {wanted}"), || {
        let me = at(example, copy).get("/me");
        let verdict = me.json["verdict"].as_str().unwrap_or("live").to_owned();
        if me.status != 503 && verdict == wanted { Ok(()) } else { Err(format!("{} {}", me.status, me.text)) }
    });
}

/// The own file has been written: its own process says so where one would look.
fn waits_until_written(example: &Example, sessions: i64) {
    let file = rusqlite::Connection::open(example.home().join("node.db")).unwrap();
    let count = "SELECT count(*) FROM record, origin WHERE kind = 1";
    eventually("find it in the file", || match file.query_one(count, [], |row| row.get::<_, i64>(0)) {
        Ok(found) if found == sessions => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

#[test]
fn a_server_that_is_lost_with_its_disk_while_all_apps_are_down_is_filled_by_one_that_comes_back() {
    let server = Server::for_app("login");
    let app = first(&server);
    let (mut ada, bob) = (log_in(&app, 7), log_in(&app, 8));
    let copy = ada.clone();
    assert_eq!(ada.post("/logout", &Value::Null).status, 200);
    waits_until_written(&app, 1);
    let (app, ()) = app.crash_and(|| {
        server.kill();
        server.forget();
        server.restart();
    });
    assert_eq!(at(&app, &copy).get("/me").verdict(), "revoked_session");
    assert_eq!(at(&app, &bob).get("/me").status, 200, "and nobody is logged out");
    let other = other(&app, &server);
    assert_eq!(at(&other, &copy).get("/me").verdict(), "revoked_session", "the list has it again");
    assert_eq!(at(&other, &bob).get("/me").status, 200);
}

#[test]
fn a_logout_while_the_server_is_away_is_done_and_survives_kill_9() {
    let server = Server::for_app("login");
    let app = first(&server);
    let other = other(&app, &server);
    let (mut ada, mut bob) = (log_in(&app, 7), log_in(&app, 8));
    let (copies, stays) = ([ada.clone(), bob.clone()], log_in(&app, 9));
    server.kill();
    let said = ada.post("/logout", &Value::Null);
    assert_eq!((said.status, &said.json["logged_out"], &ada.cookie), (200, &json!("here"), &None));
    assert_ne!(at(&app, &copies[0]).get("/me").status, 200, "refused here at once");
    // Long enough that nobody knows any more who is logged in.
    eventually("find the list out of reach", || match at(&app, &bob).get("/me").status {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
    assert_eq!((bob.post("/logout", &Value::Null).status, &bob.cookie), (200, &None));
    let (app, ()) = app.crash_and(|| server.restart());
    for copy in &copies {
        assert_eq!(at(&app, copy).get("/me").verdict(), "revoked_session");
        becomes(&other, copy, "revoked_session");
    }
    for node in [&app, &other] {
        becomes(node, &stays, "live");
    }
    assert!(!app.log().contains("a changed session was dropped"), "{}", app.log());
}

#[test]
fn a_logout_while_the_server_is_frozen_is_done_and_published_when_it_thaws() {
    let server = Server::for_app("login");
    let app = first(&server);
    let other = other(&app, &server);
    let mut ada = log_in(&app, 7);
    let copy = ada.clone();
    server.signal("STOP");
    let began = Instant::now();
    let said = ada.post("/logout", &Value::Null);
    assert_eq!((said.status, &ada.cookie), (200, &None), "{}", said.text);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_ne!(at(&app, &copy).get("/me").status, 200);
    server.signal("CONT");
    for node in [&app, &other] {
        becomes(node, &copy, "revoked_session");
    }
    // The other node may read what is published before this one has written that it published it.
    for words in [
        "a revocation is enforced here, and published as soon as it is back",
        "what waited for the list's store is published",
    ] {
        eventually(words, || if app.log().contains(words) { Ok(()) } else { Err(app.log()) });
    }
}
