//! The slots of the store: by what each is found, what it weighs, and how long it is held.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use equivalent::Equivalent;
use moka::Expiry;
use moka::notification::RemovalCause;

use super::key::{BodyKey, CurrentKey, Key};
use super::stored::{StoredBody, StoredResponse};

/// What an answer takes besides its bytes and its fields: moka's entry with its key, itself, and
/// its place among what was found lately. Seen with 60,000 answers of metadata that had been given
/// out: 1,506 bytes each, of which 480 are bytes and fields (`benches/memory.py`).
const ANSWER_OVERHEAD: usize = 1_024;
/// What it takes to know an answer as the latest picture of its subject.
const CURRENT_OVERHEAD: usize = 560;
/// What bytes take that have a slot of their own. With the two others and 128 bytes of fields
/// this is 2,528 bytes for a photo; 2,513 were seen with 10,000 of 60,000 bytes.
const BYTES_OVERHEAD: usize = 816;

/// What so many bytes take in memory: up to 14 KiB sizes come in classes, four to each doubling
/// (jemalloc(3), IMPLEMENTATION NOTES), so that up to a fifth is taken and not used; above, what
/// is not used is the rest of the last page (jemalloc 5.3.1, `disable_large_size_classes`).
/// Photos are counted as what they take, or the bound would be none.
fn allocated(bytes: usize) -> usize {
    /// The largest class.
    const SMALL: usize = 14 << 10;
    const PAGE: usize = 4 << 10;
    let Some(most) = bytes.checked_sub(1) else {
        return 0;
    };
    if bytes > SMALL {
        return bytes.next_multiple_of(PAGE);
    }
    // Below 128 bytes a class is 16 bytes; above, a quarter of the power of two beneath.
    let step = 1 << most.max(64).ilog2().saturating_sub(2);
    bytes.next_multiple_of(step)
}

/// The key of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SlotKey {
    Response(Key),
    Current(CurrentKey),
    Body(Arc<BodyKey>),
}

/// The same, borrowed.
pub(super) enum RefKey<'a> {
    Response(&'a Key),
    Current(&'a CurrentKey),
    Body(&'a BodyKey),
}

impl Hash for SlotKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Response(key) => RefKey::Response(key),
            Self::Current(key) => RefKey::Current(key),
            Self::Body(key) => RefKey::Body(key),
        }
        .hash(state);
    }
}

impl Hash for RefKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Response(key) => key.hash(state),
            Self::Current(key) => key.hash(state),
            Self::Body(key) => key.hash(state),
        }
    }
}

impl Equivalent<SlotKey> for RefKey<'_> {
    fn equivalent(&self, key: &SlotKey) -> bool {
        match (self, key) {
            (Self::Response(a), SlotKey::Response(b)) => *a == b,
            (Self::Current(a), SlotKey::Current(b)) => *a == b,
            (Self::Body(a), SlotKey::Body(b)) => *a == &**b,
            _ => false,
        }
    }
}

/// What is in a slot.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Response(Arc<StoredResponse>),
    Body(Arc<Bytes>, Duration),
}

impl Slot {
    pub(super) fn response(&self) -> Option<&StoredResponse> {
        match self {
            Self::Response(response) => Some(response),
            Self::Body(..) => None,
        }
    }

    /// What it takes in memory under that key, all told.
    pub(super) fn weight(&self, key: &SlotKey) -> u32 {
        let weight = match (key, self) {
            // The answer is counted under the key by which it is given out.
            (SlotKey::Current(key), Self::Response(_)) => {
                CURRENT_OVERHEAD + allocated(key.subject.name_length())
            }
            (_, Self::Response(response)) => {
                let bytes = match &response.body {
                    StoredBody::Inline(bytes) => bytes.len(),
                    StoredBody::Shared(_) => 0,
                };
                // Once in the key, and once in the answer.
                let names = 2 * allocated(response.subject.name_length());
                let fields = allocated(response.fields.lines().len());
                ANSWER_OVERHEAD + names + fields + allocated(bytes)
            }
            (SlotKey::Body(key), Self::Body(bytes, _)) => {
                let name = allocated(key.subject().name_length());
                BYTES_OVERHEAD + name + allocated(bytes.len())
            }
            (_, Self::Body(bytes, _)) => BYTES_OVERHEAD + allocated(bytes.len()),
        };
        u32::try_from(weight).unwrap_or(u32::MAX)
    }

    fn hold(&self) -> Duration {
        match self {
            Self::Response(response) => response.freshness.hold,
            Self::Body(_, hold) => *hold,
        }
    }
}

/// How long a slot is held at all; freshness is our own sum, with time handed in. Never `None`,
/// which moka's timer wheel was once unsound with.
pub(super) struct Holds;

impl Expiry<SlotKey, Slot> for Holds {
    fn expire_after_create(&self, _: &SlotKey, slot: &Slot, _: Instant) -> Option<Duration> {
        Some(slot.hold())
    }

    fn expire_after_update(
        &self,
        _: &SlotKey,
        slot: &Slot,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(slot.hold())
    }
}

/// How many entries have gone, and why. Counted by the store's own bookkeeping, so a removal
/// shows once [`tidy`](super::Cache::tidy) has run.
#[derive(Debug, Default)]
pub struct Removals {
    expired: AtomicU64,
    purged: AtomicU64,
    replaced: AtomicU64,
    crowded_out: AtomicU64,
}

impl Removals {
    pub(super) fn note(&self, cause: RemovalCause) {
        let count = match cause {
            RemovalCause::Expired => &self.expired,
            RemovalCause::Explicit => &self.purged,
            RemovalCause::Replaced => &self.replaced,
            RemovalCause::Size => &self.crowded_out,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Each cause and its figure: past its time, purged or doubted, replaced by a later answer,
    /// crowded out by the bound on memory.
    pub fn causes(&self) -> [(&'static str, u64); 4] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("expired", read(&self.expired)),
            ("purged", read(&self.purged)),
            ("replaced", read(&self.replaced)),
            ("size", read(&self.crowded_out)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_weighs_what_it_takes_and_not_what_it_is_long() {
        for (bytes, taken) in [
            (0, 0),
            (1, 16),
            (16, 16),
            (17, 32),
            (112, 112),
            (113, 128),
            (129, 160),
            (1_500, 1_536),
            (2_048, 2_048),
            (2_049, 2_560),
            (12_289, 14_336),
            (14_336, 14_336),
            (14_337, 16_384),
            (60_000, 61_440),
            (65_537, 69_632),
            (4 << 20, 4 << 20),
        ] {
            assert_eq!(allocated(bytes), taken, "{bytes}");
        }
    }
}
