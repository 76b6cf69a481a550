//! Other settings, another certificate and the end, all under load: no request is lost.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::net::TcpStream;

use crate::support::binary::Binary;
use crate::support::tls::{self, Folder};
use crate::support::wire::{RawGraph, Wire, soon};

const BODY: &[u8] = b"\xFF\xD8\xFF\xE0";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: \"1\"\r\nContent-Length: 4\r\n\r\n\xFF\xD8\xFF\xE0";
/// From memory once it is there, and passed through.
const PATHS: [&str; 2] = [
    "/v1.0/users/00000000-0000-0000-0000-000000000001/photo/$value",
    "/v1.0/me",
];
const TOKEN: &str = "Bearer some.opaque-token-0123456789";

/// How the callers fared.
#[derive(Default)]
struct Fared {
    answered: AtomicUsize,
    /// The proxy has been told to stop: from here on a request may find nobody to take it.
    leaving: AtomicBool,
    /// Requests that were taken and not answered, or found nobody before the end.
    lost: Mutex<Vec<String>>,
    /// The certificate that was last shown.
    shown: Mutex<Vec<u8>>,
}

impl Fared {
    fn well(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    fn lose(&self, how: String) {
        self.lost.lock().unwrap().push(how);
    }

    /// Waits until so many more requests have been answered.
    async fn go_on(&self, more: usize) {
        let enough = self.answered.load(Ordering::SeqCst) + more;
        until(|| self.answered.load(Ordering::SeqCst) >= enough).await;
    }
}

async fn until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Asks again and again on connections that are kept.
async fn over_http1(address: SocketAddr, fared: Arc<Fared>) {
    loop {
        let Some(mut wire) = Wire::try_to(address).await else {
            return if !fared.is_leaving() {
                fared.lose("refused".to_owned());
            };
        };
        for path in PATHS.into_iter().cycle() {
            let head = format!("GET {path} HTTP/1.1\r\nHost: p\r\nAuthorization: {TOKEN}\r\n\r\n");
            wire.send(head).await;
            let Some(answer) = soon(wire.answer("GET")).await else {
                // A kept connection may end just as a request is sent on it; with nothing
                // answered, any HTTP library sends it again (RFC 9112 §9.3.1).
                let rest = soon(wire.rest()).await;
                if !fared.is_leaving() || !rest.is_empty() {
                    fared.lose(format!("http/1.1, after {} bytes", rest.len()));
                }
                return;
            };
            if answer.status() != 200 || answer.body != BODY {
                fared.lose(format!("http/1.1: {answer:?}"));
            }
            fared.well();
            if answer.values("connection") == ["close"] {
                break;
            }
        }
    }
}

fn request(n: usize) -> Request<Full<Bytes>> {
    Request::get(format!("http://localhost{}", PATHS[n % 2]))
        .header("authorization", TOKEN)
        .body(Full::default())
        .unwrap()
}

fn note(fared: &Fared, answer: Result<http::Response<Bytes>, hyper::Error>) {
    match answer {
        Ok(answer) if answer.status() == 200 && answer.body() == BODY => fared.well(),
        Ok(answer) => fared.lose(format!("http/2: {answer:?}")),
        // It was never taken: the other end takes no more on this connection, and whoever asks
        // may ask again (RFC 9113 §6.8).
        Err(error) if fared.is_leaving() && (error.is_canceled() || is_leave(&error)) => {}
        Err(error) => fared.lose(format!("http/2: {error:?}")),
    }
}

/// Whether a stream was beyond the last one that a leaving server takes.
fn is_leave(error: &hyper::Error) -> bool {
    format!("{error:?}").contains("NO_ERROR, Remote")
}

/// Asks eight questions at a time on one connection.
async fn over_http2(address: SocketAddr, fared: Arc<Fared>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let sender = tls::http2_on(stream).await.unwrap();
    while !sender.is_closed() {
        let mut asked = tokio::task::JoinSet::new();
        for n in 0..8 {
            let sender = sender.clone();
            asked.spawn(async move { tls::ask(&sender, request(n)).await });
        }
        while let Some(answer) = asked.join_next().await {
            note(&fared, answer.unwrap());
        }
    }
    if !fared.is_leaving() {
        fared.lose("http/2: closed".to_owned());
    }
}

/// Shakes hands anew for every question, and trusts either certificate.
async fn over_tls(address: SocketAddr, client: rustls::ClientConfig, fared: Arc<Fared>) {
    for n in 0.. {
        let stream = match tls::connect(address, "localhost", client.clone(), &[b"h2"]).await {
            Ok(stream) => stream,
            Err(_) if fared.is_leaving() => return,
            Err(error) => return fared.lose(format!("handshake: {error:?}")),
        };
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        *fared.shown.lock().unwrap() = shown;
        let sender = match tls::http2_on(stream).await {
            Ok(sender) => sender,
            Err(_) if fared.is_leaving() => return,
            Err(error) => return fared.lose(format!("preface: {error:?}")),
        };
        note(&fared, tls::ask(&sender, request(n)).await);
    }
}

/// Writes a certificate and its key as an operator's tool does: each file whole, one after the
/// other.
fn put(folder: &Folder, made: &rcgen::CertifiedKey<rcgen::KeyPair>) {
    for (name, text) in [
        ("cert.pem", made.cert.pem()),
        ("key.pem", made.signing_key.serialize_pem()),
    ] {
        fs::write(folder.path("new"), text).unwrap();
        fs::rename(folder.path("new"), folder.path(name)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_another_certificate_and_the_drain_lose_no_request() {
    let graph = RawGraph::answering(ANSWER).await;
    let folder = Folder::new("under-load");
    let make = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (first, second) = (make(), make());
    put(&folder, &first);
    let (cert, key) = (folder.path("cert.pem"), folder.path("key.pem"));
    let config = folder.path("proxy.toml");
    fs::write(&config, "photo_ttl = \"1h\"\n").unwrap();
    let binary = Binary::start(
        &graph.url(),
        &[
            ("tls_listen", "127.0.0.1:0"),
            ("tls_cert", &cert),
            ("tls_key", &key),
            ("config", &config),
        ],
    );
    let fared = Arc::new(Fared::default());
    let mut roots = rustls::RootCertStore::empty();
    for made in [&first, &second] {
        roots.add(made.cert.der().clone()).unwrap();
    }
    let mut client = tls::client(roots);
    // A session taken up again shows no certificate.
    client.resumption = rustls::client::Resumption::disabled();
    let (plain, secure) = (binary.address, binary.secure.unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        callers.spawn(over_http1(plain, Arc::clone(&fared)));
        callers.spawn(over_tls(secure, client.clone(), Arc::clone(&fared)));
    }
    callers.spawn(over_http2(plain, Arc::clone(&fared)));

    for hours in 2..6 {
        fared.go_on(100).await;
        fs::write(&config, format!("photo_ttl = \"{hours}h\"\n")).unwrap();
        binary.signal("-HUP");
        until(|| binary.log().matches("other settings hold").count() >= hours - 1).await;
    }
    fared.go_on(100).await;
    assert_eq!(*fared.shown.lock().unwrap(), first.cert.der().to_vec());
    put(&folder, &second);
    until(|| *fared.shown.lock().unwrap() == second.cert.der().to_vec()).await;
    fared.go_on(100).await;

    fared.leaving.store(true, Ordering::SeqCst);
    binary.terminate();
    while let Some(caller) = soon(callers.join_next()).await {
        caller.unwrap();
    }
    let (status, log) = binary.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut at the end of the drain"), "{log}");
    let lost = fared.lost.lock().unwrap();
    let answered = fared.answered.load(Ordering::SeqCst);
    assert!(lost.is_empty(), "{answered} answered; lost: {lost:#?}");
    assert!(answered >= 600, "{answered}");
}
