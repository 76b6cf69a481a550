//! A batch as Graph answered it: its parts, and what each says about a photo.
//!
//! A part is judged as strictly as a direct answer: known members only, no member twice, an
//! image as canonical base64 (RFC 4648 §4, padded), "no photo" as Graph's own error.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::Fields;
use super::request::is_object;
use crate::cache::Kind;
use crate::cache::admission::{self, NotStored};
use crate::cache::etag;
use crate::route::View;

/// The parts of an answer, and where they stand in its text.
#[derive(Debug)]
pub struct Answers<'a> {
    text: &'a str,
    /// Where the inside of `responses` begins.
    inside: usize,
    /// Where it ends, before the bracket.
    end: usize,
    /// The parts, in the order they came.
    pub responses: Vec<Response<'a>>,
}

/// One part of an answer.
#[derive(Debug)]
pub struct Response<'a> {
    /// Its JSON, as it came.
    pub text: &'a str,
    /// Its id and what it says; `None` when it is not fully understood.
    pub part: Option<PartAnswer<'a>>,
}

/// What one part says.
#[derive(Debug)]
pub struct PartAnswer<'a> {
    /// Whose answer it is.
    pub id: String,
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: HeaderMap,
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAnswer<'a> {
    #[serde(borrow)]
    responses: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPart<'a> {
    id: String,
    status: u16,
    headers: Option<Fields>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl<'a> Answers<'a> {
    /// Reads the body of Graph's answer; `None` when it is no batch answer.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let raw: RawAnswer<'a> = serde_json::from_str(text).ok()?;
        if !is_object(body) {
            return None;
        }
        let array = raw.responses.get();
        let parts: Vec<&'a RawValue> = serde_json::from_str(array).ok()?;
        // `array` is a slice of `text`: serde borrowed it.
        let start = (array.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let responses = parts
            .into_iter()
            .map(|part| Response {
                text: part.get(),
                part: PartAnswer::read(part.get()),
            })
            .collect();
        Some(Self {
            text,
            inside: start + 1,
            end: start + array.len() - 1,
            responses,
        })
    }

    /// The parts by id, if Graph has answered each of `asked` at most once and nothing else:
    /// whoever answers a question nobody asked may be answering the wrong ones too.
    pub fn by_id(&self, asked: &[&str]) -> Option<HashMap<&str, &PartAnswer<'a>>> {
        let mut found = HashMap::new();
        for response in &self.responses {
            let part = response.part.as_ref()?;
            let known = asked.iter().any(|id| *id == part.id);
            if !known || found.insert(part.id.as_str(), part).is_some() {
                return None;
            }
        }
        Some(found)
    }

    /// The answer with `ours` among Graph's parts, in the place of Graph's own where both are
    /// there; all else of Graph's text as it came.
    ///
    /// Parts stand in the `order` of the requests. Graph promises no order; a caller that goes
    /// by it all the same must not be shown one person's photo as another's.
    pub fn with(&self, order: &[&str], ours: &HashMap<&str, String>) -> Option<String> {
        let mut graphs: HashMap<&str, &str> = HashMap::new();
        for response in &self.responses {
            graphs.insert(response.part.as_ref()?.id.as_str(), response.text);
        }
        let all: Vec<&str> = order
            .iter()
            .filter_map(|id| {
                let ours = ours.get(id).map(String::as_str);
                ours.or_else(|| graphs.get(id).copied())
            })
            .collect();
        let before = self.text.get(..self.inside)?;
        let after = self.text.get(self.end..)?;
        Some(format!("{before}{}{after}", all.join(",")))
    }
}

/// Where our parts can be put into an answer of which only the beginning has come.
pub fn opening(prefix: &[u8]) -> Option<usize> {
    let mut at = 0;
    for token in [&b"{"[..], b"\"responses\"", b":", b"["] {
        let rest = prefix.get(at..)?;
        at += rest.len() - rest.trim_ascii_start().len();
        at += prefix
            .get(at..)?
            .starts_with(token)
            .then_some(token.len())?;
    }
    let next = prefix.get(at..)?.trim_ascii_start().first()?;
    (*next == b'{').then_some(at)
}

impl<'a> PartAnswer<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if !is_object(text.as_bytes()) {
            return None;
        }
        let raw: RawPart<'a> = serde_json::from_str(text).ok()?;
        Some(Self {
            id: raw.id,
            status: StatusCode::from_u16(raw.status).ok()?,
            fields: raw.headers.unwrap_or_default().0,
            body: raw.body,
        })
    }

    /// Its fields as they may be stored: a tag without its quotes, which was once seen inside
    /// batches, names nothing a direct answer could carry.
    pub fn storable_fields(&self) -> HeaderMap {
        let mut fields = self.fields.clone();
        let whole = |etag: &HeaderValue| matches!(etag::opaque(etag.as_bytes()), [b'"', inside @ .., b'"'] if !inside.contains(&b'"'));
        if fields.get(header::ETAG).is_some_and(|etag| !whole(etag)) {
            fields.remove(header::ETAG);
        }
        fields
    }

    /// What a direct answer to a photo question of `view` would have been; at most `cap` bytes.
    ///
    /// # Errors
    ///
    /// The reason why it may not be stored.
    pub fn photo(&self, view: View, cap: usize) -> Result<(Kind, Bytes), NotStored> {
        let kind = admission::judge_head(view, self.status, &self.fields)?;
        let body = self.body.ok_or(NotStored::Body)?.get();
        let bytes = match kind {
            Kind::Media => {
                let text: String = serde_json::from_str(body).map_err(|_| NotStored::Body)?;
                if text.len() / 4 * 3 > cap.saturating_add(2) {
                    return Err(NotStored::TooLarge);
                }
                STANDARD.decode(text).map_err(|_| NotStored::Body)?
            }
            Kind::Json => body.as_bytes().to_vec(),
            Kind::Absent => {
                // A direct caller would be shown this very JSON.
                let typed = self.fields.contains_key(header::CONTENT_TYPE);
                let json: serde_json::Value =
                    serde_json::from_str(body).map_err(|_| NotStored::Body)?;
                let coded = json
                    .pointer("/error/code")
                    .is_some_and(serde_json::Value::is_string);
                (typed && coded)
                    .then(|| body.as_bytes().to_vec())
                    .ok_or(NotStored::Body)?
            }
        };
        if bytes.len() > cap {
            return Err(NotStored::TooLarge);
        }
        Ok((kind, Bytes::from(bytes.into_boxed_slice())))
    }
}
