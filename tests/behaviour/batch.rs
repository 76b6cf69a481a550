//! `$batch`: photos inside are answered from memory as Graph would have put them, and nobody
//! gets through it what a direct request would not give them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an answer that lacks what is looked at has failed the test"
)]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::{Fault, RetryAfter, TokenSpec};
use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Proxy, Reply, World};

const BATCH: &str = "/v1.0/$batch";

/// A GET with this id.
fn get(id: &str, url: &str) -> Value {
    json!({"id": id, "method": "GET", "url": url})
}

fn photo(id: &str, person: &str) -> Value {
    get(id, &format!("/users/{person}/photo/$value"))
}

fn body(parts: &[Value]) -> String {
    json!({"requests": parts}).to_string()
}

async fn send_to(proxy: &Proxy, path: &str, token: &str, text: &str) -> Reply {
    let request = proxy
        .request(Method::POST, path, token)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text.to_owned())))
        .unwrap();
    proxy.send(request).await
}

async fn send(world: &World, token: &str, parts: &[Value]) -> Reply {
    send_to(&world.proxy, BATCH, token, &body(parts)).await
}

/// The parts of a batch's answer, by id.
fn part<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let parts = answer["responses"].as_array().unwrap();
    let mut found = parts.iter().filter(|part| part["id"] == id);
    let part = found
        .next()
        .unwrap_or_else(|| panic!("no {id} in {answer}"));
    assert!(found.next().is_none(), "{id} twice in {answer}");
    part
}

fn picture(part: &Value) -> Vec<u8> {
    STANDARD.decode(part["body"].as_str().unwrap()).unwrap()
}

/// The ids of the first `n` people with a photo.
fn people(world: &World, n: usize) -> Vec<String> {
    (0..n).map(|n| world.person(n).id).collect()
}

#[tokio::test]
async fn a_warm_batch_of_photos_costs_graph_nothing_and_reads_as_graphs_own() {
    let world = World::start().await;
    let token = world.token(0);
    let mut parts: Vec<Value> = people(&world, 5)
        .iter()
        .enumerate()
        .map(|(n, id)| photo(&n.to_string(), id))
        .collect();
    parts.push(photo("none", &world.faceless().id));
    parts.push(get("json", &format!("users/{}/photo", world.person(1).id)));
    let cold = send(&world, &token, &parts).await;
    assert_eq!(cold.status, 200, "{cold:?}");
    assert!(cold.field("cache-status").contains("stored"), "{cold:?}");
    world.graph.clear_seen();
    let warm = send(&world, &token, &parts).await;
    assert!(warm.is_hit(), "{warm:?}");
    assert_eq!(world.graph.count(), 0);
    assert_eq!(warm.field("content-type"), "application/json");
    let (cold, warm) = (cold.json(), warm.json());
    for id in ["0", "1", "2", "3", "4", "none", "json"] {
        let (cold, warm) = (part(&cold, id), part(&warm, id));
        assert_eq!(cold["status"], warm["status"], "{id}");
        assert_eq!(cold["body"], warm["body"], "{id}");
        for (name, value) in cold["headers"].as_object().unwrap() {
            assert_eq!(&warm["headers"][name], value, "{id} {name}");
        }
    }
    assert_eq!(part(&warm, "none")["status"], 404);
    assert_eq!(
        part(&warm, "none")["body"]["error"]["code"],
        "ImageNotFound"
    );
}

