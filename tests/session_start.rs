//! Starting, and what may change under a running app: its keys, its list.

mod support_sessions;

use std::time::Duration;

use sealjar::{Sessions, Verdict, minutes};
use support_sessions::{Browser, Home, Visitor};

#[tokio::test]
async fn a_new_key_file_is_used_without_a_restart_and_the_old_cookie_is_resealed() {
    let home = Home::new();
    let sessions = home
        .builder::<Visitor>()
        .clock(sealjar::time::Clock::system())
        .propagation(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let old = sessions.key_ring().sealing().unwrap().id();
    let new = home.new_key_now();
    support_sessions::eventually("the new key seals", || {
        sessions.key_ring().sealing().is_some_and(|key| key.id() == new)
    })
    .await;
    let session = browser.open(&sessions).await;
    assert_eq!(session.verdict(), Verdict::Live, "the old key still opens");
    browser.store(session);
    assert_eq!(sessions.explain(browser.cookie()).key, Some(new.to_string()), "sealed anew under the new one");
    home.remove_key(old);
    support_sessions::eventually("the old key is gone", || sessions.key_ring().state(old).is_none()).await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live);
}

#[tokio::test]
async fn a_list_that_was_lost_logs_everybody_out() {
    let home = Home::new();
    let mut browser = Browser::default();
    let sessions = home.start().await;
    browser.log_in(&sessions, "7").await;
    home.advance(Duration::from_secs(1), &sessions).await;
    drop(sessions);
    home.lose_list();
    let sessions: Sessions<Visitor> = home.start().await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::RevokedAll);
    browser.log_in(&sessions, "7").await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live);
}

#[tokio::test]
async fn a_list_that_vanishes_under_the_running_app_is_given_back_what_it_knew() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let copy = browser.cookie().to_owned();
    let mut session = browser.open(&sessions).await;
    session.logout().await.unwrap();
    browser.store(session);
    home.lose_list();
    support_sessions::eventually("the list is back", || home.has_list()).await;
    // A login waits for a beat, and a beat counts only when everything was given back.
    Browser::default().log_in(&sessions, "9").await;
    drop(sessions);
    let sessions = home.start().await;
    assert_eq!(Browser::with(&copy).open(&sessions).await.verdict(), Verdict::RevokedSession);
}

#[tokio::test]
async fn wrong_configurations_are_refused_at_start() {
    let home = Home::new();
    let sentence = |builder: sealjar::Builder<Visitor>| async { builder.start().await.unwrap_err().to_string() };
    assert!(sentence(home.builder().domain("*")).await.contains("has a `*`, which is not a host"));
    assert!(sentence(Sessions::builder("a").home(home.path())).await.contains("the app id \"a\""));
    assert!(sentence(home.builder().idle(minutes(60 * 13))).await.contains("is longer than the absolute one"));
    assert!(sentence(home.builder().list("mysql://x")).await.contains("begins with none of `sqlite:`"));
    let empty =
        Sessions::<Visitor>::builder("shop").keys(home.path().join("nowhere")).start().await.unwrap_err().to_string();
    assert!(empty.contains("there is no key in the folder") && empty.contains("sealjar keys init"), "{empty}");
    drop(home.start().await);
    let other = Sessions::<Visitor>::builder("blog").home(home.path()).start().await.unwrap_err().to_string();
    assert!(other.contains("shop"), "{other}");
}
