//! The store itself: the only user of moka for what Graph sent.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use equivalent::Equivalent;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use moka::Expiry;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync;

use super::admission::{self, NotStored};
use super::alias::Aliases;
use super::config::Config;
use super::doubt::{Born, Doubt, Doubts};
use super::freshness::{Freshness, http_date};
use super::key::{BodyKey, CurrentKey, Key};
use super::stored::{Held, Kind, Popularity, STORED_FIELDS, StoredBody, StoredResponse};
use crate::clock::Time;
use crate::identity::{Partition, Space, Subject};
use crate::route::View;

/// What an entry weighs besides its bytes: key, head and moka's own bookkeeping.
const ENTRY_OVERHEAD: u32 = 1_024;
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

/// An answer of Graph, whole.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// Its body, in an allocation of its own.
    pub bytes: Bytes,
    /// When it was asked for.
    pub asked: Time,
    /// Which writes it may not know of.
    pub born: Born,
}

/// What became of an answer.
#[derive(Debug)]
pub struct Kept {
    /// The answer, for those who wait for it.
    pub held: Held,
    /// Why it is not stored, where it is not.
    pub not_stored: Option<NotStored>,
}

/// Everything that is held.
pub struct Cache {
    config: ArcSwap<Config>,
    /// The bound that the store was made with.
    bound: u64,
    pub(super) slots: sync::Cache<SlotKey, Slot>,
    /// After which writes and refusals what is held is in doubt.
    pub doubts: Doubts,
    /// Which names mean the same.
    pub aliases: Aliases,
    jitter: AtomicU64,
    removals: Arc<Removals>,
    /// The longest that anything has been held for, in seconds: so long a write must be known.
    longest_hold: AtomicU64,
}

/// How many entries have gone, and why. Counted by the store's own bookkeeping, so a removal
/// shows once [`Cache::maintain`] has run.
#[derive(Debug, Default)]
pub struct Removals {
    expired: AtomicU64,
    purged: AtomicU64,
    replaced: AtomicU64,
    crowded_out: AtomicU64,
}

