//! `sealjar token new | list | revoke`

use std::process::ExitCode;

use clap::Subcommand;
use sealjar::admin::audit::{Entry, Event};
use sealjar::admin::scope::{Scope, Scopes};
use sealjar::admin::token::{KnownToken, PREFIX, TokenId};
use sealjar::admin::tokens::TokenFile;
use sealjar::time::{Clock, Seconds, days};
use sealjar::{Error, explain::in_words};
use serde_json::{Value, json};

use crate::audited::Audited;
use crate::output::Output;
use crate::place::Place;

#[derive(Subcommand)]
pub enum Token {
    /// Makes a token for the admin endpoint and prints it, this once. Only its hash is kept.
    New {
        /// What it is good for: read, revoke, revoke.all, keys; several with commas.
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<Scope>,
        /// Who uses it; stands in the audit.
        #[arg(long, default_value = "")]
        name: String,
        /// Ends after this many days [default: never]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
        /// Only says what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Shows the tokens by their ids; nobody can show the tokens themselves.
    List,
    /// Takes a token back. A running endpoint refuses it from the next request on.
    Revoke {
        id: TokenId,
        /// Only says what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Token {
    pub fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let (file, now) = (TokenFile::in_home(&place.home()), Clock::system().now().seconds());
        match self {
            Self::New { scope, name, days: span, dry_run } => {
                let (scopes, expires) = (Scopes::of(&scope), span.map(|span| now.after(days(span.into()))));
                if dry_run {
                    file.would_make(&name, scopes.clone(), now, expires)?;
                    let value = json!({ "name": name, "scopes": scopes, "expires": expires.map(|end| end.to_string()), "dry_run": true });
                    let path = file.path().display();
                    output
                        .answer(&value, || format!("Would make a token for {scopes} in {path}. Nothing was changed."));
                    return Ok(ExitCode::SUCCESS);
                }
                let audited = Audited::begin(place, entry("make_token", None))?;
                let made = file.make(&name, scopes.clone(), now, expires);
                let (token, id) = audited.end(made, |(_, id)| format!("made {id}, good for {scopes}"))?;
                let told = token.tell();
                let expires = expires.map(|end| end.to_string());
                let value =
                    json!({ "token": *told, "id": id.to_string(), "name": name, "scopes": scopes, "expires": expires });
                // Alone on standard output, for `TOKEN=$(sealjar token new ..)`.
                output.answer(&value, || told.to_string());
                output.progress(&format!(
                    "This is the token {id}, good for {scopes}; it ends {}. It is shown this once: only its hash is kept, in {}.\n\
                     Whoever has it may use it; what it begins with, {PREFIX}, is for secret scanners to look for.",
                    expires.as_deref().unwrap_or("never"),
                    file.path().display(),
                ));
            }
            Self::List => {
                let book = file.current()?;
                let tokens: Vec<_> = book.iter().map(|token| as_json(token, now)).collect();
                output.answer(&json!({ "tokens": tokens }), || match book.iter().count() {
                    0 => "There is no token yet. Make one: sealjar token new --scope read,revoke".to_owned(),
                    _ => output.table(
                        &["ID", "NAME", "SCOPES", "CREATED", "ENDS"],
                        &book.iter().map(|token| cells(token, now)).collect::<Vec<_>>(),
                    ),
                });
            }
            Self::Revoke { id, dry_run } => {
                let none = || Error::Usage {
                    problem: format!("there is no token {id} in {}", file.path().display()).into(),
                    fix: "Take the id from `sealjar token list`".into(),
                };
                if dry_run {
                    file.current()?.iter().find(|token| token.id() == id).ok_or_else(none)?;
                    output.answer(&json!({ "id": id.to_string(), "revoked": true, "dry_run": true }), || {
                        format!("Would revoke the token {id}. Nothing was changed.")
                    });
                    return Ok(ExitCode::SUCCESS);
                }
                let audited = Audited::begin(place, entry("revoke_token", Some(id)))?;
                let revoked = file.revoke(id).and_then(|known| if known { Ok(()) } else { Err(none()) });
                audited.end(revoked, |()| "revoked".to_owned())?;
                output.answer(&json!({ "id": id.to_string(), "revoked": true }), || {
                    format!("Revoked the token {id}. It opens nothing any more.")
                });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn entry(action: &str, id: Option<TokenId>) -> Entry {
    let target = id.map(|id| id.to_string());
    Entry { scope: Some("token".into()), target, ..Entry::new(Event::Attempt, action) }
}

fn as_json(token: &KnownToken, now: Seconds) -> Value {
    json!({
        "id": token.id().to_string(),
        "name": token.name,
        "scopes": token.scopes,
        "created": Seconds(token.created).to_string(),
        "expires": token.expires.map(|end| Seconds(end).to_string()),
        "over": token.is_over(now),
    })
}

fn cells(token: &KnownToken, now: Seconds) -> Vec<String> {
    let ends = match token.expires {
        None => "never".to_owned(),
        Some(_) if token.is_over(now) => "is over".to_owned(),
        Some(end) => format!("in {}", in_words(now.until(Seconds(end)))),
    };
    vec![token.id().to_string(), token.name.clone(), token.scopes.to_string(), Seconds(token.created).to_string(), ends]
}
