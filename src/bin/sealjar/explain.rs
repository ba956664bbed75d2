//! `sealjar explain [COOKIE|-]`

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sealjar::config::{Config, PROPAGATION};
use sealjar::explain::{Explanation, explain, in_words};
use sealjar::ring::{KeyRing, RingKey};
use sealjar::{Error, Verdict};
use serde_json::json;

use crate::output::Output;
use crate::place::{List, Place};

#[derive(Args)]
pub struct Explain {
    /// A bare value, a `Cookie:` line or a `Set-Cookie:` line; `-`, or nothing, reads it from standard input.
    ///
    /// What stands in the command line is seen by other users of this machine and kept in the shell's
    /// history; standard input is not.
    cookie: Option<String>,
}

/// More than any header that is accepted.
const MAX_INPUT: u64 = 1 << 20;

impl Explain {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let text = match self.cookie {
            Some(text) if text != "-" => text,
            _ => read_input()?,
        };
        let list = place.open().await?;
        let explanation = best(&text, place, &list)?;
        let live = explanation.verdict().is_live();
        output.answer(&json!(explanation), || in_text(&explanation, output));
        Ok(if live { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// Explains the cookie by every configuration that an app announced in this list, and keeps the one
/// that got furthest: a bare value does not say under which name it was set.
fn best(text: &str, place: &Place, list: &List) -> Result<Explanation, Error> {
    let app = &*list.app;
    let keys = place.folder().read()?.keys.iter().map(|key| RingKey::new(key, app).into()).collect();
    let view = list.view();
    let ring = KeyRing::assemble(keys, view.list.rotation().clone(), list.now.seconds(), PROPAGATION);
    let mut best: Option<Explanation> = None;
    for profile in &list.profiles {
        let config = Config::of_profile(app, profile)?;
        for line in cookie_lines(text) {
            let next = explain(line, &config, &ring, &view, list.now);
            if best.as_ref().is_none_or(|best| reach(best) < reach(&next)) {
                best = Some(next);
            }
        }
    }
    best.ok_or_else(|| Error::Config {
        problem: format!("no app has announced a cookie in {} yet", list.store.describe()).into(),
        fix: "Start the app once on this list; it says then how its cookie is named and how long it lives".into(),
    })
}

/// The lines of a pasted request or response that carry cookies; without any, all of the text.
fn cookie_lines(text: &str) -> Vec<&str> {
    let is_cookie = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().trim();
        line.contains(':') && (name.eq_ignore_ascii_case("cookie") || name.eq_ignore_ascii_case("set-cookie"))
    };
    let lines: Vec<_> = text.lines().filter(is_cookie).collect();
    if lines.is_empty() { vec![text] } else { lines }
}

fn reach(explanation: &Explanation) -> usize {
    let steps = [explanation.characters.is_some(), explanation.key_state.is_some(), explanation.session.is_some()];
    steps.into_iter().filter(|reached| *reached).count() + usize::from(explanation.verdict().is_live())
}

fn read_input() -> Result<String, Error> {
    if std::io::stdin().is_terminal() {
        eprintln!("Paste the cookie, or the whole Cookie: line, then press Ctrl-D.");
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MAX_INPUT).read_to_end(&mut bytes).map_err(|e| Error::Usage {
        problem: format!("standard input cannot be read ({e})").into(),
        fix: "Give the cookie as an argument".into(),
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn in_text(explanation: &Explanation, output: &Output) -> String {
    let verdict = explanation.verdict();
    let mut text = format!("{}\n", output.good_or_bad(verdict.is_live(), verdict.code()));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    if verdict == Verdict::NoCookie {
        line("cause", &format!("What was pasted holds no cookie named {}.", explanation.cookie));
        line("fix", "Paste the Cookie: line of the request; if it has another cookie of yours, check --home.");
    } else {
        line("cause", verdict.cause());
        line("fix", verdict.fix());
        line("cookie", &explanation.cookie);
    }
    if let Some(characters) = explanation.characters {
        line("size", &format!("{characters} of 4096 characters"));
    }
    if let Some(suite) = explanation.suite {
        line("suite", suite);
    }
    if let Some(key) = &explanation.key {
        line("key", &format!("{key} ({})", explanation.key_state.unwrap_or("unknown here")));
    }
    if let Some(session) = &explanation.session {
        let left = |seconds| {
            if seconds == 0 { "over".to_owned() } else { format!("{} left", in_words(Duration::from_secs(seconds))) }
        };
        line("session", &session.handle);
        line("logged in", if session.logged_in { "yes" } else { "no, a visitor" });
        line("authenticated", &session.authenticated_at);
        line("sealed at", &format!("{} (idle: {})", session.sealed_at, left(session.idle_left)));
        line("expires", &format!("{} ({})", session.expires, left(session.absolute_left)));
        line("generation", &session.generation.to_string());
    }
    text
}
