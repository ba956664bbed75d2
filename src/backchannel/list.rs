//! Where logouts go: what turns names into tags, remembers, and publishes.

use std::sync::Arc;

use crate::core::Core;
use crate::id::{Tag, TagKind};
use crate::operator::Operator;
use crate::revocation::store::StoreFuture;
use crate::revocation::{Receipt, Revocation};
use crate::session::Payload;
use crate::sessions::Sessions;
use crate::time::{Day, Now};

/// A revocation list that is open: that of [`Sessions`], or that of an [`Operator`], which has no sessions of its own.
pub trait LogoutList: Send + Sync + 'static {
    /// The time by which tokens are judged.
    fn now(&self) -> Now;

    /// The keyed hash of a name, for the app whose list this is.
    fn tag_of(&self, kind: TagKind, name: &[&str]) -> Tag;

    /// Reads what is new in the list, and says whether this tag is cut off in it.
    fn is_cut_off(&self, tag: Tag) -> StoreFuture<'_, bool>;

    /// The last day on which a session that exists by now can be alive, as far as this process knows; the store knows
    /// better, and raises it.
    fn last_day(&self) -> Day {
        self.now().seconds().day()
    }

    /// Publishes, and applies here.
    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt>;
}

impl LogoutList for Core {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn tag_of(&self, kind: TagKind, name: &[&str]) -> Tag {
        Self::tag_of(self, kind, name)
    }

    fn is_cut_off(&self, tag: Tag) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.follow.beat(false).await?;
            Ok(self.replica.view().list.cut_off(tag).is_some())
        })
    }

    fn last_day(&self) -> Day {
        Self::last_day(self)
    }

    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        Box::pin(Self::publish(self, revocations))
    }
}

impl<T: Payload> LogoutList for Sessions<T> {
    fn now(&self) -> Now {
        LogoutList::now(&*self.core)
    }

    fn tag_of(&self, kind: TagKind, name: &[&str]) -> Tag {
        LogoutList::tag_of(&*self.core, kind, name)
    }

    fn is_cut_off(&self, tag: Tag) -> StoreFuture<'_, bool> {
        self.core.is_cut_off(tag)
    }

    fn last_day(&self) -> Day {
        LogoutList::last_day(&*self.core)
    }

    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        LogoutList::publish(&*self.core, revocations)
    }
}

impl LogoutList for Arc<Operator> {
    fn now(&self) -> Now {
        Operator::now(self)
    }

    fn tag_of(&self, kind: TagKind, name: &[&str]) -> Tag {
        self.list_key().tag_of(self.app(), kind, name)
    }

    fn is_cut_off(&self, tag: Tag) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self.view().list.cut_off(tag).is_some())
        })
    }

    fn publish<'a>(&'a self, revocations: &'a [Revocation]) -> StoreFuture<'a, Receipt> {
        Box::pin(Operator::publish(self, revocations))
    }
}
