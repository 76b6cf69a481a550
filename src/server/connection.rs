//! One connection from its first byte to its close.
//!
//! Finds out the protocol (ALPN, or the HTTP/2 preface of RFC 9113 §3.4 on a plain
//! connection), lets hyper speak it, puts the front checks before the service, and ends the
//! connection when it stands still or when the process leaves.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::Notify;

use super::activity::{Activity, Watched};
use super::cork::cork;
use super::eager::Eager;
use super::guard::Guard;
use super::scan::Scanner;
use super::shortcut::{Foreseen, Foresight, FromMemory};
use super::watch::drive;
use super::{Config, Service, front};
use crate::clock::Clock;
use crate::render::{Body, Problem};

/// What an HTTP/2 caller sends first (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much of one HTTP/2 answer is buffered beyond what the caller has room for.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// How much of one HTTP/2 request body may be in flight towards us; uploads are rare.
const H2_STREAM_WINDOW: u32 = 256 * 1024;
/// Streams reset before we have looked at them (rapid reset) until the connection is ended.
const H2_RESETS: usize = 20;
/// A caller's HTTP/2 connection that answers no ping for this long is dead.
const H2_PING: Duration = Duration::from_secs(20);
/// Read and write buffer of an HTTP/1 connection beside one head.
const H1_BUFFER: usize = 64 * 1024;

/// How long a caller that has just connected may take to say its first word once the process
/// is leaving: long enough for a request that is on its way.
const LAST_WORD: Duration = Duration::from_millis(250);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    http1: http1::Builder,
    http2: http2::Builder<Eager>,
    clock: Clock,
    leaving: AtomicBool,
    pub(super) leave: Notify,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // The guard and `Activity` keep the time of a head; see there.
            .header_read_timeout(None)
            .max_buf_size(config.max_header_bytes.saturating_add(H1_BUFFER));
        let mut http2 = http2::Builder::new(Eager);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_streams)
            .max_header_list_size(u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(H2_RESETS)
            .max_send_buf_size(H2_SEND_BUFFER)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING);
        Self {
            config,
            http1,
            http2,
            clock: Clock::system(),
            leaving: AtomicBool::new(false),
            leave: Notify::new(),
        }
    }

    /// Asks every connection to end once its answers in flight are sent.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.leave.notify_waiters();
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Resolves when [`Shared::leave`] has been called, and a caller who has just connected has
    /// had the time to say why.
    pub(super) async fn last_word(&self) {
        self.left().await;
        tokio::time::sleep(LAST_WORD).await;
    }

    /// Resolves when [`Shared::leave`] has been called.
    async fn left(&self) {
        let mut notified = pin!(self.leave.notified());
        notified.as_mut().enable();
        if !self.is_leaving() {
            notified.await;
        }
    }
}

/// Which protocol a connection speaks, where that is known before its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// To be seen from the first bytes.
    Any,
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Serves one connection to its end. Dropping it cuts the connection.
pub(super) async fn run<T, S>(stream: T, protocol: Protocol, shared: Arc<Shared>, service: S)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service,
{
    let activity = Activity::new();
    // Whatever is spoken the caller begins; until then a connection is as good as one in the
    // backlog, and must not be closed before the request that is on its way.
    let limit = shared.config.header_timeout;
    let first = tokio::select! {
        first = tokio::time::timeout(limit, first_bytes(stream)) => first,
        () = shared.last_word() => return,
    };
    let Ok(Some((stream, first))) = first else {
        return;
    };
    let protocol = match protocol {
        Protocol::Any if first == PREFACE => Protocol::Http2,
        Protocol::Any => Protocol::Http1,
        known => known,
    };
    // One count for all that a request needs, and one that no other connection touches.
    let answering = Arc::new(Answering {
        service,
        clock: shared.clock.clone(),
        activity: Arc::clone(&activity),
        foresight: Foresight::default(),
    });
    let shortcut = FromMemory::new(Arc::clone(&answering), Arc::clone(&shared));
    let answers = service_fn(move |request| Answer::Asked(request, Arc::clone(&answering)));
    if protocol == Protocol::Http2 {
        let (stream, uncork) = cork(Guard::open(stream, &first, Arc::clone(&activity)));
        let connection = shared.http2.serve_connection(TokioIo::new(stream), answers);
        let wind_down = http2::Connection::graceful_shutdown;
        let settle = |context: &mut Context<'_>| uncork.poll_uncork(context);
        drive(pin!(connection), wind_down, settle, &shared, &activity).await;
    } else {
        let scanner = Scanner::new(shared.config.max_header_bytes);
        let guard = Guard::new(stream, &first, scanner, Arc::clone(&activity));
        let io = TokioIo::new(guard.with_shortcut(Box::new(shortcut)));
        let connection = shared.http1.serve_connection(io, answers);
        let wind_down = http1::Connection::graceful_shutdown;
        let settled = |_: &mut Context<'_>| Poll::Ready(Ok(()));
        drive(pin!(connection), wind_down, settled, &shared, &activity).await;
    }
}

