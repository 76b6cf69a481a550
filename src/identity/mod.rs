//! Who asks, what Graph has said about them, and who may share an answer.
//!
//! Second room of the walk: given a request's `Authorization`, says who the [`Caller`] is and
//! in which [`Partition`]s it may read.
//!
//! A token's claims are read, never believed: they become a principal's only once Graph has
//! accepted that very token ([`Proof`]). Until then they serve as hints that cost nothing when
//! false (which validator to send, which budget to wait in).
//!
//! Read [`credential`] with `seen`, then [`principal`], then [`proof`], then [`sharing`].

pub mod config;
pub mod credential;
pub mod principal;
pub mod proof;
mod seen;
pub mod sharing;
pub mod subject;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::HeaderMap;

pub use config::{Config, ExtraPermissions, Sharing};
pub use credential::{Bearer, Credential, NoCredential};
pub use principal::{Permissions, Principal, PrincipalId};
pub use proof::Proof;
use seen::Print;
pub use sharing::Partition;
pub use subject::{Space, Subject};

use crate::clock::Time;
use crate::route::{Guid, ObjectId, OwnerKind, PhotoOwner};

/// What this room remembers: the key credentials are hashed with, and Graph's word about them.
#[derive(Debug)]
pub struct Identity {
    sharing: AtomicU8,
    hasher: credential::Hasher,
    seen: seen::SeenTokens,
    reader: principal::Reader,
    proofs: proof::Proofs,
    tables: sharing::Tables,
}

/// One caller, as far as known at the time of its request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token, known by its keyed hash.
    pub credential: Credential,
    standing: Standing,
}

#[derive(Debug, Clone)]
enum Standing {
    /// Graph accepts this very token; its word was still good when it was looked up.
    Proven(Arc<Proof>),
    /// All there is is what the token says of itself.
    Claimed(Arc<Principal>),
}

impl Caller {
    fn proven(credential: Credential, proof: Arc<Proof>) -> Self {
        let standing = Standing::Proven(proof);
        Self {
            credential,
            standing,
        }
    }

    /// Who the token says it is. Believed only where [`Caller::proof`] stands.
    pub fn principal(&self) -> &Principal {
        match &self.standing {
            Standing::Proven(proof) => &proof.principal,
            Standing::Claimed(principal) => principal,
        }
    }

    /// Graph's word that it accepts this very token, where it is still good.
    pub fn proof(&self) -> Option<&Arc<Proof>> {
        match &self.standing {
            Standing::Proven(proof) => Some(proof),
            Standing::Claimed(_) => None,
        }
    }
}

impl Identity {
    /// A room that knows nobody yet, with a random key.
    ///
    /// # Panics
    ///
    /// When the system has no randomness to give, in which case nothing may be shared at all.
    pub fn new(config: &Config) -> Self {
        Self {
            sharing: AtomicU8::new(config.sharing as u8),
            hasher: credential::Hasher::random(),
            seen: seen::SeenTokens::new(config.proofs),
            reader: principal::Reader::new(&config.member_roles),
            proofs: proof::Proofs::new(config.proof_ttl, config.proofs),
            tables: sharing::Tables::new(&config.extra_permissions),
        }
    }

    /// The policy in force.
    pub fn sharing(&self) -> Sharing {
        // What is not one of the wider two is the narrowest.
        match self.sharing.load(Ordering::Acquire) {
            verified if verified == Sharing::Verified as u8 => Sharing::Verified,
            tenant if tenant == Sharing::Tenant as u8 => Sharing::Tenant,
            _ => Sharing::Token,
        }
    }

    /// Takes another policy from here on, at once and for what is held already; and another
    /// lifetime of proofs, where it is no longer than the one at the start.
    ///
    /// Says whether callers' own partitions are other ones now: then what Graph has refused
    /// them is noted where nobody looks any more.
    #[must_use]
    pub fn reload(&self, sharing: Sharing, proof_ttl: Duration) -> bool {
        let before = self.sharing();
        self.sharing.store(sharing as u8, Ordering::Release);
        self.proofs.reload(proof_ttl);
        (before == Sharing::Token) != (sharing == Sharing::Token)
    }

