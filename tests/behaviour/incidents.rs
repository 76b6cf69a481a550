//! What went wrong elsewhere, and does not go wrong here: one test per class of incident.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_photo_proxy::demo::{Fault, TokenSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::attack::{forged, photo, until};
use crate::support::binary::Binary;
use crate::support::raw::exchange;
use crate::support::{World, frames};

const SECOND: Duration = Duration::from_secs(1);

/// D1: a shop's emergency rule cached signed-in pages.
#[tokio::test]
async fn a_page_that_is_not_a_photo_is_never_held_whatever_the_settings() {
    for sharing in ["token", "verified", "tenant"] {
        let settings = [
            ("sharing", sharing),
            ("photo_ttl", "30d"),
            ("absent_ttl", "30d"),
        ];
        let world = World::with(&settings, |_| {}).await;
        let (token, id) = (world.token(0), world.person(1).id);
        for path in [
            "/v1.0/me".to_owned(),
            format!("/v1.0/users/{id}"),
            "/v1.0/users".to_owned(),
        ] {
            for _ in 0..3 {
                world.asks(&path, &token).await;
            }
        }
    }
}

/// D2: caching switched on by mistake gave signed-in pages to others.
#[tokio::test]
async fn a_cross_hit_turns_the_cache_off_for_good() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &token).await;
    world.hit(&path, &token).await;
    world.proxy.rooms.trust.lose();
    for _ in 0..3 {
        assert_eq!(world.asks(&path, &token).await.status, 200);
    }
}

/// D3: a hit left the request's body on the connection, to be read as the next request.
#[tokio::test]
async fn a_request_inside_a_body_on_a_held_photo_is_never_a_request() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &token).await;
    let inner =
        format!("GET /v1.0/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let outer = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{inner}",
        inner.len()
    );
    let answers = exchange(world.proxy.address, outer.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(
        world
            .graph
            .seen()
            .iter()
            .all(|seen| seen.path != "/v1.0/me")
    );
}

/// D4: a default key held nothing but the path.
#[tokio::test]
async fn two_questions_that_differ_in_any_part_never_share_an_answer() {
    let world = World::start().await;
    let (a, b) = (world.person(0), world.person(1));
    let group = world.graph.tenant().groups[1].id.clone();
    let contact = world.graph.tenant().contacts_of(&a).next().unwrap().clone();
    let token = world.token_with(
        0,
        "User.Read.All Group.Read.All Team.ReadBasic.All Contacts.Read",
    );
    let mut paths = Vec::new();
    for version in ["v1.0", "beta"] {
        for owner in [
            format!("users/{}", a.id),
            format!("users/{}", b.id),
            format!("groups/{group}"),
            format!("teams/{group}"),
            format!("me/contacts/{}", contact.id),
            format!("me/contacts/{}", contact.id.to_lowercase()),
            format!("users/{}%7C{}", a.id, b.id),
        ] {
            for view in [
                "photo/$value",
                "photo",
                "photos",
                "photos/48x48/$value",
                "photos/48x48",
                "photo?$select=id",
            ] {
                paths.push(format!("/{version}/{owner}/{view}"));
            }
        }
    }
    for path in &paths {
        world.asks(path, &token).await;
    }
    for path in &paths {
        let (held, truth) = (
            world.get(path, &token).await,
            world.graph_says(path, &token).await,
        );
        assert_eq!(held.status, truth.status, "{path}");
        assert!(held.status != 200 || held.body == truth.body, "{path}");
    }
}

/// D5: an upgrade or an unclear length let a second request through behind the first.
#[tokio::test]
async fn a_request_that_two_servers_could_read_in_two_ways_is_refused() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    for head in [
        "host: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "host: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "host: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "host: x\r\nhost: y\r\n\r\n",
        "\r\n",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\nconnection: close\r\n{head}"
        );
        let answer = exchange(world.proxy.address, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.is_empty(),
            "{head:?}\n{answer}"
        );
    }
    assert_eq!(world.graph.count(), 0);
    let upgrade = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n"
    );
    let answer = exchange(world.proxy.address, upgrade.as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(
        world
            .graph
            .seen()
            .iter()
            .all(|seen| seen.header("upgrade").is_none())
    );
}

