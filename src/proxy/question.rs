//! One photo question to Graph: collapsed, throttle-aware, conditional where anything is known;
//! and what its answer means for what is held and for who is believed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, oneshot};

use super::verify::Verified;
use super::wanted::Wanted;
use super::{Config, Rooms, problem};
use crate::cache::store::{Answered, Kept};
use crate::cache::{Authority, Born, CurrentKey, Held, Key, Kind, Lookup, NotStored, admission};
use crate::clock::Time;
use crate::identity::{Caller, Credential, Proof, Sharing, Space, Subject};
use crate::render::{Answer, Body, CacheStatus, Detail, Forward, Outcome, Problem, coding};
use crate::route::{Guid, MetadataLevel, PhotoOwner, View};
use crate::upstream::{
    self, Ask, Collected, Flights, Gate, Habits, Landing, Lead, Pass, Refusal, Seat,
};

/// How often a caller waits for somebody else's question. After that many failures it is told
/// that Graph fails, so this bounds what a failing Graph is asked; after that many answers that
/// could not be shared it asks alone.
const ROUNDS: u32 = 3;
/// How long a question waits for another principal's download of the same picture, so as to
/// ask for its validator instead of the bytes.
const DOWNLOAD_PATIENCE: Duration = Duration::from_secs(2);
/// The largest JSON or "no photo" body that is stored; Graph's are a few hundred bytes.
const LARGEST_JSON: usize = 64 * 1024;

/// What the bodies of batches may take up together, in KiB: some 60 answers of 20 largest
/// photos, or thousands of avatar pages.
const BATCH_MEMORY: usize = 128 * 1024;

/// What collapses and paces photo questions.
#[derive(Debug)]
pub struct Questions {
    pub(super) habits: Habits,
    pub(super) infer_absent: bool,
    pub(super) infer_etag: bool,
    pub(super) refresh_ahead: bool,
    authority: Authority,
    open: Flights<FlightKey, Born, Word>,
    downloads: Flights<CurrentKey, Born, ()>,
    gate: Gate,
    batch_memory: Arc<Semaphore>,
}

/// Who may share one question: the callers of a key's partition, once proven; the very token
/// before that, and when its proof is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FlightKey {
    token: Option<Credential>,
    key: Key,
}

/// What those who waited are told.
#[derive(Debug, Clone)]
pub(super) enum Word {
    /// An answer that they may have.
    Answer(Held, CacheStatus),
    /// Graph could not be had.
    Failed(Problem),
}

/// How a question ended for the one who asked, and for those who waited.
pub(super) struct Flown {
    pub(super) outcome: Outcome,
    pub(super) landing: Landing<Word>,
    /// Whether Graph has just given the caller what it asked for.
    pub(super) accepted: bool,
}

/// What was known when a question was asked.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// The picture, whose validator is tried.
    pub(super) held: Option<Held>,
    /// Whether its metadata has been asked for, and told nothing.
    pub(super) in_vain: bool,
}

impl Questions {
    /// Questions to this authority.
    pub fn new(authority: Authority, gate: Gate, config: &Config) -> Self {
        let waiting_callers = config.waiting_callers;
        Self {
            habits: Habits::default(),
            infer_absent: config.infer_absent,
            infer_etag: config.infer_etag,
            refresh_ahead: config.refresh_ahead,
            authority,
            open: Flights::new(waiting_callers),
            downloads: Flights::new(waiting_callers),
            gate,
            batch_memory: Arc::new(Semaphore::new(BATCH_MEMORY)),
        }
    }

    /// What is left for the bodies of batches, in KiB.
    pub(super) fn batch_memory(&self) -> &Arc<Semaphore> {
        &self.batch_memory
    }

    /// The authority that is asked, as keys name it.
    pub fn authority(&self) -> Authority {
        self.authority
    }

    /// How many callers wait for somebody else's question.
    pub fn waiting(&self) -> usize {
        self.open.waiting()
    }

