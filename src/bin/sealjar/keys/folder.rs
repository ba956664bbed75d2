//! `sealjar keys init | new | list | ring-secret`: what concerns files here.

use std::path::Path;
use std::process::ExitCode;

use sealjar::config::PROPAGATION;
use sealjar::explain::in_words;
use sealjar::io::folder::KeyFolder;
use sealjar::rotation::Rotation;
use sealjar::time::Clock;
use sealjar::{Error, id::KeyId};
use serde_json::json;

use crate::output::Output;
use crate::place::Place;

pub fn init(folder: &KeyFolder, dry_run: bool, output: &Output) -> Result<ExitCode, Error> {
    let there = folder.has_keys();
    if dry_run {
        let path = folder.path();
        output.answer(&json!({ "folder": path, "dry_run": true, "there": there }), || {
            let what = if there { "has its keys already" } else { "would get its first key and its list key" };
            format!("{} {what}. Nothing was changed.", path.display())
        });
        return Ok(ExitCode::SUCCESS);
    }
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

/// Where keys are promoted, age says nothing, and a file alone does not begin to seal.
pub async fn new(folder: &KeyFolder, place: &Place, dry_run: bool, output: &Output) -> Result<ExitCode, Error> {
    // Not every folder has a list that can be reached from here, and a file can be made all the same.
    let list = place.open_if_there().await.ok().flatten();
    let promoted = list.is_some_and(|list| list.view().list.rotation().newest().is_some());
    let path = folder.path().display();
    if dry_run {
        folder.list_key()?;
        output.answer(&json!({ "dry_run": true }), || format!("Would make a key in {path}. Nothing was changed."));
        return Ok(ExitCode::SUCCESS);
    }
    let key = folder.new_key(Clock::system().now().seconds())?;
    let after = (!promoted).then_some(PROPAGATION.as_secs() + 1);
    output.answer(
        &json!({ "key": key.id().to_string(), "created": key.created().0, "seals_after_seconds": after }),
        || {
            let id = key.id();
            let then = match after {
                Some(after) => format!("seal with it after about {after} s"),
                None => format!("seal with it after `sealjar keys promote {id}`"),
            };
            format!(
                "Made the key {id} in {path}.\nApps that watch this folder open with it within a second and {then};\n\
             cookies under the older keys stay good and are re-sealed when they are next seen.",
            )
        },
    );
    Ok(ExitCode::SUCCESS)
}

pub fn ring_secret(file: &Path, dry_run: bool, output: &Output) -> Result<ExitCode, Error> {
    let path = file.display();
    if dry_run {
        output.answer(&json!({ "file": file, "dry_run": true }), || {
            format!("Would make a ring secret in {path}. Nothing was changed.")
        });
        return Ok(ExitCode::SUCCESS);
    }
    let fingerprint = sealjar::io::ring_secret::make(file)?.fingerprint();
    output.answer(&json!({ "file": file, "fingerprint": fingerprint }), || {
        format!(
            "Made the ring secret {fingerprint} in {path}.\nGive it to every node and to this command, and keep it apart \
             from the list's server: whoever has both has every session key.",
        )
    });
    Ok(ExitCode::SUCCESS)
}

pub async fn list(folder: &KeyFolder, place: &Place, output: &Output) -> Result<ExitCode, Error> {
    let now = Clock::system().now().seconds();
    let contents = folder.read()?;
    if contents.keys.is_empty() && contents.refused.is_empty() {
        return folder.load().map(|_| ExitCode::SUCCESS);
    }
    let rotation =
        place.open_if_there().await?.map_or_else(Rotation::default, |list| list.view().list.rotation().clone());
    let born: Vec<_> = contents.keys.iter().map(|key| (key.id(), key.created())).collect();
    let sealing = rotation.newest().or_else(|| rotation.sealing(&born, now, PROPAGATION));
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
