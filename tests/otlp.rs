//! Traces as a collector on loopback receives them: a caller's trace goes on through the proxy to
//! Graph, and nothing in it is secret. Needs the feature `otlp`.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be set up, or is not where it must be, has failed"
)]

use std::net::SocketAddr;

use bytes::Bytes;
use graph_photo_proxy::app::App;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{Graph, Settings, TokenSpec};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that hands on what it is sent.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<(String, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (give, exports) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let give = give.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let give = give.clone();
                async move {
                    let kind = request.headers()["content-type"]
                        .to_str()
                        .unwrap()
                        .to_owned();
                    let line = format!("{} {} {kind}", request.method(), request.uri().path());
                    let body = request.into_body().collect().await?.to_bytes();
                    let _ = give.send((line, body));
                    Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::from_static(b"{}"))))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, exports)
}

fn text<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|one| one["key"] == key)?;
    let value = &found["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str())
}

#[tokio::test]
async fn a_callers_trace_goes_on_to_graph_and_holds_nothing_that_is_secret() {
    let (address, mut exports) = collector().await;
    let graph = Graph::start(Settings::default());
    let endpoint = format!("http://{address}");
    let app = App::bind(
        Config::with([
            ("listen", "127.0.0.1:0"),
            ("admin", "off"),
            ("upstream", &graph.base_url()),
            ("otlp_endpoint", &endpoint),
        ])
        .unwrap(),
    )
    .unwrap();
    let proxy = app.addresses()[0].1.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(app.run(async move {
        let _ = stopped.await;
    }));
    let tenant = graph.tenant();
    let me = tenant.members().next().unwrap();
    let other = tenant.with_photo().find(|one| one.id != me.id).unwrap();
    let token = graph.issue(TokenSpec::of(me));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let get = async |path: &str, sampled: &str| {
        let request = Request::get(format!("{proxy}{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("traceparent", format!("00-{TRACE}-{PARENT}-{sampled}"))
            .body(Full::<Bytes>::default())
            .unwrap();
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        answer.into_body().collect().await.unwrap();
        status
    };
    let photo = format!("/v1.0/users/{}/photo/$value", other.upn);
    for (path, sampled) in [
        (&*photo, "01"),
        (&photo, "01"),
        ("/v1.0/me", "01"),
        (&photo, "00"),
    ] {
        assert_eq!(get(path, sampled).await, 200, "{path}");
    }
    // The end exports what is left.
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    let mut spans = Vec::new();
    while let Ok((line, body)) = exports.try_recv() {
        assert_eq!(line, "POST /v1/traces application/json");
        let said = String::from_utf8_lossy(&body).to_lowercase();
        for secret in [&token, &me.id, &me.upn, &other.id, &other.upn, &other.name] {
            assert!(!said.contains(&secret.to_lowercase()), "{secret} in {said}");
        }
        let export: Value = serde_json::from_slice(&body).unwrap();
        let resource = &export["resourceSpans"][0];
        assert_eq!(
            text(&resource["resource"], "service.name"),
            Some("graph-photo-proxy")
        );
        let batch = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        spans.extend(batch.iter().cloned());
    }
    // In the order in which they end.
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ask graph", "photo", "photo", "pass through"]);
    assert!(
        spans.iter().all(|span| span["traceId"] == TRACE),
        "{spans:#?}"
    );
    let [asked, miss, hit, passed] = &spans[..] else {
        unreachable!("four names");
    };
    for served in [miss, hit, passed] {
        assert_eq!(
            (&served["parentSpanId"], &served["kind"]),
            (&PARENT.into(), &2.into())
        );
    }
    assert_eq!(
        (&asked["parentSpanId"], &asked["kind"]),
        (&miss["spanId"], &3.into())
    );
    assert_eq!(text(miss, "cache.status"), Some("miss"));
    assert_eq!(text(hit, "cache.status"), Some("hit"));
    assert_eq!(text(hit, "photo.kind"), Some("user"));
    assert_eq!(text(asked, "http.response.status_code"), Some("200"));
    assert_eq!(text(passed, "photo.kind"), None);
    let (began, ended) = (&asked["startTimeUnixNano"], &asked["endTimeUnixNano"]);
    let nanoseconds = |text: &Value| text.as_str().unwrap().parse::<u128>().unwrap();
    assert!(nanoseconds(began) > 0 && nanoseconds(began) <= nanoseconds(ended));
    // Graph saw the spans as its parents, and the trace that is not sampled as it came.
    let parents: Vec<String> = graph
        .seen()
        .iter()
        .map(|seen| seen.header("traceparent").unwrap().to_owned())
        .collect();
    let named = |span: &Value| format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap());
    assert_eq!(parents, [named(asked), named(passed)]);
}
