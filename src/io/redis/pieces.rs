//! A long list is read piece by piece.

use std::collections::BTreeMap;
use std::ops::Range;

use super::names::Bucket;

/// How many bytes are read at once, so that a long list is never in memory as a whole beside the replica.
const PIECE: u64 = 256 << 10;

/// What to read next: whole records, and not more at once than [`PIECE`].
pub(super) fn pieces(lengths: &BTreeMap<Bucket, u64>, covered: &BTreeMap<Bucket, u64>) -> Vec<(Bucket, Range<u64>)> {
    let mut room = PIECE;
    let mut pieces = Vec::new();
    for (&bucket, &length) in lengths {
        let (start, size) = (covered.get(&bucket).copied().unwrap_or(0), bucket.kind.size() as u64);
        let end = length.min(start + room / size * size);
        if end > start {
            room -= end - start;
            pieces.push((bucket, start..end));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::names::Kind;
    use super::*;
    use crate::time::Day;

    #[test]
    fn pieces_are_bounded_and_of_whole_records_and_reach_every_length() {
        let bucket = |kind, day| Bucket { kind, day: Day(day) };
        let lengths = BTreeMap::from([
            (bucket(Kind::Session, 1), 2 * PIECE + 8),
            (bucket(Kind::Session, 2), 16),
            (bucket(Kind::Floor, 1), PIECE / 12 * 12 + 24),
            (bucket(Kind::CutOff, 1), 32),
        ]);
        let mut covered = BTreeMap::from([(bucket(Kind::Session, 2), 16), (bucket(Kind::CutOff, 1), 16)]);
        let mut rounds = 0;
        loop {
            let pieces = pieces(&lengths, &covered);
            if pieces.is_empty() {
                break;
            }
            assert!(pieces.iter().map(|(_, piece)| piece.end - piece.start).sum::<u64>() <= PIECE);
            for (bucket, piece) in pieces {
                assert_eq!(covered.insert(bucket, piece.end).unwrap_or(0), piece.start, "one follows the other");
                assert_eq!(piece.end % bucket.kind.size() as u64, 0);
            }
            rounds += 1;
        }
        assert_eq!(covered, lengths);
        assert_eq!(rounds, 4, "what is short comes along");
    }
}