#[tokio::test]
async fn what_a_batch_has_stored_answers_direct_requests_and_the_other_way() {
    let world = World::start().await;
    let token = world.token(0);
    let ids = people(&world, 3);
    send(&world, &token, &[photo("a", &ids[1])]).await;
    let direct = format!("/v1.0/users/{}/photo/$value", ids[1]);
    let direct = world.get(&direct, &token).await;
    assert!(direct.is_hit(), "{direct:?}");
    let other = format!("/v1.0/users/{}/photo/$value", ids[2]);
    let other = world.get(&other, &token).await;
    world.graph.clear_seen();
    let batch = send(&world, &token, &[photo("a", &ids[1]), photo("b", &ids[2])]).await;
    assert!(batch.is_hit(), "{batch:?}");
    let batch = batch.json();
    assert_eq!(picture(part(&batch, "a")), direct.body);
    assert_eq!(picture(part(&batch, "b")), other.body);
    let headers = &part(&batch, "b")["headers"];
    assert_eq!(headers["ETag"], other.field("etag"));
    assert_eq!(headers["Content-Type"], "image/jpeg");
    assert_eq!(world.graph.count(), 0);
}

#[tokio::test]
async fn only_what_is_not_held_goes_to_graph_as_one_smaller_batch() {
    let world = World::start().await;
    let token = world.token(0);
    let ids = people(&world, 3);
    send(&world, &token, &[photo("a", &ids[0])]).await;
    world.graph.clear_seen();
    let parts = [
        photo("A", &ids[0]),
        photo("ada@x", &ids[1]),
        get("me", "/me"),
        photo("B", &ids[2]),
    ];
    let answer = send(&world, &token, &parts).await;
    assert!(answer.went_to_graph(), "{answer:?}");
    let status = answer.field("cache-status");
    assert!(status.ends_with("detail=\"1 of 3 held\""), "{status}");
    let seen = world.graph.seen();
    let outer: Vec<_> = seen.iter().filter(|seen| !seen.batched).collect();
    let inner: Vec<_> = seen.iter().filter(|seen| seen.batched).collect();
    assert_eq!((outer.len(), inner.len()), (1, 3));
    assert!(!inner.iter().any(|seen| seen.path.contains(&ids[0])));
    let answer = answer.json();
    let parts = answer["responses"].as_array().unwrap();
    let ids: Vec<_> = parts
        .iter()
        .map(|part| part["id"].as_str().unwrap())
        .collect();
    // Graph promises no order, and a caller that goes by it is not to be misled.
    assert_eq!(ids, ["A", "ada@x", "me", "B"]);
    assert_eq!(part(&answer, "me")["body"]["id"], world.person(0).id);
}

#[tokio::test]
async fn a_batch_without_photos_passes_byte_for_byte() {
    let world = World::start().await;
    let token = world.token(0);
    let text = "{ \"requests\" : [{\"id\":\"1\",\"method\":\"GET\",\"url\":\"/me\"}]\r\n}";
    let through = send_to(&world.proxy, BATCH, &token, text).await;
    assert_eq!(through.field("cache-status"), "");
    let seen = world.graph.seen();
    let outer = seen.iter().find(|seen| !seen.batched).unwrap();
    assert_eq!(outer.body, text.len() as u64);
    assert!(!outer.headers.contains_key("accept-encoding"));
    assert_eq!(part(&through.json(), "1")["status"], 200);
}

#[tokio::test]
async fn whatever_is_not_understood_is_graphs_to_answer() {
    let world = World::start().await;
    let token = world.token(0);
    let id = world.person(1).id;
    send(&world, &token, &[photo("1", &id)]).await;
    let one = photo("1", &id).to_string();
    let many: Vec<Value> = (0..21).map(|n| photo(&n.to_string(), &id)).collect();
    for text in [
        body(&many),
        format!("{{\"requests\":[{one},{one}]}}"),
        format!("{{\"requests\":[{one}]"),
        format!("{{\"requests\":[{one}],\"more\":1}}"),
        String::new(),
    ] {
        world.graph.clear_seen();
        let answer = send_to(&world.proxy, BATCH, &token, &text).await;
        assert_eq!(answer.field("cache-status"), "", "{text}");
        let seen = world.graph.seen();
        let outer: Vec<_> = seen.iter().filter(|seen| !seen.batched).collect();
        assert_eq!(outer.len(), 1, "{text}");
        assert_eq!(outer[0].body, text.len() as u64, "{text}");
    }
    let answer = send_to(&world.proxy, BATCH, &token, &body(&many)).await;
    assert_eq!(answer.status, 400, "21 parts");
}

