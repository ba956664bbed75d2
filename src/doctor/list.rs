//! Whether the list is whole, who follows it, and which cookies were announced in it.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::id::KeyId;
use crate::revocation::node::{KeyAck, MARGIN};
use crate::revocation::{Node, Nodes, Profile};
use crate::rotation::Rotation;
use crate::trouble::{Finding, Trouble};

use super::said;

/// What a list holds beside its records.
#[derive(Clone, Debug)]
pub struct ListFacts {
    /// The app.
    pub app: String,
    /// Who follows, and whether the list is whole.
    pub nodes: Nodes,
    /// The cookies that apps announced.
    pub profiles: Vec<Profile>,
    /// The states of keys.
    pub rotation: Rotation,
}

impl ListFacts {
    /// Judges the list; `keys` are those in the folder here.
    #[must_use]
    pub fn judge(&self, keys: &[KeyId]) -> Vec<Finding> {
        let mut findings = vec![whole(&self.app, self.nodes.healed)];
        findings.extend(self.nodes(keys));
        findings.extend(self.cookies());
        findings
    }

    fn nodes(&self, keys: &[KeyId]) -> Vec<Finding> {
        let all = &self.nodes.nodes;
        if all.is_empty() {
            return vec![Finding::warning(Trouble::NoNodes, format!("no app follows the list of {}", self.app))];
        }
        let mut findings = Vec::new();
        for node in all {
            findings.extend(self.node(node, keys));
        }
        let versions: BTreeSet<_> =
            all.iter().filter_map(|node| node.report.as_ref()).map(|report| report.version.as_str()).collect();
        if versions.len() > 1 {
            let versions: Vec<_> = versions.into_iter().collect();
            let seen = format!("nodes run different versions ({})", versions.join(", "));
            findings.push(Finding::warning(Trouble::NodesDiffer, seen));
        }
        if findings.is_empty() {
            findings.push(Finding::ok(format!("{} node(s) follow the list and have every key", all.len())));
        }
        findings
    }

    fn node(&self, node: &Node, keys: &[KeyId]) -> Vec<Finding> {
        let (name, now) = (node.name(), self.nodes.now);
        let silence = now.0.saturating_sub(node.seen.0) / 1000;
        if node.has_lapsed(now) {
            let seen = format!("the node {name} ({}) has said nothing for {silence} s and has lapsed", node.id);
            return vec![Finding::warning(Trouble::NodeLapsed, seen)];
        }
        let mut findings = Vec::new();
        if silence > MARGIN.as_secs() {
            let seen = format!("the node {name} has said nothing for {silence} s");
            findings.push(Finding::warning(Trouble::NodeSilent, seen));
        }
        let Some(report) = &node.report else { return findings };
        if report.lease_ms.is_none() {
            let seen = format!("the node {name} goes on with a lost list, however long that lasts");
            findings.push(Finding::warning(Trouble::NodeNeverLapses, seen));
        }
        // One that has not read the list yet has nothing to say of keys.
        for key in keys.iter().filter(|key| report.applied > 0 && self.rotation.state(**key).opens()) {
            let why = match report.key(*key).map(|said| &said.ack) {
                Some(KeyAck::Loaded) => continue,
                Some(KeyAck::Refused(why)) => why,
                Some(KeyAck::Absent) | None => "it has not loaded it",
            };
            let seen = format!("the node {name} cannot use the key {key}: {why}");
            findings.push(Finding::problem(Trouble::NodeLacksKey, seen));
        }
        findings
    }

    fn cookies(&self) -> Vec<Finding> {
        if self.profiles.is_empty() {
            let seen = format!("no app has announced a cookie in the list of {}", self.app);
            return vec![Finding::warning(Trouble::NoCookie, seen)];
        }
        self.profiles.iter().map(|profile| cookie(&self.app, profile)).collect()
    }
}

/// Whether the list has everything that anybody remembers.
#[must_use]
pub fn whole(app: &str, healed: bool) -> Finding {
    if healed {
        return Finding::ok(format!("the list of {app} is whole"));
    }
    Finding::warning(Trouble::Healing, format!("the list of {app} has lost records that nodes are giving back"))
}

