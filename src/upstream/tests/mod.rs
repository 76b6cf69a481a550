//! The room against a Graph of raw bytes: scripts decide what is sent, to the byte.

mod ask;
mod collect;
mod egress;
mod faults;
mod fidelity;
mod secure;
mod streaming;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Config, Error, Upstream};
use crate::render::Body;

/// Long enough for anything on loopback; only a failing test waits for it.
const SOON: Duration = Duration::from_secs(10);

/// A Graph on loopback that counts its connections and keeps what it was sent.
struct Graph {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Graph {
    /// Runs `serve` on every connection, with the connection's number.
    async fn serving<F, Fut>(serve: F) -> Self
    where
        F: Fn(usize, Wire) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (count, seen_by) = (connections.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen_by.clone();
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(number, Wire { stream, seen }));
            }
        });
        Self {
            address,
            connections,
            seen,
        }
    }

    /// Gives the same answer to every request, and keeps its connections.
    async fn answering(answer: &'static str) -> Self {
        Self::serving(move |_, mut wire| async move {
            while wire.request().await.is_some() {
                wire.send(answer.as_bytes()).await;
            }
        })
        .await
    }

    fn upstream(&self) -> Upstream {
        Upstream::new(&config(&format!("http://{}", self.address))).unwrap()
    }

    /// The messages seen so far; a byte is a char, so nothing is lost.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// One connection, seen from Graph or from the caller.
struct Wire {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    async fn to(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            seen: Arc::default(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads until `done`; `None` when the other end closes first.
    async fn until(&mut self, done: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while !done(&bytes) {
            bytes.push(self.stream.read_u8().await.ok()?);
        }
        Some(bytes)
    }

    async fn head(&mut self) -> Option<String> {
        let head = self.until(|bytes| bytes.ends_with(b"\r\n\r\n")).await?;
        Some(text(&head))
    }

    /// One whole request: head and body, sized or chunked.
    async fn request(&mut self) -> Option<String> {
        let mut message = self.head().await?;
        let lower = message.to_ascii_lowercase();
        let sized = lower.split("content-length: ").nth(1);
        if let Some(length) = sized.and_then(|rest| rest.split("\r\n").next()) {
            let mut body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut body).await.ok()?;
            message.push_str(&text(&body));
        } else if lower.contains("transfer-encoding: chunked") {
            let end = |bytes: &[u8]| {
                let last = bytes.starts_with(b"0\r\n") || text(bytes).contains("\r\n0\r\n");
                last && bytes.ends_with(b"\r\n\r\n")
            };
            message.push_str(&text(&self.until(end).await?));
        }
        self.seen.lock().unwrap().push(message.clone());
        Some(message)
    }

    async fn rest(mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes).await;
        text(&bytes)
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn config(base: &str) -> Config {
    Config {
        base: base.parse().unwrap(),
        proxy: None,
        no_proxy: None,
        proxy_for_loopback: false,
        ca_file: None,
        connect_timeout: Duration::from_secs(3),
        first_byte_timeout: SOON,
        photo_timeout: SOON,
        body_timeout: SOON,
        concurrency: 4,
        queue: 64,
        throttle_cap: Duration::from_mins(15),
    }
}

/// A listener that passes everything through, as the real one does.
async fn front(upstream: Upstream) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let upstream = upstream.clone();
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let upstream = upstream.clone();
                async move { Ok::<_, Error>(or_problem(upstream.forward(request).await)) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .preserve_header_case(true)
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn or_problem(answer: Result<Response<Body>, Error>) -> Response<Body> {
    answer.unwrap_or_else(|error| {
        let mut problem = Response::new(Body::whole(Bytes::from(error.to_string())));
        *problem.status_mut() = StatusCode::BAD_GATEWAY;
        problem
    })
}

/// Sends raw bytes through a proxy before `graph`, and returns all that comes back. The
/// bytes must ask for the connection to be closed.
async fn through(graph: &Graph, request: &str) -> String {
    let mut wire = Wire::to(front(graph.upstream()).await).await;
    wire.send(&latin1(request)).await;
    soon(wire.rest()).await
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future)
        .await
        .expect("this takes no time on loopback")
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn body_of(answer: Response<Body>) -> String {
    text(&answer.into_body().collect().await.unwrap().to_bytes())
}

fn token() -> HeaderValue {
    HeaderValue::from_static("Bearer one.two.three")
}
