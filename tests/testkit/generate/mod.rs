//! Makes the files of the test kit, always the same. Files that exist are never changed: they are the truth.

mod header;
mod judged;
mod live;
mod sealed;
pub mod seed;

use crate::case::{Case, folder};

/// Every case that there is to write.
pub fn all() -> Vec<Case> {
    [live::cases(), header::cases(), sealed::cases(), judged::cases()].concat()
}

/// Writes the files that are missing; refuses if one that exists would come out different.
pub fn write() {
    let cases = all();
    let wrong: Vec<_> = cases.iter().filter_map(|case| Some((&case.name, case.expect, case.problem()?))).collect();
    assert!(wrong.is_empty(), "the crate judges these otherwise: {wrong:#?}");
    let mut differ = Vec::new();
    for case in cases {
        let (path, text) = (folder().join(format!("{}.txt", case.name)), case.to_text());
        match std::fs::read_to_string(&path) {
            Ok(frozen) if frozen == text => {}
            Ok(_) => differ.push(case.name),
            Err(_) => std::fs::write(&path, text).expect("the folder of cases can be written"),
        }
    }
    assert!(
        differ.is_empty(),
        "these files are frozen and would come out different: {differ:?}. Give a changed case a new name; \
         remove a file only if the format itself was changed on purpose"
    );
}
