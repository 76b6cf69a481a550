//! Who a token says it is for: tenant, subject, client, permissions.
//!
//! Graph's tokens are not ours to verify (their header carries a nonce that breaks ordinary
//! signature checks), so what is read here is a claim until Graph accepts the token.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::credential::{Bearer, Credential, Hasher};
use crate::route::{Guid, ObjectId};

/// The tenant of personal Microsoft accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// Directory roles that mark a guest: Guest User, Restricted Guest User.
const GUEST_ROLES: [&str; 2] = [
    "10dae51f-b6af-4016-8d66-8c2a99b929b3",
    "2af84b1e-32c8-42b7-82bc-daa82404023b",
];

/// The keyed hash of everything that makes two tokens one principal's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrincipalId([u8; 16]);

impl PrincipalId {
    /// The hash itself, to be hashed again.
    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrincipalId(_)")
    }
}

/// What a token lets its bearer do, by the way it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// `scp`: on behalf of a signed-in user.
    Delegated(BTreeSet<Box<str>>),
    /// `roles`: the application itself.
    Application(BTreeSet<Box<str>>),
    /// A token that cannot be read.
    Unknown,
}

/// Who Graph says a credential is, once Graph has accepted it; before that, who it claims to be.
///
/// What a hit looks at comes first ([`super::Proof`]).
#[derive(Clone)]
#[repr(C)]
pub struct Principal {
    expires: Option<u64>,
    id: PrincipalId,
    tenant: Option<Guid>,
    object: Option<Guid>,
    guest: bool,
    client: Option<Box<str>>,
    upn: Option<ObjectId>,
    issued: Option<u64>,
    permissions: Permissions,
}

impl Principal {
    /// What makes it one principal.
    pub fn id(&self) -> PrincipalId {
        self.id
    }

    /// `tid`, where the token can be read and names a real tenant: all personal accounts of the
    /// world carry one, and share nothing.
    pub fn tenant(&self) -> Option<Guid> {
        self.tenant
    }

    /// `oid` of a signed-in user; `None` for an application, which has no `/me`.
    pub fn user(&self) -> Option<Guid> {
        matches!(self.permissions, Permissions::Delegated(_))
            .then_some(self.object)
            .flatten()
    }

    /// `appid` or `azp`.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The signed-in user's principal name, where the token tells it.
    pub fn upn(&self) -> Option<&ObjectId> {
        self.upn.as_ref()
    }

    /// `iat`, in seconds since 1970: as of when the token's names were true.
    pub fn issued(&self) -> Option<u64> {
        self.issued
    }

    /// `exp`, in seconds since 1970: when the token ends; `None` for one that does not say.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// `scp` or `roles`.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// A guest, or anybody who cannot be told from one.
    pub fn is_guest(&self) -> bool {
        self.guest
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.permissions {
            Permissions::Delegated(_) => "delegated",
            Permissions::Application(_) => "application",
            Permissions::Unknown => "unreadable",
        };
        f.debug_struct("Principal")
            .field("way", &way)
            .field("guest", &self.guest)
            .finish_non_exhaustive()
    }
}

/// The claims this product reads. A repeated or mistyped one makes the token unreadable.
#[derive(Deserialize)]
struct Claims {
    tid: Option<String>,
    oid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    scp: Option<String>,
    roles: Option<Vec<String>>,
    wids: Option<Vec<String>>,
    idtyp: Option<String>,
    idp: Option<String>,
    iss: Option<String>,
    acct: Option<serde_json::Value>,
    exp: Option<u64>,
    iat: Option<serde_json::Value>,
    upn: Option<String>,
}

/// Reads tokens.
#[derive(Debug)]
pub struct Reader {
    member_roles: Box<[Box<str>]>,
}

impl Reader {
    /// A reader that takes these directory roles for the mark of a member.
    pub fn new(member_roles: &[String]) -> Self {
        Self {
            member_roles: member_roles
                .iter()
                .map(|role| role.to_ascii_lowercase().into())
                .collect(),
        }
    }

    /// Who the token says it is for, and when it says it ends.
    ///
    /// A token that is not a JWT, or not one that names a tenant, a subject and exactly one way
    /// of permission, is its own principal.
    pub fn read(&self, bearer: Bearer<'_>, credential: Credential, hasher: &Hasher) -> Principal {
        let Some(claims) = claims(bearer.token()) else {
            return Self::alone(None, credential, hasher);
        };
        self.known(&claims, hasher)
            .unwrap_or_else(|| Self::alone(claims.exp, credential, hasher))
    }

