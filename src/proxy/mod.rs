//! The narrator: one request from recognition to reply. Read this first.
//!
//! Calls the rooms one after another and hands each what the one before it said. What a photo
//! costs, who may have it and for how long is decided in the rooms; in which order is decided
//! here. [`wanted`] gathers the facts of one request, [`question`] asks Graph, [`told`] says what
//! the answer means, [`learn`] what is learnt of it, [`fallback`] what is shown without one.
//! `batch` tells the same story of several requests in one.

mod batch;
pub mod config;
mod download;
mod explain;
mod fallback;
mod first;
mod gather;
mod infer;
mod learn;
mod names;
pub mod preflight;
mod question;
mod told;
mod verify;
mod wanted;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;

pub use config::Config;
pub use explain::{Explanation, Look, Reading, Whom};
pub use preflight::Preflight;
pub use question::Questions;
use wanted::{Facts, Wanted};

use crate::cache::{Cache, Demand, Held, Lookup, admission};
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
use crate::upstream::{self, Budget, Upstream};

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

/// What is to be done about a photo request.
enum Standing {
    /// It may be answered from memory.
    Serve(Held),
    /// What is held of another size answers for it.
    Infer(Held),
    /// It may be answered from memory, and Graph asked behind it.
    ServeAndRevalidate(Held, CacheStatus),
    /// Graph must be asked first.
    Ask(Forward),
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

