//! HTTP/2 frames sent in bad faith: the connection ends, and nobody else notices.

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const CONTINUATION: u8 = 0x9;
/// `GET http://h/` (RFC 7541, by the static table).
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'h'];
/// `POST http://h/read`, whose body the service waits for.
const POST: &[u8] = b"\x83\x86\x04\x05/read\x41\x01h";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Sends the frames over and over; whether the server ended the connection before
/// `rounds` of them.
async fn flood(server: &Running, rounds: u32, round: impl Fn(u32) -> Vec<u8>) -> bool {
    let (mut reading, mut writing) = server.connect().await.into_split();
    let ended = tokio::spawn(async move {
        let mut waste = vec![0; 65536];
        while reading.read(&mut waste).await.is_ok_and(|read| read > 0) {}
    });
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    within(writing.write_all(&opening)).await.unwrap();
    for n in 0..rounds {
        if ended.is_finished() || within(writing.write_all(&round(n))).await.is_err() {
            return true;
        }
    }
    tokio::time::timeout(Duration::from_millis(500), ended)
        .await
        .is_ok()
}

async fn is_well(server: &Running) {
    let reply = server
        .say(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await;
    assert!(reply.contains("<GET /a>"), "{reply}");
}

#[tokio::test]
async fn streams_opened_and_reset_at_once_end_the_connection() {
    let server = start(&config());
    let cancel = 8_u32.to_be_bytes();
    let ended = flood(&server, 200_000, |n| {
        let stream = 2 * n + 1;
        let open = frame(HEADERS, END_HEADERS, stream, POST);
        [open, frame(RST_STREAM, 0, stream, &cancel)].concat()
    });
    assert!(ended.await);
    is_well(&server).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let server = start(&config());
    // Literal fields without indexing, each small, in as many frames as it takes.
    let fields = b"\x00\x01x\x40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        .repeat(100);
    let ended = flood(&server, 20_000, |n| match n {
        0 => frame(HEADERS, END_STREAM, 1, GET),
        _ => frame(CONTINUATION, 0, 1, &fields),
    });
    assert!(ended.await);
    assert_eq!(server.requests(), 0);
    is_well(&server).await;
}

#[tokio::test]
async fn empty_pieces_of_a_body_without_end_end_the_connection() {
    let server = start(&config());
    let ended = flood(&server, 200_000, |n| match n {
        0 => frame(HEADERS, END_HEADERS, 1, POST),
        _ => frame(DATA, 0, 1, &[]).repeat(10),
    });
    assert!(ended.await);
    is_well(&server).await;
}

#[tokio::test]
async fn pings_and_settings_without_end_hold_up_nobody_else() {
    let server = start(&config());
    for round in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let flooding = flood(&server, 20_000, |_| round.repeat(10));
        let others = async {
            for _ in 0..20 {
                is_well(&server).await;
            }
        };
        tokio::join!(flooding, others);
    }
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_the_rest_answered() {
    let server = start(&Config {
        max_streams: 2,
        ..config()
    });
    let hold = b"\x82\x86\x04\x05/hold\x41\x01h";
    let mut stream = server.connect().await;
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for n in 0..3 {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, hold));
    }
    stream.write_all(&bytes).await.unwrap();
    server.until_held().await;
    server.until_held().await;
    // REFUSED_STREAM (RFC 9113 section 5.1.2) for the third, and it is never taken up.
    let refused = frame(RST_STREAM, 0, 5, &7_u32.to_be_bytes());
    let mut got = Vec::new();
    while !got.windows(refused.len()).any(|part| part == refused) {
        got.push(within(stream.read_u8()).await.unwrap());
    }
    assert_eq!(server.requests(), 2);
}
