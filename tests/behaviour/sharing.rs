//! Promise 2, by policy: who may be given a photo that Graph gave to somebody else.

use std::time::Duration;

use graph_photo_proxy::demo::{Conditional, Person, TokenSpec};
use tokio::task::JoinSet;

use crate::support::World;
use crate::support::attack::{forged, photo, photo_by_name, until};

const MINUTE: Duration = Duration::from_secs(60);
const TENANT: (&str, &str) = ("sharing", "tenant");

/// A world under `tenant` in which Graph has given the photos of persons 1 to 4 to another.
async fn tenant() -> World {
    let world = World::with(&[TENANT, ("photo_ttl", "48h")], |graph| {
        graph.guests_read_members = true;
        graph.applications_read_groups = true;
    })
    .await;
    for n in 1..5 {
        world.get(&photo(&world.person(n)), &long(&world, 5)).await;
    }
    world
}

/// A token of the n-th member that outlives every test.
fn long(world: &World, n: usize) -> String {
    let spec = TokenSpec::of(&world.person(n)).lasting(Duration::from_secs(400_000));
    world.graph.issue(&spec)
}

fn delegated(world: &World, person: &Person, permissions: &str) -> String {
    world.graph.issue(TokenSpec::of(person).with(permissions))
}

#[tokio::test]
async fn under_tenant_one_photo_of_another_owner_given_by_graph_opens_the_rest() {
    let world = tenant().await;
    let token = world.token(0);
    world.asks(&photo(&world.person(1)), &token).await;
    for n in [2, 3, 4, 1] {
        let reply = world.hit(&photo(&world.person(n)), &token).await;
        assert_eq!(
            reply.mark().map(|mark| mark.owner),
            Some(world.person(n).id)
        );
    }
    // Each token earns it for itself, also one of the same principal and of any application.
    world
        .asks(&photo(&world.person(2)), &world.fresh_token(0))
        .await;
    let application = world.graph.issue(TokenSpec::application());
    world.asks(&photo(&world.person(1)), &application).await;
    world.hit(&photo(&world.person(2)), &application).await;
}

#[tokio::test]
async fn under_tenant_neither_ones_own_photo_nor_a_missing_owner_opens_anything() {
    let world = tenant().await;
    let token = world.token(0);
    assert_eq!(
        world.asks("/v1.0/me/photo/$value", &token).await.status,
        200
    );
    world.asks(&photo(&world.person(1)), &token).await;
    let token = world.token(6);
    let nobody = "/v1.0/users/00000000-1111-4222-8333-444444444444/photo/$value";
    assert_eq!(world.asks(nobody, &token).await.status, 404);
    world.asks(&photo(&world.person(1)), &token).await;
    // "No photo" of somebody who is there counts (DESIGN §5).
    let token = world.token(7);
    assert_eq!(
        world.asks(&photo(&world.faceless()), &token).await.status,
        404
    );
    world.hit(&photo(&world.person(2)), &token).await;
}

#[tokio::test]
async fn under_tenant_guests_strangers_and_forgers_are_asked_about_each_photo() {
    let world = tenant().await;
    let guest = world.graph.tenant().guests().next().unwrap().clone();
    let member = world.person(0);
    let of = |n: usize| TokenSpec::of(&world.person(n));
    let cases = [
        ("a guest", TokenSpec::of(&guest)),
        (
            "no roles told",
            of(0).claim("wids", serde_json::Value::Null),
        ),
        (
            "from elsewhere",
            of(4).claim("idp", "https://elsewhere/".into()),
        ),
        ("acct 1", of(6).claim("acct", 1.into())),
        ("only one's own", of(7).with("User.Read")),
        ("other things", of(0).with("ProfilePhoto.Read.All")),
    ];
    for (who, spec) in cases {
        let token = world.graph.issue(&spec);
        for n in [1, 2, 3] {
            assert!(
                !world.get(&photo(&world.person(n)), &token).await.is_hit(),
                "{who}"
            );
        }
    }
    let eligible = world.token(0);
    world.get(&photo(&world.person(1)), &eligible).await;
    world.hit(&photo(&world.person(2)), &eligible).await;
    let reply = world
        .asks(&photo(&world.person(2)), &forged(&eligible))
        .await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (401, None));
    let elsewhere = "99999999-1111-4222-8333-444444444444";
    let foreign = world
        .graph
        .issue(TokenSpec::of(&member).in_tenant(elsewhere));
    for n in [1, 2, 3] {
        assert_eq!(
            world.asks(&photo(&world.person(n)), &foreign).await.status,
            404
        );
    }
}

