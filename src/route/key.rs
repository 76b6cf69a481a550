//! The keys in a path: in the next segment, or in parentheses and quotes.
//!
//! `users/x` and `users('x')` are one thing (`OData` 4.0 URL conventions §4.3). In parentheses a
//! quote is doubled; parentheses alone can carry a name that begins with `$` (Graph: Get user).
//!
//! A key is decoded once. What a decoder, a gateway or a path normaliser might read in a second
//! way (slashes, dots, `;`, controls, a `%` that is still there) makes the path unreadable.

use std::borrow::Cow;

use super::owner::{GUEST_ENCODED_TWICE, hex};
use super::{Guid, ObjectId};

/// Longest id, in decoded bytes: Exchange ids run to a few hundred, Graph refuses URLs past 4 KiB.
const LONGEST_ID: usize = 1024;

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

/// What stands between the slashes of a path, one after another: a handful of bytes each, which
/// a search made for long text takes longer to set out for than to walk.
pub(super) struct Segments<'a>(Option<&'a str>);

impl<'a> Segments<'a> {
    pub(super) const fn of(path: &'a str) -> Self {
        Self(Some(path))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.take()?;
        let slash = rest.bytes().position(|byte| byte == b'/');
        match slash.and_then(|at| split_around(rest, at)) {
            Some((segment, after)) => {
                self.0 = Some(after);
                Some(segment)
            }
            None => Some(rest),
        }
    }
}

/// What stands before and behind the one byte at this place.
fn split_around(text: &str, at: usize) -> Option<(&str, &str)> {
    let (before, from) = text.split_at_checked(at)?;
    Some((before, from.get(1..)?))
}

/// A segment where a resource name is expected: `photos`, or `photos('48x48')`.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    name: &'a str,
    /// What stands between the quotes, as sent.
    pub(super) quoted: Option<&'a str>,
}

impl<'a> Step<'a> {
    /// No segment at all.
    pub(super) const END: Self = Self {
        name: "",
        quoted: None,
    };

    pub(super) fn read(segment: &'a str) -> Option<Self> {
        let open = segment.bytes().position(|byte| byte == b'(');
        let Some((name, key)) = open.and_then(|at| split_around(segment, at)) else {
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
    pub(super) fn is(&self, name: &str) -> bool {
        self.quoted.is_none() && self.leads(name)
    }

    /// Whether this is a collection's name, with or without a key.
    pub(super) fn leads(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The key: in the parentheses, or else the next segment.
    pub(super) fn key(self, segments: &mut Segments<'a>) -> Option<Key<'a>> {
        match self.quoted {
            Some(raw) => Some(Key { raw, quoted: true }),
            None => segments.next().map(|raw| Key { raw, quoted: false }),
        }
    }
}

/// A key as sent.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    raw: &'a str,
    quoted: bool,
}

impl<'a> Key<'a> {
    /// As a user: a GUID, a user principal name, or to the letter.
    pub(super) fn user(self) -> Option<ObjectId> {
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
    pub(super) fn object(self) -> Option<ObjectId> {
        if let Some(guid) = Guid::parse(self.raw) {
            return Some(ObjectId::Guid(guid));
        }
        let id = self.decoded()?;
        (usable(&id) && !id.starts_with('$')).then(|| ObjectId::of_object(&id))
    }

    /// As a contact, a folder or a template: to the letter.
    pub(super) fn letters(self) -> Option<Box<str>> {
        let id = self.decoded()?;
        (usable(&id) && !id.starts_with('$')).then(|| id.into())
    }

    /// Decoded once, and a doubled quote made one where the key was quoted.
    ///
    /// Outside parentheses a quote stands for itself, as in `o'brien@…`; where it could be
    /// taken for a quoted key it is not read at all.
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
///
/// Raw bytes beyond ASCII have no agreed reading in a URL (RFC 3986 §2), so neither have they here.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if raw.len() > LONGEST_ID * 3 || !raw.is_ascii() {
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
