//! Hits and misses on a kept connection go a shorter way than the first request of one: it must not
//! show.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use graph_photo_proxy::demo::Framing;

use crate::support::World;
use crate::support::wire::{Message, Wire, soon};

async fn ask(wire: &mut Wire, target: &str, token: &str, fields: &str) -> Message {
    let auth = format!("Authorization: Bearer {token}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: p\r\n{auth}\r\n{fields}\r\n");
    wire.send(request).await;
    soon(wire.answer("GET")).await.unwrap()
}

/// What a caller sees, without what is different each time.
fn seen(answer: &Message) -> (String, Vec<(String, String)>, Vec<u8>) {
    let mut fields: Vec<(String, String)> = answer
        .fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, value)| {
            name != "request-id" && !(name == "client-request-id" && value.len() == 36)
        })
        .collect();
    fields.sort();
    // A problem names its own request in its body.
    let body = if answer.status() == 416 {
        Vec::new()
    } else {
        answer.body.clone()
    };
    (answer.line.clone(), fields, body)
}

#[tokio::test]
async fn a_hit_on_a_kept_connection_is_what_it_is_on_a_new_one() {
    let world = World::start().await;
    let token = world.token(0);
    let person = world.person(1).id;
    let photo = format!("/v1.0/users/{person}/photo/$value");
    let small = format!("/v1.0/users/{person}/photos/48x48/$value");
    let metadata = format!("/v1.0/users/{person}/photo");
    let none = format!("/v1.0/users/{}/photo/$value", world.faceless().id);
    let warm = world.get(&photo, &token).await;
    let etag = format!("If-None-Match: {}\r\n", warm.field("etag"));
    for target in [&small, &metadata, &none] {
        world.get(target, &token).await;
    }
    for (target, fields) in [
        (&photo, ""),
        (&small, "client-request-id: mine\r\n"),
        (
            &small,
            "client-request-id: one\r\nclient-request-id: two\r\n",
        ),
        (&photo, "Origin: https://app.example\r\n"),
        (&photo, &*etag),
        (&photo, "If-None-Match: \"another\"\r\n"),
        (
            &photo,
            "If-Modified-Since: Wed, 25 Nov 2037 20:00:00 GMT\r\n",
        ),
        (&photo, "Range: bytes=0-9\r\n"),
        (&photo, "Range: bytes=99999999-\r\n"),
        (&photo, "Cache-Control: no-store\r\n"),
        (
            &photo,
            "Accept-Encoding: gzip\r\nAccept: image/*\r\nUser-Agent: x\r\n",
        ),
        (&metadata, ""),
        (&none, ""),
        (&none, "Origin: https://app.example\r\n"),
    ] {
        let mut new = Wire::to(world.proxy.address).await;
        let first = ask(&mut new, target, &token, fields).await;
        let mut kept = Wire::to(world.proxy.address).await;
        for _ in 0..2 {
            ask(&mut kept, &photo, &token, "").await;
        }
        for _ in 0..2 {
            let later = ask(&mut kept, target, &token, fields).await;
            assert_eq!(seen(&later), seen(&first), "{target} {fields}");
            let ids = later.values("request-id");
            assert!(ids.len() == 1 && ids != first.values("request-id"));
        }
    }
}

/// The same, without how long an answer is good for, which differs by a tenth.
fn seen_but_for_lifetimes(answer: &Message) -> (String, Vec<(String, String)>, Vec<u8>) {
    let (line, mut fields, body) = seen(answer);
    for (name, value) in &mut fields {
        if name == "cache-status" || name == "cache-control" {
            *value = value.split(|c: char| c.is_ascii_digit()).collect();
        }
    }
    // An error names its own request in its body.
    let is_error = answer.status() >= 400;
    (line, fields, if is_error { Vec::new() } else { body })
}

