//! Photos, their metadata and their lists: the seed page, as the two backends do it.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::answer::Answer;
use super::dice::Dice;
use super::errors;
use super::faces::{self, Motif};
use super::permissions::{self, Exceptions, Kind};
use super::pictures::Picture;
use super::service::{Ask, Core};
use super::settings::{Absent, Conditional, Generation, Settings};
use super::target::{Owner, SIDES, Size, Version, View};
use super::tenant::Account;
use super::tokens::Caller;

/// The largest upload Graph takes.
const LARGEST_UPLOAD: u64 = 4 << 20;

/// Somebody who may have a photo.
#[derive(Debug)]
struct Found {
    id: String,
    first: Option<u32>,
    kind: Kind,
    set: &'static str,
    /// Whether the caller said `/me`.
    me: bool,
}

/// Answers a photo request of a caller whose token is good.
pub(super) fn answer(
    core: &Core,
    ask: &Ask<'_>,
    caller: &Caller,
    owner: &Owner,
    view: View,
    size: &Size,
) -> Answer {
    let settings = ask.settings;
    let found = match find(core, ask, caller, owner) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if matches!(found.kind, Kind::Contact | Kind::OwnContact | Kind::Team)
        && (*size != Size::Largest || view == View::List)
    {
        return errors::unsupported_segment(ask.path);
    }
    let exceptions = Exceptions {
        applications_read_groups: settings.applications_read_groups,
        guests_read_members: settings.guests_read_members,
    };
    let writing = !matches!(*ask.method, Method::GET | Method::HEAD);
    let allowed = match writing {
        true => permissions::may_write(caller, found.kind),
        false => permissions::may_read(caller, found.kind, exceptions),
    };
    if !allowed || core.is_forbidden(caller, &found.id) {
        return match found.kind {
            Kind::Team => errors::too_few_privileges(),
            _ => errors::denied(),
        };
    }
    if writing {
        return write(core, ask, &found, view);
    }
    if caller.account == Account::Personal && view != View::Media {
        return errors::consumer_not_supported();
    }
    let picture = core.pictures.get(&found.id, found.first, ask.now);
    match view {
        View::Media => media(core, ask, &found, picture, size),
        View::Metadata => metadata(ask, &found, picture, size),
        View::List => list(ask, &found, picture),
    }
}

/// Who is meant; the refusal when it is nobody, or nobody this caller may know of.
fn find(core: &Core, ask: &Ask<'_>, caller: &Caller, owner: &Owner) -> Result<Found, Answer> {
    let found = |id: &str, first, kind, set, me| Found {
        id: id.to_owned(),
        first,
        kind,
        set,
        me,
    };
    let own = || {
        caller
            .person
            .as_deref()
            .ok_or_else(errors::me_needs_a_person)
    };
    match owner {
        Owner::Me => {
            let id = own()?;
            let person = core.tenant.person(id).filter(|_| caller.at_home);
            let person = person.ok_or_else(|| errors::no_such_owner(id))?;
            Ok(found(&person.id, person.photo, Kind::Own, "users", true))
        }
        Owner::User(key) => {
            let person = core.tenant.person(key).filter(|_| caller.at_home);
            let mine = person.is_some_and(|person| Some(&person.id) == caller.person.as_ref());
            if caller.account == Account::Personal && !mine {
                if ask.settings.own_photo_quirk && ask.version == Version::Beta {
                    return find(core, ask, caller, &Owner::Me);
                }
                return Err(Answer::error(
                    StatusCode::NOT_FOUND,
                    "ErrorInvalidUser",
                    &format!("The requested user '{key}' is invalid."),
                ));
            }
            let person = person.ok_or_else(|| errors::no_such_owner(key))?;
            let kind = if mine { Kind::Own } else { Kind::User };
            Ok(found(&person.id, person.photo, kind, "users", false))
        }
        Owner::Group(id) | Owner::Team(id) => {
            let team = matches!(owner, Owner::Team(_));
            let group = core
                .tenant
                .group(id)
                .filter(|group| caller.at_home && (group.team || !team))
                .ok_or_else(|| errors::no_such_owner(id))?;
            let (kind, set) = match team {
                true => (Kind::Team, "teams"),
                false => (Kind::Group, "groups"),
            };
            Ok(found(&group.id, group.photo, kind, set, false))
        }
        Owner::Contact { mailbox, id } => {
            let key = match mailbox {
                Some(key) => key,
                None => own()?,
            };
            let holder = core.tenant.person(key).filter(|_| caller.at_home);
            let holder = holder.ok_or_else(|| errors::no_such_owner(key))?;
            let contact = core
                .tenant
                .contacts_of(holder)
                .find(|contact| contact.id == *id);
            let kind = match Some(&holder.id) == caller.person.as_ref() {
                true => Kind::OwnContact,
                false => Kind::Contact,
            };
            match contact {
                Some(contact) => Ok(found(&contact.id, contact.photo, kind, "contacts", false)),
                // Who may not look is told no, whether or not there is anything to see.
                None if kind == Kind::Contact && caller.person.is_some() => Err(errors::denied()),
                None => Err(errors::no_such_owner(id)),
            }
        }
        Owner::Template(id) => {
            let known = core.tenant.templates.iter().any(|known| known == id);
            match known && ask.version == Version::Beta {
                true => Ok(found(
                    id,
                    Some(240),
                    Kind::Template,
                    "teamTemplateDefinition",
                    false,
                )),
                false => Err(errors::no_such_owner(id)),
            }
        }
    }
}

