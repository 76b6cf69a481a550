//! Promise 3 under a crowd: one question to Graph, whoever asks it at once, and nobody fails
//! because of somebody else.

use std::time::Duration;

use graph_photo_proxy::demo::{Fault, Hold, RetryAfter};
use tokio::task::JoinSet;

use crate::support::wire::Wire;
use crate::support::{Reply, World};

/// Puts a question for each of these tokens at once; what came, in any order.
async fn all_at_once(world: &World, path: &str, tokens: &[String]) -> Vec<Reply> {
    ask_all(world, path, tokens).join_all().await
}

/// The same, while Graph holds back its answer until so many of them wait for it.
async fn while_they_wait(
    world: &World,
    hold: Hold,
    waiting: usize,
    path: &str,
    tokens: &[String],
) -> Vec<Reply> {
    let releasing = async {
        world.waiting(waiting).await;
        hold.release();
    };
    tokio::join!(all_at_once(world, path, tokens), releasing).0
}

fn ask_all(world: &World, path: &str, tokens: &[String]) -> JoinSet<Reply> {
    let mut asking = JoinSet::new();
    for token in tokens {
        asking.spawn(world.proxy.getting(path, token));
    }
    asking
}

/// So many tokens of the n-th person, each of which Graph has accepted already.
async fn proven(world: &World, n: usize, count: usize) -> Vec<String> {
    // One's own photo would say nothing about others.
    let another = path(world, if n == 5 { 6 } else { 5 });
    let mut tokens = Vec::new();
    for _ in 0..count {
        let token = world.token(n);
        assert_eq!(world.get(&another, &token).await.status, 200);
        tokens.push(token);
    }
    world.graph.clear_seen();
    tokens
}

fn path(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo/$value", world.person(n).id)
}

