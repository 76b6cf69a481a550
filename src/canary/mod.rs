//! The canary: a standing check that no caller is given another's photo.
//!
//! At start and every few minutes a handful of invented callers ask a fake Graph on loopback
//! for photos, through rooms made by the same constructors from the same settings as the ones
//! that serve. Every picture of the fake says to whom it was given. One that turns up with
//! anybody else is a cross hit: the cache is turned off for good ([`Trust`]), readiness fails,
//! and the operator's figures say so.
//!
//! The callers are a person, a guest of the same tenant whom the fake refuses, a person of the
//! same name in another tenant, two holders of unreadable tokens, and a forger who claims to be
//! the first: no sharing policy lets any of them see another's picture.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::proxy::Proxy;
use crate::render::Body;

/// How often the check runs while the proxy serves. More often costs a few milliseconds each;
/// less often lets a fault serve longer.
pub const INTERVAL: Duration = Duration::from_mins(5);
/// How long one check may take before it counts as not made.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether what is held may be used. Once lost, it does not come back while the process lives.
#[derive(Debug)]
pub struct Trust(AtomicBool);

impl Default for Trust {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Trust {
    /// Whether no cross hit has been seen.
    pub fn stands(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A cross hit has been seen.
    pub fn lose(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Alarm {
    /// A caller was given a picture that Graph had given to another.
    #[error("{asker} was given a picture of {whose} at step {step}")]
    CrossHit {
        /// Which of the invented callers asked.
        asker: &'static str,
        /// To whom the picture had been given.
        whose: String,
        /// At which step of the check.
        step: usize,
    },
    /// The check could not be made, which says nothing about the rooms.
    #[error("the check could not be made: {0}")]
    NotMade(&'static str),
}

/// One of the invented callers.
struct Caller {
    name: &'static str,
    token: String,
    /// Whether the fake accepts the token.
    known: bool,
    /// Whether the fake lets this caller see other people.
    sees_others: bool,
}

/// The tenant, the subject, the guest, the other tenant: GUIDs that stand for nobody.
const TENANT: &str = "00000000-0000-4000-8000-0000000000a1";
const OTHER_TENANT: &str = "00000000-0000-4000-8000-0000000000a2";
const PERSON: &str = "00000000-0000-4000-8000-0000000000b1";
const GUEST: &str = "00000000-0000-4000-8000-0000000000b2";
const SAME_NAME: &str = "00000000-0000-4000-8000-0000000000b3";
/// Directory roles in `wids`: a member's, a guest's.
const MEMBER_ROLE: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";
const GUEST_ROLE: &str = "10dae51f-b6af-4016-8d66-8c2a99b929b3";

fn callers() -> [Caller; 6] {
    let token = |tenant: &str, object: &str, role: &str, seal: &str| {
        let claims = serde_json::json!({
            "tid": tenant, "oid": object, "appid": "canary", "idtyp": "user", "wids": [role],
            "scp": "User.ReadBasic.All", "upn": "canary@canary.invalid", "exp": u32::MAX,
        });
        format!("e30.{}.{seal}", URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    let caller = |name, token, known, sees_others| Caller {
        name,
        token,
        known,
        sees_others,
    };
    [
        caller(
            "person",
            token(TENANT, PERSON, MEMBER_ROLE, "one"),
            true,
            true,
        ),
        caller(
            "guest",
            token(TENANT, GUEST, GUEST_ROLE, "two"),
            true,
            false,
        ),
        caller(
            "namesake",
            token(OTHER_TENANT, SAME_NAME, MEMBER_ROLE, "three"),
            true,
            true,
        ),
        caller("unreadable", "EwCanaryOne".to_owned(), true, true),
        caller("unreadable too", "EwCanaryTwo".to_owned(), true, false),
        caller(
            "forger",
            token(TENANT, PERSON, MEMBER_ROLE, "forged"),
            false,
            false,
        ),
    ]
}

/// What the callers ask for, in this order, each all at the same moment and then one by one.
const TARGETS: [&str; 4] = [
    "/v1.0/users/00000000-0000-4000-8000-0000000000b9/photo/$value",
    "/v1.0/me/photo/$value",
    "/v1.0/users/canary@canary.invalid/photos/48x48/$value",
    "/beta/users/00000000-0000-4000-8000-0000000000b9/photo",
];

/// What answers the invented callers: the proxy, or in tests one that is broken on purpose.
pub trait Singer: Clone + Send + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Empty<Bytes>>)
    -> impl Future<Output = Response<Body>> + Send;
}

impl Singer for Proxy {
    fn answer(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> impl Future<Output = Response<Body>> + Send {
        Proxy::answer(self, request)
    }
}

/// The mark of the picture that all who may see others see.
const COMMON: &str = "common";

/// Whether a target names the owner whom several callers may see.
fn is_common(target: &str) -> bool {
    target.contains("0000000000b9")
}

/// Plays the callers against rooms whose upstream is a [`Fake`].
///
/// # Errors
///
/// [`Alarm::CrossHit`] for the first foreign picture; [`Alarm::NotMade`] when the check itself
/// failed.
pub async fn check(singer: &impl Singer) -> Result<(), Alarm> {
    tokio::time::timeout(PATIENCE, play(singer))
        .await
        .unwrap_or(Err(Alarm::NotMade("it took too long")))
}

async fn play(singer: &impl Singer) -> Result<(), Alarm> {
    let callers = callers();
    let mut step = 0;
    let mut seen = 0;
    for target in TARGETS {
        // All at once on a cold key, then one after the other, twice, on a warm one.
        let mut together = JoinSet::new();
        for (index, caller) in callers.iter().enumerate() {
            let (singer, request) = (singer.clone(), ask(target, &caller.token)?);
            together.spawn(async move { (index, singer.answer(request).await) });
        }
        while let Some(answered) = together.join_next().await {
            let (index, answer) = answered.map_err(|_| Alarm::NotMade("a caller panicked"))?;
            let caller = callers
                .get(index)
                .ok_or(Alarm::NotMade("a caller got lost"))?;
            seen += usize::from(judge(caller, target, answer, step).await?);
        }
        for caller in callers.iter().chain(&callers) {
            step += 1;
            let answer = singer.answer(ask(target, &caller.token)?).await;
            seen += usize::from(judge(caller, target, answer, step).await?);
        }
    }
    // A check in which nobody sees anything checks nothing.
    (seen > 0)
        .then_some(())
        .ok_or(Alarm::NotMade("nobody was given a picture"))
}

fn ask(target: &str, token: &str) -> Result<Request<Empty<Bytes>>, Alarm> {
    Request::get(target)
        .header(header::HOST, "canary.invalid")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::new())
        .map_err(|_| Alarm::NotMade("a request could not be made"))
}

/// Whether the answer shows anything; an alarm if it shows somebody else's.
async fn judge(
    caller: &Caller,
    target: &str,
    answer: Response<Body>,
    step: usize,
) -> Result<bool, Alarm> {
    if answer.status() != StatusCode::OK {
        return Ok(false);
    }
    let body = answer.into_body().collect().await;
    let bytes = body
        .map_err(|_| Alarm::NotMade("an answer broke off"))?
        .to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whose = text.split('|').nth(1).unwrap_or("nobody known").to_owned();
    // The common owner's picture is one upload, whoever may see it; everything else is marked
    // with the one it was given to.
    let rightful = if is_common(target) && target.ends_with("$value") {
        whose == COMMON && caller.sees_others
    } else {
        whose == caller.name
    };
    if caller.known && rightful {
        Ok(true)
    } else {
        Err(Alarm::CrossHit {
            asker: caller.name,
            whose,
            step,
        })
    }
}

/// A Graph of its own on a free loopback port, which ends when it is dropped.
#[derive(Debug)]
pub struct Fake {
    base: http::Uri,
    serving: AbortHandle,
}

impl Fake {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// When no port on loopback can be had.
    pub async fn start() -> Result<Self, Alarm> {
        let failed = |_| Alarm::NotMade("no port on loopback could be had");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let base = format!("http://{address}")
            .parse()
            .map_err(|_| Alarm::NotMade("the port has no address"))?;
        let serving = tokio::spawn(serve(listener)).abort_handle();
        Ok(Self { base, serving })
    }

    /// Where it is.
    pub fn base(&self) -> http::Uri {
        self.base.clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener) {
    // Connections end with the task that owns them.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service_fn(async |request| Ok::<_, Infallible>(respond(&request)));
        connections.spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// What the fake says: everybody's own picture under `/me` and under a name that means somebody
/// else in each tenant; the common owner's only to those who may see others.
fn respond(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let callers = callers();
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let Some(caller) = callers
        .iter()
        .find(|caller| caller.known && token == Some(&caller.token))
    else {
        return answer(
            StatusCode::UNAUTHORIZED,
            "application/json",
            None,
            "{\"error\":{}}",
        );
    };
    let path = request.uri().path();
    let common = is_common(path);
    if common && !caller.sees_others {
        return answer(
            StatusCode::FORBIDDEN,
            "application/json",
            None,
            "{\"error\":{}}",
        );
    }
    if !path.ends_with("$value") {
        let json = format!("{{\"id\":\"|{}|\"}}", caller.name);
        return answer(StatusCode::OK, "application/json", None, &json);
    }
    let whose = if common { COMMON } else { caller.name };
    let tag = format!("\"{}\"", whose.replace(' ', "-"));
    if is_held(request.headers(), &tag) {
        return answer(StatusCode::NOT_MODIFIED, "image/jpeg", Some(&tag), "");
    }
    answer(
        StatusCode::OK,
        "image/jpeg",
        Some(&tag),
        &format!("picture of |{whose}|"),
    )
}

fn is_held(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|held| held.as_bytes() == tag.as_bytes())
}

fn answer(status: StatusCode, kind: &str, tag: Option<&str>, body: &str) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_owned()));
    let mut answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header("request-id", "canary");
    if let Some(tag) = tag {
        answer = answer.header(header::ETAG, tag);
    }
    answer.body(body).unwrap_or_default()
}

#[cfg(test)]
mod tests;
