//! The words for whose photo it is.
//!
//! An id is kept the way two spellings of it compare: GUIDs and user principal names without
//! regard to case, contact and folder ids to the letter (Graph: "Traverse the graph").

/// A GUID, in any spelling of its letters' case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

/// The id of a user, group or team as a path names it, folded for comparison.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ObjectId {
    /// A GUID.
    Guid(Guid),
    /// A user principal name, ASCII letters lowered; a guest's `#EXT#` is decoded.
    Upn(Box<str>),
    /// Any other name, kept to the letter: a spelling we know nothing about is its own id.
    Other(Box<str>),
}

/// Whose mailbox a contact is in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Mailbox {
    /// `/me`
    Me,
    /// `/users/{id}`
    User(ObjectId),
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

/// Whose photo a path names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// beta: `/teamTemplateDefinition/{id}` and `/teamwork/teamTemplates/{id}/definitions/{id}`.
    TeamTemplate {
        /// The template, where the path names one.
        template: Option<Box<str>>,
        /// The definition.
        definition: Box<str>,
    },
}

impl std::fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Guid(_) => "Guid(_)",
            Self::Upn(_) => "Upn(_)",
            Self::Other(_) => "Other(_)",
        })
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Me => "Me",
            Self::User(_) => "User(_)",
        })
    }
}
impl Guid {
    /// stub
    pub fn parse(_: &str) -> Option<Self> {
        None
    }
}
impl ObjectId {
    /// stub
    pub fn subject(&self) -> Self {
        self.clone()
    }
}
/// stub
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// u
    User,
    /// g
    Group,
    /// t
    Team,
    /// c
    Contact,
    /// t
    TeamTemplate,
}
impl PhotoOwner {
    /// stub
    pub fn kind(&self) -> OwnerKind {
        OwnerKind::User
    }
}
