//! What is compared against: the kernel alone, and hyper alone.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{ErrorKind, IoSlice, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use memchr::memmem::Finder;
use mio::{Events, Interest, Poll, Token};

use crate::world::{self, Kind};
use crate::{Outcome, say};

/// The fields of a hit, as the proxy sends them.
const FIELDS: [(&str, &str); 13] = [
    ("age", "17"),
    ("vary", "authorization"),
    ("cache-control", "private, max-age=3600"),
    ("x-content-type-options", "nosniff"),
    ("cache-status", "graph-photo-proxy; hit; ttl=3583"),
    ("content-type", "image/jpeg"),
    ("etag", "\"0123456789abcdef\""),
    ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("accept-ranges", "bytes"),
    ("request-id", "01234567-89ab-4cde-8f01-23456789abcd"),
    ("client-request-id", "01234567-89ab-4cde-8f01-23456789abcd"),
    ("odata-version", "4.0"),
    ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
];

/// A bare epoll loop: reads to the end of a head, writes one ready answer. No parsing, no
/// looking up: what the system itself takes for a request.
pub(crate) fn kernel(kind: Kind) -> Outcome<()> {
    let mut listener = mio::net::TcpListener::bind("127.0.0.1:0".parse()?)?;
    say(&format!("listen http://{}", listener.local_addr()?))?;
    let body = world::body(kind, 0);
    let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in FIELDS {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    let mut poll = Poll::new()?;
    let accepts = Token(usize::MAX - 1);
    poll.registry()
        .register(&mut listener, accepts, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut open: Vec<Option<Peer>> = Vec::new();
    let end = Finder::new(b"\r\n\r\n");
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == accepts {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry()
                        .register(&mut stream, Token(open.len()), both)?;
                    open.push(Some(Peer::new(stream)));
                }
                continue;
            }
            let Some(slot) = open.get_mut(event.token().0) else {
                continue;
            };
            if let Some(peer) = slot
                && !peer.step(&end, head.as_bytes(), &body)
            {
                *slot = None;
            }
        }
    }
}

struct Peer {
    stream: mio::net::TcpStream,
    buffer: Vec<u8>,
    got: usize,
    /// How much of the answer is still to be written.
    left: usize,
}

impl Peer {
    fn new(stream: mio::net::TcpStream) -> Self {
        Self {
            stream,
            buffer: vec![0; 16 * 1024],
            got: 0,
            left: 0,
        }
    }

    /// As far as it goes; `false` at the end.
    fn step(&mut self, end: &Finder<'_>, head: &[u8], body: &[u8]) -> bool {
        loop {
            while self.left > 0 {
                let sent = head.len() + body.len() - self.left;
                let slices = [
                    IoSlice::new(head.get(sent..).unwrap_or_default()),
                    IoSlice::new(
                        body.get(sent.saturating_sub(head.len())..)
                            .unwrap_or_default(),
                    ),
                ];
                match self.stream.write_vectored(&slices) {
                    Ok(count) => self.left -= count,
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
                if self.left == 0 {
                    self.got = 0;
                    return true;
                }
            }
            let room = self.buffer.get_mut(self.got..).unwrap_or_default();
            match self.stream.read(room) {
                Ok(0) => return false,
                Ok(count) => self.got += count,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            let tail = self.got.saturating_sub(4);
            if end
                .find(self.buffer.get(tail..self.got).unwrap_or_default())
                .is_some()
            {
                self.left = head.len() + body.len();
            }
        }
    }
}

/// Bytes both ways, not looked at, one connection with Graph for each caller's: what the system
/// itself takes for going between.
pub(crate) fn relay(graph: SocketAddr) -> Outcome<()> {
    let mut listener = mio::net::TcpListener::bind("127.0.0.1:0".parse()?)?;
    say(&format!("listen http://{}", listener.local_addr()?))?;
    let mut poll = Poll::new()?;
    let accepts = Token(usize::MAX - 1);
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, accepts, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    // A caller's connection stands at an even place, Graph's behind it.
    let mut open: Vec<Option<[mio::net::TcpStream; 2]>> = Vec::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == accepts {
                while let Ok((caller, _)) = listener.accept() {
                    let graph = mio::net::TcpStream::from_std(connected(graph)?);
                    let mut pair = [caller, graph];
                    for (side, stream) in pair.iter_mut().enumerate() {
                        stream.set_nodelay(true)?;
                        let token = Token(2 * open.len() + side);
                        registry.register(stream, token, Interest::READABLE)?;
                    }
                    open.push(Some(pair));
                }
                continue;
            }
            let (at, from_graph) = (event.token().0 / 2, event.token().0 % 2 == 1);
            let Some(slot) = open.get_mut(at) else {
                continue;
            };
            if let Some([caller, graph]) = slot {
                let (from, to) = if from_graph {
                    (graph, caller)
                } else {
                    (caller, graph)
                };
                // What is here is far less than a socket takes: it is written whole.
                match from.read(&mut buffer) {
                    Ok(0) => *slot = None,
                    Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default())?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => *slot = None,
                }
            }
        }
    }
}

fn connected(graph: SocketAddr) -> Outcome<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect(graph)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// hyper in front of hyper's client: the same runtime, server and pool of connections, and
/// nothing looked at or kept.
pub(crate) fn passing(graph: SocketAddr) -> Outcome<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build::<_, Incoming>(connector);
    let graph = Authority::try_from(graph.to_string())?;
    serve(&service_fn(move |mut request: Request<Incoming>| {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(graph.clone());
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        client.request(request)
    }))
}

/// hyper answering from a hash map: the same runtime and response fields, all of them ready.
pub(crate) fn bare(kind: Kind, photos: usize) -> Outcome<()> {
    let mut fields = HeaderMap::new();
    for (name, value) in FIELDS {
        fields.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let held: HashMap<String, Bytes> = (0..photos)
        .map(|owner| (kind.path(owner), Bytes::from(world::body(kind, owner))))
        .collect();
    let held = Arc::new((held, fields));
    serve(&service_fn(move |request: Request<Incoming>| {
        let held = Arc::clone(&held);
        async move { Ok::<_, Infallible>(answer(&held.0, &held.1, request.uri().path())) }
    }))
}

/// Serves every connection by hyper, on one worker.
fn serve<S, B>(service: &S) -> Outcome<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("listen http://{}", listener.local_addr()?))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(async move {
                let _ = connection.await;
            });
        }
    })
}

fn answer(held: &HashMap<String, Bytes>, fields: &HeaderMap, path: &str) -> Response<Full<Bytes>> {
    let Some(body) = held.get(path) else {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NOT_FOUND;
        return answer;
    };
    let mut answer = Response::new(Full::new(body.clone()));
    *answer.headers_mut() = fields.clone();
    answer
}
