//! The simulator as its callers meet it, through the socket.

mod behaviour;
mod trouble;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::*;
use crate::clock::Clock;

/// What came back.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Sends a request; none when there was no whole answer.
async fn send(request: http::request::Builder, body: impl Into<Bytes>) -> Option<Got> {
    let body = body.into();
    let answer = client()
        .request(request.body(Full::new(body)).unwrap())
        .await;
    let (head, body) = answer.ok()?.into_parts();
    Some(Got {
        status: head.status,
        headers: head.headers,
        body: body.collect().await.ok()?.to_bytes(),
    })
}

fn ask(graph: &Graph, method: Method, path: &str, token: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("{}{path}", graph.base_url()))
        .header("authorization", format!("Bearer {token}"))
}

async fn get(graph: &Graph, path: &str, token: &str) -> Got {
    send(ask(graph, Method::GET, path, token), Bytes::new())
        .await
        .expect("an answer")
}

/// A Graph and the token of its first member.
fn start(settings: Settings) -> (Graph, String) {
    let graph = Graph::start(settings);
    let token = graph.issue(TokenSpec::of(graph.tenant().members().next().unwrap()));
    (graph, token)
}

#[tokio::test]
async fn a_users_photo_comes_with_graphs_fields_and_its_mark() {
    let (graph, token) = start(Settings::default());
    let person = graph.tenant().with_photo().nth(1).unwrap().clone();
    let got = get(
        &graph,
        &format!("/v1.0/users/{}/photos/48x48/$value", person.upn),
        &token,
    )
    .await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.header("content-type"), "image/jpeg");
    assert_eq!(got.header("cache-control"), "private");
    assert!(got.header("etag").starts_with("W/\"") && got.header("etag").len() == 68);
    assert_eq!(got.header("request-id"), got.header("client-request-id"));
    let mark = mark(&got.body).unwrap();
    assert_eq!((mark.owner, mark.upload, mark.side), (person.id, 1, 48));
    assert_eq!(
        (graph.count(), graph.photo_calls(), graph.downloads()),
        (1, 1, 1)
    );
    let seen = graph.seen();
    assert_eq!(seen[0].status, Some(200));
    assert_eq!(seen[0].token, graph.token_number(&token));
}

#[tokio::test]
async fn metadata_has_six_keys_and_no_photo_is_404() {
    let (graph, token) = start(Settings::default());
    let person = graph.tenant().with_photo().nth(1).unwrap().clone();
    let got = get(&graph, &format!("/beta/users/{}/photo", person.id), &token).await;
    let json = got.json();
    assert_eq!(json.as_object().unwrap().len(), 6);
    assert_eq!(json["id"], "default");
    assert_eq!(json["width"], 648);
    let nobody = graph.tenant().without_photo().next().unwrap().clone();
    for view in ["photo", "photo/$value", "photos", "photos/48x48"] {
        let got = get(&graph, &format!("/v1.0/users/{}/{view}", nobody.id), &token).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND);
        assert_eq!(got.json()["error"]["code"], "ImageNotFound");
    }
}

#[tokio::test]
async fn only_an_issued_token_that_is_still_good_is_let_in() {
    let clock = Clock::by_hand();
    let (graph, token) = start(Settings {
        clock: clock.clone(),
        ..Settings::default()
    });
    let forged = token.replacen('.', ".a", 1);
    for bad in ["", "x", &forged] {
        let got = get(&graph, "/v1.0/me/photo/$value", bad).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
        assert!(
            got.header("www-authenticate")
                .starts_with("Bearer realm=\"\"")
        );
    }
    assert_eq!(
        get(&graph, "/v1.0/me/photo/$value", &token).await.status,
        200
    );
    clock.advance(Duration::from_secs(7_200));
    assert_eq!(
        get(&graph, "/v1.0/me/photo/$value", &token).await.status,
        401
    );
    assert_eq!(get(&graph, "/v1.0/$metadata", "").await.status, 200);
}
