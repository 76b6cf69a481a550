//! Whether an answer may be stored: an allow-list of status and type, judged by view. Pure.
//!
//! What is not named here is never stored, whatever the settings say.

use http::{HeaderMap, StatusCode, header};

use super::freshness::Directives;
use super::stored::Kind;
use crate::route::View;

/// The request fields by which a stored answer may vary, because each is accounted for. An
/// answer that varies by any other field belongs to the caller who asked (RFC 9111 §4.1); by
/// `Authorization` too, since a principal has more than one token.
pub const ACCOUNTED_FOR: [&str; 3] = [
    // Made of the key, and for a picture the same for all.
    "accept",
    // `identity`, always; it suits everybody.
    "accept-encoding",
    // Never sent with a question, and the fields of a reply that go by it are our own.
    "origin",
];

/// How the type of a picture begins.
const IMAGE: &str = "image/";

/// Why an answer is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotStored {
    /// A status that is never stored.
    Status,
    /// Not an image where a picture was asked for, or not Graph's JSON.
    Type,
    /// A coding that was not asked for.
    Encoding,
    /// `Cache-Control: no-store`.
    NoStore,
    /// `Vary: *`, or by a field that is no part of the key.
    Vary,
    /// A body that is empty, or is not what its type says.
    Body,
    /// Larger than what is stored.
    TooLarge,
    /// Asked for before a write, and come after it.
    Written,
}

impl NotStored {
    /// The reason as it stands in `Cache-Status` (RFC 9211 §2.8).
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Type => "content-type",
            Self::Encoding => "content-encoding",
            Self::NoStore => "no-store",
            Self::Vary => "vary",
            Self::Body => "body",
            Self::TooLarge => "too-large",
            Self::Written => "written-meanwhile",
        }
    }
}

/// Judges the head of an answer to a photo question of `view`.
///
/// # Errors
///
/// The reason why it may not be stored.
pub fn judge_head(view: View, status: StatusCode, fields: &HeaderMap) -> Result<Kind, NotStored> {
    let kind = match (status, view) {
        (StatusCode::OK, View::Media) => Kind::Media,
        (StatusCode::OK, View::Metadata | View::List) => Kind::Json,
        (StatusCode::NOT_FOUND, _) => Kind::Absent,
        _ => return Err(NotStored::Status),
    };
    if Directives::say(fields, "no-store") {
        return Err(NotStored::NoStore);
    }
    if is_coded(fields) || fields.contains_key(header::CONTENT_RANGE) {
        return Err(NotStored::Encoding);
    }
    if varies_beyond_the_key(fields) {
        return Err(NotStored::Vary);
    }
    let essence = essence(fields);
    let is = |name| essence.is_some_and(|essence| essence.eq_ignore_ascii_case(name));
    let is_image = || {
        let beginning = essence.and_then(|essence| essence.get(..IMAGE.len()));
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(IMAGE))
    };
    let fits = match kind {
        Kind::Media => is_image(),
        Kind::Json => is("application/json"),
        // Graph says "no photo" in JSON, in plain text or in nothing; a gateway says it in HTML.
        Kind::Absent => essence.is_none() || is("application/json") || is("text/plain"),
    };
    fits.then_some(kind).ok_or(NotStored::Type)
}

/// Judges the body of an answer whose head passed; the 1x1 metadata is "no photo".
///
/// # Errors
///
/// [`NotStored::Body`] when it is not what its head says.
pub fn judge_body(kind: Kind, view: View, bytes: &[u8]) -> Result<Kind, NotStored> {
    match kind {
        Kind::Media if bytes.is_empty() => Err(NotStored::Body),
        Kind::Media | Kind::Absent => Ok(kind),
        Kind::Json => {
            let json: serde_json::Value =
                serde_json::from_slice(bytes).map_err(|_| NotStored::Body)?;
            let object = json.as_object().ok_or(NotStored::Body)?;
            let fits = match view {
                View::List => object.get("value").is_some_and(serde_json::Value::is_array),
                View::Media | View::Metadata => {
                    !object.contains_key("error") && object.keys().any(|name| is_photos(name))
                }
            };
            if !fits {
                return Err(NotStored::Body);
            }
            let is_one_pixel =
                |side| object.get(side).and_then(serde_json::Value::as_u64) == Some(1);
            let absent = is_one_pixel("width") && is_one_pixel("height");
            Ok(if absent { Kind::Absent } else { Kind::Json })
        }
    }
}

/// Whether a member is one of a `profilePhoto`'s (Graph: profilePhoto resource type).
fn is_photos(member: &str) -> bool {
    matches!(member, "id" | "width" | "height") || member.starts_with("@odata.")
}

/// Whether a 404 is Graph's own: its answers carry a `request-id`, a gateway's do not.
pub fn is_graphs_own(fields: &HeaderMap) -> bool {
    fields.contains_key("request-id")
}

/// Whether the body of a 404 says that there is no photo, rather than no such owner: the codes
/// seen since 2017.
pub fn says_no_photo(body: &[u8]) -> bool {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let code = json
        .as_ref()
        .and_then(|json| json.get("error")?.get("code"));
    code.and_then(serde_json::Value::as_str)
        .is_some_and(|code| {
            ["ImageNotFound", "ErrorItemNotFound", "GetUserPhoto"]
                .iter()
                .any(|known| code.eq_ignore_ascii_case(known))
        })
}

/// Judges the head of a 304, whose fields take the place of stored ones (RFC 9111 §4.3.4).
///
/// # Errors
///
/// The reason why the answer it confirms may no longer be held.
pub fn judge_update(fields: &HeaderMap) -> Result<(), NotStored> {
    if Directives::say(fields, "no-store") {
        return Err(NotStored::NoStore);
    }
    if varies_beyond_the_key(fields) {
        return Err(NotStored::Vary);
    }
    Ok(())
}

fn varies_beyond_the_key(fields: &HeaderMap) -> bool {
    vary(fields).any(|name| {
        !ACCOUNTED_FOR
            .iter()
            .any(|field| name.eq_ignore_ascii_case(field))
    })
}

/// The members of `Vary`, all its lines together. What cannot be read is a member like no
/// field's name.
fn vary(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    fields
        .get_all(header::VARY)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("*").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Whether the body is coded: by anything but `identity`, which says it is not.
fn is_coded(fields: &HeaderMap) -> bool {
    fields
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The media type without parameters; `None` without a readable field, empty with several.
fn essence(fields: &HeaderMap) -> Option<&str> {
    let mut all = fields.get_all(header::CONTENT_TYPE).iter();
    let value = all.next()?.to_str().ok()?;
    if all.next().is_some() {
        return Some("");
    }
    Some(value.split(';').next().unwrap_or("").trim())
}
