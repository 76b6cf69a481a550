//! TLS with the operator's roots, and HTTP/2 or HTTP/1.1 by ALPN.

use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::PrivateKeyDer;

use super::egress::{by_proxy, egress_to};
use super::*;

/// A file that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn holding(text: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("graph-photo-proxy-{}-{number}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How many streams the TLS end allows on a connection.
const STREAMS: u32 = 41;

/// A TLS end that speaks what `alpn` says, and a file with its root.
async fn secure_graph(alpn: &'static [u8]) -> (SocketAddr, Scratch) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["graph.test".to_owned()]).unwrap();
    let root = Scratch::holding(&cert.pem());
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let hangs = Arc::new(AtomicUsize::new(0));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let hangs = hangs.clone();
            let tell = hyper::service::service_fn(move |request| tell(request, hangs.clone()));
            let io = TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            tokio::spawn(async move {
                let mut server = hyper_util::server::conn::auto::Builder::new(executor);
                server.http2().max_concurrent_streams(STREAMS);
                let _ = server.serve_connection(io, tell).await;
            });
        }
    });
    (address, root)
}

/// Tells the caller what it was asked; hangs on the first `/hangs-once`.
async fn tell(
    request: Request<Incoming>,
    hangs: Arc<AtomicUsize>,
) -> Result<Response<Body>, Error> {
    let path = request.uri().path();
    if path == "/hangs-once" && hangs.fetch_add(1, Ordering::SeqCst) == 0 {
        std::future::pending::<()>().await;
    }
    if path == "/large" {
        return Ok(Response::new(Body::whole(vec![7; 2 << 20].into())));
    }
    let host = request.headers().get("host");
    let host = host.map_or("none", |host| host.to_str().unwrap());
    let cookies = request.headers().get_all("cookie").iter().count();
    let (version, target) = (request.version(), request.uri());
    let told = format!("{version:?} {target} {host} {cookies}");
    Ok(Response::new(Body::whole(told.into())))
}

#[tokio::test]
async fn http2_or_http1_is_spoken_as_graph_likes_with_the_operators_root() {
    for (alpn, wanted) in [
        (
            b"h2".as_slice(),
            "HTTP/2.0 https://graph.test/a%2Fb?x none 1",
        ),
        (b"http/1.1", "HTTP/1.1 /a%2Fb?x graph.test 1"),
    ] {
        let (address, root) = secure_graph(alpn).await;
        let proxy = egress_to(address).await;
        let config = Config {
            ca_file: Some(root.path()),
            ..by_proxy("https://graph.test", &proxy)
        };
        let upstream = Upstream::new(&config).unwrap();
        let request = Request::get("http://elsewhere.test/a%2Fb?x")
            .version(http::Version::HTTP_2)
            .header("host", "elsewhere.test")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(Body::empty())
            .unwrap();
        let answer = soon(upstream.forward(request)).await.unwrap();
        assert_eq!(body_of(answer).await, wanted);
    }
}

#[tokio::test]
async fn callers_who_do_not_read_never_hold_up_the_others_on_one_connection() {
    let (address, root) = secure_graph(b"h2").await;
    let proxy = egress_to(address).await;
    let config = Config {
        ca_file: Some(root.path()),
        ..by_proxy("https://graph.test", &proxy)
    };
    let upstream = Upstream::new(&config).unwrap();
    let mut unread = Vec::new();
    for _ in 0..40 {
        unread.push(soon(upstream.forward(get("/large"))).await.unwrap());
    }
    let answer = soon(upstream.forward(get("/small"))).await.unwrap();
    assert!(soon(body_of(answer)).await.contains("/small"));
    assert_eq!(proxy.connections(), 1);
    // The last stream that Graph allows is taken too: photos have connections of their own.
    unread.push(soon(upstream.forward(get("/large"))).await.unwrap());
    let photo = soon(upstream.ask(ask::photo())).await.unwrap();
    assert_eq!(photo.status(), StatusCode::OK);
    for answer in unread {
        assert_eq!(soon(body_of(answer)).await.len(), 2 << 20);
    }
}

#[tokio::test]
async fn a_get_on_a_kept_http2_connection_that_breaks_is_answered_all_the_same() {
    let (address, root) = secure_graph(b"h2").await;
    let cut = Arc::new(tokio::sync::Notify::new());
    let when = cut.clone();
    let proxy = Graph::serving(move |number, mut wire| {
        let cut = when.clone();
        async move {
            wire.head().await;
            let mut far = TcpStream::connect(address).await.unwrap();
            wire.send(b"HTTP/1.1 200 OK\r\n\r\n").await;
            tokio::select! {
                () = cut.notified(), if number == 0 => {}
                _ = tokio::io::copy_bidirectional(&mut wire.stream, &mut far) => {}
            }
        }
    })
    .await;
    let config = Config {
        ca_file: Some(root.path()),
        ..by_proxy("https://graph.test", &proxy)
    };
    let upstream = Upstream::new(&config).unwrap();
    upstream.forward(get("/warm")).await.unwrap();
    let asking = upstream.clone();
    let exchange = tokio::spawn(async move { asking.forward(get("/hangs-once")).await });
    tokio::time::sleep(Duration::from_millis(100)).await; // Until Graph has it.
    cut.notify_one();
    let answer = soon(exchange).await.unwrap().unwrap();
    assert!(body_of(answer).await.contains("/hangs-once"));
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_graph_whose_root_is_not_trusted_is_no_connection() {
    let (address, _) = secure_graph(b"h2").await;
    let (_, other) = secure_graph(b"h2").await;
    let proxy = egress_to(address).await;
    let config = Config {
        ca_file: Some(other.path()),
        ..by_proxy("https://graph.test", &proxy)
    };
    let upstream = Upstream::new(&config).unwrap();
    let error = soon(upstream.forward(get("/"))).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)));
}
