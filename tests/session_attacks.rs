//! What somebody tries who wants to keep what was taken back, or to throw an honest user out.

mod support_sessions;

use std::time::Duration;

use sealjar::revocation::Durability;
use sealjar::{Stamp, Verdict, days, minutes};
use support_sessions::{Browser, Home, START, Visitor};

/// Both requests open the same cookie; only one of them may change it for good.
#[tokio::test]
async fn of_two_reductions_at_once_one_is_told_that_it_is_superseded() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let (mut first, mut second) = (browser.open(&sessions).await, browser.open(&sessions).await);
    first.reduce(|visitor| visitor.coins = 0).await.unwrap();
    let refused = second.reduce(|visitor| visitor.name = "other".into()).await.unwrap_err();
    assert!(matches!(refused, sealjar::Error::Superseded), "{refused}");
    assert_eq!((second.verdict(), second.get()), (Verdict::Superseded, &Visitor::default()));
    assert_eq!(second.commit().unwrap(), Stamp::Nothing);
    browser.store(first);
    assert_eq!(browser.open(&sessions).await.get().coins, 0);
}

#[tokio::test]
async fn a_clock_that_ran_ahead_for_a_moment_brings_nobody_back() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let copy = browser.cookie().to_owned();
    let mut session = browser.open(&sessions).await;
    session.logout().await.unwrap();
    browser.store(session);

    let ahead = home.start_at(START.after(days(2))).await;
    Browser::default().log_in(&ahead, "8").await;
    drop(ahead);
    let denied = |verdict| matches!(verdict, Verdict::RevokedSession | Verdict::AbsoluteExpired);
    assert!(denied(Browser::with(&copy).open(&sessions.strict()).await.verdict()), "where the clock never moved");
    drop(sessions);
    for _ in 0..2 {
        let sessions = home.start().await;
        assert!(denied(Browser::with(&copy).open(&sessions).await.verdict()), "in a new process");
        browser.log_in(&sessions, "7").await;
        assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live, "who logs in since is not concerned");
        let mut session = browser.open(&sessions).await;
        session.logout().await.unwrap();
        let late = browser.cookie().to_owned();
        browser.store(session);
        drop(sessions);
        let sessions = home.start().await;
        assert!(denied(Browser::with(&late).open(&sessions).await.verdict()), "and their logout lasts");
    }
}

#[tokio::test]
async fn a_cut_off_lasts_as_long_as_the_longest_session_of_the_app() {
    let home = Home::new();
    let short = home.start().await;
    let long = home.builder::<Visitor>().name("remember").idle(days(20)).absolute(days(30)).start().await.unwrap();
    let mut browser = Browser::default();
    browser.log_in(&long, "7").await;
    short.revoke_subject("7").await.unwrap();
    drop(short);
    home.advance(days(4), &long).await;
    assert_eq!(browser.open(&long.strict()).await.verdict(), Verdict::RevokedSubject);
}

/// The reset of a password: log in, and throw out whoever else is.
#[tokio::test]
async fn after_a_login_it_is_the_new_subjects_sessions_that_end_everywhere() {
    let home = Home::new();
    let sessions = home.start().await;
    let (mut thief, mut other) = (Browser::default(), Browser::default());
    thief.log_in(&sessions, "7").await;
    other.log_in(&sessions, "8").await;
    let before = other.cookie().to_owned();
    let mut session = other.open(&sessions).await;
    session.login("7", Visitor::default()).await.unwrap();
    assert_eq!(session.logout_everywhere().await.unwrap(), Durability::Committed);
    session.login("7", Visitor::default()).await.unwrap();
    other.store(session);
    assert_eq!(other.open(&sessions).await.verdict(), Verdict::Live);
    assert_eq!(thief.open(&sessions).await.verdict(), Verdict::RevokedSubject);
    assert_eq!(Browser::with(&before).open(&sessions).await.verdict(), Verdict::RevokedSession);
}

