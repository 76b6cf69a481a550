//! Promise 3: one photo costs Graph one download per freshness lifetime, whoever asks.

use crate::support::World;

#[tokio::test]
async fn a_photo_asked_for_twice_costs_graph_one_call() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.person(1));
    let path = format!("/v1.0/users/{}/photo/$value", person.id);
    let first = world.get(&path, &token).await;
    assert_eq!(first.status, 200, "{first:?}");
    let second = world.get(&path, &token).await;
    assert!(second.is_hit(), "{second:?}");
    assert_eq!(first.body, second.body);
    assert_eq!(first.field("content-type"), second.field("content-type"));
    assert_eq!(first.field("etag"), second.field("etag"));
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn a_second_principal_costs_a_verification_and_no_download() {
    let world = World::start().await;
    let path = format!("/v1.0/users/{}/photo/$value", world.person(2).id);
    let first = world.get(&path, &world.token(0)).await;
    let second = world.get(&path, &world.token(1)).await;
    assert_eq!(first.body, second.body);
    assert_eq!((world.graph.count(), world.graph.downloads()), (2, 1));
    let third = world.get(&path, &world.token(1)).await;
    assert_eq!(third.status, 200);
}
