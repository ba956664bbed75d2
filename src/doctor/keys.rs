//! Whether keys are where they should be, and only for whom they should.

use std::time::Duration;

use crate::config::PROPAGATION;
use crate::error::Error;
use crate::id::KeyId;
use crate::rotation::Rotation;
use crate::time::Seconds;
use crate::trouble::{Finding, Severity, Trouble};

use super::said;

/// A key that is older than this is worth a thought.
const OLD: Duration = crate::time::days(400);

/// What a key folder looks like. It holds no secret.
#[derive(Debug)]
pub struct KeyFacts {
    /// Its path.
    pub folder: String,
    /// Unix permission bits, where there are such.
    pub mode: Option<u32>,
    /// Ids and birthdays of the keys that can be used, oldest first; or why the folder cannot be read.
    pub keys: Result<Vec<(KeyId, Seconds)>, Error>,
    /// Why the other key files are not used.
    pub refused: Vec<Error>,
    /// Why the list key cannot be used, if it cannot.
    pub list_key: Option<Error>,
    /// The ring secret, under which keys come through the list.
    pub ring_secret: RingSecretFacts,
}

/// What a ring secret does for this host. It holds no secret.
#[derive(Debug)]
pub enum RingSecretFacts {
    /// None was named.
    None,
    /// It cannot be read, or is not the one that the nodes have.
    Refused(Error),
    /// It opens the list key in the list; its fingerprint.
    Opens(String),
    /// The list could not be asked, which others tell; its fingerprint.
    Unasked(String),
    /// No list key is in the list; its fingerprint.
    Unused(String),
}

impl RingSecretFacts {
    /// Whether a key folder may be empty: keys come through the list, or the ring secret is why they do not.
    const fn spares_folder(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Opens(_) | Self::Unasked(_))
    }

    fn judge(&self) -> Option<Finding> {
        match self {
            Self::None => None,
            Self::Refused(error) => Some(said(Trouble::RingSecret, error)),
            Self::Opens(secret) => {
                Some(Finding::ok(format!("the ring secret {secret} opens the list key in the list")))
            }
            Self::Unasked(secret) => Some(Finding::ok(format!("the ring secret {secret} can be used"))),
            Self::Unused(secret) => {
                Some(Finding::ok(format!("the ring secret {secret} can be used; no list key has come through a list")))
            }
        }
    }
}

impl KeyFacts {
    /// Judges the folder and each file in it.
    #[must_use]
    pub fn judge(&self, rotation: &Rotation, now: Seconds) -> Vec<Finding> {
        let mut findings = Vec::new();
        match &self.keys {
            Err(error) => findings.push(said(Trouble::KeyFolder, error)),
            Ok(keys) if keys.is_empty() && self.refused.is_empty() && self.ring_secret.spares_folder() => {
                let seen =
                    format!("there is no key in the folder {}, and with a ring secret none is needed", self.folder);
                findings.push(Finding::ok(seen));
            }
            Ok(keys) if keys.is_empty() && self.refused.is_empty() => {
                let seen = format!("there is no key in the folder {}", self.folder);
                findings.push(Finding::problem(Trouble::KeyFolder, seen));
            }
            Ok(keys) => {
                findings.push(self.folder());
                findings.extend(self.refused.iter().map(|error| said(Trouble::KeyFile, error)));
                findings.push(self.seals(keys, rotation, now));
            }
        }
        findings.extend(self.ring_secret.judge());
        findings.extend(self.list_key.iter().map(|error| said(Trouble::ListKey, error)));
        findings
    }

    fn folder(&self) -> Finding {
        let folder = &self.folder;
        match self.mode {
            Some(mode) if mode & 0o022 != 0 => Finding::problem(
                Trouble::KeyFolderOpen,
                format!("others may write in the key folder {folder} (mode {mode:04o}), and plant a key of their own"),
            ),
            Some(mode) if mode & 0o055 != 0 => Finding {
                severity: Severity::Warning,
                ..Finding::problem(
                    Trouble::KeyFolderOpen,
                    format!("others may look into the key folder {folder} (mode {mode:04o})"),
                )
            },
            Some(mode) => Finding::ok(format!("the key folder {folder} is this user's own (mode {mode:04o})")),
            None => Finding::ok(format!("the key folder {folder} can be read")),
        }
    }

