//! Answers past hyper, for HTTP/1.1 requests that leave nothing open: from memory, and to a photo
//! that Graph is asked for.
//!
//! The guard has judged the head already, and where its lines are; what hyper would do on top of
//! that for an answer that is all here costs as much as finding the answer. Whatever is not as
//! plain as can be (another method than GET, `Connection`, `Upgrade`, `Expect`, HTTP/1.0, a
//! body) is hyper's, and so is every other request that memory does not answer: what was found out
//! about it is laid by for the moment in which hyper takes it up. So is an answer that turns out not
//! to be all here, or to leave something to add.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Empty;
use tokio::io::AsyncWrite;

use super::activity::Ticket;
use super::connection::{Answering, Shared};
use super::scan::Alone;
use super::{Service, front};
use crate::cache::HeldBytes;
use crate::render::wire::Written;
use crate::render::{Body, Wire};

/// Answers heads past hyper.
pub(super) trait Shortcut: fmt::Debug + Send {
    /// The answer to the connection's `nth` request, counted from one.
    fn answer(&mut self, head: &Alone<'_>, nth: u64) -> Taken;

    /// An answer that has come is on its way out, or hyper's to write.
    fn came(&mut self, answer: Wire, to: Awaited) -> Result<Outgoing, Bytes>;
}

/// What becomes of a head.
pub(super) enum Taken {
    /// It is hyper's to answer.
    Not,
    /// It is answered.
    Answered(Outgoing),
    /// Its answer is waited for.
    Coming(Coming, Awaited),
}

/// An answer that has to be waited for.
pub(super) type Coming = Pin<Box<dyn Future<Output = Wire> + Send>>;

/// A request whose answer is waited for.
#[derive(Debug)]
pub(super) struct Awaited {
    nth: u64,
    /// All of it, should it be hyper's to answer in the end.
    head: Bytes,
    ticket: Ticket,
}

/// An answer on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    head: Vec<u8>,
    body: HeldBytes,
    /// How much of both has been written.
    written: usize,
    /// Stands for the request until all is sent.
    _ticket: Ticket,
}

impl From<(Written, Ticket)> for Outgoing {
    fn from((written, ticket): (Written, Ticket)) -> Self {
        let Written { head, body, .. } = written;
        Self {
            head,
            body,
            written: 0,
            _ticket: ticket,
        }
    }
}

impl Outgoing {
    pub(super) fn is_written(&self) -> bool {
        self.written >= self.head.len() + self.body.len()
    }

    /// Writes some of it.
    pub(super) fn poll_write<T: AsyncWrite>(
        &mut self,
        to: Pin<&mut T>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let of_body = self.written.saturating_sub(self.head.len());
        let body = self.body.get(of_body..).unwrap_or_default();
        let written = match self.head.get(self.written..) {
            None | Some([]) => ready!(to.poll_write(context, body))?,
            Some(head) if body.is_empty() => ready!(to.poll_write(context, head))?,
            Some(head) => {
                let slices = [IoSlice::new(head), IoSlice::new(body)];
                ready!(to.poll_write_vectored(context, &slices))?
            }
        };
        self.written += written;
        Poll::Ready(Ok(written))
    }
}

/// What is known of a request before hyper takes it up.
pub(super) enum Foreseen<U> {
    /// Its answer, which hyper is to write.
    Answered(Response<Body>),
    /// Its head, and what was found out of it.
    Unanswered(Box<Parts>, U),
}

/// The place where what was foreseen of a request waits for it.
pub(super) struct Foresight<U>(Mutex<Option<(u64, Foreseen<U>)>>);

impl<U> Default for Foresight<U> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<U> Foresight<U> {
    fn lay_by(&self, nth: u64, foreseen: Foreseen<U>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((nth, foreseen));
    }

    /// What was foreseen of the `nth` request, and of no other.
    pub(super) fn of(&self, nth: u64) -> Option<Foreseen<U>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, foreseen) = waiting.take()?;
        (of == nth).then_some(foreseen)
    }
}

/// The shortcut of one connection.
pub(super) struct FromMemory<S: Service> {
    answering: Arc<Answering<S>>,
    shared: Arc<Shared>,
    /// Room for the fields of the next request.
    fields: HeaderMap,
    /// The last `Authorization`, which is most of a request: where the next one is the same it
    /// need not be judged byte by byte again.
    credential: HeaderValue,
}

