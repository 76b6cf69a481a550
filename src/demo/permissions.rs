//! Who may see or change whose photo: the seed page's permission tables.

use super::tenant::Account;
use super::tokens::Caller;

/// Permissions that let a signed-in person see their own photo.
const OWN: [&str; 7] = [
    "User.Read",
    "User.ReadBasic.All",
    "User.Read.All",
    "User.ReadWrite",
    "User.ReadWrite.All",
    "ProfilePhoto.Read.All",
    "ProfilePhoto.ReadWrite.All",
];
const ANY_USER: [&str; 5] = [
    "User.ReadBasic.All",
    "User.Read.All",
    "User.ReadWrite.All",
    "ProfilePhoto.Read.All",
    "ProfilePhoto.ReadWrite.All",
];
const GROUPS: [&str; 4] = [
    "Group.Read.All",
    "Group.ReadWrite.All",
    "ProfilePhoto.Read.All",
    "ProfilePhoto.ReadWrite.All",
];
const TEAMS: [&str; 3] = [
    "Team.ReadBasic.All",
    "TeamSettings.Read.All",
    "TeamSettings.ReadWrite.All",
];
const CONTACTS: [&str; 2] = ["Contacts.Read", "Contacts.ReadWrite"];
const WRITE_OWN: [&str; 3] = [
    "User.ReadWrite",
    "User.ReadWrite.All",
    "ProfilePhoto.ReadWrite.All",
];
const WRITE_USER: [&str; 2] = ["User.ReadWrite.All", "ProfilePhoto.ReadWrite.All"];
const WRITE_GROUP: [&str; 2] = ["Group.ReadWrite.All", "ProfilePhoto.ReadWrite.All"];
const WRITE_TEAM: [&str; 2] = ["TeamSettings.ReadWrite.All", "Group.ReadWrite.All"];
const WRITE_CONTACT: [&str; 1] = ["Contacts.ReadWrite"];

/// Whose photo is at stake, as far as permissions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The caller's own.
    Own,
    User,
    Group,
    Team,
    /// A contact in the caller's own mailbox.
    OwnContact,
    /// A contact in somebody else's mailbox.
    Contact,
    Template,
}

/// The two tables the documentation and live answers disagree about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exceptions {
    pub(super) applications_read_groups: bool,
    pub(super) guests_read_members: bool,
}

/// Whether this caller may see a photo of that kind.
pub(super) fn may_read(caller: &Caller, kind: Kind, exceptions: Exceptions) -> bool {
    let signed_in = caller.person.is_some();
    if caller.account == Account::Personal {
        return match kind {
            Kind::Own => caller.has(&OWN),
            Kind::OwnContact => caller.has(&CONTACTS),
            _ => false,
        };
    }
    match kind {
        Kind::Own => caller.has(&OWN),
        Kind::User if caller.account == Account::Guest && !exceptions.guests_read_members => false,
        Kind::User => caller.has(&ANY_USER),
        Kind::Group => (signed_in || exceptions.applications_read_groups) && caller.has(&GROUPS),
        Kind::Team => caller.has(&TEAMS),
        Kind::OwnContact => caller.has(&CONTACTS),
        Kind::Contact => !signed_in && caller.has(&CONTACTS),
        Kind::Template => true,
    }
}

/// Whether this caller may change a photo of that kind.
pub(super) fn may_write(caller: &Caller, kind: Kind) -> bool {
    let signed_in = caller.person.is_some();
    match kind {
        Kind::Own => caller.has(&WRITE_OWN),
        Kind::User => caller.account == Account::Member && caller.has(&WRITE_USER),
        Kind::Group => signed_in && caller.has(&WRITE_GROUP),
        Kind::Team => caller.has(&WRITE_TEAM),
        Kind::OwnContact => caller.has(&WRITE_CONTACT),
        Kind::Contact => !signed_in && caller.has(&WRITE_CONTACT),
        Kind::Template => false,
    }
}