#[tokio::test]
async fn logging_out_ends_what_could_not_be_opened_too() {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct Renamed {
        full_name: String,
    }
    let home = Home::new();
    let sessions = home.start().await;
    let (mut ours, mut planted) = (Browser::default(), Browser::default());
    ours.log_in(&sessions, "7").await;
    let renamed = home.builder::<Renamed>().start().await.unwrap();
    let mut undecodable = ours.open(&renamed).await;
    assert_eq!(undecodable.logout().await.unwrap(), Durability::Committed);
    undecodable.discard();
    assert_eq!(ours.open(&sessions.strict()).await.verdict(), Verdict::RevokedSession);

    ours.log_in(&sessions, "7").await;
    planted.log_in(&sessions, "8").await;
    let both = Browser::with(&format!("{}; {}", ours.cookie(), planted.cookie()));
    let mut duplicate = both.open(&sessions).await;
    assert_eq!(duplicate.logout().await.unwrap(), Durability::Committed);
    duplicate.discard();
    assert_eq!(ours.open(&sessions).await.verdict(), Verdict::RevokedSession);

    ours.log_in(&sessions, "7").await;
    let key = sessions.key_ring().sealing().unwrap().id();
    drop((sessions, renamed));
    home.new_key_now();
    home.remove_key(key);
    let sessions = home.start().await;
    let mut unknown = ours.open(&sessions).await;
    let refused = unknown.logout().await.unwrap_err().to_string();
    assert!(
        refused.starts_with("the session cannot be revoked, because its cookie was not read (unknown_key)"),
        "{refused}"
    );
    assert!(matches!(unknown.commit().unwrap(), Stamp::SetCookie(lines) if lines[0].contains("Max-Age=0")));
}

#[tokio::test]
async fn a_login_that_does_not_fit_costs_nobody_their_session() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let mut session = browser.open(&sessions).await;
    let large = Visitor { name: "x".repeat(4000), coins: 0 };
    let refused = session.login("8", large).await.unwrap_err().to_string();
    assert!(refused.contains("`name` (4002 bytes)"), "{refused}");
    assert_eq!(session.commit().unwrap(), Stamp::Nothing);
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live);
}

/// A server of the old version keeps a session going whose bytes the new version wrote.
#[tokio::test]
async fn a_refresh_passes_bytes_on_with_their_own_schema() {
    let home = Home::new();
    let new = home.builder::<Visitor>().schema(2).migrate(|_| panic!("nothing to migrate")).start().await.unwrap();
    let old = home.builder::<Visitor>().schema(1).start().await.unwrap();
    let mut browser = Browser::default();
    browser.log_in(&new, "7").await;
    home.advance(minutes(5), &old).await;
    let before = browser.cookie().to_owned();
    browser.store(browser.open(&old).await);
    assert_ne!(browser.cookie(), before, "refreshed");
    home.advance(Duration::ZERO, &new).await;
    assert_eq!(browser.open(&new).await.get().coins, 5);
}

#[tokio::test]
async fn cookies_that_others_planted_do_not_hide_ours() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let many: String = (0..180).map(|n| format!("a{n}=1; ")).collect();
    let garbage = "shop=garbage; ".repeat(8);
    for planted in [many, garbage] {
        assert_eq!(
            Browser::with(&format!("{planted}{}", browser.cookie())).open(&sessions).await.verdict(),
            Verdict::Live
        );
    }
}

#[tokio::test]
async fn keys_that_come_back_without_their_list_bring_nobody_back() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let copy = browser.cookie().to_owned();
    let mut session = browser.open(&sessions).await;
    session.logout().await.unwrap();
    browser.store(session);
    home.advance(Duration::from_secs(1), &sessions).await;
    drop(sessions);
    let keys = home.path().join("keys");
    let aside = home.path().join("keys.aside");
    std::fs::rename(&keys, &aside).unwrap();
    home.lose_list();
    drop(home.start().await);
    std::fs::remove_dir_all(&keys).unwrap();
    std::fs::rename(&aside, &keys).unwrap();
    home.lose_list();
    let sessions = home.start().await;
    assert_eq!(Browser::with(&copy).open(&sessions).await.verdict(), Verdict::RevokedAll);
}

#[tokio::test]
async fn a_loaded_key_stays_while_its_file_cannot_be_read() {
    let home = Home::new();
    let sessions = home.builder::<Visitor>().clock(sealjar::time::Clock::system()).start().await.unwrap();
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let key = sessions.key_ring().sealing().unwrap().id();
    let file = home.path().join(format!("keys/{key}.key"));
    let text = std::fs::read(&file).unwrap();
    let new = home.new_key_now();
    std::fs::write(&file, "damaged").unwrap();
    support_sessions::eventually("the new key is loaded", || sessions.key_ring().state(new).is_some()).await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live);
    std::fs::write(&file, text).unwrap();
}
