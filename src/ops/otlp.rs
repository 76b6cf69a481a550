//! Exports spans to an OpenTelemetry collector: OTLP/HTTP in its JSON form.
//!
//! By hand over the HTTP client that is here already: the protocol is one POST, and its usual
//! crates would bring a second client and a code generator's output along. The collector is
//! beside the proxy or in its network, and is asked over plain HTTP; what goes there holds
//! nothing that is secret.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::spans::{Message, Span, Spans, hex};

/// How long a span may wait for others to go with it.
const EVERY: Duration = Duration::from_secs(1);
/// How many go at once.
const MOST: usize = 512;
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of its answer is read; it says nothing that we act on.
const ANSWER: usize = 64 * 1024;

/// Exports what ends in these spans to the collector at `endpoint`. Never ends; dropping the
/// future loses what has not been sent.
pub async fn export(endpoint: Uri, spans: &Spans) {
    let Some(mut queue) = spans.take() else {
        return;
    };
    let collector = Collector {
        target: format!("{endpoint}v1/traces"),
        client: Client::builder(TokioExecutor::new()).build_http(),
    };
    let mut well = true;
    let mut batch = Vec::new();
    while let Some(done) = gather(&mut queue, &mut batch).await {
        if !batch.is_empty() {
            let sent = collector.send(&batch).await;
            if let (Err(why), true) = (&sent, well) {
                tracing::warn!(why, "traces cannot be exported");
            } else if sent.is_ok() && !well {
                tracing::info!("traces can be exported again");
            }
            well = sent.is_ok();
            batch.clear();
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

/// Waits for spans, and then a little for more. Gives who wants to hear that they are sent.
async fn gather(
    queue: &mut mpsc::Receiver<Message>,
    batch: &mut Vec<Span>,
) -> Option<Option<tokio::sync::oneshot::Sender<()>>> {
    match queue.recv().await? {
        Message::Flush(done) => return Some(Some(done)),
        Message::Span(span) => batch.push(span),
    }
    let end = tokio::time::Instant::now() + EVERY;
    while batch.len() < MOST {
        match tokio::time::timeout_at(end, queue.recv()).await {
            Ok(Some(Message::Span(span))) => batch.push(span),
            Ok(Some(Message::Flush(done))) => return Some(Some(done)),
            Ok(None) | Err(_) => break,
        }
    }
    Some(None)
}

struct Collector {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Collector {
    async fn send(&self, batch: &[Span]) -> Result<(), String> {
        let request = Request::post(&self.target)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(written(batch).to_string()))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| error.to_string())?;
            let status = answer.status();
            let _ = Limited::new(answer.into_body(), ANSWER).collect().await;
            match status {
                StatusCode::OK => Ok(()),
                other => Err(format!("the collector says {}", other.as_u16())),
            }
        };
        let timely = tokio::time::timeout(PATIENCE, exchange).await;
        timely.unwrap_or_else(|_| Err("the collector does not answer".to_owned()))
    }
}

/// An `ExportTraceServiceRequest`.
fn written(batch: &[Span]) -> Value {
    let name = env!("CARGO_PKG_NAME");
    let version = env!("CARGO_PKG_VERSION");
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            word("service.name", name),
            word("service.version", version),
        ] },
        "scopeSpans": [{
            "scope": { "name": name, "version": version },
            "spans": batch.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Value {
    let words = [
        ("photo.kind", span.words.kind),
        ("photo.view", span.words.view),
        ("cache.status", span.words.cache),
        ("photo.source", span.words.source),
    ];
    let mut attributes: Vec<Value> = words
        .into_iter()
        .filter_map(|(key, value)| Some(word(key, value?)))
        .collect();
    if let Some(status) = span.status {
        let value = json!({ "intValue": status.as_u16().to_string() });
        attributes.push(json!({ "key": "http.response.status_code", "value": value }));
    }
    let failed = span.status.is_none_or(|status| status.is_server_error());
    json!({
        "traceId": hex(&span.place.trace),
        "spanId": hex(&span.place.own),
        "parentSpanId": span.place.parent.map(|parent| hex(&parent)).unwrap_or_default(),
        "name": span.name,
        // SPAN_KIND_CLIENT and SPAN_KIND_SERVER.
        "kind": if span.asks { 3 } else { 2 },
        "startTimeUnixNano": span.began.unix_nanoseconds().to_string(),
        "endTimeUnixNano": span.began.plus(span.ended.since(span.began)).unix_nanoseconds().to_string(),
        "attributes": attributes,
        // STATUS_CODE_ERROR, or unset.
        "status": if failed { json!({ "code": 2 }) } else { json!({}) },
    })
}

fn word(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
