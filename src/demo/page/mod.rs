//! The page of faces, and the listener of its own that serves it.
//!
//! - `GET /`, `/page.css`, `/page.js` — the page
//! - `GET /element`, `/element.js`, `/graph-photo.js` — a hundred faces by `<graph-photo>`
//! - `GET /leaving-graph-toolkit` — how to come from Microsoft Graph Toolkit
//! - `GET /people?count=n` — whom to show
//! - `GET /session?viewer=0|1` — a token to ask with, and where the proxy is
//! - `GET /figures` — what reached the simulator so far
//! - `POST /throttle` — 429 for everyone, for 20 seconds
//!
//! The photos do not come from here: the page fetches them from the proxy, which is another
//! origin to the browser, exactly as a web app would.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::graph::Graph;
use super::service::Core;
use super::settings::RetryAfter;
use super::tokens::TokenSpec;
use crate::clock::Time;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What is the same for everyone, by path.
const TEXTS: [(&str, &str, &str); 7] = [
    ("/", HTML, PAGE),
    ("/page.css", "text/css; charset=utf-8", STYLE),
    ("/page.js", JAVASCRIPT, SCRIPT),
    ("/element", HTML, include_str!("element.html")),
    ("/element.js", JAVASCRIPT, include_str!("element.js")),
    (
        "/graph-photo.js",
        JAVASCRIPT,
        include_str!("../../../deploy/graph-photo.js"),
    ),
    (
        "/leaving-graph-toolkit",
        "text/plain; charset=utf-8",
        include_str!("../../../docs/leaving-graph-toolkit.md"),
    ),
];
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// How many people the page shows; more make the first, cold load longer.
const SHOWN: usize = 72;
/// What the viewers' tokens allow.
const PERMISSIONS: &str = "User.Read User.ReadBasic.All User.ReadWrite.All";
/// How long one viewer's token is handed out; well below its lifetime of over an hour.
const REUSED: Duration = Duration::from_secs(1_800);
/// How long the button throttles.
const THROTTLED: Duration = Duration::from_secs(20);

/// The demo's web page, served. Dropping it ends it and every connection.
#[derive(Debug)]
pub struct Page {
    address: SocketAddr,
    secure: bool,
    task: AbortHandle,
}

impl Page {
    /// Serves the page, over TLS where there is `tls`; its script asks the proxy at
    /// `proxy_base`, a URL without a slash at its end.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub fn start(
        graph: &Graph,
        proxy_base: String,
        listen: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let site = Arc::new(Site {
            core: graph.core(),
            proxy_base,
            tokens: Mutex::default(),
        });
        let secure = tls.is_some();
        let task = tokio::spawn(accept(listener, tls, site)).abort_handle();
        Ok(Self {
            address,
            secure,
            task,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to open.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the listener knows.
struct Site {
    core: Arc<Core>,
    proxy_base: String,
    /// One token for each viewer, and when it was issued: a page that is loaded again is the
    /// same session.
    tokens: Mutex<[Option<(String, Time)>; 2]>,
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (site, tls) = (Arc::clone(&site), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, site).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, site).await;
                    }
                }
            }
        });
    }
}

