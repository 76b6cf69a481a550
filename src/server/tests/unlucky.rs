//! A transport that does whatever a transport may, and answers in their place all the same.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::connection::{Protocol, Shared, run};
use super::shortcuts::{asked, some_request};
use super::*;

/// Reads and writes in pieces, is not ready, and holds back what is not flushed, as TLS does.
struct Unlucky {
    coming: VecDeque<Vec<u8>>,
    /// Written and not flushed.
    held: Vec<u8>,
    out: Arc<Mutex<Vec<u8>>>,
    dice: u64,
    /// How often in 16 it is not ready.
    waits: u64,
    vectored: bool,
    /// So many more reads find nothing, while what was asked for is answered.
    patience: u64,
    /// We have been told to end; the other end does then, too.
    ended: bool,
}

impl Unlucky {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    fn waits(&mut self, context: &Context<'_>) -> bool {
        let waits = self.roll(16) < self.waits;
        if waits {
            context.waker().wake_by_ref();
        }
        waits
    }

    fn some_of(&mut self, most: usize) -> usize {
        let sides = u64::try_from(most.max(1)).unwrap();
        let part = usize::try_from(self.roll(sides)).unwrap() + 1;
        if self.roll(2) == 0 { part } else { part.min(7) }
    }
}

impl AsyncRead for Unlucky {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.coming.pop_front() else {
            return if self.ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        };
        if self.patience > 0 || self.waits(context) {
            self.patience = self.patience.saturating_sub(1);
            self.coming.push_front(piece);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.patience = self.roll(16);
        let rest = piece.split_off(piece.len().min(buf.remaining()));
        if !rest.is_empty() {
            self.coming.push_front(rest);
        }
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Unlucky {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waits(context) {
            return Poll::Pending;
        }
        let count = self.some_of(bytes.len()).min(bytes.len());
        self.held.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = if self.vectored {
            slices.iter().flat_map(|slice| slice.to_vec()).collect()
        } else {
            let first = slices.iter().find(|slice| !slice.is_empty());
            first.map(|slice| slice.to_vec()).unwrap_or_default()
        };
        self.poll_write(context, &all)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let most = self.held.len();
        let part = self.some_of(most).min(most);
        let count = if self.roll(4) > 0 { most } else { part };
        let flushed: Vec<u8> = self.held.drain(..count).collect();
        self.out.lock().unwrap().extend(flushed);
        if self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        self.poll_flush(context)
    }
}

/// Takes one answer off the front; its body.
fn take(out: &mut &[u8], has_no_body: bool) -> Option<String> {
    let end = out.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, rest) = out.split_at(end);
    let head = std::str::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let length = if has_no_body { 0 } else { length };
    let (body, rest) = rest.split_at_checked(length)?;
    *out = rest;
    Some(String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn answers_keep_their_order_whatever_the_transport_does() {
    let requests = prop::collection::vec(
        (some_request(), prop::option::weighted(0.3, 1..300_usize)),
        1..16,
    );
    let world = (requests, any::<u64>(), 0..12_u64, any::<bool>());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let past = AtomicUsize::new(0);
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    });
    let outcome = runner.run(&world, |(mut requests, dice, waits, vectored)| {
        let last = asked("GET", "/held/2", "Connection: close\r\n", "");
        requests.push((last, None));
        // One in a piece, or with a part of the next, or in parts.
        let mut coming = VecDeque::new();
        let mut begun = Vec::new();
        for (asked, cut) in &requests {
            begun.extend_from_slice(asked.bytes.as_bytes());
            let rest = cut.map(|cut| begun.split_off(cut.min(begun.len())));
            coming.push_back(std::mem::replace(&mut begun, rest.unwrap_or_default()));
        }
        coming.push_back(begun);
        coming.retain(|piece| !piece.is_empty());
        let out = Arc::new(Mutex::new(Vec::new()));
        let transport = Unlucky {
            coming,
            held: Vec::new(),
            out: Arc::clone(&out),
            dice: dice | 1,
            waits,
            vectored,
            patience: 0,
            ended: false,
        };
        let echo = Echo::default();
        let shared = Arc::new(Shared::new(config()));
        let run = run(transport, Protocol::Http1, shared, echo.clone());
        runtime.block_on(within(run));
        past.fetch_add(echo.0.past_hyper.load(Ordering::SeqCst), Ordering::SeqCst);

        let out = out.lock().unwrap();
        let mut left = out.as_slice();
        for (asked, _) in &requests {
            let body = take(&mut left, asked.has_no_body);
            let body = body.expect("an answer to each request");
            prop_assert!(
                asked.has_no_body || body == asked.answer,
                "{:?}: {}",
                asked,
                body
            );
        }
        prop_assert!(left.is_empty(), "{:?}", left.escape_ascii().to_string());
        Ok(())
    });
    outcome.unwrap();
    let past = past.into_inner();
    assert!(past > 300, "{past} went past hyper");
}