    /// The throttle clocks.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Rooms {
    /// Asks Graph for this caller, or waits for a question that is already open.
    ///
    /// Dropping the future leaves; the question goes on in its own task.
    pub(super) async fn ask(self: &Arc<Self>, wanted: Arc<Wanted>, why: Forward) -> Outcome {
        let mut failed = None;
        for _ in 0..ROUNDS {
            if let Some(refusal) = self.refusal(&wanted) {
                return self.held_up(&wanted, why, refusal);
            }
            let wait = match self.seat(&wanted) {
                Seat::Leader(lead) => return self.lead(wanted, why, Some(lead)).await,
                Seat::Waiter(wait) => wait,
                Seat::Full => return self.held_up(&wanted, why, Refusal::Full),
            };
            match wait.landed().await {
                Landing::Shared(Word::Answer(held, status)) if self.may_have(&wanted) => {
                    let status = CacheStatus {
                        forward: Some(why),
                        collapsed: true,
                        ..status
                    };
                    return Outcome {
                        answer: Answer::Held(held),
                        status,
                    };
                }
                Landing::Shared(Word::Failed(problem)) => failed = Some(problem),
                Landing::Shared(Word::Answer(..)) | Landing::Alone => failed = None,
            }
        }
        match failed {
            Some(problem) => self.instead(&wanted, why, Detail::Error, problem),
            None => self.lead(wanted, why, None).await,
        }
    }

    /// Why Graph may not be asked now.
    pub(super) fn refusal(&self, wanted: &Wanted) -> Option<Refusal> {
        let kind = wanted.facts.owner.kind();
        self.questions
            .gate
            .refusal(&wanted.budget, kind, self.clock.now())
    }

    /// Whether a caller who waited may be given what came: its own token may have ended or been
    /// refused meanwhile, or the policy narrowed.
    fn may_have(&self, wanted: &Wanted) -> bool {
        let facts = &wanted.facts;
        let now = self.clock.now();
        let names = self.names(wanted, now);
        self.identity.still_proven(&facts.caller, now)
            && self.identity.still_reads(facts.widest().partition)
            && !self.is_refused(facts.own, &names, facts.space, now)
    }

    /// All known names of whose photo is wanted.
    pub(super) fn names(&self, wanted: &Wanted, now: Time) -> Vec<Subject> {
        let facts = &wanted.facts;
        self.cache.aliases.names(&facts.subject, facts.space, now)
    }

    /// Asks Graph behind an answer that has been given already. Nobody waits for it.
    pub(super) fn ask_behind(self: &Arc<Self>, wanted: Wanted) {
        let wanted = Arc::new(wanted);
        let proof = wanted.facts.caller.proof.clone();
        let proof = proof.filter(|_| wanted.renews);
        let Seat::Leader(lead) = self.seat(&wanted) else {
            if let Some(proof) = proof {
                proof.renewal_failed();
            }
            return;
        };
        let rooms = Arc::clone(self);
        tokio::spawn(async move {
            let flown = rooms.fly(&wanted, Forward::Stale).await;
            if let Some(proof) = proof.filter(|_| !flown.accepted) {
                proof.renewal_failed();
            }
            lead.land(flown.landing);
        });
    }

    /// Joins the open question that this caller may share, or opens one.
    fn seat(&self, wanted: &Wanted) -> Seat<FlightKey, Born, Word> {
        let facts = &wanted.facts;
        let now = self.clock.now();
        let alone = wanted.renews || !self.identity.still_proven(&facts.caller, now);
        let key = FlightKey {
            token: alone.then_some(facts.caller.credential),
            key: facts.widest().clone(),
        };
        // A question asked before a write that this caller may have seen is not its question.
        let joinable = |born: &Born| self.cache.believes(&wanted.place, *born, now);
        self.questions
            .open
            .join(&key, self.cache.doubts.born(), joinable)
    }

    /// Asks in a task of its own, so that a caller who leaves fails nobody who waits.
    async fn lead(
        self: &Arc<Self>,
        wanted: Arc<Wanted>,
        why: Forward,
        lead: Option<Lead<FlightKey, Born, Word>>,
    ) -> Outcome {
        let (tell, told) = oneshot::channel();
        let rooms = Arc::clone(self);
        tokio::spawn(async move {
            let flown = rooms.fly(&wanted, why).await;
            if let Some(lead) = lead {
                lead.land(flown.landing);
            }
            // A caller who has left is not told.
            let _ = tell.send(flown.outcome);
        });
        told.await.unwrap_or(Outcome {
            answer: Answer::Problem(Problem::BrokenAnswer),
            status: CacheStatus::forwarded(why),
        })
    }

