//! The file itself: whose it is, who shares it, what it forgets.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealjar::id::{Incarnation, NodeId, ShortId};
use sealjar::io::follow::host_name;
use sealjar::io::sqlite::{Keep, OwnFile};
use sealjar::revocation::{Origin, Record, Revocation, RevocationStore as _};
use sealjar::time::{Clock, Day, ManualClock, Position, days, hours};
use sealjar::{Sessions, Verdict};

use crate::node::{App, copy, found, logged_in, recall, remembered, sessions_in, until};
use crate::redis_support::APP;
use crate::sqlite_support::{FINGERPRINT, NOW, today};
use crate::support_sessions::{Visitor, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_another_app_or_list_key_is_refused() {
    let app = App::new().await;
    drop(app.start().await);
    let refusal =
        async |file: &Path| app.builder(app.home.path()).own_file(file).start().await.unwrap_err().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (theirs, strange) = (folder.path().join("theirs.db"), folder.path().join("strange.db"));
    let fingerprint = app.list_key().fingerprint();
    drop(open(&theirs, "other", &fingerprint, Clock::system()));
    let said = refusal(&theirs).await;
    assert!(said.contains("is the own file of the app \"other\", and this is \"shop\""), "{said}");
    drop(open(&strange, APP, FINGERPRINT, Clock::system()));
    let said = refusal(&strange).await;
    assert!(said.contains(&format!("was made under the list key {FINGERPRINT}")), "{said}");
    assert!(said.contains("Give this program the list key that it had before"), "{said}");

    let list = folder.path().join("list.db");
    drop(Sessions::<Visitor>::builder(APP).keys(app.home.path().join("keys")).list(at(&list)).start().await.unwrap());
    let said = refusal(&list).await;
    assert!(said.contains("is a revocation list, and not a node's own file"), "{said}");
    let keys = app.home.path().join("keys");
    let wrong = Sessions::<Visitor>::builder(APP).keys(&keys).list(at(&app.file())).start().await;
    let said = wrong.unwrap_err().to_string();
    assert!(said.contains("is a node's own file, and not a revocation list"), "{said}");
    let two = Sessions::<Visitor>::builder(APP).keys(&keys).list(at(&list)).own_file(app.file()).start().await;
    let said = two.unwrap_err().to_string();
    assert!(said.contains("would be a second file beside it. Leave `.own_file(..)` away"), "{said}");
}

/// For a process that nobody has heard of.
fn open(path: &Path, app: &str, list_key: &str, clock: Clock) -> OwnFile {
    let process = NodeId(sealjar::random::fresh::<8>().map(u64::from).iter().fold(0, |id, byte| id << 8 | byte));
    OwnFile::open(path, (app, list_key), (process, &host_name()), clock).unwrap().0
}

fn at(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_the_mode_of_a_secret_and_holds_no_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let app = App::new().await;
    let node = app.start().await;
    let (ada, id) = logged_in(&node, "canary-subject").await;
    ada.open(&node).await.logout_everywhere().await.unwrap();
    node.revoke_session(sealjar::Handle { id: ShortId(id), day: today() }).await.unwrap();
    until("it is written", async || recall(&app.file()).records.len() == 2).await;
    assert_eq!(std::fs::metadata(app.file()).unwrap().permissions().mode() & 0o777, 0o600);
    drop(node);
    for end in ["", "-wal"] {
        let bytes = std::fs::read(app.file().with_file_name(format!("node.db{end}"))).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "in node.db{end}");
    }
}

