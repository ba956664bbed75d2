//! How a session ends because its user wants it to.

use crate::error::Error;
use crate::revocation::{Durability, Revocation};
use crate::verdict::Verdict;

use super::{Payload, Session, end_of};

impl<T: Payload> Session<T> {
    /// Ends this session: it is revoked, and the reply removes the cookie.
    ///
    /// Where the list's store is away and this node has an [own file](crate::Builder::own_file), this is
    /// [`Durability::Accepted`]: this process refuses every copy at once, the others when the store is back.
    /// It works then for a session with [`Verdict::ListUnavailable`] too: ending what may have ended before
    /// does no harm. Open such a route with `Sessions::open`, because `Sessions::require` lets only live
    /// sessions through.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the list cannot be written, nor an own file; [`Error::Key`] when the cookie names a
    /// key that is not here. The cookie is removed all the same, but a copy of it may still work until it expires
    /// or an operator revokes it: say so to the user. With [`Verdict::ListUnavailable`] it stays.
    pub async fn logout(&mut self) -> Result<Durability, Error> {
        if let Err(unknown) = self.writable() {
            if self.core.store.own_file().is_none() {
                return Err(unknown);
            }
            let accepted = self.revoke(&self.sealed().map(end_of).collect::<Vec<_>>()).await?;
            self.end();
            return Ok(accepted);
        }
        let revocations: Vec<_> = self.sealed().map(end_of).collect();
        self.end();
        if revocations.is_empty() && matches!(self.verdict, Verdict::UnknownKey | Verdict::TooLarge) {
            return Err(Error::key(
                format!("the session cannot be revoked, because its cookie was not read ({})", self.verdict),
                "Its cookie is removed; revoke the user's sessions if a copy may be about",
            ));
        }
        self.revoke(&revocations).await
    }

    /// Ends every session of this session's subject, on every device. Later logins are not touched.
    ///
    /// After [`Session::login`] in the same request it is the new subject's sessions: what a reset of a
    /// password wants. For a visitor, who has no subject, it is [`Session::logout`].
    ///
    /// # Errors
    ///
    /// As [`Session::logout`]; with [`Verdict::ListUnavailable`] it is always an error, because nobody can tell
    /// whether this session may still speak for its user. Where it is [`Durability::Accepted`], nobody can log
    /// in through this node until the list's store is back: the wish is published above all logins until then, and
    /// ends those at other nodes as well.
    pub async fn logout_everywhere(&mut self) -> Result<Durability, Error> {
        self.writable()?;
        let of_identity = self.identity().map(|identity| identity.claims.tags);
        let undecodable = self.aside.first().filter(|_| self.verdict == Verdict::Undecodable);
        let tags = of_identity.or(undecodable.map(|opened| opened.claims.tags));
        let Some(tag) = tags.and_then(|tags| tags.subject) else { return self.logout().await };
        let others = self.sealed().filter(|old| old.claims.tags.subject != Some(tag)).map(end_of);
        let day = self.core.last_day();
        let revocations: Vec<_> = others.chain([Revocation::CutOff { tag, day }]).collect();
        self.end();
        self.revoke(&revocations).await
    }

    /// Publishes wishes, which may wait in this node's own file. A session that was never sealed has no copies:
    /// nobody can come back with one.
    async fn revoke(&self, revocations: &[Revocation]) -> Result<Durability, Error> {
        if revocations.is_empty() {
            return Ok(Durability::InForce);
        }
        Ok(self.core.revoke(revocations).await?.durability)
    }
}