    /// One question, from the validator to what its answer means.
    async fn fly(&self, wanted: &Wanted, why: Forward) -> Flown {
        let (before, turn) = self.before(wanted).await;
        let subject = (wanted.facts.owner.kind(), &wanted.facts.subject);
        let pass = self
            .questions
            .gate
            .enter(&wanted.budget, subject, || self.clock.now());
        let flown = match pass.await {
            Ok(pass) => self.verify_or_ask(wanted, why, before, &pass).await,
            Err(refusal) => Flown::alone(self.held_up(wanted, why, refusal)),
        };
        if let Some(turn) = turn.filter(|_| flown.accepted) {
            turn.land(Landing::Shared(()));
        }
        flown
    }

    /// The small question where it will do, else the question itself.
    async fn verify_or_ask(
        &self,
        wanted: &Wanted,
        why: Forward,
        held: Option<Held>,
        pass: &Pass,
    ) -> Flown {
        let mut before = Before {
            held,
            in_vain: false,
        };
        if let Some(held) = &before.held {
            match self.verify(wanted, why, held, pass).await {
                Verified::Told(flown) => return *flown,
                Verified::InVain => before.in_vain = true,
                Verified::NotTried => {}
            }
        }
        match self.refusal(wanted) {
            Some(refusal) if before.in_vain => Flown::alone(self.held_up(wanted, why, refusal)),
            _ => self.exchange(wanted, why, before, pass).await,
        }
    }

    /// One exchange with Graph.
    pub(super) async fn exchange(
        &self,
        wanted: &Wanted,
        why: Forward,
        before: Before,
        pass: &Pass,
    ) -> Flown {
        let (born, asked) = (self.cache.doubts.born(), self.clock.now());
        if self.tenant_would_have_answered(wanted, asked) {
            self.ops.would_share();
        }
        match self
            .upstream
            .ask(question(wanted, before.held.as_ref()))
            .await
        {
            Ok(answer) => {
                let took = self.clock.now().since(asked);
                self.ops.asked(answer.status(), before.held.is_some(), took);
                let told = Told {
                    wanted,
                    why,
                    before,
                    pass,
                    born,
                    asked,
                };
                self.told(told, answer).await
            }
            Err(error) => {
                self.ops.unanswered(&error);
                self.unanswered(wanted, why, pass, &error)
            }
        }
    }

    /// What Graph's answer means.
    async fn told(&self, told: Told<'_>, answer: Response<Incoming>) -> Flown {
        let now = self.clock.now();
        let status = answer.status();
        if let Some(detail) = self.heeded(&told, &answer, now) {
            return self.fallback_or_relay(&told, detail, answer, now);
        }
        match status {
            StatusCode::NOT_MODIFIED => self.unchanged(&told, &answer, now).await,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Flown::alone(told.relayed(answer)),
            _ => {
                match admission::judge_head(told.wanted.facts.photo.view, status, answer.headers())
                {
                    Ok(kind) => self.arrived(told, kind, answer).await,
                    Err(reason) => Flown::alone(self.not_stored(&told, answer, reason)),
                }
            }
        }
    }

