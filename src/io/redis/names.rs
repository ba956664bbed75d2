//! The names of the keys, and the bytes in the buckets.
//!
//! ```text
//!  {sealjar:<app>}:epoch      hash    incarnation, state, replication id, mark, last day; each bucket's length
//!  {sealjar:<app>}:s:<day>    string  8 bytes each: session
//!  {sealjar:<app>}:g:<day>    string  12 bytes each: session, floor
//!  {sealjar:<app>}:c:<day>    string  16 bytes each: tag, position
//!  {sealjar:<app>}:control    hash    everybody, forgotten, keys, cookies, the list key's fingerprint; signed
//!  {sealjar:<app>}:nodes      hash    who follows
//!  {sealjar:<app>}:feed       stream  that something is new
//!  {sealjar:<app>}:once:*     string  spent one-time values; for a minute, who raised a floor
//! ```
//!
//! The braces put all keys of an app into one slot, should this ever run on a cluster. Numbers are
//! big-endian. A bucket lives until an hour after its day.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::id::{Incarnation, ShortId, Tag};
use crate::revocation::Record;
use crate::time::{Day, Position};

/// Buckets are kept this long after their day, for clocks that lag.
const SLACK: u32 = 3600;

/// The keys of one app.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
    pub epoch: String,
    pub control: String,
    pub nodes: String,
    pub feed: String,
}

impl Names {
    pub(super) fn new(app: &str) -> Self {
        let prefix = format!("{{sealjar:{app}}}:");
        let name = |name| format!("{prefix}{name}");
        let (epoch, control, nodes, feed) = (name("epoch"), name("control"), name("nodes"), name("feed"));
        Self { prefix, epoch, control, nodes, feed }
    }

    pub(super) fn bucket(&self, bucket: Bucket) -> String {
        format!("{}{}", self.prefix, Self::account(bucket))
    }

    /// The field of its account, beside the epoch.
    pub(super) fn account(bucket: Bucket) -> String {
        format!("{}:{}", bucket.kind.letter(), bucket.day.0)
    }

    /// Who raised a floor.
    pub(super) fn raised(&self, id: ShortId, floor: u32) -> String {
        format!("{}once:raised:{id}:{floor}", self.prefix)
    }

    /// With the incarnation in it, so that a value of another one cannot spend this one's.
    pub(super) fn once(&self, incarnation: Incarnation, hash: [u8; 16]) -> String {
        let mut name = format!("{}once:{incarnation}:", self.prefix);
        for byte in hash {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

/// What is kept by the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Session,
    Floor,
    CutOff,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Session, Self::Floor, Self::CutOff];

    const fn letter(self) -> char {
        match self {
            Self::Session => 's',
            Self::Floor => 'g',
            Self::CutOff => 'c',
        }
    }

    /// Bytes of one record.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Session => 8,
            Self::Floor => 12,
            Self::CutOff => 16,
        }
    }
}

/// One string of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bucket {
    pub kind: Kind,
    pub day: Day,
}

impl Bucket {
    /// Reads what [`Names::account`] writes.
    pub(super) fn of_account(field: &str) -> Option<Self> {
        let (kind, day) = field.split_once(':')?;
        let kind = Kind::ALL.into_iter().find(|known| kind.chars().eq([known.letter()]))?;
        Some(Self { kind, day: Day(day.parse().ok()?) })
    }

    /// Whether it has to be there by the server's clock, and for a minute yet.
    pub(super) fn is_kept(self, clock: Position) -> bool {
        u64::from(self.end()) > clock.0 / 1000 + 60
    }

    /// When the server may drop it.
    pub(super) fn end(self) -> u32 {
        self.day.end().0.saturating_add(SLACK)
    }

    /// The first day whose buckets are still kept at a time.
    pub(super) fn first_day(clock: Position) -> Day {
        let seconds = clock.seconds().0.saturating_sub(SLACK);
        crate::time::Seconds(seconds).day()
    }

    /// The records in its bytes; nothing if they end within one.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<impl Iterator<Item = Record>> {
        let chunks = bytes.chunks_exact(self.kind.size());
        chunks.remainder().is_empty().then(|| chunks.map(move |chunk| self.record(chunk)))
    }

    fn record(self, chunk: &[u8]) -> Record {
        let (first, rest) = chunk.split_at(8);
        let (first, rest, day) = (number(first), number(rest), self.day);
        match self.kind {
            Kind::Session => Record::Session { id: ShortId(first), day },
            Kind::Floor => Record::Floor { id: ShortId(first), floor: u32::try_from(rest).unwrap_or(u32::MAX), day },
            Kind::CutOff => Record::CutOff { tag: Tag(first), position: Position(rest), day },
        }
    }
}

/// Of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[8 - bytes.len()..].copy_from_slice(bytes);
    u64::from_be_bytes(whole)
}

/// Sorts records into buckets; those that live in the control hash instead are handed back.
pub(super) fn sort(records: &[Record]) -> (BTreeMap<Bucket, Vec<u8>>, Vec<Record>) {
    let (mut buckets, mut control) = (BTreeMap::<Bucket, Vec<u8>>::new(), Vec::new());
    for record in records {
        let mut add = |kind, day, id: u64, rest: &[u8]| {
            let bytes = buckets.entry(Bucket { kind, day }).or_default();
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(rest);
        };
        match *record {
            Record::Session { id, day } => add(Kind::Session, day, id.0, &[]),
            Record::Floor { id, floor, day } => add(Kind::Floor, day, id.0, &floor.to_be_bytes()),
            Record::CutOff { tag, position, day } => add(Kind::CutOff, day, tag.0, &position.0.to_be_bytes()),
            Record::Everybody { .. } | Record::Key { .. } | Record::Forgotten { .. } => control.push(*record),
        }
    }
    (buckets, control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_from_their_buckets() {
        let day = Day(20_000);
        let records = [
            Record::Session { id: ShortId(u64::MAX), day },
            Record::Floor { id: ShortId(1), floor: u32::MAX, day },
            Record::CutOff { tag: Tag(2), position: Position(1 << 50), day },
        ];
        let (buckets, control) = sort(&records);
        assert!(control.is_empty());
        let back: Vec<_> = buckets.iter().flat_map(|(bucket, bytes)| bucket.decode(bytes).unwrap()).collect();
        assert_eq!(back, records);
        assert!(buckets.iter().all(|(bucket, bytes)| bucket.decode(&bytes[1..]).is_none()), "half a record is damage");
    }

    #[test]
    fn a_bucket_outlives_its_day_by_an_hour() {
        let bucket = Bucket { kind: Kind::Session, day: Day(20_000) };
        let at = |seconds: u32| Position(u64::from(seconds) * 1000);
        assert_eq!(Bucket::first_day(at(bucket.end() - 1)), Day(20_000));
        assert_eq!(Bucket::first_day(at(bucket.end())), Day(20_001));
    }
}
