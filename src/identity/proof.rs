//! Graph's word about credentials: when it accepted them, and what it gave them.
//!
//! A proof is made by an upstream answer to that very credential on a photo route, and by
//! nothing else: other routes of Graph (`$metadata`, say) answer 200 without looking at the
//! token. It is as old as the *question*, so that a slow answer makes no proof younger.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::principal::Principal;
use super::{Caller, Credential, Subject};
use crate::clock::Time;
use crate::route::{ObjectId, OwnerKind};

/// A proof's life in parts: from the 16th on traffic renews it, once in each part that is left
/// while Graph gives no word. More parts would ask a failing Graph more often.
const PARTS: u32 = 20;
/// The first part in which a proof is renewed: 80 % of its life.
const RENEWED_FROM: u32 = 16;
/// How old a proof may be, and no more than a part of its life, for another word to change nothing.
const YOUNG: Duration = Duration::from_secs(1);
/// How many refusals are remembered one by one; past it all older questions prove nothing.
const MOST_REFUSALS: usize = 20_000;
/// How long a refusal is remembered: longer than any question to Graph may take.
const REFUSAL_NOTE: Duration = Duration::from_mins(10);

/// "Graph accepted this credential."
///
/// In the order in which a hit looks at it: time and principal lie side by side, at the front.
#[derive(Debug)]
#[repr(C)]
pub struct Proof {
    /// When the request that Graph accepted was sent.
    pub asked: Time,
    ttl: Duration,
    failed_renewals: AtomicU32,
    renewing: AtomicBool,
    /// Who Graph thereby says the credential is.
    pub principal: Principal,
    witnessed: Mutex<Vec<Witness>>,
}

/// Graph gave a credential an answer about an owner, asked for at that time.
#[derive(Debug, Clone)]
struct Witness {
    kind: OwnerKind,
    subject: Subject,
    asked: Time,
}

impl Proof {
    /// Of a token that cannot be read, asked for at `asked`.
    #[cfg(test)]
    pub(super) fn for_tests(hasher: &super::credential::Hasher, asked: Time) -> Self {
        let bearer = super::Bearer::read(b"unreadable").unwrap();
        let credential = hasher.credential(bearer);
        let reader = super::principal::Reader::new(&[]);
        Self {
            principal: reader.read(bearer, credential, hasher),
            asked,
            ttl: Duration::from_mins(15),
            renewing: AtomicBool::new(false),
            failed_renewals: AtomicU32::new(0),
            witnessed: Mutex::default(),
        }
    }

    /// Whether the proof still holds: younger than its lifetime, and the token not at its end.
    pub fn holds(&self, now: Time) -> bool {
        now.since(self.asked) < self.ttl && !ended(self.principal.expires(), now)
    }

    /// How long it still holds, unless Graph refuses the token before.
    pub fn left(&self, now: Time) -> Duration {
        let left = self.ttl.saturating_sub(now.since(self.asked));
        let ends = |expires: u64| Duration::from_secs(expires.saturating_sub(now.unix_seconds()));
        self.principal
            .expires()
            .map(ends)
            .map_or(left, |ends| ends.min(left))
    }

    /// Whether this caller should renew the proof behind its answer. Says so to one caller at
    /// a time, and after a failure not before the next part of its life.
    pub fn wants_renewal(&self, now: Time) -> bool {
        let part = RENEWED_FROM.saturating_add(self.failed_renewals.load(Ordering::Relaxed));
        now.since(self.asked) >= (self.ttl / PARTS).saturating_mul(part)
            && !self.renewing.swap(true, Ordering::AcqRel)
    }

    /// A renewal that brought no word from Graph may be tried again.
    pub fn renewal_failed(&self) {
        self.failed_renewals.fetch_add(1, Ordering::Relaxed);
        self.renewing.store(false, Ordering::Release);
    }

    /// Graph gave this credential an answer about `subject`, asked for at `asked`. The latest
    /// two owners of a kind and form of name are remembered: whoever is asked for next, one of
    /// them is another.
    fn witness(&self, kind: OwnerKind, subject: &Subject, asked: Time) {
        let mut witnessed = lock(&self.witnessed);
        witnessed.retain(|seen| seen.kind != kind || seen.subject != *subject);
        let form = is_by_guid(subject);
        let alike = |seen: &Witness| seen.kind == kind && is_by_guid(&seen.subject) == form;
        if witnessed.iter().filter(|seen| alike(seen)).count() >= 2
            && let Some(oldest) = witnessed.iter().position(alike)
        {
            witnessed.remove(oldest);
        }
        witnessed.push(Witness {
            kind,
            subject: subject.clone(),
            asked,
        });
    }

