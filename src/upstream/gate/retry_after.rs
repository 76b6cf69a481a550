//! How long Graph says to wait (RFC 9110 §10.2.3).

use std::time::Duration;

use http::{HeaderMap, header};

use crate::clock::Time;

/// `Retry-After` as whole or fractional seconds or as a date; Graph's own sample is `2.128`.
/// `None` when it is not there or says nothing; the longest duration for a number too large.
pub fn retry_after(fields: &HeaderMap, now: Time) -> Option<Duration> {
    let text = fields.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date.duration_since(now.wall()).unwrap_or_default());
    }
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| is_number)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_wait_is_read_in_every_form_graph_is_known_to_use() {
        let now = crate::clock::Clock::by_hand().now();
        for (text, wait) in [
            ("5", Some(Duration::from_secs(5))),
            ("2.128", Some(Duration::from_millis(2_128))),
            (" 7 ", Some(Duration::from_secs(7))),
            (
                "Thu, 01 Jan 2026 00:00:30 GMT",
                Some(Duration::from_secs(30)),
            ),
            ("Wed, 31 Dec 2025 00:00:00 GMT", Some(Duration::ZERO)),
            ("99999999999999999999999", Some(Duration::MAX)),
            ("-1", None),
            ("1e9", None),
            ("inf", None),
            ("soon", None),
            ("", None),
            (".", None),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(retry_after(&fields, now), wait, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
