//! `$batch`: up to 20 requests in one, each answered as if it had come alone.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Content};
use super::faults::Fault;
use super::head;
use super::metadata::Level;
use super::record::Seen;
use super::service::{Ask, Core};
use super::target::{self, Target};
use super::tokens::Caller;

/// The most requests one batch may hold.
const MOST: usize = 20;

fn malformed(message: &str) -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, "BadRequest", message)
}

/// Answers a batch: 200 whatever its parts say, or 400 as a whole.
pub(super) fn answer(core: &Core, ask: &Ask<'_>, caller: &Caller) -> Answer {
    if *ask.method != Method::POST {
        return super::errors::method_not_allowed();
    }
    let parsed: Result<Value, _> = serde_json::from_slice(ask.body);
    let Ok(Some(requests)) = parsed
        .as_ref()
        .map(|value| value.get("requests").and_then(Value::as_array))
    else {
        return malformed("Invalid batch payload format.");
    };
    if requests.len() > MOST {
        return malformed("Number of batch request steps exceeds the maximum value of 20.");
    }
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses = Vec::with_capacity(requests.len());
    for request in requests {
        let Some(id) = request.get("id").and_then(Value::as_str) else {
            return malformed("Invalid batch payload format.");
        };
        if statuses.contains_key(&id.to_ascii_lowercase()) {
            return malformed("Request Id values have to be unique in the batch.");
        }
        let unmet = request
            .get("dependsOn")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|other| {
                let status = statuses.get(&other.to_ascii_lowercase());
                !status.is_some_and(|status| (200..300).contains(status))
            });
        let part = if unmet {
            Answer::error(
                StatusCode::FAILED_DEPENDENCY,
                "FailedDependency",
                "A request this one depends on failed.",
            )
        } else {
            part(core, ask, caller, request)
        };
        statuses.insert(id.to_ascii_lowercase(), part.status.as_u16());
        responses.push(response(core, ask, id, &part));
    }
    if ask.settings.batch_in_any_order {
        core.dice().shuffle(&mut responses);
    }
    Answer::json(json!({"responses": responses}).to_string())
}

/// Answers one part.
fn part(core: &Core, ask: &Ask<'_>, caller: &Caller, request: &Value) -> Answer {
    let text = |name: &str| {
        request
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let url = text("url").trim_start_matches('/');
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url, None),
    };
    let path = format!("/{}/{path}", ask.version.name());
    let Ok(method) = Method::from_bytes(text("method").to_ascii_uppercase().as_bytes()) else {
        return malformed("Invalid method.");
    };
    let headers = headers(request);
    let body = body(request);
    let inner = Ask {
        method: &method,
        path: &path,
        query,
        headers: &headers,
        body: &body,
        length: body.len() as u64,
        level: Level::of(&headers),
        ..*ask
    };
    let target = match target::parse(&path) {
        Some((_, Target::Batch)) => return malformed("Batches cannot be nested."),
        Some((_, target)) => target,
        None => Target::Unknown,
    };
    let number = core.record.arrive(Seen {
        number: 0,
        method: method.clone(),
        path: path.clone(),
        query: query.map(str::to_owned),
        headers: headers.clone(),
        body: body.len() as u64,
        token: Some(caller.number),
        photo: target.is_photo(),
        batched: true,
        status: None,
    });
    let carry_out = || core.answer(&inner, &target, &Ok(caller.clone()), 1);
    let answer = match core.script.take(&path).map(Fault::in_order) {
        Some((done, fault)) if head::replaces(&fault) => {
            if done {
                carry_out();
            }
            head::instead_of(&fault, ask.settings, ask.now)
        }
        _ => carry_out(),
    };
    if answer.media && answer.status == StatusCode::OK {
        core.record.downloads.fetch_add(1, Ordering::Relaxed);
    }
    core.record.update(number, |seen| {
        seen.status = Some(answer.status.as_u16());
    });
    answer
}

fn headers(request: &Value) -> HeaderMap {
    let fields = request.get("headers").and_then(Value::as_object);
    fields
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_str(value.as_str()?).ok()?,
            ))
        })
        .collect()
}

/// JSON stands as it is; anything else is a base64 string.
fn body(request: &Value) -> Bytes {
    match request.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) => STANDARD
            .decode(text)
            .map_or_else(|_| Bytes::from(text.clone()), Bytes::from),
        Some(value) => Bytes::from(value.to_string()),
    }
}

/// One answer in the batch's shape; names of fields keep the case that clients look for.
fn response(core: &Core, ask: &Ask<'_>, id: &str, part: &Answer) -> Value {
    let mut headers = Map::new();
    for (name, shown) in [
        (header::CACHE_CONTROL, "Cache-Control"),
        (header::CONTENT_TYPE, "Content-Type"),
        (header::ETAG, "ETag"),
        (header::RETRY_AFTER, "Retry-After"),
    ] {
        if let Some(value) = part.headers.get(name).and_then(|value| value.to_str().ok()) {
            headers.insert(shown.to_owned(), Value::from(value));
        }
    }
    let missing = part.status == StatusCode::NOT_FOUND;
    let body = match &part.content {
        _ if missing && ask.settings.batch_null_body => Value::Null,
        Content::Error { code, message } => {
            let request_id = core.dice().guid();
            let text = head::envelope(code, message, ask.now, &request_id, &request_id);
            serde_json::from_str(&text).unwrap_or_default()
        }
        Content::Whole(bytes) if bytes.is_empty() => Value::Null,
        Content::Whole(bytes) if part.media => Value::from(STANDARD.encode(bytes)),
        Content::Whole(bytes) => {
            serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(STANDARD.encode(bytes)))
        }
        Content::Made(_) | Content::Events(_) => Value::Null,
    };
    if missing && ask.settings.batch_null_body {
        return json!({"id": id, "status": 404, "body": null});
    }
    json!({"id": id, "status": part.status.as_u16(), "headers": headers, "body": body})
}
