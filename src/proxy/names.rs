//! Which id a principal name belongs to, asked of Graph for a whole directory at once
//! (`ask_names`, off unless the operator says so).
//!
//! A picture and "no photo" do not tell whose id the name in their path is, so under `tenant` a
//! person who is asked for by both is asked for twice. Graph: "List users" tells both names of
//! up to 999 users in one answer.
//!
//! It is asked only with a token that Graph has accepted and whose permissions cover every
//! user's photo, behind that caller's own question, and once per tenant and lifetime of a pair.
//! What comes of it is which two names are one person's, and nothing else: it gives nobody a
//! photo, proves no token, and a refusal of it is no word about photos.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;

use super::Rooms;
use super::wanted::Facts;
use crate::cache::admission;
use crate::clock::Time;
use crate::identity::{Caller, Sharing, Space};
use crate::route::{Guid, ObjectId, OwnerKind, PhotoOwner};
use crate::upstream::{self, Ask, Budget, Collected, Trace};

/// The users of `v1.0`, as few of their members as will do (Graph: "List users", which takes
/// `$top` up to 999).
const USERS: &str = "/v1.0/users";
const FIRST_PAGE: &str = "/v1.0/users?$select=id,userPrincipalName&$top=999";
/// How many pages are asked for: 25,000 people. Of a larger directory the rest go by what else
/// Graph tells.
const MOST_PAGES: usize = 25;
/// The largest page that is read; 999 users take some 150 KiB.
const LARGEST_PAGE: usize = 1024 * 1024;
/// How long after a round that failed the next one may begin.
const AFTER_FAILURE: Duration = Duration::from_mins(10);
/// The part of a pair's life after which the next round may begin.
const RENEWED_FROM: f64 = 0.8;

/// When each tenant's directory may next be asked for.
#[derive(Debug, Default)]
pub(super) struct Rounds(Mutex<HashMap<Guid, Time>>);

impl Rounds {
    /// Takes the turn to ask for a tenant's names, where it is time; the next is then `later`.
    fn take(&self, tenant: Guid, now: Time, later: Duration) -> bool {
        let mut rounds = self.lock();
        let due = rounds.get(&tenant).is_none_or(|next| now >= *next);
        if due {
            rounds.insert(tenant, now.plus(later));
        }
        due
    }

    /// A round that began at `now` has gone well.
    fn put_off(&self, tenant: Guid, now: Time, later: Duration) {
        self.lock().insert(tenant, now.plus(later));
    }

    /// Forgets turns that have come.
    pub(super) fn maintain(&self, now: Time) {
        self.lock().retain(|_, next| now < *next);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Guid, Time>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks for a directory.
struct Round {
    caller: Caller,
    tenant: Guid,
    authorization: HeaderValue,
    budget: Budget,
}

impl Rooms {
    /// Asks for the names of the caller's tenant behind a question that goes by a name, where it
    /// is time. Nobody waits for it.
    pub(super) fn ask_names(self: &Arc<Self>, facts: &Facts, headers: &HeaderMap, now: Time) {
        let by_name = matches!(facts.photo.owner, PhotoOwner::User(ObjectId::Upn(_)));
        if !by_name || !self.questions.ask_names || self.identity.sharing() != Sharing::Tenant {
            return;
        }
        let caller = &facts.caller;
        let tenant = caller.proof();
        let tenant = tenant.and_then(|_| self.identity.reads_every_user(caller));
        let (Some(tenant), Some(authorization)) = (tenant, headers.get(header::AUTHORIZATION))
        else {
            return;
        };
        let rounds = &self.questions.names_asked;
        if !rounds.take(tenant, now, AFTER_FAILURE) {
            return;
        }
        let round = Round {
            caller: caller.clone(),
            tenant,
            authorization: authorization.clone(),
            budget: Budget::of(caller, OwnerKind::User),
        };
        let rooms = Arc::clone(self);
        tokio::spawn(async move {
            if rooms.ask_all(&round).await {
                let later = rooms.cache.aliases.ttl().mul_f64(RENEWED_FROM);
                let rounds = &rooms.questions.names_asked;
                rounds.put_off(round.tenant, now, later.max(AFTER_FAILURE));
            }
        });
    }

    /// One page after another; whether all went well.
    async fn ask_all(&self, round: &Round) -> bool {
        let mut target = PathAndQuery::from_static(FIRST_PAGE);
        for _ in 0..MOST_PAGES {
            let asked = self.clock.now();
            let Some(page) = self.ask_page(round, target).await else {
                return false;
            };
            let now = self.clock.now();
            for (guid, name) in page.pairs {
                let space = Space::Tenant(round.tenant);
                self.cache.aliases.learn(space, guid, &name, asked, now);
            }
            match page.next {
                Some(next) => target = next,
                None => return true,
            }
        }
        true
    }

    async fn ask_page(&self, round: &Round, target: PathAndQuery) -> Option<Page> {
        let gate = self.questions.gate();
        let asked = self.clock.now();
        if gate
            .refusal(&round.budget, OwnerKind::User, asked)
            .is_some()
        {
            return None;
        }
        let ask = Ask {
            target,
            authorization: round.authorization.clone(),
            accept: Some(HeaderValue::from_static("application/json")),
            if_none_match: None,
            if_modified_since: None,
            trace: Trace::default(),
        };
        let answer = match self.upstream.ask(ask).await {
            Ok(answer) => answer,
            Err(error) => {
                self.ops.unanswered(&error);
                return None;
            }
        };
        let (now, status) = (self.clock.now(), answer.status());
        self.ops.asked(status, false, now.since(asked));
        let wait = upstream::retry_after(answer.headers(), now);
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                self.identity.refused(&round.caller.credential, now);
                return None;
            }
            StatusCode::TOO_MANY_REQUESTS => {
                gate.throttled(&round.budget, wait, now);
                return None;
            }
            _ => return None,
        }
        if !is_a_list(answer.headers()) {
            return None;
        }
        let deadline = self.upstream.deadline();
        let body = upstream::collect(answer.into_body(), LARGEST_PAGE, deadline).await;
        match body.ok()? {
            Collected::Whole(bytes) => Page::read(&bytes),
            Collected::TooLarge { .. } => None,
        }
    }
}

