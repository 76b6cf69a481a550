//! Byte for byte, both ways.

use http::Method;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn raw_path_and_query_reach_graph_byte_for_byte() {
    for target in [
        "/v1.0/users/a%2Fb/%7e/x",
        "//double//slash/",
        "/a/./b/../c",
        "/v1.0/me?",
        "/v1.0/me?$select=id&$select=&&a=b=c&%24top=1",
        "/odd/!$&'()*+,;=:@-._~^|{}\"[]?a[]=\\^`{|}",
        "/?q=\u{e2}\u{82}\u{ac}",
        "/users('x')/photos('48x48')/$value",
        "/",
    ] {
        let graph = Graph::answering(OK).await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
        through(&graph, &request).await;
        let seen = graph.seen().concat();
        let wanted = format!("GET {target} HTTP/1.1\r\n");
        assert!(seen.starts_with(&wanted), "{target}: {seen}");
    }
}

#[tokio::test]
async fn an_absolute_target_and_a_strange_host_change_nothing_about_where_it_goes() {
    let other = Graph::answering(OK).await;
    let graph = Graph::answering(OK).await;
    let elsewhere = other.address;
    let request = format!(
        "GET http://{elsewhere}/me HTTP/1.1\r\nHost: {elsewhere}\r\nConnection: close\r\n\r\n"
    );
    assert!(through(&graph, &request).await.ends_with("hi"));
    let wanted = format!("GET /me HTTP/1.1\r\nHost: {}\r\n\r\n", graph.address);
    assert_eq!(graph.seen(), [wanted]);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn request_fields_keep_order_spelling_repeats_and_bytes() {
    let graph = Graph::answering(OK).await;
    let request = "PROPFIND /x HTTP/1.1\r\nuser-AGENT: a\r\nHOST: p\r\nX-One: 1\r\nx-one: 2\r\n\
                   X-Empty:\r\nX-Latin: caf\u{e9}\r\nAuthorization: Bearer t\r\n\
                   Connection: close\r\nContent-Length: 3\r\n\r\nabc";
    through(&graph, request).await;
    let host = graph.address.to_string();
    let wanted = request
        .replace("HOST: p", &format!("HOST: {host}"))
        .replace("Connection: close\r\n", "");
    assert_eq!(graph.seen(), [wanted]);
}

#[tokio::test]
async fn fields_of_one_hop_end_here_in_both_directions() {
    let graph = Graph::answering(
        "HTTP/1.1 200 OK\r\nA: 1\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nB: 2\r\n\
         C: 3\r\nContent-Length: 2\r\n\r\nhi",
    )
    .await;
    let answer = through(
        &graph,
        "GET / HTTP/1.1\r\nHost: p\r\nA: 1\r\nConnection: close, X-Secret, TE\r\nX-Secret: 1\r\n\
         Keep-Alive: 5\r\nTE: gzip, trailers;q=1, trailers\r\nProxy-Connection: close\r\n\
         Proxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\nB: 2\r\nC: 3\r\n\r\n",
    )
    .await;
    let host = graph.address;
    let wanted =
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nA: 1\r\nTE: trailers\r\nB: 2\r\nC: 3\r\n\r\n");
    assert_eq!(graph.seen(), [wanted]);
    let head = answer.split("\r\n\r\n").next().unwrap();
    let ours = ["connection: close", "date: "];
    let fields: Vec<&str> = head
        .split("\r\n")
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !ours.iter().any(|name| line.starts_with(name))
        })
        .collect();
    let wanted = [
        "HTTP/1.1 200 OK",
        "A: 1",
        "B: 2",
        "C: 3",
        "Content-Length: 2",
    ];
    assert_eq!(fields, wanted);
}

