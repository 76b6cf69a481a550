//! Promise 2, over time: how long Graph's word about a token is believed, and what ends it.

use std::time::Duration;

use graph_photo_proxy::demo::{Challenge, Fault, TokenSpec};
use http::Method;
use serde_json::json;

use crate::support::World;
use crate::support::attack::{photo, photo_by_name, until};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// Photos stay fresh all day, so that only proofs end.
const ALL_DAY: [(&str, &str); 1] = [("photo_ttl", "24h")];

/// A token of the n-th member that outlives every test.
fn long(world: &World, n: usize) -> String {
    let spec = TokenSpec::of(&world.person(n)).lasting(Duration::from_secs(200_000));
    world.graph.issue(&spec)
}

#[tokio::test]
async fn a_proof_ends_exactly_with_its_lifetime() {
    for (age, hit) in [
        ((15 * MINUTE).checked_sub(SECOND).unwrap(), true),
        (15 * MINUTE, false),
    ] {
        let world = World::with(&ALL_DAY, |_| {}).await;
        let (token, path) = (long(&world, 0), photo(&world.person(1)));
        world.get(&path, &token).await;
        world.later(age);
        assert_eq!(
            world.get(&path, &token).await.is_hit(),
            hit,
            "after {age:?}"
        );
    }
}

#[tokio::test]
async fn a_proof_ends_exactly_with_its_token() {
    let world = World::with(&ALL_DAY, |_| {}).await;
    let short = TokenSpec::of(&world.person(0)).lasting(10 * MINUTE);
    let (token, path) = (world.graph.issue(&short), photo(&world.person(1)));
    world.get(&path, &token).await;
    world.later((10 * MINUTE).checked_sub(SECOND).unwrap());
    world.hit(&path, &token).await;
    world.later(SECOND);
    let reply = world.asks(&path, &token).await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (401, None));
}

