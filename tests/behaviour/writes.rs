//! A change shows at once: in every size, view, version and name, for every caller.

use std::time::Duration;

use graph_photo_proxy::demo::{Fault, TokenSpec};
use http::Method;
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::World;
use crate::support::attack::{photo, segment};

/// Whoever may see and change everything.
const ALL: &str = "User.ReadWrite.All Group.ReadWrite.All Team.ReadBasic.All \
                   TeamSettings.ReadWrite.All Contacts.ReadWrite";

/// Some readers, and the places each reads.
pub(crate) type Reads = Vec<(String, Vec<String>)>;

/// Every place of an owner's photo under these names: sizes, views, versions.
pub(crate) fn places(names: &[String], sized: bool) -> Vec<String> {
    let mut places = Vec::new();
    for version in ["v1.0", "beta"] {
        for name in names {
            let tails: &[&str] = if sized {
                &[
                    "photo/$value",
                    "photo",
                    "photos",
                    "photos/48x48/$value",
                    "photos/96X96/$value",
                    "photos/48x48",
                ]
            } else {
                &["photo/$value", "photo"]
            };
            places.extend(tails.iter().map(|tail| format!("/{version}/{name}/{tail}")));
        }
    }
    places
}

pub(crate) async fn write(world: &World, name: &str, token: &str, method: &Method) {
    let version = if name.len().is_multiple_of(2) {
        "v1.0"
    } else {
        "beta"
    };
    let path = format!("/{version}/{name}/photo/$value");
    let request = world
        .proxy
        .request(method.clone(), &path, token)
        .header("content-type", "image/jpeg")
        .body(Full::from("a new picture"))
        .unwrap();
    let reply = world.proxy.send(request).await;
    assert!(reply.status.is_success(), "{method} {path}\n{reply:?}");
}

/// Reads everything; where Graph is asked directly too, the answers must be the same.
async fn read_all(world: &World, reads: &Reads, compare: bool, after: &str) {
    for (token, places) in reads {
        for place in places {
            let reply = world.get(place, token).await;
            if compare {
                let truth = world.graph_says(place, token).await;
                assert_eq!(reply.status, truth.status, "{place} after {after}");
                let stale = reply.status == 200 && reply.body != truth.body;
                assert!(!stale, "stale: {place} after {after}\n{reply:?}");
            }
        }
    }
}

/// Every write by every name is seen by every reader at every place.
async fn all_pairs(
    world: &World,
    writer: &str,
    names: &[String],
    methods: &[Method],
    reads: &Reads,
) {
    for name in names {
        for method in methods {
            read_all(world, reads, false, "").await;
            write(world, name, writer, method).await;
            read_all(world, reads, true, &format!("{method} by {name}")).await;
        }
    }
}

pub(crate) fn user_world(world: &World) -> (String, Vec<String>, Reads) {
    let owner = world.person(0);
    let names = vec![
        format!("users/{}", owner.id),
        format!("users/{}", owner.upn),
        format!("users/{}", owner.upn.to_uppercase()),
        format!("Users('{}')", owner.id.to_uppercase()),
    ];
    let mut own = names.clone();
    own.push("me".to_owned());
    let writer = world.token_with(0, ALL);
    let application = TokenSpec::application().with("User.ReadWrite.All");
    let reads = vec![
        (writer.clone(), places(&own, true)),
        (world.token(1), places(&names, true)),
        (world.graph.issue(&application), places(&names, true)),
    ];
    (writer, own, reads)
}

#[tokio::test]
async fn a_users_photo_changed_by_any_name_is_new_under_every_name_for_everybody() {
    for sharing in ["token", "verified", "tenant"] {
        let world = World::with(&[("sharing", sharing)], |_| {}).await;
        let (writer, names, reads) = user_world(&world);
        let methods = [Method::PUT, Method::DELETE, Method::PATCH];
        all_pairs(&world, &writer, &names, &methods, &reads).await;
    }
}

pub(crate) fn guest_world(world: &World) -> (String, Vec<String>, Reads) {
    let guest = world
        .graph
        .tenant()
        .guests()
        .find(|g| g.photo.is_some())
        .unwrap()
        .clone();
    let once = format!("users/{}", segment(&guest.upn));
    let names = vec![
        format!("users/{}", guest.id),
        once.replace("%23", "%2523"),
        once,
    ];
    let writer = world.token_with(0, ALL);
    let reads = vec![
        (writer.clone(), places(&names, true)),
        (world.token(1), places(&names, true)),
    ];
    (writer, names, reads)
}

#[tokio::test]
async fn a_guests_photo_changed_by_any_spelling_is_new_under_every_spelling() {
    let world = World::start().await;
    let (writer, names, reads) = guest_world(&world);
    let methods = [Method::PUT, Method::DELETE];
    all_pairs(&world, &writer, &names, &methods, &reads).await;
}

