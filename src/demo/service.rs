//! One request at the simulator, from the wire to the answer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::answer::{Answer, End, Guard, Reply};
use super::dice::Dice;
use super::directory::Events;
use super::faults::{Fault, Script};
use super::metadata::Level;
use super::pictures::Pictures;
use super::record::{Record, Seen};
use super::settings::{Framing, Settings};
use super::target::{self, Target, Version};
use super::tenant::Tenant;
use super::throttle::Limits;
use super::tokens::{Caller, Rejection, Tokens};
use super::wire::Instead;
use super::{batch, directory, errors, head, owners, photos};
use crate::clock::Time;

/// How much of a request's body is kept; the rest is only counted.
const KEPT_BODY: usize = (4 << 20) + 1;

/// Everything one simulated Graph is.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) settings: RwLock<Settings>,
    pub(super) tenant: Tenant,
    pub(super) tokens: Tokens,
    pub(super) pictures: Pictures,
    pub(super) record: Record,
    pub(super) script: Arc<Script>,
    pub(super) limits: Arc<Limits>,
    pub(super) events: Events,
    pub(super) forbidden: Mutex<HashSet<(String, String)>>,
    pub(super) sent: Arc<AtomicU64>,
    rolls: AtomicU64,
}

/// One question, as the rooms of the simulator see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) settings: &'a Settings,
    pub(super) tenant: &'a str,
    pub(super) method: &'a Method,
    pub(super) version: Version,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
    pub(super) length: u64,
    pub(super) level: Level,
    pub(super) now: Time,
}

impl Ask<'_> {
    /// The members named in `$select`, if it is there.
    pub(super) fn selected(&self) -> Option<Vec<String>> {
        let list = self.query?.split('&').find_map(|option| {
            let (name, value) = option.split_once('=')?;
            let name = name.to_ascii_lowercase();
            matches!(name.as_str(), "$select" | "%24select" | "select").then_some(value)
        })?;
        let list = list
            .replace("%2C", ",")
            .replace("%2c", ",")
            .replace("%20", "");
        Some(list.split(',').map(|one| one.trim().to_owned()).collect())
    }
}

