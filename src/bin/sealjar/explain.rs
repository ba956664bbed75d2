//! `sealjar explain [COOKIE|-]`

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sealjar::admin::trail::{Revoked, Trail};
use sealjar::explain::{Explanation, Hit, in_words};
use sealjar::{Error, Verdict};
use serde_json::json;

use crate::output::Output;
use crate::place::Place;

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
            _ => read_input("Paste the cookie, or the whole Cookie: line, then press Ctrl-D.")?,
        };
        let explanation = place.open().await?.explain(&text).await?;
        let (live, revoked) = (explanation.verdict().is_live(), who_revoked(place, &explanation)?);
        let mut value = json!(explanation);
        value["revoked_by"] = json!(revoked);
        output.answer(&value, || in_text(&explanation, revoked.as_ref(), output));
        Ok(if live { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// Standard input; a person at a terminal is asked for it.
pub fn read_input(prompt: &str) -> Result<String, Error> {
    if std::io::stdin().is_terminal() {
        eprintln!("{prompt}");
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MAX_INPUT).read_to_end(&mut bytes).map_err(|e| Error::Usage {
        problem: format!("standard input cannot be read ({e})").into(),
        fix: "Give the cookie as an argument".into(),
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the audit of the home knows, if there is one.
fn who_revoked(place: &Place, explanation: &Explanation) -> Result<Option<Revoked>, Error> {
    match (place.audit_home(), &explanation.hit) {
        (Some(home), Some(hit)) => Trail::in_home(&home).who_revoked(hit),
        _ => Ok(None),
    }
}

/// Where the key is known and where not, if that differs from here.
fn elsewhere(explanation: &Explanation) -> String {
    let Some(nodes) = &explanation.key_nodes else { return String::new() };
    match explanation.key_state {
        None if nodes.have.is_empty() => String::new(),
        None => format!("; loaded by {}", nodes.have.join(", ")),
        Some(_) if nodes.lack.is_empty() => String::new(),
        Some(_) => format!("; not loaded by {}", nodes.lack.join(", ")),
    }
}

/// The record in words.
fn record(hit: &Hit) -> String {
    let whose = match (hit.scope, hit.target.as_deref(), hit.floor) {
        ("session", ..) => "this very session was revoked".to_owned(),
        ("generation", _, Some(floor)) => format!("generations below {floor} of this session are refused"),
        ("all", ..) => "everybody was logged out".to_owned(),
        ("key", ..) => "the key is out of service".to_owned(),
        ("forgotten", ..) => "a clock ran ahead, and the records of this session's day were dropped".to_owned(),
        (scope, Some(target), _) => format!("the {scope} {target} was cut off"),
        (scope, None, _) => format!("the {scope} was cut off"),
    };
    let as_of = hit.as_of.as_deref().map(|as_of| format!(" as of {as_of}")).unwrap_or_default();
    format!("{whose}{as_of}")
}

fn in_text(explanation: &Explanation, revoked: Option<&Revoked>, output: &Output) -> String {
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
        line("key", &format!("{key} ({}{})", explanation.key_state.unwrap_or("unknown here"), elsewhere(explanation)));
    }
    if let Some(hit) = &explanation.hit {
        line("refused for", &record(hit));
    }
    if let Some(Revoked { at, actor, reason, .. }) = revoked {
        line("revoked by", &format!("{}, at {at}", actor.as_deref().unwrap_or("nobody knows whom")));
        line("reason", reason.as_deref().unwrap_or("none was given"));
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