/// D6: collapsed questions gave private answers to several callers.
#[tokio::test]
async fn callers_who_wait_together_are_one_principal_and_a_bad_token_waits_for_nobody() {
    let world = World::start().await;
    let path = photo(&world.person(9 % 6));
    let tokens: Vec<_> = (1..5).map(|n| world.token(n)).collect();
    let bad = forged(&tokens[0]);
    let hold = world.graph.hold_on(&path);
    let mut crowd = JoinSet::new();
    for token in tokens.iter().chain([&bad]).cycle().take(25) {
        let sending = world.proxy.getting(&path, token);
        let good = *token != bad;
        crowd.spawn(async move { (good, sending.await) });
    }
    hold.waiting(2).await;
    hold.release();
    while let Some(done) = crowd.join_next().await {
        let (good, reply) = done.unwrap();
        assert_eq!(reply.status == 200, good, "{reply:?}");
        assert_eq!(reply.mark().is_some(), good);
    }
    let served = world
        .graph
        .seen()
        .iter()
        .filter(|seen| seen.status != Some(401))
        .count();
    assert!(
        served <= tokens.len(),
        "{served} questions for {} principals",
        tokens.len()
    );
}

/// D7: one failed question failed everybody who waited for it.
#[tokio::test]
async fn a_leaders_failure_is_its_own() {
    for fault in [
        Fault::Status(403),
        Fault::Status(500),
        Fault::Close,
        Fault::CutBody(10),
    ] {
        let world = World::start().await;
        let (leader, waiter) = (world.token(0), world.fresh_token(0));
        let (warm, path) = (photo(&world.person(1)), photo(&world.person(2)));
        world.get(&warm, &leader).await;
        world.get(&warm, &waiter).await;
        world.later(SECOND);
        let hold = world.graph.hold_on(&path);
        world.graph.once(&path, fault.clone());
        if fault == Fault::Close {
            // A question on a kept connection goes out once more by itself.
            world.graph.once(&path, fault.clone());
        }
        let (_, waited, ()) = tokio::join!(
            world.get(&path, &leader),
            world.get(&path, &waiter),
            async {
                hold.waiting(1).await;
                let questions = &world.proxy.rooms.questions;
                until("a second caller waits", || questions.waiting() == 1).await;
                world.later(SECOND);
                hold.release();
            }
        );
        assert_eq!(waited.status, 200, "{fault:?}\n{waited:?}");
    }
}

/// D8: a leader who hung up took the question along.
#[tokio::test]
async fn a_first_caller_who_leaves_does_not_fail_the_others() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    let hold = world.graph.hold_on(&path);
    let mut leaving = TcpStream::connect(world.proxy.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    leaving.write_all(head.as_bytes()).await.unwrap();
    hold.waiting(1).await;
    let (reply, ()) = tokio::join!(world.get(&path, &token), async {
        let questions = &world.proxy.rooms.questions;
        until("the other waits", || questions.waiting() == 1).await;
        drop(leaving);
        hold.release();
    });
    assert_eq!((reply.status.as_u16(), world.graph.count()), (200, 1));
}

/// D9: a cancelled exchange left its answer in the pool for the next one.
#[tokio::test]
async fn exchanges_cancelled_anywhere_leave_nothing_for_the_next_caller() {
    let world = World::start().await;
    let people: Vec<_> = (0..6).map(|n| world.person(n)).collect();
    let tokens: Vec<_> = (0..6).map(|n| world.token(n)).collect();
    for round in 0..300_usize {
        let (owner, token) = (&people[round % 6], &tokens[round % 5]);
        let size = ["photo/$value", "photos/48x48/$value", "photo?x=1"][round % 3];
        let path = format!("/v1.0/users/{}/{size}", owner.id);
        let task = tokio::spawn(world.proxy.getting(&path, token));
        for _ in 0..round % 37 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let (next, token) = (&people[(round + 1) % 6], &tokens[(round + 2) % 5]);
        let reply = world
            .get(&format!("/v1.0/users/{}/photo/$value", next.id), token)
            .await;
        assert_eq!(
            reply.mark().map(|mark| mark.owner),
            Some(next.id.clone()),
            "{round}"
        );
    }
}

