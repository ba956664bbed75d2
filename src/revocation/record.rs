//! The records of the list, and the wishes that become records.

use crate::id::{KeyId, ShortId, Tag};
use crate::rotation::KeyRecord;
use crate::time::{Day, Position};

/// One fact of the list, as stores keep it and replicas apply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A revoked session, kept until the day on which it would have expired.
    Session {
        /// The session.
        id: ShortId,
        /// Its last day.
        day: Day,
    },
    /// Copies of a session below this generation are superseded.
    Floor {
        /// The session.
        id: ShortId,
        /// The lowest generation that is still good.
        floor: u32,
        /// Its last day.
        day: Day,
    },
    /// Every session with this tag that was born at or before the position.
    CutOff {
        /// Whose.
        tag: Tag,
        /// Until when.
        position: Position,
        /// The last day on which such a session could still be alive.
        day: Day,
    },
    /// Every session that was born at or before the position.
    Everybody {
        /// Until when.
        position: Position,
    },
    /// Where a key stands.
    Key {
        /// The key.
        key: KeyId,
        /// Its state and promotion.
        record: KeyRecord,
    },
}

/// Something to be revoked. The store turns it into a [`Record`]: positions are its own to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One session.
    Session {
        /// The session.
        id: ShortId,
        /// Its last day.
        day: Day,
    },
    /// Older copies of one session.
    Floor {
        /// The session.
        id: ShortId,
        /// The lowest generation that stays good.
        floor: u32,
        /// Its last day.
        day: Day,
    },
    /// All sessions with a tag that exist by now.
    CutOff {
        /// Whose.
        tag: Tag,
        /// The last day on which such a session could still be alive.
        day: Day,
    },
    /// All sessions that exist by now.
    Everybody,
    /// A key moves up.
    Key {
        /// The key.
        key: KeyId,
        /// Its state and promotion.
        record: KeyRecord,
    },
}

impl Revocation {
    /// The record that this becomes at a position.
    #[must_use]
    pub const fn at(self, position: Position) -> Record {
        match self {
            Self::Session { id, day } => Record::Session { id, day },
            Self::Floor { id, floor, day } => Record::Floor { id, floor, day },
            Self::CutOff { tag, day } => Record::CutOff { tag, position, day },
            Self::Everybody => Record::Everybody { position },
            Self::Key { key, record } => Record::Key { key, record },
        }
    }
}
