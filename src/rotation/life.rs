//! The life of a store, and the standing of a node.
//!
//! A store that lost something (flushed, restored, failed over) begins a new life. It is *whole* again when
//! everybody who may remember more has given it back: the members that it knows have, or have lapsed; and one of
//! them is a witness, a node that served through the loss. No decision was taken without it, so it knows all of
//! them. Without a witness, the nodes that the store no longer knows get a lease's time to come forward: then they
//! have, or have stopped serving. Nobody begins to serve from a store that is not whole. No gate opens on it either,
//! nor before that time is over: there may be nodes that it does not know, and would not ask.
//!
//! ```text
//!            a beat on a whole store            silent beyond the lease
//!  Joining ─────────────────────────► Serving ──────────────────────────► Fenced
//!            (registered before)         ▲   a beat on a whole store        │
//!                                        └──────────────────────────────────┘
//! ```

use std::time::Duration;

use crate::time::Seconds;

use super::member::Member;
use super::refusal::Refusal;

/// What is known of a store's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it began with a loss, by the store's clock; 0 for the first life.
    pub began: Seconds,
    /// Whether the store has noted that everybody gave back what it lost. Once true, it stays so until the next
    /// loss. Gates open a lease after `began` all the same, whatever was noted before.
    pub whole: bool,
}

/// Whether a store that lost something is whole again, given its members and the age of its new life.
///
/// # Errors
///
/// [`Refusal::Owing`] with the nodes that are waited for, [`Refusal::Settling`] with the time that is left.
pub fn heal(members: &[Member], age: Duration, lease: Duration) -> Result<(), Refusal> {
    let owes = |member: &&Member| !member.gave_back && !member.lapsed;
    let owing: Vec<_> = members.iter().filter(owes).map(|member| member.name.clone()).collect();
    if !owing.is_empty() {
        return Err(Refusal::Owing(owing));
    }
    if members.iter().any(|member| member.gave_back && member.served) { Ok(()) } else { settled(age, lease) }
}

/// Whether the nodes that the store may have forgotten have come forward, or have stopped serving.
///
/// # Errors
///
/// [`Refusal::Settling`] with the time that is left.
pub fn settled(age: Duration, lease: Duration) -> Result<(), Refusal> {
    match lease.checked_sub(age) {
        Some(left) if !left.is_zero() => Err(Refusal::Settling(left)),
        _ => Ok(()),
    }
}

/// Whether a node may open and seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It has not read the list yet.
    Joining,
    /// It serves.
    Serving,
    /// It was silent beyond its lease: it may be left out of every decision, so it must not serve.
    Fenced,
}

impl Standing {
    /// After a beat that gave back whatever the store lacked. `registered`: whether the store had the node's
    /// name before it read the list.
    #[must_use]
    pub const fn after_beat(self, registered: bool, whole: bool) -> Self {
        match self {
            Self::Joining if registered && whole => Self::Serving,
            Self::Fenced if whole => Self::Serving,
            same => same,
        }
    }

    /// After a silence, measured on a clock that counts suspend from the start of the last beat.
    #[must_use]
    pub fn after_silence(self, silence: Duration, lease: Duration) -> Self {
        match self {
            Self::Serving if silence > lease => Self::Fenced,
            same => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn member(name: &str, gave_back: bool, lapsed: bool) -> Member {
        Member { name: name.into(), gave_back, lapsed, ..Member::default() }
    }

    #[test]
    fn a_store_is_whole_when_everyone_gave_back_and_strangers_had_their_time() {
        let members = [member("a", true, false), member("b", false, false), member("c", false, true)];
        assert_eq!(heal(&members, LEASE, LEASE), Err(Refusal::Owing(vec!["b".into()])));
        let rest = [members[0].clone(), members[2].clone()];
        let second = Duration::from_secs(1);
        assert_eq!(heal(&rest, LEASE.saturating_sub(second), LEASE), Err(Refusal::Settling(second)));
        assert_eq!(heal(&rest, LEASE, LEASE), Ok(()));
        let witness = Member { served: true, ..rest[0].clone() };
        assert_eq!(
            heal(&[witness.clone(), rest[1].clone()], Duration::ZERO, LEASE),
            Ok(()),
            "it knows all that was decided"
        );
        assert!(
            heal(&[witness.clone(), members[1].clone()], LEASE, LEASE).is_err(),
            "others may know more of other things"
        );
        let silent = Member { gave_back: false, lapsed: true, ..witness };
        assert!(heal(&[silent], Duration::ZERO, LEASE).is_err(), "it has not said what it knows");
    }

    #[test]
    fn nobody_begins_to_serve_from_a_store_that_is_not_whole() {
        use Standing::{Fenced, Joining, Serving};
        for (before, registered, whole, after) in [
            (Joining, true, true, Serving),
            (Joining, false, true, Joining),
            (Joining, true, false, Joining),
            (Fenced, true, true, Serving),
            (Fenced, true, false, Fenced),
            (Serving, true, false, Serving),
        ] {
            assert_eq!(before.after_beat(registered, whole), after, "{before:?} {registered} {whole}");
        }
    }

    #[test]
    fn a_silent_node_stops_by_itself() {
        let just_over = LEASE + Duration::from_millis(1);
        assert_eq!(Standing::Serving.after_silence(LEASE, LEASE), Standing::Serving);
        assert_eq!(Standing::Serving.after_silence(just_over, LEASE), Standing::Fenced);
        assert_eq!(Standing::Joining.after_silence(just_over, LEASE), Standing::Joining);
    }
}
