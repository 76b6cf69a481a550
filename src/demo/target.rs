//! What a request asks the simulator for, in every spelling the real service takes.
//!
//! Written apart from the proxy's own recognition on purpose: two parsers that agree say
//! more than one that agrees with itself.

/// Which version of the API was addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    Beta,
}

impl Version {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// Whose photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    Me,
    User(String),
    Group(String),
    Team(String),
    Contact { mailbox: Option<String>, id: String },
    Template(String),
}

/// Which look at a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Media,
    Metadata,
    List,
}

/// Which size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Size {
    Largest,
    Side(u32),
    Odd(String),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Photo {
        owner: Owner,
        view: View,
        size: Size,
    },
    Me,
    User(String),
    Users,
    Group(String),
    Schema,
    Echo,
    Download(u64),
    Upload,
    Events,
    Batch,
    Unknown,
}

impl Target {
    pub(super) const fn is_photo(&self) -> bool {
        matches!(self, Self::Photo { .. })
    }
}

/// Reads a raw path; none when it does not begin with a version.
pub(super) fn parse(path: &str) -> Option<(Version, Target)> {
    let mut segments = path.split('/').skip(1);
    let version = match segments.next()? {
        version if version.eq_ignore_ascii_case("v1.0") => Version::V1,
        version if version.eq_ignore_ascii_case("beta") => Version::Beta,
        _ => return None,
    };
    let mut parts: Vec<String> = Vec::with_capacity(8);
    for segment in segments {
        push_segment(&mut parts, &decode(segment));
    }
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    let fixed: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let fixed: Vec<&str> = fixed.iter().map(String::as_str).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Some((version, target(&fixed, &parts)))
}

/// Splits `users('x')` into `users` and `x`.
fn push_segment(parts: &mut Vec<String>, segment: &str) {
    let key = segment
        .split_once('(')
        .and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)))
        .filter(|(name, key)| !name.is_empty() && !key.is_empty());
    match key {
        Some((name, key)) => {
            parts.push(name.to_owned());
            let key = key.trim_matches('\'').replace("''", "'");
            parts.push(key);
        }
        None => parts.push(segment.to_owned()),
    }
}

/// Percent-decodes once, and once more where one client is known to encode twice.
fn decode(segment: &str) -> String {
    let once = decode_once(segment);
    if once.contains("%23") {
        return decode_once(&once);
    }
    once
}

