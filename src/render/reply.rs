//! The response for each outcome.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::outcome::{Answer, CacheStatus, Outcome};
use super::ranges::{self, Of, Ranged};
use super::text::Text;
use super::wire::SMALL;
use super::{Body, Problem, Shape, preconditions, shared};
use crate::cache::{Held, Kind, StoredFields, StoredResponse};
use crate::clock::Time;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// What is said of each request anew, in this order.
const SAID: [HeaderName; 5] = [
    header::AGE,
    header::CACHE_CONTROL,
    CACHE_STATUS,
    REQUEST_ID,
    CLIENT_REQUEST_ID,
];

/// With any of these a reply may be other than the whole.
const CONDITIONS: [HeaderName; 3] = [
    header::RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
];

/// Room for the head of a hit.
const WRITTEN_ROOM: usize = 1024;

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
    /// The reply to send.
    ///
    /// # Panics
    ///
    /// Never: what is put into fields is digits, dashes and words of ours.
    pub fn reply<S: Shape>(self, asked: Asked<'_>, ids: &RequestIds, now: Time) -> S {
        if let Answer::Held(held) = &self.answer
            && let Some(reply) = S::quickly(held, self.status, asked, ids, now)
        {
            return reply;
        }
        S::of(self.response(asked, ids, now))
    }

    fn response(self, asked: Asked<'_>, ids: &RequestIds, now: Time) -> Response<Body> {
        let status = self.status;
        match self.answer {
            Answer::Held(held) => match held_reply(&held, status, asked, ids, now) {
                Ok(reply) => reply,
                Err(problem) => {
                    let mut reply = problem_reply(problem, status, asked, ids, now);
                    let fields = reply.headers_mut();
                    fields.insert(header::ACCEPT_RANGES, BYTES);
                    let private = HeaderValue::from_static("private, no-store");
                    fields.insert(header::CACHE_CONTROL, private);
                    reply
                }
            },
            Answer::Relayed(mut response) => {
                let fields = response.headers_mut();
                // Whoever has answered before us has said so (RFC 9211 §2).
                fields.append(CACHE_STATUS, status.field(None, asked.key));
                shared::forbid(fields);
                allow_other_origins(asked.headers, fields);
                response
            }
            Answer::Problem(problem) => problem_reply(problem, status, asked, ids, now),
        }
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
    ids: &RequestIds,
    now: Time,
) -> Result<Response<Body>, Problem> {
    let stored = &held.response;
    let is_ok = stored.status == StatusCode::OK;
    let is_conditional = CONDITIONS
        .iter()
        .any(|name| asked.headers.contains_key(name));
    let when_asked = |value: fn(&StoredResponse) -> Option<HeaderValue>| {
        is_conditional.then(|| value(stored)).flatten()
    };
    let etag = when_asked(StoredResponse::etag);
    let last_modified = when_asked(|stored| stored.fields.get(&header::LAST_MODIFIED));
    let mut reply = Response::new(Body::empty());
    *reply.headers_mut() = fields(held, status, asked, ids, now);
    allow_other_origins(asked.headers, reply.headers_mut());
    if is_ok && preconditions::is_unchanged(asked.headers, etag.as_ref(), last_modified.as_ref()) {
        forget_content(reply.headers_mut());
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(reply);
    }
    let mut bytes = Bytes::clone(&held.bytes);
    *reply.status_mut() = stored.status;
    // A range of anything but a GET is no range (RFC 9110 §14.2).
    if is_ok && !asked.head && asked.headers.contains_key(header::RANGE) {
        let length = stored.length;
        let date = stored.fields.get(&header::DATE);
        let of = Of {
            length,
            etag: etag.as_ref(),
            last_modified: last_modified.as_ref(),
            date: date.as_ref(),
        };
        match ranges::judge(asked.headers, of) {
            Ranged::Whole => {}
            Ranged::Outside => return Err(Problem::RangeNotSatisfiable { length }),
            Ranged::Part { first, last } => {
                bytes = part(&bytes, first, last).unwrap_or(bytes);
                let range = format!("bytes {first}-{last}/{length}");
                let range = HeaderValue::try_from(range).expect("numbers are a header value");
                let fields = reply.headers_mut();
                fields.insert(header::CONTENT_RANGE, range);
                *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
        }
    }
    if asked.head {
        let length = HeaderValue::from(stored.length);
        reply.headers_mut().insert(header::CONTENT_LENGTH, length);
    } else {
        // The length is written with the head, from the body.
        *reply.body_mut() = Body::whole(bytes);
    }
    Ok(reply)
}

/// The fields of a held answer, as it is sent whole.
///
/// Names are looked up once and for all, and what is said of this very request is written into
/// one allocation: on a hit this is most of the work.
fn fields(
    held: &Held,
    status: CacheStatus,
    asked: Asked<'_>,
    ids: &RequestIds,
    now: Time,
) -> HeaderMap {
    let stored = &held.response;
    let mut text = Text::new();
    let mut begin = [0; 4 + StoredFields::MOST];
    say(&mut text, held, status, asked, ids, now, |text, nth| {
        if let Some(begin) = begin.get_mut(nth) {
            *begin = text.here();
        }
    });
    let mut kept = stored.fields.iter();
    let mut count = 0;
    for begin in begin.iter_mut().skip(4) {
        *begin = text.here();
        if let Some((_, value)) = kept.next() {
            text.bytes(value);
            count += 1;
        }
    }
    let [age, control, how, id, kept @ ..] = text.values(begin);
    let client_id = client_request_id(asked.headers).or_else(|| id.clone());
    let said = [age, control, how, id, client_id];
    let kept = kept.into_iter().take(count);

    let mut fields = template(stored).clone();
    for (slot, value) in fields.values_mut().zip(said.into_iter().chain(kept)) {
        *slot = value.expect("words of ours and what was kept of a field are header values");
    }
    if is_new(stored, status, now) {
        fields.remove(header::AGE);
    }
    fields
}

/// Whether Graph has just made the answer: `Age` would say that it has not (RFC 9111 §5.1).
fn is_new(stored: &StoredResponse, status: CacheStatus, now: Time) -> bool {
    !status.is_hit() && stored.age(now).as_secs() == 0
}

/// Writes what is said of this very request, in the order of [`SAID`]; `before` is told which
/// value comes next.
fn say(
    text: &mut Text,
    held: &Held,
    status: CacheStatus,
    asked: Asked<'_>,
    ids: &RequestIds,
    now: Time,
    mut before: impl FnMut(&mut Text, usize),
) {
    let stored = &held.response;
    if !is_new(stored, status, now) {
        before(text, 0);
        text.number(stored.age(now).as_secs());
    }
    before(text, 1);
    write_cache_control(text, stored, now);
    before(text, 2);
    status.write(text, Some(ttl(held, now)), asked.key);
    before(text, 3);
    ids.write_next(text);
}

/// A held picture or its metadata, whole, in the bytes that HTTP/1.1 sends before the body
/// (RFC 9112 §4). `None` where the reply is anything else.
pub(super) fn written(
    held: &Held,
    status: CacheStatus,
    asked: Asked<'_>,
    ids: &RequestIds,
    now: Time,
) -> Option<Vec<u8>> {
    let stored = &held.response;
    let request = asked.headers;
    let is_plain = stored.status == StatusCode::OK
        && !asked.head
        && asked.key.is_none()
        // What is said here frames what follows: no byte more or less may.
        && stored.length == held.bytes.len() as u64
        && !CONDITIONS.iter().any(|name| request.contains_key(name));
    if !is_plain {
        return None;
    }
    // hyper would add one.
    if !stored.fields.is_dated() {
        return None;
    }
    let room = if held.bytes.len() <= SMALL { SMALL } else { 0 };
    let mut text = Text::with_room(WRITTEN_ROOM + room);
    let mut id = 0;
    text.push("HTTP/1.1 200 OK");
    say(&mut text, held, status, asked, ids, now, |text, nth| {
        text.push(BEFORE_SAID.get(nth).unwrap_or(&""));
        id = text.here();
    });
    let end = text.here();
    text.push("\r\nclient-request-id: ");
    match client_request_id(request) {
        Some(client_id) => text.bytes(client_id.as_bytes()),
        None => text.again(id, end),
    }
    text.bytes(stored.fields.lines());
    text.push(ALWAYS_SAID);
    text.number(stored.length);
    if request.contains_key(header::ORIGIN) {
        text.field("access-control-allow-origin", b"*");
        text.field("access-control-expose-headers", EXPOSED.as_bytes());
    }
    text.push("\r\n\r\n");
    Some(text.into_bytes())
}

/// What stands before each of [`SAID`] but the last.
const BEFORE_SAID: [&str; 4] = [
    "\r\nage: ",
    "\r\ncache-control: ",
    "\r\ncache-status: ",
    "\r\nrequest-id: ",
];

/// What stands behind the kept fields of a 200, as [`template`] has it, up to the length.
const ALWAYS_SAID: &str = "\r\nvary: authorization, origin\r\nx-content-type-options: nosniff\r\n\
     accept-ranges: bytes\r\ncontent-length: ";

/// The names in the order of their values, which [`fields`] fills in; and what is always the
/// same. One for each set of fields that Graph's answers have been seen with.
fn template(stored: &StoredResponse) -> &'static HeaderMap {
    static TEMPLATES: [OnceLock<HeaderMap>; 2 << StoredFields::MOST] =
        [const { OnceLock::new() }; 2 << StoredFields::MOST];
    static OTHER: OnceLock<HeaderMap> = OnceLock::new();
    let is_ok = stored.status == StatusCode::OK;
    let at = stored.fields.set() << 1 | usize::from(is_ok);
    let template = TEMPLATES.get(at).unwrap_or(&OTHER);
    template.get_or_init(|| {
        let empty = HeaderValue::from_static("");
        let kept = stored.fields.iter().map(|(name, _)| name.clone());
        let open = SAID.into_iter().chain(kept);
        let mut fields: HeaderMap = open.map(|name| (name, empty.clone())).collect();
        // Never to a shared cache; and a browser's own must not give one account's photo to the
        // next account that signs in there.
        fields.insert(header::VARY, VARY);
        let no_sniff = HeaderValue::from_static("nosniff");
        fields.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
        if is_ok {
            fields.insert(header::ACCEPT_RANGES, BYTES);
        }
        fields
    })
}

