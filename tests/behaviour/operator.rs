//! Promise 7, the operator's half: what the admin listener shows adds up, and is for nobody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::Fault;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::support::{Proxy, Reply, World, raw};

/// The operator, at the admin listener.
struct Operator(SocketAddr);

impl Operator {
    fn of(world: &World) -> Self {
        Self(world.proxy.admin.expect("the admin listener is on"))
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.0));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.to_owned()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client
            .request(request.body(body).expect("a request"))
            .await
            .expect("an answer");
        let (parts, body) = answer.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.expect("a body").to_bytes(),
        }
    }

    /// Every sample of `/metrics`, by its name and labels.
    async fn metrics(&self) -> BTreeMap<String, f64> {
        let reply = self.get("/metrics").await;
        assert!(
            reply
                .field("content-type")
                .starts_with("application/openmetrics-text; version=1.0.0"),
            "{reply:?}"
        );
        open_metrics(std::str::from_utf8(&reply.body).expect("UTF-8"))
    }
}

/// Reads `OpenMetrics` text 1.0 as strictly as these tests need: every sample belongs to the
/// family described above it, families are not torn apart, nothing comes twice, and the text
/// ends with `# EOF`.
fn open_metrics(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = Vec::new();
    let mut lines = text.lines();
    let last = lines.next_back();
    assert_eq!(last, Some("# EOF"));
    assert!(text.ends_with('\n'));
    for line in lines {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, _) = described.split_once(' ').expect("a type");
            assert!(!families.iter().any(|known| known == name), "{name} twice");
            families.push(name.to_owned());
            continue;
        }
        if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        let value: f64 = value.parse().expect("a number");
        let family = families.last().expect("a family before its samples");
        assert!(name.starts_with(family.as_str()), "{name} under {family}");
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
    }
    samples
}

async fn watched() -> World {
    World::with(&[("admin", "127.0.0.1:0")], |_| {}).await
}

/// All samples of a family whose labels contain `part`, together.
fn sum(metrics: &BTreeMap<String, f64>, family: &str, part: &str) -> f64 {
    let name = format!("graph_photo_proxy_{family}");
    metrics
        .iter()
        .filter(|(key, _)| key.split('{').next() == Some(&name) && key.contains(part))
        .map(|(_, value)| value)
        .sum()
}

fn is(measured: f64, expected: f64) -> bool {
    (measured - expected).abs() < 1e-9
}

#[tokio::test]
async fn the_figures_add_up_to_what_was_asked() {
    let world = watched().await;
    let operator = Operator::of(&world);
    let (token, person) = (world.token(0), world.person(1));
    let photo = format!("/v1.0/users/{}/photo/$value", person.id);
    let other = format!("/v1.0/users/{}/photo/$value", world.faceless().id);
    for _ in 0..5 {
        world.get(&photo, &token).await;
    }
    world.get(&other, &token).await;
    world
        .get(&format!("/v1.0/users/{}/photo", person.id), &token)
        .await;
    world.get(&photo, "").await;
    world.get("/v1.0/me", &token).await;
    let metrics = operator.metrics().await;
    assert!(is(sum(&metrics, "requests_total", ""), 8.0), "{metrics:#?}");
    assert!(
        is(sum(&metrics, "requests_total", "cache=\"hit\""), 4.0),
        "{metrics:#?}"
    );
    assert!(
        is(sum(&metrics, "requests_total", "cache=\"bypass\""), 1.0),
        "{metrics:#?}"
    );
    assert!(
        is(sum(&metrics, "requests_total", "view=\"metadata\""), 1.0),
        "{metrics:#?}"
    );
    assert!(is(sum(&metrics, "answers_total", ""), 8.0), "{metrics:#?}");
    assert!(
        is(sum(&metrics, "answers_total", "status=\"404\""), 1.0),
        "{metrics:#?}"
    );
    assert!(
        is(sum(&metrics, "hit_duration_seconds_count", ""), 4.0),
        "{metrics:#?}"
    );
    let calls = sum(&metrics, "upstream_requests_total", "route=\"photo\"")
        + sum(&metrics, "upstream_relayed_requests_total", "");
    assert!(is(calls, 4.0), "{metrics:#?}");
    assert!(is(sum(&metrics, "calls_saved", ""), 4.0), "{metrics:#?}");
    let everything = calls
        + sum(
            &metrics,
            "upstream_requests_total",
            "route=\"pass_through\"",
        );
    assert_eq!(world.graph.count(), 5);
    assert!(is(everything, 5.0), "{metrics:#?}");
    let figures = operator.get("/figures").await.json();
    assert_eq!(figures["requests"], 8);
    assert_eq!(figures["ways"]["hit"], 4);
    assert_eq!(figures["saved"], 4);
    assert_eq!(figures["calls"], 4);
    assert_eq!(figures["sharing"], "verified");
}

