//! The freshness sum against another's: the crate `http-cache-semantics`, as a private cache.
//!
//! Compared where both read the same rule. Left out: answers without an explicit lifetime
//! (theirs is a heuristic, ours the operator's), numbers in quotes (theirs are stale) and what
//! cannot be read (RFC 9111 §4.2.1 leaves the choice; ours is in the tables beside this file).

use std::time::SystemTime;

use http::{Request, Response};
use http_cache_semantics::{CacheOptions, CachePolicy};
use proptest::prelude::*;

use super::*;

fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn theirs(fields: &HeaderMap, received: SystemTime) -> CachePolicy {
    let mut response = Response::new(());
    *response.headers_mut() = fields.clone();
    let request = Request::get("https://graph.microsoft.com/v1.0/me/photo/$value");
    let options = CacheOptions {
        shared: false,
        ..CacheOptions::default()
    };
    CachePolicy::new_options(&request.body(()).unwrap(), &response, received, options)
}

/// Lines that give an explicit lifetime, with things around them that change nothing.
fn lines() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let now = NOW.unix_seconds();
    let max_age = (0_u64..5_000).prop_map(|age| vec![("cache-control", format!("max-age={age}"))]);
    let private =
        (0_u64..5_000).prop_map(|age| vec![("cache-control", format!("private, max-age={age}"))]);
    let expires = (0_u64..5_000, 0_u64..100_000).prop_map(move |(lifetime, ago)| {
        let made = now - ago;
        vec![("date", date(made)), ("expires", date(made + lifetime))]
    });
    let both = (0_u64..5_000, 0_u64..5_000).prop_map(move |(age, lifetime)| {
        vec![
            ("cache-control", format!("max-age={age}, x=\"max-age=9\"")),
            ("date", date(now)),
            ("expires", date(now + lifetime)),
        ]
    });
    let no_cache =
        (0_u64..5_000).prop_map(|age| vec![("cache-control", format!("no-cache, max-age={age}"))]);
    let must = (0_u64..5_000)
        .prop_map(|age| vec![("cache-control", format!("max-age={age}, must-revalidate"))]);
    let age = proptest::option::of(0_u64..3_000);
    (
        prop_oneof![max_age, private, expires, both, no_cache, must],
        age,
    )
        .prop_map(|(mut lines, age)| {
            lines.extend(age.map(|age| ("age", age.to_string())));
            lines
        })
}

proptest! {
    #[test]
    fn freshness_is_what_another_reader_of_the_rfc_makes_of_it(
        lines in lines(),
        later in 0_u64..10_000,
    ) {
        let lines: Vec<(&str, &str)> = lines.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let ours = stored(&config(), &lines);
        let theirs = theirs(&fields(&lines), NOW.wall());
        let now = NOW.plus(Duration::from_secs(later));
        prop_assert_eq!(ours.remaining(now), theirs.time_to_live(now.wall()));
        prop_assert_eq!(!ours.is_fresh(now), theirs.is_stale(now.wall()));
        prop_assert_eq!(ours.age(now), theirs.age(now.wall()));
    }
}
