//! The first word about a token: of a page whose faces are held, Graph is asked for one.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::attack::{forged, photo, photo_by_name, until};
use crate::support::{Reply, World};

const FACES: usize = 12;

/// Asks for all of these at once with one token; Graph answers once `first` of them have come
/// to it.
async fn page(world: &World, paths: &[String], token: &str, first: u64) -> Vec<Reply> {
    world.graph.clear_seen();
    let hold = world.graph.hold();
    let mut faces = JoinSet::new();
    for path in paths {
        faces.spawn(world.proxy.getting(path, token));
    }
    until("the first question", || world.graph.count() >= first).await;
    hold.release();
    faces.join_all().await
}

fn paths(world: &World) -> Vec<String> {
    (1..=FACES).map(|n| photo(&world.person(n))).collect()
}

async fn tenant() -> World {
    World::with(&[("sharing", "tenant")], |graph| graph.people = 40).await
}

/// Holds a page of faces, by a colleague's token.
async fn warm(world: &World, paths: &[String], token: &str) {
    for path in paths {
        assert_eq!(world.get(path, token).await.status, 200);
    }
}

/// A tenant in which a page of faces is held.
async fn held_page() -> (World, Vec<String>) {
    let world = tenant().await;
    let paths = paths(&world);
    warm(&world, &paths, &world.token(0)).await;
    (world, paths)
}

#[tokio::test]
async fn a_page_of_held_faces_costs_a_new_token_of_the_tenant_one_call() {
    let (world, paths) = held_page().await;
    let replies = page(&world, &paths, &world.token(20), 1).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(replies.iter().filter(|reply| reply.is_hit()).count(), 11);
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn switched_off_each_face_of_a_page_is_asked_for_with_a_new_token() {
    let settings = [
        ("sharing", "tenant"),
        ("first_word", "false"),
        ("upstream_concurrency", "64"),
    ];
    let world = World::with(&settings, |graph| graph.people = 40).await;
    let paths = paths(&world);
    warm(&world, &paths, &world.token(0)).await;
    let replies = page(&world, &paths, &world.token(20), 12).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(world.graph.count(), 12);
}

#[tokio::test]
async fn a_page_of_held_faces_costs_a_refreshed_token_one_call() {
    for sharing in ["token", "verified"] {
        let world = World::with(&[("sharing", sharing)], |graph| graph.people = 40).await;
        let (paths, token) = (paths(&world), world.token(0));
        warm(&world, &paths, &token).await;
        let token = if sharing == "token" {
            token
        } else {
            world.fresh_token(0)
        };
        world.later(Duration::from_mins(16));
        let replies = page(&world, &paths, &token, 1).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
        assert_eq!(world.graph.count(), 1, "{sharing}");
    }
}

#[tokio::test]
async fn a_page_by_both_kinds_of_name_costs_two_calls() {
    let world = tenant().await;
    let names = (1..=FACES).map(|n| match n % 2 {
        0 => photo(&world.person(n)),
        _ => photo_by_name(&world.person(n)),
    });
    let paths: Vec<String> = names.collect();
    warm(&world, &paths, &world.token(0)).await;
    let replies = page(&world, &paths, &world.token(20), 1).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(world.graph.count(), 2);
}

#[tokio::test]
async fn a_face_that_must_be_asked_for_anyway_brings_the_first_word() {
    for sharing in ["token", "verified", "tenant"] {
        let world = World::with(&[("sharing", sharing)], |graph| graph.people = 40).await;
        let (paths, first) = (paths(&world), world.token(0));
        warm(&world, &paths, &first).await;
        // A token that may be given what is held, once Graph has accepted it.
        let token = match sharing {
            "token" => first,
            "verified" => world.fresh_token(0),
            _ => world.token(20),
        };
        world.later(Duration::from_mins(16));
        world.graph.clear_seen();
        let hold = world.graph.hold();
        let cold = photo(&world.person(FACES + 1));
        let mut faces = JoinSet::new();
        let mut ask = |path: &str| {
            faces.spawn(world.proxy.getting(path, &token));
        };
        ask(&cold);
        until("the first question", || world.graph.count() == 1).await;
        for path in &paths {
            ask(path);
        }
        world.waiting(FACES).await;
        hold.release();
        assert!(
            faces
                .join_all()
                .await
                .iter()
                .all(|reply| reply.status == 200)
        );
        assert_eq!(world.graph.count(), 1, "{sharing}");
    }
}

#[tokio::test]
async fn a_batch_has_its_first_word_from_the_face_that_is_not_held() {
    let world = tenant().await;
    let mut paths = paths(&world);
    paths.pop();
    warm(&world, &paths, &world.token(0)).await;
    world.graph.clear_seen();
    let answer = batch(&world, &world.token(20)).await;
    assert!(statuses(&answer).iter().all(|status| *status == 200));
    assert_eq!(world.graph.photo_calls(), 1);
}

#[tokio::test]
async fn a_face_that_is_not_there_is_no_word_about_the_others() {
    let (world, paths) = held_page().await;
    world.graph.clear_seen();
    let token = world.token(20);
    let hold = world.graph.hold();
    let mut faces = JoinSet::new();
    let mut ask = |path: &str| {
        faces.spawn(world.proxy.getting(path, &token));
    };
    // Graph accepts the token, and tells nothing of what it lets it see.
    ask("/v1.0/users/00000000-0000-4000-8000-000000000000/photo/$value");
    until("the first question", || world.graph.count() == 1).await;
    for path in &paths {
        ask(path);
    }
    world.waiting(FACES).await;
    hold.release();
    let replies = faces.join_all().await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        12
    );
    assert_eq!(world.graph.count(), 2, "one of them asks for itself");
}

