//! `Idempotency-Key` at work: whose turn it is, and that a turn always ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use warp::http::header::HeaderName;

use crate::time::Now;

use super::answer::Told;
use super::ask::Ask;
use super::guard::Said;
use super::idempotency::{Answers, LONGEST, RequestKey, Turn};
use super::incoming::Incoming;
use super::problem::{Kind, Problem};

/// All turns.
#[derive(Debug, Default)]
pub struct Turns(Arc<Mutex<Answers<Told>>>);

/// What is to be done.
pub enum Once {
    /// The work; the turn ends with [`Turnover::done`], or when it is dropped because nothing was done.
    First(Turnover),
    /// Nothing: it was done before, and this was the answer.
    Again(Told),
}

/// A turn; none for a request without a key.
pub struct Turnover(Option<(Arc<Mutex<Answers<Told>>>, RequestKey)>);

/// The request's key, if it has one.
///
/// # Errors
///
/// 400 for a key that is none.
pub fn key(incoming: &Incoming) -> Result<Option<&str>, Problem> {
    match incoming.said(&HeaderName::from_static("idempotency-key")) {
        Said::Nothing => Ok(None),
        Said::Once(key) if (1..=LONGEST).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_graphic()) => {
            Ok(Some(key))
        }
        _ => {
            let detail = format!("Idempotency-Key is not one text of 1 to {LONGEST} visible characters");
            Err(Problem::new(Kind::BadRequest, detail))
        }
    }
}

impl Turns {
    /// Whose turn it is.
    ///
    /// # Errors
    ///
    /// 400 for a key that is none, 409 while the first request is at work, 422 when the key belongs to
    /// another body, 429 when too many are at work.
    pub fn turn(&self, action: &str, incoming: &Incoming, ask: &Ask, now: Now) -> Result<Once, Problem> {
        let Some(key) = key(incoming)? else { return Ok(Once::First(Turnover(None))) };
        let route = [action, ask.id.as_deref().unwrap_or_default()].join(" ");
        let key = RequestKey::of(&ask.who.actor().unwrap_or_default(), &route, key);
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).begin(key, &ask.body, now);
        let second = Duration::from_secs(1);
        match turn {
            Turn::First => Ok(Once::First(Turnover(Some((self.0.clone(), key))))),
            Turn::Again(told) => Ok(Once::Again(told)),
            Turn::InProgress => {
                Err(Problem::new(Kind::InProgress, "Wait for its answer, or ask again in a moment").after(second))
            }
            Turn::Other => Err(Problem::new(
                Kind::OtherRequest,
                "This Idempotency-Key came with another body before. Use a new key for each new request",
            )),
            Turn::Full => {
                Err(Problem::new(Kind::TooMuchAtOnce, "Too many changes are being made at once").after(second))
            }
        }
    }
}

impl Turnover {
    /// It was done, and answered like this.
    pub fn done(mut self, told: Told, now: Now) {
        if let Some((answers, key)) = self.0.take() {
            answers.lock().unwrap_or_else(PoisonError::into_inner).finish(key, Some(told), now);
        }
    }
}

impl Drop for Turnover {
    fn drop(&mut self) {
        if let Some((answers, key)) = self.0.take() {
            // What is not kept needs no time.
            let now = Now { millis: 0, boot: Duration::ZERO };
            answers.lock().unwrap_or_else(PoisonError::into_inner).finish(key, None, now);
        }
    }
}