#[tokio::test]
async fn a_batch_larger_than_graph_takes_streams_through_untouched() {
    let world = World::start().await;
    let token = world.token(0);
    let mut text = body(&[get("1", "/me")]);
    let _ = write!(text, "{}", " ".repeat(5 << 20));
    send_to(&world.proxy, BATCH, &token, &text).await;
    assert_eq!(world.graph.bytes_received(), text.len() as u64);
}

#[tokio::test]
async fn a_forged_token_gets_nothing_through_a_batch() {
    let world = World::start().await;
    let victim = world.person(1);
    let token = world.token(1);
    send(&world, &token, &[photo("1", &victim.id)]).await;
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let forged = format!("{head}.{claims}.AAAA");
    for parts in [
        vec![photo("1", &victim.id)],
        vec![get("1", "/me/photo/$value")],
    ] {
        let answer = send(&world, &forged, &parts).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(!answer.field("www-authenticate").is_empty());
    }
    let none = send(&world, "", &[photo("1", &victim.id)]).await;
    assert_eq!(none.status, 401, "{none:?}");
    let direct = format!("/v1.0/users/{}/photo/$value", victim.id);
    assert_eq!(world.get(&direct, &forged).await.status, 401);
}

#[tokio::test]
async fn one_callers_batch_never_shows_what_graph_refuses_that_caller() {
    let world = World::start().await;
    let (first, owner) = (world.token(0), world.person(2));
    let second = world
        .graph
        .issue(TokenSpec::of(&world.person(1)).with("User.Read"));
    send(&world, &first, &[photo("1", &owner.id)]).await;
    let parts = [get("me", "/me/photo/$value"), photo("1", &owner.id)];
    for _ in 0..2 {
        let answer = send(&world, &second, &parts).await;
        let answer = answer.json();
        assert_eq!(part(&answer, "1")["status"], 403, "{answer}");
        assert_eq!(part(&answer, "me")["status"], 200);
    }
    let me = send(&world, &first, &[get("me", "/me/photo/$value")]).await;
    let answer = send(&world, &second, &parts).await.json();
    assert_ne!(part(&me.json(), "me")["body"], part(&answer, "me")["body"]);
}

#[tokio::test]
async fn a_token_that_has_been_revoked_ends_with_the_next_batch_that_reaches_graph() {
    let world = World::start().await;
    let token = world.token(0);
    let ids = people(&world, 2);
    send(&world, &token, &[photo("1", &ids[0])]).await;
    world.graph.revoke(&token);
    let parts = [photo("1", &ids[0]), photo("2", &ids[1])];
    assert_eq!(send(&world, &token, &parts).await.status, 401);
    let held = send(&world, &token, &parts[..1]).await;
    assert_eq!(held.status, 401, "{held:?}");
}

#[tokio::test]
async fn a_part_with_a_credential_of_its_own_is_graphs() {
    let world = World::start().await;
    let token = world.token(0);
    let id = world.person(1).id;
    send(&world, &token, &[photo("1", &id)]).await;
    world.graph.clear_seen();
    let mut part = photo("1", &id);
    part["headers"] = json!({"Authorization": "Bearer other"});
    send(&world, &token, &[part]).await;
    assert_eq!(world.graph.photo_calls(), 1);
}