#[tokio::test]
async fn under_tenant_groups_are_for_people_and_teams_for_both_by_their_documented_places() {
    let world = tenant().await;
    let (teams, groups): (Vec<_>, Vec<_>) = {
        let tenant = world.graph.tenant();
        let groups: Vec<_> = tenant
            .groups
            .iter()
            .filter(|g| g.photo.is_some())
            .cloned()
            .collect();
        (groups.iter().filter(|g| g.team).cloned().collect(), groups)
    };
    let app = |name: &str, permission: &str| {
        let spec = TokenSpec::application().from_app(name).with(permission);
        world.graph.issue(&spec)
    };
    let group = |n: usize| format!("/v1.0/groups/{}/photo/$value", groups[n].id);
    let first = delegated(&world, &world.person(0), "Group.Read.All");
    for n in 0..groups.len() {
        world.get(&group(n), &first).await;
    }
    let second = delegated(&world, &world.person(1), "Group.ReadWrite.All");
    world.asks(&group(0), &second).await;
    world.hit(&group(1), &second).await;
    let application = app("11111111-aaaa-4bbb-8ccc-dddddddddddd", "Group.Read.All");
    for n in 0..groups.len() {
        assert_eq!(world.asks(&group(n), &application).await.status, 200);
    }
    for place in ["teams/{}", "team/{}"] {
        let team = |n: usize| format!("/v1.0/{}/photo/$value", place.replace("{}", &teams[n].id));
        for permission in ["Team.ReadBasic.All", "TeamSettings.Read.All"] {
            world
                .get(&team(0), &delegated(&world, &world.person(2), permission))
                .await;
            world
                .get(&team(1), &delegated(&world, &world.person(2), permission))
                .await;
            for token in [
                delegated(&world, &world.person(3), permission),
                app("22222222-aaaa-4bbb-8ccc-dddddddddddd", permission),
            ] {
                world.asks(&team(0), &token).await;
                world.hit(&team(1), &token).await;
            }
        }
    }
    // Places whose permissions are not documented.
    let viewers = [4, 5].map(|n| delegated(&world, &world.person(n), "Team.ReadBasic.All"));
    for viewer in &viewers {
        world
            .get(&format!("/v1.0/teams/{}/photo/$value", teams[0].id), viewer)
            .await;
        for path in [
            format!("/v1.0/groups/{}/team/photo/$value", teams[1].id),
            format!("/v1.0/me/joinedTeams/{}/photo/$value", teams[1].id),
        ] {
            world.asks(&path, viewer).await;
        }
    }
}

#[tokio::test]
async fn under_tenant_contacts_are_shared_with_nobody() {
    let world = tenant().await;
    let owner = world.person(0);
    let contacts: Vec<_> = world.graph.tenant().contacts_of(&owner).cloned().collect();
    let paths: Vec<_> = contacts
        .iter()
        .map(|contact| {
            format!(
                "/v1.0/users/{}/contacts/{}/photo/$value",
                owner.id, contact.id
            )
        })
        .collect();
    for app in [
        "11111111-aaaa-4bbb-8ccc-dddddddddddd",
        "22222222-aaaa-4bbb-8ccc-dddddddddddd",
    ] {
        for spec in [TokenSpec::of(&owner), TokenSpec::application()] {
            let token = world.graph.issue(spec.with("Contacts.Read").from_app(app));
            for path in &paths {
                world.asks(path, &token).await;
            }
        }
    }
    let stranger = delegated(&world, &world.person(1), "Contacts.Read");
    for path in &paths {
        let reply = world.asks(path, &stranger).await;
        assert_eq!((reply.status.as_u16(), reply.mark()), (403, None));
    }
}

#[tokio::test]
async fn under_tenant_added_permissions_widen_what_is_covered_and_never_replace_the_proof() {
    let extra = ("tenant_user_permissions", "ProfilePhoto.Read.All");
    let world = World::with(&[TENANT, extra], |_| {}).await;
    for n in 1..4 {
        world.get(&photo(&world.person(n)), &world.token(5)).await;
    }
    let token = world.token_with(0, "ProfilePhoto.Read.All");
    let denied = world.asks(&photo(&world.person(1)), &forged(&token)).await;
    assert_eq!(denied.status, 401);
    world.asks(&photo(&world.person(1)), &token).await;
    world.hit(&photo(&world.person(2)), &token).await;
}

