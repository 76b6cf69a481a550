//! Requests made to harm, through the whole product: refused or closed, nothing of them
//! reaches Graph or stays behind, and the next caller is served.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::TokenSpec;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::raw::exchange;
use crate::support::wire::{RawGraph, Wire, soon};
use crate::support::{Proxy, World};

/// The photo, asked for in a way no proxy should take: the attack, its status.
fn attacks(path: &str, auth: &str, elsewhere: &str) -> Vec<(String, u16)> {
    let get = |fields: &str| format!("GET {path} HTTP/1.1\r\n{auth}{fields}\r\n");
    let smuggled = format!("GET {path} HTTP/1.1\r\nHost: p\r\n{auth}\r\n");
    let with_body = |fields: &str, body: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: p\r\n{auth}{fields}\r\n{body}{smuggled}")
    };
    let line = |line: &str| format!("{line}\r\nHost: p\r\n{auth}\r\n");
    let big = "a".repeat(1 << 20);
    vec![
        (get(""), 400),
        (get("Host: p\r\nHost: p\r\n"), 400),
        (get("Host: p\r\nHost: q\r\n"), 400),
        (get("Host:\r\n"), 400),
        (get("Host: p@q\r\n"), 400),
        (get("Host: p, q\r\n"), 400),
        (
            with_body(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            400,
        ),
        (
            with_body("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
            400,
        ),
        (
            with_body("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
            400,
        ),
        (with_body("Content-Length: +5\r\n", "hello"), 400),
        (get("Host: p\r\nX: a\r\n b\r\n"), 400),
        (get("Host: p\r\nX : a\r\n"), 400),
        (get("Host: p\r\nX: a\0b\r\n"), 400),
        (get("Host: p\r\nX: a\rb\r\n"), 400),
        (get("Host: p\r\nX: \x1b[31m\r\n"), 400),
        (get("Host: p\r\n").replace("\r\n", "\n"), 400),
        (line(&format!("GET http://{elsewhere}{path} HTTP/1.1")), 400),
        (line(&format!("GET {path}#x HTTP/1.1")), 400),
        (line(&format!("GET {path} x HTTP/1.1")), 400),
        (line(&format!("GET {path} HTTP/1.9")), 400),
        (line("OPTIONS * HTTP/1.1"), 400),
        (line(&format!("CONNECT {elsewhere} HTTP/1.1")), 501),
        (line(&format!("TRACE {path} HTTP/1.1")), 501),
        (line(&format!("GET {path}?{big} HTTP/1.1")), 414),
        (get(&format!("Host: p\r\nX: {big}\r\n")), 431),
        (get(&format!("Host: p\r\n{}", "X: a\r\n".repeat(101))), 431),
        (get("Host: p\r\nConnection: authorization\r\n"), 400),
        (get("Host: p\r\nConnection: close, Authorization\r\n"), 400),
        (get("Host: p\r\nConnection: host\r\n"), 400),
        (get("Host: p\r\nConnection: if-none-match\r\n"), 400),
        (get("Host: p\r\nConnection: accept\r\n"), 400),
        (get("Host: p\r\nConnection: content-length\r\n"), 400),
    ]
}

#[tokio::test]
async fn an_attack_is_answered_once_reaches_nobody_and_leaves_nothing() {
    let elsewhere = RawGraph::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let world = World::start().await;
    let token = world.token(0);
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let auth = format!("Authorization: Bearer {token}\r\n");
    for (attack, status) in attacks(&path, &auth, &elsewhere.address.to_string()) {
        let shown: String = attack.replace(&token, "TOKEN").chars().take(160).collect();
        let answer = soon(exchange(world.proxy.address, attack.as_bytes())).await;
        let begins = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&begins), "{shown:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{shown:?}: {answer}");
        assert!(
            answer.contains("{\"error\":{\"code\":\""),
            "{shown:?}: {answer}"
        );
        assert!(
            answer.contains("proxy-status: graph-photo-proxy; error="),
            "{answer}"
        );
        assert!(!answer.contains(&token), "{shown:?}");
        assert_eq!(world.graph.count(), 0, "{shown:?} reached Graph");
    }
    assert_eq!(elsewhere.connections(), 0);
    // Nothing was stored: the clean request is the first that Graph hears of.
    let clean = world.get(&path, &token).await;
    assert_eq!(clean.status, 200);
    assert!(!clean.is_hit(), "{clean:?}");
    assert!(world.get(&path, &token).await.is_hit());
}

