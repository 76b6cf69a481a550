//! Promise 3, the light verification: what it costs in calls and bytes, and what it never is.

use std::time::Duration;

use graph_photo_proxy::demo::{Conditional, Fault, Settings, TokenSpec};

use crate::support::World;
use crate::support::attack::photo_by_name;

fn path(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo/$value", world.person(n).id)
}

fn metadata(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo", world.person(n).id)
}

async fn ignoring(settings: &[(&str, &str)]) -> World {
    let change = |graph: &mut Settings| {
        graph.conditional = Conditional::SameTag;
        graph.people = 60;
    };
    let world = World::with(settings, change).await;
    // One verification, by which the proxy learns what Graph makes of conditions.
    for n in [0, 1] {
        world.get(&path(&world, 30), &world.token(n)).await;
    }
    world.graph.clear_seen();
    world
}

/// The paths Graph was asked for since.
fn asked(world: &World) -> Vec<String> {
    world
        .graph
        .seen()
        .into_iter()
        .map(|seen| seen.path)
        .collect()
}

#[tokio::test]
async fn where_graph_ignores_conditions_a_picture_is_verified_by_its_metadata() {
    let world = ignoring(&[]).await;
    let first = world.get(&path(&world, 4), &world.token(0)).await;
    let token = world.token(1);
    let second = world.get(&path(&world, 4), &token).await;
    assert_eq!((second.status.as_u16(), &second.body), (200, &first.body));
    assert_eq!(second.field("content-type"), "image/jpeg");
    assert_eq!(asked(&world), [path(&world, 4), metadata(&world, 4)]);
    assert_eq!(world.graph.downloads(), 1);
    assert!(world.get(&path(&world, 4), &token).await.is_hit());
    assert!(world.get(&metadata(&world, 4), &token).await.is_hit());
}

#[tokio::test]
async fn a_size_is_verified_by_the_metadata_of_that_size() {
    let world = ignoring(&[]).await;
    let path = format!("/v1.0/users/{}/photos/48x48/$value", world.person(4).id);
    world.get(&path, &world.token(0)).await;
    let second = world.get(&path, &world.token(1)).await;
    assert_eq!(second.status, 200);
    let metadata = path.trim_end_matches("/$value").to_owned();
    assert_eq!(asked(&world), [path, metadata]);
}

#[tokio::test]
async fn metadata_under_another_tag_verifies_nothing() {
    let world = ignoring(&[]).await;
    let person = world.person(4).id;
    let first = world.get(&path(&world, 4), &world.token(0)).await;
    world.graph.upload(&person);
    let second = world.get(&path(&world, 4), &world.token(1)).await;
    assert_ne!(first.body, second.body);
    assert_eq!(second.mark().unwrap().upload, 2);
    assert_eq!(world.graph.downloads(), 2);
}

#[tokio::test]
async fn who_is_refused_the_metadata_is_refused_the_picture() {
    let world = ignoring(&[]).await;
    let (person, viewer) = (world.person(4).id, world.person(1).id);
    world.get(&path(&world, 4), &world.token(0)).await;
    world.graph.forbid(&viewer, &person);
    let token = world.token(1);
    for _ in 0..2 {
        let refused = world.get(&path(&world, 4), &token).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(refused.mark().is_none());
    }
}

#[tokio::test]
async fn who_was_refused_the_picture_does_not_get_it_by_its_metadata() {
    let world = ignoring(&[]).await;
    world.get(&path(&world, 4), &world.token(0)).await;
    let token = world.token(1);
    // A Graph that refuses the picture and shows the metadata: not one that is known.
    world.graph.on(&path(&world, 4), Fault::Status(403));
    world.graph.once(&metadata(&world, 4), Fault::Status(404));
    assert_eq!(world.get(&path(&world, 4), &token).await.status, 403);
    assert_eq!(world.get(&metadata(&world, 4), &token).await.status, 200);
    for _ in 0..2 {
        assert_eq!(world.get(&path(&world, 4), &token).await.status, 403);
    }
}