#[tokio::test]
async fn a_write_inside_a_batch_ends_what_is_held_before_its_answer_is_seen() {
    let world = World::start().await;
    let owner = world.person(0);
    let spec = TokenSpec::of(&owner).with("User.ReadWrite User.ReadBasic.All");
    let token = world.graph.issue(spec);
    let path = format!("/v1.0/users/{}/photo/$value", owner.id);
    let before = world.get(&path, &token).await;
    let other = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    world.get(&other, &token).await;
    let new = world.get("/v1.0/me/photos/96x96/$value", &token).await;
    let write = json!({
        "id": "w", "method": "PUT", "url": "/me/photo/$value",
        "headers": {"Content-Type": "image/jpeg"}, "body": STANDARD.encode(&new.body),
    });
    let dependent = json!({
        "id": "r", "method": "GET", "url": "/me/photo/$value", "dependsOn": ["w"],
    });
    let answer = send(&world, &token, &[write, dependent]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let written = part(&answer.json(), "w")["status"].as_u64().unwrap();
    assert!((200..300).contains(&written), "{answer:?}");
    let after = world.get(&path, &token).await;
    assert!(!after.is_hit(), "{after:?}");
    assert_ne!(before.body, after.body);
    assert!(world.get(&other, &token).await.is_hit(), "others stay");
}

#[tokio::test]
async fn a_write_that_graph_refused_inside_a_batch_ends_nothing() {
    let world = World::start().await;
    let token = world.token(0);
    let owner = world.person(1).id;
    let path = format!("/v1.0/users/{owner}/photo/$value");
    world.get(&path, &token).await;
    let write =
        json!({"id": "w", "method": "DELETE", "url": format!("/users/{owner}/photo/$value")});
    let answer = send(&world, &token, &[write]).await;
    assert_eq!(part(&answer.json(), "w")["status"], 403);
    assert!(world.get(&path, &token).await.is_hit());
}

#[tokio::test]
async fn a_write_in_a_batch_nobody_understands_is_seen_all_the_same() {
    let world = World::start().await;
    let spec = TokenSpec::of(&world.person(0)).with("User.ReadWrite User.ReadBasic.All");
    let token = world.graph.issue(spec);
    let path = "/v1.0/me/photo/$value";
    world.get(path, &token).await;
    assert!(world.get(path, &token).await.is_hit());
    let text = r#"{"requests":[{"id":"w","method":"DELETE","url":"/me/photo/$value","odd":1}]}"#;
    let answer = send_to(&world.proxy, BATCH, &token, text).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.get(path, &token).await.status, 404);
}

#[tokio::test]
async fn a_part_that_is_throttled_sets_the_clock_and_memory_answers_meanwhile() {
    let world = World::with(
        &[("photo_ttl", "10m"), ("stale_while_revalidate", "0s")],
        |_| {},
    )
    .await;
    let token = world.token(0);
    let ids = people(&world, 3);
    let held = send(&world, &token, &[photo("a", &ids[0])]).await.json();
    world.later(Duration::from_mins(12));
    let fault = Fault::RetryAfter(429, "30".to_owned());
    world.graph.once(&format!("/v1.0/users/{}", ids[0]), fault);
    let shown = send(&world, &token, &[photo("a", &ids[0])]).await.json();
    assert_eq!(part(&shown, "a")["body"], part(&held, "a")["body"]);
    world.graph.clear_seen();
    let answer = send(&world, &token, &[photo("a", &ids[0]), photo("b", &ids[1])]).await;
    assert_eq!(world.graph.count(), 0, "Graph said wait");
    let answer = answer.json();
    assert_eq!(part(&answer, "a")["status"], 200);
    let told = part(&answer, "b");
    assert_eq!(
        (&told["status"], &told["headers"]["Retry-After"]),
        (&json!(429), &json!("30"))
    );
    assert_eq!(told["body"]["error"]["code"], "TooManyRequests");
    world.later(Duration::from_secs(31));
    let answer = send(&world, &token, &[photo("b", &ids[1])]).await.json();
    assert_eq!(part(&answer, "b")["status"], 200);
}

