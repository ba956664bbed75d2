use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;

const NOW: Seconds = Seconds(1_795_447_200);

fn trail(home: &tempfile::TempDir, count: usize) -> Trail {
    let trail = Trail::in_home(home.path());
    for n in 0..count {
        let seq =
            trail.write(&Entry { reason: Some(format!("reason {n}")), ..Entry::new(Event::Attempt, "revoke") }, NOW);
        assert_eq!(seq.unwrap(), n as u64 + 1);
    }
    trail
}

fn findings(trail: &Trail) -> Vec<String> {
    trail.verify(None).unwrap().findings.into_iter().map(|found| format!("{} {}", found.line, found.problem)).collect()
}

#[test]
fn what_is_written_is_whole_and_the_newest_comes_first() {
    let home = tempfile::tempdir().unwrap();
    let trail = trail(&home, 7);
    let verified = trail.verify(None).unwrap();
    assert_eq!((verified.head.seq, verified.findings.len()), (7, 0));
    let seqs = |records: Vec<Record>| records.iter().map(|record| record.seq).collect::<Vec<_>>();
    assert_eq!(seqs(trail.recent(3, None, |_| true).unwrap()), [7, 6, 5]);
    assert_eq!(seqs(trail.recent(2, Some(5), |_| true).unwrap()), [4, 3]);
    assert_eq!(seqs(trail.recent(9, None, |record| record.entry.reason.as_deref() == Some("reason 1")).unwrap()), [2]);
    assert!(trail.recent(0, None, |_| true).unwrap().is_empty());
    let mut looked_at = 0;
    let count = |_: &Record| {
        looked_at += 1;
        true
    };
    trail.recent(2, None, count).unwrap();
    assert_eq!(looked_at, 2, "no more of a long file is read than is wanted");
    let empty = Trail::in_home(&home.path().join("nowhere"));
    assert!(findings(&empty).is_empty() && empty.recent(1, None, |_| true).unwrap().is_empty());
    #[cfg(unix)]
    for name in ["audit.jsonl", "audit.head"] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_lost_tail_is_found_and_no_later_record_covers_it_up() {
    let home = tempfile::tempdir().unwrap();
    let trail = trail(&home, 5);
    let text = fs::read_to_string(trail.path()).unwrap();
    let kept: Vec<_> = text.lines().take(3).collect();
    fs::write(trail.path(), kept.join("\n") + "\n").unwrap();
    assert_eq!(findings(&trail), ["4 the last 2 are missing: the head file knows record 5"]);
    trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap();
    let found = findings(&trail);
    assert!(found.len() == 1 && found[0].starts_with("4 says of itself: the head knew record 5"), "{found:?}");
    fs::remove_file(trail.path()).unwrap();
    assert_eq!(findings(&trail), ["1 the last 5 are missing: the head file knows record 5"]);
    trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap();
    assert!(findings(&trail)[0].contains("the file ended at 0"));
    fs::remove_file(home.path().join("audit.head")).unwrap();
    trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap();
    assert!(findings(&trail).iter().any(|found| found.contains("the head was missing")));
}

/// A crash or a full disk leaves half a line: it never counted, it is cut off, and that is written down.
#[test]
fn half_a_line_is_cut_off_and_told() {
    let home = tempfile::tempdir().unwrap();
    let trail = trail(&home, 2);
    let torn = b"{\"seq\":3,\"at\":\"2026";
    OpenOptions::new().append(true).open(trail.path()).unwrap().write_all(torn).unwrap();
    assert_eq!(findings(&trail), [format!("3 {} bytes of a line that was never finished", torn.len())]);
    assert_eq!(trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap(), 4);
    assert_eq!(findings(&trail), [] as [String; 0]);
    let told = &trail.recent(2, None, |_| true).unwrap()[1];
    assert_eq!((told.entry.event, told.seq), (Event::TornLine, 3));
}

#[test]
fn an_end_that_nobody_here_wrote_is_kept_and_the_error_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let trail = trail(&home, 2);
    OpenOptions::new().append(true).open(trail.path()).unwrap().write_all(&vec![b'x'; 200_000]).unwrap();
    let error = trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap_err().to_string();
    assert!(
        error.contains("no line feed in its last 65536 bytes") && error.contains("Put its own end back"),
        "{error}"
    );
    assert_eq!(fs::metadata(trail.path()).unwrap().len() / 100_000, 2, "nothing was cut off");
}

