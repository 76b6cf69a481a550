//! A request body that must go on arriving: a caller who stops half way is given up.
//!
//! Over HTTP/1 the connection's own timer sees it (`server`). Over HTTP/2 other requests of the
//! same connection may be lively, so each body keeps its own time. It runs only while we wait
//! for the caller: a Graph that does not read, or that has not yet asked for the body, costs
//! the caller nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::render::body::BodyError;

/// The caller has not sent the next piece of its body in time.
#[derive(Debug, thiserror::Error)]
#[error("the caller stopped sending its body")]
pub(super) struct Stalled;

/// Says afterwards whether it was the caller who stopped: the client of Graph reports a body
/// that fails in other words.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<AtomicBool>);

impl Verdict {
    pub(super) fn is_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pin_project! {
    /// A body of which each piece must come within a time.
    pub(super) struct Arriving<B> {
        #[pin]
        body: B,
        limit: Duration,
        // Set while a piece is awaited.
        due: Option<Pin<Box<Sleep>>>,
        verdict: Verdict,
    }
}

impl<B> Arriving<B> {
    /// Gives each piece of `body` at most `limit`, from the moment it is asked for.
    pub(super) fn new(body: B, limit: Duration) -> (Self, Verdict) {
        let verdict = Verdict::default();
        let arriving = Self {
            body,
            limit,
            due: None,
            verdict: verdict.clone(),
        };
        (arriving, verdict)
    }
}

impl<B> HttpBody for Arriving<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            *this.due = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = *this.limit;
        let due = this
            .due
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        std::task::ready!(due.as_mut().poll(context));
        this.verdict.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
