//! What a node's own file is worth: how long it may speak for a lost list, what may wait in it, what is owed.
//!
//! ```text
//!  snapshot   every record that a beat or an own publication brought, and where and when that was
//!  spool      wishes that were accepted while the store was away: enforced here, published when it is back
//! ```

use std::time::Duration;

use crate::id::{Incarnation, NodeId};
use crate::time::{Day, Now, Position, Seconds, hours};

use super::record::{Record, Revocation};
use super::records::Records;
use super::store::Profile;

/// A file may begin a lost list anew for this long after its node was last in touch with that list.
///
/// Fails open because an hour of other nodes' revocations can be unknown to it: they come back when one that
/// knows them does. Without it every loss of the store while all nodes are down would log everybody out.
/// An hour covers a restart, a deployment and the repair of a server by hand; it does not cover a node that
/// was taken out of service days ago and is started by mistake after a loss.
pub const RECENT: Duration = hours(1);

/// Where a snapshot comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address of the store, without credentials.
    pub place: String,
    /// The life of the store.
    pub life: Incarnation,
    /// The highest position that the store is known to have given out.
    pub position: Position,
    /// When the last beat counted, in milliseconds since 1970 by this machine's clock.
    pub at: u64,
}

/// A wish that waits, as it is enforced here meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number in the file.
    pub seq: i64,
    /// The record, at a position of this node's own.
    pub record: Record,
}

/// What a file held when its node was started.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Where it comes from. None: it is not known to be whole.
    pub origin: Option<Origin>,
    /// The records.
    pub records: Records,
    /// The spool.
    pub waiting: Vec<Waiting>,
    /// How the app's cookies are configured.
    pub profiles: Vec<Profile>,
}

/// What a process knows of a list before it has read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The life that it may give back to, or begin anew. None: not by what it knows.
    pub known: Option<Incarnation>,
    /// Why not, if it knows something: a part of a sentence.
    pub doubt: Option<String>,
    /// The highest position that it knows to have been given out.
    pub highest: Position,
    /// The last day of any record.
    pub last: Day,
    /// The name under which the process follows the list, if that is settled.
    pub node: Option<NodeId>,
}

impl Snapshot {
    /// What this is worth to a node that follows the list at `place` now.
    #[must_use]
    pub fn memory(&self, place: &str, now: Now) -> Memory {
        let last = self.records.iter().filter_map(|record| record.day()).max().unwrap_or_default();
        let Some(origin) = &self.origin else { return Memory { last, ..Memory::default() } };
        let age = Duration::from_millis(now.millis.abs_diff(origin.at));
        let doubt = if origin.place != place {
            Some(format!("this node's own file is of the list at {}", origin.place))
        } else if age > RECENT {
            let at = Seconds(u32::try_from(origin.at / 1000).unwrap_or(u32::MAX));
            Some(format!("this node's own file, last in touch at {at}, is too old to begin it anew"))
        } else {
            None
        };
        let known = doubt.is_none().then_some(origin.life);
        Memory { known, doubt, highest: origin.position, last, node: None }
    }
}

/// Whether all these wishes may wait. Floors may not, because one of several callers must be told that it was
/// first; keys may not, because a rotation is decided on what the store says now. `latest` is the last day
/// that the store takes: a wish beyond it would wait for ever.
#[must_use]
pub fn can_wait(wishes: &[Revocation], latest: Day) -> bool {
    wishes.iter().all(|wish| match wish {
        Revocation::Session { day, .. } | Revocation::CutOff { day, .. } => *day <= latest,
        Revocation::Everybody => true,
        Revocation::Floor { .. } | Revocation::Key { .. } => false,
    })
}

/// The position of wishes that wait: at or above that of every session that can have begun in this process,
/// by the store's clock as it is known here, and above what was given out or applied before.
#[must_use]
pub fn position_here(clock: Position, highest: Position) -> Position {
    clock.max(highest.next())
}

/// Whether it ends sessions by their birth: published later, it lies above all that are born until then.
#[must_use]
pub const fn cuts_off(record: &Record) -> bool {
    matches!(record, Record::CutOff { .. } | Record::Everybody { .. })
}

/// What is owed to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// To be published, each once.
    pub wishes: Vec<Revocation>,
    /// The positions given out from now on must be above this one, so that nothing that is enforced here
    /// reaches further than what is published. 0 if nothing cuts off.
    pub above: Position,
}

/// What is owed of what waits. Wishes for days that are over concern nobody any more.
#[must_use]
pub fn owed(waiting: &[Waiting], today: Day) -> Owed {
    let mut owed = Owed::default();
    for Waiting { record, .. } in waiting {
        let over = record.day().is_some_and(|day| day < today);
        let Some(wish) = record.wish().filter(|wish| !over && !owed.wishes.contains(wish)) else { continue };
        owed.wishes.push(wish);
    }
    owed.above = reach(waiting);
    owed
}

