//! The browser's question before a photo: Graph's to answer, or the proxy's where it is told so.

use std::fmt::Write as _;

use http::{Method, Request};
use http_body_util::Full;

use crate::support::{Reply, World};

const PAGE: &str = "https://app.example";
const ANSWER: [(&str, &str); 2] = [
    ("preflight", "answer"),
    (
        "preflight_origins",
        "https://app.example,http://localhost:3000",
    ),
];

async fn ask(world: &World, path: &str, fields: &[(&str, &str)]) -> Reply {
    let mut request = Request::options(format!("http://{}{path}", world.proxy.address));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    world
        .proxy
        .send(request.body(Full::default()).unwrap())
        .await
}

fn preflight<'a>(origin: &'a str, method: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("origin", origin),
        ("access-control-request-method", method),
        (
            "access-control-request-headers",
            "authorization,client-request-id",
        ),
    ]
}

/// How many requests Graph saw, preflights among them.
fn seen(world: &World) -> usize {
    world.graph.seen().len()
}

#[tokio::test]
async fn by_default_graph_answers() {
    let world = World::start().await;
    let path = format!("/v1.0/users/{}/photo/$value", world.person(0).id);
    let answer = ask(&world, &path, &preflight(PAGE, "GET")).await;
    assert_eq!((answer.status.as_u16(), seen(&world)), (200, 1));
}

#[tokio::test]
async fn a_photo_reads_preflight_from_a_known_page_is_answered_without_graph() {
    let world = World::with(&ANSWER, |_| {}).await;
    let id = world.person(0).id;
    for path in [
        format!("/v1.0/users/{id}/photo/$value"),
        format!("/beta/users/{id}/photos/48x48/$value"),
        format!("/v1.0/groups/{id}/photo"),
        "/v1.0/me/photos".to_owned(),
    ] {
        for (origin, method) in [(PAGE, "GET"), ("http://localhost:3000", "HEAD")] {
            let answer = ask(&world, &path, &preflight(origin, method)).await;
            assert_eq!(answer.status, 204, "{path}");
            for (name, value) in [
                ("access-control-allow-origin", origin),
                ("access-control-allow-methods", "GET, HEAD"),
                (
                    "access-control-allow-headers",
                    "authorization,client-request-id",
                ),
                ("access-control-max-age", "7200"),
                ("access-control-allow-credentials", ""),
                (
                    "vary",
                    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
                ),
            ] {
                assert_eq!(answer.field(name), value, "{path} {name}");
            }
        }
    }
    assert_eq!(seen(&world), 0);
}

#[tokio::test]
async fn every_other_preflight_is_graphs() {
    let world = World::with(&ANSWER, |_| {}).await;
    let photo = format!("/v1.0/users/{}/photo/$value", world.person(0).id);
    let mut long = "a".to_owned();
    for n in 0..300 {
        let _ = write!(long, ",x-{n}");
    }
    let known = preflight(PAGE, "GET");
    let [origin, method, _] = known;
    let photo = photo.as_str();
    let cases = [
        (
            "another origin",
            photo,
            preflight("https://evil.example", "GET").to_vec(),
        ),
        (
            "a longer host",
            photo,
            preflight("https://app.example.evil.example", "GET").to_vec(),
        ),
        (
            "another scheme",
            photo,
            preflight("http://app.example", "GET").to_vec(),
        ),
        (
            "no origin of its own",
            photo,
            preflight("null", "GET").to_vec(),
        ),
        ("a write", photo, preflight(PAGE, "PUT").to_vec()),
        ("a removal", photo, preflight(PAGE, "DELETE").to_vec()),
        ("a batch", "/v1.0/$batch", preflight(PAGE, "POST").to_vec()),
        ("another route", "/v1.0/me", known.to_vec()),
        ("an odd route", "/v1.0/me/photo/$value;x", known.to_vec()),
        ("no origin", photo, known[1..].to_vec()),
        ("no method", photo, vec![origin]),
        ("two origins", photo, vec![origin, origin, method]),
        (
            "odd names",
            photo,
            vec![origin, method, ("access-control-request-headers", "a;b")],
        ),
        (
            "too many names",
            photo,
            vec![
                origin,
                method,
                ("access-control-request-headers", long.as_str()),
            ],
        ),
    ];
    for (asked, (what, path, fields)) in cases.into_iter().enumerate() {
        ask(&world, path, &fields).await;
        assert_eq!(seen(&world), asked + 1, "{what}");
    }
}

#[tokio::test]
async fn a_preflight_touches_no_photo_and_no_proof() {
    let world = World::with(&ANSWER, |_| {}).await;
    let path = format!("/v1.0/users/{}/photo/$value", world.person(0).id);
    let token = format!("Bearer {}", world.token(0));
    let mut fields = preflight(PAGE, "GET").to_vec();
    fields.push(("authorization", &token));
    ask(&world, &path, &fields).await;
    assert_eq!(world.proxy.rooms.identity.proofs_held(), 0);
    assert_eq!(world.proxy.rooms.cache.held().0, 0);
    let first = world.get(&path, &world.token(0)).await;
    assert!(first.went_to_graph(), "{first:?}");
    // Nor is what is held shown to one.
    let after = ask(&world, &path, &fields).await;
    assert!(
        after.body.is_empty() && after.field("cache-status").is_empty(),
        "{after:?}"
    );
    assert_eq!(after.field("etag"), "");
}

#[tokio::test]
async fn a_photo_first_fetched_without_an_origin_is_readable_by_a_page() {
    let world = World::with(&ANSWER, |_| {}).await;
    let path = format!("/v1.0/users/{}/photo/$value", world.person(0).id);
    let token = world.token(0);
    let plain = world.get(&path, &token).await;
    assert_eq!(plain.status, 200);
    let hit = world.get(&path, &token).await;
    assert!(hit.is_hit() && hit.field("access-control-allow-origin").is_empty());
    assert_eq!(
        hit.field("vary"),
        "authorization, origin",
        "a copy of it is not for pages"
    );
    let request = world
        .proxy
        .request(Method::GET, &path, &token)
        .header("origin", PAGE);
    let page = world
        .proxy
        .send(request.body(Full::default()).unwrap())
        .await;
    assert!(page.is_hit());
    assert_eq!(page.field("access-control-allow-origin"), "*");
    assert!(
        page.field("access-control-expose-headers")
            .contains("Cache-Status")
    );
}