/// As many bytes as it takes to tell HTTP/2 from HTTP/1; `None` when the caller left.
async fn first_bytes<T: AsyncRead + Unpin>(mut stream: T) -> Option<(T, Vec<u8>)> {
    let mut first = [0; PREFACE.len()];
    let mut count = 0;
    loop {
        let read = stream.read(first.get_mut(count..)?).await.ok()?;
        count += read;
        let so_far = first.get(..count)?;
        if read == 0 {
            return None;
        }
        if count == PREFACE.len() || !PREFACE.starts_with(so_far) {
            return Some((stream, so_far.to_vec()));
        }
    }
}

/// What answers the requests of one connection.
pub(super) struct Answering<S: Service> {
    pub(super) service: S,
    clock: Clock,
    pub(super) activity: Arc<Activity>,
    pub(super) foresight: Foresight<S::Unanswered>,
}

/// What is known of a request that must wait, and whether its future is polled whenever it can
/// go on.
struct Unanswered<U> {
    found: U,
    attended: bool,
}

/// What comes of a request.
type Answered = Result<Response<Watched>, Infallible>;
/// An answer that has to be waited for.
type Coming = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// The answer to one request. It is begun when it is first polled, since hyper minds when the
/// request's body is dropped. One that is here at once takes no room of its own, and can be moved
/// until it is known that it is not ([`Eager`]).
#[expect(
    clippy::large_enum_variant,
    reason = "what is usual is not to be boxed"
)]
enum Answer<S: Service> {
    Asked(Request<Incoming>, Arc<Answering<S>>),
    Coming(Coming),
    Given,
}

impl<S: Service> Future for Answer<S> {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let mut coming = match std::mem::replace(&mut *self, Self::Given) {
            Self::Asked(request, answering) => match answering.begin(request) {
                Ok(answer) => return Poll::Ready(Ok(answer)),
                Err(coming) => coming,
            },
            Self::Coming(coming) => coming,
            Self::Given => return Poll::Pending,
        };
        let answer = coming.as_mut().poll(context);
        if answer.is_pending() {
            *self = Self::Coming(coming);
        }
        answer
    }
}

impl<S: Service> Answering<S> {
    /// Answers one request: with a refusal, or with what the service says.
    fn begin(&self, mut request: Request<Incoming>) -> Result<Response<Watched>, Coming> {
        let (nth, ticket) = self.activity.begin();
        match self.at_once(&mut request, nth) {
            Ok(answer) => {
                self.activity.spellings.skip();
                Ok(answer.map(|body| Watched::new(body, ticket)))
            }
            Err(unanswered) => {
                self.activity.spellings.lend(&mut request);
                let Unanswered { found, attended } = unanswered;
                let service = self.service.clone();
                Err(Box::pin(async move {
                    let answer = service.answer(request, found, attended).await;
                    Ok(answer.map(|body| Watched::new(body, ticket)))
                }))
            }
        }
    }

    /// A refusal, what was foreseen, or what the service says without waiting.
    fn at_once(
        &self,
        request: &mut Request<Incoming>,
        nth: u64,
    ) -> Result<Response<Body>, Unanswered<S::Unanswered>> {
        match self.foresight.of(nth) {
            Some(Foreseen::Answered(answer)) => return Ok(answer),
            Some(Foreseen::Unanswered(parts, found)) => {
                *request.headers_mut() = parts.headers;
                // Only what comes when all before it has been sent is foreseen: hyper has no
                // more to write until this is answered, and polls the answer each time.
                let attended = true;
                return Err(Unanswered { found, attended });
            }
            None => {}
        }
        let judged = match self.activity.refusal(nth) {
            Some(problem) => Err(problem),
            None => front::check(request),
        };
        match judged {
            Ok(()) => self.service.at_once(request).map_err(|found| Unanswered {
                found,
                attended: false,
            }),
            Err(problem) => Ok(refuse(problem, request, &self.clock)),
        }
    }
}

/// The Graph-shaped refusal; ends an HTTP/1 connection, as what follows cannot be trusted.
fn refuse(problem: Problem, request: &Request<Incoming>, clock: &Clock) -> Response<Body> {
    let mut reply = problem.reply(request.headers(), &fresh_id(), clock.now());
    if request.version() < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        reply.headers_mut().insert(header::CONNECTION, close);
    }
    reply
}

/// A random UUID (RFC 9562 §5.4), as Graph's `request-id` is one.
fn fresh_id() -> String {
    let mut bytes = [0; 16];
    // Only uniqueness is at stake; without randomness the id is all zeros.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xF << 76) | (0x4 << 76);
    let number = number & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}