    /// What the status alone says of the budget, the token and the owner is noted; returned is
    /// why Graph cannot be had, where it says so.
    fn heeded(&self, told: &Told<'_>, answer: &Response<Incoming>, now: Time) -> Option<Detail> {
        let (status, facts) = (answer.status(), &told.wanted.facts);
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = upstream::retry_after(answer.headers(), now);
            // A 503 that names no wait is a failure like any other.
            if wait.is_some() || status == StatusCode::TOO_MANY_REQUESTS {
                told.pass.throttled(wait, now);
            } else {
                told.pass.failed(now);
            }
            return Some(Detail::Throttled);
        }
        match status {
            // Said before anybody looked at budgets or photos.
            StatusCode::UNAUTHORIZED => {
                told.pass.reached();
                self.identity.refused(&facts.caller.credential, now);
            }
            _ if is_outage(status) => told.pass.failed(now),
            _ => told.pass.answered(),
        }
        if status == StatusCode::FORBIDDEN {
            self.denied(&facts.caller, &facts.photo.owner, now);
        }
        status.is_server_error().then_some(Detail::Error)
    }

    /// 304: the caller may have what is held.
    async fn unchanged(&self, told: &Told<'_>, answer: &Response<Incoming>, now: Time) -> Flown {
        let before = told.before.held.as_ref();
        let stands = before
            .filter(|before| names_it(answer, before))
            .and_then(|before| {
                let habits = &self.questions.habits;
                habits.condition_honoured(told.wanted.facts.owner.kind());
                self.stands(told, before, answer.headers(), answer.status(), now)
            });
        match stands {
            Some(flown) => flown,
            None => self.ask_whole(told).await,
        }
    }

    /// What is held still stands: the caller may have it, unless its token has ended by our
    /// clock or been refused meanwhile.
    pub(super) fn stands(
        &self,
        told: &Told<'_>,
        before: &Held,
        fields: &HeaderMap,
        status: StatusCode,
        now: Time,
    ) -> Option<Flown> {
        self.accepted(told, Shown::Photo(None), now)?;
        let kept = self.cache.freshen(
            &told.wanted.place,
            before,
            fields,
            told.asked,
            told.born,
            now,
        );
        self.picture_tells(told.wanted, &kept.held, told.born, told.asked, now);
        Some(told.kept(kept, status, now))
    }

    /// An answer that may not be stored: this caller's alone, if it can be read.
    fn not_stored(
        &self,
        told: &Told<'_>,
        answer: Response<Incoming>,
        reason: NotStored,
    ) -> Outcome {
        if !coding::is_asked_for(answer.headers(), &told.wanted.codings) {
            // We asked for none, and this caller may not be able to undo it.
            return self.instead(told.wanted, told.why, Detail::Error, Problem::BrokenAnswer);
        }
        let reason = (reason != NotStored::Status).then_some(reason);
        told.handed_on(upstream::inbound(answer), reason)
    }

    /// A 304 that lets nobody have what is held: it is about something else, or the token has
    /// ended by our clock or been refused meanwhile. Asks for all of it, for this caller alone,
    /// from the same place in the lane and unless Graph has said wait meanwhile.
    async fn ask_whole(&self, told: &Told<'_>) -> Flown {
        let Told { wanted, why, .. } = *told;
        if let Some(refusal) = self.refusal(wanted) {
            return Flown::alone(self.held_up(wanted, why, refusal));
        }
        let asked = self.clock.now();
        let answer = match self.upstream.ask(question(wanted, None)).await {
            Ok(answer) => answer,
            Err(error) => {
                self.ops.unanswered(&error);
                return self.unanswered(wanted, why, told.pass, &error);
            }
        };
        let now = self.clock.now();
        self.ops.asked(answer.status(), false, now.since(asked));
        if let Some(detail) = self.heeded(told, &answer, now) {
            return self.fallback_or_relay(told, detail, answer, now);
        }
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Flown::alone(told.problem(Problem::BrokenAnswer));
        }
        Flown::alone(told.relayed(answer))
    }

    /// An answer that may be stored: takes its body in, and stores it on Graph's word about the
    /// caller.
    async fn arrived(&self, told: Told<'_>, kind: Kind, answer: Response<Incoming>) -> Flown {
        let cap = match kind {
            Kind::Media => self.cache.config().max_photo,
            Kind::Json | Kind::Absent => LARGEST_JSON,
        };
        let (head, body) = answer.into_parts();
        let bytes = match upstream::collect(body, cap, self.upstream.deadline()).await {
            Ok(Collected::Whole(bytes)) => bytes,
            Ok(Collected::TooLarge { prefix, rest }) => {
                let answer = upstream::inbound(Response::from_parts(head, rest))
                    .map(|whole| whole.map(|rest| upstream::rejoin(prefix, rest)));
                return Flown::alone(told.handed_on(answer, Some(NotStored::TooLarge)));
            }
            Err(error) => return self.unanswered(told.wanted, told.why, told.pass, &error),
        };
        let now = self.clock.now();
        let alone = |bytes, reason| {
            let answer = Response::from_parts(head.clone(), http_body_util::Full::new(bytes));
            Flown::alone(told.handed_on(upstream::inbound(answer), reason))
        };
        // What is not Graph's word about a photo is no word about the caller either.
        let shown = match admission::judge_body(kind, told.wanted.facts.photo.view, &bytes) {
            Err(reason) => return alone(bytes, Some(reason)),
            Ok(Kind::Absent) if kind == Kind::Absent => {
                if !admission::is_graphs_own(&head.headers) {
                    return alone(bytes, None);
                }
                Shown::NotFound(&bytes)
            }
            Ok(_) => Shown::Photo(Some(&bytes)),
        };
        if self.accepted(&told, shown, now).is_none() {
            return alone(bytes, None);
        }
        let answered = Answered {
            status: head.status,
            fields: &head.headers,
            bytes,
            asked: told.asked,
            born: told.born,
        };
        let kept = self.cache.keep(
            &told.wanted.place,
            kind,
            answered,
            told.before.held.as_ref(),
            now,
        );
        if kept.not_stored.is_none() {
            self.learn_habit(&told, &kept.held, now);
            self.metadata_tells(told.wanted, &kept.held, told.born, told.asked, now);
            self.picture_tells(told.wanted, &kept.held, told.born, told.asked, now);
        }
        told.kept(kept, head.status, now)
    }

    /// Graph has accepted the caller's token and answered about the subject: both are noted.
    fn accepted(&self, told: &Told<'_>, shown: Shown<'_>, now: Time) -> Option<Arc<Proof>> {
        self.credited(told.wanted, (told.asked, told.born), shown, now)
    }

    /// The same, of a question asked and born then.
    pub(super) fn credited(
        &self,
        wanted: &Wanted,
        (asked, born): (Time, Born),
        shown: Shown<'_>,
        now: Time,
    ) -> Option<Arc<Proof>> {
        let facts = &wanted.facts;
        let proof = self.identity.accepted(&facts.caller, asked, now)?;
        if shown.is_about_a_photo() {
            self.identity
                .witnessed(&proof, &facts.owner, &facts.subject, asked);
        }
        self.learn_names(&facts.caller, now);
        if let (View::Metadata | View::List, PhotoOwner::User(upn), Shown::Photo(Some(json))) =
            (facts.photo.view, &facts.photo.owner, shown)
            && let Some(guid) = named_in(json)
        {
            self.cache.aliases.learn(facts.space, guid, upn, asked, now);
        }
        // Only the picture itself takes a refusal back: it may have been the picture's.
        if facts.photo.view == View::Media {
            let names = self.names(wanted, now);
            self.cache.doubts.granted(facts.own, &names, born);
        }
        Some(proof)
    }

    /// The names of the signed-in user, from the claims of a token Graph has accepted; as old as
    /// the token, which keeps its names when the user is given others.
    ///
    /// A guest's principal name is its home tenant's, and may be somebody else's here.
    pub(super) fn learn_names(&self, caller: &Caller, now: Time) {
        let principal = &caller.principal;
        if principal.is_guest() {
            return;
        }
        if let (Some(tenant), Some(user), Some(upn)) =
            (principal.tenant(), principal.user(), principal.upn())
        {
            let age = principal
                .issued()
                .map_or(0, |issued| now.unix_seconds().saturating_sub(issued));
            let told = now.minus(Duration::from_secs(age));
            self.cache
                .aliases
                .learn(Space::Tenant(tenant), user, upn, told, now);
        }
    }

    /// Whether the `tenant` policy, were it in force, would have answered this from memory.
    fn tenant_would_have_answered(&self, wanted: &Wanted, now: Time) -> bool {
        let facts = &wanted.facts;
        if wanted.renews || self.identity.sharing() == Sharing::Tenant {
            return false;
        }
        let Some(current) = &wanted.place.current else {
            return false;
        };
        if !self.cache.has_fresh(current, now) {
            return false;
        }
        let names = self.names(wanted, now);
        self.identity
            .tenant_would_cover(&facts.caller, &facts.owner, &names, now)
            && !self.is_refused(facts.own, &names, facts.space, now)
    }

    /// What is known of the picture: its validator is tried, its bytes are given on Graph's
    /// word.
    pub(super) fn known(&self, wanted: &Wanted) -> Option<Held> {
        let now = self.clock.now();
        let mut held = wanted.facts.readable().filter_map(|key| {
            match self.cache.lookup(key, wanted.facts.own, now) {
                Lookup::Fresh(held)
                | Lookup::Stale(held)
                | Lookup::Expired(held)
                | Lookup::Doubted(held) => Some(held),
                Lookup::Miss => None,
            }
        });
        let has_validator = |held: &Held| {
            let fields = &held.response.fields;
            held.response.status == StatusCode::OK
                && (fields.contains_key(header::ETAG) || fields.contains_key(header::LAST_MODIFIED))
        };
        held.find(has_validator).or_else(|| {
            let current = wanted.place.current.as_ref()?;
            self.cache.current(current).filter(has_validator)
        })
    }

    /// What is known of the picture; where nothing is and another principal is downloading it,
    /// once that has ended. Where it ends without a picture or "no photo" the next one takes
    /// its turn, and dropping the turn lets the one after that go.
    async fn before(&self, wanted: &Wanted) -> (Option<Held>, Option<Lead<CurrentKey, Born, ()>>) {
        let deadline = tokio::time::Instant::now() + DOWNLOAD_PATIENCE;
        loop {
            let before = self.known(wanted);
            let (None, Some(current)) = (&before, &wanted.place.current) else {
                return (before, None);
            };
            let born = self.cache.doubts.born();
            // One that began before a write brings nothing that may still be used.
            let usable =
                |asked: &Born| self.cache.believes(&wanted.place, *asked, self.clock.now());
            let wait = match self.questions.downloads.join(current, born, usable) {
                Seat::Leader(turn) => return (None, Some(turn)),
                Seat::Waiter(wait) => wait,
                Seat::Full => return (None, None),
            };
            match tokio::time::timeout_at(deadline, wait.landed()).await {
                Ok(Landing::Alone) => {}
                Ok(Landing::Shared(())) | Err(_) => return (self.known(wanted), None),
            }
        }
    }

    /// Graph may not be asked now: what is held instead, or how long to wait.
    fn held_up(&self, wanted: &Wanted, why: Forward, refusal: Refusal) -> Outcome {
        let (detail, problem) = match refusal {
            Refusal::Wait(wait) => (Detail::Throttled, Problem::Throttled { wait }),
            Refusal::Down(wait) => (Detail::Error, Problem::Down { wait }),
            Refusal::Full => (Detail::Overloaded, Problem::Overloaded),
        };
        self.instead(wanted, why, detail, problem)
    }

    /// Graph cannot be had: what is held, where it may be shown so, else the problem.
    fn instead(&self, wanted: &Wanted, why: Forward, detail: Detail, problem: Problem) -> Outcome {
        let now = self.clock.now();
        let held = self.fallback(wanted, now);
        let asked = !matches!(
            problem,
            Problem::Throttled { .. } | Problem::Overloaded | Problem::Down { .. }
        );
        let status = match &held {
            _ if asked => CacheStatus::forwarded(why),
            Some(_) => CacheStatus::hit(),
            None => CacheStatus::forwarded(Forward::Unasked),
        };
        Outcome {
            answer: held.map_or(Answer::Problem(problem), Answer::Held),
            status: status.because(detail),
        }
    }

    /// What may be shown when Graph cannot be had: within its time, and never beyond the
    /// caller's proof.
    pub(super) fn fallback(&self, wanted: &Wanted, now: Time) -> Option<Held> {
        let proof = wanted.facts.caller.proof.as_ref()?;
        if !proof.holds(now) || !self.identity.still_proven(&wanted.facts.caller, now) {
            return None;
        }
        let keys = wanted.facts.readable();
        let mut keys = keys.filter(|key| self.identity.still_reads(key.partition));
        let held = keys.find_map(|key| match self.cache.lookup(key, wanted.facts.own, now) {
            Lookup::Fresh(held) | Lookup::Stale(held) | Lookup::Expired(held) => Some(held),
            Lookup::Doubted(_) | Lookup::Miss => None,
        });
        held.filter(|held| wanted.facts.demand.takes(&held.response, now))
    }

    fn fallback_or_relay(
        &self,
        told: &Told<'_>,
        detail: Detail,
        answer: Response<Incoming>,
        now: Time,
    ) -> Flown {
        let mut answer = answer;
        if detail == Detail::Throttled {
            self.tell_wait(told.wanted, answer.headers_mut(), now);
        }
        let status = CacheStatus {
            forward_status: Some(answer.status()),
            ..CacheStatus::forwarded(told.why).because(detail)
        };
        let outcome = match self.fallback(told.wanted, now) {
            Some(held) => Outcome {
                answer: Answer::Held(held),
                status,
            },
            None => told.relayed(answer),
        };
        // A throttled budget is told to each by the gate; a failure is the same for all.
        if detail == Detail::Throttled {
            return Flown::alone(outcome);
        }
        let wait = Duration::from_secs(1);
        Flown::failed(outcome, Problem::Down { wait })
    }

    /// Puts the wait that we keep to into a refusal of Graph, in whole seconds, which all
    /// callers can read: Graph may name a fraction, a date, or none.
    fn tell_wait(&self, wanted: &Wanted, fields: &mut HeaderMap, now: Time) {
        let named = upstream::retry_after(fields, now);
        let kept = match self.refusal(wanted) {
            Some(Refusal::Wait(left)) => Some(left),
            _ => None,
        };
        let Some(wait) = named.max(kept).filter(|wait| *wait < Duration::MAX) else {
            return;
        };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }

    fn unanswered(
        &self,
        wanted: &Wanted,
        why: Forward,
        pass: &Pass,
        error: &upstream::Error,
    ) -> Flown {
        tracing::info!(
            error = error as &dyn std::error::Error,
            "no photo from graph"
        );
        let now = self.clock.now();
        match error {
            upstream::Error::Connect(_) => pass.unreachable(now),
            upstream::Error::TimedOut | upstream::Error::Broken(_) => pass.failed(now),
            // Only a request with a body can stall, and a question has none.
            upstream::Error::CallerStalled => {}
        }
        let problem = problem(error);
        Flown::failed(self.instead(wanted, why, Detail::Error, problem), problem)
    }
}

