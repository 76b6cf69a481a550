//! Names asked for a directory at a time (`ask_names`): what is asked, with whose token, and
//! what comes of it.

use std::time::Duration;

use graph_photo_proxy::demo::{Fault, TokenSpec};

use crate::support::World;
use crate::support::attack::{forged, photo, photo_by_name, until};

const LISTED: &str = "/v1.0/users";

async fn world(settings: &[(&str, &str)]) -> World {
    let settings = [&[("sharing", "tenant"), ("ask_names", "true")], settings].concat();
    World::with(&settings, |graph| graph.people = 1_300).await
}

/// How often the directory has been asked for.
fn lists(world: &World) -> usize {
    let seen = world.graph.seen();
    seen.iter().filter(|one| one.path == LISTED).count()
}

fn known(world: &World) -> u64 {
    world.proxy.rooms.maintain();
    world.proxy.rooms.cache.aliases.known()
}

#[tokio::test]
async fn a_person_known_by_id_is_known_by_name_to_the_whole_tenant() {
    let world = world(&[]).await;
    let first = world.token(0);
    let faceless = world.faceless();
    for path in [photo(&world.person(1)), photo(&faceless)] {
        world.get(&path, &first).await;
    }
    // The first name that is asked for has the directory asked for behind it, page by page.
    world.get(&photo_by_name(&world.person(3)), &first).await;
    until("every name", || known(&world) > 1_000).await;
    assert_eq!(lists(&world), 2);
    for other in [world.token(0), world.token(5)] {
        world.get(&photo(&world.person(6)), &other).await;
        let reply = world.hit(&photo_by_name(&world.person(1)), &other).await;
        assert_eq!(reply.mark().unwrap().owner, world.person(1).id);
        let reply = world.hit(&photo_by_name(&faceless), &other).await;
        assert_eq!(reply.status, 404);
    }
    assert_eq!(lists(&world), 2, "once for the tenant");
}

#[tokio::test]
async fn the_directory_is_asked_for_again_when_the_pairs_grow_old() {
    let world = world(&[]).await;
    let spec = TokenSpec::of(&world.person(0)).lasting(Duration::from_hours(24));
    let token = world.graph.issue(&spec);
    let by_name = photo_by_name(&world.person(3));
    for (minutes, rounds) in [(0, 1), (30, 1), (20, 2), (10, 2)] {
        world.later(Duration::from_secs(minutes * 60));
        world.get(&photo(&world.person(1)), &token).await;
        world.get(&by_name, &token).await;
        until("the round", || lists(&world) == 2 * rounds).await;
    }
}

#[tokio::test]
async fn nobody_asks_for_the_directory_unless_the_operator_says_so() {
    for settings in [
        [("sharing", "tenant"), ("ask_names", "false")],
        [("sharing", "verified"), ("ask_names", "true")],
        [("sharing", "token"), ("ask_names", "true")],
    ] {
        let world = World::with(&settings, |_| {}).await;
        let token = world.token(0);
        for n in 1..4 {
            world.get(&photo(&world.person(n)), &token).await;
            world.get(&photo_by_name(&world.person(n)), &token).await;
        }
        assert_eq!(lists(&world), 0, "{settings:?}");
    }
}

#[tokio::test]
async fn the_directory_is_asked_for_with_no_token_that_may_not_read_it() {
    let world = world(&[]).await;
    let guest = world.graph.tenant().guests().next().unwrap().clone();
    let member = world.person(1);
    let tokens = [
        forged(&world.token(0)),
        world.graph.issue(TokenSpec::of(&guest)),
        world.token_with(0, "User.Read"),
        world.token_with(0, "Group.Read.All"),
        world
            .graph
            .issue(TokenSpec::of(&member).claim("wids", serde_json::json!([]))),
    ];
    for token in &tokens {
        for _ in 0..2 {
            world.get("/v1.0/me/photo/$value", token).await;
            world.get(&photo(&member), token).await;
            world.get(&photo_by_name(&member), token).await;
        }
    }
    assert_eq!(lists(&world), 0);
}

/// A token that Graph has accepted, and a face by name that it may have from memory: asking for
/// that one asks for the directory and for nothing else.
async fn proven(world: &World) -> (String, String) {
    let spec = TokenSpec::of(&world.person(0)).lasting(Duration::from_hours(24));
    let (token, by_name) = (world.graph.issue(spec), photo_by_name(&world.person(2)));
    assert_eq!(world.get(&by_name, &token).await.status, 200);
    assert_eq!(lists(world), 0, "not before Graph has accepted the token");
    (token, by_name)
}

#[tokio::test]
async fn what_is_not_graphs_list_teaches_nothing_and_is_not_asked_for_at_once_again() {
    for fault in [
        Fault::CaptiveGateway,
        Fault::Status(403),
        Fault::Status(500),
        Fault::Gzip,
        Fault::Redirect("https://elsewhere.example/".to_owned()),
        Fault::ContentType("text/plain".to_owned()),
        Fault::Replace(vec![("request-id", String::new())]),
    ] {
        let world = world(&[]).await;
        let (token, by_name) = proven(&world).await;
        let before = known(&world);
        world.graph.once(LISTED, fault.clone());
        assert!(world.get(&by_name, &token).await.is_hit());
        until("the question", || lists(&world) >= 1).await;
        // The token is as good as before, and so are photos.
        assert!(world.get(&by_name, &token).await.is_hit());
        assert_eq!(known(&world), before, "{fault:?}");
        // One that had gone well would not be followed by another so soon.
        world.later(Duration::from_secs(600));
        assert!(world.get(&by_name, &token).await.is_hit());
        until("every name", || known(&world) > 1_000).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_throttled_closes_the_budget_and_a_closed_budget_asks_for_none() {
    let world = world(&[]).await;
    let (token, by_name) = proven(&world).await;
    let wait = Fault::RetryAfter(429, "900".to_owned());
    world.graph.once(LISTED, wait);
    assert!(world.get(&by_name, &token).await.is_hit());
    until("a closed budget", || {
        let gate = world.proxy.rooms.questions.gate();
        let standings = gate.standings(world.clock.now());
        standings.iter().any(|one| !one.closed_for.is_zero())
    })
    .await;
    let cold = photo(&world.person(5));
    assert_eq!(world.get(&cold, &token).await.status, 429);
    world.later(Duration::from_secs(700));
    assert!(world.get(&by_name, &token).await.is_hit());
    assert_eq!(world.get(&cold, &token).await.status, 429);
    assert_eq!(lists(&world), 1);
}
