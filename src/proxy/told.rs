//! What Graph's answer to a photo question means: for the budget, for the token, for what is
//! held and for who may have it.

use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;

use super::Rooms;
use super::fallback::whole_seconds;
use super::learn::{Lesson, Shown};
use super::question::{Before, Flown, Word, question};
use super::wanted::Wanted;
use crate::cache::keep::{Answered, Kept};
use crate::cache::{Born, Held, Kind, NotStored, admission, etag};
use crate::clock::Time;
use crate::render::{Answer, Body, CacheStatus, Detail, Forward, Outcome, Problem, coding};
use crate::upstream::{self, Collected, Landing, Pass};

/// The largest JSON or "no photo" body that is stored; Graph's are a few hundred bytes.
const LARGEST_JSON: usize = 64 * 1024;

impl Rooms {
    /// What Graph's answer, whose head came `now`, means.
    pub(super) async fn told(
        &self,
        told: Told<'_>,
        answer: Response<Incoming>,
        now: Time,
    ) -> Flown {
        let status = answer.status();
        if let Some(detail) = self.heeded(&told, &answer, now) {
            return self.fallback_or_relay(&told, detail, answer, now);
        }
        match status {
            StatusCode::NOT_MODIFIED => Box::pin(self.unchanged(&told, &answer, now)).await,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Flown::alone(told.relayed(answer)),
            _ => {
                let view = told.posed.wanted.facts.photo.view;
                match admission::judge_head(view, status, answer.headers()) {
                    Ok(kind) => self.arrived(told, kind, answer).await,
                    Err(reason) => Flown::alone(self.not_stored(&told, answer, reason)),
                }
            }
        }
    }

    /// What the status alone says of the budget, the token and the owner is noted; returned is
    /// why Graph cannot be had, where it says so.
    fn heeded(&self, told: &Told<'_>, answer: &Response<Incoming>, now: Time) -> Option<Detail> {
        let (status, facts) = (answer.status(), &told.posed.wanted.facts);
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
                let kind = told.posed.wanted.facts.owner.kind();
                habits.condition_honoured(kind);
                if told.before.in_vain {
                    habits.metadata_told_nothing(kind, now);
                }
                self.stands(told.posed, before, answer.headers(), answer.status(), now)
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
        posed: Posed<'_>,
        before: &Held,
        fields: &HeaderMap,
        status: StatusCode,
        now: Time,
    ) -> Option<Flown> {
        let Posed {
            wanted,
            born,
            asked,
            ..
        } = posed;
        let shown = match before.response.status {
            StatusCode::NOT_FOUND => Shown::NotFound(&before.bytes),
            _ => Shown::Photo(None),
        };
        self.accepted(posed, shown, now)?;
        let place = &wanted.place;
        let kept = self.cache.freshen(place, before, fields, asked, born, now);
        self.picture_tells(wanted, &kept.held, born, asked, now);
        Some(posed.kept(kept, status, now))
    }

    /// An answer that may not be stored: this caller's alone, if it can be read.
    fn not_stored(
        &self,
        told: &Told<'_>,
        answer: Response<Incoming>,
        reason: NotStored,
    ) -> Outcome {
        let Posed { wanted, why, .. } = told.posed;
        if !coding::is_asked_for(answer.headers(), &wanted.codings) {
            // We asked for none, and this caller may not be able to undo it.
            return self.instead(wanted, why, Detail::Error, Problem::BrokenAnswer);
        }
        let reason = (reason != NotStored::Status).then_some(reason);
        told.posed
            .handed_on(told.still_coming(upstream::inbound(answer)), reason)
    }

