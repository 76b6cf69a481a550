//! What a shared cache is told of Graph's own answers to photo requests: not to keep them. Pure.
//!
//! Graph says `private` or `no-cache` itself. Should an answer ever come without, or with
//! `public`, a cache between the caller and us might give one person's photo to another; so
//! this one word of Graph's is not handed on. All else of the answer is.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::cache::freshness::Directives;

/// Fields by which caches of one kind are told apart from all others (RFC 9213, and what came
/// before it): whatever they say, it is to a shared cache.
const TARGETED: [&str; 3] = [
    "cdn-cache-control",
    "surrogate-control",
    "cloudflare-cdn-cache-control",
];

/// Directives that only a shared cache reads.
const SHARED_ONLY: [&str; 3] = ["public", "s-maxage", "proxy-revalidate"];

/// Makes `private` what is neither that nor `no-store`.
pub fn forbid(fields: &mut HeaderMap) {
    for name in TARGETED {
        fields.remove(HeaderName::from_static(name));
    }
    let directives = Directives::of(fields);
    let says_shared = SHARED_ONLY.iter().any(|name| directives.has(name));
    // With an argument `private` is about the fields it names, not about the answer.
    let is_private = directives.is_bare("private") || directives.has("no-store");
    if is_private && !says_shared {
        return;
    }
    let mut kept = String::from("private");
    for value in fields.get_all(header::CACHE_CONTROL) {
        let Ok(text) = value.to_str() else { continue };
        for part in Directives::parts(text) {
            let name = part.split('=').next().unwrap_or(part).trim();
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if !(name.is_empty() || is("private") || SHARED_ONLY.iter().any(|other| is(other))) {
                kept.push_str(", ");
                kept.push_str(part.trim());
            }
        }
    }
    // What was a field value stays one.
    let kept = HeaderValue::try_from(kept).unwrap_or(HeaderValue::from_static("private"));
    fields.insert(header::CACHE_CONTROL, kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_tells_a_shared_cache_to_keep_it() {
        for (said, told) in [
            (&["private"][..], "private"),
            (&["no-store"], "no-store"),
            (&["private, max-age=5"], "private, max-age=5"),
            (&["Private,no-cache"], "Private,no-cache"),
            (&[], "private"),
            (&["public"], "private"),
            (&["no-cache"], "private, no-cache"),
            (&["max-age=60"], "private, max-age=60"),
            (&["PUBLIC, max-age=60"], "private, max-age=60"),
            (&["s-maxage=9, max-age=1"], "private, max-age=1"),
            (&["max-age=1", "public"], "private, max-age=1"),
            (&["private, public"], "private"),
            (&["no-store, public"], "private, no-store"),
            (&["private=\"set-cookie\""], "private"),
            (&["x=\"private\""], "private, x=\"private\""),
            (&["x=\"a, public, b\""], "private, x=\"a, public, b\""),
        ] {
            let mut fields = HeaderMap::new();
            for value in said {
                fields.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            fields.insert("cdn-cache-control", HeaderValue::from_static("max-age=60"));
            forbid(&mut fields);
            assert_eq!(fields[header::CACHE_CONTROL], told, "{said:?}");
            assert_eq!(fields.get_all(header::CACHE_CONTROL).iter().count(), 1);
            assert!(!fields.contains_key("cdn-cache-control"));
        }
    }
}
