//! Tokens as Graph's callers hold them, and the table of those that are good.
//!
//! A token is good because it is in the table, letter by letter: altered claims make another
//! token, which nobody issued. No signature is ever computed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::dice::Dice;
use super::tenant::{Account, Person, Tenant};
use crate::clock::Time;

/// The directory role every member's token shows.
const MEMBER_ROLE: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";
/// The directory role of a guest.
const GUEST_ROLE: &str = "10dae51f-b6af-4016-8d66-8c2a99b929b3";
/// What a token is for when nothing else is said.
const AUDIENCE: &str = "https://graph.microsoft.com";
/// The application a token is for when nothing else is said.
const APPLICATION: &str = "7d3f0a52-52c6-4e0c-9a7e-3c1b0c6e1f10";
/// Lifetime of a delegated token seen in 2026, in seconds.
const LIFETIME: u64 = 4_123;

/// Numbers tokens over the whole process, so that no two are alike.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// What a token should say.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    who: Who,
    permissions: Vec<String>,
    application: String,
    tenant: Option<String>,
    audience: String,
    lifetime: Duration,
    claims: Vec<(String, Value)>,
}

#[derive(Debug, Clone)]
enum Who {
    Person(Box<Person>),
    Application,
}

impl TokenSpec {
    /// A delegated token of that person, with `User.ReadBasic.All`; an opaque one if the
    /// account is personal.
    pub fn of(person: &Person) -> Self {
        Self::new(Who::Person(Box::new(person.clone())), "User.ReadBasic.All")
    }

    /// An application-only token with `User.Read.All`.
    pub fn application() -> Self {
        Self::new(Who::Application, "User.Read.All")
    }

    fn new(who: Who, permission: &str) -> Self {
        Self {
            who,
            permissions: vec![permission.to_owned()],
            application: APPLICATION.to_owned(),
            tenant: None,
            audience: AUDIENCE.to_owned(),
            lifetime: Duration::from_secs(LIFETIME),
            claims: Vec::new(),
        }
    }

    /// Replaces the permissions (`scp`, or `roles` of an application), separated by spaces.
    #[must_use]
    pub fn with(mut self, permissions: &str) -> Self {
        self.permissions = permissions.split_whitespace().map(str::to_owned).collect();
        self
    }

    /// Replaces the application the token was issued to.
    #[must_use]
    pub fn from_app(mut self, application: &str) -> Self {
        application.clone_into(&mut self.application);
        self
    }

    /// Makes the token one of another tenant, where none of our people are known.
    #[must_use]
    pub fn in_tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// Replaces the audience; any but Graph's gets 401.
    #[must_use]
    pub fn for_audience(mut self, audience: &str) -> Self {
        audience.clone_into(&mut self.audience);
        self
    }

    /// Replaces the lifetime.
    #[must_use]
    pub const fn lasting(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Adds or replaces one claim; `Value::Null` takes it out.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.push((name.to_owned(), value));
        self
    }
}

/// What Graph knows about a caller once it has found the token good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) number: u64,
    pub(super) application: String,
    /// The signed-in person's id; none for an application.
    pub(super) person: Option<String>,
    pub(super) account: Account,
    pub(super) at_home: bool,
    pub(super) permissions: Vec<String>,
}

impl Caller {
    /// Whether the token carries one of these permissions.
    pub(super) fn has(&self, any: &[&str]) -> bool {
        self.permissions.iter().any(|held| {
            any.iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(held.as_str()))
        })
    }
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    Missing,
    Unknown,
    Expired,
    Revoked,
    Audience,
}

#[derive(Debug)]
struct Issued {
    caller: Caller,
    from: u64,
    until: u64,
    audience: String,
    revoked: bool,
}

/// Every token issued.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Issued>>);

impl Tokens {
    /// Writes a token and remembers it.
    pub(super) fn issue(&self, spec: &TokenSpec, tenant: &Tenant, now: Time) -> String {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let from = now.unix_seconds();
        let until = from.saturating_add(spec.lifetime.as_secs());
        let text = match &spec.who {
            Who::Person(person) if person.account == Account::Personal => opaque(number),
            _ => jwt(spec, tenant, number, from, until),
        };
        let (person, account) = match &spec.who {
            Who::Person(person) => (Some(person.id.clone()), person.account),
            Who::Application => (None, Account::Member),
        };
        let issued = Issued {
            caller: Caller {
                number,
                application: spec.application.clone(),
                person,
                account,
                at_home: spec.tenant.as_ref().is_none_or(|other| *other == tenant.id),
                permissions: spec.permissions.clone(),
            },
            from,
            until,
            audience: spec.audience.clone(),
            revoked: false,
        };
        self.table().insert(text.clone(), issued);
        text
    }

    /// Makes a token bad from now on.
    pub(super) fn revoke(&self, token: &str) {
        if let Some(issued) = self.table().get_mut(token) {
            issued.revoked = true;
        }
    }

    /// Every token, good or not.
    pub(super) fn all(&self) -> Vec<String> {
        self.table().keys().cloned().collect()
    }

    /// The number of a token that was issued here.
    pub(super) fn number(&self, token: &str) -> Option<u64> {
        self.table().get(token).map(|issued| issued.caller.number)
    }

