//! Promise 2: nobody is given what Graph would not have given to that very token.

use std::time::Duration;

use graph_photo_proxy::demo::{Fault, TokenSpec};
use http::Method;

use crate::support::World;
use crate::support::attack::{forged, photo, photo_by_name, until};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_forged_token_with_the_victims_claims_gains_nothing_by_any_method_or_condition() {
    let world = World::start().await;
    let (victim, owner) = (world.token(0), world.person(1));
    let forged = forged(&victim);
    let path = photo(&owner);
    let first = world.get(&path, &victim).await;
    let etag = first.field("etag").to_owned();
    world.hit(&path, &victim).await;
    for path in [
        path.clone(),
        photo_by_name(&owner),
        "/v1.0/me/photo/$value".to_owned(),
        format!("/v1.0/users/{}/photo", owner.id),
    ] {
        let reply = world.asks(&path, &forged).await;
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.mark(), None);
    }
    for fields in [
        [("if-none-match", etag.as_str())],
        [("if-none-match", "*")],
        [("range", "bytes=0-0")],
        [("range", "bytes=99999999-")],
        [("cache-control", "only-if-cached")],
        [("if-match", "\"x\"")],
    ] {
        for method in [Method::GET, Method::HEAD] {
            let reply = world.send(method, &path, &forged, &fields).await;
            assert_eq!(reply.status, 401, "{fields:?}\n{reply:?}");
            assert!(!reply.is_hit());
        }
    }
    world.hit(&path, &victim).await;
}

#[tokio::test]
async fn a_forged_token_that_waits_beside_the_victims_question_gets_a_401_of_its_own() {
    let world = World::start().await;
    let (victim, owner) = (world.token(0), world.person(1));
    let forged = forged(&victim);
    let path = photo(&owner);
    let hold = world.graph.hold_on(&path);
    let (one, two, ()) = tokio::join!(
        world.get(&path, &victim),
        world.get(&path, &forged),
        async {
            hold.waiting(2).await;
            hold.release();
        }
    );
    assert_eq!(one.mark().map(|mark| mark.owner), Some(owner.id));
    assert_eq!((two.status.as_u16(), two.mark()), (401, None), "{two:?}");
}