    /// Graph refused this credential an owner of that kind: what it gave before shows nothing
    /// about the others any more.
    pub(super) fn unwitness(&self, kind: OwnerKind) {
        lock(&self.witnessed).retain(|seen| seen.kind != kind);
    }

    /// Whether Graph has given this credential an answer about another owner of that kind than
    /// the one of these names, no longer ago than a proof is believed.
    ///
    /// A GUID and a principal name that are not known to be a pair may be one user's, so one
    /// owner seen by the other form of name is not surely another. Two GUIDs are: they are two
    /// owners', and the one of these names is one of them at most.
    pub(super) fn witnessed_another(&self, kind: OwnerKind, names: &[Subject], now: Time) -> bool {
        let witnessed = lock(&self.witnessed);
        let seen = witnessed.iter().filter(|seen| {
            seen.kind == kind && now.since(seen.asked) < self.ttl && !names.contains(&seen.subject)
        });
        let mut guids = 0;
        for form in seen.map(|seen| is_by_guid(&seen.subject)) {
            guids += u32::from(form);
            if guids == 2 || names.iter().any(|name| is_by_guid(name) == form) {
                return true;
            }
        }
        false
    }
}

/// Whether an owner is named by its id, which is one owner's for good.
fn is_by_guid(subject: &Subject) -> bool {
    match subject {
        Subject::User(id) | Subject::Group(id) => matches!(id, ObjectId::Guid(_)),
        _ => false,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a token has reached the end it names.
fn ended(expires: Option<u64>, now: Time) -> bool {
    expires.is_some_and(|expires| expires <= now.unix_seconds())
}

/// When Graph refused credentials, or owners of a kind to them: an answer to an earlier question
/// proves nothing.
#[derive(Debug)]
struct Refusals<K> {
    each: HashMap<K, Time>,
    /// Refusals up to here have been forgotten one by one, so they count for everybody.
    forgotten: Option<Time>,
}

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Self {
            each: HashMap::new(),
            forgotten: None,
        }
    }
}

impl<K: Eq + Hash> Refusals<K> {
    fn note(&mut self, whom: K, now: Time) {
        if self.each.len() >= MOST_REFUSALS && !self.each.contains_key(&whom) {
            self.forgotten = self.each.drain().map(|(_, at)| at).max();
        }
        self.each.insert(whom, now);
    }

    fn since(&self, whom: &K, asked: Time) -> bool {
        let latest = self.each.get(whom).copied().max(self.forgotten);
        latest.is_some_and(|at| at >= asked)
    }

    fn forget(&mut self, now: Time) {
        self.each.retain(|_, at| now.since(*at) < REFUSAL_NOTE);
    }
}

/// As of when a credential was looked up among the proofs: with none of its proofs, nor of those it
/// shares a counter with, made or ended since, and within one step of filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(pub(super) u64);

/// How many counters of changes there are, a power of two. Callers come and go all the time: with
/// one counter for all, each would send everybody else to look again.
const COUNTERS: usize = 4_096;
/// A credential that is in use is looked up again each time that about this part of the bound has
/// been given to new proofs, so that it is always among the last to be forgotten.
const FILLINGS: u64 = 16;

/// All proofs, bounded in number. Uses moka like the cache room does: the bound, the order of
/// forgetting and the concurrency are the same need.
pub(super) struct Proofs {
    /// In milliseconds; may be shortened while the proxy runs.
    ttl: AtomicU64,
    /// What moka holds them for, whatever comes.
    longest: Duration,
    held: Cache<Credential, Arc<Proof>>,
    /// How many proofs were made or ended, by credential; raised after the change.
    changes: Box<[AtomicU32]>,
    /// How many proofs were made, ever.
    made: AtomicU64,
    /// How many of them begin another step: two to the power of this.
    step: u32,
    /// Taken whenever a proof is made or ended, so that a refusal always wins; never on the way
    /// of a hit.
    refusals: Mutex<Refusals<Credential>>,
    /// Of the owners of a kind. Taken whenever a witness is noted or ended, so that a refusal
    /// always wins here too.
    denials: Mutex<Refusals<(Credential, OwnerKind)>>,
}

impl Proofs {
    pub(super) fn new(ttl: Duration, bound: u64) -> Self {
        Self {
            ttl: AtomicU64::new(milliseconds(ttl)),
            longest: ttl,
            held: Cache::builder()
                .max_capacity(bound)
                // moka's default refuses newcomers while it is full of busy ones: they would
                // ask Graph each time.
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(ttl)
                .build(),
            changes: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
            made: AtomicU64::new(0),
            step: (bound / FILLINGS).max(1).ilog2(),
            refusals: Mutex::default(),
            denials: Mutex::default(),
        }
    }

