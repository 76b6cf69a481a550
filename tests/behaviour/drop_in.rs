//! Promise 1: what is not a photo reaches Graph, and comes back, byte for byte.
//!
//! The same bytes are sent to Graph directly and through the proxy; what Graph saw and what
//! the caller got must be the same. Only what this file's [`as_handed_on`] and [`as_returned`]
//! name may differ: the fields of one hop, `Host`, and what HTTP leaves to each hop (the
//! framing, the `Date` of an answer without one, the spelling of trailers).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::sync::{Arc, Mutex};

use graph_photo_proxy::clock::Clock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::Proxy;
use crate::support::wire::{Message, RawGraph, Wire, bytes, latin1, soon};

const OK: &str = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nhi";

/// A Graph that says what it is told to, and the proxy before it.
struct Pair {
    graph: RawGraph,
    proxy: Proxy,
    answer: Arc<Mutex<Vec<u8>>>,
}

/// One exchange seen from both ends.
struct Told {
    graph: Message,
    caller: Message,
}

impl Pair {
    async fn start() -> Self {
        let answer = Arc::new(Mutex::new(bytes(OK)));
        let says = Arc::clone(&answer);
        let graph = RawGraph::serving(move |_, mut wire| {
            let says = Arc::clone(&says);
            async move {
                while wire.request().await.is_some() {
                    let answer = says.lock().unwrap().clone();
                    wire.send(&answer).await;
                    let head = latin1(&answer).to_lowercase();
                    if !head.contains("content-length:") && !head.contains("chunked") {
                        return;
                    }
                }
            }
        })
        .await;
        let proxy = Proxy::start(&[], &graph.url(), Clock::system()).await;
        Self {
            graph,
            proxy,
            answer,
        }
    }

    fn says(&self, answer: &str) {
        *self.answer.lock().unwrap() = bytes(answer);
    }

    async fn told(&self, by: std::net::SocketAddr, method: &str, request: &str) -> Option<Told> {
        let before = self.graph.seen().len();
        let mut wire = Wire::to(by).await;
        wire.send(bytes(request)).await;
        let caller = soon(wire.answer(method)).await?;
        let graph = self.graph.seen().get(before).cloned().unwrap_or_default();
        Some(Told { graph, caller })
    }

    /// The same exchange both ways: first as it should look through the proxy, then as it does.
    async fn compare(&self, request: &str, answer: &str) -> [(Message, Message); 2] {
        self.says(answer);
        let method = request.split(' ').next().unwrap();
        let direct = self.told(self.graph.address, method, request).await;
        let direct = direct.expect("an answer from Graph");
        let through = self.told(self.proxy.address, method, request).await;
        let through = through.expect("an answer through the proxy");
        let host = self.graph.address.to_string();
        [
            (
                as_handed_on(direct.graph, &host),
                as_handed_on(through.graph, &host),
            ),
            (
                as_returned(&direct.caller, &direct.caller),
                as_returned(&through.caller, &direct.caller),
            ),
        ]
    }

    async fn is_same(&self, request: &str, answer: &str) {
        for (wanted, got) in self.compare(request, answer).await {
            assert_eq!(wanted, got, "\n{request}\n{answer}");
        }
    }
}

/// Fields that end at a hop (RFC 9110 §7.6.1).
const HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "upgrade",
    "te",
    "transfer-encoding",
];

/// A message without what belongs to one hop, the lines of one name together where the first
/// of them stood (RFC 9110 §5.3: order counts within a name only), its trailers in lower case.
fn without_hop(mut message: Message) -> Message {
    let mut named: Vec<String> = HOP.map(str::to_owned).to_vec();
    for value in message.values("connection") {
        named.extend(value.split(',').map(|name| name.trim().to_lowercase()));
    }
    let fields = std::mem::take(&mut message.fields);
    let kept: Vec<_> = fields
        .into_iter()
        .filter(|(name, _)| !named.contains(&name.to_lowercase()))
        .collect();
    let first = |name: &str| kept.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut sorted = kept.clone();
    sorted.sort_by_key(|(name, _)| first(name));
    message.fields = sorted;
    for (name, _) in &mut message.trailers {
        name.make_ascii_lowercase();
    }
    message
}

/// What Graph sees of a request.
fn as_handed_on(message: Message, host: &str) -> Message {
    let mut message = without_hop(message);
    for (name, value) in &mut message.fields {
        if name.eq_ignore_ascii_case("host") {
            host.clone_into(value);
        }
    }
    message
}

/// What the caller sees of an answer. `direct` is the answer without the proxy.
fn as_returned(message: &Message, direct: &Message) -> Message {
    let mut message = without_hop(message.clone());
    // hyper tells no length with a 304 (RFC 9110 §8.6 leaves it to the server).
    let no_length = direct.status() == 304;
    message.fields.retain(|(name, _)| {
        let ours = name.eq_ignore_ascii_case("date") && direct.values("date").is_empty();
        let length = name.eq_ignore_ascii_case("content-length");
        !(ours || length && no_length)
    });
    message
}

