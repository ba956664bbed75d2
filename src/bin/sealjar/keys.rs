//! `sealjar keys init | new | list`

use std::process::ExitCode;

use clap::Subcommand;
use sealjar::config::PROPAGATION;
use sealjar::explain::in_words;
use sealjar::io::folder::KeyFolder;
use sealjar::rotation::Rotation;
use sealjar::time::Clock;
use sealjar::{Error, id::KeyId};
use serde_json::json;

use crate::output::Output;
use crate::place::Place;

#[derive(Subcommand)]
pub enum Keys {
    /// Makes the folder, its first key and its list key; what is there already stays as it is.
    Init,
    /// Makes a further key. Running apps load it within a second and seal with it a few seconds later.
    New,
    /// Shows the keys, their age, and which one seals.
    List,
}

impl Keys {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let folder = place.folder();
        match self {
            Self::Init => init(&folder, output),
            Self::New => new(&folder, output),
            Self::List => list(&folder, place, output).await,
        }
    }
}

fn init(folder: &KeyFolder, output: &Output) -> Result<ExitCode, Error> {
    let there = folder.has_keys();
    folder.init(Clock::system().now().seconds())?;
    let ids = ids(folder)?;
    output.answer(&json!({ "folder": folder.path(), "keys": ids, "made": !there }), || {
        let path = folder.path().display();
        if there {
            format!("{path} has its keys already ({}); nothing was changed.", ids.join(", "))
        } else {
            format!(
                "Made the key {} and the list key in {path}.\nBack the folder up where you keep secrets: without it every session ends.",
                ids.join(", ")
            )
        }
    });
    Ok(ExitCode::SUCCESS)
}

fn new(folder: &KeyFolder, output: &Output) -> Result<ExitCode, Error> {
    let key = folder.new_key(Clock::system().now().seconds())?;
    let after = PROPAGATION.as_secs() + 1;
    output.answer(&json!({ "key": key.id().to_string(), "created": key.created().0, "seals_after_seconds": after }), || {
        format!(
            "Made the key {} in {}.\nApps that watch this folder open with it within a second and seal with it after about {after} s;\n\
             cookies under the older keys stay good and are re-sealed when they are next seen.",
            key.id(),
            folder.path().display()
        )
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(folder: &KeyFolder, place: &Place, output: &Output) -> Result<ExitCode, Error> {
    let now = Clock::system().now().seconds();
    let contents = folder.read()?;
    if contents.keys.is_empty() && contents.refused.is_empty() {
        return folder.load().map(|_| ExitCode::SUCCESS);
    }
    let rotation =
        place.open_if_there().await?.map_or_else(Rotation::default, |list| list.view().list.rotation().clone());
    let born: Vec<_> = contents.keys.iter().map(|key| (key.id(), key.created())).collect();
    let sealing = rotation.sealing(&born, now, PROPAGATION);
    let role = |id: KeyId| match () {
        () if sealing == Some(id) => "seals",
        () if rotation.state(id).opens() => "opens",
        () => "refused",
    };
    let rows = contents.keys.iter().map(|key| {
        let (id, created) = (key.id(), key.created());
        (id.to_string(), created, in_words(created.until(now)), rotation.state(id).name(), role(id))
    });
    let rows: Vec<_> = rows.collect();
    let refused: Vec<_> = contents.refused.iter().map(|refused| refused.error.to_string()).collect();
    let as_json = rows.iter().map(|(id, created, _, state, role)| {
        json!({ "key": id, "created": created.0, "age_seconds": created.until(now).as_secs(), "state": state, "role": role })
    });
    output.answer(&json!({ "keys": as_json.collect::<Vec<_>>(), "refused": refused }), || {
        let cells = |(id, created, age, state, role): &(String, _, String, &str, &str)| {
            vec![id.clone(), format!("{created}"), age.clone(), (*state).to_owned(), (*role).to_owned()]
        };
        let table =
            output.table(&["KEY", "CREATED", "AGE", "STATE", "ROLE"], &rows.iter().map(cells).collect::<Vec<_>>());
        refused
            .iter()
            .fold(table, |text, sentence| format!("{text}\n{} {sentence}", output.good_or_bad(false, "not used:")))
    });
    Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn ids(folder: &KeyFolder) -> Result<Vec<String>, Error> {
    Ok(folder.load()?.iter().map(|key| key.id().to_string()).collect())
}
