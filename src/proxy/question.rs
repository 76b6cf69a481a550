//! One photo question to Graph: collapsed, throttle-aware, conditional where anything is known.
//! What its answer means is in [`told`](super::told), what is shown when there is none in
//! [`fallback`](super::fallback).

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;

use super::download::{Came, Downloads, Ready};
use super::learn::Lesson;
use super::names::Rounds;
use super::standing::Standing;
use super::told::{Posed, Told};
use super::verify::Verified;
use super::wanted::Wanted;
use super::{Config, Rooms};
use crate::cache::{Authority, Born, Held, Key, Lookup};
use crate::clock::Time;
use crate::identity::{Credential, Sharing, Subject};
use crate::precedence::Behind;
use crate::render::{Answer, CacheStatus, Detail, Forward, Outcome, Problem};
use crate::route::{MetadataLevel, View};
use crate::upstream::{
    Ask, Attended, Bearer, Flights, Gate, Habits, Landing, Lead, Pass, Refusal, Seat,
};

/// How often a caller waits for somebody else's question. After that many failures it is told
/// that Graph fails, so this bounds what a failing Graph is asked; after that many answers that
/// could not be shared it asks alone.
const ROUNDS: u32 = 3;

/// What the bodies of batches may take up together, in KiB: some 60 answers of 20 largest
/// photos, or thousands of avatar pages.
const BATCH_MEMORY: usize = 128 * 1024;

