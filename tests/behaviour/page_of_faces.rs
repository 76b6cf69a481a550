//! A page that shows a hundred faces asks for them in five batches of twenty.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an answer that lacks what is looked at has failed the test"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graph_photo_proxy::demo::{Person, TokenSpec, mark};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::World;

const FACES: usize = 100;
const BATCH: usize = 20;

/// More people than the page shows, under `tenant`.
async fn world() -> World {
    World::with(&[("sharing", "tenant")], |graph| graph.people = 150).await
}

fn faces(world: &World) -> Vec<Person> {
    let people: Vec<_> = world.graph.tenant().members().cloned().collect();
    assert!(people.len() > FACES);
    people.into_iter().take(FACES).collect()
}

/// A token of somebody who is not on the page.
fn viewer(world: &World, n: usize) -> String {
    let person = world.graph.tenant().members().nth(FACES + n).unwrap();
    world.graph.issue(TokenSpec::of(person))
}

/// A batch that asks for these faces; the ids are theirs.
fn batch(world: &World, people: &[Person], token: &str) -> Request<Full<Bytes>> {
    let parts: Vec<Value> = people
        .iter()
        .map(|person| {
            let url = format!("/users/{}/photos/48x48/$value", person.id);
            json!({"id": person.id, "method": "GET", "url": url})
        })
        .collect();
    world
        .proxy
        .request(Method::POST, "/v1.0/$batch", token)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(
            json!({ "requests": parts }).to_string(),
        )))
        .unwrap()
}

/// Draws the page, five batches at once. Whoever has a photo is shown it at the size asked for,
/// and nobody else is shown anything; gives how many photos there were.
async fn draw(world: &World, token: &str) -> u64 {
    let people = faces(world);
    let asked: Vec<_> = people
        .chunks(BATCH)
        .map(|people| tokio::spawn(world.proxy.sending(batch(world, people, token))))
        .collect();
    let mut answers = Vec::new();
    for asked in asked {
        let reply = asked.await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        answers.extend(reply.json()["responses"].as_array().unwrap().clone());
    }
    assert_eq!(answers.len(), FACES);
    let mut photos = 0;
    for person in &people {
        let answer = answers.iter().find(|answer| answer["id"] == *person.id);
        let answer = answer.unwrap();
        if person.photo.is_none() {
            assert_eq!(answer["status"], 404, "{answer}");
            continue;
        }
        assert_eq!(answer["status"], 200, "{answer}");
        let picture = STANDARD.decode(answer["body"].as_str().unwrap()).unwrap();
        let mark = mark(&picture).unwrap();
        assert_eq!((mark.owner, mark.side), (person.id.clone(), 48));
        photos += 1;
    }
    photos
}

#[tokio::test]
async fn a_hundred_faces_in_five_batches_cost_one_call_each_when_cold_and_none_when_warm() {
    let world = world().await;
    let token = viewer(&world, 0);
    let photos = draw(&world, &token).await;
    assert!((50..100).contains(&photos), "{photos}");
    assert_eq!(world.graph.photo_calls(), FACES as u64);
    assert_eq!(world.graph.downloads(), photos);
    assert_eq!(
        world.graph.count(),
        5,
        "they stay batches on the way to Graph"
    );
    world.graph.clear_seen();
    for _ in 0..3 {
        assert_eq!(draw(&world, &token).await, photos);
    }
    assert_eq!((world.graph.count(), world.graph.photo_calls()), (0, 0));
}

#[tokio::test]
async fn the_page_of_the_next_member_of_the_tenant_costs_its_proof_alone() {
    let world = world().await;
    let photos = draw(&world, &viewer(&world, 0)).await;
    world.graph.clear_seen();
    let next = viewer(&world, 1);
    assert_eq!(draw(&world, &next).await, photos);
    assert_eq!((world.graph.photo_calls(), world.graph.downloads()), (1, 0));
    world.graph.clear_seen();
    assert_eq!(draw(&world, &next).await, photos);
    assert_eq!(world.graph.photo_calls(), 0);
    // Somebody who is on the page: one's own photo proves the token, another's shows that Graph
    // gives this person others'.
    let shown = world.graph.issue(TokenSpec::of(&faces(&world)[0]));
    assert_eq!(draw(&world, &shown).await, photos);
    let calls = (world.graph.photo_calls(), world.graph.downloads());
    assert_eq!(calls, (2, 0));
}

#[tokio::test]
async fn the_page_is_not_drawn_for_somebody_whom_graph_does_not_let_see_it() {
    let world = world().await;
    draw(&world, &viewer(&world, 0)).await;
    let people = faces(&world);
    let nobody = world
        .proxy
        .send(batch(&world, &people[..BATCH], "nobody"))
        .await;
    assert_eq!(nobody.status, 401, "{nobody:?}");
    // Guests of this tenant may not see its members.
    let guest = world.graph.tenant().guests().next().unwrap().clone();
    let guest = world.graph.issue(TokenSpec::of(&guest));
    let reply = world
        .proxy
        .send(batch(&world, &people[..BATCH], &guest))
        .await;
    for part in reply.json()["responses"].as_array().unwrap() {
        assert_eq!(part["status"], 403, "{part}");
    }
}
