//! A private cache per partition, as RFC 9111 has it: what is fresh, what is asked again and
//! how, what ends with a write, and what a caller may ask of it.

use std::time::Duration;

use http::Method;
use http_body_util::Full;

use crate::support::scripted::{Scripted, answer, ok, picture};
use crate::support::{Reply, World};

const PATH: &str = "/v1.0/users/megan@contoso.com/photo/$value";
const SIZED: &str = "/v1.0/users/megan@contoso.com/photos/48x48/$value";
const METADATA: &str = "/v1.0/users/megan@contoso.com/photo";
const HONOUR: (&str, &str) = ("upstream_directives", "honour");
const ASKED: (&str, &str) = ("caller_directives", "honour");

async fn get(to: &Scripted, fields: &[(&str, &str)]) -> Reply {
    with(to, Method::GET, PATH, fields).await
}

async fn with(to: &Scripted, method: Method, path: &str, fields: &[(&str, &str)]) -> Reply {
    let mut request = to.proxy.request(method, path, "token");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    to.proxy.send(request.body(Full::default()).unwrap()).await
}

/// Whether the second of two requests, so many seconds apart, is answered from memory.
async fn is_reused(settings: &[(&str, &str)], fields: &str, seconds: u64) -> bool {
    let settings = [settings, &[("proof_ttl", "2h")]].concat();
    let to = Scripted::new(&settings, vec![picture(fields, "0123456789")]).await;
    let first = get(&to, &[]).await;
    assert_eq!(first.status, 200, "{first:?}");
    to.clock.advance(Duration::from_secs(seconds));
    get(&to, &[]).await.is_hit()
}

#[tokio::test]
async fn an_answers_own_lifetime_rules_where_it_is_honoured_and_nowhere_else() {
    let expires = "Date: Thu, 01 Jan 2015 00:00:00 GMT\nExpires: Thu, 01 Jan 2015 00:01:00 GMT";
    for (fields, seconds, reused) in [
        ("Cache-Control: max-age=60", 59, true),
        ("Cache-Control: max-age=60, must-revalidate", 60, false),
        ("cache-control: MAX-AGE=60, Must-Revalidate", 60, false),
        ("Cache-Control: no-cache", 0, false),
        ("Cache-Control: max-age=0, must-revalidate", 0, false),
        ("Cache-Control: max-age=-1, must-revalidate", 0, false),
        (
            "Cache-Control: max-age=99999999999999999999, must-revalidate",
            7_000,
            true,
        ),
        ("Cache-Control: x=\"no-cache, max-age=0\"", 0, true),
        (
            "Cache-Control: max-age=60, stale-while-revalidate=0",
            60,
            false,
        ),
        (
            "Cache-Control: max-age=60, stale-while-revalidate=10",
            69,
            true,
        ),
        (
            "Cache-Control: max-age=60, stale-while-revalidate=10",
            70,
            false,
        ),
        (
            "Cache-Control: max-age=60, must-revalidate\nAge: 50",
            9,
            true,
        ),
        (
            "Cache-Control: max-age=60, must-revalidate\nAge: 50",
            10,
            false,
        ),
        (
            "Cache-Control: max-age=60, must-revalidate\nAge: old",
            59,
            true,
        ),
    ] {
        assert_eq!(
            is_reused(&[HONOUR], fields, seconds).await,
            reused,
            "{fields} {seconds}"
        );
    }
    let must = format!("{expires}\nCache-Control: must-revalidate");
    assert!(is_reused(&[HONOUR], &must, 59).await);
    assert!(!is_reused(&[HONOUR], &must, 60).await);
    for fields in [
        "Cache-Control: max-age=1, must-revalidate",
        "Cache-Control: no-cache",
    ] {
        assert!(
            is_reused(&[], fields, 1_800).await,
            "the operator's lifetime: {fields}"
        );
    }
    assert!(!is_reused(&[], "Cache-Control: no-store", 0).await);
}

#[tokio::test]
async fn what_varies_by_anything_outside_the_key_is_not_reused() {
    for vary in [
        "*",
        "Accept-Language",
        "X-Anything",
        "Cookie",
        "User-Agent",
        "Authorization",
    ] {
        assert!(!is_reused(&[], &format!("Vary: {vary}"), 0).await, "{vary}");
    }
    for vary in ["Accept-Encoding", "accept", "Origin, Accept"] {
        assert!(is_reused(&[], &format!("Vary: {vary}"), 0).await, "{vary}");
    }
}

