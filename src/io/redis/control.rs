//! The control hash: the few records that speak of everybody, each signed under the list key.
//!
//! ```text
//!  list              fingerprint of the list key │ mac 16
//!  everybody         position 8                  │ mac 16
//!  forgotten         day 8, position 8           │ mac 16
//!  key:<id>          state 1, promotion 4, mark 4 (seconds) │ mac 16
//!  parcel:<name>     wrapped key or probe        │ mac 16
//!  cookie:<name>     suite 1, idle 8, absolute 8, longest 8 (milliseconds) │ mac 16
//! ```
//!
//! Fields merge by maximum like all records; of a cookie's settings the latest counts, and of its longest
//! life the longest. What was forgotten merges into one field, which covers each: a session that ends before
//! the latest of the days and was born by the highest of the positions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::KeyId;
use crate::key::{CONTROL_MAC, ControlKey};
use crate::revocation::{Parcel, Profile, Record};
use crate::rotation::{KeyRecord, KeyState, Rotation};
use crate::time::{Day, Position, Seconds};
use crate::wire::Suite;

/// The hash as the server gave it.
pub(super) type Fields = BTreeMap<String, Vec<u8>>;

/// The field with the fingerprint of the list key.
pub(super) const LIST: &str = "list";
const EVERYBODY: &str = "everybody";
const FORGOTTEN: &str = "forgotten";
const KEY: &str = "key:";
const COOKIE: &str = "cookie:";
const PARCEL: &str = "parcel:";

/// One field, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    List(String),
    Record(Record),
    Profile(Profile),
    Parcel(Parcel),
}

/// Why a field is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forged(pub String);

impl Control {
    pub(super) fn field(&self) -> String {
        match self {
            Self::List(_) => LIST.to_owned(),
            Self::Record(Record::Key { key, .. }) => format!("{KEY}{key}"),
            Self::Record(Record::Forgotten { .. }) => FORGOTTEN.to_owned(),
            Self::Record(_) => EVERYBODY.to_owned(),
            Self::Profile(profile) => format!("{COOKIE}{}", profile.cookie),
            Self::Parcel(parcel) => parcel_field(&parcel.name),
        }
    }

    /// The field's value with its signature.
    pub(super) fn sign(&self, key: &ControlKey) -> Vec<u8> {
        let mut value = match self {
            Self::List(fingerprint) => fingerprint.clone().into_bytes(),
            Self::Record(Record::Everybody { position }) => position.0.to_be_bytes().to_vec(),
            Self::Record(Record::Forgotten { day, position }) => {
                [u64::from(day.0).to_be_bytes(), position.0.to_be_bytes()].concat()
            }
            Self::Record(Record::Key { record, .. }) => {
                [&[record.state as u8][..], &record.promotion.to_be_bytes(), &record.mark.0.to_be_bytes()].concat()
            }
            Self::Record(_) => Vec::new(),
            Self::Parcel(parcel) => parcel.content.clone(),
            Self::Profile(profile) => {
                let mut value = vec![profile.suite.byte()];
                for span in [profile.idle, profile.absolute, profile.longest] {
                    value.extend_from_slice(&millis(span).to_be_bytes());
                }
                value
            }
        };
        value.extend_from_slice(&key.sign(&self.field(), &value));
        value
    }

    /// Reads a field; an unknown one is a newer version's, and nothing to this one.
    pub(super) fn read(key: &ControlKey, field: &str, value: &[u8]) -> Result<Option<Self>, Forged> {
        let forged = || Forged(field.to_owned());
        let content = value.len().checked_sub(CONTROL_MAC).ok_or_else(forged)?;
        let (content, signature) = value.split_at(content);
        if !key.verify(field, content, signature) {
            return Err(forged());
        }
        Self::parse(field, content)
    }

    fn parse(field: &str, content: &[u8]) -> Result<Option<Self>, Forged> {
        let read = if field == LIST {
            String::from_utf8(content.to_vec()).ok().map(Self::List)
        } else if field == EVERYBODY {
            number(content, 0).map(|position| Self::Record(Record::Everybody { position: Position(position) }))
        } else if field == FORGOTTEN {
            forgotten(content).map(Self::Record)
        } else if let Some(id) = field.strip_prefix(KEY) {
            key_record(id, content).map(Self::Record)
        } else if let Some(cookie) = field.strip_prefix(COOKIE) {
            profile(cookie, content).map(Self::Profile)
        } else if let Some(name) = field.strip_prefix(PARCEL) {
            Some(Self::Parcel(Parcel { name: name.to_owned(), content: content.to_vec() }))
        } else {
            return Ok(None);
        };
        read.map(Some).ok_or_else(|| Forged(field.to_owned()))
    }

    /// What the field becomes when this is added to what is there.
    pub(super) fn merge(self, known: Option<Self>) -> Self {
        match (self, known) {
            (Self::Record(new), Some(Self::Record(old))) => Self::Record(later(new, old)),
            (Self::Profile(new), Some(Self::Profile(old))) => {
                Self::Profile(Profile { longest: new.longest.max(old.longest), ..new })
            }
            (new, _) => new,
        }
    }
}

