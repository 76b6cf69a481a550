//! HTTP/1.0, HTTP/1.1 and HTTP/2 on either side, on kept connections and in any order.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::Settings;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpStream;

use crate::support::tls::{self, Folder, Sender};
use crate::support::wire::{Message, RawGraph, Wire, soon};
use crate::support::{Proxy, World};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A certificate for `localhost` as files, removed at the end.
struct Certificate {
    folder: Folder,
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let made = tls::certificate(&folder);
        Self { folder, made }
    }

    fn path(&self, file: &str) -> String {
        self.folder.path(file)
    }

    fn server(&self, alpn: &[&[u8]]) -> Arc<rustls::ServerConfig> {
        let key = PrivateKeyDer::try_from(self.made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    async fn connect(
        &self,
        address: std::net::SocketAddr,
        alpn: &[&[u8]],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let client = tls::client(tls::roots(self.path("cert.pem")));
        tls::connect(address, "localhost", client, alpn)
            .await
            .unwrap()
    }
}

/// HTTP/2 on a stream, the connection in a task of its own.
async fn http2_on<S>(stream: S) -> Sender
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tls::http2_on(stream).await.unwrap()
}

async fn send(sender: &Sender, request: Request<Full<Bytes>>) -> Response<Bytes> {
    tls::ask(sender, request).await.unwrap()
}

fn get(path: &str, token: &str) -> Request<Full<Bytes>> {
    let request = Request::get(format!("http://proxy.test{path}"));
    let request = if token.is_empty() {
        request
    } else {
        request.header("authorization", format!("Bearer {token}"))
    };
    request.body(Full::default()).unwrap()
}