/// HTTP/1.1 or HTTP/2, as the browser begins (over TLS as ALPN has it).
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, site: Arc<Site>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = site.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    // How a browser ends a connection is its own affair.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Site {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if let Some((_, kind, text)) = TEXTS.iter().find(|(at, ..)| *at == path)
            && request.method() == Method::GET
        {
            return self.text(kind, text);
        }
        match (request.method(), path) {
            (&Method::GET, "/people") => {
                let count = request
                    .uri()
                    .query()
                    .and_then(|query| query.strip_prefix("count="));
                let count = count.and_then(|count| count.parse().ok()).unwrap_or(SHOWN);
                self.json(&self.people(count))
            }
            (&Method::GET, "/session") => {
                let second = request.uri().query() == Some("viewer=1");
                self.json(&self.session(usize::from(second)))
            }
            (&Method::GET, "/figures") => self.json(&self.figures()),
            (&Method::POST, "/throttle") => {
                let until = self.core.settings().clock.now().plus(THROTTLED);
                self.core.limits.ban(None, until, RetryAfter::Seconds);
                self.json(&json!({"seconds": THROTTLED.as_secs()}))
            }
            _ => {
                let mut answer = self.text("text/plain", "There is nothing here.\n");
                *answer.status_mut() = StatusCode::NOT_FOUND;
                answer
            }
        }
    }

    fn people(&self, count: usize) -> Value {
        self.core
            .tenant
            .members()
            .take(count)
            .map(|person| json!({"id": person.id, "name": person.name, "job": person.job}))
            .collect()
    }

    fn session(&self, viewer: usize) -> Value {
        let Some(person) = self.core.tenant.members().nth(viewer) else {
            return Value::Null;
        };
        let now = self.core.settings().clock.now();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let held = tokens
            .get(viewer)
            .and_then(Option::as_ref)
            .filter(|(_, issued)| now.since(*issued) < REUSED)
            .map(|(token, _)| token.clone());
        let token = held.unwrap_or_else(|| {
            let spec = TokenSpec::of(person).with(PERMISSIONS);
            self.core.tokens.issue(&spec, &self.core.tenant, now)
        });
        if let Some(slot) = tokens.get_mut(viewer) {
            let issued = slot.as_ref().filter(|(held, _)| *held == token);
            let issued = issued.map_or(now, |(_, issued)| *issued);
            *slot = Some((token.clone(), issued));
        }
        json!({
            "token": token,
            "name": person.name,
            "viewer": viewer,
            "proxy": self.proxy_base,
        })
    }

    fn figures(&self) -> Value {
        let record = &self.core.record;
        json!({
            "calls": record.calls.load(Ordering::Relaxed),
            "photo_calls": record.photo_calls.load(Ordering::Relaxed),
            "downloads": record.downloads.load(Ordering::Relaxed),
            "throttled": record.throttled.load(Ordering::Relaxed),
            "bytes_sent": self.core.sent.load(Ordering::Relaxed),
        })
    }

    fn json(&self, value: &Value) -> Response<Full<Bytes>> {
        self.reply("application/json", Bytes::from(value.to_string()))
    }

    fn text(&self, kind: &'static str, text: &'static str) -> Response<Full<Bytes>> {
        self.reply(kind, Bytes::from_static(text.as_bytes()))
    }

    fn reply(&self, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(body));
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self' {}",
            self.proxy_base
        );
        let fields = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            fields.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (name, value) in [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("x-content-type-options"), "nosniff"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::demo::Settings;

    async fn get(site: &Site, path: &str) -> (StatusCode, Bytes) {
        let request = Request::builder().uri(path).body(()).unwrap();
        let (head, body) = site.answer(&request).into_parts();
        (head.status, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn a_page_loaded_again_is_the_same_session_until_the_token_is_old() {
        let clock = crate::clock::Clock::by_hand();
        let graph = Graph::start(Settings {
            clock: clock.clone(),
            ..Settings::default()
        });
        let site = Site {
            core: graph.core(),
            proxy_base: "http://127.0.0.1:1".to_owned(),
            tokens: Mutex::default(),
        };
        let first = get(&site, "/session?viewer=0").await.1;
        assert_eq!(get(&site, "/session").await.1, first);
        assert_ne!(get(&site, "/session?viewer=1").await.1, first);
        clock.advance(REUSED);
        assert_ne!(get(&site, "/session?viewer=0").await.1, first);
        assert_eq!(get(&site, "/other").await.0, StatusCode::NOT_FOUND);
        assert_eq!(get(&site, "/figures").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_page_asks_nobody_but_its_listener_and_the_proxy() {
        let graph = Graph::start(Settings::default());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let page = Page::start(&graph, "http://127.0.0.1:1".to_owned(), any, None).unwrap();
        assert!(page.url().starts_with("http://127.0.0.1:"));
        for (at, kind, text) in TEXTS {
            // Examples in comments and in the text name hosts that are nobody's.
            let foreign = text.contains("//cdn") || text.contains("https://");
            assert!(
                !foreign || ["/graph-photo.js", "/leaving-graph-toolkit"].contains(&at),
                "{at} {kind}"
            );
        }
    }
}
