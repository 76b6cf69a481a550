//! Promise 3 over time: what expires is refreshed without anybody waiting for it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::time::Duration;

use graph_photo_proxy::demo::{RetryAfter, TokenSpec};

use crate::support::World;
use crate::support::attack::until;

fn path(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo/$value", world.person(n).id)
}

/// What is left of the lifetime, from `Cache-Status`.
fn ttl(reply: &crate::support::Reply) -> i64 {
    let status = reply.field("cache-status");
    let (_, from) = status.split_once("ttl=").unwrap();
    from.split(';').next().unwrap().trim().parse().unwrap()
}

/// Until Graph has been asked so often, with nobody waiting for it.
async fn until_asked(world: &World, count: u64) {
    while world.graph.count() < count {
        tokio::task::yield_now().await;
    }
}

/// A photo that is held with so many seconds left, and a token that is proven.
async fn with_left(world: &World, token: &str, left: i64) {
    let path = path(world, 1);
    world.get(&path, token).await;
    let lifetime = ttl(&world.get(&path, token).await);
    world.later(Duration::from_secs(u64::try_from(lifetime - left).unwrap()));
    world.get(&self::path(world, 2), token).await;
    world.graph.clear_seen();
}

#[tokio::test]
async fn a_stale_photo_is_served_at_once_and_revalidated_behind() {
    let world = World::start().await;
    let token = world.long_lived();
    with_left(&world, &token, -60).await;
    let hold = world.graph.hold();
    let stale = world.get(&path(&world, 1), &token).await;
    assert!(stale.is_hit() && stale.field("cache-status").contains("detail=revalidating"));
    hold.waiting(1).await;
    hold.release();
    loop {
        let reply = world.get(&path(&world, 1), &token).await;
        assert!(reply.is_hit());
        if ttl(&reply) > 0 {
            break;
        }
    }
    assert_eq!((world.graph.count(), world.graph.downloads()), (1, 0));
}

#[tokio::test]
async fn a_photo_in_demand_is_refreshed_in_the_last_tenth_of_its_life_and_once() {
    let world = World::start().await;
    let token = world.long_lived();
    with_left(&world, &token, 200).await;
    let hold = world.graph.hold();
    for _ in 0..5 {
        assert!(world.get(&path(&world, 1), &token).await.is_hit());
    }
    hold.waiting(1).await;
    assert_eq!(hold.held(), 1);
    hold.release();
    while ttl(&world.get(&path(&world, 1), &token).await) < 3_000 {}
    assert_eq!((world.graph.count(), world.graph.downloads()), (1, 0));
}

#[tokio::test]
async fn a_photo_nobody_else_asks_for_is_left_to_expire() {
    let world = World::start().await;
    let token = world.long_lived();
    with_left(&world, &token, 200).await;
    assert!(world.get(&path(&world, 1), &token).await.is_hit());
    // Any question behind it would have come before this one's answer.
    assert_eq!(world.get("/v1.0/me", &token).await.status, 200);
    assert_eq!(world.graph.photo_calls(), 0);
}

#[tokio::test]
async fn nothing_is_refreshed_ahead_before_the_last_tenth_or_when_switched_off() {
    for (settings, left) in [(&[][..], 500), (&[("refresh_ahead", "false")][..], 200)] {
        let world = World::with(settings, |_| {}).await;
        let token = world.long_lived();
        with_left(&world, &token, left).await;
        for _ in 0..5 {
            assert!(world.get(&path(&world, 1), &token).await.is_hit());
        }
        assert_eq!(world.get("/v1.0/me", &token).await.status, 200);
        assert_eq!(world.graph.photo_calls(), 0);
    }
}

#[tokio::test]
async fn nothing_is_refreshed_ahead_while_the_budget_is_short() {
    let world = World::with(&[("upstream_concurrency", "2")], |_| {}).await;
    let token = world.long_lived();
    with_left(&world, &token, 200).await;
    world
        .graph
        .throttle_for(Duration::from_secs(30), RetryAfter::Seconds);
    assert_eq!(world.get(&path(&world, 3), &token).await.status, 429);
    for _ in 0..5 {
        assert!(world.get(&path(&world, 1), &token).await.is_hit());
    }
    world.graph.end_throttling();
    assert_eq!(world.graph.photo_calls(), 1);
    world.later(Duration::from_secs(30));
    world.get(&path(&world, 1), &token).await;
    until_asked(&world, 2).await;
}

#[tokio::test]
async fn a_mornings_photos_do_not_expire_together() {
    let world = World::with(&[], |graph| graph.people = 120).await;
    let token = world.token(0);
    let mut lifetimes = Vec::new();
    for n in 1..60 {
        lifetimes.push(ttl(&world.get(&path(&world, n), &token).await));
    }
    lifetimes.sort_unstable();
    let (first, last) = (lifetimes[0], lifetimes[lifetimes.len() - 1]);
    assert!(first >= 3_240 && last <= 3_960, "{first} to {last}");
    assert!(last - first > 400, "{first} to {last}");
}

