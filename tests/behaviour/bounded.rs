//! Promise 6: memory, connections and time are bounded, and reaching a bound breaks nothing.
//!
//! Memory is that of the real binary in a process of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::time::{Duration, Instant};

use graph_photo_proxy::clock::Clock;

use crate::support::Proxy;
use crate::support::binary::Binary;
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, PING, POST, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, connect, frame,
};
use crate::support::raw::exchange;
use crate::support::wire::{RawGraph, Wire, soon};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const MIB: usize = 1 << 20;
/// 128 MiB in each direction; `benches/passthrough.sh` sends 10 GB.
const BODY: usize = 128 * MIB;
/// What the process may grow by meanwhile, in KiB: read buffers, and pages that the allocator
/// keeps. A body that was gathered would show as 128 MiB.
const GROWTH: usize = 24 * 1024;

#[tokio::test]
async fn a_large_body_passes_in_either_direction_in_bounded_memory() {
    let graph = RawGraph::serving(|_, mut wire| async move {
        let head = wire.head().await.unwrap();
        if head.line.starts_with("PUT") {
            let mut left = BODY;
            while left > 0 {
                let piece = left.min(MIB);
                assert!(wire.exactly(piece).await.is_some());
                left -= piece;
            }
            wire.send(OK).await;
        } else {
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n"))
                .await;
            let piece = vec![7; MIB];
            for _ in 0..BODY / MIB {
                wire.send(&piece).await;
            }
        }
    })
    .await;
    let binary = Binary::start(&graph.url(), &[]);
    // Once small, so that what every request needs is there.
    let (before, _) = binary.memory();
    let mut wire = Wire::to(binary.address).await;
    wire.send(format!(
        "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: {BODY}\r\n\r\n"
    ))
    .await;
    let piece = vec![7; MIB];
    for _ in 0..BODY / MIB {
        wire.send(&piece).await;
    }
    assert_eq!(soon(wire.answer("PUT")).await.unwrap().text(), "hi");
    let (_, up) = binary.memory();
    let mut wire = Wire::to(binary.address).await;
    wire.send("GET /x HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
        .await;
    soon(wire.head()).await.unwrap();
    assert_eq!(soon(wire.drain()).await, BODY);
    let (_, down) = binary.memory();
    let (up, down) = (up.saturating_sub(before), down.saturating_sub(before));
    assert!(up < GROWTH && down < GROWTH, "grew by {up} and {down} KiB");
}

/// The n-th piece of a flood.
type Round = Box<dyn Fn(u32) -> Vec<u8> + Send>;

/// The slowest of some requests by another caller.
async fn slowest(address: std::net::SocketAddr, requests: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..requests {
        #[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
        let begun = Instant::now();
        let mut wire = Wire::to(address).await;
        wire.send("GET /x HTTP/1.1\r\nHost: p\r\n\r\n").await;
        assert_eq!(soon(wire.answer("GET")).await.unwrap().text(), "hi");
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_floods_leave_memory_and_the_others_alone() {
    let graph = RawGraph::answering(OK).await;
    let binary = Binary::start(&graph.url(), &[]);
    slowest(binary.address, 20).await;
    let (before, _) = binary.memory();
    let field = b"\x00\x01x\x40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let fields = field.repeat(100);
    let cancel = frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    let floods: [(&str, Vec<u8>, Round); 6] = [
        (
            "continuation",
            frame(HEADERS, END_STREAM, 1, GET),
            Box::new(move |_| frame(CONTINUATION, 0, 1, &fields)),
        ),
        (
            "empty data",
            frame(HEADERS, END_HEADERS, 1, POST),
            Box::new(|_| frame(DATA, 0, 1, &[]).repeat(100)),
        ),
        (
            "rapid reset",
            Vec::new(),
            Box::new(move |n| {
                let stream = 2 * n + 1;
                let mut reset = cancel.clone();
                reset.splice(5..9, stream.to_be_bytes());
                [frame(HEADERS, END_HEADERS | END_STREAM, stream, GET), reset].concat()
            }),
        ),
        (
            "settings",
            Vec::new(),
            Box::new(|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]).repeat(100)),
        ),
        (
            "ping",
            Vec::new(),
            Box::new(|_| frame(PING, 0, 0, &[0; 8]).repeat(100)),
        ),
        (
            "window of one byte",
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
            Box::new(|n| {
                let stream = 2 * n + 1;
                let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, GET);
                [open, frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0, 1])].concat()
            }),
        ),
    ];
    for (name, opening, round) in floods {
        let mut wire = connect(binary.address).await;
        wire.send(opening).await;
        let flood = tokio::spawn(async move {
            // Nothing it is answered is read, as an attacker would.
            for n in 0..20_000 {
                let sent = tokio::time::timeout(Duration::from_secs(1), wire.try_send(round(n)));
                if sent.await != Ok(true) {
                    return;
                }
            }
        });
        let slowest = slowest(binary.address, 40).await;
        flood.abort();
        let (now, most) = binary.memory();
        let growth = most.saturating_sub(before);
        assert!(growth < GROWTH, "{name}: grew by {growth} KiB (now {now})");
        assert!(
            slowest < Duration::from_secs(1),
            "{name}: others waited {slowest:?}"
        );
    }
}

