//! One person by several names: learnt from Graph's word only, and never somebody else.

use graph_photo_proxy::demo::{Fault, TokenSpec};
use serde_json::json;

use crate::support::World;
use crate::support::attack::{forged, photo, photo_by_name, segment};

#[tokio::test]
async fn one_user_by_three_names_downloads_once_where_graph_has_told_the_names() {
    let paths = |world: &World| {
        let owner = world.person(0);
        [
            "/v1.0/me/photo/$value".to_owned(),
            photo(&owner),
            photo_by_name(&owner),
            photo_by_name(&owner)
                .to_uppercase()
                .replace("/V1.0/", "/v1.0/")
                .replace("$VALUE", "$value"),
        ]
    };
    for first in 0..4 {
        let world = World::start().await;
        let token = world.token(0);
        // Any photo: Graph accepts the token, so its claims are true.
        world.get(&photo(&world.person(1)), &token).await;
        let mut paths = paths(&world);
        paths.rotate_left(first);
        let reply = world.asks(&paths[0], &token).await;
        for path in &paths[1..] {
            assert_eq!(world.hit(path, &token).await.body, reply.body);
        }
        // For others too, by Graph's word to each.
        let other = world.token(2);
        let calls = world.graph.count();
        for path in paths.iter().filter(|path| !path.contains("/me/")) {
            assert_eq!(world.get(path, &other).await.body, reply.body);
        }
        assert_eq!(
            (world.graph.count() - calls, world.graph.downloads()),
            (1, 2)
        );
    }
}

#[tokio::test]
async fn metadata_by_a_name_tells_whose_name_it_is() {
    let world = World::start().await;
    let (owner, token) = (world.person(1), world.token(0));
    world
        .get(&format!("/v1.0/users/{}/photo", owner.upn), &token)
        .await;
    world.asks(&photo(&owner), &token).await;
    world.hit(&photo_by_name(&owner), &token).await;
}

#[tokio::test]
async fn switched_off_a_name_is_asked_for_as_it_was_written() {
    let world = World::with(&[("infer_names", "false")], |_| {}).await;
    let (owner, token) = (world.person(1), world.token(0));
    let metadata = format!("/v1.0/users/{}/photo", owner.upn);
    world.get(&metadata, &token).await;
    let by_id = world.asks(&photo(&owner), &token).await;
    let by_name = world.asks(&photo_by_name(&owner), &token).await;
    assert_eq!(by_name.mark(), by_id.mark());
    world.hit(&photo_by_name(&owner), &token).await;
    // Known to be one person's they still are: a write by one name ends both.
    let writer = world.token_with(1, "User.ReadWrite");
    let picture = world.get(&photo(&world.person(2)), &token).await.body;
    let written = world.proxy.put(&photo(&owner), &writer, picture).await;
    assert!(written.status.is_success(), "{written:?}");
    let after = world.asks(&photo_by_name(&owner), &token).await;
    assert_eq!(after.mark().map(|mark| mark.upload), Some(2));
}

#[tokio::test]
async fn names_claimed_by_forged_or_foreign_tokens_are_not_learnt() {
    let world = World::start().await;
    let (token, named, other) = (world.token(0), world.person(1), world.person(2));
    // Says that the name of one is the id of another.
    let lie = |spec: TokenSpec| {
        spec.claim("oid", json!(other.id))
            .claim("upn", json!(named.upn))
    };
    let forged = forged(&world.graph.issue(lie(TokenSpec::of(&world.person(3)))));
    let foreign =
        lie(TokenSpec::of(&world.person(3))).in_tenant("99999999-1111-4222-8333-444444444444");
    let foreign = world.graph.issue(foreign);
    world.get(&photo(&other), &token).await;
    for liar in [&forged, &foreign] {
        world.get(&photo(&other), liar).await;
        world.get("/v1.0/me/photo/$value", liar).await;
        world.proxy.put("/v1.0/me/photo/$value", liar, "x").await;
    }
    for _ in 0..2 {
        let reply = world.get(&photo_by_name(&named), &token).await;
        assert_eq!(reply.mark().map(|mark| mark.owner), Some(named.id.clone()));
    }
}