#[tokio::test]
async fn under_tenant_a_401_a_403_and_time_end_what_graph_has_shown() {
    let world = tenant().await;
    let (own, open, cold) = (
        "/v1.0/me/photo/$value",
        photo(&world.person(1)),
        photo(&world.person(2)),
    );
    // 401: the proof ends, and what it had shown with it.
    let token = long(&world, 0);
    world.get(&open, &token).await;
    world.hit(&cold, &token).await;
    world.later(Duration::from_secs(1));
    world.graph.once(
        "/v1.0/me/messages",
        graph_photo_proxy::demo::Fault::Status(401),
    );
    assert_eq!(world.get("/v1.0/me/messages", &token).await.status, 401);
    world.later(Duration::from_secs(1));
    assert_eq!(world.asks(own, &token).await.status, 200);
    world.asks(&cold, &token).await;
    // 403 for one owner: the others must be shown again.
    let token = world.fresh_token(3);
    world.get(&open, &token).await;
    world.hit(&cold, &token).await;
    let hidden = world.person(6);
    world.graph.forbid(&world.person(3).id, &hidden.id);
    assert_eq!(world.asks(&photo(&hidden), &token).await.status, 403);
    world.asks(&photo(&world.person(4)), &token).await;
    // Time: what was shown counts as long as a proof, whatever else has been proven since.
    let token = long(&world, 4);
    world.get(&open, &token).await;
    world.later(10 * MINUTE);
    world.asks("/v1.0/me/photo", &token).await;
    world.later(6 * MINUTE);
    world.graph.forbid(&world.person(4).id, &world.person(2).id);
    let reply = world.asks(&cold, &token).await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (403, None));
}

#[tokio::test]
async fn under_tenant_a_refused_principal_never_reads_it_by_any_name_for_good() {
    for (refused_by, read_by) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
        let world = tenant().await;
        let (owner, viewer) = (world.person(6), world.person(0));
        let names = [photo(&owner), photo_by_name(&owner)];
        world.graph.forbid(&viewer.id, &owner.id);
        let token = long(&world, 0);
        assert_eq!(world.get(&names[refused_by], &token).await.status, 403);
        // Another viewer brings it into the tenant's partition, under both names.
        let other = long(&world, 5);
        for name in &names {
            world.get(name, &other).await;
        }
        for hours in [0, 1, 10, 10] {
            world.later(Duration::from_secs(hours * 3600));
            world.proxy.rooms.maintain();
            // Eligible by another owner's photo, both forms of name.
            world.get(&photo(&world.person(1)), &token).await;
            world.get(&photo_by_name(&world.person(2)), &token).await;
            world.get(&photo(&world.person(3)), &other).await;
            for name in &names {
                world.get(name, &other).await;
            }
            let reply = world.asks(&names[read_by], &token).await;
            assert_eq!(
                (reply.status.as_u16(), reply.mark()),
                (403, None),
                "{hours} h"
            );
        }
    }
}

#[tokio::test]
async fn under_tenant_too_many_refusals_to_count_narrow_and_never_widen() {
    let world = tenant().await;
    let (owner, viewer) = (world.person(6), world.person(0));
    world.get(&photo(&owner), &long(&world, 5)).await;
    world.graph.forbid(&viewer.id, &owner.id);
    world.get(&photo(&owner), &world.token(5)).await;
    let token = long(&world, 0);
    assert_eq!(world.get(&photo(&owner), &token).await.status, 403);
    world.graph.on(
        "/v1.0/users/0000",
        graph_photo_proxy::demo::Fault::Status(403),
    );
    for n in 0..300 {
        let path = format!("/v1.0/users/00000000-0000-4000-8000-{n:012}/photo/$value");
        assert_eq!(world.get(&path, &token).await.status, 403);
    }
    world.get(&photo(&world.person(1)), &token).await;
    let reply = world.asks(&photo(&owner), &token).await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (403, None));
}

#[tokio::test]
async fn under_tenant_a_thousand_proven_tokens_on_one_cold_photo_are_one_call() {
    let world = World::with(&[TENANT], |graph| graph.people = 1_600).await;
    let people: Vec<_> = world
        .graph
        .tenant()
        .with_photo()
        .take(1_002)
        .cloned()
        .collect();
    let tokens: Vec<_> = people
        .iter()
        .skip(2)
        .map(|p| world.graph.issue(TokenSpec::of(p)))
        .collect();
    let (known, cold) = (photo(&people[0]), photo(&people[1]));
    for token in &tokens {
        assert_eq!(world.get(&known, token).await.status, 200);
    }
    let calls = world.graph.count();
    let hold = world.graph.hold_on(&cold);
    let mut crowd = JoinSet::new();
    for token in &tokens {
        let request = world.proxy.request(http::Method::GET, &cold, token);
        crowd.spawn(
            world
                .proxy
                .sending(request.body(http_body_util::Full::default()).unwrap()),
        );
    }
    let questions = &world.proxy.rooms.questions;
    until("999 wait", || questions.waiting() == tokens.len() - 1).await;
    hold.release();
    while let Some(reply) = crowd.join_next().await {
        let mark = reply.unwrap().mark();
        assert_eq!(mark.map(|mark| mark.owner), Some(people[1].id.clone()));
    }
    assert_eq!(world.graph.count() - calls, 1);
}

