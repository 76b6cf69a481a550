//! What is answered past hyper: the same bytes, in the same place.

use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::super::fuzzing::is_read_as_by_hyper;
use super::*;

/// One request, what its answer's body is, and whether it ends a connection.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) bytes: String,
    pub(super) answer: String,
    pub(super) has_no_body: bool,
}

pub(super) fn asked(method: &str, target: &str, fields: &str, body: &str) -> Asked {
    let repeated = ["/held/", "/undated/", "/soon/", "/later/", "/wait/"];
    let mut repeated = repeated.iter();
    let held = repeated.find_map(|prefix| target.strip_prefix(prefix));
    let answer = match held.and_then(|times| times.parse().ok()) {
        Some(times) if method == "GET" => target.repeat(times),
        _ if target == "/read" && body.ends_with("0\r\n\r\n") => "<read 3>".to_owned(),
        _ if target == "/read" => format!("<read {}>", body.len()),
        _ => format!("<{method} {target}>"),
    };
    Asked {
        bytes: format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}"),
        answer,
        has_no_body: method == "HEAD",
    }
}

pub(super) fn get(target: &str) -> Asked {
    asked("GET", target, "", "")
}

/// Reads one answer; its status line, and its body.
pub(super) async fn answer(
    stream: &mut BufReader<TcpStream>,
    has_no_body: bool,
) -> (String, String) {
    let head = until(stream, "\r\n\r\n").await;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; if has_no_body { 0 } else { length.unwrap_or(0) }];
    within(stream.read_exact(&mut body)).await.unwrap();
    let line = head.lines().next().unwrap_or_default().to_owned();
    (line, String::from_utf8(body).unwrap())
}

pub(super) async fn ask(stream: &mut BufReader<TcpStream>, asked: &Asked) {
    stream.write_all(asked.bytes.as_bytes()).await.unwrap();
    expect(stream, asked).await;
}

pub(super) async fn expect(stream: &mut BufReader<TcpStream>, asked: &Asked) {
    let (line, body) = answer(stream, asked.has_no_body).await;
    assert_eq!(line, "HTTP/1.1 200 OK", "{asked:?}");
    if !asked.has_no_body {
        assert!(body == asked.answer, "{asked:?} was answered {body}");
    }
}

/// Lets the server see what has been sent: its runtime is this one, and asks the system for
/// news every so many turns.
pub(super) async fn let_it_look() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

impl Running {
    pub(super) fn at_once(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.seen.past_hyper), count(&self.seen.by_hyper))
    }

    pub(super) async fn buffered(&self) -> BufReader<TcpStream> {
        BufReader::new(self.connect().await)
    }
}

#[tokio::test]
async fn on_a_kept_connection_what_is_held_is_answered_past_hyper() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    for _ in 0..5 {
        ask(&mut stream, &get("/held/3")).await;
    }
    // The first bytes of a connection are read before it is known what is spoken.
    assert_eq!(server.at_once(), (4, 1));
    // After one that had to wait, too.
    ask(&mut stream, &get("/a")).await;
    ask(&mut stream, &get("/held/3")).await;
    assert_eq!(server.at_once(), (5, 1));
    // And after a body.
    ask(
        &mut stream,
        &asked("POST", "/read", "Content-Length: 5\r\n", "hello"),
    )
    .await;
    ask(&mut stream, &get("/held/3")).await;
    assert_eq!(server.at_once(), (6, 1));
}

#[tokio::test]
async fn whatever_is_not_as_plain_as_can_be_is_hypers() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    let (past, _) = server.at_once();
    for (method, fields, body) in [
        ("GET", "Connection: keep-alive\r\n", ""),
        ("GET", "Expect: 100-continue\r\n", ""),
        ("GET", "Content-Length: 0\r\n", ""),
        ("GET", "Upgrade: websocket\r\nConnection: upgrade\r\n", ""),
        ("GET", "Content-Length: 3\r\n", "abc"),
        (
            "GET",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        ("HEAD", "", ""),
    ] {
        let one = asked(method, "/held/2", fields, body);
        stream.write_all(one.bytes.as_bytes()).await.unwrap();
        let (line, _) = answer(&mut stream, one.has_no_body).await;
        assert_eq!(line, "HTTP/1.1 200 OK", "{one:?}");
        assert_eq!(server.at_once().0, past, "{one:?}");
    }
    let last = asked("GET", "/held/2", "Connection: close\r\n", "");
    ask(&mut stream, &last).await;
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(server.at_once().0, past);
}

