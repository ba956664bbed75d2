//! A logout that cannot be kept is not called one.

use std::time::{Duration, Instant};

use sealjar::backchannel::{Failure, LogoutList, Receiver};
use sealjar::id::{Incarnation, Tag, TagKind};
use sealjar::revocation::store::StoreFuture;
use sealjar::revocation::{Durability, Receipt, Revocation};
use sealjar::time::{Clock, Now, Position};
use serde_json::json;

use crate::app::{App, List, provider, runtime};
use crate::mint::{Key, claims_with, jwks};
use crate::redis_support::Server;
use crate::support::{Answer, eventually};

fn is_unavailable(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.json["error"].as_str()),
        (503, Some("temporarily_unavailable")),
        "{}",
        answer.text
    );
    assert_eq!(answer.all("retry-after").collect::<Vec<_>>(), ["2"]);
}

fn server(app: &App) -> &Server {
    match &app.list {
        List::Redis(server) => server,
        List::Sqlite => panic!("this app's list is a file"),
    }
}

/// The same token, sent until it is taken, as a provider that heeds `Retry-After` does.
fn send_again(app: &App, token: &str) {
    eventually("have the logout kept", || match app.logout(token).status {
        200 => Ok(()),
        status => Err(format!("{status}")),
    });
}

#[test]
fn without_redis_it_is_503_and_with_it_again_the_same_token_works() {
    let key = Key::new("k", "RS256");
    let (app, _served) = App::start(List::Redis(Server::start()), &[&key]);
    let (cookie, other) = (app.log_in("7", "ada", Some("s1")), app.log_in("8", "bob", Some("s2")));
    let token = key.token(&claims_with(&json!({ "sub": "ada" })));
    server(&app).kill();
    is_unavailable(&app.logout(&token));
    server(&app).restart();
    eventually("read the list again", || match app.verdict(&cookie).as_str() {
        "live" => Ok(()),
        verdict => Err(verdict.to_owned()),
    });
    send_again(&app, &token);
    assert_eq!(app.verdict(&cookie), "revoked_label");
    assert_eq!(app.verdict(&other), "live");
}

#[test]
fn a_frozen_redis_is_503_in_bounded_time_and_the_logout_happens_in_the_end() {
    let key = Key::new("k", "RS256");
    let (app, _served) = App::start(List::Redis(Server::start()), &[&key]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let token = key.token(&claims_with(&json!({ "sid": "s1" })));
    server(&app).signal("STOP");
    let began = Instant::now();
    is_unavailable(&app.logout(&token));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    server(&app).signal("CONT");
    // What was sent to the frozen server it may do now. Then the token counts as acted on, and rightly so.
    eventually("have the logout kept", || match app.logout(&token) {
        answer if answer.status == 200 => Ok(()),
        answer if answer.text.contains("acted on before") => Ok(()),
        answer => Err(answer.text),
    });
    eventually("see the logout", || match app.verdict(&cookie).as_str() {
        "revoked_label" => Ok(()),
        verdict => Err(verdict.to_owned()),
    });
}

#[test]
fn without_its_file_it_is_503_and_with_it_again_the_same_token_works() {
    let key = Key::new("k", "RS256");
    let (app, _served) = App::start(List::Sqlite, &[&key]);
    let cookie = app.log_in("7", "ada", Some("s1"));
    let token = key.token(&claims_with(&json!({ "sub": "ada" })));
    let (home, aside) = (app.home.path(), app.home.path().join("aside"));
    std::fs::create_dir(&aside).unwrap();
    let files = ["list.db", "list.db-wal", "list.db-shm"];
    for file in files {
        let _ = std::fs::rename(home.join(file), aside.join(file));
    }
    // A folder where the file was: nothing can be read or made there.
    std::fs::create_dir(home.join("list.db")).unwrap();
    is_unavailable(&app.logout(&token));
    std::fs::remove_dir(home.join("list.db")).unwrap();
    for file in files {
        let _ = std::fs::rename(aside.join(file), home.join(file));
    }
    send_again(&app, &token);
    assert_eq!(app.verdict(&cookie), "revoked_label");
}

/// A list that has only taken note. None of the built-in ones ever says so of a publication; one of one's own may.
struct TakesNote(Durability);

impl LogoutList for TakesNote {
    fn now(&self) -> Now {
        Clock::system().now()
    }

    fn tag_of(&self, _: TagKind, name: &[&str]) -> Tag {
        Tag(name.concat().len() as u64)
    }

    fn is_cut_off(&self, _: Tag) -> StoreFuture<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn publish<'a>(&'a self, _: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        let (position, incarnation) = (Position(1), Incarnation(1));
        let receipt = Receipt { durability: self.0, position, records: Vec::new(), incarnation };
        Box::pin(async { Ok(receipt) })
    }
}

#[test]
fn noted_is_not_kept() {
    let key = Key::new("k", "EdDSA");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(&[&key])).unwrap();
    let token = key.token(&claims_with(&json!({ "sid": "s1" })));
    let receive = |durability| {
        let receiver = Receiver::new(TakesNote(durability), provider().keys_file(&file)).unwrap();
        runtime().block_on(receiver.receive(token.as_bytes()))
    };
    assert!(matches!(receive(Durability::Accepted), Err(Failure::Unavailable { .. })));
    for kept in [Durability::Committed, Durability::Replicated, Durability::InForce] {
        assert!(receive(kept).is_ok_and(|receipt| receipt.durability == kept));
    }
}