#[tokio::test]
async fn a_body_with_a_photo_that_is_held_never_puts_the_connection_out_of_step() {
    let world = World::start().await;
    let token = world.token(0);
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let photo = world.get(&path, &token).await.body;
    let inside = format!("GET /v1.0/smuggled HTTP/1.1\r\nHost: p\r\nX: {token}\r\n\r\n");
    let bodies = [
        format!("Content-Length: {}\r\n\r\n{inside}", inside.len()),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{inside}\r\n0\r\n\r\n",
            inside.len()
        ),
    ];
    let clean = format!("GET {path} HTTP/1.1\r\nHost: p\r\nAuthorization: Bearer {token}\r\n\r\n");
    for body in bodies {
        let before = world.graph.count();
        let fat =
            format!("GET {path} HTTP/1.1\r\nHost: p\r\nAuthorization: Bearer {token}\r\n{body}");
        let mut wire = Wire::to(world.proxy.address).await;
        wire.send(format!("{clean}{fat}{clean}")).await;
        let first = soon(wire.answer("GET")).await.unwrap();
        assert_eq!(first.body, photo);
        // With a body it is no photo request: Graph answers, and nothing is stored of it.
        assert!(soon(wire.answer("GET")).await.is_some());
        // The next answer belongs to the next request, or the connection has ended.
        if let Some(next) = soon(wire.answer("GET")).await {
            assert_eq!(next.body, photo);
        }
        let seen = world.graph.seen();
        assert!(seen.iter().all(|seen| !seen.path.contains("smuggled")));
        assert_eq!(world.graph.count(), before + 1);
    }
    assert!(world.get(&path, &token).await.is_hit());
}

