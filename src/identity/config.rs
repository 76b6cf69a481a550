//! Settings of this room.

use std::time::Duration;

/// Who may be given a stored photo, in rising width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Sharing {
    /// The same token only.
    Token,
    /// Any token of a principal to which Graph has given that photo.
    #[default]
    Verified,
    /// Any proven, non-guest token of the tenant whose permissions cover the kind.
    Tenant,
}

/// Permissions that cover a kind besides the documented ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraPermissions {
    /// For photos of users.
    pub users: Vec<String>,
    /// For photos of groups.
    pub groups: Vec<String>,
    /// For photos of teams.
    pub teams: Vec<String>,
}

/// Settings of this room.
#[derive(Debug, Clone)]
pub struct Config {
    /// The sharing policy.
    pub sharing: Sharing,
    /// How long Graph's word about a credential is believed.
    pub proof_ttl: Duration,
    /// How many credentials are remembered; beyond it the least used are forgotten.
    pub proofs: u64,
    /// Directory role templates that mark a member in `wids`.
    pub member_roles: Vec<String>,
    /// Permissions that cover a kind besides the documented ones.
    pub extra_permissions: ExtraPermissions,
}
