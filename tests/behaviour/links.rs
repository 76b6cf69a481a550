//! Links to Graph in what passes through: Graph's own by default, the proxy's where asked for.

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use http::Method;
use http_body_util::Full;

use crate::support::wire::{RawGraph, soon};
use crate::support::{Proxy, Reply};

const PUBLIC: &str = "https://photos.example";
const ON: [(&str, &str); 2] = [("rewrite_links", "true"), ("public_url", PUBLIC)];

/// A Graph that answers so, with `GRAPH` standing for its own origin, in pieces cut everywhere.
async fn graph(head: &'static str, body: &'static str, piece: usize) -> RawGraph {
    RawGraph::serving(move |_, mut wire| async move {
        while let Some(request) = wire.request().await {
            let origin = format!("http://{}", request.values("host")[0]);
            let (head, body) = (
                head.replace("GRAPH", &origin),
                body.replace("GRAPH", &origin),
            );
            wire.send(
                format!("HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(),
            )
            .await;
            for part in body.as_bytes().chunks(piece) {
                let size = format!("{:x}\r\n", part.len());
                wire.send(&[size.as_bytes(), part, b"\r\n"].concat()).await;
            }
            wire.send(b"0\r\n\r\n").await;
        }
    })
    .await
}

async fn through(graph: &RawGraph, settings: &[(&str, &str)]) -> Reply {
    let proxy = Proxy::start(settings, &graph.url(), Clock::by_hand()).await;
    soon(proxy.get("/v1.0/users?$top=1", "token")).await
}

const PAGE: &str = r#"{"@odata.context":"GRAPH/v1.0/$metadata#users","@odata.nextLink":"GRAPH/v1.0/users?$skiptoken=X","value":[{"note":"GRAPH/v1.0/me"}]}"#;
const JSON: &str = "Content-Type: application/json;odata.metadata=minimal\r\nLocation: GRAPH/v1.0/a\r\nLink: <GRAPH/b>; rel=next\r\n";

#[tokio::test]
async fn by_default_links_are_graphs_to_the_byte() {
    let graph = graph(JSON, PAGE, 7).await;
    let answer = through(&graph, &[]).await;
    assert_eq!(answer.body, PAGE.replace("GRAPH", &graph.url()));
    assert_eq!(answer.field("location"), format!("{}/v1.0/a", graph.url()));
    assert!(graph.seen()[0].values("accept-encoding").is_empty());
}

#[tokio::test]
async fn where_asked_for_links_lead_to_the_proxy_however_the_answer_arrives() {
    for piece in [1, 3, 7, 10_000] {
        let graph = graph(JSON, PAGE, piece).await;
        let answer = through(&graph, &ON).await;
        let link = "\"@odata.nextLink\":\"GRAPH";
        let expected = PAGE.replace(link, &link.replace("GRAPH", PUBLIC));
        assert_eq!(
            answer.body,
            expected.replace("GRAPH", &graph.url()),
            "{piece}"
        );
        assert_eq!(answer.field("location"), format!("{PUBLIC}/v1.0/a"));
        assert_eq!(answer.field("link"), format!("<{PUBLIC}/b>; rel=next"));
        assert_eq!(graph.seen()[0].values("accept-encoding"), ["identity"]);
    }
}

#[tokio::test]
async fn what_is_no_plain_json_keeps_its_bytes_and_its_tag() {
    for head in [
        "Content-Type: text/plain\r\nETag: \"a\"\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\nETag: \"a\"\r\n",
        "Content-Type: application/json\r\nCache-Control: no-transform\r\nETag: \"a\"\r\n",
    ] {
        let graph = graph(head, PAGE, 10).await;
        let answer = through(&graph, &ON).await;
        assert_eq!(answer.body, PAGE.replace("GRAPH", &graph.url()), "{head}");
        assert_eq!(answer.field("etag"), "\"a\"", "{head}");
    }
}

#[tokio::test]
async fn a_body_that_may_change_has_no_length_no_digest_and_a_weak_tag() {
    let body = "{\"@odata.nextLink\":\"x\"}";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"a\"\r\nContent-MD5: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let graph = RawGraph::answering(head.clone() + body).await;
    let answer = through(&graph, &ON).await;
    assert_eq!(answer.body, body);
    assert_eq!(answer.field("etag"), "W/\"a\"");
    assert_eq!(
        (answer.field("content-length"), answer.field("content-md5")),
        ("", "")
    );
}

#[tokio::test]
async fn a_caller_names_no_host_that_links_could_lead_to() {
    let graph = graph(JSON, PAGE, 50).await;
    let proxy = Proxy::start(&ON, &graph.url(), Clock::by_hand()).await;
    let request = proxy
        .request(Method::GET, "/v1.0/users", "token")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example");
    let answer = soon(proxy.send(request.body(Full::<Bytes>::default()).unwrap())).await;
    assert!(
        !format!("{answer:?}").contains("evil.example"),
        "{answer:?}"
    );
    assert_eq!(answer.field("location"), format!("{PUBLIC}/v1.0/a"));
}

#[tokio::test]
async fn a_head_of_such_an_answer_says_no_length_that_would_not_hold() {
    let graph = RawGraph::answering(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    let proxy = Proxy::start(&ON, &graph.url(), Clock::by_hand()).await;
    let answer = soon(proxy.head("/v1.0/users", "token")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.field("content-length")),
        (200, "")
    );
}