#[tokio::test]
async fn a_batch_throttled_as_a_whole_sets_the_clock() {
    let world = World::start().await;
    let token = world.token(0);
    world
        .graph
        .throttle_for(Duration::from_secs(20), RetryAfter::Seconds);
    let answer = send(&world, &token, &[photo("a", &world.person(1).id)]).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    world.graph.clear_seen();
    let direct = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    assert_eq!(world.get(&direct, &token).await.status, 429);
    assert_eq!(world.graph.count(), 0);
}

#[tokio::test]
async fn a_personal_accounts_own_photo_given_for_anothers_stays_with_that_token() {
    let world = World::with(&[("sharing", "tenant")], |graph| {
        graph.own_photo_quirk = true;
    })
    .await;
    let personal = world.graph.tenant().personal().next().unwrap().clone();
    let member = world.person(1);
    let token = world
        .graph
        .issue(TokenSpec::of(&personal).with("User.Read"));
    let own = send_to(
        &world.proxy,
        "/beta/$batch",
        &token,
        &body(&[photo("1", &member.id)]),
    )
    .await
    .json();
    assert_eq!(part(&own, "1")["status"], 200, "the quirk is on");
    for n in 0..2 {
        let reply = send_to(
            &world.proxy,
            "/beta/$batch",
            &world.token(n),
            &body(&[photo("1", &member.id)]),
        )
        .await
        .json();
        assert_ne!(part(&reply, "1")["body"], part(&own, "1")["body"]);
    }
}

