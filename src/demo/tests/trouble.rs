//! What the simulator can be told to do wrong, and the gates.

use std::sync::Arc;

use super::*;

const PATH: &str = "/v1.0/me/photo/$value";

async fn try_get(graph: &Graph, token: &str) -> Option<Got> {
    send(ask(graph, Method::GET, PATH, token), "").await
}

#[tokio::test]
async fn an_answer_can_be_refused_for_a_time() {
    let clock = Clock::by_hand();
    let (graph, token) = start(Settings {
        clock: clock.clone(),
        ..Settings::default()
    });
    graph.throttle_for(Duration::from_secs(20), RetryAfter::Seconds);
    let got = get(&graph, PATH, &token).await;
    assert_eq!(
        (got.status.as_u16(), got.header("retry-after")),
        (429, "20")
    );
    clock.advance(Duration::from_secs(20));
    assert_eq!(get(&graph, PATH, &token).await.status, 200);
    graph.next(Fault::RetryAfter(503, "2.128".to_owned()));
    let got = get(&graph, PATH, &token).await;
    assert_eq!(
        (got.status.as_u16(), got.header("retry-after")),
        (503, "2.128")
    );
    assert_eq!(graph.throttled(), 1);
}

#[tokio::test]
async fn a_claims_challenge_is_spelt_as_seen() {
    let (graph, token) = start(Settings::default());
    graph.next(Fault::ClaimsChallenge);
    let got = get(&graph, PATH, &token).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let challenge = got.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_claims\", claims=\"eyJ"));
    graph.revoke(&token);
    assert_eq!(get(&graph, PATH, &token).await.status, 401);
}

#[tokio::test]
async fn bodies_can_lie_and_break() {
    let (graph, token) = start(Settings {
        framing: Framing::Length,
        ..Settings::default()
    });
    let whole = try_get(&graph, &token).await.unwrap();
    for fault in [
        Fault::CutBody(100),
        Fault::DeclareMore(10),
        Fault::Close,
        Fault::Garbage,
    ] {
        graph.next(fault.clone());
        let got = try_get(&graph, &token).await;
        assert!(got.is_none(), "{fault:?}");
    }
    for (fault, expected) in [
        (Fault::DeclareLess(10), whole.body.len() - 10),
        (Fault::Corrupt, whole.body.len()),
        (Fault::Empty, 0),
        (Fault::Oversize(30 << 20), 30 << 20),
    ] {
        graph.next(fault.clone());
        let got = try_get(&graph, &token).await.unwrap();
        assert_eq!(got.body.len(), expected, "{fault:?}");
        assert_ne!(got.body, whole.body);
    }
    let chunked = |settings: &mut Settings| settings.framing = Framing::Chunked;
    graph.change(chunked);
    graph.next(Fault::CutBody(100));
    assert!(try_get(&graph, &token).await.is_none());
    assert_eq!(try_get(&graph, &token).await.unwrap().body, whole.body);
}

#[tokio::test]
async fn heads_can_be_strange() {
    let (graph, token) = start(Settings::default());
    graph.next(Fault::CaptiveGateway);
    let got = get(&graph, PATH, &token).await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-type")),
        (200, "text/html")
    );
    graph.next(Fault::Headers(vec![
        ("set-cookie", "a=1".to_owned()),
        ("set-cookie", "b=2".to_owned()),
    ]));
    let got = get(&graph, PATH, &token).await;
    assert_eq!(got.headers.get_all("set-cookie").iter().count(), 2);
    graph.next(Fault::Replace(vec![
        ("cache-control", "no-store".to_owned()),
        ("etag", String::new()),
    ]));
    let got = get(&graph, PATH, &token).await;
    assert_eq!(
        (got.header("cache-control"), got.header("etag")),
        ("no-store", "")
    );
    graph.next(Fault::Gzip);
    let got = get(&graph, PATH, &token).await;
    assert_eq!(got.header("content-encoding"), "gzip");
    graph.on("/v1.0/ME/", Fault::Status(502));
    assert_eq!(get(&graph, PATH, &token).await.status, 502);
    assert_eq!(get(&graph, PATH, &token).await.status, 502);
    assert_eq!(get(&graph, "/v1.0/me", &token).await.status, 200);
    graph.clear_faults();
    assert_eq!(get(&graph, PATH, &token).await.status, 200);
}

#[tokio::test]
async fn a_held_answer_says_what_was_true_when_it_was_made() {
    let (graph, token) = start(Settings {
        concurrency: Some(2),
        ..Settings::default()
    });
    let graph = Arc::new(graph);
    let hold = graph.hold();
    let fetch = || {
        let (graph, token) = (Arc::clone(&graph), token.clone());
        tokio::spawn(async move { get(&graph, PATH, &token).await })
    };
    let first = [fetch(), fetch()];
    hold.waiting(2).await;
    let third = fetch();
    hold.waiting(3).await;
    graph.upload(&graph.tenant().members().next().unwrap().id);
    assert_eq!(graph.seen()[0].status, None);
    hold.release();
    for held in first {
        assert_eq!(mark(&held.await.unwrap().body).unwrap().upload, 1);
    }
    let third = third.await.unwrap();
    assert_eq!(third.json()["error"]["code"], "ApplicationThrottled");
    assert_eq!(
        mark(&get(&graph, PATH, &token).await.body).unwrap().upload,
        2
    );
}

