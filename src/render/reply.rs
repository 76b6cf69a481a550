//! The response for each outcome.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::outcome::{Answer, CacheStatus, Outcome};
use super::{Body, preconditions};
use crate::cache::{Held, Kind};
use crate::clock::Time;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// What a page of another origin may read of our answers: Graph's own list, and what we add.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Preference-Applied, Content-Range, request-id, client-request-id, \
     ReadWriteConsistencyToken, SdkVersion, WWW-Authenticate, x-ms-client-gcc-tenant, Retry-After, \
     Age, Cache-Status, Proxy-Status",
);

/// What of a request shapes the reply besides the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The caller's header section.
    pub headers: &'a HeaderMap,
    /// HEAD rather than GET.
    pub head: bool,
}

impl Outcome {
    /// The response to send.
    pub fn reply(self, asked: Asked<'_>, ids: &RequestIds, now: Time) -> Response<Body> {
        let mut reply = match self.answer {
            Answer::Held(held) => held_reply(&held, self.status, asked, now),
            Answer::Relayed(mut response) => {
                response
                    .headers_mut()
                    .insert(CACHE_STATUS, self.status.field(None));
                allow_other_origins(asked.headers, response.headers_mut());
                return response;
            }
            Answer::Problem(problem) => {
                let mut reply = problem.reply(asked.headers, &ids.next(), now);
                reply
                    .headers_mut()
                    .insert(CACHE_STATUS, self.status.field(None));
                allow_other_origins(asked.headers, reply.headers_mut());
                return reply;
            }
        };
        let fields = reply.headers_mut();
        let id =
            HeaderValue::try_from(ids.next()).expect("hex digits and dashes are a header value");
        let client_id = client_request_id(asked.headers).unwrap_or_else(|| id.clone());
        fields.insert(REQUEST_ID, id);
        fields.insert(CLIENT_REQUEST_ID, client_id);
        allow_other_origins(asked.headers, fields);
        reply
    }
}

/// A held answer, whole or as 304.
fn held_reply(held: &Held, status: CacheStatus, asked: Asked<'_>, now: Time) -> Response<Body> {
    let stored = &held.response;
    let last_modified = stored.fields.get(header::LAST_MODIFIED);
    let unchanged = stored.status == StatusCode::OK
        && preconditions::is_unchanged(asked.headers, stored.etag(), last_modified);
    let mut reply = Response::new(Body::empty());
    let fields = reply.headers_mut();
    fields.reserve(stored.fields.len() + 10);
    fields.extend(
        stored
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if let Some(etag) = &stored.own_etag {
        fields.insert(header::ETAG, etag.clone());
    }
    let remaining = stored.remaining(now).as_secs();
    fields.insert(header::AGE, HeaderValue::from(stored.age(now).as_secs()));
    // Never to a shared cache; and a browser's own must not give one account's photo to the
    // next account that signs in there.
    fields.insert(header::VARY, HeaderValue::from_name(header::AUTHORIZATION));
    fields.insert(header::CACHE_CONTROL, cache_control(stored.kind, remaining));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    fields.insert(CACHE_STATUS, status.field(Some(ttl(held, now))));
    if unchanged {
        fields.remove(header::CONTENT_TYPE);
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        return reply;
    }
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(stored.length));
    *reply.status_mut() = stored.status;
    if !asked.head {
        *reply.body_mut() = Body::whole(Bytes::clone(&held.bytes));
    }
    reply
}

/// Pictures may be kept by the caller for what is left of their lifetime; JSON and "no photo"
/// must be asked for again, as Graph says of its JSON.
fn cache_control(kind: Kind, remaining: u64) -> HeaderValue {
    match kind {
        Kind::Media => HeaderValue::try_from(format!("private, max-age={remaining}"))
            .expect("a number is a header value"),
        Kind::Json | Kind::Absent => HeaderValue::from_static("private, no-cache"),
    }
}

/// What is left of the lifetime, in whole seconds; negative once it is over.
fn ttl(held: &Held, now: Time) -> i64 {
    let whole =
        |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    if held.response.is_fresh(now) {
        whole(held.response.remaining(now))
    } else {
        -whole(held.response.staleness(now))
    }
}

/// The fields by which Graph lets pages of other origins read its answers, where the request
/// comes from one and the answer does not carry them already.
fn allow_other_origins(request: &HeaderMap, fields: &mut HeaderMap) {
    if request.contains_key(header::ORIGIN)
        && !fields.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    {
        fields.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The caller's `client-request-id`, where it sent exactly one that can be echoed.
pub(super) fn client_request_id(request: &HeaderMap) -> Option<HeaderValue> {
    let mut all = request.get_all(CLIENT_REQUEST_ID).iter();
    let id = all.next()?;
    (all.next().is_none() && id.len() <= 128).then(|| id.clone())
}

/// Gives out request ids: unlike any other, and not worth guessing.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// A series of ids; `process` should differ from process to process.
    pub fn new(process: u64) -> Self {
        Self {
            process,
            next: AtomicU64::new(1),
        }
    }

    /// The next id, in the shape of a GUID.
    pub fn next(&self) -> String {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(36);
        let _ = write!(
            id,
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            self.process >> 32,
            (self.process >> 16) & 0xffff,
            (self.process >> 4) & 0xfff,
            (count >> 48) & 0xfff,
            count & 0xffff_ffff_ffff,
        );
        id
    }
}
