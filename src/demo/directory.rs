//! What the simulator answers besides photos: people, the schema, and routes made for tests.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};

use super::answer::{Answer, Content};
use super::errors;
use super::service::{Ask, Core};
use super::target::Target;
use super::tenant::{Account, Person};
use super::tokens::Caller;

/// Bodies up to this size come back from the echo.
const ECHOED: usize = 64 << 10;
const SCHEMA: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices><Schema Namespace=\"microsoft.graph\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\"><EntityType Name=\"profilePhoto\" HasStream=\"true\"><Property Name=\"height\" Type=\"Edm.Int32\"/><Property Name=\"width\" Type=\"Edm.Int32\"/></EntityType></Schema></edmx:DataServices></edmx:Edmx>";

/// Streams of events that are open, and the pieces sent to them.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Vec<UnboundedSender<Bytes>>>);

impl Events {
    fn open(&self) -> Answer {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.streams().push(sender);
        Answer {
            content: Content::Events(receiver),
            ..Answer::new(StatusCode::OK, Bytes::new())
        }
        .with(header::CONTENT_TYPE, "text/event-stream")
        .with(header::CACHE_CONTROL, "no-cache")
    }

    /// Sends a piece to every open stream; how many got it.
    pub(super) fn send(&self, piece: &Bytes) -> usize {
        let mut streams = self.streams();
        streams.retain(|stream| stream.send(piece.clone()).is_ok());
        streams.len()
    }

    /// Ends every open stream.
    pub(super) fn end(&self) {
        self.streams().clear();
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<UnboundedSender<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is answered whoever asks: preflights, the schema, the echo.
pub(super) fn open(ask: &Ask<'_>, target: &Target) -> Option<Answer> {
    if *ask.method == Method::OPTIONS {
        return Some(preflight(ask));
    }
    match target {
        Target::Schema => Some(
            Answer::text(StatusCode::OK, "application/xml", SCHEMA)
                .with(header::CACHE_CONTROL, "no-cache"),
        ),
        Target::Echo => Some(echo(ask)),
        _ => None,
    }
}

fn preflight(ask: &Ask<'_>) -> Answer {
    let asked = ask
        .headers
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("*");
    Answer::new(StatusCode::OK, Bytes::new())
        .with(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        )
        .with(header::ACCESS_CONTROL_ALLOW_HEADERS, asked)
        .with(header::ACCESS_CONTROL_MAX_AGE, "3600")
}

/// Tells the caller what arrived.
fn echo(ask: &Ask<'_>) -> Answer {
    let headers: Vec<Value> = ask
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let target = match ask.query {
        Some(query) => format!("{}?{query}", ask.path),
        None => ask.path.to_owned(),
    };
    let body = (ask.body.len() <= ECHOED).then(|| STANDARD.encode(ask.body));
    Answer::json(
        json!({
            "method": ask.method.as_str(),
            "target": target,
            "headers": headers,
            "length": ask.length,
            "body": body,
        })
        .to_string(),
    )
}

/// The rest, for a caller whose token is good.
pub(super) fn answer(core: &Core, ask: &Ask<'_>, caller: &Caller, target: &Target) -> Answer {
    let reading = matches!(*ask.method, Method::GET | Method::HEAD);
    match target {
        Target::Upload => Answer::json(json!({"received": ask.length}).to_string()),
        _ if !reading => errors::method_not_allowed(),
        Target::Me => match caller.person.as_deref() {
            Some(id) => person(core, ask, caller, id, true),
            None => errors::me_needs_a_person(),
        },
        Target::User(key) => person(core, ask, caller, key, false),
        Target::Users => people(core, ask, caller),
        Target::Group(id) => group(core, ask, id),
        Target::Download(bytes) => Answer {
            content: Content::Made(*bytes),
            ..Answer::new(StatusCode::OK, Bytes::new())
        }
        .with(header::CONTENT_TYPE, "application/octet-stream")
        .with(header::CACHE_CONTROL, "private"),
        Target::Events => core.events.open(),
        _ => errors::unknown_segment(ask.path.rsplit('/').next().unwrap_or_default()),
    }
}

fn person(core: &Core, ask: &Ask<'_>, caller: &Caller, key: &str, me: bool) -> Answer {
    let found = core.tenant.person(key).filter(|_| caller.at_home);
    let Some(found) = found else {
        return errors::no_such_owner(key);
    };
    let mine = Some(&found.id) == caller.person.as_ref();
    if !me && !mine && caller.account != Account::Member {
        return errors::too_few_privileges();
    }
    let mut value = describe(ask, found);
    if let Value::Object(members) = &mut value {
        let context = format!(
            "{}/{}/$metadata#users/$entity",
            ask.settings.service_root,
            ask.version.name()
        );
        members.insert("@odata.context".to_owned(), Value::from(context));
    }
    Answer::json(value.to_string())
}

fn describe(ask: &Ask<'_>, person: &Person) -> Value {
    let (given, family) = person.name.split_once(' ').unwrap_or((&person.name, ""));
    let mut value = json!({
        "businessPhones": [],
        "displayName": person.name,
        "givenName": given,
        "id": person.id,
        "jobTitle": person.job,
        "mail": person.upn,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": family,
        "userPrincipalName": person.upn,
    });
    if let (Some(selected), Value::Object(members)) = (ask.selected(), &mut value) {
        members.retain(|name, _| selected.iter().any(|one| one.eq_ignore_ascii_case(name)));
    }
    value
}

fn people(core: &Core, ask: &Ask<'_>, caller: &Caller) -> Answer {
    if caller.account != Account::Member
        || !caller.has(&["User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All"])
    {
        return errors::too_few_privileges();
    }
    let option = |names: [&str; 3]| {
        let options = ask.query.unwrap_or_default().split('&');
        let mut pairs = options.filter_map(|option| option.split_once('='));
        let (_, value) = pairs.find(|(name, _)| names.contains(name))?;
        value.parse::<usize>().ok()
    };
    let top = option(["$top", "%24top", "top"]).unwrap_or(100).min(999);
    let skipped = option(["$skiptoken", "%24skiptoken", "skiptoken"]).unwrap_or(0);
    let people = core.tenant.people.iter();
    let people = people.filter(|person| person.account != Account::Personal && caller.at_home);
    let mut people = people.skip(skipped).peekable();
    let page = people.by_ref().take(top);
    let value: Vec<Value> = page.map(|person| describe(ask, person)).collect();
    let root = format!("{}/{}", ask.settings.service_root, ask.version.name());
    let mut list = json!({"@odata.context": format!("{root}/$metadata#users")});
    if let Value::Object(members) = &mut list {
        if people.peek().is_some() {
            let options = ask.query.unwrap_or_default().split('&');
            let kept = options.filter(|option| !option.contains("skiptoken"));
            let kept: Vec<&str> = kept.collect();
            let skip = skipped + top;
            let next = format!("{root}/users?{}&$skiptoken={skip}", kept.join("&"));
            members.insert("@odata.nextLink".to_owned(), Value::from(next));
        }
        members.insert("value".to_owned(), Value::from(value));
    }
    Answer::json(list.to_string())
}

fn group(core: &Core, ask: &Ask<'_>, id: &str) -> Answer {
    let Some(group) = core.tenant.group(id) else {
        return errors::no_such_owner(id);
    };
    let root = format!("{}/{}", ask.settings.service_root, ask.version.name());
    Answer::json(
        json!({
            "@odata.context": format!("{root}/$metadata#groups/$entity"),
            "id": group.id,
            "displayName": group.name,
        })
        .to_string(),
    )
}
