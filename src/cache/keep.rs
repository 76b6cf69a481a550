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
        let judged = admission::judge_body(kind, place.view, &answered.bytes);
        let kind = judged.unwrap_or(kind);
        let freshness = Freshness::of(&self.config(), kind, answered.fields, now, self.jitter());
        let fields = StoredFields::of(answered.fields).dated(now);
        let (body, slot, bytes) = body(place, kind, &fields, answered.bytes, before);
        let fields = match &body {
            StoredBody::Shared(body) => fields.tagged(&own_etag(body.key.digest())),
            StoredBody::Inline(_) => fields,
        };
        let response = StoredResponse {
            status: answered.status,
            kind,
            length: bytes.len() as u64,
            fields,
            body,
            asked: answered.asked,
            freshness,
            born: answered.born,
            subject: place.subject.clone(),
            space: place.space,
            popularity: Popularity::default(),
        };
        let held = Held {
            response: Arc::new(response),
            bytes: HeldBytes::Inline(bytes),
        };
        let not_stored = judged
            .err()
            .or_else(|| self.insert(place, &held, slot, now).err());
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

/// Where the bytes go, and what their slot is filled with: a picture's once for all, the same
/// bytes as before not again.
fn body(
    place: &Place,
    kind: Kind,
    fields: &StoredFields,
    bytes: Bytes,
    before: Option<&Held>,
) -> (StoredBody, Option<Arc<Bytes>>, Bytes) {
    let (Kind::Media, Some(current)) = (kind, &place.current) else {
        return (StoredBody::Inline(bytes.clone()), None, bytes);
    };
    if let Some(before) = before.filter(|before| *before.bytes == bytes) {
        let (body, slot) = again(&before.response.body, &before.bytes);
        return (body, slot, Bytes::clone(&before.bytes));
    }
    let key = BodyKey::new(current, fields.get(&header::ETAG).as_ref(), &bytes);
    let (body, slot) = SharedBody::new(key, &bytes);
    (StoredBody::Shared(body), Some(slot), bytes)
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
