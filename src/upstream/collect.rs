//! A body gathered into bytes that may be kept, if it is complete and not too large.
//!
//! What comes back is a copy in an allocation of exactly its size: the pieces a connection
//! yields are slices that would keep its whole read buffer alive.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::error::Error;
use crate::render::Body;
use crate::render::body::BodyError;

/// What a body turned out to be.
pub enum Collected<B> {
    /// All of it, in an allocation of its own and of its size.
    Whole(Bytes),
    /// Larger than the cap: what has been read, and what is still to come.
    TooLarge {
        /// The pieces read so far, together little more than the cap.
        prefix: Vec<Bytes>,
        /// The rest, not read.
        rest: B,
    },
}

impl<B> fmt::Debug for Collected<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.len()).finish(),
            Self::TooLarge { .. } => f.write_str("TooLarge"),
        }
    }
}

/// Gathers a body of at most `cap` bytes, which must be complete by `deadline`.
///
/// Dropping the future drops the body, which ends the exchange it belongs to.
///
/// # Errors
///
/// [`Error::Broken`] when the body fails, or ends with fewer or more bytes than its
/// `Content-Length` said; [`Error::TimedOut`] when `deadline` passes, however much has come.
pub async fn collect<B>(mut body: B, cap: usize, deadline: Instant) -> Result<Collected<B>, Error>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    if body.is_end_stream() {
        return Ok(Collected::Whole(Bytes::new()));
    }
    let said = body.size_hint().exact();
    if said.is_some_and(|length| length > cap as u64) {
        return Ok(Collected::TooLarge {
            prefix: Vec::new(),
            rest: body,
        });
    }
    // At most `cap`, so it fits; where nothing is said it grows as bytes come.
    let expected = said.and_then(|length| usize::try_from(length).ok());
    let mut whole = Vec::with_capacity(expected.unwrap_or(0));
    loop {
        let frame = timeout_at(deadline, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::TimedOut)? else {
            break;
        };
        let frame = frame.map_err(|error| Error::Broken(error.into()))?;
        let Ok(piece) = frame.into_data() else {
            continue; // Trailers: no part of a photo.
        };
        if said.is_none() && piece.len() > cap - whole.len() {
            let prefix = vec![Bytes::from(whole), piece];
            return Ok(Collected::TooLarge { prefix, rest: body });
        }
        whole.extend_from_slice(&piece);
        if expected.is_some_and(|length| whole.len() > length) {
            return Err(Error::broken("the body is longer than it said"));
        }
    }
    if expected.is_some_and(|length| whole.len() != length) {
        return Err(Error::broken("the body is shorter than it said"));
    }
    Ok(Collected::Whole(Bytes::from(whole.into_boxed_slice())))
}

/// A body that was found [`Collected::TooLarge`], put together again for the caller it is
/// streamed to.
pub fn rejoin<B>(prefix: Vec<Bytes>, rest: B) -> Body
where
    B: HttpBody<Data = Bytes> + Send + Sync + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let prefix = prefix.into_iter().filter(|piece| !piece.is_empty());
    Body::stream(Rejoined {
        prefix: prefix.collect(),
        rest,
    })
}

struct Rejoined<B> {
    prefix: VecDeque<Bytes>,
    rest: B,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Rejoined<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(piece) = self.prefix.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Pin::new(&mut self.rest).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ready: u64 = self.prefix.iter().map(|piece| piece.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(ready.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(ready)) {
            hint.set_upper(upper);
        }
        hint
    }
}
