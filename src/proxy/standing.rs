//! What is to be done about a photo request: by what is held, what Graph has said of this caller,
//! and what the caller asks of a stored answer; and what is asked behind an answer from memory.

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};

use super::Rooms;
use super::wanted::{Facts, Wanted};
use crate::cache::{Held, Lookup};
use crate::clock::Time;
use crate::render::{Answer, CacheStatus, Detail, Forward, Outcome, Problem};
use crate::upstream::{self, Budget};

/// What is to be done about a photo request.
pub(super) enum Standing {
    /// It may be answered from memory.
    Serve(Held),
    /// What is held of another size answers for it.
    Infer(Held),
    /// It may be answered from memory, and Graph asked behind it.
    ServeAndRevalidate(Held, CacheStatus),
    /// Graph must be asked first.
    Ask(Forward),
}

impl Rooms {
    /// What is to be done by now about a photo request for which Graph had to be asked.
    pub(super) fn anew(
        &self,
        facts: Arc<Facts>,
        why: Forward,
        headers: &HeaderMap,
    ) -> (Arc<Facts>, Standing) {
        let now = self.clock.now();
        let Ok(caller) = self.identity.caller(headers, now) else {
            return (facts, Standing::Ask(why));
        };
        let facts = Facts::gather(self, facts.photo.clone(), caller, facts.demand, now);
        let standing = self.standing(&facts, now);
        (Arc::new(facts), standing)
    }

    /// What is to be done about a photo request, by what is held, what Graph has said of this
    /// caller, and what the caller asks of a stored answer.
    pub(super) fn standing(&self, facts: &Facts, now: Time) -> Standing {
        // The cache may have been turned off while this request waited.
        if facts.caller.proof().is_none() || !self.trust.stands() {
            return Standing::Ask(Forward::Miss);
        }
        let demand = facts.demand;
        let stale = |held| {
            let status = CacheStatus::hit().because(Detail::Revalidating);
            if demand.only_if_cached {
                Standing::Serve(held)
            } else {
                Standing::ServeAndRevalidate(held, status)
            }
        };
        let inferred = || {
            let held = self.inferred_absent(facts, now);
            held.filter(|held| demand.takes(&held.response, now))
        };
        let mut why = Forward::Miss;
        for key in facts.readable() {
            // What is held by the canonical name is the later word, fresh or not.
            if why != Forward::Miss && facts.is_addressed(key) {
                break;
            }
            let found = self.cache.lookup(key, facts.own, now);
            // "No photo" that has grown old, and a younger word that there is none of any size.
            if let Lookup::Stale(held) | Lookup::Expired(held) = &found
                && held.response.status == StatusCode::NOT_FOUND
                && let Some(largest) = inferred()
            {
                return Standing::Infer(largest);
            }
            match found {
                Lookup::Fresh(held) if demand.takes(&held.response, now) => {
                    return Standing::Serve(held);
                }
                Lookup::Fresh(_) => why = Forward::Request,
                Lookup::Stale(held) if demand.takes(&held.response, now) => return stale(held),
                Lookup::Expired(held) if demand.takes_expired(&held.response, now) => {
                    return stale(held);
                }
                Lookup::Stale(_) | Lookup::Expired(_) | Lookup::Doubted(_) => why = Forward::Stale,
                Lookup::Miss => {}
            }
        }
        if why == Forward::Miss && facts.other_variant_is_held(self, now) {
            why = Forward::VaryMiss;
        }
        match inferred() {
            Some(held) if why == Forward::Miss => Standing::Infer(held),
            _ => Standing::Ask(why),
        }
    }

    /// What is held and how it stands, for a caller who may have it; Graph is asked behind it
    /// where that is due.
    ///
    /// # Errors
    ///
    /// Why Graph must be asked first.
    pub(super) fn from_memory<B>(
        self: &Arc<Self>,
        facts: &Facts,
        standing: Standing,
        request: &Request<B>,
        now: Time,
    ) -> Result<(Held, CacheStatus), Forward> {
        match standing {
            Standing::Serve(held) => {
                self.renew_ahead(facts, Some(&held), request, now);
                Ok((held, CacheStatus::hit()))
            }
            Standing::Infer(held) => {
                self.renew_ahead(facts, None, request, now);
                Ok((held, CacheStatus::hit()))
            }
            Standing::ServeAndRevalidate(held, status) => {
                let wanted = Wanted::of(self, facts.clone(), request);
                Ok((held, self.revalidate(wanted, status)))
            }
            Standing::Ask(why) => Err(why),
        }
    }

    /// Asks behind a caller's answer, so that steady callers never wait: to renew a proof that
    /// nears its end, or a photo in demand that nears its own.
    fn renew_ahead<B>(
        self: &Arc<Self>,
        facts: &Facts,
        held: Option<&Held>,
        request: &Request<B>,
        now: Time,
    ) {
        let proof = facts.caller.proof();
        if proof.is_some_and(|proof| proof.wants_renewal(now)) {
            return self.ask_behind(Wanted {
                renews: true,
                ..Wanted::of(self, facts.clone(), request)
            });
        }
        let Some(held) =
            held.filter(|held| self.questions.refresh_ahead && held.response.wants_refresh(now))
        else {
            return;
        };
        // A photo that is still fresh is worth a call only where calls are to be had.
        let wanted = Wanted::of(self, facts.clone(), request);
        let kind = facts.owner.kind();
        if self.questions.gate().has_room(&wanted.budget, kind, now) {
            self.ask_behind(wanted);
        } else {
            held.response.popularity.refresh_failed();
        }
    }

    /// The refusal of what would be relayed while its budget's clock is running: they are photo requests too.
    pub(super) fn throttled(&self, facts: &Facts, now: Time) -> Option<Outcome> {
        let kind = facts.owner.kind();
        let budget = Budget::of(&facts.caller, kind);
        match self.questions.gate().refusal(&budget, kind, now)? {
            upstream::Refusal::Wait(wait) => Some(Outcome {
                answer: Answer::Problem(Problem::Throttled { wait }),
                status: CacheStatus::forwarded(Forward::Unasked).because(Detail::Throttled),
            }),
            _ => None,
        }
    }

    /// Revalidates behind a stale answer, unless Graph says wait or does not work.
    fn revalidate(self: &Arc<Self>, wanted: Wanted, status: CacheStatus) -> CacheStatus {
        match self.refusal(&wanted) {
            Some(upstream::Refusal::Wait(_)) => status.because(Detail::Throttled),
            Some(_) => status.because(Detail::Error),
            None => {
                self.ask_behind(wanted);
                status
            }
        }
    }
}