/// The picture at the size asked for; none when there is no such size.
fn sized(picture: Option<Picture>, size: &Size) -> Option<(Picture, u32)> {
    let picture = picture?;
    match size {
        Size::Largest => Some((picture, picture.side)),
        Size::Side(side) => (*side <= picture.side).then_some((picture, *side)),
        Size::Odd(_) => None,
    }
}

/// The tag as the header shows it.
fn tag(settings: &Settings, found: &Found, picture: Picture, side: u32) -> String {
    let per_size = if settings.tag_per_size { side } else { 0 };
    let mut dice = Dice::of(&found.id, (picture.upload << 16) | u64::from(per_size));
    match settings.generation {
        Generation::Newer => format!("W/\"{}\"", dice.hex(64)),
        // The tag of the seed page's examples, which show one user and one team.
        Generation::Documented if picture.upload == 1 && picture.side == 240 => {
            "\"BA09D118\"".to_owned()
        }
        Generation::Older | Generation::Documented => {
            format!("\"{}\"", dice.hex(8).to_uppercase())
        }
    }
}

fn media(
    core: &Core,
    ask: &Ask<'_>,
    found: &Found,
    picture: Option<Picture>,
    size: &Size,
) -> Answer {
    let settings = ask.settings;
    let Some((picture, side)) = sized(picture, size) else {
        return missing(settings, size, true);
    };
    let current = tag(settings, found, picture, side);
    let motif = match found.kind {
        Kind::Group | Kind::Team | Kind::Template => Motif::Emblem,
        _ => Motif::Face,
    };
    let bytes = faces::picture(motif, &found.id, picture.upload, side);
    let matches = names(ask.headers, &current);
    let whole = |tag: &str| {
        Answer {
            media: true,
            ..Answer::new(StatusCode::OK, bytes.clone())
        }
        .with(header::CONTENT_TYPE, "image/jpeg")
        .with(header::CACHE_CONTROL, "private")
        .with(header::ETAG, tag)
    };
    match settings.conditional {
        Conditional::NotModified if matches => Answer::new(StatusCode::NOT_MODIFIED, Bytes::new())
            .with(header::CACHE_CONTROL, "private")
            .with(header::ETAG, &current),
        Conditional::NotModified | Conditional::SameTag => whole(&current),
        Conditional::NewTag => whole(&format!("W/\"{}\"", core.dice().hex(64))),
        Conditional::NoTag => {
            let mut answer = whole(&current);
            answer.headers.remove(header::ETAG);
            answer
        }
    }
}

