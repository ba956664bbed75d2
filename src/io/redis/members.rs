//! Who follows the list: one field for each follower in the nodes hash, written by each of its beats.
//!
//! ```text
//!  <node>   server's clock at the beat before │ position applied │ incarnation that it gave back to │ version
//! ```
//!
//! A follower that has not delivered a beat yet remembers nothing, so it writes under a name that all such
//! share; a tool that reads the list once leaves no trace but that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::Incarnation;
use crate::time::{Position, hours, minutes};

/// Members by name.
pub(super) type Members = BTreeMap<String, String>;

/// The name of those who know nothing yet.
pub(super) const JOINING: &str = "joining";
/// Who was silent for this long has stopped trusting its copy of the list, and need not be waited for.
const LEASE: Duration = minutes(1);
/// Who was silent for this long is forgotten.
const FORGOTTEN: Duration = hours(1);

/// What a follower says of itself.
pub(super) fn value(clock: Position, position: Position, gave_back: Option<Incarnation>) -> String {
    let gave_back = gave_back.map_or_else(|| "-".to_owned(), |incarnation| incarnation.to_string());
    format!("{} {} {gave_back} {}", clock.0, position.0, env!("CARGO_PKG_VERSION"))
}

/// Who may still remember something that the list of this incarnation lacks.
pub(super) fn outstanding(members: &Members, incarnation: Incarnation, now: Position) -> Vec<&str> {
    let owes = |value: &str| {
        let gave_back = value.split(' ').nth(2).and_then(|text| text.parse().ok());
        gave_back != Some(incarnation) && !silent(value, now, LEASE)
    };
    members.iter().filter(|(name, value)| *name != JOINING && owes(value)).map(|(name, _)| &**name).collect()
}

/// Who has been silent for so long that nobody needs its name.
pub(super) fn forgotten(members: &Members, now: Position) -> Vec<&str> {
    members.iter().filter(|(_, value)| silent(value, now, FORGOTTEN)).map(|(name, _)| &**name).collect()
}

/// Nobody vouches for what cannot be read.
fn silent(value: &str, now: Position, span: Duration) -> bool {
    let last = value.split(' ').next().and_then(|text| text.parse().ok());
    last.is_none_or(|last| Position(last).after(span) < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_remembers_and_is_alive_is_waited_for() {
        let (new, old, now) = (Incarnation(2), Incarnation(1), Position(1_000_000));
        let members: Members = [
            ("gave-back", value(now, now, Some(new))),
            ("owes", value(Position(now.0 - 60_000), now, Some(old))),
            ("new", value(now, now, None)),
            ("lapsed", value(Position(now.0 - 60_001), now, Some(old))),
            (JOINING, value(now, now, None)),
            ("strange", "hello".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        assert_eq!(outstanding(&members, new, now), ["new", "owes"]);
        assert_eq!(forgotten(&members, now), ["strange"]);
        assert_eq!(forgotten(&members, now.after(minutes(59))), ["lapsed", "strange"]);
    }
}
