//! Which names mean the same user: a GUID and a user principal name of one tenant.
//!
//! Learnt only from the claims of tokens Graph has accepted, and from `@odata.context` and
//! `@odata.id` in Graph's answers; believed no longer than a photo would be, because names
//! change hands.

use std::time::Duration;

use moka::sync::Cache;

use crate::clock::Time;
use crate::identity::{Space, Subject};
use crate::route::{Guid, ObjectId};

/// How many pairs are remembered; a pair takes some 300 bytes.
const MOST_PAIRS: u64 = 50_000;

/// Pairs of names.
pub struct Aliases {
    ttl: Duration,
    guids: Cache<(Space, Box<str>), (Guid, Time)>,
    upns: Cache<(Space, Guid), (Box<str>, Time)>,
}

impl Aliases {
    /// Knows no pair yet; believes one for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            guids: Cache::builder()
                .max_capacity(MOST_PAIRS)
                .time_to_live(ttl)
                .build(),
            upns: Cache::builder()
                .max_capacity(MOST_PAIRS)
                .time_to_live(ttl)
                .build(),
        }
    }

    /// How long a pair is believed.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Graph has told that `guid` and `upn` were one user at `told`. Of two that claim a name
    /// the later word counts: names change hands, and old tokens keep telling old names.
    pub fn learn(&self, space: Space, guid: Guid, upn: &ObjectId, told: Time, now: Time) {
        let (ObjectId::Upn(upn), Space::Tenant(_)) = (upn.subject(), space) else {
            return;
        };
        if now.since(told) >= self.ttl {
            return;
        }
        let name = (space, upn.clone());
        let before = self.guids.get(&name);
        if before.is_some_and(|(other, learnt)| other != guid && learnt > told) {
            return;
        }
        self.guids.insert(name, (guid, told));
        self.upns.insert((space, guid), (upn, told));
    }

    /// The GUID of a user named by its principal name.
    pub fn guid_of(&self, space: Space, upn: &str, now: Time) -> Option<Guid> {
        let (guid, learnt) = self.guids.get(&(space, upn.into()))?;
        (now.since(learnt) < self.ttl).then_some(guid)
    }

    /// All known names of a subject, itself first.
    pub fn names(&self, subject: &Subject, space: Space, now: Time) -> Vec<Subject> {
        let mut names = vec![subject.clone()];
        match subject {
            Subject::User(ObjectId::Upn(upn)) => {
                let guid = self.guid_of(space, upn, now);
                names.extend(guid.map(|guid| Subject::User(ObjectId::Guid(guid))));
            }
            Subject::User(ObjectId::Guid(guid)) => {
                let upn = self.upns.get(&(space, *guid));
                names.extend(
                    upn.filter(|(_, learnt)| now.since(*learnt) < self.ttl)
                        .map(|(upn, _)| Subject::User(ObjectId::Upn(upn))),
                );
            }
            _ => {}
        }
        names
    }

    /// All known names of a subject in any tenant, itself first: for purges, which may reach
    /// too far and never too short.
    pub fn names_anywhere(&self, subject: &Subject) -> Vec<Subject> {
        let mut names = vec![subject.clone()];
        for (_, (guid, _)) in self.guids.iter().filter(
            |(key, _)| matches!(subject, Subject::User(ObjectId::Upn(upn)) if *upn == key.1),
        ) {
            names.push(Subject::User(ObjectId::Guid(guid)));
        }
        for (_, (upn, _)) in self.upns.iter().filter(
            |(key, _)| matches!(subject, Subject::User(ObjectId::Guid(guid)) if *guid == key.1),
        ) {
            names.push(Subject::User(ObjectId::Upn(upn)));
        }
        names
    }

    /// How many pairs are known.
    pub fn known(&self) -> u64 {
        self.upns.entry_count()
    }

    /// Drops what has ended.
    pub fn maintain(&self) {
        self.guids.run_pending_tasks();
        self.upns.run_pending_tasks();
    }
}

impl std::fmt::Debug for Aliases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aliases")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
