//! The simulator's side of a connection: counts bytes, and can say what HTTP forbids.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is to be said instead of whatever HTTP would say next; then the connection ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Instead(Arc<Mutex<Option<Bytes>>>);

impl Instead {
    /// From now on say this, and nothing more.
    pub(super) fn say(&self, bytes: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    fn words(&self) -> Option<Bytes> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    instead: Instead,
    sent: Arc<AtomicU64>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, instead: Instead, sent: Arc<AtomicU64>) -> Self {
        Self {
            stream,
            instead,
            sent,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(mut words) = self.instead.words() {
            while words.has_remaining() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(context, &words))?;
                self.sent.fetch_add(written as u64, Ordering::Relaxed);
                words.advance(written);
                self.instead.say(words.clone());
            }
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, buffer))?;
        self.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
