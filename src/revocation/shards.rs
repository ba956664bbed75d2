//! The map that the list keeps its ids in: 64 hash tables, of which a writer copies one at a time.
//!
//! Readers hold snapshots, so what changes is copied. An id goes into its shard's *recent* half, which is
//! small; when that is full it joins the *settled* half, and only that shard's is copied:
//!
//! ```text
//!   00..  settled: 15,600 ids   recent: 17
//!   04..  settled: 15,700 ids   recent: 64 ──► settled
//!   ..
//!   fc..  settled: 15,600 ids   recent: 3
//! ```

use std::array;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;

/// What is kept of an id. Two values of one id are joined into one, and neither order nor repetition
/// matters to that.
pub(super) trait Value: Copy + Eq {
    fn join(self, other: Self) -> Self;
}

/// Being there is all.
impl Value for () {
    fn join(self, (): Self) {}
}

/// The highest counts.
impl Value for u32 {
    fn join(self, other: Self) -> Self {
        self.max(other)
    }
}

/// From ids to values; nothing is allocated for an empty one.
#[derive(Clone, Debug)]
pub(super) struct Shards<V>(Arc<[Shard<V>]>);

#[derive(Clone, Debug)]
struct Shard<V> {
    settled: Arc<Table<V>>,
    /// Speaks for ids that are in both.
    recent: Arc<Table<V>>,
}

type Table<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// By the leading bits of the id.
const BITS: u32 = 6;
/// How many recent entries of a shard there may be before they join the settled ones.
pub(super) const RECENT: usize = 64;

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<V: Value> Shards<V> {
    pub(super) fn get(&self, id: u64) -> Option<V> {
        self.0.get(place(id))?.get(id)
    }

    /// Whether adding this would be no news.
    pub(super) fn holds(&self, id: u64, value: V) -> bool {
        self.get(id).is_some_and(|known| known.join(value) == known)
    }

    /// Joins a value in, and says whether it was news.
    pub(super) fn insert(&mut self, id: u64, value: V) -> bool {
        self.add(&[id], value)
    }

    /// Joins the same value in for many ids, sorted ones soonest, and says whether it was news for any.
    pub(super) fn add(&mut self, ids: &[u64], value: V) -> bool {
        let mut news = false;
        for ids in ids.chunk_by(|one, next| place(*one) == place(*next)) {
            let new = ids.iter().filter(|id| !self.holds(**id, value)).count();
            if new > 0 {
                self.shard_mut(ids[0]).add(ids, new, value);
                news = true;
            }
        }
        news
    }

    fn shard_mut(&mut self, id: u64) -> &mut Shard<V> {
        if self.0.is_empty() {
            let empty = Shard { settled: Arc::default(), recent: Arc::default() };
            self.0 = Arc::new(array::from_fn::<_, { 1 << BITS }, _>(|_| empty.clone()));
        }
        &mut Arc::make_mut(&mut self.0)[place(id)]
    }

    /// Every entry once.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, V)> + '_ {
        self.0.iter().flat_map(|shard| {
            let settled = shard.settled.iter().filter(|(id, _)| !shard.recent.contains_key(*id));
            settled.chain(shard.recent.iter()).map(|(&id, &value)| (id, value))
        })
    }

    /// What it takes up in memory. Snapshots share most of it.
    pub(super) fn bytes(&self) -> usize {
        let tables = |shard: &Shard<V>| shard.settled.allocation_size() + shard.recent.allocation_size();
        size_of_val(&*self.0) + self.0.iter().map(tables).sum::<usize>()
    }

    pub(super) fn len(&self) -> usize {
        let new = |shard: &Shard<V>| shard.recent.keys().filter(|id| !shard.settled.contains_key(*id)).count();
        self.0.iter().map(|shard| shard.settled.len() + new(shard)).sum()
    }
}

impl<V: Value> FromIterator<(u64, V)> for Shards<V> {
    fn from_iter<I: IntoIterator<Item = (u64, V)>>(entries: I) -> Self {
        let mut shards = Self::default();
        for (id, value) in entries {
            shards.insert(id, value);
        }
        shards
    }
}