#[tokio::test]
async fn a_401_anywhere_ends_the_proof_at_once() {
    for end in ["/v1.0/me", "a write", "another photo", "a head"] {
        let world = World::with(&ALL_DAY, |_| {}).await;
        let (token, path) = (world.token(0), photo(&world.person(1)));
        let other = photo(&world.person(2));
        world.get(&path, &token).await;
        world.later(SECOND);
        world.graph.revoke(&token);
        // Not known yet: the token is believed for as long as a proof is.
        world.hit(&path, &token).await;
        let told = match end {
            "a write" => world.proxy.put(&other, &token, "x").await,
            "another photo" => world.get(&other, &token).await,
            "a head" => world.proxy.head(&other, &token).await,
            path => world.get(path, &token).await,
        };
        assert_eq!(told.status, 401, "{end}");
        let reply = world.asks(&path, &token).await;
        assert_eq!((reply.status.as_u16(), reply.mark()), (401, None), "{end}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_the_bound_and_for_good() {
    let world = World::with(&ALL_DAY, |_| {}).await;
    let (token, path) = (long(&world, 0), photo(&world.person(1)));
    world.get(&path, &token).await;
    world.graph.revoke(&token);
    let mut served = 0;
    for minute in 1..120 {
        world.later(MINUTE);
        let calls = world.graph.count();
        let reply = world.get(&path, &token).await;
        if reply.status == 200 {
            served = minute;
            if minute >= 12 {
                // The renewal behind this answer is told the truth.
                until("the renewal", || world.graph.count() > calls).await;
                let identity = &world.proxy.rooms.identity;
                until("the end of the proof", || {
                    identity.maintain(world.clock.now());
                    identity.proofs_held() == 0
                })
                .await;
            }
        } else {
            assert_eq!(reply.status, 401);
        }
    }
    assert!(served < 15, "still served after {served} minutes");
    assert!(served >= 12);
}

#[tokio::test]
async fn polling_extends_nothing_while_graph_gives_no_word() {
    let world = World::with(&ALL_DAY, |_| {}).await;
    let (token, path) = (long(&world, 0), photo(&world.person(1)));
    world.get(&path, &token).await;
    let calls = world.graph.count();
    world.graph.on("/", Fault::Status(500));
    for half_minute in 1..=60 {
        world.later(30 * SECOND);
        let reply = world.get(&path, &token).await;
        assert_eq!(
            reply.status == 200,
            half_minute < 30,
            "{half_minute}\n{reply:?}"
        );
    }
    // A failing Graph is not asked with every hit either.
    assert!(
        world.graph.count() - calls <= 4 + 31 * 2,
        "{}",
        world.graph.count()
    );
}

#[tokio::test]
async fn a_slow_answer_from_before_a_401_proves_nothing_and_is_not_kept() {
    let world = World::with(&ALL_DAY, |_| {}).await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    let hold = world.graph.hold_on(&path);
    let (slow, ()) = tokio::join!(world.get(&path, &token), async {
        hold.waiting(1).await;
        world.graph.revoke(&token);
        world.later(SECOND);
        assert_eq!(world.get("/v1.0/me", &token).await.status, 401);
        world.later(SECOND);
        hold.release();
    });
    // Graph gave it to this very token: it is handed on.
    assert_eq!(slow.status, 200);
    let reply = world.asks(&path, &token).await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (401, None));
    // Nor has it become an access of the principal.
    world.asks(&path, &world.fresh_token(0)).await;
}

#[tokio::test]
async fn a_proof_is_renewed_behind_a_hit_so_that_steady_callers_never_wait() {
    let world = World::with(&ALL_DAY, |_| {}).await;
    let (token, path) = (long(&world, 0), photo(&world.person(1)));
    world.get(&path, &token).await;
    let identity = &world.proxy.rooms.identity;
    let asked = |world: &World| {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let caller = identity.caller(&headers, world.clock.now()).unwrap();
        caller.proof().map(|proof| proof.asked)
    };
    for half_minute in 1..=240 {
        world.later(30 * SECOND);
        let (calls, before) = (world.graph.count(), asked(&world));
        assert!(
            world.get(&path, &token).await.is_hit(),
            "waited at {half_minute}"
        );
        let age = world.clock.now().since(before.unwrap());
        if age >= 12 * MINUTE {
            until("the renewal", || asked(&world) != before).await;
        } else {
            assert_eq!(world.graph.count(), calls, "asked at {age:?}");
        }
    }
    // Two hours, one verification per twelve minutes, no download after the first.
    assert_eq!((world.graph.count(), world.graph.downloads()), (11, 1));
}

#[tokio::test]
async fn a_403_narrows_that_owner_only_under_every_name_and_for_head_too() {
    for by_head in [false, true] {
        let world = World::with(
            &[("photo_ttl", "10m"), ("stale_while_revalidate", "0s")],
            |_| {},
        )
        .await;
        let token = world.token(0);
        let (owner, other) = (world.person(1), world.person(2));
        let names = [photo(&owner), photo_by_name(&owner)];
        for path in names.iter().chain([&photo(&other)]) {
            world.get(path, &token).await;
        }
        world.graph.forbid(&world.person(0).id, &owner.id);
        // Fresh and proven: served, for as long as an access lasts.
        world.hit(&names[0], &token).await;
        world.later(12 * MINUTE);
        // By one name only; the other form is not known to be the same person's.
        let method = if by_head { Method::HEAD } else { Method::GET };
        let told = world.send(method, &names[0], &token, &[]).await;
        assert_eq!(told.status, 403);
        // Graph fails: what is held and stale must not stand in for what was refused.
        world.graph.on("/v1.0/users", Fault::Status(500));
        for path in &names {
            let reply = world.get(path, &token).await;
            assert_eq!(reply.mark(), None, "{path}\n{reply:?}");
        }
        let reply = world.get(&photo(&other), &token).await;
        assert_eq!(
            reply.mark().map(|mark| mark.owner),
            Some(other.id),
            "{reply:?}"
        );
        // Given again by Graph, it is held again.
        world.graph.clear_faults();
        world.graph.forgive();
        world.later(2 * MINUTE);
        assert_eq!(world.get(&names[0], &token).await.status, 200);
        world.hit(&names[0], &token).await;
    }
}

#[tokio::test]
async fn nothing_stale_stands_in_for_a_401_a_403_or_a_404() {
    let world = World::with(
        &[("photo_ttl", "1m"), ("stale_while_revalidate", "0s")],
        |_| {},
    )
    .await;
    let (token, owner) = (long(&world, 0), world.person(1));
    let path = photo(&owner);
    world.get(&path, &token).await;
    world.later(5 * MINUTE);
    world.graph.forbid(&world.person(0).id, &owner.id);
    assert_eq!(world.get(&path, &token).await.status, 403);
    world.graph.forgive();
    assert_eq!(world.get(&path, &token).await.status, 200);
    world.later(5 * MINUTE);
    world.graph.remove_photo(&owner.id);
    assert_eq!(world.get(&path, &token).await.status, 404);
    world.graph.revoke(&token);
    world.later(15 * MINUTE);
    assert_eq!(world.get(&path, &token).await.status, 401);
}

#[tokio::test]
async fn claims_challenges_pass_byte_for_byte_and_end_the_proof() {
    let world = World::with(&ALL_DAY, |graph| graph.challenge = Challenge::Claims).await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &token).await;
    world.later(SECOND);
    world.graph.revoke(&token);
    let direct = http::Request::get(format!("{}{path}", world.graph.base_url()))
        .header("authorization", format!("Bearer {token}"))
        .body(http_body_util::Full::default())
        .unwrap();
    let direct = world.proxy.send(direct).await;
    assert!(
        direct
            .field("www-authenticate")
            .contains("insufficient_claims")
    );
    let other = world.get(&photo(&world.person(2)), &token).await;
    let own = world.get(&path, &token).await;
    for reply in [other, own] {
        assert_eq!(reply.status, 401);
        let all = |reply: &crate::support::Reply| -> Vec<_> {
            reply
                .headers
                .get_all("www-authenticate")
                .iter()
                .cloned()
                .collect()
        };
        assert_eq!(all(&reply), all(&direct));
        assert_eq!(
            reply.json()["error"]["code"],
            direct.json()["error"]["code"]
        );
        assert_eq!(
            reply.json()["error"]["message"],
            direct.json()["error"]["message"]
        );
    }
}