#[tokio::test]
async fn a_token_that_graph_refuses_waits_for_nobodys_photo() {
    let (world, paths) = held_page().await;
    let replies = page(&world, &paths, &forged(&world.token(20)), 1).await;
    assert!(replies.iter().all(|reply| reply.status == 401));
    assert!(replies.iter().all(|reply| reply.mark().is_none()));
    assert_eq!(world.graph.count(), 12, "each is refused by Graph itself");
}

#[tokio::test]
async fn one_token_does_not_wait_for_the_word_about_another() {
    let (world, paths) = held_page().await;
    world.graph.clear_seen();
    let hold = world.graph.hold();
    let mut asking = JoinSet::new();
    for (path, token) in paths
        .iter()
        .zip([world.token(20), forged(&world.token(20))])
    {
        asking.spawn(world.proxy.getting(path, &token));
    }
    until("both questions", || world.graph.count() == 2).await;
    hold.release();
    let mut statuses: Vec<_> = asking.join_all().await.iter().map(|r| r.status).collect();
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::UNAUTHORIZED]);
}

#[tokio::test]
async fn a_face_that_graph_forbids_is_asked_for_though_the_page_is_held() {
    let (world, paths) = held_page().await;
    // The one that asks first is refused: that is no word about the others.
    world
        .graph
        .forbid(&world.person(20).id, &world.person(1).id);
    let token = world.token(20);
    assert_eq!(world.get(paths.first().unwrap(), &token).await.status, 403);
    let replies = page(&world, &paths, &token, 1).await;
    let refused = replies.iter().filter(|reply| reply.status == 403).count();
    assert_eq!(refused, 1);
    assert_eq!(world.get(paths.first().unwrap(), &token).await.status, 403);
}

#[tokio::test]
async fn a_leader_that_hangs_up_keeps_nobody_waiting() {
    let (world, paths) = held_page().await;
    world.graph.clear_seen();
    let token = world.token(20);
    let hold = world.graph.hold();
    let first = tokio::spawn(world.proxy.getting(paths.first().unwrap(), &token));
    until("the first question", || world.graph.count() == 1).await;
    let second = tokio::spawn(world.proxy.getting(paths.get(1).unwrap(), &token));
    first.abort();
    until("the second question", || world.graph.count() == 2).await;
    hold.release();
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_batch_of_held_faces_costs_a_new_token_one_call() {
    let (world, _) = held_page().await;
    world.graph.clear_seen();
    let answer = batch(&world, &world.token(20)).await;
    assert!(statuses(&answer).iter().all(|status| *status == 200));
    assert_eq!((world.graph.count(), world.graph.photo_calls()), (1, 1));
}

#[tokio::test]
async fn a_batch_with_a_refused_token_gets_no_photo() {
    let (world, _) = held_page().await;
    let answer = batch(&world, &forged(&world.token(20))).await;
    assert_eq!(answer.status, 401);
    assert!(!String::from_utf8_lossy(&answer.body).contains("responses"));
}

async fn batch(world: &World, token: &str) -> Reply {
    let part = |n| {
        let url = format!("/users/{}/photo/$value", world.person(n).id);
        json!({"id": n.to_string(), "method": "GET", "url": url})
    };
    let parts: Vec<Value> = (1..=FACES).map(part).collect();
    let text = json!({ "requests": parts }).to_string();
    let request = world
        .proxy
        .request(Method::POST, "/v1.0/$batch", token)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text)));
    world.proxy.send(request.unwrap()).await
}

fn statuses(answer: &Reply) -> Vec<u64> {
    let json = answer.json();
    let parts = json.get("responses").and_then(Value::as_array).unwrap();
    let status = |part: &Value| part.get("status").and_then(Value::as_u64).unwrap();
    parts.iter().map(status).collect()
}
