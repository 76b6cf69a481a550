//! What was found lately, to be found again on a shorter way.
//!
//! The store keeps order among all it holds, so that the right one goes when memory is full; each
//! look at it is noted, and what is noted is worked off. A hit on what was looked at a moment ago
//! needs none of that. Here is a table of what the store has given out, and of nothing else: the
//! store says of everything that leaves it or is replaced in it that it has ([`Near::gone`]), and
//! is asked again, under each key, in every step of time ([`Near::step`]).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::key::Key;
use super::stored::StoredResponse;
use crate::clock::Time;

/// The store is told that an answer is asked for each time that about this part of memory has been
/// given to others. What is asked for all the time is then always among the last that would go.
const PARTS: u64 = 16;
/// And how often while nothing new comes, and nothing goes.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// Tables, each with a lock: two requests seldom want the same one.
const SHARDS: usize = 64;

/// The table.
pub(super) struct Near {
    hasher: RandomState,
    shards: [RwLock<Shard>; SHARDS],
    /// How many bytes have been taken into the store, ever.
    taken: AtomicU64,
    /// How many of them begin another step: two to the power of this.
    part: u32,
}

#[derive(Default)]
struct Shard {
    found: HashTable<Found>,
    /// How often the store has said that something left it.
    departures: u64,
}

struct Found {
    key: Key,
    response: Arc<StoredResponse>,
    /// When the store was last asked.
    seen: Seen,
}

/// In which step of time something was last looked at ([`Near::step`]).
#[derive(Debug, Default)]
pub(super) struct Seen(AtomicU64);

impl Seen {
    /// Whether this is the first look of this step.
    pub(super) fn is_new(&self, step: u64) -> bool {
        // Read before it is written: what all look at is written once in a step.
        self.0.load(Ordering::Relaxed) != step && self.0.swap(step, Ordering::Relaxed) != step
    }
}

/// The moment before the store is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before(u64);

impl Near {
    /// An empty table, to a store of so many bytes.
    pub(super) fn new(bound: u64) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| RwLock::default()),
            taken: AtomicU64::new(0),
            part: (bound / PARTS).max(1).ilog2(),
        }
    }

    /// The step of time in which the store is to be asked once.
    pub(super) fn step(&self, now: Time) -> u64 {
        let steps = now.since(Time::default()).as_secs() / LOOK_AGAIN.as_secs();
        // Neither goes back: with either another step begins.
        steps + 1 + (self.taken.load(Ordering::Relaxed) >> self.part)
    }

    /// What was found under this key, and is still in the store; or what [`Near::found`] is to be
    /// told once the store has been asked, and whether something was found.
    pub(super) fn get(&self, key: &Key, step: u64) -> Result<Arc<StoredResponse>, (Before, bool)> {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else {
            return Err((Before(0), false));
        };
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        let before = Before(shard.departures);
        match shard.found.find(hash, |found| found.key == *key) {
            Some(found) if !found.seen.is_new(step) => Ok(Arc::clone(&found.response)),
            found => Err((before, found.is_some())),
        }
    }

    /// The store has given this out under that key. Not kept where something has left the store
    /// since `before`: it might have been this.
    pub(super) fn found(
        &self,
        key: &Key,
        response: &Arc<StoredResponse>,
        before: Before,
        step: u64,
    ) {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.departures != before.0 {
            return;
        }
        let rehash = |found: &Found| self.rehash(found);
        match shard.found.entry(hash, |found| found.key == *key, rehash) {
            Entry::Occupied(mut there) => {
                let there = there.get_mut();
                there.response = Arc::clone(response);
                there.seen = Seen(step.into());
            }
            Entry::Vacant(room) => {
                room.insert(Found {
                    key: key.clone(),
                    response: Arc::clone(response),
                    seen: Seen(step.into()),
                });
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
            .find_entry(hash, |found| found.key == *key && is_it(&found.response));
        if let Ok(there) = there {
            there.remove();
        }
        // Memory goes back once a burst is over.
        let (held, room) = (shard.found.len(), shard.found.capacity());
        if room > 64 && held < room / 4 {
            shard.found.shrink_to(held * 2, |found| self.rehash(found));
        }
    }

    /// The store takes in so many bytes.
    pub(super) fn taken(&self, bytes: u32) {
        self.taken.fetch_add(u64::from(bytes), Ordering::Relaxed);
    }

    /// All of it has left the store.
    pub(super) fn all_gone(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.departures += 1;
            shard.found = HashTable::new();
        }
    }

    fn rehash(&self, found: &Found) -> u64 {
        self.hasher.hash_one(&found.key)
    }

    /// The table that this hash belongs in, told by bits that the table itself does not begin at.
    fn shard(&self, hash: u64) -> Option<&RwLock<Shard>> {
        let at = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        self.shards.get(at)
    }
}
