//! What a session holds, and when it is written.

use std::time::Duration;

use sealjar::{Map, Stamp, Verdict, minutes};

use crate::support_sessions::{Browser, Home, Visitor};

#[tokio::test]
async fn what_one_request_stores_the_next_reads() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    let mut session = browser.open(&sessions).await;
    assert_eq!(session.verdict(), Verdict::NoCookie);
    session.update(|visitor| visitor.name = "Ada".into());
    browser.store(session);
    let session = browser.open(&sessions).await;
    assert_eq!((session.verdict(), session.get().name.as_str()), (Verdict::Live, "Ada"));
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changed() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    assert_eq!(
        browser.open(&sessions).await.commit().unwrap(),
        Stamp::Nothing,
        "an empty session stays without cookie"
    );
    let mut session = browser.open(&sessions).await;
    session.update(|_| ());
    session.set(Visitor::default());
    assert_eq!(session.commit().unwrap(), Stamp::Nothing, "touched, and still empty");
    browser.log_in(&sessions, "7").await;
    assert_eq!(browser.open(&sessions).await.commit().unwrap(), Stamp::Nothing, "only read");
    let mut session = browser.open(&sessions).await;
    session.update(|visitor| visitor.name = visitor.name.clone());
    assert_eq!(session.commit().unwrap(), Stamp::Nothing, "changed into the same");
}

#[tokio::test]
async fn use_is_recorded_at_most_every_tenth_of_idle() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    home.advance(Duration::from_secs(179), &sessions).await;
    assert_eq!(browser.open(&sessions).await.commit().unwrap(), Stamp::Nothing);
    home.advance(Duration::from_secs(1), &sessions).await;
    let before = browser.cookie().to_owned();
    browser.store(browser.open(&sessions).await);
    assert_ne!(browser.cookie(), before, "refreshed");
    assert_eq!(browser.open(&sessions).await.idle_left(), minutes(30));
    assert_eq!(Browser::with(&before).open(&sessions).await.idle_left(), minutes(27));
    home.advance(minutes(29), &sessions).await;
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::Live);
    assert_eq!(Browser::with(&before).open(&sessions).await.verdict(), Verdict::IdleExpired);
}

#[tokio::test]
async fn flashes_are_shown_once() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    let mut session = browser.open(&sessions).await;
    session.flash("saved");
    session.flash("twice");
    browser.store(session);
    let mut session = browser.open(&sessions).await;
    assert_eq!(session.take_flashes(), ["saved", "twice"]);
    browser.store(session);
    let mut session = browser.open(&sessions).await;
    assert!(session.take_flashes().is_empty());
    assert_eq!(session.commit().unwrap(), Stamp::Nothing);
}

#[tokio::test]
async fn the_map_form_reads_like_flask() {
    let home = Home::new();
    let sessions = home.builder::<Map>().start().await.unwrap();
    let mut browser = Browser::default();
    let mut session = browser.open(&sessions).await;
    assert!(session["colour"].is_null());
    session.insert("colour", "green").unwrap();
    session.insert("sizes", &[1, 2]).unwrap();
    browser.store(session);
    let session = browser.open(&sessions).await;
    assert_eq!(session["colour"], "green");
    assert_eq!(session.value::<Vec<u8>>("sizes"), Some(vec![1, 2]));
}

