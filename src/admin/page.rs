//! One page after another out of a list that changes meanwhile.
//!
//! A cursor is the key of the last row that was seen, so nothing is kept between two pages, and a row that
//! is there all the time is shown exactly once. The keys of the rows give the order.

use std::collections::BinaryHeap;

use crate::id::ShortId;
use crate::revocation::Record;

/// The most rows of a page.
pub const MOST: usize = 500;
/// The rows of a page for who does not say.
pub const USUAL: usize = 100;

/// What a record is sorted by, and what a cursor holds: what kind it is, and what it is about. A record
/// that only rises keeps its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey(Vec<u8>);

impl RowKey {
    /// Of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let key = |kind: u8, parts: [&[u8]; 2]| Self([&[kind], parts[0], parts[1]].concat());
        let of_session = |kind, id: ShortId, day: u32| key(kind, [&day.to_be_bytes(), &id.0.to_be_bytes()]);
        match record {
            Record::Everybody { .. } => key(0, [&[], &[]]),
            Record::Key { key: id, .. } => key(1, [&id.0, &[]]),
            Record::CutOff { tag, .. } => key(2, [&tag.0.to_be_bytes(), &[]]),
            Record::Session { id, day } => of_session(3, *id, day.0),
            Record::Floor { id, day, .. } => of_session(4, *id, day.0),
            Record::Forgotten { day, position } => key(5, [&day.0.to_be_bytes(), &position.0.to_be_bytes()]),
        }
    }

    /// As a client carries it.
    #[must_use]
    pub fn to_cursor(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a cursor; nothing if it does not look like one. Any place in the order will do.
    #[must_use]
    pub fn from_cursor(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let fits = digits && text.len().is_multiple_of(2) && (2..=26).contains(&text.len());
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
        fits.then(|| (0..text.len()).step_by(2).map(byte).collect::<Option<_>>().map(Self))?
    }
}

/// A page: its rows, and where the next begins.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows, in order.
    pub rows: Vec<Record>,
    /// The cursor of the next page; none after the last.
    pub next: Option<String>,
}

/// The `limit` rows that come after `after`. Looks at every record, and keeps one page of them.
pub fn page(records: impl Iterator<Item = Record>, after: Option<&RowKey>, limit: usize) -> Page {
    let mut first = BinaryHeap::new();
    for record in records {
        let row = Row(RowKey::of(&record), record);
        if after.is_none_or(|after| row.0 > *after) {
            first.push(row);
            // One more than a page tells whether there is another.
            if first.len() > limit + 1 {
                first.pop();
            }
        }
    }
    let mut rows = first.into_sorted_vec();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.0.to_cursor());
    Page { rows: rows.into_iter().map(|Row(_, record)| record).collect(), next }
}

/// Sorted by its key alone.
struct Row(RowKey, Record);

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{KeyId, Tag};
    use crate::rotation::{KeyRecord, KeyState};
    use crate::time::{Day, Position};

    fn records() -> Vec<Record> {
        let mut records = vec![
            Record::Everybody { position: Position(9) },
            Record::Key { key: KeyId([1; 4]), record: KeyRecord::new(KeyState::Active, 1) },
            Record::Forgotten { day: Day(2), position: Position(1) },
        ];
        for n in 0..40 {
            records.push(Record::Session { id: ShortId(n * 7919 % 41), day: Day(3) });
            records.push(Record::CutOff { tag: Tag(n * 104_729 % 43), position: Position(n), day: Day(4) });
            records.push(Record::Floor { id: ShortId(n), floor: 2, day: Day(3) });
        }
        records
    }

    #[test]
    fn pages_show_every_row_once_whatever_their_size() {
        let all = records();
        for limit in [1, 7, 100, 122, 123, 124, MOST] {
            let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = page(all.iter().copied(), after.as_ref(), limit);
                assert!(page.rows.len() <= limit);
                seen.extend(page.rows);
                pages += 1;
                let Some(next) = page.next else { break };
                after = Some(RowKey::from_cursor(&next).expect("our own cursor"));
            }
            assert_eq!((seen.len(), pages), (all.len(), all.len().div_ceil(limit)), "{limit}");
            assert!(seen.windows(2).all(|pair| RowKey::of(&pair[0]) < RowKey::of(&pair[1])));
        }
    }

    #[test]
    fn a_row_that_is_new_does_not_move_the_others() {
        let mut all = records();
        let first = page(all.iter().copied(), None, 50);
        all.extend((100..200).map(|n| Record::Session { id: ShortId(n), day: Day(1) }));
        let after = RowKey::from_cursor(&first.next.unwrap()).unwrap();
        let rest = page(all.iter().copied(), Some(&after), MOST);
        let old = |record: &&Record| records().contains(record);
        assert_eq!(first.rows.len() + rest.rows.iter().filter(old).count(), records().len());
    }

    #[test]
    fn other_texts_are_no_cursors() {
        for junk in ["", "0", "0g", "AB", "é", "000", &"00".repeat(14), &"0".repeat(4000)] {
            assert_eq!(RowKey::from_cursor(junk), None, "{junk}");
        }
    }
}
