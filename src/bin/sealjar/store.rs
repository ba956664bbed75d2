//! `sealjar store init`

use std::process::ExitCode;

use clap::Subcommand;
use sealjar::Error;
use sealjar::io::redis::{Made, Making};
use serde_json::json;

use crate::output::Output;
use crate::place::Place;

#[derive(Subcommand)]
pub enum Store {
    /// Makes the revocation list on a server. One that is there stays as it is.
    Init {
        /// The list was lost, and no running app knows it: makes it anew and logs everybody out.
        #[arg(long)]
        after_loss: bool,
    },
}

impl Store {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let Self::Init { after_loss } = self;
        let making = if after_loss { Making::AfterLoss } else { Making::IfMissing { log_out_everybody: false } };
        let (list, made) = place.make(making).await?;
        let (name, text) = match made {
            Made::New => ("new", "Made the revocation list"),
            Made::AfterLoss => ("after_loss", "Logged everybody out and made the revocation list anew"),
            Made::Already => ("already", "Nothing was changed: the revocation list is there already,"),
        };
        output.answer(&json!({ "list": list.to_string(), "made": name }), || format!("{text} at {list}."));
        Ok(ExitCode::SUCCESS)
    }
}
