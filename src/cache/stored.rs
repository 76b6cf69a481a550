//! One stored answer: what Graph sent, and how long it is good for.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::doubt::Born;
use super::fields::StoredFields;
use super::freshness::Freshness;
use super::key::BodyKey;
use super::near::Seen;
use crate::clock::Time;
use crate::identity::{Space, Subject};

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredBody {
    /// With the answer: JSON and "no photo" are a few hundred bytes.
    Inline(Bytes),
    /// Held once for all answers that show this picture.
    Shared(SharedBody),
}

/// A picture's bytes, which have a slot of their own. Its weight is counted there, so what
/// stands here keeps nothing alive: it only spares a hit the way by the key.
#[derive(Debug, Clone)]
pub struct SharedBody {
    /// The slot.
    pub key: Arc<BodyKey>,
    /// What was in it when this was stored.
    pub(super) bytes: Weak<Bytes>,
}

impl SharedBody {
    /// These bytes in the slot of this key.
    pub(super) fn new(key: BodyKey, bytes: &Bytes) -> (Self, Arc<Bytes>) {
        let slot = Arc::new(bytes.clone());
        let body = Self {
            key: Arc::new(key),
            bytes: Arc::downgrade(&slot),
        };
        (body, slot)
    }

    /// The same bytes in the same slot, which is filled anew where it is empty by now.
    pub(super) fn again(&self, bytes: &Bytes) -> (Self, Arc<Bytes>) {
        let slot = self.bytes.upgrade();
        let slot = slot.unwrap_or_else(|| Arc::new(bytes.clone()));
        let body = Self {
            key: Arc::clone(&self.key),
            bytes: Arc::downgrade(&slot),
        };
        (body, slot)
    }
}

impl PartialEq for SharedBody {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for SharedBody {}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A picture.
    Media,
    /// Metadata or a list.
    Json,
    /// "No photo": a 404, or the 1x1 metadata.
    Absent,
}

/// A stored answer (RFC 9111 §2).
#[derive(Debug, Clone)]
pub struct StoredResponse {
    /// 200, or 404 for "no photo".
    pub status: StatusCode,
    /// What kind of answer it is.
    pub kind: Kind,
    /// Graph's fields, those that are kept; and our own strong tag, where Graph gave none.
    pub fields: StoredFields,
    /// The bytes, or where they are.
    pub body: StoredBody,
    /// Their length.
    pub length: u64,
    /// When Graph's word about it was asked for; its age counts from here.
    pub asked: Time,
    /// How long it is good for, counted from then.
    pub freshness: Freshness,
    /// Which writes it may not know of.
    pub born: Born,
    /// What it is about, for doubting it after a write.
    pub subject: Subject,
    /// Where that name means something.
    pub space: Space,
    /// How much it is asked for.
    pub popularity: Popularity,
}

/// How much an answer is asked for towards the end of its lifetime.
#[derive(Debug, Default)]
pub struct Popularity {
    /// When its bytes were last looked at as the latest of their subject.
    seen: Seen,
    asks: AtomicU32,
    refreshing: AtomicBool,
}

impl Popularity {
    /// Whether the slot of its bytes should be looked at in this step of time, so that what is
    /// asked for is not taken for what nobody asks for.
    pub(super) fn looks(&self, step: u64) -> bool {
        self.seen.is_new(step)
    }

    /// A refresh that could not be had may be tried again.
    pub fn refresh_failed(&self) {
        self.refreshing.store(false, Ordering::Relaxed);
    }
}

impl Clone for Popularity {
    /// What is freshened is in demand once it is asked for again.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl StoredResponse {
    /// Whether whoever asks now should refresh it behind the answer: it is in the last tenth of
    /// its lifetime, and has been asked for before in the last fifth. Says so once.
    ///
    /// Counting begins late, so that a hit before that touches nothing that others write.
    pub fn wants_refresh(&self, now: Time) -> bool {
        let remaining = self.remaining(now);
        if remaining > self.freshness.lifetime / 5 {
            return false;
        }
        let asked_before = self.popularity.asks.fetch_add(1, Ordering::Relaxed) > 0;
        asked_before
            && remaining <= self.freshness.lifetime / 10
            && !self.popularity.refreshing.swap(true, Ordering::Relaxed)
    }

    /// The tag callers see: Graph's, or our own.
    pub fn etag(&self) -> Option<HeaderValue> {
        self.fields.tag()
    }

    /// The tag to ask Graph with: only one that Graph gave.
    pub fn upstream_etag(&self) -> Option<HeaderValue> {
        self.fields.get(&header::ETAG)
    }

    /// Its age at `now` (RFC 9111 §4.2.3).
    pub fn age(&self, now: Time) -> Duration {
        self.freshness
            .initial_age
            .saturating_add(now.since(self.asked))
    }

    /// What is left of its lifetime; zero once it is stale.
    pub fn remaining(&self, now: Time) -> Duration {
        self.freshness.lifetime.saturating_sub(self.age(now))
    }

    /// How far past its lifetime it is; zero while it is fresh.
    pub fn staleness(&self, now: Time) -> Duration {
        self.age(now).saturating_sub(self.freshness.lifetime)
    }

    /// Whether it is fresh (RFC 9111 §4.2).
    pub fn is_fresh(&self, now: Time) -> bool {
        self.freshness.lifetime > self.age(now)
    }
}

/// A stored answer together with its bytes.
#[derive(Debug, Clone)]
pub struct Held {
    /// The answer.
    pub response: Arc<StoredResponse>,
    /// Its bytes.
    pub bytes: HeldBytes,
}

/// Bytes that are held: counted where they are held once for all, so that a hit goes no way
/// further than to them.
#[derive(Debug, Clone)]
pub enum HeldBytes {
    /// Their own.
    Inline(Bytes),
    /// With this answer.
    With(Arc<StoredResponse>),
    /// In a slot of their own.
    Shared(Arc<Bytes>),
}

impl Deref for HeldBytes {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match self {
            Self::Inline(bytes) => bytes,
            Self::With(response) => match &response.body {
                StoredBody::Inline(bytes) => bytes,
                StoredBody::Shared(_) => &NONE,
            },
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Default for HeldBytes {
    fn default() -> Self {
        Self::Inline(Bytes::new())
    }
}