    fn seals(&self, keys: &[(KeyId, Seconds)], rotation: &Rotation, now: Seconds) -> Finding {
        let number = keys.len();
        let Some(sealing) = rotation.sealing(keys, now, PROPAGATION) else {
            let seen = format!("none of the {number} keys in {} may seal", self.folder);
            if matches!(self.ring_secret, RingSecretFacts::Opens(_)) {
                return Finding::ok(seen + "; the one that does comes through the list");
            }
            return Finding::problem(Trouble::NoKeySeals, seen);
        };
        let born = keys.iter().find(|(key, _)| *key == sealing).map_or(now, |(_, born)| *born);
        let age = born.until(now);
        let advice = if age > OLD { "; make a new one with `sealjar keys new` now and then" } else { "" };
        Finding::ok(format!(
            "{number} key(s) open, and {sealing} seals, made {} days ago{advice}",
            age.as_secs() / 86_400
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::{KeyRecord, KeyState};

    const NOW: Seconds = Seconds(1_795_447_200);

    fn good() -> KeyFacts {
        let key = "0123abcd".parse().unwrap();
        let keys = Ok(vec![(key, Seconds(NOW.0 - 86_400))]);
        let ring_secret = RingSecretFacts::None;
        KeyFacts { folder: "keys".into(), mode: Some(0o700), keys, refused: Vec::new(), list_key: None, ring_secret }
    }

    fn troubles(facts: &KeyFacts, rotation: &Rotation) -> Vec<(Trouble, Severity)> {
        let findings = facts.judge(rotation, NOW);
        findings.into_iter().filter_map(|finding| Some((finding.trouble?, finding.severity))).collect()
    }

    #[test]
    fn modes_and_files_are_judged_one_by_one() {
        let rotation = Rotation::default();
        assert_eq!(troubles(&good(), &rotation), []);
        let mode = |mode| troubles(&KeyFacts { mode: Some(mode), ..good() }, &rotation);
        assert_eq!(mode(0o750), [(Trouble::KeyFolderOpen, Severity::Warning)]);
        assert_eq!(mode(0o720), [(Trouble::KeyFolderOpen, Severity::Problem)]);
        assert_eq!(mode(0o702), [(Trouble::KeyFolderOpen, Severity::Problem)]);
        let error = || Error::key("it is torn", "Mend it");
        let bad = KeyFacts { refused: vec![error(), error()], list_key: Some(error()), ..good() };
        let bad: Vec<_> = troubles(&bad, &rotation).into_iter().map(|(trouble, _)| trouble).collect();
        assert_eq!(bad, [Trouble::KeyFile, Trouble::KeyFile, Trouble::ListKey]);
        let away = KeyFacts { keys: Err(error()), ..good() };
        assert_eq!(troubles(&away, &rotation), [(Trouble::KeyFolder, Severity::Problem)]);
        let empty = KeyFacts { keys: Ok(Vec::new()), ..good() };
        assert_eq!(troubles(&empty, &rotation), [(Trouble::KeyFolder, Severity::Problem)]);
    }

    #[test]
    fn a_folder_of_retired_keys_cannot_seal() {
        let mut rotation = Rotation::default();
        rotation.insert("0123abcd".parse().unwrap(), KeyRecord::new(KeyState::Retired, 0));
        assert_eq!(troubles(&good(), &rotation), [(Trouble::NoKeySeals, Severity::Problem)]);
        let carried = KeyFacts { ring_secret: RingSecretFacts::Opens("f00d".into()), ..good() };
        assert_eq!(troubles(&carried, &rotation), [], "another comes through the list");
    }

    #[test]
    fn with_a_ring_secret_the_folder_may_be_empty_and_the_secret_is_judged_instead() {
        let error = || Error::key("it is another one", "Use the nodes' one");
        let told = |ring_secret| {
            let empty = KeyFacts { keys: Ok(Vec::new()), ring_secret, ..good() };
            troubles(&empty, &Rotation::default()).into_iter().map(|(trouble, _)| trouble).collect::<Vec<_>>()
        };
        assert_eq!(told(RingSecretFacts::None), [Trouble::KeyFolder]);
        assert_eq!(told(RingSecretFacts::Unused("f00d".into())), [Trouble::KeyFolder]);
        assert_eq!(told(RingSecretFacts::Opens("f00d".into())), []);
        assert_eq!(told(RingSecretFacts::Unasked("f00d".into())), []);
        assert_eq!(told(RingSecretFacts::Refused(error())), [Trouble::RingSecret]);
        let unreadable = KeyFacts { keys: Err(error()), ring_secret: RingSecretFacts::Opens("f00d".into()), ..good() };
        assert_eq!(troubles(&unreadable, &Rotation::default()), [(Trouble::KeyFolder, Severity::Problem)]);
    }
}
