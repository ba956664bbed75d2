//! `Idempotency-Key`: a client that heard no answer asks again, and nothing is done twice.
//!
//! As the IETF's draft says (draft-ietf-httpapi-idempotency-key-header-07): the same key with another body
//! is 422, the same key while the first request is at work is 409, and afterwards the first answer comes
//! again. Keys belong to their token and their route. They are kept in memory, a day at most: after a
//! restart a repeated revocation is published a second time, which does no harm.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::time::Now;

/// The longest key.
pub const LONGEST: usize = 255;
/// How many answers are kept.
const MOST: usize = 1_000;
/// How long.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Which request: the token, the route and the key, hashed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// Of these three; each is set apart by its length.
    #[must_use]
    pub fn of(token: &str, route: &str, key: &str) -> Self {
        let parts = [token, route, key];
        let hash = parts
            .iter()
            .fold(Sha256::new(), |hash, part| hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part));
        Self(hash.finalize().into())
    }
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn<A> {
    /// It is the first: do it, and say how it ended.
    First,
    /// It was done: this was the answer.
    Again(A),
    /// It is being done: 409.
    InProgress,
    /// The key was used for another body: 422.
    Other,
    /// Too many are being done at once: 429.
    Full,
}

/// The requests of late, and their answers.
#[derive(Debug)]
pub struct Answers<A> {
    known: HashMap<RequestKey, Known<A>>,
    done: VecDeque<(Duration, RequestKey)>,
}

#[derive(Debug)]
struct Known<A> {
    body: [u8; 32],
    answer: Option<A>,
}

impl<A> Default for Answers<A> {
    fn default() -> Self {
        Self { known: HashMap::new(), done: VecDeque::new() }
    }
}

impl<A: Clone> Answers<A> {
    /// Takes a request in. Whoever is told [`Turn::First`] must call [`Answers::finish`], whatever happens.
    pub fn begin(&mut self, key: RequestKey, body: &[u8], now: Now) -> Turn<A> {
        while self.done.front().is_some_and(|&(at, _)| now.boot.saturating_sub(at) > KEPT) {
            self.drop_oldest();
        }
        let body: [u8; 32] = Sha256::digest(body).into();
        match self.known.get(&key) {
            Some(known) if known.body != body => return Turn::Other,
            Some(Known { answer: Some(answer), .. }) => return Turn::Again(answer.clone()),
            Some(_) => return Turn::InProgress,
            None => {}
        }
        if self.known.len() >= MOST {
            self.drop_oldest();
        }
        if self.known.len() >= MOST {
            return Turn::Full;
        }
        self.known.insert(key, Known { body, answer: None });
        Turn::First
    }

    /// Keeps the answer of a request; without one nothing was done, and the key is free again.
    pub fn finish(&mut self, key: RequestKey, answer: Option<A>, now: Now) {
        match (answer, self.known.get_mut(&key)) {
            (Some(answer), Some(known)) => {
                known.answer = Some(answer);
                self.done.push_back((now.boot, key));
            }
            _ => {
                self.known.remove(&key);
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.done.pop_front() {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { millis: 0, boot: Duration::from_secs(seconds) }
    }

    fn key(n: usize) -> RequestKey {
        RequestKey::of("token", "route", &n.to_string())
    }

    #[test]
    fn a_request_is_done_once_and_answered_again() {
        let mut answers = Answers::default();
        assert_eq!(answers.begin(key(1), b"a", at(0)), Turn::First);
        assert_eq!(answers.begin(key(1), b"a", at(0)), Turn::InProgress);
        assert_eq!(answers.begin(key(1), b"b", at(0)), Turn::Other);
        answers.finish(key(1), Some("done"), at(1));
        assert_eq!(answers.begin(key(1), b"a", at(2)), Turn::Again("done"));
        assert_eq!(answers.begin(key(1), b"b", at(2)), Turn::Other);
        assert_eq!(answers.begin(key(2), b"a", at(2)), Turn::First);
        answers.finish(key(2), None, at(3));
        assert_eq!(answers.begin(key(2), b"b", at(3)), Turn::First, "nothing was done, so the key is free");
    }

    #[test]
    fn keys_belong_to_their_token_and_route() {
        let all = [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("b", "a", "c"), ("a", "b", "d")];
        let mut keys: Vec<_> = all.iter().map(|(token, route, key)| RequestKey::of(token, route, key).0).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn memory_is_bounded_and_answers_are_kept_a_day() {
        let mut answers = Answers::default();
        for n in 0..MOST {
            assert_eq!(answers.begin(key(n), b"", at(0)), Turn::First);
        }
        assert_eq!(answers.begin(key(MOST), b"", at(0)), Turn::Full, "all are at work");
        answers.finish(key(0), Some(0), at(0));
        assert_eq!(answers.begin(key(MOST), b"", at(0)), Turn::First, "the oldest answer makes room");
        answers.finish(key(1), Some(1), at(5));
        assert_eq!(answers.begin(key(1), b"", at(5 + 86_400)), Turn::Again(1));
        answers.finish(key(2), None, at(5));
        assert_eq!(answers.begin(key(1), b"", at(6 + 86_400)), Turn::First, "a day is over");
        assert!(answers.known.len() <= MOST && answers.done.is_empty());
    }
}