#[tokio::test]
async fn who_is_told_to_wait_is_not_counted_as_shown_something_from_memory() {
    let world = watched().await;
    let operator = Operator::of(&world);
    let token = world.token(0);
    let photo = |n: usize| format!("/v1.0/users/{}/photo/$value", world.person(n).id);
    world.get(&photo(1), &token).await;
    world
        .graph
        .on("/v1.0/users", Fault::RetryAfter(429, "600".to_owned()));
    for n in 2..6 {
        assert_eq!(world.get(&photo(n), &token).await.status, 429);
    }
    let metrics = operator.metrics().await;
    let held_up = sum(&metrics, "requests_total", "cache=\"unasked\"");
    assert!(is(held_up, 3.0), "{metrics:#?}");
    assert!(
        is(sum(&metrics, "stale_answers_total", ""), 0.0),
        "{metrics:#?}"
    );
    let figures = operator.get("/figures").await.json();
    let ways = figures["ways"].as_object().expect("by way").values();
    let ways: u64 = ways.filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(Some(ways), figures["requests"].as_u64());
}

#[tokio::test]
async fn a_verification_is_told_from_a_download() {
    let world = watched().await;
    let photo = format!("/v1.0/users/{}/photo/$value", world.person(2).id);
    world.get(&photo, &world.token(0)).await;
    world.get(&photo, &world.token(1)).await;
    let metrics = Operator::of(&world).metrics().await;
    assert!(
        is(sum(&metrics, "verifications_total", ""), 1.0),
        "{metrics:#?}"
    );
    assert!(
        is(sum(&metrics, "verified_unchanged_total", ""), 1.0),
        "{metrics:#?}"
    );
}

#[tokio::test]
async fn no_page_of_the_operator_names_a_caller_or_an_owner() {
    let world = watched().await;
    let (token, person) = (world.token(0), world.person(1));
    for owner in [person.id.clone(), person.upn.clone()] {
        let path = format!("/v1.0/users/{owner}/photo/$value");
        world.get(&path, &token).await;
        world.get(&path, &token).await;
    }
    for page in ["/metrics", "/figures?history", "/config", "/"] {
        let reply = Operator::of(&world).get(page).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = String::from_utf8_lossy(&reply.body).to_ascii_lowercase();
        for secret in [&token, &person.id, &person.upn, &world.person(0).id] {
            assert!(
                !text.contains(&secret.to_ascii_lowercase()),
                "{page}: {secret}"
            );
        }
    }
}

#[tokio::test]
async fn readiness_ends_with_the_drain_and_never_asks_graph() {
    let world = watched().await;
    let operator = Operator::of(&world);
    assert_eq!(operator.get("/livez").await.status, 200);
    // The listeners take callers up once the canary has sung; a request proves that they do.
    world.get("/v1.0/me", &world.token(0)).await;
    assert_eq!(operator.get("/readyz").await.status, 200);
    assert_eq!(world.graph.count(), 1);
    world.proxy.rooms.ops.leave();
    let reply = operator.get("/readyz").await;
    assert_eq!(reply.status, 503);
    assert_eq!(&reply.body[..], b"draining");
}

