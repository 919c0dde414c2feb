//! A map that forgets: an entry past its end is as good as none, and there are never more than so many.
//!
//! When there is no room, the entry that ends first goes: it is the one that says least. What an end is (a second, a
//! microsecond) is the caller's affair; the map only compares.
//!
//! Trap: entries are spread over shards by their hash, so the map may forget a little before it is full.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 64;

/// An entry, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Until<V> {
    pub(crate) end: u64,
    pub(crate) value: V,
}

type Shard<K, V> = HashMap<K, Until<V>>;

/// See the head of this file.
pub(crate) struct Expiring<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
    /// The most entries of a shard.
    most: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Expiring<K, V> {
    /// An empty map that holds at most about so many entries.
    pub(crate) fn holding(most: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), most: most.div_ceil(SHARDS).max(1) }
    }

    /// What there is under this key now.
    pub(crate) fn get(&self, key: &K, now: u64) -> Option<V> {
        self.shard(key)?.get(key).filter(|entry| entry.end > now).map(|entry| entry.value.clone())
    }

    /// Puts what `change` makes of what there is now; nobody else changes it meanwhile. `None` leaves it as it was.
    pub(crate) fn change<R>(&self, key: &K, now: u64, change: impl FnOnce(Option<&V>) -> (Option<Until<V>>, R)) -> R {
        let Some(mut shard) = self.shard(key) else { return change(None).1 };
        let present = shard.get(key).filter(|entry| entry.end > now);
        let (entry, outcome) = change(present.map(|entry| &entry.value));
        if let Some(entry) = entry {
            if shard.len() >= self.most && !shard.contains_key(key) {
                make_room(&mut shard, self.most, now);
            }
            shard.insert(key.clone(), entry);
        }
        outcome
    }

    /// Puts an entry, whatever there was.
    pub(crate) fn put(&self, key: &K, entry: Until<V>, now: u64) {
        self.change(key, now, |_| (Some(entry), ()));
    }

    fn shard(&self, key: &K) -> Option<MutexGuard<'_, Shard<K, V>>> {
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        self.shards.get(place).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Drops what has ended; when that is not enough, what ends first.
fn make_room<K: Hash + Eq + Clone, V>(shard: &mut Shard<K, V>, most: usize, now: u64) {
    shard.retain(|_, entry| entry.end > now);
    while shard.len() >= most {
        let first = shard.iter().min_by_key(|(_, entry)| entry.end).map(|(key, _)| key.clone());
        let Some(first) = first else { return };
        shard.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_past_its_end_is_gone() {
        let map = Expiring::holding(1_000);
        map.put(&"key", Until { end: 10, value: 'a' }, 0);

        assert_eq!(map.get(&"key", 9), Some('a'));
        assert_eq!(map.get(&"key", 10), None);
        let seen = map.change(&"key", 10, |present| (None, present.copied()));
        assert_eq!(seen, None);
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let map = Expiring::holding(SHARDS);
        for key in 0..10_000_u64 {
            map.put(&key, Until { end: 1_000_000 - key, value: key }, 0);
        }
        let held = (0..10_000).filter(|key| map.get(key, 0).is_some()).count();
        assert!((1..=SHARDS).contains(&held), "{held} entries");
    }

    #[test]
    fn what_ends_first_makes_room() {
        let entry = |end| Until { end, value: () };
        let mut shard: Shard<&str, ()> = [("ended", entry(5)), ("soon", entry(20)), ("late", entry(30))].into();

        make_room(&mut shard, 3, 10);
        assert_eq!(shard.len(), 2, "what has ended is enough");
        make_room(&mut shard, 2, 10);
        assert_eq!(shard.keys().collect::<Vec<_>>(), [&"late"]);
    }
}