    /// The principal of a token that cannot be read: that token.
    fn alone(expires: Option<u64>, credential: Credential, hasher: &Hasher) -> Principal {
        Principal {
            expires,
            id: PrincipalId(hasher.parts(&[b"token", credential.bytes()])),
            tenant: None,
            object: None,
            client: None,
            upn: None,
            issued: None,
            permissions: Permissions::Unknown,
            guest: true,
        }
    }

    fn known(&self, claims: &Claims, hasher: &Hasher) -> Option<Principal> {
        let tid = claims.tid.as_deref()?;
        let (tenant, object) = (guid(tid)?, guid(claims.oid.as_deref()?)?);
        let client = claims.appid.as_deref().or(claims.azp.as_deref())?;
        let idtyp = claims.idtyp.as_deref();
        let permissions = match (claims.scp.as_deref(), claims.roles.as_deref()) {
            // A delegated token may carry the user's app roles too; they grant nothing in Graph.
            (Some(scp), _) if idtyp != Some("app") => {
                Permissions::Delegated(scp.split_ascii_whitespace().map(Into::into).collect())
            }
            (None, roles) if idtyp != Some("user") => Permissions::Application(
                roles
                    .unwrap_or_default()
                    .iter()
                    .map(|role| role.as_str().into())
                    .collect(),
            ),
            _ => return None,
        };
        let wids: BTreeSet<String> = claims
            .wids
            .iter()
            .flatten()
            .map(|role| role.to_ascii_lowercase())
            .collect();
        let guest = match permissions {
            Permissions::Delegated(_) => self.is_guest(claims, &wids),
            Permissions::Application(_) => tid.eq_ignore_ascii_case(CONSUMERS),
            Permissions::Unknown => true,
        };
        let (way, granted) = match &permissions {
            Permissions::Delegated(granted) => (&b"delegated"[..], granted),
            Permissions::Application(granted) => (&b"application"[..], granted),
            Permissions::Unknown => return None,
        };
        // How many follow, or a permission could pass for a directory role.
        let count = (granted.len() as u64).to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![
            b"principal",
            &tenant.0,
            &object.0,
            client.as_bytes(),
            way,
            if guest { b"guest" } else { b"member" },
            &count,
        ];
        parts.extend(granted.iter().map(|permission| permission.as_bytes()));
        // Directory roles change what Graph lets a user see as much as permissions do.
        parts.extend(wids.iter().map(String::as_bytes));
        let upn = matches!(permissions, Permissions::Delegated(_))
            .then(|| claims.upn.as_deref().and_then(upn))
            .flatten();
        Some(Principal {
            expires: claims.exp,
            id: PrincipalId(hasher.parts(&parts)),
            tenant: (!tid.eq_ignore_ascii_case(CONSUMERS)).then_some(tenant),
            object: Some(object),
            client: Some(client.to_ascii_lowercase().into()),
            upn,
            issued: claims.iat.as_ref().and_then(serde_json::Value::as_u64),
            permissions,
            guest,
        })
    }

    /// DESIGN §5: the guest roles, an `idp` that is not the issuer, `acct` 1, a personal
    /// account, or no mark of a member.
    fn is_guest(&self, claims: &Claims, wids: &BTreeSet<String>) -> bool {
        let consumer = claims
            .tid
            .as_deref()
            .is_some_and(|tid| tid.eq_ignore_ascii_case(CONSUMERS));
        let foreign = match (claims.idp.as_deref(), claims.iss.as_deref()) {
            (Some(idp), Some(iss)) => idp != iss,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let acct = claims.acct.as_ref().is_some_and(|acct| {
            !matches!(acct, serde_json::Value::Null) && *acct != 0 && *acct != "0"
        });
        let member = self
            .member_roles
            .iter()
            .any(|role| wids.contains(role.as_ref()));
        consumer
            || foreign
            || acct
            || !member
            || GUEST_ROLES.iter().any(|role| wids.contains(*role))
    }
}

/// The claims of a JWT: three parts, the middle one base64url JSON.
fn claims(token: &[u8]) -> Option<Claims> {
    let mut parts = token.split(|&byte| byte == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn guid(text: &str) -> Option<Guid> {
    Guid::parse(text)
}

/// A principal name as the route room folds it, so that the two compare.
fn upn(text: &str) -> Option<ObjectId> {
    Some(ObjectId::of_user(text)).filter(|id| matches!(id, ObjectId::Upn(_)))
}
