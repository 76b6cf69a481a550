//! The store itself: the only user of moka for what Graph sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use moka::policy::EvictionPolicy;
use moka::sync;

use super::alias::Aliases;
use super::config::Config;
use super::doubt::{Born, Doubt, Doubts};
use super::key::{CurrentKey, Key};
use super::near::Near;
use super::slots::{Holds, RefKey, Removals, Slot, SlotKey};
use super::stored::{Held, HeldBytes, StoredBody, StoredResponse};
use crate::clock::{Clock, Time};
use crate::identity::{Partition, Space, Subject};
use crate::route::View;

/// How long any question to Graph may take, at most: an answer from before a write may come, and
/// begin to be held, that much later.
const LONGEST_QUESTION: Duration = Duration::from_mins(5);
/// How long a refusal is kept at least: the longest life of a token that Graph has been seen to
/// give (continuous access evaluation), so that a refused token is refused for good.
const REFUSAL_NOTE: Duration = Duration::from_hours(28);

/// Where an answer to one request is looked for and kept.
#[derive(Debug, Clone)]
pub struct Place {
    /// The caller's own key first, then the wider ones it may also be kept under.
    pub keys: Vec<Key>,
    /// For pictures: where the latest one is known to all who may ask about it.
    pub current: Option<CurrentKey>,
    /// The caller's own partition.
    pub own: Partition,
    /// What it shows.
    pub subject: Subject,
    /// Where that name means something.
    pub space: Space,
    /// Picture, metadata or list.
    pub view: View,
}

/// What is held under a key.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// May be served as it is.
    Fresh(Held),
    /// May be served while it is revalidated.
    Stale(Held),
    /// May be served when Graph cannot be had, and lends its validator.
    Expired(Held),
    /// Lends its validator, and is never served without Graph's word.
    Doubted(Held),
    /// Nothing.
    Miss,
}

/// Everything that is held.
pub struct Cache {
    config: ArcSwap<Config>,
    /// The bound that the store was made with.
    bound: u64,
    pub(super) slots: sync::Cache<SlotKey, Slot>,
    /// The short way to what is in them.
    near: Arc<Near>,
    /// After which writes and refusals what is held is in doubt.
    pub doubts: Doubts,
    /// Which names mean the same.
    pub aliases: Aliases,
    jitter: AtomicU64,
    removals: Arc<Removals>,
    /// The longest that anything has been held for, in seconds: so long a write must be known.
    pub(super) longest_hold: AtomicU64,
}

impl Cache {
    /// An empty cache.
    pub fn new(config: Config) -> Self {
        let removals = Arc::new(Removals::default());
        let noted = Arc::clone(&removals);
        let near = Arc::new(Near::new(config.memory));
        let (left, takes) = (Arc::clone(&near), Arc::clone(&near));
        let slots = sync::Cache::builder()
            .max_capacity(config.memory)
            .weigher(move |key, slot: &Slot| {
                let weight = slot.weight(key);
                takes.taken(weight);
                weight
            })
            // moka's default, TinyLFU, refuses every newcomer while the cache is full of
            // popular entries: a new colleague's photo would be fetched again each time.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Holds)
            .eviction_listener(move |key: Arc<SlotKey>, slot, cause| {
                noted.note(cause);
                if let (SlotKey::Response(key), Slot::Response(response)) = (&*key, &slot) {
                    left.gone(key, response);
                }
            })
            .build();
        Self {
            slots,
            near,
            doubts: Doubts::default(),
            aliases: Aliases::new(config.photo_ttl.max(Duration::from_secs(1))),
            jitter: AtomicU64::new(0x9E37_79B9_7F4A_7C15),
            removals,
            longest_hold: AtomicU64::new(0),
            bound: config.memory,
            config: ArcSwap::from_pointee(config),
        }
    }

    /// This room's settings.
    pub fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// The bound on what is held, in bytes.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// Takes other settings from here on: lifetimes count for answers stored or freshened from
    /// now. The bound on memory stays what it was at the start.
    pub fn reload(&self, config: Config) {
        self.config.store(Arc::new(config));
    }

    /// Says what is held under `key` for a caller whose own partition is `own`.
    pub fn lookup(&self, key: &Key, own: Partition, now: Time) -> Lookup {
        let Some((response, look)) = self.find(key, now) else {
            return Lookup::Miss;
        };
        let Some(held) = self.with_bytes(response, look) else {
            return Lookup::Miss;
        };
        let response = &held.response;
        if self.doubt(response, Some(own), now).is_some() {
            return Lookup::Doubted(held);
        }
        let staleness = response.staleness(now);
        if response.is_fresh(now) {
            Lookup::Fresh(held)
        } else if staleness < response.freshness.stale_while_revalidate {
            Lookup::Stale(held)
        } else if staleness < response.freshness.stale_if_error {
            Lookup::Expired(held)
        } else {
            Lookup::Doubted(held)
        }
    }

    /// The answer under a key, and whether the store is to be told that its bytes are asked for.
    fn find(&self, key: &Key, now: Time) -> Option<(Arc<StoredResponse>, bool)> {
        let step = self.near.step(now);
        let (before, was_near) = match self.near.get(key, step) {
            Ok(response) => return Some((response, false)),
            Err(asks) => asks,
        };
        let Some(Slot::Response(response)) = self.slots.get(&RefKey::Response(key)) else {
            if was_near {
                self.near.nothing(key);
            }
            return None;
        };
        self.near.found(key, &response, before, step);
        Some((response, true))
    }

