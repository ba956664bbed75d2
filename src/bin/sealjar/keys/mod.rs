//! `sealjar keys …`: the folder, the rotation, the emergency.

mod folder;
mod rotate;
mod status;
mod step;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use sealjar::Error;
use sealjar::admin::audit::{Entry, Event, checked_reason};
use sealjar::id::KeyId;
use sealjar::io::folder::ring_secret;
use sealjar::io::ring_secret::{FILE_VARIABLE, VARIABLE, from_env};
use sealjar::key::RingSecret;
use sealjar::operator::{KeyStep, KeyStepError, Operator};
use serde_json::json;

use crate::audited::Audited;
use crate::output::Output;
use crate::place::Place;

#[derive(Args)]
pub struct Keys {
    #[command(subcommand)]
    command: Command,
    /// The ring secret of the nodes: new keys then reach them through the list [default: the file that
    /// `SEALJAR_RING_SECRET_FILE` names, or the text in `SEALJAR_RING_SECRET`]
    #[arg(long, global = true, value_name = "FILE")]
    ring_secret: Option<PathBuf>,
    /// Why: stands in the audit.
    #[arg(long, global = true, value_name = "TEXT")]
    reason: Option<String>,
    /// Only says what would be done.
    #[arg(long, global = true)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the folder, its first key and its list key; what is there already stays as it is.
    Init,
    /// Makes a further key in this folder, for apps that share it. Over a fleet, `rotate` does all of it.
    New,
    /// Shows the keys in this folder, their age, and which one seals.
    List,
    /// Shows every key of the fleet: its state, what is sealed under it, which nodes have it, what comes next.
    Status,
    /// Makes a new key, brings it to every node, and seals with it from then on. One that was interrupted goes on.
    /// Retires and destroys older keys whose time has come.
    Rotate {
        /// The longest wait for the nodes, in seconds.
        #[arg(long, default_value_t = 90, value_name = "SECONDS")]
        wait: u64,
        /// Takes the new key back that is on its way.
        #[arg(long)]
        abort: bool,
        /// With --abort: although it may have sealed before the list lost records. For a key that no node has, and
        /// whose file is lost.
        #[arg(long, requires = "abort")]
        force: bool,
    },
    /// Seals with a key from now on, when every live node has it. With an older one: that is how one goes back.
    Promote {
        /// The key.
        key: String,
        /// The longest wait for the nodes, in seconds.
        #[arg(long, default_value_t = 90, value_name = "SECONDS")]
        wait: u64,
    },
    /// Takes a key out of service: its cookies are refused.
    Retire {
        /// The key.
        key: String,
        /// Although cookies under it may still be good: whoever holds one has to log in again.
        #[arg(long)]
        force: bool,
    },
    /// A key is known to others: denies it everywhere, puts another in its place, and logs everybody out.
    Compromise {
        /// The key.
        key: String,
        /// What seals instead [default: one that all live nodes have, or a new one]
        #[arg(long, value_name = "KEY")]
        replacement: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// The longest wait for the nodes, in seconds.
        #[arg(long, default_value_t = 90, value_name = "SECONDS")]
        wait: u64,
    },
    /// Erases a retired key's bytes everywhere; its id stays.
    Destroy {
        /// The key.
        key: String,
        /// How long it must have been retired, in seconds; 24 hours unless told otherwise.
        #[arg(long, value_name = "SECONDS")]
        keep: Option<u64>,
    },
    /// Makes a ring secret in a file of its own.
    RingSecret {
        /// The file, which must not be there yet.
        file: PathBuf,
    },
    /// Wraps what nodes find in the list under another ring secret, the one of --ring-secret. Keys stay the same.
    Rewrap {
        /// The file with the ring secret of before.
        before: PathBuf,
    },
}

