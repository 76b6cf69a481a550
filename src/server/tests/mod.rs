//! The listeners as a caller sees them: raw bytes through real sockets.

mod floods;
mod framing;
mod guarding;
mod limits;
mod protocols;
mod secure;
mod shortcuts;
mod unlucky;
mod waiting;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::{Address, Config, Drained, Listen, Service, bind, serve};
use crate::render::{Body, Shape, Wire};

/// Long enough for anything that is going to happen; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers with the method and target it saw; some paths do more.
#[derive(Clone, Default)]
struct Echo(Arc<Seen>);

/// What is answered past hyper: which kind, and its target.
type Question = (&'static str, String);

struct Seen {
    requests: AtomicUsize,
    /// Gets a permit when a request to `/hold` has begun.
    held: Semaphore,
    /// Each permit lets one request to `/hold` go on.
    release: Semaphore,
    /// How many were answered at once: past hyper, and by it.
    past_hyper: AtomicUsize,
    by_hyper: AtomicUsize,
    /// How many answers were waited for past hyper, and how many of them nobody waits for any more.
    alone: AtomicUsize,
    left: AtomicUsize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            held: Semaphore::new(0),
            release: Semaphore::new(0),
            past_hyper: AtomicUsize::new(0),
            by_hyper: AtomicUsize::new(0),
            alone: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        }
    }
}

impl Service for Echo {
    type Unanswered = String;
    type Question = Question;

    /// `/held/5` is answered at once, with its own target five times; `/undated/…` the same
    /// without what hyper would add.
    fn at_once<B: http_body::Body, S: Shape>(&self, request: &mut Request<B>) -> Result<S, String> {
        let target = request.uri().to_string();
        let times = target.rsplit('/').next().and_then(|last| last.parse().ok());
        let is_held = target.starts_with("/held/") || target.starts_with("/undated/");
        let Some(times) = times.filter(|_| is_held && request.method() == Method::GET) else {
            return Err(target);
        };
        let mut response = Response::new(Body::whole(target.repeat(times).into()));
        if target.starts_with("/held/") {
            let date = HeaderValue::from_static("Wed, 25 Nov 2026 20:00:00 GMT");
            response.headers_mut().insert(header::DATE, date);
        }
        let mut answer = S::of(response);
        let count = match answer.response() {
            Some(_) => &self.0.by_hyper,
            None => &self.0.past_hyper,
        };
        count.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }

    fn question(&self, target: String) -> Result<Question, String> {
        let kind = ["/soon/", "/later/", "/wait/", "/fail/"]
            .into_iter()
            .find(|kind| target.starts_with(kind));
        match kind {
            Some(kind) => Ok((kind, target)),
            None => Err(target),
        }
    }

