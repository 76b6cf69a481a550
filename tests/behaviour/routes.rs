//! Every photo route of the documentation and of Graph's metadata: asked for twice, paid once.

use std::time::Duration;

use graph_photo_proxy::demo::TokenSpec;

use crate::support::World;

/// What a token must carry to read every kind of owner, here, in a demo tenant.
const PERMISSIONS: &str = "User.Read.All Group.Read.All Team.ReadBasic.All Contacts.Read";

/// Every route of the table that today's metadata or the seed page has, `$count` and the forms
/// of the documentation alone left out, with ids of this tenant.
fn targets(world: &World) -> Vec<String> {
    let tenant = world.graph.tenant();
    let me = world.person(0);
    let user = world.person(1);
    let team = tenant
        .teams()
        .find(|team| team.photo.is_some())
        .expect("a team with a photo")
        .clone();
    let contact = tenant
        .contacts_of(&me)
        .find(|contact| contact.photo.is_some())
        .expect("a contact with a photo")
        .clone();
    let table = include_str!("../data/graph-photo-routes.v1.0.tsv");
    let mut targets = Vec::new();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (template, known) = (columns[1], columns[5]);
        if !["head", "seed-only"].contains(&known) {
            continue;
        }
        let parent = contact.parent_folder.as_deref().unwrap_or(&contact.folder);
        // Another's contacts are not ours to read: the mailbox of a contact is one's own.
        let mailbox = if template.contains("contact") {
            &me.id
        } else {
            &user.id
        };
        let path = template
            .replace("{user-id}", mailbox)
            .replace("{group-id}", &team.id)
            .replace("{team-id}", &team.id)
            .replace("{contact-id}", &contact.id)
            .replace("{contactFolder-id1}", &contact.folder)
            .replace(
                "{contactFolder-id}",
                if template.contains("childFolders") {
                    parent
                } else {
                    &contact.folder
                },
            )
            .replace("{profilePhoto-id}", "48x48");
        assert!(!path.contains('{'), "{path}");
        for version in ["v1.0", "beta"] {
            targets.push(format!("/{version}{path}"));
        }
    }
    targets
}

#[tokio::test]
async fn every_photo_route_asked_for_twice_costs_graph_one_call() {
    let world = World::start().await;
    let token = world
        .graph
        .issue(TokenSpec::of(&world.person(0)).with(PERMISSIONS));
    let targets = targets(&world);
    assert!(targets.len() >= 70, "{}", targets.len());
    for target in &targets {
        let first = world.get(target, &token).await;
        assert_eq!(first.status, 200, "{target}\n{first:?}");
        let calls = world.graph.count();
        let second = world.get(target, &token).await;
        assert!(second.is_hit(), "{target}\n{second:?}");
        assert_eq!(world.graph.count(), calls, "{target}");
        assert_eq!(
            (first.status, &first.body),
            (second.status, &second.body),
            "{target}"
        );
        for field in ["content-type", "etag", "odata-version"] {
            assert_eq!(first.field(field), second.field(field), "{target} {field}");
        }
    }
}

#[tokio::test]
async fn the_older_backend_and_the_documentations_shapes_are_held_as_well() {
    use graph_photo_proxy::demo::Generation::{Documented, Older};
    for generation in [Older, Documented] {
        let world = World::with(&[], |settings| settings.generation = generation).await;
        let token = world
            .graph
            .issue(TokenSpec::of(&world.person(0)).with(PERMISSIONS));
        for target in targets(&world) {
            let first = world.get(&target, &token).await;
            let second = world.get(&target, &token).await;
            assert!(
                second.is_hit(),
                "{generation:?} {target}\n{first:?}\n{second:?}"
            );
            assert_eq!(first.body, second.body, "{generation:?} {target}");
        }
    }
}

#[tokio::test]
async fn no_photo_is_held_for_ten_minutes_and_a_photo_for_an_hour_give_or_take_a_tenth() {
    // Many, because each lifetime is another one within the tenth.
    for n in 0..10 {
        let settings = [("stale_while_revalidate", "0s"), ("refresh_ahead", "false")];
        let world = World::with(&settings, |_| {}).await;
        let token = world.long_lived();
        let of = |id: &str| format!("/v1.0/users/{id}/photo/$value");
        let none = of(&world.faceless().id);
        let photo = of(&world.person(n % 4).id);
        for (path, tenth) in [(&none, 1), (&photo, 6)] {
            assert!(!world.get(path, &token).await.is_hit());
            world.later(Duration::from_mins(tenth * 9 - 1));
            // Graph's word about the token is renewed by another photo.
            world.get(&of(&world.person(4).id), &token).await;
            assert!(world.get(path, &token).await.is_hit(), "{path}");
            world.later(Duration::from_mins(tenth * 2 + 1));
            assert!(!world.get(path, &token).await.is_hit(), "{path}");
        }
    }
}

