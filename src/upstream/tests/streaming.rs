//! Bodies of any size, in bounded memory, piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Frame;

use super::*;

const PIECE: usize = 64 * 1024;
const PIECES: usize = 1024; // 64 MiB
/// What may be on its way: our buffers (128 KiB) and what the kernel holds for a loopback
/// socket, which grows to several MiB by itself.
const UNDER_WAY: usize = 16 * 1024 * 1024;

/// A body that counts what has been taken from it.
struct Source {
    taken: Arc<AtomicUsize>,
    left: usize,
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(PIECE, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![7; PIECE])))))
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
async fn an_upload_waits_for_a_graph_that_does_not_read() {
    let go = Arc::new(tokio::sync::Notify::new());
    let when = go.clone();
    let graph = Graph::serving(move |_, mut wire| {
        let go = when.clone();
        async move {
            wire.head().await;
            go.notified().await;
            let (mut buffer, mut got) = (vec![0; PIECE], 0);
            while got < PIECE * PIECES {
                match wire.stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(n) => got += n,
                }
            }
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                .await;
            wire.rest().await;
        }
    })
    .await;
    let taken = Arc::new(AtomicUsize::new(0));
    let source = Source {
        taken: taken.clone(),
        left: PIECES,
    };
    let request = Request::put("/big").body(source).unwrap();
    let upstream = graph.upstream();
    let exchange = tokio::spawn(async move { upstream.forward(request).await });
    let held = soon(stalled(&taken)).await;
    assert!(held < UNDER_WAY, "{held} bytes taken from the caller");
    go.notify_one();
    let answer = soon(exchange).await.unwrap().unwrap();
    assert_eq!(body_of(answer).await, "hi");
    assert_eq!(taken.load(Ordering::SeqCst), PIECE * PIECES);
}

#[tokio::test]
async fn a_download_waits_for_a_caller_who_does_not_read() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let graph = Graph::serving(move |_, mut wire| {
        let count = count.clone();
        async move {
            wire.request().await;
            wire.send(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let piece = vec![7; PIECE];
            for _ in 0..PIECES {
                wire.send(&piece).await;
                count.fetch_add(PIECE, Ordering::SeqCst);
            }
        }
    })
    .await;
    let answer = graph.upstream().forward(get("/big")).await.unwrap();
    let held = soon(stalled(&written)).await;
    assert!(held < UNDER_WAY, "{held} bytes taken from Graph");
    let mut body = answer.into_body();
    let mut got = 0;
    while let Some(frame) = soon(body.frame()).await {
        got += frame.unwrap().into_data().map_or(0, |piece| piece.len());
    }
    assert_eq!(got, PIECE * PIECES);
}

#[tokio::test]
async fn a_caller_who_stops_reading_its_socket_slows_graph_down() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let graph = Graph::serving(move |_, mut wire| {
        let count = count.clone();
        async move {
            wire.request().await;
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            let piece = vec![7; PIECE];
            for _ in 0..PIECES {
                wire.send(format!("{PIECE:x}\r\n").as_bytes()).await;
                wire.send(&piece).await;
                wire.send(b"\r\n").await;
                count.fetch_add(PIECE, Ordering::SeqCst);
            }
            wire.send(b"0\r\n\r\n").await;
        }
    })
    .await;
    let mut caller = Wire::to(front(graph.upstream()).await).await;
    let request = b"GET /big HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";
    caller.send(request).await;
    let held = soon(stalled(&written)).await;
    assert!(held < 2 * UNDER_WAY, "{held} bytes taken from Graph");
    let answer = soon(caller.rest()).await;
    assert!(answer.len() > PIECE * PIECES && answer.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_slow_stream_arrives_as_it_is_sent() {
    let graph = Graph::serving(|_, mut wire| async move {
        wire.request().await;
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            .await;
        wire.head().await; // Until the caller goes on.
    })
    .await;
    let mut caller = Wire::to(front(graph.upstream()).await).await;
    caller
        .send(b"GET /events HTTP/1.1\r\nHost: p\r\n\r\n")
        .await;
    let seen = soon(caller.until(|bytes| bytes.ends_with(b"one\r\n"))).await;
    assert!(seen.is_some());
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_body_is_complete() {
    let graph = Graph::serving(|_, mut wire| async move {
        wire.head().await;
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            .await;
        let end = wire.until(|bytes| bytes.ends_with(b"0\r\n\r\n")).await;
        assert_eq!(text(&end.unwrap()), "3\r\nabc\r\n0\r\n\r\n");
        wire.send(b"4\r\ndone\r\n0\r\n\r\n").await;
    })
    .await;
    let mut caller = Wire::to(front(graph.upstream()).await).await;
    caller
        .send(b"POST / HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    soon(caller.until(|bytes| bytes.ends_with(b"hi\r\n")))
        .await
        .unwrap();
    caller.send(b"3\r\nabc\r\n0\r\n\r\n").await;
    soon(caller.until(|bytes| bytes.ends_with(b"done\r\n0\r\n\r\n")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_reaches_the_caller() {
    let graph = Graph::serving(|_, mut wire| async move {
        wire.head().await;
        let refusal = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\
                        Content-Length: 2\r\n\r\nno";
        wire.send(refusal).await;
        // Reads no more, and closes with the upload unread.
    })
    .await;
    for _ in 0..20 {
        let source = Source {
            taken: Arc::default(),
            left: PIECES,
        };
        let request = Request::put("/big").body(source).unwrap();
        let answer = soon(graph.upstream().forward(request)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(body_of(answer).await, "no");
    }
}

const EXPECTING: &[u8] =
    b"PUT /x HTTP/1.1\r\nHost: p\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";

#[tokio::test]
async fn graph_refuses_an_expecting_request_before_its_body_is_sent() {
    let graph = Graph::serving(|_, mut wire| async move {
        let head = wire.head().await.unwrap();
        assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
        wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            .await;
        wire.rest().await;
    })
    .await;
    let mut caller = Wire::to(front(graph.upstream()).await).await;
    caller.send(EXPECTING).await;
    let seen = soon(caller.rest()).await;
    assert!(seen.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nno"), "{seen}");
}

#[tokio::test]
async fn a_caller_is_told_to_continue_when_graph_says_so_or_keeps_silent() {
    for says in ["HTTP/1.1 100 Continue\r\n\r\n", ""] {
        let graph = Graph::serving(move |_, mut wire| async move {
            wire.head().await;
            wire.send(says.as_bytes()).await;
            let mut body = [0; 3];
            wire.stream.read_exact(&mut body).await.unwrap();
            wire.send(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                .await;
            wire.rest().await;
        })
        .await;
        let mut caller = Wire::to(front(graph.upstream()).await).await;
        caller.send(EXPECTING).await;
        let interim = soon(caller.head()).await.unwrap();
        assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
        caller.send(b"abc").await;
        let answer = soon(caller.head()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    }
}
