//! The test kit: frozen cookies, one small file each, most of them to be refused.
//!
//! The files are language-neutral (`tests/testkit/README.md`), and an independent reader in Python agrees
//! with the crate on every one of them and on thousands of random cookies, both ways.

#[path = "testkit/case.rs"]
mod case;
#[path = "testkit/generate/mod.rs"]
mod generate;
#[path = "testkit/python.rs"]
mod python;

use std::collections::HashSet;

use case::{Case, folder, read_all};
use generate::seed;
use sealjar::explain::explain;
use sealjar::key::Key;
use sealjar::secret::Secret;
use sealjar::time::Seconds;
use sealjar::verdict::Verdict;

fn cases() -> Vec<Case> {
    let cases = read_all(&folder());
    assert!(cases.len() >= 90, "the kit has lost files: {} are left", cases.len());
    cases
}

#[test]
fn every_file_is_judged_as_it_says() {
    for case in cases() {
        assert_eq!(case.problem(), None, "{} should be {}: {}", case.name, case.expect, case.about);
    }
}

#[test]
fn every_verdict_has_a_file_and_most_files_are_refused() {
    let cases = cases();
    let seen: HashSet<_> = cases.iter().map(|case| case.expect).collect();
    for verdict in Verdict::ALL {
        assert!(seen.contains(&verdict), "no file ends as {verdict}");
    }
    let refused = cases.iter().filter(|case| !case.expect.is_live()).count();
    assert!(refused * 3 > cases.len() * 2, "{refused} of {} are refused", cases.len());
}

#[test]
fn files_have_one_spelling_and_no_two_say_the_same() {
    let mut contents = HashSet::new();
    for case in cases() {
        let text = std::fs::read_to_string(folder().join(format!("{}.txt", case.name))).unwrap();
        assert_eq!(case.to_text(), text, "{}", case.name);
        let (_about, content) = text.split_once('\n').unwrap();
        assert!(contents.insert(content.to_owned()), "{} repeats another file", case.name);
    }
}

/// `explain` runs the same pipeline, up to the payload, which it never reads. It takes pasted lines, whose
/// ends may be CR LF; no HTTP field holds a CR.
#[test]
fn explain_gives_every_file_the_same_verdict() {
    let mut differ = Vec::new();
    for case in cases().iter().filter(|case| !case.fields.iter().any(|field| field.ends_with(b"\r"))) {
        let expect = if case.expect == Verdict::Undecodable { Verdict::Live } else { case.expect };
        let fields: Vec<_> = case.fields.iter().map(|field| String::from_utf8_lossy(field)).collect();
        let pasted = format!("Cookie: {}", fields.join("; "));
        let explained = explain(&pasted, &case.config(), &case.ring(), &case.replica().view(), case.clock());
        if explained.verdict() != expect {
            differ.push(format!("{}: {expect}, explained as {}", case.name, explained.verdict));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn the_kit_holds_what_its_generator_makes() {
    let names: HashSet<_> = cases().into_iter().map(|case| case.name).collect();
    for case in generate::all() {
        assert!(names.contains(&case.name), "{} is missing: run the ignored test `write_missing_files`", case.name);
    }
}

#[test]
#[ignore = "writes files: run it by name after a case was added"]
fn write_missing_files() {
    generate::write();
}

#[test]
fn published_keys_are_refused_where_real_ones_belong() {
    for n in 1..=seed::KEYS {
        let refusal = Key::from_bytes(Secret::new(seed::key(n)), Seconds(0)).expect_err("everybody knows it");
        let id = seed::key_value(n).id();
        let sentence = format!("key {id} is a sample: everybody can read it in the test kit");
        assert!(refusal.to_string().contains(&sentence), "{refusal}");
    }
    let published: HashSet<_> = (1..=seed::KEYS).map(seed::key).collect();
    for case in cases() {
        assert!(case.keys.iter().all(|key| published.contains(key)), "{} uses a key of its own", case.name);
    }
}
