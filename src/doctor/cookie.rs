//! Whether browsers take a cookie as a response really sets it: behind proxies and after everybody's middleware.

use crate::cookie::line::Line;
use crate::trouble::{Finding, Trouble};

use super::said;

const PASTE: &str = "Paste the line of the response: Set-Cookie: name=value; Path=/; ...";

/// Judges a `Set-Cookie` line, with its field name or without. What the cookie holds is never repeated.
#[must_use]
pub fn judge(text: &str) -> Vec<Finding> {
    let text = text.trim();
    let line = match text.split_once(':') {
        Some((field, line)) if field.eq_ignore_ascii_case("set-cookie") => line,
        _ => text,
    };
    let Some(line) = Line::parse(line) else {
        let seen = "what was given is no Set-Cookie line";
        return vec![Finding::problem(Trouble::Configuration, seen).fixed_by(PASTE)];
    };
    let (mut findings, name) = (Vec::new(), &line.name);
    if let Err(error) = line.rules() {
        findings.push(said(Trouble::CookieDropped, &error));
    }
    if line.characters > line.limit() {
        let (characters, limit) = (line.characters, line.limit());
        let seen = format!("the cookie {name} has {characters} characters, and browsers drop one above {limit}");
        findings.push(Finding::problem(Trouble::CookieDropped, seen).fixed_by("Keep less in the session"));
    }
    let read = "every script in the page can read it, which only signed sessions are meant for";
    for (is_there, attribute, why) in [
        (line.secure, "Secure", "anybody on a network without https can read and plant it"),
        (line.http_only, "HttpOnly", read),
        (line.has_same_site, "SameSite", "what browsers do then differs"),
    ] {
        if !is_there {
            let seen = format!("the cookie {name} is set without {attribute}: {why}");
            let fix = format!("Look for what removes {attribute} between the app and the browser");
            findings.push(Finding::warning(Trouble::CookieUnguarded, seen).fixed_by(fix));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!("browsers take the cookie {name}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "__Host-shop=hunter2; Path=/; Secure; HttpOnly; SameSite=Lax";

    fn seen(text: &str) -> String {
        let findings = judge(text);
        let said =
            findings.iter().map(|finding| format!("{}: {}. {}", finding.severity.name(), finding.seen, finding.fix));
        let said = said.collect::<Vec<_>>().join("\n");
        assert!(!said.contains("hunter2"), "{said}");
        said
    }

    #[test]
    fn a_good_line_is_good_in_every_form() {
        for text in [GOOD.to_owned(), format!("Set-Cookie: {GOOD}"), format!("set-cookie:{GOOD}\r\n")] {
            assert_eq!(judge(&text), [Finding::ok("browsers take the cookie __Host-shop")], "{text}");
        }
    }

    #[test]
    fn what_browsers_drop_is_a_problem() {
        for (line, word) in [
            (format!("{GOOD}; Domain=example.org"), "has a Domain"),
            (GOOD.replace("Path=/", "Path=/app"), "Path=/app"),
            (GOOD.replace("Path=/;", ""), "is not a path"),
            (GOOD.replace("Secure; ", ""), "is not Secure"),
            ("shop=hunter2; Path=/; SameSite=None; HttpOnly".into(), "SameSite=None needs Secure"),
            ("shop=hunter2; Path=/; Domain=*; Secure".into(), "has a `*`"),
            ("shop=hunter2; Path=/; Domain=co.uk; Secure".into(), "public suffix"),
            (GOOD.replace("hunter2", &"x".repeat(4086)), "browsers drop one above 4096"),
            ("no cookie at all".into(), "is no Set-Cookie line"),
        ] {
            let said = seen(&line);
            assert!(said.starts_with("problem: ") && said.contains(word), "{line}: {said}");
        }
    }

    #[test]
    fn what_is_missing_is_a_warning() {
        for attribute in ["HttpOnly", "SameSite"] {
            let line = GOOD.replace("SameSite=Lax", "SameSite").replace(&format!("; {attribute}"), "");
            let line = if attribute == "HttpOnly" { line.replace("SameSite", "SameSite=Lax") } else { line };
            let said = seen(&line);
            assert!(said.starts_with(&format!("warning: the cookie __Host-shop is set without {attribute}")), "{said}");
        }
        assert!(
            seen("shop=hunter2; Path=/; HttpOnly; SameSite=Lax")
                .contains("warning: the cookie shop is set without Secure")
        );
    }
}
