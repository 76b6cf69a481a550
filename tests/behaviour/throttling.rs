//! Promise 4: while Graph says wait nothing is asked, and what is held is served.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has failed"
)]

use std::time::Duration;

use graph_photo_proxy::demo::{Fault, RetryAfter, TokenSpec};
use http::StatusCode;

use crate::support::{Reply, World};

const OTHER_APP: &str = "11111111-52c6-4e0c-9a7e-3c1b0c6e1f10";

fn path(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo/$value", world.person(n).id)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What a caller is told while the gate is closed and nothing is held for it.
fn is_told_to_wait(reply: &Reply, wait: &str) {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.field("retry-after"), wait, "{reply:?}");
    let json = reply.json();
    assert_eq!(json["error"]["code"], "TooManyRequests");
    for name in ["date", "request-id", "client-request-id"] {
        assert!(json["error"]["innerError"][name].is_string(), "{json}");
    }
    let status = reply.field("cache-status");
    assert!(status.contains("detail=throttled"), "{status}");
}

#[tokio::test]
async fn no_photo_is_asked_for_until_the_wait_is_over_whatever_form_it_has() {
    for (form, told) in [
        (RetryAfter::Seconds, "20"),
        (RetryAfter::Fraction, "20"),
        (RetryAfter::Date, "20"),
        (RetryAfter::Absent, "1"),
    ] {
        let world = World::start().await;
        let token = world.token(0);
        world.graph.throttle_for(seconds(20), form);
        let first = world.get(&path(&world, 1), &token).await;
        assert_eq!(first.status, 429);
        assert_eq!(first.field("retry-after"), told, "{form:?}");
        world.graph.end_throttling();
        let wait: u64 = told.parse().unwrap();
        world.later(Duration::from_millis(wait * 1_000 - 1));
        is_told_to_wait(&world.get(&path(&world, 2), &token).await, "1");
        assert_eq!(world.graph.count(), 1, "{form:?}");
        world.later(Duration::from_millis(1));
        assert_eq!(world.get(&path(&world, 2), &token).await.status, 200);
        assert_eq!(world.graph.count(), 2);
    }
}

#[tokio::test]
async fn what_is_held_is_served_while_graph_says_wait() {
    let world = World::with(&[("stale_while_revalidate", "0s")], |_| {}).await;
    let (path, token) = (path(&world, 1), world.long_lived());
    let first = world.get(&path, &token).await;
    world.later(seconds(3_599));
    world.get(&self::path(&world, 2), &token).await;
    world.later(seconds(800));
    world.graph.clear_seen();
    world.graph.throttle_for(seconds(60), RetryAfter::Seconds);
    for asked in [1, 1, 1] {
        let held = world.get(&path, &token).await;
        assert_eq!((held.status, &held.body), (StatusCode::OK, &first.body));
        assert!(
            held.field("cache-status").contains("detail=throttled"),
            "{held:?}"
        );
        assert_eq!(world.graph.count(), asked);
    }
}

#[tokio::test]
async fn what_is_stale_says_so_and_is_not_revalidated_behind_while_graph_says_wait() {
    let world = World::start().await;
    let (path, token) = (path(&world, 1), world.long_lived());
    world.get(&path, &token).await;
    world.later(seconds(3_599));
    world.get(&self::path(&world, 2), &token).await;
    world.later(seconds(800));
    world.graph.throttle_for(seconds(60), RetryAfter::Seconds);
    assert_eq!(world.get(&self::path(&world, 3), &token).await.status, 429);
    world.graph.clear_seen();
    let held = world.get(&path, &token).await;
    assert!(
        held.is_hit() && held.field("cache-status").contains("detail=throttled"),
        "{held:?}"
    );
    assert_eq!(world.graph.count(), 0);
}

#[tokio::test]
async fn another_application_is_not_blocked_and_neither_is_pass_through() {
    let world = World::start().await;
    let token = world.token(0);
    let spec = TokenSpec::of(&world.person(0)).from_app(OTHER_APP);
    let other = world.graph.issue(&spec);
    let app = TokenSpec::of(&world.person(0));
    world
        .graph
        .once("/v1.0/users", Fault::RetryAfter(429, "30".to_owned()));
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 429);
    is_told_to_wait(
        &world.get(&path(&world, 1), &world.graph.issue(&app)).await,
        "30",
    );
    assert_eq!(world.get(&path(&world, 1), &other).await.status, 200);
    assert_eq!(world.get("/v1.0/me", &token).await.status, 200);
}

