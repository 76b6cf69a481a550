//! Several requests in one: photos inside are answered from memory, the rest is Graph's.
//!
//! What is not fully understood goes to Graph as it came. What is left for Graph goes there as
//! one smaller batch, with the caller's own fields; its photo parts are judged like direct
//! answers, and stored for whom direct answers would be stored for.

mod parts;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::request;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};

use super::forward::problem;
use super::gather::{Gathered, Reserved, gather, rejoin};
use super::standing::Standing;
use super::wanted::{Facts, Wanted};
use super::{Payload, Proxy, Rooms, first};
use crate::batch::{self, Answers, Batch, Part, Wish, answer, held, lenient};
use crate::cache::{CallerDirectives, Demand, Held, admission};
use crate::clock::Time;
use crate::identity::Caller;
use crate::ops::{Source, Told};
use crate::render::{Answer, BatchStatus, Body, CacheStatus, Forward, Problem};
use crate::route::{ApiVersion, PhotoWrite};
use crate::upstream::{self, Refusal};
use parts::{Sent, Writes, is_throttled};

/// The largest batch that is read: Graph takes no more (Graph: "Update", 4 MB per request).
const LARGEST_BATCH: usize = 4 * 1024 * 1024;
/// The largest answer that is read; 20 pictures of Graph's largest size are some 2 MiB. A
/// larger one streams, and nothing of it is stored.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A batch being answered.
struct Story<'a> {
    rooms: &'a std::sync::Arc<Rooms>,
    head: &'a request::Parts,
    batch: &'a Batch<'a>,
    /// Parts we answer, by id, as JSON.
    ours: HashMap<&'a str, String>,
    /// Photos that Graph is asked for.
    asked: Vec<Asked<'a>>,
    writes: Writes<'a>,
    status: BatchStatus,
}

/// A photo part that is left for Graph.
struct Asked<'a> {
    id: &'a str,
    wanted: Wanted,
    why: Forward,
}

impl Proxy {
    /// Several requests in one.
    pub(super) async fn batch<B: Payload>(
        &self,
        request: Request<B>,
        version: Option<ApiVersion>,
        now: Time,
    ) -> Response<Body> {
        let rooms = &self.0;
        let (mut head, body) = request.into_parts();
        let pool = rooms.questions.batch_memory();
        let caller = rooms.identity.caller(&head.headers, now).ok();
        let unknown = [(None, PhotoWrite { owner: None })];
        // A caller who trickles holds room that others need: it has as long as a photo has.
        let deadline = Some(rooms.upstream.deadline());
        let gathered = gather(pool, Body::stream(body), LARGEST_BATCH, deadline).await;
        let (bytes, _reserved) = match gathered {
            Ok(Gathered::Whole(bytes, reserved)) => (bytes, reserved),
            // Too large, or no room is left: Graph may have it as it comes, unread.
            Ok(Gathered::Larger { prefix, rest } | Gathered::NoRoom { prefix, rest }) => {
                let writes = Writes::of(rooms, caller.as_ref(), &unknown);
                return self.hand_on(head, rejoin(prefix, rest), writes).await;
            }
            Err(upstream::Error::TimedOut) => {
                return self.failed(&head.headers, &upstream::Error::CallerStalled);
            }
            Err(error) => return self.failed(&head.headers, &error),
        };
        // The body has come: nobody waits to be told to send it.
        head.headers.remove(header::EXPECT);
        let batch = version.and_then(|version| Batch::read(&bytes, version, &head.headers).ok());
        let Some(batch) = batch else {
            let version = version.unwrap_or(ApiVersion::V1);
            let found = lenient::writes(&bytes, version, &head.headers);
            let found = found.unwrap_or_else(|| unknown.to_vec());
            let writes = Writes::of(rooms, caller.as_ref(), &found);
            return self.hand_on(head, Body::whole(bytes.clone()), writes).await;
        };
        let found = batch.writes();
        let writes = Writes::of(rooms, caller.as_ref(), &found);
        let photos = match &caller {
            Some(caller) if !batch.photos_may_be_declined(rooms, &head.headers) => Some(caller),
            _ => None,
        };
        let mut story = Story::begin(rooms, &head, &batch, writes);
        if let Some(caller) = photos {
            let caller = story.first_word(caller, now).await;
            story.recall(&caller, rooms.clock.now());
        }
        // What Graph says of a photo is read even where we have no other part in it.
        let mut wishes = batch.parts.iter().map(|part| &part.wish);
        let unread = caller.is_none() || !wishes.any(|wish| matches!(wish, Wish::Left(_)));
        let nothing = story.asked.is_empty() && story.ours.is_empty();
        if unread && nothing && story.writes.0.is_empty() {
            let writes = story.writes;
            let head = head.clone();
            return self.hand_on(head, Body::whole(bytes.clone()), writes).await;
        }
        story.tell(&bytes).await
    }

