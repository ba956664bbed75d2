//! Text for people, JSON for programs, colour only on a terminal.

use std::io::{BufWriter, ErrorKind, IsTerminal as _, Write as _};

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

    /// Prints one answer in the form that was asked for.
    pub fn answer(&self, value: &Value, text: impl FnOnce() -> String) {
        let text = if self.json { format!("{value:#}") } else { text() };
        or_lost(writeln!(std::io::stdout(), "{}", text.trim_end()));
    }

    /// Prints values a line each (JSON Lines), whatever form was asked for.
    pub fn lines(mut values: impl Iterator<Item = Value>) {
        let mut out = BufWriter::new(std::io::stdout().lock());
        or_lost(values.try_for_each(|value| writeln!(out, "{value}")).and_then(|()| out.flush()));
    }

    /// Prints bytes as they are.
    pub fn raw(bytes: &[u8]) {
        or_lost(std::io::stdout().write_all(bytes));
    }

    /// Something that happens while a person waits: on standard error, and not where a program reads.
    pub fn progress(&self, line: &str) {
        if !self.json {
            eprintln!("{line}");
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

    /// Something between the two.
    pub fn middling(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1;33m{text}\x1b[0m") } else { text.to_owned() }
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

/// A reader that hangs up early is no error.
fn or_lost(printed: std::io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("sealjar: what was to be printed is lost ({error}); it was done all the same");
        std::process::exit(4);
    }
}

/// Asks a person at a terminal; a script is taken at its word.
pub fn confirmed(what: &str) -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return true;
    }
    eprint!("{what} Type yes to go on: ");
    let mut answer = String::new();
    stdin.read_line(&mut answer).is_ok() && answer.trim() == "yes"
}