/// D10: a path that cache and origin read differently.
#[tokio::test]
async fn an_odd_spelling_is_never_held() {
    let world = World::start().await;
    let (token, id) = (world.token(0), world.person(1).id);
    for tail in [
        "photo/$value;a",
        "photo//$value",
        "photo%2f$value",
        "photo/./$value",
        "photo/$value/a.css",
        "photo/$value%00",
        "photo/x/../$value",
        "photo/%2524value",
        "photo/$value/",
        "photo/$value?a=b",
        "photo/$value.css",
        "photo;/$value",
        "photos/48x48x/$value",
        "photo/$value%23",
    ] {
        let path = format!("/v1.0/users/{id}/{tail}");
        for _ in 0..2 {
            world.asks(&path, &token).await;
        }
    }
}

/// D11: a field that is not part of the key poisoned what everybody got.
#[tokio::test]
async fn no_field_of_one_caller_shapes_what_another_is_given() {
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "host=evil.example"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/v1.0/me"),
        ("x-rewrite-url", "/v1.0/me"),
        ("prefer", "return=minimal"),
        ("accept", "text/html"),
        ("accept-language", "xx"),
        ("accept-encoding", "gzip, br"),
        ("cookie", "a=b"),
        ("range", "bytes=0-0"),
        ("if-range", "\"x\""),
        ("if-none-match", "*"),
        ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("origin", "https://evil.example"),
        ("te", "trailers"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
        ("x-anything", "1"),
    ] {
        let world = World::start().await;
        let (token, id) = (world.token(0), world.person(1).id);
        for view in ["photo/$value", "photo", "photos/48x48/$value"] {
            let path = format!("/v1.0/users/{id}/{view}");
            world.get_with(&path, &token, &[(name, value)]).await;
            let clean = world.get(&path, &token).await;
            let truth = world.graph_says(&path, &token).await;
            assert_eq!(clean.body, truth.body, "{name} on {path}");
            assert_eq!(
                clean.field("content-type"),
                truth.field("content-type"),
                "{name}"
            );
        }
    }
}

/// D12: an error that one request provoked was held for all.
#[tokio::test]
async fn an_error_that_one_caller_provokes_is_nobody_elses() {
    for status in [
        400, 401, 403, 406, 408, 410, 413, 416, 429, 431, 500, 501, 502, 503, 504,
    ] {
        let world = World::start().await;
        let path = photo(&world.person(1));
        world.graph.once(&path, Fault::Status(status));
        assert_ne!(
            world.get(&path, &world.token(0)).await.status,
            200,
            "{status}"
        );
        world.later(Duration::from_secs(120));
        assert_eq!(
            world.get(&path, &world.token(1)).await.status,
            200,
            "{status}"
        );
        assert_eq!(
            world.get(&path, &world.token(0)).await.status,
            200,
            "{status}"
        );
    }
}

/// D13: `Connection: authorization` made a proxy drop the token on the way.
#[tokio::test]
async fn a_token_named_in_connection_is_not_dropped_on_the_way() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    for named in [
        "authorization",
        "Authorization, close",
        "host",
        "cookie",
        "range",
        "if-none-match",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: {named}\r\n\r\n"
        );
        let answer = exchange(world.proxy.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{named}\n{answer}");
    }
    assert_eq!(world.graph.count(), 0);
}

/// D14: home-made caches believed what a token said of itself.
#[tokio::test]
async fn an_unsigned_token_with_a_victims_claims_is_told_401_by_graph() {
    let world = World::start().await;
    let (victim, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &victim).await;
    let claims = victim.split('.').nth(1).unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    for token in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.x"),
        format!("a.{claims}.b"),
    ] {
        let reply = world.asks(&path, &token).await;
        assert_eq!((reply.status.as_u16(), reply.mark()), (401, None));
    }
}

