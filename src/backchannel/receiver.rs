//! From a token's bytes to a cut-off that is committed. Free of HTTP.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::error::Error;
use crate::id::{Tag, TagKind};
use crate::io::jwks::{Jwks, NoKeys};
use crate::logout_token::{LogoutRequest, Refusal, Rules, Scope, Unverified};
use crate::quota::Seldom;
use crate::revocation::{Durability, Receipt, Revocation};
use crate::time::Seconds;

use super::Provider;
use super::list::LogoutList;

/// Receives the logout tokens of one provider. Cheap to clone; make one and share it.
///
/// [`route`](super::route) is this behind HTTP. Other frameworks call [`Receiver::receive`].
#[derive(Clone)]
pub struct Receiver(Arc<Inner>);

struct Inner {
    list: Box<dyn LogoutList>,
    rules: Rules,
    keys: Jwks,
    refused: Seldom,
    not_kept: Seldom,
}

/// What a good token wants.
pub(crate) struct Wanted {
    /// `session` or `subject`, at the provider.
    pub(crate) scope: &'static str,
    /// Who is cut off.
    pub(crate) tag: Tag,
    /// That this token was acted on.
    mark: Tag,
    expires: Seconds,
}

/// Why there was no logout.
#[derive(Debug)]
pub enum Failure {
    /// The token is not acted on, now or later: 400.
    Refused(Refusal),
    /// It may be a good token, and the logout was not kept: 503. The sessions are alive.
    Unavailable {
        /// When it is worth trying again.
        retry_after: Duration,
    },
}

/// When a list that cannot be written is worth trying again.
const RETRY: Duration = Duration::from_secs(2);

impl Receiver {
    /// Checks the provider's configuration, and reads its keys if they are in a file.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], with what to write instead.
    pub fn new(list: impl LogoutList, provider: Provider) -> Result<Self, Error> {
        let (rules, keys) = provider.check()?;
        Ok(Self(Arc::new(Inner {
            list: Box::new(list),
            rules,
            keys,
            refused: Seldom::default(),
            not_kept: Seldom::default(),
        })))
    }

    /// Verifies a logout token and ends the sessions that it means. When this returns a receipt, the cut-off is
    /// committed, and in force in this process.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn receive(&self, token: &[u8]) -> Result<Receipt, Failure> {
        let received = async { self.act(self.judge(token).await?).await };
        received.instrument(tracing::info_span!("backchannel_logout")).await
    }

    /// Verifies a token: what it wants, of which nothing is done yet.
    pub(crate) async fn judge(&self, token: &[u8]) -> Result<Wanted, Failure> {
        self.wanted(token).await.inspect_err(|failure| self.tell(failure))
    }

    /// Does what a token wants. The cut-off is committed when this returns a receipt.
    pub(crate) async fn act(&self, wanted: Wanted) -> Result<Receipt, Failure> {
        self.end(wanted).await.inspect_err(|failure| self.tell(failure))
    }

    /// A request that brought no token.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Failure {
        let failure = refusal.into();
        self.tell(&failure);
        failure
    }

    /// Says in the log why there was no logout. Anybody can send junk, so some of it is counted only.
    fn tell(&self, failure: &Failure) {
        let Inner { list, refused, not_kept, .. } = &*self.0;
        let (now, skipped) = (list.now(), NonZeroU64::new);
        match failure {
            Failure::Refused(refusal) => {
                let Some(skipped) = refused.say(now).map(skipped) else { return };
                let (code, cause, fix) = (refusal.code(), refusal.cause(), refusal.fix());
                tracing::warn!(refusal = code, cause, fix, skipped, "a provider's logout was refused");
            }
            Failure::Unavailable { retry_after } => {
                let Some(skipped) = not_kept.say(now).map(skipped) else { return };
                let retry_after = retry_after.as_secs();
                tracing::warn!(
                    retry_after,
                    skipped,
                    "a provider's logout was not kept; the provider was told to try again"
                );
            }
        }
    }

    async fn wanted(&self, token: &[u8]) -> Result<Wanted, Failure> {
        let Inner { list, rules, .. } = &*self.0;
        let now = list.now().seconds();
        let request = self.verify(token, now).await?;
        let issuer = rules.issuer.as_str();
        // Step 8 of section 2.6. Known to every process on the list, because it is in the list.
        let mark = list.tag_of(TagKind::LogoutToken, &[issuer, request.token_id()]);
        if list.is_cut_off(mark).await.map_err(not_kept)? {
            return Err(Refusal::Replayed.into());
        }
        let (scope, expires) = (request.scope().name(), request.expires());
        let tag = match request.scope() {
            Scope::Session(session) => list.tag_of(TagKind::ProviderSession, &[issuer, session]),
            Scope::Subject(subject) => list.tag_of(TagKind::ProviderSubject, &[issuer, subject]),
        };
        Ok(Wanted { scope, tag, mark, expires })
    }

    async fn end(&self, wanted: Wanted) -> Result<Receipt, Failure> {
        let (list, Wanted { scope, tag, mark, expires }) = (&self.0.list, wanted);
        // Both or none: a token whose logout was not kept can come again, one whose logout was kept cannot.
        let day = list.last_day().max(expires.day());
        let cut_offs = [tag, mark].map(|tag| Revocation::CutOff { tag, day });
        let receipt = list.publish(&cut_offs).await.map_err(not_kept)?;
        if receipt.durability < Durability::Committed {
            return Err(Failure::Unavailable { retry_after: RETRY });
        }
        let durability = receipt.durability.name();
        tracing::info!(scope, durability, "logged out by the provider");
        Ok(receipt)
    }

    async fn verify(&self, token: &[u8], now: Seconds) -> Result<LogoutRequest, Failure> {
        let Inner { rules, keys, .. } = &*self.0;
        // Whatever needs no key is refused before anybody asks for one.
        let token = Unverified::parse(token, rules)?;
        let asked = keys.asked();
        let known = keys.keys(asked).await?;
        let refusal = match token.verify(rules, &known, now) {
            Err(refusal) if refusal.may_be_for_lack_of_keys() => refusal,
            judged => return Ok(judged?),
        };
        match keys.newer(asked).await {
            Ok(newer) => Ok(token.verify(rules, &newer, now)?),
            // A key that is not among those known may be among those that the provider has by now.
            Err(none) if refusal == Refusal::UnknownKey => Err(none.into()),
            Err(_) => Err(refusal.into()),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn not_kept(error: Error) -> Failure {
    tracing::error!(%error, "the list of revocations does not take a provider's logout");
    Failure::Unavailable { retry_after: RETRY }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NoKeys> for Failure {
    fn from(NoKeys { retry_after }: NoKeys) -> Self {
        Self::Unavailable { retry_after }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("rules", &self.0.rules).field("keys", &self.0.keys).finish_non_exhaustive()
    }
}
