//! Which record a session was refused for, and who has the key that its cookie was sealed under.

use serde::Serialize;

use crate::id::{KeyId, Tag};
use crate::revocation::node::KeyAck;
use crate::revocation::{Nodes, View};
use crate::seal::Opened;
use crate::time::{Now, Position, Seconds};
use crate::verdict::Verdict;

/// The record that a session was refused for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Its scope: session, generation, subject, tenant, label, all, forgotten, or key.
    pub scope: &'static str,
    /// A session's handle, the keyed hash of a name as the list holds it, or a key's id; none for all.
    pub target: Option<String>,
    /// Up to which moment sessions had to have begun, by the list's clock. None where that does not matter, or
    /// the list does not keep it.
    pub as_of: Option<String>,
    /// The lowest generation that is accepted, for that scope.
    pub floor: Option<u32>,
}

/// Which nodes can use a key, by their own reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyNodes {
    /// Names of those that have it.
    pub have: Vec<String>,
    /// Names of those that follow the list without it.
    pub lack: Vec<String>,
}

impl Hit {
    /// The record behind a verdict; none for a verdict that no record is behind.
    pub(super) fn find(
        verdict: Verdict,
        key: Option<KeyId>,
        opened: Option<&Opened>,
        view: &View,
        now: Now,
    ) -> Option<Self> {
        let hit = |scope, target: Option<String>| Self { scope, target, ..Self::default() };
        // A position can be a little ahead of the clock, when several were taken in one millisecond.
        let at = |position: Option<Position>| {
            position.map(|position| position.seconds().min(now.seconds())).as_ref().map(Seconds::to_string)
        };
        let of_tag = |scope, tag: Option<Tag>| {
            let as_of = tag.and_then(|tag| at(view.list.cut_off(tag)));
            Self { as_of, ..hit(scope, tag.map(|tag| format!("{:016x}", tag.0))) }
        };
        if matches!(verdict, Verdict::RetiredKey | Verdict::CompromisedKey) {
            return key.map(|key| hit("key", Some(key.to_string())));
        }
        let opened = opened?;
        let (claims, handle) = (&opened.claims, || Some(opened.handle().to_string()));
        let cut = |tag: &Tag| view.list.cut_off(*tag).is_some_and(|position| claims.born <= position);
        Some(match verdict {
            Verdict::RevokedSession => hit("session", handle()),
            Verdict::Superseded => {
                let floor = view.list.floor(opened.session.short(), claims.expires.day());
                Self { floor, ..hit("generation", handle()) }
            }
            Verdict::RevokedSubject => of_tag("subject", claims.tags.subject),
            Verdict::RevokedTenant => of_tag("tenant", claims.tags.tenant),
            Verdict::RevokedLabel => of_tag("label", claims.tags.labels().find(cut)),
            Verdict::RevokedAll => Self { as_of: at(view.list.everybody()), ..hit("all", None) },
            // The session has time left, so what ended it is that its day's records were dropped.
            Verdict::AbsoluteExpired if claims.expires > now.seconds() => hit("forgotten", handle()),
            _ => return None,
        })
    }
}

impl KeyNodes {
    /// Reads the nodes' reports. Those that have lapsed, or have not read the list yet, say nothing.
    #[must_use]
    pub fn of(key: KeyId, nodes: &Nodes) -> Self {
        let mut all = Self::default();
        for node in nodes.alive() {
            let Some(report) = node.report.as_ref().filter(|report| report.applied > 0) else { continue };
            match report.key(key).map(|said| &said.ack) {
                Some(KeyAck::Loaded) => all.have.push(node.name()),
                _ => all.lack.push(node.name()),
            }
        }
        all
    }
}
