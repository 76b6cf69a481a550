//! Reads a path, segment by segment, or says it cannot be read with certainty.
//!
//! The rules (Graph: "Traverse the graph", "Use query parameters"; OData 4.0 URL conventions §4):
//!
//! - The version is `v1.0` or `beta` to the letter. Only resource names are promised to ignore
//!   case, and a version that Graph refuses must not leave its 404 under the accepted one's key.
//! - Fixed segments ignore ASCII case and are never percent-encoded, except `%24value`.
//! - A key is the next segment, or stands in parentheses and quotes: `users('x')`, with a quote
//!   inside it doubled. Parentheses alone can carry a name that begins with `$`.
//! - A key is decoded once. What a decoder, a gateway or a path normaliser might read in a second
//!   way (slashes, dots, `;`, controls, a `%` that is still there) makes the path unreadable.
//!
//! Nothing is allocated for a GUID; a name costs the one box it is kept in, a contact one a key.

use std::borrow::Cow;
use std::str::Split;

use super::owner::{GUEST_ENCODED_TWICE, hex};
use super::{ApiVersion, Guid, Mailbox, ObjectId, PhotoOwner, PhotoSize, TeamPlace, View};

/// Longest id, in decoded bytes: Exchange ids run to a few hundred, Graph refuses URLs past 4 KiB.
const LONGEST_ID: usize = 1024;

/// Deepest contact folder read: Outlook's own trees are far flatter. Past it a path passes
/// through, which costs a call and bounds what one key can weigh.
const DEEPEST_FOLDER: usize = 8;

/// Words that stand where a key could but are the graph's own, so never an id.
const RESERVED: [&str; 10] = [
    "me",
    "me-token-to-replace",
    "photo",
    "photos",
    "team",
    "contacts",
    "contactfolders",
    "childfolders",
    "joinedteams",
    "delta",
];

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
    let mut segments = path.strip_prefix('/')?.split('/');
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

/// An owner, and the first segment not read yet.
type Found<'a> = (PhotoOwner, Option<&'a str>);

/// After `/me` or `/users/{id}`: the user, or a contact or team of theirs.
fn in_mailbox<'a>(mailbox: Mailbox, segments: &mut Split<'a, char>) -> Option<Found<'a>> {
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
    segments: &mut Split<'a, char>,
) -> Option<Found<'a>> {
    let owner = PhotoOwner::Contact {
        mailbox,
        folders: folders.into_boxed_slice(),
        id: step.key(segments)?.letters()?,
    };
    Some((owner, segments.next()))
}

/// After `/groups/{id}`: the group, or its team.
fn in_group<'a>(id: ObjectId, segments: &mut Split<'a, char>) -> Found<'a> {
    let next = segments.next();
    if next.is_some_and(|segment| segment.eq_ignore_ascii_case("team")) {
        return team(id, TeamPlace::GroupTeam, segments);
    }
    (PhotoOwner::Group(id), next)
}

/// After a team.
fn team<'a>(id: ObjectId, place: TeamPlace, segments: &mut Split<'a, char>) -> Found<'a> {
    (PhotoOwner::Team { id, place }, segments.next())
}