#[tokio::test]
async fn under_verified_a_second_principal_downloads_nothing_where_graph_says_304() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    for n in 0..6 {
        let token = world.token(n);
        world.asks(&path, &token).await;
        world.hit(&path, &token).await;
    }
    assert_eq!((world.graph.count(), world.graph.downloads()), (6, 1));
}

#[tokio::test]
async fn under_verified_the_same_bytes_are_held_once_however_graph_tags_them() {
    for mode in [
        Conditional::SameTag,
        Conditional::NewTag,
        Conditional::NoTag,
    ] {
        let world = World::with(&[], |graph| graph.conditional = mode).await;
        let path = photo(&world.person(1));
        let mut size = 0;
        for n in 0..8 {
            let token = world.token(n);
            let reply = world.asks(&path, &token).await;
            size = reply.body.len() as u64;
            world.hit(&path, &token).await;
        }
        world.proxy.rooms.maintain();
        let (entries, weight) = world.proxy.rooms.cache.held();
        // One picture, and the overhead of each entry.
        assert!(
            weight < 2 * size,
            "{mode:?}: {entries} entries weigh {weight}, one photo {size}"
        );
        // Where conditions are ignored, others are verified by metadata, which is kept: some 300
        // bytes each time. With tags that change at random it is tried once, in vain.
        let asked = match mode {
            Conditional::SameTag => 7,
            Conditional::NewTag => 1,
            _ => 0,
        };
        // A photo counts as what it takes in memory, which is up to a quarter more.
        let beyond = weight.saturating_sub(size + entries * 1_160);
        let most = size / 4 + asked * 400;
        assert!(beyond <= most, "{mode:?}: {beyond} bytes");
    }
}

#[tokio::test]
async fn under_token_each_token_asks_for_itself() {
    let world = World::with(&[("sharing", "token")], |_| {}).await;
    let path = photo(&world.person(1));
    for token in [world.token(0), world.token(0), world.token(1)] {
        world.asks(&path, &token).await;
        world.hit(&path, &token).await;
    }
    assert_eq!(world.graph.downloads(), 1);
}

#[tokio::test]
async fn calls_that_tenant_would_have_saved_are_counted() {
    let world = World::with(&[], |graph| graph.guests_read_members = true).await;
    let saved = || world.proxy.rooms.ops.figures().would_share.get();
    let first = world.token(5);
    for n in [1, 2, 3] {
        world.get(&photo(&world.person(n)), &first).await;
    }
    assert_eq!(saved(), 0);
    let token = world.token(0);
    // The first shows that Graph gives this token other people's photos; tenant needs it too.
    world.asks(&photo(&world.person(1)), &token).await;
    assert_eq!(saved(), 0);
    world.asks(&photo(&world.person(2)), &token).await;
    world.asks(&photo(&world.person(3)), &token).await;
    assert_eq!(saved(), 2);
    world.hit(&photo(&world.person(3)), &token).await;
    // Held by nobody: tenant would have asked as well.
    world.asks(&photo(&world.person(4)), &token).await;
    // Not a member: tenant would have asked as well.
    let guest = world.graph.tenant().guests().next().unwrap().clone();
    let guest = world.graph.issue(TokenSpec::of(&guest));
    for n in [1, 2, 3] {
        world.asks(&photo(&world.person(n)), &guest).await;
    }
    assert_eq!(saved(), 2);
}

#[tokio::test]
async fn under_tenant_two_photos_by_id_open_names_and_one_does_not() {
    let world = tenant().await;
    let path = photo_by_name(&world.person(3));
    assert_eq!(world.get(&path, &world.token(0)).await.status, 200);
    let token = world.token(6);
    // One that may be the same person: Graph is asked.
    world.get(&photo(&world.person(1)), &token).await;
    world.asks(&path, &token).await;
    // Two cannot both be.
    let token = world.token(7);
    for n in [1, 6] {
        world.asks(&photo(&world.person(n)), &token).await;
    }
    world.hit(&path, &token).await;
    // One's own is none of them.
    let token = world.token(1);
    for n in [1, 7] {
        world.asks(&photo(&world.person(n)), &token).await;
    }
    world.asks(&path, &token).await;
}
