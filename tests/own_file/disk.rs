//! A disk that is full, read-only or slow fails no request and no beat.

use std::process::Command;
use std::time::{Duration, Instant};

use sealjar::revocation::{Durability, Freshness};
use sealjar::{Error, Verdict};
use tempfile::TempDir;

use crate::node::{App, copy, file_in, logged_in, recall, remembered, sessions_in, until};
use crate::sqlite_support::Mount;
use crate::support_sessions::{Browser, eventually};

/// More than fits beside the file.
fn fill(mount: &Mount) {
    let _ = std::fs::write(mount.path().join("filler"), vec![1; 16 << 20]);
}

/// Without the file: nothing was revoked, and the cookie is gone.
async fn logout_fails(browser: &mut Browser, sessions: &sealjar::Sessions<crate::support_sessions::Visitor>) {
    let mut session = browser.open(sessions).await;
    let said = session.logout().await;
    assert!(matches!(said, Err(Error::Store { .. })), "{said:?}");
    browser.store(session);
    assert_eq!(browser.cookie(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_no_request_and_what_it_missed_is_made_good() {
    let Some(mount) = Mount::new("3m") else { return };
    let app = App::new().await;
    let home = mount.path().join("home");
    std::fs::create_dir(&home).unwrap();
    copy(&app.home.path().join("keys"), &home.join("keys"));
    let (node, other) = (app.builder(&home).start().await.unwrap(), app.start().await);
    eventually("it is written", || node.own_file().unwrap().failing.is_none()).await;
    fill(&mount);
    let mut ids = Vec::new();
    for subject in 0..2_000 {
        let day = sealjar::time::Clock::system().now().seconds().day();
        other.revoke_session(sealjar::Handle { id: sealjar::id::ShortId(subject), day }).await.unwrap();
        ids.push(subject);
    }
    eventually("it says so", || node.own_file().unwrap().failing.is_some()).await;
    let said = node.own_file().unwrap().failing.unwrap();
    assert!(said.contains("there is no space left for") && said.contains("Free some space"), "{said}");
    let (mut ada, id) = logged_in(&node, "7").await;
    let bob = logged_in(&node, "8").await.0;
    ada.open(&node).await.logout().await.unwrap();
    for _ in 0..3 {
        assert_eq!(bob.open(&node.strict()).await.verdict(), Verdict::Live, "a beat");
    }
    app.server.kill();
    ada = Browser::with(bob.cookie());
    logout_fails(&mut ada, &node).await;
    app.server.restart();
    eventually("the list is back", || node.freshness() == Freshness::Fresh).await;
    std::fs::remove_file(mount.path().join("filler")).unwrap();
    eventually("it is written again", || node.own_file().unwrap().failing.is_none()).await;
    let file = file_in(&home);
    remembered(&file, id).await;
    ids.push(id);
    assert_eq!(sessions_in(&recall(&file).records), ids.into_iter().collect());
}

/// A file system that turns read-only under open files, as after an error of the disk; if this machine can do it.
struct Breakable {
    mount: TempDir,
    _image: TempDir,
}

impl Breakable {
    fn new() -> Option<Self> {
        let (mount, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let made = run(Command::new("mkfs.ext4").arg("-q").arg(&image))
            && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(mount.path()));
        if !made {
            eprintln!("skipped: no file system can be made in a file and mounted");
        }
        made.then_some(Self { mount, _image: folder })
    }

    fn abort(&self) {
        let mut command = Command::new("mount");
        assert!(command.args(["-o", "remount,abort"]).arg(self.mount.path()).status().unwrap().success());
    }
}

impl Drop for Breakable {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.mount.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only_is_as_no_file() {
    let Some(disk) = Breakable::new() else { return };
    let app = App::new().await;
    let (keys, file) = (app.home.path().join("keys"), disk.mount.path().join("node.db"));
    let builder = || app.builder(app.home.path()).keys(&keys).own_file(&file);
    let (node, other) = (builder().start().await.unwrap(), app.start().await);
    let (mut ada, ada_id) = logged_in(&node, "7").await;
    let (bob, _) = logged_in(&node, "8").await;
    let (eve, _) = logged_in(&node, "9").await;
    ada.open(&node).await.logout().await.unwrap();
    remembered(&file, ada_id).await;
    disk.abort();
    other.revoke_session(eve.open(&other).await.handle().unwrap()).await.unwrap();
    until("it is refused here", async || eve.open(&node).await.verdict() == Verdict::RevokedSession).await;
    eventually("it says so", || node.own_file().unwrap().failing.is_some()).await;
    for _ in 0..3 {
        assert_eq!(bob.open(&node.strict()).await.verdict(), Verdict::Live, "a beat");
    }
    ada = Browser::with(bob.cookie());
    app.server.kill();
    logout_fails(&mut ada, &node).await;
    app.server.restart();
    drop(node);
    // It may hold wishes that were accepted, and cannot be relied on.
    let refused = builder().start().await.unwrap_err().to_string();
    assert!(refused.contains("opening this node's own file failed") && refused.contains("node.db"), "{refused}");
}

/// Another program holds the file, as a backup or a shell may: it is as a disk that does not answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_holds_up_nobody() {
    let app = App::new().await;
    let home = app.other_home();
    let (node, other) = (app.start().await, app.builder(home.path()).start().await.unwrap());
    let (ada, ada_id) = logged_in(&node, "7").await;
    let (bob, _) = logged_in(&node, "8").await;
    until("the file is whole", async || recall(&app.file()).origin.is_some()).await;
    let holder = rusqlite::Connection::open(app.file()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let receipt = other.revoke_session(ada.open(&other).await.handle().unwrap()).await.unwrap();
    until("it is refused here", async || ada.open(&node).await.verdict() == Verdict::RevokedSession).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let wish = |seconds| sealjar::io::in_force::Wish {
        durability: Durability::InForce,
        replicas: 0,
        patience: Duration::from_secs(seconds),
    };
    let reached = other.wait(&receipt, wish(1), |_, _| ()).await.unwrap();
    assert_eq!(reached.durability, Durability::Committed, "it is not on the disk of that node");
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        assert_eq!(bob.open(&node.strict()).await.verdict(), Verdict::Live);
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
    let reached = other.wait(&receipt, wish(20), |_, _| ()).await.unwrap();
    assert_eq!(reached.durability, Durability::InForce, "and it is not waited for without end");
    let said = node.own_file().unwrap().failing.expect("it says why");
    assert!(said.contains("stayed locked") || said.contains("has not ended"), "{said}");
    holder.execute_batch("COMMIT").unwrap();
    remembered(&app.file(), ada_id).await;
    eventually("it is written again", || node.own_file().unwrap().failing.is_none()).await;
}
