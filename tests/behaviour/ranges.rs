//! Promise 5, of parts: a range is exactly the bytes it names, and anything odd is the whole.

use bytes::Bytes;
use http::Method;
use http_body_util::Full;

use crate::support::scripted::{Scripted, answer, picture};
use crate::support::{Reply, World};

const PATH: &str = "/v1.0/users/megan@contoso.com/photo/$value";

/// A range of [`PATH`].
async fn part(to: &Scripted, method: Method, fields: &[(&str, &str)]) -> Reply {
    let mut request = to.proxy.request(method, PATH, "token");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    to.proxy.send(request.body(Full::default()).unwrap()).await
}

async fn ten(tag: &str) -> Scripted {
    let to = Scripted::new(&[], vec![picture(tag, "0123456789")]).await;
    let whole = to.proxy.get(PATH, "token").await;
    assert_eq!(whole.body, "0123456789", "{whole:?}");
    assert_eq!(whole.field("accept-ranges"), "bytes", "{whole:?}");
    to
}

#[tokio::test]
async fn a_single_range_of_a_held_photo_is_answered_with_206() {
    let to = ten("ETag: \"a\"").await;
    for (range, body, told) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
        ("bytes=8-99999999999999999999999", "89", "bytes 8-9/10"),
        ("bytes=-99999999999999999999", "0123456789", "bytes 0-9/10"),
    ] {
        let reply = part(&to, Method::GET, &[("range", range)]).await;
        assert_eq!(reply.status, 206, "{range} {reply:?}");
        assert!(reply.is_hit(), "{range} {reply:?}");
        assert_eq!(reply.body, body, "{range}");
        assert_eq!(reply.field("content-range"), told, "{range}");
        assert_eq!(reply.field("content-length"), body.len().to_string());
        assert_eq!(reply.field("content-type"), "image/jpeg");
        assert_eq!(reply.field("etag"), "\"a\"");
    }
    assert_eq!(to.count(), 1, "ranges of what is held cost nothing");
}

#[tokio::test]
async fn a_range_beyond_the_end_is_answered_with_416_and_the_length() {
    let to = ten("ETag: \"a\"").await;
    for range in [
        "bytes=10-",
        "bytes=10-11",
        "bytes=-0",
        "bytes=18446744073709551616-",
    ] {
        let reply = part(&to, Method::GET, &[("range", range)]).await;
        assert_eq!(reply.status, 416, "{range} {reply:?}");
        assert_eq!(reply.field("content-range"), "bytes */10", "{range}");
        assert_eq!(reply.json()["error"]["code"], "invalidRange", "{range}");
        assert!(reply.is_hit(), "{reply:?}");
        assert_eq!(
            reply.field("proxy-status"),
            "graph-photo-proxy; error=http_request_error"
        );
    }
}

#[tokio::test]
async fn several_ranges_and_what_cannot_be_read_are_answered_whole() {
    let to = ten("ETag: \"a\"").await;
    for range in [
        "bytes=0-1,3-4",
        "bytes=5-2",
        "bytes=x",
        "chunks=0-1",
        "bytes=-",
    ] {
        let reply = part(&to, Method::GET, &[("range", range)]).await;
        assert_eq!(reply.status, 200, "{range} {reply:?}");
        assert_eq!(reply.body, "0123456789", "{range}");
        assert_eq!(reply.field("content-range"), "", "{range}");
    }
}

#[tokio::test]
async fn if_range_is_compared_strongly() {
    let strong = ten("ETag: \"a\"").await;
    let weak = ten("ETag: W/\"a\"").await;
    for (to, condition, status) in [
        (&strong, "\"a\"", 206),
        (&strong, "\"b\"", 200),
        (&strong, "W/\"a\"", 200),
        (&weak, "W/\"a\"", 200),
        (&weak, "\"a\"", 200),
    ] {
        let fields = [("range", "bytes=0-1"), ("if-range", condition)];
        let reply = part(to, Method::GET, &fields).await;
        assert_eq!(reply.status, status, "{condition} {reply:?}");
    }
}

#[tokio::test]
async fn a_photo_that_is_unchanged_is_304_whatever_range_is_asked_for() {
    let to = ten("ETag: \"a\"").await;
    for range in ["bytes=0-1", "bytes=99-"] {
        let fields = [("range", range), ("if-none-match", "\"a\"")];
        let reply = part(&to, Method::GET, &fields).await;
        assert_eq!(reply.status, 304, "{reply:?}");
    }
}

#[tokio::test]
async fn a_head_knows_no_ranges() {
    let to = ten("ETag: \"a\"").await;
    for range in ["bytes=0-1", "bytes=99-"] {
        let reply = part(&to, Method::HEAD, &[("range", range)]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.field("content-length"), "10");
    }
}

#[tokio::test]
async fn a_range_of_what_is_not_held_fetches_and_keeps_the_whole() {
    let to = Scripted::new(&[], vec![picture("ETag: \"a\"", "0123456789")]).await;
    let reply = part(&to, Method::GET, &[("range", "bytes=2-3")]).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.body),
        (206, &Bytes::from("23"))
    );
    let seen = to.graph.seen();
    assert!(seen.iter().all(|asked| asked.values("range").is_empty()));
    let whole = to.proxy.get(PATH, "token").await;
    assert!(whole.is_hit(), "{whole:?}");
    assert_eq!(whole.body, "0123456789");
}

#[tokio::test]
async fn a_part_that_graph_sends_is_never_kept_as_the_photo() {
    let part_of = |status| {
        let fields = "Content-Type: image/jpeg\nContent-Range: bytes 0-1/10\nETag: \"a\"";
        answer(status, fields, "01")
    };
    for status in [206, 200] {
        let good = picture("ETag: \"a\"", "0123456789");
        let to = Scripted::new(&[], vec![part_of(status), good]).await;
        let odd = to.proxy.get(PATH, "token").await;
        assert!(!odd.field("cache-status").contains("stored"), "{odd:?}");
        let next = to.proxy.get(PATH, "token").await;
        assert_eq!(next.body, "0123456789", "{next:?}");
    }
}

#[tokio::test]
async fn an_error_and_no_photo_have_no_parts() {
    let world = World::start().await;
    let (token, faceless) = (world.token(0), world.faceless());
    let path = format!("/v1.0/users/{}/photo/$value", faceless.id);
    for _ in 0..2 {
        let request = world
            .proxy
            .request(Method::GET, &path, &token)
            .header("range", "bytes=0-1")
            .body(Full::default())
            .unwrap();
        let reply = world.proxy.send(request).await;
        assert_eq!(reply.status, 404, "{reply:?}");
        assert_eq!(reply.field("content-range"), "");
    }
}
