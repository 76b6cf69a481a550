//! Answers HTTP/2 streams where they are taken up, as far as that goes without waiting.
//!
//! hyper has each stream answered by a task of its own. For what memory answers a task is made,
//! queued, run once and thrown away, and wakes the connection's task to have the answer
//! written. So a stream is polled once before a task is made of it, which most need not
//! become; and the answers of what came in one read leave together (`cork`).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;

/// Polls once, and spawns what is not ready.
#[derive(Debug, Clone, Copy)]
pub(super) struct Eager;

impl<F> Executor<F> for Eager
where
    F: Future<Output = ()> + Send + Unpin + 'static,
{
    fn execute(&self, mut stream: F) {
        // A task polls what it is given as its first step, so nobody has to be woken for this one.
        let mut nobody = Context::from_waker(Waker::noop());
        let poll = || Pin::new(&mut stream).poll(&mut nobody);
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Ready(())) => {}
            Ok(Poll::Pending) => drop(tokio::spawn(stream)),
            // As of a task: dropped here, the stream is reset, and the others of its connection go on.
            Err(_) => tracing::error!("answering a request panicked; its stream was reset"),
        }
    }
}