    /// A change: Graph's to make. With its success everything held of that owner is in doubt
    /// before the caller sees the answer; without an answer too, since it may have been made.
    async fn write<B: Payload>(
        &self,
        request: Request<B>,
        write: &PhotoWrite,
        now: Time,
    ) -> Response<Body> {
        let rooms = &self.0;
        let caller = rooms.identity.caller(request.headers(), now).ok();
        let doubt = DoubtUnlessRefused {
            rooms,
            write,
            caller,
            refused: false,
        };
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

    /// Everything else.
    async fn pass_through<B: Payload>(&self, mut request: Request<B>) -> Response<Body> {
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
    async fn relay<B: Payload>(
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

    fn failed(&self, headers: &HeaderMap, error: &upstream::Error) -> Response<Body> {
        tracing::info!(
            error = error as &dyn std::error::Error,
            "no answer from graph"
        );
        problem(error).reply(headers, &self.0.ids.next(), self.0.clock.now())
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

    /// What is to be done by now about a photo request for which Graph had to be asked.
    fn anew(&self, facts: Arc<Facts>, why: Forward, headers: &HeaderMap) -> (Arc<Facts>, Standing) {
        let now = self.clock.now();
        let Ok(caller) = self.identity.caller(headers, now) else {
            return (facts, Standing::Ask(why));
        };
        let facts = Facts::gather(self, facts.photo.clone(), caller, facts.demand, now);
        let standing = self.standing(&facts, now);
        (Arc::new(facts), standing)
    }

    /// What is to be done about a photo request, by what is held, what Graph has said of this
    /// caller, and what the caller asks of a stored answer.
    fn standing(&self, facts: &Facts, now: Time) -> Standing {
        // The cache may have been turned off while this request waited.
        if facts.caller.proof().is_none() || !self.trust.stands() {
            return Standing::Ask(Forward::Miss);
        }
        let demand = facts.demand;
        let stale = |held| {
            let status = CacheStatus::hit().because(Detail::Revalidating);
            if demand.only_if_cached {
                Standing::Serve(held)
            } else {
                Standing::ServeAndRevalidate(held, status)
            }
        };
        let inferred = || {
            let held = self.inferred_absent(facts, now);
            held.filter(|held| demand.takes(&held.response, now))
        };
        let mut why = Forward::Miss;
        for key in facts.readable() {
            // What is held by the canonical name is the later word, fresh or not.
            if why != Forward::Miss && facts.is_addressed(key) {
                break;
            }
            let found = self.cache.lookup(key, facts.own, now);
            // "No photo" that has grown old, and a younger word that there is none of any size.
            if let Lookup::Stale(held) | Lookup::Expired(held) = &found
                && held.response.status == StatusCode::NOT_FOUND
                && let Some(largest) = inferred()
            {
                return Standing::Infer(largest);
            }
            match found {
                Lookup::Fresh(held) if demand.takes(&held.response, now) => {
                    return Standing::Serve(held);
                }
                Lookup::Fresh(_) => why = Forward::Request,
                Lookup::Stale(held) if demand.takes(&held.response, now) => return stale(held),
                Lookup::Expired(held) if demand.takes_expired(&held.response, now) => {
                    return stale(held);
                }
                Lookup::Stale(_) | Lookup::Expired(_) | Lookup::Doubted(_) => why = Forward::Stale,
                Lookup::Miss => {}
            }
        }
        if why == Forward::Miss && facts.other_variant_is_held(self, now) {
            why = Forward::VaryMiss;
        }
        match inferred() {
            Some(held) if why == Forward::Miss => Standing::Infer(held),
            _ => Standing::Ask(why),
        }
    }

    /// What is held and how it stands, for a caller who may have it; Graph is asked behind it
    /// where that is due.
    ///
    /// # Errors
    ///
    /// Why Graph must be asked first.
    fn from_memory<B>(
        self: &Arc<Self>,
        facts: &Facts,
        standing: Standing,
        request: &Request<B>,
        now: Time,
    ) -> Result<(Held, CacheStatus), Forward> {
        match standing {
            Standing::Serve(held) => {
                self.renew_ahead(facts, Some(&held), request, now);
                Ok((held, CacheStatus::hit()))
            }
            Standing::Infer(held) => {
                self.renew_ahead(facts, None, request, now);
                Ok((held, CacheStatus::hit()))
            }
            Standing::ServeAndRevalidate(held, status) => {
                let wanted = Wanted::of(self, facts.clone(), request);
                Ok((held, self.revalidate(wanted, status)))
            }
            Standing::Ask(why) => Err(why),
        }
    }

    /// Asks behind a caller's answer, so that steady callers never wait: to renew a proof that
    /// nears its end, or a photo in demand that nears its own.
    fn renew_ahead<B>(
        self: &Arc<Self>,
        facts: &Facts,
        held: Option<&Held>,
        request: &Request<B>,
        now: Time,
    ) {
        let proof = facts.caller.proof();
        if proof.is_some_and(|proof| proof.wants_renewal(now)) {
            return self.ask_behind(Wanted {
                renews: true,
                ..Wanted::of(self, facts.clone(), request)
            });
        }
        let Some(held) =
            held.filter(|held| self.questions.refresh_ahead && held.response.wants_refresh(now))
        else {
            return;
        };
        // A photo that is still fresh is worth a call only where calls are to be had.
        let wanted = Wanted::of(self, facts.clone(), request);
        let kind = facts.owner.kind();
        if self.questions.gate().has_room(&wanted.budget, kind, now) {
            self.ask_behind(wanted);
        } else {
            held.response.popularity.refresh_failed();
        }
    }

    /// The refusal of what would be relayed while its budget's clock is running: they are photo requests too.
    fn throttled(&self, facts: &Facts, now: Time) -> Option<Outcome> {
        let kind = facts.owner.kind();
        let budget = Budget::of(&facts.caller, kind);
        match self.questions.gate().refusal(&budget, kind, now)? {
            upstream::Refusal::Wait(wait) => Some(Outcome {
                answer: Answer::Problem(Problem::Throttled { wait }),
                status: CacheStatus::forwarded(Forward::Unasked).because(Detail::Throttled),
            }),
            _ => None,
        }
    }

    /// Revalidates behind a stale answer, unless Graph says wait or does not work.
    fn revalidate(self: &Arc<Self>, wanted: Wanted, status: CacheStatus) -> CacheStatus {
        match self.refusal(&wanted) {
            Some(upstream::Refusal::Wait(_)) => status.because(Detail::Throttled),
            Some(_) => status.because(Detail::Error),
            None => {
                self.ask_behind(wanted);
                status
            }
        }
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

    /// What an answer to something else says about a caller: a 401 ends its proof, a 429 closes
    /// its budget. Nothing else is learnt here: other routes answer 200 to tokens they never
    /// looked at.
    fn overheard(&self, path: &str, request: &HeaderMap, answer: &Response<Body>) {
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

/// Puts what is held of a write's owner in doubt when dropped, unless Graph refused the write.
struct DoubtUnlessRefused<'a> {
    rooms: &'a Rooms,
    write: &'a PhotoWrite,
    caller: Option<Caller>,
    refused: bool,
}

impl DoubtUnlessRefused<'_> {
    /// Graph has answered: a 4xx changed nothing (RFC 9111 §4.4), anything else may have. An
    /// answer that is not Graph's own may have been given to any token.
    fn settle(mut self, answer: StatusCode, graphs_own: bool) {
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

/// The problem that stands for a failed exchange.
fn problem(error: &upstream::Error) -> Problem {
    match error {
        upstream::Error::Connect(_) => Problem::Unreachable,
        upstream::Error::TimedOut => Problem::TimedOut,
        upstream::Error::CallerStalled => Problem::StalledRequest,
        upstream::Error::Broken(_) => Problem::BrokenAnswer,
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