impl Keys {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let reason = checked_reason(self.reason.clone())?;
        let Some(entry) = self.entry(reason).filter(|_| !self.dry_run) else { return self.work(place, output).await };
        if matches!(self.command, Command::Init) {
            place.make_home()?;
        }
        let audited = Audited::begin(place, entry)?;
        let outcome = self.work(place, output).await;
        let late = matches!(self.command, Command::Compromise { .. }).then_some(ExitCode::from(5));
        audited.end(outcome, |code| match code {
            code if *code == ExitCode::SUCCESS => "done".to_owned(),
            code if Some(*code) == late => "done, and not confirmed by all nodes in time".to_owned(),
            _ => "failed".to_owned(),
        })
    }

    /// What changes keys is written down.
    fn entry(&self, reason: Option<String>) -> Option<Entry> {
        let (action, target) = match &self.command {
            Command::Rotate { abort: true, .. } => ("abort_key", None),
            Command::Init => ("init_keys", None),
            Command::New => ("new_key", None),
            Command::RingSecret { .. } => ("make_ring_secret", None),
            Command::Rotate { .. } => ("rotate", None),
            Command::Promote { key, .. } => ("promote_key", Some(key)),
            Command::Retire { key, .. } => ("retire_key", Some(key)),
            Command::Destroy { key, .. } => ("destroy_key", Some(key)),
            Command::Compromise { key, .. } => ("compromise_key", Some(key)),
            Command::Rewrap { .. } => ("rewrap_keys", None),
            Command::List | Command::Status => return None,
        };
        // Only what is a key's id: anything else is refused, and is nothing for an audit.
        let target = target.filter(|key| key.parse::<KeyId>().is_ok()).cloned();
        let scope = if let Command::RingSecret { .. } = self.command { "ring_secret" } else { "key" };
        Some(Entry { scope: Some(scope.into()), target, reason, ..Entry::new(Event::Attempt, action) })
    }

    async fn work(&self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let (folder, dry_run) = (place.folder(), self.dry_run);
        match &self.command {
            Command::Init => folder::init(&folder, dry_run, output),
            Command::New => folder::new(&folder, place, dry_run, output).await,
            Command::List => folder::list(&folder, place, output).await,
            Command::RingSecret { file } => folder::ring_secret(file, dry_run, output),
            Command::Status => status::status(&self.operator(place).await?, output).await,
            Command::Rotate { abort: true, force, .. } => {
                rotate::abort(&self.operator(place).await?, *force, dry_run, output).await
            }
            Command::Rotate { wait, .. } => {
                rotate::rotate(&self.operator(place).await?, Duration::from_secs(*wait), dry_run, output).await
            }
            Command::Rewrap { before } => {
                let (before, secret) = (ring_secret(before)?, self.secret()?);
                let secrets: Vec<_> = secret.iter().chain([&before]).collect();
                let operator = place.open_with(&secrets).await?.with_ring_secret(secret);
                step::rewrap(&operator, &before, dry_run, output).await
            }
            Command::Promote { key, wait } => {
                let (key, operator) = (id(key)?, self.operator(place).await?);
                step::promote(&operator, key, Duration::from_secs(*wait), dry_run, output).await
            }
            Command::Retire { key, force } => {
                let (key, operator) = (id(key)?, self.operator(place).await?);
                step::step(&operator, KeyStep::Retire { key, force: *force }, dry_run, output).await
            }
            Command::Destroy { key, keep } => {
                let (key, mut operator) = (id(key)?, self.operator(place).await?);
                if let Some(keep) = keep {
                    operator = operator.keep_retired(Duration::from_secs(*keep));
                }
                step::step(&operator, KeyStep::Destroy(key), dry_run, output).await
            }
            Command::Compromise { key, replacement, yes, wait } => {
                let leaked = id(key)?;
                let replacement = replacement.as_deref().map(id).transpose()?;
                let asks = !yes && !dry_run;
                let emergency = step::Emergency { leaked, replacement, asks, wait: Duration::from_secs(*wait) };
                let operator = self.operator(place).await?;
                step::compromise(&operator, &emergency, dry_run, output).await
            }
        }
    }

    async fn operator(&self, place: &Place) -> Result<Operator, Error> {
        let secret = self.secret()?;
        Ok(place.open_with(&secret.iter().collect::<Vec<_>>()).await?.with_ring_secret(secret))
    }

    fn secret(&self) -> Result<Option<RingSecret>, Error> {
        match &self.ring_secret {
            Some(file) => ring_secret(file).map(Some),
            None => from_env(),
        }
    }
}

fn id(text: &str) -> Result<KeyId, Error> {
    text.parse().map_err(|_| Error::Usage {
        problem: "that is not a key's id".into(),
        fix: "Take it from `sealjar keys status`: 8 hexadecimal digits".into(),
    })
}

/// A gate that is shut is an answer; everything else is an error.
fn refused(error: KeyStepError, output: &Output) -> Result<ExitCode, Error> {
    let may_pass = error.may_pass();
    match error {
        KeyStepError::Failed(error) => Err(error),
        KeyStepError::Refused(refusal) => {
            let value = json!({ "done": false, "reason": refusal.to_string(), "may_pass": may_pass });
            output.answer(&value, || format!("{}: {refusal}.", output.good_or_bad(false, "Not done")));
            Ok(ExitCode::from(if may_pass { 5 } else { 2 }))
        }
    }
}

/// What a person has to do so that nodes get a new key. Nothing where it travels through the list.
fn by_hand(operator: &Operator, key: KeyId) -> Option<String> {
    if operator.has_ring_secret() {
        return None;
    }
    let file = operator.folder().file_of(key);
    let what = if file.exists() {
        format!("Copy {}", file.display())
    } else {
        format!("The file {key}.key is not in {}: copy it from where it was made", operator.folder().path().display())
    };
    Some(format!(
        "{what} into the key folder of every node that has another one (mode 0600; the folder is watched, no restart). \
         With a ring secret ({FILE_VARIABLE} or {VARIABLE}, here and on the nodes) keys travel through the list instead."
    ))
}
