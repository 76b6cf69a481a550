//! Preconditions of the caller, judged against what we would send (RFC 9110 §13). Pure.

use http::{HeaderMap, HeaderValue, header};

use crate::cache::etag::opaque;
use crate::cache::freshness::http_date;

/// Whether the caller already has what we would send (RFC 9110 §13.2.2, for GET and HEAD).
///
/// `If-None-Match` compares weakly, and where it is there `If-Modified-Since` is not looked at.
pub fn is_unchanged(
    request: &HeaderMap,
    etag: Option<&HeaderValue>,
    last_modified: Option<&HeaderValue>,
) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        return request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .any(|list| matches_any(list.as_bytes(), etag.map(HeaderValue::as_bytes)));
    }
    let Some(since) = request.get(header::IF_MODIFIED_SINCE).and_then(http_date) else {
        return false;
    };
    last_modified
        .and_then(http_date)
        .is_some_and(|modified| modified <= since)
}

/// Whether a list of entity tags holds this one, compared weakly (RFC 9110 §8.8.3.2). `*`
/// matches whatever there is.
fn matches_any(list: &[u8], etag: Option<&[u8]>) -> bool {
    let list = list.trim_ascii();
    if list == b"*" {
        return true;
    }
    // A tag that is not one by the grammar can still be sent back as it came.
    if etag.is_some_and(|etag| etag == list) {
        return true;
    }
    let Some(etag) = etag.map(opaque) else {
        return false;
    };
    tags(list).any(|tag| tag == etag)
}

/// The opaque parts, quotes included, of a list of entity tags.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|&byte| byte == b'"')?;
        let (_, from) = rest.split_at_checked(start)?;
        let inside = from.get(1..)?;
        let end = inside.iter().position(|&byte| byte == b'"')?;
        rest = inside.get(end + 1..)?;
        from.get(..end + 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_the_caller_holds_is_recognised_in_every_spelling() {
        let weak = HeaderValue::from_static("W/\"abc\"");
        for (list, unchanged) in [
            ("W/\"abc\"", true),
            ("\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"abcd\"", false),
            ("abc", false),
            ("", false),
            ("\"abc", false),
            ("\"x\",\"y,abc\"", false),
            ("\"x\" , ,\tW/\"abc\"", true),
            ("\"x\", *", false),
            ("\"ABC\"", false),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, HeaderValue::from_str(list).unwrap());
            assert_eq!(
                is_unchanged(&request, Some(&weak), None),
                unchanged,
                "{list}"
            );
        }
    }

    #[test]
    fn a_tag_that_is_none_by_the_grammar_is_recognised_when_it_comes_back_as_it_went() {
        for odd in ["abc", "\"a\", \"b\"", "'abc'"] {
            let odd = HeaderValue::from_str(odd).unwrap();
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, odd.clone());
            assert!(is_unchanged(&request, Some(&odd), None), "{odd:?}");
            request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
            assert!(!is_unchanged(&request, Some(&odd), None), "{odd:?}");
        }
    }

    #[test]
    fn of_several_fields_each_is_a_part_of_the_list() {
        let mut request = HeaderMap::new();
        for tag in ["\"a\"", "\"b\", \"c\""] {
            request.append(header::IF_NONE_MATCH, HeaderValue::from_static(tag));
        }
        for (tag, unchanged) in [("\"a\"", true), ("W/\"c\"", true), ("\"d\"", false)] {
            let etag = HeaderValue::from_static(tag);
            assert_eq!(
                is_unchanged(&request, Some(&etag), None),
                unchanged,
                "{tag}"
            );
        }
    }

    #[test]
    fn if_modified_since_counts_only_without_a_tag_condition() {
        let modified = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");
        let mut request = HeaderMap::new();
        request.insert(header::IF_MODIFIED_SINCE, modified.clone());
        assert!(is_unchanged(&request, None, Some(&modified)));
        request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert!(!is_unchanged(
            &request,
            Some(&HeaderValue::from_static("\"a\"")),
            Some(&modified)
        ));
    }
}
