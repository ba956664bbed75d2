//! Logging in and out, what is taken away and what is taken once.

use std::time::Duration;

use sealjar::revocation::Durability;
use sealjar::{Login, Stamp, Taken, Verdict, minutes};

use crate::support_sessions::{Browser, Home, Visitor};

#[tokio::test]
async fn a_session_ends_at_its_absolute_lifetime_however_it_is_used() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    for _ in 0..36 {
        home.advance(Duration::from_secs(1199), &sessions).await;
        let session = browser.open(&sessions).await;
        assert_eq!(session.verdict(), Verdict::Live);
        browser.store(session);
    }
    home.advance(Duration::from_secs(36), &sessions).await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::AbsoluteExpired);
}

#[tokio::test]
async fn logging_in_means_a_new_id_and_the_old_session_is_revoked() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let (first, handle) = (browser.cookie().to_owned(), browser.open(&sessions).await.handle());
    browser.log_in(&sessions, "8").await;
    assert_ne!(browser.open(&sessions).await.handle(), handle);
    assert_eq!(Browser::with(&first).open(&sessions).await.verdict(), Verdict::RevokedSession);
}

#[tokio::test]
async fn a_cookie_planted_before_the_login_is_worth_nothing_after_it() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut attacker = Browser::default();
    let mut session = attacker.open(&sessions).await;
    session.update(|visitor| visitor.name = "planted".into());
    attacker.store(session);
    let mut victim = Browser::with(attacker.cookie());
    victim.log_in(&sessions, "7").await;
    let attackers = attacker.open(&sessions).await;
    assert!(!attackers.is_logged_in());
    assert_eq!(attackers.get().name, "planted");
}

#[tokio::test]
async fn logout_kills_every_copy_and_removes_the_cookie() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let copy = browser.cookie().to_owned();
    let mut session = browser.open(&sessions).await;
    assert_eq!(session.logout().await.unwrap(), Durability::Committed);
    let Stamp::SetCookie(lines) = session.commit().unwrap() else { panic!("the cookie is removed") };
    assert!(lines[0].starts_with("shop=; ") && lines[0].contains("Max-Age=0"), "{lines:?}");
    assert_eq!(Browser::with(&copy).open(&sessions).await.verdict(), Verdict::RevokedSession);
}

#[tokio::test]
async fn logout_everywhere_ends_all_devices_and_a_new_login_works_at_once() {
    let home = Home::new();
    let sessions = home.start().await;
    let (mut phone, mut laptop, mut stranger) = (Browser::default(), Browser::default(), Browser::default());
    phone.log_in(&sessions, "7").await;
    laptop.log_in(&sessions, "7").await;
    stranger.log_in(&sessions, "8").await;
    let mut session = phone.open(&sessions).await;
    session.logout_everywhere().await.unwrap();
    phone.store(session);
    assert_eq!(laptop.open(&sessions).await.verdict(), Verdict::RevokedSubject);
    assert_eq!(stranger.open(&sessions).await.verdict(), Verdict::Live);
    for _ in 0..20 {
        phone.log_in(&sessions, "7").await;
        let mut session = phone.open(&sessions).await;
        assert_eq!(session.verdict(), Verdict::Live);
        session.logout_everywhere().await.unwrap();
        session.login("7", Visitor::default()).await.unwrap();
        phone.store(session);
        assert_eq!(
            phone.open(&sessions).await.verdict(),
            Verdict::Live,
            "log out everywhere, then in again, in one request"
        );
    }
}

#[tokio::test]
async fn tenants_labels_and_everybody_can_be_cut_off() {
    let home = Home::new();
    let sessions = home.start().await;
    let login = || Login::subject("7").tenant("acme").label("laptop").label("idp:42");
    let mut browser = Browser::default();
    for expected in [Verdict::RevokedTenant, Verdict::RevokedLabel, Verdict::RevokedAll] {
        browser.log_in(&sessions, login()).await;
        match expected {
            Verdict::RevokedTenant => sessions.revoke_tenant("acme").await.unwrap(),
            Verdict::RevokedLabel => sessions.revoke_label("idp:42").await.unwrap(),
            _ => sessions.revoke_all().await.unwrap(),
        };
        assert_eq!(browser.open(&sessions).await.verdict(), expected);
    }
    browser.log_in(&sessions, login()).await;
    sessions.revoke_subject("8").await.unwrap();
    sessions.revoke_tenant("7").await.unwrap();
    sessions.revoke_label("acme").await.unwrap();
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live, "the kind is part of the name");
    let five = (0..5).fold(Login::subject("7"), |login, n| login.label(n.to_string()));
    let refused = browser.open(&sessions).await.login(five, Visitor::default()).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "a login has 5 labels. A session carries at most 4; leave out those that nobody will revoke by"
    );
}

#[tokio::test]
async fn an_older_copy_does_not_restore_what_was_taken_away() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let older = browser.cookie().to_owned();
    let mut session = browser.open(&sessions).await;
    session.reduce(|visitor| visitor.coins = 0).await.unwrap();
    browser.store(session);
    assert_eq!(Browser::with(&older).open(&sessions).await.verdict(), Verdict::Superseded);
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live);
}

#[tokio::test]
async fn a_one_time_value_is_taken_once_from_whatever_copy() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    let mut session = browser.open(&sessions).await;
    session.offer_once("captcha", &"x7kq", minutes(5)).unwrap();
    browser.store(session);
    let copy = browser.cookie().to_owned();
    let mut session = browser.open(&sessions).await;
    assert_eq!(session.take_once("captcha").await.unwrap(), Taken::First("x7kq".to_owned()));
    assert_eq!(session.take_once::<String>("captcha").await.unwrap(), Taken::Absent);
    browser.store(session);
    let mut replayed = Browser::with(&copy).open(&sessions).await;
    assert!(replayed.has_once("captcha") && !replayed.has_once("other"));
    let taken = replayed.take_once::<String>("captcha").await.unwrap();
    assert_eq!((&taken, taken.code()), (&Taken::Spent, "spent"));
    assert_eq!(taken.cause(), "The value was taken before; this is an older copy of the cookie.");
    replayed.discard();
    let mut late = Browser::default();
    let mut session = late.open(&sessions).await;
    session.offer_once("captcha", &1, minutes(5)).unwrap();
    late.store(session);
    home.advance(minutes(5), &sessions).await;
    let mut session = late.open(&sessions).await;
    assert_eq!(session.take_once::<u8>("captcha").await.unwrap(), Taken::Expired);
    let _ = session.commit();
}

/// For pages that want the user to have logged in lately, whatever the session still allows.
#[tokio::test]
async fn a_page_can_ask_for_a_recent_login() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    assert!(!browser.open(&sessions).await.authenticated_within(minutes(60)), "a visitor never did");
    browser.log_in(&sessions, "7").await;
    assert!(browser.open(&sessions).await.authenticated_within(minutes(10)));
    home.advance(minutes(10), &sessions).await;
    browser.store(browser.open(&sessions).await);
    let session = browser.open(&sessions).await;
    assert_eq!(session.verdict(), Verdict::Live);
    assert!(!session.authenticated_within(minutes(10)), "a refresh is no login");
    browser.log_in(&sessions, "7").await;
    assert!(browser.open(&sessions).await.authenticated_within(minutes(10)));
}
