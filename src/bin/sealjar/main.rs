//! The program `sealjar`: keys, revocations, and why a cookie was refused.
//!
//! Exit codes: 0 done (for `explain`: the session is live) · 1 `explain` says that it is not, `audit verify` has found
//! something, or `doctor` a problem · 2 wrong usage · 3 a configuration or a key is at fault · 4 the revocation list
//! cannot be reached or written · 5 what was waited for did not come in time: done and not confirmed by all, or a key
//! that cannot take its next step yet.

mod admin;
mod audit;
mod audited;
mod connections;
mod doctor;
mod explain;
mod keys;
mod nodes;
mod output;
mod place;
mod revocations;
mod revoke;
mod store;
mod tls;
mod token;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use sealjar::Error;

use output::Output;
use place::Place;

/// Sessions sealed into the cookie: keys, revocations, and why a cookie was refused.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done (explain: live), 1 explain: not live, audit verify: not whole, doctor: a problem \
    was found, 2 wrong usage, \
    3 configuration or keys at fault, 4 the revocation list cannot be reached or written, 5 what was waited \
    for did not come in time."
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
    /// The keys: those in the folder here, and their rotation over a fleet.
    Keys(keys::Keys),
    /// Takes sessions back. There is no way to undo it but logging in again.
    Revoke(revoke::Revoke),
    /// What was taken back.
    #[command(subcommand)]
    Revocations(revocations::Revocations),
    /// Who serves sessions by this list.
    #[command(subcommand)]
    Nodes(nodes::Nodes),
    /// The list on a server.
    #[command(subcommand)]
    Store(store::Store),
    /// Says why a cookie is refused or accepted: verdict, cause, fix, key, times left. Never its payload.
    Explain(explain::Explain),
    /// Serves the admin endpoint, until it is asked to stop.
    Admin(admin::Admin),
    /// The tokens of the admin endpoint.
    #[command(subcommand)]
    Token(token::Token),
    /// What was done through the admin endpoint, by whom and why.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Looks at configuration, keys, list, server, nodes and cookies, and says what is wrong and what to do.
    ///
    /// With the app's own address of the list it judges the app's rights. Exit code 1 if there is a problem.
    Doctor(doctor::Doctor),
    /// Prints what a shell needs to complete these commands: `source <(sealjar completions bash)`.
    Completions { shell: clap_complete::Shell },
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
        Command::Nodes(command) => command.run(place, output).await,
        Command::Store(command) => command.run(place, output).await,
        Command::Explain(command) => command.run(place, output).await,
        Command::Admin(command) => command.run(place, output).await,
        Command::Token(command) => command.run(place, output),
        Command::Audit(command) => command.run(place, output).await,
        Command::Doctor(command) => command.run(place, output).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sealjar", &mut script);
            Output::raw(&script);
            Ok(ExitCode::SUCCESS)
        }
    }
}
