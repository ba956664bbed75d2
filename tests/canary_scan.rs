//! Nothing secret stands in any log line or metric of the whole suite.
//!
//! The last test is a step of `tests/all.sh`, after all others: it reads what they have logged, and so have the nodes of
//! fleets. What standard output is asked for is looked at in its own tests instead.

mod canaries;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use canaries::{FOLDER, LEAST};

/// How names, payloads and passwords begin in tests that plant them: these need no writing down.
const WORDS: [&str; 3] = ["canary", "hunter2", "ada@example.org"];

#[derive(Debug, Default)]
struct Scan {
    files: usize,
    lines: usize,
    canaries: usize,
    /// Where something stands that should not: file, line, and how it begins.
    hits: Vec<String>,
}

fn scan(folder: &Path) -> Scan {
    let (mut scan, mut planted) = (Scan::default(), HashMap::<Vec<u8>, Vec<Vec<u8>>>::new());
    let files = |end: &str| {
        let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = all.filter(|path| path.extension().is_some_and(|has| has == end)).collect();
        all.sort();
        all
    };
    for path in files("canaries") {
        for canary in fs::read(path).unwrap().split(|byte| *byte == b'\n').filter(|canary| !canary.is_empty()) {
            let known = planted.entry(canary[..LEAST].to_vec()).or_default();
            if !known.iter().any(|known| known == canary) {
                known.push(canary.to_vec());
                scan.canaries += 1;
            }
        }
    }
    for path in files("log") {
        scan.files += 1;
        for (n, line) in fs::read(&path).unwrap().split(|byte| *byte == b'\n').enumerate() {
            scan.lines += 1;
            let words = WORDS.iter().filter(|word| line.windows(word.len()).any(|part| part == word.as_bytes()));
            let mut found: Vec<_> = words.map(|word| (*word).to_owned()).collect();
            for (at, part) in line.windows(LEAST).enumerate() {
                let whole =
                    planted.get(part).is_some_and(|all| all.iter().any(|canary| line[at..].starts_with(canary)));
                found.extend(whole.then(|| format!("{}..", String::from_utf8_lossy(&part[..4]))));
            }
            scan.hits.extend(found.iter().map(|what| format!("{}:{}: {what}", path.display(), n + 1)));
        }
    }
    scan
}

#[test]
fn a_leak_is_found_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("one-1.canaries", "0123456789abcdefXYZ\n0123456789abcdefghi\n");
    write("two-2.canaries", "0123456789abcdefXYZ\n");
    write("one-1.log", "all is well\n0123456789abcdef and no more\n");
    write("two-2.log", "a session\nof cookie=0123456789abcdefghi, refused\nsubject canary-7\n");
    let scan = scan(folder.path());
    assert_eq!((scan.files, scan.lines, scan.canaries), (2, 7, 2));
    let hits: Vec<_> = scan.hits.iter().map(|hit| hit.rsplit('/').next().unwrap()).collect();
    assert_eq!(hits, ["two-2.log:2: 0123..", "two-2.log:3: canary"]);
}

/// What is planted by the helpers of the other tests is what the scan looks for: a program that leaks is found.
#[test]
fn what_is_planted_and_logged_is_found() {
    const LEAK: &str = "SEALJAR_TEST_LEAK";
    if std::env::var_os(LEAK).is_some() {
        canaries::listen();
        canaries::plant("a-secret-of-some-length");
        tracing::trace!(target: "sealjar", "it is a-secret-of-some-length");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut this = std::process::Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", "what_is_planted_and_logged_is_found"]).env(LEAK, "1").env(FOLDER, folder.path());
    assert!(this.output().unwrap().status.success());
    let scan = scan(folder.path());
    assert_eq!((scan.files, scan.canaries, scan.hits.len()), (1, 1, 1), "{scan:?}");
}

#[test]
#[ignore = "the last step of tests/all.sh: it reads what the other tests have logged"]
fn no_secret_is_in_any_log_of_the_suite() {
    let folder = canaries::folder().expect("SEALJAR_TEST_LOGS names the folder that the tests have logged to");
    let scan = scan(&folder);
    println!("{} lines in {} files, {} canaries", scan.lines, scan.files, scan.canaries);
    assert!(scan.hits.is_empty(), "secrets in the log:\n{}", scan.hits.join("\n"));
    // Of a suite that logs nothing, or plants nothing, nothing would be known.
    assert!(scan.files >= 50 && scan.lines >= 5_000 && scan.canaries >= 2_000, "too little to go by: {scan:?}");
}