#[tokio::test]
async fn the_stored_date_is_replayed_and_age_grows() {
    let date = "Thu, 01 Jan 2015 00:00:00 GMT";
    let fields = format!("Date: {date}\nAge: 100");
    let to = Scripted::new(&[], vec![picture(&fields, "0123456789")]).await;
    for age in [100, 130, 160] {
        let reply = get(&to, &[]).await;
        assert_eq!(reply.field("age"), age.to_string(), "{reply:?}");
        assert_eq!(reply.field("date"), date);
        to.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(to.count(), 1);
}

#[tokio::test]
async fn an_answer_without_a_date_is_dated_when_it_came() {
    let to = Scripted::new(&[], vec![picture("", "0123456789")]).await;
    for age in ["", "30"] {
        let reply = get(&to, &[]).await;
        assert_eq!(reply.field("date"), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(reply.field("age"), age, "{reply:?}");
        to.clock.advance(Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_stale_photo_is_revalidated_with_its_tag_exactly_as_received() {
    for tag in [
        "W/\"abc\"",
        "\"A19A6498\"",
        "unquoted",
        "\"a\", \"b\"",
        "\"\"",
    ] {
        let first = picture(&format!("ETag: {tag}"), "0123456789");
        let fields =
            "Content-Length: 3\nContent-Type: text/plain\nDate: Thu, 01 Jan 2026 05:00:00 GMT";
        let to = Scripted::new(&[], vec![first, answer(304, fields, "")]).await;
        get(&to, &[]).await;
        to.clock.advance(Duration::from_hours(3));
        let again = get(&to, &[]).await;
        assert_eq!(to.graph.seen()[1].values("if-none-match"), [tag]);
        assert_eq!(again.status, 200, "{again:?}");
        // Freshened, but for what describes the 304 itself.
        assert_eq!(
            (again.body.as_ref(), again.field("content-length")),
            (&b"0123456789"[..], "10")
        );
        assert_eq!(
            (again.field("etag"), again.field("content-type")),
            (tag, "image/jpeg")
        );
        assert_eq!(again.field("date"), "Thu, 01 Jan 2026 05:00:00 GMT");
        assert!(get(&to, &[]).await.is_hit());
        assert_eq!(to.count(), 2);
    }
}

#[tokio::test]
async fn a_photo_without_a_tag_is_revalidated_by_its_date() {
    let modified = "Wed, 31 Dec 2025 00:00:00 GMT";
    let first = picture(&format!("Last-Modified: {modified}"), "0123456789");
    let to = Scripted::new(&[], vec![first, answer(304, "", "")]).await;
    get(&to, &[]).await;
    let unchanged = get(&to, &[("if-modified-since", modified)]).await;
    assert_eq!(unchanged.status, 304, "{unchanged:?}");
    let earlier = [("if-modified-since", "Tue, 30 Dec 2025 00:00:00 GMT")];
    assert_eq!(get(&to, &earlier).await.status, 200);
    to.clock.advance(Duration::from_hours(3));
    assert_eq!(get(&to, &[]).await.body, "0123456789");
    let asked = &to.graph.seen()[1];
    assert_eq!(asked.values("if-modified-since"), [modified]);
    assert!(asked.values("if-none-match").is_empty());
}

#[tokio::test]
async fn a_photo_without_any_validator_gets_a_strong_tag_of_ours() {
    let to = Scripted::new(&[], vec![picture("", "0123456789")]).await;
    let first = get(&to, &[]).await;
    let tag = first.field("etag").to_owned();
    assert!(tag.starts_with("\"gpp-"), "{first:?}");
    for _ in 0..2 {
        let unchanged = get(&to, &[("if-none-match", &tag)]).await;
        assert_eq!(
            (unchanged.status.as_u16(), unchanged.field("etag")),
            (304, &*tag)
        );
        // Graph is asked for the whole of it, and the same bytes have the same tag.
        to.clock.advance(Duration::from_hours(30));
    }
    let seen = to.graph.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|asked| asked.values("if-none-match").is_empty())
    );
}

#[tokio::test]
async fn a_304_that_repeats_no_directive_leaves_them_as_they_were() {
    let first = picture(
        "ETag: \"a\"\nCache-Control: max-age=60, must-revalidate",
        "0123456789",
    );
    let to = Scripted::new(&[HONOUR], vec![first, answer(304, "", "")]).await;
    get(&to, &[]).await;
    for calls in 2..4 {
        to.clock.advance(Duration::from_secs(61));
        assert_eq!(get(&to, &[]).await.status, 200);
        assert_eq!(
            to.count(),
            calls,
            "fresh for a minute, and never used stale"
        );
        assert!(get(&to, &[]).await.is_hit());
    }
}

#[tokio::test]
async fn a_304_repeats_what_guides_a_cache_and_describes_no_body() {
    let fields = "ETag: \"a\"\nLast-Modified: Wed, 31 Dec 2025 00:00:00 GMT\nContent-Language: en";
    let to = Scripted::new(&[], vec![picture(fields, "0123456789")]).await;
    get(&to, &[]).await;
    for list in [
        "\"a\"",
        "W/\"a\"",
        "\"x\", \"a\"",
        "*",
        "\"x\",W/\"a\" , \"y\"",
    ] {
        let reply = get(&to, &[("if-none-match", list)]).await;
        assert_eq!(reply.status, 304, "{list}");
        assert!(reply.body.is_empty());
        for name in ["etag", "date", "vary", "cache-control", "cache-status"] {
            assert_ne!(reply.field(name), "", "{name} {reply:?}");
        }
        for name in [
            "content-type",
            "content-length",
            "content-language",
            "last-modified",
        ] {
            assert_eq!(reply.field(name), "", "{name} {reply:?}");
        }
    }
    for list in ["\"x\"", "a", "\"a", "\"A\""] {
        assert_eq!(
            get(&to, &[("if-none-match", list)]).await.status,
            200,
            "{list}"
        );
    }
}

#[tokio::test]
async fn a_200_with_the_same_tag_freshens_and_one_with_another_replaces() {
    let photo = |tag: &str, body: &str| picture(&format!("ETag: {tag}"), body);
    let answers = vec![
        photo("\"a\"", "0123456789"),
        photo("\"a\"", "0123456789"),
        photo("\"b\"", "new"),
    ];
    let to = Scripted::new(&[], answers).await;
    for (body, tag) in [
        ("0123456789", "\"a\""),
        ("0123456789", "\"a\""),
        ("new", "\"b\""),
    ] {
        for _ in 0..2 {
            let reply = get(&to, &[]).await;
            assert_eq!(
                (reply.body.as_ref(), reply.field("etag")),
                (body.as_bytes(), tag)
            );
        }
        to.clock.advance(Duration::from_hours(3));
    }
    assert_eq!(to.count(), 3);
}

#[tokio::test]
async fn a_304_that_says_no_store_ends_what_is_held() {
    let photo = picture("ETag: \"a\"", "0123456789");
    let to = Scripted::new(
        &[],
        vec![
            photo.clone(),
            answer(304, "Cache-Control: no-store", ""),
            photo,
        ],
    )
    .await;
    get(&to, &[]).await;
    to.clock.advance(Duration::from_hours(3));
    assert_eq!(get(&to, &[]).await.body, "0123456789");
    let third = get(&to, &[]).await;
    assert!(
        third.field("cache-status").contains("fwd=miss"),
        "{third:?}"
    );
    assert!(to.graph.seen()[2].values("if-none-match").is_empty());
}

#[tokio::test]
async fn a_head_is_answered_from_a_stored_get_and_never_the_reverse() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.person(1));
    let path = format!("/v1.0/users/{}/photo/$value", person.id);
    let head = world.proxy.head(&path, &token).await;
    assert!(
        head.field("cache-status").contains("fwd=method"),
        "{head:?}"
    );
    let get = world.get(&path, &token).await;
    assert!(get.went_to_graph() && !get.body.is_empty(), "{get:?}");
    let head = world.proxy.head(&path, &token).await;
    assert!(head.is_hit() && head.body.is_empty(), "{head:?}");
    for name in ["content-type", "content-length", "etag"] {
        assert_eq!(head.field(name), get.field(name), "{name}");
    }
}

#[tokio::test]
async fn what_must_be_revalidated_is_never_shown_when_graph_fails() {
    for (said, shown) in [
        ("max-age=60", true),
        ("max-age=60, stale-if-error=100", true),
        ("max-age=60, stale-if-error=10", false),
        ("max-age=60, must-revalidate", false),
        ("max-age=60, must-revalidate, stale-if-error=100", false),
        ("no-cache, stale-if-error=100", false),
    ] {
        let photo = picture(&format!("Cache-Control: {said}"), "0123456789");
        let settings = [HONOUR, ("stale_while_revalidate", "0s")];
        let to = Scripted::new(&settings, vec![photo, answer(500, "", "")]).await;
        get(&to, &[]).await;
        to.clock.advance(Duration::from_secs(90));
        let reply = get(&to, &[]).await;
        assert_eq!(
            reply.status,
            if shown { 200 } else { 500 },
            "{said} {reply:?}"
        );
    }
}

#[tokio::test]
async fn statuses_that_are_no_photo_are_never_kept_whatever_they_say() {
    for status in [
        201, 202, 203, 206, 226, 299, 300, 302, 403, 410, 451, 500, 599,
    ] {
        let fields = "Content-Type: image/jpeg\nCache-Control: max-age=600\nrequest-id: 1";
        let odd = answer(status, fields, "0123456789");
        let to = Scripted::new(&[HONOUR], vec![odd, picture("", "good")]).await;
        assert_eq!(get(&to, &[]).await.status, status);
        assert_eq!(get(&to, &[]).await.body, "good", "{status}");
    }
}

#[tokio::test]
async fn every_unsafe_method_that_succeeds_ends_every_size_and_one_that_fails_none() {
    for (method, status, ends) in [
        ("PUT", 200, true),
        ("PATCH", 204, true),
        ("POST", 201, true),
        ("DELETE", 200, true),
        ("FROB", 200, true),
        ("PUT", 302, true),
        ("PUT", 403, false),
        ("DELETE", 404, false),
        ("FROB", 405, false),
    ] {
        let photo = picture("ETag: \"a\"", "old");
        let place = "Location: /v1.0/users/megan@contoso.com/photos/48x48/$value\n\
                     Content-Location: /v1.0/users/megan@contoso.com/photo";
        let json = ok("Content-Type: application/json", r#"{"id":"1"}"#);
        let new = picture("ETag: \"b\"", "new");
        let answers = vec![photo.clone(), photo, json, answer(status, place, ""), new];
        let to = Scripted::new(&[], answers).await;
        for path in [PATH, SIZED, METADATA] {
            to.proxy.get(path, "token").await;
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(with(&to, method.clone(), PATH, &[]).await.status, status);
        for path in [PATH, SIZED] {
            let reply = to.proxy.get(path, "token").await;
            let body = if ends { "new" } else { "old" };
            assert_eq!(reply.body, body, "{method} {status} {path}");
        }
        let metadata = to.proxy.get(METADATA, "token").await;
        assert_eq!(metadata.is_hit(), !ends, "{method} {status} {metadata:?}");
    }
}

#[tokio::test]
async fn an_answer_for_one_query_never_serves_another() {
    let json = |id: &str| {
        ok(
            "Content-Type: application/json",
            &format!(r#"{{"id":"{id}"}}"#),
        )
    };
    let answers = (0..6).map(|n| json(&n.to_string())).collect();
    let to = Scripted::new(&[], answers).await;
    let queries = [
        "",
        "?$select=id",
        "?$select=id,width",
        "?%24select=height",
        "?x=1",
        "?$top=1",
    ];
    for (n, query) in queries.iter().enumerate() {
        let reply = to.proxy.get(&format!("{METADATA}{query}"), "token").await;
        assert_eq!(reply.json()["id"], n.to_string(), "{query}");
    }
}

#[tokio::test]
async fn a_caller_may_ask_for_graphs_word_where_the_operator_lets_it() {
    for (fields, status, hit) in [
        (&[("cache-control", "no-cache")][..], 200, false),
        (&[("pragma", "no-cache")], 200, false),
        (&[("pragma", "no-cache"), ("cache-control", "x")], 200, true),
        (&[("cache-control", "max-age=0")], 200, false),
        (&[("cache-control", "max-age=29")], 200, false),
        (&[("cache-control", "max-age=30")], 200, true),
        (&[("cache-control", "min-fresh=30")], 200, true),
        (&[("cache-control", "min-fresh=31")], 200, false),
        (&[("cache-control", "only-if-cached")], 200, true),
        (
            &[("cache-control", "only-if-cached, max-age=1")],
            504,
            false,
        ),
        (&[("cache-control", "no-store")], 200, true),
    ] {
        let photo = picture("ETag: \"a\"\nCache-Control: max-age=60", "0123456789");
        let to = Scripted::new(&[HONOUR, ASKED], vec![photo]).await;
        get(&to, &[]).await;
        to.clock.advance(Duration::from_secs(30));
        let reply = get(&to, fields).await;
        assert_eq!(reply.status, status, "{fields:?} {reply:?}");
        assert_eq!(reply.is_hit(), hit, "{fields:?} {reply:?}");
        if !hit && status == 200 {
            assert!(
                reply.field("cache-status").contains("fwd=request"),
                "{reply:?}"
            );
        }
        let asked = if hit || status == 504 { 1 } else { 2 };
        assert_eq!(to.count(), asked, "{fields:?}");
        // By default none of it counts.
        let to = Scripted::new(&[], vec![picture("ETag: \"a\"", "0123456789")]).await;
        get(&to, &[]).await;
        assert!(get(&to, fields).await.is_hit(), "{fields:?}");
    }
}

#[tokio::test]
async fn a_caller_may_take_stale_photos_unless_graph_forbids_it() {
    for (said, asked, hit) in [
        ("max-age=60", "max-stale", true),
        ("max-age=60", "max-stale=30", true),
        ("max-age=60", "max-stale=29", false),
        ("max-age=60", "", false),
        ("max-age=60, must-revalidate", "max-stale", false),
    ] {
        let photo = picture(&format!("Cache-Control: {said}"), "0123456789");
        let settings = [HONOUR, ASKED, ("stale_while_revalidate", "0s")];
        let to = Scripted::new(&settings, vec![photo]).await;
        get(&to, &[]).await;
        to.clock.advance(Duration::from_secs(90));
        let reply = get(&to, &[("cache-control", asked)]).await;
        assert_eq!(reply.is_hit(), hit, "{said} / {asked} {reply:?}");
    }
}

#[tokio::test]
async fn only_if_cached_is_504_without_asking_and_tells_nothing_of_others() {
    let to = Scripted::new(&[ASKED], vec![picture("ETag: \"a\"", "0123456789")]).await;
    let only = [("cache-control", "only-if-cached")];
    let cold = get(&to, &only).await;
    assert_eq!((cold.status.as_u16(), to.count()), (504, 0), "{cold:?}");
    assert_eq!(
        cold.field("cache-status"),
        "graph-photo-proxy; detail=only-if-cached"
    );
    assert_eq!(
        cold.field("proxy-status"),
        "graph-photo-proxy; error=proxy_internal_response"
    );
    get(&to, &[]).await;
    assert_eq!(get(&to, &only).await.body, "0123456789");
    // Somebody else, for whom Graph has not spoken: the very same 504.
    let request = to
        .proxy
        .request(Method::GET, PATH, "another")
        .header(only[0].0, only[0].1);
    let other = to.proxy.send(request.body(Full::default()).unwrap()).await;
    assert_eq!(
        (other.status, other.field("cache-status")),
        (cold.status, cold.field("cache-status"))
    );
    assert_eq!(to.count(), 1);
}

#[tokio::test]
async fn what_a_caller_says_is_not_to_be_stored_is_not() {
    let to = Scripted::new(&[ASKED], vec![picture("ETag: \"a\"", "0123456789")]).await;
    for count in 1..3 {
        let reply = get(&to, &[("cache-control", "no-store")]).await;
        assert_eq!(reply.body, "0123456789");
        assert!(
            reply
                .field("cache-status")
                .contains("detail=request-no-store"),
            "{reply:?}"
        );
        assert_eq!(to.count(), count);
    }
}