    /// Says who asks.
    ///
    /// # Errors
    ///
    /// Where the request does not carry exactly one well-formed bearer token. Such a request is
    /// Graph's to answer and never touches what is held.
    pub fn caller(&self, headers: &HeaderMap, now: Time) -> Result<Caller, NoCredential> {
        let token = Bearer::unread(headers)?;
        let print = self.seen.print(token);
        // What is remembered was read once, byte for byte the same.
        if let Some(caller) = print.and_then(|print| self.remembered(print, now)) {
            return Ok(caller);
        }
        let bearer = Bearer::read(token)?;
        let credential = self.hasher.credential(bearer);
        if let Some(caller) = self.looked_up(print, credential, now) {
            return Ok(caller);
        }
        let principal = self.reader.read(bearer, credential, &self.hasher);
        Ok(Caller {
            credential,
            standing: Standing::Claimed(Arc::new(principal)),
        })
    }

    /// The caller of a token that was seen lately, and is proven.
    fn remembered(&self, print: Print, now: Time) -> Option<Caller> {
        let stamp = |credential: &Credential| self.proofs.stamp(credential);
        match self.seen.find(print, stamp)? {
            (credential, Some(proof)) => self
                .proofs
                .holds(&proof, now)
                .then(|| Caller::proven(credential, proof)),
            (credential, None) => self.looked_up(Some(print), credential, now),
        }
    }

    /// The same, where the proof must be looked up first; what is found is remembered.
    fn looked_up(&self, print: Option<Print>, credential: Credential, now: Time) -> Option<Caller> {
        // Before the proof: what ends meanwhile shows in the next stamp.
        let stamp = self.proofs.stamp(&credential);
        let proof = self.proofs.get(&credential, now)?;
        if let Some(print) = print {
            self.seen.remember(print, credential, &proof, stamp);
        }
        Some(Caller::proven(credential, proof))
    }

    /// The caller of a token that is known by its hash alone; only where it is proven, since
    /// nothing else is remembered of a token.
    pub fn proven(&self, credential: Credential, now: Time) -> Option<Caller> {
        self.looked_up(None, credential, now)
    }

    /// Graph has accepted this caller's token on a photo request asked at `asked`.
    ///
    /// Nothing is remembered when Graph refused the token after `asked`, or when the token has
    /// ended since.
    pub fn accepted(&self, caller: &Caller, asked: Time, now: Time) -> Option<Arc<Proof>> {
        self.proofs.accept(caller, asked, now)
    }

    /// Whether [`Identity::accepted`] would remember that word now.
    pub fn would_accept(&self, caller: &Caller, asked: Time, now: Time) -> bool {
        self.proofs.would_accept(caller, asked, now)
    }

    /// Whether Graph's word about this caller still stands, whatever came since it was looked up.
    pub fn still_proven(&self, caller: &Caller, now: Time) -> bool {
        self.proofs.get(&caller.credential, now).is_some()
    }

    /// Graph has refused this token (401): its proof ends at once.
    pub fn refused(&self, credential: &Credential, now: Time) {
        self.proofs.refuse(credential, now);
    }

    /// Graph has given this caller a photo, or "no photo", of the owner of these names, the one
    /// it was asked by first; asked for at `asked`.
    ///
    /// One's own does not count: every token is given it, so it says nothing about others. Nor
    /// does a name that may be one's own, for all that the token says; nor does what was asked
    /// for before Graph refused this token another owner of that kind.
    pub fn witnessed(
        &self,
        caller: &Caller,
        proof: &Proof,
        owner: &PhotoOwner,
        names: &[Subject],
        asked: Time,
    ) {
        let may_be_oneself = |name| sharing::may_be_oneself(&proof.principal, name);
        let by_guid = |name: &&Subject| matches!(name, Subject::User(ObjectId::Guid(_)));
        let surest = names.iter().find(by_guid).or(names.first());
        if let Some(subject) = surest.filter(|surest| !may_be_oneself(surest))
            && !names
                .iter()
                .any(|name| sharing::is_oneself(&proof.principal, name))
        {
            let whose = (&caller.credential, proof);
            self.proofs.witness(whose, owner.kind(), subject, asked);
        }
    }