    /// A batch that goes to Graph as it came, and its answer to the caller as it comes.
    async fn hand_on(
        &self,
        head: request::Parts,
        body: Body,
        writes: Writes<'_>,
    ) -> Response<Body> {
        let rooms = &self.0;
        let (path, headers) = (head.uri.path().to_owned(), head.headers.clone());
        match rooms
            .upstream
            .forward(Request::from_parts(head, body))
            .await
        {
            Ok(answer) => {
                writes.settle_unread(answer.status());
                rooms.overheard(&path, &headers, &answer);
                rooms.ops.passed_through(answer.status());
                answer
            }
            Err(error) => {
                drop(writes);
                self.failed(&headers, &error)
            }
        }
    }
}

impl Batch<'_> {
    /// The writes, each with the id it is answered by.
    fn writes(&self) -> Vec<(Option<String>, PhotoWrite)> {
        let writes = self.parts.iter().filter_map(|part| match &part.wish {
            Wish::Write(write) => Some((Some(part.id.clone()), write.clone())),
            Wish::Photo(_) | Wish::Left(_) | Wish::Other => None,
        });
        writes.collect()
    }

    /// Whether a caller whose directives are obeyed has given any: then Graph answers.
    fn photos_may_be_declined(&self, rooms: &Rooms, outer: &HeaderMap) -> bool {
        let directs = |fields: &HeaderMap| {
            fields.contains_key(header::CACHE_CONTROL) || fields.contains_key(header::PRAGMA)
        };
        rooms.cache.config().caller_directives == CallerDirectives::Honour
            && (directs(outer)
                || self.parts.iter().any(|part| match &part.wish {
                    Wish::Photo(photo) => directs(&photo.fields),
                    Wish::Write(_) | Wish::Left(_) | Wish::Other => false,
                }))
    }
}

impl<'a> Story<'a> {
    fn begin(
        rooms: &'a std::sync::Arc<Rooms>,
        head: &'a request::Parts,
        batch: &'a Batch<'a>,
        writes: Writes<'a>,
    ) -> Self {
        Self {
            rooms,
            head,
            batch,
            ours: HashMap::new(),
            asked: Vec::new(),
            writes,
            status: BatchStatus::default(),
        }
    }

    /// Has Graph say its first word about the token by one photo alone, where that may spare it
    /// others that are held; who the caller is after that. That one is a photo that must be
    /// asked for anyway, where there is one.
    ///
    /// Not where the batch writes: what it asks for belongs before or after that.
    async fn first_word(&self, caller: &Caller, now: Time) -> Caller {
        let rooms = self.rooms;
        let (mut caller, mut now) = (caller.clone(), now);
        for _ in 0..first::ROUNDS {
            let Some(wanted) = self.bringer(&caller, now) else {
                return caller;
            };
            if !self.writes.0.is_empty() || rooms.refusal(&wanted).is_some() {
                return caller;
            }
            rooms.have_first_word(wanted).await;
            now = rooms.clock.now();
            match rooms.identity.caller(&self.head.headers, now) {
                Ok(again) => caller = again,
                Err(_) => return caller,
            }
        }
        caller
    }

