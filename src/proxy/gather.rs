//! The body of a batch, gathered within bounds: its own, and one over all batches.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::render::Body;
use crate::upstream::{self, Error};

/// The unit that memory is reserved in, in bytes; the pool counts in it.
const UNIT: usize = 1024;

/// A body, or as much of it as was taken in.
pub(super) enum Gathered {
    /// All of it, and the room it takes.
    Whole(Bytes, Reserved),
    /// Larger than allowed: what has come, and what is still to come.
    Larger { prefix: Vec<Bytes>, rest: Body },
    /// No room is left over all batches.
    NoRoom { prefix: Vec<Bytes>, rest: Body },
}

/// Room that is given back when this is dropped.
pub(super) struct Reserved(Vec<OwnedSemaphorePermit>);

impl Reserved {
    pub(super) const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Takes room for this many more bytes.
    fn more(&mut self, pool: &Arc<Semaphore>, bytes: usize) -> bool {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match Arc::clone(pool).try_acquire_many_owned(units) {
            Ok(permit) => {
                match self.0.first_mut() {
                    Some(first) => first.merge(permit),
                    None => self.0.push(permit),
                }
                true
            }
            Err(_) => false,
        }
    }
}

/// Gathers at most `most` bytes, complete by `deadline` where there is one.
///
/// # Errors
///
/// When the body breaks off, or the deadline passes.
pub(super) async fn gather(
    pool: &Arc<Semaphore>,
    mut body: Body,
    most: usize,
    deadline: Option<Instant>,
) -> Result<Gathered, Error> {
    let (mut pieces, mut length) = (Vec::new(), 0_usize);
    let mut reserved = Reserved::nothing();
    loop {
        let frame = match deadline {
            Some(deadline) => timeout_at(deadline, body.frame())
                .await
                .map_err(|_| Error::TimedOut)?,
            None => body.frame().await,
        };
        let Some(frame) = frame else { break };
        let Ok(piece) = frame.map_err(Error::Broken)?.into_data() else {
            continue;
        };
        length = length.saturating_add(piece.len());
        // Once for the piece and once for the whole it is copied into.
        let room = reserved.more(pool, piece.len().saturating_mul(2));
        pieces.push(piece);
        if length > most {
            return Ok(Gathered::Larger {
                prefix: pieces,
                rest: body,
            });
        }
        if !room {
            return Ok(Gathered::NoRoom {
                prefix: pieces,
                rest: body,
            });
        }
    }
    Ok(Gathered::Whole(Bytes::from(pieces.concat()), reserved))
}

/// A body put together again.
pub(super) fn rejoin(prefix: Vec<Bytes>, rest: Body) -> Body {
    upstream::rejoin(prefix, rest)
}
