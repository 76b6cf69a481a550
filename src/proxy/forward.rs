//! What is handed on to Graph as it came, and what its answer says in passing.

use http::{HeaderMap, Request, Response, StatusCode};

use super::{Payload, Proxy, Rooms};
use crate::clock::Time;
use crate::links::Links;
use crate::render::{Answer, Body, CacheStatus, Outcome, Problem};
use crate::route::PhotoRequest;
use crate::upstream::{self, Budget};

impl Proxy {
    /// Everything else.
    pub(super) async fn pass_through<B: Payload>(&self, mut request: Request<B>) -> Response<Body> {
        let rooms = &self.0;
        let (target, headers) = (request.uri().clone(), request.headers().clone());
        if rooms.links.is_some() {
            Links::ask(request.headers_mut());
        }
        match rooms.upstream.forward(request).await {
            Ok(response) => {
                rooms.overheard(target.path(), &headers, &response);
                rooms.ops.passed_through(response.status());
                match &rooms.links {
                    Some(links) => links.rewrite(response),
                    None => response,
                }
            }
            Err(error) => self.failed(&headers, &error),
        }
    }

    /// A photo request that what is held has no part in.
    pub(super) async fn relay<B: Payload>(
        &self,
        request: Request<B>,
        photo: PhotoRequest,
        status: CacheStatus,
        now: Time,
    ) -> Response<Body> {
        let rooms = &self.0;
        let (target, headers) = (request.uri().clone(), request.headers().clone());
        rooms.ops.relayed();
        let outcome = match rooms.upstream.forward(request).await {
            Ok(response) => {
                rooms.overheard(target.path(), &headers, &response);
                if response.status() == StatusCode::FORBIDDEN {
                    let now = rooms.clock.now();
                    if let Ok(caller) = rooms.identity.caller(&headers, now) {
                        rooms.denied(&caller, &photo.owner, now);
                    }
                }
                let status = CacheStatus {
                    forward_status: Some(response.status()),
                    ..status
                };
                Outcome {
                    answer: Answer::Relayed(response),
                    status,
                }
            }
            Err(error) => Outcome {
                answer: Answer::Problem(problem(&error)),
                status,
            },
        };
        self.tell(&photo, &headers, outcome, now)
    }

    /// The answer where Graph gave none.
    pub(super) fn failed(&self, headers: &HeaderMap, error: &upstream::Error) -> Response<Body> {
        tracing::info!(
            error = error as &dyn std::error::Error,
            "no answer from graph"
        );
        problem(error).reply(headers, &self.0.ids.next(), self.0.clock.now())
    }
}

impl Rooms {
    /// What an answer to something else says about a caller: a 401 ends its proof, a 429 closes
    /// its budget. Nothing else is learnt here: other routes answer 200 to tokens they never
    /// looked at.
    pub(super) fn overheard(&self, path: &str, request: &HeaderMap, answer: &Response<Body>) {
        let throttled = match answer.status() {
            StatusCode::UNAUTHORIZED => false,
            StatusCode::TOO_MANY_REQUESTS => true,
            _ => return,
        };
        let now = self.clock.now();
        let Ok(caller) = self.identity.caller(request, now) else {
            return;
        };
        if throttled {
            let wait = upstream::retry_after(answer.headers(), now);
            let budget = Budget::of_path(&caller, path);
            self.questions.gate().throttled(&budget, wait, now);
        } else {
            self.identity.refused(&caller.credential, now);
        }
    }
}

/// The problem that stands for a failed exchange.
pub(super) fn problem(error: &upstream::Error) -> Problem {
    match error {
        upstream::Error::Connect(_) => Problem::Unreachable,
        upstream::Error::TimedOut => Problem::TimedOut,
        upstream::Error::CallerStalled => Problem::StalledRequest,
        upstream::Error::Broken(_) => Problem::BrokenAnswer,
    }
}