    /// The question whose answer may spare Graph others: a photo that is not held, where one is;
    /// else the first of two that are.
    fn bringer(&self, caller: &Caller, now: Time) -> Option<Wanted> {
        let rooms = self.rooms;
        let (mut promised, mut cold) = (Vec::new(), None);
        for part in &self.batch.parts {
            let Wish::Photo(wish) = &part.wish else {
                continue;
            };
            let facts = Facts::gather(
                rooms,
                wish.photo.clone(),
                caller.clone(),
                Demand::default(),
                now,
            );
            if !matches!(rooms.standing(&facts, now), Standing::Ask(_)) {
                continue;
            }
            if rooms.is_promised(&facts, now) {
                promised.push((facts, wish));
            } else if cold.is_none() && rooms.brings_word(&facts) {
                cold = Some((facts, wish));
            }
        }
        let spares = promised.len() + usize::from(cold.is_some()) > 1;
        let first = cold.or_else(|| promised.into_iter().next());
        let (facts, wish) = first.filter(|_| spares)?;
        Some(Wanted::of(rooms, facts, &alone(self.head, wish)))
    }

    /// Answers from memory what a direct request would be answered from memory for.
    fn recall(&mut self, caller: &Caller, now: Time) {
        let rooms = self.rooms;
        for part in &self.batch.parts {
            let Wish::Photo(wish) = &part.wish else {
                continue;
            };
            self.status.photos += 1;
            let request = alone(self.head, wish);
            // Where directives are obeyed, a batch that carries any has been declined before.
            let demand = Demand::default();
            let facts = Facts::gather(rooms, wish.photo.clone(), caller.clone(), demand, now);
            rooms.ask_names(&facts, &self.head.headers, now);
            let standing = rooms.standing(&facts, now);
            let (held, status) = match rooms.from_memory(&facts, standing, &request, now) {
                Ok(shown) => shown,
                Err(why) => {
                    let wanted = Wanted::of(rooms, facts, &request);
                    self.leave_for_graph(part, wanted, why, now);
                    continue;
                }
            };
            self.ours.insert(&part.id, held::part(&part.id, &held));
            self.status.held += 1;
            let answered = held.response.status;
            self.note(&facts, &Answer::Held(held), status, answered, now);
        }
    }

    /// A photo for Graph, unless Graph has said wait: then what may be shown meanwhile, or the
    /// wait that is left.
    fn leave_for_graph(&mut self, part: &'a Part<'a>, wanted: Wanted, why: Forward, now: Time) {
        let rooms = self.rooms;
        let refusal = rooms.refusal(&wanted);
        let shown = refusal.and_then(|_| rooms.fallback(&wanted, now));
        let ours = match (refusal, shown) {
            (_, Some(held)) => {
                self.status.held += 1;
                held::part(&part.id, &held)
            }
            (Some(Refusal::Wait(wait)), None) => {
                self.problem_part(&part.id, Problem::Throttled { wait }, now)
            }
            (_, None) => {
                self.asked.push(Asked {
                    id: &part.id,
                    wanted,
                    why,
                });
                return;
            }
        };
        self.ours.insert(&part.id, ours);
    }

    /// Tells the operator of one photo.
    fn note(
        &self,
        facts: &Facts,
        answer: &Answer,
        status: CacheStatus,
        answered: StatusCode,
        began: Time,
    ) {
        self.rooms.ops.photo(&Told {
            photo: &facts.photo,
            headers: &self.head.headers,
            status,
            source: Source::of(answer),
            answered,
            took: self.rooms.clock.now().since(began),
        });
    }

    /// Asks Graph for what is left, and puts the answers together.
    async fn tell(mut self, whole: &Bytes) -> Response<Body> {
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

    fn problem_part(&self, id: &str, problem: Problem, now: Time) -> String {
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

    fn problem(&self, problem: Problem) -> Response<Body> {
        let rooms = self.rooms;
        problem.reply(&self.head.headers, &rooms.ids.next(), rooms.clock.now())
    }
}

/// The direct request that a photo part stands for.
fn alone(outer: &request::Parts, wish: &batch::request::Photo) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from(wish.target.clone());
    let fields = request.headers_mut();
    // What names a request in traces goes by allow-list from here, as for a direct one.
    for (name, value) in &outer.headers {
        if !wish.fields.contains_key(name) && *name != header::ACCEPT {
            fields.append(name, value.clone());
        }
    }
    fields.extend(
        wish.fields
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    request
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