#[tokio::test]
async fn an_answer_that_hyper_would_add_to_is_hypers_and_found_only_once() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    let (past, by) = server.at_once();
    ask(&mut stream, &get("/undated/7")).await;
    assert_eq!(server.at_once(), (past, by + 1));
    ask(&mut stream, &get("/held/2")).await;
    assert_eq!(server.at_once(), (past + 1, by + 1));
}

#[tokio::test]
async fn what_comes_behind_an_open_answer_waits_its_turn() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    stream
        .write_all(get("/hold").bytes.as_bytes())
        .await
        .unwrap();
    server.until_held().await;
    let before = server.at_once();
    for next in [get("/held/4"), get("/b")] {
        stream.write_all(next.bytes.as_bytes()).await.unwrap();
        let_it_look().await;
    }
    assert_eq!(server.at_once(), before);
    server.seen.release.add_permits(1);
    for asked in [get("/hold"), get("/held/4"), get("/b")] {
        expect(&mut stream, &asked).await;
    }
    ask(&mut stream, &get("/held/5")).await;
}

#[tokio::test]
async fn a_large_answer_that_is_taken_slowly_is_whole_and_the_next_one_follows_it() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    // Far more than the system takes at once.
    let large = get("/held/1000000");
    for next in [get("/held/2"), get("/a"), large.clone()] {
        stream.write_all(large.bytes.as_bytes()).await.unwrap();
        // Read before the next one comes, however late it is read.
        stream.fill_buf().await.unwrap();
        stream.write_all(next.bytes.as_bytes()).await.unwrap();
        expect(&mut stream, &large).await;
        expect(&mut stream, &next).await;
    }
    assert!(server.at_once().0 >= 3);
}

#[tokio::test]
async fn while_hyper_still_has_bytes_to_write_nothing_is_answered_past_it() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    // The first answer of a connection is hyper's, which would read on while it writes.
    let large = get("/held/1000000");
    stream.write_all(large.bytes.as_bytes()).await.unwrap();
    let_it_look().await;
    let next = get("/held/2");
    stream.write_all(next.bytes.as_bytes()).await.unwrap();
    let_it_look().await;
    expect(&mut stream, &large).await;
    expect(&mut stream, &next).await;
    assert_eq!(server.at_once(), (0, 2));
}

#[tokio::test]
async fn who_does_not_take_a_held_answer_is_cut_in_time() {
    let server = start(&Config {
        idle_timeout: Duration::from_millis(200),
        ..config()
    });
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    stream
        .write_all(get("/held/2000000").bytes.as_bytes())
        .await
        .unwrap();
    server.until_gone().await;
    assert_eq!(server.at_once(), (1, 1));
}

#[tokio::test]
async fn a_process_that_leaves_finishes_what_it_sends_past_hyper() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    let large = get("/held/1000000");
    stream.write_all(large.bytes.as_bytes()).await.unwrap();
    until_so(|| server.at_once().0 > 0).await;
    let stopped = tokio::spawn(server.stop());
    expect(&mut stream, &large).await;
    assert_eq!(rest(&mut stream).await, "");
    assert!(within(stopped).await.unwrap().is_complete());
}

#[tokio::test]
async fn a_bad_head_after_an_answer_past_hyper_is_refused_in_its_place() {
    let server = start(&config());
    for bad in [
        "GET /held/1 HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        "GET /held/1 HTTP/1.1\r\n\r\n",
        "GET /held/1 HTTP/1.1\r\nHost: h\r\nConnection: authorization\r\n\r\n",
        "GET /held/1 HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        "GET /held/1#x HTTP/1.1\r\nHost: h\r\n\r\n",
        "TRACE /held/1 HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let mut stream = server.buffered().await;
        ask(&mut stream, &get("/held/1")).await;
        ask(&mut stream, &get("/held/2")).await;
        stream.write_all(bad.as_bytes()).await.unwrap();
        let (line, _) = answer(&mut stream, false).await;
        assert!(
            line.starts_with("HTTP/1.1 4") || line.ends_with("501 Not Implemented"),
            "{bad}: {line}"
        );
        assert_eq!(rest(&mut stream).await, "");
    }
}