#[tokio::test]
async fn every_byte_of_a_target_is_handed_on_encoded_or_refused() {
    let pair = Pair::start().await;
    let mut refused = Vec::new();
    for place in ["/x", "/x?"] {
        for byte in (0x21..=0xFF_u8).chain([0, 1, 9]) {
            let target = format!("{place}{}y", char::from(byte));
            let request = format!("GET {target} HTTP/1.1\r\nHost: p\r\n\r\n");
            let told = pair.told(pair.proxy.address, "GET", &request).await;
            let told = told.unwrap();
            if told.caller.status() == 400 {
                assert!(told.caller.text().starts_with("{\"error\":{"), "{byte:#x}");
                assert_eq!(told.graph, Message::default(), "{byte:#x}");
                refused.push((place, byte));
            } else {
                let encoded = format!("{place}%{byte:02X}y");
                let odd = b"\"<>`".contains(&byte) && told.graph.target() == encoded;
                assert!(
                    told.graph.target() == target || odd,
                    "{byte:#x}: {:?}",
                    told.graph
                );
            }
        }
    }
    // A byte beyond ASCII that stands alone is not UTF-8; a fragment is never sent.
    let alone = (0x80..=0xFF).chain([b'#', 0, 1, 9, 0x7F]);
    let mut odd: Vec<u8> = alone.collect();
    odd.sort_unstable();
    for place in ["/x", "/x?"] {
        let mut found: Vec<u8> = refused
            .iter()
            .filter(|r| r.0 == place)
            .map(|r| r.1)
            .collect();
        found.sort_unstable();
        assert_eq!(found, odd, "{place}");
    }
}

#[tokio::test]
async fn targets_are_left_as_they_were_sent() {
    let pair = Pair::start().await;
    for target in [
        "/",
        "//",
        "//v1.0//me",
        "/v1.0/../beta/./me",
        "/v1.0/me/..",
        "/%2e%2e/%2E",
        "/a%2Fb%2fc%5c%00%0d%0a",
        "/%zz%",
        "/v1.0/users('x')/messages(%27y%27)",
        "/v1.0/me/drive/root:/a%20b.txt:/content",
        "/v1.0/me?",
        "/?",
        "/x??",
        "/x?a=1&a=2&a=&a&&=",
        "/x?$select=id&%24select=mail&$filter=startswith(displayName,'%C3%A9')",
        "/x?q=\u{c3}\u{a9}",
        "/\u{e2}\u{82}\u{ac}",
        "/x;v=1/y;;",
        "/x?a+b=c%2Bd",
        "/x?/../?",
    ] {
        pair.is_same(&format!("GET {target} HTTP/1.1\r\nHost: p\r\n\r\n"), OK)
            .await;
    }
}

#[tokio::test]
async fn any_method_passes_but_those_that_are_not_for_a_resource() {
    let pair = Pair::start().await;
    for method in [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "REPORT",
        "SEARCH",
        "QUERY",
        "BREW",
        "get",
        "Get",
        "X-ODD",
        "M-SEARCH",
        "!#$%&'*+-.^_`|~",
    ] {
        for (framing, body) in [("", ""), ("Content-Length: 3\r\n", "abc")] {
            let request = format!("{method} /x HTTP/1.1\r\nHost: p\r\n{framing}\r\n{body}");
            pair.is_same(&request, OK).await;
        }
    }
    for method in ["CONNECT", "TRACE"] {
        let request = format!("{method} /x HTTP/1.1\r\nHost: p\r\n\r\n");
        let told = pair.told(pair.proxy.address, method, &request).await;
        let told = told.unwrap();
        assert_eq!(told.graph, Message::default());
        assert!((400..=501).contains(&told.caller.status()), "{method}");
    }
}