    /// Who holds this token, if it is good.
    pub(super) fn check(&self, token: Option<&str>, now: Time) -> Result<Caller, Rejection> {
        let token = token.ok_or(Rejection::Missing)?;
        let table = self.table();
        let issued = table.get(token).ok_or(Rejection::Unknown)?;
        let seconds = now.unix_seconds();
        if issued.revoked {
            return Err(Rejection::Revoked);
        }
        if seconds >= issued.until || seconds < issued.from {
            return Err(Rejection::Expired);
        }
        if issued.audience != AUDIENCE && issued.audience != "00000003-0000-0000-c000-000000000000"
        {
            return Err(Rejection::Audience);
        }
        Ok(issued.caller.clone())
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<String, Issued>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A personal account's token: nothing to be read in it but its first two letters.
fn opaque(number: u64) -> String {
    let mut dice = Dice::new(number);
    format!("EwB4A8l6BAAU{}", dice.hex(1_100))
}

fn jwt(spec: &TokenSpec, tenant: &Tenant, number: u64, from: u64, until: u64) -> String {
    let mut dice = Dice::of("token", number);
    let header = json!({
        "typ": "JWT",
        "nonce": dice.hex(43),
        "alg": "RS256",
        "x5t": "simulated-key",
        "kid": "simulated-key",
    });
    let tid = spec.tenant.as_deref().unwrap_or(&tenant.id);
    let mut claims = json!({
        "aud": spec.audience,
        "iss": format!("https://sts.windows.net/{tid}/"),
        "iat": from,
        "nbf": from,
        "exp": until,
        "aio": dice.hex(60),
        "app_displayname": "Simulated application",
        "appid": spec.application,
        "appidacr": "1",
        "rh": dice.hex(50),
        "tid": tid,
        "uti": dice.hex(22),
        "ver": "1.0",
        "xms_tcdt": 1_600_000_000,
    });
    let rest = match &spec.who {
        Who::Person(person) => person_claims(person, &spec.permissions, &mut dice),
        Who::Application => json!({
            "idtyp": "app",
            "oid": Dice::of(&spec.application, 0).guid(),
            "sub": Dice::of(&spec.application, 0).guid(),
            "idp": format!("https://sts.windows.net/{tid}/"),
            "roles": spec.permissions,
            "wids": ["0997a1d0-0d1d-4acb-b408-d5ca73121e90"],
        }),
    };
    let extra = spec.claims.iter().cloned();
    if let (Value::Object(claims), Value::Object(rest)) = (&mut claims, rest) {
        for (name, value) in rest.into_iter().chain(extra) {
            match value {
                Value::Null => claims.remove(&name),
                value => claims.insert(name, value),
            };
        }
    }
    let signature: Vec<u8> = (0..32).flat_map(|_| dice.next().to_be_bytes()).collect();
    format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string()),
        URL_SAFE_NO_PAD.encode(signature),
    )
}

fn person_claims(person: &Person, permissions: &[String], dice: &mut Dice) -> Value {
    let mut claims = json!({
        "acr": "1",
        "acct": 0,
        "amr": ["pwd", "mfa"],
        "idtyp": "user",
        "ipaddr": "192.0.2.7",
        "name": person.name,
        "oid": person.id,
        "puid": dice.hex(16).to_uppercase(),
        "scp": permissions.join(" "),
        "sid": dice.guid(),
        "sub": dice.hex(43),
        "unique_name": person.upn,
        "upn": person.upn,
        "wids": [MEMBER_ROLE],
    });
    if person.account == Account::Guest
        && let Value::Object(claims) = &mut claims
    {
        claims.insert("acct".to_owned(), json!(1));
        claims.insert("wids".to_owned(), json!([GUEST_ROLE]));
        let home = Dice::of("partner", 0).guid();
        let idp = json!(format!("https://sts.windows.net/{home}/"));
        claims.insert("idp".to_owned(), idp);
        claims.remove("upn");
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_token_is_good_until_it_expires_is_revoked_or_is_altered() {
        let (tokens, tenant, clock) = (Tokens::default(), Tenant::new(1, 6), Clock::by_hand());
        let person = tenant.members().next().unwrap();
        let token = tokens.issue(&TokenSpec::of(person), &tenant, clock.now());
        let check = |token: &str| tokens.check(Some(token), clock.now());
        assert_eq!(check(&token).unwrap().person, Some(person.id.clone()));
        assert_eq!(check(&token.replace('a', "b")), Err(Rejection::Unknown));
        let claims = token.split('.').nth(1).unwrap();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(claims["oid"], person.id.as_str());
        assert_eq!(claims["scp"], "User.ReadBasic.All");
        clock.advance(Duration::from_secs(LIFETIME));
        assert_eq!(check(&token), Err(Rejection::Expired));
        let token = tokens.issue(&TokenSpec::application(), &tenant, clock.now());
        assert!(check(&token).is_ok());
        tokens.revoke(&token);
        assert_eq!(check(&token), Err(Rejection::Revoked));
    }

    #[test]
    fn a_personal_accounts_token_is_opaque() {
        let (tokens, tenant, clock) = (Tokens::default(), Tenant::new(1, 6), Clock::by_hand());
        let person = tenant.personal().next().unwrap();
        let token = tokens.issue(&TokenSpec::of(person), &tenant, clock.now());
        assert!(token.starts_with("Ew") && !token.contains('.'));
    }
}
