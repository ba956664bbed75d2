use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;

fn journal(home: &tempfile::TempDir) -> Journal {
    Journal::new(home.path().join("lines"), home.path().join("head"))
}

fn add(journal: &Journal, lines: &str) {
    journal.append(|_| (Addition { lines: lines.to_owned(), head: "head".to_owned() }, ())).unwrap();
}

fn forwards(journal: &Journal) -> Vec<String> {
    let mut lines = Vec::new();
    journal.read(|line| lines.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
    lines
}

fn backwards(journal: &Journal) -> Vec<String> {
    let mut lines = Vec::new();
    let take = |line: &[u8]| {
        lines.push(String::from_utf8(line.to_vec()).unwrap());
        true
    };
    journal.read_back(take).unwrap();
    lines
}

/// A long file is read for seconds, and a revocation that cannot be written down is not done.
#[test]
fn whoever_reads_keeps_nobody_from_appending() {
    let home = tempfile::tempdir().unwrap();
    let journal = journal(&home);
    add(&journal, "one\ntwo\n");
    let appended = |name: &str| {
        let (told, done) = channel();
        let (journal, line) = (journal.clone(), format!("{name}\n"));
        thread::spawn(move || {
            add(&journal, &line);
            told.send(())
        });
        done.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|_| panic!("{name} had to wait for who reads"));
    };
    let mut seen = Vec::new();
    journal
        .read(|line| {
            seen.push(line.to_vec());
            appended("forwards");
        })
        .unwrap();
    assert_eq!(seen, [b"one", b"two"], "what was there when it began");
    let mut last = Vec::new();
    let take = |line: &[u8]| {
        last = line.to_vec();
        appended("backwards");
        false
    };
    journal.read_back(take).unwrap();
    assert_eq!(last, b"forwards");
    assert_eq!(forwards(&journal), ["one", "two", "forwards", "forwards", "backwards"]);
}

/// Half a line is cut off by whoever appends next, perhaps while somebody reads: it is told as it was.
#[test]
fn half_a_line_is_counted_and_never_read() {
    let home = tempfile::tempdir().unwrap();
    let journal = journal(&home);
    fs::write(journal.path(), "one\ntwo\nhal").unwrap();
    let mut seen = Vec::new();
    let (torn, _) = journal
        .read(|line| {
            if seen.is_empty() {
                add(&journal, "three\n");
            }
            seen.push(line.to_vec());
        })
        .unwrap();
    assert_eq!((seen, torn), (vec![b"one".to_vec(), b"two".to_vec()], 3));
    fs::write(journal.path(), "one\ntwo\nhal").unwrap();
    assert_eq!(backwards(&journal), ["two", "one"]);
    fs::write(journal.path(), "hal").unwrap();
    assert_eq!((journal.read(|_| panic!("no line")).unwrap().0, backwards(&journal)), (3, vec![]));
}

#[test]
fn both_ways_see_the_same_lines_however_long_they_are() {
    let home = tempfile::tempdir().unwrap();
    let journal = journal(&home);
    assert!(forwards(&journal).is_empty() && backwards(&journal).is_empty(), "no file yet");
    let piece = usize::try_from(LONGEST).unwrap();
    for lengths in [
        &[0][..],
        &[0, 0, 3, 0],
        &[piece - 1],
        &[piece - 2, 0, piece - 1],
        &[10, piece - 1, piece - 1, 5],
        &[piece / 2, piece / 2 - 1, piece / 2 + 7, 1, piece - 3, 2],
        &[300; 1_000],
    ] {
        let names = ('a'..='z').cycle().map(String::from);
        let lines: Vec<_> = lengths.iter().zip(names).map(|(&length, name)| name.repeat(length)).collect();
        fs::write(journal.path(), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let mut back = backwards(&journal);
        back.reverse();
        assert!(forwards(&journal) == lines && back == lines, "{lengths:?}");
    }
}

/// A file that somebody has put there does not fill the memory.
#[test]
fn a_line_that_is_too_long_is_read_in_pieces() {
    let home = tempfile::tempdir().unwrap();
    let journal = journal(&home);
    fs::write(journal.path(), ["first\n", &"x".repeat(1 << 20), "\nlast\n"].concat()).unwrap();
    let longest = usize::try_from(2 * LONGEST).unwrap();
    for lines in [forwards(&journal), backwards(&journal).into_iter().rev().collect()] {
        assert_eq!((&*lines[0], lines.last().unwrap().as_str()), ("first", "last"));
        assert!(lines.iter().all(|line| line.len() <= longest));
    }
}

/// Somebody else's file, or ours with something behind it that nobody here has begun.
#[test]
fn what_cannot_be_half_a_line_is_never_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let journal = journal(&home);
    let longest = usize::try_from(LONGEST).unwrap();
    for foreign in ["x".repeat(longest + 1), "x".repeat(3 * longest), format!("one\n{}", "x".repeat(2 * longest))] {
        fs::write(journal.path(), &foreign).unwrap();
        let refused = journal.append::<()>(|_| panic!("nothing follows on that")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
        assert!(refused.to_string().contains("no line feed in its last 65536 bytes"), "{refused}");
        assert_eq!(fs::read_to_string(journal.path()).unwrap(), foreign, "it is as it was");
    }
    fs::write(journal.path(), format!("one\n{}", "x".repeat(longest))).unwrap();
    add(&journal, "two\n");
    assert_eq!(forwards(&journal), ["one", "two"], "that may have been half a line");
}
