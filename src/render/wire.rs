//! A reply in the bytes that HTTP/1.1 sends (RFC 9112 §4), for who writes them past hyper.
//!
//! hyper is given a [`Response`] and writes it out itself; where it is left out, a hit is made
//! as bytes from the start. The fields are the same, and made from the same
//! ([`super::reply`]).

use http::{Response, StatusCode, header};

use super::outcome::CacheStatus;
use super::reply::{Asked, RequestIds, written};
use super::{Body, text::Text};
use crate::cache::{Held, HeldBytes};
use crate::clock::Time;

/// In which shape a reply is wanted.
pub trait Shape: Sized {
    /// A held answer, where this shape has a quicker way to it than by a response.
    fn quickly(
        held: &Held,
        status: CacheStatus,
        asked: Asked<'_>,
        ids: &RequestIds,
        now: Time,
    ) -> Option<Self>;

    /// What any response is in this shape.
    fn of(response: Response<Body>) -> Self;

    /// The status of the reply.
    fn status(&self) -> StatusCode;

    /// The response, where it is one.
    fn response(&mut self) -> Option<&mut Response<Body>>;
}

impl Shape for Response<Body> {
    fn quickly(_: &Held, _: CacheStatus, _: Asked<'_>, _: &RequestIds, _: Time) -> Option<Self> {
        None
    }

    fn of(response: Response<Body>) -> Self {
        response
    }

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn response(&mut self) -> Option<&mut Response<Body>> {
        Some(self)
    }
}

/// A reply that may be there in bytes.
#[derive(Debug)]
pub enum Wire {
    /// All that is sent.
    Written(Written),
    /// What hyper must write.
    Response(Response<Body>),
}

/// A body that is copied behind its head: less work for the system than two pieces.
pub(super) const SMALL: usize = 4 * 1024;

/// A reply in bytes.
#[derive(Debug)]
pub struct Written {
    /// Which status it has.
    pub status: StatusCode,
    /// Status line, fields and the empty line; and a small body.
    pub head: Vec<u8>,
    /// What follows them, where it is not small.
    pub body: HeldBytes,
}

impl Written {
    /// Says that it is the last on its connection (RFC 9112 §9.6).
    pub(crate) fn close(&mut self) {
        let line = self.head.windows(2).position(|pair| pair == b"\r\n");
        if let Some(at) = line {
            let says = *b"\r\nconnection: close";
            self.head.splice(at..at, says);
        }
    }
}

impl Shape for Wire {
    fn quickly(
        held: &Held,
        status: CacheStatus,
        asked: Asked<'_>,
        ids: &RequestIds,
        now: Time,
    ) -> Option<Self> {
        let mut head = written(held, status, asked, ids, now)?;
        let body = if held.bytes.len() <= SMALL {
            head.extend_from_slice(&held.bytes);
            HeldBytes::default()
        } else {
            held.bytes.clone()
        };
        Some(Self::Written(Written {
            status: StatusCode::OK,
            head,
            body,
        }))
    }

    fn of(response: Response<Body>) -> Self {
        match written_out(&response) {
            Some(written) => Self::Written(written),
            None => Self::Response(response),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Written(written) => written.status,
            Self::Response(response) => response.status(),
        }
    }

    fn response(&mut self) -> Option<&mut Response<Body>> {
        match self {
            Self::Written(_) => None,
            Self::Response(response) => Some(response),
        }
    }
}

/// What hyper would write of a response that is all here and says nothing of how it is framed.
/// `None` where there is more to it.
fn written_out(response: &Response<Body>) -> Option<Written> {
    let (status, fields) = (response.status(), response.headers());
    let is_framed = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TRAILER,
    ]
    .iter()
    .any(|name| fields.contains_key(name));
    let is_usual = status.is_success() && status != StatusCode::NO_CONTENT
        || status.is_client_error()
        || status == StatusCode::NOT_MODIFIED;
    if is_framed || !is_usual || !fields.contains_key(header::DATE) {
        return None;
    }
    let body = response.body().held()?;
    // A 304 has no body, and no length of one that is not there (RFC 9112 §6.3).
    let has_length = status != StatusCode::NOT_MODIFIED;
    if !has_length && !body.is_empty() {
        return None;
    }
    let mut text = Text::with_room(1024);
    text.push("HTTP/1.1 ");
    text.push(status.as_str());
    text.push(" ");
    text.push(status.canonical_reason()?);
    for (name, value) in fields {
        text.field(name.as_str(), value.as_bytes());
    }
    if has_length {
        text.push("\r\ncontent-length: ");
        text.number(body.len() as u64);
    }
    text.push("\r\n\r\n");
    Some(Written {
        status,
        head: text.into_bytes(),
        body: HeldBytes::Inline(body),
    })
}