#[tokio::test]
async fn who_sends_no_more_still_gets_what_was_asked_for() {
    let server = start(&config());
    for last in ["/held/3", "/held/1000000"] {
        let mut stream = server.buffered().await;
        ask(&mut stream, &get("/held/1")).await;
        let before = server.at_once().0;
        let last = get(last);
        stream.write_all(last.bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        expect(&mut stream, &last).await;
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(server.at_once().0, before + 1);
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_behind_short_answers_is_cut_in_time() {
    let server = start(&Config {
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_mins(5),
        ..config()
    });
    let mut stream = server.buffered().await;
    for _ in 0..3 {
        ask(&mut stream, &get("/held/1")).await;
    }
    stream
        .write_all(b"GET /held/1 HTTP/1.1\r\nHost: h\r\nX: ")
        .await
        .unwrap();
    let trickle = async {
        // A byte each time that nothing comes; the end comes as an end or an error.
        let mut byte = [0];
        loop {
            let pause = Duration::from_millis(20);
            match tokio::time::timeout(pause, stream.read(&mut byte)).await {
                Ok(read) => return read.unwrap_or_default(),
                Err(_) => drop(stream.write_all(b"x").await),
            }
        }
    };
    assert_eq!(within(trickle).await, 0);
    assert_eq!(server.at_once(), (2, 1));
}

/// Asks on and on, and reads what comes, until the connection ends.
fn flood(address: SocketAddr) -> std::thread::JoinHandle<()> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut back = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let writer = std::thread::spawn(move || {
            // One by one and in heaps.
            let one = get("/held/1").bytes;
            let many = one.repeat(50);
            while (0..50).all(|_| stream.write_all(one.as_bytes()).is_ok())
                && stream.write_all(many.as_bytes()).is_ok()
            {}
        });
        let mut waste = [0; 4096];
        while back.read(&mut waste).is_ok_and(|read| read > 0) {}
        writer.join().unwrap();
    })
}

#[tokio::test]
async fn who_asks_without_end_keeps_neither_another_nor_the_end_waiting() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    let asking = flood(server.tcp());
    until_so(|| server.at_once().0 + server.at_once().1 >= 100).await;
    for _ in 0..20 {
        ask(&mut stream, &get("/a")).await;
        ask(&mut stream, &get("/held/2")).await;
    }
    let drained = within(server.stop()).await;
    assert!(drained.is_complete(), "{drained:?}");
    asking.join().unwrap();
}