#[tokio::test]
async fn answers_come_back_as_graph_gave_them() {
    let pair = Pair::start().await;
    let get = "GET /x HTTP/1.1\r\nHost: p\r\nConnection: te\r\nTE: trailers\r\n\r\n";
    for answer in [
        "HTTP/1.1 200 Alles gut\r\nDate: d\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"\", claims=\"x\"\r\n\
         WWW-Authenticate: Negotiate\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\n\
         Content-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Latin: caf\u{e9}\r\nX-Empty:\r\nx-TAB: a\tb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n",
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: W/\"a\"\r\nContent-Length: 77\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/x?y\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */9\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2.128\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 599 What\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n!!!\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Stay: 2\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the close",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nVary: *\r\nAge: 9\r\nVia: 1.1 x\r\n\
         Cache-Control: public, max-age=9\r\nContent-Length: 2\r\n\r\n\u{1f}\u{8b}",
    ] {
        pair.is_same(get, answer).await;
    }
    let head = "HEAD /x HTTP/1.1\r\nHost: p\r\n\r\n";
    pair.is_same(head, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
        .await;
    pair.is_same(
        head,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
}

/// Requests and answers of every shape, none of them a photo's.
fn exchanges() -> impl Strategy<Value = (String, String)> {
    let method = prop_oneof![
        3 => prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND"])
            .prop_map(str::to_owned),
        1 => "[A-Za-z!#$%&'*+.^_`|~-]{1,10}",
    ]
    .prop_filter("not for a resource", |m| m != "CONNECT" && m != "TRACE");
    let pieces = vec![
        "/",
        "//",
        "/..",
        "/.",
        "a",
        "v1.0",
        "users",
        "photo",
        "$value",
        "%2F",
        "%00",
        "%",
        "?",
        "&",
        "=",
        ";",
        ":",
        "@",
        "'",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        "\\",
        "^",
        "~",
        "\u{c3}\u{a9}",
        "+",
        ",",
        "*",
        "!",
    ];
    let target = prop::collection::vec(prop::sample::select(pieces), 0..12)
        .prop_map(|pieces| format!("/x{}", pieces.concat()));
    (method, target, fields(), body(), status(), fields(), body()).prop_map(
        |(method, target, asked, sent, status, told, got)| {
            let request = format!(
                "{method} {target} HTTP/1.1\r\nHost: p\r\nConnection: te\r\nTE: trailers\r\n\
                 {asked}{sent}"
            );
            let bodiless =
                method == "HEAD" || status.starts_with("204") || status.starts_with("304");
            let got = if bodiless { "\r\n" } else { &got };
            let got = if got == "\r\n" && !bodiless {
                "Content-Length: 0\r\n\r\n"
            } else {
                got
            };
            (request, format!("HTTP/1.1 {status}\r\n{told}{got}"))
        },
    )
}

fn status() -> impl Strategy<Value = String> {
    let code = prop::sample::select(vec![
        200, 201, 202, 203, 204, 205, 207, 226, 300, 302, 304, 400, 403, 404, 409, 412, 418, 423,
        428, 429, 451, 499, 500, 502, 503, 504, 507, 511, 599,
    ]);
    (code, "[ -~]{0,12}").prop_map(|(code, reason)| format!("{code} {}", reason.trim()))
}

fn fields() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "X-A",
            "x-a",
            "X-B",
            "Accept",
            "ACCEPT",
            "Cookie",
            "Set-Cookie",
            "Authorization",
            "Prefer",
            "If-None-Match",
            "Range",
            "Via",
            "Forwarded",
            "X-Forwarded-For",
            "Content-Type",
            "User-Agent",
            "WWW-Authenticate",
            "ETag",
            "Cache-Control",
            "Date",
            "ConsistencyLevel",
            "client-request-id",
            "Max-Forwards",
            "Warning",
        ])
        .prop_map(str::to_owned),
        "[A-Za-z!#$%&'*+.^_`|~0-9]{1,8}",
    ]
    .prop_filter("a field of one hop, or of the framing", |name| {
        let name = name.to_lowercase();
        !HOP.contains(&name.as_str()) && name != "host" && name != "date"
    });
    let value = "[ -~\t\u{80}-\u{ff}]{0,20}";
    prop::collection::vec((name, value), 0..8).prop_map(|fields| {
        let line = |(name, value): (String, String)| {
            format!("{name}: {}\r\n", value.trim_matches([' ', '\t']))
        };
        fields.into_iter().map(line).collect()
    })
}

/// The end of a head, and a body as it is framed; `"\r\n"` is none.
fn body() -> impl Strategy<Value = String> {
    let data = prop::collection::vec(any::<u8>(), 0..300);
    let sized =
        data.prop_map(|data| format!("Content-Length: {}\r\n\r\n{}", data.len(), latin1(&data)));
    let chunks = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..5);
    let chunked = (chunks, any::<bool>()).prop_map(|(chunks, trailer)| {
        let (announced, trailer) = if trailer {
            ("Trailer: X-Sum\r\n", "X-Sum: 7\r\n")
        } else {
            ("", "")
        };
        let chunk = |data: Vec<u8>| format!("{:x}\r\n{}\r\n", data.len(), latin1(&data));
        let chunks: String = chunks.into_iter().map(chunk).collect();
        format!("{announced}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n{trailer}\r\n")
    });
    prop_oneof![Just("\r\n".to_owned()), sized, chunked]
}

#[test]
fn a_generated_exchange_is_the_same_with_and_without_the_proxy() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pair = runtime.block_on(Pair::start());
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(400)
    });
    let outcome = runner.run(&exchanges(), |(request, answer)| {
        for (wanted, got) in runtime.block_on(pair.compare(&request, &answer)) {
            prop_assert_eq!(wanted, got, "\n{}\n{}", &request, &answer);
        }
        Ok(())
    });
    outcome.unwrap();
    drop(runtime.enter());
}
