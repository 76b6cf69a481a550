//! Promise 3 and promise 2 together: while one caller downloads a photo, others are verified by
//! its metadata, each with its own token, and nobody is given by it what Graph would not give.

use std::time::Duration;

use graph_photo_proxy::demo::{Absent, Conditional, Fault, Hold, Settings, TokenSpec};
use tokio::task::JoinSet;

use crate::support::attack::{photo, photo_by_name, until};
use crate::support::{Reply, World};

/// A world that has not tried yet, with room for everybody's questions at once.
async fn untaught(settings: &[(&str, &str)], change: impl FnOnce(&mut Settings)) -> World {
    let settings = [&[("upstream_concurrency", "64")], settings].concat();
    World::with(&settings, |graph| {
        graph.people = 120;
        change(graph);
    })
    .await
}

/// A world that has seen metadata spare a question.
async fn taught(settings: &[(&str, &str)]) -> World {
    let world = untaught(settings, |_| {}).await;
    assert_eq!(asked_meanwhile(&world, 40).await, 1);
    world
}

/// A token of the n-th person that Graph has accepted.
async fn proven(world: &World, n: usize) -> String {
    let token = world.token(n);
    assert_eq!(world.get(&path(world, 50), &token).await.status, 200);
    token
}

fn path(world: &World, n: usize) -> String {
    photo(&world.person(n))
}

fn metadata(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo", world.person(n).id)
}

/// The paths Graph was asked for since.
fn asked(world: &World) -> Vec<String> {
    let seen = world.graph.seen();
    seen.into_iter().map(|seen| seen.path).collect()
}

/// Waits until Graph has answered so many questions for this path.
async fn answered(world: &World, path: &str, count: usize) {
    let done = || {
        let seen = world.graph.seen();
        let mine = seen.iter().filter(|seen| seen.path == path);
        mine.filter(|seen| seen.status.is_some()).count() >= count
    };
    until("the answer", done).await;
}

/// The first downloads, Graph holds its answer, and the second asks: what each was given.
/// `release` lets the download go when it is time.
async fn beside<F: Future<Output = ()>>(
    world: &World,
    path: &str,
    tokens: (&str, &str),
    release: impl FnOnce(Hold) -> F,
) -> (Reply, Reply) {
    beside_after(world, path, tokens, || {}, release).await
}

/// The same, where something happens before the second asks: what the download will bring is
/// settled by then.
async fn beside_after<F: Future<Output = ()>>(
    world: &World,
    path: &str,
    (first, second): (&str, &str),
    happens: impl FnOnce(),
    release: impl FnOnce(Hold) -> F,
) -> (Reply, Reply) {
    world.graph.clear_seen();
    let hold = world.graph.hold_on(path);
    let first = world.get(path, first);
    let rest = async {
        hold.waiting(1).await;
        happens();
        tokio::join!(world.get(path, second), release(hold)).0
    };
    tokio::join!(first, rest)
}

/// How many ask for the metadata while one of four downloads this person's photo.
async fn asked_meanwhile(world: &World, n: usize) -> usize {
    let (path, metadata) = (path(world, n), metadata(world, n));
    let mut tokens = Vec::new();
    for viewer in 0..4 {
        tokens.push(proven(world, viewer).await);
    }
    world.graph.clear_seen();
    let hold = world.graph.hold_on(&path);
    let mut callers = JoinSet::new();
    callers.spawn(world.proxy.getting(&path, &tokens[0]));
    hold.waiting(1).await;
    for token in &tokens[1..] {
        callers.spawn(world.proxy.getting(&path, token));
    }
    // Who asks meanwhile does so as it begins to wait.
    world.waiting(3).await;
    hold.release();
    for reply in callers.join_all().await {
        assert_eq!(reply.status, 200);
    }
    asked(world)
        .iter()
        .filter(|path| **path == metadata)
        .count()
}

#[tokio::test]
async fn while_a_photo_is_downloaded_the_next_is_verified_by_its_metadata() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        answered(&world, &metadata, 1).await;
        hold.release();
    })
    .await;
    assert_eq!(second.status, 200);
    assert_eq!(
        (second.body.clone(), second.mark()),
        (first.body.clone(), first.mark())
    );
    assert_eq!(second.field("content-type"), "image/jpeg");
    assert_eq!(asked(&world), [path.clone(), metadata.clone()]);
    assert_eq!(world.graph.downloads(), 1);
    world.hit(&path, &two).await;
    world.hit(&metadata, &two).await;
}