impl Core {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            tenant: Tenant::new(settings.seed, settings.people),
            settings: RwLock::new(settings),
            tokens: Tokens::default(),
            pictures: Pictures::default(),
            record: Record::default(),
            script: Arc::default(),
            limits: Arc::default(),
            events: Events::default(),
            forbidden: Mutex::default(),
            sent: Arc::default(),
            rolls: AtomicU64::new(0),
        }
    }

    /// Fresh dice, never the same twice.
    pub(super) fn dice(&self) -> Dice {
        Dice::of("roll", self.rolls.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a test has forbidden this caller to see that owner.
    pub(super) fn is_forbidden(&self, caller: &Caller, owner: &str) -> bool {
        let forbidden = self
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let who = caller.person.as_ref().unwrap_or(&caller.application);
        !forbidden.is_empty() && forbidden.contains(&(who.clone(), owner.to_owned()))
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Who asks.
    pub(super) fn caller(&self, headers: &HeaderMap, now: Time) -> Result<Caller, Rejection> {
        self.tokens.check(bearer(headers), now)
    }

    /// The answer to one question, apart from everything that may go wrong on command.
    pub(super) fn answer(
        &self,
        ask: &Ask<'_>,
        target: &Target,
        caller: &Result<Caller, Rejection>,
        at_once: usize,
    ) -> Answer {
        if let Some(answer) = directory::open(ask, target) {
            return answer;
        }
        let caller = match caller {
            Ok(caller) => caller,
            Err(why) => return errors::unauthorized(*why, ask.settings.challenge, ask.now),
        };
        if let Some(refusal) = self.limits.banned(&caller.application, ask.now) {
            return refusal;
        }
        match target {
            Target::Photo { owner, view, size } => {
                let budget = owners::budget(owner, caller);
                self.limits
                    .refuse(&caller.application, budget, at_once, ask.settings, ask.now)
                    .unwrap_or_else(|| photos::answer(self, ask, caller, owner, *view, size))
            }
            Target::Batch => batch::answer(self, ask, caller),
            _ => directory::answer(self, ask, caller, target),
        }
    }
}

/// The token of an `Authorization: Bearer` field.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
pub(super) struct Closed;

/// Answers one request on a connection.
pub(super) async fn serve(
    core: Arc<Core>,
    instead: Instead,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Closed> {
    let settings = core.settings();
    let now = settings.clock.now();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let parsed = target::parse(&path);
    let target = parsed
        .as_ref()
        .map_or(&Target::Unknown, |(_, target)| target);
    let caller = core.caller(&parts.headers, now);
    let number = core.record.arrive(seen(&parts, &caller, target));
    // Photos alone are limited in number at once; the count ends with the body.
    let in_flight = caller
        .as_ref()
        .ok()
        .filter(|_| target.is_photo())
        .map(|caller| core.limits.enter(&caller.application));
    let (body, length) = receive(&core, number, body).await;
    let fault = match parts.method {
        Method::OPTIONS => None,
        _ => core.script.take(&path),
    };
    let (done, fault) = match fault.map(Fault::in_order) {
        None => (false, None),
        Some((done, fault)) => (done, Some(fault)),
    };
    let ask = Ask {
        settings: &settings,
        tenant: &core.tenant.id,
        method: &parts.method,
        version: parsed.as_ref().map_or(Version::V1, |(version, _)| *version),
        path: &path,
        query: parts.uri.query(),
        headers: &parts.headers,
        body: &body,
        length,
        level: Level::of(&parts.headers),
        now,
    };
    let at_once = in_flight.as_ref().map_or(0, |one| one.at_once);
    let carry_out = || core.answer(&ask, target, &caller, at_once);
    let mut answer = match &fault {
        Some(fault) if head::replaces(fault) => {
            if done {
                carry_out();
            }
            head::instead_of(fault, &settings, now)
        }
        _ => carry_out(),
    };
    if parts.method != Method::OPTIONS {
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        core.script.wait(&path, reads).await;
        dawdle(&core, &settings).await;
    }
    // What stands between does not sign as Graph does.
    if !matches!(fault, Some(Fault::CaptiveGateway)) {
        head::finish(&core, &ask, &mut answer);
    }
    let status = answer.status;
    if !fault.as_ref().is_some_and(head::silences) {
        core.record
            .update(number, |seen| seen.status = Some(status.as_u16()));
    }
    if answer.media && status == StatusCode::OK {
        core.record.downloads.fetch_add(1, Ordering::Relaxed);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        core.record.throttled.fetch_add(1, Ordering::Relaxed);
    }
    let sized = match settings.framing {
        Framing::Length => true,
        Framing::Chunked => false,
        Framing::Alternating => number % 2 == 1,
    };
    let guard: Option<Guard> = in_flight.map(|one| Box::new(one) as Guard);
    match fault {
        None => Ok(reply(answer, End::Whole, sized, guard)),
        Some(fault) => head::spoil(answer, fault, sized, guard, &instead).await,
    }
}

/// Puts an answer into hyper's form.
pub(super) fn reply(
    answer: Answer,
    end: End,
    sized: bool,
    guard: Option<Guard>,
) -> Response<Reply> {
    // A body of nothing has its length told, or a 304 and a 204 would carry chunks.
    // Where another length has been told already, that is the lie that was asked for.
    let lies = answer.headers.contains_key(header::CONTENT_LENGTH);
    let sized = sized || !lies && answer.whole().is_some_and(Bytes::is_empty);
    let mut response = Response::new(Reply::new(answer.content, end, sized, guard));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

fn seen(parts: &Parts, caller: &Result<Caller, Rejection>, target: &Target) -> Seen {
    Seen {
        number: 0,
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers.clone(),
        body: 0,
        token: caller.as_ref().ok().map(|caller| caller.number),
        photo: target.is_photo(),
        batched: false,
        status: None,
    }
}

/// Takes the whole body, keeps its beginning and counts the rest.
async fn receive(core: &Core, number: u64, mut body: Incoming) -> (Bytes, u64) {
    let (mut kept, mut length) = (BytesMut::new(), 0_u64);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        core.record
            .received
            .fetch_add(data.len() as u64, Ordering::Relaxed);
        let room = KEPT_BODY.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room).unwrap_or_default());
    }
    if length > 0 {
        core.record.update(number, |seen| seen.body = length);
    }
    (kept.freeze(), length)
}

/// Takes as long as Graph would.
async fn dawdle(core: &Core, settings: &Settings) {
    let (shortest, longest) = settings.latency;
    if longest.is_zero() {
        return;
    }
    let part = core.dice().unit();
    let time = shortest + longest.saturating_sub(shortest).mul_f32(part);
    tokio::time::sleep(time).await;
}
