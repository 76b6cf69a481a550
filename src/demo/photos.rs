//! Photos themselves, read and written: the seed page, as the backends do it.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::answer::Answer;
use super::dice::Dice;
use super::faces::{self, Motif};
use super::owners::{self, Found};
use super::permissions::{self, Exceptions, Kind};
use super::pictures::Picture;
use super::service::{Ask, Core};
use super::settings::{Conditional, Generation, Settings};
use super::target::{Owner, Size, View};
use super::tenant::Account;
use super::tokens::Caller;
use super::{errors, metadata};

/// The largest upload Graph takes.
const LARGEST_UPLOAD: u64 = 4 << 20;

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
    let found = match owners::find(core, ask, caller, owner) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
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
    let allowed = if writing {
        permissions::may_write(caller, found.kind)
    } else {
        permissions::may_read(caller, found.kind, exceptions)
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
        View::Metadata => metadata::metadata(ask, &found, picture, size),
        View::List => metadata::list(ask, &found, picture),
    }
}

/// The picture at the size asked for; none when there is no such size.
pub(super) fn sized(picture: Option<Picture>, wanted: &Size) -> Option<(Picture, u32)> {
    let picture = picture?;
    match wanted {
        Size::Largest => Some((picture, picture.side)),
        Size::Side(side) => (*side <= picture.side).then_some((picture, *side)),
        Size::Odd(_) => None,
    }
}

/// The tag as the header shows it.
pub(super) fn tag(settings: &Settings, found: &Found, picture: Picture, side: u32) -> String {
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
    wanted: &Size,
) -> Answer {
    let settings = ask.settings;
    let Some((picture, side)) = sized(picture, wanted) else {
        return missing(settings, wanted, true);
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
pub(super) fn missing(settings: &Settings, size: &Size, media: bool) -> Answer {
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

fn write(core: &Core, ask: &Ask<'_>, found: &Found, view: View) -> Answer {
    let shows_from = ask.now.plus(ask.settings.visibility_delay);
    let deleting = match (ask.method, view) {
        (&Method::PUT | &Method::PATCH, View::Media) | (&Method::PATCH, View::Metadata) => false,
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
