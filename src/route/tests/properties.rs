//! No odd spelling becomes another owner's photo, and no bytes end in a panic.
//!
//! The reference below reads a path slowly and by other means than the product, once for each
//! kind of server that might stand behind it. Where the product says "photo read", all of them
//! must see a photo, and the same one.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::route::path;

/// How a server might read a path.
#[derive(Debug, Clone, Copy)]
struct Reader {
    /// How often it decodes.
    decodings: u8,
    /// Whether it decodes before it looks for slashes.
    decodes_first: bool,
    /// Whether it drops empty segments, `;…` and dot segments, and takes `\` for `/`.
    tidies: bool,
}

const READERS: [Reader; 5] = [
    Reader {
        decodings: 1,
        decodes_first: false,
        tidies: false,
    },
    Reader {
        decodings: 1,
        decodes_first: true,
        tidies: false,
    },
    Reader {
        decodings: 1,
        decodes_first: true,
        tidies: true,
    },
    Reader {
        decodings: 2,
        decodes_first: false,
        tidies: true,
    },
    Reader {
        decodings: 2,
        decodes_first: true,
        tidies: true,
    },
];

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        let code = text.get(at + 1..at + 3).filter(|_| text[at] == b'%');
        let code = code.and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(text[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Reader {
    /// The path as one line: version, owner, what is asked. `None` where there is no photo.
    fn read(self, path: &str) -> Option<String> {
        let decode =
            |text: &str| (0..self.decodings).fold(text.to_owned(), |text, _| decoded(&text));
        let whole = if self.decodes_first {
            decode(path)
        } else {
            path.to_owned()
        };
        let whole = if self.tidies {
            whole.replace('\\', "/")
        } else {
            whole
        };
        let mut segments: Vec<String> = Vec::new();
        for segment in whole.split('/').skip(1) {
            let segment = if self.decodes_first {
                segment.to_owned()
            } else {
                decode(segment)
            };
            if !self.tidies {
                segments.push(segment);
                continue;
            }
            match segment.split(';').next().unwrap() {
                "" | "." => {}
                ".." => drop(segments.pop()),
                other => segments.push(other.to_owned()),
            }
        }
        if segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        // Both ways to write a key become one: the name, then the key.
        let mut words: Vec<String> = Vec::new();
        for segment in segments {
            let key = segment
                .split_once("('")
                .and_then(|(name, key)| Some((name.to_owned(), key.strip_suffix("')")?)));
            if let Some((name, key)) = key {
                words.extend([name, key.replace("''", "'")]);
            } else {
                words.push(segment);
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let folded: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
        let at = folded
            .iter()
            .rposition(|word| matches!(*word, "photo" | "photos"))?;
        let asked = match &folded[at..] {
            ["photo"] => "metadata".to_owned(),
            ["photo", "$value"] => "media".to_owned(),
            ["photos"] => "list".to_owned(),
            ["photos", size] => format!("metadata {size}"),
            ["photos", size, "$value"] => format!("media {size}"),
            _ => return None,
        };
        let (version, owner) = folded[..at].split_first()?;
        let letters = &words[1..at];
        let owner = match owner {
            ["me"] => "me".to_owned(),
            ["users", id] => format!("user {}", name(id)),
            ["groups", _] => format!("group {}", object(letters[1])),
            ["groups", _, "team"] => format!("groupteam {}", object(letters[1])),
            ["teams" | "team", _] => format!("{} {}", owner[0], object(letters[1])),
            ["me", "joinedteams", _] => format!("joined me {}", object(letters[2])),
            ["users", id, "joinedteams", _] => {
                format!("joined {} {}", name(id), object(letters[3]))
            }
            ["me", rest @ ..] => format!("me {}", contact(rest, &letters[1..])?),
            ["users", id, rest @ ..] => format!("{} {}", name(id), contact(rest, &letters[2..])?),
            ["teamtemplatedefinition", _, "teamdefinition"] => format!("template {}", letters[1]),
            [
                "teamwork",
                "teamtemplates",
                _,
                "definitions",
                _,
                "teamdefinition",
            ] => {
                format!("template {} {}", letters[2], letters[4])
            }
            _ => return None,
        };
        Some(format!("{version} {owner} {asked}"))
    }
}

/// A user's folded name; one written with a doubly encoded mark is the same user.
fn name(folded: &str) -> String {
    folded.replace("%23ext%23", "#ext#")
}

/// A GUID in lower case, or the id to the letter.
fn object(id: &str) -> String {
    match Guid::parse(id) {
        Some(_) => id.to_ascii_lowercase(),
        None => id.to_owned(),
    }
}

fn contact(folded: &[&str], letters: &[&str]) -> Option<String> {
    let (steps, keys): (Vec<&str>, Vec<&str>) = folded
        .chunks(2)
        .zip(letters.chunks(2))
        .filter(|(step, _)| step.len() == 2)
        .map(|(step, key)| (step[0], key[1]))
        .unzip();
    let (last, folders) = steps.split_last()?;
    let nested = folders.iter().enumerate().all(|(depth, step)| {
        *step
            == if depth == 0 {
                "contactfolders"
            } else {
                "childfolders"
            }
    });
    (folded.len().is_multiple_of(2) && *last == "contacts" && nested).then(|| keys.join(" "))
}

/// What the product read, as the reference writes it.
fn line(request: &PhotoRequest) -> String {
    let id = |id: &ObjectId| match id.subject() {
        ObjectId::Guid(Guid(bytes)) => {
            let mut text = String::new();
            for (at, byte) in bytes.iter().enumerate() {
                text += if matches!(at, 4 | 6 | 8 | 10) {
                    "-"
                } else {
                    ""
                };
                write!(text, "{byte:02x}").unwrap();
            }
            text
        }
        ObjectId::Upn(name) | ObjectId::Other(name) => name.into(),
    };
    let whose = |mailbox: &Mailbox| match mailbox {
        Mailbox::Me => "me".to_owned(),
        // The reference folds every user; the product leaves what it does not know as it is.
        Mailbox::User(user) => id(user).to_ascii_lowercase(),
    };
    let owner = match &request.owner {
        PhotoOwner::Me => "me".to_owned(),
        PhotoOwner::User(user) => format!("user {}", id(user).to_ascii_lowercase()),
        PhotoOwner::Group(group) => format!("group {}", id(group)),
        PhotoOwner::Team { id: team, place } => match place {
            TeamPlace::Teams => format!("teams {}", id(team)),
            TeamPlace::Team => format!("team {}", id(team)),
            TeamPlace::GroupTeam => format!("groupteam {}", id(team)),
            TeamPlace::JoinedTeams(mailbox) => format!("joined {} {}", whose(mailbox), id(team)),
        },
        PhotoOwner::Contact {
            mailbox,
            folders,
            id,
        } => {
            let keys: Vec<&str> = folders.iter().chain([id]).map(|key| &**key).collect();
            format!("{} {}", whose(mailbox), keys.join(" "))
        }
        PhotoOwner::TeamTemplate {
            template,
            definition,
        } => match template {
            None => format!("template {definition}"),
            Some(template) => format!("template {template} {definition}"),
        },
    };
    let version = match request.version {
        ApiVersion::V1 => "v1.0",
        ApiVersion::Beta => "beta",
    };
    let view = match request.view {
        View::Media => "media",
        View::Metadata => "metadata",
        View::List => "list",
    };
    match request.size {
        PhotoSize::Largest => format!("{version} {owner} {view}"),
        PhotoSize::Sized { width, height } => format!("{version} {owner} {view} {width}x{height}"),
    }
}

/// Whether every reader agrees with the product, where the product reads a photo at all.
fn agrees(target: &str) -> Result<bool, TestCaseError> {
    let Ok(parsed) = Uri::try_from(target) else {
        return Ok(false);
    };
    let Recognition::Read(request) = recognise(&Method::GET, &parsed, &HeaderMap::new(), false)
    else {
        return Ok(false);
    };
    for reader in READERS {
        let seen = reader.read(parsed.path());
        prop_assert_eq!(Some(line(&request)), seen, "{} by {:?}", target, reader);
    }
    Ok(true)
}

/// Real requests to bend.
fn targets() -> Vec<String> {
    let mut targets: Vec<String> = ROUTES
        .lines()
        .skip(1)
        .map(|line| line.split('\t').nth(12).unwrap().to_owned())
        .collect();
    targets.extend(
        [
            "/beta/teamTemplateDefinition/D/teamDefinition/photo/$value",
            "/beta/teamwork/teamTemplates/T/definitions/D/teamDefinition/photo",
            "/v1.0/users/ada@contoso.example/photo/$value",
            "/v1.0/users('$ada@contoso.example')/photos('48x48')/$value",
            "/v1.0/users('o''brien@contoso.example')/photo",
            "/v1.0/users/a%23EXT%23@contoso.example/photo/%24value",
            "/v1.0/users/a%2523EXT%2523@contoso.example/photo/$value",
            "/v1.0/me/contactFolders('F')/childFolders('G')/contacts('C')/photo",
            "/v1.0/groups/x/team/photo/",
        ]
        .map(String::from),
    );
    targets
}

const TOKENS: [&str; 38] = [
    "/",
    "//",
    "\\",
    ";",
    ";x=",
    ".",
    "..",
    "/../",
    "/./",
    "%2f",
    "%5C",
    "%2e",
    "%00",
    "%25",
    "%2525",
    "%3b",
    "%27",
    "'",
    "''",
    "(",
    ")",
    "('",
    "')",
    "$value",
    "%24value",
    "/photo",
    "/photos",
    "/me",
    "/users/",
    "@",
    "%40",
    ":",
    "%23",
    "%2523EXT%2523",
    "?",
    "é",
    "x",
    "48x48",
];

/// One small damage to a path.
fn damage(target: &str, kind: u8, place: usize, token: usize) -> String {
    let letters: Vec<char> = target.chars().collect();
    let at = place % letters.len().max(1);
    let (before, after): (String, String) = (
        letters.iter().take(at).collect(),
        letters.iter().skip(at + 1).collect(),
    );
    let letter = letters.get(at).copied().unwrap_or('/');
    match kind {
        0 => format!("{before}{}{letter}{after}", TOKENS[token % TOKENS.len()]),
        1 => format!("{before}{}{after}", TOKENS[token % TOKENS.len()]),
        2 => format!("{before}{after}"),
        3 => {
            let mut encoded = String::new();
            for byte in letter.to_string().bytes() {
                write!(encoded, "%{byte:02X}").unwrap();
            }
            format!("{before}{encoded}{after}")
        }
        4 => {
            let other = if letter.is_ascii_lowercase() {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            };
            format!("{before}{other}{after}")
        }
        5 => {
            let byte = char::from(u8::try_from(token % 128).unwrap());
            format!("{before}{byte}{after}")
        }
        _ => {
            let mut segments: Vec<&str> = target.split('/').collect();
            let (a, b) = (place % segments.len(), token % segments.len());
            segments.swap(a, b);
            segments.join("/")
        }
    }
}

#[test]
fn the_reference_reads_every_real_request_as_the_product_does() {
    let read = targets()
        .iter()
        .filter(|target| agrees(target).unwrap())
        .count();
    assert_eq!(read, 37 + 9);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_odd_spelling_becomes_another_owners_photo(
        target in prop::sample::select(targets()),
        damages in prop::collection::vec((0u8..7, any::<usize>(), any::<usize>()), 1..4),
    ) {
        let bent = damages.into_iter().fold(target, |target, (kind, place, token)| damage(&target, kind, place, token));
        agrees(&bent)?;
    }

    #[test]
    fn no_run_of_known_words_becomes_another_owners_photo(
        words in prop::collection::vec(prop::sample::select(vec![
            "me", "users", "groups", "teams", "team", "photo", "photos", "$value", "48x48", "x", "a@b",
            "contacts", "contactFolders", "childFolders", "joinedTeams", "users('x')", "", "teamwork",
            "photos('48x48')", "contacts('x')", "teamTemplates", "definitions", "teamDefinition",
            "teamTemplateDefinition", "..", "teams('y')", USER,
        ]), 1..8),
        beta in any::<bool>(),
    ) {
        agrees(&format!("/{}/{}", if beta { "beta" } else { "v1.0" }, words.join("/")))?;
    }

    #[test]
    fn recognition_never_panics_on_any_bytes(
        method in prop::collection::vec(any::<u8>(), 1..8),
        target in prop::collection::vec(any::<u8>(), 0..64),
        accept in prop::collection::vec(any::<u8>(), 0..32),
        text in any::<String>(),
        body in any::<bool>(),
    ) {
        let method = Method::from_bytes(&method).unwrap_or(Method::PUT);
        let mut headers = HeaderMap::new();
        if let Ok(accept) = HeaderValue::from_bytes(&accept) {
            headers.insert("accept", accept);
        }
        let mut with_root = b"/v1.0/users/".to_vec();
        with_root.extend_from_slice(&target);
        for bytes in [&target, &with_root] {
            if let Ok(target) = Uri::try_from(bytes.as_slice()) {
                let _ = recognise(&method, &target, &headers, body);
            }
        }
        let _ = path::read(&text);
        let _ = path::read(&format!("/v1.0/users/{text}/photo"));
        let _ = crate::route::write::read(&Method::PUT, &text);
        let _ = Variant::read(Some(&text), &headers);
    }

    #[test]
    fn a_read_that_is_written_to_ends_what_the_read_may_have_left(
        target in prop::sample::select(targets()),
        damages in prop::collection::vec((0u8..7, any::<usize>(), any::<usize>()), 0..4),
    ) {
        let bent = damages.into_iter().fold(target, |target, (kind, place, token)| damage(&target, kind, place, token));
        if let Ok(target) = Uri::try_from(bent.as_str())
            && let Recognition::Read(request) = recognise(&Method::GET, &target, &HeaderMap::new(), false)
        {
            let said = recognise(&Method::PUT, &target, &HeaderMap::new(), true);
            prop_assert_eq!(said, Recognition::Write(crate::route::PhotoWrite { owner: Some(request.owner) }));
        }
    }
}