#[tokio::test]
async fn a_dead_canary_ends_readiness_for_good() {
    let world = watched().await;
    world.get("/v1.0/me", &world.token(0)).await;
    world.proxy.rooms.ops.cross_identity_hit();
    world.proxy.rooms.ops.canary_sang();
    let operator = Operator::of(&world);
    let reply = operator.get("/readyz").await;
    assert_eq!(
        (reply.status.as_u16(), &reply.body[..]),
        (503, &b"canary"[..])
    );
    let metrics = operator.metrics().await;
    assert!(is(sum(&metrics, "cross_identity_hits_total", ""), 1.0));
}

#[tokio::test]
async fn with_a_token_only_health_and_the_empty_page_are_open() {
    let secret = "an operator's own word";
    let secret = secret.replace(' ', "-");
    let world = World::with(
        &[("admin", "127.0.0.1:0"), ("admin_token", &secret)],
        |_| {},
    )
    .await;
    let operator = Operator::of(&world);
    for open in ["/livez", "/", "/dashboard.css", "/dashboard.js"] {
        assert_eq!(operator.get(open).await.status, 200, "{open}");
    }
    let right = format!("Bearer {secret}");
    let longer = format!("{right}x");
    for closed in ["/metrics", "/figures", "/config", "/nothing"] {
        let reply = operator.get(closed).await;
        assert_eq!(reply.status, 401, "{closed}");
        assert!(reply.field("www-authenticate").starts_with("Bearer"));
        for wrong in ["Bearer", "Bearer ", &secret, "Basic x", &longer] {
            let reply = operator
                .send(Method::GET, closed, &[("authorization", wrong)], "")
                .await;
            assert_eq!(reply.status, 401, "{closed}: {wrong}");
        }
        let twice = [("authorization", right.as_str()); 2];
        assert_eq!(
            operator.send(Method::GET, closed, &twice, "").await.status,
            401
        );
        let reply = operator.send(Method::GET, closed, &twice[..1], "").await;
        assert_ne!(reply.status, 401, "{closed}");
    }
}