impl<V: Value> Shard<V> {
    fn get(&self, id: u64) -> Option<V> {
        self.recent.get(&id).or_else(|| self.settled.get(&id)).copied()
    }

    /// Joins a value in for ids to which it is news in so many cases.
    fn add(&mut self, ids: &[u64], new: usize, value: V) {
        let is_full = self.recent.len() + new >= RECENT;
        // What no snapshot has is not copied.
        if is_full || Arc::get_mut(&mut self.settled).is_some() {
            let settled = Arc::make_mut(&mut self.settled);
            settled.reserve(self.recent.len() + new);
            if !self.recent.is_empty() {
                settled.extend(std::mem::take(&mut self.recent).iter());
            }
            for &id in ids {
                settled.entry(id).and_modify(|known| *known = known.join(value)).or_insert(value);
            }
            return;
        }
        for &id in ids {
            let known = self.get(id);
            let joined = known.map_or(value, |known| known.join(value));
            if known != Some(joined) {
                Arc::make_mut(&mut self.recent).insert(id, joined);
            }
        }
    }
}

fn place(id: u64) -> usize {
    (id >> (u64::BITS - BITS)) as usize
}

/// Keys are random ids of ours, or keyed hashes, and are looked up only behind a verified seal, so nobody
/// can choose colliding ones. They could be their own hash, but for the leading bits, in which all ids of a
/// shard agree and which the table tells neighbours apart by: the multiplication brings others there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        // 2^64 divided by the golden ratio: Knuth, The Art of Computer Programming, volume 3, section 6.4.
        self.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Few ids, so that they repeat; one by one or together, in one shard or in many; with snapshots taken in
        /// between.
        #[test]
        fn it_is_a_map_and_snapshots_of_it_stay(
            added in proptest::collection::vec(
                (prop_oneof![Just(1..2_usize), Just(1..200)], 0..4_u32).prop_flat_map(|(many, value)| {
                    (proptest::collection::vec(0..300_u64, many), Just(value))
                }),
                0..200,
            ),
            step in prop_oneof![Just(1), Just(1 << 52), Just(u64::MAX / 299)],
            snapshots in proptest::collection::btree_set(0..200_usize, 0..6),
        ) {
            let (mut shards, mut model, mut taken) = (Shards::default(), BTreeMap::new(), Vec::new());
            for (nth, (ids, value)) in added.into_iter().enumerate() {
                if snapshots.contains(&nth) {
                    taken.push((shards.clone(), model.clone()));
                }
                let ids: Vec<_> = ids.into_iter().map(|n| n * step).collect();
                let mut news = false;
                for id in &ids {
                    let known = model.get(id).copied();
                    prop_assert_eq!(shards.get(*id), known);
                    prop_assert_eq!(shards.holds(*id, value), known >= Some(value));
                    news |= known < Some(value);
                }
                prop_assert_eq!(shards.add(&ids, value), news);
                for id in ids {
                    let known = model.entry(id).or_insert(value);
                    *known = value.max(*known);
                }
            }
            taken.push((shards, model));
            for (shards, model) in taken {
                prop_assert_eq!(shards.len(), model.len());
                prop_assert_eq!(&shards.iter().collect::<BTreeMap<_, _>>(), &model);
                prop_assert_eq!(shards.iter().count(), model.len(), "each once");
                prop_assert!(model.iter().all(|(&id, &value)| shards.get(id) == Some(value)));
            }
        }
    }

    #[test]
    fn one_more_leaves_the_other_shards_where_they_are() {
        let mut shards: Shards<()> = (0..100_000_u64).map(|n| (n * (u64::MAX / 100_000), ())).collect();
        for n in 0..1000 {
            let before = shards.clone();
            shards.insert(n * 3 + 1, ());
            let moved = |(old, new): &(&Shard<()>, &Shard<()>)| !Arc::ptr_eq(&old.settled, &new.settled);
            let moved = before.0.iter().zip(shards.0.iter()).filter(moved).count();
            assert_eq!(moved, usize::from((n + 1) % RECENT as u64 == 0), "when {n} had come");
        }
    }
}
