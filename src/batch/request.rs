//! A batch as it was asked for: its parts, and what each one is.

use std::collections::HashSet;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::MOST_PARTS;
use super::fields::Fields;
use crate::route::{self, ApiVersion, PhotoOwner, PhotoRequest, PhotoWrite, Recognition};

/// The fields a photo part may carry: none of them changes what Graph answers to a picture,
/// and `route` judges `Accept` for JSON. `Content-Type` is what one wide-spread web part sends
/// with its GETs.
const HARMLESS: [&str; 8] = [
    "accept",
    "content-type",
    "cache-control",
    "pragma",
    "client-request-id",
    "sdkversion",
    "user-agent",
    "x-ms-throttle-priority",
];

/// The batch is not one that is fully understood: it passes as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odd;

/// A batch that is fully understood.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Its parts, in the order they came.
    pub parts: Vec<Part<'a>>,
}

/// One request of a batch.
#[derive(Debug)]
pub struct Part<'a> {
    /// Its id, as the answer must name it.
    pub id: String,
    /// Its JSON, as it came.
    pub text: &'a str,
    /// What it is.
    pub wish: Wish,
}

/// What a part is.
#[derive(Debug)]
pub enum Wish {
    /// A photo that a direct GET would be answered from memory for, too.
    Photo(Box<Photo>),
    /// A photo read that Graph alone answers: with a condition, beside a write, as a HEAD.
    Left(PhotoOwner),
    /// A change of a photo.
    Write(PhotoWrite),
    /// Anything else.
    Other,
}

/// A photo read inside a batch.
#[derive(Debug)]
pub struct Photo {
    /// What is asked for.
    pub photo: PhotoRequest,
    /// Where a direct request would ask for it.
    pub target: PathAndQuery,
    /// The part's own fields.
    pub fields: HeaderMap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBatch<'a> {
    #[serde(borrow)]
    requests: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPart<'a> {
    id: String,
    method: String,
    url: String,
    headers: Option<Fields>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(rename = "dependsOn")]
    depends_on: Option<Vec<String>>,
}

impl<'a> Batch<'a> {
    /// Reads the body of a batch under `version`; `outer` are the fields it came with.
    ///
    /// # Errors
    ///
    /// [`Odd`], when a reader other than ours could take it for anything else.
    pub fn read(body: &'a [u8], version: ApiVersion, outer: &HeaderMap) -> Result<Self, Odd> {
        if !is_plain_json(outer) || !is_object(body) {
            return Err(Odd);
        }
        let batch: RawBatch<'_> = serde_json::from_slice(body).map_err(|_| Odd)?;
        if batch.requests.is_empty() || batch.requests.len() > MOST_PARTS {
            return Err(Odd);
        }
        let raw = batch
            .requests
            .iter()
            .map(|text| RawPart::read(text))
            .collect::<Result<Vec<_>, Odd>>()?;
        // Ids are "not case-sensitive" (Graph), in whose alphabet is not said.
        let mut ids = HashSet::new();
        if !raw.iter().all(|part| ids.insert(part.id.to_lowercase())) {
            return Err(Odd);
        }
        let linked: HashSet<String> = raw
            .iter()
            .flat_map(|part| part.depends_on.iter().flatten())
            .map(|id| id.to_lowercase())
            .collect();
        let parts = raw.into_iter().zip(batch.requests).map(|(part, text)| {
            let free = !linked.contains(&part.id.to_lowercase());
            Ok(Part {
                wish: part.wish(version, outer, free)?,
                id: part.id,
                text: text.get(),
            })
        });
        let mut parts: Vec<Part<'a>> = parts.collect::<Result<_, Odd>>()?;
        // Graph may carry the parts out in any order: none of the photos is answered for while
        // one may be changing.
        if parts.iter().any(|part| matches!(part.wish, Wish::Write(_))) {
            for part in &mut parts {
                if let Wish::Photo(wish) = &part.wish {
                    part.wish = Wish::Left(wish.photo.owner.clone());
                }
            }
        }
        Ok(Self { parts })
    }