#[tokio::test]
async fn a_token_past_its_exp_by_our_clock_alone_is_graphs_to_judge() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    world.get(&path, &world.token(0)).await;
    // Graph takes it for another hour; by its claims it is over.
    let ended = TokenSpec::of(&world.person(0)).claim("exp", json!(1_000_000));
    let ended = world.graph.issue(&ended);
    for _ in 0..2 {
        let reply = world.asks(&path, &ended).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(
            reply.mark().map(|mark| mark.owner),
            Some(world.person(1).id)
        );
    }
}

#[tokio::test]
async fn a_304_that_names_another_tag_or_was_not_asked_for_gives_nobody_anything() {
    let world = World::start().await;
    let (a, b) = (world.token(0), world.token(1));
    let path = photo(&world.person(1));
    world.get(&path, &a).await;
    let other = Fault::Replace(vec![("etag", "W/\"another\"".to_owned())]);
    world.graph.once(&path, other);
    let calls = world.graph.count();
    let reply = world.get(&path, &b).await;
    // Asked again for all of it, for this caller alone.
    assert_eq!(
        (reply.status.as_u16(), world.graph.count() - calls),
        (200, 2)
    );
    world.asks(&path, &b).await;
    // To a question that named nothing: the same.
    let cold = photo(&world.person(2));
    world.graph.once(&cold, Fault::NotModified);
    let reply = world.get(&cold, &a).await;
    let owner = reply.mark().map(|mark| mark.owner);
    assert_eq!(owner, Some(world.person(2).id), "{reply:?}");
    assert!(!reply.field("cache-status").contains("stored"), "{reply:?}");
    world.asks(&cold, &a).await;
}

#[tokio::test]
async fn proofs_are_bounded_in_number_and_the_least_used_is_forgotten() {
    let world = World::with(&[("proofs", "2"), ALL_DAY[0]], |_| {}).await;
    let path = photo(&world.person(1));
    let identity = &world.proxy.rooms.identity;
    for n in 0..6 {
        assert_eq!(world.get(&path, &world.token(n)).await.status, 200);
        identity.maintain(world.clock.now());
        assert!(identity.proofs_held() <= 2);
    }
    // A newcomer is remembered however full it is.
    let newest = world.token(7);
    world.get(&path, &newest).await;
    identity.maintain(world.clock.now());
    world.hit(&path, &newest).await;
}

#[tokio::test]
async fn a_refusal_that_follows_a_304_about_nothing_ends_what_was_given_before() {
    let settings = [("photo_ttl", "10m"), ("stale_while_revalidate", "0s")];
    let world = World::with(&settings, |_| {}).await;
    let spec = TokenSpec::of(&world.person(0)).lasting(Duration::from_hours(24));
    let token = world.graph.issue(&spec);
    let path = photo(&world.person(1));
    assert_eq!(world.get(&path, &token).await.status, 200);
    world.later(Duration::from_mins(12));
    let other = Fault::Replace(vec![("etag", "W/\"another\"".to_owned())]);
    for fault in [other, Fault::Status(403), Fault::Status(500)] {
        world.graph.once(&path, fault);
    }
    assert_eq!(world.get(&path, &token).await.status, 403);
    // Graph fails, and what it has refused meanwhile does not stand in for its answer.
    assert_eq!(world.get(&path, &token).await.status, 500);
}