/// A Graph that answers every request with these bytes, and keeps what it was asked.
async fn scripted(answers: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        while let (Ok((mut stream, _)), Some(answer)) = (listener.accept().await, answers.next()) {
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let read = stream.read(&mut piece).await.unwrap_or(0);
                text.extend_from_slice(&piece[..read]);
                let whole = String::from_utf8_lossy(&text).into_owned();
                if read == 0 || whole.ends_with("]}") || whole.starts_with("GET") {
                    kept.lock().unwrap().push(whole);
                    break;
                }
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (base, asked)
}

/// One part that is a picture.
fn jpeg(id: &str, fill: &str) -> String {
    json!({
        "id": id, "status": 200, "headers": {"Content-Type": "image/jpeg", "ETag": "\"1\""},
        "body": STANDARD.encode(fill),
    })
    .to_string()
}

#[tokio::test]
async fn answers_with_confused_ids_or_broken_parts_are_handed_on_and_never_stored() {
    let good = jpeg("1", "one");
    for second in [
        format!("{},{}", jpeg("1", "one"), jpeg("1", "two")),
        format!("{good},{}", jpeg("3", "three")),
        format!("{good},{}", jpeg("ONE", "three")),
        good.replace("\"1\"", "1"),
        good.replace("\"status\":200", "\"status\":200,\"status\":200"),
        good.replace("image/jpeg", "text/html"),
        good.replace("\"b25l\"", "\"b25\""),
        good.replace("\"b25l\"", "\"\""),
        good.replace("\"b25l\"", "null"),
        good.replace("\"status\":200", "\"status\":206"),
        good.replace("\"status\":200", "\"status\":500"),
    ] {
        let answer = format!("{{\"responses\":[{second}]}}");
        let (base, asked) = scripted(vec![answer.clone(), answer.clone()]).await;
        let proxy = Proxy::start(&[], &base, Clock::by_hand()).await;
        let parts = body(&[get("1", "/users/a@x.example/photo/$value")]);
        for _ in 0..2 {
            let reply = send_to(&proxy, BATCH, "opaque-token", &parts).await;
            assert_eq!(reply.status, StatusCode::OK, "{second}");
            assert_eq!(reply.body, answer, "{second}");
        }
        assert_eq!(asked.lock().unwrap().len(), 2, "{second}");
    }
}

#[tokio::test]
async fn graphs_own_text_around_our_parts_stays_whatever_order_graph_answers_in() {
    let first = format!(
        "{{\"responses\":[{}, {}]}}",
        jpeg("2", "two"),
        jpeg("1", "one")
    );
    let second = "{\"@odata.x\": 1,\n \"responses\": [ {\"id\":\"4\",\"status\":204 } ]\n}";
    let (base, asked) = scripted(vec![first, second.to_owned()]).await;
    let proxy = Proxy::start(&[], &base, Clock::by_hand()).await;
    let one = get("1", "/users/a@x.example/photo/$value");
    let two = get("2", "users/b@x.example/photo/$value");
    send_to(
        &proxy,
        BATCH,
        "opaque-token",
        &body(&[one.clone(), two.clone()]),
    )
    .await;
    let four = get("4", "/me/messages");
    let reply = send_to(
        &proxy,
        BATCH,
        "opaque-token",
        &body(&[one, four.clone(), two]),
    )
    .await;
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert!(
        text.starts_with("{\"@odata.x\": 1,\n \"responses\": ["),
        "{text}"
    );
    assert!(
        text.contains("{\"id\":\"4\",\"status\":204 }") && text.ends_with("]\n}"),
        "{text}"
    );
    let json = reply.json();
    assert_eq!(picture(part(&json, "1")), b"one");
    assert_eq!(picture(part(&json, "2")), b"two");
    let asked = asked.lock().unwrap();
    assert!(
        asked[1].ends_with(&format!("{{\"requests\":[{four}]}}")),
        "{}",
        asked[1]
    );
}

#[tokio::test]
async fn a_200_that_is_no_batch_answer_never_stands_for_one_with_parts_missing() {
    let first = format!("{{\"responses\":[{}]}}", jpeg("1", "one"));
    let (base, _) = scripted(vec![first, "<html>sign in".to_owned()]).await;
    let proxy = Proxy::start(&[], &base, Clock::by_hand()).await;
    let one = get("1", "/users/a@x.example/photo/$value");
    send_to(
        &proxy,
        BATCH,
        "opaque-token",
        &body(std::slice::from_ref(&one)),
    )
    .await;
    let reply = send_to(
        &proxy,
        BATCH,
        "opaque-token",
        &body(&[one, get("2", "/me")]),
    )
    .await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{reply:?}");
}

#[tokio::test]
async fn a_part_that_is_refused_ends_what_its_caller_was_given_of_that_owner() {
    let world = World::start().await;
    let (token, ids) = (world.token(0), people(&world, 4));
    let direct = |id: &str| format!("/v1.0/users/{id}/photo/$value");
    let sized = |id: &str| get("a", &format!("/users/{id}/photos/48x48/$value"));
    let conditional = |id: &str| {
        let mut part = photo("a", id);
        part["headers"] = json!({"If-None-Match": "\"none\""});
        part
    };
    let parts: [(&str, Value); 2] = [(&ids[1], sized(&ids[1])), (&ids[2], conditional(&ids[2]))];
    for (id, part_of_batch) in parts {
        let path = direct(id);
        world.get(&path, &token).await;
        assert!(world.get(&path, &token).await.is_hit());
        world.graph.forbid(&world.person(0).id, id);
        let answer = send(&world, &token, &[part_of_batch]).await.json();
        assert_eq!(part(&answer, "a")["status"], 403, "{answer}");
        let reply = world.get(&path, &token).await;
        assert_eq!(reply.status, 403, "{reply:?}");
    }
    // Beside a write, too.
    let own = world.token_with(0, "User.Read.All User.ReadWrite");
    let path = direct(&ids[3]);
    world.get(&path, &own).await;
    world.graph.forbid(&world.person(0).id, &ids[3]);
    let write = json!({"id": "w", "method": "PUT", "url": "/me/photo/$value", "body": "eA==",
        "headers": {"Content-Type": "image/jpeg"}});
    let answer = send(&world, &own, &[write, photo("a", &ids[3])])
        .await
        .json();
    assert_eq!(part(&answer, "a")["status"], 403, "{answer}");
    assert_eq!(world.get(&path, &own).await.status, 403);
}

#[tokio::test]
async fn a_part_that_refuses_the_token_ends_its_proof_whatever_it_asked_for() {
    let held = format!("{{\"responses\":[{}]}}", jpeg("1", "one"));
    let refused = json!({"responses": [{"id": "4", "status": 401}]}).to_string();
    let (base, asked) = scripted(vec![held.clone(), refused, held]).await;
    let proxy = Proxy::start(&[], &base, Clock::by_hand()).await;
    let one = get("1", "/users/a@x.example/photo/$value");
    let alone = body(std::slice::from_ref(&one));
    send_to(&proxy, BATCH, "opaque-token", &alone).await;
    let both = body(&[one, get("4", "/me/messages")]);
    let reply = send_to(&proxy, BATCH, "opaque-token", &both).await;
    assert_eq!(part(&reply.json(), "4")["status"], 401);
    send_to(&proxy, BATCH, "opaque-token", &alone).await;
    assert_eq!(asked.lock().unwrap().len(), 3, "Graph is asked again");
}

#[tokio::test]
async fn an_answer_too_large_to_read_streams_with_ours_at_its_beginning() {
    let first = format!("{{\"responses\":[{}]}}", jpeg("1", "one"));
    let large = json!({"id": "2", "status": 200, "body": "x".repeat(17 << 20)});
    let second = json!({"responses": [large]}).to_string();
    let (base, _) = scripted(vec![first, second]).await;
    let proxy = Proxy::start(&[], &base, Clock::by_hand()).await;
    let one = get("1", "/users/a@x.example/photo/$value");
    send_to(
        &proxy,
        BATCH,
        "opaque-token",
        &body(std::slice::from_ref(&one)),
    )
    .await;
    let reply = send_to(
        &proxy,
        BATCH,
        "opaque-token",
        &body(&[one, get("2", "/me/x")]),
    )
    .await;
    let json = reply.json();
    assert_eq!(picture(part(&json, "1")), b"one");
    assert_eq!(part(&json, "2")["body"].as_str().unwrap().len(), 17 << 20);
}

#[tokio::test]
async fn a_write_whose_answer_is_too_large_to_read_may_have_been_done() {
    let held = format!("{{\"responses\":[{}]}}", jpeg("1", "one"));
    let large = json!({"id": "2", "status": 200, "body": "x".repeat(17 << 20)});
    let written = json!({"responses": [{"id": "w", "status": 204}, large]}).to_string();
    let (base, asked) = scripted(vec![held.clone(), written, held]).await;
    let proxy = Proxy::start(&[], &base, Clock::by_hand()).await;
    let alone = body(&[get("1", "/users/a@x.example/photo/$value")]);
    send_to(&proxy, BATCH, "opaque-token", &alone).await;
    send_to(&proxy, BATCH, "opaque-token", &alone).await;
    assert_eq!(asked.lock().unwrap().len(), 1, "it is held");
    let write = json!({"id": "w", "method": "DELETE", "url": "/users/a@x.example/photo/$value"});
    let both = body(&[write, get("2", "/me/x")]);
    let reply = send_to(&proxy, BATCH, "opaque-token", &both).await;
    assert_eq!(reply.status, 200);
    send_to(&proxy, BATCH, "opaque-token", &alone).await;
    assert_eq!(asked.lock().unwrap().len(), 3, "Graph is asked again");
}

#[tokio::test]
async fn a_batch_that_trickles_is_given_up_after_the_time_a_photo_has() {
    let world = World::with(&[("photo_timeout", "200ms")], |_| {}).await;
    let address = world.proxy.address;
    let head = format!(
        "POST /v1.0/$batch HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: 500\r\n\r\n{{\"requests\":["
    );
    let answer = crate::support::raw::exchange(address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(world.graph.count(), 0);
}