/// Where keys and list are named one by one, so is the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_can_be_named_and_beside_a_list_without_a_home_there_is_none() {
    let app = App::new().await;
    let bare = || Sessions::<Visitor>::builder(APP).keys(app.home.path().join("keys")).list(app.server.url());
    assert_eq!(bare().start().await.unwrap().own_file(), None);
    let file = app.home.path().join("elsewhere.db");
    let named = bare().own_file(&file).start().await.unwrap();
    let state = named.own_file().unwrap();
    assert_eq!((state.path, state.waiting, state.failing), (file.canonicalize().unwrap(), 0, None));
    assert!(!app.file().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_of_one_home_share_the_file() {
    let app = App::new().await;
    let (one, two) = (app.start().await, app.start().await);
    let (mut ada, ada_id) = logged_in(&one, "7").await;
    let (mut bob, bob_id) = logged_in(&two, "8").await;
    let (eve, _) = logged_in(&two, "9").await;
    for id in 100..200 {
        let handle = sealjar::Handle { id: ShortId(id), day: Clock::system().now().seconds().day() };
        one.revoke_session(handle).await.unwrap();
    }
    until("both have written", async || recall(&app.file()).records.len() >= 100).await;
    app.server.kill();
    for (browser, sessions) in [(&mut ada, &one), (&mut bob, &two)] {
        let mut session = browser.open(sessions).await;
        session.logout().await.unwrap();
        browser.store(session);
    }
    one.revoke_subject("9").await.unwrap();
    assert_eq!(recall(&app.file()).waiting.len(), 3);
    app.server.restart();
    until("nothing waits", async || recall(&app.file()).waiting.is_empty()).await;
    for sessions in [&one, &two] {
        eventually("nor here", || sessions.own_file().unwrap().waiting == 0).await;
        assert_eq!(eve.open(sessions).await.verdict(), Verdict::RevokedSubject);
    }
    let records = app.on_server().await;
    let cut_offs = records.iter().filter(|record| matches!(record, Record::CutOff { .. })).count();
    assert_eq!(cut_offs, 1, "one of them has published it, once");
    let expected = (100..200).chain([ada_id, bob_id]).collect();
    assert_eq!(sessions_in(&records), expected);
    until("the file has it all", async || sessions_in(&recall(&app.file()).records) == expected).await;
    let rows: i64 = rusqlite::Connection::open(app.file())
        .unwrap()
        .query_one("SELECT count(*) FROM record WHERE kind = 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 102, "each record once, whoever brought it");
}

/// A wish of a process that died is published by another one of the same home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_living_publish_for_the_dead() {
    let app = App::new().await;
    let (one, two) = (app.start().await, app.start().await);
    let (ada, id) = logged_in(&one, "7").await;
    app.server.kill();
    ada.open(&one).await.logout().await.unwrap();
    drop(one);
    app.server.restart();
    until("it is published", async || sessions_in(&app.on_server().await).contains(&id)).await;
    assert_eq!(ada.open(&two).await.verdict(), Verdict::RevokedSession);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_removed_or_rolled_back_is_written_anew() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, ada_id) = logged_in(&node, "7").await;
    let (bob, bob_id) = logged_in(&node, "8").await;
    ada.open(&node).await.logout().await.unwrap();
    remembered(&app.file(), ada_id).await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(app.file().with_file_name(format!("node.db{end}")));
    }
    bob.open(&node).await.logout().await.unwrap();
    until("it is whole again", async || {
        app.file().exists() && {
            let snapshot = recall(&app.file());
            snapshot.origin.is_some() && sessions_in(&snapshot.records) == [ada_id, bob_id].into()
        }
    })
    .await;

    // An older copy takes its place. Nobody else may open it before the app has seen that.
    let copy_of = app.home.path().join("copy.db");
    rusqlite::Connection::open(app.file()).unwrap().execute("VACUUM INTO ?1", [copy_of.to_str().unwrap()]).unwrap();
    let (eve, eve_id) = logged_in(&node, "9").await;
    eve.open(&node).await.logout().await.unwrap();
    remembered(&app.file(), eve_id).await;
    let log = || std::fs::metadata(app.file().with_file_name("node.db-wal")).map(|meta| meta.ino()).ok();
    let old_log = log();
    std::fs::rename(&copy_of, app.file()).unwrap();
    node.revoke_all().await.unwrap();
    eventually("it has a log of its own", || log().is_some_and(|log| Some(log) != old_log)).await;
    remembered(&app.file(), eve_id).await;
    assert_eq!(node.own_file().unwrap().failing, None);
}

