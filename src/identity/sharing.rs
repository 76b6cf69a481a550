//! Who may share an answer: partitions, and the permission tables of the `tenant` policy.

use super::config::ExtraPermissions;
use super::principal::{Permissions, Principal, PrincipalId};
use super::{Credential, Subject};
use crate::route::{Guid, ObjectId, OwnerKind, PhotoOwner, TeamPlace};

/// The callers among whom one stored answer may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// One token.
    Credential(Credential),
    /// All tokens of one principal.
    Principal(PrincipalId),
    /// All callers of a tenant who have earned it.
    Tenant(Guid),
}

impl Partition {
    /// What tells it from others of its kind, for hashing it.
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        match self {
            Self::Credential(credential) => credential.bytes(),
            Self::Principal(principal) => principal.bytes(),
            Self::Tenant(tenant) => &tenant.0,
        }
    }
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Every owner of the kind.
    All,
    /// The signed-in user only.
    Oneself,
}

/// By which way of permission a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Delegated,
    Application,
}

/// One line: a permission, and what Microsoft documents it to open.
struct Line(OwnerKind, Way, &'static str, Reach);

/// The documented tables. Source of every line: Graph, "Get profilePhoto", section Permissions.
/// Contacts have no line: they are never shared between principals. Groups have no application
/// line ("An app with only application permissions cannot access a group's photo").
const TABLE: &[Line] = &[
    // "To retrieve the profile photo of a user", delegated, least privileged: one's own.
    Line(OwnerKind::User, Way::Delegated, "User.Read", Reach::Oneself),
    // The same row, higher privileged.
    Line(
        OwnerKind::User,
        Way::Delegated,
        "User.ReadWrite",
        Reach::Oneself,
    ),
    Line(
        OwnerKind::User,
        Way::Delegated,
        "User.ReadBasic.All",
        Reach::All,
    ),
    Line(OwnerKind::User, Way::Delegated, "User.Read.All", Reach::All),
    Line(
        OwnerKind::User,
        Way::Delegated,
        "User.ReadWrite.All",
        Reach::All,
    ),
    // The same table, application.
    Line(
        OwnerKind::User,
        Way::Application,
        "User.Read.All",
        Reach::All,
    ),
    Line(
        OwnerKind::User,
        Way::Application,
        "User.ReadWrite.All",
        Reach::All,
    ),
    // "To retrieve the profile photo of a group", delegated.
    Line(
        OwnerKind::Group,
        Way::Delegated,
        "Group.Read.All",
        Reach::All,
    ),
    Line(
        OwnerKind::Group,
        Way::Delegated,
        "Group.ReadWrite.All",
        Reach::All,
    ),
    // "To retrieve the profile photo of a team", delegated.
    Line(
        OwnerKind::Team,
        Way::Delegated,
        "Team.ReadBasic.All",
        Reach::All,
    ),
    Line(
        OwnerKind::Team,
        Way::Delegated,
        "TeamSettings.Read.All",
        Reach::All,
    ),
    Line(
        OwnerKind::Team,
        Way::Delegated,
        "TeamSettings.ReadWrite.All",
        Reach::All,
    ),
    // The same table, application.
    Line(
        OwnerKind::Team,
        Way::Application,
        "Team.ReadBasic.All",
        Reach::All,
    ),
    Line(
        OwnerKind::Team,
        Way::Application,
        "TeamSettings.Read.All",
        Reach::All,
    ),
    Line(
        OwnerKind::Team,
        Way::Application,
        "TeamSettings.ReadWrite.All",
        Reach::All,
    ),
];

/// The documented tables with the operator's additions. An addition widens what a *proven*
/// token covers; it never stands in for the proof.
#[derive(Debug)]
pub(super) struct Tables {
    extra: ExtraPermissions,
}

impl Tables {
    pub(super) fn new(extra: &ExtraPermissions) -> Self {
        Self {
            extra: extra.clone(),
        }
    }

    /// Whether a principal's permissions cover `owner`, whose picture is `subject`.
    pub(super) fn cover(
        &self,
        principal: &Principal,
        owner: &PhotoOwner,
        subject: &Subject,
    ) -> bool {
        if principal.is_guest() || principal.tenant().is_none() || !shared_by_tenant(owner) {
            return false;
        }
        let kind = owner.kind();
        let (way, granted) = match principal.permissions() {
            Permissions::Delegated(granted) => (Way::Delegated, granted),
            Permissions::Application(granted) => (Way::Application, granted),
            Permissions::Unknown => return false,
        };
        let documented = TABLE.iter().any(|Line(of, by, permission, reach)| {
            *of == kind
                && *by == way
                && granted.contains(*permission)
                && (*reach == Reach::All || is_oneself(principal, subject))
        });
        let extra = match kind {
            OwnerKind::User => &self.extra.users,
            OwnerKind::Group if way == Way::Delegated => &self.extra.groups,
            OwnerKind::Team => &self.extra.teams,
            OwnerKind::Group | OwnerKind::Contact | OwnerKind::TeamTemplate => return documented,
        };
        documented
            || extra
                .iter()
                .any(|permission| granted.contains(permission.as_str()))
    }
}

/// The routes whose permissions are documented, and whose answer does not depend on who asks.
fn shared_by_tenant(owner: &PhotoOwner) -> bool {
    match owner {
        PhotoOwner::User(_) | PhotoOwner::Group(_) => true,
        PhotoOwner::Team { place, .. } => matches!(place, TeamPlace::Teams | TeamPlace::Team),
        PhotoOwner::Me | PhotoOwner::Contact { .. } | PhotoOwner::TeamTemplate { .. } => false,
    }
}

/// Whether the subject is the signed-in user, by id or by principal name.
pub(super) fn is_oneself(principal: &Principal, subject: &Subject) -> bool {
    match subject {
        Subject::User(ObjectId::Guid(id)) => principal.user() == Some(*id),
        Subject::User(name) => principal.upn() == Some(name),
        _ => false,
    }
}

/// Whether the subject may be the signed-in user for all that the token says: it is, or it is a
/// principal name and the token does not tell the user's own.
pub(super) fn may_be_oneself(principal: &Principal, subject: &Subject) -> bool {
    let untold = matches!(principal.permissions(), Permissions::Delegated(_))
        && principal.upn().is_none()
        && matches!(subject, Subject::User(ObjectId::Upn(_)));
    untold || is_oneself(principal, subject)
}
