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
    /// Records of the days before this one were dropped at this position. Sessions that end before the
    /// day and were born by then are denied, because nobody knows any more whether they were revoked.
    /// Such sessions are over anyway, unless a clock ran ahead when the records were dropped.
    Forgotten {
        /// The first day that is still remembered.
        day: Day,
        /// Above every session that the dropped records can have concerned.
        position: Position,
    },
}

impl Record {
    /// The wish that became this record, to be published once more at a new position; none for what only a
    /// store says.
    #[must_use]
    pub const fn again(&self) -> Option<Revocation> {
        Some(match *self {
            Self::Session { id, day } => Revocation::Session { id, day },
            Self::Floor { id, floor, day } => Revocation::Floor { id, floor, day },
            Self::CutOff { tag, day, .. } => Revocation::CutOff { tag, day },
            Self::Everybody { .. } => Revocation::Everybody,
            Self::Key { key, record } => Revocation::Key { key, record },
            Self::Forgotten { .. } => return None,
        })
    }

    /// The last day on which it can matter; none for what is kept for good.
    #[must_use]
    pub const fn day(&self) -> Option<Day> {
        match self {
            Self::Session { day, .. } | Self::Floor { day, .. } | Self::CutOff { day, .. } => Some(*day),
            Self::Everybody { .. } | Self::Key { .. } | Self::Forgotten { .. } => None,
        }
    }

    /// The wish that becomes this record, wherever it is published ([`Revocation::at`]); none for what nobody
    /// wishes.
    #[must_use]
    pub const fn wish(self) -> Option<Revocation> {
        Some(match self {
            Self::Session { id, day } => Revocation::Session { id, day },
            Self::Floor { id, floor, day } => Revocation::Floor { id, floor, day },
            Self::CutOff { tag, day, .. } => Revocation::CutOff { tag, day },
            Self::Everybody { .. } => Revocation::Everybody,
            Self::Key { key, record } => Revocation::Key { key, record },
            Self::Forgotten { .. } => return None,
        })
    }
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
        /// The last day on which such a session could still be alive, as far as the caller knows. The store
        /// knows the longest lifetime of all the app's cookies, and raises it to that.
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
