//! The body of every response we send: nothing, stored bytes, or a stream from Graph.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::BoxBody;

/// What a streamed body can fail with; ends the caller's connection, never a status.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// A response body. Stored bytes are sent without a copy and without a box.
pub struct Body(Kind);

enum Kind {
    Empty,
    Whole(Option<Bytes>),
    Stream(BoxBody<Bytes, BodyError>),
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is held whole.
    pub fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Whole(Some(bytes)))
        }
    }

    /// The bytes, where all are here.
    pub(super) fn held(&self) -> Option<Bytes> {
        match &self.0 {
            Kind::Empty => Some(Bytes::new()),
            Kind::Whole(bytes) => bytes.clone(),
            Kind::Stream(_) => None,
        }
    }

    /// A body that arrives piece by piece; pieces, trailers and pauses are handed on as they come.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BodyError>,
    {
        use http_body_util::BodyExt as _;
        Self(Kind::Stream(body.map_err(Into::into).boxed()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => Pin::new(stream).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Whole(_) => "whole",
            Kind::Stream(_) => "stream",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}
