//! A file that is removed, replaced or rolled back under running programs.
#![cfg(all(feature = "sqlite", unix))]

#[path = "../sqlite_support/mod.rs"]
mod sqlite_support;

mod removed;
mod replaced;

use sealjar::revocation::Record;
use sealjar::time::Position;
use sqlite_support::{Place, session};

fn record(id: u64) -> Record {
    session(id).at(Position(0))
}

/// An older state of the file, in a file of its own.
fn backup(place: &Place) -> std::path::PathBuf {
    let copy = place.beside(".backup");
    place.raw().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    copy
}