/// Whether `If-None-Match` names this tag, compared weakly (RFC 9110 §13.1.2).
fn names(headers: &HeaderMap, tag: &str) -> bool {
    let bare = tag.trim_start_matches("W/");
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|named| named == "*" || named.trim_start_matches("W/") == bare)
}

/// There is no such photo, or not in this size.
fn missing(settings: &Settings, size: &Size, media: bool) -> Answer {
    match (settings.generation, size) {
        (_, Size::Odd(_)) if settings.unsupported_size != 404 => Answer::error(
            StatusCode::from_u16(settings.unsupported_size).unwrap_or(StatusCode::BAD_REQUEST),
            "BadRequest",
            "The photo size is not supported.",
        ),
        (Generation::Newer, _) => errors::no_photo(),
        (_, Size::Largest) => errors::no_photo_before(),
        _ if media => errors::no_size_before(),
        _ => errors::no_photo_before(),
    }
}

fn metadata(ask: &Ask<'_>, found: &Found, picture: Option<Picture>, size: &Size) -> Answer {
    let settings = ask.settings;
    let entity = match sized(picture, size) {
        Some((picture, side)) => Entity {
            id: match (settings.generation, size) {
                (Generation::Newer, Size::Largest) => "default".to_owned(),
                (Generation::Newer, _) => format!("{side}x{side}"),
                (Generation::Documented, _) if found.set == "users" => format!("{side}x{side}"),
                _ => format!("{side}X{side}"),
            },
            kind: "image/jpeg",
            tag: media_etag(settings, &tag(settings, found, picture, side)),
            side,
        },
        None if settings.absent == Absent::NotFound => return missing(settings, size, false),
        None => Entity {
            id: match found.set {
                "users" => "1x1".to_owned(),
                _ => "1X1".to_owned(),
            },
            kind: "image/gif",
            tag: String::new(),
            side: 1,
        },
    };
    let last = match size {
        Size::Largest => "/photo/$entity".to_owned(),
        _ => "/photos/$entity".to_owned(),
    };
    Answer::json(entity.write(ask, found, &last))
}

fn media_etag(settings: &Settings, tag: &str) -> String {
    match settings.weak_media_etag {
        true => tag.to_owned(),
        false => tag.trim_start_matches("W/").to_owned(),
    }
}

/// One profilePhoto as JSON shows it.
struct Entity {
    id: String,
    kind: &'static str,
    tag: String,
    side: u32,
}

impl Entity {
    /// The members in the order of the backend's generation, those selected and no others.
    fn members(&self, ask: &Ask<'_>, found: &Found) -> Vec<(&'static str, String)> {
        let root = format!("{}/{}", ask.settings.service_root, ask.version.name());
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let side = || self.side.to_string();
        let annotations = [
            ("@odata.mediaContentType", quoted(self.kind)),
            ("@odata.mediaEtag", quoted(&self.tag)),
        ];
        let id = ("id", quoted(&self.id));
        let link = match found.set {
            "users" => format!("{root}/users('{}@{}')/photo", found.id, ask.tenant),
            set => format!("{root}/{set}('{}')/photo", found.id),
        };
        let mut members = Vec::with_capacity(8);
        if ask.level != Level::None {
            if ask.settings.generation == Generation::Documented || ask.level == Level::Full {
                members.push(("@odata.id", quoted(&link)));
            }
            if ask.level == Level::Full {
                members.push(("@odata.type", quoted("#microsoft.graph.profilePhoto")));
                members.push(("@odata.mediaReadLink", quoted(&format!("{link}/$value"))));
            }
            members.extend(annotations);
        }
        match ask.settings.generation {
            Generation::Newer => {
                members.extend([("height", side()), id, ("width", side())]);
            }
            Generation::Older => members.extend([id, ("height", side()), ("width", side())]),
            Generation::Documented => {
                members.extend([id, ("width", side()), ("height", side())]);
            }
        }
        if let Some(selected) = ask.selected() {
            members.retain(|(name, _)| {
                name.starts_with('@') || selected.iter().any(|one| one.eq_ignore_ascii_case(name))
            });
        }
        members
    }