#[tokio::test]
async fn names_are_not_learnt_from_a_write_that_somebody_else_than_graph_has_answered() {
    let world = World::start().await;
    let (token, named, other) = (world.token(0), world.person(1), world.person(2));
    let lie = TokenSpec::of(&world.person(3))
        .claim("oid", json!(other.id))
        .claim("upn", json!(named.upn));
    let liar = forged(&world.graph.issue(lie));
    world.get(&photo(&other), &token).await;
    let me = "/v1.0/me/photo/$value";
    // A gateway's page in the place of Graph's answer: 200, to whatever token.
    world.graph.once(me, Fault::CaptiveGateway);
    assert_eq!(world.proxy.put(me, &liar, "x").await.status, 200);
    world.get(&photo(&other), &token).await;
    let reply = world.get(&photo_by_name(&named), &token).await;
    assert_eq!(reply.mark().map(|mark| mark.owner), Some(named.id.clone()));
    // The same of a write that Graph has carried out is learnt.
    let honest = world.token_with(2, "User.Read.All User.ReadWrite");
    assert_eq!(world.proxy.put(me, &honest, "x").await.status, 200);
    world.get(&photo(&other), &token).await;
    world.hit(&photo_by_name(&other), &token).await;
}

#[tokio::test]
async fn an_old_token_does_not_keep_a_name_that_has_changed_hands() {
    let world = World::with(
        &[("photo_ttl", "1h"), ("stale_while_revalidate", "0s")],
        |_| {},
    )
    .await;
    let (old, new) = (world.person(1), world.person(2));
    // The name of `new` was once that of `old`, whose token still says so.
    let hour = std::time::Duration::from_secs(3_600);
    let stale = TokenSpec::of(&old)
        .claim("upn", json!(new.upn))
        .lasting(10 * hour);
    let stale = world.graph.issue(&stale);
    world.later(2 * hour);
    for _ in 0..3 {
        assert_eq!(world.get("/v1.0/me/photo/$value", &stale).await.status, 200);
        world.get(&photo(&old), &stale).await;
        let reply = world.get(&photo_by_name(&new), &stale).await;
        assert_eq!(reply.mark().map(|mark| mark.owner), Some(new.id.clone()));
    }
}

#[tokio::test]
async fn a_guests_name_encoded_once_and_twice_is_answered_as_graph_answers_each() {
    let world = World::start().await;
    let guest = world
        .graph
        .tenant()
        .guests()
        .find(|g| g.photo.is_some())
        .unwrap()
        .clone();
    let token = world.token(0);
    let once = format!("/v1.0/users/{}/photo/$value", segment(&guest.upn));
    let twice = once.replace("%23", "%2523");
    for path in [&once, &twice] {
        let reply = world.asks(path, &token).await;
        assert_eq!(reply.mark().map(|mark| mark.owner), Some(guest.id.clone()));
        world.hit(path, &token).await;
    }
}

#[tokio::test]
async fn a_team_is_not_answered_with_its_groups_photo_nor_a_contact_across_mailboxes() {
    let world = World::start().await;
    let team = world.graph.tenant().teams().next().unwrap().clone();
    let token = world.token_with(0, "Group.Read.All Team.ReadBasic.All");
    for place in [
        "groups/{}",
        "teams/{}",
        "team/{}",
        "groups/{}/team",
        "me/joinedTeams/{}",
    ] {
        let path = format!("/v1.0/{}/photo/$value", place.replace("{}", &team.id));
        world.asks(&path, &token).await;
        world.hit(&path, &token).await;
    }
    let owner = world.person(0);
    let contact = world
        .graph
        .tenant()
        .contacts_of(&owner)
        .next()
        .unwrap()
        .clone();
    let mine = world.token_with(0, "Contacts.Read");
    let theirs = world.token_with(1, "Contacts.Read");
    let path = format!("/v1.0/me/contacts/{}/photo/$value", contact.id);
    assert_eq!(world.get(&path, &mine).await.status, 200);
    world.hit(&path, &mine).await;
    let reply = world.asks(&path, &theirs).await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (404, None));
}