#[tokio::test]
async fn connections_over_the_limits_wait_or_are_closed() {
    let graph = RawGraph::answering(OK).await;
    let get = "GET /x HTTP/1.1\r\nHost: p\r\n\r\n";
    let settings = [("max_connections", "2")];
    let proxy = Proxy::start(&settings, &graph.url(), Clock::system()).await;
    let (mut first, mut second) = (Wire::to(proxy.address).await, Wire::to(proxy.address).await);
    for wire in [&mut first, &mut second] {
        wire.send(get).await;
        assert_eq!(soon(wire.answer("GET")).await.unwrap().text(), "hi");
    }
    let mut third = Wire::to(proxy.address).await;
    third.send(get).await;
    let early = tokio::time::timeout(Duration::from_millis(200), third.answer("GET")).await;
    assert!(early.is_err(), "answered over the limit");
    drop(first);
    assert_eq!(soon(third.answer("GET")).await.unwrap().text(), "hi");

    let settings = [("max_connections_per_peer", "1")];
    let proxy = Proxy::start(&settings, &graph.url(), Clock::system()).await;
    let mut first = Wire::to(proxy.address).await;
    first.send(get).await;
    assert_eq!(soon(first.answer("GET")).await.unwrap().text(), "hi");
    let mut second = Wire::to(proxy.address).await;
    second.send(get).await;
    assert_eq!(soon(second.rest()).await, b"");
    first.send(get).await;
    assert_eq!(soon(first.answer("GET")).await.unwrap().text(), "hi");
}

#[tokio::test]
async fn a_thousand_heads_of_the_largest_size_leave_no_memory_behind() {
    let graph = RawGraph::answering(OK).await;
    let binary = Binary::start(&graph.url(), &[]);
    slowest(binary.address, 5).await;
    let (before, _) = binary.memory();
    let field = format!("X: {}\r\n", "a".repeat(31 * 1024));
    for _ in 0..200 {
        let mut wire = Wire::to(binary.address).await;
        for _ in 0..5 {
            wire.send(format!("GET /x HTTP/1.1\r\nHost: p\r\n{field}\r\n"))
                .await;
            assert_eq!(soon(wire.answer("GET")).await.unwrap().text(), "hi");
        }
    }
    let (_, most) = binary.memory();
    let growth = most.saturating_sub(before);
    assert!(growth < GROWTH, "grew by {growth} KiB");
}

#[tokio::test]
async fn memory_goes_back_to_the_system_after_a_purge() {
    const PHOTOS: usize = 600;
    let graph = RawGraph::serving(|_, mut wire| async move {
        let mut photo = vec![0xFF, 0xD8, 0xFF];
        photo.resize(60_000, 7);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: \"1\"\r\nContent-Length: 60000\r\n\r\n";
        while wire.request().await.is_some() {
            wire.send([head.as_bytes(), &photo].concat()).await;
        }
    })
    .await;
    let binary = Binary::start(&graph.url(), &[("admin", "127.0.0.1:0")]);
    let mut wire = Wire::to(binary.address).await;
    let mut small = 0;
    for n in 0..PHOTOS {
        if n == 20 {
            small = binary.memory().0; // What every request needs is there.
        }
        let path = format!("/v1.0/users/00000000-0000-4000-8000-{n:012}/photo/$value");
        let auth = "Authorization: Bearer some.opaque-token-0123456789";
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: p\r\n{auth}\r\n\r\n"))
            .await;
        assert_eq!(soon(wire.answer("GET")).await.unwrap().body.len(), 60_000);
    }
    let full = binary.memory().0;
    let purge = "POST /purge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"everything\":true}";
    let answer = soon(exchange(binary.admin.unwrap(), purge.as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // It takes the allocator's thread a second or so.
    soon(async {
        while binary.memory().0 > small + 6 * 1024 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(full > small + 30 * 1024, "{small}, then {full} KiB");
}
