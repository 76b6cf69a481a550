//! What is waited for past hyper: in its place among the others, and no longer than its caller.

use proptest::prelude::*;

use super::shortcuts::{Asked, answer, ask, asked, expect, get, let_it_look};
use super::*;

impl Running {
    /// How many answers were waited for past hyper, and how many of those nobody waits for.
    fn alone(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.seen.alone), count(&self.seen.left))
    }

    /// A kept connection on which this has been asked and is waited for.
    async fn waiting_for(&self, target: &str) -> tokio::io::BufReader<TcpStream> {
        let mut stream = self.buffered().await;
        ask(&mut stream, &get("/a")).await;
        let asked = get(target);
        stream.write_all(asked.bytes.as_bytes()).await.unwrap();
        self.until_held().await;
        stream
    }

    async fn until_left(&self, count: usize) {
        until_so(|| self.alone().1 >= count).await;
    }
}

/// What is written to such a connection from here on.
async fn write(stream: &mut tokio::io::BufReader<TcpStream>, bytes: &str) {
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn what_has_to_be_waited_for_is_answered_past_hyper_too() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    for _ in 0..3 {
        for target in ["/a", "/soon/2", "/held/2", "/soon/0", "/soon/1000000"] {
            ask(&mut stream, &get(target)).await;
        }
    }
    assert_eq!(server.alone(), (9, 0));
    assert_eq!(server.at_once(), (3, 0));
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn an_answer_that_hyper_would_add_to_is_written_by_it_and_found_only_once() {
    let server = start(&config());
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/held/1")).await;
    for target in [
        "/later/3",
        "/held/2",
        "/later/1000000",
        "/later/0",
        "/soon/1",
    ] {
        ask(&mut stream, &get(target)).await;
    }
    assert_eq!((server.alone(), server.requests()), ((4, 0), 0));
}

#[tokio::test]
async fn what_is_sent_while_an_answer_is_waited_for_waits_its_turn() {
    let server = start(&config());
    for (target, together) in [
        ("/wait/2", true),
        ("/wait/2", false),
        ("/wait/200000", true),
    ] {
        let mut stream = server.waiting_for(target).await;
        let post = asked("POST", "/read", "Content-Length: 3\r\n", "GET");
        // Longer than what is read ahead.
        let fields = format!("X: {}\r\n", "x".repeat(3_000));
        let long = asked("GET", "/b", &fields, "");
        let behind = [get("/held/4"), long, post, get("/later/1"), get("/soon/3")];
        let before = server.at_once();
        if together {
            let all: String = behind.iter().map(|asked| asked.bytes.as_str()).collect();
            write(&mut stream, &all).await;
            let_it_look().await;
        } else {
            for asked in &behind {
                write(&mut stream, &asked.bytes).await;
                let_it_look().await;
            }
        }
        assert_eq!(server.at_once(), before);
        server.seen.release.add_permits(1);
        expect(&mut stream, &get(target)).await;
        for asked in &behind {
            expect(&mut stream, asked).await;
        }
        ask(&mut stream, &get("/held/5")).await;
    }
}

#[tokio::test]
async fn what_is_refused_behind_a_waited_for_answer_is_refused_in_its_place() {
    let server = start(&config());
    for bad in [
        "GET /held/1 HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        "GET /held/1 HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        for target in ["/wait/1", "/later/1"] {
            let mut stream = server.buffered().await;
            ask(&mut stream, &get("/a")).await;
            write(&mut stream, &get(target).bytes).await;
            if target == "/wait/1" {
                server.until_held().await;
            }
            write(&mut stream, bad).await;
            let_it_look().await;
            server
                .seen
                .release
                .add_permits(usize::from(target == "/wait/1"));
            expect(&mut stream, &get(target)).await;
            let (line, _) = answer(&mut stream, false).await;
            assert!(line.starts_with("HTTP/1.1 400"), "{bad}: {line}");
            assert_eq!(rest(&mut stream).await, "");
        }
    }
}

#[tokio::test]
async fn nothing_goes_on_for_a_caller_who_has_left() {
    let server = start(&config());
    // Closed, with a reset, and no more to say (hyper takes that for leaving too).
    let stream = server.waiting_for("/wait/1").await;
    drop(stream);
    server.until_left(1).await;
    let stream = server.waiting_for("/wait/1").await;
    stream.into_inner().set_zero_linger().unwrap();
    server.until_left(2).await;
    let mut stream = server.waiting_for("/wait/1").await;
    stream.shutdown().await.unwrap();
    server.until_left(3).await;
    assert_eq!(rest(&mut stream).await, "");
    server.until_gone().await;
}

#[tokio::test]
async fn a_process_that_leaves_gives_what_is_waited_for_and_says_that_it_is_the_last() {
    for target in ["/wait/1", "/wait/200000"] {
        let server = start(&config());
        let mut stream = server.waiting_for(target).await;
        let mut idle = server.buffered().await;
        ask(&mut idle, &get("/a")).await;
        let seen = Arc::clone(&server.seen);
        let stopped = tokio::spawn(server.stop());
        assert_eq!(rest(&mut idle).await, "");
        seen.release.add_permits(1);
        let head = until(&mut stream, "\r\n\r\n").await;
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\nconnection: close\r\n"),
            "{head}"
        );
        assert_eq!(rest(&mut stream).await, get(target).answer);
        assert!(within(stopped).await.unwrap().is_complete());
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_an_answer_is_not_idle_and_one_that_takes_none_is_cut() {
    let server = start(&Config {
        idle_timeout: Duration::from_millis(50),
        header_timeout: Duration::from_millis(50),
        ..config()
    });
    let mut stream = server.waiting_for("/wait/2000000").await;
    // Half a head meanwhile is no reason either.
    write(&mut stream, "GET / HTTP/1.1\r\n").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    server.seen.release.add_permits(1);
    server.until_gone().await;
}

#[tokio::test]
async fn an_answer_that_fails_costs_its_connection_and_no_other() {
    let server = start(&config());
    let mut other = server.waiting_for("/wait/1").await;
    let mut stream = server.buffered().await;
    ask(&mut stream, &get("/a")).await;
    write(&mut stream, &get("/fail/1").bytes).await;
    assert_eq!(rest(&mut stream).await, "");
    server.seen.release.add_permits(1);
    expect(&mut other, &get("/wait/1")).await;
}

/// A request of any kind that is answered, in time.
fn some_request() -> impl Strategy<Value = Asked> {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    prop::sample::select(vec![
        get("/held/0"),
        get("/held/3"),
        get("/undated/2"),
        get("/soon/0"),
        get("/soon/2"),
        get("/later/0"),
        get("/later/2"),
        get("/wait/1"),
        get("/wait/200000"),
        get("/hold"),
        get("/a"),
        asked("HEAD", "/a", "", ""),
        asked("GET", "/soon/1", "Connection: keep-alive\r\n", ""),
        asked("POST", "/read", "Content-Length: 5\r\n", "hello"),
        asked("POST", "/read", "Transfer-Encoding: chunked\r\n", chunks),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_requests_come_each_is_answered_in_its_place(
        script in prop::collection::vec((some_request(), any::<bool>()), 1..10),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8), 0..8),
    ) {
        let bytes: String = script.iter().map(|(asked, _)| asked.bytes.as_str()).collect();
        // Between some requests, and somewhere: the server may look, and what waits may go on.
        let mut ends = 0;
        let between = script.iter().map(|(asked, looks)| {
            ends += asked.bytes.len();
            (ends, u8::from(*looks))
        });
        let mut cuts: Vec<_> = cuts.iter().map(|(at, does)| (at.index(bytes.len()), *does)).collect();
        cuts.extend(between);
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let server = start(&config());
            let mut stream = server.buffered().await;
            ask(&mut stream, &get("/a")).await;
            let mut sent = 0;
            for (at, does) in cuts {
                write(&mut stream, bytes.get(sent..at).unwrap()).await;
                sent = at;
                server.seen.release.add_permits(usize::from(does == 2));
                if does > 0 {
                    let_it_look().await;
                }
            }
            server.seen.release.add_permits(script.len());
            for (asked, _) in &script {
                expect(&mut stream, asked).await;
            }
            ask(&mut stream, &get("/held/5")).await;
        });
    }
}
