//! What one connection is doing, as its timeouts need to know it.
//!
//! Shared between the guard (bytes), the answers (requests and bodies) and the task that
//! holds the connection (time). A few relaxed counters: a lost race costs one timer tick.
//! hyper's own header timeout runs on a kept connection between requests too, so it could not
//! be shorter than the idle timeout; this one starts with the first byte of a head.

use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::Config;
use super::spelling::Spellings;
use crate::render::body::BodyError;
use crate::render::{Body, Problem};

/// The shared counters of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// When something last moved, in nanoseconds after `start`.
    moved: AtomicU64,
    /// When the head that is arriving began, the same way; zero when none is.
    head_since: AtomicU64,
    /// Requests taken up so far.
    seen: AtomicU64,
    /// The answer to a request is awaited that hyper does not know of.
    is_beside: AtomicBool,
    /// Requests whose answer has not been handed over whole.
    open: AtomicU32,
    /// Those of them whose next step is ours or Graph's.
    owed: AtomicU32,
    /// A request body is wanted and the caller does not send it.
    starved: AtomicBool,
    /// Whether writes are noted, which follow whatever has been handed over.
    counts_writes: AtomicBool,
    /// The names of the requests that have not been taken up.
    pub(super) spellings: Spellings,
    /// Which request, counted from one, was refused by the guard, and why.
    refused: OnceLock<(u64, Problem)>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            is_beside: AtomicBool::new(false),
            open: AtomicU32::new(0),
            owed: AtomicU32::new(0),
            starved: AtomicBool::new(false),
            counts_writes: AtomicBool::new(false),
            spellings: Spellings::default(),
            refused: OnceLock::new(),
        })
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Something moved just now.
    pub(super) fn moved(&self) {
        self.moved.store(self.elapsed(), Relaxed);
    }

    /// From here on writes are noted as they are made.
    pub(super) fn count_writes(&self) {
        self.counts_writes.store(true, Relaxed);
    }

    /// A head has begun to arrive, or none is arriving any more.
    pub(super) fn head_arriving(&self, arriving: bool) {
        let since = if arriving { self.elapsed().max(1) } else { 0 };
        self.head_since.store(since, Relaxed);
    }

    pub(super) fn is_head_arriving(&self) -> bool {
        self.head_since.load(Relaxed) != 0
    }

    pub(super) fn starved(&self, starved: bool) {
        self.starved.store(starved, Relaxed);
    }

    /// Request number `nth` of this connection is refused; nothing follows it.
    pub(super) fn refuse(&self, nth: u64, problem: Problem) {
        let _ = self.refused.set((nth, problem));
    }

    /// Why the guard refused request number `nth`, if it did.
    pub(super) fn refusal(&self, nth: u64) -> Option<Problem> {
        let (refused, problem) = self.refused.get()?;
        (*refused == nth).then_some(*problem)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Relaxed) == 0
    }

    /// Whether that many requests have been taken up, and each has been answered.
    pub(super) fn is_through_with(&self, requests: u64) -> bool {
        self.is_idle() && self.seen.load(Relaxed) == requests
    }

    /// A request has been taken up; the ticket stands for it until its answer is sent.
    pub(super) fn begin(self: &Arc<Self>) -> (u64, Ticket) {
        self.open.fetch_add(1, Relaxed);
        self.owed.fetch_add(1, Relaxed);
        self.moved();
        let nth = self.seen.fetch_add(1, Relaxed) + 1;
        let ticket = Ticket {
            activity: Arc::clone(self),
            owed: true,
        };
        (nth, ticket)
    }

    /// A request has been taken up and answered; the answer is still to be written, and notes
    /// that itself.
    pub(super) fn begin_answered(self: &Arc<Self>) -> Ticket {
        self.open.fetch_add(1, Relaxed);
        self.seen.fetch_add(1, Relaxed);
        Ticket {
            activity: Arc::clone(self),
            owed: false,
        }
    }

    /// A request has been taken up that hyper does not know of, or that is over.
    pub(super) fn goes_beside(&self, is_beside: bool) {
        self.is_beside.store(is_beside, Relaxed);
    }

    /// Whether an answer is awaited that hyper does not know of: to hyper the connection is idle.
    pub(super) fn is_beside(&self) -> bool {
        self.is_beside.load(Relaxed)
    }

    /// When the connection will have stood still too long; `None` while we owe the next step.
    pub(super) fn due(&self, config: &Config) -> Option<Instant> {
        if let Some(at) = self.head_due(config) {
            return Some(at);
        }
        if self.seen.load(Relaxed) == 0 {
            return Some(self.start + config.header_timeout);
        }
        if self.owed.load(Relaxed) > 0 && !self.starved.load(Relaxed) {
            return None;
        }
        let moved = Duration::from_nanos(self.moved.load(Relaxed));
        Some(self.start + moved + config.idle_timeout)
    }

    /// When the head that is arriving must have ended.
    pub(super) fn head_due(&self, config: &Config) -> Option<Instant> {
        let since = self.head_since.load(Relaxed);
        if since == 0 || !self.is_idle() {
            return None;
        }
        let since = Duration::from_nanos(since.max(self.moved.load(Relaxed)));
        Some(self.start + since + config.header_timeout)
    }
}

/// One request between its head and the last byte of its answer. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Ticket {
    activity: Arc<Activity>,
    owed: bool,
}

impl Ticket {
    /// The answer is here, and still to be written.
    pub(super) fn is_answered(&mut self) {
        self.owe(false);
    }

    /// The request has not been taken up after all: hyper will.
    pub(super) fn give_back(self) {
        self.activity.seen.fetch_sub(1, Relaxed);
    }

    /// Whether the next step is ours; the caller's otherwise.
    fn owe(&mut self, owed: bool) {
        if owed && !self.owed {
            self.activity.owed.fetch_add(1, Relaxed);
        } else if !owed && self.owed {
            self.activity.moved();
            self.activity.owed.fetch_sub(1, Relaxed);
        }
        self.owed = owed;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.owed {
            self.activity.owed.fetch_sub(1, Relaxed);
        }
        // Over HTTP/1 what has been handed over is still to be written, which counts itself.
        if !self.activity.counts_writes.load(Relaxed) {
            self.activity.moved();
        }
        self.activity.open.fetch_sub(1, Relaxed);
    }
}

/// An answer's body that keeps its request's ticket until it has been handed over.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    ticket: Ticket,
}

impl Watched {
    pub(super) fn new(body: Body, mut ticket: Ticket) -> Self {
        ticket.owe(false);
        Self { body, ticket }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.ticket.owe(frame.is_pending());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
