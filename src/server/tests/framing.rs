//! What is refused before anyone sees it, and that the rest stays in step.

use proptest::prelude::*;

use super::super::scan::{Scan, Scanner};
use super::*;
use crate::render::Problem;

const HEAD: &str = "GET /a HTTP/1.1\r\nHost: h\r\n";

/// Requests that must be refused: the status, and the bytes.
#[expect(clippy::too_many_lines, reason = "a table")]
fn corpus() -> Vec<(u16, String)> {
    let with = |fields: &str| format!("{HEAD}{fields}\r\n\r\n");
    let posted = |fields: &str| {
        format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n5\r\nGET /\r\n0\r\n\r\n")
    };
    let line = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    vec![
        (
            400,
            posted("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        ),
        (
            400,
            posted("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        ),
        (400, posted("Transfer-Encoding: chunked, identity")),
        (400, posted("Transfer-Encoding: identity")),
        (400, posted("Transfer-Encoding: gzip, chunked")),
        (400, posted("Transfer-Encoding: xchunked")),
        (400, posted("Transfer-Encoding: \"chunked\"")),
        (
            400,
            posted("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ),
        (400, posted("Transfer-Encoding : chunked")),
        (400, posted("Transfer-Encoding:\x0bchunked")),
        (400, posted("Transfer-Encoding:\r\n chunked")),
        (400, posted("Content-Length: 5\r\nContent-Length: 6")),
        (400, posted("Content-Length: 5\r\nContent-Length: 5")),
        (400, posted("Content-Length: 5, 5")),
        (400, posted("Content-Length: +5")),
        (400, posted("Content-Length: -5")),
        (400, posted("Content-Length: 0x5")),
        (400, posted("Content-Length: 5 5")),
        (400, posted("Content-Length:")),
        (400, posted("Content-Length: 99999999999999999999999")),
        (
            400,
            "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        (400, "GET / HTTP/1.1\nHost: h\n\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: h\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: h\r\n\n".into()),
        (400, "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (400, with("X: a\r\n b")),
        (400, with("X: a\rb")),
        (400, with("X: a\0b")),
        (400, with("X: a\x7fb")),
        (400, with("X: a\x01b")),
        (400, with("X : a")),
        (400, with("X\t: a")),
        (400, with(": a")),
        (400, with("no colon")),
        (400, with("X(: a")),
        (400, line("GET /a#frag HTTP/1.1")),
        (400, line("GET /a  HTTP/1.1")),
        (400, line("GET  /a HTTP/1.1")),
        (400, line("GET /a b HTTP/1.1")),
        (400, line("GET\t/a HTTP/1.1")),
        (400, line("GET /a\tb HTTP/1.1")),
        (400, line("GET /<a>#\" HTTP/1.1")),
        (400, line("G<T /a HTTP/1.1")),
        (400, line("GET /a HTTP/\"1.1\"")),
        (400, line("GET http://h:x/ HTTP/1.1")),
        (400, line("GET /a")),
        (400, line("GET /a HTTP/0.9")),
        (400, line("GET /a HTTP/1.2")),
        (400, line("GET /a HTTP/3.0")),
        (400, line("GET /a http/1.1")),
        (400, line("G(T /a HTTP/1.1")),
        (400, line(" GET /a HTTP/1.1")),
        // The front checks.
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "GET / HTTP/1.0\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n".into()),
        (400, with("Host: h")),
        (400, with("host: other")),
        (400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into()),
        (400, line("GET http://other/ HTTP/1.1")),
        (400, line("GET http://h:81/ HTTP/1.1")),
        (400, line("GET http://u@h/ HTTP/1.1")),
        (400, line("GET ftp://h/ HTTP/1.1")),
        (400, line("GET h HTTP/1.1")),
        (400, line("GET h:443 HTTP/1.1")),
        (400, line("OPTIONS * HTTP/1.1")),
        (400, line("GET * HTTP/1.1")),
        (400, with("Connection: authorization")),
        (400, with("Connection: close, Host")),
        (
            400,
            with("Connection: keep-alive\r\nConnection: if-none-match"),
        ),
        (501, line("CONNECT h:443 HTTP/1.1")),
        (501, line("TRACE / HTTP/1.1")),
        (
            414,
            line(&format!("GET /{} HTTP/1.1", "a".repeat(16 * 1024))),
        ),
        (414, format!("GET /{}", "a".repeat(1024 * 1024))),
        (431, with(&format!("X: {}", "a".repeat(32 * 1024)))),
        (431, with(&format!("X: {}", "a".repeat(1024 * 1024)))),
        (431, with(&["X: a"; 100].join("\r\n"))),
    ]
}

#[tokio::test]
async fn every_doubtful_request_is_refused_once_and_seen_by_nobody() {
    let server = start(&config());
    for (status, request) in corpus() {
        // What comes behind a refused head may be a body to someone: it gets no answer.
        let tail = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
        let reply = server.say(format!("{request}{tail}").as_bytes()).await;
        let shown: String = request.chars().take(120).collect();
        let begins = format!("HTTP/1.1 {status} ");
        let old_begins = format!("HTTP/1.0 {status} ");
        assert!(
            reply.starts_with(&begins) || reply.starts_with(&old_begins),
            "{shown:?}: {reply}"
        );
        assert_eq!(count(&reply, "HTTP/1."), 1, "{shown:?}: {reply}");
        assert!(reply.contains("{\"error\":{"), "{shown:?}: {reply}");
        assert!(
            reply.to_ascii_lowercase().contains("\r\nconnection: close"),
            "{reply}"
        );
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn what_is_merely_unusual_is_answered() {
    let server = start(&config());
    let close = "Connection: close\r\n\r\n";
    let token = "t".repeat(15 * 1024);
    for (request, answer) in [
        (format!("{HEAD}{close}"), "<GET /a>"),
        (format!("\r\n\r\n{HEAD}{close}"), "<GET /a>"),
        (
            format!("{HEAD}Authorization: Bearer {token}\r\n{close}"),
            "<GET /a>",
        ),
        (format!("{HEAD}X: \u{e9}\tb  \r\nY:\r\n{close}"), "<GET /a>"),
        (format!("{HEAD}Upgrade: websocket\r\n{close}"), "<GET /a>"),
        (
            format!("PROPFIND //a/../b?%zz&&= HTTP/1.1\r\nhOsT: h\r\n{close}"),
            "<PROPFIND //a/../b?%zz&&=>",
        ),
        (
            format!("GET /`<a>?b=\"c\"&<> HTTP/1.1\r\nHost: h\r\nX: \"<>`\r\n{close}"),
            "<GET /%60%3Ca%3E?b=%22c%22&%3C%3E>",
        ),
        (
            format!("{HEAD}\r\n\r\nGET /a?\"b\" HTTP/1.1\r\nHost: h\r\n{close}"),
            "<GET /a?%22b%22>",
        ),
        (
            format!("GET http://H/a HTTP/1.1\r\nHost: h\r\n{close}"),
            "/a>",
        ),
        ("GET /a HTTP/1.0\r\nHost: h\r\n\r\n".to_owned(), "<GET /a>"),
        (
            format!(
                "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n{close}5 ;x=\"y\"\r\nhello\r\n0A\r\n0123456789\r\n0\r\nT: v\r\n\r\n"
            ),
            "<read 15>",
        ),
        (
            format!("POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\n{close}hello"),
            "<read 5>",
        ),
    ] {
        let reply = server.say(request.as_bytes()).await;
        assert!(reply.contains(answer), "{request:?}: {reply}");
    }
}

#[tokio::test]
async fn a_request_inside_an_unread_body_is_never_answered() {
    let server = start(&config());
    let inside = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let outer = format!("{HEAD}Content-Length: {}\r\n\r\n{inside}", inside.len());
    let mut stream = server.connect().await;
    stream.write_all(outer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let reply = rest(&mut stream).await;
    assert_eq!(count(&reply, "HTTP/1.1 "), 1, "{reply}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_body_with_broken_chunks_reaches_the_service_as_broken() {
    for chunks in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "g\r\n\r\n",
        "\r\nhello\r\n",
        ";x\r\nhello",
        "1000000000000000\r\n",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\nT: a\n\r\n",
        "5;\x01\r\nhello\r\n0\r\n\r\n",
        "-1\r\n",
    ] {
        let server = start(&config());
        let head = "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let reply = server
            .say(format!("{head}{chunks}GET / HTTP/1.1\r\n\r\n").as_bytes())
            .await;
        assert!(!reply.contains("<read"), "{chunks:?}: {reply}");
        assert!(count(&reply, "HTTP/1.1 ") <= 1, "{chunks:?}: {reply}");
    }
}

#[tokio::test]
async fn a_refusal_waits_for_the_answers_before_it() {
    let server = start(&config());
    let good = format!("{HEAD}\r\n");
    let reply = server
        .say(format!("{}{HEAD}bad\r\n\r\n{good}", good.repeat(40)).as_bytes())
        .await;
    assert_eq!(count(&reply, "HTTP/1.1 200 "), 40);
    assert_eq!(count(&reply, "HTTP/1.1 400 "), 1);
    assert_eq!(server.requests(), 40);
}

#[tokio::test]
async fn noise_on_the_port_hurts_nobody() {
    let server = start(&config());
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all, and long enough to be one",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(noise).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        let _ = within(stream.read_to_end(&mut got)).await;
    }
    assert_eq!(server.requests(), 0);
    let reply = server
        .say(format!("{HEAD}Connection: close\r\n\r\n").as_bytes())
        .await;
    assert!(reply.contains("<GET /a>"));
}

/// All of `bytes` through a scanner, in pieces, handed over as the guard does.
fn scan_in_pieces(bytes: &[u8], cuts: &[usize]) -> (u64, usize, Option<Problem>) {
    let mut scanner = Scanner::new(32 * 1024);
    let (mut passed, mut end) = (0, 0);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        end = cut.clamp(end, bytes.len());
        let Scan {
            passed: more,
            refused,
            ..
        } = scanner.scan(&bytes[passed..end]);
        passed += more;
        if refused.is_some() {
            return (scanner.heads(), passed, refused);
        }
    }
    (scanner.heads(), passed, None)
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_how_the_bytes_arrive(
        which in 0..corpus().len(),
        before in 0..4_usize,
        cuts in prop::collection::vec(0..400_usize, 0..12),
    ) {
        let good = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n\
                    POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd";
        let bytes = [good.repeat(before), corpus()[which].1.clone(), good.to_owned()].concat();
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(
            scan_in_pieces(bytes.as_bytes(), &cuts),
            scan_in_pieces(bytes.as_bytes(), &[])
        );
    }

    #[test]
    fn a_target_that_passes_is_one_that_hyper_can_hold(
        target in "[/?<>`a^|{}\"\u{7f}-\u{ff}%\\\\\\[\\]:@*]{1,12}",
        as_latin in any::<bool>(),
    ) {
        let target: Vec<u8> = if as_latin {
            target.chars().map(|c| u8::try_from(c).unwrap()).collect()
        } else {
            target.into_bytes()
        };
        let request = [b"GET ", target.as_slice(), b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let (heads, _, refused) = scan_in_pieces(&request, &[]);
        prop_assert_eq!(heads == 1, refused.is_none());
        let control = target.contains(&0x7f);
        prop_assert_eq!(heads == 1, http::Uri::try_from(target).is_ok() && !control);
    }

    #[test]
    fn arbitrary_bytes_get_one_verdict_too(
        bytes in "(GET|POST|\r\n|\n|\r| |/|HTTP/1\\.1|:|Host|Content-Length: 3|Transfer-Encoding: chunked|a|0|5|;|#|\t){0,60}",
        cuts in prop::collection::vec(0..200_usize, 0..30),
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(
            scan_in_pieces(bytes.as_bytes(), &cuts),
            scan_in_pieces(bytes.as_bytes(), &[])
        );
    }
}
