//! Promise 7: every photo answer says what happened to it, and every error of ours who made it.

use std::time::Duration;

use graph_photo_proxy::demo::{Fault, RetryAfter};
use http::Method;
use http_body_util::Full;

use crate::support::scripted::{Scripted, answer, picture};
use crate::support::{Reply, World, raw};

const PATH: &str = "/v1.0/users/megan@contoso.com/photo/$value";

/// One `Cache-Status` member of ours: the name, then parameters known to RFC 9211 §2.
fn is_told(reply: &Reply) -> bool {
    let field = reply.field("cache-status");
    let mut parts = field.split("; ");
    let named = parts.next() == Some("graph-photo-proxy");
    let known = [
        "hit",
        "fwd",
        "fwd-status",
        "ttl",
        "stored",
        "collapsed",
        "key",
        "detail",
    ];
    named && parts.all(|part| known.contains(&part.split('=').next().unwrap_or_default()))
}

/// Whether no shared cache may keep it (RFC 9111 §3, §5.2.2).
fn is_private(reply: &Reply) -> bool {
    let said = reply.field("cache-control").to_ascii_lowercase();
    let words: Vec<&str> = said.split(',').map(str::trim).collect();
    (words.contains(&"private") || words.contains(&"no-store"))
        && !words
            .iter()
            .any(|word| *word == "public" || word.starts_with("s-maxage"))
}

#[tokio::test]
async fn every_photo_answer_says_what_happened_and_is_for_its_caller_alone() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.person(1));
    let path = format!("/v1.0/users/{}/photo/$value", person.id);
    let faceless = format!("/v1.0/users/{}/photo/$value", world.faceless().id);
    let mut replies = Vec::new();
    for (token, path) in [
        (&*token, &path),
        (&token, &path),
        ("", &path),
        ("not-a-token", &path),
        (&token, &faceless),
        (&token, &faceless),
    ] {
        replies.push(world.get(path, token).await);
    }
    for (name, value) in [
        ("range", "bytes=0-1"),
        ("range", "bytes=99999999-"),
        ("if-none-match", "*"),
    ] {
        let request = world
            .proxy
            .request(Method::GET, &path, &token)
            .header(name, value);
        replies.push(
            world
                .proxy
                .send(request.body(Full::default()).unwrap())
                .await,
        );
    }
    replies.push(world.proxy.head(&path, &token).await);
    let fresh = format!("/v1.0/users/{}/photos/48x48/$value", person.id);
    for fault in [
        Fault::Status(403),
        Fault::Status(500),
        Fault::Redirect("https://example.com/".to_owned()),
        Fault::CaptiveGateway,
        Fault::Garbage,
        Fault::ClaimsChallenge,
    ] {
        world.graph.next(fault);
        replies.push(world.get(&fresh, &world.token(2)).await);
    }
    world
        .graph
        .throttle_for(Duration::from_secs(30), RetryAfter::Seconds);
    for _ in 0..2 {
        replies.push(world.get(&fresh, &world.token(3)).await);
    }
    let mut statuses: Vec<u16> = Vec::new();
    for reply in &replies {
        assert!(is_told(reply), "{reply:?}");
        assert!(is_private(reply), "{reply:?}");
        statuses.push(reply.status.as_u16());
    }
    for status in [200, 206, 302, 304, 401, 403, 404, 416, 429, 500, 502] {
        assert!(
            statuses.contains(&status),
            "{status} was not tried: {statuses:?}"
        );
    }
}

#[tokio::test]
async fn no_word_of_graphs_lets_a_shared_cache_keep_a_photo() {
    for said in [
        "Cache-Control: public, max-age=600",
        "Cache-Control: s-maxage=600",
        "Cache-Control: max-age=600\nCache-Control: public",
        "Cache-Control: private=\"x\", max-age=600",
        "Expires: Thu, 01 Jan 2099 00:00:00 GMT",
        "CDN-Cache-Control: max-age=600",
        "Surrogate-Control: max-age=600",
        "",
    ] {
        for status in [200, 401, 403, 404, 500] {
            // Relayed as it is: 404 and 200 of a type that is not stored.
            let fields = format!("Content-Type: text/html\n{said}");
            for token in ["token", ""] {
                let to = Scripted::new(&[], vec![answer(status, &fields, "x")]).await;
                let reply = to.proxy.get(PATH, token).await;
                assert_eq!(reply.status, status);
                assert!(is_private(&reply), "{said} {reply:?}");
                assert_eq!(reply.field("cdn-cache-control"), "", "{reply:?}");
                assert_eq!(reply.field("surrogate-control"), "", "{reply:?}");
            }
        }
        let to = Scripted::new(&[], vec![picture(said, "0123456789")]).await;
        for _ in 0..2 {
            let reply = to.proxy.get(PATH, "token").await;
            assert!(is_private(&reply), "{said} {reply:?}");
        }
    }
}