/// D15: a permission that was taken away went on counting.
#[tokio::test]
async fn what_was_revoked_is_served_no_longer_than_a_proof_even_while_graph_fails() {
    let world = World::with(&[("photo_ttl", "24h")], |_| {}).await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    world.get(&path, &token).await;
    world.graph.revoke(&token);
    world.later(Duration::from_secs(15 * 60));
    world.graph.once(&path, Fault::Status(503));
    assert_eq!(world.get(&path, &token).await.mark(), None);
    world.later(Duration::from_secs(120));
    assert_eq!(world.get(&path, &token).await.status, 401);
    world.graph.on(&path, Fault::Status(500));
    assert_eq!(world.get(&path, &token).await.mark(), None);
}

/// D16: arithmetic on a range read beside the body.
#[tokio::test]
async fn no_range_reads_beside_the_photo() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world.person(1)));
    let whole = world.get(&path, &token).await.body;
    for range in [
        "bytes=0-0",
        "bytes=-1",
        "bytes=0-",
        "bytes=5-4",
        "bytes=-0",
        "bytes=99999999999999999999-",
        "bytes=-99999999999999999999",
        "bytes=0-18446744073709551615",
        "bytes=18446744073709551615-",
        "bytes=0-0,2-3",
        "bytes=a-b",
        "bytes=--1",
        "items=0-1",
        "bytes=-9223372036854775809,0-",
    ] {
        let reply = world.get_with(&path, &token, &[("range", range)]).await;
        match reply.status.as_u16() {
            200 => assert_eq!(reply.body, whole, "{range}"),
            206 if !reply.field("content-range").is_empty() => {
                let (span, all) = reply.field("content-range")[6..].split_once('/').unwrap();
                let (from, to) = span.split_once('-').unwrap();
                let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
                assert_eq!(all.parse(), Ok(whole.len()), "{range}");
                assert_eq!(reply.body, whole[from..=to], "{range}");
            }
            206 => assert!(
                reply
                    .field("content-type")
                    .starts_with("multipart/byteranges"),
                "{range}"
            ),
            416 => assert!(reply.mark().is_none(), "{range}"),
            other => panic!("{range}: {other}"),
        }
    }
}

/// D17: a 304 or a replay gave one caller's fields to another.
#[tokio::test]
async fn no_callers_own_fields_are_replayed_to_another() {
    let world = World::start().await;
    let path = photo(&world.person(1));
    let fields = || {
        Fault::Headers(vec![
            ("set-cookie", "session=first".to_owned()),
            ("www-authenticate", "Bearer private".to_owned()),
            ("x-ms-private", "first".to_owned()),
        ])
    };
    let (first, second) = (world.token(0), world.token(1));
    world.graph.once(&path, fields());
    let own = world.get(&path, &first).await;
    world.graph.once(&path, fields());
    let verified = world.get(&path, &second).await;
    for reply in [
        verified,
        world.hit(&path, &first).await,
        world.hit(&path, &second).await,
    ] {
        for name in ["set-cookie", "www-authenticate", "x-ms-private"] {
            assert_eq!(reply.field(name), "", "{reply:?}");
        }
        assert_ne!(reply.field("request-id"), own.field("request-id"));
    }
}

/// D18: floods of frames that cost the sender nothing.
#[tokio::test]
async fn a_flood_of_continuations_is_cut_off_and_others_are_served() {
    let world = World::start().await;
    let mut wire = frames::connect(world.proxy.address).await;
    wire.send(frames::frame(frames::HEADERS, 0, 1, frames::GET))
        .await;
    let piece = frames::frame(frames::CONTINUATION, 0, 1, &[0x40; 8_192]);
    let mut sent = 0;
    while sent < 4_000 && wire.try_send(&piece).await {
        sent += 1;
    }
    assert!(sent < 4_000, "32 MiB of one header section were taken");
    assert_eq!(
        world
            .get(&photo(&world.person(1)), &world.token(0))
            .await
            .status,
        200
    );
}

