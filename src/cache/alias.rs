//! Which names mean the same user: a GUID and a user principal name of one tenant.
//!
//! Learnt only from the claims of tokens Graph has accepted, and from `@odata.context` and
//! `@odata.id` in Graph's answers; believed no longer than a photo would be, because names
//! change hands.
//!
//! Hits look here too, so that a look is one lock for reading, and nothing is noted of it: of too
//! many pairs those go that were learnt first.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::clock::Time;
use crate::identity::{Space, Subject};
use crate::route::{Guid, ObjectId};

/// How many names are known at most, two of each pair; a pair takes some 400 bytes.
const MOST_NAMES: usize = 100_000;
/// This part of the time that a pair is believed passes before it is noted that it was told again.
const AGAIN: u32 = 64;
/// How many that have ended are dropped while others wait.
const STEP: usize = 256;

/// Pairs of names.
pub struct Aliases {
    ttl: Duration,
    most: usize,
    hasher: RandomState,
    names: RwLock<Names>,
}

#[derive(Default)]
struct Names {
    known: HashTable<Name>,
    /// Each that is known, once, with when it had been told: those learnt first in front.
    order: VecDeque<(Space, Arc<Subject>, Time)>,
}

/// One of a pair.
struct Name {
    space: Space,
    subject: Arc<Subject>,
    /// The other.
    other: Arc<Subject>,
    /// When it was told.
    told: Time,
}

impl Name {
    fn is(&self, space: Space, subject: &Subject) -> bool {
        self.space == space && *self.subject == *subject
    }
}

