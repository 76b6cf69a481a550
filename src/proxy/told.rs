//! What Graph's answer to a photo question means: for the budget, for the token, for what is
//! held and for who may have it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;

use super::Rooms;
use super::fallback::whole_seconds;
use super::question::{Before, Flown, Word, question};
use super::wanted::Wanted;
use crate::cache::keep::{Answered, Kept};
use crate::cache::{Born, Held, Kind, NotStored, admission, etag};
use crate::clock::Time;
use crate::identity::{Caller, Proof, Space};
use crate::render::{Answer, Body, CacheStatus, Detail, Forward, Outcome, Problem, coding};
use crate::route::{Guid, PhotoOwner, View};
use crate::upstream::{self, Collected, Landing, Pass};

/// The largest JSON or "no photo" body that is stored; Graph's are a few hundred bytes.
const LARGEST_JSON: usize = 64 * 1024;

impl Rooms {
    /// What Graph's answer means.
    pub(super) async fn told(&self, told: Told<'_>, answer: Response<Incoming>) -> Flown {
        let now = self.clock.now();
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
        told.handed_on(told.still_coming(upstream::inbound(answer)), reason)
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
            return Flown::alone(told.problem(Problem::BrokenAnswer));
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
                return Flown::alone(told.handed_on(answer, Some(NotStored::TooLarge)));
            }
            Err(error) => return self.unanswered(wanted, why, told.pass, &error),
        };
        let now = self.clock.now();
        let alone = |bytes, reason| {
            let answer = Response::from_parts(head.clone(), http_body_util::Full::new(bytes));
            Flown::alone(told.handed_on(upstream::inbound(answer), reason))
        };
        // What is not Graph's word about a photo is no word about the caller either.
        let shown = match admission::judge_body(kind, wanted.facts.photo.view, &bytes) {
            Err(reason) => return alone(bytes, Some(reason)),
            Ok(Kind::Absent) if kind == Kind::Absent => {
                if !admission::is_graphs_own(&head.headers) {
                    return alone(bytes, None);
                }
                Shown::NotFound(&bytes)
            }
            Ok(_) => Shown::Photo(Some(&bytes)),
        };
        if self.accepted(told.posed, shown, now).is_none() {
            return alone(bytes, None);
        }
        let answered = Answered {
            status: head.status,
            fields: &head.headers,
            bytes,
            asked,
            born,
        };
        let kept = self.cache.keep(
            &wanted.place,
            kind,
            answered,
            told.before.held.as_ref(),
            now,
        );
        if kept.not_stored.is_none() {
            self.learn_habit(&told, &kept.held, now);
            self.metadata_tells(wanted, &kept.held, born, asked, now);
            self.picture_tells(wanted, &kept.held, born, asked, now);
        }
        told.posed.kept(kept, head.status, now)
    }

    /// Graph has accepted the caller's token and answered about the subject: both are noted.
    fn accepted(&self, posed: Posed<'_>, shown: Shown<'_>, now: Time) -> Option<Arc<Proof>> {
        self.credited(posed.wanted, (posed.asked, posed.born), shown, now)
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
        self.learn_names(&facts.caller, now);
        if let (View::Metadata | View::List, PhotoOwner::User(upn), Shown::Photo(Some(json))) =
            (facts.photo.view, &facts.photo.owner, shown)
            && let Some(guid) = named_in(json)
        {
            self.cache.aliases.learn(facts.space, guid, upn, asked, now);
        }
        let names = self.names(wanted, now);
        if shown.is_about_a_photo() {
            self.identity.witnessed(&proof, &facts.owner, &names, asked);
        }
        // Only the picture itself takes a refusal back: it may have been the picture's.
        if facts.photo.view == View::Media {
            self.cache.doubts.granted(facts.own, &names, born);
        }
        Some(proof)
    }

    /// The names of the signed-in user, from the claims of a token Graph has accepted; as old as
    /// the token, which keeps its names when the user is given others.
    ///
    /// A guest's principal name is its home tenant's, and may be somebody else's here.
    pub(super) fn learn_names(&self, caller: &Caller, now: Time) {
        let principal = caller.principal();
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
        let reusable = !held.response.freshness.must_revalidate || held.response.is_fresh(now);
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

impl Told<'_> {
    fn problem(&self, problem: Problem) -> Outcome {
        Outcome {
            answer: Answer::Problem(problem),
            status: CacheStatus::forwarded(self.posed.why),
        }
    }

    /// Graph's answer, for this caller alone.
    pub(super) fn relayed(&self, answer: Response<Incoming>) -> Outcome {
        self.handed_on(self.still_coming(upstream::inbound(answer)), None)
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
            ..self.posed.status(answer.status())
        };
        Outcome {
            answer: Answer::Relayed(answer),
            status,
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
