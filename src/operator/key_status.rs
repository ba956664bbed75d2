//! Where every key stands, for people and programs.

use std::collections::BTreeSet;

use super::keys::Standing;
use super::{KeyStep, Operator};
use crate::config::PROPAGATION;
use crate::error::Error;
use crate::id::KeyId;
use crate::revocation::{Node, node::KeyReport};
use crate::rotation::{KeyRecord, KeyState, Member, Missing, Refusal};
use crate::time::Seconds;

/// Every key that the list, the folder here or a node knows.
#[derive(Clone, Debug)]
pub struct FleetKeys {
    /// Whether the store has everything that anybody remembers; no gate opens before.
    pub healed: bool,
    /// The live nodes, by name.
    pub nodes: Vec<String>,
    /// The keys: the one that seals first, then by state and promotion.
    pub keys: Vec<KeyStatus>,
    /// Files in the folder here that are not used, a sentence each.
    pub refused: Vec<String>,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// Its id.
    pub id: KeyId,
    /// What the list says of it; none for one that is only a file.
    pub record: Option<KeyRecord>,
    /// Its state; a file without a record is active.
    pub state: KeyState,
    /// What nodes do with it.
    pub role: KeyRole,
    /// When it was made; none if its file is not here.
    pub created: Option<Seconds>,
    /// Cookies that registered nodes have opened under it today: the UTC day by the store's clock.
    pub opened: u64,
    /// When one of them last did.
    pub last_seen: Option<Seconds>,
    /// The live nodes that open with it.
    pub has: Vec<String>,
    /// The live nodes that cannot, and why.
    pub lacks: Vec<Missing>,
    /// The live nodes that seal with it.
    pub sealing: Vec<String>,
    /// What comes next.
    pub next: Option<NextStep>,
}

/// What nodes do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRole {
    /// New cookies are sealed under it.
    Seals,
    /// Cookies under it are good.
    Opens,
    /// Cookies under it are refused.
    Refused,
}

impl KeyRole {
    /// The name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seals => "seals",
            Self::Opens => "opens",
            Self::Refused => "refused",
        }
    }
}

/// The step that a key is on its way to.
#[derive(Clone, Debug)]
pub struct NextStep {
    /// Its name, as in `sealjar keys`.
    pub name: &'static str,
    /// What it waits for; none if it can be done now.
    pub waits: Option<Refusal>,
}

impl Operator {
    /// Where every key stands, and what it waits for.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be read, [`Error::Key`] when the folder cannot.
    pub async fn key_status(&self) -> Result<FleetKeys, Error> {
        let (standing, contents) = (self.standing().await?, self.in_folder()?);
        let born: Vec<_> = contents.keys.iter().map(|key| (key.id(), key.created())).collect();
        let held = standing.members.iter().flat_map(|member| member.holds.keys().copied());
        let recorded = standing.list.records().map(|(key, _)| key);
        let ids: BTreeSet<_> = born.iter().map(|(key, _)| *key).chain(held).chain(recorded).collect();
        let by_age = || standing.list.sealing(&born, standing.fleet().now, PROPAGATION);
        let sealing = standing.list.newest().or_else(by_age);
        let created = |id| born.iter().find(|(key, _)| *key == id).map(|(_, created)| *created);
        let mut keys: Vec<_> = ids.into_iter().map(|id| standing.status(id, created(id), sealing)).collect();
        keys.sort_by_key(|key| {
            (key.role, key.state, std::cmp::Reverse(key.record.map(|record| record.promotion)), key.id)
        });
        Ok(FleetKeys {
            healed: standing.nodes.healed,
            nodes: standing.alive().map(|member| member.name.clone()).collect(),
            keys,
            refused: contents.refused.iter().map(|refused| refused.error.to_string()).collect(),
        })
    }
}

impl Standing {
    fn alive(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.lapsed)
    }

    fn status(&self, id: KeyId, created: Option<Seconds>, sealing: Option<KeyId>) -> KeyStatus {
        let state = self.list.state(id);
        let said = |node: &Node| node.report.as_ref().and_then(|report| report.key(id)).cloned();
        let said: Vec<KeyReport> = self.nodes.nodes.iter().filter_map(said).collect();
        let names = |members: &mut dyn Iterator<Item = &Member>| members.map(|member| member.name.clone()).collect();
        KeyStatus {
            id,
            record: self.list.record(id),
            state,
            role: match () {
                () if sealing == Some(id) => KeyRole::Seals,
                () if state.opens() => KeyRole::Opens,
                () => KeyRole::Refused,
            },
            created,
            opened: said.iter().map(|said| said.opened_on(self.nodes.now.seconds().day())).sum(),
            last_seen: said.iter().filter_map(KeyReport::last_seen).max(),
            has: names(&mut self.alive().filter(|member| member.has(id).is_ok())),
            lacks: if state.opens() {
                self.alive().filter_map(|member| member.has(id).err()).collect()
            } else {
                Vec::new()
            },
            sealing: names(&mut self.alive().filter(|member| member.sealing == Some(id))),
            next: self.next(id, state, sealing == Some(id)),
        }
    }

    fn next(&self, key: KeyId, state: KeyState, seals: bool) -> Option<NextStep> {
        let (name, step) = match state {
            KeyState::Staged => ("promote", KeyStep::Promote(key)),
            KeyState::Active if !seals && self.list.record(key).is_some() => {
                ("retire", KeyStep::Retire { key, force: false })
            }
            KeyState::Retired => ("destroy", KeyStep::Destroy(key)),
            KeyState::Active | KeyState::Destroyed | KeyState::Compromised => return None,
        };
        Some(NextStep { name, waits: super::keys::decide(&self.fleet(), step).err() })
    }
}
