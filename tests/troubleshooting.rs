//! `docs/troubleshooting.md` says of every verdict, every trouble and every other sentence that an app can be refused
//! with at its start what causes it and what to do. Here the page is compared with the code's lists.

use std::fs;
use std::path::{Path, PathBuf};

use sealjar::Verdict;
use sealjar::trouble::Trouble;

/// Where start-up errors are written that are no [`Trouble`], of apps and of `sealjar admin`; folders with all that is
/// in them.
const SOURCES: [&str; 22] = [
    "automatic.rs",
    "builder",
    "config.rs",
    "cookie/rules.rs",
    "key",
    "io/folder.rs",
    "io/place.rs",
    "io/follow.rs",
    "io/redis/address.rs",
    "io/sqlite",
    "io/ring_secret.rs",
    "io/kept",
    "io/jwks",
    "backchannel",
    "logout_token/keys.rs",
    "admin/mod.rs",
    "admin/token.rs",
    "admin/tokens.rs",
    "admin/trail.rs",
    "bin/sealjar/admin.rs",
    "bin/sealjar/place.rs",
    "bin/sealjar/tls.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the page's tables, cell by cell.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// As it stands in a cell: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn every_verdict_has_its_row() {
    let rows = rows();
    let wanted = Verdict::ALL.map(|verdict| [format!("`{verdict}`"), cell(verdict.cause()), cell(verdict.fix())]);
    assert_in_page(&rows, wanted.iter().map(|row| row.to_vec()));
}

#[test]
fn every_trouble_has_its_row() {
    let rows = rows();
    let fix = |trouble: Trouble| format!("{}.", cell(trouble.fix()));
    let wanted = Trouble::ALL.map(|trouble| vec![format!("`{trouble}`"), cell(trouble.cause()), fix(trouble)]);
    assert_in_page(&rows, wanted.into_iter());
}

#[test]
fn every_other_sentence_of_the_start_has_its_row() {
    let rows = rows();
    let sentences = sentences();
    assert!(sentences.len() > 40, "{sentences:#?}");
    let has = |sentence: &str| rows.iter().any(|row| row.len() == 2 && row[0] == cell(sentence) && row[1].len() > 10);
    let missing: Vec<_> = sentences.iter().filter(|sentence| !has(sentence)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md misses these sentences, each with what to do:\n{missing:#?}");
}

#[test]
fn the_page_has_nothing_that_the_code_does_not_say() {
    let mut known: Vec<String> = Verdict::ALL.iter().map(|verdict| format!("`{verdict}`")).collect();
    known.extend(Trouble::ALL.iter().map(|trouble| format!("`{trouble}`")));
    known.extend(sentences().iter().map(|sentence| cell(sentence)));
    let headings = ["verdict", "code", "it says"].map(str::to_owned);
    for row in rows() {
        assert!(known.contains(&row[0]) || headings.contains(&row[0]), "nobody says so any more: {}", row[0]);
    }
}

/// Every trouble can be found somewhere: it stands in the code besides its own list.
#[test]
fn every_trouble_is_told_somewhere() {
    let mut code = String::new();
    for path in files(&root().join("src")) {
        if !path.ends_with("trouble.rs") {
            code += &fs::read_to_string(path).unwrap();
        }
    }
    for trouble in Trouble::ALL {
        assert!(code.contains(&format!("Trouble::{trouble:?}")), "nobody tells {trouble}");
    }
}

fn assert_in_page(rows: &[Vec<String>], wanted: impl Iterator<Item = Vec<String>>) {
    let missing: Vec<_> =
        wanted.filter(|row| !rows.contains(row)).map(|row| format!("| {} |", row.join(" | "))).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md misses these rows:\n{}", missing.join("\n"));
}

fn files(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| files(&path)).filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// What start-up errors say, with `…` for what varies.
fn sentences() -> Vec<String> {
    let mut all = Vec::new();
    for source in SOURCES {
        for path in files(&root().join("src").join(source)) {
            if path.file_stem().unwrap().to_string_lossy().ends_with("tests") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let tests = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| text.find(mark)).min();
            let code = &text[..tests.unwrap_or(text.len())];
            all.extend(literals(code).into_iter().filter(|literal| is_sentence(literal)));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// What happened, in words: begins small or with what varies, has no full stop, and says more than an activity.
/// What to do begins with a capital; one sentence that begins with an attribute's name does, too.
fn is_sentence(text: &str) -> bool {
    let words: Vec<_> = text.split(' ').collect();
    let first = text.chars().next().unwrap_or(' ');
    let begins = first.is_lowercase() || first == '…' || first == '`' || text.starts_with("SameSite=None needs");
    let is_no_error =
        ["sealjar v1", "the SQLite file", "key file …: …", "not a SHA-256"].iter().any(|other| text.starts_with(other));
    let sql = text.contains("SELECT") || text.contains("INSERT") || text.contains(" = ") || text.contains("UPDATE");
    let is_activity = words.first().is_some_and(|word| word.ends_with("ing"));
    let says_something = words.iter().filter(|word| **word != "…").count() >= 2;
    begins && words.len() >= 3 && says_something && !text.ends_with('.') && !sql && !is_activity && !is_no_error
}

/// The string literals of a source file, without those of comments, of the log, and of troubles.
fn literals(code: &str) -> Vec<String> {
    let (mut all, mut rest) = (Vec::new(), code);
    let mut skipping = None::<usize>;
    let mut depth = 0_usize;
    let mut before = String::new();
    while let Some(c) = rest.chars().next() {
        let skips = ["tracing::warn!", "tracing::info!", "tracing::error!", "tracing::debug!", "tracing::trace!"];
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        if c == '"' {
            let (literal, after) = literal(rest);
            let is_a_lint = code[..code.len() - rest.len()].trim_end().ends_with("reason =");
            if skipping.is_none() && !is_a_lint {
                all.push(literal);
            }
            (rest, before) = (after, String::new());
            continue;
        }
        // A character such as '"' is no string.
        if rest.starts_with("'\"'") || rest.starts_with("'\\'") {
            rest = &rest[if rest.starts_with("'\\'") { 4 } else { 3 }..];
            continue;
        }
        match c {
            '(' => {
                depth += 1;
                let is_told_elsewhere = skips.iter().any(|skip| before.ends_with(skip))
                    || before.ends_with("found")
                    || before.ends_with("expect");
                if skipping.is_none() && is_told_elsewhere {
                    skipping = Some(depth);
                }
                before.clear();
            }
            ')' => {
                if skipping == Some(depth) {
                    skipping = None;
                }
                depth = depth.saturating_sub(1);
                before.clear();
            }
            _ if c.is_alphanumeric() || "_:!".contains(c) => before.push(c),
            _ => before.clear(),
        }
        rest = &rest[c.len_utf8()..];
    }
    all
}

/// One literal, as it is printed, and what follows it.
fn literal(text: &str) -> (String, &str) {
    let mut said = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (with_dots(&said), &text[at + 1..]),
            '\\' => match characters.next() {
                // A line goes on behind the white space of the next one.
                Some((_, '\n')) => {
                    let mut ahead = characters.clone();
                    while ahead.next().is_some_and(|(_, c)| c.is_whitespace()) {
                        characters.next();
                    }
                }
                Some((_, 'n')) => said.push('\n'),
                Some((_, other)) => said.push(other),
                None => break,
            },
            _ => said.push(c),
        }
    }
    (with_dots(&said), "")
}

/// `{name:?}` and `{}` become `…`.
fn with_dots(text: &str) -> String {
    let (mut said, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        said += before;
        said += "…";
        rest = after;
    }
    said + rest
}