/// What an answer that counts shows.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// A photo, or its JSON with these bytes.
    Photo(Option<&'a Bytes>),
    /// 404, with these bytes.
    NotFound(&'a Bytes),
}

impl Shown<'_> {
    /// Whether it tells that this caller may know of the owner's photo: "no such user" does not.
    fn is_about_a_photo(&self) -> bool {
        match self {
            Self::Photo(_) => true,
            Self::NotFound(json) => admission::says_no_photo(json),
        }
    }
}

/// Whether a 304 is about what is held: where it names a tag, it is the one that was sent.
fn names_it(answer: &Response<Incoming>, before: &Held) -> bool {
    let bare = |value: &HeaderValue| {
        let tag = value.as_bytes();
        tag.strip_prefix(b"W/").unwrap_or(tag).to_vec()
    };
    let sent = before.response.upstream_etag();
    match (answer.headers().get(header::ETAG), sent) {
        (Some(named), Some(sent)) => bare(named) == bare(sent),
        _ => true,
    }
}

/// A question that has been answered.
pub(super) struct Told<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) why: Forward,
    pub(super) before: Before,
    pub(super) pass: &'a Pass,
    pub(super) born: Born,
    pub(super) asked: Time,
}

impl Told<'_> {
    fn status(&self, graph: StatusCode) -> CacheStatus {
        CacheStatus {
            forward_status: Some(graph),
            ..CacheStatus::forwarded(self.why)
        }
    }

    fn problem(&self, problem: Problem) -> Outcome {
        Outcome {
            answer: Answer::Problem(problem),
            status: CacheStatus::forwarded(self.why),
        }
    }

    /// Graph's answer, for this caller alone.
    fn relayed(&self, answer: Response<Incoming>) -> Outcome {
        self.handed_on(upstream::inbound(answer), None)
    }

    fn handed_on(
        &self,
        answer: Result<Response<Body>, upstream::Error>,
        reason: Option<NotStored>,
    ) -> Outcome {
        let Ok(mut answer) = answer else {
            return self.problem(Problem::BrokenAnswer);
        };
        whole_seconds(answer.headers_mut());
        let detail = reason.map(Detail::NotStored);
        let status = CacheStatus {
            detail,
            ..self.status(answer.status())
        };
        Outcome {
            answer: Answer::Relayed(answer),
            status,
        }
    }

    /// An answer that those who wait may have.
    ///
    /// They may not where Graph says that it depends on who asks, or that it may be used for
    /// nobody without being asked again (RFC 9111 §4: reuse is what they would do).
    fn kept(&self, kept: Kept, graph: StatusCode, now: Time) -> Flown {
        let Kept { held, not_stored } = kept;
        let status = CacheStatus {
            stored: not_stored.is_none(),
            detail: not_stored.map(Detail::NotStored),
            ..self.status(graph)
        };
        let reusable = !held.response.must_revalidate || held.response.is_fresh(now);
        let landing = match not_stored {
            None | Some(NotStored::Written) if reusable => {
                Landing::Shared(Word::Answer(held.clone(), status))
            }
            _ => Landing::Alone,
        };
        Flown {
            outcome: Outcome {
                answer: Answer::Held(held),
                status,
            },
            landing,
            accepted: true,
        }
    }
}

