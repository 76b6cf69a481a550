//! `Expect: 100-continue` carried through (RFC 9110 §10.1.1).
//!
//! The caller's side answers `100 Continue` the moment its body is first asked for, and our
//! client asks for a body as soon as the head is written. So the body is held back until
//! Graph has said `100`, or has kept silent for [`PATIENCE`]; a final answer that comes first
//! reaches the caller before it has sent anything. Over HTTP/2 the client does not show us
//! interim answers, and only the silence counts.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Sleep;

use crate::render::Body;
use crate::render::body::BodyError;

/// How long Graph's silence is taken for thinking. Longer than the way to Graph and back;
/// shorter than the second after which callers such as curl send their body unbidden.
const PATIENCE: Duration = Duration::from_millis(700);

/// What the body that is held back is told.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// Graph wants the body.
    Send,
    /// Graph has answered without it.
    Answered,
    /// That answer is complete, or nobody reads it any more.
    Over,
}

/// The exchange's side of a body that is held back. Dropped, it lets go of the body.
#[derive(Debug)]
pub(super) struct Hold(UnboundedSender<Word>);

/// Holds a request's body back. The caller of this keeps the [`Hold`] until the answer ends.
pub(super) fn hold<B>(request: Request<B>) -> (Request<Body>, Hold)
where
    B: HttpBody<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BodyError>,
{
    let (tell, told) = unbounded_channel();
    let mut request = request.map(|body| {
        Body::stream(Held {
            body: Body::stream(body),
            told,
            state: State::Waiting(Box::pin(tokio::time::sleep(PATIENCE))),
        })
    });
    let interim = tell.clone();
    hyper::ext::on_informational(&mut request, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            let _ = interim.send(Word::Send);
        }
    });
    (request, Hold(tell))
}

impl Hold {
    /// The final answer's head has come: a body still held back stays so.
    pub(super) fn answered(&self) {
        let _ = self.0.send(Word::Answered);
    }

    /// The answer's body, keeping the hold as long as it lasts.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        Body::stream(Watched { body, _hold: self })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.send(Word::Over);
    }
}

struct Held {
    body: Body,
    told: UnboundedReceiver<Word>,
    state: State,
}

enum State {
    Waiting(Pin<Box<Sleep>>),
    Answered,
    Sending,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let State::Sending = self.state {
                return Pin::new(&mut self.body).poll_frame(context);
            }
            match self.told.poll_recv(context) {
                Poll::Ready(Some(Word::Send)) => self.state = State::Sending,
                Poll::Ready(Some(Word::Answered)) => self.state = State::Answered,
                Poll::Ready(Some(Word::Over) | None) => {
                    // The head has promised a body: only ending the stream or connection
                    // tells Graph that none will come.
                    return Poll::Ready(Some(Err("graph answered without the body".into())));
                }
                Poll::Pending => match &mut self.state {
                    State::Waiting(patience) => {
                        std::task::ready!(patience.as_mut().poll(context));
                        self.state = State::Sending;
                    }
                    State::Answered => return Poll::Pending,
                    State::Sending => {}
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Watched {
    body: Body,
    _hold: Hold,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
