//! Graph goes wrong on the wire: the caller is told the truth in bounded time, nothing wrong is
//! kept, and the next good answer heals it.

use std::time::Duration;

use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::Fault;
use tokio::net::TcpListener;

use crate::support::wire::{RawGraph, Wire, soon};
use crate::support::{Proxy, World};

/// Short enough for a test, long enough for a busy machine to answer what it can.
const TIMES: [(&str, &str); 3] = [
    ("connect_timeout", "2s"),
    ("upstream_timeout", "1500ms"),
    ("photo_timeout", "2s"),
];

#[tokio::test]
async fn a_photo_that_goes_wrong_is_told_truthfully_never_kept_and_healed() {
    // What goes wrong, and what the caller may be told.
    let faults: Vec<(Fault, &[u16])> = vec![
        (Fault::StallHead, &[504]),
        (Fault::StallBody(100), &[502, 504]),
        (Fault::CutBody(100), &[502]),
        (Fault::DeclareMore(10), &[502]),
        (Fault::Close, &[502]),
        (Fault::Garbage, &[502]),
        (Fault::Status(500), &[500]),
        (Fault::Status(502), &[502]),
        (Fault::Redirect("https://elsewhere.test/".into()), &[302]),
        (Fault::CaptiveGateway, &[200]),
        (Fault::Empty, &[200, 502]),
        (Fault::Gzip, &[200, 502]),
        (Fault::ContentType("text/html".into()), &[200]),
        (
            Fault::ContentType("application/octet-stream".into()),
            &[200],
        ),
        (Fault::Oversize(30 << 20), &[200]),
    ];
    let world = World::with(&TIMES, |graph| graph.people = 80).await;
    let token = world.token(0);
    for (n, (fault, told)) in faults.into_iter().enumerate() {
        let path = format!("/v1.0/users/{}/photo/$value", world.person(n + 1).id);
        // On every answer: a GET whose kept connection breaks is asked once more.
        world.graph.on(&path, fault.clone());
        let first = soon(world.get(&path, &token)).await;
        world.graph.clear_faults();
        assert!(
            told.contains(&first.status.as_u16()),
            "{fault:?}: {first:?}"
        );
        assert!(
            !first.field("cache-status").contains("; stored"),
            "{fault:?}: {first:?}"
        );
        if first.status.as_u16() > 500 && !first.field("proxy-status").is_empty() {
            assert!(
                first.json()["error"]["code"].is_string(),
                "{fault:?}: {first:?}"
            );
        }
        if fault == Fault::Oversize(30 << 20) {
            assert_eq!(first.body.len(), 30 << 20);
        }
        let second = soon(world.get(&path, &token)).await;
        assert_eq!(second.status, 200, "{fault:?}: {second:?}");
        assert!(!second.is_hit(), "{fault:?} was kept: {second:?}");
        assert!(second.mark().is_some(), "{fault:?}: {second:?}");
        let third = world.get(&path, &token).await;
        assert!(
            third.is_hit() && third.body == second.body,
            "{fault:?}: {third:?}"
        );
    }
}

#[tokio::test]
async fn a_photo_that_lies_short_about_its_length_never_mixes_with_the_next_answer() {
    let world = World::with(&TIMES, |graph| graph.people = 80).await;
    let token = world.token(0);
    for n in 1..5 {
        let path = format!("/v1.0/users/{}/photo/$value", world.person(n).id);
        world.graph.once(&path, Fault::DeclareLess(10));
        let first = soon(world.get(&path, &token)).await;
        assert!(first.status == 200 || first.status == 502, "{first:?}");
        // What was sent beyond the length belongs to nobody.
        let other = format!("/v1.0/users/{}/photo/$value", world.person(n + 5).id);
        let next = soon(world.get(&other, &token)).await;
        assert_eq!(next.status, 200, "{next:?}");
        assert!(next.mark().is_some());
    }
}

