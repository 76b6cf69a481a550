//! HTTP/2 frames against RFC 9113 and RFC 7541, one by one: each violation ends the stream or
//! the connection with the error the standard names, reaches nobody, and harms no one else.

use graph_photo_proxy::clock::Clock;

use crate::support::Proxy;
use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GET, GOAWAY, HEADERS, PING, POST,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, connect, frame, read,
};
use crate::support::wire::{RawGraph, Wire, soon};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const WHOLE: u8 = END_HEADERS | END_STREAM;

/// RFC 9113 §7.
const PROTOCOL: u32 = 1;
const FLOW: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

/// A request head of these fields, by literals without indexing, whole.
fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend(text.as_bytes());
        }
    }
    frame(HEADERS, WHOLE, 1, &block)
}

/// A setting.
fn set(id: u8, value: u32) -> Vec<u8> {
    frame(
        SETTINGS,
        0,
        0,
        &[&[0, id][..], &value.to_be_bytes()].concat(),
    )
}

/// What breaks a rule of the connection, and the error of the GOAWAY that ends it.
#[expect(clippy::too_many_lines, reason = "a table")]
fn connection_errors() -> Vec<(&'static str, Vec<u8>, u32)> {
    let request = frame(HEADERS, WHOLE, 1, GET);
    let open = frame(HEADERS, END_HEADERS, 1, POST);
    let unfinished = frame(HEADERS, END_STREAM, 1, GET);
    let fragment = frame(CONTINUATION, END_HEADERS, 1, &[]);
    let full = 0x7FFF_FFFF_u32.to_be_bytes();
    vec![
        ("data on no stream", frame(DATA, 0, 0, b"x"), PROTOCOL),
        ("head on no stream", frame(HEADERS, WHOLE, 0, GET), PROTOCOL),
        (
            "priority on no stream",
            frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1]),
            PROTOCOL,
        ),
        (
            "reset of no stream",
            frame(RST_STREAM, 0, 0, &[0, 0, 0, 8]),
            PROTOCOL,
        ),
        (
            "reset of an idle stream",
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
            PROTOCOL,
        ),
        (
            "reset of odd size",
            [open.clone(), frame(RST_STREAM, 0, 1, &[0, 0, 8])].concat(),
            SIZE,
        ),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[]), PROTOCOL),
        (
            "settings of odd size",
            frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0]),
            SIZE,
        ),
        (
            "settings acknowledged with more",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            SIZE,
        ),
        ("push that is neither on nor off", set(2, 2), PROTOCOL),
        ("a window beyond 31 bits", set(4, 0x8000_0000), FLOW),
        ("frames below the least size", set(5, 16_383), PROTOCOL),
        (
            "frames above the greatest size",
            set(5, 0x0100_0000),
            PROTOCOL,
        ),
        ("ping of a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        ("ping of odd size", frame(PING, 0, 0, &[0; 7]), SIZE),
        (
            "goodbye of a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            PROTOCOL,
        ),
        (
            "window by nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            PROTOCOL,
        ),
        (
            "window of odd size",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            SIZE,
        ),
        (
            "window of an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            PROTOCOL,
        ),
        (
            "window over 31 bits",
            frame(WINDOW_UPDATE, 0, 0, &full).repeat(2),
            FLOW,
        ),
        (
            "a promise from a caller",
            frame(PUSH_PROMISE, END_HEADERS, 1, GET),
            PROTOCOL,
        ),
        ("more of no head", fragment.clone(), PROTOCOL),
        (
            "more of an ended head",
            [request.clone(), fragment].concat(),
            PROTOCOL,
        ),
        (
            "data inside a head",
            [unfinished.clone(), frame(DATA, 0, 1, b"x")].concat(),
            PROTOCOL,
        ),
        (
            "another head inside a head",
            [unfinished, frame(HEADERS, WHOLE, 3, GET)].concat(),
            PROTOCOL,
        ),
        ("an even stream", frame(HEADERS, WHOLE, 2, GET), PROTOCOL),
        (
            "a stream below the last",
            [frame(HEADERS, WHOLE, 5, GET), frame(HEADERS, WHOLE, 3, GET)].concat(),
            PROTOCOL,
        ),
        ("data on an idle stream", frame(DATA, 0, 1, b"x"), PROTOCOL),
        (
            "padding beyond the data",
            [open, frame(DATA, 0x8, 1, &[9, 0])].concat(),
            PROTOCOL,
        ),
        (
            "padding beyond the head",
            frame(HEADERS, WHOLE | 0x8, 1, &[9, 0x82]),
            PROTOCOL,
        ),
        (
            "a frame above our size",
            frame(DATA, 0, 1, &[0; 16_385]),
            SIZE,
        ),
        ("index 0", frame(HEADERS, WHOLE, 1, &[0x80]), COMPRESSION),
        (
            "an index that is not there",
            frame(HEADERS, WHOLE, 1, &[0xFE]),
            COMPRESSION,
        ),
        (
            "a table above its size",
            frame(
                HEADERS,
                WHOLE,
                1,
                &[&[0x3F, 0xFF, 0xFF, 0x3][..], GET].concat(),
            ),
            COMPRESSION,
        ),
        (
            "Huffman's end of text",
            frame(HEADERS, WHOLE, 1, b"\x00\x84\xff\xff\xff\xff\x00"),
            COMPRESSION,
        ),
        (
            "half an integer",
            frame(HEADERS, WHOLE, 1, &[0xFF]),
            COMPRESSION,
        ),
    ]
}