    /// Graph has refused this token an owner of that kind (403).
    pub fn denied(&self, credential: &Credential, kind: OwnerKind, now: Time) {
        self.proofs.deny(credential, kind, now);
    }

    /// Whether the policy still lets a partition be read by whom it let before: it may have
    /// been narrowed since.
    pub fn still_reads(&self, partition: Partition) -> bool {
        match (partition, self.sharing()) {
            (Partition::Credential(_), policy) => policy == Sharing::Token,
            (Partition::Principal(_), policy) => policy != Sharing::Token,
            (Partition::Tenant(_), policy) => policy == Sharing::Tenant,
        }
    }

    /// The partition of the caller's own accesses.
    pub fn own_partition(&self, caller: &Caller) -> Partition {
        match self.sharing() {
            Sharing::Token => Partition::Credential(caller.credential),
            Sharing::Verified | Sharing::Tenant => Partition::Principal(caller.principal().id()),
        }
    }

    /// The partition shared by a tenant, where the policy and Graph let this caller read it.
    ///
    /// DESIGN: a proven credential of a non-guest principal to which Graph itself has given a
    /// photo of another owner of that kind, and whose permissions cover the kind. `names` are
    /// all known names of the owner, the one it was asked by first.
    pub fn shared_partition(
        &self,
        caller: &Caller,
        owner: &PhotoOwner,
        names: &[Subject],
        now: Time,
    ) -> Option<Partition> {
        (self.sharing() == Sharing::Tenant && self.tenant_would_cover(caller, owner, names, now))
            .then(|| caller.principal().tenant().map(Partition::Tenant))
            .flatten()
    }

    /// The tenant's partition, where an answer this caller has just been given may be kept for
    /// others: the caller's own permissions must cover the kind.
    pub fn contributes_to(
        &self,
        caller: &Caller,
        owner: &PhotoOwner,
        subject: &Subject,
    ) -> Option<Partition> {
        if self.sharing() != Sharing::Tenant
            || !self.tables.cover(caller.principal(), owner, subject)
        {
            return None;
        }
        caller.principal().tenant().map(Partition::Tenant)
    }

    /// The tenant whose every user's photo this caller's permissions cover, if they do.
    pub fn reads_every_user(&self, caller: &Caller) -> Option<Guid> {
        // Somebody, and nobody in particular: not oneself.
        let somebody = ObjectId::Other("".into());
        let subject = Subject::User(somebody.clone());
        let covers = self
            .tables
            .cover(caller.principal(), &PhotoOwner::User(somebody), &subject);
        caller.principal().tenant().filter(|_| covers)
    }

    /// Whether the `tenant` policy lets, or would let, this caller read what its tenant holds.
    pub fn tenant_would_cover(
        &self,
        caller: &Caller,
        owner: &PhotoOwner,
        names: &[Subject],
        now: Time,
    ) -> bool {
        let (Some(proof), Some(subject)) = (caller.proof(), names.first()) else {
            return false;
        };
        self.tables.cover(caller.principal(), owner, subject)
            && proof.witnessed_another(owner.kind(), names, now)
    }

    /// How many proofs are held.
    pub fn proofs_held(&self) -> u64 {
        self.proofs.held()
    }

    /// Drops what has ended.
    pub fn maintain(&self, now: Time) {
        self.proofs.maintain(now);
        self.seen.maintain(self.proofs.held());
    }
}

#[cfg(test)]
mod tests;