#[tokio::test]
async fn metadata_that_is_only_held_verifies_nothing() {
    let world = ignoring(&[("stale_while_revalidate", "0s"), ("infer_etag", "false")]).await;
    let spec = TokenSpec::of(&world.person(1)).lasting(Duration::from_hours(24));
    let token = world.graph.issue(&spec);
    world.get(&metadata(&world, 4), &token).await;
    world.get(&path(&world, 4), &world.token(0)).await;
    // Metadata is past its lifetime and may be shown when Graph fails; the picture was never
    // given to this caller.
    world.later(Duration::from_hours(2));
    world.get(&path(&world, 5), &token).await;
    let other = TokenSpec::of(&world.person(0)).lasting(Duration::from_hours(24));
    let other = world.graph.issue(&other);
    for n in [30, 4] {
        world.get(&path(&world, n), &other).await;
    }
    world.get(&path(&world, 30), &token).await;
    world.graph.clear_seen();
    world.graph.on(&metadata(&world, 4), Fault::Status(500));
    let failed = world.get(&path(&world, 4), &token).await;
    assert_eq!(asked(&world), [metadata(&world, 4), path(&world, 4)]);
    assert_eq!(failed.status, 500, "{failed:?}");
}

#[tokio::test]
async fn metadata_after_a_refusal_does_not_bring_the_picture_back() {
    let world = World::start().await;
    let token = world.token(1);
    assert_eq!(world.get(&path(&world, 3), &token).await.status, 200);
    world.later(Duration::from_mins(58));
    let token = world.token(1);
    world.graph.on(
        &format!("{}/$value", metadata(&world, 3)),
        Fault::Status(403),
    );
    world.later(Duration::from_mins(10));
    while world.get(&path(&world, 3), &token).await.status != 403 {}
    assert_eq!(world.get(&metadata(&world, 3), &token).await.status, 200);
    assert_eq!(world.get(&path(&world, 3), &token).await.status, 403);
}

#[tokio::test]
async fn once_an_hour_it_is_tried_whether_graph_has_learnt_conditions() {
    let world = ignoring(&[]).await;
    world.get(&path(&world, 4), &world.token(0)).await;
    world
        .graph
        .change(|graph| graph.conditional = Conditional::NotModified);
    world.get(&path(&world, 4), &world.token(1)).await;
    world.later(Duration::from_hours(1));
    world.graph.clear_seen();
    for n in [2, 3] {
        world.get(&path(&world, 4), &world.token(n)).await;
    }
    assert_eq!(asked(&world), vec![path(&world, 4); 2]);
    assert_eq!(world.graph.downloads(), 0);
}

#[tokio::test]
async fn metadata_that_tells_nothing_is_not_asked_for_again() {
    let world = World::with(&[("infer_etag", "false")], |graph| {
        graph.conditional = Conditional::NewTag;
        graph.people = 60;
    })
    .await;
    for n in 0..12 {
        assert_eq!(
            world.get(&path(&world, 20), &world.token(n)).await.status,
            200
        );
    }
    let (calls, downloads) = (world.graph.count(), world.graph.downloads());
    assert!(
        (calls, downloads) <= (13, 12),
        "{calls} calls, {downloads} downloads"
    );
}

#[tokio::test]
async fn contacts_and_personal_accounts_are_asked_for_the_picture_itself() {
    let world = ignoring(&[]).await;
    let person = world.graph.tenant().personal().next().unwrap().clone();
    for _ in 0..2 {
        let token = world.graph.issue(TokenSpec::of(&person));
        for _ in 0..2 {
            assert_eq!(world.get("/v1.0/me/photo/$value", &token).await.status, 200);
        }
    }
    assert!(asked(&world).iter().all(|path| path.ends_with("$value")));
}

