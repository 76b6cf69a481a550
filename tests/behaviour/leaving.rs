//! A caller on a kept connection drives its own question to Graph, and leaves in the middle of it:
//! the question goes on for those who wait, and brings nobody what it must not.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use graph_photo_proxy::demo::Hold;
use http::Method;

use crate::support::World;
use crate::support::attack::photo;
use crate::support::wire::{Wire, soon};
use crate::writes::write;

async fn ask(wire: &mut Wire, target: &str, token: &str) {
    let auth = format!("Authorization: Bearer {token}");
    wire.send(format!(
        "GET {target} HTTP/1.1\r\nHost: p\r\n{auth}\r\n\r\n"
    ))
    .await;
}

/// Asks for `target` on a connection that has been answered before, and leaves while Graph is
/// asked.
async fn leave_in_the_middle(world: &World, target: &str, token: &str) -> Hold {
    let mut wire = Wire::to(world.proxy.address).await;
    let mut last = 0;
    // The first request of a connection and the next go different ways.
    for n in [5, 6] {
        ask(&mut wire, &photo(&world.person(n)), token).await;
        last = soon(wire.answer("GET")).await.unwrap().status();
    }
    assert_eq!(last, 200);
    world.graph.clear_seen();
    let hold = world.graph.hold_reads();
    ask(&mut wire, target, token).await;
    hold.waiting(1).await;
    wire.end().await;
    assert!(soon(wire.exactly(1)).await.is_none(), "an answer came");
    hold
}

#[tokio::test]
async fn a_question_whose_caller_leaves_a_kept_connection_is_asked_once_and_answers_all_others() {
    let world = World::start().await;
    let (path, token) = (photo(&world.person(3)), world.token(0));
    let hold = leave_in_the_middle(&world, &path, &token).await;
    let others: Vec<_> = (0..20)
        .map(|_| tokio::spawn(world.proxy.getting(&path, &token)))
        .collect();
    world.waiting(20).await;
    hold.release();
    for other in others {
        assert_eq!(other.await.unwrap().status, 200);
    }
    assert_eq!(world.graph.count(), 1);
    assert!(world.get(&path, &token).await.is_hit());
}

#[tokio::test]
async fn what_a_caller_who_left_asked_for_before_a_write_is_shown_to_nobody_after_it() {
    let world = World::start().await;
    let (person, token) = (world.person(3), world.token(0));
    let path = photo(&person);
    let writer = world.token_with(3, "User.ReadWrite.All");
    let hold = leave_in_the_middle(&world, &path, &token).await;
    write(
        &world,
        &format!("users/{}", person.id),
        &writer,
        &Method::PUT,
    )
    .await;
    let during = tokio::spawn(world.proxy.getting(&path, &token));
    hold.waiting(2).await;
    hold.release();
    let during = during.await.unwrap();
    let truth = world.graph_says(&path, &token).await;
    assert_eq!(during.body, truth.body);
    assert_eq!(world.get(&path, &token).await.body, truth.body);
}

#[tokio::test]
async fn what_a_caller_who_left_asked_for_is_not_given_to_one_whom_graph_refuses_it() {
    let world = World::with(&[("sharing", "tenant")], |_| {}).await;
    let (path, token) = (photo(&world.person(3)), world.token(0));
    // May read nobody's photo but its own.
    let stranger = world.token_with(1, "User.Read");
    assert_eq!(
        world.get(&photo(&world.person(1)), &stranger).await.status,
        200
    );
    let hold = leave_in_the_middle(&world, &path, &token).await;
    let asking = tokio::spawn(world.proxy.getting(&path, &stranger));
    world.waiting(1).await;
    hold.release();
    let refused = asking.await.unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(world.get(&path, &token).await.is_hit());
    assert_eq!(world.get(&path, &stranger).await.status, 403);
}