#[tokio::test]
async fn a_miss_on_a_kept_connection_is_what_it_is_on_a_new_one() {
    let world = World::with(&[], |graph| graph.framing = Framing::Length).await;
    let (token, person) = (world.token(0), world.person(1));
    let photo = format!("/v1.0/users/{}/photo/$value", person.id);
    let small = format!("/v1.0/users/{}/photos/48x48/$value", person.id);
    let metadata = format!("/v1.0/users/{}/photo", person.id);
    let none = format!("/v1.0/users/{}/photo/$value", world.faceless().id);
    let forbidden = format!("/v1.0/users/{}/photo/$value", world.person(2).id);
    let nobody = "/v1.0/users/00000000-0000-4000-8000-00000000dead/photo/$value";
    world.graph.forbid(&world.person(0).id, &world.person(2).id);
    let etag = world.get(&photo, &token).await.field("etag").to_owned();
    let unchanged = format!("If-None-Match: {etag}\r\n");
    let fresh = || world.token(0);
    for (target, token, fields, status) in [
        (&*photo, token.clone(), "", 200),
        (&small, token.clone(), "", 200),
        (&metadata, token.clone(), "", 200),
        (&photo, token.clone(), &*unchanged, 304),
        (&photo, token.clone(), "Range: bytes=0-9\r\n", 206),
        (&photo, token.clone(), "Range: bytes=99999999-\r\n", 416),
        (
            &photo,
            token.clone(),
            "client-request-id: mine\r\nOrigin: https://app.example\r\n",
            200,
        ),
        (&none, token.clone(), "Origin: https://app.example\r\n", 404),
        (nobody, token.clone(), "", 404),
        (&forbidden, token.clone(), "", 403),
        (&photo, fresh(), "", 200),
        (&photo, "of.nobody".to_owned(), "", 401),
    ] {
        let mut answers = Vec::new();
        for kept in [false, true, true] {
            let mut wire = Wire::to(world.proxy.address).await;
            if kept {
                ask(&mut wire, &photo, &token, "").await;
            }
            let _ = world.proxy.rooms.cache.purge_everything();
            let before = world.graph.count();
            let answer = ask(&mut wire, target, &token, fields).await;
            assert_eq!(answer.status(), status, "{target} {fields}");
            assert_eq!(world.graph.count(), before + 1);
            // What comes next on it is not disturbed.
            ask(&mut wire, &photo, &token, "").await;
            answers.push(seen_but_for_lifetimes(&answer));
        }
        assert_eq!(answers[1], answers[0], "{target} {fields}");
        assert_eq!(answers[2], answers[0], "{target} {fields}");
    }
}

#[tokio::test]
async fn everybody_on_one_connection_gets_what_is_theirs() {
    let world = World::start().await;
    let photo = format!("/v1.0/users/{}/photo/$value", world.person(5).id);
    let mut wire = Wire::to(world.proxy.address).await;
    let (one, other) = (world.token(0), world.token(1));
    for token in [&one, &other] {
        world.get(&photo, token).await;
        world.get("/v1.0/me/photo/$value", token).await;
    }
    let mine = world.get("/v1.0/me/photo/$value", &one).await.body;
    let theirs = world.get("/v1.0/me/photo/$value", &other).await.body;
    assert_ne!(mine, theirs);
    let calls = world.graph.count();
    for _ in 0..3 {
        for (token, body) in [(&one, &mine), (&other, &theirs)] {
            ask(&mut wire, &photo, token, "").await;
            let me = ask(&mut wire, "/v1.0/me/photo/$value", token, "").await;
            assert!(me.body == *body, "another's picture");
        }
    }
    assert_eq!(world.graph.count(), calls);
    // Whom Graph has not accepted, it is asked about, whoever sat on the connection before.
    for wrong in ["", "x", &one[..one.len() - 2], &format!("{one}A")] {
        let refused = ask(&mut wire, &photo, wrong, "").await;
        assert_eq!(refused.status(), 401, "{wrong}");
        let again = ask(&mut wire, &photo, &one, "").await;
        assert_eq!(again.status(), 200);
    }
    // Whose two tokens are is for Graph to say.
    let calls = world.graph.count();
    let two = format!("Authorization: Bearer {other}\r\n");
    let both = ask(&mut wire, &photo, &one, &two).await;
    assert!(!both.values("cache-status").concat().contains("; hit"));
    assert_eq!(world.graph.count(), calls + 1);
}

#[tokio::test]
async fn what_was_found_out_of_one_request_is_not_used_for_the_next() {
    let world = World::start().await;
    let (one, other) = (world.token(0), world.token(1));
    let path = |n: usize| format!("/v1.0/users/{}/photo/$value", world.person(n).id);
    let mut wire = Wire::to(world.proxy.address).await;
    world.get(&path(1), &one).await;
    ask(&mut wire, &path(1), &one, "").await;
    // Cold, held back, and behind it others on the same connection, sent together or apart.
    for (n, together) in [(2, true), (3, false), (4, true)] {
        let hold = world.graph.hold_on(&path(n));
        let request = |path: &str, token: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: p\r\nAuthorization: Bearer {token}\r\n\r\n")
        };
        let [first, second, third] = [
            request(&path(n), &one),
            request("/v1.0/me/photo/$value", &other),
            request(&path(1), &one),
        ];
        if together {
            wire.send(format!("{first}{second}{third}")).await;
            soon(hold.waiting(1)).await;
        } else {
            wire.send(first).await;
            soon(hold.waiting(1)).await;
            wire.send(second).await;
            wire.send(third).await;
        }
        hold.release();
        let mut bodies = Vec::new();
        for _ in 0..3 {
            bodies.push(soon(wire.answer("GET")).await.unwrap().body);
        }
        let expected = [
            world.get(&path(n), &one).await.body,
            world.get("/v1.0/me/photo/$value", &other).await.body,
            world.get(&path(1), &one).await.body,
        ];
        assert!(
            bodies
                .iter()
                .zip(&expected)
                .all(|(got, own)| **got == **own)
        );
    }
}
