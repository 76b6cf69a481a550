//! The guard by itself: whatever the reads, hyper gets the same bytes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tokio::io::{AsyncRead, ReadBuf, join, sink};

use super::super::activity::Activity;
use super::super::guard::Guard;
use super::super::scan::Scanner;

/// Gives its pieces one a read, waits between them, then ends.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.0.pop_front() else {
            return Poll::Ready(Ok(()));
        };
        if piece.is_empty() {
            return Poll::Pending;
        }
        let rest = piece.split_off(piece.len().min(buf.remaining()));
        buf.put_slice(&piece);
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

/// What comes out of a guard that reads `bytes` in pieces, into buffers of one size; and how
/// it ends.
fn through(bytes: &[u8], cuts: &[usize], room: usize) -> (Vec<u8>, &'static str) {
    let mut pieces = VecDeque::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let to = cut.clamp(from, bytes.len());
        pieces.push_back(bytes[from..to].to_vec());
        from = to;
    }
    let first = pieces.pop_front().unwrap_or_default();
    let scanner = Scanner::new(8 * 1024);
    let mut guard = Guard::new(
        join(Pieces(pieces), sink()),
        &first,
        scanner,
        Activity::new(),
    );
    let (mut out, mut waits) = (Vec::new(), 0);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut space = vec![0; room];
        let mut buf = ReadBuf::new(&mut space);
        match Pin::new(&mut guard).poll_read(&mut context, &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return (out, "end"),
            Poll::Ready(Ok(())) => out.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => return (out, "broken"),
            Poll::Pending if waits > cuts.len() => return (out, "refused"),
            Poll::Pending => waits += 1,
        }
    }
}

fn stream() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => Just("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        4 => Just("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0\r\n\r\nGET /"),
        4 => Just("POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\n\r\n\r\n\r\n0\r\nT: v\r\n\r\n"),
        1 => Just("POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n"),
        1 => Just("GET /e HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n"),
        1 => Just("GET /f HTTP/1.1\r\nHost"),
        1 => Just("\r\n"),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_bytes_passed_on_do_not_depend_on_the_reads(
        bytes in stream(),
        cuts in prop::collection::vec(0..300_usize, 0..20),
        room in 1..120_usize,
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (whole, end) = through(bytes.as_bytes(), &[], 64 * 1024);
        prop_assert_eq!(through(bytes.as_bytes(), &cuts, room), (whole.clone(), end));
        let shown = String::from_utf8_lossy(&whole).into_owned();
        if end == "refused" {
            let stand_in = shown.find("GET / HTTP/1.1\r\nhost: refused").unwrap();
            prop_assert!(bytes.starts_with(shown.split_at(stand_in).0));
            prop_assert!(!shown.contains("folded"));
        } else {
            prop_assert!(bytes.starts_with(&shown));
        }
    }
}

/// The request lines a scanner finds, and where hyper might stop early.
fn lines(bytes: &[u8]) -> Vec<String> {
    let mut scanner = Scanner::new(8 * 1024);
    let (mut passed, mut found) = (0, Vec::new());
    for end in 1..=bytes.len() {
        let heads = scanner.heads();
        let scan = scanner.scan(&bytes[passed..end]);
        if scanner.heads() > heads {
            let head = String::from_utf8_lossy(&bytes[passed..end]).into_owned();
            let line = head.trim_start().split(" HTTP/").next().unwrap().to_owned();
            found.push(format!("<{line}>"));
        }
        passed += scan.passed;
        if scan.refused.is_some() {
            break;
        }
    }
    found
}

fn mixed_up() -> impl Strategy<Value = String> {
    let body = "4\r\nGET \r\n0\r\n\r\n";
    let field = prop_oneof![
        3 => Just("Host: h\r\n"),
        2 => Just("Content-Length: 14\r\n"),
        2 => Just("Transfer-Encoding: chunked\r\n"),
        1 => Just("Content-Length: 0\r\n"),
        1 => Just("content-length:14\r\n"),
        1 => Just("Transfer-Encoding:\tCHUNKED \r\n"),
        1 => Just("Connection: keep-alive\r\n"),
        1 => Just("Upgrade: h2c\r\n"),
        1 => Just("Expect: 100-continue\r\n"),
        1 => Just("X: y\n"),
    ];
    let fields = prop::collection::vec(field, 0..3).prop_map(|fields| fields.concat());
    let method = prop_oneof![
        Just("GET"),
        Just("POST"),
        Just("HEAD"),
        Just("PUT"),
        Just("X")
    ];
    let version = prop_oneof![9 => Just("1.1"), 1 => Just("1.0")];
    let message = (method, 0..9_u8, version, fields, any::<bool>()).prop_map(
        move |(method, n, version, fields, with_body)| {
            let body = if with_body { body } else { "" };
            format!("{method} /{n} HTTP/{version}\r\nHost: h\r\n{fields}\r\n{body}").replacen(
                "Host: h\r\n",
                if n == 0 { "" } else { "Host: h\r\n" },
                1,
            )
        },
    );
    prop::collection::vec(message, 1..6).prop_map(|messages| messages.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn hyper_sees_the_same_messages_as_the_guard(bytes in mixed_up()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (reply, requests) = runtime.block_on(async {
            let server = super::start(&super::config());
            let mut stream = server.connect().await;
            tokio::io::AsyncWriteExt::write_all(&mut stream, bytes.as_bytes()).await.unwrap();
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
            (super::rest(&mut stream).await, server.requests())
        });
        let lines = lines(bytes.as_bytes());
        prop_assert!(requests <= lines.len());
        let mut answered = lines.iter().filter(|line| !line.starts_with("<HEAD"));
        for answer in reply.split('<').skip(1) {
            let line = answered.next().map(String::as_str);
            let answer = format!("<{}", answer.split_inclusive('>').next().unwrap());
            prop_assert_eq!(line, Some(answer.as_str()), "{:?}: {}", bytes, reply);
        }
    }
}