#[tokio::test]
async fn ten_principals_at_once_are_ten_calls_and_one_wait() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 15), metadata(&world, 15));
    let mut tokens = Vec::new();
    for n in 0..10 {
        tokens.push(proven(&world, n).await);
    }
    world.graph.clear_seen();
    let hold = world.graph.hold_on(&path);
    let mut callers = JoinSet::new();
    for token in tokens.iter().cycle().take(1_000) {
        callers.spawn(world.proxy.getting(&path, token));
    }
    // All of them have been answered before the download is.
    answered(&world, &metadata, 9).await;
    assert_eq!(hold.held(), 1);
    hold.release();
    for reply in callers.join_all().await {
        assert_eq!(reply.status, 200);
        assert!(reply.mark().is_some());
    }
    assert_eq!((world.graph.count(), world.graph.downloads()), (10, 1));
}

#[tokio::test]
async fn while_nothing_is_known_one_asks_and_the_others_wait() {
    let world = untaught(&[], |_| {}).await;
    assert_eq!(asked_meanwhile(&world, 4).await, 1);
    assert_eq!(asked_meanwhile(&world, 5).await, 3);
}

#[tokio::test]
async fn tags_that_never_agree_cost_one_question_an_hour() {
    let world = untaught(&[], |graph| graph.conditional = Conditional::NewTag).await;
    assert_eq!(asked_meanwhile(&world, 4).await, 1);
    for n in 5..8 {
        assert_eq!(asked_meanwhile(&world, n).await, 0);
    }
    world.later(Duration::from_hours(1));
    assert_eq!(asked_meanwhile(&world, 8).await, 1);
}

#[tokio::test]
async fn a_photo_that_changes_between_the_two_answers_is_asked_for_again() {
    let world = taught(&[]).await;
    let (path, metadata, owner) = (path(&world, 4), metadata(&world, 4), world.person(4).id);
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let changes = || {
        world.graph.upload(&owner);
    };
    let release = async |hold: Hold| {
        answered(&world, &metadata, 1).await;
        hold.release();
    };
    let (first, second) = beside_after(&world, &path, (&one, &two), changes, release).await;
    assert_eq!(first.mark().map(|mark| mark.upload), Some(1));
    assert_eq!(second.mark().map(|mark| mark.upload), Some(2), "{second:?}");
    assert_eq!(asked(&world), [path.clone(), metadata, path]);
}

#[tokio::test]
async fn what_was_said_before_a_write_proves_nothing_after_it() {
    let world = taught(&[]).await;
    let owner = world.person(4);
    let path = format!("/v1.0/users/{}/photos/48x48/$value", owner.id);
    let metadata = format!("/v1.0/users/{}/photos/48x48", owner.id);
    let writer = world.token_with(4, "User.ReadWrite");
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let (_, second) = beside(&world, &path, (&one, &two), async |hold| {
        answered(&world, &metadata, 1).await;
        let whole = photo(&owner);
        let written = world
            .proxy
            .put(&whole, &writer, picture(&world, 9).await)
            .await;
        assert!(written.status.is_success(), "{written:?}");
        hold.release();
    })
    .await;
    let truth = world.graph_says(&path, &two).await;
    assert_eq!(second.mark(), truth.mark(), "{second:?}");
    for token in [&one, &two] {
        assert_eq!(world.get(&path, token).await.mark(), truth.mark());
    }
}

#[tokio::test]
async fn metadata_from_before_a_write_proves_nothing_of_what_came_before_it_too() {
    let world = taught(&[]).await;
    let owner = world.person(4);
    let metadata = format!("/v1.0/users/{}/photos/48x48", owner.id);
    let path = format!("{metadata}/$value");
    let writer = world.token_with(4, "User.ReadWrite");
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let held_picture = world.graph.hold_on(&path);
    let (downloaded, landed) = tokio::sync::oneshot::channel();
    let first = async {
        let reply = world.get(&path, &one).await;
        assert_eq!(reply.mark().map(|mark| mark.upload), Some(1));
        downloaded.send(()).unwrap();
    };
    let second = async {
        held_picture.waiting(1).await;
        let held_metadata = world.graph.hold_on(&metadata);
        let write = async {
            held_metadata.waiting(1).await;
            held_picture.release();
            landed.await.unwrap();
            let picture = picture(&world, 9).await;
            let written = world.proxy.put(&photo(&owner), &writer, picture).await;
            assert!(written.status.is_success(), "{written:?}");
            held_metadata.release();
        };
        tokio::join!(world.get(&path, &two), write).0
    };
    let ((), second) = tokio::join!(first, second);
    let truth = world.graph_says(&path, &two).await;
    assert_eq!(second.mark(), truth.mark(), "{second:?}");
}

/// A picture to put in place of another.
async fn picture(world: &World, n: usize) -> bytes::Bytes {
    world
        .graph_says(&path(world, n), &world.token(0))
        .await
        .body
}

