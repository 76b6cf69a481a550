//! The harness: a simulated Graph, the real proxy before it on a free port, and a caller who
//! checks every reply.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

pub(crate) mod attack;
pub(crate) mod binary;
pub(crate) mod frames;
pub(crate) mod leaks;
pub(crate) mod raw;
pub(crate) mod scripted;
pub(crate) mod tls;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::app::App;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{Graph, Person, Settings, TokenSpec};
use graph_photo_proxy::ops::Reloader;
use graph_photo_proxy::proxy::Rooms;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use leaks::{Listener, Secrets};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Fields that a photo reply from memory may carry, and no others: never another caller's.
const HELD_FIELDS: [&str; 20] = [
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
    "odata-version",
    "date",
    "age",
    "cache-control",
    "cache-status",
    // Ours, on a 416.
    "proxy-status",
    "vary",
    "x-content-type-options",
    "request-id",
    "client-request-id",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "content-language",
    "content-disposition",
];

/// A Graph and the proxy before it, on one clock that the test moves.
pub(crate) struct World {
    pub(crate) graph: Graph,
    pub(crate) proxy: Proxy,
    pub(crate) clock: Clock,
}

impl World {
    /// Both with their defaults.
    pub(crate) async fn start() -> Self {
        Self::with(&[], |_| {}).await
    }

    /// With these settings of the proxy, and the Graph's changed so.
    pub(crate) async fn with(
        settings: &[(&str, &str)],
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let clock = Clock::by_hand();
        let mut graph = Settings {
            clock: clock.clone(),
            ..Settings::default()
        };
        change(&mut graph);
        let graph = Graph::start(graph);
        let proxy = Proxy::start(settings, &graph.base_url(), clock.clone()).await;
        Self {
            graph,
            proxy,
            clock,
        }
    }

    /// A member with a photo; the n-th.
    pub(crate) fn person(&self, n: usize) -> Person {
        let tenant = self.graph.tenant();
        tenant
            .with_photo()
            .filter(|person| tenant.members().any(|m| m.id == person.id))
            .nth(n)
            .unwrap()
            .clone()
    }

    /// A member without a photo.
    pub(crate) fn faceless(&self) -> Person {
        let tenant = self.graph.tenant();
        tenant
            .without_photo()
            .find(|person| tenant.members().any(|m| m.id == person.id))
            .unwrap()
            .clone()
    }

    /// A token of the n-th member that may read all users.
    pub(crate) fn token(&self, n: usize) -> String {
        self.graph.issue(TokenSpec::of(&self.person(n)))
    }

    /// A token of the first person that lasts a day.
    pub(crate) fn long_lived(&self) -> String {
        let spec = TokenSpec::of(&self.person(0)).lasting(Duration::from_hours(24));
        self.graph.issue(&spec)
    }

