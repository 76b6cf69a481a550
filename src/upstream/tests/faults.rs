//! Connections that end, fail or keep silent.

use std::error::Error as _;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Serves one request on its first connection, takes a second and closes without a word;
/// later connections behave.
async fn closing_graph() -> Graph {
    Graph::serving(|number, mut wire| async move {
        if number == 0 {
            wire.request().await;
            wire.send(OK.as_bytes()).await;
            wire.request().await;
            return;
        }
        while wire.request().await.is_some() {
            wire.send(OK.as_bytes()).await;
        }
    })
    .await
}

async fn warm(upstream: &Upstream) {
    let answer = upstream.forward(get("/warm")).await.unwrap();
    assert_eq!(body_of(answer).await, "hi");
}

#[tokio::test]
async fn a_get_on_a_kept_connection_that_graph_closes_is_answered_all_the_same() {
    let graph = closing_graph().await;
    let upstream = graph.upstream();
    warm(&upstream).await;
    let answer = upstream.forward(get("/again")).await.unwrap();
    assert_eq!(body_of(answer).await, "hi");
    assert_eq!(graph.seen().len(), 3, "sent once more, and no oftener");
    assert_eq!(graph.connections(), 2);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let graph = closing_graph().await;
    let upstream = graph.upstream();
    warm(&upstream).await;
    let post = Request::post("/send").body(Body::empty()).unwrap();
    let error = upstream.forward(post).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)));
    let posts = graph
        .seen()
        .iter()
        .filter(|m| m.starts_with("POST"))
        .count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_get_that_breaks_twice_is_not_sent_a_third_time() {
    let graph = Graph::serving(|number, mut wire| async move {
        wire.request().await;
        if number == 0 {
            wire.send(OK.as_bytes()).await;
            wire.request().await;
        }
    })
    .await;
    let upstream = graph.upstream();
    warm(&upstream).await;
    let error = upstream.forward(get("/again")).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)));
    assert_eq!(graph.seen().len(), 3);
}

#[tokio::test]
async fn repeats_end_when_their_budget_is_spent() {
    // Every connection serves one request, then takes another and closes.
    let graph = Graph::serving(|_, mut wire| async move {
        wire.request().await;
        wire.send(OK.as_bytes()).await;
        wire.request().await;
    })
    .await;
    let upstream = graph.upstream();
    let mut failed = 0;
    for _ in 0..60 {
        match upstream.forward(get("/")).await {
            Ok(answer) => drop(body_of(answer).await),
            Err(_) => failed += 1,
        }
    }
    assert!(
        failed > 0,
        "a Graph that always fails is not asked twice for ever"
    );
}

#[tokio::test]
async fn a_refused_connection_is_told_apart_and_names_no_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = Upstream::new(&config(&format!("http://{address}"))).unwrap();
    let error = upstream.forward(get("/")).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)));
    assert!(error.source().is_some());
    assert_eq!(error.to_string(), "no connection to graph");
}

#[tokio::test]
async fn noise_instead_of_an_answer_is_a_broken_exchange() {
    for noise in ["220 mail ready\r\n", "", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let graph = Graph::serving(move |_, mut wire| async move {
            wire.request().await;
            wire.send(noise.as_bytes()).await;
        })
        .await;
        let error = graph.upstream().forward(get("/")).await.unwrap_err();
        assert!(matches!(error, Error::Broken(_)), "{noise}");
        assert_eq!(graph.seen().len(), 1, "a new connection is not tried twice");
    }
}

#[tokio::test]
async fn an_answer_cut_short_reaches_the_caller_as_cut_short() {
    let graph = Graph::serving(|_, mut wire| async move {
        wire.request().await;
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .await;
    })
    .await;
    let answer = graph.upstream().forward(get("/")).await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_exchange_with_graph() {
    let (ended, mut seen_end) = tokio::sync::mpsc::channel(1);
    let graph = Graph::serving(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            wire.request().await;
            let rest = wire.rest().await;
            ended.send(rest).await.unwrap();
        }
    })
    .await;
    let mut caller = Wire::to(front(graph.upstream()).await).await;
    caller.send(b"GET / HTTP/1.1\r\nHost: p\r\n\r\n").await;
    while graph.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(caller);
    assert_eq!(soon(seen_end.recv()).await.unwrap(), "");
}

#[tokio::test]
async fn a_request_body_that_breaks_off_is_not_completed() {
    let (ended, mut seen_end) = tokio::sync::mpsc::channel(1);
    let graph = Graph::serving(move |_, mut wire| {
        let ended = ended.clone();
        async move {
            wire.head().await;
            ended.send(wire.rest().await).await.unwrap();
        }
    })
    .await;
    let mut caller = Wire::to(front(graph.upstream()).await).await;
    caller
        .send(b"POST / HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    drop(caller);
    let body = soon(seen_end.recv()).await.unwrap();
    assert!(!body.contains("0\r\n\r\n"), "{body}");
}
