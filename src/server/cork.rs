//! Holds small writes back until a turn of the connection is over, so that they leave as one.
//!
//! The HTTP/2 library writes and flushes every frame with data by itself; over TLS each is a
//! record and a call of the system of its own, which for a thumbnail cost more than all else
//! that answering it takes. What is asked for together is answered together here: the task
//! that drives the connection [uncorks](Uncork) it when it has been polled.
//!
//! Nothing waits longer than that, and no more than [`HELD`] is held: where there is more, or
//! the socket is full, writing is as it would be without this.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is held back at most: a photo of 60 KB, which is four frames, leaves as one piece.
const HELD: usize = 64 * 1024;

/// A stream whose flushes wait for [`Uncork::poll_uncork`].
pub(super) struct Corked<T>(Arc<Mutex<Held<T>>>);

/// What lets go of what a [`Corked`] stream holds.
pub(super) struct Uncork<T>(Arc<Mutex<Held<T>>>);

/// A stream, and what is still to be written to it.
struct Held<T> {
    stream: T,
    bytes: Vec<u8>,
    /// How many of them have been.
    written: usize,
    /// Something has been written since the last flush.
    is_dirty: bool,
}

/// Corks a stream.
pub(super) fn cork<T>(stream: T) -> (Corked<T>, Uncork<T>) {
    let held = Arc::new(Mutex::new(Held {
        stream,
        bytes: Vec::new(),
        written: 0,
        is_dirty: false,
    }));
    (Corked(Arc::clone(&held)), Uncork(held))
}

/// Only the connection's own task comes here, so nobody ever waits.
fn locked<T>(held: &Mutex<Held<T>>) -> MutexGuard<'_, Held<T>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: AsyncWrite + Unpin> Held<T> {
    /// Takes up what fits.
    fn hold(&mut self, slices: &[IoSlice<'_>]) -> Option<usize> {
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if self.bytes.len() + length > HELD {
            return None;
        }
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(HELD);
        }
        for slice in slices {
            self.bytes.extend_from_slice(slice);
        }
        self.is_dirty = true;
        Some(length)
    }

    /// Writes what is held.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left @ [_, ..]) = self.bytes.get(self.written..) {
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write(context, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        // An idle connection keeps no room.
        self.bytes = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Uncork<T> {
    /// Writes and flushes what is held.
    pub(super) fn poll_uncork(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held = &mut *locked(&self.0);
        if held.is_dirty {
            ready!(held.poll_drain(context))?;
            ready!(Pin::new(&mut held.stream).poll_flush(context))?;
            held.is_dirty = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Corked<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut locked(&self.0).stream).poll_read(context, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Corked<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let held = &mut *locked(&self.0);
        if let Some(length) = held.hold(slices) {
            return Poll::Ready(Ok(length));
        }
        ready!(held.poll_drain(context))?;
        if let Some(length) = held.hold(slices) {
            return Poll::Ready(Ok(length));
        }
        held.is_dirty = true;
        Pin::new(&mut held.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: [`Uncork::poll_uncork`] flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held = &mut *locked(&self.0);
        ready!(held.poll_drain(context))?;
        // A stream that is shut down has been flushed.
        held.is_dirty = false;
        Pin::new(&mut held.stream).poll_shutdown(context)
    }
}

impl<T> fmt::Debug for Corked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Corked(_)")
    }
}

impl<T> fmt::Debug for Uncork<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uncork(_)")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Takes `room` bytes and then no more, and counts how often it is written to.
    #[derive(Default)]
    struct Socket {
        room: usize,
        writes: usize,
        flushes: usize,
        got: Vec<u8>,
        is_broken: bool,
    }

    impl AsyncWrite for Socket {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            if this.is_broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let taken = bytes.get(..bytes.len().min(this.room)).unwrap_or_default();
            if taken.is_empty() {
                return Poll::Pending;
            }
            this.room -= taken.len();
            this.writes += 1;
            this.got.extend_from_slice(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.get_mut().flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn corked(room: usize) -> (Corked<Socket>, Uncork<Socket>) {
        cork(Socket {
            room,
            ..Socket::default()
        })
    }

    fn write(corked: &mut Corked<Socket>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let written = Pin::new(&mut *corked).poll_write(&mut context, bytes);
        let flushed = Pin::new(corked).poll_flush(&mut context);
        assert!(matches!(flushed, Poll::Ready(Ok(()))));
        written
    }

    fn uncork(uncork: &Uncork<Socket>) -> Poll<io::Result<()>> {
        uncork.poll_uncork(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn what_is_written_in_one_turn_leaves_as_one() {
        let (mut stream, turn) = corked(usize::MAX);
        for part in [&b"one "[..], b"two ", b"three"] {
            assert!(matches!(write(&mut stream, part), Poll::Ready(Ok(n)) if n == part.len()));
        }
        assert_eq!(locked(&turn.0).stream.writes, 0, "before the turn is over");
        assert!(uncork(&turn).is_ready());
        let held = locked(&turn.0);
        assert_eq!(held.stream.got, b"one two three");
        assert_eq!((held.stream.writes, held.stream.flushes), (1, 1));
        assert_eq!(held.bytes.capacity(), 0, "an idle connection keeps no room");
    }

    #[test]
    fn a_turn_that_wrote_nothing_is_not_felt() {
        let (_stream, turn) = corked(usize::MAX);
        assert!(uncork(&turn).is_ready());
        let held = locked(&turn.0);
        assert_eq!((held.stream.writes, held.stream.flushes), (0, 0));
    }

    #[test]
    fn a_full_socket_holds_the_writer_back() {
        let (mut stream, turn) = corked(1000);
        let part = [7; 1024];
        let mut taken = 0;
        while let Poll::Ready(written) = write(&mut stream, &part) {
            taken += written.unwrap();
            assert!(taken <= HELD + 1000, "more is held than may be");
        }
        assert!(uncork(&turn).is_pending(), "there is more to write");
        locked(&turn.0).stream.room = usize::MAX;
        assert!(uncork(&turn).is_ready());
        assert_eq!(locked(&turn.0).stream.got, vec![7; taken]);
    }

    #[test]
    fn what_is_too_long_to_be_held_keeps_its_place() {
        let (mut stream, turn) = corked(usize::MAX);
        assert!(write(&mut stream, b"first ").is_ready());
        let long = vec![b'x'; HELD + 1];
        assert!(matches!(write(&mut stream, &long), Poll::Ready(Ok(n)) if n == long.len()));
        assert!(write(&mut stream, b" last").is_ready());
        assert!(uncork(&turn).is_ready());
        let expected = [&b"first "[..], &long, b" last"].concat();
        assert_eq!(locked(&turn.0).stream.got, expected);
    }

    #[test]
    fn a_broken_socket_is_told() {
        let (mut stream, turn) = corked(usize::MAX);
        locked(&turn.0).stream.is_broken = true;
        assert!(write(&mut stream, b"gone").is_ready());
        assert!(matches!(uncork(&turn), Poll::Ready(Err(_))));
    }

    #[tokio::test]
    async fn nothing_is_lost_at_the_end() {
        let (near, mut far) = duplex(16);
        let (mut stream, _turn) = cork(near);
        let sent: Vec<u8> = (0..=255).cycle().take(3 * HELD).collect();
        let wrote = sent.clone();
        let writer = tokio::spawn(async move {
            for part in wrote.chunks(1500) {
                stream.write_all(part).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        writer.await.unwrap();
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    }
}
