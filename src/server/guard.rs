//! Stands between the socket and hyper: whole, well-formed HTTP/1 heads pass, nothing else.
//!
//! A head is held back until its last byte is here and [`Scanner`] has found no fault with
//! it. In place of a refused head hyper is given [`STAND_IN`], and the answering side, which
//! counts requests, replies to that one with the refusal. So refusals keep their place
//! behind the answers of earlier pipelined requests and are written by the same code, and no
//! byte a caller can send imitates one.
//!
//! The one thing that is changed on the way is a target with a quote, an angle bracket or a
//! grave accent that hyper cannot hold: it is percent-encoded ([`encoded`]).
//!
//! A head that arrives in one read is scanned where it lies and not copied. A chunked body
//! that breaks its framing ends in an error, as a lost connection would.
//!
//! A head with nothing behind it may be answered right here ([`Shortcut`]), past hyper: where
//! hyper owes no answer and has written all it had, so that answers keep their order. hyper
//! sees nothing of it; the connection stays its own in everything else. While such an answer is
//! waited for, what the caller sends is kept back, and one that leaves ends the wait.
//!
//! After a refusal the rest of what the caller sends is read and thrown away for a moment
//! before the close: closing on unread bytes sends a reset, and the answer would be lost.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::activity::Activity;
use super::scan::{Scan, Scanner, encoded};
use super::shortcut::{Awaited, Coming, Outgoing, Shortcut, Taken};
use crate::render::Problem;

/// How much is read at most of what a caller sends while an answer is waited for.
const MOST_AHEAD: usize = 1024;
/// What hyper reads where a head was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// How much is thrown away before a close at most: a caller that sends on forever is cut.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// And for how long: enough for a caller on a slow link to take the answer.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// A stream whose HTTP/1 requests are checked on their way in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a state of its own: of a head, a body, what came ahead, and hyper"
)]
pub(super) struct Guard<T> {
    inner: T,
    /// `None` for HTTP/2, which frames its messages itself.
    scanner: Option<Scanner>,
    activity: Arc<Activity>,
    /// Bytes taken from `inner` and not yet passed on.
    staged: BytesMut,
    /// How many of them may be.
    ready: usize,
    end: End,
    arriving: bool,
    starved: bool,
    linger: Option<Pin<Box<Sleep>>>,
    lingered: usize,
    /// What answers heads past hyper, if anything does.
    shortcut: Option<Box<dyn Shortcut>>,
    /// Such an answer, waited for.
    coming: Option<(Coming, Awaited)>,
    /// What is staged came meanwhile, and has not been judged.
    is_ahead: bool,
    /// Such an answer, on its way out.
    outgoing: Option<Outgoing>,
    /// hyper has been given nothing that it has not answered to the last byte.
    is_quiet: bool,
}

/// Whether, and how, reading is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Not,
    /// A head was refused; the stand-in is the last to be read.
    Refused,
    /// A body broke its framing.
    Broken,
}