#[tokio::test]
async fn who_was_refused_the_photo_is_not_verified_by_its_metadata() {
    let world = taught(&[]).await;
    let path = path(&world, 4);
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    world.graph.once(&path, Fault::Status(403));
    assert_eq!(world.get(&path, &two).await.status, 403);
    // A Graph that shows the metadata and refuses the picture: not one that is known.
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        world.waiting(1).await;
        world.graph.once(&path, Fault::Status(403));
        hold.release();
    })
    .await;
    assert_eq!(first.status, 200);
    assert_eq!((second.status.as_u16(), second.mark()), (403, None));
    assert_eq!(asked(&world), [path.clone(), path]);
}

#[tokio::test]
async fn a_refusal_that_comes_after_the_metadata_stands_against_it() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    // By a name that is not known to be the same one's, and so may be.
    let by_name = photo_by_name(&world.person(4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        answered(&world, &metadata, 1).await;
        for path in [&path, &by_name] {
            world.graph.on(path, Fault::Status(403));
        }
        assert_eq!(world.proxy.head(&by_name, &two).await.status, 403);
        hold.release();
    })
    .await;
    assert_eq!(first.status, 200);
    assert_eq!(
        (second.status.as_u16(), second.mark()),
        (403, None),
        "{second:?}"
    );
}

#[tokio::test]
async fn a_refusal_that_comes_before_there_is_room_for_the_metadata_stands_against_it() {
    let world = World::with(&[("upstream_concurrency", "2")], |graph| graph.people = 120).await;
    assert_eq!(asked_meanwhile(&world, 40).await, 1);
    let (path, metadata, other) = (path(&world, 4), metadata(&world, 4), path(&world, 5));
    let by_name = photo_by_name(&world.person(4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let held_other = world.graph.hold_on(&other);
    let occupied = world.proxy.getting(&other, &one);
    let occupied = tokio::spawn(occupied);
    held_other.waiting(1).await;
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        world.waiting(1).await;
        assert_eq!(asked(&world), std::slice::from_ref(&path));
        for path in [&path, &by_name] {
            world.graph.on(path, Fault::Status(403));
        }
        assert_eq!(world.proxy.head(&by_name, &two).await.status, 403);
        held_other.release();
        answered(&world, &metadata, 1).await;
        hold.release();
    })
    .await;
    assert_eq!(occupied.await.unwrap().status, 200);
    assert_eq!(first.status, 200);
    assert_eq!((second.status.as_u16(), second.mark()), (403, None));
}

#[tokio::test]
async fn a_token_that_ends_after_the_metadata_gets_nothing_by_it() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        answered(&world, &metadata, 1).await;
        world.graph.revoke(&two);
        let elsewhere = world.get("/v1.0/me/messages", &two).await;
        assert_eq!(elsewhere.status, 401);
        hold.release();
    })
    .await;
    assert_eq!(first.status, 200);
    assert_eq!(
        (second.status.as_u16(), second.mark()),
        (401, None),
        "{second:?}"
    );
}

#[tokio::test]
async fn a_revoked_token_is_told_so_at_once_and_by_one_question() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    world.graph.revoke(&two);
    world.graph.clear_seen();
    let hold = world.graph.hold_on(&path);
    let rest = async {
        hold.waiting(1).await;
        let refused = world.get(&path, &two).await;
        assert_eq!(refused.status, 401);
        assert!(!refused.field("www-authenticate").is_empty());
        assert_eq!(refused.mark(), None);
        hold.release();
    };
    let (first, ()) = tokio::join!(world.get(&path, &one), rest);
    assert_eq!(first.status, 200);
    assert_eq!(asked(&world), [path, metadata]);
}

#[tokio::test]
async fn whom_graph_forbids_the_owner_gets_graphs_own_refusal() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    world.graph.forbid(&world.person(1).id, &world.person(4).id);
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        answered(&world, &metadata, 1).await;
        hold.release();
    })
    .await;
    assert_eq!(first.status, 200);
    assert_eq!((second.status.as_u16(), second.mark()), (403, None));
    for _ in 0..2 {
        let again = world.get(&path, &two).await;
        assert_eq!((again.status.as_u16(), again.mark()), (403, None));
    }
}