    /// The latest picture of a subject, whoever it was given to: for its validator.
    pub fn current(&self, key: &CurrentKey, now: Time) -> Option<Held> {
        match self.slots.get(&RefKey::Current(key)) {
            Some(Slot::Response(response)) => {
                let look = response.popularity.looks(self.near.step(now));
                self.with_bytes(response, look)
            }
            _ => None,
        }
    }

    /// Whether the latest picture of a subject is fresh, whoever it was given to.
    pub fn has_fresh(&self, key: &CurrentKey, now: Time) -> bool {
        match self.slots.get(&RefKey::Current(key)) {
            Some(Slot::Response(response)) => {
                response.is_fresh(now) && self.doubt(&response, None, now).is_none()
            }
            _ => false,
        }
    }

    /// Whether an answer born then may still be given to somebody who asks now.
    pub fn believes(&self, place: &Place, born: Born, now: Time) -> bool {
        self.doubts
            .about(
                born,
                Some(place.own),
                &place.subject,
                place.space,
                &self.aliases,
                now,
            )
            .is_none()
    }

    /// Whether [`Cache::sweep_doubted`] would walk through everything held, which is nothing for a
    /// thread that answers callers.
    pub fn wants_walk(&self) -> bool {
        self.doubts.has_unswept()
    }

    /// Drops what has ended, and what is in certain doubt.
    #[cfg(test)]
    pub(super) fn maintain(&self, now: Time) {
        self.sweep_doubted(now, &Clock::by_hand());
        self.tidy(now);
    }

    /// Drops what is in certain doubt, where notes have been made since the last time.
    pub fn sweep_doubted(&self, now: Time, clock: &Clock) {
        if !self.doubts.take_unswept() {
            return;
        }
        for (key, slot) in self.walk(clock) {
            let Slot::Response(response) = &slot else {
                continue;
            };
            let own = match &*key {
                SlotKey::Response(key) => Some(key.partition),
                SlotKey::Current(_) | SlotKey::Body(_) => None,
            };
            if self.doubt(response, own, now) != Some(Doubt::Certain) {
                continue;
            }
            // A refusal to one leaves the bytes to the others.
            if let StoredBody::Shared(body) = &response.body
                && self.doubt(response, None, now) == Some(Doubt::Certain)
            {
                self.slots.invalidate(&RefKey::Body(&body.key));
            }
            self.slots.invalidate(&*key);
        }
    }

    /// Drops what has ended. To be called on a timer: people's photos must not outlive their
    /// lifetime in memory for want of traffic.
    pub fn tidy(&self, now: Time) {
        let longest = Duration::from_secs(self.longest_hold.load(Ordering::Relaxed));
        let quiet = longest.saturating_add(LONGEST_QUESTION);
        self.doubts.forget(quiet, quiet.max(REFUSAL_NOTE), now);
        self.aliases.maintain(now);
        self.settle();
    }

    /// Ends everything that is held, and what is on its way.
    pub fn clear(&self) {
        self.doubts.everything();
        self.slots.invalidate_all();
        self.near.all_gone();
        self.settle();
    }

    /// Drops all that has ended. moka drops some hundreds of entries at each call: of a large
    /// cache that was purged the last would go after many minutes of our timer.
    pub(super) fn settle(&self) {
        loop {
            let before = self.slots.entry_count();
            self.slots.run_pending_tasks();
            if self.slots.entry_count() >= before {
                return;
            }
        }
    }

    /// How many entries are held, and what they weigh, in bytes.
    pub fn held(&self) -> (u64, u64) {
        (self.slots.entry_count(), self.slots.weighted_size())
    }

    /// How many entries have gone, and why.
    pub fn removals(&self) -> &Removals {
        &self.removals
    }

    fn doubt(&self, response: &StoredResponse, own: Option<Partition>, now: Time) -> Option<Doubt> {
        let StoredResponse {
            born,
            subject,
            space,
            ..
        } = response;
        self.doubts
            .about(*born, own, subject, *space, &self.aliases, now)
    }

    fn with_bytes(&self, response: Arc<StoredResponse>, look: bool) -> Option<Held> {
        let bytes = match &response.body {
            StoredBody::Inline(_) => HeldBytes::With(Arc::clone(&response)),
            StoredBody::Shared(body) => {
                let kept = body.bytes.upgrade();
                match kept.filter(|_| !look) {
                    Some(bytes) => HeldBytes::Shared(bytes),
                    None => match self.slots.get(&RefKey::Body(&body.key))? {
                        Slot::Body(bytes, _) => HeldBytes::Shared(bytes),
                        Slot::Response(_) => return None,
                    },
                }
            }
        };
        Some(Held { response, bytes })
    }

    /// A number in -1.0 to 1.0, different each time; need not be unguessable.
    pub(super) fn jitter(&self) -> f64 {
        let state = self
            .jitter
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        f64::from((mixed >> 40) as u32) / f64::from(1u32 << 23) - 1.0
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("config", &self.config())
            .finish_non_exhaustive()
    }
}