    /// GET through the proxy.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.proxy.get(path, token).await
    }

    /// Waits until so many callers wait for somebody else's question.
    pub(crate) async fn waiting(&self, count: usize) {
        while self.proxy.rooms.questions.waiting() < count {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the one clock.
    pub(crate) fn later(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl Drop for World {
    /// Nothing of this world was said aloud: not in the log, and not on the operator's pages.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let secrets = Secrets::of(&self.graph);
        let mut said = self.proxy.heard.heard();
        for page in self.proxy.reloader.watched().pages() {
            said.extend(page.to_ascii_lowercase().bytes());
        }
        let leak = secrets.found_in(&said);
        assert_eq!(leak, None, "a secret was said aloud");
    }
}

/// Why no whole answer came.
pub(crate) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The real proxy on a free port.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Where the operator's listener is, if it is on.
    pub(crate) admin: Option<SocketAddr>,
    /// Gives it other settings while it runs.
    pub(crate) reloader: Reloader,
    pub(crate) rooms: Arc<Rooms>,
    /// What it says, and whoever else says something meanwhile.
    pub(crate) heard: Listener,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Dropping it would stop the proxy.
    _stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Proxy {
    /// Starts one before that upstream.
    #[expect(
        clippy::unused_async,
        reason = "a test starts it inside its runtime, or not at all"
    )]
    pub(crate) async fn start(settings: &[(&str, &str)], upstream: &str, clock: Clock) -> Self {
        let mut all = vec![
            ("listen", "127.0.0.1:0"),
            ("admin", "off"),
            ("upstream", upstream),
            // Graph's own default of 4 is tested where it matters.
            ("upstream_concurrency", "64"),
        ];
        all.retain(|(key, _)| !settings.iter().any(|(set, _)| set == key));
        all.extend_from_slice(settings);
        Self::run(Config::with(all).unwrap(), clock)
    }

    /// Starts one with settings that may be out of an operator's reach.
    pub(crate) fn run(config: Config, clock: Clock) -> Self {
        let heard = Listener::start();
        let app = App::bind_with(config, clock).unwrap();
        let at = |name| {
            let found = app.addresses().iter().find(|(setting, _)| *setting == name);
            let (_, address) = found?.1.split_once("://").unwrap();
            Some(address.parse().unwrap())
        };
        let address = at("listen").or_else(|| at("tls_listen")).unwrap();
        let admin = at("admin");
        let (rooms, reloader) = (Arc::clone(app.rooms()), app.reloader());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            app.run(async move {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            admin,
            reloader,
            rooms,
            heard,
            client,
            _stop: stop,
            running,
        }
    }

    /// GET with a token; an empty one is none.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.getting(path, token).await
    }

    /// The same for a task of its own. Dropping the future hangs up.
    pub(crate) fn getting(
        &self,
        path: &str,
        token: &str,
    ) -> impl Future<Output = Reply> + Send + use<> {
        let request = self.request(Method::GET, path, token);
        self.sending(request.body(Full::default()).unwrap())
    }

    /// HEAD with a token.
    pub(crate) async fn head(&self, path: &str, token: &str) -> Reply {
        self.send(
            self.request(Method::HEAD, path, token)
                .body(Full::default())
                .unwrap(),
        )
        .await
    }

    /// PUT with a token.
    pub(crate) async fn put(&self, path: &str, token: &str, body: impl Into<Bytes>) -> Reply {
        let request = self
            .request(Method::PUT, path, token)
            .header("content-type", "image/jpeg")
            .body(Full::new(body.into()))
            .unwrap();
        self.send(request).await
    }

    /// A request to be finished.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
    ) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if token.is_empty() {
            request
        } else {
            request.header("authorization", format!("Bearer {token}"))
        }
    }

    /// Sends a request and checks what comes back.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.sending(request).await
    }

    /// The same for a task of its own. Dropping the future hangs up.
    pub(crate) fn sending(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Reply> + Send + use<> {
        let sending = self.try_sending(request);
        async move { sending.await.unwrap() }
    }

    /// The same for a request whose answer may break off.
    pub(crate) fn try_sending(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Reply, Broken>> + Send + use<> {
        let client = self.client.clone();
        async move { Self::exchange(client, request).await }
    }

    async fn exchange(
        client: Client<HttpConnector, Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Reply, Broken> {
        let token = request
            .headers()
            .get("authorization")
            .map(|value| value.as_bytes().to_vec());
        let head = request.method() == Method::HEAD;
        let answer = client.request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        let reply = Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        };
        reply.check(token.as_deref(), head);
        Ok(reply)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
        if !std::thread::panicking() {
            leaks::nothing_looks_secret(&self.heard.heard());
        }
    }
}

/// What a caller got.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// One field as text, empty if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or("?"))
    }

    /// Whether it was answered from memory.
    pub(crate) fn is_hit(&self) -> bool {
        self.field("cache-status")
            .starts_with("graph-photo-proxy; hit")
    }

    /// Whether Graph was asked.
    pub(crate) fn went_to_graph(&self) -> bool {
        self.field("cache-status").contains("fwd=")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whose photo it is, and of which upload.
    pub(crate) fn mark(&self) -> Option<graph_photo_proxy::demo::Mark> {
        graph_photo_proxy::demo::mark(&self.body)
    }

    /// What must hold of every reply, whatever the test is about.
    fn check(&self, token: Option<&[u8]>, head: bool) {
        if let Some(length) = self.headers.get("content-length").filter(|_| !head) {
            let said: usize = length.to_str().unwrap().parse().unwrap();
            if self.status != StatusCode::NOT_MODIFIED {
                assert_eq!(said, self.body.len(), "content-length\n{self:?}");
            }
        }
        if self.is_hit() {
            for name in self.headers.keys() {
                assert!(
                    HELD_FIELDS.contains(&name.as_str()),
                    "a hit carries {name}\n{self:?}"
                );
            }
            assert!(
                self.field("cache-control").starts_with("private"),
                "{self:?}"
            );
            if self.status == StatusCode::OK && !head {
                assert!(!self.field("content-length").is_empty(), "{self:?}");
            }
        }
        if let Some(token) = token.and_then(|value| value.strip_prefix(b"Bearer ")) {
            let shows =
                |text: &[u8]| token.len() > 20 && text.windows(token.len()).any(|w| w == token);
            assert!(!shows(&self.body), "the token is in the body");
            assert!(
                !self.headers.values().any(|value| shows(value.as_bytes())),
                "the token is in a field"
            );
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        let body = self
            .body
            .get(..self.body.len().min(400))
            .unwrap_or_default();
        writeln!(
            f,
            "\n{} bytes: {}",
            self.body.len(),
            String::from_utf8_lossy(body)
        )
    }
}