#[tokio::test]
async fn no_photo_of_the_largest_size_is_no_photo_of_any_size() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.faceless().id);
    let largest = world
        .get(&format!("/v1.0/users/{person}/photo/$value"), &token)
        .await;
    assert_eq!(largest.status, 404);
    for size in ["48x48", "240x240", "648X648"] {
        let path = format!("/v1.0/users/{person}/photos/{size}/$value");
        let sized = world.get(&path, &token).await;
        assert!(sized.is_hit() && sized.status == 404, "{sized:?}");
        assert_eq!(sized.body, largest.body);
    }
    assert_eq!(world.graph.count(), 1);
    // Somebody else has to hear it from Graph.
    let path = format!("/v1.0/users/{person}/photos/48x48/$value");
    assert!(!world.get(&path, &world.token(1)).await.is_hit());
}

#[tokio::test]
async fn no_photo_of_one_size_says_nothing_of_another_nor_of_metadata() {
    let world = World::start().await;
    let token = world.token(0);
    let small = world
        .graph
        .tenant()
        .members()
        .find(|one| one.photo.is_some_and(|side| side < 300));
    let person = small.unwrap().id.clone();
    let ask = |rest: &'static str| {
        let (world, token, path) = (&world, &token, format!("/v1.0/users/{person}/{rest}"));
        async move { world.get(&path, token).await }
    };
    assert_eq!(ask("photos/648x648/$value").await.status, 404);
    assert_eq!(ask("photos/48x48/$value").await.status, 200);
    assert_eq!(ask("photo/$value").await.status, 200);
    world.graph.remove_photo(&person);
    world
        .graph
        .change(|graph| graph.absent = graph_photo_proxy::demo::Absent::OneByOne);
    world.later(Duration::from_hours(3));
    let token = world.token(0);
    assert_eq!(
        world
            .get(&format!("/v1.0/users/{person}/photo/$value"), &token)
            .await
            .status,
        404
    );
    let metadata = world
        .get(&format!("/v1.0/users/{person}/photo"), &token)
        .await;
    assert_eq!((metadata.status.as_u16(), metadata.is_hit()), (200, false));
}

#[tokio::test]
async fn a_first_upload_ends_no_photo_of_every_size() {
    let world = World::start().await;
    let person = world.faceless();
    let spec = TokenSpec::of(&person).with("User.ReadWrite");
    let token = world.graph.issue(&spec);
    let path = |size: &str| format!("/v1.0/users/{}/{size}/$value", person.id);
    assert_eq!(world.get(&path("photo"), &token).await.status, 404);
    assert!(world.get(&path("photos/48x48"), &token).await.is_hit());
    let picture = world
        .get(&self::path(&world, 1), &world.token(0))
        .await
        .body;
    assert_eq!(
        world
            .proxy
            .put(&path("photo"), &token, picture)
            .await
            .status,
        200
    );
    assert_eq!(world.get(&path("photos/48x48"), &token).await.status, 200);
}

#[tokio::test]
async fn no_photo_of_a_size_that_has_grown_old_is_told_by_a_younger_one_of_the_largest() {
    for (setting, calls) in [("true", 0), ("false", 1)] {
        let settings = [("infer_absent", setting), ("proof_ttl", "1d")];
        let world = World::with(&settings, |_| {}).await;
        let (token, owner) = (world.long_lived(), world.faceless().id);
        let small = format!("/v1.0/users/{owner}/photos/48x48/$value");
        let large = format!("/v1.0/users/{owner}/photo/$value");
        assert_eq!(world.get(&small, &token).await.status, 404);
        world.later(Duration::from_mins(6));
        assert_eq!(world.get(&large, &token).await.status, 404);
        world.later(Duration::from_mins(6));
        world.graph.clear_seen();
        let told = world.get(&small, &token).await;
        assert_eq!(told.status, 404);
        until("what is asked behind it", || world.graph.count() >= calls).await;
        assert_eq!(world.graph.count(), calls);
        if calls == 0 {
            assert!(told.is_hit() && !told.field("cache-status").contains("detail"));
        }
    }
}

#[tokio::test]
async fn a_photo_that_has_grown_old_is_asked_for_though_the_largest_is_gone() {
    let settings = [("stale_while_revalidate", "0s"), ("proof_ttl", "1d")];
    let world = World::with(&settings, |_| {}).await;
    let (token, owner) = (world.long_lived(), world.person(3).id);
    let small = format!("/v1.0/users/{owner}/photos/48x48/$value");
    let large = format!("/v1.0/users/{owner}/photo/$value");
    assert_eq!(world.get(&small, &token).await.status, 200);
    world.graph.remove_photo(&owner);
    world.later(Duration::from_mins(67));
    assert_eq!(world.get(&large, &token).await.status, 404);
    world.graph.clear_seen();
    assert_eq!(world.get(&small, &token).await.status, 404);
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn inference_of_no_photo_can_be_switched_off() {
    let world = World::with(&[("infer_absent", "false")], |_| {}).await;
    let (token, person) = (world.token(0), world.faceless().id);
    world
        .get(&format!("/v1.0/users/{person}/photo/$value"), &token)
        .await;
    world
        .get(&format!("/v1.0/users/{person}/photos/48x48/$value"), &token)
        .await;
    assert_eq!(world.graph.count(), 2);
}