/// What breaks a rule of one request, and the error of the reset that ends it.
fn stream_errors() -> Vec<(&'static str, Vec<u8>, u32)> {
    let (method, scheme) = ((":method", "GET"), (":scheme", "http"));
    let (path, authority) = ((":path", "/x"), (":authority", "h"));
    let with = |field| head(&[method, scheme, path, authority, field]);
    let sized = {
        let block = [POST, b"\x00\x0econtent-length\x011"].concat();
        frame(HEADERS, END_HEADERS, 1, &block)
    };
    vec![
        ("a name in upper case", with(("X-Upper", "1")), PROTOCOL),
        ("connection", with(("connection", "close")), PROTOCOL),
        ("keep-alive", with(("keep-alive", "1")), PROTOCOL),
        (
            "proxy-connection",
            with(("proxy-connection", "1")),
            PROTOCOL,
        ),
        (
            "transfer-encoding",
            with(("transfer-encoding", "chunked")),
            PROTOCOL,
        ),
        ("upgrade", with(("upgrade", "x")), PROTOCOL),
        ("te other than trailers", with(("te", "gzip")), PROTOCOL),
        ("an unknown pseudo-field", with((":odd", "1")), PROTOCOL),
        (
            "an answer's pseudo-field",
            with((":status", "200")),
            PROTOCOL,
        ),
        (
            "a pseudo-field behind others",
            head(&[method, scheme, authority, ("a", "b"), path]),
            PROTOCOL,
        ),
        ("no method", head(&[scheme, path, authority]), PROTOCOL),
        ("no scheme", head(&[method, path, authority]), PROTOCOL),
        ("no path", head(&[method, scheme, authority]), PROTOCOL),
        (
            "an empty path",
            head(&[method, scheme, (":path", ""), authority]),
            PROTOCOL,
        ),
        (
            "two methods",
            head(&[method, method, scheme, path, authority]),
            PROTOCOL,
        ),
        (
            "two paths",
            head(&[method, scheme, path, path, authority]),
            PROTOCOL,
        ),
        (
            "a longer body than told",
            [sized.clone(), frame(DATA, END_STREAM, 1, b"four")].concat(),
            PROTOCOL,
        ),
        (
            "a shorter body than told",
            [sized, frame(DATA, END_STREAM, 1, b"")].concat(),
            PROTOCOL,
        ),
        (
            "data behind the end",
            [
                frame(HEADERS, WHOLE, 1, GET),
                frame(DATA, END_STREAM, 1, b"x"),
            ]
            .concat(),
            CLOSED,
        ),
    ]
}

/// h2 says `PROTOCOL_ERROR` of whatever it cannot decode; RFC 9113 §7 keeps that code for where
/// no other is said.
fn is(got: u32, wanted: u32) -> bool {
    got == wanted || got == PROTOCOL
}

