//! Fields of callers and of Graph, whatever is in them: nothing panics, a part lies within its
//! whole, and what may not be stored is not.
//!
//! Input: lines of `name: value`.

#![no_main]

use graph_photo_proxy::cache::freshness::{Directives, Freshness};
use graph_photo_proxy::cache::{CallerDirectives, Demand, Kind, admission};
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::render::{preconditions, ranges};
use graph_photo_proxy::route::View;
use graph_photo_proxy::upstream::retry_after;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut fields = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(40) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value[1..].trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            fields.append(name, value);
        }
    }
    let now = Clock::by_hand().now();
    let _ = retry_after(&fields, now);
    let _ = Demand::of(&fields, CallerDirectives::Honour);
    how_long_it_is_good_for_is_bounded(&fields);
    what_may_not_be_stored_is_not(&fields);
    a_part_lies_within_its_whole(&fields);
    let etag = HeaderValue::from_static("W/\"abc\"");
    let _ = preconditions::is_unchanged(&fields, Some(&etag), fields.get(header::LAST_MODIFIED));
});

fn how_long_it_is_good_for_is_bounded(fields: &HeaderMap) {
    let settings = [("upstream_directives", "honour")];
    let config = Config::with(settings)
        .expect("the settings are right")
        .cache;
    for kind in [Kind::Media, Kind::Json, Kind::Absent] {
        let freshness = Freshness::of(&config, kind, fields, Clock::by_hand().now(), 1.0);
        // RFC 9111 §1.2.2, and a tenth of the operator's own.
        assert!(freshness.lifetime.as_secs() <= 1 << 31);
        assert!(freshness.initial_age.as_secs() <= 1 << 31);
    }
}

fn what_may_not_be_stored_is_not(fields: &HeaderMap) {
    let no_store = fields.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split(',')
            .any(|part| part.trim().eq_ignore_ascii_case("no-store") && !text.contains('"'))
    });
    assert!(!no_store || Directives::of(fields).has("no-store"));
    for view in [View::Media, View::Metadata, View::List] {
        for status in [200, 203, 204, 206, 301, 304, 401, 403, 404, 410, 429, 500] {
            let status = StatusCode::from_u16(status).expect("a status");
            let judged = admission::judge_head(view, status, fields);
            if judged.is_ok() {
                assert!(status == StatusCode::OK || status == StatusCode::NOT_FOUND);
                assert!(!no_store);
                assert!(!fields.contains_key(header::CONTENT_RANGE));
            }
        }
    }
}

fn a_part_lies_within_its_whole(fields: &HeaderMap) {
    let etag = HeaderValue::from_static("\"abc\"");
    for length in [0, 1, 100, u64::MAX] {
        let of = ranges::Of {
            length,
            etag: Some(&etag),
            last_modified: fields.get(header::LAST_MODIFIED),
            date: fields.get(header::DATE),
        };
        if let ranges::Ranged::Part { first, last } = ranges::judge(fields, of) {
            assert!(first <= last && last < length);
        }
    }
}