#[tokio::test]
async fn a_photo_whose_connection_breaks_at_any_byte_is_no_photo() {
    let whole = "\u{ff}\u{d8}\u{ff}\u{e0}and so on\u{ff}\u{d9}";
    let sized = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: \"a\"\r\nContent-Length: {}\r\n\r\n{whole}",
        whole.chars().count()
    );
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: \"a\"\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{whole}\r\n0\r\n\r\n",
        whole.chars().count()
    );
    let path = "/v1.0/users/00000000-0000-0000-0000-000000000001/photo/$value";
    for answer in [sized, chunked] {
        let answer = crate::support::wire::bytes(&answer);
        let cut = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (at, all) = (std::sync::Arc::clone(&cut), answer.clone());
        let graph = RawGraph::serving(move |_, mut wire| {
            let part = all[..at.load(std::sync::atomic::Ordering::SeqCst)].to_vec();
            async move {
                wire.request().await;
                wire.send(part).await;
            }
        })
        .await;
        let proxy = Proxy::start(&TIMES, &graph.url(), Clock::system()).await;
        for end in 0..answer.len() {
            cut.store(end, std::sync::atomic::Ordering::SeqCst);
            let reply = soon(proxy.get(path, "some.opaque-token-0123456789")).await;
            assert_eq!(reply.status, 502, "cut at {end}: {reply:?}");
        }
        cut.store(answer.len(), std::sync::atomic::Ordering::SeqCst);
        let reply = soon(proxy.get(path, "some.opaque-token-0123456789")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.len()),
            (200, whole.chars().count())
        );
        assert!(
            reply.field("cache-status").contains("; stored"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn a_graph_that_is_down_is_told_at_once_and_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::start(&TIMES, &format!("http://{address}"), Clock::system()).await;
    let photo = "/v1.0/users/00000000-0000-0000-0000-000000000001/photo/$value";
    for path in ["/v1.0/me/messages", photo] {
        for method in ["GET", "PUT", "HEAD"] {
            let request = proxy.request(
                method.parse().unwrap(),
                path,
                "some.opaque-token-0123456789",
            );
            let reply =
                soon(proxy.send(request.body(http_body_util::Full::default()).unwrap())).await;
            assert_eq!(reply.status, 502, "{reply:?}");
            assert_eq!(
                reply.field("proxy-status"),
                "graph-photo-proxy; error=destination_unavailable"
            );
            if method != "HEAD" {
                assert_eq!(reply.json()["error"]["code"], "BadGateway");
                assert!(
                    !format!("{reply:?}").contains(&address.port().to_string()),
                    "{reply:?}"
                );
            }
        }
    }
    // Graph comes back at the same address.
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<
                    bytes::Bytes,
                >::from(
                    "back"
                )))
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    assert_eq!(soon(proxy.get("/v1.0/me/messages", "")).await.body, "back");
}

#[tokio::test]
async fn noise_instead_of_an_answer_is_a_truthful_error_on_every_route() {
    let photo = "/v1.0/users/00000000-0000-0000-0000-000000000001/photo/$value";
    for noise in [
        "",
        "220 mail ready\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
    ] {
        let graph = RawGraph::serving(move |_, mut wire| async move {
            wire.request().await;
            wire.send(noise).await;
        })
        .await;
        let proxy = Proxy::start(&TIMES, &graph.url(), Clock::system()).await;
        for path in ["/v1.0/me/messages", photo] {
            let reply = soon(proxy.get(path, "some.opaque-token-0123456789")).await;
            assert_eq!(reply.status, 502, "{noise:?} {path}: {reply:?}");
            assert_eq!(reply.json()["error"]["code"], "BadGateway", "{noise:?}");
            assert!(reply.field("proxy-status").contains("error="), "{noise:?}");
        }
    }
    // A head that does not end is not read for ever.
    let graph = RawGraph::serving(move |_, mut wire| async move {
        wire.request().await;
        wire.send("HTTP/1.1 200 OK\r\n").await;
        while wire.try_send("X-More: and more\r\n".repeat(100)).await {}
    })
    .await;
    let proxy = Proxy::start(&TIMES, &graph.url(), Clock::system()).await;
    for path in ["/v1.0/me/messages", photo] {
        let reply = soon(proxy.get(path, "some.opaque-token-0123456789")).await;
        assert_eq!(reply.status, 502, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_given_up() {
    let graph = RawGraph::serving(move |_, mut wire| async move {
        wire.request().await;
        while wire
            .try_send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            .await
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let proxy = Proxy::start(&TIMES, &graph.url(), Clock::system()).await;
    let photo = "/v1.0/users/00000000-0000-0000-0000-000000000001/photo/$value";
    let reply = soon(proxy.get(photo, "some.opaque-token-0123456789")).await;
    assert_eq!(reply.status, 504, "{reply:?}");
}

#[tokio::test]
async fn a_slow_graph_is_waited_for_where_it_is_no_photo() {
    // Longer than the time a photo has: a report may take its time.
    let graph = RawGraph::serving(|_, mut wire| async move {
        wire.request().await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
            .await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        wire.send("te").await;
    })
    .await;
    let settings = [
        ("upstream_timeout", "300ms"),
        ("photo_timeout", "300ms"),
        ("idle_timeout", "300ms"),
    ];
    let proxy = Proxy::start(&settings, &graph.url(), Clock::system()).await;
    let mut wire = Wire::to(proxy.address).await;
    wire.send("GET /v1.0/reports HTTP/1.1\r\nHost: p\r\n\r\n")
        .await;
    assert_eq!(soon(wire.answer("GET")).await.unwrap().text(), "late");
}
