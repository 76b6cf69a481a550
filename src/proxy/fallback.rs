//! What is shown when Graph cannot be had: what is held, where the caller may still have it, or
//! the wait.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::Incoming;

use super::Rooms;
use super::forward::problem;
use super::question::Flown;
use super::told::Told;
use super::wanted::Wanted;
use crate::cache::{Held, Lookup};
use crate::clock::Time;
use crate::render::{Answer, CacheStatus, Detail, Forward, Outcome, Problem};
use crate::upstream::{self, Pass, Refusal};

impl Rooms {
    /// Graph may not be asked now: what is held instead, or how long to wait.
    pub(super) fn held_up(&self, wanted: &Wanted, why: Forward, refusal: Refusal) -> Outcome {
        let (detail, problem) = match refusal {
            Refusal::Wait(wait) => (Detail::Throttled, Problem::Throttled { wait }),
            Refusal::Down(wait) => (Detail::Error, Problem::Down { wait }),
            Refusal::Full => (Detail::Overloaded, Problem::Overloaded),
        };
        self.instead(wanted, why, detail, problem)
    }

    /// Graph cannot be had: what is held, where it may be shown so, else the problem.
    pub(super) fn instead(
        &self,
        wanted: &Wanted,
        why: Forward,
        detail: Detail,
        problem: Problem,
    ) -> Outcome {
        let now = self.clock.now();
        let held = self.fallback(wanted, now);
        let asked = !matches!(
            problem,
            Problem::Throttled { .. } | Problem::Overloaded | Problem::Down { .. }
        );
        let status = match &held {
            _ if asked => CacheStatus::forwarded(why),
            Some(_) => CacheStatus::hit(),
            None => CacheStatus::forwarded(Forward::Unasked),
        };
        Outcome {
            answer: held.map_or(Answer::Problem(problem), Answer::Held),
            status: status.because(detail),
        }
    }

    /// What may be shown when Graph cannot be had: within its time, and never beyond the
    /// caller's proof.
    pub(super) fn fallback(&self, wanted: &Wanted, now: Time) -> Option<Held> {
        let proof = wanted.facts.caller.proof()?;
        if !proof.holds(now) || !self.identity.still_proven(&wanted.facts.caller, now) {
            return None;
        }
        let keys = wanted.facts.readable();
        let mut keys = keys.filter(|key| self.identity.still_reads(key.partition));
        let held = keys.find_map(|key| match self.cache.lookup(key, wanted.facts.own, now) {
            Lookup::Fresh(held) | Lookup::Stale(held) | Lookup::Expired(held) => Some(held),
            Lookup::Doubted(_) | Lookup::Miss => None,
        });
        held.filter(|held| wanted.facts.demand.takes(&held.response, now))
    }

    pub(super) fn fallback_or_relay(
        &self,
        told: &Told<'_>,
        detail: Detail,
        answer: Response<Incoming>,
        now: Time,
    ) -> Flown {
        let mut answer = answer;
        if detail == Detail::Throttled {
            self.tell_wait(told.posed.wanted, answer.headers_mut(), now);
        }
        let status = CacheStatus {
            forward_status: Some(answer.status()),
            ..CacheStatus::forwarded(told.posed.why).because(detail)
        };
        let outcome = match self.fallback(told.posed.wanted, now) {
            Some(held) => Outcome {
                answer: Answer::Held(held),
                status,
            },
            None => told.relayed(answer),
        };
        // A throttled budget is told to each by the gate; a failure is the same for all.
        if detail == Detail::Throttled {
            return Flown::alone(outcome);
        }
        let wait = Duration::from_secs(1);
        Flown::failed(outcome, Problem::Down { wait })
    }

    /// Puts the wait that we keep to into a refusal of Graph, in whole seconds, which all
    /// callers can read: Graph may name a fraction, a date, or none.
    fn tell_wait(&self, wanted: &Wanted, fields: &mut HeaderMap, now: Time) {
        let named = upstream::retry_after(fields, now);
        let kept = match self.refusal(wanted) {
            Some(Refusal::Wait(left)) => Some(left),
            _ => None,
        };
        let Some(wait) = named.max(kept).filter(|wait| *wait < Duration::MAX) else {
            return;
        };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }

    pub(super) fn unanswered(
        &self,
        wanted: &Wanted,
        why: Forward,
        pass: &Pass,
        error: &upstream::Error,
    ) -> Flown {
        tracing::info!(
            error = error as &dyn std::error::Error,
            "no photo from graph"
        );
        let now = self.clock.now();
        match error {
            upstream::Error::Connect(_) => pass.unreachable(now),
            upstream::Error::TimedOut | upstream::Error::Broken(_) => pass.failed(now),
            // Only a request with a body can stall, and a question has none.
            upstream::Error::CallerStalled => {}
        }
        let problem = problem(error);
        Flown::failed(self.instead(wanted, why, Detail::Error, problem), problem)
    }
}

/// A `Retry-After` of Graph's as a whole number, rounded up: many SDKs read nothing else.
pub(super) fn whole_seconds(fields: &mut HeaderMap) {
    let Some(text) = fields
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
    else {
        return;
    };
    if let Some((whole, fraction)) = text.trim().split_once('.')
        && let (Ok(whole), true) = (
            whole.parse::<u64>(),
            fraction.bytes().all(|b| b.is_ascii_digit()),
        )
    {
        let up = u64::from(fraction.bytes().any(|digit| digit != b'0'));
        fields.insert(
            header::RETRY_AFTER,
            HeaderValue::from(whole.saturating_add(up)),
        );
    }
}