fn some_head() -> impl Strategy<Value = Vec<u8>> {
    let target = prop_oneof![
        4 => prop::sample::select(vec![
            "/", "/?", "/a?", "/a?b?c", "//", "//h/a", "/a//b", "/%", "/%zz", "/{a}|\\^", "/a?[b]{c}|^`",
            "/\u{e9}", "/a?\u{e9}", "http://h", "http://h/", "http://h?x", "HTTP://H/a?b", "https://h:1/",
            "http://u@h/", "http://[::1]/", "http://h:/", "ftp://h/", "h", "h:80", "*", "?x", "a/b", "/'()",
            "/*", "/a;b=c", "/:80", "/@", "http:/a", "http:///a", "/\u{7f}", "/a\\b",
        ])
        .prop_map(|target| target.as_bytes().to_vec()),
        1 => prop::collection::vec(0x21..=0xFF_u8, 1..12),
    ];
    let name = prop_oneof![
        6 => "[Xx]-[a-zA-Z0-9!#$%&'*+.^_`|~-]{0,8}",
        2 => prop::sample::select(vec![
            "Accept", "TE", "Keep-Alive", "Trailer", "Proxy-Connection", "cookie", "Range", "HTTP2-Settings",
            "Authorization", "Connection", "Expect", "Upgrade", "Content-Length", "Transfer-Encoding", "Host", "host",
        ])
        .prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        3 => "[ -~]{0,12}".prop_map(String::into_bytes),
        2 => prop::collection::vec(prop_oneof![Just(b'\t'), Just(b' '), 0x20..=0x7E_u8, 0x80..=0xFF_u8], 0..8),
        1 => prop::sample::select(vec!["close", "keep-alive", "0", "chunked", "trailers", "100-continue"])
            .prop_map(|value| value.as_bytes().to_vec()),
    ];
    let space = || prop::sample::select(vec!["", " ", "\t", " \t "]);
    let line = (name, space(), value, space()).prop_map(|(name, before, value, after)| {
        [
            name.as_bytes(),
            b":",
            before.as_bytes(),
            &value,
            after.as_bytes(),
            b"\r\n",
        ]
        .concat()
    });
    let lines = prop_oneof![
        20 => prop::collection::vec(line.clone(), 0..6),
        1 => prop::collection::vec(line, 95..103),
    ];
    let first = prop::sample::select(vec!["", "", "", "\r\n", "\r\n\r\n"]);
    (first, target, lines).prop_map(|(first, target, lines)| {
        let lines = lines.concat();
        [
            first.as_bytes(),
            b"GET ",
            &target,
            b" HTTP/1.1\r\n",
            &lines,
            b"\r\n",
        ]
        .concat()
    })
}

#[test]
fn ordinary_heads_are_read_past_hyper() {
    for head in [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\nGET /?a HTTP/1.1\r\nhOsT:h\r\nX:\t a\tb \r\nx:\r\n\r\n",
        "GET http://h/a?b HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nX: \u{e9}\r\n\r\n",
    ] {
        assert!(is_read_as_by_hyper(head.as_bytes()), "{head:?}");
    }
}

pub(super) fn some_request() -> impl Strategy<Value = Asked> {
    prop_oneof![
        4 => (0..4_usize).prop_map(|times| get(&format!("/held/{times}"))),
        1 => Just(get("/held/20000")),
        1 => Just(get("/undated/2")),
        3 => (1..4_usize).prop_map(|times| get(&format!("/soon/{times}"))),
        1 => Just(get("/soon/20000")),
        2 => Just(get("/later/2")),
        2 => Just(get("/a")),
        1 => Just(asked("HEAD", "/held/3", "", "")),
        1 => Just(asked("GET", "/held/3", "Connection: keep-alive\r\n", "")),
        1 => Just(asked("POST", "/read", "Content-Length: 3\r\n", "GET")),
        1 => Just(asked("PUT", "/read", "Content-Length: 18\r\n", "GET /held/1 HTTP/1")),
        1 => Just(asked("POST", "/read", "Transfer-Encoding: chunked\r\n", "3\r\nGET\r\n0\r\n\r\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is read past hyper is the request that hyper would see.
    #[test]
    fn a_head_is_read_past_hyper_as_by_it(head in some_head()) {
        is_read_as_by_hyper(&head);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However they arrive, and whether the caller waits for answers or not.
    #[test]
    fn answers_keep_their_order(
        all in prop::collection::vec((some_request(), any::<bool>(), any::<bool>()), 1..12),
        cuts in prop::collection::vec(1..400_usize, 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = start(&config());
            let mut stream = server.buffered().await;
            let mut open = Vec::new();
            let mut cuts = cuts.iter().copied().cycle();
            for (asked, waits, looks) in all {
                let mut bytes = asked.bytes.as_bytes();
                while !bytes.is_empty() {
                    let cut = cuts.next().unwrap_or(usize::MAX).min(bytes.len());
                    let (now, later) = bytes.split_at(cut);
                    stream.write_all(now).await.unwrap();
                    tokio::task::yield_now().await;
                    bytes = later;
                }
                if looks {
                    let_it_look().await;
                }
                open.push(asked);
                if waits {
                    for asked in open.drain(..) {
                        expect(&mut stream, &asked).await;
                    }
                }
            }
            for asked in open {
                expect(&mut stream, &asked).await;
            }
        });
    }
}
