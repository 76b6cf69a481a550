//! Whether a request may change a photo.
//!
//! Lenient on purpose: a write that is missed leaves an old photo standing, a write that is
//! imagined costs another question to Graph. So where the strict reading fails, the path is
//! bent the way any server might bend it, and a photo in what is left is enough.

use http::Method;

use super::owner::hex;
use super::path::{self, Aspect};
use super::{Guid, PhotoWrite};

/// How often a path is decoded: by Graph, by a gateway before it, and by one more before that.
/// More costs a pass over the path of each write and finds only what no server would.
const DECODINGS: usize = 3;

/// Says whether changing what a path names may change a photo.
///
/// Changing an owner counts: deleting a person ends what is held of them, and a `PATCH` may
/// give their name to another (Graph: Update user, `userPrincipalName`).
pub(super) fn read(method: &Method, path: &str) -> Option<PhotoWrite> {
    if let Some(place) = path::read(path) {
        // A POST to an owner itself is a function's (`/users/validateProperties`), not a change.
        if place.aspect == Aspect::Itself && method == Method::POST {
            return None;
        }
        return Some(PhotoWrite {
            owner: Some(place.owner),
        });
    }
    let suspect = path.contains(['%', '(', '\\', ';']) || path.contains("//");
    let named = |word: &str| {
        path.as_bytes()
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    if !suspect && !named("photo") && !named("directoryobjects") {
        return None;
    }
    let bent = bend(path);
    let segments: Vec<&[u8]> = segments(&bent).collect();
    (names_a_photo(&segments) || names_an_owner(&segments)).then_some(PhotoWrite { owner: None })
}

/// The path as the most forgiving of servers would read it.
fn bend(path: &str) -> Vec<u8> {
    let mut text = path.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        let decoded = decode_leniently(&text);
        if decoded == text {
            break;
        }
        text = decoded;
    }
    for byte in &mut text {
        *byte = if *byte == b'\\' {
            b'/'
        } else {
            byte.to_ascii_lowercase()
        };
    }
    text
}

/// Percent-decodes once, leaving broken escapes as they are.
fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            decoded.push((high << 4) | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    decoded
}

/// The segments of a bent path, without the empty ones, path parameters or edges of blanks.
fn segments(bent: &[u8]) -> impl Iterator<Item = &[u8]> {
    bent.split(|byte| *byte == b'/')
        .map(|segment| {
            let end = segment.iter().position(|byte| *byte == b';');
            let segment = segment.get(..end.unwrap_or(segment.len()));
            let segment = segment.unwrap_or_default();
            let start = segment.iter().position(|byte| *byte > b' ');
            start
                .and_then(|start| segment.get(start..))
                .unwrap_or_default()
        })
        .filter(|segment| !segment.is_empty())
}

/// Whether a segment begins like `photo` or `photos`, outside the file names of a drive.
///
/// In `/drive/root:/photos/a.jpg:/content` what stands between the colons is a file's path, and
/// what follows `items`, `special` or `children` is a file's id or name (Graph: "Addressing
/// resources in a drive"). Uploads are frequent, and each one taken for a photo write would put
/// every photo in doubt. A name with `@` in it is a person.
fn names_a_photo(segments: &[&[u8]]) -> bool {
    let dotted = segments
        .iter()
        .any(|segment| matches!(*segment, b"." | b".."));
    let mut in_drive = false;
    let mut in_file_path = false;
    let mut before: &[u8] = b"";
    for &segment in segments {
        let keyed = in_drive && matches!(before, b"items" | b"special" | b"children");
        let named_by_a_file = !dotted && (in_file_path || keyed);
        if segment.starts_with(b"photo") && !segment.contains(&b'@') && !named_by_a_file {
            return true;
        }
        in_file_path = if in_file_path {
            !segment.ends_with(b":")
        } else {
            in_drive && segment.ends_with(b":") && (keyed || segment == b"root:")
        };
        in_drive |= matches!(segment, b"drive" | b"drives") || segment.starts_with(b"drives(");
        before = segment;
    }
    false
}

/// Whether an owner itself stands here in a spelling that the strict reading refuses: by an
/// alternate key, as a directory object, or disguised.
fn names_an_owner(segments: &[&[u8]]) -> bool {
    match segments {
        [_, only] => [&b"users("[..], b"groups(", b"teams(", b"directoryobjects("]
            .iter()
            .any(|name| only.starts_with(name)),
        [_, b"directoryobjects", id] => {
            str::from_utf8(id).is_ok_and(|id| Guid::parse(id).is_some())
        }
        [_, b"users" | b"groups" | b"teams", id] | [.., b"contacts", id] => !id.starts_with(b"$"),
        _ => false,
    }
}
