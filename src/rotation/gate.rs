//! The gates: what may happen to a key next. Each answers the records to publish, or who is waited for.
//!
//! | step | wants |
//! |---|---|
//! | stage | an id that is new, no other staged key, a whole store |
//! | promote | every live node opens with it; two holders; a whole store |
//! | recall | active, and another one seals; a whole store |
//! | retire | every live node seals with the newest; two know that promotion; the longest session is over; a whole store |
//! | destroy | retired for the restore window |
//! | abort | staged, and certainly never promoted; a whole store |
//! | compromise | nothing: security before comfort |

use std::collections::BTreeSet;
use std::time::Duration;

use crate::id::KeyId;
use crate::time::Seconds;

use super::life::{Life, heal, settled};
use super::list::{KeyRecord, KeyState, Rotation};
use super::member::{Member, everyone, outlives_one};
use super::refusal::Refusal;

/// Records to publish, all or none.
pub type Change = Vec<(KeyId, KeyRecord)>;

/// The spans that gates wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// H: a node that was silent for longer has stopped serving.
    pub lease: Duration,
    /// The longest life that any cookie of the app can have.
    pub longest: Duration,
    /// How long the bytes of a key are kept that is out of service.
    pub keep: Duration,
}

/// All that a gate looks at, read from the store at once.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// Where each key stands.
    pub list: &'a Rotation,
    /// Every registered node, lapsed ones among them.
    pub members: &'a [Member],
    /// The store's life.
    pub life: Life,
    /// The store's clock.
    pub now: Seconds,
    /// The spans.
    pub terms: Terms,
}

