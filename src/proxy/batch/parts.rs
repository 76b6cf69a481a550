//! What Graph's answer to a batch says, part by part: of the token, of writes, of budgets, and of
//! photos, which are stored under the rules of a direct answer.

use std::collections::HashMap;

use http::{HeaderMap, Response, StatusCode};

use super::{Asked, Story};
use crate::batch::{Answers, PartAnswer, Wish, held};
use crate::cache::keep::Answered;
use crate::cache::{Born, admission};
use crate::clock::Time;
use crate::identity::Caller;
use crate::proxy::Rooms;
use crate::proxy::learn::Shown;
use crate::proxy::wanted::Wanted;
use crate::proxy::write::DoubtUnlessRefused;
use crate::render::{Answer, Body, CacheStatus};
use crate::route::PhotoWrite;
use crate::upstream::{self, Budget};

/// When a batch was sent, and which writes its answer may not know of.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) asked: Time,
    pub(super) born: Born,
}

/// The writes of a batch; whatever is not known to have been refused puts its owner in doubt.
pub(super) struct Writes<'a>(pub(super) Vec<(Option<&'a str>, DoubtUnlessRefused<'a>)>);

impl Story<'_> {
    /// A 401 in any part ends the token's proof, as it would outside a batch; says whether
    /// there is one. Nothing may be learnt from an answer that holds one.
    pub(super) fn heed_refusals(&self, answers: &Answers<'_>) -> bool {
        let (rooms, now) = (self.rooms, self.rooms.clock.now());
        let mut parts = answers.responses.iter().filter_map(|one| one.part.as_ref());
        let refused = parts.any(|part| part.status == StatusCode::UNAUTHORIZED);
        if refused && let Ok(caller) = rooms.identity.caller(&self.head.headers, now) {
            rooms.identity.refused(&caller.credential, now);
        }
        refused
    }

    /// A 403 to a photo read that we had no other part in ends what its caller was given.
    pub(super) fn heed_denials(&self, by_id: &HashMap<&str, &PartAnswer<'_>>) {
        let (rooms, now) = (self.rooms, self.rooms.clock.now());
        let Ok(caller) = rooms.identity.caller(&self.head.headers, now) else {
            return;
        };
        for part in &self.batch.parts {
            let denied = by_id.get(part.id.as_str());
            let denied = denied.is_some_and(|answer| answer.status == StatusCode::FORBIDDEN);
            if denied && let Wish::Left(owner) = &part.wish {
                rooms.denied(&caller, owner, now);
            }
        }
    }

    /// What Graph's parts say of photos and of whose they are. What may be shown while Graph
    /// fails takes the place of a failure.
    pub(super) fn learn(&mut self, by_id: &HashMap<&str, &PartAnswer<'_>>, sent: Sent) {
        let (rooms, now) = (self.rooms, self.rooms.clock.now());
        for Asked { id, wanted, why } in &self.asked {
            let Some(part) = by_id.get(id) else { continue };
            let facts = &wanted.facts;
            rooms.ops.asked(part.status, false, now.since(sent.asked));
            let mut status = CacheStatus {
                forward_status: Some(part.status),
                ..CacheStatus::forwarded(*why)
            };
            match part.status {
                StatusCode::FORBIDDEN => {
                    rooms.denied(&facts.caller, &facts.photo.owner, now);
                }
                status if is_throttled(status, &part.fields, now) => {
                    let wait = upstream::retry_after(&part.fields, now);
                    rooms.questions.gate().throttled(&wanted.budget, wait, now);
                }
                _ => {}
            }
            if part.status == StatusCode::TOO_MANY_REQUESTS || part.status.is_server_error() {
                if let Some(held) = rooms.fallback(wanted, now) {
                    self.ours.insert(id, held::part(id, &held));
                    self.status.held += 1;
                }
            } else if rooms.keep_part(wanted, part, sent, now) {
                status.stored = true;
                self.status.stored += 1;
            }
            let graphs = Answer::Relayed(Response::new(Body::empty()));
            self.note(facts, &graphs, status, part.status, sent.asked);
        }
    }

    /// The whole batch was throttled: every budget its photos draw on waits.
    pub(super) fn throttled_whole(&self, answer: &Response<Body>, now: Time) {
        let wait = upstream::retry_after(answer.headers(), now);
        let mut budgets: Vec<&Budget> = Vec::new();
        for asked in &self.asked {
            if !budgets.contains(&&asked.wanted.budget) {
                budgets.push(&asked.wanted.budget);
                let gate = self.rooms.questions.gate();
                gate.throttled(&asked.wanted.budget, wait, now);
            }
        }
    }
}

impl Rooms {
    /// Keeps what one part says of a photo, under the rules of a direct answer.
    fn keep_part(&self, wanted: &Wanted, part: &PartAnswer<'_>, sent: Sent, now: Time) -> bool {
        let facts = &wanted.facts;
        let cap = self.cache.config().max_photo;
        let Ok((kind, bytes)) = part.photo(facts.photo.view, cap) else {
            return false;
        };
        let (asked, born) = (sent.asked, sent.born);
        let shown = match admission::judge_body(kind, facts.photo.view, &bytes) {
            Err(_) => return false,
            Ok(_) if part.status == StatusCode::NOT_FOUND => Shown::NotFound(&bytes),
            Ok(_) => Shown::Photo(Some(&bytes)),
        };
        if self.credited(wanted, (asked, born), shown, now).is_none() {
            return false;
        }
        let answered = Answered {
            status: part.status,
            fields: &part.storable_fields(),
            bytes,
            asked,
            born,
        };
        let kept = self.cache.keep(&wanted.place, kind, answered, None, now);
        kept.not_stored.is_none()
    }
}

impl<'a> Writes<'a> {
    pub(super) fn of(
        rooms: &'a Rooms,
        caller: Option<&Caller>,
        found: &'a [(Option<String>, PhotoWrite)],
    ) -> Self {
        let doubts = found.iter().map(|(id, write)| {
            let doubt = DoubtUnlessRefused::new(rooms, write, caller.cloned());
            (id.as_deref(), doubt)
        });
        Self(doubts.collect())
    }

    /// The answer as a whole, its parts not looked at: refused as a whole, or unknown.
    pub(super) fn settle_unread(self, status: StatusCode) {
        if status.is_client_error() {
            for (_, doubt) in self.0 {
                doubt.settle(status, false);
            }
        }
    }

    /// Each by its own answer; one without stays unknown.
    pub(super) fn settle(self, by_id: &HashMap<&str, &PartAnswer<'_>>, graphs_own: bool) {
        for (id, doubt) in self.0 {
            if let Some(part) = id.and_then(|id| by_id.get(id)) {
                doubt.settle(part.status, graphs_own);
            }
        }
    }
}
/// 429, or a 503 that names a wait; one that names none is a failure like any other.
pub(super) fn is_throttled(status: StatusCode, fields: &HeaderMap, now: Time) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::SERVICE_UNAVAILABLE && upstream::retry_after(fields, now).is_some()
}
