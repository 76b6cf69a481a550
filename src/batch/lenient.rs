//! Looking for writes in a batch, whatever its state.
//!
//! A write that is missed leaves an old photo standing, one that is imagined costs a question.
//! So members are matched in any case, repeats all count, and a url is bent until it reads.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::request::target;
use crate::route::{self, ApiVersion, PhotoWrite, Recognition};

/// The writes that a batch may hold, with the id each is answered by where it is plain.
/// `None` when not even that can be told.
pub fn writes(
    body: &[u8],
    version: ApiVersion,
    outer: &HeaderMap,
) -> Option<Vec<(Option<String>, PhotoWrite)>> {
    if is_coded(outer) {
        return None;
    }
    let Loose(parts) = serde_json::from_slice(body).ok()?;
    let writes = parts.into_iter().flat_map(|part| {
        let id = match part.ids.as_slice() {
            [id] => Some(id.clone()),
            _ => None,
        };
        let mut found = Vec::new();
        for method in &part.methods {
            for url in &part.urls {
                let write = write(method, version, url, &part.fields);
                found.extend(write.map(|write| (id.clone(), write)));
            }
        }
        found
    });
    Some(writes.collect())
}

/// Whether the bytes are text only to those who decode them first.
fn is_coded(outer: &HeaderMap) -> bool {
    let other_text = |value: &HeaderValue| {
        let kind = value.as_bytes().to_ascii_lowercase();
        let named = |word: &[u8]| kind.windows(word.len()).any(|window| window == word);
        named(b"charset") && !named(b"utf-8") || named(b"multipart")
    };
    outer.contains_key(header::CONTENT_ENCODING)
        || outer.get_all(header::CONTENT_TYPE).iter().any(other_text)
}

/// The write that one part is, if it is one.
pub(super) fn write(
    method: &str,
    version: ApiVersion,
    url: &str,
    fields: &HeaderMap,
) -> Option<PhotoWrite> {
    let method = method.trim().to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::PATCH);
    // What a server might take for our own host, or for the version said twice.
    let url = url.trim();
    let relative = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.split_once('/').map_or("", |(_, path)| path)
        }
        _ => url,
    };
    let mut candidates = Vec::with_capacity(2);
    if relative.len() < url.len() || is_versioned(relative) {
        candidates.push(format!("/{}", relative.trim_start_matches('/')));
    }
    candidates.push(target(version, relative));
    candidates
        .iter()
        .find_map(|path| match bent(path).parse::<Uri>() {
            Ok(uri) => match route::recognise(&method, &uri, fields, false) {
                Recognition::Write(write) => Some(write),
                _ => None,
            },
            Err(_) if method == Method::GET || method == Method::HEAD => None,
            Err(_) => Some(PhotoWrite { owner: None }),
        })
}

/// Whether a part is itself a batch.
pub(super) fn is_batch(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.to_ascii_lowercase().contains("batch") && {
        let last = path.trim_end_matches('/').rsplit('/').next();
        last.is_some_and(|last| last.to_ascii_lowercase().ends_with("batch"))
    }
}

fn is_versioned(relative: &str) -> bool {
    let path = relative.trim_start_matches('/').to_ascii_lowercase();
    path.starts_with("v1.0/") || path.starts_with("beta/")
}

/// A url with what no request line could carry escaped: a guest's name holds a raw `#`.
fn bent(url: &str) -> String {
    let mut bent = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte) {
            bent.push(char::from(byte));
        } else {
            use fmt::Write as _;
            let _ = write!(bent, "%{byte:02X}");
        }
    }
    bent
}

/// Every part of every `requests`.
struct Loose(Vec<LoosePart>);

#[derive(Default)]
struct LoosePart {
    ids: Vec<String>,
    methods: Vec<String>,
    urls: Vec<String>,
    fields: HeaderMap,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Outer)
    }
}

struct Outer;

impl<'de> Visitor<'de> for Outer {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let mut parts = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.eq_ignore_ascii_case("requests") {
                let Parts(more) = map.next_value()?;
                parts.extend(more);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Loose(parts))
    }
}

struct Parts(Vec<LoosePart>);

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Parts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("parts")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parts, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Parts(parts))
            }
        }
        from.deserialize_seq(Each)
    }
}

impl<'de> Deserialize<'de> for LoosePart {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(PartReader)
    }
}

struct PartReader;

impl<'de> Visitor<'de> for PartReader {
    type Value = LoosePart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LoosePart, A::Error> {
        let mut part = LoosePart::default();
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            let text = || serde_json::from_str::<String>(value.get());
            match name.to_ascii_lowercase().as_str() {
                "id" => part.ids.extend(text()),
                // One that is no text is nobody's method, and may be anything.
                "method" => part.methods.push(text().unwrap_or_else(|_| "PATCH".into())),
                "url" => part.urls.push(text().map_err(A::Error::custom)?),
                "headers" => part.fields.extend(fields(value)),
                _ => {}
            }
        }
        Ok(part)
    }
}

/// The fields that can be read, of an object whose values are text.
fn fields(value: &RawValue) -> HeaderMap {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value.get());
    let pairs = object.into_iter().flatten();
    pairs
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_str(value.as_str()?).ok()?;
            Some((name, value))
        })
        .collect()
}