impl Flown {
    fn alone(outcome: Outcome) -> Self {
        Self {
            outcome,
            landing: Landing::Alone,
            accepted: false,
        }
    }

    /// Graph could not be had: each decides again, and is told so when that fails too.
    fn failed(outcome: Outcome, problem: Problem) -> Self {
        Self {
            landing: Landing::Shared(Word::Failed(problem)),
            ..Self::alone(outcome)
        }
    }
}

/// Whether a status says that Graph does not work, rather than what it thinks of the request.
fn is_outage(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The question: conditional where something is known, its `Accept` made of the key alone.
fn question(wanted: &Wanted, before: Option<&Held>) -> Ask {
    let fields = before.map(|before| &before.response.fields);
    let if_none_match = fields.and_then(|fields| fields.get(header::ETAG)).cloned();
    let if_modified_since = match if_none_match {
        Some(_) => None,
        None => fields
            .and_then(|fields| fields.get(header::LAST_MODIFIED))
            .cloned(),
    };
    let photo = &wanted.facts.photo;
    let accept = match (photo.view, photo.variant.metadata) {
        (View::Media, _) => "*/*",
        (_, MetadataLevel::Unsaid) => "application/json",
        (_, MetadataLevel::None) => "application/json;odata.metadata=none",
        (_, MetadataLevel::Minimal) => "application/json;odata.metadata=minimal",
        (_, MetadataLevel::Full) => "application/json;odata.metadata=full",
    };
    Ask {
        target: wanted.target.clone(),
        authorization: wanted.authorization.clone(),
        accept: Some(HeaderValue::from_static(accept)),
        if_none_match,
        if_modified_since,
        trace: wanted.trace.clone(),
    }
}

/// A `Retry-After` of Graph's as a whole number, rounded up: many SDKs read nothing else.
fn whole_seconds(fields: &mut HeaderMap) {
    let Some(text) = fields
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
    else {
        return;
    };
    if let Some((whole, fraction)) = text.trim().split_once('.')
        && let (Ok(whole), true) = (
            whole.parse::<u64>(),
            fraction.bytes().all(|b| b.is_ascii_digit()),
        )
    {
        let up = u64::from(fraction.bytes().any(|digit| digit != b'0'));
        fields.insert(
            header::RETRY_AFTER,
            HeaderValue::from(whole.saturating_add(up)),
        );
    }
}

/// The GUID of the user that Graph says a JSON answer is about: `…users('<guid>')/photo…` or
/// `…users('<guid>@<tenant>')/photo` in `@odata.id` or `@odata.context`.
fn named_in(json: &[u8]) -> Option<Guid> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    ["@odata.id", "@odata.context"]
        .iter()
        .find_map(|annotation| {
            let text = json.get(annotation)?.as_str()?;
            let (_, from) = text.split_once("users('")?;
            let (name, _) = from.split_once("')/photo")?;
            Guid::parse(name.split('@').next().unwrap_or(name))
        })
}
