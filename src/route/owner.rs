//! The words for whose photo it is.
//!
//! An id is kept the way two spellings of it compare: GUIDs and user principal names without
//! regard to case, contact and folder ids to the letter (Graph: "Traverse the graph").
//!
//! Ids name people, so no `Debug` in this file shows one.

use std::fmt;

/// A GUID, in any spelling of its letters' case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Reads `8-4-4-4-12` hexadecimal digits of any case, without braces.
    pub fn parse(text: &str) -> Option<Self> {
        /// Where each byte's two digits begin.
        const DIGITS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        const HYPHENS: [usize; 4] = [8, 13, 18, 23];
        let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
        if HYPHENS.iter().any(|&at| text.get(at) != Some(&b'-')) {
            return None;
        }
        let mut bytes = [0u8; 16];
        for (byte, at) in bytes.iter_mut().zip(DIGITS) {
            *byte = (hex(*text.get(at)?)? << 4) | hex(*text.get(at + 1)?)?;
        }
        Some(Self(bytes))
    }
}

/// The value of one hexadecimal digit.
///
/// By table: ids mix digits and letters at random, which a processor guesses badly.
pub(super) fn hex(letter: u8) -> Option<u8> {
    const NONE: u8 = u8::MAX;
    #[expect(
        clippy::indexing_slicing,
        reason = "runs in the compiler, where a slip is a build error"
    )]
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            let digit = b"0123456789abcdef"[value as usize];
            values[digit as usize] = value;
            values[digit.to_ascii_uppercase() as usize] = value;
            value += 1;
        }
        values
    };
    VALUES
        .get(usize::from(letter))
        .copied()
        .filter(|value| *value != NONE)
}

/// The id of a user, group or team as a path names it, folded for comparison.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ObjectId {
    /// A GUID.
    Guid(Guid),
    /// A user principal name, ASCII letters lowered. A guest's `#EXT#` is decoded once, so a
    /// caller who encoded it twice has an id of its own, with `%23ext%23` in it: Graph may
    /// answer the two differently. [`ObjectId::subject`] brings them together.
    Upn(Box<str>),
    /// Any other name, kept to the letter: a spelling we know nothing about is its own id.
    Other(Box<str>),
}

/// The mark of a guest's name, decoded once from `%23EXT%23`, letters lowered.
pub(super) const GUEST: &str = "#ext#";
/// The same mark, decoded once from the `%2523EXT%2523` that the Graph Toolkit sends.
pub(super) const GUEST_ENCODED_TWICE: &str = "%23ext%23";

impl ObjectId {
    /// What tells it from others, for hashing it.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Guid(guid) => &guid.0,
            Self::Upn(name) | Self::Other(name) => name.as_bytes(),
        }
    }

    /// Folds the name of a user, already decoded: a GUID, a user principal name, or neither.
    pub fn of_user(name: &str) -> Self {
        if name.contains('@') {
            Self::Upn(name.to_ascii_lowercase().into())
        } else {
            Self::of_object(name)
        }
    }

    /// Folds the id of a group or team, already decoded: a GUID, or kept to the letter.
    pub fn of_object(id: &str) -> Self {
        match Guid::parse(id) {
            Some(guid) => Self::Guid(guid),
            None => Self::Other(id.into()),
        }
    }

    /// The one id for all the spellings that mean the same user.
    ///
    /// Not for keys: what Graph said to one spelling is no answer to another. It is for ending
    /// what is held of that user in every spelling after a write.
    #[must_use]
    pub fn subject(&self) -> Self {
        match self {
            Self::Upn(name) if name.contains(GUEST_ENCODED_TWICE) => {
                Self::Upn(name.replace(GUEST_ENCODED_TWICE, GUEST).into()).subject()
            }
            // Letters beyond ASCII have case too, where anybody has them in a name.
            Self::Upn(name) if !name.is_ascii() => Self::Upn(name.to_lowercase().into()),
            other => other.clone(),
        }
    }
}

/// Whose mailbox a contact is in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Mailbox {
    /// `/me`
    Me,
    /// `/users/{id}`
    User(ObjectId),
}