#[tokio::test]
async fn a_thousand_cold_requests_with_one_unproven_token_are_one_call() {
    let world = World::start().await;
    let (path, tokens) = (path(&world, 3), vec![world.token(0); 1_000]);
    let hold = world.graph.hold();
    let replies = while_they_wait(&world, hold, 999, &path, &tokens).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let collapsed = |reply: &&Reply| reply.field("cache-status").contains("; collapsed");
    assert_eq!(replies.iter().filter(collapsed).count(), 999);
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_as_soon_as_another_has_been_answered_asks_graph_nothing() {
    let world = World::with(&[], |graph| graph.people = 240).await;
    let [token] = &proven(&world, 0, 1).await[..] else {
        panic!("one was asked for");
    };
    let (mut one, mut other) = (
        Wire::to(world.proxy.address).await,
        Wire::to(world.proxy.address).await,
    );
    let tenant = world.graph.tenant();
    let mut calls = 0;
    for person in tenant
        .with_photo()
        .filter(|person| person.id != world.person(5).id)
    {
        let request = format!(
            "GET /v1.0/users/{}/photo/$value HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {token}\r\n\r\n",
            person.id
        );
        calls += 1;
        for wire in [&mut one, &mut other] {
            wire.send(&request).await;
            let answer = wire.answer("GET").await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(
            world.graph.count(),
            calls,
            "neither answer nor question was found"
        );
    }
    assert!(calls > 100);
}

#[tokio::test]
async fn a_thousand_proven_tokens_of_one_principal_are_one_call() {
    let world = World::start().await;
    let tokens = proven(&world, 0, 1_000).await;
    let path = path(&world, 3);
    let hold = world.graph.hold();
    let replies = while_they_wait(&world, hold, 999, &path, &tokens).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn under_tenant_a_thousand_proven_tokens_of_many_people_are_one_call() {
    let world = World::with(&[("sharing", "tenant")], |graph| graph.people = 200).await;
    let mut tokens = Vec::new();
    for n in 0..100 {
        tokens.extend(proven(&world, n, 10).await);
    }
    let path = path(&world, 101);
    let hold = world.graph.hold();
    let replies = while_they_wait(&world, hold, 999, &path, &tokens).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn ten_principals_a_hundred_times_each_are_ten_calls_and_one_download() {
    let world = World::with(&[], |graph| graph.people = 40).await;
    let path = path(&world, 15);
    let tokens: Vec<_> = (0..1_000).map(|n| n % 10).collect();
    let issued: Vec<_> = (0..10).map(|n| world.token(n)).collect();
    let tokens: Vec<_> = tokens
        .into_iter()
        .map(|n: usize| issued[n].clone())
        .collect();
    let replies = all_at_once(&world, &path, &tokens).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    let (calls, downloads) = (world.graph.count(), world.graph.downloads());
    assert!(
        calls <= 10 && downloads == 1,
        "{calls} calls, {downloads} downloads"
    );
}

#[tokio::test]
async fn a_leader_that_breaks_fails_nobody_who_waits() {
    for fault in [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(504),
        Fault::Close,
        Fault::Garbage,
        Fault::CutBody(100),
        Fault::DeclareMore(5),
        Fault::Empty,
        Fault::CaptiveGateway,
        Fault::Redirect("https://example.com/".to_owned()),
        Fault::Headers(vec![("cache-control", "no-store".to_owned())]),
    ] {
        let world = World::start().await;
        let (path, tokens) = (path(&world, 3), vec![world.token(0); 50]);
        let hold = world.graph.hold();
        world.graph.next(fault.clone());
        let replies = while_they_wait(&world, hold, 49, &path, &tokens).await;
        let good = |reply: &&Reply| reply.status == 200 && reply.mark().is_some();
        let good = replies.iter().filter(good).count();
        assert!(good >= 49, "{fault:?}: {good}");
        assert!(
            world.graph.count() <= 4,
            "{fault:?}: {}",
            world.graph.count()
        );
    }
}

#[tokio::test]
async fn a_leader_who_is_refused_fails_nobody_who_may() {
    let world = World::start().await;
    let tokens = proven(&world, 0, 20).await;
    let path = path(&world, 3);
    let hold = world.graph.hold();
    world.graph.next(Fault::Status(401));
    let replies = while_they_wait(&world, hold, 19, &path, &tokens).await;
    let refused = replies.iter().filter(|reply| reply.status == 401).count();
    let given = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((refused, given), (1, 19));
    assert_eq!(world.graph.count(), 2);
}

#[tokio::test]
async fn everybody_who_is_refused_hears_it_from_graph() {
    let world = World::start().await;
    let bad = world.token(0);
    world.graph.revoke(&bad);
    let replies = all_at_once(&world, &path(&world, 3), &vec![bad; 60]).await;
    assert!(replies.iter().all(|reply| reply.status == 401));
    let challenged = |reply: &Reply| !reply.field("www-authenticate").is_empty();
    assert!(replies.iter().all(challenged));
}

#[tokio::test]
async fn a_leader_who_is_throttled_leaves_one_call_and_the_wait_for_all() {
    let world = World::start().await;
    let (path, tokens) = (path(&world, 3), vec![world.token(0); 200]);
    let hold = world.graph.hold();
    world
        .graph
        .throttle_for(Duration::from_secs(17), RetryAfter::Seconds);
    for reply in while_they_wait(&world, hold, 199, &path, &tokens).await {
        assert_eq!(reply.status, 429);
        assert_eq!(reply.field("retry-after"), "17");
    }
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn a_leader_who_hangs_up_at_once_fails_nobody_and_costs_nothing_more() {
    let world = World::start().await;
    let (path, token) = (path(&world, 3), world.token(0));
    let hold = world.graph.hold();
    let leader = tokio::spawn(world.proxy.getting(&path, &token));
    hold.waiting(1).await;
    leader.abort();
    assert!(leader.await.is_err());
    let tokens = vec![token; 20];
    let replies = while_they_wait(&world, hold, 20, &path, &tokens).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn beyond_the_bound_nobody_waits() {
    let world = World::with(&[("waiting_callers", "5")], |_| {}).await;
    let (cold, token) = (path(&world, 3), world.token(0));
    let hold = world.graph.hold();
    let mut asking = ask_all(&world, &cold, &vec![token; 10]);
    for _ in 0..4 {
        let told = asking.join_next().await.unwrap().unwrap();
        assert_eq!(told.status, 503);
        assert_eq!(told.field("retry-after"), "1");
        assert!(told.field("cache-status").contains("detail=overloaded"));
        assert_eq!(told.json()["error"]["code"], "ServiceUnavailable");
    }
    hold.release();
    let given = asking.join_all().await;
    assert_eq!(given.len(), 6);
    assert!(given.iter().all(|reply| reply.status == 200));
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn beyond_the_bound_what_is_held_is_served_stale() {
    let settings = [("waiting_callers", "1"), ("stale_while_revalidate", "0s")];
    let world = World::with(&settings, |_| {}).await;
    let (path, token) = (path(&world, 3), world.long_lived());
    world.get(&path, &token).await;
    world.later(Duration::from_secs(3_599));
    // Freshens the proof, not the photo.
    world.get(&self::path(&world, 4), &token).await;
    world.later(Duration::from_mins(10));
    world.graph.clear_seen();
    let hold = world.graph.hold();
    let mut asking = ask_all(&world, &path, &vec![token; 5]);
    for _ in 0..3 {
        let told = asking.join_next().await.unwrap().unwrap();
        assert_eq!(told.status, 200);
        assert!(
            told.field("cache-status").contains("detail=overloaded"),
            "{told:?}"
        );
    }
    hold.release();
    assert!(
        asking
            .join_all()
            .await
            .iter()
            .all(|reply| reply.status == 200)
    );
    assert_eq!(world.graph.count(), 1);
}
