//! Graph's word about credentials: when it accepted them, and what it gave them.
//!
//! A proof is made by an upstream answer to that very credential on a photo route, and by
//! nothing else: other routes of Graph (`$metadata`, say) answer 200 without looking at the
//! token. It is as old as the *question*, so that a slow answer makes no proof younger.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::principal::Principal;
use super::{Caller, Credential, Subject};
use crate::clock::Time;
use crate::route::OwnerKind;

/// The share of a proof's life, in tenths, after which traffic renews it ahead of its end.
const RENEW_AFTER_TENTHS: u32 = 8;

/// "Graph accepted this credential."
#[derive(Debug)]
pub struct Proof {
    /// Who Graph thereby says the credential is.
    pub principal: Arc<Principal>,
    /// The token's own end, in seconds since 1970.
    pub expires: Option<u64>,
    /// When the request that Graph accepted was sent.
    pub asked: Time,
    ttl: Duration,
    renewing: AtomicBool,
    witnessed: Mutex<Vec<(OwnerKind, Subject)>>,
}

impl Proof {
    /// Whether the proof still holds: younger than its lifetime, and the token not at its end.
    pub fn holds(&self, now: Time) -> bool {
        now.since(self.asked) < self.ttl && !ended(self.expires, now)
    }

    /// Whether this caller should renew the proof behind its answer. Says so once per proof.
    pub fn wants_renewal(&self, now: Time) -> bool {
        now.since(self.asked) >= self.ttl / 10 * RENEW_AFTER_TENTHS
            && !self.renewing.swap(true, Ordering::AcqRel)
    }

    /// A renewal that brought no word from Graph may be tried again.
    pub fn renewal_failed(&self) {
        self.renewing.store(false, Ordering::Release);
    }

    /// Graph gave this credential an answer about `subject`. Two owners of a kind are enough to
    /// remember: whoever is asked for next, one of them is another.
    pub(super) fn witness(&self, kind: OwnerKind, subject: &Subject) {
        let mut witnessed = self
            .witnessed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = witnessed.iter().filter(|(of, _)| *of == kind).count();
        if known < 2 && !witnessed.iter().any(|(_, seen)| seen == subject) {
            witnessed.push((kind, subject.clone()));
        }
    }

    /// Whether Graph has given this credential an answer about another owner of that kind.
    pub(super) fn witnessed_another(&self, kind: OwnerKind, subject: &Subject) -> bool {
        let witnessed = self
            .witnessed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        witnessed
            .iter()
            .any(|(of, seen)| *of == kind && seen != subject)
    }
}

/// Whether a token has reached the end it names.
fn ended(expires: Option<u64>, now: Time) -> bool {
    expires.is_some_and(|expires| expires <= now.unix_seconds())
}

/// All proofs, bounded in number. Uses moka like the cache room does: the bound, the order of
/// forgetting and the concurrency are the same need.
pub(super) struct Proofs {
    ttl: Duration,
    held: Cache<Credential, Arc<Proof>>,
    /// When Graph refused a credential: an answer to an earlier question proves nothing.
    refused: Cache<Credential, Time>,
}

impl Proofs {
    pub(super) fn new(ttl: Duration, bound: u64) -> Self {
        Self {
            ttl,
            held: Cache::builder()
                .max_capacity(bound)
                .time_to_live(ttl)
                .build(),
            refused: Cache::builder()
                .max_capacity(bound)
                .time_to_live(ttl.max(Duration::from_mins(5)))
                .build(),
        }
    }

    pub(super) fn get(&self, credential: &Credential, now: Time) -> Option<Arc<Proof>> {
        self.held.get(credential).filter(|proof| proof.holds(now))
    }

    pub(super) fn accept(&self, caller: &Caller, asked: Time, now: Time) -> Option<Arc<Proof>> {
        let refused_since = self
            .refused
            .get(&caller.credential)
            .is_some_and(|at| at >= asked);
        if refused_since || ended(caller.expires, now) {
            return None;
        }
        let before = self.held.get(&caller.credential);
        if let Some(before) = before.as_ref().filter(|before| before.asked >= asked) {
            return Some(Arc::clone(before));
        }
        let witnessed = before.map_or_else(Vec::new, |before| {
            before
                .witnessed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        });
        let proof = Arc::new(Proof {
            principal: Arc::clone(&caller.principal),
            expires: caller.expires,
            asked,
            ttl: self.ttl,
            renewing: AtomicBool::new(false),
            witnessed: Mutex::new(witnessed),
        });
        if !proof.holds(now) {
            return None;
        }
        self.held.insert(caller.credential, Arc::clone(&proof));
        // A refusal that came between the look above and the insert must win.
        if self
            .refused
            .get(&caller.credential)
            .is_some_and(|at| at >= asked)
        {
            self.held.invalidate(&caller.credential);
            return None;
        }
        Some(proof)
    }

    pub(super) fn refuse(&self, credential: &Credential, now: Time) {
        self.refused.insert(*credential, now);
        self.held.invalidate(credential);
    }

    pub(super) fn held(&self) -> u64 {
        self.held.entry_count()
    }

    pub(super) fn maintain(&self) {
        self.held.run_pending_tasks();
        self.refused.run_pending_tasks();
    }
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proofs")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