impl Mailbox {
    /// The same mailbox by the user's [`ObjectId::subject`].
    #[must_use]
    pub fn subject(&self) -> Self {
        match self {
            Self::Me => Self::Me,
            Self::User(id) => Self::User(id.subject()),
        }
    }
}

/// By which path a team is reached. Graph's permission checks differ from place to place, so
/// an answer for one place never stands in for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TeamPlace {
    /// `/teams/{id}`
    Teams,
    /// `/team/{id}`, the singular form of the documentation's request list.
    Team,
    /// `/groups/{id}/team`
    GroupTeam,
    /// `/me/joinedTeams/{id}` or `/users/{id}/joinedTeams/{id}`
    JoinedTeams(Mailbox),
}

/// What kind of thing a photo belongs to: permissions and budgets go by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnerKind {
    /// A user, `/me` included.
    User,
    /// A group.
    Group,
    /// A team, by whichever path.
    Team,
    /// An Outlook contact.
    Contact,
    /// A team template definition (beta).
    TeamTemplate,
}

/// Whose photo a path names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PhotoOwner {
    /// `/me`
    Me,
    /// `/users/{id | userPrincipalName}`
    User(ObjectId),
    /// `/groups/{id}`
    Group(ObjectId),
    /// A team, with the place it is reached by.
    Team {
        /// The team's id, which is its group's id.
        id: ObjectId,
        /// The path it is reached by.
        place: TeamPlace,
    },
    /// An Outlook contact.
    Contact {
        /// Whose contact it is.
        mailbox: Mailbox,
        /// The folders on the path, outermost first, to the letter; empty for `/contacts/{id}`.
        folders: Box<[Box<str>]>,
        /// The contact's id, to the letter.
        id: Box<str>,
    },
    /// beta: `/teamTemplateDefinition/{id}/teamDefinition` and
    /// `/teamwork/teamTemplates/{id}/definitions/{id}/teamDefinition`.
    TeamTemplate {
        /// The template, where the path names one.
        template: Option<Box<str>>,
        /// The definition.
        definition: Box<str>,
    },
}

impl PhotoOwner {
    /// The kind of owner.
    pub fn kind(&self) -> OwnerKind {
        match self {
            Self::Me | Self::User(_) => OwnerKind::User,
            Self::Group(_) => OwnerKind::Group,
            Self::Team { .. } => OwnerKind::Team,
            Self::Contact { .. } => OwnerKind::Contact,
            Self::TeamTemplate { .. } => OwnerKind::TeamTemplate,
        }
    }

    /// The same owner with every user in it named by [`ObjectId::subject`]; not for keys.
    #[must_use]
    pub fn subject(&self) -> Self {
        match self {
            Self::User(id) => Self::User(id.subject()),
            Self::Team {
                id,
                place: TeamPlace::JoinedTeams(mailbox),
            } => Self::Team {
                id: id.clone(),
                place: TeamPlace::JoinedTeams(mailbox.subject()),
            },
            Self::Contact {
                mailbox,
                folders,
                id,
            } => Self::Contact {
                mailbox: mailbox.subject(),
                folders: folders.clone(),
                id: id.clone(),
            },
            other => other.clone(),
        }
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guid(_)")
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guid(_) => "Guid(_)",
            Self::Upn(_) => "Upn(_)",
            Self::Other(_) => "Other(_)",
        })
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Me => "Me",
            Self::User(_) => "User(_)",
        })
    }
}

impl fmt::Debug for PhotoOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => f.write_str("Me"),
            Self::User(id) => f.debug_tuple("User").field(id).finish(),
            Self::Group(id) => f.debug_tuple("Group").field(id).finish(),
            Self::Team { id, place } => f
                .debug_struct("Team")
                .field("id", id)
                .field("place", place)
                .finish(),
            Self::Contact {
                mailbox, folders, ..
            } => f
                .debug_struct("Contact")
                .field("mailbox", mailbox)
                .field("folders", &folders.len())
                .finish_non_exhaustive(),
            Self::TeamTemplate { .. } => f.debug_struct("TeamTemplate").finish_non_exhaustive(),
        }
    }
}