    /// The batch without the parts that `leave_out` names, each part as it came; `None` when
    /// nothing is left.
    pub fn without(&self, leave_out: impl Fn(&Part<'a>) -> bool) -> Option<String> {
        let left: Vec<&str> = self
            .parts
            .iter()
            .filter(|part| !leave_out(part))
            .map(|part| part.text)
            .collect();
        (!left.is_empty()).then(|| format!("{{\"requests\":[{}]}}", left.join(",")))
    }
}

impl<'a> RawPart<'a> {
    fn read(text: &'a RawValue) -> Result<Self, Odd> {
        // serde would also take an array, member by member.
        if !is_object(text.get().as_bytes()) {
            return Err(Odd);
        }
        let part: Self = serde_json::from_str(text.get()).map_err(|_| Odd)?;
        (!part.id.is_empty()).then_some(part).ok_or(Odd)
    }

    /// What this part is; `free` says that no other part waits for it.
    fn wish(&self, version: ApiVersion, outer: &HeaderMap, free: bool) -> Result<Wish, Odd> {
        let none = HeaderMap::new();
        let fields = self.headers.as_ref().map_or(&none, |fields| &fields.0);
        if let Some(write) = super::lenient::write(&self.method, version, &self.url, fields) {
            return Ok(Wish::Write(write));
        }
        if super::lenient::is_batch(&self.url) {
            return Err(Odd);
        }
        let free = free && self.depends_on.as_ref().is_none_or(Vec::is_empty);
        let harmless = |name: &http::HeaderName| HARMLESS.contains(&name.as_str());
        let alone = self.method == "GET" && free && self.body.is_none();
        if alone
            && fields.keys().all(harmless)
            && let Some((photo, target)) = photo(version, &self.url, fields, outer)
        {
            return Ok(Wish::Photo(Box::new(Photo {
                photo,
                target,
                fields: fields.clone(),
            })));
        }
        let named = |method: &str| self.method.eq_ignore_ascii_case(method);
        let reads = named("GET") || named("HEAD");
        let left = reads.then(|| photo(version, &self.url, &none, &none));
        Ok(left
            .flatten()
            .map_or(Wish::Other, |(photo, _)| Wish::Left(photo.owner)))
    }
}

/// The photo read that a GET of `url` is, if it is one whichever of the outer fields Graph
/// lets the part have.
fn photo(
    version: ApiVersion,
    url: &str,
    fields: &HeaderMap,
    outer: &HeaderMap,
) -> Option<(PhotoRequest, PathAndQuery)> {
    // `#` would be cut off in silence, and raw text beyond ASCII has no agreed reading.
    if !url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return None;
    }
    let text = target(version, url);
    let uri: Uri = text.parse().ok()?;
    let target = uri.path_and_query().filter(|found| **found == *text)?;
    let read = |fields: &HeaderMap| match route::recognise(&Method::GET, &uri, fields, false) {
        Recognition::Read(photo) => Some(photo),
        _ => None,
    };
    let photo = read(fields)?;
    let mut merged = fields.clone();
    if !merged.contains_key(header::ACCEPT) {
        for value in outer.get_all(header::ACCEPT) {
            merged.append(header::ACCEPT, value.clone());
        }
    }
    (read(&merged)? == photo).then(|| (photo, target.clone()))
}

/// Where a direct request would ask for what a part's `url` names: below the version, with or
/// without a slash (Graph: "the relative resource URL").
pub(super) fn target(version: ApiVersion, url: &str) -> String {
    let version = match version {
        ApiVersion::V1 => "/v1.0",
        ApiVersion::Beta => "/beta",
    };
    let slash = if url.starts_with('/') { "" } else { "/" };
    format!("{version}{slash}{url}")
}

/// Whether the body is what its fields say only to those who read it as we do.
fn is_plain_json(outer: &HeaderMap) -> bool {
    if outer.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let mut types = outer.get_all(header::CONTENT_TYPE).iter();
    let (Some(Ok(text)), None) = (types.next().map(|value| value.to_str()), types.next()) else {
        return false;
    };
    let text = text.to_ascii_lowercase().replace([' ', '\t', '"'], "");
    let (essence, parameters) = text.split_once(';').unwrap_or((&text, ""));
    essence == "application/json"
        && parameters
            .split(';')
            .all(|parameter| !parameter.starts_with("charset") || parameter == "charset=utf-8")
}

/// Whether JSON text begins as an object does.
pub(super) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().first() == Some(&b'{')
}
