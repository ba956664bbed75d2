//! The server loses the list while nobody is there who could give it back at once.

use std::sync::Arc;
use std::time::Duration;

use sealjar::id::ShortId;
use sealjar::io::follow::Follow;
use sealjar::io::in_force::Wish;
use sealjar::io::redis::{Options, RedisStore};
use sealjar::revocation::{Durability, Freshness, Memory, Record, Replica, Report, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day, minutes};
use sealjar::{Sessions, Verdict};

use crate::node::{App, file_in, logged_in, recall, remembered, sessions_in, until};
use crate::redis_support::{APP, address};
use crate::support_sessions::{Browser, Visitor};

async fn verdict(browser: &Browser, sessions: &Sessions<Visitor>) -> Verdict {
    browser.open(sessions).await.verdict()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_that_comes_back_fills_a_list_that_was_lost_and_logs_nobody_out() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, ada_id) = logged_in(&node, "7").await;
    let (bob, _) = logged_in(&node, "8").await;
    let (eve, _) = logged_in(&node, "9").await;
    ada.open(&node).await.logout().await.unwrap();
    node.revoke_subject("9").await.unwrap();
    until("all is remembered", async || recall(&app.file()).records.len() == 2).await;
    drop(node);
    app.lose_the_list();

    let node = app.start().await;
    assert_eq!(node.freshness(), Freshness::Fresh);
    assert_eq!(verdict(&ada, &node).await, Verdict::RevokedSession);
    assert_eq!(verdict(&eve, &node).await, Verdict::RevokedSubject);
    assert_eq!(verdict(&bob, &node).await, Verdict::Live);
    assert_eq!(sessions_in(&app.on_server().await), [ada_id].into(), "the list has it again");
    let (again, _) = logged_in(&node, "9").await;
    assert_eq!(verdict(&again, &node).await, Verdict::Live, "positions are above the lost ones");

    let home = app.other_home();
    let other = app.builder(home.path()).start().await.unwrap();
    assert_eq!(verdict(&ada, &other).await, Verdict::RevokedSession);
    assert_eq!(verdict(&eve, &other).await, Verdict::RevokedSubject);
    assert_eq!(verdict(&bob, &other).await, Verdict::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_too_old_or_of_another_list_begins_none_and_still_gives_back() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, ada_id) = logged_in(&node, "7").await;
    ada.open(&node).await.logout().await.unwrap();
    remembered(&app.file(), ada_id).await;
    drop(node);
    app.lose_the_list();
    let change = |sql: &str| rusqlite::Connection::open(app.file()).unwrap().execute_batch(sql).unwrap();
    let refused = async || app.try_start().await.unwrap_err().to_string();

    change("UPDATE origin SET at = at - 3610000");
    let said = refused().await;
    assert!(said.contains("there is no revocation list") && said.contains("is too old to begin it anew"), "{said}");
    assert!(said.contains("sealjar store init --after-loss"), "{said}");
    change("UPDATE origin SET at = at + 3610000, place = 'redis://elsewhere:6379'");
    let said = refused().await;
    assert!(said.contains("own file is of the list at redis://elsewhere:6379"), "{said}");
    assert_eq!(app.server.command(&["DBSIZE"]).await, redis::Value::Int(0), "and nothing was written there");

    app.make_list().await;
    let node = app.start().await;
    assert_eq!(verdict(&ada, &node).await, Verdict::RevokedSession);
    assert_eq!(sessions_in(&app.on_server().await), [ada_id].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_intact_server_lacks_is_given_back_before_the_node_is_ready() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, ada_id) = logged_in(&node, "7").await;
    ada.open(&node).await.logout().await.unwrap();
    remembered(&app.file(), ada_id).await;
    drop(node);
    let day = Day(Clock::system().now().seconds().day().0);
    for day in [day, Day(day.0 + 1)] {
        app.server.command(&["DEL", &format!("{{sealjar:{APP}}}:s:{}", day.0)]).await;
    }
    let node = app.start().await;
    assert_eq!(verdict(&ada, &node).await, Verdict::RevokedSession);
    assert_eq!(sessions_in(&app.on_server().await), [ada_id].into());
}

/// A life that is begun from a file names who has to give back from its first moment on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_trusts_a_list_that_was_begun_anew_before_it_is_filled() {
    let app = App::new().await;
    let (list_key, clock) = (app.list_key(), Clock::system());
    let options = Options { app: APP, list_key: &list_key, clock: clock.clone() };
    let first = app.store().await.follower().beat(true).await.unwrap();
    app.lose_the_list();
    let day = clock.now().seconds().day();
    let memory = Memory { known: Some(first.incarnation), highest: first.position, last: day, ..Memory::default() };
    let returning = RedisStore::open_remembering(address(&app.server.url()), &options, &memory).await.unwrap();

    let joining = app.store().await;
    let replica = Arc::new(Replica::default());
    let report = || Report::new("joining".into(), Some(minutes(1)));
    let follow = Follow::start(Arc::new(joining), replica.clone(), clock, Vec::new(), report, |_, _| ());
    let refused = follow.beat(false).await.unwrap_err().to_string();
    assert!(refused.contains("has lost records that other processes may remember"), "{refused}");
    assert_eq!(replica.view().incarnation(), None);

    let mut follower = returning.follower();
    follower.describe(Report { served: true, ..Report::new("returning".into(), Some(minutes(1))) });
    let read = follower.beat(false).await.unwrap();
    assert!(read.whole && !read.healed && read.position > first.position);
    let record = Record::Session { id: ShortId(1), day };
    returning.restore(vec![record], read.position).await.unwrap();
    until("it has given back, and says so", async || follower.beat(false).await.unwrap().healed).await;
    until("the other joins", async || follow.beat(false).await.is_ok()).await;
    assert_eq!(sessions_in(&replica.view().list.records().collect::<Vec<_>>()), [1].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_force_is_in_the_file_of_every_node() {
    let app = App::new().await;
    let other = app.other_home();
    let _nodes = (app.start().await, app.builder(other.path()).start().await.unwrap());
    let (store, clock) = (app.store().await, Clock::system());
    let day = Day(clock.now().seconds().day().0 + 1);
    let wish = Wish { durability: Durability::InForce, replicas: 0, patience: Duration::from_secs(20) };
    let mut took = Vec::new();
    for id in 1..=50 {
        let receipt = store.publish(&[Revocation::Session { id: ShortId(id), day }]).await.unwrap();
        let reached = sealjar::io::in_force::wait(&store, &clock, &receipt, wish, |_, _| ()).await.unwrap();
        assert_eq!(reached.durability, Durability::InForce);
        took.push(reached.took);
        for file in [app.file(), file_in(other.path())] {
            let snapshot = recall(&file);
            assert!(sessions_in(&snapshot.records).contains(&id), "{id} in {}", file.display());
            let origin = snapshot.origin.expect("and the file is whole");
            assert!(origin.position >= receipt.position && origin.life == receipt.incarnation);
        }
    }
    took.sort();
    println!("from published to in force and on two disks: median {:?}, worst {:?}", took[25], took[49]);
}
