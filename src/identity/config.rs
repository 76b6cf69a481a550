//! What the operator says about who may share an answer.

use std::time::Duration;

/// The identity part of the settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may be given a stored photo.
    pub sharing: Sharing,
    /// How long Graph's word about a credential is believed.
    pub proof_ttl: Duration,
    /// How many credentials are remembered.
    pub proofs: u64,
    /// Directory roles, as lower-case GUIDs, that show a delegated caller to be a member and
    /// not a guest.
    pub member_roles: Vec<String>,
    /// Permissions that cover a kind of owner besides the documented ones.
    pub extra_permissions: ExtraPermissions,
}

/// Who may be given a stored photo, in rising width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// The same credential.
    Token,
    /// Any credential of a principal that Graph has let have that very photo.
    Verified,
    /// Members of the tenant whose permissions cover the kind of owner.
    Tenant,
}

/// Permissions that cover a kind of owner besides the documented ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraPermissions {
    /// For users' photos.
    pub users: Vec<String>,
    /// For groups' photos.
    pub groups: Vec<String>,
    /// For teams' photos.
    pub teams: Vec<String>,
}