#[test]
fn a_last_line_that_is_junk_does_not_stop_the_audit_and_stays_a_finding() {
    let home = tempfile::tempdir().unwrap();
    let trail = trail(&home, 2);
    OpenOptions::new().append(true).open(trail.path()).unwrap().write_all(b"junk\n").unwrap();
    trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap();
    let found = findings(&trail);
    assert_eq!(found[0], "3 cannot be read as a record");
    assert!(found.len() == 2 && found[1].starts_with("4 says of itself: the last line could not be read"), "{found:?}");
}

#[test]
fn many_write_at_once_and_the_chain_holds() {
    let home = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let trail = Trail::in_home(home.path());
                for _ in 0..25 {
                    trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap();
                }
            });
        }
    });
    let verified = Trail::in_home(home.path()).verify(None).unwrap();
    assert_eq!((verified.head.seq, verified.findings), (100, vec![]));
}

#[test]
fn where_it_cannot_be_written_nothing_counts() {
    let home = tempfile::tempdir().unwrap();
    let trail = Trail::in_home(&home.path().join("nowhere"));
    let said = trail.write(&Entry::new(Event::Read, "list"), NOW).unwrap_err().to_string();
    assert!(
        said.contains("the audit") && said.contains("cannot be written") && said.contains("its disk has room"),
        "{said}"
    );
}

#[test]
fn the_last_one_who_succeeded_is_named() {
    let home = tempfile::tempdir().unwrap();
    let trail = Trail::in_home(home.path());
    let entry = |event, action: &str, scope: &str, target: Option<&str>| Entry {
        scope: Some(scope.into()),
        target: target.map(str::to_owned),
        ..Entry::new(event, action)
    };
    let attempt = |action: &str, scope: &str, target: Option<&str>, actor: &str, status: u16| {
        let begun = Entry { actor: Some(actor.into()), ..entry(Event::Attempt, action, scope, target) };
        let seq = trail.write(&begun, NOW).unwrap();
        let ended = Entry { of: Some(seq), status: Some(status), ..entry(Event::Outcome, action, scope, target) };
        trail.write(&ended, NOW).unwrap();
    };
    let handle = "0123456789abcdef-2026-11-24";
    attempt("revoke", "session", Some(handle), "ada", 201);
    attempt("revoke", "session", Some(&handle[..16]), "bob", 201);
    attempt("revoke", "session", Some(handle), "eve", 503);
    attempt("revoke", "subject", Some("aa"), "cid", 201);
    attempt("retire_key", "key", Some("aa"), "dan", 201);
    attempt("promote_key", "key", Some("aa"), "fay", 201);
    let who = |scope, target: Option<&str>| {
        let hit = Hit { scope, target: target.map(str::to_owned), as_of: None, floor: None };
        trail.who_revoked(&hit).unwrap().and_then(|revoked| revoked.actor)
    };
    assert_eq!(who("session", Some(handle)).as_deref(), Some("bob"), "not who tried in vain");
    assert_eq!(who("subject", Some("aa")).as_deref(), Some("cid"));
    assert_eq!(who("tenant", Some("aa")), None);
    assert_eq!(who("key", Some("aa")).as_deref(), Some("dan"), "a promotion takes nothing out of service");
    assert_eq!(who("all", None), None);
    attempt("compromise_key", "key", Some("bb"), "gus", 201);
    assert_eq!(who("all", None).as_deref(), Some("gus"), "that logs everybody out");
}
