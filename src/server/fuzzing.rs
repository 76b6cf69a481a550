//! A door to the byte guard for the fuzzer, and for tests; built for nobody else.

use std::convert::Infallible;
use std::future::{Future as _, ready};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::scan::Scanner;
use super::shortcut;

/// How a connection's bytes were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How many bytes would have reached hyper.
    pub passed: usize,
    /// How many heads were whole.
    pub heads: u64,
    /// Whether the bytes after those were refused.
    pub refused: bool,
}

/// Reads a connection that comes in these pieces, as the guard does.
pub fn scan(pieces: &[&[u8]]) -> Verdict {
    let mut scanner = Scanner::new(8 * 1024);
    let (mut waiting, mut passed, mut refused) = (Vec::new(), 0, false);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let scan = scanner.scan(&waiting);
        waiting.drain(..scan.passed);
        passed += scan.passed;
        if scan.refused.is_some() {
            refused = true;
            break;
        }
    }
    Verdict {
        passed,
        heads: scanner.heads(),
        refused,
    }
}

/// Whether these bytes are one head that may be answered past hyper.
///
/// # Panics
///
/// Where hyper would have seen another request in them, or done more than answer it.
pub fn is_read_as_by_hyper(bytes: &[u8]) -> bool {
    let (mut short, mut again) = (None, None);
    Scanner::new(64 * 1024).scan_or(bytes, |head| {
        let mut credential = HeaderValue::from_static("");
        let copy = Bytes::copy_from_slice(head.bytes);
        let mut read = || {
            let is_plain = shortcut::is_plain(head);
            is_plain.then(|| shortcut::read(head, &copy, HeaderMap::new(), &mut credential))?
        };
        (short, again) = (read(), read());
        false
    });
    let (Some(short), Some(again)) = (short, again) else {
        return false;
    };
    assert!(short.headers().iter().eq(again.headers().iter()));
    let (long, answer) = by_hyper(bytes);
    let Some((long, has_no_body)) = long else {
        panic!("hyper sees no request in {}", bytes.escape_ascii());
    };
    let short = short.into_parts().0;
    assert_eq!(
        (&short.method, &short.uri, short.version),
        (&long.method, &long.uri, long.version)
    );
    assert!(
        short.headers.iter().eq(long.headers.iter()),
        "{:?} and not {:?}",
        short.headers,
        long.headers
    );
    assert!(has_no_body && long.extensions.is_empty());
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: ")
            && answer.matches("\r\n").count() == 4,
        "{answer}"
    );
    true
}

/// The request that hyper sees, whether it has no body, and what hyper writes in answer.
fn by_hyper(bytes: &[u8]) -> (Option<(Parts, bool)>, Vec<u8>) {
    let seen = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(seen.is_none(), "a second request: {parts:?}");
        *seen = Some((parts, body.is_end_stream()));
        ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let mut written = Vec::new();
    {
        let io = TokioIo::new(tokio::io::join(ThenNothing(bytes), &mut written));
        let mut connection = pin!(http1::Builder::new().serve_connection(io, service));
        let mut context = Context::from_waker(Waker::noop());
        let _ = connection.as_mut().poll(&mut context);
    }
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    (seen, written)
}

/// Bytes, and then silence.
struct ThenNothing<'a>(&'a [u8]);

impl AsyncRead for ThenNothing<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_read(context, buf)
    }
}
