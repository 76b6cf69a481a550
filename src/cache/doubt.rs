//! What may no longer be believed: answers older than a write, or than a refusal.
//!
//! Every question to Graph notes the state of one counter before it is sent ([`Born`]). A write
//! raises the counter and notes it for the names it touched; an answer born before is in doubt
//! and may lend its validator, but is never served. So a write costs one entry here, however
//! many answers it ends, and an answer still on its way when the write came is in doubt the
//! moment it arrives.
//!
//! Where a write names a user by one form and the other form is not known, every answer of the
//! other form in that tenant is in doubt (DESIGN §6).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::alias::Aliases;
use super::refusal::{Note, Refusals};
use crate::clock::Time;
use crate::identity::{Partition, Space, Subject};
use crate::route::{Guid, ObjectId};

/// How many noted names are kept before everything older is doubted instead.
const MOST_NOTES: usize = 20_000;

/// The state of the counter when a question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Born(u64);

/// The forms by which a subject can be named; a write by one form puts the others in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    UserGuid,
    UserUpn,
    UserOther,
    /// The signed-in user of a token that cannot be read.
    UserOwn,
    GroupGuid,
    GroupOther,
    Contact,
    TeamTemplate,
}

/// Which answers of a form a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    /// All of them.
    All,
    /// Those whose other name is not known: the writer used a form that pairs with theirs, so
    /// one whose pair is known has a note under that name, or is somebody else.
    Unpaired,
}

#[derive(Debug, Default)]
struct Notes {
    /// Everything born before this is in doubt.
    everything: u64,
    subjects: HashMap<Subject, Note>,
    /// Notes of a form that count in one space.
    forms: HashMap<(Space, Form, Whose), u64>,
    /// The latest note of a form in any space, for answers whose tenant is not known.
    forms_anywhere: HashMap<Form, u64>,
    /// Notes of a form that count in every space.
    forms_everywhere: HashMap<Form, u64>,
    refusals: Refusals,
    /// Purges of one tenant; `None` is what belongs to none that we know of.
    tenants: HashMap<Option<Guid>, u64>,
}

impl Notes {
    fn count(&self) -> usize {
        self.subjects.len() + self.forms.len()
    }

    fn form(&self, space: Space, form: Form, whose: Whose) -> u64 {
        self.forms.get(&(space, form, whose)).copied().unwrap_or(0)
    }
}

/// Why an answer may not be served as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A write by this very name, or a refusal: what it shows is gone.
    Certain,
    /// A write by another name that may be the same one's: it must be revalidated.
    Possible,
}

/// All notes.
#[derive(Debug, Default)]
pub struct Doubts {
    counter: AtomicU64,
    unswept: AtomicBool,
    notes: RwLock<Notes>,
}

impl Doubts {
    /// To be taken before a question is sent.
    pub fn born(&self) -> Born {
        Born(self.counter.load(Ordering::Acquire))
    }

    /// A write on `subject` has, or may have, succeeded.
    pub fn written(&self, subject: &Subject, space: Space, aliases: &Aliases, now: Time) {
        self.note(|notes, at| {
            let names = aliases.names(subject, space, now);
            for name in &names {
                notes.subjects.insert(name.clone(), Note { at, made: now });
            }
            for (form, whose) in other_forms(form_of(subject)) {
                if *whose == Whose::Unpaired && names.len() > 1 {
                    continue;
                }
                notes.forms_anywhere.insert(*form, at);
                // A contact has several ids (immutable or not), a mailbox several names; and a
                // writer whose tenant is not known may be of any.
                if matches!(space, Space::Tenant(_)) {
                    notes.forms.insert((space, *form, *whose), at);
                } else {
                    notes.forms_everywhere.insert(*form, at);
                }
            }
        });
    }

    /// The operator has purged an owner, by all `names` that are known: whatever was asked for
    /// before is not stored any more. Where only one is known, answers by the other forms must
    /// be revalidated.
    pub fn purged(&self, names: &[Subject], now: Time) {
        self.note(|notes, at| {
            for name in names {
                notes.subjects.insert(name.clone(), Note { at, made: now });
                for (form, whose) in other_forms(form_of(name)) {
                    if *whose == Whose::Unpaired && names.len() > 1 {
                        continue;
                    }
                    notes.forms_anywhere.insert(*form, at);
                    notes.forms_everywhere.insert(*form, at);
                }
            }
        });
    }

    /// The operator has purged a tenant, and what belongs to none that we know of.
    pub fn purged_tenant(&self, tenant: Guid) {
        self.note(|notes, at| {
            notes.tenants.insert(Some(tenant), at);
            notes.tenants.insert(None, at);
        });
    }

    /// A write that cannot be read: everything is in doubt.
    pub fn everything(&self) {
        self.note(|notes, at| notes.everything = at);
    }

    /// Graph has refused `partition` this subject (403), by whichever of its names: one of them
    /// may have changed hands by the time that the other is asked for.
    pub fn refused(
        &self,
        partition: Partition,
        subject: &Subject,
        space: Space,
        aliases: &Aliases,
        now: Time,
    ) {
        self.note(|notes, at| {
            let note = Note { at, made: now };
            for name in aliases.names(subject, space, now) {
                notes.refusals.note(partition, &name, note);
            }
        });
    }