    /// A 304 that lets nobody have what is held: it is about something else, or the token has
    /// ended by our clock or been refused meanwhile. Asks for all of it, for this caller alone,
    /// from the same place in the lane and unless Graph has said wait meanwhile.
    async fn ask_whole(&self, told: &Told<'_>) -> Flown {
        let Posed { wanted, why, .. } = told.posed;
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
            return Flown::alone(told.posed.problem(Problem::BrokenAnswer));
        }
        Flown::alone(told.relayed(answer))
    }

    /// An answer that may be stored: takes its body in, and stores it on Graph's word about the
    /// caller.
    async fn arrived(&self, told: Told<'_>, kind: Kind, answer: Response<Incoming>) -> Flown {
        let Posed {
            wanted,
            why,
            born,
            asked,
        } = told.posed;
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
                let answer = told.still_coming(answer);
                return Flown::alone(told.posed.handed_on(answer, Some(NotStored::TooLarge)));
            }
            Err(error) => return self.unanswered(wanted, why, told.pass, &error),
        };
        let now = self.clock.now();
        let answered = Answered {
            status: head.status,
            fields: &head.headers,
            bytes: bytes.clone(),
            asked,
            born,
        };
        let received = self.cache.receive(&wanted.place, kind, answered, now);
        let posed = told.posed;
        let alone = |reason| {
            let answer =
                Response::from_parts(head.clone(), http_body_util::Full::new(bytes.clone()));
            Flown::alone(posed.handed_on(upstream::inbound(answer), reason))
        };
        // What is not Graph's word about a photo is no word about the caller either.
        if let Some(reason) = received.not_stored() {
            return alone(Some(reason));
        }
        if kind == Kind::Absent && !admission::is_graphs_own(&head.headers) {
            return alone(None);
        }
        let lesson = Lesson::new(told.before, received);
        if wanted.answers_first
            && let Some(held) = self.foretold(wanted, &lesson, now)
        {
            let outcome = posed.outcome(held, None, head.status);
            return Flown {
                outcome,
                landing: Landing::Alone,
                accepted: true,
                lesson: Some(Box::new(lesson.and(head))),
            };
        }
        let learnt = self.learn(posed, lesson, now);
        learnt.unwrap_or_else(|| alone(None))
    }
}

/// Whether a 304 is about what is held: where it names a tag, it is the one that was sent.
fn names_it(answer: &Response<Incoming>, before: &Held) -> bool {
    let sent = before.response.upstream_etag();
    match (answer.headers().get(header::ETAG), sent) {
        (Some(named), Some(sent)) => etag::is_same(named.as_bytes(), sent.as_bytes()),
        _ => true,
    }
}

/// A question, and when it was put.
#[derive(Clone, Copy)]
pub(super) struct Posed<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) why: Forward,
    pub(super) born: Born,
    pub(super) asked: Time,
}

/// A question that has been answered.
pub(super) struct Told<'a> {
    pub(super) posed: Posed<'a>,
    pub(super) before: Before,
    pub(super) pass: &'a Pass,
}

impl Posed<'_> {
    fn status(&self, graph: StatusCode) -> CacheStatus {
        CacheStatus {
            forward_status: Some(graph),
            ..CacheStatus::forwarded(self.why)
        }
    }

    /// What whoever asked is told of an answer that is held, or could be.
    fn outcome(&self, held: Held, not_stored: Option<NotStored>, graph: StatusCode) -> Outcome {
        let status = CacheStatus {
            stored: not_stored.is_none(),
            detail: not_stored.map(Detail::NotStored),
            ..self.status(graph)
        };
        Outcome {
            answer: Answer::Held(held),
            status,
        }
    }

    /// An answer that those who wait may have.
    ///
    /// They may not where Graph says that it depends on who asks, or that it may be used for
    /// nobody without being asked again (RFC 9111 §4: reuse is what they would do).
    pub(super) fn kept(&self, kept: Kept, graph: StatusCode, now: Time) -> Flown {
        let Kept { held, not_stored } = kept;
        let outcome = self.outcome(held.clone(), not_stored, graph);
        let reusable = !held.response.freshness.must_revalidate || held.response.is_fresh(now);
        let landing = match not_stored {
            None | Some(NotStored::Written) if reusable => {
                Landing::Shared(Word::Answer(held, outcome.status))
            }
            _ => Landing::Alone,
        };
        Flown {
            outcome,
            landing,
            accepted: true,
            lesson: None,
        }
    }

    fn problem(&self, problem: Problem) -> Outcome {
        Outcome {
            answer: Answer::Problem(problem),
            status: CacheStatus::forwarded(self.why),
        }
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
}

impl Told<'_> {
    /// Graph's answer, for this caller alone.
    pub(super) fn relayed(&self, answer: Response<Incoming>) -> Outcome {
        self.posed
            .handed_on(self.still_coming(upstream::inbound(answer)), None)
    }

    /// An answer whose body is still on its way, and so keeps its place among those that are.
    ///
    /// Errors are a few hundred bytes and do not: a forger who reads none of its refusals must
    /// not keep others from asking.
    fn still_coming(
        &self,
        answer: Result<Response<Body>, upstream::Error>,
    ) -> Result<Response<Body>, upstream::Error> {
        let answer = answer?;
        if !answer.status().is_success() || http_body::Body::is_end_stream(answer.body()) {
            return Ok(answer);
        }
        Ok(answer.map(|body| self.pass.until_end_of(body)))
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
