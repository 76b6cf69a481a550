//! Who may fill the lane of a budget: whose it is only a token says, and anybody can write one.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use graph_photo_proxy::demo::Fault;
use tokio::task::JoinSet;

use crate::support::attack::{forged, photo, until};
use crate::support::wire::{Wire, soon};
use crate::support::{Reply, World};

/// So many tokens with somebody's claims that nobody issued.
fn forgeries(world: &World, n: usize) -> Vec<String> {
    let forged = forged(&world.token(1));
    (0..n).map(|n| format!("{forged}{n}")).collect()
}

fn ask(world: &World, asking: &mut JoinSet<Reply>, path: &str, token: &str) {
    asking.spawn(world.proxy.getting(path, token));
}

/// Questions on their way and in the queue.
fn standing(world: &World) -> (usize, usize) {
    let gate = world.proxy.rooms.questions.gate();
    let standings = gate.standings(world.clock.now());
    standings.iter().fold((0, 0), |(on, queued), one| {
        (on + one.in_flight, queued + one.queued)
    })
}

#[tokio::test]
async fn forged_tokens_of_an_application_do_not_keep_its_callers_from_graph() {
    let settings = [("upstream_concurrency", "2"), ("upstream_queue", "5")];
    for sharing in ["token", "verified", "tenant"] {
        let settings = [&settings[..], &[("sharing", sharing)]].concat();
        let world = World::with(&settings, |_| {}).await;
        let token = world.token(1);
        for n in [1, 7] {
            let path = photo(&world.person(n));
            assert_eq!(world.get(&path, &token).await.status, 200);
        }
        world.graph.clear_seen();
        let hold = world.graph.hold();
        let mut attack = JoinSet::new();
        for forgery in forgeries(&world, 30) {
            ask(&world, &mut attack, &photo(&world.person(2)), &forgery);
        }
        until("the flood", || standing(&world) == (1, 5)).await;
        let mut callers = JoinSet::new();
        for n in 3..6 {
            ask(&world, &mut callers, &photo(&world.person(n)), &token);
        }
        // One place was left for it, and its queue is its own.
        until("the caller", || standing(&world) == (2, 7)).await;
        until("its question", || world.graph.count() == 2).await;
        hold.release();
        let replies = callers.join_all().await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{sharing}");
        let refused = attack.join_all().await;
        assert_eq!(refused.len(), 30);
        assert!(refused.iter().all(|reply| reply.mark().is_none()));
    }
}

#[tokio::test]
async fn a_token_new_to_us_has_its_turn_however_many_known_callers_wait() {
    let world = World::with(&[("upstream_concurrency", "1")], |graph| graph.people = 40).await;
    let known = world.token(1);
    assert_eq!(
        world.get(&photo(&world.person(1)), &known).await.status,
        200
    );
    world.graph.clear_seen();
    let hold = world.graph.hold();
    let mut asking = JoinSet::new();
    for n in 2..9 {
        ask(&world, &mut asking, &photo(&world.person(n)), &known);
    }
    until("the crowd", || standing(&world) == (1, 6)).await;
    let mut newcomer = JoinSet::new();
    ask(
        &world,
        &mut newcomer,
        &photo(&world.person(9)),
        &world.token(2),
    );
    until("the newcomer", || standing(&world) == (1, 7)).await;
    hold.release();
    assert_eq!(newcomer.join_all().await.first().unwrap().status, 200);
    asking.join_all().await;
    let seen = world.graph.seen();
    let newcomers = photo(&world.person(9));
    let place = seen.iter().position(|one| one.path == newcomers).unwrap();
    assert_eq!(place, 2, "after the one on its way and one of the queue");
}

/// A caller who has had the head of a photo too large to store, and the next one, who waits.
async fn a_reader_and_the_next(world: &World) -> (Wire, JoinSet<Reply>) {
    let (large, next) = (photo(&world.person(1)), photo(&world.person(2)));
    let token = world.token(1);
    world.graph.once(&large, Fault::StallBody(100));
    let mut reader = Wire::to(world.proxy.address).await;
    let head = format!("GET {large} HTTP/1.1\r\nHost: p\r\nAuthorization: Bearer {token}\r\n\r\n");
    reader.send(head).await;
    assert_eq!(soon(reader.head()).await.unwrap().status(), 200);
    let mut asking = JoinSet::new();
    ask(world, &mut asking, &next, &token);
    (reader, asking)
}

#[tokio::test]
async fn a_photo_too_large_to_store_keeps_its_place_until_it_has_come_or_its_caller_has_left() {
    let settings = [("upstream_concurrency", "1"), ("max_photo", "1KiB")];
    let world = World::with(&settings, |_| {}).await;
    let (reader, asking) = a_reader_and_the_next(&world).await;
    until("the queue", || standing(&world) == (1, 1)).await;
    assert_eq!(world.graph.count(), 1);
    drop(reader);
    assert_eq!(asking.join_all().await.first().unwrap().status, 200);
    until("an empty lane", || standing(&world) == (0, 0)).await;
}

#[tokio::test]
async fn a_caller_who_does_not_read_keeps_its_place_no_longer_than_a_photo_may_take() {
    let settings = [
        ("upstream_concurrency", "1"),
        ("max_photo", "1KiB"),
        ("photo_timeout", "500ms"),
    ];
    let world = World::with(&settings, |_| {}).await;
    let (reader, asking) = a_reader_and_the_next(&world).await;
    until("the next question", || world.graph.count() == 2).await;
    asking.join_all().await;
    drop(reader);
}