#[tokio::test]
async fn a_signed_session_is_readable_and_holds_no_one_time_values() {
    let home = Home::new();
    let sessions = home.builder::<Visitor>().signed().start().await.unwrap();
    let browser = Browser::default();
    let mut session = browser.open(&sessions).await;
    session.update(|visitor| visitor.name = "Ada".into());
    let refused = session.offer_once("captcha", &1, minutes(1)).unwrap_err().to_string();
    assert_eq!(
        refused,
        "a one-time value was offered in a signed session, which its visitor can read. Offer it in an encrypted session"
    );
    let Stamp::SetCookie(lines) = session.commit().unwrap() else { panic!("it changed") };
    assert!(!lines[0].contains("HttpOnly"));
    let payload = lines[0].split('.').nth(1).unwrap();
    let json = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    assert_eq!(json, br#"{"name":"Ada","coins":0}"#);
}

#[tokio::test]
async fn a_type_that_changed_is_migrated_or_says_undecodable() {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct Renamed {
        full_name: String,
    }
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    drop(sessions);

    let strict = home.builder::<Renamed>().start().await.unwrap();
    let session = browser.open(&strict).await;
    assert_eq!((session.verdict(), session.get().full_name.as_str()), (Verdict::Undecodable, ""));
    assert_eq!(session.commit().unwrap(), Stamp::Nothing, "the old cookie stays, for a deploy that is rolled back");

    let migrating = home
        .builder::<Renamed>()
        .schema(1)
        .migrate(|old| {
            assert_eq!(old.schema(), 0);
            old.decode::<Visitor>().map(|visitor| Renamed { full_name: visitor.name })
        })
        .start()
        .await
        .unwrap();
    let session = browser.open(&migrating).await;
    assert_eq!((session.verdict(), session.get().full_name.as_str()), (Verdict::Live, "canary-user"));
    assert!(session.is_logged_in(), "a migrated session is the same session");
    browser.store(session);
    assert_eq!(browser.open(&strict).await.get().full_name, "canary-user");
}

#[tokio::test]
async fn a_session_that_outgrew_the_cookie_names_its_heaviest_field() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut session = Browser::default().open(&sessions).await;
    session.update(|visitor| visitor.name = "x".repeat(4000));
    let sentence = session.commit().unwrap_err().to_string();
    assert!(sentence.contains("browsers drop a cookie above 4096"), "{sentence}");
    assert!(sentence.ends_with("the heaviest fields are `name` (4002 bytes), `coins` (1 bytes)"), "{sentence}");
}

#[tokio::test]
async fn two_sessions_under_one_name_are_a_duplicate_and_both_are_expired() {
    let home = Home::new();
    let sessions = home.start().await;
    let (mut ours, mut planted) = (Browser::default(), Browser::default());
    ours.log_in(&sessions, "7").await;
    planted.log_in(&sessions, "8").await;
    let both = format!("{}; {}", ours.cookie(), planted.cookie());
    let session = Browser::with(&both).at("app.example.org").open(&sessions).await;
    assert_eq!(session.verdict(), Verdict::Duplicate);
    let Stamp::SetCookie(lines) = session.commit().unwrap() else { panic!("both are expired") };
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.contains("Max-Age=0")));
    assert!(lines[1].contains("Domain=app.example.org") && lines[2].contains("Domain=example.org"));

    let garbage = format!("shop=garbage; {}", ours.cookie());
    assert_eq!(
        Browser::with(&garbage).open(&sessions).await.verdict(),
        Verdict::Live,
        "what does not open is passed over"
    );
    let twice = format!("{0}; {0}", ours.cookie());
    assert_eq!(
        Browser::with(&twice).open(&sessions).await.verdict(),
        Verdict::Live,
        "copies of one session are no duplicate"
    );
}

#[tokio::test]
async fn a_dropped_change_is_counted() {
    let home = Home::new();
    let sessions = home.start().await;
    drop(Browser::default().open(&sessions).await);
    assert_eq!(sessions.counters().dropped_changes(), 0);
    let mut session = Browser::default().open(&sessions).await;
    session.update(|visitor| visitor.coins = 1);
    drop(session);
    assert_eq!(sessions.counters().dropped_changes(), 1);
    let mut session = Browser::default().open(&sessions).await;
    session.update(|visitor| visitor.coins = 1);
    session.discard();
    assert_eq!(sessions.counters().dropped_changes(), 1, "discarded on purpose");
}

#[tokio::test]
async fn every_verdict_is_counted() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, "7").await;
    let (no_cookie, live) = (Verdict::NoCookie, Verdict::Live);
    assert_eq!(sessions.counters().verdict(no_cookie), 1, "the request that logged in");
    for _ in 0..3 {
        let _ = browser.open(&sessions).await;
    }
    let _ = Browser::with("shop=!").open(&sessions.strict()).await;
    let counted: Vec<_> = sessions.counters().verdicts().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(no_cookie, 1), (Verdict::Malformed, 1), (live, 3)], "on every route of these sessions");
}
