//! The narrator: one request from recognition to reply. Read this first.
//!
//! Calls the rooms one after another and hands each what the one before it said. What a photo
//! costs, who may have it and for how long is decided in the rooms; in which order is decided
//! here. [`wanted`] gathers the facts of one request, [`standing`] says what is to be done about it,
//! [`question`] asks Graph, [`told`] says what the answer means, [`learn`] what is learnt of it,
//! [`fallback`] what is shown without one. [`forward`] hands on what is no photo,
//! `write` a change of one.
//! `batch` tells the same story of several requests in one.

mod batch;
pub mod config;
mod download;
mod explain;
mod fallback;
mod first;
mod forward;
mod gather;
mod infer;
mod learn;
mod names;
pub mod preflight;
mod question;
mod standing;
mod told;
mod verify;
mod wanted;
mod write;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;

pub use config::Config;
pub use explain::{Explanation, Look, Reading, Whom};
pub use preflight::Preflight;
pub use question::Questions;
use standing::Standing;
use wanted::{Facts, Wanted};

use crate::cache::{Cache, Demand};
use crate::canary::Trust;
use crate::clock::{Clock, Time};
use crate::identity::{Caller, Identity, Partition, Space, Subject};
use crate::links::Links;
use crate::ops::spans::Begun;
use crate::ops::{Ops, Source, Told};
use crate::precedence::{self, Behind};
use crate::render::body::BodyError;
use crate::render::{
    Answer, Asked, Body, CacheStatus, Detail, Forward, Outcome, Problem, RequestIds, Shape, Wire,
};
use crate::route::{self, ApiVersion, PhotoOwner, PhotoRequest, PhotoWrite, Recognition};
use crate::server::Service;
use crate::upstream::Upstream;

/// A request body that can be handed on to Graph.
pub trait Payload:
    http_body::Body<Data = Bytes, Error: Into<BodyError>> + Send + Sync + 'static
{
}

impl<B> Payload for B where
    B: http_body::Body<Data = Bytes, Error: Into<BodyError>> + Send + Sync + 'static
{
}

/// Everything a request meets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Rooms>);

/// The rooms, in the order a request meets them.
#[derive(Debug)]
pub struct Rooms {
    /// The clock every request reads once.
    pub clock: Clock,
    /// Who asks.
    pub identity: Identity,
    /// What is held.
    pub cache: Cache,
    /// Pass-through.
    pub upstream: Upstream,
    /// Photo questions to Graph.
    pub questions: Questions,
    /// Whether what is held may be used at all.
    pub trust: Trust,
    /// What the operator sees.
    pub ops: Ops,
    /// Names for our answers.
    pub ids: RequestIds,
    /// Whether `Cache-Status` names the key.
    pub cache_status_key: bool,
    /// Who answers preflights of photo reads.
    pub preflight: Preflight,
    /// Which links are changed in what passes through, if any.
    pub links: Option<Links>,
}

/// A request that memory alone cannot answer, and when it came.
pub struct Unanswered {
    asked: Wish,
    now: Time,
    /// Its span, where somebody collects them.
    span: Option<Begun>,
}

/// What is asked for.
enum Wish {
    /// A photo.
    Photo(Unserved),
    /// A change of one.
    Write(Box<PhotoWrite>),
    /// Several requests in one.
    Batch(Option<ApiVersion>),
    /// Whatever else Graph has.
    Other,
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unanswered(_)")
    }
}

/// A photo that Graph is asked for, and nothing of the request is handed on.
pub struct Question {
    photo: Unserved,
    now: Time,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question(_)")
    }
}

/// A photo request that memory alone cannot answer, and what is known of it.
enum Unserved {
    /// It names nobody on whose behalf anything held might be given.
    Nobody(Box<PhotoRequest>),
    /// Graph has a word in it, and why.
    Waits(Arc<Facts>, Forward),
}

impl Unserved {
    /// Whether it is asked for in a question of ours, and nothing of the request is handed on.
    fn is_asked_for_alone(&self) -> bool {
        match self {
            Self::Nobody(_) => false,
            Self::Waits(facts, _) => !facts.photo.head && !facts.demand.no_store,
        }
    }
}

impl Proxy {
    /// A proxy of these rooms.
    pub fn new(rooms: Rooms) -> Self {
        Self(Arc::new(rooms))
    }

    /// The rooms, for the operator's listener and the timers.
    pub fn rooms(&self) -> &Arc<Rooms> {
        &self.0
    }

    /// Answers one request.
    ///
    /// Dropping the future leaves: a question to Graph that others may wait for goes on, an
    /// exchange that is only this caller's ends.
    pub async fn answer<B: Payload>(&self, mut request: Request<B>) -> Response<Body> {
        match self.at_once(&mut request) {
            Ok(reply) => reply,
            Err(unanswered) => self.go_on(request, unanswered, false).await,
        }
    }

