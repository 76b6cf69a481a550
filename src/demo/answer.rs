//! One answer of the simulator before it is put on the wire, and the bodies it may have.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::UnboundedReceiver;

/// The content type of Graph's JSON successes.
pub(super) const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    /// Whether this is a photo's bytes.
    pub(super) media: bool,
}

/// What follows the head.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it at hand.
    Whole(Bytes),
    /// Graph's error envelope, to be written when the request's ids are known.
    Error { code: String, message: String },
    /// So many bytes, made as they are sent.
    Made(u64),
    /// Pieces as a test sends them.
    Events(UnboundedReceiver<Bytes>),
}

impl Answer {
    pub(super) fn new(status: StatusCode, content: Bytes) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            content: Content::Whole(content),
            media: false,
        }
    }

    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let content = Content::Error {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let answer = Self {
            content,
            ..Self::new(status, Bytes::new())
        };
        answer
            .with(header::CONTENT_TYPE, "application/json")
            .with(header::CACHE_CONTROL, "private")
    }

    /// One of Graph's JSON successes.
    pub(super) fn json(text: String) -> Self {
        Self::new(StatusCode::OK, Bytes::from(text))
            .with(header::CONTENT_TYPE, JSON)
            .with(header::CACHE_CONTROL, "no-cache")
            .with(HeaderName::from_static("odata-version"), "4.0")
    }

    pub(super) fn text(status: StatusCode, kind: &str, text: &str) -> Self {
        Self::new(status, Bytes::copy_from_slice(text.as_bytes()))
            .with(header::CONTENT_TYPE, kind)
            .with(header::CACHE_CONTROL, "private")
    }

    /// Sets a field; a value no field can have is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The whole body, if it is at hand.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// A body that was cut on purpose.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// The connection breaks.
    Cut,
    /// Nothing more comes, ever.
    Stall,
}

/// What is held while a body is being sent.
pub(super) type Guard = Box<dyn Send + Sync>;

/// A body on its way.
pub(super) struct Reply {
    source: Source,
    end: End,
    sized: bool,
    guard: Option<Guard>,
}

enum Source {
    Whole(Bytes),
    Made(u64),
    Events(UnboundedReceiver<Bytes>),
}

impl Reply {
    /// The body of an answer; errors must have been written out before.
    pub(super) fn new(content: Content, end: End, sized: bool, guard: Option<Guard>) -> Self {
        let source = match content {
            Content::Whole(bytes) => Source::Whole(bytes),
            Content::Error { .. } => Source::Whole(Bytes::new()),
            Content::Made(bytes) => Source::Made(bytes),
            Content::Events(events) => Source::Events(events),
        };
        Self {
            source,
            end,
            sized,
            guard,
        }
    }
}

/// A piece of a made body.
static PIECE: [u8; 65_536] = [b'g'; 65_536];

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match &mut self.source {
            Source::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Source::Made(0) => None,
            Source::Made(left) => {
                let size = (*left).min(PIECE.len() as u64);
                *left -= size;
                let size = usize::try_from(size).unwrap_or(PIECE.len());
                Some(Bytes::from_static(&PIECE).slice(..size))
            }
            Source::Events(events) => match events.poll_recv(context) {
                Poll::Ready(piece) => piece,
                Poll::Pending => return Poll::Pending,
            },
        };
        if let Some(piece) = piece {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Whole => {
                self.guard = None;
                Poll::Ready(None)
            }
            End::Cut => Poll::Ready(Some(Err(io::Error::other(Cut)))),
            End::Stall => Pin::new(&mut std::future::pending()).poll(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) if self.sized => SizeHint::with_exact(bytes.len() as u64),
            Source::Made(left) if self.sized => SizeHint::with_exact(*left),
            _ => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        let sent = match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Made(left) => *left == 0,
            Source::Events(_) => false,
        };
        sent && self.sized && self.end == End::Whole
    }
}