#[tokio::test]
async fn what_graph_says_of_its_own_caches_is_kept_before_ours() {
    let fields = "Content-Type: text/html\nCache-Status: Edge; hit";
    let to = Scripted::new(&[], vec![answer(200, fields, "x")]).await;
    let reply = to.proxy.get(PATH, "token").await;
    let all: Vec<_> = reply.headers.get_all("cache-status").iter().collect();
    assert_eq!(all.len(), 2, "{reply:?}");
    assert_eq!(all[0], "Edge; hit");
    assert!(
        all[1]
            .to_str()
            .unwrap()
            .starts_with("graph-photo-proxy; fwd="),
        "{reply:?}"
    );
}

#[tokio::test]
async fn the_words_of_cache_status_are_those_of_what_happened() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.person(1));
    let path = format!("/v1.0/users/{}/photo", person.id);
    let miss = world.get(&path, &token).await;
    let said = miss.field("cache-status");
    assert!(
        said.starts_with("graph-photo-proxy; fwd=miss; fwd-status=200; stored; ttl="),
        "{said}"
    );
    let hit = world.get(&path, &token).await;
    let said = hit.field("cache-status");
    assert!(said.starts_with("graph-photo-proxy; hit; ttl="), "{said}");
    let request = world
        .proxy
        .request(Method::GET, &path, &token)
        .header("accept", "application/json;odata.metadata=full");
    let other = world
        .proxy
        .send(request.body(Full::default()).unwrap())
        .await;
    assert!(
        other.field("cache-status").contains("fwd=vary-miss"),
        "{other:?}"
    );
    let none = world.get(&path, "").await;
    let said = none.field("cache-status");
    assert!(
        said.contains("fwd=bypass; fwd-status=401; detail=no-credential"),
        "{said}"
    );
    world.later(Duration::from_hours(3));
    let stale = world.get(&path, &token).await;
    // The token's proof has ended with the hours: nothing is said of what is held.
    assert!(!stale.is_hit(), "{stale:?}");
}

#[tokio::test]
async fn the_key_is_named_only_when_the_operator_says_so_and_says_what_was_asked() {
    let off = World::start().await;
    let (token, person) = (off.token(0), off.person(1));
    let path = format!("/v1.0/users/{}/photo/$value", person.id);
    assert!(
        !off.get(&path, &token)
            .await
            .field("cache-status")
            .contains("key")
    );
    let to = Scripted::new(
        &[("cache_status_key", "true")],
        vec![picture("", "0123456789")],
    )
    .await;
    for (asked, named) in [
        (
            "/v1.0/Users/Megan@contoso.com/Photos/48X48/%24value",
            "/v1.0/users/megan@contoso.com/photos/48x48/$value",
        ),
        ("/beta/me/photo/$value", "/beta/me/photo/$value"),
        (
            "/v1.0/users/x%23EXT%23@contoso.com/photo/$value",
            "/v1.0/users/x%23ext%23@contoso.com/photo/$value",
        ),
    ] {
        for _ in 0..2 {
            let reply = to.proxy.get(asked, "token").await;
            let said = reply.field("cache-status");
            assert!(said.contains(&format!("; key=\"{named}\"")), "{said}");
        }
    }
}

#[tokio::test]
async fn every_error_of_ours_says_so_in_proxy_status() {
    let world = World::start().await;
    let address = world.proxy.address;
    let long = "x".repeat(70_000);
    for (request, error) in [
        (
            "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            "http_request_error",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
            "http_request_error",
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "http_request_denied",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned(),
            "http_request_denied",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "http_request_error",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\n\r\n".to_owned(),
            "http_request_error",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n".to_owned(),
            "http_request_error",
        ),
    ] {
        let said = raw::exchange(address, request.as_bytes())
            .await
            .to_ascii_lowercase();
        let told = format!("proxy-status: graph-photo-proxy; error={error}");
        let start = request.get(..60.min(request.len())).unwrap();
        assert!(said.contains(&told), "{start}\n{said}");
    }
}