impl Removals {
    fn note(&self, cause: RemovalCause) {
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

impl Cache {
    /// An empty cache.
    pub fn new(config: Config) -> Self {
        let removals = Arc::new(Removals::default());
        let noted = Arc::clone(&removals);
        let slots = sync::Cache::builder()
            .max_capacity(config.memory)
            .weigher(|_, slot: &Slot| slot.weight())
            // moka's default, TinyLFU, refuses every newcomer while the cache is full of
            // popular entries: a new colleague's photo would be fetched again each time.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Holds)
            .eviction_listener(move |_, _, cause| noted.note(cause))
            .build();
        Self {
            slots,
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
        let Some(Slot::Response(response)) = self.slots.get(&RefKey::Response(key)) else {
            return Lookup::Miss;
        };
        let Some(held) = self.with_bytes(response) else {
            return Lookup::Miss;
        };
        let response = &held.response;
        if self.doubt(response, Some(own), now).is_some() {
            return Lookup::Doubted(held);
        }
        let staleness = response.staleness(now);
        if response.is_fresh(now) {
            Lookup::Fresh(held)
        } else if staleness < response.stale_while_revalidate {
            Lookup::Stale(held)
        } else if staleness < response.stale_if_error {
            Lookup::Expired(held)
        } else {
            Lookup::Doubted(held)
        }
    }

    /// The latest picture of a subject, whoever it was given to: for its validator.
    pub fn current(&self, key: &CurrentKey) -> Option<Held> {
        match self.slots.get(&RefKey::Current(key)) {
            Some(Slot::Response(response)) => self.with_bytes(response),
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

    /// Keeps an answer whose head has been judged storable as `kind`.
    ///
    /// `before` is what was known of the picture: the same bytes are not held twice.
    pub fn keep(
        &self,
        place: &Place,
        kind: Kind,
        answered: Answered<'_>,
        before: Option<&Held>,
        now: Time,
    ) -> Kept {
        let judged = admission::judge_body(kind, place.view, &answered.bytes);
        let kind = judged.unwrap_or(kind);
        let freshness = Freshness::of(&self.config(), kind, answered.fields, now, self.jitter());
        let fields = dated(stored_fields(answered.fields), now);
        let (body, bytes, own_etag) = Self::body(place, kind, &fields, answered.bytes, before);
        let response = StoredResponse {
            status: answered.status,
            kind,
            length: bytes.len() as u64,
            fields,
            own_etag,
            body,
            asked: answered.asked,
            initial_age: freshness.initial_age,
            lifetime: freshness.lifetime,
            stale_while_revalidate: freshness.stale_while_revalidate,
            stale_if_error: freshness.stale_if_error,
            must_revalidate: freshness.must_revalidate,
            hold: freshness.hold,
            born: answered.born,
            subject: place.subject.clone(),
            space: place.space,
            popularity: Popularity::default(),
        };
        let held = Held {
            response: Arc::new(response),
            bytes,
        };
        let not_stored = judged
            .err()
            .or_else(|| self.insert(place, &held, now).err());
        Kept { held, not_stored }
    }

    /// Graph has said that `before` still stands (304, or the same tag again): freshens it for
    /// this caller (RFC 9111 §4.3.4) and everybody it is shared with.
    pub fn freshen(
        &self,
        place: &Place,
        before: &Held,
        answered: &HeaderMap,
        asked: Time,
        born: Born,
        now: Time,
    ) -> Kept {
        let kind = before.response.kind;
        let config = self.config();
        let freshness = Freshness::of(&config, kind, answered, now, self.jitter());
        let freshness = freshness.retaining(&config, &before.response, answered);
        let mut fields = before.response.fields.clone();
        for (name, value) in &dated(stored_fields(answered), now) {
            // A 304's Content-Type describes nothing, its ETag is the one we sent.
            if *name != header::CONTENT_TYPE && *name != header::ETAG {
                fields.insert(name, value.clone());
            }
        }
        let response = StoredResponse {
            fields,
            asked,
            initial_age: freshness.initial_age,
            lifetime: freshness.lifetime,
            stale_while_revalidate: freshness.stale_while_revalidate,
            stale_if_error: freshness.stale_if_error,
            must_revalidate: freshness.must_revalidate,
            hold: freshness.hold,
            born,
            subject: place.subject.clone(),
            space: place.space,
            ..StoredResponse::clone(&before.response)
        };
        let held = Held {
            response: Arc::new(response),
            bytes: before.bytes.clone(),
        };
        if let Err(reason) = admission::judge_update(answered) {
            self.drop_from(place);
            let not_stored = Some(reason);
            return Kept { held, not_stored };
        }
        let not_stored = self.insert(place, &held, now).err();
        Kept { held, not_stored }
    }

    /// Ends what is held in this place: Graph no longer lets it be stored.
    fn drop_from(&self, place: &Place) {
        for key in &place.keys {
            self.slots.invalidate(&RefKey::Response(key));
        }
        if let Some(current) = &place.current {
            self.slots.invalidate(&RefKey::Current(current));
        }
    }

    /// What is held is known to be of an earlier upload: wherever it stands in this place it
    /// lends its validator, and is shown only where Graph cannot be had. Where it does not
    /// stand it is not put: nobody there was ever given it.
    pub fn outdate(&self, place: &Place, before: &Held) {
        for key in &place.keys {
            let Some(Slot::Response(held)) = self.slots.get(&RefKey::Response(key)) else {
                continue;
            };
            if held.body != before.response.body {
                continue;
            }
            let response = StoredResponse {
                lifetime: Duration::ZERO,
                stale_while_revalidate: Duration::ZERO,
                ..StoredResponse::clone(&held)
            };
            let slot = Slot::Response(Arc::new(response));
            self.slots.insert(SlotKey::Response(key.clone()), slot);
        }
    }

    /// Drops what has ended, and what is in certain doubt. To be called on a timer: people's
    /// photos must not outlive their lifetime in memory for want of traffic.
    pub fn maintain(&self, now: Time) {
        if self.doubts.take_unswept() {
            for (key, slot) in &self.slots {
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
                    self.slots.invalidate(&SlotKey::Body(Arc::clone(body)));
                }
                self.slots.invalidate(&*key);
            }
        }
        let longest = Duration::from_secs(self.longest_hold.load(Ordering::Relaxed));
        let quiet = longest.saturating_add(LONGEST_QUESTION);
        self.doubts.forget(quiet, quiet.max(REFUSAL_NOTE), now);
        self.aliases.maintain();
        self.settle();
    }

    /// Ends everything that is held, and what is on its way.
    pub fn clear(&self) {
        self.doubts.everything();
        self.slots.invalidate_all();
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

    fn insert(&self, place: &Place, held: &Held, now: Time) -> Result<(), NotStored> {
        if !self.believes(place, held.response.born, now) {
            return Err(NotStored::Written);
        }
        let seconds = held.response.hold.as_secs().saturating_add(1);
        self.longest_hold.fetch_max(seconds, Ordering::Relaxed);
        if let StoredBody::Shared(key) = &held.response.body {
            let slot = Slot::Body(held.bytes.clone(), held.response.hold);
            self.slots.insert(SlotKey::Body(Arc::clone(key)), slot);
        }
        let keys = place.keys.iter().cloned().map(SlotKey::Response);
        let current = place
            .current
            .clone()
            .filter(|_| held.response.kind == Kind::Media)
            .map(SlotKey::Current);
        let keys: Vec<SlotKey> = current.into_iter().chain(keys).collect();
        for key in &keys {
            let slot = Slot::Response(Arc::clone(&held.response));
            self.slots.insert(key.clone(), slot);
        }
        if self.believes(place, held.response.born, now) {
            return Ok(());
        }
        // A write came in between, and its sweep may have passed already.
        for key in &keys {
            self.slots.invalidate(key);
        }
        Err(NotStored::Written)
    }

    /// Where the bytes go: a picture's once for all, the same bytes as before not again.
    fn body(
        place: &Place,
        kind: Kind,
        fields: &HeaderMap,
        bytes: Bytes,
        before: Option<&Held>,
    ) -> (StoredBody, Bytes, Option<HeaderValue>) {
        let (Kind::Media, Some(current)) = (kind, &place.current) else {
            return (StoredBody::Inline(bytes.clone()), bytes, None);
        };
        let etag = fields.get(header::ETAG);
        let same = before
            .filter(|before| before.bytes == bytes)
            .map(|before| (before.response.body.clone(), before.bytes.clone()));
        let (body, bytes) = same.unwrap_or_else(|| {
            let key = Arc::new(BodyKey::new(current, etag, &bytes));
            (StoredBody::Shared(key), bytes)
        });
        let own_etag = match (&body, etag) {
            (StoredBody::Shared(key), None) => Some(own_etag(key.digest())),
            _ => None,
        };
        (body, bytes, own_etag)
    }

    fn with_bytes(&self, response: Arc<StoredResponse>) -> Option<Held> {
        let bytes = match &response.body {
            StoredBody::Inline(bytes) => bytes.clone(),
            StoredBody::Shared(key) => match self.slots.get(&RefKey::Body(key))? {
                Slot::Body(bytes, _) => bytes,
                Slot::Response(_) => return None,
            },
        };
        Some(Held { response, bytes })
    }

    /// A number in -1.0 to 1.0, different each time; need not be unguessable.
    fn jitter(&self) -> f64 {
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

/// Our own strong tag, for a picture that Graph gave none.
fn own_etag(digest: &[u8; 16]) -> HeaderValue {
    let text = format!("\"gpp-{:032x}\"", u128::from_be_bytes(*digest));
    HeaderValue::from_str(&text).expect("hex digits in quotes are a header value")
}

/// The fields that are kept of an answer's: of one that should be there once, the first; none
/// that `Connection` says is for one hop (RFC 9111 §3.1).
fn stored_fields(fields: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(STORED_FIELDS.len());
    for name in &STORED_FIELDS {
        let most = if name == header::CONTENT_LANGUAGE {
            usize::MAX
        } else {
            1
        };
        if !is_for_one_hop(name, fields) {
            for value in fields.get_all(name).iter().take(most) {
                kept.append(name, copied(value));
            }
        }
    }
    kept
}

/// A value of its own: what a connection yields is a slice that keeps its whole read buffer
/// alive, tens of kilobytes with each photo that no bound would count.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

fn is_for_one_hop(name: &HeaderName, fields: &HeaderMap) -> bool {
    fields
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
}

/// With the time it was received as its `Date`, where Graph gave none that can be read
/// (RFC 9110 §6.6.1).
fn dated(mut fields: HeaderMap, received: Time) -> HeaderMap {
    if fields.get(header::DATE).and_then(http_date).is_none() {
        let text = httpdate::fmt_http_date(received.wall());
        fields.remove(header::DATE);
        fields.extend(HeaderValue::try_from(text).map(|date| (header::DATE, date)));
    }
    fields
}

/// The key of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SlotKey {
    Response(Key),
    Current(CurrentKey),
    Body(Arc<BodyKey>),
}

/// The same, borrowed.
enum RefKey<'a> {
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
            Self::Response(key) => (0_u8, key).hash(state),
            Self::Current(key) => (1_u8, key).hash(state),
            Self::Body(key) => (2_u8, key).hash(state),
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
    Body(Bytes, Duration),
}

impl Slot {
    pub(super) fn response(&self) -> Option<&StoredResponse> {
        match self {
            Self::Response(response) => Some(response),
            Self::Body(..) => None,
        }
    }

    pub(super) fn weight(&self) -> u32 {
        let bytes = match self {
            Self::Response(response) => match &response.body {
                StoredBody::Inline(bytes) => bytes.len(),
                StoredBody::Shared(_) => 0,
            },
            Self::Body(bytes, _) => bytes.len(),
        };
        u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .saturating_add(ENTRY_OVERHEAD)
    }

    fn hold(&self) -> Duration {
        match self {
            Self::Response(response) => response.hold,
            Self::Body(_, hold) => *hold,
        }
    }
}

/// How long a slot is held at all; freshness is our own sum, with time handed in. Never `None`,
/// which moka's timer wheel was once unsound with.
struct Holds;

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
