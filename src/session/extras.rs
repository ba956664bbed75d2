//! What a session carries beside the app's data: messages for the next request, values to be taken once.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::Error;
use crate::id::Incarnation;
use crate::payload;
use crate::random;
use crate::revocation::{Once, OnceValue};
use crate::time::{Seconds, minutes};
use crate::wire::Suite;

/// Longest life of a one-time value.
const MAX_ONCE: Duration = minutes(10);
/// Most one-time values at a time; the cookie is small.
const MAX_OFFERS: usize = 4;

/// What came of taking a one-time value. Only the first taker gets it, and everybody is told why not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken<A> {
    /// The value, taken now and never again.
    First(A),
    /// This session holds no such value: none was offered, or this copy of the cookie is another one.
    Absent,
    /// It was taken before: this is an old copy of the cookie.
    Spent,
    /// It is too old.
    Expired,
    /// The revocation list was made anew since, so nobody knows whether it was taken.
    Foreign,
}

impl<A> Taken<A> {
    /// The value, if this was the first taker.
    pub fn first(self) -> Option<A> {
        match self {
            Self::First(value) => Some(value),
            _ => None,
        }
    }

    /// A stable name, `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.words().0
    }

    /// The likely cause, one sentence.
    #[must_use]
    pub const fn cause(&self) -> &'static str {
        self.words().1
    }

    /// What to do about it, one sentence.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        self.words().2
    }

    const fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::First(_) => ("first", "The value was taken for the first time.", "Nothing to do."),
            Self::Absent => (
                "absent",
                "This session holds no such value: none was offered to it, or its cookie is not the one that came with the offer.",
                "Ask for a new one, and send the cookie back that comes with it.",
            ),
            Self::Spent => (
                "spent",
                "The value was taken before; this is an older copy of the cookie.",
                "Ask for a new one; each can be used once.",
            ),
            Self::Expired => ("expired", "The value was offered too long ago.", "Ask for a new one and be quicker."),
            Self::Foreign => (
                "foreign",
                "The revocation list was made anew since the value was offered, so nobody knows whether it was taken.",
                "Ask for a new one.",
            ),
        }
    }
}

/// Encoded as MessagePack with short names, in front of the payload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Extras {
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    once: Vec<Offer>,
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    flashes: Vec<String>,
    #[serde(skip)]
    changed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Offer {
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "r")]
    nonce: u128,
    #[serde(rename = "i")]
    incarnation: u64,
    #[serde(rename = "e")]
    expires: u32,
    #[serde(rename = "v")]
    value: serde_json::Value,
}

impl Extras {
    /// What does not decode is left out: it was sealed by another version, and a message or a captcha is
    /// not worth refusing a session for.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        payload::decode(Suite::Encrypted, bytes).unwrap_or_default()
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        if !self.is_empty() {
            payload::encode(Suite::Encrypted, self, &mut bytes)?;
        }
        Ok(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.once.is_empty() && self.flashes.is_empty()
    }

    pub(super) const fn changed(&self) -> bool {
        self.changed
    }

    pub(super) fn flash(&mut self, message: String) {
        self.flashes.push(message);
        self.changed = true;
    }

    pub(super) fn take_flashes(&mut self) -> Vec<String> {
        self.changed |= !self.flashes.is_empty();
        std::mem::take(&mut self.flashes)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.once.iter().any(|offer| offer.name == name)
    }

    /// The same without values that were offered to whoever this was before.
    pub(super) fn without_once(&self) -> Self {
        Self { once: Vec::new(), flashes: self.flashes.clone(), changed: self.changed || !self.once.is_empty() }
    }

    pub(super) fn offer<A: Serialize>(
        &mut self,
        core: &Core,
        name: &str,
        value: &A,
        lifetime: Duration,
    ) -> Result<(), Error> {
        if core.config.suite() == Suite::Signed {
            return Err(Error::usage(
                "a one-time value was offered in a signed session, which its visitor can read",
                "Offer it in an encrypted session",
            ));
        }
        if lifetime > MAX_ONCE || lifetime < Duration::from_secs(1) {
            return Err(Error::usage(
                format!("a one-time value was offered for {} s", lifetime.as_secs()),
                format!("Offer it for 1 to {} seconds", MAX_ONCE.as_secs()),
            ));
        }
        let Some(Incarnation(incarnation)) = core.replica.view().incarnation() else {
            return Err(Error::Store {
                action: "offering a one-time value",
                problem: "the revocation list has not been read yet".into(),
                fix: "Try again in a moment".into(),
                source: None,
            });
        };
        let value = serde_json::to_value(value).map_err(|e| {
            Error::usage(format!("the one-time value `{name}` cannot be written: {e}"), "Change its Serialize")
        })?;
        let now = core.now().seconds();
        self.once.retain(|offer| offer.name != name && Seconds(offer.expires) > now);
        if self.once.len() == MAX_OFFERS {
            return Err(Error::usage(
                format!("a session would hold more than {MAX_OFFERS} one-time values"),
                "Take those that are no longer needed, or offer them under the same name",
            ));
        }
        let nonce = u128::from_be_bytes(random::kernel()?);
        let expires = now.after(lifetime).0;
        self.once.push(Offer { name: name.to_owned(), nonce, incarnation, expires, value });
        self.changed = true;
        Ok(())
    }

    pub(super) async fn take<A: DeserializeOwned>(&mut self, core: &Core, name: &str) -> Result<Taken<A>, Error> {
        let Some(place) = self.once.iter().position(|offer| offer.name == name) else { return Ok(Taken::Absent) };
        let Offer { nonce, incarnation, expires, .. } = self.once[place];
        let (incarnation, expires) = (Incarnation(incarnation), Seconds(expires));
        let once = core.take_once(nonce, |hash| OnceValue { hash, incarnation, expires }).await?;
        let offer = self.once.remove(place);
        self.changed = true;
        match once {
            Once::First => serde_json::from_value(offer.value).map(Taken::First).map_err(|_| {
                Error::usage(
                    format!("the one-time value `{name}` was offered as another type than it is taken as"),
                    "Take it as the type that was offered",
                )
            }),
            Once::Spent => Ok(Taken::Spent),
            Once::Expired => Ok(Taken::Expired),
            Once::Foreign => Ok(Taken::Foreign),
        }
    }
}
