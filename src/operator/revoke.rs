//! Taking sessions back.

use std::time::Duration;

use crate::config::MAX_LIFETIME;
use crate::error::Error;
use crate::id::{Handle, Tag, TagKind};
use crate::io::in_force::{self, Reached, Wish};
use crate::revocation::replica::remembered;
use crate::revocation::{Progress, Receipt, Revocation, Stand};
use crate::time::Day;

use super::{Operator, Scope, SessionName};

impl Operator {
    /// Whom a scope concerns, as list and audit call it: a session's handle or id, or the keyed hash of a name.
    /// Nothing for all.
    #[must_use]
    pub fn target(&self, scope: &Scope) -> Option<String> {
        match scope {
            Scope::All => None,
            Scope::Session(SessionName::Handle(handle)) => Some(handle.to_string()),
            Scope::Session(SessionName::Bare(id)) => Some(id.to_string()),
            Scope::Subject(name) => Some(self.tag(TagKind::Subject, name).to_string()),
            Scope::Tenant(name) => Some(self.tag(TagKind::Tenant, name).to_string()),
            Scope::Label(name) => Some(self.tag(TagKind::Label, name).to_string()),
        }
    }

    /// The keyed hash under which a name stands in the list.
    #[must_use]
    pub fn tag(&self, kind: TagKind, name: &str) -> Tag {
        self.list_key.tag(&self.app, kind, name)
    }

    /// What a revocation of this scope would write. Positions are the store's to give, so there are none yet.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for an empty name or a session that cannot be alive, [`Error::Store`] when the list
    /// cannot be read.
    pub async fn plan(&self, scope: &Scope) -> Result<Vec<Revocation>, Error> {
        let (kind, name) = match scope {
            Scope::All => return Ok(vec![Revocation::Everybody]),
            Scope::Session(SessionName::Handle(Handle { id, day })) => {
                self.must_be_possible(*day)?;
                return Ok(vec![Revocation::Session { id: *id, day: *day }]);
            }
            Scope::Session(SessionName::Bare(id)) => {
                let days = self.now().seconds().day().0..=self.last_day().await?.0;
                return Ok(days.map(|day| Revocation::Session { id: *id, day: Day(day) }).collect());
            }
            Scope::Subject(name) => (TagKind::Subject, name),
            Scope::Tenant(name) => (TagKind::Tenant, name),
            Scope::Label(name) => (TagKind::Label, name),
        };
        if name.is_empty() {
            return Err(Error::usage("the name is empty", "Write whose sessions are to be revoked"));
        }
        Ok(vec![Revocation::CutOff { tag: self.tag(kind, name), day: self.last_day().await? }])
    }

    /// Revokes. There is no way to undo it but logging in again.
    ///
    /// # Errors
    ///
    /// As [`Operator::plan`], and [`Error::Store`] when the list cannot be written: then nothing was revoked.
    pub async fn revoke(&self, scope: &Scope) -> Result<Receipt, Error> {
        self.publish(&self.plan(scope).await?).await
    }

    /// Publishes what was planned, here or elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be written: then nothing was revoked.
    pub async fn publish(&self, revocations: &[Revocation]) -> Result<Receipt, Error> {
        let receipt = self.store.publish(revocations).await?;
        self.replica.load().apply(&receipt.records, receipt.position);
        Ok(receipt)
    }

    /// Waits until a publication is worth more than being committed.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be asked.
    pub async fn wait(
        &self,
        receipt: &Receipt,
        wish: Wish,
        on_progress: impl FnMut(&Progress, Duration) + Send,
    ) -> Result<Reached, Error> {
        in_force::wait(&*self.store, &self.clock, receipt, wish, on_progress).await
    }

    /// Looks once how far a publication has come, whose records stand at `stand` now ([`in_force::look`]).
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be asked.
    pub async fn look(&self, receipt: &Receipt, stand: &mut Stand) -> Result<Progress, Error> {
        in_force::look(&*self.store, stand, receipt).await
    }

    /// A day that no session of today can end on was mistyped; written to the list it would revoke nothing.
    fn must_be_possible(&self, day: Day) -> Result<(), Error> {
        let today = self.now().seconds();
        let possible = today.day()..=today.after(MAX_LIFETIME).day();
        if remembered(self.now()) == day || possible.contains(&day) {
            return Ok(());
        }
        Err(Error::usage(
            format!("no session that is alive today ends on {day}"),
            "Take the handle from the log or from `sealjar explain` as it stands there; a session that is over needs no revoking",
        ))
    }

    /// The last day on which a session that exists by now can be alive; 400 days on if no app ever said.
    async fn last_day(&self) -> Result<Day, Error> {
        let longest = self.profiles().await?.iter().map(|profile| profile.longest).max();
        Ok(self.now().seconds().after(longest.unwrap_or(MAX_LIFETIME)).day())
    }
}
