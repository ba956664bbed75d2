//! What an app and its visitors can rely on, over the real embedded list.

mod support_sessions;

use std::time::Duration;

use sealjar::io::folder::KeyFolder;
use sealjar::io::place::ListPlace;
use sealjar::operator::Operator;
use sealjar::revocation::Durability;
use sealjar::time::Clock;
use sealjar::{Login, Map, Stamp, Taken, Verdict, minutes};
use support_sessions::{Browser, Home, Visitor};

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