/// What collapses and paces photo questions.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the operator's, independent of the others"
)]
#[derive(Debug)]
pub struct Questions {
    pub(super) habits: Habits,
    pub(super) infer_absent: bool,
    pub(super) infer_etag: bool,
    pub(super) verify_by_metadata: bool,
    pub(super) infer_names: bool,
    pub(super) first_word: bool,
    pub(super) refresh_ahead: bool,
    pub(super) ask_names: bool,
    pub(super) names_asked: Rounds,
    authority: Authority,
    open: Flights<FlightKey, Born, Word>,
    pub(super) downloads: Downloads,
    pub(super) first_words: Flights<Credential, (), ()>,
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
    /// What is still to be learnt of the answer. Until then it has not landed.
    pub(super) lesson: Option<Box<Lesson>>,
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
            verify_by_metadata: config.verify_by_metadata,
            infer_names: config.infer_names,
            first_word: config.first_word,
            refresh_ahead: config.refresh_ahead,
            ask_names: config.ask_names,
            names_asked: Rounds::default(),
            authority,
            open: Flights::new(waiting_callers),
            downloads: Flights::new(waiting_callers),
            first_words: Flights::new(waiting_callers),
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
        self.open.waiting() + self.downloads.waiting() + self.first_words.waiting()
    }

    /// How many questions have ended, ever.
    pub(super) fn ended(&self) -> u64 {
        self.open.ended()
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
            let now = self.clock.now();
            if let Some(refusal) = self.refusal_at(&wanted, now) {
                return self.held_up(&wanted, why, refusal);
            }
            let wait = match self.seat(&wanted, now) {
                Seat::Leader(lead) => {
                    if let Some(held) = self.answered_meanwhile(&wanted) {
                        return Outcome {
                            answer: Answer::Held(held),
                            status: CacheStatus::hit(),
                        };
                    }
                    return self.lead(wanted, why, Some(lead)).await;
                }
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

    /// What another question, which has ended since this caller looked, has brought for it.
    fn answered_meanwhile(&self, wanted: &Wanted) -> Option<Held> {
        if wanted.facts.ended == self.questions.ended() {
            return None;
        }
        match self.standing(&wanted.facts, self.clock.now()) {
            Standing::Serve(held) | Standing::Infer(held) if self.may_have(wanted) => Some(held),
            _ => None,
        }
    }

    /// Why Graph may not be asked now.
    pub(super) fn refusal(&self, wanted: &Wanted) -> Option<Refusal> {
        self.refusal_at(wanted, self.clock.now())
    }

    fn refusal_at(&self, wanted: &Wanted, now: Time) -> Option<Refusal> {
        let kind = wanted.facts.owner.kind();
        self.questions.gate.refusal(&wanted.budget, kind, now)
    }

    /// Whether a caller who waited may be given what came: its own token may have ended or been
    /// refused meanwhile, the policy narrowed, or the cache been turned off.
    fn may_have(&self, wanted: &Wanted) -> bool {
        let facts = &wanted.facts;
        let now = self.clock.now();
        let names = self.names(wanted, now);
        self.trust.stands()
            && self.identity.still_proven(&facts.caller, now)
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
        let proof = wanted.facts.caller.proof().cloned();
        let proof = proof.filter(|_| wanted.renews);
        let Seat::Leader(lead) = self.seat(&wanted, self.clock.now()) else {
            if let Some(proof) = proof {
                proof.renewal_failed();
            }
            return;
        };
        let rooms = Arc::clone(self);
        tokio::spawn(Behind::new(async move {
            let flown = rooms.fly(&wanted, Forward::Stale).await;
            if let Some(proof) = proof.filter(|_| !flown.accepted) {
                proof.renewal_failed();
            }
            lead.land(flown.landing);
        }));
    }

    /// Joins the open question that this caller may share, or opens one.
    fn seat(&self, wanted: &Wanted, now: Time) -> Seat<FlightKey, Born, Word> {
        let facts = &wanted.facts;
        let alone = wanted.renews || !self.identity.still_proven(&facts.caller, now);
        let key = FlightKey {
            token: alone.then_some(facts.caller.credential),
            key: facts.widest().clone(),
        };
        // A question asked before a write that this caller may have seen is not its question.
        let joinable = |born: &Born| self.cache.believes(&wanted.place, *born, now);
        self.questions
            .open
            .join(key, self.cache.doubts.born(), joinable)
    }

    /// Asks so that a caller who leaves fails nobody who waits: the question goes on in a task of
    /// its own, from the start or, where its caller's connection attends to nothing else, from
    /// when the caller leaves. It lands when what its answer tells has been learnt.
    async fn lead(
        self: &Arc<Self>,
        wanted: Arc<Wanted>,
        why: Forward,
        lead: Option<Lead<FlightKey, Born, Word>>,
    ) -> Outcome {
        let (rooms, attended) = (Arc::clone(self), wanted.attended);
        let flight = Box::pin(async move {
            let Flown {
                outcome,
                landing,
                lesson,
                ..
            } = rooms.fly(&wanted, why).await;
            let land = |landing| lead.map(|lead| lead.land(landing));
            match lesson {
                None => drop(land(landing)),
                Some(lesson) => drop(tokio::spawn(Behind::new(async move {
                    land(rooms.learn_behind(&wanted, why, *lesson))
                }))),
            }
            outcome
        });
        if attended {
            return Attended::new(flight).await;
        }
        tokio::spawn(Behind::new(flight)).await.unwrap_or(Outcome {
            answer: Answer::Problem(Problem::BrokenAnswer),
            status: CacheStatus::forwarded(why),
        })
    }

    /// One question, from the validator to what its answer means.
    async fn fly(&self, wanted: &Wanted, why: Forward) -> Flown {
        let (before, turn) = match self.ready(wanted, why).await {
            Ready::Ask(before, turn) => (before, turn),
            Ready::Told(flown) => return *flown,
        };
        let mut flown = match self.enter(wanted).await {
            Ok(pass) => self.verify_or_ask(wanted, why, before, &pass).await,
            Err(refusal) => Flown::alone(self.held_up(wanted, why, refusal)),
        };
        if let Some(lesson) = &mut flown.lesson {
            lesson.turn = turn;
        } else if let Some(turn) = turn.filter(|_| flown.accepted) {
            turn.land(Landing::Shared(Came::of(&flown)));
        }
        flown
    }

    /// A place in the lane of this question's budget.
    pub(super) async fn enter(&self, wanted: &Wanted) -> Result<Pass, Refusal> {
        let subject = (wanted.facts.owner.kind(), &wanted.facts.subject);
        let bearer = match wanted.facts.caller.proof() {
            Some(_) => Bearer::Accepted,
            None => Bearer::Unheard,
        };
        let gate = &self.questions.gate;
        gate.enter(&wanted.budget, bearer, subject, || self.clock.now())
            .await
    }

    /// The small question where it will do, else the question itself.
    async fn verify_or_ask(
        &self,
        wanted: &Wanted,
        why: Forward,
        mut before: Before,
        pass: &Pass,
    ) -> Flown {
        if let Some(held) = before.held.as_ref().filter(|_| !before.in_vain) {
            match Box::pin(self.verify(wanted, why, held, pass)).await {
                Verified::Told(flown) => return *flown,
                Verified::InVain => before.in_vain = true,
                Verified::NotTried => {}
            }
        }
        // Graph may have said wait to the small question.
        if before.in_vain
            && let Some(refusal) = self.refusal(wanted)
        {
            return Flown::alone(self.held_up(wanted, why, refusal));
        }
        self.exchange(wanted, why, before, pass).await
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
        let mut ask = question(wanted, before.held.as_ref());
        let span = self.ops.spans().begin(ask.trace.fields(), &self.clock);
        let answer = self.upstream.ask(ask).await;
        let now = self.clock.now();
        let status = answer.as_ref().ok().map(http::Response::status);
        self.ops.spans().asked(span, status, now);
        match answer {
            Ok(answer) => {
                let took = now.since(asked);
                self.ops.asked(answer.status(), before.held.is_some(), took);
                let posed = Posed {
                    wanted,
                    why,
                    born,
                    asked,
                };
                let told = Told {
                    posed,
                    before,
                    pass,
                };
                self.told(told, answer, now).await
            }
            Err(error) => {
                self.ops.unanswered(&error);
                self.unanswered(wanted, why, pass, &error)
            }
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
                && (fields.contains_key(&header::ETAG)
                    || fields.contains_key(&header::LAST_MODIFIED))
        };
        held.find(has_validator).or_else(|| {
            let current = wanted.place.current.as_ref()?;
            self.cache.current(current, now).filter(has_validator)
        })
    }
}

impl Flown {
    pub(super) fn alone(outcome: Outcome) -> Self {
        Self {
            outcome,
            landing: Landing::Alone,
            accepted: false,
            lesson: None,
        }
    }

    /// Graph could not be had: each decides again, and is told so when that fails too.
    pub(super) fn failed(outcome: Outcome, problem: Problem) -> Self {
        Self {
            landing: Landing::Shared(Word::Failed(problem)),
            ..Self::alone(outcome)
        }
    }
}

/// The question: conditional where something is known, its `Accept` made of the key alone.
pub(super) fn question(wanted: &Wanted, before: Option<&Held>) -> Ask {
    let fields = before.map(|before| &before.response.fields);
    let if_none_match = fields.and_then(|fields| fields.get(&header::ETAG));
    let if_modified_since = match if_none_match {
        Some(_) => None,
        None => fields.and_then(|fields| fields.get(&header::LAST_MODIFIED)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How large the future is that such a call makes.
    fn size<A, B, C, F: Future>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_question_takes_little_room() {
        let fly = |rooms: &'static Rooms, wanted: &'static Wanted, why| rooms.fly(wanted, why);
        assert!(size(fly) <= 4_096, "{} bytes: box what is rare", size(fly));
    }
}
