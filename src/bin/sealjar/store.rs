//! `sealjar store init`

use std::process::ExitCode;

use clap::Subcommand;
use sealjar::Error;
use sealjar::admin::audit::{Entry, Event};
use sealjar::io::redis::{Made, Making};
use serde_json::json;

use crate::audited::Audited;
use crate::output::{Output, confirmed};
use crate::place::Place;

#[derive(Subcommand)]
pub enum Store {
    /// Makes the revocation list on a server. One that is there stays as it is.
    Init {
        /// The list was lost, and no running app knows it: makes it anew and logs everybody out.
        #[arg(long)]
        after_loss: bool,
        /// Do not ask.
        #[arg(long, requires = "after_loss")]
        yes: bool,
        /// Only says what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Store {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let Self::Init { after_loss, yes, dry_run } = self;
        let making = if after_loss { Making::AfterLoss } else { Making::IfMissing { log_out_everybody: false } };
        if dry_run {
            let (list, made) = place.make(making, true).await?;
            let value = json!({ "list": list.to_string(), "made": made.name(), "dry_run": true });
            output.answer(&value, || {
                let text = match made {
                    Made::New => format!("Would make the revocation list at {list}."),
                    Made::AfterLoss => format!("Would log everybody out and make the revocation list anew at {list}."),
                    Made::Already => format!("The revocation list is there already, at {list}, and would stay."),
                };
                format!("{text} Nothing was changed.")
            });
            return Ok(ExitCode::SUCCESS);
        }
        let asks = after_loss && !yes;
        if asks
            && !confirmed(
                "This logs everybody out. A node that still knows the list gives it back within a minute or so.",
            )
        {
            eprintln!("Nothing was changed.");
            return Ok(ExitCode::from(2));
        }
        let scope = if after_loss { "after_loss" } else { "if_missing" };
        let entry = Entry { scope: Some(scope.to_owned()), ..Entry::new(Event::Attempt, "init_store") };
        let audited = Audited::begin(place, entry)?;
        let (list, made) = audited.end(place.make(making, false).await, |(_, made)| made.name().to_owned())?;
        let text = match made {
            Made::New => "Made the revocation list",
            Made::AfterLoss => "Logged everybody out and made the revocation list anew",
            Made::Already => "Nothing was changed: the revocation list is there already,",
        };
        output.answer(&json!({ "list": list.to_string(), "made": made.name() }), || format!("{text} at {list}."));
        Ok(ExitCode::SUCCESS)
    }
}