#[tokio::test]
async fn a_page_that_reaches_this_machine_by_a_name_of_its_own_is_turned_away() {
    let world = watched().await;
    let admin = world.proxy.admin.expect("on");
    for (host, status) in [
        ("rebound.example", 421),
        ("rebound.example:9090", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("0.0.0.0", 421),
        ("localhost", 200),
        ("LOCALHOST:9090", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:9090", 200),
    ] {
        let head = format!("GET /figures HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(admin, head.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{host}: {answer}"
        );
    }
    let none = "GET /figures HTTP/1.0\r\n\r\n";
    let answer = raw::exchange(admin, none.as_bytes()).await;
    assert!(answer.contains(" 421 "), "{answer}");
}

#[tokio::test]
async fn one_head_that_can_be_read_in_two_ways_is_no_way_in() {
    let secret = "an-operators-own-word";
    let settings = [("admin", "127.0.0.1:0"), ("admin_token", secret)];
    let world = World::with(&settings, |_| {}).await;
    let (operator, token) = (Operator::of(&world), world.token(0));
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    world.get(&path, &token).await;
    let bearer = format!("Authorization: Bearer {secret}\r\n");
    let order = r#"{"everything":true}"#;
    let json = "Content-Type: application/json\r\n";
    // A whole order of the operator's, to be taken for a request of its own.
    let hidden = format!(
        "POST /purge HTTP/1.1\r\nHost: localhost\r\n{bearer}{json}Content-Length: 19\r\n\r\n{order}"
    );
    let length = format!("Content-Length: {}\r\n", hidden.len());
    for (what, fields) in [
        ("in a body", length.clone()),
        (
            "in a body of a length that is chunked, too",
            format!("{length}Transfer-Encoding: chunked\r\n"),
        ),
        (
            "behind the first of two lengths",
            format!("Content-Length: 0\r\n{length}"),
        ),
        (
            "in a coding that nobody knows",
            "Transfer-Encoding: chunked, odd\r\n".to_owned(),
        ),
        (
            "with a name that ends in a space",
            format!("{length}Authorization : Bearer {secret}\r\n"),
        ),
        (
            "with a token on a folded line",
            format!("{length}Authorization: Bearer\r\n {secret}\r\n"),
        ),
        (
            "with a token for somebody else",
            format!("{length}Proxy-{bearer}Cookie: Bearer {secret}\r\n"),
        ),
    ] {
        let head = format!("POST /purge HTTP/1.1\r\nHost: localhost\r\n{json}");
        let text = format!("{head}{fields}\r\n{hidden}");
        let answer = raw::last_words(operator.0, text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    }
    assert!(
        world.get(&path, &token).await.is_hit(),
        "nothing was purged"
    );
}

#[tokio::test]
async fn strangers_add_no_series_to_the_metrics() {
    let world = watched().await;
    let operator = Operator::of(&world);
    let odd = |n: usize| {
        // Tokens of other tenants and applications each time, as anybody can write them.
        let claims = format!(
            r#"{{"tid":"00000000-0000-4000-8000-{n:012x}","appid":"app-{n}","oid":"o-{n}","scp":"s{n}"}}"#
        );
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
    };
    let round = async |n: usize| {
        for path in [
            format!("/v1.0/users/stranger-{n}%0a%22%7d/photo/$value"),
            format!("/v1.0/groups/{n}/photos/{n}x{n}/$value"),
            format!("/beta/stranger-{n}?$select=label%22{n}"),
        ] {
            world.get(&path, &odd(n)).await;
        }
        operator.get(&format!("/stranger-{n}")).await;
        operator.metrics().await.into_keys().collect::<Vec<_>>()
    };
    // What Graph answers to either kind of route is a series of its own, once it has been seen.
    round(0).await;
    let first = round(1).await;
    let mut last = Vec::new();
    for n in 2..40 {
        last = round(n).await;
    }
    last.retain(|series| !first.contains(series));
    assert_eq!(last, Vec::<String>::new());
}

#[tokio::test]
async fn strangers_who_take_every_place_keep_no_probe_waiting() {
    let world = watched().await;
    let operator = Operator::of(&world);
    // Some say nothing, some begin and never end, some ask a lot and never read the answers.
    let plenty = "GET /dashboard.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    let manners = ["", "GET /livez HTTP/1.1\r\nHost:", &plenty];
    let mut strangers = Vec::new();
    for at in 0..200 {
        let stream = tokio::net::TcpStream::connect(operator.0).await.unwrap();
        // What does not fit is not waited for.
        let _ = stream.try_write(manners[at % manners.len()].as_bytes());
        strangers.push(stream);
    }
    // A head that does not come is waited for ten seconds.
    let probe = tokio::time::timeout(Duration::from_secs(5), operator.get("/livez"));
    assert_eq!(probe.await.expect("at once").status, 200);
    drop(strangers);
}

#[tokio::test]
async fn every_page_forbids_frames_foreign_scripts_and_other_origins() {
    let world = watched().await;
    for page in [
        "/",
        "/figures",
        "/metrics",
        "/livez",
        "/nothing",
        "/dashboard.js",
    ] {
        let origin = [("origin", "https://rebound.example")];
        let reply = Operator::of(&world)
            .send(Method::GET, page, &origin, "")
            .await;
        assert!(
            reply
                .field("content-security-policy")
                .starts_with("default-src 'none';"),
            "{page}: {reply:?}"
        );
        assert_eq!(reply.field("x-frame-options"), "DENY");
        assert_eq!(reply.field("x-content-type-options"), "nosniff");
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn the_settings_are_shown_with_their_origin_and_without_secrets() {
    let secret = "never-to-be-shown-anywhere";
    let settings = [
        ("admin", "127.0.0.1:0"),
        ("admin_token", secret),
        ("photo_ttl", "7m"),
    ];
    let world = World::with(&settings, |_| {}).await;
    let bearer = format!("Bearer {secret}");
    let reply = Operator::of(&world)
        .send(Method::GET, "/config", &[("authorization", &bearer)], "")
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    let settings = reply.json();
    assert_eq!(settings["photo_ttl"]["value"], "\"7m\"");
    assert_eq!(settings["absent_ttl"]["origin"], "default");
    assert_eq!(settings["admin_token"]["hidden"], true);
    assert!(!String::from_utf8_lossy(&reply.body).contains(secret));
}

const JSON: (&str, &str) = ("content-type", "application/json");

impl Operator {
    async fn purge(&self, order: &str) -> serde_json::Value {
        let reply = self.send(Method::POST, "/purge", &[JSON], order).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    async fn explain(&self, target: &str, token: &str) -> serde_json::Value {
        let bearer = format!("Bearer {token}");
        let fields = [("explain-authorization", bearer.as_str())];
        let reply = self
            .send(Method::GET, &format!("/explain?{target}"), &fields, "")
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = String::from_utf8_lossy(&reply.body);
        assert!(!text.contains(token), "{text}");
        reply.json()
    }
}

#[tokio::test]
async fn a_purged_owner_is_gone_by_every_name_and_nobody_else_is() {
    let world = watched().await;
    let (token, person) = (world.token(0), world.person(1));
    let by_id = format!("/v1.0/users/{}/photo/$value", person.id);
    let by_name = format!("/v1.0/users/{}/photo", person.upn);
    let other = format!("/v1.0/users/{}/photo/$value", world.person(2).id);
    for path in [&by_id, &by_name, &other] {
        world.get(path, &token).await;
        assert!(world.get(path, &token).await.is_hit(), "{path}");
    }
    let order = serde_json::json!({ "owner": person.upn.to_uppercase() }).to_string();
    let purged = Operator::of(&world).purge(&order).await;
    assert!(purged["entries"].as_u64() >= Some(2), "{purged}");
    assert!(purged["bytes"].as_u64() >= Some(2 * 1024), "{purged}");
    assert!(!world.get(&by_id, &token).await.is_hit());
    assert!(!world.get(&by_name, &token).await.is_hit());
    assert!(world.get(&other, &token).await.is_hit());
    assert!(world.get(&by_id, &token).await.is_hit(), "it is held anew");
}

#[tokio::test]
async fn a_purged_name_whose_other_form_is_unknown_doubts_the_other_form() {
    let world = watched().await;
    let (token, person) = (world.token(0), world.person(1));
    let by_id = format!("/v1.0/users/{}/photo/$value", person.id);
    world.get(&by_id, &token).await;
    let order = serde_json::json!({ "owner": person.upn }).to_string();
    Operator::of(&world).purge(&order).await;
    let reply = world.get(&by_id, &token).await;
    assert!(reply.went_to_graph(), "{reply:?}");
}

#[tokio::test]
async fn an_answer_in_flight_when_its_owner_is_purged_is_not_kept() {
    let world = watched().await;
    let (token, person) = (world.token(0), world.person(1));
    let path = format!("/v1.0/users/{}/photo/$value", person.id);
    for order in [
        serde_json::json!({ "owner": person.id }),
        serde_json::json!({ "tenant": world.graph.tenant().id }),
        serde_json::json!({ "everything": true }),
    ] {
        let hold = world.graph.hold();
        let asking = world.get(&path, &token);
        let purging = async {
            hold.waiting(1).await;
            Operator::of(&world).purge(&order.to_string()).await;
            drop(hold);
        };
        let (reply, ()) = tokio::join!(asking, purging);
        assert_eq!(reply.status, 200, "{reply:?}");
        let again = world.get(&path, &token).await;
        assert!(!again.is_hit(), "{order}: {again:?}");
        Operator::of(&world).purge(r#"{"everything":true}"#).await;
    }
}

#[tokio::test]
async fn a_purge_of_a_tenant_or_of_everything_says_how_much_went() {
    let world = watched().await;
    let (operator, token) = (Operator::of(&world), world.token(0));
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let tenant = serde_json::json!({ "tenant": world.graph.tenant().id }).to_string();
    let stranger = r#"{"tenant":"00000000-0000-4000-8000-00000000ffff"}"#;
    world.get(&path, &token).await;
    assert_eq!(operator.purge(stranger).await["entries"], 0);
    assert!(world.get(&path, &token).await.is_hit());
    assert!(operator.purge(&tenant).await["entries"].as_u64() >= Some(1));
    assert!(!world.get(&path, &token).await.is_hit());
    let spelt_out = [("content-type", "Application/JSON ;charset=utf-8")];
    let everything = r#"{"everything":true}"#;
    let reply = operator
        .send(Method::POST, "/purge", &spelt_out, everything)
        .await;
    assert!(reply.json()["entries"].as_u64() >= Some(1), "{reply:?}");
    assert_eq!(world.proxy.rooms.cache.held(), (0, 0));
    assert_eq!(operator.purge(r#"{"everything":true}"#).await["entries"], 0);
}

#[tokio::test]
async fn an_order_that_is_not_plain_purges_nothing() {
    let world = watched().await;
    let (operator, token) = (Operator::of(&world), world.token(0));
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    world.get(&path, &token).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let plain = [("content-type", "text/plain")];
    let dressed = [("content-type", "text/plain; application/json")];
    let listed = [("content-type", "text/plain, application/json")];
    let twice = [("content-type", "text/plain"), JSON];
    let everything = r#"{"everything":true}"#;
    for (fields, order, status) in [
        (&form[..], everything, 415),
        (&plain[..], everything, 415),
        (&dressed[..], everything, 415),
        (&listed[..], everything, 415),
        (&twice[..], everything, 415),
        (&[][..], everything, 415),
        (&[JSON][..], "", 400),
        (&[JSON][..], "{}", 400),
        (&[JSON][..], r#"{"everything":false}"#, 400),
        (&[JSON][..], r#"{"owner":""}"#, 400),
        (&[JSON][..], r#"{"tenant":"all"}"#, 400),
        (&[JSON][..], r#"{"everything":true,"owner":"x"}"#, 400),
        (&[JSON][..], r#"{"everything":true,"more":1}"#, 400),
    ] {
        let reply = operator.send(Method::POST, "/purge", fields, order).await;
        assert_eq!(reply.status.as_u16(), status, "{order}: {reply:?}");
    }
    assert_eq!(operator.get("/purge").await.status, 405);
    assert!(world.get(&path, &token).await.is_hit());
}

#[tokio::test]
async fn explain_tells_what_would_happen_and_asks_nobody() {
    let world = watched().await;
    let (operator, token) = (Operator::of(&world), world.token(0));
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let told = operator.explain(&path, &token).await;
    assert_eq!(told["caller"]["proven"], false);
    assert_eq!(told["verdict"], "Graph is asked first (miss)");
    assert_eq!(world.graph.count(), 0);
    world.get(&path, &token).await;
    let told = operator.explain(&path, &token).await;
    assert_eq!(told["verdict"], "answered from memory", "{told:#}");
    assert_eq!(told["photo"]["view"], "Media");
    assert_eq!(told["looks"][0]["partition"], "principal");
    assert_eq!(told["looks"][0]["found"], "fresh");
    assert!(told["proof_left_seconds"].as_u64() > Some(800), "{told:#}");
    let text = told.to_string();
    for secret in [&world.person(1).id, &world.person(0).upn] {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
    // The hash it gives names the token from here on.
    let hash = told["caller"]["credential"].as_str().expect("a hash");
    let fields = [("explain-credential", hash)];
    let target = format!("/explain?{path}");
    let by_hash = operator.send(Method::GET, &target, &fields, "").await;
    assert_eq!(by_hash.json()["verdict"], "answered from memory");
    let stranger = [("explain-credential", "00000000000000000000000000000000")];
    let unknown = operator.send(Method::GET, &target, &stranger, "").await;
    assert!(
        unknown.json()["verdict"]
            .as_str()
            .expect("words")
            .starts_with("no token of that")
    );
    let other = operator.explain(&path, &world.token(1)).await;
    assert_eq!(other["verdict"], "Graph is asked first (miss)");
    let odd = operator
        .explain("/v1.0/users/x;y/photo/$value", &token)
        .await;
    assert_eq!(odd["photo"], serde_json::Value::Null);
    assert_eq!(operator.get("/explain").await.status, 400);
    assert_eq!(world.graph.count(), 1);
}

#[tokio::test]
async fn the_dashboard_comes_whole_from_here_and_makes_markup_of_nothing() {
    let world = watched().await;
    let operator = Operator::of(&world);
    let mut all = String::new();
    for (page, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/dashboard.css", "text/css; charset=utf-8"),
        ("/dashboard.js", "text/javascript; charset=utf-8"),
    ] {
        let reply = operator.get(page).await;
        assert_eq!(reply.field("content-type"), kind);
        all.push_str(std::str::from_utf8(&reply.body).expect("UTF-8"));
    }
    // The one address is the name of SVG, which is fetched by nobody.
    let outside = all.replace("\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http://", "https://", "src=\"//", "@import", "url("] {
        assert!(!outside.contains(foreign), "{foreign}");
    }
    for maker in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "eval(",
        "Function(",
        "style=\"",
        "onclick",
    ] {
        assert!(!all.contains(maker), "{maker}");
    }
}

/// How a breaker stands, by the metrics.
async fn breaker(operator: &Operator, cause: &str) -> Vec<&'static str> {
    let metrics = operator.metrics().await;
    let stands = |state: &&str| {
        let part = format!("cause=\"{cause}\",state=\"{state}\"");
        is(sum(&metrics, "breaker", &part), 1.0)
    };
    let states = ["closed", "half_open", "open"];
    states.into_iter().filter(stands).collect()
}

#[tokio::test]
async fn a_breaker_is_seen_open_half_open_and_closed_and_explain_says_why() {
    let world = watched().await;
    let operator = Operator::of(&world);
    let token = world.token(0);
    let photo = |n: usize| format!("/v1.0/users/{}/photo/$value", world.person(n).id);
    assert_eq!(breaker(&operator, "answers").await, ["closed"]);
    world.graph.on("/v1.0/users", Fault::Status(500));
    for n in 1..=5 {
        world.get(&photo(n), &token).await;
    }
    assert_eq!(breaker(&operator, "answers").await, ["open"]);
    assert_eq!(breaker(&operator, "connections").await, ["closed"]);
    let metrics = operator.metrics().await;
    let openings = sum(&metrics, "breaker_openings_total", "answers");
    assert!(is(openings, 1.0), "{openings}");
    let figures = operator.get("/figures").await.json();
    let one = &figures["breakers"][1];
    assert_eq!(
        (&one["of"], &one["state"]),
        (&"answers".into(), &"open".into())
    );
    assert_eq!(
        (&one["kind"], &one["seconds"]),
        (&"User".into(), &1.0.into())
    );
    let bearer = format!("Bearer {token}");
    let fields = [("explain-authorization", bearer.as_str())];
    let path = format!("/explain?{}", photo(1));
    let explained = operator.send(Method::GET, &path, &fields, "").await.json();
    let verdict = explained["verdict"].as_str().unwrap_or_default();
    assert!(
        verdict.contains("but not for 1 s: Graph failed"),
        "{explained}"
    );
    assert_eq!(explained["breaker"]["state"], "open");

    world.later(Duration::from_secs(1));
    assert_eq!(breaker(&operator, "answers").await, ["half_open"]);
    world.graph.clear_faults();
    assert_eq!(world.get(&photo(1), &token).await.status, 200);
    assert_eq!(breaker(&operator, "answers").await, ["closed"]);
    let figures = operator.get("/figures").await.json();
    assert_eq!(figures["breakers"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_graph_that_cannot_be_reached_is_seen_as_an_open_breaker() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let settings = [("admin", "127.0.0.1:0")];
    let proxy = Proxy::start(&settings, &upstream, Clock::by_hand()).await;
    let operator = Operator(proxy.admin.expect("it is on"));
    for _ in 0..3 {
        let reply = proxy
            .get("/v1.0/me/photo/$value", "some-opaque-token")
            .await;
        assert!(reply.status.is_server_error(), "{reply:?}");
    }
    assert_eq!(breaker(&operator, "connections").await, ["open"]);
    let figures = operator.get("/figures").await.json();
    let reason = figures["breakers"][0]["reason"]
        .as_str()
        .unwrap_or_default();
    assert!(reason.starts_with("no connection with Graph"), "{figures}");
}
