//! Everything that is held, found by its key; what was used longest ago goes when the bound is
//! reached.
//!
//! A hit reads under a lock that others read under too, and writes nothing but its own count of
//! references: that something is asked for is noted once in a step of time ([`Table::step`]).
//! What is put in is counted at once, and makes room at once: there is nothing to be worked off.
//!
//! Locks are taken in one order: that of an entry's shard, then that of the order of use.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Found;

use super::order::{Order, Place};
use super::slots::{Cause, RefKey, Removals, Slot, SlotKey};
use crate::clock::Time;

/// That something is asked for is noted each time that about this part of memory has been given
/// to others. What is asked for all the time is then always among the last that would go.
const PARTS: u64 = 16;
/// And how often while nothing new comes, and nothing goes.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// Parts of the table, each with a lock: two requests seldom want the same one, and none is so
/// large that others wait while it grows.
const SHARDS: usize = 256;
/// A shard of fewer entries is not made smaller.
const FEW: usize = 64;

/// How many entries a walk looks at in one go: some tens of microseconds.
const STEP: usize = 128;
/// How long it rests then.
const REST: Duration = Duration::from_micros(100);

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
    order: Mutex<Order>,
    /// What may be held, in bytes.
    bound: u64,
    /// What is held, in bytes and in entries.
    weight: AtomicU64,
    entries: AtomicU64,
    /// How many bytes have been taken in, ever.
    taken: AtomicU64,
    /// How many of them begin another step: two to the power of this.
    part: u32,
    removals: Removals,
}

type Shard = HashTable<Arc<Entry>>;

/// What is held under one key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: SlotKey,
    pub(super) slot: Slot,
    /// Its place in the order of use; its own for as long as it is in the table.
    place: u32,
    /// In which step it was last noted to be asked for.
    seen: AtomicU32,
}

impl Entry {
    pub(super) fn weight(&self) -> u64 {
        u64::from(self.slot.weight(&self.key))
    }

    /// Whether this is the first look of this step.
    fn is_first_look(&self, step: u32) -> bool {
        // Read before it is written: what all look at is written once in a step.
        let seen = &self.seen;
        seen.load(Ordering::Relaxed) != step && seen.swap(step, Ordering::Relaxed) != step
    }
}

