//! What waits for the server, as far as this process knows. No I/O.

use crate::revocation::memory::cuts_off;
use crate::revocation::{Record, Waiting};

use super::super::sqlite::Depth;

#[derive(Default)]
pub(super) struct Spool {
    /// How much waits in the file, as it was last looked at.
    pub depth: Depth,
    /// Of that, what this process knows by itself.
    pub mine: Vec<Waiting>,
    /// Cut-offs of those that are published, by whomever, and that no beat has brought back yet.
    pub placed: Vec<Record>,
}

impl Spool {
    /// How much waits, whoever looked last.
    pub(super) fn waiting(&self) -> Depth {
        let mine = depth(&self.mine);
        Depth { waiting: self.depth.waiting.max(mine.waiting), cut_offs: self.depth.cut_offs.max(mine.cut_offs) }
    }

    /// What waits in the file, looked at just now.
    pub(super) fn found(&mut self, waiting: &[Waiting]) {
        self.depth = depth(waiting);
        self.done(|mine| waiting.iter().all(|waiting| waiting.seq != mine.seq));
    }

    /// These are published. Answers their numbers, to be removed.
    pub(super) fn published(&mut self, wishes: &[Waiting]) -> Vec<i64> {
        let done = depth(wishes);
        self.depth.waiting = self.depth.waiting.saturating_sub(done.waiting);
        self.depth.cut_offs = self.depth.cut_offs.saturating_sub(done.cut_offs);
        self.done(|mine| wishes.iter().any(|wish| wish.seq == mine.seq));
        wishes.iter().map(|wish| wish.seq).collect()
    }

    /// Those that are enforced here without a position of the store.
    pub(super) fn unplaced(&self) -> Vec<Record> {
        let mine = self.mine.iter().map(|waiting| waiting.record).filter(cuts_off);
        mine.chain(self.placed.iter().copied()).collect()
    }

    fn done(&mut self, is: impl Fn(&Waiting) -> bool) {
        let (done, mine): (Vec<_>, _) = std::mem::take(&mut self.mine).into_iter().partition(is);
        self.mine = mine;
        self.placed.extend(done.into_iter().map(|waiting| waiting.record).filter(cuts_off));
    }
}

fn depth(waiting: &[Waiting]) -> Depth {
    let cut_offs = waiting.iter().filter(|waiting| cuts_off(&waiting.record)).count() as u64;
    Depth { waiting: waiting.len() as u64, cut_offs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ShortId, Tag};
    use crate::time::{Day, Position};

    #[test]
    fn what_waits_is_counted_whoever_looked_last() {
        let session = Record::Session { id: ShortId(1), day: Day(9) };
        let cut_off = Record::CutOff { tag: Tag(1), position: Position(5), day: Day(9) };
        let waiting: Vec<_> = (1..).zip([session, cut_off]).map(|(seq, record)| Waiting { seq, record }).collect();
        let mut spool = Spool { mine: waiting.clone(), ..Spool::default() };
        assert_eq!(spool.waiting(), Depth { waiting: 2, cut_offs: 1 }, "the file was looked at before");
        spool.depth = Depth { waiting: 3, cut_offs: 1 };
        assert_eq!(spool.published(&waiting), [1, 2]);
        assert_eq!(spool.waiting(), Depth { waiting: 1, cut_offs: 0 }, "somebody else's");
        assert_eq!(spool.unplaced(), [cut_off], "until a beat brings it with its position");
        spool.mine = waiting.clone();
        spool.found(&waiting[..1]);
        assert_eq!(spool.waiting(), Depth { waiting: 1, cut_offs: 0 }, "another process has published the rest");
    }
}
