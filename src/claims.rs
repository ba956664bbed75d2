//! What stands inside every seal before the payload: whose, since when, until when.
//!
//! ```text
//!  born  generation  sealed at  expires  authenticated at  shape  tags    schema  [extras]         payload
//! ├ 8 ──┼─── 4 ─────┼── 4 ─────┼── 4 ───┼────── 4 ────────┼─ 1 ──┼─ 8 n ─┼─ 2 ───┼─ 2 + length ──┼─ rest ─►
//! ```
//!
//! Numbers are big endian. `shape` says which tags follow, in this order, and whether there are extras:
//!
//! ```text
//!  bit    7       6 5      4 3 2         1        0
//!      extras  always 0   labels 0-4   tenant  subject
//! ```
//!
//! Decoding and encoding again gives the same bytes: there is one encoding of a set of claims.

use crate::id::Tag;
use crate::time::{Position, Seconds};

/// The facts of a session that its seal vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The list's position at login, a lower bound. Cut-offs compare with it.
    pub born: Position,
    /// Rises when rights are taken away or something is spent; older copies then stop working.
    pub generation: u32,
    /// When this copy was sealed. The idle lifetime counts from here.
    pub sealed_at: Seconds,
    /// When the session ends, whatever happens. Set at login, never moved.
    pub expires: Seconds,
    /// When the user last proved who they are.
    pub authenticated_at: Seconds,
    /// Who it belongs to, as keyed hashes.
    pub tags: Tags,
    /// The app's version of its payload type.
    pub schema: u16,
}

/// The most labels that one session carries.
pub const MAX_LABELS: usize = 4;

/// The groups that a session can be revoked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Who is logged in; none for a visitor.
    pub subject: Option<Tag>,
    /// The subject's organisation.
    pub tenant: Option<Tag>,
    labels: [Option<Tag>; MAX_LABELS],
}

impl Tags {
    /// The tags of a subject and a tenant, without labels.
    #[must_use]
    pub const fn of(subject: Option<Tag>, tenant: Option<Tag>) -> Self {
        Self { subject, tenant, labels: [None; MAX_LABELS] }
    }

    /// Adds a label; `false` when all four places are taken.
    pub fn add_label(&mut self, label: Tag) -> bool {
        match self.labels.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(label);
                true
            }
            None => false,
        }
    }

    /// The labels, in the order in which they were added.
    pub fn labels(&self) -> impl Iterator<Item = Tag> + '_ {
        self.labels.iter().flatten().copied()
    }

    /// Every tag, whatever its kind.
    pub fn all(&self) -> impl Iterator<Item = Tag> + '_ {
        self.subject.into_iter().chain(self.tenant).chain(self.labels())
    }

    fn shape(&self) -> u8 {
        let labels = u8::try_from(self.labels().count()).unwrap_or(0);
        u8::from(self.subject.is_some()) | u8::from(self.tenant.is_some()) << 1 | labels << 2
    }
}

const EXTRAS: u8 = 0x80;
const RESERVED: u8 = 0x60;

/// The bytes of claims without tags and extras: the least that a seal can hold.
pub const MIN_CLAIMS: usize = 8 + 4 + 4 + 4 + 4 + 1 + 2;

impl Claims {
    /// Appends the claims, and the extras unless they are empty.
    ///
    /// The caller keeps extras below 64 KiB; a cookie holds 4.
    pub fn encode(&self, extras: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.born.0.to_be_bytes());
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.sealed_at.0.to_be_bytes());
        out.extend_from_slice(&self.expires.0.to_be_bytes());
        out.extend_from_slice(&self.authenticated_at.0.to_be_bytes());
        out.push(self.tags.shape() | if extras.is_empty() { 0 } else { EXTRAS });
        for tag in self.tags.all() {
            out.extend_from_slice(&tag.0.to_be_bytes());
        }
        out.extend_from_slice(&self.schema.to_be_bytes());
        if let (false, Ok(length)) = (extras.is_empty(), u16::try_from(extras.len())) {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(extras);
        }
    }

    /// Reads claims and extras from the front of `bytes`; the third value is what follows them.
    ///
    /// `None` for anything that [`Claims::encode`] would not have written.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let mut rest = bytes;
        let born = Position(u64::from_be_bytes(take(&mut rest)?));
        let generation = u32::from_be_bytes(take(&mut rest)?);
        let sealed_at = Seconds(u32::from_be_bytes(take(&mut rest)?));
        let expires = Seconds(u32::from_be_bytes(take(&mut rest)?));
        let authenticated_at = Seconds(u32::from_be_bytes(take(&mut rest)?));
        let [shape] = take(&mut rest)?;
        let labels = usize::from(shape >> 2 & 0b111);
        if shape & RESERVED != 0 || labels > MAX_LABELS {
            return None;
        }
        let mut tags = Tags::default();
        if shape & 1 != 0 {
            tags.subject = Some(take_tag(&mut rest)?);
        }
        if shape & 2 != 0 {
            tags.tenant = Some(take_tag(&mut rest)?);
        }
        for place in &mut tags.labels[..labels] {
            *place = Some(take_tag(&mut rest)?);
        }
        let schema = u16::from_be_bytes(take(&mut rest)?);
        let claims = Self { born, generation, sealed_at, expires, authenticated_at, tags, schema };
        if shape & EXTRAS == 0 {
            return Some((claims, &[], rest));
        }
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let (extras, payload) = rest.split_at_checked(length)?;
        (length > 0).then_some((claims, extras, payload))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn take_tag(rest: &mut &[u8]) -> Option<Tag> {
    Some(Tag(u64::from_be_bytes(take(rest)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims() -> Claims {
        let mut tags = Tags::of(Some(Tag(1)), Some(Tag(2)));
        assert!(tags.add_label(Tag(3)));
        Claims {
            born: Position(1_795_447_200_123),
            generation: 7,
            sealed_at: Seconds(1_795_447_200),
            expires: Seconds(1_795_490_400),
            authenticated_at: Seconds(1_795_447_100),
            tags,
            schema: 2,
        }
    }

    #[test]
    fn claims_read_back_with_extras_and_payload() {
        let mut bytes = Vec::new();
        claims().encode(b"extra", &mut bytes);
        bytes.extend_from_slice(b"payload");
        assert_eq!(Claims::decode(&bytes), Some((claims(), &b"extra"[..], &b"payload"[..])));
    }

    #[test]
    fn there_is_room_for_four_labels() {
        let mut tags = Tags::default();
        assert!((0..4).all(|n| tags.add_label(Tag(n))));
        assert!(!tags.add_label(Tag(9)));
        assert_eq!(tags.labels().count(), MAX_LABELS);
    }

    #[test]
    fn every_truncation_is_refused_or_only_shortens_the_payload() {
        let mut bytes = Vec::new();
        claims().encode(b"extra", &mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(Claims::decode(&bytes[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some((claims, extras, payload)) = Claims::decode(&bytes) {
                let mut again = Vec::new();
                claims.encode(extras, &mut again);
                again.extend_from_slice(payload);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
