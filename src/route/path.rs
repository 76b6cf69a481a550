//! Reads a path, segment by segment, or says it cannot be read with certainty.
//!
//! The rules (Graph: "Traverse the graph", "Use query parameters"; `OData` 4.0 URL conventions,
//! §4; the places themselves from Graph's public metadata):
//!
//! - The version is `v1.0` or `beta` to the letter. Only resource names are promised to ignore
//!   case, and a version that Graph refuses must not leave its 404 under the accepted one's key.
//! - Fixed segments ignore ASCII case and are never percent-encoded, except `%24value`.
//! - A key is the next segment, or stands in parentheses: `key` has its rules.
//! - One trailing slash is read after `/photo` and after a size, where real clients send it, and
//!   nowhere else. No text may follow `$value`.
//!
//! Nothing is allocated for a GUID; a name costs the one box it is kept in, a contact one a key.

use super::key::{Segments, Step};
use super::{ApiVersion, Mailbox, ObjectId, PhotoOwner, PhotoSize, TeamPlace, View};

/// Deepest contact folder read: Outlook's own trees are far flatter. Past it a path passes
/// through, which costs a call and bounds what one key can weigh.
const DEEPEST_FOLDER: usize = 8;

/// A path that could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: ApiVersion,
    pub(super) owner: PhotoOwner,
    pub(super) aspect: Aspect,
}

/// What of the owner a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Its photo.
    Photo(View, PhotoSize),
    /// The owner itself: `/users/{id}`.
    Itself,
}

/// Reads a path, as it was sent. `None` when it names no photo owner, or not with certainty.
pub(super) fn read(path: &str) -> Option<Place> {
    let mut segments = Segments::of(path.strip_prefix('/')?);
    let version = match segments.next()? {
        "v1.0" => ApiVersion::V1,
        "beta" => ApiVersion::Beta,
        _ => return None,
    };
    let head = Step::read(segments.next()?)?;
    let (owner, rest) = if head.is("me") {
        in_mailbox(Mailbox::Me, &mut segments)?
    } else if head.leads("users") {
        let id = head.key(&mut segments)?.user()?;
        in_mailbox(Mailbox::User(id), &mut segments)?
    } else if head.leads("groups") {
        let id = head.key(&mut segments)?.object()?;
        in_group(id, &mut segments)
    } else if head.leads("teams") {
        let id = head.key(&mut segments)?.object()?;
        team(id, TeamPlace::Teams, &mut segments)
    } else if head.is("team") {
        let id = head.key(&mut segments)?.object()?;
        team(id, TeamPlace::Team, &mut segments)
    } else if version == ApiVersion::Beta {
        (team_template(head, &mut segments)?, segments.next())
    } else {
        return None;
    };
    let aspect = aspect(&owner, rest, segments)?;
    Some(Place {
        version,
        owner,
        aspect,
    })
}

/// The version of a path that is plainly JSON batching's (Graph: "Combine multiple HTTP requests").
pub(super) fn batch(path: &str) -> Option<ApiVersion> {
    match path {
        "/v1.0/$batch" | "/v1.0/%24batch" => Some(ApiVersion::V1),
        "/beta/$batch" | "/beta/%24batch" => Some(ApiVersion::Beta),
        _ => None,
    }
}

/// Whether a server might take a path for JSON batching's, so that writes inside are not missed.
pub(super) fn may_be_batch(path: &str) -> bool {
    let lowered = path.to_ascii_lowercase();
    let last = lowered.trim_end_matches('/').rsplit('/').next();
    let name = last.and_then(|last| last.split(['(', ';']).next());
    name.is_some_and(|name| {
        let name = name.trim_start_matches("%25");
        let bare = name.trim_start_matches("%24").trim_start_matches("24");
        bare.trim_start_matches('$') == "batch"
    })
}

/// An owner, and the first segment not read yet.
type Found<'a> = (PhotoOwner, Option<&'a str>);

