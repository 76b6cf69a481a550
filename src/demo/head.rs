//! The finishing of an answer: the fields every answer of Graph has, and what spoils them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::answer::{Answer, Content, End, Guard, Reply};
use super::errors;
use super::faults::Fault;
use super::gzip;
use super::service::{self, Ask, Closed, Core};
use super::settings::{Challenge, Settings};
use super::wire::Instead;
use crate::clock::Time;

/// What scripts of other origins may read, as Graph lists it.
const EXPOSED: &str = "ETag, Location, Preference-Applied, Content-Range, request-id, client-request-id, ReadWriteConsistencyToken, SdkVersion, WWW-Authenticate, x-ms-client-gcc-tenant, Retry-After";
const DIAGNOSTIC: &str = "{\"ServerInfo\":{\"DataCenter\":\"Simulated\",\"Slice\":\"E\",\"Ring\":\"5\",\"ScaleUnit\":\"001\",\"RoleInstance\":\"SIM00000001\"}}";
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const AGS_DIAGNOSTIC: HeaderName = HeaderName::from_static("x-ms-ags-diagnostic");
const SIGN_IN_PAGE: &str =
    "<!doctype html><title>Sign in to this network</title><p>Please accept the terms to go on.</p>";

/// Adds ids, date, CORS fields and the rest; writes errors out; compresses JSON.
pub(super) fn finish(core: &Core, ask: &Ask<'_>, answer: &mut Answer) {
    let request_id = core.dice().guid();
    let client_id = ask
        .headers
        .get(CLIENT_REQUEST_ID)
        .cloned()
        .or_else(|| HeaderValue::from_str(&request_id).ok());
    if let Content::Error { code, message } = &answer.content {
        let client_text = client_id.as_ref().and_then(|id| id.to_str().ok());
        answer.content = Content::Whole(Bytes::from(envelope(
            code,
            message,
            ask.now,
            &request_id,
            client_text.unwrap_or(&request_id),
        )));
    }
    if ask.settings.gzip {
        compress(ask, answer);
    }
    let fields = &mut answer.headers;
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        fields.insert(REQUEST_ID, id);
    }
    if let Some(id) = client_id {
        fields.insert(CLIENT_REQUEST_ID, id);
    }
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(ask.now.wall())) {
        fields.insert(header::DATE, date);
    }
    for (name, value) in [
        (AGS_DIAGNOSTIC, DIAGNOSTIC),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
}

/// Graph's error envelope.
pub(super) fn envelope(
    code: &str,
    message: &str,
    now: Time,
    request_id: &str,
    client_id: &str,
) -> String {
    json!({"error": {"code": code, "message": message, "innerError": {
        "date": now.utc(),
        "request-id": request_id,
        "client-request-id": client_id,
    }}})
    .to_string()
}