#[tokio::test]
async fn a_guests_name_at_home_is_nobodys_name_here() {
    let world = World::start().await;
    let (reader, member) = (world.token(0), world.person(1));
    let tenant = world.graph.tenant();
    let guest = tenant.guests().next().expect("a guest").clone();
    let theirs = world.get(&photo(&guest), &reader).await;
    // At home the guest has the name that a member has here.
    let spec = TokenSpec::of(&guest).claim("upn", json!(member.upn));
    let token = world.graph.issue(&spec);
    world.get("/v1.0/me/photo/$value", &token).await;
    let reply = world.get(&photo_by_name(&member), &reader).await;
    assert_ne!(reply.body, theirs.body);
    assert_eq!(reply.mark().map(|mark| mark.owner), Some(member.id));
}

#[tokio::test]
async fn what_came_by_a_name_is_still_good_once_it_is_known_whose_name_it_is() {
    for sharing in ["token", "verified", "tenant"] {
        let world = World::with(&[("sharing", sharing)], |_| {}).await;
        let (owner, token) = (world.person(1), world.token(0));
        let first = world.get(&photo_by_name(&owner), &token).await;
        let metadata = format!("/v1.0/users/{}/photo", owner.upn);
        assert_eq!(world.get(&metadata, &token).await.status, 200);
        let again = world.hit(&photo_by_name(&owner), &token).await;
        assert_eq!(again.body, first.body, "{sharing}");
        // Not once it has changed by the other name.
        let writer = world.token_with(1, "User.ReadWrite");
        let put = world.proxy.put(&photo(&owner), &writer, first.body).await;
        assert!(put.status.is_success(), "{put:?}");
        world.asks(&photo_by_name(&owner), &token).await;
    }
}

#[tokio::test]
async fn what_came_by_a_name_is_not_given_to_whom_graph_refuses_the_id() {
    let world = World::with(&[("sharing", "tenant")], |_| {}).await;
    let (owner, reader, refused) = (world.person(1), world.token(0), world.token(2));
    world.graph.forbid(&world.person(2).id, &owner.id);
    assert_eq!(world.get(&photo(&owner), &refused).await.status, 403);
    // May read what the tenant holds, but for this one.
    for n in [3, 4] {
        world.get(&photo(&world.person(n)), &refused).await;
    }
    world.get(&photo_by_name(&owner), &reader).await;
    let metadata = format!("/v1.0/users/{}/photo", owner.upn);
    world.get(&metadata, &reader).await;
    for _ in 0..2 {
        for path in [photo_by_name(&owner), photo(&owner)] {
            let reply = world.get(&path, &refused).await;
            assert_eq!((reply.status.as_u16(), reply.mark()), (403, None));
        }
    }
}

#[tokio::test]
async fn what_came_by_a_name_is_not_shown_once_metadata_has_told_of_another_upload() {
    let world = World::with(&[("stale_while_revalidate", "0s")], |_| {}).await;
    let (owner, other, token) = (world.person(1), world.person(2), world.token(0));
    // Graph's metadata is seen to name the tags of its pictures.
    world.get(&photo(&other), &token).await;
    world
        .get(&format!("/v1.0/users/{}/photo", other.id), &token)
        .await;
    world.get(&photo_by_name(&owner), &token).await;
    let upload = world.graph.upload(&owner.id);
    world
        .get(&format!("/v1.0/users/{}/photo", owner.upn), &token)
        .await;
    let reply = world.asks(&photo_by_name(&owner), &token).await;
    assert_eq!(reply.mark().map(|mark| mark.upload), Some(upload));
}
