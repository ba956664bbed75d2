//! Whether the file of an embedded list is its owner's alone.

use crate::trouble::{Finding, Severity, Trouble};

/// Judges the Unix permission bits of the list's file at `path`; none where there are no such.
#[must_use]
pub fn file(path: &str, mode: Option<u32>) -> Finding {
    match mode {
        Some(mode) if mode & 0o022 != 0 => {
            let seen = format!("others may write to {path} (mode {mode:04o}), and take revocations out of it");
            Finding::problem(Trouble::ListFileOpen, seen)
        }
        Some(mode) if mode & 0o044 != 0 => Finding {
            severity: Severity::Warning,
            ..Finding::problem(Trouble::ListFileOpen, format!("others may read {path} (mode {mode:04o})"))
        },
        Some(mode) => Finding::ok(format!("{path} is this user's own (mode {mode:04o})")),
        None => Finding::ok(format!("{path} can be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_may_change_is_worse_than_one_that_they_may_read() {
        let judged = |mode| {
            let finding = file("list.db", Some(mode));
            (finding.trouble, finding.severity)
        };
        for good in [0o600, 0o400, 0o700, 0o611] {
            assert_eq!(judged(good), (None, Severity::Ok), "{good:o}");
        }
        for seen in [0o640, 0o604, 0o644] {
            assert_eq!(judged(seen), (Some(Trouble::ListFileOpen), Severity::Warning), "{seen:o}");
        }
        for open in [0o620, 0o602, 0o666] {
            assert_eq!(judged(open), (Some(Trouble::ListFileOpen), Severity::Problem), "{open:o}");
        }
        assert_eq!(file("list.db", None).severity, Severity::Ok);
    }
}
