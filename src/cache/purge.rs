//! The operator's purges: of one owner, of one tenant, of everything.
//!
//! What is in flight is noted first and what is held swept afterwards, so that an answer asked
//! for before a purge is never served after it, wherever the purge finds it.

use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use super::slots::{Slot, SlotKey};
use crate::clock::{Clock, Time};
use crate::identity::{Space, Subject};
use crate::route::{Guid, ObjectId};

/// How many entries a walk looks at in one go: some ten microseconds.
const STEP: usize = 16;
/// So many times as long as that took it rests then.
const REST: u32 = 8;
/// And so long at least, and at most.
const RESTS: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(100));

/// What a purge has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Entries: answers, and the pictures behind them.
    pub entries: u64,
    /// What they weighed, in bytes, overhead included.
    pub bytes: u64,
}

impl Cache {
    /// Ends what is held of an owner, by its id or user principal name, in every tenant: of the
    /// user, the group and team, and the contact of that name. Where another name of the user
    /// is not known, answers by such names must be revalidated before they are served.
    ///
    /// Walks through everything held; not for a thread that answers callers.
    pub fn purge_owner(&self, id: &str, now: Time, clock: &Clock) -> Purged {
        let user = ObjectId::of_user(id);
        let mut subjects = vec![Subject::Group(ObjectId::of_object(id))];
        if matches!(user, ObjectId::Other(_)) {
            subjects.push(Subject::Contact {
                mailbox: None,
                id: id.into(),
            });
        }
        for subject in &subjects {
            self.doubts.purged(std::slice::from_ref(subject), now);
        }
        let users = self.aliases.names_anywhere(&Subject::User(user.subject()));
        self.doubts.purged(&users, now);
        self.sweep(clock, |subject, _| match subject {
            Subject::Contact { id: contact, .. } => **contact == *id,
            _ => users.contains(subject) || subjects.contains(subject),
        })
    }

    /// Ends what is held of a tenant, and what belongs to none that we know of: contacts, and
    /// what was given to tokens that cannot be read.
    ///
    /// Walks through everything held; not for a thread that answers callers.
    pub fn purge_tenant(&self, tenant: Guid, clock: &Clock) -> Purged {
        self.doubts.purged_tenant(tenant);
        self.sweep(clock, |_, space| {
            space.tenant().is_none_or(|whose| whose == tenant)
        })
    }

    /// Ends everything.
    pub fn purge_everything(&self) -> Purged {
        self.slots.run_pending_tasks();
        let (entries, bytes) = self.held();
        self.clear();
        Purged { entries, bytes }
    }

    /// Everything held, for a walk that leaves the core to threads that answer callers: where they
    /// share one they would have to wait for what the system lets a thread work in one go, which
    /// is milliseconds. To give way is not enough, since the system shares time out evenly. How
    /// long it rests is measured by what it took, and so is longer where others want the core.
    pub(super) fn walk<'a>(
        &'a self,
        clock: &'a Clock,
    ) -> impl Iterator<Item = (Arc<SlotKey>, Slot)> + 'a {
        let mut begun = clock.now();
        self.slots.iter().enumerate().map(move |(at, held)| {
            if at % STEP == STEP - 1 {
                let took = clock.now().since(begun);
                std::thread::sleep((took * REST).clamp(RESTS.0, RESTS.1));
                begun = clock.now();
            }
            held
        })
    }

    fn sweep(&self, clock: &Clock, ends: impl Fn(&Subject, Space) -> bool) -> Purged {
        let mut purged = Purged::default();
        for (key, slot) in self.walk(clock) {
            let ended = match (&*key, slot.response()) {
                (SlotKey::Body(body), _) => ends(body.subject(), body.space()),
                (_, Some(response)) => ends(&response.subject, response.space),
                (_, None) => false,
            };
            if ended {
                purged.entries += 1;
                purged.bytes += u64::from(slot.weight(&key));
                self.slots.invalidate(&*key);
            }
        }
        self.settle();
        purged
    }
}
