//! Promise 2, against what is remembered of a token: whoever sends another one, even down the
//! same connection and a byte apart, is somebody else.

use std::time::Duration;

use graph_photo_proxy::demo::TokenSpec;

use crate::support::World;
use crate::support::attack::photo;
use crate::support::wire::{Message, Wire};

/// One request on this connection, with these lines for its fields.
async fn ask(wire: &mut Wire, path: &str, lines: &str) -> Message {
    let request = format!("GET {path} HTTP/1.1\r\nHost: p\r\n{lines}\r\n");
    wire.send(request).await;
    wire.answer("GET").await.unwrap()
}

fn is_hit(answer: &Message) -> bool {
    let status = answer.values("cache-status");
    answer.status() == 200 && status.iter().any(|said| said.contains("; hit"))
}

#[tokio::test]
async fn a_token_a_byte_apart_is_a_stranger_on_the_same_connection() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    let mut wire = Wire::to(world.proxy.address).await;
    let own = format!("Authorization: Bearer {token}\r\n");
    ask(&mut wire, &path, &own).await;
    // Twice, so that the token is one that was seen lately.
    for _ in 0..2 {
        assert!(is_hit(&ask(&mut wire, &path, &own).await));
    }
    for at in [0, token.len() / 2, token.len() - 1] {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        let told = ask(
            &mut wire,
            &path,
            &format!("Authorization: Bearer {other}\r\n"),
        )
        .await;
        assert_eq!(told.status(), 401, "byte {at}");
    }
    let shorter = &token[..token.len() - 1];
    for other in [
        format!("Authorization: Bearer {shorter}\r\n"),
        format!("Authorization: Bearer {token}A\r\n"),
        format!("Authorization: Bearer {token}=\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("X-Authorization: Bearer {token}\r\n"),
        String::new(),
    ] {
        assert_eq!(ask(&mut wire, &path, &other).await.status(), 401, "{other}");
    }
    // One that is there twice is nobody's: Graph may say what it likes, memory says nothing.
    let twice = ask(&mut wire, &path, &format!("{own}{own}")).await;
    assert!(!is_hit(&twice));
    assert!(is_hit(&ask(&mut wire, &path, &own).await));
}

#[tokio::test]
async fn a_token_seen_a_moment_ago_ends_with_its_proof_on_the_same_connection() {
    let world = World::with(&[("photo_ttl", "24h")], |_| {}).await;
    let short = TokenSpec::of(&world.person(0)).lasting(Duration::from_secs(300));
    let (token, path) = (world.graph.issue(&short), photo(&world.person(1)));
    let mut wire = Wire::to(world.proxy.address).await;
    let own = format!("Authorization: Bearer {token}\r\n");
    ask(&mut wire, &path, &own).await;
    for _ in 0..3 {
        assert!(is_hit(&ask(&mut wire, &path, &own).await));
    }
    world.later(Duration::from_secs(299));
    assert!(is_hit(&ask(&mut wire, &path, &own).await));
    world.later(Duration::from_secs(1));
    assert_eq!(ask(&mut wire, &path, &own).await.status(), 401);
}

#[tokio::test]
async fn a_token_refused_a_moment_ago_is_not_remembered_on_any_connection() {
    let world = World::with(&[("photo_ttl", "24h")], |_| {}).await;
    let (token, other) = (world.token(0), world.token(2));
    let path = photo(&world.person(1));
    let mut wires = [
        Wire::to(world.proxy.address).await,
        Wire::to(world.proxy.address).await,
    ];
    let own = format!("Authorization: Bearer {token}\r\n");
    for wire in &mut wires {
        ask(wire, &path, &own).await;
        // No time passes between this and the refusal.
        assert!(is_hit(&ask(wire, &path, &own).await));
    }
    let others = format!("Authorization: Bearer {other}\r\n");
    ask(&mut wires[0], &path, &others).await;
    world.graph.revoke(&token);
    assert_eq!(ask(&mut wires[1], "/v1.0/me", &own).await.status(), 401);
    for wire in &mut wires {
        assert_eq!(ask(wire, &path, &own).await.status(), 401);
    }
    assert!(is_hit(&ask(&mut wires[0], &path, &others).await));
}

#[tokio::test]
async fn tokens_that_take_turns_on_one_connection_never_get_each_others_photo() {
    let world = World::with(&[("sharing", "token")], |_| {}).await;
    let tokens = [world.token(0), world.token(2), world.token(3)];
    let mut wire = Wire::to(world.proxy.address).await;
    let mut bodies = Vec::new();
    for token in &tokens {
        let own = format!("Authorization: Bearer {token}\r\n");
        let first = ask(&mut wire, "/v1.0/me/photo/$value", &own).await;
        assert_eq!(first.status(), 200);
        bodies.push(first.body);
    }
    assert!(bodies[0] != bodies[1] && bodies[1] != bodies[2]);
    for _ in 0..3 {
        for (token, body) in tokens.iter().zip(&bodies) {
            let own = format!("Authorization: Bearer {token}\r\n");
            let hit = ask(&mut wire, "/v1.0/me/photo/$value", &own).await;
            assert!(is_hit(&hit));
            assert_eq!(&hit.body, body);
        }
    }
}
