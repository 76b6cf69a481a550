//! Graph is asked for what is left of a batch, and its answer put together with what memory has.

use std::time::Duration;

use bytes::Bytes;
use http::request;
use http::{HeaderValue, Request, Response, StatusCode, header};

use super::parts::{Sent, Writes, is_throttled};
use super::{Batch, Story};
use crate::batch::{Answers, answer, held};
use crate::cache::{Held, admission};
use crate::clock::Time;
use crate::proxy::forward::problem;
use crate::proxy::gather::{Gathered, Reserved, gather, rejoin};
use crate::render::{Body, Problem};
use crate::upstream::{self, Refusal};

/// The largest answer that is read; 20 pictures of Graph's largest size are some 2 MiB. A
/// larger one streams, and nothing of it is stored.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

impl<'a> Story<'a> {
    /// Asks Graph for what is left, and puts the answers together.
    pub(super) async fn tell(mut self, whole: &Bytes) -> Response<Body> {
        let rooms = self.rooms;
        let Some(left) = self.batch.without(|part| self.ours.contains_key(&*part.id)) else {
            let json = self.in_order();
            return self.status.reply(json, &self.head.headers, &rooms.ids);
        };
        let body = if self.ours.is_empty() {
            whole.clone()
        } else {
            Bytes::from(left)
        };
        let sent = Sent {
            asked: rooms.clock.now(),
            born: rooms.cache.doubts.born(),
        };
        let answer = match rooms.upstream.forward(smaller(self.head, body)).await {
            Ok(answer) => answer,
            Err(error) => return self.without_answer(&error),
        };
        rooms.ops.passed_through(answer.status());
        let status = answer.status();
        let now = rooms.clock.now();
        self.status.forward_status = Some(status);
        if self.asked.is_empty() || !is_throttled(status, answer.headers(), now) {
            rooms.overheard(self.head.uri.path(), &self.head.headers, &answer);
        } else {
            self.throttled_whole(&answer, now);
        }
        if !is_readable(&answer) {
            return self.unreadable(answer);
        }
        let (parts, body) = answer.into_parts();
        let deadline = Some(rooms.upstream.deadline());
        let pool = rooms.questions.batch_memory();
        match gather(pool, body, LARGEST_ANSWER, deadline).await {
            Ok(Gathered::Whole(bytes, reserved)) => {
                self.put_together(parts, &bytes, reserved, sent)
            }
            Ok(Gathered::Larger { prefix, rest } | Gathered::NoRoom { prefix, rest }) => {
                self.stream(parts, prefix, rest)
            }
            Err(error) => self.without_answer(&error),
        }
    }

    /// Graph's answer, read: writes first, then what it says of photos, then the reply.
    fn put_together(
        mut self,
        mut head: http::response::Parts,
        bytes: &Bytes,
        _reserved: Reserved,
        sent: Sent,
    ) -> Response<Body> {
        let Some(answers) = Answers::read(bytes) else {
            return self.unreadable(Response::from_parts(head, Body::whole(bytes.clone())));
        };
        let order = self.order();
        let asked = order.iter().filter(|id| !self.ours.contains_key(*id));
        let asked: Vec<&str> = asked.copied().collect();
        let held_back = !self.ours.is_empty();
        let refused = self.heed_refusals(&answers);
        if let Some(by_id) = answers.by_id(&asked) {
            let graphs_own = admission::is_graphs_own(&head.headers);
            self.take_writes().settle(&by_id, graphs_own && !refused);
            self.heed_denials(&by_id);
            if !refused && graphs_own {
                self.learn(&by_id, sent);
            }
        } else {
            // Confused answers leave every write in doubt, and nothing is stored; ours cannot
            // be put among them without a word about whose is whose.
            drop(self.take_writes());
            if held_back {
                return self.problem(Problem::BrokenAnswer);
            }
        }
        let body = if self.ours.is_empty() {
            bytes.clone()
        } else {
            match answers.with(&order, &self.ours) {
                Some(text) => Bytes::from(text),
                None => return self.problem(Problem::BrokenAnswer),
            }
        };
        let length = HeaderValue::from(body.len());
        head.headers.insert(header::CONTENT_LENGTH, length);
        self.status.mark(&mut head.headers, &self.head.headers);
        Response::from_parts(head, Body::whole(body))
    }

    /// An answer that is no batch's: Graph's own word where it is an error, never a 200 from
    /// which our parts are missing.
    fn unreadable(mut self, answer: Response<Body>) -> Response<Body> {
        let status = answer.status();
        let writes = self.take_writes();
        writes.settle_unread(status);
        let failing = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        if failing && let Some(json) = self.answer_from_memory(|story| story.failed_as(&answer)) {
            return self.status.reply(json, &self.head.headers, &self.rooms.ids);
        }
        if status.is_success() && !self.ours.is_empty() {
            return self.problem(Problem::BrokenAnswer);
        }
        let mut answer = answer;
        self.status.held = 0;
        self.status.mark(answer.headers_mut(), &self.head.headers);
        answer
    }

