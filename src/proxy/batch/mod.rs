//! Several requests in one: photos inside are answered from memory, the rest is Graph's.
//!
//! What is not fully understood goes to Graph as it came. What is left for Graph goes there as
//! one smaller batch, with the caller's own fields; its photo parts are judged like direct
//! answers, and stored for whom direct answers would be stored for.

mod parts;
mod tell;

use std::collections::HashMap;
use std::sync::Arc;

use http::request;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};

use super::gather::{Gathered, gather, rejoin};
use super::standing::Standing;
use super::wanted::{Facts, Wanted};
use super::{Payload, Proxy, Rooms, first};
use crate::batch::{self, Batch, Part, Wish, held, lenient};
use crate::cache::{CallerDirectives, Demand};
use crate::clock::Time;
use crate::identity::Caller;
use crate::ops::{Source, Told};
use crate::render::{Answer, BatchStatus, Body, CacheStatus, Forward, Problem};
use crate::route::{ApiVersion, PhotoWrite};
use crate::upstream::{self, Refusal};
use parts::Writes;

/// The largest batch that is read: Graph takes no more (Graph: "Update", 4 MB per request).
const LARGEST_BATCH: usize = 4 * 1024 * 1024;

/// A batch being answered.
struct Story<'a> {
    rooms: &'a Arc<Rooms>,
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
        rooms: &'a Arc<Rooms>,
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
