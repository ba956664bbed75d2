//! Text for people, JSON for programs, colour only on a terminal.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use sealjar::Error;
use serde_json::{Value, json};

/// How to print.
pub struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let colour = !json && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour }
    }

    /// Prints one answer in the form that was asked for. A reader that hangs up early is no error.
    pub fn answer(&self, value: &Value, text: impl FnOnce() -> String) {
        let text = if self.json { format!("{value:#}") } else { text() };
        if let Err(error) = writeln!(std::io::stdout(), "{}", text.trim_end())
            && error.kind() != ErrorKind::BrokenPipe
        {
            eprintln!("sealjar: what was to be printed is lost ({error}); it was done all the same");
            std::process::exit(4);
        }
    }

    /// On standard error; the sentence says what to do.
    pub fn error(&self, error: &Error) {
        if self.json {
            let kind = match error {
                Error::Config { .. } => "config",
                Error::Key { .. } => "key",
                Error::Usage { .. } => "usage",
                Error::Store { .. } => "store",
                _ => "other",
            };
            eprintln!("{}", json!({ "error": { "kind": kind, "message": error.to_string() } }));
        } else {
            eprintln!("sealjar: {error}");
        }
    }

    pub fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn good_or_bad(&self, good: bool, text: &str) -> String {
        let code = if good { 32 } else { 31 };
        if self.colour { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Columns as wide as their widest cell.
    pub fn table(&self, head: &[&str], rows: &[Vec<String>]) -> String {
        let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).chain([head[i].len()]).max().unwrap_or(0);
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<_> = cells.enumerate().map(|(i, cell)| format!("{cell:<w$}", w = width(i))).collect();
            padded.join("  ").trim_end().to_owned()
        };
        let mut text = self.bold(&line(&mut head.iter().copied()));
        for row in rows {
            text.push('\n');
            text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
        text
    }
}
