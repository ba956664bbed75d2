//! The program `sealjar`: keys, revocations, and why a cookie was refused.
//!
//! Exit codes: 0 done (for `explain`: the session is live) · 1 `explain` says that it is not · 2 wrong
//! usage · 3 a configuration or a key is at fault · 4 the revocation list cannot be reached or written.

mod explain;
mod keys;
mod output;
mod place;
mod revoke;
mod store;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sealjar::Error;

use output::Output;
use place::Place;

/// Sessions sealed into the cookie: keys, revocations, and why a cookie was refused.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done (explain: live), 1 explain: not live, 2 wrong usage, \
    3 configuration or keys at fault, 4 the revocation list cannot be reached or written."
)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The key ring's folder.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Takes sessions back. There is no way to undo it but logging in again.
    #[command(subcommand)]
    Revoke(revoke::Revoke),
    /// What was taken back.
    #[command(subcommand)]
    Revocations(revoke::Revocations),
    /// The list on a server.
    #[command(subcommand)]
    Store(store::Store),
    /// Says why a cookie is refused or accepted: verdict, cause, fix, key, times left. Never its payload.
    Explain(explain::Explain),
}

fn main() -> ExitCode {
    let Arguments { place, json, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Who asked for JSON gets it for this error too; help and version stay text.
        Err(error) if error.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            let problem = error.render().to_string();
            let fix = "See `sealjar --help`";
            Output::new(true).error(&Error::Usage { problem: problem.trim().to_owned().into(), fix: fix.into() });
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let output = Output::new(json);
    // A single thread, with SQLite beside it: a command is one conversation.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(command, &place, &output)),
        Err(error) => {
            eprintln!("sealjar: this program could not start a thread ({error}). Check the system's limits");
            return ExitCode::from(4);
        }
    };
    outcome.unwrap_or_else(|error| {
        output.error(&error);
        ExitCode::from(match error {
            Error::Usage { .. } => 2,
            Error::Store { .. } => 4,
            _ => 3,
        })
    })
}

async fn run(command: Command, place: &Place, output: &Output) -> Result<ExitCode, Error> {
    match command {
        Command::Keys(command) => command.run(place, output).await,
        Command::Revoke(command) => command.run(place, output).await,
        Command::Revocations(command) => command.run(place, output).await,
        Command::Store(command) => command.run(place, output).await,
        Command::Explain(command) => command.run(place, output).await,
    }
}
