//! What Graph has refused to whom (403), until Graph gives it again.
//!
//! A refusal ends what a principal was given of that subject before, and keeps it from reading
//! the subject among what its tenant shares. It counts for every name the subject is known by;
//! where a pairing of names is not known, for every name that may be the same one's.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::time::Duration;

use super::alias::Aliases;
use crate::clock::Time;
use crate::identity::{Partition, Space, Subject};
use crate::route::ObjectId;

/// How many subjects are noted one by one for a partition; past it all are refused.
const MOST_SUBJECTS: usize = 256;
/// How many partitions are noted one by one; past it all subjects are refused to everybody.
const MOST_PARTITIONS: usize = 10_000;

/// When a refusal came: the state of the counter of doubts, and the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    pub(super) at: u64,
    pub(super) made: Time,
}

/// All refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by: HashMap<Partition, Refused>,
    /// Too many to tell apart: everything is refused to everybody.
    everyone: Option<Note>,
}

/// What is refused to one partition.
#[derive(Debug, Default)]
struct Refused {
    each: HashMap<Subject, Note>,
    /// Too many to tell apart: everything is.
    all: Option<Note>,
}

impl Refusals {
    /// Graph has refused `partition` this subject.
    pub(super) fn note(&mut self, partition: Partition, subject: &Subject, note: Note) {
        if self.by.len() >= MOST_PARTITIONS && !self.by.contains_key(&partition) {
            self.by.clear();
            self.everyone = Some(note);
            return;
        }
        let refused = self.by.entry(partition).or_default();
        if refused.each.len() >= MOST_SUBJECTS && !refused.each.contains_key(subject) {
            refused.each.clear();
            refused.all = Some(note);
        } else {
            refused.each.insert(subject.clone(), note);
        }
    }

    /// Whether [`Refusals::granted`] has anything to end.
    pub(super) fn has(&self, partition: &Partition, names: &[Subject], born: u64) -> bool {
        self.by.get(partition).is_some_and(|refused| {
            let note = |name| refused.each.get(name);
            names
                .iter()
                .any(|name| note(name).is_some_and(|note| note.at <= born))
        })
    }

    /// Graph has given `partition` the subject of these names again, asked for after `born`.
    pub(super) fn granted(&mut self, partition: &Partition, names: &[Subject], born: u64) {
        let Some(refused) = self.by.get_mut(partition) else {
            return;
        };
        refused
            .each
            .retain(|subject, note| note.at > born || !names.contains(subject));
        if refused.each.is_empty() && refused.all.is_none() {
            self.by.remove(partition);
        }
    }

    /// The latest refusal to `partition` of the subject of these names, or of one that may be it.
    pub(super) fn latest<N: Borrow<Subject>>(
        &self,
        partition: &Partition,
        names: &[N],
        space: Space,
        aliases: &Aliases,
        now: Time,
    ) -> Option<u64> {
        let everyone = self.everyone.map(|note| note.at);
        let Some(refused) = self.by.get(partition) else {
            return everyone;
        };
        let paired = |subject: &Subject| aliases.other(subject, space, now).is_some();
        let each = refused.each.iter().filter(|(subject, _)| {
            names.iter().any(|name| name.borrow() == *subject)
                || matches!(names, [name] if may_be_one(name.borrow(), subject) && !paired(subject))
        });
        let each = each.map(|(_, note)| note.at).max();
        everyone.max(refused.all.map(|note| note.at)).max(each)
    }

    /// Forgets refusals older than `hold`.
    pub(super) fn forget(&mut self, hold: Duration, now: Time) {
        let stands = |note: &Note| now.since(note.made) < hold;
        self.everyone = self.everyone.filter(stands);
        self.by.retain(|_, refused| {
            refused.each.retain(|_, note| stands(note));
            refused.all = refused.all.filter(stands);
            refused.all.is_some() || !refused.each.is_empty()
        });
    }
}

/// Whether two names of different forms may be the same one's.
fn may_be_one(a: &Subject, b: &Subject) -> bool {
    let differ =
        |a: &ObjectId, b: &ObjectId| std::mem::discriminant(a) != std::mem::discriminant(b);
    match (a, b) {
        (Subject::User(a), Subject::User(b)) | (Subject::Group(a), Subject::Group(b)) => {
            differ(a, b)
        }
        (Subject::User(_), Subject::Own(_)) | (Subject::Own(_), Subject::User(_)) => true,
        // One contact may be reached by several names of its mailbox.
        (Subject::Contact { id: a, .. }, Subject::Contact { id: b, .. }) => a == b,
        _ => false,
    }
}