/// Whoever is waited for can come back, and nobody else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_of_a_home_are_not_waited_for_and_the_living_are() {
    let app = App::new().await;
    let (one, two) = (app.start().await, app.start().await);
    let names = async || {
        let nodes = app.store().await.nodes(Position(0)).await.unwrap().nodes;
        nodes.into_iter().map(|node| node.id).collect::<BTreeSet<_>>()
    };
    until("both are registered", async || names().await.len() == 2).await;
    let both = names().await;
    drop(one);
    // What it still does in the background ends a little later; the end of a process needs no waiting.
    until("one has let go of its lock", async || {
        locks(&app).iter().filter(|lock| lock.try_lock().is_ok()).count() == 1
    })
    .await;
    let three = app.start().await;
    until("one is gone, one is new", async || {
        let now = names().await;
        now.len() == 2 && now.intersection(&both).count() == 1
    })
    .await;
    drop((two, three));
    until("all have", async || locks(&app).iter().all(|lock| lock.try_lock().is_ok())).await;
    let began = Instant::now();
    app.server.kill();
    app.server.restart();
    let alone = app.start().await;
    assert!(began.elapsed() < Duration::from_secs(10), "nobody is waited for: {:?}", began.elapsed());
    until("only the living are registered", async || names().await.len() == 1).await;
    eventually("and so are the locks", || locks(&app).len() == 1).await;
    drop(alone);
}

/// What the processes of a home hold locked.
fn locks(app: &App) -> Vec<File> {
    let entries = std::fs::read_dir(app.home.path()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|end| end == "lock"))
        .map(|path| File::open(path).unwrap())
        .collect()
}

#[tokio::test]
async fn days_that_are_over_are_pruned_and_stay_denied() {
    let folder = tempfile::tempdir().unwrap();
    let hand = ManualClock::at(NOW);
    let file = open(&folder.path().join("node.db"), APP, FINGERPRINT, Clock::manual(hand.clone()));
    let session = |id, day| Record::Session { id: ShortId(id), day };
    let keep = async |records: Vec<Record>, highest| {
        let keep = Keep { records, highest: Position(highest), ..Keep::default() };
        file.keep(Arc::new(keep)).await.unwrap()
    };
    // The store is ahead of this machine's clock.
    let ahead = u64::from(NOW.0) * 1000 + 60_000;
    let tomorrow = Day(today().0 + 1);
    keep(vec![session(1, today()), session(2, tomorrow)], ahead).await;
    keep(vec![session(1, today())], ahead).await;
    assert_eq!(found(&file).records.len(), 2, "each once");
    hand.advance(days(1) + hours(1));
    keep(vec![session(3, tomorrow)], ahead).await;
    let records = found(&file).records;
    assert_eq!(sessions_in(&records), [2, 3].into());
    let forgotten = records.iter().find_map(|record| match record {
        Record::Forgotten { day, position } => Some((*day, *position)),
        _ => None,
    });
    let (day, position) = forgotten.expect("what was dropped stays denied");
    assert!(day == tomorrow && position > Position(ahead), "{day} {position:?}");
}

/// Only what was written whole into this very file counts as a memory.
#[tokio::test]
async fn a_file_is_a_memory_only_of_what_it_has_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.db");
    let open = || open(&path, APP, FINGERPRINT, Clock::manual(ManualClock::at(NOW)));
    let file = open();
    let (nothing, life) = file.recall().unwrap();
    assert_eq!((nothing.origin, nothing.records.len()), (None, 0));
    let origin = Origin { place: "there".into(), life: Incarnation(7), position: Position(5), at: 9 };
    let keep = |whole| file.keep(Arc::new(Keep { whole, highest: Position(6), ..Keep::default() }));
    keep(Some((origin.clone(), Incarnation(life.0 ^ 1)))).await.unwrap();
    assert_eq!(found(&file).origin, None, "it was whole in another file");
    keep(Some((origin.clone(), life))).await.unwrap();
    let expected = Some(Origin { position: Position(6), ..origin });
    assert_eq!(found(&open()).origin, expected);
    file.spool(vec![Revocation::Everybody], Position(9)).await.unwrap();
    let snapshot = found(&open());
    assert_eq!(snapshot.origin, expected, "what is only wished for was not given out by the store");
    assert_eq!(snapshot.waiting[0].record, Record::Everybody { position: Position(9) });
}

