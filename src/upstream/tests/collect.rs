//! Bodies gathered into stored bytes.

use tokio::time::Instant;

use super::*;
use crate::upstream::collect::rejoin;
use crate::upstream::{Collected, collect};

/// The answer's body, and its collection with a cap of 8 bytes.
async fn collected(answer: &'static str) -> Result<Collected<Body>, Error> {
    let graph = Graph::serving(move |_, mut wire| async move {
        wire.request().await;
        wire.send(answer.as_bytes()).await;
    })
    .await;
    let answer = graph.upstream().forward(get("/")).await.unwrap();
    soon(collect(answer.into_body(), 8, Instant::now() + SOON)).await
}

#[tokio::test]
async fn a_whole_body_is_kept_in_an_allocation_of_its_size() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n5\r\n45678\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n12345678",
    ] {
        let Collected::Whole(bytes) = collected(answer).await.unwrap() else {
            panic!("not whole: {answer}");
        };
        assert_eq!(bytes, "12345678");
        let owned = bytes.try_into_mut().expect("nobody else holds it");
        assert_eq!(owned.capacity(), 8);
    }
}

#[tokio::test]
async fn a_body_over_the_cap_is_handed_on_without_a_byte_lost() {
    for (answer, wanted) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789",
            "123456789",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             6\r\nabcdef\r\n3\r\nghi\r\n2\r\njk\r\n0\r\n\r\n",
            "abcdefghijk",
        ),
    ] {
        let Collected::TooLarge { prefix, rest } = collected(answer).await.unwrap() else {
            panic!("not too large: {answer}");
        };
        let body = rejoin(prefix, rest);
        assert_eq!(body_of(Response::new(body)).await, wanted);
    }
}

#[tokio::test]
async fn a_body_that_lies_about_its_length_is_broken() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234",
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n123\r\n",
    ] {
        let error = collected(answer).await.unwrap_err();
        assert!(matches!(error, Error::Broken(_)), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_at_the_deadline() {
    let graph = Graph::serving(|_, mut wire| async move {
        wire.request().await;
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234")
            .await;
        wire.rest().await;
    })
    .await;
    let answer = graph.upstream().forward(get("/")).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(100);
    let error = soon(collect(answer.into_body(), 8, deadline))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut));
}

#[tokio::test]
async fn no_body_is_a_whole_one_of_no_bytes() {
    let none = collected("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(none, Ok(Collected::Whole(bytes)) if bytes.is_empty()));
}
