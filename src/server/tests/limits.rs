//! Timeouts, caps and the end: each bound is reached, and does what it says.

use super::*;

const SOON: Duration = Duration::from_millis(100);
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const HOLD: &[u8] = b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = start(&Config {
        header_timeout: SOON,
        ..config()
    });
    let mut stream = server.connect().await;
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_head_that_drips_is_closed_in_time() {
    let server = start(&Config {
        header_timeout: SOON * 3,
        ..config()
    });
    let (mut reading, mut writing) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        let mut tick = tokio::time::interval(SOON / 4);
        for byte in b"GET / HTTP/1.1\r\nHost: h\r\nX: "
            .iter()
            .chain(&[b'x'; 1_000])
        {
            tick.tick().await;
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    let mut got = Vec::new();
    let _ = within(reading.read_to_end(&mut got)).await;
    drip.abort();
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_second_head_has_its_own_time_and_an_idle_connection_more() {
    let server = start(&Config {
        header_timeout: SOON,
        ..config()
    });
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    until(&mut stream, "<GET /a>").await;
    // Idle for longer than a head may take: still open.
    tokio::time::sleep(SOON * 3).await;
    stream.write_all(GET).await.unwrap();
    until(&mut stream, "<GET /a>").await;
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_kept_connection_is_closed() {
    let server = start(&Config {
        idle_timeout: SOON,
        ..config()
    });
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    until(&mut stream, "<GET /a>").await;
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_slow_service_is_not_an_idle_connection() {
    let server = start(&Config {
        idle_timeout: SOON,
        header_timeout: SOON,
        ..config()
    });
    let mut stream = server.connect().await;
    stream.write_all(HOLD).await.unwrap();
    server.until_held().await;
    tokio::time::sleep(SOON * 4).await;
    server.seen.release.add_permits(1);
    until(&mut stream, "<GET /hold>").await;
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_closed() {
    let server = start(&Config {
        idle_timeout: SOON,
        ..config()
    });
    let reply = server
        .say(b"POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    assert!(!reply.contains("<read"), "{reply}");
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_cut() {
    let server = start(&Config {
        idle_timeout: SOON,
        header_timeout: SOON,
        ..config()
    });
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    until(&mut stream, "HTTP/1.1 200").await;
    server.until_gone().await;
}

#[tokio::test]
async fn callers_over_the_limit_wait_for_a_place() {
    let server = start(&Config {
        max_connections: 1,
        ..config()
    });
    let mut first = server.connect().await;
    first.write_all(GET).await.unwrap();
    until(&mut first, "<GET /a>").await;
    let mut second = server.connect().await;
    second.write_all(GET).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let waited = tokio::time::timeout(SOON, second.read_u8()).await;
    assert!(waited.is_err(), "answered over the limit");
    drop(first);
    until(&mut second, "<GET /a>").await;
}

#[tokio::test]
async fn one_peer_cannot_take_every_place() {
    let server = start(&Config {
        max_connections_per_peer: Some(1),
        ..config()
    });
    let mut first = server.connect().await;
    first.write_all(GET).await.unwrap();
    until(&mut first, "<GET /a>").await;
    let mut second = server.connect().await;
    let mut got = Vec::new();
    let _ = within(second.read_to_end(&mut got)).await;
    assert!(got.is_empty());
    first.write_all(GET).await.unwrap();
    until(&mut first, "<GET /a>").await;
}

#[tokio::test]
async fn a_panic_costs_its_own_connection_only() {
    let server = start(&config());
    let mut other = server.connect().await;
    other.write_all(HOLD).await.unwrap();
    server.until_held().await;
    let reply = server.say(b"GET /panic HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(reply, "");
    server.seen.release.add_permits(1);
    until(&mut other, "<GET /hold>").await;
    drop(other);
    server.until_gone().await;
}

#[tokio::test]
async fn draining_lets_answers_in_flight_end_and_takes_no_new_callers() {
    let server = start(&config());
    let address = server.tcp();
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    until(&mut idle, "<GET /a>").await;
    let mut busy = server.connect().await;
    busy.write_all(HOLD).await.unwrap();
    server.until_held().await;
    let seen = Arc::clone(&server.seen);
    let stopping = tokio::spawn(server.stop());
    assert_eq!(rest(&mut idle).await, "", "an idle connection ends at once");
    assert!(TcpStream::connect(address).await.is_err());
    seen.release.add_permits(1);
    let reply = rest(&mut busy).await;
    assert!(reply.contains("<GET /hold>"), "{reply}");
    assert!(within(stopping).await.unwrap().is_complete());
}

#[tokio::test]
async fn draining_answers_a_request_that_was_half_here() {
    let server = start(&config());
    let mut half = server.connect().await;
    half.write_all(b"GET /a HTTP/1.1\r\nHost").await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    until(&mut idle, "<GET /a>").await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(rest(&mut idle).await, "");
    half.write_all(b": h\r\n\r\n").await.unwrap();
    assert!(rest(&mut half).await.contains("<GET /a>"));
    assert!(within(stopping).await.unwrap().is_complete());
}

#[tokio::test]
async fn draining_answers_a_caller_that_was_still_in_the_backlog() {
    use std::io::Write as _;
    let server = start(&config());
    // No await between here and the stop: the listener has not had its turn yet.
    let mut early = std::net::TcpStream::connect(server.tcp()).unwrap();
    early.write_all(GET).unwrap();
    early.set_nonblocking(true).unwrap();
    assert!(server.stop().await.is_complete());
    let reply = rest(&mut TcpStream::from_std(early).unwrap()).await;
    assert!(reply.contains("<GET /a>"), "{reply}");
}

#[tokio::test]
async fn the_drain_deadline_ends_the_rest() {
    let server = start(&Config {
        drain_timeout: SOON,
        ..config()
    });
    let mut busy = server.connect().await;
    busy.write_all(HOLD).await.unwrap();
    server.until_held().await;
    assert_eq!(server.stop().await, Drained { cut: 1 });
    assert_eq!(rest(&mut busy).await, "");
}