impl Aliases {
    /// Knows no pair yet; believes one for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            most: MOST_NAMES,
            hasher: RandomState::new(),
            names: RwLock::default(),
        }
    }

    /// How long a pair is believed.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Graph has told that `guid` and `upn` were one user at `told`. Of two that claim a name
    /// the later word counts: names change hands, and old tokens keep telling old names.
    pub fn learn(&self, space: Space, guid: Guid, upn: &ObjectId, told: Time, now: Time) {
        let (upn @ ObjectId::Upn(_), Space::Tenant(_)) = (upn.subject(), space) else {
            return;
        };
        if now.since(told) >= self.ttl {
            return;
        }
        let (upn, id) = (Subject::User(upn), Subject::User(ObjectId::Guid(guid)));
        let says = |names: &Names, name: &Subject, other: &Subject| {
            let known = self.find(names, space, name)?;
            Some((*known.other == *other, known.told))
        };
        let names = self.read();
        let by_upn = says(&names, &upn, &id);
        let is_late = |(same, at): (bool, Time)| !same && told < at;
        let is_known = |(same, at): (bool, Time)| same && told.since(at) < self.ttl / AGAIN;
        if by_upn.is_some_and(is_late)
            || by_upn.is_some_and(is_known) && says(&names, &id, &upn).is_some_and(is_known)
        {
            return;
        }
        drop(names);
        let (upn, id) = (Arc::new(upn), Arc::new(id));
        let mut names = self.write();
        // Somebody may have learnt of it between the locks.
        if says(&names, &upn, &id).is_some_and(is_late) {
            return;
        }
        self.put(&mut names, space, &upn, &id, told);
        self.put(&mut names, space, &id, &upn, told);
    }

    fn put(
        &self,
        names: &mut Names,
        space: Space,
        name: &Arc<Subject>,
        other: &Arc<Subject>,
        told: Time,
    ) {
        let hash = self.hash(name);
        let rehash = |known: &Name| self.hash(&known.subject);
        match names
            .known
            .entry(hash, |known| known.is(space, name), rehash)
        {
            Entry::Occupied(mut there) => {
                let there = there.get_mut();
                there.other = Arc::clone(other);
                there.told = told;
            }
            Entry::Vacant(room) => {
                room.insert(Name {
                    space,
                    subject: Arc::clone(name),
                    other: Arc::clone(other),
                    told,
                });
                names.order.push_back((space, Arc::clone(name), told));
                if names.order.len() > self.most
                    && let Some((space, first, _)) = names.order.pop_front()
                {
                    self.forget(names, space, &first);
                }
            }
        }
    }

    fn forget(&self, names: &mut Names, space: Space, name: &Subject) {
        let hash = self.hash(name);
        if let Ok(known) = names.known.find_entry(hash, |known| known.is(space, name)) {
            known.remove();
        }
    }

    fn find<'n>(&self, names: &'n Names, space: Space, name: &Subject) -> Option<&'n Name> {
        let hash = self.hash(name);
        names.known.find(hash, |known| known.is(space, name))
    }

    fn hash(&self, name: &Subject) -> u64 {
        self.hash_of(name.bytes().1)
    }

    fn hash_of(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    /// The GUID of a user named by its principal name.
    pub fn guid_of(&self, space: Space, upn: &str, now: Time) -> Option<Guid> {
        let names = self.read();
        let is_it = |known: &Name| {
            known.space == space
                && matches!(&*known.subject, Subject::User(ObjectId::Upn(name)) if **name == *upn)
        };
        let known = names.known.find(self.hash_of(upn.as_bytes()), is_it)?;
        match &*known.other {
            Subject::User(ObjectId::Guid(guid)) if self.believes(known, now) => Some(*guid),
            _ => None,
        }
    }

    /// The other known name of a subject.
    pub(super) fn other(&self, subject: &Subject, space: Space, now: Time) -> Option<Arc<Subject>> {
        let Subject::User(ObjectId::Upn(_) | ObjectId::Guid(_)) = subject else {
            return None;
        };
        let names = self.read();
        let known = self.find(&names, space, subject)?;
        self.believes(known, now).then(|| Arc::clone(&known.other))
    }

    fn believes(&self, known: &Name, now: Time) -> bool {
        now.since(known.told) < self.ttl
    }

    /// All known names of a subject, itself first.
    pub fn names(&self, subject: &Subject, space: Space, now: Time) -> Vec<Subject> {
        let other = self.other(subject, space, now);
        let other = other.as_deref().cloned();
        std::iter::once(subject.clone()).chain(other).collect()
    }

    /// All known names of a subject in any tenant, itself first: for purges, which may reach
    /// too far and never too short.
    pub fn names_anywhere(&self, subject: &Subject) -> Vec<Subject> {
        let names = self.read();
        let known = names.known.iter_hash(self.hash(subject));
        let others = known
            .filter(|known| *known.subject == *subject)
            .map(|known| (*known.other).clone());
        std::iter::once(subject.clone()).chain(others).collect()
    }

    /// How many pairs are known.
    pub fn known(&self) -> u64 {
        (self.read().known.len() / 2) as u64
    }

    /// Drops what has ended.
    pub fn maintain(&self, now: Time) {
        while self.drop_some(now) {}
    }

    /// Drops some of what has ended; whether there may be more.
    fn drop_some(&self, now: Time) -> bool {
        let mut names = self.write();
        for _ in 0..STEP {
            let Some((space, first, noted)) = names.order.pop_front() else {
                return false;
            };
            let Some(known) = self.find(&names, space, &first) else {
                continue;
            };
            let told = known.told;
            if !self.believes(known, now) {
                self.forget(&mut names, space, &first);
            } else if told == noted {
                names.order.push_front((space, first, told));
                return false;
            } else {
                names.order.push_back((space, first, told));
            }
        }
        true
    }

    fn read(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Aliases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aliases")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const HERE: Space = Space::Tenant(Guid([1; 16]));
    const THERE: Space = Space::Tenant(Guid([2; 16]));

    fn at(seconds: u64) -> Time {
        Time::default().plus(Duration::from_secs(seconds))
    }

    fn upn(name: &str) -> ObjectId {
        ObjectId::of_user(name)
    }

    fn named(name: &str) -> Subject {
        Subject::User(upn(name))
    }

    fn id(of: u8) -> Subject {
        Subject::User(ObjectId::Guid(Guid([of; 16])))
    }

    fn few(most: usize) -> Aliases {
        Aliases {
            most,
            ..Aliases::new(HOUR)
        }
    }

    #[test]
    fn each_name_of_a_pair_tells_the_other_in_its_tenant() {
        let aliases = Aliases::new(HOUR);
        aliases.learn(HERE, Guid([7; 16]), &upn("ada@example.com"), at(0), at(0));
        let both = [id(7), named("ada@example.com")];
        assert_eq!(aliases.names(&both[0], HERE, at(0)), both);
        let told = aliases.names(&both[1], HERE, at(0));
        assert_eq!(told, [both[1].clone(), both[0].clone()]);
        assert_eq!(
            aliases.guid_of(HERE, "ada@example.com", at(0)),
            Some(Guid([7; 16]))
        );
        assert_eq!(aliases.names(&both[1], THERE, at(0)), [both[1].clone()]);
        assert_eq!(aliases.known(), 1);
    }

    #[test]
    fn a_pair_is_believed_no_longer_than_a_photo() {
        let aliases = Aliases::new(HOUR);
        let ada = upn("ada@example.com");
        aliases.learn(HERE, Guid([7; 16]), &ada, at(0), at(10));
        let known = |now| aliases.names(&id(7), HERE, now).len() == 2;
        assert!(known(at(3_599)));
        assert!(!known(at(3_600)));
        assert_eq!(aliases.guid_of(HERE, "ada@example.com", at(3_600)), None);
        aliases.learn(HERE, Guid([8; 16]), &ada, at(0), at(3_600));
        assert_eq!(aliases.names(&id(8), HERE, at(3_600)).len(), 1);
    }

    #[test]
    fn a_pair_told_again_is_believed_for_longer() {
        let aliases = Aliases::new(HOUR);
        let ada = upn("ada@example.com");
        for told in [0, 1, 2, 1_800, 1_700] {
            aliases.learn(HERE, Guid([7; 16]), &ada, at(told), at(1_800));
        }
        aliases.maintain(at(4_000));
        assert_eq!(aliases.names(&id(7), HERE, at(5_399)).len(), 2);
        aliases.maintain(at(5_400));
        assert_eq!(aliases.known(), 0);
        assert!(aliases.read().order.is_empty());
    }

    #[test]
    fn of_two_who_claim_a_name_the_later_word_counts() {
        let aliases = Aliases::new(HOUR);
        let ada = upn("ada@example.com");
        aliases.learn(HERE, Guid([7; 16]), &ada, at(100), at(100));
        aliases.learn(HERE, Guid([8; 16]), &ada, at(50), at(100));
        assert_eq!(
            aliases.guid_of(HERE, "ada@example.com", at(100)),
            Some(Guid([7; 16]))
        );
        aliases.learn(HERE, Guid([8; 16]), &ada, at(101), at(101));
        assert_eq!(
            aliases.guid_of(HERE, "ada@example.com", at(101)),
            Some(Guid([8; 16]))
        );
    }

    #[test]
    fn a_purge_finds_the_other_names_of_every_tenant() {
        let aliases = Aliases::new(HOUR);
        let ada = upn("ada@example.com");
        aliases.learn(HERE, Guid([7; 16]), &ada, at(0), at(0));
        aliases.learn(THERE, Guid([8; 16]), &ada, at(0), at(0));
        let mut names = aliases.names_anywhere(&named("ada@example.com"));
        assert_eq!(names.remove(0), named("ada@example.com"));
        assert!(names.len() == 2 && names.contains(&id(7)) && names.contains(&id(8)));
        assert_eq!(aliases.names_anywhere(&id(9)), [id(9)]);
    }

    #[test]
    fn of_too_many_pairs_those_go_that_were_learnt_first() {
        let aliases = few(4);
        for of in 1..=9 {
            let name = upn(&format!("{of}@example.com"));
            aliases.learn(HERE, Guid([of; 16]), &name, at(of.into()), at(9));
        }
        let known = |of| aliases.names(&id(of), HERE, at(9)).len() == 2;
        assert!(known(9) && known(8) && (1..8).all(|of| !known(of)));
        assert_eq!(aliases.read().order.len(), 4);
    }

    #[test]
    fn what_has_no_two_names_has_no_other() {
        let aliases = Aliases::new(HOUR);
        let alone = Subject::User(ObjectId::Other("ada".into()));
        assert_eq!(aliases.names(&alone, HERE, at(0)), [alone]);
        // Bytes that are a GUID's and a name's at once.
        let sixteen = "a@abcdefghijklmn";
        let guid = Guid(sixteen.as_bytes().try_into().unwrap());
        aliases.learn(HERE, guid, &upn("ada@example.com"), at(0), at(0));
        assert_eq!(aliases.names(&named(sixteen), HERE, at(0)).len(), 1);
    }
}