    /// Graph has given `partition` the subject of these names again, asked for after `born`.
    pub fn granted(&self, partition: Partition, names: &[Subject], born: Born) {
        if self.read().refusals.has(&partition, names, born.0) {
            self.write().refusals.granted(&partition, names, born.0);
        }
    }

    /// Whether Graph's last word to `partition` about the subject of these names, or about one
    /// that may be it, was a refusal.
    pub fn is_refused(
        &self,
        partition: Partition,
        names: &[Subject],
        space: Space,
        aliases: &Aliases,
        now: Time,
    ) -> bool {
        let notes = self.read();
        let latest = notes
            .refusals
            .latest(&partition, names, space, aliases, now);
        latest.is_some()
    }

    /// Whether an answer about `subject`, held for `partition`, may be served; `None` when
    /// nothing speaks against it.
    pub fn about(
        &self,
        born: Born,
        partition: Option<Partition>,
        subject: &Subject,
        space: Space,
        aliases: &Aliases,
        now: Time,
    ) -> Option<Doubt> {
        // A write raises the counter before its answer goes out, so a caller who has seen the
        // answer is past this line.
        if born == self.born() {
            return None;
        }
        let other = aliases.other(subject, space, now);
        let both = [subject, other.as_deref().unwrap_or(subject)];
        let names = if other.is_some() {
            &both[..]
        } else {
            &both[..1]
        };
        let notes = self.read();
        let by_name = names.iter().filter_map(|name| notes.subjects.get(*name));
        let written = by_name.map(|note| note.at).max();
        let refused =
            partition.and_then(|own| notes.refusals.latest(&own, names, space, aliases, now));
        let certain = written.max(refused).unwrap_or(0);
        let tenant = notes.tenants.get(&space.tenant()).copied().unwrap_or(0);
        if born.0 < certain.max(notes.everything).max(tenant) {
            return Some(Doubt::Certain);
        }
        let form = form_of(subject);
        let everywhere = notes.forms_everywhere.get(&form).copied().unwrap_or(0);
        let here = match space {
            Space::Alone(_) => notes.forms_anywhere.get(&form).copied().unwrap_or(0),
            _ if names.len() > 1 => notes.form(space, form, Whose::All),
            _ => notes
                .form(space, form, Whose::All)
                .max(notes.form(space, form, Whose::Unpaired)),
        };
        (born.0 < everywhere.max(here)).then_some(Doubt::Possible)
    }

    /// Whether notes have been made that [`Doubts::take_unswept`] has not told of.
    pub fn has_unswept(&self) -> bool {
        self.unswept.load(Ordering::Acquire)
    }

    /// Whether notes were made since the last call; then what is held should be swept.
    pub fn take_unswept(&self) -> bool {
        self.unswept.swap(false, Ordering::AcqRel)
    }

    /// Forgets writes made more than `quiet` ago, by when nothing from before them can be held
    /// or on its way; and refusals older than `hold`.
    pub fn forget(&self, quiet: Duration, hold: Duration, now: Time) {
        let mut notes = self.write();
        notes
            .subjects
            .retain(|_, note| now.since(note.made) < quiet);
        notes.refusals.forget(hold, now);
    }

    fn note(&self, write: impl FnOnce(&mut Notes, u64)) {
        let mut notes = self.write();
        let at = self.counter.load(Ordering::Acquire) + 1;
        if notes.count() >= MOST_NOTES {
            let refusals = std::mem::take(&mut notes.refusals);
            *notes = Notes {
                everything: at,
                refusals,
                ..Notes::default()
            };
        }
        write(&mut notes, at);
        self.unswept.store(true, Ordering::Release);
        // Last, and under the lock: whoever sees the raised counter finds the note.
        self.counter.store(at, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Notes> {
        self.notes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Notes> {
        self.notes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The form a subject is named by.
fn form_of(subject: &Subject) -> Form {
    match subject {
        Subject::User(ObjectId::Guid(_)) => Form::UserGuid,
        Subject::User(ObjectId::Upn(_)) => Form::UserUpn,
        Subject::User(ObjectId::Other(_)) => Form::UserOther,
        Subject::Own(_) => Form::UserOwn,
        Subject::Group(ObjectId::Guid(_)) => Form::GroupGuid,
        Subject::Group(_) => Form::GroupOther,
        Subject::Contact { .. } => Form::Contact,
        Subject::TeamTemplate { .. } => Form::TeamTemplate,
    }
}

/// The forms by which the one written to may be held unknown to us.
fn other_forms(written: Form) -> &'static [(Form, Whose)] {
    use Form::{
        Contact, GroupGuid, GroupOther, TeamTemplate, UserGuid, UserOther, UserOwn, UserUpn,
    };
    use Whose::{All, Unpaired};
    match written {
        UserGuid => &[(UserUpn, Unpaired), (UserOther, All), (UserOwn, All)],
        UserUpn => &[(UserGuid, Unpaired), (UserOther, All), (UserOwn, All)],
        UserOther | UserOwn => &[
            (UserGuid, All),
            (UserUpn, All),
            (UserOther, All),
            (UserOwn, All),
        ],
        GroupGuid => &[(GroupOther, All)],
        GroupOther => &[(GroupGuid, All), (GroupOther, All)],
        Contact => &[(Contact, All)],
        TeamTemplate => &[(TeamTemplate, All)],
    }
}
