//! Wishes while the server is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sealjar::io::kept::Recalled;
use sealjar::io::place::Opening;
use sealjar::io::redis::Role;
use sealjar::io::sqlite::{Options, OwnFile, SqliteStore};
use sealjar::revocation::{Durability, Freshness, Record, Replica, Report, Revocation, RevocationStore as _};
use sealjar::time::{Clock, ManualClock, Position};
use sealjar::{Error, Sessions, Stamp, Verdict};
use serde_json::Value;

use crate::link::{Link, Way};
use crate::node::{App, logged_in, recall, sessions_in, until};
use crate::redis_support::{APP, PASSWORD, rule};
use crate::sqlite_support::{NOW, options};
use crate::support_sessions::{Browser, Visitor, eventually};

async fn verdict(browser: &Browser, sessions: &Sessions<Visitor>) -> Verdict {
    browser.open(sessions).await.verdict()
}

/// What a browser shows after the answer.
async fn log_out(browser: &mut Browser, sessions: &Sessions<Visitor>) -> Result<Durability, Error> {
    let mut session = browser.open(sessions).await;
    let said = session.logout().await;
    browser.store(session);
    said
}

fn waiting(sessions: &Sessions<Visitor>) -> u64 {
    sessions.own_file().unwrap().waiting
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_while_the_server_is_away_holds_here_at_once_and_elsewhere_when_it_is_back() {
    let app = App::new().await;
    let home = app.other_home();
    let (node, other) = (app.start().await, app.builder(home.path()).start().await.unwrap());
    let (mut ada, id) = logged_in(&node, "7").await;
    let copy = Browser::with(ada.cookie());
    app.server.kill();
    assert_eq!(log_out(&mut ada, &node).await.unwrap(), Durability::Accepted);
    assert_eq!(ada.cookie(), "", "the cookie is removed");
    assert_eq!(verdict(&copy, &node.relaxed()).await, Verdict::RevokedSession);
    assert_eq!(waiting(&node), 1);
    assert!(node.metrics().contains("\nsealjar_spool_depth 1\n"), "{}", node.metrics());
    assert_eq!(recall(&app.file()).waiting.len(), 1, "on disk");
    app.server.restart();
    until("it is published", async || sessions_in(&app.on_server().await).contains(&id)).await;
    until("the other node refuses it", async || verdict(&copy, &other).await == Verdict::RevokedSession).await;
    eventually("nothing waits", || waiting(&node) == 0).await;
    assert!(node.metrics().contains("\nsealjar_spool_depth 0\n"), "{}", node.metrics());
    until("nor in the file", async || recall(&app.file()).waiting.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_outlives_its_process_and_is_enforced_before_it_is_published() {
    let app = App::new().await;
    let node = app.start().await;
    let (mut ada, id) = logged_in(&node, "7").await;
    let (eve, _) = logged_in(&node, "9").await;
    let copy = Browser::with(ada.cookie());
    app.server.kill();
    assert_eq!(log_out(&mut ada, &node).await.unwrap(), Durability::Accepted);
    assert_eq!(node.revoke_subject("9").await.unwrap().durability, Durability::Accepted);
    drop(node);
    app.server.restart();
    let node = app.start().await;
    // By the time it is ready they are published, and never were they forgotten.
    assert_eq!(verdict(&copy, &node).await, Verdict::RevokedSession);
    assert_eq!(verdict(&eve, &node).await, Verdict::RevokedSubject);
    let records = app.on_server().await;
    assert!(sessions_in(&records).contains(&id));
    assert_eq!(records.len(), 2, "published, and not given back besides: {records:?}");
    eventually("nothing waits", || waiting(&node) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_after_logging_out_everywhere_stays_in() {
    let app = App::new().await;
    let home = app.other_home();
    let (node, other) = (app.start().await, app.builder(home.path()).start().await.unwrap());
    let (ada, _) = logged_in(&node, "7").await;
    let (phone, _) = logged_in(&other, "7").await;
    app.server.kill();
    let mut session = ada.open(&node).await;
    assert_eq!(session.logout_everywhere().await.unwrap(), Durability::Accepted);
    session.discard();
    assert_eq!(node.own_file().unwrap().cut_offs, 1);
    for sessions in [&node, &node.relaxed()] {
        let mut session = Browser::default().open(sessions).await;
        let refused = session.login("7", Visitor::default()).await.unwrap_err();
        assert!(matches!(refused, Error::Store { .. }), "it would be cut off later: {refused}");
        session.discard();
    }
    app.server.restart();
    let mut again = Browser::default();
    // The first beat that gets through is one of a login.
    until("the store answers", async || {
        let mut session = Browser::default().open(&node).await;
        let said = session.login("7", Visitor::default()).await;
        if said.is_err() {
            session.discard();
            return false;
        }
        again.store(session);
        true
    })
    .await;
    until("the phone is out", async || verdict(&phone, &other).await == Verdict::RevokedSubject).await;
    eventually("nothing waits", || waiting(&node) == 0).await;
    for sessions in [&node, &other] {
        assert_eq!(verdict(&ada, sessions).await, Verdict::RevokedSubject);
        until("it lives", async || verdict(&again, sessions).await == Verdict::Live).await;
    }
    let [Record::CutOff { position, .. }] = app.on_server().await[..] else { panic!("one, and published once") };
    assert!(position.0 > 0);
}

/// After a failover the new primary may give out positions that this node cannot think of yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_off_that_waits_means_sessions_above_all_positions_known_here() {
    let app = App::new().await;
    let home = app.other_home();
    let link = Link::to(app.server.port()).await;
    let address = format!("redis://default:{PASSWORD}@127.0.0.1:{}", link.port());
    let node = Sessions::builder(APP).home(app.home.path()).list(address).start().await.unwrap();
    let other = app.builder(home.path()).start().await.unwrap();
    link.set(Way::Cut);
    let ahead = Position(Clock::system().now().millis + 40_000);
    app.store().await.restore(Vec::new(), ahead).await.unwrap();
    let (phone, _) = logged_in(&other, "7").await;
    let (eve, _) = logged_in(&other, "9").await;
    assert_eq!(verdict(&phone, &node.relaxed()).await, Verdict::Live);
    assert_eq!(node.revoke_subject("7").await.unwrap().durability, Durability::Accepted);
    assert_eq!(verdict(&phone, &node.relaxed()).await, Verdict::RevokedSubject);
    assert_eq!(verdict(&eve, &node.relaxed()).await, Verdict::Live);
    link.set(Way::Open);
    eventually("nothing waits", || waiting(&node) == 0).await;
    until("the other node refuses it", async || verdict(&phone, &other).await == Verdict::RevokedSubject).await;
    // Published, it means no more than its position says.
    let (again, _) = logged_in(&other, "7").await;
    until("the new login lives", async || verdict(&again, &node).await == Verdict::Live).await;
    assert_eq!(verdict(&phone, &node).await, Verdict::RevokedSubject);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_can_log_out_however_long_the_server_is_away() {
    let app = App::new().await;
    let node = app.builder(app.home.path()).bounds(Duration::from_secs(1), Duration::from_secs(2));
    let node = node.start().await.unwrap();
    let (mut ada, id) = logged_in(&node, "7").await;
    let (bob, _) = logged_in(&node, "8").await;
    let copy = Browser::with(ada.cookie());
    app.server.kill();
    eventually("the list is lost", || node.freshness() == Freshness::Lost).await;
    assert_eq!(verdict(&ada, &node).await, Verdict::ListUnavailable);
    let mut everywhere = ada.open(&node).await;
    assert!(everywhere.logout_everywhere().await.is_err(), "who knows whether it still speaks for its user");
    assert_eq!(everywhere.commit().unwrap(), Stamp::Unavailable);
    assert_eq!(log_out(&mut ada, &node).await.unwrap(), Durability::Accepted);
    assert_eq!(ada.cookie(), "");
    app.server.restart();
    eventually("the list is back", || node.freshness() == Freshness::Fresh).await;
    assert_eq!(verdict(&copy, &node).await, Verdict::RevokedSession);
    assert_eq!(verdict(&bob, &node).await, Verdict::Live);
    assert!(sessions_in(&app.on_server().await).contains(&id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_does_not_keep_a_user_from_logging_out() {
    let app = App::new().await;
    let node = app.start().await;
    let (mut ada, _) = logged_in(&node, "7").await;
    let (mut bob, _) = logged_in(&node, "8").await;
    let copy = Browser::with(ada.cookie());
    app.server.signal("STOP");
    let began = Instant::now();
    assert_eq!(log_out(&mut ada, &node.relaxed()).await.unwrap(), Durability::Accepted);
    let first = began.elapsed();
    assert!(first < Duration::from_secs(6), "{first:?}");
    assert_eq!(verdict(&copy, &node.relaxed()).await, Verdict::RevokedSession);
    // A beat that failed has told everybody.
    assert!(verdict(&bob, &node.strict()).await == Verdict::ListUnavailable);
    let began = Instant::now();
    assert_eq!(log_out(&mut bob, &node.relaxed()).await.unwrap(), Durability::Accepted);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    app.server.signal("CONT");
    until("both are published", async || sessions_in(&app.on_server().await).len() == 2).await;
    eventually("nothing waits", || waiting(&node) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_the_store_does_not_wait_in_a_file() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, _) = logged_in(&node, "7").await;
    let mut session = ada.open(&node).await;
    session.offer_once("captcha", &1, Duration::from_secs(60)).unwrap();
    app.server.kill();
    let reduced = session.reduce(|visitor| visitor.coins = 0).await;
    assert!(matches!(reduced, Err(Error::Store { .. })), "{reduced:?}");
    let taken = session.take_once::<u8>("captcha").await;
    assert!(matches!(taken, Err(Error::Store { .. })), "{taken:?}");
    // The session that is there would have to be revoked.
    let login = session.login("7", Visitor::default()).await;
    assert!(matches!(login, Err(Error::Store { .. })), "{login:?}");
    session.discard();
    assert_eq!((waiting(&node), verdict(&ada, &node.relaxed()).await), (0, Verdict::Live));
    let far = sealjar::time::Day(sealjar::time::Clock::system().now().seconds().day().0 + 500);
    let handle = sealjar::Handle { id: sealjar::id::ShortId(1), day: far };
    assert!(node.revoke_session(handle).await.is_err(), "the store would never take it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_waits() {
    let app = App::new().await;
    let node = app.start().await;
    let (mut ada, _) = logged_in(&node, "7").await;
    let sealjar = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sealjar"));
        command
            .env("SEALJAR_HOME", app.home.path())
            .env("REDIS_URL", app.server.admin_url())
            .env("SEALJAR_APP", "shop");
        let output = command.args(arguments).output().unwrap();
        assert!(!format!("{output:?}").contains(PASSWORD));
        output
    };
    app.server.kill();
    log_out(&mut ada, &node).await.unwrap();
    let away = sealjar(&["revocations", "list"]);
    let said = String::from_utf8_lossy(&away.stderr).into_owned();
    assert_eq!(away.status.code(), Some(4));
    assert!(said.contains("1 accepted in ") && said.contains("node.db, waiting for the list's store"), "{said}");
    app.server.restart();
    eventually("nothing waits", || waiting(&node) == 0).await;
    until("nor in the file", async || recall(&app.file()).waiting.is_empty()).await;
    let json = |arguments: &[&str]| -> Value {
        let output = sealjar(&[&["--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    };
    let list = json(&["revocations", "list"]);
    assert_eq!((&list["waiting"], &list["total"]), (&0.into(), &1.into()), "{list}");
    let nodes = json(&["nodes", "list"]);
    assert_eq!(nodes["nodes"].as_array().unwrap().last().unwrap()["spooled"], 0, "{nodes}");
}

/// The server answers, and does not take what waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_to_be_thrown_out_by_what_waits() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, _) = logged_in(&node, "7").await;
    let rights = rule(Role::Node, APP);
    let may_not_append = rights.replace("+append ", "");
    app.server.command(&may_not_append.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!(node.revoke_subject("7").await.unwrap().durability, Durability::Accepted);
    assert_eq!(verdict(&ada, &node).await, Verdict::RevokedSubject);
    for _ in 0..3 {
        assert_eq!(verdict(&ada, &node.strict()).await, Verdict::RevokedSubject, "beats get through");
        let mut session = Browser::default().open(&node).await;
        let said = session.login("7", Visitor::default()).await.unwrap_err().to_string();
        session.discard();
        assert!(said.contains("would end this session as well. Try again"), "{said}");
    }
    app.server.command(&rights.split_whitespace().collect::<Vec<_>>()).await;
    let (again, _) = logged_in(&node, "7").await;
    assert_eq!(waiting(&node), 0);
    assert_eq!(verdict(&again, &node.strict()).await, Verdict::Live);
    assert_eq!(app.on_server().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_is_publishing_is_left_to_it() {
    let app = App::new().await;
    let node = app.start().await;
    let (mut ada, id) = logged_in(&node, "7").await;
    app.server.kill();
    log_out(&mut ada, &node).await.unwrap();
    let other = OwnFile::open_existing(&app.file(), Clock::system()).unwrap();
    let claimed = other.claim().await.unwrap();
    assert_eq!(claimed.len(), 1);
    app.server.restart();
    eventually("the list is back", || node.freshness() == Freshness::Fresh).await;
    assert!(verdict(&ada, &node.strict()).await == Verdict::NoCookie);
    assert_eq!(app.on_server().await, [], "neither published nor given back as lost");
    other.release(claimed.iter().map(|wish| wish.seq).collect()).await.unwrap();
    until("it is published", async || sessions_in(&app.on_server().await).contains(&id)).await;
}

/// This node's idea of the store's clock is ahead of the store; what it enforces must not reach beyond what it
/// publishes, or the two would never be one list again.
#[tokio::test]
async fn what_is_published_reaches_as_far_as_what_was_enforced() {
    let (folder, list_key) = (tempfile::tempdir().unwrap(), crate::redis_support::list_key(7));
    let (theirs, ours) = (ManualClock::at(NOW), ManualClock::at(NOW));
    let (list, aside) = (folder.path().join("list.db"), folder.path().join("aside.db"));
    let options = Options { list_key: &list_key.fingerprint(), ..options(Clock::manual(theirs)) };
    drop(SqliteStore::open(&list, &options).unwrap());
    let server = Arc::new(SqliteStore::open(&list, &Options { create: false, ..options }).unwrap());
    let clock = Clock::manual(ours.clone());
    let opening = Opening { app: APP, list_key: &list_key, create: false, own_file: None, clock: &clock };
    let recalled = Recalled::open(&folder.path().join("node.db"), &opening).await.unwrap();
    let store = recalled.beside(server.clone(), "the list".into());
    let (mut follower, replica) = (store.follower(), Replica::default());
    follower.describe(Report::new("node".into(), None));
    let beat = follower.beat(true).await.unwrap();
    let _ = replica.absorb(&mut beat.clone(), clock.now());
    replica.confirm(&beat, clock.now());
    follower.confirmed(&replica.view());

    ours.advance(Duration::from_secs(60));
    std::fs::rename(&list, &aside).unwrap();
    std::fs::create_dir(&list).unwrap();
    assert!(follower.beat(false).await.is_err());
    let accepted = store.publish_or_spool(&[Revocation::Everybody]).await.unwrap();
    assert_eq!(accepted.durability, Durability::Accepted);
    assert!(accepted.position >= beat.position.after(Duration::from_secs(60)));
    std::fs::remove_dir(&list).unwrap();
    std::fs::rename(&aside, &list).unwrap();
    let back = follower.beat(false).await.unwrap();
    let Some(Record::Everybody { position }) = back.records.to_vec().last().copied() else {
        panic!("{:?}", back.records)
    };
    assert!(position > accepted.position, "{position:?} {:?}", accepted.position);
    assert_eq!(store.own_file().unwrap().waiting, 0);
}
