//! Who follows the list: one field for each follower in the nodes hash, written by each of its beats.
//!
//! ```text
//!  <node>   server's clock at the beat │ incarnation that it gave back to │ what it says of itself, as JSON
//! ```
//!
//! Tools that read the list give nothing back and are not waited for, so all such write under one name.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::Incarnation;
use crate::revocation::{Node, Report, node};
use crate::time::{Position, hours};

/// Members by name.
pub(super) type Members = BTreeMap<String, String>;

/// The name of those who know nothing yet.
pub(super) const JOINING: &str = "joining";
/// Who lapsed this long ago is forgotten.
const FORGOTTEN: Duration = hours(1);

/// What is written behind the server's clock.
pub(super) fn value(gave_back: Option<Incarnation>, report: Option<&Report>) -> String {
    let gave_back = gave_back.map_or_else(|| "-".to_owned(), |incarnation| incarnation.to_string());
    // A report is plain text and numbers, which always can be written as JSON.
    let report = report.map(|report| serde_json::to_string(report).unwrap_or_default()).unwrap_or_default();
    format!("{gave_back} {report}")
}

/// The whole value.
pub(super) fn at(clock: Position, value: &str) -> String {
    format!("{} {value}", clock.0)
}

/// Nodes as they can be read; what is no node's is left out.
pub(super) fn nodes(members: &Members) -> Vec<Node> {
    let mut nodes: Vec<Node> = members.iter().filter_map(|(name, value)| read(name, value)).collect();
    nodes.sort_by_key(|node| (node.seen, node.id));
    nodes
}

/// Those of them that serve sessions. A tool that reads on remembers the list and gives it back, but says
/// nothing of itself: nobody asks what it has applied.
pub(super) fn serving(members: &Members) -> Vec<Node> {
    let says_something = |node: &Node| {
        let value = members.get(&node.id.to_string());
        value.is_none_or(|value| value.splitn(3, ' ').nth(2).is_some_and(|report| !report.is_empty()))
    };
    nodes(members).into_iter().filter(says_something).collect()
}

fn read(name: &str, value: &str) -> Option<Node> {
    let mut parts = value.splitn(3, ' ');
    let seen = Position(parts.next()?.parse().ok()?);
    let gave_back = parts.next()?.parse().ok();
    Some(Node { id: name.parse().ok()?, seen, gave_back, report: serde_json::from_str(parts.next()?).ok() })
}

/// Whether nobody may still remember something that the list of this incarnation lacks, which began with a
/// loss at `begun`.
pub(super) fn all_gave_back(members: &Members, incarnation: Incarnation, begun: Position, now: Position) -> bool {
    node::heal(&nodes(members), incarnation, begun, now).is_ok()
}

/// Who lapsed so long ago that nobody needs its name, and what is no node's.
pub(super) fn forgotten(members: &Members, now: Position) -> Vec<&str> {
    let is_gone = |name: &str, value: &str| match read(name, value) {
        Some(node) => node.lapses().is_some_and(|lapses| lapses.after(FORGOTTEN) < now),
        None => name != JOINING,
    };
    members.iter().filter(|(name, value)| is_gone(name, value)).map(|(name, _)| &**name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::node::MARGIN;
    use crate::time::minutes;

    #[test]
    fn whoever_remembers_and_is_alive_is_waited_for() {
        let (new, old, now) = (Incarnation(2), Incarnation(1), Position(1_000_000));
        let all_gave_back = |values: &[(&str, String)]| {
            let members = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            super::all_gave_back(&members, new, Position(0), now)
        };
        let silent = now.0 - 60_000 - u64::try_from(MARGIN.as_millis()).unwrap();
        let (name, joining) = ("00000000000000aa", (JOINING, at(now, &value(None, None))));
        assert!(all_gave_back(&[(name, at(now, &value(Some(new), None))), joining.clone()]));
        assert!(!all_gave_back(&[(name, at(now, &value(None, None)))]));
        assert!(!all_gave_back(&[(name, at(Position(silent), &value(Some(old), None))), joining]));
        assert!(all_gave_back(&[(name, at(Position(silent - 1), &value(Some(old), None)))]), "it has lapsed");
        assert!(all_gave_back(&[(name, "hello".to_owned())]), "nobody vouches for what cannot be read");
        let restored: Members = [(name.to_owned(), at(Position(0), &value(Some(old), None)))].into();
        assert!(!super::all_gave_back(&restored, new, now, now.after(minutes(1))), "its last sign of life was lost");
        assert!(super::all_gave_back(&restored, new, now, now.after(minutes(2))));
    }

    #[test]
    fn who_never_lapses_is_never_forgotten() {
        let report = |lease| Report::new("web:1".into(), lease);
        let value = |lease| at(Position(0), &value(None, Some(&report(lease))));
        let members: Members = [
            ("00000000000000aa", value(None)),
            ("00000000000000bb", value(Some(minutes(1)))),
            (JOINING, at(Position(0), "-")),
            ("strange", "hello".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        assert_eq!(forgotten(&members, Position(60_000)), ["strange"]);
        assert_eq!(forgotten(&members, Position(86_400_000)), ["00000000000000bb", "strange"]);
        assert_eq!(nodes(&members).len(), 2);
        assert_eq!(nodes(&members)[1].report, Some(report(Some(minutes(1)))));
    }
}
