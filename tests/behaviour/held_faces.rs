//! A face that is held for a caller is never missing, whatever happens to Graph meanwhile.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::demo::{Fault, RetryAfter};
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::attack::photo;
use crate::support::{Reply, World};

const FACES: usize = 3;

/// What happens to Graph.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Wait,
    WaitUnnamed,
    Status(u16),
    Closes,
    Noise,
    CutsBodies,
}

const TROUBLES: [Trouble; 9] = [
    Trouble::None,
    Trouble::Wait,
    Trouble::WaitUnnamed,
    Trouble::Status(429),
    Trouble::Status(503),
    Trouble::Status(504),
    Trouble::Closes,
    Trouble::Noise,
    Trouble::CutsBodies,
];

/// How old the photos are when it happens, in seconds: new; in the tenth in which they are
/// refreshed ahead; stale; so stale that they are shown only where Graph cannot be had.
const AGES: [u64; 4] = [60, 3_500, 4_200, 9_000];

fn begins(world: &World, trouble: Trouble) {
    let graph = &world.graph;
    match trouble {
        Trouble::None => {}
        Trouble::Wait => graph.throttle_for(Duration::from_secs(60), RetryAfter::Seconds),
        Trouble::WaitUnnamed => graph.throttle_for(Duration::from_secs(60), RetryAfter::Absent),
        Trouble::Status(status) => graph.on("/", Fault::Status(status)),
        Trouble::Closes => graph.on("/", Fault::Close),
        Trouble::Noise => graph.on("/", Fault::Garbage),
        Trouble::CutsBodies => graph.on("/", Fault::CutBody(20)),
    }
}

async fn page(world: &World, token: &str) -> Vec<Reply> {
    let mut faces = JoinSet::new();
    for n in 1..=FACES {
        let path = photo(&world.person(n));
        faces.spawn(world.proxy.getting(&path, token));
    }
    faces.join_all().await
}

async fn batch(world: &World, token: &str) -> Vec<u64> {
    let part = |n| {
        let url = format!("/users/{}/photo/$value", world.person(n).id);
        json!({"id": n.to_string(), "method": "GET", "url": url})
    };
    let parts: Vec<Value> = (1..=FACES).map(part).collect();
    let text = json!({ "requests": parts }).to_string();
    let request = world.proxy.request(Method::POST, "/v1.0/$batch", token);
    let request = request.header("content-type", "application/json");
    let answer = world
        .proxy
        .send(request.body(Full::new(Bytes::from(text))).unwrap())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let parts = json.get("responses").and_then(Value::as_array).unwrap();
    let status = |part: &Value| part.get("status").and_then(Value::as_u64).unwrap();
    parts.iter().map(status).collect()
}

/// Holds a page of faces for one token, lets them grow old, has Graph say once more that the
/// token is good, and then lets trouble begin.
async fn held_then(world: &World, token: &str, age: u64, trouble: Trouble) {
    for reply in page(world, token).await {
        assert_eq!(reply.status, 200);
    }
    world.later(Duration::from_secs(age));
    // Another face: the proof is young, and nothing else is.
    let other = photo(&world.person(FACES + 1));
    assert_eq!(world.get(&other, token).await.status, 200);
    begins(world, trouble);
}

#[tokio::test]
async fn no_face_that_is_held_is_missing_whatever_happens_to_graph() {
    for (n, trouble) in TROUBLES.into_iter().enumerate() {
        for (m, age) in AGES.into_iter().enumerate() {
            let sharing = ["token", "verified", "tenant"][(n + m) % 3];
            let world = World::with(&[("sharing", sharing)], |_| {}).await;
            let token = world.long_lived();
            held_then(&world, &token, age, trouble).await;
            // Again and later: what was asked behind the first has failed by then.
            for later in [0, 30, 400] {
                world.later(Duration::from_secs(later));
                let seen = format!("{sharing} {trouble:?} {age} +{later}");
                for reply in page(&world, &token).await {
                    let face = reply.status == 200 && reply.mark().is_some();
                    assert!(face, "{seen}: {reply:?}");
                }
                assert_eq!(batch(&world, &token).await, [200; FACES], "{seen}");
            }
        }
    }
}

#[tokio::test]
async fn a_face_that_is_not_held_takes_none_that_is_from_a_batch() {
    for (trouble, told) in [
        (Trouble::Wait, 429),
        (Trouble::Status(429), 429),
        (Trouble::Status(503), 503),
        (Trouble::Status(500), 502),
        (Trouble::Closes, 502),
        (Trouble::Noise, 502),
    ] {
        let world = World::start().await;
        let token = world.long_lived();
        for n in 1..FACES {
            assert_eq!(
                world.get(&photo(&world.person(n)), &token).await.status,
                200
            );
        }
        begins(&world, trouble);
        let mut wanted = [200; FACES];
        wanted[FACES - 1] = told;
        for _ in 0..2 {
            assert_eq!(batch(&world, &token).await, wanted, "{trouble:?}");
        }
    }
}