/// Whether an answer is Graph's own JSON.
fn is_a_list(fields: &HeaderMap) -> bool {
    let json = fields
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    json && admission::is_graphs_own(fields) && !fields.contains_key(header::CONTENT_ENCODING)
}

/// What one answer tells.
#[derive(Debug)]
struct Page {
    pairs: Vec<(Guid, ObjectId)>,
    next: Option<PathAndQuery>,
}

#[derive(Deserialize)]
struct List {
    value: Vec<User>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(rename = "userPrincipalName")]
    name: Option<String>,
}

impl Page {
    /// Reads a list of users. One in which a name is two people's, or an id none, is no word.
    fn read(json: &[u8]) -> Option<Self> {
        let list: List = serde_json::from_slice(json).ok()?;
        let mut named: HashMap<ObjectId, Guid> = HashMap::with_capacity(list.value.len());
        for user in list.value {
            let guid = Guid::parse(&user.id)?;
            let Some(name) = user.name.map(|name| ObjectId::of_user(&name).subject()) else {
                continue;
            };
            if named.insert(name, guid).is_some_and(|other| other != guid) {
                return None;
            }
        }
        let next = match list.next {
            Some(link) => Some(next_page(&link)?),
            None => None,
        };
        let pairs = named.into_iter().map(|(name, guid)| (guid, name));
        Some(Self {
            pairs: pairs
                .filter(|(_, name)| matches!(name, ObjectId::Upn(_)))
                .collect(),
            next,
        })
    }
}

/// Where the list goes on: of Graph's link only the query, and only if it is of the same list,
/// so that a token goes where it went before and nowhere else.
fn next_page(link: &str) -> Option<PathAndQuery> {
    let link: Uri = link.parse().ok()?;
    if link.path() != USERS {
        return None;
    }
    PathAndQuery::try_from(format!("{USERS}?{}", link.query()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-1111-4111-8111-111111111111";
    const TWO: &str = "22222222-2222-4222-8222-222222222222";

    fn read(json: &serde_json::Value) -> Option<Page> {
        Page::read(json.to_string().as_bytes())
    }

    #[test]
    fn a_list_tells_pairs_and_where_it_goes_on() {
        let page = read(&serde_json::json!({
            "@odata.context": "https://graph.example/v1.0/$metadata#users(id,userPrincipalName)",
            "@odata.nextLink": "https://graph.example/v1.0/users?$select=id&$skiptoken=RF%27x",
            "value": [
                {"id": ONE, "userPrincipalName": "Ada@Example.com"},
                {"id": TWO, "userPrincipalName": null},
            ],
        }));
        let page = page.unwrap();
        let ada = ObjectId::of_user("ada@example.com");
        assert_eq!(page.pairs.len(), 1);
        assert!(page.pairs.contains(&(Guid::parse(ONE).unwrap(), ada)));
        let next = page.next.unwrap();
        assert_eq!(next.as_str(), "/v1.0/users?$select=id&$skiptoken=RF%27x");
    }

    #[test]
    fn what_is_not_such_a_list_tells_nothing() {
        let user = |id: &str, name: &str| serde_json::json!({"id": id, "userPrincipalName": name});
        for odd in [
            serde_json::json!({"value": [user(ONE, "a@x.com"), user(TWO, "A@X.com")]}),
            serde_json::json!({"value": [user("1", "a@x.com")]}),
            serde_json::json!({"value": [{"userPrincipalName": "a@x.com"}]}),
            serde_json::json!({"id": ONE, "userPrincipalName": "a@x.com"}),
            serde_json::json!([]),
        ] {
            assert!(read(&odd).is_none(), "{odd}");
        }
        assert!(Page::read(b"<html>").is_none());
    }

    #[test]
    fn a_token_follows_no_link_out_of_the_list() {
        for link in [
            "https://evil.example/steal?x=1",
            "https://graph.example/v1.0/me?x=1",
            "https://graph.example/v1.0/users/x?x=1",
            "https://graph.example/v1.0/users",
            "https://graph.example/v1.0//users?x=1",
            "https://graph.example/beta/users?x=1",
            "not a link",
        ] {
            assert_eq!(next_page(link), None, "{link}");
        }
    }
}
