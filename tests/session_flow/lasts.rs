//! Connections that stay open, and lists that are lost meanwhile.

use std::time::Duration;

use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::operator::Operator;
use sealjar::time::Clock;
use sealjar::{Verdict, minutes};

use crate::support_sessions::{Browser, Home};

#[tokio::test]
async fn an_open_connection_hears_at_once_that_its_session_was_revoked() {
    let home = Home::new();
    let (sessions, elsewhere) = (home.start().await, home.start().await);
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let session = browser.open(&sessions).await;
    let (here, there) = (session.revoked(), browser.open(&elsewhere).await.revoked());
    session.discard();
    let mut waiting = Box::pin(here);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "nothing has happened yet");
    sessions.revoke_subject("7").await.unwrap();
    let within = Duration::from_secs(10);
    assert_eq!(tokio::time::timeout(within, waiting).await, Ok(Verdict::RevokedSubject));
    assert_eq!(tokio::time::timeout(within, there).await, Ok(Verdict::RevokedSubject), "in another process too");
    assert_eq!(Browser::default().open(&sessions).await.revoked().await, Verdict::NoCookie, "it never was there");
}

#[tokio::test]
async fn an_open_connection_ends_with_its_session_and_when_the_list_is_lost() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let lost = browser.open(&sessions).await.revoked();
    let expired = browser.open(&sessions).await.revoked();
    home.break_list();
    home.jump(minutes(2));
    assert_eq!(lost.await, Verdict::ListUnavailable);
    home.mend_list();
    home.advance(Duration::from_secs(12 * 3600), &sessions).await;
    assert_eq!(expired.await, Verdict::AbsoluteExpired);
}

#[tokio::test]
async fn a_node_that_leaves_opens_nothing_any_more() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    sessions.leave().await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::ListUnavailable);
}

#[tokio::test]
async fn only_a_route_that_says_so_goes_on_with_a_lost_list() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let careless = sessions.allow_when_lost();
    let (list, keys) = (ListPlace::in_home(home.path()), KeyFolder::new(home.path().join("keys")));
    let operator = Operator::open(&list, keys, None, Clock::system()).await.unwrap();
    while operator.nodes().await.unwrap().nodes.iter().all(|node| node.lapses().is_some()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    home.break_list();
    home.jump(minutes(2));
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::ListUnavailable);
    assert_eq!(browser.open(&sessions.relaxed()).await.verdict(), Verdict::ListUnavailable);
    assert_eq!(browser.open(&careless).await.verdict(), Verdict::Live);
}
