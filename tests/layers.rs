//! The layers of the house, held by reading the imports.
//!
//! Modules stand in one order, leaves first. A module may use those before it and no other, so there
//! is no circle and no shortcut. `io` stands beside, and the clock and the random source have one door each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom to the top. Layers are for people; the order within them counts as well.
const ORDER: &[(&str, &[&str])] = &[
    ("leaves", &["words", "secret", "id", "time", "error", "random", "trouble", "quota"]),
    ("values", &["verdict", "claims", "wire", "aead", "mac", "key", "wrap", "rotation", "ring", "sealing", "cookie"]),
    ("policy", &["payload", "seal", "revocation", "config", "doctor", "logout_token"]),
    ("io", &["io"]),
    (
        "decisions",
        &[
            "judge",
            "explain",
            "counters",
            "metrics",
            "operator",
            "core_keys",
            "core",
            "core_metrics",
            "automatic",
            "session",
            "builder",
            "sessions",
        ],
    ),
    ("faces", &["warp", "backchannel", "admin"]),
];

/// Pairs that look up on purpose, each with its reason.
const DELIBERATE: &[(&str, &str)] = &[
    // A handle holds the day on which its session ends, and a day that does not parse is no id.
    ("id", "time"),
    // One value in two files: what it is, and what it does about keys.
    ("core_keys", "core"),
    // `Sessions::builder` begins a builder, and `Builder::start` makes sessions: one pair of doors.
    ("builder", "sessions"),
];

#[test]
fn arrows_point_downwards() {
    let rank: BTreeMap<_, _> = ORDER.iter().flat_map(|(_, names)| *names).copied().zip(0..).collect();
    let files = sources();
    assert!(files.len() > 20, "the sources were found");
    let mut wrong = Vec::new();
    for (module, path) in &files {
        let own =
            rank.get(module.as_str()).unwrap_or_else(|| panic!("`{module}` has no place in the house; give it one"));
        for used in imports(&code(path)) {
            let Some(used_rank) = rank.get(used.as_str()) else { continue };
            if used_rank > own && !DELIBERATE.contains(&(module, &used)) {
                wrong.push(format!("{} uses {used}, which stands above it", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Only these files may touch the outside world.
#[test]
fn the_outside_world_has_few_doors() {
    for (what, words, doors) in [
        ("a clock", &["SystemTime::now", "Instant::now", "clock_gettime"][..], &["time.rs"][..]),
        ("randomness", &["getrandom::", "rand::"], &["random.rs", "error.rs"]),
        ("files", &["std::fs", "fs::read", "File::open"], &["io/"]),
        ("sqlite", &["rusqlite"], &["io/sqlite"]),
        ("redis", &["redis::"], &["io/"]),
        ("a runtime", &["tokio::"], &["io/"]),
    ] {
        for (_, path) in sources() {
            let text = code(&path);
            let inside = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
            let touches = words.iter().find(|word| text.contains(**word));
            assert!(
                touches.is_none() || doors.iter().any(|door| inside.starts_with(door)),
                "{inside} touches {what} (`{}`); that belongs into {doors:?}",
                touches.unwrap_or(&"")
            );
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the library with its top-level module; tests beside the code are left out.
fn sources() -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files
        .into_iter()
        .filter_map(|path| {
            let inside = path.strip_prefix(root().join("src")).unwrap().to_path_buf();
            let module = inside.components().next()?.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            let file = path.file_stem()?.to_string_lossy().into_owned();
            let test = file.ends_with("tests") || file.ends_with("vectors");
            (!test && module != "lib" && module != "bin").then_some((module, path))
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// The file without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The top-level modules named after `crate::`, in `use` lines and in paths.
fn imports(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split(['}', ';']).next().unwrap_or_default().split(',').map(first_name).collect(),
            None => vec![first_name(rest)],
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