#[tokio::test]
async fn no_photo_is_held_too_in_either_shape() {
    use graph_photo_proxy::demo::Absent;
    for absent in [Absent::NotFound, Absent::OneByOne] {
        let world = World::with(&[], |settings| settings.absent = absent).await;
        let (token, person) = (world.token(0), world.faceless());
        for view in [
            "photo/$value",
            "photo",
            "photos/48x48/$value",
            "photos/48x48",
        ] {
            let target = format!("/v1.0/users/{}/{view}", person.id);
            let first = world.get(&target, &token).await;
            let second = world.get(&target, &token).await;
            assert!(second.is_hit(), "{absent:?} {target}\n{second:?}");
            assert_eq!(
                (first.status, first.body),
                (second.status, second.body),
                "{target}"
            );
        }
    }
}

#[tokio::test]
async fn sizes_views_and_versions_never_answer_for_each_other() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.person(1));
    let mut bodies = std::collections::HashMap::new();
    for version in ["v1.0", "beta"] {
        for view in [
            "photo",
            "photo?$select=id",
            "photos",
            "photos/64x64",
            "photo/$value",
            "photos/48x48/$value",
            "photos/64x64/$value",
            "photos/96x96/$value",
        ] {
            let target = format!("/{version}/users/{}/{view}", person.id);
            let first = world.get(&target, &token).await;
            assert!(
                !first.is_hit(),
                "{target} was answered by another\n{first:?}"
            );
            bodies.insert(target, first);
        }
    }
    for (target, first) in &bodies {
        let again = world.get(target, &token).await;
        assert!(again.is_hit(), "{target}\n{again:?}");
        assert_eq!(again.body, first.body, "{target}");
    }
    for side in [48, 64, 96] {
        let target = format!("/v1.0/users/{}/photos/{side}x{side}/$value", person.id);
        assert_eq!(bodies[&target].mark().map(|mark| mark.side), Some(side));
    }
}

#[tokio::test]
async fn a_size_that_is_not_there_is_graphs_own_answer_and_never_a_neighbour() {
    let world = World::start().await;
    let token = world.token(0);
    let person = world.person(1);
    world.graph.upload_sized(&person.id, 120);
    let target = |side: u32| format!("/v1.0/users/{}/photos/{side}x{side}/$value", person.id);
    assert_eq!(world.get(&target(96), &token).await.status, 200);
    for _ in 0..2 {
        assert_eq!(world.get(&target(648), &token).await.status, 404);
    }
    assert!(world.get(&target(648), &token).await.is_hit());
    assert!(world.get(&target(96), &token).await.is_hit());
}

#[tokio::test]
async fn the_spellings_of_one_photo_are_one_photo() {
    let world = World::start().await;
    let (token, person) = (world.token(0), world.person(1));
    let (id, upn) = (&person.id, &person.upn);
    let upper = id.to_uppercase();
    world
        .get(&format!("/v1.0/users/{id}/photos/48x48/$value"), &token)
        .await;
    for spelling in [
        format!("/v1.0/users/{id}/photos/48X48/$value"),
        format!("/v1.0/users/{id}/photos/48x48/%24value"),
        format!("/v1.0/Users/{upper}/Photos/48x48/$Value"),
        format!("/v1.0/users('{id}')/photos('48x48')/$value"),
    ] {
        assert!(world.get(&spelling, &token).await.is_hit(), "{spelling}");
    }
    world
        .get(&format!("/v1.0/users/{upn}/photo/$value"), &token)
        .await;
    for spelling in [upn.to_uppercase(), upn.replace('@', "%40")] {
        let target = format!("/v1.0/users/{spelling}/photo/$value");
        assert!(world.get(&target, &token).await.is_hit(), "{target}");
    }
    assert_eq!(world.graph.count(), 2);
}