#[tokio::test]
async fn hits_misses_and_pass_through_on_one_connection_are_answered_in_order() {
    let world = World::start().await;
    let token = world.token(0);
    let photo = |n: usize| format!("/v1.0/users/{}/photo/$value", world.person(n).id);
    let warm = [
        world.get(&photo(1), &token).await,
        world.get(&photo(2), &token).await,
    ];
    let cold = photo(3);
    // The first answer is held back: what can be answered at once must wait its turn.
    let hold = world.graph.hold_on(&cold);
    let targets = [
        cold.clone(),
        photo(1),
        "/v1.0/me".into(),
        photo(2),
        "/v1.0/nothing".into(),
    ];
    let mut wire = Wire::to(world.proxy.address).await;
    let mut requests = String::new();
    for target in &targets {
        let auth = format!("Authorization: Bearer {token}");
        let _ = write!(
            requests,
            "GET {target} HTTP/1.1\r\nHost: p\r\n{auth}\r\n\r\n"
        );
    }
    wire.send(requests).await;
    soon(hold.waiting(1)).await;
    hold.release();
    let mut answers = Vec::new();
    for _ in &targets {
        answers.push(soon(wire.answer("GET")).await.unwrap());
    }
    let statuses: Vec<u16> = answers.iter().map(Message::status).collect();
    assert_eq!(
        statuses.get(..4),
        Some(&[200, 200, 200, 200][..]),
        "{answers:?}"
    );
    assert!(statuses.last().is_some_and(|status| *status >= 400));
    assert_eq!(answers[1].body, warm[0].body);
    assert_eq!(answers[3].body, warm[1].body);
    let fresh = world.get(&cold, &token).await;
    assert_eq!(answers[0].body, fresh.body);
    assert!(answers[2].text().contains("displayName"));
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed_unless_it_asks_to_stay() {
    let graph = RawGraph::answering(OK).await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let mut wire = Wire::to(proxy.address).await;
    wire.send("GET /x HTTP/1.0\r\nHost: p\r\n\r\n").await;
    let answer = soon(wire.answer("GET")).await.unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hi"));
    assert_eq!(soon(wire.rest()).await, b"");
    let mut wire = Wire::to(proxy.address).await;
    for _ in 0..3 {
        wire.send("GET /x HTTP/1.0\r\nHost: p\r\nConnection: keep-alive\r\n\r\n")
            .await;
        assert_eq!(soon(wire.answer("GET")).await.unwrap().text(), "hi");
    }
    // A 1.0 caller knows no chunks: a body of unknown length ends with the connection.
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let graph = RawGraph::answering(chunked).await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let mut wire = Wire::to(proxy.address).await;
    wire.send("GET /x HTTP/1.0\r\nHost: p\r\n\r\n").await;
    let all = String::from_utf8(soon(wire.rest()).await).unwrap();
    assert!(
        all.ends_with("\r\n\r\nhi") && !all.to_lowercase().contains("chunked"),
        "{all}"
    );
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_answered_on_the_plain_port() {
    let world = World::start().await;
    let token = world.token(0);
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let sender = http2_on(TcpStream::connect(world.proxy.address).await.unwrap()).await;
    let first = send(&sender, get(&path, &token)).await;
    let second = send(&sender, get(&path, &token)).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.body(), second.body());
    let status = second.headers()["cache-status"].to_str().unwrap();
    assert!(status.starts_with("graph-photo-proxy; hit"), "{status}");
    // Both at once on one connection, and something that is no photo between them.
    let photo = send(&sender, get(&path, &token));
    let (me, photo) = tokio::join!(send(&sender, get("/v1.0/me", &token)), photo);
    assert_eq!(
        (me.status(), photo.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    assert_eq!(
        send(&sender, get(&path, "")).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn crumbs_of_a_cookie_and_two_set_cookies_survive_http_2() {
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                  Content-Length: 2\r\n\r\nhi";
    let graph = RawGraph::answering(answer).await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let sender = http2_on(TcpStream::connect(proxy.address).await.unwrap()).await;
    let mut request = get("/x", "");
    for crumb in ["a=1", "b=2; c=3", "d=4"] {
        request
            .headers_mut()
            .append("cookie", crumb.parse().unwrap());
    }
    let answer = send(&sender, request).await;
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    let seen = graph.seen();
    assert_eq!(seen[0].values("cookie"), ["a=1; b=2; c=3; d=4"]);
    assert_eq!(seen[0].values("host"), [graph.address.to_string()]);
}

#[tokio::test]
async fn the_tls_port_speaks_the_protocol_that_alpn_chose() {
    let certificate = Certificate::new("front");
    let world = World::with(
        &[
            ("listen", "off"),
            ("tls_listen", "127.0.0.1:0"),
            ("tls_cert", &certificate.path("cert.pem")),
            ("tls_key", &certificate.path("key.pem")),
        ],
        |_| {},
    )
    .await;
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let token = world.token(0);
    let stream = certificate
        .connect(world.proxy.address, &[b"h2", b"http/1.1"])
        .await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let answer = send(&http2_on(stream).await, get(&path, &token)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    for alpn in [&[&b"http/1.1"[..]][..], &[]] {
        let stream = certificate.connect(world.proxy.address, alpn).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::get(path.as_str())
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::<Bytes>::default())
            .unwrap();
        let got = soon(sender.send_request(request)).await.unwrap();
        assert_eq!(
            got.headers()["cache-status"]
                .to_str()
                .unwrap()
                .split(';')
                .nth(1),
            Some(" hit")
        );
        let body = soon(got.into_body().collect()).await.unwrap().to_bytes();
        assert_eq!(&body, answer.body());
    }
}

#[tokio::test]
async fn graph_is_asked_in_http_2_or_http_1_as_it_likes() {
    let certificate = Certificate::new("graph");
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let clock = Clock::by_hand();
        let tls = certificate.server(&[alpn]);
        let graph = graph_photo_proxy::demo::Graph::start(Settings {
            clock: clock.clone(),
            tls: Some(tls),
            ..Settings::default()
        });
        let ca = certificate.path("cert.pem");
        let proxy = Proxy::start(&[("upstream_ca", &ca)], &graph.base_url(), clock).await;
        let me = graph.tenant().members().next().unwrap().clone();
        let token = graph.issue(graph_photo_proxy::demo::TokenSpec::of(&me));
        let whose = graph.tenant().with_photo().next().unwrap().id.clone();
        let path = format!("/v1.0/users/{whose}/photo/$value");
        let (first, second) = (
            proxy.get(&path, &token).await,
            proxy.get(&path, &token).await,
        );
        assert_eq!(first.status, StatusCode::OK, "{first:?}");
        assert!(second.is_hit() && first.body == second.body);
        // A body goes up, and what Graph says of it comes down.
        let request = proxy.request(http::Method::POST, "/v1.0/echo?a=%2F", "");
        let body = Full::new(Bytes::from(vec![b'x'; 20_000]));
        let echo = proxy.send(request.body(body).unwrap()).await.json();
        assert_eq!(echo["length"], 20_000, "{echo}");
        assert_eq!(echo["target"], "/v1.0/echo?a=%2F");
        // Over HTTP/2 the host is the authority; over HTTP/1 it is a field.
        let hosts = echo["headers"].as_array().unwrap().iter();
        assert_eq!(
            hosts.filter(|f| f[0] == "host").count(),
            usize::from(alpn != b"h2")
        );
    }
}

#[tokio::test]
async fn a_kept_connection_that_graph_closes_costs_no_get_and_repeats_no_post() {
    // Every connection serves one request, takes another, and closes without a word.
    let graph = RawGraph::serving(|_, mut wire| async move {
        wire.request().await;
        wire.send(OK).await;
        wire.request().await;
    })
    .await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let mut wire = Wire::to(proxy.address).await;
    for round in 0..3 {
        wire.send(format!("GET /{round} HTTP/1.1\r\nHost: p\r\n\r\n"))
            .await;
        let answer = soon(wire.answer("GET")).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hi"));
    }
    for round in 0..4 {
        let request = format!("POST /{round} HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\n\r\nabc");
        wire.send(request).await;
        let answer = soon(wire.answer("POST")).await.unwrap();
        let sent = graph.seen();
        let line = format!("POST /{round} HTTP/1.1");
        assert_eq!(sent.iter().filter(|seen| seen.line == line).count(), 1);
        assert!(matches!(answer.status(), 200 | 502), "{answer:?}");
        if answer.status() == 502 {
            assert!(answer.text().contains("\"BadGateway\""), "{answer:?}");
        }
    }
}