#[tokio::test]
async fn a_429_that_passes_through_closes_the_gate_too_and_is_handed_on_untouched() {
    let world = World::start().await;
    let token = world.token(0);
    world
        .graph
        .once("/v1.0/me", Fault::RetryAfter(429, "2.128".to_owned()));
    let passed = world.get("/v1.0/me", &token).await;
    assert_eq!(
        (passed.status.as_u16(), passed.field("retry-after")),
        (429, "2.128")
    );
    is_told_to_wait(&world.get(&path(&world, 1), &token).await, "3");
    assert_eq!(world.get("/v1.0/me", &token).await.status, 200);
}

#[tokio::test]
async fn teams_have_a_clock_of_their_own() {
    let world = World::start().await;
    let spec = TokenSpec::of(&world.person(0)).with("User.ReadBasic.All Team.ReadBasic.All");
    let token = world.graph.issue(&spec);
    let team = world.graph.tenant().teams().next().unwrap().id.clone();
    let team = format!("/v1.0/teams/{team}/photo/$value");
    world
        .graph
        .once("/v1.0/teams", Fault::RetryAfter(429, "30".to_owned()));
    assert_eq!(world.get(&team, &token).await.status, 429);
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 200);
    is_told_to_wait(&world.get(&team, &token).await, "30");
    world.later(seconds(30));
    world.graph.once(
        "/v1.0/me/joinedTeams",
        Fault::RetryAfter(429, "9".to_owned()),
    );
    assert_eq!(world.get("/v1.0/me/joinedTeams", &token).await.status, 429);
    is_told_to_wait(&world.get(&team, &token).await, "9");
    assert_eq!(world.get(&path(&world, 2), &token).await.status, 200);
}

#[tokio::test]
async fn a_503_that_names_a_wait_is_throttling_and_one_that_does_not_is_a_failure() {
    let world = World::start().await;
    let token = world.token(0);
    world.graph.next(Fault::Status(503));
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 503);
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 200);
    world.graph.next(Fault::RetryAfter(503, "12".to_owned()));
    assert_eq!(world.get(&path(&world, 2), &token).await.status, 503);
    is_told_to_wait(&world.get(&path(&world, 2), &token).await, "12");
}

#[tokio::test]
async fn a_wait_of_a_year_is_not_believed() {
    let world = World::with(&[("throttle_cap", "1m")], |_| {}).await;
    let token = world.token(0);
    world
        .graph
        .next(Fault::RetryAfter(429, "31536000".to_owned()));
    world.get(&path(&world, 1), &token).await;
    is_told_to_wait(&world.get(&path(&world, 1), &token).await, "60");
    world.later(seconds(60));
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 200);
}

#[tokio::test]
async fn after_the_wait_one_goes_ahead_of_the_crowd() {
    let world = World::with(&[("upstream_concurrency", "4")], |graph| graph.people = 40).await;
    let token = world.token(0);
    world.graph.throttle_for(seconds(5), RetryAfter::Seconds);
    world.get(&path(&world, 1), &token).await;
    world.later(seconds(5));
    world.graph.clear_seen();
    let hold = world.graph.hold();
    let mut asking = tokio::task::JoinSet::new();
    for n in 2..12 {
        asking.spawn(world.proxy.getting(&path(&world, n), &token));
    }
    for width in [1, 2, 4] {
        hold.waiting(width).await;
        assert_eq!(hold.held(), width);
        if width < 4 {
            hold.release_one();
            hold.waiting_at_most(width - 1).await;
        }
    }
    hold.release();
    assert!(
        asking
            .join_all()
            .await
            .iter()
            .all(|reply| reply.status == 200)
    );
}

#[tokio::test]
async fn no_more_than_the_documented_four_are_on_their_way_at_once() {
    // A busy machine draws a hundred pictures in more than the ten seconds of the queue.
    let settings = [("upstream_concurrency", "4"), ("upstream_timeout", "1m")];
    let change = |graph: &mut graph_photo_proxy::demo::Settings| {
        graph.people = 200;
        graph.concurrency = Some(4);
        graph.latency = (Duration::from_millis(1), Duration::from_millis(2));
    };
    let world = World::with(&settings, change).await;
    let token = world.token(0);
    let mut asking = tokio::task::JoinSet::new();
    for n in 1..100 {
        asking.spawn(world.proxy.getting(&path(&world, n), &token));
    }
    assert!(
        asking
            .join_all()
            .await
            .iter()
            .all(|reply| reply.status == 200)
    );
    assert_eq!((world.graph.throttled(), world.graph.count()), (0, 99));
}