impl<T> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("staged", &self.staged.len())
            .field("ready", &self.ready)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<T> Guard<T> {
    /// Guards HTTP/1 requests; `first` has been read from `inner` already.
    pub(super) fn new(inner: T, first: &[u8], scanner: Scanner, activity: Arc<Activity>) -> Self {
        activity.count_writes();
        let mut guard = Self::open(inner, first, activity);
        guard.ready = 0;
        guard.scanner = Some(scanner);
        guard.judge_staged();
        guard
    }

    /// Passes everything, `first` before the rest.
    pub(super) fn open(inner: T, first: &[u8], activity: Arc<Activity>) -> Self {
        Self {
            inner,
            scanner: None,
            activity,
            staged: BytesMut::from(first),
            ready: first.len(),
            end: End::Not,
            arriving: false,
            starved: false,
            linger: None,
            lingered: 0,
            shortcut: None,
            coming: None,
            is_ahead: false,
            outgoing: None,
            is_quiet: false,
        }
    }

    /// Lets heads be answered past hyper.
    pub(super) fn with_shortcut(mut self, shortcut: Box<dyn Shortcut>) -> Self {
        self.shortcut = Some(shortcut);
        self
    }

    /// Scans what is staged, from its start.
    fn judge_staged(&mut self) {
        if let Some(scanner) = &mut self.scanner {
            let scan = scanner.scan(&self.staged);
            self.ready = scan.passed;
            self.settle(&scan);
        }
    }

    /// Draws the consequences of a scan that left `ready` staged bytes to pass.
    fn settle(&mut self, scan: &Scan) {
        if scan.refused == Some(Problem::BadTarget) && self.mend() {
            return;
        }
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        scanner.take_names(|names| self.activity.spellings.note(names));
        if let Some(problem) = scan.refused {
            self.staged.truncate(self.ready);
            if scanner.in_body() {
                self.end = End::Broken;
            } else {
                self.end = End::Refused;
                self.activity.refuse(scanner.heads() + 1, problem);
                self.staged.extend_from_slice(STAND_IN);
                self.ready = self.staged.len();
            }
        }
        let arriving = self.staged.len() > self.ready;
        if arriving != self.arriving {
            self.arriving = arriving;
            self.activity.head_arriving(arriving);
        }
    }

    /// Encodes what hyper could not hold in the target of the head that was refused, and judges
    /// it again. `false` where that would change nothing.
    fn mend(&mut self) -> bool {
        let refused = self.staged.get(self.ready..).unwrap_or_default();
        let (Some(mended), Some(scanner)) = (encoded(refused), &mut self.scanner) else {
            return false;
        };
        self.staged.truncate(self.ready);
        self.staged.extend_from_slice(&mended);
        scanner.again();
        let scan = scanner.scan(&mended);
        self.ready += scan.passed;
        self.settle(&scan);
        true
    }

    /// Judges what came while an answer was waited for, if anything did.
    fn judge_ahead(&mut self) -> bool {
        let is_ahead = std::mem::take(&mut self.is_ahead);
        if is_ahead {
            self.judge_staged();
        }
        is_ahead
    }

    /// Gives hyper a head that was to be answered past it, and judges what came behind it.
    fn hand_over(&mut self, head: &[u8]) {
        let ahead = std::mem::take(&mut self.staged);
        self.is_ahead = false;
        self.staged.extend_from_slice(head);
        self.staged.extend_from_slice(&ahead);
        self.ready = head.len();
        if let Some(scanner) = &mut self.scanner {
            scanner.pass(head);
            let scan = scanner.scan(&ahead);
            self.ready += scan.passed;
            self.settle(&scan);
        }
    }

    /// Hands staged bytes on, as many as may pass and fit.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ready.min(buf.remaining());
        if let Some(bytes) = self.staged.get(..count) {
            self.is_quiet = false;
            buf.put_slice(bytes);
            self.staged.advance(count);
            self.ready -= count;
        }
        if self.staged.is_empty() {
            self.staged = BytesMut::new();
        }
    }

    fn set_starved(&mut self, starved: bool) {
        if starved != self.starved {
            self.starved = starved;
            self.activity.starved(starved);
        }
    }

    /// Judges what has just been read into `buf` from `before` on; keeps back what must wait.
    fn judge_fresh(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if !self.staged.is_empty() {
            self.staged.extend_from_slice(fresh);
            buf.set_filled(before);
            self.judge_staged();
            return;
        }
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        if scanner.in_body() {
            self.activity.moved();
        }
        let scan = match &mut self.shortcut {
            Some(shortcut) if self.is_quiet && scanner.is_between() => {
                let nth = scanner.heads() + 1;
                scanner.scan_or(fresh, |head| {
                    match shortcut.answer(head, nth) {
                        Taken::Not => return false,
                        Taken::Answered(outgoing) => self.outgoing = Some(outgoing),
                        Taken::Coming(coming, to) => self.coming = Some((coming, to)),
                    }
                    true
                })
            }
            _ => scanner.scan(fresh),
        };
        if scan.answered {
            buf.set_filled(before);
            return;
        }
        self.is_quiet = false;
        if scan.passed < fresh.len() {
            self.staged
                .extend_from_slice(fresh.get(scan.passed..).unwrap_or_default());
            buf.set_filled(before + scan.passed);
        }
        self.settle(&scan);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            if this.ready > 0 {
                this.deliver(buf);
            }
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_coming(context));
            ready!(this.poll_outgoing(context))?;
            if this.ready > 0 || this.judge_ahead() {
                continue;
            }
            match this.end {
                End::Not => {}
                // Nothing will wake this read: the stand-in's answer closes the connection.
                End::Refused => return Poll::Pending,
                End::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
            let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(context, buf) else {
                this.set_starved(this.scanner.as_ref().is_some_and(Scanner::in_body));
                return Poll::Pending;
            };
            read?;
            this.set_starved(false);
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            if this.scanner.is_none() {
                return Poll::Ready(Ok(()));
            }
            this.judge_fresh(buf, before);
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    /// Waits for an answer that goes past hyper, if it does: then it is on its way out, or its head
    /// on its way to hyper.
    fn poll_coming(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((coming, _)) = &mut self.coming else {
            return Poll::Ready(());
        };
        if let Poll::Ready(answer) = coming.as_mut().poll(context) {
            self.activity.goes_beside(false);
            let (to, shortcut) = (self.coming.take(), self.shortcut.as_mut());
            match to.zip(shortcut).map(|((_, to), s)| s.came(answer, to)) {
                Some(Ok(outgoing)) => self.outgoing = Some(outgoing),
                Some(Err(head)) => self.hand_over(&head),
                None => {}
            }
            return Poll::Ready(());
        }
        if !self.staged.is_empty() {
            return Poll::Pending;
        }
        let mut room = [0; MOST_AHEAD];
        let mut ahead = ReadBuf::new(&mut room);
        match ready!(Pin::new(&mut self.inner).poll_read(context, &mut ahead)) {
            Ok(()) if !ahead.filled().is_empty() => {
                self.staged.extend_from_slice(ahead.filled());
                self.is_ahead = true;
                Poll::Pending
            }
            // Nobody waits for it any more: what is read next says so again.
            _ => {
                self.activity.goes_beside(false);
                self.coming = None;
                Poll::Ready(())
            }
        }
    }

    /// Sends what is left of an answer that went past hyper.
    fn poll_outgoing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Ok(()));
        };
        let mut inner = Pin::new(&mut self.inner);
        while !outgoing.is_written() {
            let written = ready!(outgoing.poll_write(inner.as_mut(), context))?;
            self.activity.moved();
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        ready!(inner.poll_flush(context))?;
        self.outgoing = None;
        Poll::Ready(Ok(()))
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        if self.scanner.is_some() && written.is_ready() {
            self.activity.moved();
        }
    }

    /// Reads and drops until the caller closes, or enough has been read or waited for.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_TIME)));
        if sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut waste = [0; 8192];
        while self.lingered < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut self.inner).poll_read(context, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
            self.lingered += buf.filled().len();
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(context))?;
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.note_write(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(context))?;
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, slices);
        this.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.inner).poll_flush(context))?;
        // What hyper does not know of leaves it as quiet as it was.
        if this.coming.is_some() {
            return Poll::Ready(Ok(()));
        }
        // hyper flushes when it has written all it had.
        let heads = this.scanner.as_ref().map(Scanner::heads);
        this.is_quiet = this.ready == 0
            && this.end == End::Not
            && heads.is_some_and(|heads| this.activity.is_through_with(heads));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(context))?;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        }
        let unread = this.scanner.as_ref().is_some_and(Scanner::in_body);
        if unread || this.end != End::Not {
            ready!(this.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}