#[tokio::test]
async fn metadata_proves_the_picture_and_the_picture_the_metadata() {
    let world = World::with(&[], |graph| graph.people = 60).await;
    let (zero, one) = (world.token(0), world.token(1));
    let first = world.get(&path(&world, 4), &zero).await;
    assert_eq!(world.get(&metadata(&world, 4), &one).await.status, 200);
    world.graph.clear_seen();
    let second = world.get(&path(&world, 4), &one).await;
    assert!(second.is_hit() && second.body == first.body, "{second:?}");
    assert_eq!(world.graph.count(), 0);
    // An hour later one question renews both.
    world.later(Duration::from_mins(61));
    let spec = TokenSpec::of(&world.person(1)).lasting(Duration::from_hours(24));
    let one = world.graph.issue(&spec);
    assert_eq!(world.get(&path(&world, 4), &one).await.status, 200);
    assert!(world.get(&metadata(&world, 4), &one).await.is_hit());
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn metadata_of_a_new_upload_ends_the_old_picture() {
    let world = World::with(&[], |graph| graph.people = 60).await;
    let token = world.token(0);
    world.get(&path(&world, 4), &token).await;
    world.get(&metadata(&world, 4), &token).await;
    world.later(Duration::from_mins(56));
    world.graph.upload(&world.person(4).id);
    // The metadata expires first, is asked for again and names another upload.
    world.later(Duration::from_mins(12));
    let token = world.token(0);
    let renewed = world.get(&metadata(&world, 4), &token).await;
    assert_eq!(renewed.status, 200);
    let picture = world.get(&path(&world, 4), &token).await;
    assert_eq!(picture.mark().unwrap().upload, 2, "{picture:?}");
}

#[tokio::test]
async fn inference_by_tag_can_be_switched_off() {
    let world = World::with(&[("infer_etag", "false")], |_| {}).await;
    let (zero, one) = (world.token(0), world.token(1));
    world.get(&path(&world, 3), &zero).await;
    world.get(&metadata(&world, 3), &one).await;
    world.graph.clear_seen();
    assert!(!world.get(&path(&world, 3), &one).await.is_hit());
    assert_eq!(world.graph.count(), 1);
}

/// The figures: twenty principals, ten photos, one lifetime, by what Graph makes of conditions.
#[tokio::test]
async fn each_way_of_graph_costs_what_is_written_down() {
    for (conditional, most_calls, most_downloads) in [
        (Conditional::NotModified, 200, 10),
        (Conditional::SameTag, 200, 11),
        (Conditional::NewTag, 201, 200),
        (Conditional::NoTag, 200, 200),
    ] {
        let world = World::with(&[], |graph| {
            graph.conditional = conditional;
            graph.people = 60;
        })
        .await;
        let tokens: Vec<_> = (0..20).map(|n| world.token(n)).collect();
        for n in 20..30 {
            for token in &tokens {
                assert_eq!(world.get(&path(&world, n), token).await.status, 200);
            }
        }
        let (calls, downloads) = (world.graph.count(), world.graph.downloads());
        assert!(calls <= most_calls, "{conditional:?}: {calls} calls");
        assert!(
            downloads <= most_downloads,
            "{conditional:?}: {downloads} downloads"
        );
    }
}

#[tokio::test]
async fn metadata_of_a_new_upload_gives_nobody_the_old_picture() {
    let world = World::with(&[], |graph| graph.people = 60).await;
    let (first, second) = (world.token(0), world.token(1));
    world.get(&path(&world, 4), &first).await;
    world.get(&metadata(&world, 4), &first).await;
    world.graph.upload(&world.person(4).id);
    // Graph shows the second caller the metadata, and has never given it a picture.
    let shown = world.get(&metadata(&world, 4), &second).await;
    assert_eq!(shown.status, 200);
    world.graph.on(&path(&world, 4), Fault::Status(500));
    for _ in 0..2 {
        let reply = world.get(&path(&world, 4), &second).await;
        assert_eq!(reply.status, 500, "{reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_comes_while_metadata_is_asked_for_stands_against_it() {
    let world = ignoring(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    world.get(&path, &world.token(0)).await;
    let token = world.token(1);
    let hold = world.graph.hold_on(&metadata);
    // By a name that is not known to be the same one's, and so may be.
    let by_name = photo_by_name(&world.person(4));
    for path in [&path, &by_name] {
        world.graph.on(path, Fault::Status(403));
    }
    let refusal = async {
        hold.waiting(1).await;
        assert_eq!(world.proxy.head(&by_name, &token).await.status, 403);
        hold.release();
    };
    let (reply, ()) = tokio::join!(world.get(&path, &token), refusal);
    assert_eq!(reply.status, 403, "{reply:?}");
}