    /// Answers from memory, where that may be done.
    ///
    /// # Errors
    ///
    /// What is known of a request that must wait.
    fn at_once<B, S>(&self, request: &mut Request<B>) -> Result<S, Unanswered>
    where
        B: http_body::Body,
        S: Shape,
    {
        let rooms = &self.0;
        let spans = rooms.ops.spans();
        let span = spans.begin(request.headers_mut(), &rooms.clock);
        let now = rooms.clock.now();
        let answer = match &span {
            None => self.attend(request, now),
            // What a span is told of an answer lies beside the response.
            Some(span) => self.attend(request, now).map(|answer: Response<Body>| {
                spans.answered(span, &answer, rooms.clock.later(now));
                S::of(answer)
            }),
        };
        answer.map_err(|asked| Unanswered { asked, now, span })
    }

    fn attend<B, S>(&self, request: &Request<B>, now: Time) -> Result<S, Wish>
    where
        B: http_body::Body,
        S: Shape,
    {
        let has_body = !request.body().is_end_stream();
        if !self.0.trust.stands() {
            return Err(Wish::Other);
        }
        let (method, target) = (request.method(), request.uri());
        let preflight = &self.0.preflight;
        if let Some(answer) = preflight.answer(method, target, request.headers(), has_body) {
            return Ok(S::of(answer));
        }
        match route::recognise(method, target, request.headers(), has_body) {
            Recognition::Read(photo) => self.recall(request, photo, now).map_err(Wish::Photo),
            Recognition::Write(write) => Err(Wish::Write(Box::new(write))),
            Recognition::Batch(version) => Err(Wish::Batch(version)),
            Recognition::Other => Err(Wish::Other),
        }
    }

    /// Answers what must wait. All of it is boxed: the future that every request moves about,
    /// hits too, is small.
    async fn go_on<B: Payload>(
        &self,
        request: Request<B>,
        unanswered: Unanswered,
        attended: bool,
    ) -> Response<Body> {
        let Unanswered { asked, now, span } = unanswered;
        let answer = match asked {
            Wish::Photo(photo) => self.in_turn(request, photo, now, attended).await,
            Wish::Write(write) => Box::pin(self.write(request, &write, now)).await,
            Wish::Batch(version) => Box::pin(self.batch(request, version, now)).await,
            Wish::Other => Box::pin(self.pass_through(request)).await,
        };
        if let Some(span) = span {
            let rooms = &self.0;
            rooms
                .ops
                .spans()
                .answered(&span, &answer, rooms.clock.now());
        }
        answer
    }

    /// A photo that may be answered from memory, where Graph has let this caller have it.
    ///
    /// # Errors
    ///
    /// What is known of a request that must wait.
    fn recall<B, S: Shape>(
        &self,
        request: &Request<B>,
        photo: PhotoRequest,
        now: Time,
    ) -> Result<S, Unserved> {
        let rooms = &self.0;
        let Ok(caller) = rooms.identity.caller(request.headers(), now) else {
            return Err(Unserved::Nobody(photo.into()));
        };
        let demand = Demand::of(request.headers(), rooms.cache.config().caller_directives);
        let facts = Facts::gather(rooms, photo, caller, demand, now);
        let standing = rooms.standing(&facts, now);
        let (held, status) = match rooms.from_memory(&facts, standing, request, now) {
            Ok(shown) => shown,
            Err(why) => return Err(Unserved::Waits(facts.into(), why)),
        };
        rooms.ask_names(&facts, request.headers(), now);
        let outcome = Outcome {
            answer: Answer::Held(held),
            status,
        };
        precedence::hit();
        Ok(self.tell(&facts.photo, request.headers(), outcome, now))
    }

    /// A photo that memory alone cannot answer, step by step behind what memory answers.
    async fn in_turn<B: Payload, S: Shape>(
        &self,
        request: Request<B>,
        unserved: Unserved,
        now: Time,
        attended: bool,
    ) -> S {
        let waited = precedence::turn().await;
        let read = self.read(request, unserved, now, attended, waited);
        Behind::beginning_at_once(read).await
    }