/// D19: timeouts that were set and never ran.
#[tokio::test]
async fn a_caller_who_never_finishes_its_head_is_let_go() {
    let world = World::with(&[("header_timeout", "100ms")], |_| {}).await;
    for slow in ["", "GET /v1.0/me HTTP/1.1\r\nhos"] {
        let mut stream = TcpStream::connect(world.proxy.address).await.unwrap();
        stream.write_all(slow.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest));
        assert!(ended.await.is_ok(), "still open after {slow:?}");
    }
}

/// D20: tokens, names and terminal codes in logs.
#[tokio::test]
async fn no_log_line_holds_a_token_a_name_or_a_terminal_code() {
    let world = World::start().await;
    let (token, owner) = (
        world.graph.issue(TokenSpec::of(&world.person(0))),
        world.person(1),
    );
    let binary = Binary::start(&world.graph.base_url(), &[("log", "trace")]);
    for path in [
        photo(&owner),
        format!("/v1.0/users/{}/photo", owner.upn),
        "/v1.0/me%1b[31m".to_owned(),
    ] {
        for method in ["GET", "PUT", "HEAD"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\
                 user-agent: \x1b[31mred\r\nconnection: close\r\n\r\n"
            );
            exchange(binary.address, request.as_bytes()).await;
        }
    }
    binary.terminate();
    let (_, log) = binary.ended().await;
    assert!(!log.is_empty());
    let (_, signature) = token.rsplit_once('.').unwrap();
    for secret in [
        signature,
        &owner.id,
        &owner.upn,
        &world.person(0).upn,
        "\u{1b}",
    ] {
        assert!(!log.contains(secret), "the log shows {secret:?}");
    }
}

/// D21: a token that went somewhere else.
#[tokio::test]
async fn a_token_never_goes_anywhere_but_to_the_one_graph() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let (token, path) = (world.token(0), photo(&world.person(1)));
    let other = elsewhere.graph.address();
    for target in [format!("http://{other}{path}"), path.clone()] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: {other}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        exchange(world.proxy.address, request.as_bytes()).await;
    }
    let location = format!("http://{other}{path}");
    world
        .graph
        .once("/v1.0/users", Fault::Redirect(location.clone()));
    let cold = photo(&world.person(2));
    let reply = world.get(&cold, &token).await;
    assert_eq!(
        (reply.status.as_u16(), reply.field("location")),
        (302, location.as_str())
    );
    let fields = [
        ("x-forwarded-host", "elsewhere"),
        ("x-original-url", location.as_str()),
    ];
    world
        .get_with(&photo(&world.person(3)), &token, &fields)
        .await;
    assert_eq!(elsewhere.graph.count(), 0);
}

/// D22: bodies that are not what they say.
#[tokio::test]
async fn a_body_that_is_not_a_whole_photo_is_never_held() {
    for fault in [
        Fault::Oversize(5 << 20),
        Fault::ContentType("text/html".to_owned()),
        Fault::ContentType("application/octet-stream".to_owned()),
        Fault::CaptiveGateway,
        Fault::Empty,
        Fault::Gzip,
        Fault::CutBody(100),
        Fault::DeclareMore(10),
    ] {
        let world = World::start().await;
        let (token, path) = (world.token(0), photo(&world.person(1)));
        world.graph.once(&path, fault.clone());
        let sending = world.proxy.getting(&path, &token);
        // Some of these end in the middle, as they must.
        let _ = tokio::spawn(sending).await;
        let next = world.asks(&path, &token).await;
        assert_eq!(
            next.mark().map(|mark| mark.owner),
            Some(world.person(1).id),
            "{fault:?}"
        );
        let held = world.hit(&path, &token).await;
        assert_eq!(held.field("x-content-type-options"), "nosniff");
    }
}