    fn write(&self, ask: &Ask<'_>, found: &Found, last: &str) -> String {
        let mut members = self.members(ask, found);
        if ask.level != Level::None {
            let context = context(ask, found, last);
            members.insert(0, ("@odata.context", context));
        }
        object(&members)
    }
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn context(ask: &Ask<'_>, found: &Found, last: &str) -> String {
    let settings = ask.settings;
    let names_me = settings.context_names_me || settings.generation == Generation::Documented;
    let whose = match found.me && names_me {
        true => "Me".to_owned(),
        false => format!("{}('{}')", found.set, found.id),
    };
    let root = &settings.service_root;
    let version = ask.version.name();
    serde_json::Value::from(format!("{root}/{version}/$metadata#{whose}{last}")).to_string()
}

fn list(ask: &Ask<'_>, found: &Found, picture: Option<Picture>) -> Answer {
    let settings = ask.settings;
    let Some(picture) = picture else {
        return match settings.generation {
            Generation::Documented => Answer::json(object(&[
                ("@odata.context", context(ask, found, "/photos")),
                ("value", "[]".to_owned()),
            ])),
            _ => missing(settings, &Size::Largest, false),
        };
    };
    let photos: Vec<String> = SIDES
        .into_iter()
        .filter(|side| *side <= picture.side)
        .map(|side| {
            let entity = Entity {
                id: match settings.generation {
                    Generation::Older => format!("{side}X{side}"),
                    _ => format!("{side}x{side}"),
                },
                kind: "image/jpeg",
                tag: media_etag(settings, &tag(settings, found, picture, side)),
                side,
            };
            object(&entity.members(ask, found))
        })
        .collect();
    let value = format!("[{}]", photos.join(","));
    let mut members = vec![("value", value)];
    if ask.level != Level::None {
        members.insert(0, ("@odata.context", context(ask, found, "/photos")));
    }
    Answer::json(object(&members))
}

/// How much `@odata` a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    None,
    Minimal,
    Full,
}

impl Level {
    /// Reads `Accept`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match accept.split("odata.metadata=").nth(1) {
            Some(level) if level.starts_with("none") => Self::None,
            Some(level) if level.starts_with("full") => Self::Full,
            _ => Self::Minimal,
        }
    }
}

fn write(core: &Core, ask: &Ask<'_>, found: &Found, view: View) -> Answer {
    let shows_from = ask.now.plus(ask.settings.visibility_delay);
    let deleting = match (ask.method, view) {
        (&Method::PUT | &Method::PATCH, View::Media) => false,
        (&Method::PATCH, View::Metadata) => false,
        (&Method::DELETE, View::Media) => true,
        _ => return errors::method_not_allowed(),
    };
    let team = found.kind == Kind::Team;
    if deleting {
        if matches!(found.kind, Kind::Team | Kind::OwnContact | Kind::Contact) {
            return errors::method_not_allowed();
        }
        if core.pictures.get(&found.id, found.first, ask.now).is_none() {
            return missing(ask.settings, &Size::Largest, true);
        }
        core.pictures
            .put(&found.id, found.first, None, ask.now, shows_from);
        return Answer::new(StatusCode::OK, Bytes::new());
    }
    if ask.length > LARGEST_UPLOAD {
        return errors::too_large();
    }
    let side = match faces::dimensions(ask.body) {
        Some((width, height)) if width.min(height) < 48 => return errors::too_narrow(),
        Some((width, height)) => width.min(height).min(648),
        None => 648,
    };
    core.pictures
        .put(&found.id, found.first, Some(side), ask.now, shows_from);
    let status = if team {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::OK
    };
    Answer::new(status, Bytes::new())
}