impl Fleet<'_> {
    /// A new key begins its way to the nodes.
    ///
    /// # Errors
    ///
    /// [`Refusal::Taken`], [`Refusal::Staged`], [`Refusal::Seals`] for a file that nodes use already, or the
    /// store is not whole.
    pub fn stage(&self, key: KeyId) -> Result<Change, Refusal> {
        self.stage_at(key, self.now)
    }

    /// The same for a key that was staged before the store lost its record. It is dated before this life of the store,
    /// so that it cannot be [taken back](Self::abort): its promotion may be among what was lost.
    ///
    /// # Errors
    ///
    /// As [`Fleet::stage`].
    pub fn stage_again(&self, key: KeyId) -> Result<Change, Refusal> {
        self.stage_at(key, Seconds(self.life.began.0.saturating_sub(1)))
    }

    fn stage_at(&self, key: KeyId, mark: Seconds) -> Result<Change, Refusal> {
        self.whole()?;
        if self.list.record(key).is_some() {
            return Err(Refusal::Taken(key));
        }
        if let Some(staged) = self.list.staged() {
            return Err(Refusal::Staged(staged));
        }
        if self.alive().any(|member| member.sealing == Some(key)) {
            return Err(Refusal::Seals(key));
        }
        Ok(vec![(key, KeyRecord { state: KeyState::Staged, promotion: 0, mark })])
    }

    /// An older key is about to be promoted again: that is how one goes back. Every node has to know before it
    /// is, so that nobody takes it for drained if the store forgets the promotion.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::Seals`], or the store is not whole.
    pub fn recall(&self, key: KeyId) -> Result<Change, Refusal> {
        self.whole()?;
        let record = self.expect(key, &[KeyState::Active], "active")?;
        if self.list.newest() == Some(key) {
            return Err(Refusal::Seals(key));
        }
        // The first lease is for the promotion to arrive everywhere, the others for the nodes to answer before.
        Ok(vec![(key, KeyRecord { mark: self.now.after(3 * self.terms.lease), ..record })])
    }

    /// The key becomes the one that seals. One that was active before has to be [recalled](Self::recall) first,
    /// a lease or two before this.
    ///
    /// A key that has no record can be promoted too, if every live node has loaded its file.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::Seals`], [`Refusal::Waiting`], [`Refusal::Holders`], or the store is not whole.
    pub fn promote(&self, key: KeyId) -> Result<Change, Refusal> {
        self.whole()?;
        self.opens(key)?;
        if self.list.newest() == Some(key) {
            return Err(Refusal::Seals(key));
        }
        let active = self.list.record(key).filter(|record| record.state == KeyState::Active);
        let recalled = active.map_or(Seconds(0), |_| self.now.after(self.terms.lease));
        let ready = |member: &Member| member.has(key).and_then(|()| member.knows_mark(key, recalled));
        let holders = everyone(self.members, ready).map_err(Refusal::Waiting)?;
        self.outlives_one(holders)?;
        let mut change = self.superseded(key);
        change.push((key, KeyRecord::new(KeyState::Active, self.list.next_promotion())));
        Ok(change)
    }

    /// Nodes stop opening with the key.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::Seals`], [`Refusal::Waiting`], [`Refusal::Holders`],
    /// [`Refusal::Draining`], or the store is not whole.
    pub fn retire(&self, key: KeyId) -> Result<Change, Refusal> {
        let (newest, record) = self.superseded_by(key)?;
        everyone(self.members, |member| member.seals_with(newest)).map_err(Refusal::Waiting)?;
        let until = record.mark.after(self.terms.longest);
        if self.now < until {
            return Err(Refusal::Draining(until));
        }
        Ok(retired(key, record, self.now))
    }

    /// The same because the operator insists: whoever still holds a cookie under it must log in again.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::Seals`], [`Refusal::Holders`], or the store is not whole: what one crash
    /// would undo cannot be had by insisting.
    pub fn retire_now(&self, key: KeyId) -> Result<Change, Refusal> {
        let (_, record) = self.superseded_by(key)?;
        Ok(retired(key, record, self.now))
    }

    /// The key's bytes are erased everywhere; its id stays.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::Kept`].
    pub fn destroy(&self, key: KeyId) -> Result<Change, Refusal> {
        let record = self.expect(key, &[KeyState::Retired], "retired")?;
        let until = record.mark.after(self.terms.keep);
        if self.now < until {
            return Err(Refusal::Kept(until));
        }
        Ok(vec![(key, KeyRecord { state: KeyState::Destroyed, ..record })])
    }

    /// Takes a staged key back.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::MayHaveSealed`], or the store is not whole.
    pub fn abort(&self, key: KeyId) -> Result<Change, Refusal> {
        self.whole()?;
        let record = self.expect(key, &[KeyState::Staged], "staged")?;
        if record.mark < self.life.began {
            return Err(Refusal::MayHaveSealed(key));
        }
        Ok(retired(key, record, self.now))
    }

    /// The same for one that may have sealed, where somebody insists because its bytes are lost and no node has it:
    /// it can go neither on nor back otherwise. Should a node come back that sealed with it, its sessions are over.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`], [`Refusal::MayHaveSealed`] while a registered node has it, or the store is not whole.
    pub fn abort_lost(&self, key: KeyId) -> Result<Change, Refusal> {
        self.whole()?;
        let record = self.expect(key, &[KeyState::Staged], "staged")?;
        if self.members.iter().any(|member| member.has(key).is_ok()) {
            return Err(Refusal::MayHaveSealed(key));
        }
        Ok(retired(key, record, self.now))
    }

    /// The key is known to others: it is denied, and the replacement seals. To be published together with the
    /// cut-off of everybody, because a forged cookie may have been sealed again under the next key.
    ///
    /// It waits for nobody. Nodes that have not got the replacement ask for it when they meet it.
    ///
    /// # Errors
    ///
    /// [`Refusal::State`] for a replacement that no longer opens, [`Refusal::Leaked`].
    pub fn compromise(&self, leaked: KeyId, replacement: Option<KeyId>) -> Result<Change, Refusal> {
        let mut change = Vec::new();
        if let Some(key) = replacement {
            if key == leaked {
                return Err(Refusal::Leaked(key));
            }
            self.opens(key)?;
            change = self.superseded(key);
            change.retain(|(superseded, _)| *superseded != leaked);
            change.push((key, KeyRecord::new(KeyState::Active, self.list.next_promotion())));
        }
        change.push((leaked, KeyRecord::new(KeyState::Compromised, 0)));
        Ok(change)
    }

    /// What seals in the place of a leaked key that is denied already, if that is what is wanted: then nothing is left to
    /// do. The cut-off of everybody was published in the same write.
    #[must_use]
    pub fn replaced(&self, leaked: KeyId, wanted: Option<KeyId>) -> Option<KeyId> {
        let is_denied = self.list.record(leaked).is_some_and(|record| record.state == KeyState::Compromised);
        self.list.newest().filter(|key| is_denied && wanted.is_none_or(|wanted| wanted == *key))
    }

    /// What can replace a leaked key at once: the newest other key with which every live node opens.
    #[must_use]
    pub fn replacement(&self, leaked: KeyId) -> Option<KeyId> {
        let others = self.list.records().filter(|(key, record)| *key != leaked && record.state.opens());
        let held = others.filter(|(key, _)| everyone(self.members, |member| member.has(*key)).is_ok());
        held.max_by_key(|&(key, record)| (record.state, record.promotion, key)).map(|(key, _)| key)
    }

    /// Whether a compromise is complete: every live node denies the key, and no single crash undoes that.
    /// Answers how many nodes confirmed.
    ///
    /// # Errors
    ///
    /// [`Refusal::Waiting`] with those that have not heard, [`Refusal::Holders`], or the store is not whole: then
    /// nodes that it does not know may serve and not have heard.
    pub fn compromised(&self, key: KeyId) -> Result<usize, Refusal> {
        self.whole()?;
        let holders =
            everyone(self.members, |member| member.knows(key, KeyState::Compromised)).map_err(Refusal::Waiting)?;
        self.outlives_one(holders)?;
        Ok(holders)
    }

    /// What a node publishes whose beat finds it sealing with another key than the newest, because it has not
    /// got that one: cookies under this one may be born for another lease. Nothing while that is known.
    #[must_use]
    pub fn still_seals(&self, key: KeyId) -> Option<Change> {
        let record = self.list.record(key).unwrap_or(KeyRecord::new(KeyState::Active, 0));
        let late = self.list.newest().is_some_and(|newest| newest != key) && record.state == KeyState::Active;
        let known = record.mark >= self.now.after(self.terms.lease / 2);
        (late && !known).then(|| vec![(key, KeyRecord { mark: self.now.after(self.terms.lease), ..record })])
    }

    /// Whether the store has everything that anybody remembers, and nobody serves whom it does not know. Else
    /// what it waits for.
    fn whole(&self) -> Result<(), Refusal> {
        let age = self.life.began.until(self.now);
        if self.life.whole && age >= self.terms.lease {
            return Ok(());
        }
        heal(self.members, age, self.terms.lease)?;
        settled(age, self.terms.lease)?;
        // Everybody has given back, and the store has yet to note it.
        Err(Refusal::Settling(Duration::from_secs(1)))
    }

    fn outlives_one(&self, holders: usize) -> Result<(), Refusal> {
        if outlives_one(self.members, holders) { Ok(()) } else { Err(Refusal::Holders(holders)) }
    }

    fn state(&self, key: KeyId) -> Option<KeyState> {
        self.list.record(key).map(|record| record.state)
    }

    fn alive(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.lapsed)
    }

    /// Refuses a key that is known to be out of service.
    fn opens(&self, key: KeyId) -> Result<(), Refusal> {
        match self.state(key) {
            Some(state) if !state.opens() => {
                Err(Refusal::State { key, state: Some(state), wanted: "new, staged or active" })
            }
            _ => Ok(()),
        }
    }

    fn expect(&self, key: KeyId, states: &[KeyState], wanted: &'static str) -> Result<KeyRecord, Refusal> {
        let record = self.list.record(key);
        record.filter(|record| states.contains(&record.state)).ok_or(Refusal::State {
            key,
            state: self.state(key),
            wanted,
        })
    }

    /// The key that took over from an active one, when no single crash can undo that.
    fn superseded_by(&self, key: KeyId) -> Result<(KeyId, KeyRecord), Refusal> {
        self.whole()?;
        let record = self.expect(key, &[KeyState::Active], "active")?;
        let newest = self.list.newest().filter(|newest| *newest != key).ok_or(Refusal::Seals(key))?;
        let knows = |member: &&Member| member.knows(newest, KeyState::Active).is_ok();
        self.outlives_one(self.alive().filter(knows).count())?;
        Ok((newest, record))
    }

    /// The keys that a promotion takes over from: nodes seal with them until they hear of it, for a lease at
    /// most. Of files without a record nobody knows when they last sealed, so they count too.
    fn superseded(&self, by: KeyId) -> Change {
        let unrecorded = |key: &&KeyId| self.list.record(**key).is_none();
        let files = self.alive().flat_map(|member| member.holds.keys().filter(unrecorded).copied());
        let sealing = self.alive().filter_map(|member| member.sealing);
        let keys: BTreeSet<_> = sealing.chain(files).chain(self.list.newest()).filter(|key| *key != by).collect();
        let mark = self.now.after(self.terms.lease);
        let record = |key| self.list.record(key).unwrap_or(KeyRecord::new(KeyState::Active, 0));
        keys.into_iter().map(|key| (key, KeyRecord { mark, ..record(key) })).collect()
    }
}

/// Out of service from now on; a staged key too.
fn retired(key: KeyId, record: KeyRecord, now: Seconds) -> Change {
    vec![(key, KeyRecord { state: KeyState::Retired, mark: now, ..record })]
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