#[tokio::test]
async fn metadata_that_fails_keeps_nobody_from_the_photo() {
    for fault in [
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(500),
        Fault::Close,
        Fault::Garbage,
        Fault::Empty,
        Fault::Headers(vec![("cache-control", "no-store".to_owned())]),
    ] {
        let world = taught(&[]).await;
        let (path, metadata) = (path(&world, 4), metadata(&world, 4));
        let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
        let fails = || {
            world.graph.once(&metadata, fault.clone());
        };
        let release = async |hold: Hold| {
            world.waiting(1).await;
            hold.release();
        };
        let (first, second) = beside_after(&world, &path, (&one, &two), fails, release).await;
        assert_eq!(first.status, 200, "{fault:?}");
        assert_eq!(second.mark(), first.mark(), "{fault:?}: {second:?}");
        // A connection that was closed is tried once more.
        let questions = asked(&world);
        assert_eq!(questions[..2], [path.clone(), metadata], "{fault:?}");
        assert_eq!(questions.len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_throttled_metadata_question_is_followed_by_none() {
    let world = taught(&[]).await;
    let (path, metadata) = (path(&world, 4), metadata(&world, 4));
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        world.graph.once(&metadata, Fault::Status(429));
        answered(&world, &metadata, 1).await;
        hold.release();
    })
    .await;
    assert_eq!(first.status, 200);
    assert_eq!(second.status, 429);
    assert!(!second.field("retry-after").is_empty());
    assert_eq!(asked(&world), [path, metadata]);
}

#[tokio::test]
async fn a_download_that_fails_leaves_the_photo_to_the_next() {
    for fault in [
        Fault::Status(500),
        Fault::Close,
        Fault::CutBody(100),
        Fault::Status(403),
    ] {
        let world = taught(&[]).await;
        let (path, metadata) = (path(&world, 4), metadata(&world, 4));
        let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
        world.graph.once(&path, fault.clone());
        let (_, second) = beside(&world, &path, (&one, &two), async |hold| {
            answered(&world, &metadata, 1).await;
            hold.release();
        })
        .await;
        assert_eq!(second.status, 200, "{fault:?}: {second:?}");
        assert_eq!(
            second.mark().map(|mark| mark.owner),
            Some(world.person(4).id)
        );
        assert_eq!(world.graph.count(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn no_photo_is_told_by_one_question_each() {
    for (settings, calls) in [(&[][..], 2), (&[("infer_absent", "false")][..], 3)] {
        let world = taught(settings).await;
        let owner = world.faceless().id;
        let path = format!("/v1.0/users/{owner}/photo/$value");
        let metadata = format!("/v1.0/users/{owner}/photo");
        let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
        let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
            answered(&world, &metadata, 1).await;
            hold.release();
        })
        .await;
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (404, 404));
        assert_eq!(
            second.json()["error"]["code"],
            first.json()["error"]["code"]
        );
        assert_eq!(world.graph.count(), calls);
        world.hit(&path, &two).await;
    }
}

#[tokio::test]
async fn metadata_of_one_pixel_is_not_no_photo_of_the_picture() {
    let world = taught(&[]).await;
    world.graph.change(|graph| graph.absent = Absent::OneByOne);
    let owner = world.faceless().id;
    let path = format!("/v1.0/users/{owner}/photo/$value");
    let metadata = format!("/v1.0/users/{owner}/photo");
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let (first, second) = beside(&world, &path, (&one, &two), async |hold| {
        answered(&world, &metadata, 1).await;
        hold.release();
    })
    .await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (404, 404));
    assert_eq!(asked(&world), [path.clone(), metadata, path]);
}

#[tokio::test]
async fn a_photo_is_never_given_on_no_photo_of_its_metadata() {
    let world = taught(&[]).await;
    let (path, owner) = (path(&world, 4), world.person(4).id);
    let metadata = metadata(&world, 4);
    let (one, two) = (proven(&world, 0).await, proven(&world, 1).await);
    let removed = || {
        world.graph.remove_photo(&owner);
    };
    let release = async |hold: Hold| {
        answered(&world, &metadata, 1).await;
        hold.release();
    };
    let (first, second) = beside_after(&world, &path, (&one, &two), removed, release).await;
    assert_eq!(first.mark().map(|mark| mark.upload), Some(1));
    assert_eq!((second.status.as_u16(), second.mark()), (404, None));
}

#[tokio::test]
async fn those_who_have_no_metadata_of_their_own_wait_and_ask_themselves() {
    let world = taught(&[]).await;
    let person = world.graph.tenant().personal().next().unwrap().clone();
    let tokens = [0; 2].map(|_| world.graph.issue(TokenSpec::of(&person)));
    for token in &tokens {
        world.get("/v1.0/me/photo/$value", token).await;
    }
    assert!(asked(&world).iter().all(|path| path != "/v1.0/me/photo"));
}

#[tokio::test]
async fn switched_off_nobody_is_verified_meanwhile() {
    let world = untaught(&[("verify_by_metadata", "false")], |_| {}).await;
    for n in [4, 5] {
        assert_eq!(asked_meanwhile(&world, n).await, 0);
    }
}