    /// A photo that memory alone cannot answer.
    async fn read<B: Payload, S: Shape>(
        &self,
        request: Request<B>,
        unserved: Unserved,
        now: Time,
        attended: bool,
        waited: bool,
    ) -> S {
        let rooms = &self.0;
        let (facts, standing) = match unserved {
            // Somebody else's answer may have come meanwhile.
            Unserved::Waits(facts, why) if waited => rooms.anew(facts, why, request.headers()),
            Unserved::Waits(facts, why) => (facts, Standing::Ask(why)),
            Unserved::Nobody(photo) => {
                let status = CacheStatus::forwarded(Forward::Bypass).because(Detail::NoCredential);
                return S::of(Box::pin(self.relay(request, *photo, status, now)).await);
            }
        };
        let (facts, standing, turn) = if rooms.is_promised(&facts, now) {
            // Boxed, as all is that few requests come to: the others need no room for it.
            Box::pin(rooms.after_first_word(facts, standing, request.headers(), now)).await
        } else {
            let asks = matches!(standing, Standing::Ask(_));
            let turn = asks.then(|| rooms.leads_first_word(&facts)).flatten();
            (facts, standing, turn)
        };
        rooms.ask_names(&facts, request.headers(), now);
        let demand = facts.demand;
        let outcome = match rooms.from_memory(&facts, standing, &request, now) {
            Ok((held, status)) => Outcome {
                answer: Answer::Held(held),
                status,
            },
            Err(_) if demand.only_if_cached => Outcome {
                answer: Answer::Problem(Problem::OnlyIfCached),
                status: CacheStatus::forwarded(Forward::Unasked).because(Detail::OnlyIfCached),
            },
            // What Graph makes of a HEAD is Graph's to say; a GET's answer would tell more.
            Err(why) if facts.photo.head || demand.no_store => {
                let Some(outcome) = rooms.throttled(&facts, now) else {
                    let status = if demand.no_store {
                        CacheStatus::forwarded(why).because(Detail::NoStoreAsked)
                    } else {
                        CacheStatus::forwarded(Forward::Method)
                    };
                    let photo = facts.photo.clone();
                    return S::of(Box::pin(self.relay(request, photo, status, now)).await);
                };
                outcome
            }
            Err(why) => {
                let wanted = Wanted {
                    attended,
                    answers_first: turn.is_none() && !facts.hangs_on_word(rooms),
                    ..Wanted::of(rooms, Arc::clone(&facts), &request)
                };
                rooms.ask(Arc::new(wanted), why).await
            }
        };
        first::said(turn);
        self.tell(&facts.photo, request.headers(), outcome, now)
    }

    /// The reply to a photo request that came at `began`, and the operator's figures of it.
    fn tell<S: Shape>(
        &self,
        photo: &PhotoRequest,
        headers: &HeaderMap,
        outcome: Outcome,
        began: Time,
    ) -> S {
        let rooms = &self.0;
        let now = rooms.clock.later(began);
        let (status, source) = (outcome.status, Source::of(&outcome.answer));
        let key = rooms.key(photo);
        let asked = Asked {
            headers,
            head: photo.head,
            key: key.as_deref(),
        };
        let mut reply: S = outcome.reply(asked, &rooms.ids, now);
        let told = Told {
            photo,
            headers,
            status,
            source,
            answered: reply.status(),
            took: now.since(began),
        };
        rooms.ops.photo(&told);
        if let Some(reply) = reply.response() {
            rooms.ops.spans().describe(reply, &told);
        }
        reply
    }
}

impl Service for Proxy {
    type Unanswered = Unanswered;
    type Question = Question;

    fn question(&self, unanswered: Unanswered) -> Result<Question, Unanswered> {
        match unanswered {
            Unanswered {
                asked: Wish::Photo(photo),
                now,
                span: None,
            } if photo.is_asked_for_alone() => Ok(Question { photo, now }),
            other => Err(other),
        }
    }

    fn ask(
        &self,
        request: Request<Empty<Bytes>>,
        question: Question,
    ) -> impl Future<Output = Wire> + Send + 'static {
        let (proxy, Question { photo, now }) = (self.clone(), question);
        async move { proxy.in_turn(request, photo, now, true).await }
    }

    fn at_once<B, S>(&self, request: &mut Request<B>) -> Result<S, Unanswered>
    where
        B: http_body::Body,
        S: Shape,
    {
        Proxy::at_once(self, request)
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        unanswered: Unanswered,
        attended: bool,
    ) -> impl Future<Output = Response<Body>> + Send {
        self.go_on(request, unanswered, attended)
    }
}

impl Rooms {
    /// Drops from memory what has ended, and what is in certain doubt.
    pub fn maintain(&self) {
        self.cache.sweep_doubted(self.clock.now(), &self.clock);
        self.tidy();
    }

    /// Drops from memory what has ended. To be called on a timer.
    pub fn tidy(&self) {
        let now = self.clock.now();
        self.cache.tidy(now);
        self.identity.maintain(now);
        self.questions.gate().maintain(now);
        self.questions.names_asked.maintain(now);
    }

    /// The key as `Cache-Status` names it, where the operator wants that.
    fn key(&self, photo: &PhotoRequest) -> Option<String> {
        self.cache_status_key.then(|| photo.name())
    }

    /// Whether Graph has refused these callers the owner of these names, as far as is known.
    fn is_refused(&self, own: Partition, names: &[Subject], space: Space, now: Time) -> bool {
        let Cache {
            doubts, aliases, ..
        } = &self.cache;
        doubts.is_refused(own, names, space, aliases, now)
    }

    /// Graph has refused a caller the owner it asked for (403): what it was given before ends.
    fn denied(&self, caller: &Caller, owner: &PhotoOwner, now: Time) {
        let subject = Subject::of(owner, caller.principal());
        let space = subject.space(caller.principal(), caller.credential);
        let own = self.identity.own_partition(caller);
        self.identity.denied(&caller.credential, owner.kind(), now);
        let Cache {
            doubts, aliases, ..
        } = &self.cache;
        doubts.refused(own, &subject, space, aliases, now);
    }
}

/// The raw path and query of a request.
fn target<B>(request: &Request<B>) -> PathAndQuery {
    request
        .uri()
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
}
