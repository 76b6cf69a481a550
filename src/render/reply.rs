//! The response for each outcome.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::outcome::{Answer, CacheStatus, Outcome};
use super::ranges::{self, Of, Ranged};
use super::{Body, Problem, preconditions, shared};
use crate::cache::{Held, Kind, StoredResponse};
use crate::clock::Time;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// What a reply from memory depends on: who asks, and whether a page of another origin does.
const VARY: HeaderValue = HeaderValue::from_static("authorization, origin");

/// What a page of another origin may read of our answers: Graph's own list, and what we add.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Preference-Applied, Content-Range, request-id, client-request-id, \
     ReadWriteConsistencyToken, SdkVersion, WWW-Authenticate, x-ms-client-gcc-tenant, Retry-After, \
     Accept-Ranges, Age, Cache-Status, Proxy-Status",
);

/// What of a request shapes the reply besides the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The caller's header section.
    pub headers: &'a HeaderMap,
    /// HEAD rather than GET.
    pub head: bool,
    /// The key, where `Cache-Status` is to name it.
    pub key: Option<&'a str>,
}

impl Outcome {
    /// The response to send.
    ///
    /// # Panics
    ///
    /// Never: what is put into fields is digits, dashes and words of ours.
    pub fn reply(self, asked: Asked<'_>, ids: &RequestIds, now: Time) -> Response<Body> {
        let status = self.status;
        let mut reply = match self.answer {
            Answer::Held(held) => match held_reply(&held, status, asked, now) {
                Ok(reply) => reply,
                Err(problem) => {
                    let mut reply = problem_reply(problem, status, asked, ids, now);
                    let fields = reply.headers_mut();
                    fields.insert(header::ACCEPT_RANGES, BYTES);
                    let private = HeaderValue::from_static("private, no-store");
                    fields.insert(header::CACHE_CONTROL, private);
                    return reply;
                }
            },
            Answer::Relayed(mut response) => {
                let fields = response.headers_mut();
                // Whoever has answered before us has said so (RFC 9211 §2).
                fields.append(CACHE_STATUS, status.field(None, asked.key));
                shared::forbid(fields);
                allow_other_origins(asked.headers, fields);
                return response;
            }
            Answer::Problem(problem) => return problem_reply(problem, status, asked, ids, now),
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

/// An error of ours.
fn problem_reply(
    problem: Problem,
    status: CacheStatus,
    asked: Asked<'_>,
    ids: &RequestIds,
    now: Time,
) -> Response<Body> {
    let mut reply = problem.reply(asked.headers, &ids.next(), now);
    let fields = reply.headers_mut();
    fields.insert(CACHE_STATUS, status.field(None, asked.key));
    allow_other_origins(asked.headers, fields);
    reply
}

/// A held answer, whole, in part or as 304.
///
/// # Errors
///
/// The problem to tell instead, where the caller asks for a part there is not.
fn held_reply(
    held: &Held,
    status: CacheStatus,
    asked: Asked<'_>,
    now: Time,
) -> Result<Response<Body>, Problem> {
    let stored = &held.response;
    let is_ok = stored.status == StatusCode::OK;
    let last_modified = stored.fields.get(header::LAST_MODIFIED);
    let mut reply = Response::new(Body::empty());
    let fields = reply.headers_mut();
    fields.reserve(stored.fields.len() + 12);
    let age = stored.age(now).as_secs();
    // On an answer that Graph has just made, `Age` would say that it has not (RFC 9111 §5.1).
    if status.is_hit() || age > 0 {
        fields.insert(header::AGE, HeaderValue::from(age));
    }
    // Never to a shared cache; and a browser's own must not give one account's photo to the
    // next account that signs in there.
    fields.insert(header::VARY, VARY);
    fields.insert(header::CACHE_CONTROL, cache_control(stored, now));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    fields.insert(CACHE_STATUS, status.field(Some(ttl(held, now)), asked.key));
    if is_ok && preconditions::is_unchanged(asked.headers, stored.etag(), last_modified) {
        copy_validators(stored, fields);
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(reply);
    }
    fields.extend(
        stored
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if let Some(etag) = &stored.own_etag {
        fields.insert(header::ETAG, etag.clone());
    }
    if is_ok {
        fields.insert(header::ACCEPT_RANGES, BYTES);
    }
    let (mut length, mut bytes) = (stored.length, Bytes::clone(&held.bytes));
    *reply.status_mut() = stored.status;
    // A range of anything but a GET is no range (RFC 9110 §14.2).
    if is_ok && !asked.head && asked.headers.contains_key(header::RANGE) {
        let of = Of {
            length,
            etag: stored.etag(),
            last_modified,
            date: stored.fields.get(header::DATE),
        };
        match ranges::judge(asked.headers, of) {
            Ranged::Whole => {}
            Ranged::Outside => return Err(Problem::RangeNotSatisfiable { length }),
            Ranged::Part { first, last } => {
                bytes = part(&bytes, first, last).unwrap_or(bytes);
                let range = format!("bytes {first}-{last}/{length}");
                let range = HeaderValue::try_from(range).expect("numbers are a header value");
                reply.headers_mut().insert(header::CONTENT_RANGE, range);
                *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
                length = bytes.len() as u64;
            }
        }
    }
    let fields = reply.headers_mut();
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if !asked.head {
        *reply.body_mut() = Body::whole(bytes);
    }
    Ok(reply)
}

/// The bytes from `first` to `last`, both included, without a copy.
fn part(bytes: &Bytes, first: u64, last: u64) -> Option<Bytes> {
    let first = usize::try_from(first).ok()?;
    let end = usize::try_from(last).ok()?.checked_add(1)?;
    (first < end && end <= bytes.len()).then(|| bytes.slice(first..end))
}

/// The stored fields that a 304 repeats (RFC 9110 §15.4.5); `Last-Modified` only where it is
/// the validator.
fn copy_validators(stored: &StoredResponse, fields: &mut HeaderMap) {
    let validator = match stored.etag() {
        Some(etag) => Some((header::ETAG, etag)),
        None => stored
            .fields
            .get(header::LAST_MODIFIED)
            .map(|date| (header::LAST_MODIFIED, date)),
    };
    let date = stored
        .fields
        .get(header::DATE)
        .map(|date| (header::DATE, date));
    fields.extend(
        validator
            .into_iter()
            .chain(date)
            .map(|(name, value)| (name, value.clone())),
    );
}

/// Pictures may be kept by the caller for what is left of their lifetime; JSON and "no photo"
/// must be asked for again, as Graph says of its JSON.
///
/// A caller counts from `Age` (RFC 9111 §4.2.3), so `max-age` is the age and what is left
/// together: what is left alone would end the caller's copy before its time.
fn cache_control(stored: &StoredResponse, now: Time) -> HeaderValue {
    let whole = (stored.age(now) + stored.remaining(now)).as_secs();
    match stored.kind {
        Kind::Media if stored.must_revalidate => {
            HeaderValue::try_from(format!("private, max-age={whole}, must-revalidate"))
                .expect("a number is a header value")
        }
        Kind::Media => HeaderValue::try_from(format!("private, max-age={whole}"))
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
pub(super) fn allow_other_origins(request: &HeaderMap, fields: &mut HeaderMap) {
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