    /// No answer at all.
    fn without_answer(mut self, error: &upstream::Error) -> Response<Body> {
        tracing::info!(
            error = error as &dyn std::error::Error,
            "no answer from graph to a batch"
        );
        drop(self.take_writes());
        match self.answer_from_memory(|_| problem(error)) {
            Some(json) => self.status.reply(json, &self.head.headers, &self.rooms.ids),
            None => self.problem(problem(error)),
        }
    }

    /// The answer without Graph, where all that is left are photos and any may be shown: those
    /// that may, and for the others why there is none. A face that is held is not missing from
    /// the page because another one is.
    fn answer_from_memory(&mut self, why: impl FnOnce(&Self) -> Problem) -> Option<String> {
        if self.ours.len() + self.asked.len() < self.batch.parts.len() {
            return None;
        }
        let (rooms, now) = (self.rooms, self.rooms.clock.now());
        let shown = self.asked.iter().map(|asked| {
            let held = rooms.fallback(&asked.wanted, now);
            (asked.id, held)
        });
        let shown: Vec<(&'a str, Option<Held>)> = shown.collect();
        self.status.held += shown.iter().filter(|(_, held)| held.is_some()).count();
        if self.status.held == 0 {
            return None;
        }
        let why = why(self);
        for (id, held) in shown {
            let part = match held {
                Some(held) => held::part(id, &held),
                None => self.problem_part(id, why, now),
            };
            self.ours.insert(id, part);
        }
        Some(self.in_order())
    }

    /// Why there is no answer to the photos of a batch that Graph has answered with an error.
    fn failed_as(&self, answer: &Response<Body>) -> Problem {
        let second = Duration::from_secs(1);
        match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => {
                let mut refusals = self.asked.iter().map(|one| self.rooms.refusal(&one.wanted));
                let wait = refusals.find_map(|refusal| match refusal {
                    Some(Refusal::Wait(wait)) => Some(wait),
                    _ => None,
                });
                let wait = wait.unwrap_or(second);
                Problem::Throttled { wait }
            }
            StatusCode::SERVICE_UNAVAILABLE => Problem::Down { wait: second },
            StatusCode::GATEWAY_TIMEOUT => Problem::TimedOut,
            _ => Problem::BrokenAnswer,
        }
    }

    /// Why there is no answer to one part.
    pub(super) fn problem_part(&self, id: &str, problem: Problem, now: Time) -> String {
        let error = problem.json(&self.rooms.ids.next(), now);
        held::problem(id, problem.status(), problem.wait(), &error)
    }

    /// The ids in the order of the requests.
    fn order(&self) -> Vec<&'a str> {
        let batch: &'a Batch<'a> = self.batch;
        batch.parts.iter().map(|part| part.id.as_str()).collect()
    }

    /// Our parts alone, in the order of the requests.
    fn in_order(&self) -> String {
        let order = self.order();
        let parts = order.iter().filter_map(|id| self.ours.get(id));
        held::all(parts.map(String::as_str))
    }

    fn take_writes(&mut self) -> Writes<'a> {
        std::mem::replace(&mut self.writes, Writes(Vec::new()))
    }

    /// An answer too large to be read: ours go in at its beginning, where that is their place in
    /// the order of the requests, and nothing is stored.
    fn stream(
        mut self,
        mut head: http::response::Parts,
        prefix: Vec<Bytes>,
        rest: Body,
    ) -> Response<Body> {
        drop(self.take_writes());
        let prefix = if self.ours.is_empty() {
            prefix
        } else {
            let come = prefix.concat();
            let order = self.order();
            let first = order.iter().take(self.ours.len());
            if !first.into_iter().all(|id| self.ours.contains_key(id)) {
                return self.problem(Problem::BrokenAnswer);
            }
            let Some((before, after)) =
                answer::opening(&come).and_then(|at| come.split_at_checked(at))
            else {
                return self.problem(Problem::BrokenAnswer);
            };
            let parts = order.iter().filter_map(|id| self.ours.get(id));
            let ours: String = parts.flat_map(|part| [part.as_str(), ","]).collect();
            head.headers.remove(header::CONTENT_LENGTH);
            vec![Bytes::from([before, ours.as_bytes(), after].concat())]
        };
        self.status.mark(&mut head.headers, &self.head.headers);
        Response::from_parts(head, rejoin(prefix, rest))
    }

    /// The batch's own error.
    fn problem(&self, problem: Problem) -> Response<Body> {
        let rooms = self.rooms;
        problem.reply(&self.head.headers, &rooms.ids.next(), rooms.clock.now())
    }
}

/// The smaller batch: the caller's own fields, and an answer we can read.
fn smaller(head: &request::Parts, body: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers.clone();
    let fields = request.headers_mut();
    let identity = HeaderValue::from_static("identity");
    fields.insert(header::ACCEPT_ENCODING, identity);
    fields.remove(header::TRANSFER_ENCODING);
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *request.body_mut() = Body::whole(body);
    request
}

/// Whether an answer may be a batch's whose parts can be read.
fn is_readable(answer: &Response<Body>) -> bool {
    let fields = answer.headers();
    let json = fields.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"application/json")
    });
    answer.status() == StatusCode::OK && json && !fields.contains_key(header::CONTENT_ENCODING)
}