#[tokio::test]
async fn answer_fields_keep_spelling_repeats_bytes_and_the_reason_phrase() {
    let answer = "HTTP/1.1 404 Nicht da\r\nDATE: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                  Set-Cookie: a=1\r\nset-cookie: b=2\r\nWWW-Authenticate: Bearer realm=\"\"\r\n\
                  WWW-Authenticate: Negotiate\r\nETag: W/\"\u{e9}\"\r\nX-Empty: \r\n\
                  Content-Length: 2\r\n\r\nhi";
    let bytes = latin1(answer);
    let graph = Graph::serving(move |_, mut wire| {
        let bytes = bytes.clone();
        async move {
            wire.request().await;
            wire.send(&bytes).await;
        }
    })
    .await;
    let request = "GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n";
    let seen = through(&graph, request).await;
    assert_eq!(seen.replace("connection: close\r\n", ""), answer);
}

#[tokio::test]
async fn bodies_are_chunked_or_sized_as_the_caller_and_graph_send_them() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                  3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 9\r\n\r\n";
    for method in ["POST", "GET", "REPORT"] {
        let graph = Graph::answering(answer).await;
        let seen = through(
            &graph,
            &format!(
                "{method} / HTTP/1.1\r\nHost: p\r\nTE: trailers\r\nConnection: close, te\r\n\
                 Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nwxyz\r\n0\r\nX-Sum: 7\r\n\r\n"
            ),
        )
        .await;
        let sent = graph.seen().concat();
        assert!(sent.contains("Transfer-Encoding: chunked\r\n"), "{sent}");
        assert!(
            sent.ends_with("4\r\nwxyz\r\n0\r\nx-sum: 7\r\n\r\n"),
            "{sent}"
        );
        assert!(
            seen.to_lowercase().contains("transfer-encoding: chunked"),
            "{seen}"
        );
        assert!(seen.ends_with("\r\n0\r\nx-sum: 9\r\n\r\n"), "{seen}");
        assert!(!seen.to_lowercase().contains("content-length"), "{seen}");
    }
    let graph = Graph::answering(OK).await;
    through(
        &graph,
        "POST / HTTP/1.1\r\nHost: p\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let sent = graph.seen().concat();
    assert!(sent.ends_with("Content-Length: 0\r\n\r\n"), "{sent}");
}

#[tokio::test]
async fn answers_without_a_body_keep_the_length_they_tell() {
    for (method, answer) in [
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
        ),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n",
        ),
    ] {
        let graph = Graph::answering(answer).await;
        let mut request = get("/");
        *request.method_mut() = method;
        let answer = graph.upstream().forward(request).await.unwrap();
        assert_eq!(answer.headers()["content-length"], "1234");
        assert_eq!(body_of(answer).await, "");
    }
}

#[tokio::test]
async fn a_length_that_is_told_twice_is_handed_on_once() {
    let graph =
        Graph::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi")
            .await;
    let answer = graph.upstream().forward(get("/")).await.unwrap();
    assert_eq!(answer.headers().get_all("content-length").iter().count(), 1);
}

#[tokio::test]
async fn redirects_are_returned_and_the_other_host_sees_nothing() {
    let other = Graph::answering(OK).await;
    let answer: &'static str = Box::leak(
        format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{}/x\r\nContent-Length: 0\r\n\r\n",
            other.address
        )
        .into_boxed_str(),
    );
    let graph = Graph::answering(answer).await;
    let answer = graph.upstream().forward(get("/drive")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(
        answer.headers()["location"],
        format!("http://{}/x", other.address)
    );
    assert_eq!((graph.connections(), other.connections()), (1, 0));
}

#[tokio::test]
async fn cookie_crumbs_of_http2_become_one_cookie() {
    let graph = Graph::answering(OK).await;
    let crumbed = Request::get("/")
        .version(http::Version::HTTP_2)
        .header("cookie", "a=1")
        .header("x", "y")
        .header("cookie", "b=2")
        .body(Body::empty())
        .unwrap();
    graph.upstream().forward(crumbed).await.unwrap();
    assert!(
        graph
            .seen()
            .concat()
            .contains("\r\ncookie: a=1; b=2\r\nx: y\r\n")
    );
}

#[tokio::test]
async fn an_answer_in_a_coding_nobody_asked_for_is_refused() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let graph = Graph::answering(answer).await;
        let error = graph.upstream().forward(get("/")).await.unwrap_err();
        assert!(matches!(error, Error::Broken(_)), "{answer}");
    }
}