    /// `/soon/5` is answered after a few turns with its own target five times, `/later/…` the same
    /// without what hyper would add, `/wait/…` when it is released; `/fail/…` fails.
    fn ask(
        &self,
        _request: Request<Empty<Bytes>>,
        (kind, target): Question,
    ) -> impl Future<Output = Wire> + Send + 'static {
        let seen = Arc::clone(&self.0);
        seen.alone.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut left = Left(Some(Arc::clone(&seen)));
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            assert_ne!(kind, "/fail/");
            if kind == "/wait/" {
                seen.held.add_permits(1);
                seen.release.acquire().await.unwrap().forget();
            }
            left.0 = None;
            let times = target.rsplit('/').next().map(str::parse);
            let mut response =
                Response::new(Body::whole(target.repeat(times.unwrap().unwrap()).into()));
            if kind != "/later/" {
                let date = HeaderValue::from_static("Wed, 25 Nov 2026 20:00:00 GMT");
                response.headers_mut().insert(header::DATE, date);
            }
            Wire::of(response)
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        target: String,
        _attended: bool,
    ) -> impl Future<Output = Response<Body>> + Send {
        let seen = Arc::clone(&self.0);
        async move {
            seen.requests.fetch_add(1, Ordering::SeqCst);
            assert!(!request.headers().contains_key("upgrade"), "hop-by-hop");
            let line = format!("<{} {}>", request.method(), request.uri());
            let text = match request.uri().path() {
                path if ["/soon/", "/later/", "/wait/"]
                    .iter()
                    .any(|kind| path.starts_with(kind)) =>
                {
                    if path.starts_with("/wait/") {
                        seen.held.add_permits(1);
                        seen.release.acquire().await.unwrap().forget();
                    }
                    let times = path.rsplit('/').next().and_then(|last| last.parse().ok());
                    target.repeat(times.unwrap())
                }
                "/panic" => panic!("asked to"),
                "/hold" => {
                    seen.held.add_permits(1);
                    seen.release.acquire().await.unwrap().forget();
                    line
                }
                "/read" => match request.into_body().collect().await {
                    Ok(body) => format!("<read {}>", body.to_bytes().len()),
                    Err(_) => "<broken body>".to_owned(),
                },
                "/big" => "x".repeat(16 * 1024 * 1024),
                _ => line,
            };
            Response::new(Body::whole(Bytes::from(text)))
        }
    }
}

/// Counts as left unless it has been emptied.
struct Left(Option<Arc<Seen>>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(seen) = &self.0 {
            seen.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A running server and what it has seen.
struct Running {
    addresses: Vec<Address>,
    seen: Arc<Seen>,
    connections: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Drained>,
}

fn config() -> Config {
    Config {
        listen: Some(Listen::Tcp("127.0.0.1:0".parse().unwrap())),
        tls: None,
        max_connections: 100,
        max_connections_per_peer: None,
        max_header_bytes: 32 * 1024,
        max_streams: 8,
        header_timeout: PATIENCE * 2,
        idle_timeout: PATIENCE * 2,
        handshake_timeout: PATIENCE * 2,
        drain_timeout: PATIENCE * 2,
    }
}

fn start(config: &Config) -> Running {
    let listeners = bind(config).unwrap();
    let echo = Echo::default();
    let (stop, stopped) = oneshot::channel();
    Running {
        addresses: listeners.addresses().to_vec(),
        connections: listeners.connections(),
        seen: Arc::clone(&echo.0),
        stop,
        task: tokio::spawn(serve(listeners, echo, async {
            let _ = stopped.await;
        })),
    }
}

impl Running {
    fn tcp(&self) -> SocketAddr {
        match self.addresses.first() {
            Some(Address::Tcp(address) | Address::Tls(address)) => *address,
            other => panic!("no TCP address: {other:?}"),
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.tcp()).await.unwrap()
    }

    /// Sends bytes on a connection of their own; everything that comes back until the close.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has taken all of it.
        let _ = stream.write_all(bytes).await;
        rest(&mut stream).await
    }

    fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    async fn until_held(&self) {
        let held = within(self.seen.held.acquire()).await.unwrap();
        held.forget();
    }

    /// Until nobody is connected.
    async fn until_gone(&self) {
        until_so(|| self.connections.load(Ordering::SeqCst) == 0).await;
    }

    async fn stop(self) -> Drained {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap()
    }
}

/// Looks again and again until it is so.
async fn until_so(is_so: impl Fn() -> bool) {
    within(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn within<F: Future>(future: F) -> F::Output {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.expect("it happens before patience ends")
}

/// Everything until the server closes.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut got = Vec::new();
    within(stream.read_to_end(&mut got)).await.unwrap();
    String::from_utf8_lossy(&got).into_owned()
}

/// What arrives until `end` has been seen.
async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains(end) {
        let byte = within(stream.read_u8()).await;
        got.push(byte.unwrap_or_else(|_| panic!("{end} never came: {got:?}")));
    }
    String::from_utf8_lossy(&got).into_owned()
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}