/// The bytes from `first` to `last`, both included, without a copy.
fn part(bytes: &Bytes, first: u64, last: u64) -> Option<Bytes> {
    let first = usize::try_from(first).ok()?;
    let end = usize::try_from(last).ok()?.checked_add(1)?;
    (first < end && end <= bytes.len()).then(|| bytes.slice(first..end))
}

/// Takes off what a 304 does not repeat (RFC 9110 §15.4.5); `Last-Modified` stays only where it
/// is the validator.
fn forget_content(fields: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LANGUAGE,
        header::CONTENT_DISPOSITION,
        header::ACCEPT_RANGES,
        ODATA_VERSION,
    ] {
        fields.remove(name);
    }
    if fields.contains_key(header::ETAG) {
        fields.remove(header::LAST_MODIFIED);
    }
}

/// Pictures may be kept by the caller for what is left of their lifetime; JSON and "no photo"
/// must be asked for again, as Graph says of its JSON.
///
/// A caller counts from `Age` (RFC 9111 §4.2.3), so `max-age` is the age and what is left
/// together: what is left alone would end the caller's copy before its time.
fn write_cache_control(text: &mut Text, stored: &StoredResponse, now: Time) {
    if stored.kind != Kind::Media {
        return text.push("private, no-cache");
    }
    text.push("private, max-age=");
    text.number((stored.age(now) + stored.remaining(now)).as_secs());
    if stored.freshness.must_revalidate {
        text.push(", must-revalidate");
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
    /// The process's part, written once.
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    /// A series of ids; `process` should differ from process to process.
    pub fn new(process: u64) -> Self {
        let mut text = Text::new();
        text.hex(process >> 32, 8);
        text.push("-");
        text.hex(process >> 16, 4);
        text.push("-4");
        text.hex(process >> 4, 3);
        text.push("-8");
        Self {
            process: text.into_string(),
            next: AtomicU64::new(1),
        }
    }

    /// The next id, in the shape of a GUID.
    pub fn next(&self) -> String {
        let mut text = Text::new();
        self.write_next(&mut text);
        text.into_string()
    }

    /// The same, behind what has been written already.
    fn write_next(&self, text: &mut Text) {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        text.push(&self.process);
        text.hex(count >> 48, 3);
        text.push("-");
        text.hex(count, 12);
    }
}
