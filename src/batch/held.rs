//! A held answer as a part of a batch: the members and spellings that Graph uses there.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, StatusCode, header};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::cache::{Held, Kind, StoredFields};

/// Stored fields that a part shows, in the spelling clients look for: two wide-spread ones
/// compare names letter by letter.
const SHOWN: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "Content-Type"),
    (header::ETAG, "ETag"),
    (header::LAST_MODIFIED, "Last-Modified"),
    (header::CONTENT_LANGUAGE, "Content-Language"),
    (HeaderName::from_static("odata-version"), "OData-Version"),
];

/// The part with this id that a held answer is.
pub fn part(id: &str, held: &Held) -> String {
    let stored = &held.response;
    let cache_control = match stored.kind {
        Kind::Json => "no-cache",
        Kind::Media | Kind::Absent => "private",
    };
    let mut fields = Map::new();
    fields.insert("Cache-Control".into(), cache_control.into());
    show(&stored.fields, &mut fields);
    if let Some(etag) = stored.etag()
        && let Ok(etag) = etag.to_str()
    {
        fields.insert("ETag".into(), etag.into());
    }
    let picture = stored.kind == Kind::Media;
    let json = || {
        std::str::from_utf8(&held.bytes)
            .ok()
            .filter(|text| is_json(text))
    };
    let body = match () {
        () if picture => format!("\"{}\"", STANDARD.encode(&**held.bytes)),
        // Inside a batch an answer without JSON has no body at all.
        () => json().unwrap_or("null").to_owned(),
    };
    write(id, stored.status.as_u16(), fields, &body)
}

/// The part that says why there is no answer of Graph, and how long to wait where that is known.
pub fn problem(id: &str, status: StatusCode, wait: Option<Duration>, error: &str) -> String {
    let mut fields = Map::new();
    if let Some(wait) = wait {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        fields.insert("Retry-After".into(), seconds.max(1).to_string().into());
    }
    fields.insert("Content-Type".into(), "application/json".into());
    write(id, status.as_u16(), fields, error)
}

/// The answer to a batch of which nothing was left for Graph; parts in the order given.
pub fn all<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.into_iter().collect();
    format!("{{\"responses\":[{}]}}", parts.join(","))
}

fn show(stored: &StoredFields, fields: &mut Map<String, Value>) {
    for (name, shown) in &SHOWN {
        if let Some(value) = stored.get(name)
            && let Ok(text) = value.to_str()
        {
            fields.insert((*shown).into(), text.into());
        }
    }
}

fn write(id: &str, status: u16, fields: Map<String, Value>, body: &str) -> String {
    let (id, fields) = (Value::from(id), Value::Object(fields));
    format!("{{\"id\":{id},\"status\":{status},\"headers\":{fields},\"body\":{body}}}")
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}
