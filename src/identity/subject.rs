//! The person or thing a photo shows, whatever name the path gave it.

use crate::identity::{Credential, Principal, PrincipalId};
use crate::route::{Guid, Mailbox, ObjectId, PhotoOwner};

/// Whose names mean the same: the same principal name in two tenants is two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// All principals of one tenant.
    Tenant(Guid),
    /// One token, where the tenant cannot be read from it.
    Alone(Credential),
    /// One principal: contacts are seen as that principal sees them.
    Principal(PrincipalId),
}

impl Space {
    /// What tells it from others of its kind, for hashing it.
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        match self {
            Self::Tenant(Guid(tenant)) => tenant,
            Self::Alone(credential) => credential.bytes(),
            Self::Principal(principal) => principal.bytes(),
        }
    }

    /// The tenant, where it is known to be one's.
    pub fn tenant(self) -> Option<Guid> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Alone(_) | Self::Principal(_) => None,
        }
    }
}

/// What a photo shows. A team and its group show one picture; a contact is one contact by
/// whatever folder path it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user by one of its names.
    User(ObjectId),
    /// The signed-in user of a token that cannot be read.
    Own(PrincipalId),
    /// A group, and the team of the same id.
    Group(ObjectId),
    /// A contact of a mailbox.
    Contact {
        /// Whose mailbox; `None` for the own one of a token that cannot be read.
        mailbox: Option<ObjectId>,
        /// The contact's id, to the letter.
        id: Box<str>,
    },
    /// beta: a team template's picture.
    TeamTemplate {
        /// The template, where the path names one.
        template: Option<Box<str>>,
        /// The definition.
        definition: Box<str>,
    },
}

impl Subject {
    /// What tells it from others of its kind, for hashing it: what it is in, and what it is.
    pub(crate) fn bytes(&self) -> (&[u8], &[u8]) {
        match self {
            Self::User(id) | Self::Group(id) => (&[], id.bytes()),
            Self::Own(principal) => (&[], principal.bytes()),
            Self::Contact { mailbox, id } => {
                (mailbox.as_ref().map_or(&[], ObjectId::bytes), id.as_bytes())
            }
            Self::TeamTemplate {
                template,
                definition,
            } => {
                let template = template.as_ref().map_or(&[][..], |it| it.as_bytes());
                (template, definition.as_bytes())
            }
        }
    }

    /// What a path's owner is for this principal.
    pub fn of(owner: &PhotoOwner, principal: &Principal) -> Self {
        match owner {
            PhotoOwner::Me => principal.user().map_or(Self::Own(principal.id()), |user| {
                Self::User(ObjectId::Guid(user))
            }),
            PhotoOwner::User(id) => Self::User(id.subject()),
            PhotoOwner::Group(id) | PhotoOwner::Team { id, .. } => Self::Group(id.subject()),
            PhotoOwner::Contact { mailbox, id, .. } => Self::Contact {
                mailbox: mailbox_owner(mailbox, principal),
                id: id.clone(),
            },
            PhotoOwner::TeamTemplate {
                template,
                definition,
            } => Self::TeamTemplate {
                template: template.clone(),
                definition: definition.clone(),
            },
        }
    }

    /// How long its name is, where it is not a GUID: so much it takes in memory each time.
    pub(crate) fn name_length(&self) -> usize {
        let of = |id: &ObjectId| match id {
            ObjectId::Guid(_) => 0,
            ObjectId::Upn(name) | ObjectId::Other(name) => name.len(),
        };
        match self {
            Self::User(id) | Self::Group(id) => of(id),
            Self::Own(_) => 0,
            Self::Contact { mailbox, id } => mailbox.as_ref().map_or(0, of) + id.len(),
            Self::TeamTemplate {
                template,
                definition,
            } => template.as_ref().map_or(0, |id| id.len()) + definition.len(),
        }
    }

    /// The space in which this subject's name means something, as this caller sees it.
    pub fn space(&self, principal: &Principal, credential: Credential) -> Space {
        match (self, principal.tenant()) {
            (_, None) => Space::Alone(credential),
            (Self::Contact { .. }, Some(_)) => Space::Principal(principal.id()),
            (_, Some(tenant)) => Space::Tenant(tenant),
        }
    }
}

/// The owner of a mailbox, `/me` being the signed-in user.
fn mailbox_owner(mailbox: &Mailbox, principal: &Principal) -> Option<ObjectId> {
    match mailbox {
        Mailbox::Me => principal.user().map(ObjectId::Guid),
        Mailbox::User(id) => Some(id.subject()),
    }
}
