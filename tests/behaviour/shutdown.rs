//! The real binary is told to stop: answers in flight end, nobody new is taken, a deadline ends
//! the rest, and the exit code is 0.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::binary::Binary;
use crate::support::wire::{RawGraph, Wire, latin1, soon};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const PHOTO: &str = "/v1.0/users/00000000-0000-0000-0000-000000000001/photo/$value";

/// A Graph whose answers wait for `go`, and how many wait.
async fn held() -> (RawGraph, watch::Sender<bool>, Arc<AtomicUsize>) {
    let (go, gone) = watch::channel(false);
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waiting);
    let graph = RawGraph::serving(move |_, mut wire| {
        let (mut gone, count) = (gone.clone(), Arc::clone(&count));
        async move {
            while wire.request().await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = gone.wait_for(|go| *go).await;
                let answer =
                    "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n";
                wire.send([answer.as_bytes(), &[0xFF, 0xD8, 0xFF, 0xE0]].concat())
                    .await;
            }
        }
    })
    .await;
    (graph, go, waiting)
}

async fn until(waiting: &AtomicUsize, count: usize) {
    soon(async {
        while waiting.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until nobody new is taken.
async fn refuses(address: SocketAddr) {
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn answers_in_flight_end_and_new_connections_are_refused() {
    let (graph, go, waiting) = held().await;
    let binary = Binary::start(&graph.url(), &[]);
    let address = binary.address;
    let mut callers = Vec::new();
    for path in [PHOTO, "/v1.0/me/messages"] {
        let mut wire = Wire::to(address).await;
        let auth = "Authorization: Bearer some.opaque-token-0123456789";
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: p\r\n{auth}\r\n\r\n"))
            .await;
        callers.push(wire);
    }
    // An upload that is half here.
    let mut upload = Wire::to(address).await;
    upload
        .send("PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let mut idle = Wire::to(address).await;
    until(&waiting, 2).await;
    binary.terminate();
    refuses(address).await;
    assert_eq!(
        soon(idle.rest()).await,
        b"",
        "an idle connection ends at once"
    );
    upload.send("whole").await;
    until(&waiting, 3).await;
    go.send(true).unwrap();
    callers.push(upload);
    for mut caller in callers {
        let answer = soon(caller.answer("GET")).await.unwrap();
        assert_eq!((answer.status(), answer.body.len()), (200, 4), "{answer:?}");
        assert_eq!(soon(caller.rest()).await, b"", "and the connection ends");
    }
    let (status, log) = binary.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut at the end of the drain"), "{log}");
}

#[tokio::test]
async fn a_deadline_ends_what_does_not_end() {
    let (graph, _go, waiting) = held().await;
    let binary = Binary::start(&graph.url(), &[("drain_timeout", "300ms")]);
    let mut wire = Wire::to(binary.address).await;
    wire.send("GET /v1.0/me HTTP/1.1\r\nHost: p\r\n\r\n").await;
    until(&waiting, 1).await;
    binary.terminate();
    assert_eq!(latin1(&soon(wire.rest()).await), "");
    let (status, log) = binary.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("cut"), "{log}");
}

/// How a caller fared.
#[derive(Debug, Default)]
struct Fared {
    answered: AtomicUsize,
    /// A connection for one request ended without its answer, or an answer was not whole.
    cut: AtomicUsize,
    /// A kept connection ended just as a request was sent on it: nothing was answered, and any
    /// HTTP library sends it again (RFC 9112 §9.3.1).
    repeated: AtomicUsize,
}

/// Asks again and again at whichever address is current, until told to stop.
async fn ask(
    current: watch::Receiver<SocketAddr>,
    stop: Arc<AtomicBool>,
    fared: Arc<Fared>,
    keep: bool,
) {
    let mut kept: Option<Wire> = None;
    while !stop.load(Ordering::SeqCst) {
        let address = *current.borrow();
        let used = kept.is_some();
        let wire = match kept.take() {
            Some(wire) => Some(wire),
            None => Wire::try_to(address).await,
        };
        let Some(mut wire) = wire else {
            tokio::task::yield_now().await; // Refused: the balancer has turned.
            continue;
        };
        let close = if keep { "" } else { "Connection: close\r\n" };
        wire.send(format!("GET /v1.0/me HTTP/1.1\r\nHost: p\r\n{close}\r\n"))
            .await;
        match soon(wire.answer("GET")).await {
            Some(answer) if answer.text() == "hi" => {
                fared.answered.fetch_add(1, Ordering::SeqCst);
                let ends = answer.values("connection") == ["close"];
                kept = (keep && !ends).then_some(wire);
            }
            None if used && soon(wire.rest()).await.is_empty() => {
                fared.repeated.fetch_add(1, Ordering::SeqCst);
            }
            _ => {
                fared.cut.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_cuts_no_answer() {
    let graph = RawGraph::answering(OK).await;
    let mut running = Binary::start(&graph.url(), &[]);
    let (turn, current) = watch::channel(running.address);
    let (stop, fared) = (Arc::new(AtomicBool::new(false)), Arc::new(Fared::default()));
    let callers: Vec<_> = (0..12)
        .map(|n| {
            let (stop, fared) = (Arc::clone(&stop), Arc::clone(&fared));
            tokio::spawn(ask(current.clone(), stop, fared, n % 2 == 0))
        })
        .collect();
    for _ in 0..4 {
        let begun = fared.answered.load(Ordering::SeqCst);
        until(&fared.answered, begun + 150).await;
        // The next one is up, the balancer turns, the old one is told to go.
        let next = Binary::start(&graph.url(), &[]);
        turn.send(next.address).unwrap();
        let old = std::mem::replace(&mut running, next);
        old.terminate();
        let (status, log) = old.ended().await;
        assert_eq!(status.code(), Some(0), "{log}");
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        soon(caller).await.unwrap();
    }
    assert_eq!(fared.cut.load(Ordering::SeqCst), 0, "{fared:?}");
    assert!(fared.answered.load(Ordering::SeqCst) >= 600, "{fared:?}");
}