#[tokio::test]
async fn a_head_is_not_sent_either_while_graph_says_wait() {
    let world = World::start().await;
    let token = world.token(0);
    world.graph.throttle_for(seconds(20), RetryAfter::Seconds);
    world.get(&path(&world, 1), &token).await;
    let head = world.proxy.head(&path(&world, 2), &token).await;
    assert_eq!(
        (head.status.as_u16(), head.field("retry-after")),
        (429, "20")
    );
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn while_graph_is_down_a_cold_request_is_told_at_once_and_a_probe_finds_it_again() {
    let world = World::with(&[], |graph| graph.people = 60).await;
    let token = world.long_lived();
    let held = path(&world, 20);
    world.get(&held, &token).await;
    world.graph.on("/", Fault::Status(502));
    world.graph.clear_seen();
    for n in 1..20 {
        let reply = world.get(&path(&world, n), &token).await;
        assert!(matches!(reply.status.as_u16(), 502 | 503), "{reply:?}");
    }
    assert_eq!(world.graph.count(), 5);
    let told = world.get(&path(&world, 1), &token).await;
    assert_eq!(
        (told.status.as_u16(), told.field("retry-after")),
        (503, "1")
    );
    assert!(
        told.field("proxy-status")
            .contains("destination_unavailable")
    );
    assert!(world.get(&held, &token).await.is_hit());
    world.later(seconds(1));
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 502);
    assert_eq!(world.get(&path(&world, 1), &token).await.status, 503);
    assert_eq!(world.graph.count(), 6);
    world.graph.clear_faults();
    world.later(seconds(2));
    for n in 1..5 {
        assert_eq!(world.get(&path(&world, n), &token).await.status, 200);
    }
}

#[tokio::test]
async fn one_broken_owner_locks_nobody_out() {
    let world = World::start().await;
    let token = world.token(0);
    world.graph.on(&path(&world, 1), Fault::Status(500));
    for _ in 0..20 {
        assert_eq!(world.get(&path(&world, 1), &token).await.status, 500);
    }
    assert_eq!(world.get(&path(&world, 2), &token).await.status, 200);
}

/// Random days: at no time does Graph see a photo request inside a window it has named.
#[tokio::test]
async fn graph_sees_no_photo_request_inside_any_window_it_has_named() {
    for seed in 0..6_u8 {
        let settings = [("upstream_concurrency", "4"), ("absent_ttl", "0s")];
        let world = World::with(&settings, |graph| graph.people = 30).await;
        let tokens: Vec<_> = (0..3).map(|n| world.token(n)).collect();
        let mut state = 0x9E37_79B9_u32.wrapping_mul(u32::from(seed) + 1);
        let mut roll = |below: u32| {
            // xorshift32: any sequence will do, as long as it is the same every time.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % below
        };
        let mut bans = 0;
        for _ in 0..120 {
            match roll(12) {
                0 => {
                    let forms = [RetryAfter::Seconds, RetryAfter::Fraction, RetryAfter::Date];
                    let form = forms[roll(3) as usize];
                    let wait = Duration::from_millis(u64::from(500 + roll(20_000)));
                    world.graph.throttle_for(wait, form);
                    bans += 1;
                }
                1..4 => world.later(Duration::from_millis(u64::from(roll(4_000)))),
                _ => {
                    let token = &tokens[roll(3) as usize];
                    let person = roll(16) as usize;
                    let reply = world.get(&path(&world, person), token).await;
                    assert!(matches!(reply.status.as_u16(), 200 | 429), "{reply:?}");
                }
            }
        }
        // Each window can be learnt of only by one call that is refused.
        assert!(
            world.graph.throttled() <= bans,
            "{} of {bans}",
            world.graph.throttled()
        );
    }
}

#[tokio::test]
async fn a_question_asked_again_after_a_304_about_nothing_keeps_to_the_gate() {
    let world = World::start().await;
    let token = world.token(0);
    world.graph.once(&path(&world, 1), Fault::NotModified);
    let wait = Fault::RetryAfter(429, "30".to_owned());
    world.graph.once(&path(&world, 1), wait);
    is_told_to_wait_by_graph(&world.get(&path(&world, 1), &token).await);
    let calls = world.graph.count();
    is_told_to_wait(&world.get(&path(&world, 2), &token).await, "30");
    assert_eq!(world.graph.count(), calls, "Graph said wait");
}

/// What the caller is told whose question met the refusal.
fn is_told_to_wait_by_graph(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.field("retry-after"), "30", "{reply:?}");
}
