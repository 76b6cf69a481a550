//! HTTP/1.0, HTTP/1.1, HTTP/2 and Unix sockets, as ordinary callers use them.

use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::super::Error;
use super::*;

/// Speaks HTTP/2 on a stream; the connection lives in a task of its own.
pub(super) async fn speak_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (
    http2::SendRequest<Empty<Bytes>>,
    JoinHandle<hyper::Result<()>>,
) {
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = within(shaken).await.unwrap();
    (sender, tokio::spawn(connection))
}

pub(super) fn get(uri: &str) -> http::request::Builder {
    Request::get(uri)
}

pub(super) async fn text(
    sender: &mut http2::SendRequest<Empty<Bytes>>,
    request: http::request::Builder,
) -> (u16, String) {
    let request = request.body(Empty::new()).unwrap();
    let reply = within(sender.send_request(request)).await.unwrap();
    let status = reply.status().as_u16();
    let body = within(reply.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(&config());
    let all: String = (0..50)
        .map(|n| match n % 3 {
            0 => format!(
                "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: {n}\r\n\r\n{}",
                "x".repeat(n)
            ),
            _ => format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"),
        })
        .collect();
    let reply = server
        .say(format!("{all}GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes())
        .await;
    let mut at = 0;
    for n in 0..50 {
        let answer = if n % 3 == 0 {
            format!("<read {n}>")
        } else {
            format!("<GET /{n}>")
        };
        at += reply
            .get(at..)
            .unwrap()
            .find(&answer)
            .unwrap_or_else(|| panic!("{answer} out of order"));
    }
    assert!(reply.ends_with("<GET /last>"));
}

#[tokio::test]
async fn a_head_in_many_reads_is_one_request() {
    let server = start(&config());
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in b"POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: h\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    until(&mut stream, "<read 3>").await;
    until(&mut stream, "<GET /b>").await;
}

#[tokio::test]
async fn http_1_0_closes_unless_asked_to_stay() {
    let server = start(&config());
    let reply = server.say(b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert!(reply.contains("<GET /a>"));
    let mut stream = server.connect().await;
    let stay = b"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(stay).await.unwrap();
        until(&mut stream, "<GET /a>").await;
    }
}

#[tokio::test]
async fn an_upgrade_is_ignored_and_the_connection_stays() {
    let server = start(&config());
    let mut stream = server.connect().await;
    for upgrade in ["websocket", "h2c"] {
        let request = format!(
            "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(
            until(&mut stream, "<GET /a>")
                .await
                .starts_with("HTTP/1.1 200 ")
        );
    }
}

#[tokio::test]
async fn continue_is_said_only_when_the_body_is_wanted() {
    let server = start(&config());
    let mut stream = server.connect().await;
    let head = "HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    stream
        .write_all(format!("POST /read {head}").as_bytes())
        .await
        .unwrap();
    until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"hello").await.unwrap();
    until(&mut stream, "<read 5>").await;
    stream
        .write_all(format!("POST /a {head}").as_bytes())
        .await
        .unwrap();
    assert!(
        until(&mut stream, "<POST /a>")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let server = start(&config());
    let (mut sender, _connection) = speak_http2(server.connect().await).await;
    let answer = text(&mut sender, get("http://h/a")).await;
    assert_eq!(answer, (200, "<GET http://h/a>".to_owned()));
    for (status, request) in [
        (400, get("http://h/a").header("host", "other")),
        (400, get("http://u@h/a")),
        (501, get("http://h/a").method("TRACE")),
        (414, get(&format!("http://h/{}", "a".repeat(17 * 1024)))),
        (
            431,
            (0..101).fold(get("http://h/a"), |request, n| request.header("x", n)),
        ),
        (431, get("http://h/a").header("x", "a".repeat(40 * 1024))),
    ] {
        let shown = format!("{:?}", request.uri_ref());
        let (got, _) = text(&mut sender, request).await;
        assert_eq!(
            got,
            status,
            "{}",
            shown.chars().take(60).collect::<String>()
        );
    }
    assert_eq!(server.requests(), 1);
    let answer = text(&mut sender, get("http://h/a").header("host", "H")).await;
    assert_eq!(answer.0, 200);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_panic_over_http_2_costs_its_own_stream_only() {
    let server = start(&config());
    let (mut sender, _connection) = speak_http2(server.connect().await).await;
    let request = get("http://h/panic").body(Empty::new()).unwrap();
    assert!(within(sender.send_request(request)).await.is_err());
    assert_eq!(text(&mut sender, get("http://h/a")).await.0, 200);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed_and_a_busy_one_is_not() {
    let soon = Duration::from_millis(100);
    let server = start(&Config {
        idle_timeout: soon,
        header_timeout: soon,
        ..config()
    });
    let (mut sender, connection) = speak_http2(server.connect().await).await;
    let held = tokio::spawn(async move { text(&mut sender, get("http://h/hold")).await });
    server.until_held().await;
    tokio::time::sleep(soon * 4).await;
    server.seen.release.add_permits(1);
    assert_eq!(within(held).await.unwrap().0, 200);
    let _ = within(connection).await.unwrap();
}

#[tokio::test]
async fn draining_http_2_ends_after_the_answers_in_flight() {
    let server = start(&config());
    let (mut sender, connection) = speak_http2(server.connect().await).await;
    let held = tokio::spawn(async move { text(&mut sender, get("http://h/hold")).await });
    server.until_held().await;
    let seen = Arc::clone(&server.seen);
    let stopping = tokio::spawn(server.stop());
    tokio::task::yield_now().await;
    seen.release.add_permits(1);
    assert_eq!(within(held).await.unwrap().0, 200);
    let _ = within(connection).await.unwrap();
    assert!(within(stopping).await.unwrap().is_complete());
}

#[tokio::test]
async fn a_unix_socket_is_taken_over_when_stale_and_removed_at_the_end() {
    let path = std::env::temp_dir().join(format!("gpp-{}.sock", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale socket to begin with");
    let config = Config {
        listen: Some(Listen::Unix(path.clone())),
        ..config()
    };
    let server = start(&config);
    assert!(matches!(bind(&config), Err(Error::SocketInUse { .. })));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream
        .write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    until(&mut stream, "<GET /a>").await;
    assert!(server.stop().await.is_complete());
    assert!(!path.exists());
    std::fs::write(&path, "not a socket").unwrap();
    assert!(matches!(bind(&config), Err(Error::NotASocket { .. })));
    std::fs::remove_file(&path).unwrap();
}