/// Whether a field holds where a key stands.
pub(super) fn is_key(field: &str) -> bool {
    field.starts_with(KEY)
}

/// The rotation list.
pub(super) fn rotation(controls: &[Control]) -> Rotation {
    let record = |control: &Control| match control {
        Control::Record(Record::Key { key, record }) => Some((*key, *record)),
        _ => None,
    };
    controls.iter().filter_map(record).collect()
}

/// The field that a parcel lies in.
pub(super) fn parcel_field(name: &str) -> String {
    format!("{PARCEL}{name}")
}

fn later(new: Record, old: Record) -> Record {
    match (new, old) {
        (Record::Everybody { position: new }, Record::Everybody { position: old }) => {
            Record::Everybody { position: new.max(old) }
        }
        (Record::Forgotten { day, position }, Record::Forgotten { day: other, position: old }) => {
            Record::Forgotten { day: day.max(other), position: position.max(old) }
        }
        (Record::Key { key, record: new }, Record::Key { record: old, .. }) => {
            Record::Key { key, record: old.merge(new) }
        }
        (new, _) => new,
    }
}

/// Every field of the hash.
pub(super) fn read_all(key: &ControlKey, fields: &Fields) -> Result<Vec<Control>, Forged> {
    let read = fields.iter().map(|(field, value)| Control::read(key, field, value));
    read.filter_map(Result::transpose).collect()
}

fn forgotten(content: &[u8]) -> Option<Record> {
    let day = Day(u32::try_from(number(content, 0)?).ok()?);
    Some(Record::Forgotten { day, position: Position(number(content, 1)?) })
}

fn key_record(id: &str, content: &[u8]) -> Option<Record> {
    let key: KeyId = id.parse().ok()?;
    let (state, numbers) = content.split_first()?;
    let (promotion, mark) = numbers.split_at_checked(4)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    let (state, promotion, mark) = (KeyState::from_number(*state)?, number(promotion)?, Seconds(number(mark)?));
    Some(Record::Key { key, record: KeyRecord { state, promotion, mark } })
}

fn profile(cookie: &str, content: &[u8]) -> Option<Profile> {
    let (suite, spans) = content.split_first()?;
    let span = |index| number(spans, index).map(Duration::from_millis);
    Some(Profile {
        cookie: cookie.to_owned(),
        suite: [Suite::Encrypted, Suite::Signed].into_iter().find(|known| known.byte() == *suite)?,
        idle: span(0)?,
        absolute: span(1)?,
        longest: span(2)?,
    })
}

/// The eight bytes at an index; a content has eight for each number.
fn number(content: &[u8], index: usize) -> Option<u64> {
    content.chunks_exact(8).nth(index)?.try_into().ok().map(u64::from_be_bytes)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ListKey;
    use crate::secret::Secret;
    use crate::time::minutes;

    fn key(app: &str) -> ControlKey {
        ListKey::from_bytes(Secret::new([7; 32])).control(app)
    }

    fn everybody(position: u64) -> Control {
        Control::Record(Record::Everybody { position: Position(position) })
    }

    #[test]
    fn fields_come_back_as_they_were() {
        let record = KeyRecord { state: KeyState::Compromised, promotion: u32::MAX, mark: Seconds(7) };
        let profile = Profile {
            cookie: "__Host-shop".into(),
            suite: Suite::Signed,
            idle: minutes(1),
            absolute: minutes(2),
            longest: minutes(3),
        };
        for control in [
            Control::List("0123".into()),
            everybody(u64::MAX),
            Control::Record(Record::Forgotten { day: Day(20_000), position: Position(1 << 50) }),
            Control::Record(Record::Key { key: KeyId([0xff; 4]), record }),
            Control::Profile(profile),
            Control::Parcel(Parcel { name: "key:01020304".into(), content: vec![7; 76] }),
        ] {
            let (field, value) = (control.field(), control.sign(&key("shop")));
            assert_eq!(Control::read(&key("shop"), &field, &value), Ok(Some(control)));
        }
    }

    #[test]
    fn a_field_is_believed_under_its_key_app_and_name_only() {
        let value = everybody(5).sign(&key("shop"));
        assert!(Control::read(&key("other"), EVERYBODY, &value).is_err(), "another app's");
        assert!(Control::read(&key("shop"), "key:00000000", &value).is_err(), "another field's");
        for index in 0..value.len() {
            let mut altered = value.clone();
            altered[index] ^= 1;
            assert!(Control::read(&key("shop"), EVERYBODY, &altered).is_err());
        }
        for length in 0..value.len() {
            assert!(Control::read(&key("shop"), EVERYBODY, &value[..length]).is_err());
        }
    }

    #[test]
    fn fields_merge_by_maximum() {
        assert_eq!(everybody(5).merge(Some(everybody(9))), everybody(9));
        assert_eq!(everybody(9).merge(Some(everybody(5))), everybody(9));
        let key = |state, promotion| {
            Control::Record(Record::Key { key: KeyId([1; 4]), record: KeyRecord::new(state, promotion) })
        };
        let merged = key(KeyState::Retired, 1).merge(Some(key(KeyState::Active, 3)));
        assert_eq!(merged, key(KeyState::Active, 3), "a promotion counts for more than a state");
    }
}
