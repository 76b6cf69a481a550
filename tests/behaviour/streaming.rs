//! Bodies handed on piece by piece: pauses, refusals, early answers and breaks in either
//! direction reach the other end as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::support::wire::{RawGraph, Wire, soon};
use crate::support::{Proxy, World};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const PIECE: usize = 64 * 1024;
const PIECES: usize = 1024; // 64 MiB
/// What may be under way: our buffers (128 KiB a hop) and those of four loopback sockets,
/// which the kernel grows by itself to several MiB.
const UNDER_WAY: usize = 32 * 1024 * 1024;

async fn before(graph: &RawGraph) -> Proxy {
    Proxy::start(&[], &graph.url(), Clock::system()).await
}

#[tokio::test]
async fn a_slow_event_stream_arrives_as_it_is_sent() {
    let world = World::start().await;
    let mut wire = Wire::to(world.proxy.address).await;
    let token = world.token(0);
    let auth = format!("Authorization: Bearer {token}\r\n");
    wire.send(format!(
        "GET /v1.0/events HTTP/1.1\r\nHost: p\r\n{auth}\r\n"
    ))
    .await;
    let head = soon(wire.head()).await.unwrap();
    assert!(head.status() == 200 && head.is_chunked(), "{head:?}");
    for n in 0..5 {
        // Each is sent only after the one before has arrived.
        let event = format!("data: {n}\n\n");
        assert_eq!(world.graph.send_event(event.clone()), 1);
        soon(wire.until(event.as_bytes())).await.unwrap();
    }
    world.graph.end_events();
    soon(wire.until(b"\r\n0\r\n\r\n")).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_waits_to_be_told_is_told_or_refused_before_its_body() {
    let graph = RawGraph::serving(|_, mut wire| async move {
        while let Some(head) = wire.head().await {
            assert_eq!(head.values("expect"), ["100-continue"]);
            if head.target() == "/refused" {
                wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
                    .await;
                return;
            }
            wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(wire.exactly(3).await.unwrap(), b"abc");
            wire.send(OK).await;
        }
    })
    .await;
    let proxy = before(&graph).await;
    let put = |target: &str| {
        format!(
            "PUT {target} HTTP/1.1\r\nHost: p\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
    };
    let mut wire = Wire::to(proxy.address).await;
    for _ in 0..2 {
        wire.send(put("/wanted")).await;
        assert_eq!(soon(wire.head()).await.unwrap().status(), 100);
        wire.send("abc").await;
        assert_eq!(soon(wire.answer("PUT")).await.unwrap().text(), "hi");
    }
    wire.send(put("/refused")).await;
    let answer = soon(wire.head()).await.unwrap();
    assert_eq!(answer.status(), 413, "no 100 before it");
}

#[tokio::test]
async fn an_answer_may_begin_and_go_on_while_the_body_still_comes() {
    let graph = RawGraph::serving(|_, mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        assert!(wire.until(b"one").await.is_some());
        wire.send("6\r\nsecond\r\n").await;
        assert!(wire.until(b"\r\n0\r\n\r\n").await.is_some());
        wire.send("4\r\nlast\r\n0\r\n\r\n").await;
    })
    .await;
    let proxy = before(&graph).await;
    let mut wire = Wire::to(proxy.address).await;
    wire.send("POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    soon(wire.until(b"first\r\n")).await.unwrap();
    wire.send("3\r\none\r\n").await;
    soon(wire.until(b"second\r\n")).await.unwrap();
    wire.send("0\r\n\r\n").await;
    soon(wire.until(b"last\r\n0\r\n\r\n")).await.unwrap();
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_reaches_the_caller() {
    let graph = RawGraph::serving(|_, mut wire| async move {
        wire.head().await;
        let refusal = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\
                       Content-Length: 2\r\n\r\nno";
        wire.send(refusal).await;
    })
    .await;
    let proxy = before(&graph).await;
    for _ in 0..10 {
        let mut wire = Wire::to(proxy.address).await;
        let length = PIECE * PIECES;
        wire.send(format!(
            "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
        wire.send(vec![7; PIECE]).await;
        let answer = soon(wire.answer("PUT")).await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (413, "no"));
    }
}

/// Waits until `count` has stood still for a while.
async fn stalled(count: &AtomicUsize) -> usize {
    loop {
        let before = count.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        if before > 0 && before == count.load(Ordering::SeqCst) {
            return before;
        }
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_slows_graph_down_and_loses_nothing() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let graph = RawGraph::serving(move |_, mut wire| {
        let count = Arc::clone(&count);
        async move {
            wire.request().await;
            let length = PIECE * PIECES;
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
            for n in 0..PIECES {
                wire.send(vec![n.to_le_bytes()[0]; PIECE]).await;
                count.fetch_add(PIECE, Ordering::SeqCst);
            }
        }
    })
    .await;
    let proxy = before(&graph).await;
    let mut wire = Wire::to(proxy.address).await;
    wire.send("GET /x HTTP/1.1\r\nHost: p\r\n\r\n").await;
    let held = soon(stalled(&written)).await;
    assert!(held < UNDER_WAY, "{held} bytes taken from Graph");
    soon(wire.head()).await.unwrap();
    for n in 0..PIECES {
        let piece = soon(wire.exactly(PIECE)).await.unwrap();
        assert!(
            piece.iter().all(|byte| *byte == n.to_le_bytes()[0]),
            "piece {n}"
        );
    }
}

#[tokio::test]
async fn a_graph_that_does_not_read_slows_the_caller_down_and_loses_nothing() {
    let go = Arc::new(Notify::new());
    let when = Arc::clone(&go);
    let graph = RawGraph::serving(move |_, mut wire| {
        let go = Arc::clone(&when);
        async move {
            wire.head().await;
            go.notified().await;
            for n in 0..PIECES {
                let piece = wire.exactly(PIECE).await.unwrap();
                assert!(
                    piece.iter().all(|byte| *byte == n.to_le_bytes()[0]),
                    "piece {n}"
                );
            }
            wire.send(OK).await;
        }
    })
    .await;
    let proxy = before(&graph).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let address = proxy.address;
    let upload = tokio::spawn(async move {
        let mut wire = Wire::to(address).await;
        let length = PIECE * PIECES;
        wire.send(format!(
            "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
        for n in 0..PIECES {
            wire.send(vec![n.to_le_bytes()[0]; PIECE]).await;
            count.fetch_add(PIECE, Ordering::SeqCst);
        }
        wire.answer("PUT").await
    });
    let held = soon(stalled(&sent)).await;
    assert!(held < UNDER_WAY, "{held} bytes taken from the caller");
    go.notify_one();
    assert_eq!(soon(upload).await.unwrap().unwrap().text(), "hi");
}

/// A Graph that tells when its connection ends, and what had come of the body by then.
async fn watching(says: &'static str) -> (RawGraph, mpsc::Receiver<Vec<u8>>) {
    let (ended, seen_end) = mpsc::channel(8);
    let graph = RawGraph::serving(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            wire.head().await;
            wire.send(says).await;
            let _ = ended.send(b"head".to_vec()).await;
            let rest = wire.rest().await;
            let _ = ended.send(rest).await;
        }
    })
    .await;
    (graph, seen_end)
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_exchange_with_graph() {
    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let half = "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\nhalf";
    let chunk = "PUT /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let get = "GET /x HTTP/1.1\r\nHost: p\r\n\r\n";
    for (said, answer) in [
        (get, ""),
        (get, begun),
        (half, ""),
        (chunk, ""),
        (half, begun),
    ] {
        for by_reset in [false, true] {
            let (graph, mut seen_end) = watching(answer).await;
            let proxy = before(&graph).await;
            let mut wire = Wire::to(proxy.address).await;
            wire.send(said).await;
            assert!(soon(seen_end.recv()).await.is_some());
            if by_reset {
                wire.reset();
            } else {
                drop(wire);
            }
            let rest = soon(seen_end.recv()).await.unwrap();
            let rest = String::from_utf8_lossy(&rest).into_owned();
            assert!(
                !rest.contains("0\r\n\r\n"),
                "a body that broke off was completed: {rest}"
            );
        }
    }
}

#[tokio::test]
async fn a_caller_that_resets_its_stream_ends_the_exchange_with_graph() {
    let (graph, mut seen_end) = watching("").await;
    let proxy = before(&graph).await;
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://p/x")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let asking = tokio::spawn(sender.send_request(request));
    assert!(soon(seen_end.recv()).await.is_some());
    asking.abort();
    assert_eq!(soon(seen_end.recv()).await.unwrap(), b"");
}

#[tokio::test]
async fn a_graph_that_breaks_off_breaks_off_the_callers_answer() {
    for (answer, by_reset) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
            false,
        ),
    ] {
        let graph = RawGraph::serving(move |_, mut wire| async move {
            wire.request().await;
            wire.send(answer).await;
            tokio::time::sleep(Duration::from_millis(50)).await; // Until the caller has the half.
            if by_reset {
                wire.reset();
            }
        })
        .await;
        let proxy = before(&graph).await;
        let mut wire = Wire::to(proxy.address).await;
        wire.send("GET /x HTTP/1.1\r\nHost: p\r\n\r\n").await;
        let got = soon(wire.rest()).await;
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(got.contains("half"), "{got}");
        assert!(!got.ends_with("0\r\n\r\n"), "passed off as whole: {got}");
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://p/x")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let got = soon(sender.send_request(request)).await.unwrap();
        assert!(
            soon(got.into_body().collect()).await.is_err(),
            "passed off as whole"
        );
    }
}
