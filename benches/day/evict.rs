//! moka's two eviction policies on the day's keys, in a quarter of the room they would need.

use std::collections::HashMap;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::trace::{Trace, What};

/// The key, when it was stored, its weight.
type Entry = (u64, u32);
type Key = (usize, usize, What);

/// Shares of views answered from memory.
#[derive(Debug)]
pub(crate) struct Shares {
    pub(crate) lru: f64,
    pub(crate) tiny_lfu: f64,
}

/// One entry per person and view (`by_viewer` is false), or per viewer, person and view.
pub(crate) fn compare(trace: &Trace, photos: &[bool], by_viewer: bool) -> Shares {
    let run = |policy| share(trace, photos, by_viewer, policy);
    Shares {
        lru: run(EvictionPolicy::lru()),
        tiny_lfu: run(EvictionPolicy::tiny_lfu()),
    }
}

fn share(trace: &Trace, photos: &[bool], by_viewer: bool, policy: EvictionPolicy) -> f64 {
    let mut all: HashMap<Key, u64> = HashMap::new();
    each(trace, photos, by_viewer, |key, weight, _, _| {
        all.insert(key, u64::from(weight));
    });
    let working_set: u64 = all.values().sum();
    let cache: Cache<Key, Entry> = Cache::builder()
        .max_capacity(working_set / 4)
        .weigher(|_, (_, weight): &Entry| *weight)
        .eviction_policy(policy)
        .build();
    let (mut hits, mut views) = (0_u32, 0_u32);
    each(trace, photos, by_viewer, |key, weight, lifetime, now| {
        views += 1;
        match cache.get(&key) {
            Some((stored, _)) if now - stored < lifetime => hits += 1,
            _ => cache.insert(key, (now, weight)),
        }
        if views % 25 == 0 {
            cache.run_pending_tasks();
        }
    });
    f64::from(hits) / f64::from(views)
}

/// Every view: its key, its weight as in the store, its lifetime, its time.
fn each(trace: &Trace, photos: &[bool], by_viewer: bool, mut view: impl FnMut(Key, u32, u64, u64)) {
    for page in &trace.pages {
        for face in &page.faces {
            let whose = if by_viewer { page.viewer } else { 0 };
            let has = photos.get(face.owner).copied().unwrap_or(false);
            let bytes = match face.what {
                What::Small if has => 2_000,
                What::Large if has => 30_000,
                _ => 400,
            };
            let lifetime = if has { 3_600 } else { 600 };
            view(
                (whose, face.owner, face.what),
                bytes + 1_024,
                lifetime,
                page.at,
            );
        }
    }
}
