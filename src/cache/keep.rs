//! Keeping what Graph said: an answer that is new, or its word that what is held still stands.
//!
//! An answer from before a write of its owner is not kept, however late it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::admission::{self, NotStored};
use super::doubt::Born;
use super::fields::{StoredFields, own_etag};
use super::freshness::Freshness;
use super::key::BodyKey;
use super::slots::{RefKey, Slot, SlotKey};
use super::store::{Cache, Place};
use super::stored::{Held, HeldBytes, Kind, Popularity, SharedBody, StoredBody, StoredResponse};
use crate::clock::Time;

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

/// An answer that has been judged, and is not kept yet.
#[derive(Debug)]
pub struct Received {
    response: Arc<StoredResponse>,
    /// Why it will not be, where that is known.
    not_stored: Option<NotStored>,
}

impl Received {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status
    }

    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        match &self.response.body {
            StoredBody::Inline(bytes) => bytes.clone(),
            StoredBody::Shared(_) => Bytes::new(),
        }
    }

    /// When it was asked for.
    pub fn asked(&self) -> Time {
        self.response.asked
    }

    /// After which doubts it was asked for.
    pub fn born(&self) -> Born {
        self.response.born
    }

    /// Why it will not be kept, where that is known.
    pub fn not_stored(&self) -> Option<NotStored> {
        self.not_stored
    }
}

/// What became of an answer.
#[derive(Debug)]
pub struct Kept {
    /// The answer, for those who wait for it.
    pub held: Held,
    /// Why it is not stored, where it is not.
    pub not_stored: Option<NotStored>,
}

impl Cache {
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
        let received = self.receive(place, kind, answered, now);
        self.keep_received(place, received, before, now)
    }

    /// Judges an answer, and says what will be told with it and for how long it is good. Keeps
    /// nothing yet.
    pub fn receive(
        &self,
        place: &Place,
        kind: Kind,
        answered: Answered<'_>,
        now: Time,
    ) -> Received {
        let judged = admission::judge_body(kind, place.view, &answered.bytes);
        let kind = judged.unwrap_or(kind);
        let response = StoredResponse {
            status: answered.status,
            kind,
            length: answered.bytes.len() as u64,
            fields: StoredFields::of(answered.fields).dated(now),
            freshness: Freshness::of(&self.config(), kind, answered.fields, now, self.jitter()),
            body: StoredBody::Inline(answered.bytes),
            asked: answered.asked,
            born: answered.born,
            subject: place.subject.clone(),
            space: place.space,
            popularity: Popularity::default(),
        };
        Received {
            response: Arc::new(response),
            not_stored: judged.err(),
        }
    }

    /// What was received, where it would be kept as it is now: to be told before it is.
    pub fn foretell(&self, place: &Place, received: &Received, now: Time) -> Option<Held> {
        let Received {
            response,
            not_stored,
        } = received;
        let is_whole = !is_picture(place, response.kind)
            // Our own tag would be made of the bytes.
            || response.fields.contains_key(&header::ETAG);
        let would_keep = not_stored.is_none() && self.believes(place, response.born, now);
        (is_whole && would_keep).then(|| Held {
            response: Arc::clone(response),
            bytes: HeldBytes::With(Arc::clone(response)),
        })
    }

    /// Keeps what was received, if nothing has spoken against it since.
    pub fn keep_received(
        &self,
        place: &Place,
        received: Received,
        before: Option<&Held>,
        now: Time,
    ) -> Kept {
        let Received {
            response,
            not_stored,
        } = received;
        let mut response = Arc::unwrap_or_clone(response);
        let (slot, bytes) = settle(place, &mut response, before);
        let held = Held {
            response: Arc::new(response),
            bytes: HeldBytes::Inline(bytes),
        };
        let not_stored = not_stored.or_else(|| self.insert(place, &held, slot, now).err());
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
        let freshness = freshness.retaining(&config, &before.response.freshness, answered);
        let fields = StoredFields::of(answered).dated(now);
        let fields = before.response.fields.updated(&fields);
        let (body, slot) = again(&before.response.body, &before.bytes);
        let response = StoredResponse {
            fields,
            body,
            asked,
            freshness,
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
        let not_stored = self.insert(place, &held, slot, now).err();
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
                freshness: Freshness {
                    lifetime: Duration::ZERO,
                    stale_while_revalidate: Duration::ZERO,
                    ..held.freshness
                },
                ..StoredResponse::clone(&held)
            };
            let slot = Slot::Response(Arc::new(response));
            self.slots.insert(SlotKey::Response(key.clone()), slot);
        }
    }

    /// `slot` is what goes into the slot of the picture's bytes, where they have one.
    fn insert(
        &self,
        place: &Place,
        held: &Held,
        slot: Option<Arc<Bytes>>,
        now: Time,
    ) -> Result<(), NotStored> {
        if !self.believes(place, held.response.born, now) {
            return Err(NotStored::Written);
        }
        let seconds = held.response.freshness.hold.as_secs().saturating_add(1);
        self.longest_hold.fetch_max(seconds, Ordering::Relaxed);
        if let (StoredBody::Shared(body), Some(slot)) = (&held.response.body, slot) {
            let slot = Slot::Body(slot, held.response.freshness.hold);
            self.slots
                .insert(SlotKey::Body(Arc::clone(&body.key)), slot);
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
}

/// Whether an answer of this kind, kept in this place, is a picture: its bytes have a slot of
/// their own.
fn is_picture(place: &Place, kind: Kind) -> bool {
    kind == Kind::Media && place.current.is_some()
}

/// Says where the bytes of a new answer go, a picture's once for all and the same bytes as before
/// not again; and gives a picture a tag. Returned is what their slot is filled with, and the bytes.
fn settle(
    place: &Place,
    response: &mut StoredResponse,
    before: Option<&Held>,
) -> (Option<Arc<Bytes>>, Bytes) {
    let StoredBody::Inline(bytes) = &response.body else {
        return (None, Bytes::new());
    };
    let bytes = bytes.clone();
    let (Kind::Media, Some(current)) = (response.kind, &place.current) else {
        return (None, bytes);
    };
    let same = before.filter(|before| *before.bytes == bytes);
    let (body, slot, bytes) = if let Some(before) = same {
        let (body, slot) = again(&before.response.body, &before.bytes);
        (body, slot, Bytes::clone(&before.bytes))
    } else {
        let tag = response.fields.get(&header::ETAG);
        let key = BodyKey::new(current, tag.as_ref(), &bytes);
        let (body, slot) = SharedBody::new(key, &bytes);
        (StoredBody::Shared(body), Some(slot), bytes)
    };
    if let StoredBody::Shared(body) = &body {
        let fields = std::mem::take(&mut response.fields);
        response.fields = fields.tagged(&own_etag(body.key.digest()));
    }
    response.body = body;
    (slot, bytes)
}

/// The same bytes in the same place.
fn again(body: &StoredBody, bytes: &Bytes) -> (StoredBody, Option<Arc<Bytes>>) {
    match body {
        StoredBody::Inline(bytes) => (StoredBody::Inline(bytes.clone()), None),
        StoredBody::Shared(body) => {
            let (body, slot) = body.again(bytes);
            (StoredBody::Shared(body), Some(slot))
        }
    }
}