fn decode_once(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let pair = (ahead.next().and_then(digit), ahead.next().and_then(digit));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                bytes.push(high * 16 + low);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// `fixed` is `parts` in lower case: names are compared there, ids are taken from `parts`.
fn target(fixed: &[&str], parts: &[&str]) -> Target {
    match (fixed, parts) {
        (["me"], _) => Target::Me,
        (["users"], _) => Target::Users,
        (["users", _], [_, id]) => Target::User((*id).to_owned()),
        (["groups", _], [_, id]) => Target::Group((*id).to_owned()),
        (["$metadata"], _) => Target::Schema,
        (["echo", ..], _) => Target::Echo,
        (["download", bytes], _) => bytes.parse().map_or(Target::Unknown, Target::Download),
        (["upload"], _) => Target::Upload,
        (["events"], _) => Target::Events,
        (["$batch"], _) => Target::Batch,
        _ => owner(fixed, parts).unwrap_or(Target::Unknown),
    }
}

fn owner(fixed: &[&str], parts: &[&str]) -> Option<Target> {
    match (fixed, parts) {
        (["me", fixed @ ..], [_, parts @ ..]) => {
            within_mailbox(None, fixed, parts).or_else(|| photo(Owner::Me, fixed, parts))
        }
        (["users", _, fixed @ ..], [_, id, parts @ ..]) => within_mailbox(Some(id), fixed, parts)
            .or_else(|| photo(Owner::User((*id).to_owned()), fixed, parts)),
        (["groups", _, "team", fixed @ ..], [_, id, _, parts @ ..])
        | (["teams" | "team", _, fixed @ ..], [_, id, parts @ ..]) => {
            photo(Owner::Team((*id).to_owned()), fixed, parts)
        }
        (["groups", _, fixed @ ..], [_, id, parts @ ..]) => {
            photo(Owner::Group((*id).to_owned()), fixed, parts)
        }
        (["teamtemplatedefinition", _, fixed @ ..], [_, id, parts @ ..])
        | (
            ["teamwork", "teamtemplates", _, "definitions", _, fixed @ ..],
            [_, _, _, _, id, parts @ ..],
        ) => photo(Owner::Template((*id).to_owned()), fixed, parts),
        _ => None,
    }
}

/// Contacts, joined teams and joined groups of a user.
fn within_mailbox(mailbox: Option<&str>, fixed: &[&str], parts: &[&str]) -> Option<Target> {
    let contact = |id: &str, fixed: &[&str], parts: &[&str]| {
        let owner = Owner::Contact {
            mailbox: mailbox.map(str::to_owned),
            id: id.to_owned(),
        };
        photo(owner, fixed, parts)
    };
    match (fixed, parts) {
        (["contacts", _, fixed @ ..], [_, id, parts @ ..])
        | (["contactfolders", _, "contacts", _, fixed @ ..], [_, _, _, id, parts @ ..])
        | (
            [
                "contactfolders",
                _,
                "childfolders",
                _,
                "contacts",
                _,
                fixed @ ..,
            ],
            [_, _, _, _, _, id, parts @ ..],
        ) => contact(id, fixed, parts),
        (["joinedteams", _, fixed @ ..], [_, id, parts @ ..]) => {
            photo(Owner::Team((*id).to_owned()), fixed, parts)
        }
        (["joinedgroups", _, fixed @ ..], [_, id, parts @ ..]) => {
            photo(Owner::Group((*id).to_owned()), fixed, parts)
        }
        _ => None,
    }
}

fn photo(owner: Owner, fixed: &[&str], parts: &[&str]) -> Option<Target> {
    let (view, size) = match (fixed, parts) {
        (["photo"], _) => (View::Metadata, Size::Largest),
        (["photo", "$value"], _) => (View::Media, Size::Largest),
        (["photos"], _) => (View::List, Size::Largest),
        (["photos", size], _) if !size.starts_with('$') => (View::Metadata, parse_size(size)),
        (["photos" | "photo", size, "$value"], _) if !size.starts_with('$') => {
            (View::Media, parse_size(size))
        }
        _ => return None,
    };
    Some(Target::Photo { owner, view, size })
}

/// The documented sizes, in pixels of their side.
pub(super) const SIDES: [u32; 9] = [48, 64, 96, 120, 240, 360, 432, 504, 648];

fn parse_size(text: &str) -> Size {
    let side = text
        .split_once('x')
        .filter(|(width, height)| width == height)
        .and_then(|(width, _)| width.parse().ok())
        .filter(|side| SIDES.contains(side));
    side.map_or_else(|| Size::Odd(text.to_owned()), Size::Side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_photo_has_many_spellings() {
        let whole = Some((
            Version::V1,
            Target::Photo {
                owner: Owner::User("A#EXT#@b".to_owned()),
                view: View::Media,
                size: Size::Side(48),
            },
        ));
        for path in [
            "/v1.0/users/A%23EXT%23@b/photos/48x48/$value",
            "/v1.0/USERS/A%2523EXT%2523%40b/Photos/48X48/%24value",
            "/v1.0/users('A%23EXT%23@b')/photos('48x48')/$value",
            "/v1.0/users/A%23EXT%23@b/photo/48x48/$value",
        ] {
            assert_eq!(parse(path), whole, "{path}");
        }
    }

    #[test]
    fn every_place_a_photo_has_is_known() {
        let within = [
            "contacts/C",
            "contactFolders/F/contacts/C",
            "contactfolders/F/contacts/C",
            "contactFolders/F/childFolders/G/contacts/C",
            "joinedTeams/T",
        ];
        let mut places: Vec<String> = ["me", "users/U", "groups/G"]
            .into_iter()
            .chain(["teams/T", "team/T", "groups/G/team"])
            .chain([
                "teamTemplateDefinition/D",
                "teamwork/teamTemplates/T/definitions/D",
            ])
            .map(str::to_owned)
            .collect();
        for mailbox in ["me", "users/U"] {
            places.extend(within.map(|place| format!("{mailbox}/{place}")));
        }
        for place in places {
            for (end, expected) in [("photo", View::Metadata), ("photo/$value", View::Media)] {
                for version in ["v1.0", "beta"] {
                    let parsed = parse(&format!("/{version}/{place}/{end}"));
                    let view = parsed.and_then(|(_, target)| match target {
                        Target::Photo { view, .. } => Some(view),
                        _ => None,
                    });
                    assert_eq!(view, Some(expected), "{place}/{end}");
                }
            }
        }
    }

    #[test]
    fn look_alikes_are_not_photos() {
        for path in [
            "/v1.0/me/photos/$count",
            "/v1.0/me/drive/root/photo/$value",
            "/v1.0/contacts/x/photo",
            "/v1.0/users/x/manager/photo",
            "/v1.0/photo",
        ] {
            assert_eq!(parse(path), Some((Version::V1, Target::Unknown)), "{path}");
        }
        assert_eq!(parse("/v2.0/me/photo"), None);
    }
}
