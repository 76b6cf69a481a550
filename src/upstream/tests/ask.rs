//! Photo requests: what is sent, and how long is waited.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::cache::{NotStored, admission};
use crate::route::View;
use crate::upstream::ask::CARRIED;
use crate::upstream::{Ask, Trace};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

pub(super) fn photo() -> Ask {
    Ask {
        target: "/v1.0/users/%61/photo/$value?".parse().unwrap(),
        authorization: token(),
        accept: None,
        if_none_match: None,
        if_modified_since: None,
        trace: Trace::default(),
    }
}

#[tokio::test]
async fn a_photo_request_carries_only_what_is_on_the_list() {
    let graph = Graph::answering(OK).await;
    let mut caller = HeaderMap::new();
    for (name, value) in [
        ("client-request-id", "id"),
        ("cookie", "a=1"),
        ("x-forwarded-host", "evil"),
        ("x-http-method-override", "DELETE"),
        ("prefer", "odd"),
        ("range", "bytes=0-1"),
        ("accept-encoding", "gzip"),
        ("cache-control", "no-store"),
        ("traceparent", "00-1"),
        ("sdkversion", "x/1"),
        ("user-agent", "app"),
    ] {
        caller.insert(name, HeaderValue::from_static(value));
    }
    let ask = Ask {
        accept: Some(HeaderValue::from_static("application/json")),
        if_none_match: Some(HeaderValue::from_static("W/\"a\"")),
        trace: Trace::of(&caller),
        ..photo()
    };
    graph.upstream().ask(ask).await.unwrap();
    let wanted = format!(
        "GET /v1.0/users/%61/photo/$value? HTTP/1.1\r\nhost: {}\r\n\
         authorization: Bearer one.two.three\r\naccept-encoding: identity\r\n\
         accept: application/json\r\nif-none-match: W/\"a\"\r\nclient-request-id: id\r\n\
         traceparent: 00-1\r\nsdkversion: x/1\r\nuser-agent: app\r\n\r\n",
        graph.address
    );
    assert_eq!(graph.seen(), [wanted]);
}

#[tokio::test]
async fn a_photo_request_shows_neither_token_nor_person_in_debug() {
    let shown = format!("{:?}", photo());
    assert!(
        !shown.contains("one.two") && !shown.contains("users"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_graph_that_keeps_silent_is_given_up_in_time() {
    let graph = Graph::serving(|_, mut wire| async move {
        wire.request().await;
        wire.rest().await;
    })
    .await;
    let config = Config {
        first_byte_timeout: Duration::from_millis(100),
        ..config(&format!("http://{}", graph.address))
    };
    let upstream = Upstream::new(&config).unwrap();
    let error = soon(upstream.ask(photo())).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut));
    assert_eq!(graph.seen().len(), 1);
}

#[tokio::test]
async fn a_photo_request_survives_a_kept_connection_that_graph_closes() {
    let graph = Graph::serving(|number, mut wire| async move {
        wire.request().await;
        wire.send(OK.as_bytes()).await;
        if number > 0 {
            wire.rest().await;
        } else {
            wire.request().await;
        }
    })
    .await;
    let upstream = graph.upstream();
    for _ in 0..2 {
        let answer = upstream.ask(photo()).await.unwrap();
        let whole = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(whole, "hi");
    }
    assert_eq!(graph.seen().len(), 3);
}

/// One list decides what an answer may vary by; whatever a caller can put into a question must
/// not be on it.
#[test]
fn what_goes_along_from_a_caller_is_nothing_an_answer_may_vary_by() {
    for (name, _) in CARRIED {
        let mut answer = HeaderMap::new();
        answer.insert("content-type", HeaderValue::from_static("image/jpeg"));
        answer.insert("vary", HeaderName::from_static(name).into());
        let judged = admission::judge_head(View::Media, StatusCode::OK, &answer);
        assert_eq!(judged, Err(NotStored::Vary), "{name}");
    }
}
