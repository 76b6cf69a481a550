//! A change of a photo: Graph's to make, and what is held of its owner is in doubt with it.

use http::{Request, Response, StatusCode};

use super::{Payload, Proxy, Rooms};
use crate::cache::admission;
use crate::clock::Time;
use crate::identity::{Caller, Subject};
use crate::render::Body;
use crate::route::PhotoWrite;

impl Proxy {
    /// A change: Graph's to make. With its success everything held of that owner is in doubt
    /// before the caller sees the answer; without an answer too, since it may have been made.
    pub(super) async fn write<B: Payload>(
        &self,
        request: Request<B>,
        write: &PhotoWrite,
        now: Time,
    ) -> Response<Body> {
        let rooms = &self.0;
        let caller = rooms.identity.caller(request.headers(), now).ok();
        let doubt = DoubtUnlessRefused::new(rooms, write, caller);
        let headers = request.headers().clone();
        match rooms.upstream.forward(request).await {
            Ok(response) => {
                let graphs_own = admission::is_graphs_own(response.headers());
                doubt.settle(response.status(), graphs_own);
                rooms.ops.passed_through(response.status());
                response
            }
            Err(error) => {
                drop(doubt);
                self.failed(&headers, &error)
            }
        }
    }
}

/// Puts what is held of a write's owner in doubt when dropped, unless Graph refused the write.
pub(super) struct DoubtUnlessRefused<'a> {
    rooms: &'a Rooms,
    write: &'a PhotoWrite,
    caller: Option<Caller>,
    refused: bool,
}

impl<'a> DoubtUnlessRefused<'a> {
    /// Of a write that is on its way.
    pub(super) fn new(rooms: &'a Rooms, write: &'a PhotoWrite, caller: Option<Caller>) -> Self {
        Self {
            rooms,
            write,
            caller,
            refused: false,
        }
    }

    /// Graph has answered: a 4xx changed nothing (RFC 9111 §4.4), anything else may have. An
    /// answer that is not Graph's own may have been given to any token.
    pub(super) fn settle(mut self, answer: StatusCode, graphs_own: bool) {
        self.refused = answer.is_client_error();
        let now = self.rooms.clock.now();
        match &self.caller {
            Some(caller) if answer == StatusCode::UNAUTHORIZED => {
                self.rooms.identity.refused(&caller.credential, now);
            }
            // Graph has acted on this very token, so its claims are true.
            Some(caller) if answer.is_success() && graphs_own => {
                self.rooms.learn_names(caller, now);
            }
            _ => {}
        }
    }
}

impl Drop for DoubtUnlessRefused<'_> {
    fn drop(&mut self) {
        if self.refused {
            return;
        }
        let Rooms { cache, clock, .. } = self.rooms;
        match (&self.write.owner, &self.caller) {
            (Some(owner), Some(caller)) => {
                let subject = Subject::of(owner, caller.principal());
                let space = subject.space(caller.principal(), caller.credential);
                cache
                    .doubts
                    .written(&subject, space, &cache.aliases, clock.now());
            }
            _ => cache.doubts.everything(),
        }
    }
}
