//! `sealjar revoke …` and `sealjar revocations list`

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Subcommand;
use sealjar::Error;
use sealjar::id::{Handle, ShortId, TagKind};
use sealjar::revocation::{Record, Revocation};
use sealjar::time::{Day, Now, Position};
use serde_json::{Value, json};

use crate::output::Output;
use crate::place::{List, Place};

#[derive(Subcommand)]
pub enum Revoke {
    /// One session, by the handle that logs and `explain` print (or only its id, of 16 hexadecimal digits).
    Session { handle: String },
    /// Every session of a user that has begun by now: log out everywhere.
    Subject { subject: String },
    /// Every session of a tenant that has begun by now.
    Tenant { tenant: String },
    /// Every session with a label that has begun by now.
    Label { label: String },
    /// Every session that has begun by now: everybody has to log in again. Asks first on a terminal.
    All {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

impl Revoke {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        // What was typed is judged before any file is opened.
        let session = match &self {
            Self::Session { handle } => Some(SessionName::parse(handle)?),
            Self::All { yes: false } if !confirmed() => {
                eprintln!("Nothing was revoked.");
                return Ok(ExitCode::from(2));
            }
            _ => None,
        };
        let list = place.open().await?;
        let (scope, revocations) = match &self {
            Self::Session { .. } => ("session", session.map_or_else(Vec::new, |name| name.revocations(&list))),
            Self::Subject { subject } => ("subject", cut_off(&list, TagKind::Subject, subject)?),
            Self::Tenant { tenant } => ("tenant", cut_off(&list, TagKind::Tenant, tenant)?),
            Self::Label { label } => ("label", cut_off(&list, TagKind::Label, label)?),
            Self::All { .. } => ("all", vec![Revocation::Everybody]),
        };
        let receipt = list.store.publish(&revocations).await?;
        let (app, within) = (&list.app, list.store.beat_interval());
        let at = as_of(receipt.position, list.now);
        let value = json!({
            "app": app,
            "scope": scope,
            "as_of": at,
            "durability": receipt.durability.name(),
            "position": receipt.position.0,
            "records": receipt.records.len(),
            "applied_within_ms": within.as_millis(),
        });
        output.answer(&value, || {
            format!(
                "{} {scope} in the app {app}, as of {at}: {} in {}.\nRunning apps that can read it apply it within {} ms.",
                output.bold("Revoked"),
                receipt.durability,
                list.store.describe(),
                within.as_millis()
            )
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks a person; a script that says `revoke all` is taken at its word.
fn confirmed() -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return true;
    }
    eprint!("This logs everybody out, and there is no way back. Type yes to go on: ");
    let mut answer = String::new();
    stdin.read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// Positions run ahead of the clock for a minute after a list was made; people want to know when it was.
fn as_of(position: Position, now: Now) -> String {
    position.seconds().min(now.seconds()).to_string()
}

enum SessionName {
    Handle(Handle),
    /// Without its day, so the revocation is written to every day on which it could end.
    Bare(ShortId),
}

impl SessionName {
    fn parse(text: &str) -> Result<Self, Error> {
        let handle = text.parse().map(Self::Handle);
        handle.or_else(|_| text.parse().map(Self::Bare)).map_err(|_| Error::Usage {
            problem: "that is not a session's handle".into(),
            fix: "Take it from the log or from `sealjar explain`: 0123456789abcdef-2026-11-24, or only the 16 digits"
                .into(),
        })
    }

    fn revocations(self, list: &List) -> Vec<Revocation> {
        match self {
            Self::Handle(Handle { id, day }) => vec![Revocation::Session { id, day }],
            Self::Bare(id) => {
                let days = list.now.seconds().day().0..=list.last_day().0;
                days.map(|day| Revocation::Session { id, day: Day(day) }).collect()
            }
        }
    }
}

fn cut_off(list: &List, kind: TagKind, name: &str) -> Result<Vec<Revocation>, Error> {
    if name.is_empty() {
        return Err(Error::Usage {
            problem: "the name is empty".into(),
            fix: "Give the name that the app logs in with".into(),
        });
    }
    Ok(vec![Revocation::CutOff { tag: list.key.tag(&list.app, kind, name), day: list.last_day() }])
}

#[derive(Subcommand)]
pub enum Revocations {
    /// Shows what is in the list. Names stand there as keyed hashes only.
    List {
        /// At most this many rows; 0 for all.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

impl Revocations {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let Self::List { limit } = self;
        let list = place.open().await?;
        let view = list.view();
        let total = view.list.len();
        let limit = if limit == 0 { usize::MAX } else { limit };
        let rows: Vec<_> = view.list.records().take(limit).map(|record| Row::of(record, list.now)).collect();
        let value = json!({ "total": total, "revocations": rows.iter().map(Row::json).collect::<Vec<_>>() });
        output.answer(&value, || {
            if rows.is_empty() {
                return "Nothing is revoked.".to_owned();
            }
            let cells: Vec<_> = rows.iter().map(Row::cells).collect();
            let table = output.table(&["SCOPE", "WHAT", "AS OF", "KEPT UNTIL THE END OF"], &cells);
            if total > rows.len() {
                format!("{table}\n… and {} more (--limit 0 shows all)", total - rows.len())
            } else {
                table
            }
        });
        Ok(ExitCode::SUCCESS)
    }
}

struct Row {
    scope: &'static str,
    what: String,
    as_of: Option<String>,
    until: Option<String>,
}

impl Row {
    fn of(record: Record, now: Now) -> Self {
        let row = |scope, what, as_of, until: Option<Day>| Self {
            scope,
            what,
            as_of,
            until: until.map(|day| day.to_string()),
        };
        match record {
            Record::Session { id, day } => row("session", Handle { id, day }.to_string(), None, Some(day)),
            Record::Floor { id, floor, day } => {
                row("generation floor", format!("{}, below {floor}", Handle { id, day }), None, Some(day))
            }
            Record::CutOff { tag, position, day } => {
                row("subject, tenant or label", format!("{:016x}", tag.0), Some(as_of(position, now)), Some(day))
            }
            Record::Everybody { position } => row("all", "everybody".into(), Some(as_of(position, now)), None),
            Record::Forgotten { day, position } => {
                row("forgotten", format!("what ended before {day}"), Some(as_of(position, now)), None)
            }
            Record::Key { key, record } => row("key", format!("{key} {}", record.state), None, None),
        }
    }

    fn json(&self) -> Value {
        json!({ "scope": self.scope, "what": self.what, "as_of": self.as_of, "until": self.until })
    }

    fn cells(&self) -> Vec<String> {
        let or_dash = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "-".into());
        vec![self.scope.to_owned(), self.what.clone(), or_dash(&self.as_of), or_dash(&self.until)]
    }
}