impl Table {
    /// An empty table for so many bytes.
    pub(super) fn new(bound: u64) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            order: Mutex::default(),
            bound,
            weight: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            part: (bound / PARTS).max(1).ilog2(),
            removals: Removals::default(),
        }
    }

    /// The bound on what is held, in bytes.
    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// How many entries are held, and what they weigh, in bytes.
    pub(super) fn held(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.entries), read(&self.weight))
    }

    /// How many entries have gone, and why.
    pub(super) fn removals(&self) -> &Removals {
        &self.removals
    }

    /// What is held under a key; and whether this is the first time in this step of time that
    /// it is asked for.
    pub(super) fn get(&self, key: &RefKey<'_>, now: Time) -> Option<(Slot, bool)> {
        let hash = self.hasher.hash_one(key);
        let shard = self.read(hash)?;
        let entry = shard.find(hash, |entry| key.is(&entry.key))?;
        let is_first = entry.is_first_look(self.step(now));
        if is_first {
            // While the shard is locked the place is this entry's.
            self.order().renew(entry.place);
        }
        Some((entry.slot.clone(), is_first))
    }

    /// What is held under a key, for who does not ask for it.
    pub(super) fn peek(&self, key: &RefKey<'_>) -> Option<Slot> {
        let hash = self.hasher.hash_one(key);
        let shard = self.read(hash)?;
        let entry = shard.find(hash, |entry| key.is(&entry.key))?;
        Some(entry.slot.clone())
    }

    /// Holds this under that key, in the place of what was held there. What was used longest
    /// ago goes for it; what is larger than the bound is not held at all.
    pub(super) fn insert(&self, key: SlotKey, slot: Slot, now: Time) {
        let (weight, hold) = (u64::from(slot.weight(&key)), slot.hold());
        if weight > self.bound {
            self.remove(&key.borrowed(), Cause::Size);
            return;
        }
        self.taken.fetch_add(weight, Ordering::Relaxed);
        let until = seconds(now.plus(hold)).saturating_add(1);
        let (hash, step) = (self.hasher.hash_one(&key), self.step(now));
        let before = self.put(hash, until, |place| Entry {
            key,
            slot,
            place,
            seen: AtomicU32::new(step),
        });
        drop(before);
        while self.weight.load(Ordering::Relaxed) > self.bound && self.crowd_out() {}
    }

    /// Puts an entry in its place, and says what was there before.
    fn put(&self, hash: u64, until: u32, entry: impl FnOnce(u32) -> Entry) -> Option<Arc<Entry>> {
        let mut shard = self.write(hash)?;
        // Whether it is there is known once its key is, which is made with its place.
        let place = self.order().take(hash, until)?;
        let entry = Arc::new(entry(place));
        let weight = entry.weight();
        let rehash = |entry: &Arc<Entry>| self.hasher.hash_one(&entry.key);
        match shard.entry(hash, |there| there.key == entry.key, rehash) {
            Found::Occupied(mut there) => {
                let before = std::mem::replace(there.get_mut(), entry);
                self.order().leave(before.place);
                self.weight.fetch_add(weight, Ordering::Relaxed);
                self.uncount(&before, Cause::Replaced);
                Some(before)
            }
            Found::Vacant(room) => {
                room.insert(entry);
                self.weight.fetch_add(weight, Ordering::Relaxed);
                self.entries.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Ends what has not been used for longest. Whether there was anything.
    fn crowd_out(&self) -> bool {
        let Some(first) = self.order().first() else {
            return false;
        };
        // Should others have been quicker, the next is looked at.
        self.end(first, Cause::Size, |order| order.first() == Some(first));
        true
    }

    /// Ends what is held under a key.
    pub(super) fn remove(&self, key: &RefKey<'_>, cause: Cause) {
        let hash = self.hasher.hash_one(key);
        let gone = self
            .write(hash)
            .and_then(|mut shard| self.unhold(&mut shard, hash, |entry| key.is(&entry.key)));
        if let Some(gone) = gone {
            self.uncount(&gone, cause);
        }
    }

    /// Ends those that `ends` says, and gives how many and what they weighed. It is asked
    /// without a lock: of what is put in meanwhile nothing is said.
    ///
    /// The core is left to threads that answer callers: where they share one they would have to
    /// wait for what the system lets a thread work in one go, which is milliseconds. To give way is
    /// not enough, since the system shares time out evenly.
    pub(super) fn sweep(&self, mut ends: impl FnMut(&Entry) -> bool) -> (u64, u64) {
        let (mut walked, mut entries, mut bytes) = (0, 0, 0);
        for shard in &self.shards {
            let all: Vec<_> = read(shard).iter().map(Arc::clone).collect();
            for entry in all {
                walked += 1;
                if walked % STEP == 0 {
                    std::thread::sleep(REST);
                }
                if !ends(&entry) {
                    continue;
                }
                let hash = self.hasher.hash_one(&entry.key);
                let is_it = |there: &Arc<Entry>| Arc::ptr_eq(there, &entry);
                let gone = self.unhold(&mut write(shard), hash, is_it);
                if gone.is_some() {
                    self.uncount(&entry, Cause::Purged);
                    entries += 1;
                    bytes += entry.weight();
                }
            }
        }
        (entries, bytes)
    }

    /// Ends all of it.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut held = write(shard);
            let all = std::mem::take(&mut *held);
            let mut order = self.order();
            for entry in &all {
                order.leave(entry.place);
            }
            drop((order, held));
            for entry in all {
                self.uncount(&entry, Cause::Purged);
            }
        }
    }

    /// Ends what is not to be held any longer.
    pub(super) fn end_expired(&self, now: Time) {
        let now = seconds(now);
        let mut block = 0;
        while block < self.order().blocks() {
            let ended = self.order().ended(block, now);
            for place in ended {
                self.end(place, Cause::Expired, |order| order.has_ended(place, now));
            }
            block += 1;
        }
    }

    /// Ends who has this place, where `still` says that it is the one that was meant.
    fn end(&self, place: Place, cause: Cause, still: impl FnOnce(&Order) -> bool) {
        let Some(mut shard) = self.write(place.hash) else {
            return;
        };
        // Nobody else takes a place of this shard's, or leaves one, while it is locked.
        if !still(&self.order()) {
            return;
        }
        let gone = self.unhold(&mut shard, place.hash, |entry| entry.place == place.at);
        drop(shard);
        if let Some(gone) = gone {
            self.uncount(&gone, cause);
        }
    }

    /// Takes an entry out of its shard. To be dropped once that is not locked any more.
    fn unhold(
        &self,
        shard: &mut Shard,
        hash: u64,
        is_it: impl FnMut(&Arc<Entry>) -> bool,
    ) -> Option<Arc<Entry>> {
        let (entry, _) = shard.find_entry(hash, is_it).ok()?.remove();
        self.order().leave(entry.place);
        // Memory goes back once a burst is over.
        if shard.capacity() > FEW && shard.len() < shard.capacity() / 4 {
            let room = shard.len() * 2;
            shard.shrink_to(room, |entry| self.hasher.hash_one(&entry.key));
        }
        Some(entry)
    }

    fn uncount(&self, gone: &Entry, cause: Cause) {
        self.weight.fetch_sub(gone.weight(), Ordering::Relaxed);
        if cause != Cause::Replaced {
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
        self.removals.note(cause);
    }

    /// The step of time in which it is noted once that something is asked for.
    fn step(&self, now: Time) -> u32 {
        let steps = now.since(Time::default()).as_secs() / LOOK_AGAIN.as_secs();
        // Neither goes back: with either another step begins. Which of them comes round again
        // after four billion does not matter.
        let step = steps + 1 + (self.taken.load(Ordering::Relaxed) >> self.part);
        u32::try_from(step & u64::from(u32::MAX)).unwrap_or_default()
    }

    fn read(&self, hash: u64) -> Option<RwLockReadGuard<'_, Shard>> {
        self.shard(hash).map(read)
    }

    fn write(&self, hash: u64) -> Option<RwLockWriteGuard<'_, Shard>> {
        self.shard(hash).map(write)
    }

    /// The shard that this hash belongs in, told by bits that the shard itself does not begin at.
    fn shard(&self, hash: u64) -> Option<&RwLock<Shard>> {
        let at = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        self.shards.get(at)
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

/// Whole seconds of the clock.
fn seconds(now: Time) -> u32 {
    u32::try_from(now.since(Time::default()).as_secs()).unwrap_or(u32::MAX)
}
