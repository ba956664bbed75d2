//! What the documents say about the code is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sealjar::Verdict;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All Rust sources below a folder, as one text.
fn rust(folder: &str) -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join(folder), &mut text);
    text
}

/// Words in `backticks`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let (model, code) = (read("docs/threat-model.md"), rust("src") + &rust("tests"));
    let mut named = BTreeSet::new();
    for row in model.lines().filter(|line| line.starts_with("| T")) {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
        named.extend(quoted(tests));
    }
    assert!(named.len() > 20, "{named:?}");
    for test in named {
        assert!(code.contains(&format!("fn {test}")), "docs/threat-model.md names a test that is not there: {test}");
    }
}

#[test]
fn the_inventory_of_cryptography_is_the_codes() {
    let (inventory, code, manifest) = (read("docs/crypto.md"), rust("src"), read("Cargo.toml"));
    let labels: Vec<_> = [
        "sealjar v1 key id",
        "sealjar v1",
        "seal",
        "sign",
        "nonce hedge",
        "control",
        "subject",
        "tenant",
        "label",
        "provider subject",
        "provider session",
        "logout token",
        "once",
    ]
    .into();
    for label in labels.into_iter().chain(["sealjar v1 list key fingerprint"]) {
        assert!(inventory.contains(&format!("`{label}`")), "docs/crypto.md misses the label {label}");
        assert!(code.contains(&format!("\"{label}")), "no code uses the label {label}");
    }
    for krate in ["aes", "aes-gcm", "hmac", "sha2", "hkdf", "subtle", "getrandom", "rand", "ring", "jsonwebtoken"] {
        assert!(inventory.contains(&format!("`{krate}`")), "docs/crypto.md misses the crate {krate}");
        assert!(manifest.contains(&format!("\n{krate} = ")), "{krate} is no dependency");
    }
    for line in inventory.lines().filter(|line| line.contains("`src/")) {
        for file in quoted(line).filter(|word| word.starts_with("src/")) {
            assert!(root().join(file).exists(), "docs/crypto.md names {file}");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs/format.md",
        "docs/design.md",
        "docs/threat-model.md",
        "docs/backchannel.md",
        "docs/redis.md",
        "docs/troubleshooting.md",
        "docs/rotation.md",
        "docs/rotation-model.md",
    ];
    let mut links = 0;
    for document in documents {
        let folder = root().join(document).parent().unwrap().to_path_buf();
        for target in
            read(document).split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next().map(str::to_owned))
        {
            if !target.is_empty() && !target.contains("://") {
                links += 1;
                assert!(folder.join(&target).exists(), "{document} links to {target}");
            }
        }
    }
    assert!(links > 10);
}

#[test]
fn every_span_has_its_row_with_its_fields() {
    let (page, code) = (read("docs/monitoring/README.md"), rust("src"));
    let mut spans = BTreeSet::new();
    for made in code.split("info_span!(").skip(1) {
        let mut depth = 1;
        let end = made.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let parts = made[..end.unwrap()].split(", ").filter(|part| !part.starts_with("parent:"));
        let mut names = parts.map(|part| part.split(" = ").next().unwrap().trim_matches(['"', '%', '?']));
        let (span, fields) = (names.next().unwrap(), names.map(|name| format!("`{name}`")).collect::<Vec<_>>());
        let fields = if fields.is_empty() { "-".to_owned() } else { fields.join(", ") };
        spans.insert(format!("| `{span}` | {fields} |"));
    }
    assert!(spans.len() > 10, "{spans:?}");
    let (_, table) = page.split_once("| span | fields | covers |").unwrap();
    let rows: BTreeSet<_> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.splitn(4, '|').take(3).collect::<Vec<_>>().join("|") + "|")
        .collect();
    assert_eq!(rows, spans, "docs/monitoring/README.md lists the spans");
}

#[test]
fn the_readme_shows_every_verdict_by_its_code() {
    let readme = read("README.md");
    for verdict in Verdict::ALL {
        assert!(readme.contains(&format!("`{verdict}`")), "the README's list of verdicts misses {verdict}");
    }
}

/// The test command of the README is what CI runs.
#[test]
fn ci_runs_the_readmes_test_command() {
    assert!(read("README.md").contains("bash tests/all.sh"));
    assert!(read(".ci/run").contains("tests/all.sh"));
}

/// No document, comment or message names a machine or a registry.
#[test]
fn nothing_names_the_machine_it_was_made_on() {
    let texts = rust("src") + &rust("examples") + &read("README.md") + &read("Cargo.toml");
    for word in ["/root/", "/work/", "/home/"] {
        assert!(!texts.contains(word), "{word}");
    }
}
