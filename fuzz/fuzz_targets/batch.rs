//! Reading a batch, or Graph's answer to one, never fails, and no part of it is missed.
//!
//! Input: the body.

#![no_main]

use std::collections::HashSet;

use graph_photo_proxy::batch::{Answers, Batch, Wish, lenient};
use graph_photo_proxy::route::ApiVersion;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut outer = HeaderMap::new();
    outer.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let loosely = lenient::writes(data, ApiVersion::V1, &outer);
    if let Ok(batch) = Batch::read(data, ApiVersion::V1, &outer) {
        let json: serde_json::Value =
            serde_json::from_slice(data).expect("what is understood is JSON");
        let parts = json["requests"].as_array().expect("a batch has requests");
        assert_eq!(parts.len(), batch.parts.len());
        let ids: HashSet<String> = batch.parts.iter().map(|p| p.id.to_lowercase()).collect();
        assert_eq!(ids.len(), parts.len(), "an id twice");
        let writes = batch
            .parts
            .iter()
            .filter(|p| matches!(p.wish, Wish::Write(_)));
        // What the strict reading knows for a write, the lenient one must not miss.
        assert!(writes.count() <= loosely.map_or(usize::MAX, |writes| writes.len()));
        for (part, whole) in batch.parts.iter().zip(parts) {
            let text: serde_json::Value = serde_json::from_str(part.text).expect("a part is JSON");
            assert_eq!(text, *whole, "the parts are out of order");
        }
        if let Some(left) = batch.without(|part| matches!(part.wish, Wish::Photo(_))) {
            let left: serde_json::Value =
                serde_json::from_str(&left).expect("what is left is JSON");
            assert!(
                left["requests"]
                    .as_array()
                    .is_some_and(|left| left.len() <= parts.len())
            );
        }
    }
    let _ = Answers::read(data);
});