pub(crate) fn team_world(world: &World) -> (String, Vec<String>, Reads) {
    let team = world.graph.tenant().teams().next().unwrap().clone();
    let group = vec![format!("groups/{}", team.id)];
    let teams = ["teams/{}", "team/{}", "groups/{}/team", "me/joinedTeams/{}"]
        .map(|place| place.replace("{}", &team.id));
    let writer = world.token_with(0, ALL);
    let other = world.token_with(1, ALL);
    let mut all = places(&group, true);
    all.extend(places(&teams, false));
    let reads = vec![(writer.clone(), all.clone()), (other, all)];
    let names: Vec<_> = group.iter().chain(&teams).cloned().collect();
    (writer, names, reads)
}

#[tokio::test]
async fn a_team_and_its_group_change_together() {
    let world = World::start().await;
    let (writer, names, reads) = team_world(&world);
    all_pairs(&world, &writer, &names, &[Method::PUT], &reads).await;
}

pub(crate) fn contact_world(world: &World) -> (String, Vec<String>, Reads) {
    let owner = world.person(0);
    let contact = world
        .graph
        .tenant()
        .contacts_of(&owner)
        .next()
        .unwrap()
        .clone();
    let names: Vec<_> = [
        "me".to_owned(),
        format!("users/{}", owner.id),
        format!("users/{}", owner.upn),
    ]
    .iter()
    .flat_map(|mailbox| {
        [
            format!("{mailbox}/contacts/{}", contact.id),
            format!(
                "{mailbox}/contactFolders/{}/contacts/{}",
                contact.folder, contact.id
            ),
        ]
    })
    .collect();
    let writer = world.token_with(0, ALL);
    let reads = vec![
        (writer.clone(), places(&names, false)),
        (world.token_with(0, "Contacts.Read"), places(&names, false)),
    ];
    (writer, names, reads)
}

#[tokio::test]
async fn a_contact_changed_by_any_path_is_new_by_every_path() {
    let world = World::start().await;
    let (writer, names, reads) = contact_world(&world);
    all_pairs(&world, &writer, &names, &[Method::PUT], &reads).await;
}

#[tokio::test]
async fn a_write_long_ago_by_a_name_not_known_then_is_remembered_when_it_becomes_known() {
    let world = World::with(&[("photo_ttl", "24h")], |_| {}).await;
    let (owner, path) = (world.person(2), photo(&world.person(2)));
    let reader = TokenSpec::of(&world.person(1)).lasting(Duration::from_secs(200_000));
    let reader = world.graph.issue(&reader);
    world.get(&path, &reader).await;
    let application = world
        .graph
        .issue(TokenSpec::application().with("User.ReadWrite.All"));
    write(
        &world,
        &format!("users/{}", owner.upn),
        &application,
        &Method::PUT,
    )
    .await;
    for _ in 0..10 {
        world.later(Duration::from_secs(60));
        world.proxy.rooms.maintain();
    }
    // Now the two names are known to be one person's.
    world.get("/v1.0/me/photo/$value", &world.token(2)).await;
    let reply = world.get(&path, &reader).await;
    assert_eq!(reply.mark().map(|mark| mark.upload), Some(2), "{reply:?}");
}

#[tokio::test]
async fn an_answer_from_before_the_write_that_arrives_after_it_is_not_kept() {
    for sharing in ["token", "verified", "tenant"] {
        let world = World::with(&[("sharing", sharing)], |_| {}).await;
        let owner = world.person(0);
        let writer = world.token_with(0, ALL);
        let tokens = [world.token(1), world.token(2)];
        for token in &tokens {
            // Proven, and under tenant eligible.
            world.get(&photo(&world.person(3)), token).await;
            world.get(&photo(&world.person(4)), token).await;
        }
        let names = [
            format!("users/{}", owner.id),
            format!("users/{}", owner.upn),
        ];
        for (read, wrote, size) in [(0, 0, 48), (0, 1, 64), (1, 0, 96), (1, 1, 120)] {
            let path = format!("/v1.0/{}/photos/{size}x{size}/$value", names[read]);
            let hold = world.graph.hold_on(&path);
            let before = world.get(&path, &tokens[0]);
            let after = async {
                hold.waiting(1).await;
                write(&world, &names[wrote], &writer, &Method::PUT).await;
                // Asked after the write: must not be given what was asked before it.
                let mut asking = std::pin::pin!(world.get(&path, &tokens[0]));
                let mut other = std::pin::pin!(world.get(&path, &tokens[1]));
                tokio::select! {
                    reply = &mut asking => panic!("answered early: {reply:?}"),
                    reply = &mut other => panic!("answered early: {reply:?}"),
                    () = hold.waiting(2) => {}
                }
                hold.release();
                (asking.await, other.await)
            };
            let (_, (own, other)) = tokio::join!(before, after);
            let truth = world.graph_says(&path, &tokens[0]).await;
            assert_eq!(own.mark(), truth.mark(), "{sharing}");
            assert_eq!(other.mark(), truth.mark(), "{sharing}");
            for token in &tokens {
                let reply = world.get(&path, token).await;
                assert_eq!(reply.mark(), truth.mark(), "{sharing}: kept from before");
            }
        }
    }
}