impl<S: Service> fmt::Debug for FromMemory<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromMemory(_)")
    }
}

impl<S: Service> FromMemory<S> {
    pub(super) fn new(answering: Arc<Answering<S>>, shared: Arc<Shared>) -> Self {
        Self {
            answering,
            shared,
            fields: HeaderMap::new(),
            credential: HeaderValue::from_static(""),
        }
    }
}

/// The request, where it is as plain as can be. `bytes` are the head's; `fields` is where its
/// fields go; `known` is the credential that came last, which need not be judged again.
pub(super) fn read(
    head: &Alone<'_>,
    bytes: &Bytes,
    mut fields: HeaderMap,
    known: &mut HeaderValue,
) -> Option<Request<Empty<Bytes>>> {
    for field in head.fields {
        let name = HeaderName::from_bytes(head.bytes.get(field.name.clone())?).ok()?;
        if OPEN_ENDED.contains(&name) {
            return None;
        }
        let text = head.bytes.get(field.value.clone())?;
        let value = if name == header::AUTHORIZATION {
            if *text != *known {
                // A part of the head keeps all of it: only where that is little more.
                *known = if text.len() * 2 > head.bytes.len() {
                    HeaderValue::from_maybe_shared(bytes.slice(field.value.clone())).ok()?
                } else {
                    HeaderValue::from_bytes(text).ok()?
                };
            }
            known.clone()
        } else {
            HeaderValue::from_maybe_shared(bytes.slice(field.value.clone())).ok()?
        };
        fields.try_append(name, value).ok()?;
    }
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice(head.target.clone())).ok()?;
    *request.headers_mut() = fields;
    Some(request)
}

/// Whether a request may be read here at all.
pub(super) fn is_plain(head: &Alone<'_>) -> bool {
    !head.is_old && head.bytes.get(head.method.clone()) == Some(b"GET")
}

/// What makes more of a request than a question and an answer.
const OPEN_ENDED: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl<S: Service> Shortcut for FromMemory<S> {
    fn answer(&mut self, head: &Alone<'_>, nth: u64) -> Taken {
        // hyper says `Connection: close` on the answers that are to be the last.
        if self.shared.is_leaving() || !is_plain(head) {
            return Taken::Not;
        }
        let bytes = Bytes::copy_from_slice(head.bytes);
        let fields = std::mem::take(&mut self.fields);
        let Some(mut request) = read(head, &bytes, fields, &mut self.credential) else {
            return Taken::Not;
        };
        if front::check(&mut request).is_err() {
            return Taken::Not;
        }
        let Answering {
            service,
            activity,
            foresight,
            ..
        } = &*self.answering;
        match service.at_once(&mut request) {
            Ok(Wire::Written(written)) => {
                self.fields = std::mem::take(request.headers_mut());
                // An idle connection keeps the room, and no head.
                self.fields.clear();
                Taken::Answered((written, activity.begin_answered()).into())
            }
            Ok(Wire::Response(response)) => {
                foresight.lay_by(nth, Foreseen::Answered(response));
                Taken::Not
            }
            Err(unanswered) => match service.question(unanswered) {
                Ok(question) => {
                    let (nth, ticket) = activity.begin();
                    activity.goes_beside(true);
                    let coming = Box::pin(service.ask(request, question));
                    let head = bytes;
                    Taken::Coming(coming, Awaited { nth, head, ticket })
                }
                Err(unanswered) => {
                    let parts = Box::new(request.into_parts().0);
                    foresight.lay_by(nth, Foreseen::Unanswered(parts, unanswered));
                    Taken::Not
                }
            },
        }
    }

    fn came(&mut self, answer: Wire, to: Awaited) -> Result<Outgoing, Bytes> {
        let Awaited {
            nth,
            head,
            mut ticket,
        } = to;
        let is_last = self.shared.is_leaving();
        match answer {
            Wire::Written(mut written) => {
                if is_last {
                    written.close();
                }
                ticket.is_answered();
                Ok((written, ticket).into())
            }
            Wire::Response(mut response) => {
                if is_last {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                let foreseen = Foreseen::Answered(response);
                self.answering.foresight.lay_by(nth, foreseen);
                ticket.give_back();
                Err(head)
            }
        }
    }
}
