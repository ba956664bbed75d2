//! Nothing secret is printed: not by `Debug`, not in a log, not in an error.

mod captured;
mod support_sessions;

use std::fmt::Write as _;

use captured::Captured;
use sealjar::key::{Key, ListKey};
use sealjar::secret::Secret;
use sealjar::time::Seconds;
use sealjar::{Login, Verdict};
use support_sessions::{Browser, Home};

const SUBJECT: &str = "canary-subject-7f31";
const TENANT: &str = "canary-tenant-90aa";
const PAYLOAD: &str = "canary-payload-11c0";

#[tokio::test]
async fn nothing_secret_is_printed() {
    let captured = Captured::default();
    let _guard = tracing::subscriber::set_default(captured.log());
    let home = Home::new();
    let sessions = home.start().await;
    let mut said = String::new();
    let mut canaries = vec![SUBJECT.to_owned(), TENANT.to_owned(), PAYLOAD.to_owned()];

    let mut browser = Browser::default();
    let mut session = browser.open(&sessions).await;
    session.login(Login::subject(SUBJECT).tenant(TENANT), support_sessions::Visitor::default()).await.unwrap();
    session.update(|visitor| visitor.name = PAYLOAD.into());
    browser.store(session);
    let value = browser.cookie().strip_prefix("shop=").unwrap().to_owned();
    canaries.push(value[40..80].to_owned());

    let mut session = browser.open(&sessions).await;
    write!(said, "{session:?} {sessions:?} {:?} {:?}", sessions.key_ring(), sessions.explain(&value)).unwrap();
    write!(said, "{:?}", sessions.config()).unwrap();
    session.logout_everywhere().await.unwrap();
    write!(said, "{session:?}").unwrap();
    drop(session);
    assert_eq!(browser.open(&sessions).await.verdict(), Verdict::RevokedSubject);
    for spoiled in [value.replace('A', "B"), value[..60].to_owned(), format!("{value}=")] {
        drop(Browser::with(&format!("shop={spoiled}")).open(&sessions).await);
    }
    write!(said, "{:?}", sessions.revoke_tenant(TENANT).await.unwrap()).unwrap();
    home.break_list();
    write!(said, "{:?}", sessions.revoke_subject(SUBJECT).await.unwrap_err()).unwrap();
    let mut large = Browser::default().open(&sessions).await;
    large.update(|visitor| visitor.name = PAYLOAD.repeat(400));
    write!(said, "{:?}", large.commit().unwrap_err()).unwrap();

    for file in std::fs::read_dir(home.path().join("keys")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        canaries.extend(text.lines().filter_map(|line| line.strip_prefix("secret: ")).map(str::to_owned));
    }
    assert!(canaries.len() >= 6, "both keys are among the canaries");
    let secret = Secret::new([0x5e; 32]);
    let key = Key::dangerous_from_bytes(Secret::new([0x5e; 32]), Seconds(0));
    write!(said, "{secret:?} {key:?} {:?}", ListKey::from_bytes(Secret::new([0x5e; 32]))).unwrap();
    canaries.extend(["94, 94".to_owned(), "5e5e5e".to_owned(), "Xl5eXl".to_owned()]);

    let log = captured.text();
    assert!(log.contains("revoked_subject") && log.contains("dropped without a reply"), "the log was captured: {log}");
    for canary in &canaries {
        assert!(!log.contains(canary), "{canary} in the log");
        assert!(!said.contains(canary), "{canary} in {said}");
    }
}

/// Who reads the list's file learns counts and times.
#[tokio::test]
async fn names_stand_in_the_list_as_keyed_hashes_only() {
    let home = Home::new();
    let sessions = home.start().await;
    let mut browser = Browser::default();
    browser.log_in(&sessions, Login::subject(SUBJECT).tenant(TENANT)).await;
    let mut session = browser.open(&sessions).await;
    session.logout_everywhere().await.unwrap();
    browser.store(session);
    sessions.revoke_tenant(TENANT).await.unwrap();
    drop(sessions);
    for end in ["", "-wal"] {
        let bytes = std::fs::read(home.path().join(format!("list.db{end}"))).unwrap_or_default();
        for canary in [SUBJECT, TENANT] {
            assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary} in list.db{end}");
        }
    }
    assert!(home.has_list());
}