/// After `/me` or `/users/{id}`: the user, or a contact or team of theirs.
fn in_mailbox<'a>(mailbox: Mailbox, segments: &mut Segments<'a>) -> Option<Found<'a>> {
    let next = segments.next();
    let step = match next {
        Some(segment) => Step::read(segment)?,
        None => Step::END,
    };
    if step.leads("contacts") {
        return contact(mailbox, Vec::new(), step, segments);
    }
    if step.leads("contactFolders") {
        let mut folders = vec![step.key(segments)?.letters()?];
        loop {
            let step = Step::read(segments.next()?)?;
            if step.leads("contacts") {
                return contact(mailbox, folders, step, segments);
            }
            if !step.leads("childFolders") || folders.len() == DEEPEST_FOLDER {
                return None;
            }
            folders.push(step.key(segments)?.letters()?);
        }
    }
    if step.leads("joinedTeams") {
        let id = step.key(segments)?.object()?;
        return Some(team(id, TeamPlace::JoinedTeams(mailbox), segments));
    }
    let user = match mailbox {
        Mailbox::Me => PhotoOwner::Me,
        Mailbox::User(id) => PhotoOwner::User(id),
    };
    Some((user, next))
}

/// At `contacts`, in the folders already read.
fn contact<'a>(
    mailbox: Mailbox,
    folders: Vec<Box<str>>,
    step: Step<'a>,
    segments: &mut Segments<'a>,
) -> Option<Found<'a>> {
    let owner = PhotoOwner::Contact {
        mailbox,
        folders: folders.into_boxed_slice(),
        id: step.key(segments)?.letters()?,
    };
    Some((owner, segments.next()))
}

/// After `/groups/{id}`: the group, or its team.
fn in_group<'a>(id: ObjectId, segments: &mut Segments<'a>) -> Found<'a> {
    let next = segments.next();
    if next.is_some_and(|segment| segment.eq_ignore_ascii_case("team")) {
        return team(id, TeamPlace::GroupTeam, segments);
    }
    (PhotoOwner::Group(id), next)
}

/// After a team.
fn team<'a>(id: ObjectId, place: TeamPlace, segments: &mut Segments<'a>) -> Found<'a> {
    (PhotoOwner::Team { id, place }, segments.next())
}

/// beta's own places, down to `teamDefinition`.
fn team_template<'a>(head: Step<'a>, segments: &mut Segments<'a>) -> Option<PhotoOwner> {
    let (template, definition) = if head.leads("teamTemplateDefinition") {
        (None, head.key(segments)?.letters()?)
    } else if head.is("teamwork") {
        let templates = Step::read(segments.next()?).filter(|step| step.leads("teamTemplates"))?;
        let template = templates.key(segments)?.letters()?;
        let definitions = Step::read(segments.next()?).filter(|step| step.leads("definitions"))?;
        (Some(template), definitions.key(segments)?.letters()?)
    } else {
        return None;
    };
    if !segments.next()?.eq_ignore_ascii_case("teamDefinition") {
        return None;
    }
    Some(PhotoOwner::TeamTemplate {
        template,
        definition,
    })
}

/// What follows the owner, to the path's end.
fn aspect(owner: &PhotoOwner, rest: Option<&str>, mut segments: Segments<'_>) -> Option<Aspect> {
    let Some(rest) = rest.filter(|segment| !segment.is_empty()) else {
        // The end, or one trailing slash.
        return segments.next().is_none().then_some(Aspect::Itself);
    };
    if rest.eq_ignore_ascii_case("photo") {
        return Some(Aspect::Photo(view(segments)?, PhotoSize::Largest));
    }
    // Teams, contacts and templates have one photo and no `photos` (Graph: metadata, v1.0 and beta).
    if !matches!(
        owner,
        PhotoOwner::Me | PhotoOwner::User(_) | PhotoOwner::Group(_)
    ) {
        return None;
    }
    let step = Step::read(rest).filter(|step| step.leads("photos"))?;
    let size = match step.quoted {
        Some(size) => size,
        None => match segments.next() {
            Some(size) => size,
            None => return Some(Aspect::Photo(View::List, PhotoSize::Largest)),
        },
    };
    let size = PhotoSize::parse(size)?;
    Some(Aspect::Photo(view(segments)?, size))
}

/// After `photo` or a size: `$value`, or the end with or without a slash.
fn view(mut segments: Segments<'_>) -> Option<View> {
    let view = match segments.next() {
        None | Some("") => View::Metadata,
        Some(value)
            if value.eq_ignore_ascii_case("$value") || value.eq_ignore_ascii_case("%24value") =>
        {
            View::Media
        }
        Some(_) => return None,
    };
    segments.next().is_none().then_some(view)
}