#[tokio::test]
async fn a_wish_is_left_to_who_claimed_it() {
    let folder = tempfile::tempdir().unwrap();
    let hand = ManualClock::at(NOW);
    let open = || open(&folder.path().join("node.db"), APP, FINGERPRINT, Clock::manual(hand.clone()));
    let (one, two) = (open(), open());
    let spooled = one.spool(vec![Revocation::Everybody], Position(9)).await.unwrap();
    assert_eq!(one.claim().await.unwrap(), spooled);
    assert_eq!(two.claim().await.unwrap(), []);
    one.release(vec![spooled[0].seq]).await.unwrap();
    assert_eq!(two.claim().await.unwrap(), spooled);
    hand.advance(Duration::from_secs(15));
    assert_eq!(one.claim().await.unwrap(), [], "it is still at it");
    hand.advance(Duration::from_secs(1));
    assert_eq!(one.claim().await.unwrap(), spooled, "it died over it");
    let depth = one.keep(Arc::new(Keep { published: vec![spooled[0].seq], ..Keep::default() })).await.unwrap().1;
    assert_eq!((depth.waiting, depth.cut_offs), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_other_cookies_are_configured_is_remembered_too() {
    let app = App::new().await;
    let long = app.builder(app.home.path()).name("__Host-long").absolute(days(30)).start().await.unwrap();
    let node = app.start().await;
    let (ada, id) = logged_in(&node, "7").await;
    ada.open(&node).await.logout().await.unwrap();
    remembered(&app.file(), id).await;
    until("the profiles are kept", async || recall(&app.file()).profiles.len() == 2).await;
    drop((long, node));
    app.lose_the_list();
    let _node = app.start().await;
    let profiles = app.store().await.profiles().await.unwrap();
    assert_eq!(profiles.iter().map(|profile| &*profile.cookie).collect::<Vec<_>>(), ["__Host-long", "__Host-shop"]);
}

#[tokio::test]
async fn who_has_ended_is_told_by_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let open = |folder: &Path, id, host| {
        let clock = Clock::manual(ManualClock::at(NOW));
        OwnFile::open(&folder.join("node.db"), (APP, FINGERPRINT), (NodeId(id), host), clock).unwrap()
    };
    let (one, ended) = open(folder.path(), 1, "here");
    assert_eq!((one.process(), ended), (Some(NodeId(1)), vec![]));
    let (two, ended) = open(folder.path(), 2, "here");
    assert_eq!(ended, [], "it lives");
    let copied = tempfile::tempdir().unwrap();
    drop(two);
    copy(&folder.path().join("."), copied.path());
    assert_eq!(open(copied.path(), 3, "here").1, [], "whoever is in a copy may live");
    let (three, ended) = open(folder.path(), 4, "here");
    assert_eq!(ended, [NodeId(2)]);
    assert_eq!(open(folder.path(), 5, "there").1, [], "whoever runs elsewhere may live");
    three.bury(ended).await.unwrap();
    assert!(!folder.path().join(format!("node.db-{}.lock", NodeId(2))).exists());
    drop((one, three));
    assert_eq!(open(folder.path(), 6, "there").1, [NodeId(5)], "and those of here are forgotten there");
}

/// A home that was copied is a node of its own, and the one that it was copied from is not taken for dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_home_is_another_node() {
    let app = App::new().await;
    let node = app.start().await;
    let (ada, id) = logged_in(&node, "7").await;
    ada.open(&node).await.logout().await.unwrap();
    remembered(&app.file(), id).await;
    let before = app.store().await.nodes(Position(0)).await.unwrap().nodes;
    let other = tempfile::tempdir().unwrap();
    copy(&app.home.path().join("."), other.path());
    let copied = app.builder(other.path()).start().await.unwrap();
    assert_eq!(ada.open(&copied).await.verdict(), Verdict::RevokedSession);
    for _ in 0..5 {
        assert_eq!(ada.open(&copied.strict()).await.verdict(), Verdict::RevokedSession, "a beat");
        let nodes = app.store().await.nodes(Position(0)).await.unwrap().nodes;
        assert!(nodes.iter().any(|node| node.id == before[0].id), "it is alive");
        assert_eq!(nodes.len(), 2);
    }
}