#[tokio::test]
async fn of_two_tokens_the_one_graph_refuses_never_gets_the_photo_in_any_order() {
    for both_at_once in [false, true] {
        for refused_first in [false, true] {
            let world = World::start().await;
            let (allowed, refused) = (world.token(0), world.token(1));
            let owner = world.person(2);
            world.graph.forbid(&world.person(1).id, &owner.id);
            for path in [photo(&owner), photo_by_name(&owner)] {
                if both_at_once {
                    let hold = world.graph.hold_on(&path);
                    let (good, bad, ()) = tokio::join!(
                        world.get(&path, &allowed),
                        world.get(&path, &refused),
                        async {
                            hold.waiting(2).await;
                            hold.release();
                        }
                    );
                    assert_eq!(good.mark().map(|mark| mark.owner), Some(owner.id.clone()));
                    assert_eq!((bad.status.as_u16(), bad.mark()), (403, None), "{bad:?}");
                }
                for turn in 0..4 {
                    if (turn % 2 == 0) == refused_first {
                        let bad = world.get(&path, &refused).await;
                        assert_eq!((bad.status.as_u16(), bad.mark()), (403, None), "{bad:?}");
                    } else {
                        let good = world.get(&path, &allowed).await;
                        assert_eq!(good.mark().map(|mark| mark.owner), Some(owner.id.clone()));
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn no_token_a_forged_one_and_an_expired_one_get_a_401() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    let short = TokenSpec::of(&world.person(0)).lasting(Duration::from_secs(60));
    let short = world.graph.issue(&short);
    world.get(&path, &short).await;
    world.hit(&path, &short).await;
    world.later(Duration::from_secs(60));
    for token in ["", &forged(&world.token(0)), "junk", &short] {
        let reply = world.get(&path, token).await;
        assert_eq!(
            (reply.status.as_u16(), reply.mark()),
            (401, None),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_of_a_route_that_looks_at_no_token_proves_nothing() {
    let world = World::start().await;
    let (victim, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &victim).await;
    let forged = forged(&victim);
    let schema = world.get("/v1.0/$metadata", &forged).await;
    assert_eq!(schema.status, 200);
    assert_eq!(world.asks(&path, &forged).await.status, 401);
}

#[tokio::test]
async fn odd_credentials_never_touch_what_is_held() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &token).await;
    let bearer = format!("Bearer {token}");
    for fields in [
        vec![
            ("authorization", bearer.clone()),
            ("authorization", bearer.clone()),
        ],
        vec![
            ("authorization", bearer.clone()),
            ("authorization", "Bearer x".to_owned()),
        ],
        vec![
            ("authorization", "Bearer x".to_owned()),
            ("authorization", bearer.clone()),
        ],
        vec![("authorization", format!("Bearer  {token}"))],
        vec![("authorization", format!("Bearer {token},"))],
        vec![("authorization", format!("PoP {token}"))],
        vec![("authorization", format!("Basic {token}"))],
        vec![("authorization", token.clone())],
        vec![("authorization", format!("Bearer\t{token}"))],
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let reply = world.get_with(&path, "", &fields).await;
        assert!(!reply.is_hit(), "{fields:?}\n{reply:?}");
        assert!(reply.status != 304 && reply.status != 206, "{reply:?}");
    }
    // The scheme's name ignores case (RFC 9110 §11.1): the same token.
    let lower = format!("bearer {token}");
    assert!(
        world
            .get_with(&path, "", &[("authorization", &lower)])
            .await
            .is_hit()
    );
}

#[tokio::test]
async fn another_tenant_with_the_same_ids_and_names_is_somebody_else() {
    let world = World::start().await;
    let (home, owner) = (world.token(0), world.person(1));
    let foreign = TokenSpec::of(&world.person(0)).in_tenant("99999999-1111-4222-8333-444444444444");
    let foreign = world.graph.issue(&foreign);
    for path in [
        photo(&owner),
        photo_by_name(&owner),
        "/v1.0/me/photo/$value".to_owned(),
    ] {
        // The foreign one first, so that its 404 is there to be taken for ours.
        assert_eq!(world.get(&path, &foreign).await.status, 404);
        assert_eq!(world.asks(&path, &home).await.status, 200);
        let again = world.get(&path, &foreign).await;
        assert_eq!((again.status.as_u16(), again.mark()), (404, None));
        assert_eq!(world.hit(&path, &home).await.status, 200);
    }
}

#[tokio::test]
async fn opaque_tokens_are_kept_apart_and_the_own_photo_quirk_never_crosses() {
    let world = World::with(&[], |graph| graph.own_photo_quirk = true).await;
    let people: Vec<_> = world.graph.tenant().personal().cloned().collect();
    let (a, b) = (&people[0], &people[1]);
    let token_a = world.graph.issue(TokenSpec::of(a).with("User.Read"));
    let token_b = world.graph.issue(TokenSpec::of(b).with("User.Read"));
    let other = world.person(1);
    for path in [
        format!("/beta/users/{}/photo/$value", other.id),
        format!("/beta/users/{}/photo/$value", a.id),
        format!("/beta/users/{}/photo/$value", b.id),
        "/beta/me/photo/$value".to_owned(),
        "/v1.0/me/photo/$value".to_owned(),
    ] {
        for _ in 0..2 {
            for (person, token) in [(a, &token_a), (b, &token_b)] {
                let reply = world.get(&path, token).await;
                let whose = reply.mark().map(|mark| mark.owner);
                assert_eq!(whose.as_deref(), Some(person.id.as_str()), "{path}");
            }
        }
        world.hit(&path, &token_a).await;
    }
    // Two tokens of one account are two principals: nothing in them says that they are one.
    let second = world.graph.issue(TokenSpec::of(a).with("User.Read"));
    world.asks("/beta/me/photo/$value", &second).await;
}

#[tokio::test]
async fn a_browser_that_sends_anothers_tag_gets_its_own_photo() {
    let world = World::start().await;
    let me = "/v1.0/me/photo/$value";
    let (a, b) = (world.token(0), world.token(1));
    let etag = world.get(me, &a).await.field("etag").to_owned();
    for _ in 0..3 {
        let reply = world.get_with(me, &b, &[("if-none-match", &etag)]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(
            reply.mark().map(|mark| mark.owner),
            Some(world.person(1).id)
        );
    }
    let own = world.get_with(me, &a, &[("if-none-match", &etag)]).await;
    assert_eq!(own.status, 304);
}

#[tokio::test]
async fn head_range_and_conditions_tell_a_refused_caller_nothing() {
    let world = World::start().await;
    let (allowed, refused, owner) = (world.token(0), world.token(1), world.person(2));
    world.graph.forbid(&world.person(1).id, &owner.id);
    // Proven, so that only the 403 stands in its way.
    world.get(&photo(&world.person(3)), &refused).await;
    let path = photo(&owner);
    let etag = world.get(&path, &allowed).await.field("etag").to_owned();
    for fields in [
        vec![],
        vec![("if-none-match", etag.as_str())],
        vec![("if-none-match", "*")],
        vec![("range", "bytes=0-9")],
        vec![("range", "bytes=99999999-")],
        vec![("cache-control", "only-if-cached")],
        vec![("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")],
    ] {
        for method in [Method::GET, Method::HEAD] {
            let reply = world.send(method, &path, &refused, &fields).await;
            assert_eq!(reply.status, 403, "{fields:?}\n{reply:?}");
        }
    }
}

#[tokio::test]
async fn no_photo_is_told_only_to_those_whom_graph_has_told() {
    let world = World::start().await;
    let (told, refused, faceless) = (world.token(0), world.token(1), world.faceless());
    world.graph.forbid(&world.person(1).id, &faceless.id);
    let path = photo(&faceless);
    assert_eq!(world.get(&path, &told).await.status, 404);
    assert_eq!(world.hit(&path, &told).await.status, 404);
    assert_eq!(world.asks(&path, &refused).await.status, 403);
    assert_eq!(world.asks(&path, &world.token(3)).await.status, 404);
}

#[tokio::test]
async fn a_404_that_is_not_graphs_own_is_neither_kept_nor_a_proof() {
    let world = World::start().await;
    let (owner, faceless) = (world.person(1), world.faceless());
    world.get(&photo(&owner), &world.token(0)).await;
    let fresh = world.fresh_token(0);
    let gateway = Fault::Replace(vec![("request-id", String::new())]);
    world.graph.once(&photo(&faceless), gateway);
    assert_eq!(world.asks(&photo(&faceless), &fresh).await.status, 404);
    // Not proven by it: what its principal has been given stays closed to this token.
    world.asks(&photo(&owner), &fresh).await;
    // Not kept.
    world.asks(&photo(&faceless), &fresh).await;
}

#[tokio::test]
async fn a_sign_in_page_of_the_network_is_neither_kept_nor_a_proof() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    world.get(&path, &world.token(0)).await;
    let fresh = world.fresh_token(0);
    for (view, fault) in [
        ("photo/$value", Fault::CaptiveGateway),
        ("photo", Fault::CaptiveGateway),
        ("photo", Fault::Corrupt),
    ] {
        let other = format!("/v1.0/users/{}/{view}", world.person(2).id);
        world.graph.once(&other, fault);
        world.asks(&other, &fresh).await;
        let proven = world.proxy.rooms.identity.proofs_held();
        assert!(proven <= 1, "{proven} proofs after {view}");
    }
    world.asks(&path, &fresh).await;
}

#[tokio::test]
async fn views_sizes_versions_and_variants_never_answer_for_each_other() {
    let world = World::start().await;
    let token = world.token(0);
    let id = world.person(1).id;
    let paths = [
        format!("/v1.0/users/{id}/photo/$value"),
        format!("/beta/users/{id}/photo/$value"),
        format!("/v1.0/users/{id}/photos/48x48/$value"),
        format!("/v1.0/users/{id}/photos/96x96/$value"),
        format!("/v1.0/users/{id}/photo"),
        format!("/beta/users/{id}/photo"),
        format!("/v1.0/users/{id}/photos/48x48"),
        format!("/v1.0/users/{id}/photos"),
        format!("/v1.0/users/{id}/photo?$select=id"),
        format!("/v1.0/users/{id}/photo?$select=width"),
    ];
    let mut first = Vec::new();
    for path in &paths {
        first.push(world.asks(path, &token).await);
    }
    for (path, first) in paths.iter().zip(&first) {
        let again = world.hit(path, &token).await;
        assert_eq!(again.body, first.body, "{path}");
        assert_eq!(again.field("content-type"), first.field("content-type"));
        assert_eq!(again.field("vary"), "authorization, origin", "{path}");
    }
}

#[tokio::test]
async fn a_caller_refused_while_it_waits_is_not_given_what_comes() {
    let world = World::start().await;
    let (leader, waiter) = (world.token(0), world.fresh_token(0));
    let (warm, path) = (photo(&world.person(1)), photo(&world.person(2)));
    world.get(&warm, &leader).await;
    world.get(&warm, &waiter).await;
    world.later(SECOND);
    let hold = world.graph.hold_on(&path);
    let (led, waited, ()) = tokio::join!(
        world.get(&path, &leader),
        world.get(&path, &waiter),
        async {
            hold.waiting(1).await;
            let questions = &world.proxy.rooms.questions;
            until("a second caller waits", || questions.waiting() == 1).await;
            world.graph.revoke(&waiter);
            assert_eq!(world.get("/v1.0/me", &waiter).await.status, 401);
            world.later(SECOND);
            hold.release();
        }
    );
    assert_eq!(led.status, 200);
    assert_eq!(
        (waited.status.as_u16(), waited.mark()),
        (401, None),
        "{waited:?}"
    );
}

#[tokio::test]
async fn other_permissions_make_another_principal() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    world.get(&path, &world.token(0)).await;
    let wider = world.token_with(0, "User.ReadBasic.All User.Read");
    world.asks(&path, &wider).await;
    let narrow = world.token_with(0, "User.Read");
    let reply = world.asks(&path, &narrow).await;
    assert_eq!((reply.status.as_u16(), reply.mark()), (403, None));
    let other_app =
        TokenSpec::of(&world.person(0)).from_app("00000000-aaaa-4bbb-8ccc-dddddddddddd");
    world.asks(&path, &world.graph.issue(&other_app)).await;
}

#[tokio::test]
async fn a_refreshed_token_costs_one_condition_and_no_download() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    let other = photo(&world.person(2));
    let old = world.token(0);
    world.get(&path, &old).await;
    world.get(&other, &old).await;
    world.later(Duration::from_secs(600));
    let new = world.fresh_token(0);
    let downloads = world.graph.downloads();
    world.asks(&path, &new).await;
    // Its principal's accesses have survived: nothing more is asked.
    world.hit(&path, &new).await;
    world.hit(&other, &new).await;
    assert_eq!(world.graph.downloads(), downloads);
}

#[tokio::test]
async fn an_answer_that_varies_by_token_is_not_kept() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    let vary = Fault::Headers(vec![("vary", "Authorization".to_owned())]);
    world.graph.once(&path, vary);
    assert_eq!(world.get(&path, &token).await.status, 200);
    world.asks(&path, &token).await;
}