fn compress(ask: &Ask<'_>, answer: &mut Answer) {
    let wanted = ask
        .headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    let json = answer
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if wanted && json {
        zip(answer);
        answer
            .headers
            .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

fn zip(answer: &mut Answer) {
    if let Content::Whole(bytes) = &answer.content {
        answer.content = Content::Whole(Bytes::from(gzip::wrap(bytes)));
        answer
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Whether the fault takes the answer's place, so that none needs to be made.
pub(super) const fn replaces(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Status(_)
            | Fault::RetryAfter(..)
            | Fault::ClaimsChallenge
            | Fault::Redirect(_)
            | Fault::NotModified
            | Fault::StallHead
            | Fault::CaptiveGateway
            | Fault::Close
            | Fault::Garbage
    )
}

/// Whether no head of an answer is ever sent.
pub(super) const fn silences(fault: &Fault) -> bool {
    matches!(fault, Fault::StallHead | Fault::Close | Fault::Garbage)
}

/// The answer that a fault puts in the place of the right one.
pub(super) fn instead_of(fault: &Fault, settings: &Settings, now: Time) -> Answer {
    let by_number = |status: u16| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        errors::by_status(status, settings.challenge, now)
    };
    match fault {
        Fault::Status(status) => by_number(*status),
        Fault::RetryAfter(status, wait) => by_number(*status).with(header::RETRY_AFTER, wait),
        Fault::ClaimsChallenge => {
            errors::by_status(StatusCode::UNAUTHORIZED, Challenge::Claims, now)
        }
        Fault::Redirect(location) => {
            Answer::new(StatusCode::FOUND, Bytes::new()).with(header::LOCATION, location)
        }
        Fault::NotModified => Answer::new(StatusCode::NOT_MODIFIED, Bytes::new()),
        Fault::CaptiveGateway => Answer::text(StatusCode::OK, "text/html", SIGN_IN_PAGE),
        _ => Answer::new(StatusCode::OK, Bytes::new()),
    }
}

/// Sends an answer as the fault has it.
pub(super) async fn spoil(
    mut answer: Answer,
    fault: Fault,
    sized: bool,
    guard: Option<Guard>,
    instead: &Instead,
) -> Result<Response<Reply>, Closed> {
    let length = answer.whole().map_or(0, Bytes::len) as u64;
    let mut end = End::Whole;
    let mut told = sized;
    match fault {
        Fault::StallHead => std::future::pending().await,
        Fault::Close => return Err(Closed),
        Fault::Garbage => instead.say(Bytes::from_static(b"\x16\x03noise\r\n\r\n\0\xff\xfe")),
        Fault::StallBody(after) => {
            end = End::Stall;
            declare(&mut answer, length, sized);
            cut(&mut answer, after);
            told = false;
        }
        Fault::CutBody(after) => {
            end = End::Cut;
            declare(&mut answer, length, sized);
            cut(&mut answer, after);
            told = false;
        }
        Fault::DeclareMore(more) => {
            declare(&mut answer, length + more, true);
            told = false;
        }
        Fault::DeclareLess(less) => {
            declare(&mut answer, length.saturating_sub(less), true);
            instead.say(raw(&answer));
            // hyper must be given something it agrees with to have anything written at all.
            answer = Answer::new(StatusCode::OK, Bytes::new());
        }
        Fault::Corrupt => {
            if let Content::Whole(bytes) = &answer.content {
                let noise = bytes.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>();
                answer.content = Content::Whole(Bytes::from(noise));
            }
        }
        Fault::Empty => answer.content = Content::Whole(Bytes::new()),
        Fault::ContentType(kind) => answer = answer.with(header::CONTENT_TYPE, &kind),
        Fault::Oversize(bytes) => answer.content = Content::Made(bytes),
        Fault::Gzip => zip(&mut answer),
        Fault::Headers(fields) => {
            for (name, value) in fields {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    answer.headers.append(name, value);
                }
            }
        }
        Fault::Replace(fields) => {
            for (name, value) in fields {
                answer.headers.remove(name);
                if !value.is_empty()
                    && let Ok(value) = HeaderValue::from_str(&value)
                {
                    answer.headers.insert(name, value);
                }
            }
        }
        _ => {}
    }
    Ok(service::reply(answer, end, told, guard))
}

/// Says a length in the head, if lengths are said this time.
fn declare(answer: &mut Answer, length: u64, sized: bool) {
    if sized {
        answer
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Leaves the first bytes only.
fn cut(answer: &mut Answer, after: usize) {
    if let Content::Whole(bytes) = &mut answer.content {
        bytes.truncate(after);
    }
}

/// The answer as HTTP/1.1 text, for what hyper would refuse to send.
fn raw(answer: &Answer) -> Bytes {
    let mut text = format!("HTTP/1.1 {}\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(answer.whole().map(Bytes::as_ref).unwrap_or_default());
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_has_no_zone() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_767_225_599, "2025-12-31T23:59:59"),
        ] {
            let time = Time::new(Duration::ZERO, Duration::from_secs(seconds));
            assert_eq!(time.utc(), text);
        }
    }
}