/// The attributes of a cookie stand in its name, as far as they matter here: browsers hold a prefix to its word.
fn cookie(app: &str, profile: &Profile) -> Finding {
    let name = &profile.cookie;
    match Config::of_profile(app, profile) {
        Err(error) => said(Trouble::CookieDropped, &error),
        Ok(_) if name.starts_with("__Host-") => {
            Finding::ok(format!("the cookie {name} is bound to one host over https"))
        }
        Ok(_) if name.starts_with("__Secure-") => Finding::warning(
            Trouble::CookieUnguarded,
            format!("the cookie {name} is shared with other hosts, and each of them can plant one"),
        ),
        Ok(_) => Finding::warning(
            Trouble::CookieUnguarded,
            format!(
                "the cookie {name} has no prefix, so a sibling host, or anybody on a network without https, can plant one"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{Incarnation, NodeId};
    use crate::revocation::Report;
    use crate::revocation::node::KeyReport;
    use crate::rotation::{KeyRecord, KeyState};
    use crate::time::{Position, hours, minutes};
    use crate::wire::Suite;

    const NOW: Position = Position(1_795_447_200_000);

    fn key() -> KeyId {
        "0123abcd".parse().unwrap()
    }

    fn node(silent: Duration) -> Node {
        let loaded = KeyReport::new(KeyAck::Loaded, None);
        let keys = [(key().to_string(), loaded)].into();
        let report = Report { applied: 1, keys, ..Report::new("web:1".into(), Some(minutes(1))) };
        let seen = Position(NOW.0 - u64::try_from(silent.as_millis()).unwrap());
        Node { id: NodeId(1), seen, gave_back: Some(Incarnation(1)), report: Some(report) }
    }

    fn profile(cookie: &str) -> Profile {
        let absolute = hours(12);
        Profile { cookie: cookie.into(), suite: Suite::Encrypted, idle: minutes(30), absolute, longest: absolute }
    }

    fn facts(nodes: Vec<Node>) -> ListFacts {
        let nodes = Nodes { incarnation: Incarnation(1), begun: Position(0), healed: true, now: NOW, nodes };
        let profiles = vec![profile("__Host-shop")];
        ListFacts { app: "shop".into(), nodes, profiles, rotation: Rotation::default() }
    }

    fn troubles(facts: &ListFacts) -> Vec<Trouble> {
        facts.judge(&[key()]).into_iter().filter_map(|finding| finding.trouble).collect()
    }

    #[test]
    fn nodes_are_judged_one_by_one() {
        let with = |change: &dyn Fn(&mut Node)| {
            let mut changed = node(Duration::ZERO);
            change(&mut changed);
            troubles(&facts(vec![node(Duration::ZERO), changed]))
        };
        assert_eq!(with(&|_| ()), []);
        assert_eq!(troubles(&facts(Vec::new())), [Trouble::NoNodes]);
        assert_eq!(with(&|node| node.seen.0 -= 12_999), []);
        assert_eq!(with(&|node| node.seen.0 -= 13_000), [Trouble::NodeSilent]);
        assert_eq!(with(&|node| node.seen.0 -= 73_000), [Trouble::NodeLapsed]);
        let report = |change: &dyn Fn(&mut Report)| with(&|node| change(node.report.as_mut().unwrap()));
        assert_eq!(report(&|report| report.lease_ms = None), [Trouble::NodeNeverLapses]);
        assert_eq!(report(&|report| report.version = "9.9.9".into()), [Trouble::NodesDiffer]);
        assert_eq!(report(&|report| report.keys.clear()), [Trouble::NodeLacksKey]);
        assert_eq!(
            report(&|report| {
                report.keys.clear();
                report.applied = 0;
            }),
            [],
            "it has not begun yet"
        );
        let torn = KeyAck::Refused("the file is torn".into());
        let refuses = |report: &mut Report| report.keys.values_mut().for_each(|key| key.ack = torn.clone());
        assert_eq!(report(&refuses), [Trouble::NodeLacksKey]);
        // Of a key that opens nothing any more, nobody needs to have the file.
        let mut facts = facts(vec![node(Duration::ZERO)]);
        facts.nodes.nodes[0].report.as_mut().unwrap().keys.clear();
        facts.rotation.insert(key(), KeyRecord::new(KeyState::Retired, 0));
        assert_eq!(troubles(&facts), []);
    }

    #[test]
    fn the_list_and_its_cookies_are_judged() {
        let with = |change: &dyn Fn(&mut ListFacts)| {
            let mut facts = facts(vec![node(Duration::ZERO)]);
            change(&mut facts);
            troubles(&facts)
        };
        assert_eq!(with(&|facts| facts.nodes.healed = false), [Trouble::Healing]);
        assert_eq!(with(&|facts| facts.profiles.clear()), [Trouble::NoCookie]);
        for (cookie, trouble) in [
            ("__Secure-shop", Some(Trouble::CookieUnguarded)),
            ("shop", Some(Trouble::CookieUnguarded)),
            ("no good name", Some(Trouble::CookieDropped)),
            ("__Host-other", None),
        ] {
            let found = with(&|facts| facts.profiles.push(profile(cookie)));
            assert_eq!(found, trouble.into_iter().collect::<Vec<_>>(), "{cookie}");
        }
    }
}