/// How far what is enforced here reaches: the highest position of a cut-off that waits.
#[must_use]
pub fn reach(waiting: &[Waiting]) -> Position {
    let positions = waiting.iter().filter_map(|waiting| match waiting.record {
        Record::CutOff { position, .. } | Record::Everybody { position } => Some(position),
        _ => None,
    });
    positions.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{KeyId, ShortId, Tag};
    use crate::rotation::{KeyRecord, KeyState};

    const PLACE: &str = "redis://127.0.0.1:6379";

    fn now(millis: u64) -> Now {
        Now { millis, boot: Duration::ZERO }
    }

    fn session(id: u64, day: u32) -> Record {
        Record::Session { id: ShortId(id), day: Day(day) }
    }

    #[test]
    fn a_file_speaks_for_a_lost_list_for_an_hour_and_for_no_other() {
        let at = 1_795_447_200_000;
        let origin = Origin { place: PLACE.into(), life: Incarnation(7), position: Position(90), at };
        let records = vec![session(1, 20_000), session(2, 19_999), Record::Everybody { position: Position(3) }];
        let snapshot = Snapshot { origin: Some(origin), records: records.into(), ..Snapshot::default() };
        let hour = 3_600_000;
        for within in [at, at + hour, at - hour] {
            let memory = snapshot.memory(PLACE, now(within));
            assert_eq!((memory.known, memory.doubt), (Some(Incarnation(7)), None), "{within}");
            assert_eq!((memory.highest, memory.last), (Position(90), Day(20_000)));
        }
        for (place, millis, why) in [
            (PLACE, at + hour + 1, "last in touch at 2026-11-23T15:20:00Z, is too old"),
            (PLACE, at - hour - 1, "is too old"),
            ("redis://elsewhere", at, "is of the list at redis://127.0.0.1:6379"),
        ] {
            let memory = snapshot.memory(place, now(millis));
            assert_eq!((memory.known, memory.highest), (None, Position(90)));
            assert!(memory.doubt.is_some_and(|doubt| doubt.contains(why)));
        }
        let not_whole = Snapshot { origin: None, ..snapshot };
        assert_eq!(not_whole.memory(PLACE, now(at)), Memory { last: Day(20_000), ..Memory::default() });
    }

    #[test]
    fn what_ends_sessions_may_wait_and_nothing_else() {
        let (id, tag, day) = (ShortId(1), Tag(2), Day(5));
        let sessions = [Revocation::Session { id, day }, Revocation::CutOff { tag, day }, Revocation::Everybody];
        let record = KeyRecord::new(KeyState::Retired, 1);
        for other in [Revocation::Floor { id, floor: 1, day }, Revocation::Key { key: KeyId([1; 4]), record }] {
            assert!(!can_wait(&[sessions[0], other], day));
        }
        assert!(can_wait(&sessions, day) && can_wait(&[], day));
        assert!(!can_wait(&sessions[..1], Day(4)) && !can_wait(&sessions[1..2], Day(4)), "for ever");
    }

    #[test]
    fn a_cut_off_here_reaches_every_session_that_began_here() {
        // Born right above an earlier cut-off, while the clock stood still.
        let earlier = position_here(Position(100), Position(40));
        let born = earlier.next();
        assert!(position_here(Position(100), earlier) >= born);
        assert_eq!(position_here(Position(500), earlier), Position(500));
    }

    #[test]
    fn each_wish_is_owed_once_above_all_that_is_enforced_here() {
        let cut = |position| Record::CutOff { tag: Tag(2), position: Position(position), day: Day(9) };
        let records = [session(1, 9), cut(50), session(1, 9), cut(70), session(3, 8)];
        let waiting: Vec<_> = (1..).zip(records).map(|(seq, record)| Waiting { seq, record }).collect();
        let Owed { wishes, above } = owed(&waiting, Day(9));
        assert_eq!(wishes, [session(1, 9), cut(0)].map(|record| record.wish().unwrap()));
        assert_eq!(above, Position(70));
        assert_eq!(owed(&waiting[..1], Day(9)).above, Position(0));
        assert_eq!(owed(&[], Day(9)), Owed::default());
    }

    #[test]
    fn a_record_knows_the_wish_it_came_from() {
        let (id, tag, day) = (ShortId(1), Tag(2), Day(5));
        let record = KeyRecord::new(KeyState::Retired, 1);
        for wish in [
            Revocation::Session { id, day },
            Revocation::Floor { id, floor: 3, day },
            Revocation::CutOff { tag, day },
            Revocation::Everybody,
            Revocation::Key { key: KeyId([1; 4]), record },
        ] {
            assert_eq!(wish.at(Position(77)).wish(), Some(wish));
        }
        assert_eq!(Record::Forgotten { day, position: Position(1) }.wish(), None);
    }
}
