//! What was found lately, to be found again on a shorter way.
//!
//! The store keeps order among all it holds, so that the right one goes when memory is full; each
//! look at it is noted, and what is noted is worked off. A hit on what was looked at a moment ago
//! needs none of that. Here is a table of what the store has given out, and of nothing else: the
//! store says of everything that leaves it or is replaced in it that it has ([`Near::gone`]), and
//! is asked again every few seconds ([`super::stored::Popularity::looks`]).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::key::Key;
use super::stored::StoredResponse;

/// Tables, each with a lock: two requests seldom want the same one.
const SHARDS: usize = 64;

/// The table.
pub(super) struct Near {
    hasher: RandomState,
    shards: [RwLock<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    found: HashTable<(Key, Arc<StoredResponse>)>,
    /// How often the store has said that something left it.
    departures: u64,
}

/// The moment before the store is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before(u64);

impl Default for Near {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }
}

impl Near {
    /// What was found under this key, and is still in the store.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<StoredResponse>> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash)?;
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        let (_, response) = shard.found.find(hash, |(known, _)| known == key)?;
        Some(Arc::clone(response))
    }

    /// To be called before the store is asked for what [`Near::found`] will then be told.
    pub(super) fn before(&self, key: &Key) -> Before {
        let shard = self.shard(self.hasher.hash_one(key));
        let departures = shard.map(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.departures
        });
        Before(departures.unwrap_or_default())
    }

    /// The store has given this out under that key. Not kept where something has left the store
    /// since `before`: it might have been this.
    pub(super) fn found(&self, key: &Key, response: &Arc<StoredResponse>, before: Before) {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.departures != before.0 {
            return;
        }
        let rehash = |(known, _): &(Key, _)| self.hasher.hash_one(known);
        match shard.found.entry(hash, |(known, _)| known == key, rehash) {
            Entry::Occupied(mut there) => there.get_mut().1 = Arc::clone(response),
            Entry::Vacant(room) => {
                room.insert((key.clone(), Arc::clone(response)));
            }
        }
    }

    /// This has left the store, or been replaced in it.
    pub(super) fn gone(&self, key: &Key, response: &Arc<StoredResponse>) {
        self.depart(key, |known| Arc::ptr_eq(known, response));
    }

    /// The store has nothing under that key.
    pub(super) fn nothing(&self, key: &Key) {
        self.depart(key, |_| true);
    }

    fn depart(&self, key: &Key, is_it: impl Fn(&Arc<StoredResponse>) -> bool) {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.departures += 1;
        let there = shard
            .found
            .find_entry(hash, |(known, response)| known == key && is_it(response));
        if let Ok(there) = there {
            there.remove();
        }
        // Memory goes back once a burst is over.
        let (held, room) = (shard.found.len(), shard.found.capacity());
        if room > 64 && held < room / 4 {
            let rehash = |(known, _): &(Key, _)| self.hasher.hash_one(known);
            shard.found.shrink_to(held * 2, rehash);
        }
    }

    /// All of it has left the store.
    pub(super) fn all_gone(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.departures += 1;
            shard.found = HashTable::new();
        }
    }

    /// The table that this hash belongs in, told by bits that the table itself does not begin at.
    fn shard(&self, hash: u64) -> Option<&RwLock<Shard>> {
        let at = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        self.shards.get(at)
    }
}