    /// Shortens (or lengthens, up to what it was at the start) how long all proofs are believed.
    pub(super) fn reload(&self, ttl: Duration) {
        let ttl = milliseconds(ttl.min(self.longest));
        self.ttl.store(ttl, Ordering::Release);
        for counter in &self.changes {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// As of now. What was looked up under one stamp is still what is held under an equal one,
    /// but for what moka has forgotten for want of room.
    pub(super) fn stamp(&self, credential: &Credential) -> Stamp {
        let counter = self.changes.get(place(credential));
        let changes = counter.map_or(0, |changes| changes.load(Ordering::Acquire));
        let step = self.made.load(Ordering::Relaxed) >> self.step;
        Stamp(u64::from(changes) << 32 | step & u64::from(u32::MAX))
    }

    /// A proof was made or ended, and lookups tell so.
    fn changed(&self, credential: &Credential) {
        if let Some(changes) = self.changes.get(place(credential)) {
            changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl.load(Ordering::Acquire))
    }

    pub(super) fn holds(&self, proof: &Proof, now: Time) -> bool {
        proof.holds(now) && now.since(proof.asked) < self.ttl()
    }

    pub(super) fn get(&self, credential: &Credential, now: Time) -> Option<Arc<Proof>> {
        self.held
            .get(credential)
            .filter(|proof| self.holds(proof, now))
    }

    /// Whether [`Proofs::accept`] would make a proof of this word now.
    pub(super) fn would_accept(&self, caller: &Caller, asked: Time, now: Time) -> bool {
        now.since(asked) < self.ttl()
            && !ended(caller.principal().expires(), now)
            && !lock(&self.refusals).since(&caller.credential, asked)
    }

    pub(super) fn accept(&self, caller: &Caller, asked: Time, now: Time) -> Option<Arc<Proof>> {
        let refusals = lock(&self.refusals);
        if refusals.since(&caller.credential, asked) {
            return None;
        }
        let before = self.held.get(&caller.credential);
        // As good as a new one, which everybody who has found it would have to look for again.
        let is_young = |before: &&Arc<Proof>| {
            asked.since(before.asked) < YOUNG.min(before.ttl / PARTS) && self.holds(before, now)
        };
        if let Some(before) = before.as_ref().filter(is_young) {
            return Some(Arc::clone(before));
        }
        if let Some(before) = before.as_ref().filter(|before| before.asked >= asked) {
            return Some(Arc::clone(before)).filter(|before| self.holds(before, now));
        }
        let witnessed = before.map_or_else(Vec::new, |before| lock(&before.witnessed).clone());
        let proof = Arc::new(Proof {
            principal: caller.principal().clone(),
            asked,
            ttl: self.ttl(),
            renewing: AtomicBool::new(false),
            failed_renewals: AtomicU32::new(0),
            witnessed: Mutex::new(witnessed),
        });
        if !proof.holds(now) {
            return None;
        }
        self.held.insert(caller.credential, Arc::clone(&proof));
        self.made.fetch_add(1, Ordering::Relaxed);
        self.changed(&caller.credential);
        Some(proof)
    }

    pub(super) fn refuse(&self, credential: &Credential, now: Time) {
        let mut refusals = lock(&self.refusals);
        refusals.note(*credential, now);
        self.held.invalidate(credential);
        self.changed(credential);
    }

    /// Graph gave this credential an answer about `subject`, asked for at `asked`: it shows
    /// something about others, unless Graph has refused the credential one of them since.
    pub(super) fn witness(
        &self,
        (credential, proof): (&Credential, &Proof),
        kind: OwnerKind,
        subject: &Subject,
        asked: Time,
    ) {
        let denials = lock(&self.denials);
        if !denials.since(&(*credential, kind), asked) {
            proof.witness(kind, subject, asked);
        }
    }

    /// Graph has refused this credential an owner of that kind. One at a time with
    /// [`Proofs::accept`]: a newer proof takes over what is known of the one before it.
    pub(super) fn deny(&self, credential: &Credential, kind: OwnerKind, now: Time) {
        let _one_at_a_time = lock(&self.refusals);
        lock(&self.denials).note((*credential, kind), now);
        if let Some(proof) = self.get(credential, now) {
            proof.unwitness(kind);
        }
    }

    pub(super) fn held(&self) -> u64 {
        self.held.entry_count()
    }

    pub(super) fn maintain(&self, now: Time) {
        self.held.run_pending_tasks();
        lock(&self.refusals).forget(now);
        lock(&self.denials).forget(now);
    }
}

/// Which counter tells of a credential's proofs. It is a keyed hash: any bits of it will do.
fn place(credential: &Credential) -> usize {
    let [first, second, ..] = credential.bytes();
    usize::from(u16::from_be_bytes([*first, *second])) % COUNTERS
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proofs")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