#[tokio::test]
async fn a_304_from_before_the_write_that_arrives_after_it_lets_nothing_be_kept() {
    for sharing in ["token", "verified", "tenant"] {
        let settings = [("sharing", sharing), ("stale_while_revalidate", "0s")];
        let world = World::with(&settings, |_| {}).await;
        let (owner, reader) = (world.person(3), world.long_lived());
        let path = format!("/v1.0/users/{}/photos/48x48/$value", owner.id);
        assert_eq!(world.get(&path, &reader).await.status, 200);
        world.later(Duration::from_mins(67));
        let writer = world.token_with(3, ALL);
        world.graph.clear_seen();
        let hold = world.graph.hold_on(&path);
        let change = async {
            // What Graph says is settled: not modified.
            hold.waiting(1).await;
            write(
                &world,
                &format!("users/{}", owner.id),
                &writer,
                &Method::PUT,
            )
            .await;
            hold.release();
        };
        tokio::join!(world.get(&path, &reader), change);
        let seen = world.graph.seen();
        assert_eq!(seen.first().and_then(|seen| seen.status), Some(304));
        let after = world.get(&path, &reader).await;
        let upload = after.mark().map(|mark| mark.upload);
        assert_eq!(upload, Some(2), "{sharing}: {after:?}");
    }
}

#[tokio::test]
async fn a_refused_write_ends_nothing_and_a_broken_one_everything_of_its_owner() {
    let world = World::start().await;
    let (token, owner) = (world.token(0), world.person(1));
    let (path, other) = (photo(&owner), photo(&world.person(2)));
    world.get(&path, &token).await;
    world.get(&other, &token).await;
    for status in [400, 403, 404, 409, 413, 429] {
        world.graph.once(&path, Fault::Status(status));
        assert_eq!(
            world.proxy.put(&path, &token, "x").await.status.as_u16(),
            status
        );
        world.graph.end_throttling();
        world.hit(&path, &token).await;
        world.later(Duration::from_secs(61));
    }
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Close,
        Fault::Redirect("/x".to_owned()),
    ] {
        world.graph.once(&path, fault.clone());
        assert!(
            !world
                .proxy
                .put(&path, &token, "x")
                .await
                .status
                .is_success()
        );
        world.asks(&path, &token).await;
        world.hit(&path, &token).await;
        world.hit(&other, &token).await;
    }
}

#[tokio::test]
async fn a_writer_who_leaves_in_the_middle_may_have_written() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &token).await;
    let hold = world.graph.hold_on(&path);
    let mut leaving = TcpStream::connect(world.proxy.address).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: image/jpeg\r\ncontent-length: 3\r\n\r\nnew"
    );
    leaving.write_all(head.as_bytes()).await.unwrap();
    hold.waiting(1).await;
    world.hit(&path, &token).await;
    drop(leaving);
    hold.waiting_at_most(0).await;
    hold.release();
    world.asks(&path, &token).await;
}

#[tokio::test]
async fn a_write_with_a_token_that_cannot_be_read_or_is_odd_puts_everyones_names_in_doubt() {
    let world = World::start().await;
    let token = world.token(0);
    let path = photo(&world.person(1));
    let personal = world.graph.tenant().personal().next().unwrap().clone();
    let opaque = world
        .graph
        .issue(TokenSpec::of(&personal).with("User.ReadWrite"));
    let me = "/v1.0/me/photo/$value";
    world.get(&path, &token).await;
    world.get(me, &opaque).await;
    let second = world
        .graph
        .issue(TokenSpec::of(&personal).with("User.ReadWrite"));
    world.get(me, &second).await;
    assert_eq!(world.proxy.put(me, &opaque, "x").await.status, 200);
    for mine in [&opaque, &second] {
        let reply = world.asks(me, mine).await;
        assert_eq!(reply.mark().map(|mark| mark.upload), Some(2));
    }
    // Whose photo that was cannot be told, so it may be anybody's.
    world.asks(&path, &token).await;
    world.hit(&path, &token).await;
}