#[tokio::test]
async fn an_upgrade_is_not_carried_out_and_not_handed_on() {
    let graph = RawGraph::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let mut wire = Wire::to(proxy.address).await;
    for upgrade in ["websocket", "h2c", "TLS/1.0"] {
        let fields = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABk\r\n"
        );
        wire.send(format!("GET /x HTTP/1.1\r\nHost: p\r\n{fields}\r\n"))
            .await;
        let answer = soon(wire.answer("GET")).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hi"));
    }
    for seen in graph.seen() {
        for name in ["upgrade", "connection", "http2-settings"] {
            assert!(seen.values(name).is_empty(), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn noise_on_the_port_hurts_nobody() {
    let world = World::start().await;
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..60 {
        let mut noise: Vec<u8> = (0..round * 7)
            .map(|_| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                dice.to_le_bytes()[0]
            })
            .collect();
        let starts: [&[u8]; 4] = [
            b"",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / ",
            b"\x16\x03\x01",
        ];
        let start = starts[round % starts.len()];
        noise.splice(0..0, start.iter().copied());
        let mut wire = Wire::to(world.proxy.address).await;
        wire.send(&noise).await;
        wire.end().await;
        let _ = soon(wire.rest()).await;
    }
    assert_eq!(world.graph.count(), 0);
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    assert_eq!(world.get(&path, &world.token(0)).await.status, 200);
}

#[tokio::test]
async fn a_token_of_fifteen_kilobytes_works_on_every_route() {
    let world = World::start().await;
    let padding = serde_json::Value::from("x".repeat(10_400));
    let token = world
        .graph
        .issue(TokenSpec::of(&world.person(0)).claim("padding", padding));
    assert!((15_000..16_000).contains(&token.len()), "{}", token.len());
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    assert_eq!(world.get(&path, &token).await.status, 200);
    assert!(world.get(&path, &token).await.is_hit());
    assert_eq!(world.get("/v1.0/me", &token).await.status, 200);
}

#[tokio::test]
async fn odd_credentials_are_graphs_to_refuse_and_nothing_is_stored() {
    let world = World::start().await;
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    let token = world.token(0);
    world.get(&path, &token).await;
    for odd in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Bearer {token} x"),
        format!("Bearer {token},Bearer {token}"),
        format!("Basic {token}"),
        format!("Bearer {token}\u{e9}"),
        format!("Bearer {token}="),
        "Bearer a.b.c".into(),
        "Bearer ..".into(),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: p\r\nAuthorization: {odd}\r\nConnection: close\r\n\r\n"
        );
        let answer = soon(exchange(world.proxy.address, request.as_bytes())).await;
        let shown = odd.replace(&token, "TOKEN");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{shown:?}: {answer}");
        assert!(!answer.contains("; hit"), "{shown:?}: {answer}");
    }
    let twice = format!(
        "GET {path} HTTP/1.1\r\nHost: p\r\nAuthorization: Bearer {token}\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let answer = soon(exchange(world.proxy.address, twice.as_bytes())).await;
    assert!(!answer.contains("; hit"), "{answer}");
}

const SHORT: &str = "200ms";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A Graph that takes what comes and answers nothing until the end of the request.
async fn patient() -> RawGraph {
    RawGraph::serving(|_, mut wire| async move {
        while wire.request().await.is_some() {
            wire.send(OK).await;
        }
    })
    .await
}

#[tokio::test]
async fn slow_callers_are_closed_in_time_whatever_they_are_slow_at() {
    let graph = patient().await;
    let settings = [("header_timeout", SHORT), ("idle_timeout", SHORT)];
    let proxy = Proxy::start(&settings, &graph.url(), Clock::system()).await;
    let post = "POST /x HTTP/1.1\r\nHost: p\r\n";
    for said in [
        String::new(),
        "GET".into(),
        "GET /x HTTP/1.1\r\nHost: p\r\nX: ".into(),
        format!("{post}Content-Length: 9\r\n\r\nhalf"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
        "PRI * HTTP/2.0\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        "GET /x HTTP/1.1\r\nHost: p\r\n\r\n".into(),
    ] {
        let mut wire = Wire::to(proxy.address).await;
        wire.send(&said).await;
        let got = String::from_utf8_lossy(&soon(wire.rest()).await).into_owned();
        let answered = got.starts_with("HTTP/1.1 200 OK");
        assert_eq!(
            answered,
            said.starts_with("GET /x") && said.ends_with("\r\n\r\n"),
            "{said:?}: {got}"
        );
    }
    // A head that drips goes by its start, not by its last byte.
    let mut wire = Wire::to(proxy.address).await;
    let mut taken = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while wire.try_send("x").await && taken < 200 {
        tick.tick().await;
        taken += 1;
    }
    assert!(taken < 100, "a head dripped for {taken} ticks of 20 ms");
}

#[tokio::test]
async fn a_caller_that_stops_reading_is_cut_and_graph_with_it() {
    let (ended, mut seen_end) = tokio::sync::mpsc::channel(1);
    let graph = RawGraph::serving(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            wire.request().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                .await;
            let piece = vec![7; 1 << 16];
            while wire.try_send(&piece).await {}
            let _ = ended.send(()).await;
        }
    })
    .await;
    let settings = [("idle_timeout", SHORT), ("header_timeout", SHORT)];
    let proxy = Proxy::start(&settings, &graph.url(), Clock::system()).await;
    let mut wire = Wire::to(proxy.address).await;
    wire.send("GET /x HTTP/1.1\r\nHost: p\r\n\r\n").await;
    soon(seen_end.recv()).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_hangs_is_closed_in_time() {
    let folder = std::env::temp_dir().join(format!("gpp-slow-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.join("c.pem"), folder.join("k.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let settings = [
        ("listen", "off"),
        ("tls_listen", "127.0.0.1:0"),
        ("tls_cert", cert.to_str().unwrap()),
        ("tls_key", key.to_str().unwrap()),
        ("tls_handshake_timeout", SHORT),
    ];
    let proxy = Proxy::start(&settings, "http://127.0.0.1:9", Clock::system()).await;
    std::fs::remove_dir_all(&folder).unwrap();
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"] {
        let mut wire = Wire::to(proxy.address).await;
        wire.send(said).await;
        assert_eq!(soon(wire.rest()).await, b"");
    }
}

/// A body that begins and never goes on.
struct Half(Option<Bytes>);

impl http_body::Body for Half {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(half) => Poll::Ready(Some(Ok(Frame::data(half)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn an_upload_that_stops_over_http_2_is_given_up_while_its_connection_is_busy() {
    let (ended, mut seen_end) = tokio::sync::mpsc::channel(1);
    let graph = RawGraph::serving(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            let head = wire.head().await.unwrap();
            if head.line.starts_with("PUT") {
                let got = wire.rest().await;
                let _ = ended.send(got).await;
            } else {
                wire.send(OK).await;
                let _ = wire.rest().await;
            }
        }
    })
    .await;
    let proxy = Proxy::start(&[("idle_timeout", SHORT)], &graph.url(), Clock::system()).await;
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = |method: &str, body| {
        let request = Request::builder().method(method).uri("http://p/x");
        request.body(body).unwrap()
    };
    // Others keep the connection lively: it is this request that ends, not the connection.
    let mut beside = sender.clone();
    let lively = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            let none = Either::Right(Empty::new());
            let answer = beside.send_request(request("GET", none)).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    });
    let half = Half(Some(Bytes::from_static(b"half")));
    let answer = soon(sender.send_request(request("PUT", Either::Left(half))))
        .await
        .unwrap();
    assert_eq!(answer.status(), 408);
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("\"RequestTimeout\""));
    let got = soon(seen_end.recv()).await.unwrap();
    assert!(
        !String::from_utf8_lossy(&got).contains("0\r\n\r\n"),
        "the upload was completed"
    );
    assert!(!connection.is_finished() && !lively.is_finished());
    lively.abort();
}
