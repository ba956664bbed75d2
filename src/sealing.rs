//! What the log is told of the key that seals: when it changes, and when there is none.

use std::time::Duration;

use crate::id::KeyId;

/// How long the keys of a new node may be on their way, until a person should look.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// What was seen, and said, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealing {
    /// The key that sealed last; none if none ever has.
    last: Option<KeyId>,
    /// Since when none does, by the time since boot.
    without: Option<Duration>,
    said: Option<Said>,
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Another key seals from now on.
    Another(KeyId),
    /// None does yet: this node is new, and its keys may be on their way.
    Waits,
    /// None does, and that does not end by itself.
    Missing,
}

impl Sealing {
    /// Takes in which key seals at a time since boot. Answers what to say, each thing once.
    pub fn see(&mut self, sealing: Option<KeyId>, boot: Duration) -> Option<Said> {
        let Some(key) = sealing else { return self.see_none(boot) };
        let is_news = self.said.is_some() || self.last.is_some_and(|last| last != key);
        *self = Self { last: Some(key), without: None, said: None };
        is_news.then_some(Said::Another(key))
    }

    fn see_none(&mut self, boot: Duration) -> Option<Said> {
        let since = *self.without.get_or_insert(boot);
        let is_new = self.last.is_none() && boot.saturating_sub(since) < ON_THE_WAY;
        let wanted = Some(if is_new { Said::Waits } else { Said::Missing });
        let is_news = self.said != wanted;
        self.said = wanted;
        wanted.filter(|_| is_news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: KeyId = KeyId([1; 4]);
    const TWO: KeyId = KeyId([2; 4]);

    #[test]
    fn a_new_node_waits_and_only_what_lasts_is_missing() {
        let (mut sealing, start) = (Sealing::default(), Duration::from_secs(500));
        let mut see = |key, after| sealing.see(key, start + Duration::from_secs(after));
        assert_eq!(see(None, 0), Some(Said::Waits));
        assert_eq!((see(None, 1), see(None, 9)), (None, None), "once");
        assert_eq!(see(None, 10), Some(Said::Missing));
        assert_eq!((see(None, 11), see(None, 100)), (None, None), "once");
        assert_eq!(see(Some(ONE), 101), Some(Said::Another(ONE)), "it is told when that is over");
    }

    #[test]
    fn one_that_has_sealed_before_waits_for_nothing() {
        let mut sealing = Sealing::default();
        let mut see = |key| sealing.see(key, Duration::ZERO);
        assert_eq!((see(Some(ONE)), see(Some(ONE))), (None, None), "so it began");
        assert_eq!((see(Some(TWO)), see(Some(TWO))), (Some(Said::Another(TWO)), None));
        assert_eq!((see(None), see(None)), (Some(Said::Missing), None));
        assert_eq!(see(Some(TWO)), Some(Said::Another(TWO)));
    }
}