#[tokio::test]
async fn a_caller_who_leaves_is_no_longer_held() {
    let (graph, token) = start(Settings::default());
    let hold = graph.hold();
    tokio::select! {
        _ = get(&graph, PATH, &token) => panic!("it was held"),
        () = hold.waiting(1) => {}
    }
    hold.waiting_at_most(0).await;
}

#[tokio::test]
async fn a_stalled_body_gives_its_beginning() {
    let (graph, token) = start(Settings::default());
    for fault in [Fault::StallBody(10), Fault::StallBody(10)] {
        graph.next(fault);
        let request = ask(&graph, Method::GET, PATH, &token).body(Full::new(Bytes::new()));
        let answer = client().request(request.unwrap()).await.unwrap();
        let mut body = answer.into_body();
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), 10);
    }
}

#[tokio::test]
async fn large_bodies_and_events_stream() {
    let (graph, token) = start(Settings::default());
    let got = get(&graph, "/v1.0/download/1000000", &token).await;
    assert_eq!(got.body.len(), 1_000_000);
    let put = ask(&graph, Method::POST, "/v1.0/upload", &token);
    let put = send(put, vec![7; 5 << 20]).await.unwrap();
    assert_eq!(put.json()["received"], 5 << 20);
    assert_eq!(graph.bytes_received(), 5 << 20);
    assert!(graph.bytes_sent() > 1_000_000);
    let request = ask(&graph, Method::GET, "/v1.0/events", &token).body(Full::new(Bytes::new()));
    let mut events = client()
        .request(request.unwrap())
        .await
        .unwrap()
        .into_body();
    for piece in ["data: one\n\n", "data: two\n\n"] {
        assert_eq!(graph.send_event(piece), 1);
        let frame = events.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    graph.end_events();
    assert!(events.frame().await.is_none());
}

#[tokio::test]
async fn json_is_compressed_for_those_who_ask() {
    let (graph, token) = start(Settings {
        gzip: true,
        ..Settings::default()
    });
    let request =
        ask(&graph, Method::GET, "/v1.0/me/photo", &token).header("accept-encoding", "gzip");
    let got = send(request, "").await.unwrap();
    assert_eq!(got.header("content-encoding"), "gzip");
    assert_eq!(got.header("vary"), "Accept-Encoding");
    assert!(got.body.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_know() {
    let (graph, token) = start(Settings::default());
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = ask(&graph, Method::GET, PATH, &token).body(Full::new(Bytes::new()));
    let answer = client.request(request.unwrap()).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(mark(&body).is_some());
}

#[tokio::test]
async fn tls_is_spoken_where_a_configuration_is_given() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.unwrap())
        .unwrap();
    let (graph, token) = start(Settings {
        tls: Some(Arc::new(server)),
        ..Settings::default()
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let trust = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(trust)
        .https_only()
        .enable_http1()
        .build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    assert!(graph.base_url().starts_with("https://127.0.0.1:"));
    let request = Request::builder()
        .uri(format!(
            "https://localhost:{}{PATH}",
            graph.address().port()
        ))
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::new()));
    let answer = client.request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn one_application_may_be_limited_per_mailbox() {
    let (graph, token) = start(Settings {
        quota: Some((2, Duration::from_secs(600))),
        clock: Clock::by_hand(),
        ..Settings::default()
    });
    let other = graph.tenant().with_photo().nth(1).unwrap().id.clone();
    for status in [200, 200, 429] {
        assert_eq!(get(&graph, PATH, &token).await.status, status);
    }
    let other = format!("/v1.0/users/{other}/photo/$value");
    assert_eq!(get(&graph, &other, &token).await.status, 200);
}

#[tokio::test]
async fn hundreds_may_be_started() {
    let all: Vec<Graph> = (0..200)
        .map(|_| Graph::start(Settings::default()))
        .collect();
    let mut ports: Vec<u16> = all.iter().map(|graph| graph.address().port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
}

#[tokio::test]
async fn what_was_asked_for_may_be_done_before_its_answer_goes_wrong() {
    let graph = Graph::start(Settings::default());
    let writer = TokenSpec::of(graph.tenant().members().next().unwrap()).with("User.ReadWrite");
    let token = graph.issue(writer);
    let upload = || ask(&graph, Method::PUT, PATH, &token).header("content-type", "image/jpeg");
    let first = get(&graph, PATH, &token).await.body;
    graph.next(Fault::Close);
    assert!(send(upload(), first.clone()).await.is_none());
    assert_eq!(get(&graph, PATH, &token).await.body, first);
    for fault in [Fault::Close, Fault::Status(500), Fault::DeclareMore(3)] {
        let before = get(&graph, PATH, &token).await.body;
        graph.next(Fault::After(Box::new(fault.clone())));
        let got = send(upload(), first.clone()).await;
        assert!(got.is_none_or(|got| got.status == 500), "{fault:?}");
        assert_ne!(get(&graph, PATH, &token).await.body, before, "{fault:?}");
    }
}
