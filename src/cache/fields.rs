//! Which fields of an answer are kept with it, and in which shape. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::freshness::http_date;
use crate::clock::Time;

/// The fields of Graph's answer that are kept. Everything else is somebody's own (`Set-Cookie`,
/// `request-id`, diagnostics) or one connection's.
///
/// `Content-Location` is not among them: it repeats the name by which somebody else asked.
static STORED_FIELDS: [HeaderName; StoredFields::MOST] = [
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CONTENT_LANGUAGE,
    // When Graph made the answer; `Age` counts from it.
    header::DATE,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static("odata-version"),
];

/// The kept fields of one answer: a value for each name that may be kept, so that an answer
/// takes a third of what a map would, and a hit finds them without hashing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredFields([Option<HeaderValue>; StoredFields::MOST]);

impl StoredFields {
    /// How many fields may be kept.
    pub const MOST: usize = 7;

    /// The fields that are kept of an answer's: of one that should be there once, the first;
    /// none that `Connection` says is for one hop (RFC 9111 §3.1).
    pub(super) fn of(fields: &HeaderMap) -> Self {
        let languages = listed(fields, &header::CONTENT_LANGUAGE);
        let mut values = [None; Self::MOST];
        for (name, value) in STORED_FIELDS.iter().zip(&mut values) {
            *value = match *name {
                _ if is_for_one_hop(name, fields) => None,
                header::CONTENT_LANGUAGE => languages.as_ref(),
                _ => fields.get(name),
            };
        }
        Self(copied(values))
    }

    /// The value of a field, where it is kept.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let at = STORED_FIELDS.iter().position(|kept| kept == name)?;
        self.0.get(at)?.as_ref()
    }

    /// Whether a field is kept.
    pub fn contains_key(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static HeaderName, &HeaderValue)> {
        let all = STORED_FIELDS.iter().zip(&self.0);
        all.filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
    }

    /// Which of the fields that may be kept are, a bit for each.
    pub(crate) fn set(&self) -> usize {
        let bits = self
            .0
            .iter()
            .rev()
            .map(|value| usize::from(value.is_some()));
        bits.fold(0, |set, bit| set << 1 | bit)
    }

    /// Takes the values of others over these, but for those that describe what they come with:
    /// a 304's `Content-Type` describes nothing, its `ETag` is the one that was sent.
    pub(super) fn update(&mut self, others: Self) {
        for ((name, value), other) in STORED_FIELDS.iter().zip(&mut self.0).zip(others.0) {
            if *name != header::CONTENT_TYPE && *name != header::ETAG && other.is_some() {
                *value = other;
            }
        }
    }

    /// With the time it was received as its `Date`, where Graph gave none that can be read
    /// (RFC 9110 §6.6.1).
    pub(super) fn dated(mut self, received: Time) -> Self {
        if self.get(&header::DATE).and_then(http_date).is_none() {
            let text = httpdate::fmt_http_date(received.wall());
            let date = STORED_FIELDS.iter().zip(&mut self.0);
            for (_, value) in date.filter(|(name, _)| **name == header::DATE) {
                *value = HeaderValue::try_from(text.as_str()).ok();
            }
        }
        self
    }
}

/// All lines of a field that is a list, as one (RFC 9110 §5.3).
fn listed(fields: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut all = fields.get_all(name).iter();
    let first = all.next()?;
    let mut list = first.as_bytes().to_vec();
    for more in all {
        list.extend_from_slice(b", ");
        list.extend_from_slice(more.as_bytes());
    }
    HeaderValue::from_bytes(&list).ok()
}

/// Values in one allocation of their own. What a connection yields is a slice that keeps its
/// whole read buffer alive, tens of kilobytes with each photo that no bound would count; and
/// each on its own would be a way of its own to memory for every hit.
fn copied<const N: usize>(values: [Option<&HeaderValue>; N]) -> [Option<HeaderValue>; N] {
    let length = values.iter().flatten().map(|value| value.len()).sum();
    let mut text = Vec::with_capacity(length);
    for value in values.iter().flatten() {
        text.extend_from_slice(value.as_bytes());
    }
    let whole = Bytes::from(text);
    let mut begin = 0;
    values.map(|value| {
        let value = value?;
        let slice = whole.slice(begin..begin + value.len());
        begin += value.len();
        // What was a field value stays one.
        HeaderValue::from_maybe_shared(slice).ok()
    })
}

fn is_for_one_hop(name: &HeaderName, fields: &HeaderMap) -> bool {
    fields
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
}

/// Our own strong tag, for a picture that Graph gave none.
pub(super) fn own_etag(digest: &[u8; 16]) -> HeaderValue {
    let text = format!("\"gpp-{:032x}\"", u128::from_be_bytes(*digest));
    HeaderValue::from_str(&text).expect("hex digits in quotes are a header value")
}
