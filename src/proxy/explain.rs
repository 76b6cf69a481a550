//! What would happen to a photo request, and why: the same rooms, asked without asking Graph.
//!
//! Names no token, no owner and no caller; changes nothing.

use std::time::Duration;

use http::{HeaderMap, Method, Uri};

use super::Rooms;
use super::standing::Standing;
use super::wanted::Facts;
use crate::cache::{Demand, Lookup};
use crate::clock::Time;
use crate::identity::{Caller, Credential, Partition};
use crate::render::{CacheStatus, Forward};
use crate::route::{self, PhotoRequest, Recognition};
use crate::upstream::gate::{Breaking, Cause};
use crate::upstream::{Budget, Refusal};

/// Who is supposed to ask.
#[derive(Debug, Clone, Copy)]
pub enum Whom<'a> {
    /// The bearer of the one token in these fields.
    Bearer(&'a HeaderMap),
    /// A token known by its hash.
    Known(Credential),
}

/// What would happen to a GET.
#[derive(Debug)]
pub enum Explanation {
    /// It is no photo read: it passes through untouched.
    Passes,
    /// It is one, and without exactly one readable bearer token: Graph answers it.
    NoCredential(PhotoRequest),
    /// A token of that hash is not remembered.
    UnknownCredential(PhotoRequest),
    /// It is one, by a caller.
    Photo(Box<Reading>),
}

/// What is known of a photo request.
#[derive(Debug)]
pub struct Reading {
    /// What is asked.
    pub photo: PhotoRequest,
    /// Who asks.
    pub caller: Caller,
    /// What is left of Graph's word about the token.
    pub proof_left: Option<Duration>,
    /// Where an answer is looked for, the wider place first.
    pub looks: Vec<Look>,
    /// How it would be answered: from memory, or why Graph would be asked.
    pub status: CacheStatus,
    /// What is left until Graph is asked again, for those who would have to ask.
    pub closed_for: Option<Duration>,
    /// The breaker they would meet, where one is not closed, and why it has opened.
    pub broken: Option<(Cause, Breaking)>,
}

/// One place where an answer is looked for.
#[derive(Debug)]
pub struct Look {
    /// `tenant`, `principal` or `token`.
    pub partition: &'static str,
    /// `fresh`, `stale`, `expired`, `doubted` or `miss`.
    pub found: &'static str,
    /// What is left of its lifetime.
    pub left: Option<Duration>,
    /// Its age.
    pub age: Option<Duration>,
}

impl Rooms {
    /// Says what would happen to a GET of `target`.
    pub fn explain(&self, target: &Uri, whom: Whom<'_>, now: Time) -> Explanation {
        let none = HeaderMap::new();
        let fields = match whom {
            Whom::Bearer(fields) => fields,
            Whom::Known(_) => &none,
        };
        let Recognition::Read(photo) = route::recognise(&Method::GET, target, fields, false) else {
            return Explanation::Passes;
        };
        let caller = match whom {
            Whom::Bearer(fields) => match self.identity.caller(fields, now) {
                Ok(caller) => caller,
                Err(_) => return Explanation::NoCredential(photo),
            },
            Whom::Known(credential) => match self.identity.proven(credential, now) {
                Some(caller) => caller,
                None => return Explanation::UnknownCredential(photo),
            },
        };
        let facts = Facts::gather(self, photo, caller, Demand::default(), now);
        let looks = facts.readable().map(|key| {
            let found = self.cache.lookup(key, facts.own, now);
            look(key.partition, &found, now)
        });
        let looks = looks.collect();
        let status = if self.trust.stands() {
            match self.standing(&facts, now) {
                Standing::Serve(_) | Standing::Infer(_) => CacheStatus::hit(),
                Standing::ServeAndRevalidate(_, status) => status,
                Standing::Ask(why) => CacheStatus::forwarded(why),
            }
        } else {
            CacheStatus::forwarded(Forward::Bypass)
        };
        let kind = facts.owner.kind();
        let budget = Budget::of(&facts.caller, kind);
        let closed_for = match self.questions.gate().refusal(&budget, kind, now) {
            Some(Refusal::Wait(left) | Refusal::Down(left)) => Some(left),
            Some(Refusal::Full) | None => None,
        };
        let broken = self.questions.gate().broken(&budget, kind, now);
        let proof_left = facts.caller.proof().map(|proof| proof.left(now));
        Explanation::Photo(Box::new(Reading {
            photo: facts.photo,
            caller: facts.caller,
            proof_left,
            looks,
            status,
            closed_for,
            broken,
        }))
    }
}

fn look(partition: Partition, found: &Lookup, now: Time) -> Look {
    let (word, held) = match found {
        Lookup::Fresh(held) => ("fresh", Some(held)),
        Lookup::Stale(held) => ("stale", Some(held)),
        Lookup::Expired(held) => ("expired", Some(held)),
        Lookup::Doubted(held) => ("doubted", Some(held)),
        Lookup::Miss => ("miss", None),
    };
    Look {
        partition: match partition {
            Partition::Credential(_) => "token",
            Partition::Principal(_) => "principal",
            Partition::Tenant(_) => "tenant",
        },
        found: word,
        left: held.map(|held| held.response.remaining(now)),
        age: held.map(|held| held.response.age(now)),
    }
}
