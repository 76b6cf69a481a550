//! A day of avatars in a minute, for a build of the proxy that counts what is done how often.
//!
//! ```sh
//! cargo run --example training -- PROXY
//! ```
//!
//! `deploy/release.sh --pgo` compiles for speed what was done here, and for size what was not: so
//! all that callers wait for must be in it. Hits and misses, HTTP/1.1, TLS and HTTP/2, to callers
//! and to Graph, each way of sharing, both names of a person, "no photo", 304 and batches. Each
//! answer's status is looked at; the proxy is asked to stop and must end well, because that is
//! when it writes what it counted.

mod certificates;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use graph_photo_proxy::demo::{Graph, Settings, TokenSpec};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Connections at once, and over HTTP/2 requests at once on each.
const CONNECTIONS: usize = 8;
const STREAMS: usize = 4;
/// How many people ask.
const CALLERS: usize = 40;
/// How often, in each way, in each part of the day.
const ASKED: usize = 20_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has arguments of its own"
    )]
    let binary = std::env::args_os().nth(1).ok_or("which proxy?")?;
    let place = std::env::temp_dir().join(format!("training-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let tls = certificates::write(&place).map_err(|error| error.to_string())?;
    let tls = Arc::new(tls);
    // Graph speaks TLS; in plain text the same is written and read in another way.
    for (sharing, tls) in [
        ("token", None),
        ("token", Some(&tls)),
        ("verified", Some(&tls)),
        ("tenant", Some(&tls)),
    ] {
        let graph = Graph::start(Settings {
            tls: tls.cloned(),
            people: 120,
            ..Settings::default()
        });
        let proxy = Proxy::start(Path::new(&binary), &graph, sharing, &place)?;
        let questions = Arc::new(Questions::of(&graph));
        for way in [Way::Plain, Way::Tls1, Way::Tls2] {
            ask(&proxy, way, &questions, &place).await?;
        }
        proxy.end()?;
    }
    std::fs::remove_dir_all(&place)?;
    Ok(())
}

/// How a question comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Tls1,
    Tls2,
}

/// What is asked: the first time each is a miss, from then on nearly all are hits.
struct Questions {
    /// Each with the tag that its answer had last.
    paths: Vec<(String, Mutex<Option<String>>)>,
    tokens: Vec<String>,
    batch: Bytes,
    next: AtomicUsize,
}

impl Questions {
    fn of(graph: &Graph) -> Self {
        let people: Vec<_> = graph.tenant().with_photo().collect();
        let faceless = graph.tenant().without_photo();
        let mut paths = Vec::new();
        for form in ["photos/48x48/$value", "photo/$value", "photo"] {
            paths.extend(people.iter().map(|one| format!("users/{}/{form}", one.id)));
        }
        paths.extend(faceless.map(|one| format!("users/{}/photo/$value", one.id)));
        let named = people.iter().take(20);
        paths.extend(named.map(|one| format!("users/{}/photo/$value", one.upn)));
        let page: Vec<_> = people
            .iter()
            .take(20)
            .enumerate()
            .map(|(nth, one)| {
                let url = format!("/users/{}/photos/48x48/$value", one.id);
                serde_json::json!({"id": nth.to_string(), "method": "GET", "url": url})
            })
            .collect();
        let callers = people.iter().take(CALLERS);
        Self {
            paths: paths
                .into_iter()
                .map(|path| (path, Mutex::default()))
                .collect(),
            tokens: callers.map(|one| graph.issue(TokenSpec::of(one))).collect(),
            batch: serde_json::json!({ "requests": page }).to_string().into(),
            next: AtomicUsize::new(0),
        }
    }

    /// The nth: a token asks sixteen times before it is the next one's turn.
    fn nth(&self, nth: usize, way: Way) -> Outcome<Request<Full<Bytes>>> {
        let token = self.tokens.get(nth / 16 % self.tokens.len());
        let bearer = format!("Bearer {}", token.ok_or("no tokens")?);
        let root = match way {
            Way::Tls2 => "https://localhost/v1.0/",
            Way::Plain | Way::Tls1 => "/v1.0/",
        };
        let mut request = Request::builder()
            .header("accept", "*/*")
            .header("user-agent", "training")
            .header("authorization", bearer);
        if way != Way::Tls2 {
            request = request.header("host", "localhost");
        }
        let Some((path, tag)) = self.path(nth) else {
            let request = request
                .method("POST")
                .uri(format!("{root}$batch"))
                .header("content-type", "application/json");
            return Ok(request.body(Full::new(self.batch.clone()))?);
        };
        let tag = tag.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(tag) = tag.filter(|_| nth % 10 == 9) {
            request = request.header("if-none-match", tag);
        }
        Ok(request.uri(format!("{root}{path}")).body(Full::default())?)
    }

