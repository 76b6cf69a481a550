//! Which fields of an answer are kept with it, and in which shape. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};

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

/// The kept fields of one answer, as they are sent with it: written once, in one allocation of
/// their own, and a hit only copies them.
///
/// What a connection yields is a slice that keeps its whole read buffer alive, tens of kilobytes
/// with each photo that no bound would count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredFields {
    /// Each behind the end of the line before it (RFC 9112 §5).
    lines: Box<[u8]>,
    /// Where the value of each name that may be kept ends; where one is not there, as before it.
    ends: [u32; StoredFields::MOST],
    /// Whether the tag is one of ours, and so no field of Graph's.
    own_tag: bool,
}

impl StoredFields {
    /// How many fields may be kept.
    pub const MOST: usize = 7;

    /// The fields that are kept of an answer's: of one that should be there once, the first;
    /// none that `Connection` says is for one hop (RFC 9111 §3.1).
    pub(super) fn of(fields: &HeaderMap) -> Self {
        let languages = listed(fields, &header::CONTENT_LANGUAGE);
        let names_some = fields.contains_key(header::CONNECTION);
        let mut values = [None; Self::MOST];
        for (name, value) in STORED_FIELDS.iter().zip(&mut values) {
            let kept = match *name {
                _ if names_some && is_for_one_hop(name, fields) => None,
                header::CONTENT_LANGUAGE => languages.as_ref(),
                _ => fields.get(name),
            };
            *value = kept.map(HeaderValue::as_bytes);
        }
        Self::written(values, false)
    }

    /// Writes the lines. What were field values stay ones.
    fn written(values: [Option<&[u8]>; Self::MOST], own_tag: bool) -> Self {
        let all = || STORED_FIELDS.iter().zip(&values);
        let length = all().filter_map(|(name, value)| Some(before(name) + (*value)?.len()));
        let mut lines = Vec::with_capacity(length.sum());
        let mut ends = [0; Self::MOST];
        for ((name, value), end) in all().zip(&mut ends) {
            if let Some(value) = value {
                for part in [b"\r\n", name.as_str().as_bytes(), b": ", value] {
                    lines.extend_from_slice(part);
                }
            }
            // A head of more than four gigabytes is never read.
            *end = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        }
        Self {
            lines: lines.into_boxed_slice(),
            ends,
            own_tag,
        }
    }

    /// The value of a field of Graph's, where it is kept.
    pub fn get(&self, name: &HeaderName) -> Option<HeaderValue> {
        if self.own_tag && *name == header::ETAG {
            return None;
        }
        HeaderValue::from_bytes(self.value(name)?).ok()
    }

    /// Whether a field of Graph's is kept.
    pub fn contains_key(&self, name: &HeaderName) -> bool {
        !(self.own_tag && *name == header::ETAG) && self.value(name).is_some()
    }

    /// Whether there is a `Date`, as there is of every answer that is kept.
    pub fn is_dated(&self) -> bool {
        let [_, _, _, before, date, ..] = self.ends;
        before < date
    }

    /// The tag, Graph's or our own.
    pub fn tag(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.value(&header::ETAG)?).ok()
    }

    /// All of them, our own tag included.
    pub fn iter(&self) -> impl Iterator<Item = (&'static HeaderName, &[u8])> {
        let all = STORED_FIELDS.iter().zip(self.values());
        all.filter_map(|(name, value)| value.map(|value| (name, value)))
    }

    /// The same, as HTTP/1.1 sends them: each behind the end of the line before it.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Which of the fields that may be kept are, a bit for each.
    pub(crate) fn set(&self) -> usize {
        let bits = self.values().map(|value| usize::from(value.is_some()));
        bits.into_iter().rev().fold(0, |set, bit| set << 1 | bit)
    }

    /// With a tag of ours, where Graph gave none.
    pub(super) fn tagged(self, tag: &HeaderValue) -> Self {
        if self.value(&header::ETAG).is_some() {
            return self;
        }
        Self::written(self.values_with(&header::ETAG, tag.as_bytes()), true)
    }

    /// With the values of others over these, but for those that describe what they come with:
    /// a 304's `Content-Type` describes nothing, its `ETag` is the one that was sent.
    pub(super) fn updated(&self, others: &Self) -> Self {
        let mut values = self.values();
        for ((name, value), other) in STORED_FIELDS.iter().zip(&mut values).zip(others.values()) {
            if *name != header::CONTENT_TYPE && *name != header::ETAG && other.is_some() {
                *value = other;
            }
        }
        Self::written(values, self.own_tag)
    }

    /// With the time it was received as its `Date`, where Graph gave none that can be read
    /// (RFC 9110 §6.6.1).
    pub(super) fn dated(self, received: Time) -> Self {
        let text = self.value(&header::DATE).map(str::from_utf8);
        if let Some(Ok(text)) = text
            && httpdate::parse_http_date(text.trim()).is_ok()
        {
            return self;
        }
        let text = httpdate::fmt_http_date(received.wall());
        let values = self.values_with(&header::DATE, text.as_bytes());
        Self::written(values, self.own_tag)
    }

    fn value(&self, name: &HeaderName) -> Option<&[u8]> {
        self.iter()
            .find(|(kept, _)| *kept == name)
            .map(|(_, value)| value)
    }

    /// All values, with this one under that name.
    fn values_with<'a>(
        &'a self,
        name: &HeaderName,
        with: &'a [u8],
    ) -> [Option<&'a [u8]>; Self::MOST] {
        let mut values = self.values();
        for (kept, value) in STORED_FIELDS.iter().zip(&mut values) {
            if kept == name {
                *value = Some(with);
            }
        }
        values
    }

    fn values(&self) -> [Option<&[u8]>; Self::MOST] {
        let mut values = [None; Self::MOST];
        let mut begin = 0;
        for ((name, value), end) in STORED_FIELDS.iter().zip(&mut values).zip(self.ends) {
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            // Empty where the field is not there, and at least its name where it is.
            *value = self.lines.get(begin + before(name)..end);
            begin = end;
        }
        values
    }
}

/// How much of a line stands before the value: its beginning, the name, a colon and a space.
fn before(name: &HeaderName) -> usize {
    2 + name.as_str().len() + 2
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