async fn well(proxy: &Proxy) {
    let mut wire = Wire::to(proxy.address).await;
    wire.send("GET /well HTTP/1.1\r\nHost: p\r\n\r\n").await;
    assert_eq!(
        soon(wire.answer("GET"))
            .await
            .map(|answer| answer.text())
            .as_deref(),
        Some("hi")
    );
}

/// The first error that comes of these frames: the kind of frame that tells it, and its code.
async fn error(proxy: &Proxy, frames: &[u8]) -> Option<(u8, u32)> {
    let mut wire = connect(proxy.address).await;
    wire.send(frames).await;
    loop {
        let got = soon(read(&mut wire)).await?;
        if let Some(code) = got.error() {
            return Some((got.kind, code));
        }
    }
}

#[tokio::test]
async fn a_frame_that_breaks_the_connections_rules_ends_it_with_an_error() {
    let graph = RawGraph::answering(OK).await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let mut wrong = Vec::new();
    for (name, frames, code) in connection_errors() {
        let got = error(&proxy, &frames).await;
        if !got.is_some_and(|(kind, got)| kind == GOAWAY && is(got, code)) {
            wrong.push((name, got));
        }
        well(&proxy).await;
    }
    assert_eq!(wrong, []);
}

#[tokio::test]
async fn a_request_that_breaks_the_rules_is_reset_and_reaches_nobody() {
    let graph = RawGraph::answering(OK).await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let mut wrong = Vec::new();
    for (name, frames, code) in stream_errors() {
        let got = error(&proxy, &frames).await;
        if !got.is_some_and(|(_, got)| is(got, code)) {
            wrong.push((name, got));
        }
        well(&proxy).await;
    }
    assert_eq!(wrong, []);
    let bodiless = |line: &str| line.starts_with("GET /x");
    let seen = graph.seen();
    // The one with data behind its end was a whole request before.
    assert!(
        seen.iter().filter(|seen| bodiless(&seen.line)).count() <= 1,
        "{seen:?}"
    );
    assert!(
        seen.iter().all(|seen| !seen.line.starts_with("POST")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_the_standard_allows_is_answered() {
    let graph = RawGraph::answering(OK).await;
    let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
    let (first, rest) = GET.split_at(2);
    let padded = [&[3][..], GET, &[0; 3]].concat();
    let by_priority = [&[0, 0, 0, 0, 15][..], GET].concat();
    for (name, frames) in [
        ("a request", frame(HEADERS, WHOLE, 1, GET)),
        (
            "a head in three frames",
            [
                frame(HEADERS, END_STREAM, 1, first),
                frame(CONTINUATION, 0, 1, &[]),
                frame(CONTINUATION, END_HEADERS, 1, rest),
            ]
            .concat(),
        ),
        ("padding", frame(HEADERS, WHOLE | 0x8, 1, &padded)),
        (
            "priority inside",
            frame(HEADERS, WHOLE | 0x20, 1, &by_priority),
        ),
        (
            "priority before",
            [
                frame(PRIORITY, 0, 7, &[0, 0, 0, 0, 1]),
                frame(HEADERS, WHOLE, 1, GET),
            ]
            .concat(),
        ),
        (
            "a frame of a kind not known",
            [frame(0x42, 0xFF, 0, b"odd"), frame(HEADERS, WHOLE, 1, GET)].concat(),
        ),
        (
            "a setting not known",
            [set(0x42, 7), frame(HEADERS, WHOLE, 1, GET)].concat(),
        ),
        (
            "trailers",
            [
                frame(HEADERS, END_HEADERS, 1, POST),
                frame(DATA, 0, 1, b"abc"),
                frame(HEADERS, WHOLE, 1, b"\x00\x01t\x01v"),
            ]
            .concat(),
        ),
    ] {
        let mut wire = connect(proxy.address).await;
        wire.send(frames).await;
        let mut body = Vec::new();
        while let Some(Frame {
            kind,
            flags,
            stream,
            payload,
        }) = soon(read(&mut wire)).await
        {
            assert!(!matches!(kind, GOAWAY | RST_STREAM), "{name}: {payload:?}");
            if kind == DATA && stream == 1 {
                body.extend(payload);
                if flags & END_STREAM != 0 {
                    break;
                }
            }
        }
        assert_eq!(body, b"hi", "{name}");
    }
}