    /// What is asked for the nth time; a batch has no path of its own.
    fn path(&self, nth: usize) -> Option<&(String, Mutex<Option<String>>)> {
        self.paths
            .get(nth % self.paths.len())
            .filter(|_| nth % 100 != 99)
    }
}

/// Asks all of them in this way, until it has been asked often enough.
async fn ask(proxy: &Proxy, way: Way, questions: &Arc<Questions>, place: &Path) -> Outcome<()> {
    let mut callers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(proxy.address(way)).await?;
        stream.set_nodelay(true)?;
        let many = if way == Way::Tls2 { STREAMS } else { 1 };
        let sender = match way {
            Way::Plain => Sender::one(stream).await?,
            Way::Tls1 => Sender::one(secured(stream, b"http/1.1", place).await?).await?,
            Way::Tls2 => Sender::two(secured(stream, b"h2", place).await?).await?,
        };
        let senders = match sender {
            Sender::One(_) => vec![sender],
            Sender::Two(two) => (0..many).map(|_| Sender::Two(two.clone())).collect(),
        };
        for sender in senders {
            let count = ASKED / CONNECTIONS / many;
            callers.spawn(caller(sender, way, Arc::clone(questions), count));
        }
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

/// One question after another.
async fn caller(
    mut sender: Sender,
    way: Way,
    questions: Arc<Questions>,
    count: usize,
) -> Outcome<()> {
    for _ in 0..count {
        let nth = questions.next.fetch_add(1, Ordering::Relaxed);
        let request = questions.nth(nth, way)?;
        let answer = match &mut sender {
            Sender::One(sender) => sender.send_request(request).await?,
            Sender::Two(sender) => sender.send_request(request).await?,
        };
        let status = answer.status();
        let expected = [
            StatusCode::OK,
            StatusCode::NOT_MODIFIED,
            StatusCode::NOT_FOUND,
        ];
        if !expected.contains(&status) {
            return Err(format!("an answer with {status}").into());
        }
        if let (Some((_, tag)), Some(told)) = (questions.path(nth), answer.headers().get("etag")) {
            let told = told.to_str()?.to_owned();
            *tag.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
        answer.into_body().collect().await?;
    }
    Ok(())
}

/// A connection to the proxy.
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn one(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Outcome<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self::One(sender))
    }

    async fn two(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Outcome<Self> {
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = shaken.await?;
        tokio::spawn(connection);
        Ok(Self::Two(sender))
    }
}

/// TLS, with this protocol on it.
async fn secured(
    stream: TcpStream,
    protocol: &[u8],
    place: &Path,
) -> Outcome<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(place.join("ca.pem"))?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![protocol.to_vec()];
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost")?;
    Ok(connector.connect(name, stream).await?)
}

/// What is trained.
struct Proxy {
    process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
}

impl Proxy {
    fn start(binary: &Path, graph: &Graph, sharing: &str, place: &Path) -> Outcome<Self> {
        let file = |name: &str| place.join(name).display().to_string();
        let child = Command::new(binary)
            .args(["--listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0"])
            .args(["--admin=off", "--log=warn", "--upstream-concurrency=64"])
            .arg(format!("--tls-cert={}", file("cert.pem")))
            .arg(format!("--tls-key={}", file("key.pem")))
            .arg(format!("--upstream-ca={}", file("ca.pem")))
            .arg(format!("--upstream={}", graph.base_url()))
            .arg(format!("--sharing={sharing}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Process(child);
        let output = process.0.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut told = |name: &str| -> Outcome<SocketAddr> {
            loop {
                let line = lines.next().ok_or("the proxy ended")??;
                if let Some(address) = line.strip_prefix(name) {
                    return Ok(address.trim().parse()?);
                }
            }
        };
        Ok(Self {
            plain: told("listen http://")?,
            tls: told("tls_listen https://")?,
            process,
        })
    }

    fn address(&self, way: Way) -> SocketAddr {
        match way {
            Way::Plain => self.plain,
            Way::Tls1 | Way::Tls2 => self.tls,
        }
    }

    /// Asks it to stop, and waits until it has.
    fn end(mut self) -> Outcome<()> {
        let Process(child) = &mut self.process;
        let pid = child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status()?;
        let ended = child.wait()?;
        if !asked.success() || !ended.success() {
            return Err(format!("the proxy ended with {ended}").into());
        }
        Ok(())
    }
}

/// Killed where this ends early.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