/// beta's own places, down to `teamDefinition`.
fn team_template<'a>(head: Step<'a>, segments: &mut Split<'a, char>) -> Option<PhotoOwner> {
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
fn aspect(owner: &PhotoOwner, rest: Option<&str>, mut segments: Split<'_, char>) -> Option<Aspect> {
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
fn view(mut segments: Split<'_, char>) -> Option<View> {
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

/// A segment where a resource name is expected: `photos`, or `photos('48x48')`.
#[derive(Clone, Copy)]
struct Step<'a> {
    name: &'a str,
    /// What stands between the quotes, as sent.
    quoted: Option<&'a str>,
}

impl<'a> Step<'a> {
    /// No segment at all.
    const END: Self = Self {
        name: "",
        quoted: None,
    };

    fn read(segment: &'a str) -> Option<Self> {
        let Some((name, key)) = segment.split_once('(') else {
            return Some(Self {
                name: segment,
                quoted: None,
            });
        };
        let key = key.strip_suffix(')')?;
        let key = key.strip_prefix('\'').or_else(|| key.strip_prefix("%27"))?;
        let key = key.strip_suffix('\'').or_else(|| key.strip_suffix("%27"))?;
        Some(Self {
            name,
            quoted: Some(key),
        })
    }

    /// Whether this is a single thing's name, which takes no key.
    fn is(&self, name: &str) -> bool {
        self.quoted.is_none() && self.leads(name)
    }

    /// Whether this is a collection's name, with or without a key.
    fn leads(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The key: in the parentheses, or else the next segment.
    fn key(self, segments: &mut Split<'a, char>) -> Option<Key<'a>> {
        match self.quoted {
            Some(raw) => Some(Key { raw, quoted: true }),
            None => segments.next().map(|raw| Key { raw, quoted: false }),
        }
    }
}

/// A key as sent.
#[derive(Clone, Copy)]
struct Key<'a> {
    raw: &'a str,
    quoted: bool,
}

impl<'a> Key<'a> {
    /// As a user: a GUID, a user principal name, or to the letter.
    fn user(self) -> Option<ObjectId> {
        if let Some(guid) = Guid::parse(self.raw) {
            return Some(ObjectId::Guid(guid));
        }
        let name = self.decoded()?;
        if name.contains('%') {
            // The one double encoding that a real client sends, in a guest's name only.
            let name = name.to_ascii_lowercase();
            let (before, after) = name.split_once(GUEST_ENCODED_TWICE)?;
            let plain = |part: &str| plain(part) && !part.contains('#');
            let host = after.strip_prefix('@')?;
            return (plain(before) && plain(host) && !before.starts_with('$'))
                .then(|| ObjectId::Upn(name.into()));
        }
        if name.starts_with('$') && !(self.quoted && name.contains('@')) {
            return None;
        }
        usable(&name).then(|| ObjectId::of_user(&name))
    }

    /// As a group or team: a GUID, or to the letter.
    fn object(self) -> Option<ObjectId> {
        if let Some(guid) = Guid::parse(self.raw) {
            return Some(ObjectId::Guid(guid));
        }
        let id = self.decoded()?;
        (usable(&id) && !id.starts_with('$')).then(|| ObjectId::of_object(&id))
    }

    /// As a contact, a folder or a template: to the letter.
    fn letters(self) -> Option<Box<str>> {
        let id = self.decoded()?;
        (usable(&id) && !id.starts_with('$')).then(|| id.into())
    }

    /// Decoded once, and a doubled quote made one where the key was quoted.
    ///
    /// Outside parentheses a quote stands for itself, as in `o'brien@…`; where it could be
    /// taken for OData's quoting it is not read at all.
    fn decoded(self) -> Option<Cow<'a, str>> {
        let text = decode(self.raw)?;
        if !text.contains('\'') {
            return Some(text);
        }
        if !self.quoted {
            let odd = text.starts_with('\'') || text.ends_with('\'') || text.contains("''");
            return (!odd).then_some(text);
        }
        let single = text.replace("''", "'");
        // Each quote must have been one of a pair: as many went away as stayed.
        let quotes = single.matches('\'').count();
        (text.len() == single.len() + quotes).then_some(Cow::Owned(single))
    }
}

/// Percent-decodes once; `None` on a broken escape, on text that is not UTF-8, or past the limit.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if raw.len() > LONGEST_ID * 3 {
        return None;
    }
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Whether a decoded key can be nobody's word but an id's.
fn usable(id: &str) -> bool {
    plain(id)
        && !RESERVED.iter().any(|word| id.eq_ignore_ascii_case(word))
        && (id.contains('@') || !is_qualified(id))
}

/// Whether this is a qualified name, a cast or a function: `graph.user`, `microsoft.graph.delta`.
fn is_qualified(id: &str) -> bool {
    ["graph.", "microsoft.graph."].iter().any(|prefix| {
        id.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    })
}

/// Whether decoded text holds only what ids and user principal names are made of: letters,
/// digits and marks that no URL reader gives a meaning to (Graph: user resource;
/// base64url for Exchange ids). It may not end in a dot, which some readers drop.
fn plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_ID
        && !text.ends_with('.')
        && text.chars().all(|letter| {
            letter.is_alphanumeric()
                || matches!(
                    letter,
                    '-' | '.' | '_' | '~' | '!' | '#' | '$' | '&' | '\'' | '+' | '=' | '@' | '^'
                )
        })
}
