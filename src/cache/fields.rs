//! Which fields of an answer are kept with it, and in which shape. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::freshness::http_date;
use crate::clock::Time;

/// The fields of Graph's answer that are kept. Everything else is somebody's own (`Set-Cookie`,
/// `request-id`, diagnostics) or one connection's.
///
/// `Content-Location` is not among them: it repeats the name by which somebody else asked.
const STORED_FIELDS: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CONTENT_LANGUAGE,
    // When Graph made the answer; `Age` counts from it.
    header::DATE,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static("odata-version"),
];

/// The fields that are kept of an answer's: of one that should be there once, the first; none
/// that `Connection` says is for one hop (RFC 9111 §3.1).
pub(super) fn stored_fields(fields: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(STORED_FIELDS.len());
    for name in &STORED_FIELDS {
        let most = if name == header::CONTENT_LANGUAGE {
            usize::MAX
        } else {
            1
        };
        if !is_for_one_hop(name, fields) {
            for value in fields.get_all(name).iter().take(most) {
                kept.append(name, copied(value));
            }
        }
    }
    kept
}

/// A value of its own: what a connection yields is a slice that keeps its whole read buffer
/// alive, tens of kilobytes with each photo that no bound would count.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
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

/// With the time it was received as its `Date`, where Graph gave none that can be read
/// (RFC 9110 §6.6.1).
pub(super) fn dated(mut fields: HeaderMap, received: Time) -> HeaderMap {
    if fields.get(header::DATE).and_then(http_date).is_none() {
        let text = httpdate::fmt_http_date(received.wall());
        fields.remove(header::DATE);
        fields.extend(HeaderValue::try_from(text).map(|date| (header::DATE, date)));
    }
    fields
}

/// Our own strong tag, for a picture that Graph gave none.
pub(super) fn own_etag(digest: &[u8; 16]) -> HeaderValue {
    let text = format!("\"gpp-{:032x}\"", u128::from_be_bytes(*digest));
    HeaderValue::from_str(&text).expect("hex digits in quotes are a header value")
}
