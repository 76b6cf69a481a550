//! The operator's listener: a port of its own, off the data path, loopback by default.
//!
//! - `GET /livez` 200 while the process answers at all; open to everybody
//! - `GET /readyz` 200 once callers are taken up, until the drain; open to everybody
//! - `GET /` the dashboard, with `/dashboard.css` and `/dashboard.js`; holds no figures itself
//! - `GET /metrics` `OpenMetrics`
//! - `GET /figures` the same for the dashboard; `?history` adds the last half hour
//! - `GET /config` the settings as they hold, each with its origin, without secrets
//! - `GET /explain?target` what would happen to a GET of that path, and why, for the bearer in
//!   `Explain-Authorization` or the token whose hash is in `Explain-Credential`
//! - `POST /purge` `{"owner":…}`, `{"tenant":…}` or `{"everything":true}`; says how much went
//!
//! With `admin_tls_cert` it speaks TLS, and with `admin_client_ca` nobody shakes hands without a
//! certificate of that CA: whoever has one is the operator. With `admin_token` everything but the
//! first three wants it as a bearer token. Without either only this machine can reach the port,
//! and `Host` must name this machine, so that no page in a browser reaches it by a name of its own
//! (DNS rebinding). No answer allows another origin, and a POST must carry JSON, which no form can
//! send.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connected::Connected;
use super::history::{self, History};
use super::watched::Watched;
use super::{Secret, explain, metrics, plain_token, purge, report};
use crate::server::{self, Certificate, TlsFiles};

/// Connections the system may hold for us.
const BACKLOG: u32 = 64;
/// To the end of a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// No script, style or data but our own; in no frame; no form goes anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The bound listener.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<Secret>,
    tls: Option<Arc<Certificate>>,
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

pub(super) type Answer = Response<Full<Bytes>>;

impl Admin {
    /// Takes the address, or a socket that was handed over in its place, and reads the
    /// certificate. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// What the system says, or what is wrong with the certificate; and where the socket is open
    /// to other machines and nothing is asked of its callers.
    pub fn bind(
        address: SocketAddr,
        token: Option<Secret>,
        tls: Option<&TlsFiles>,
        handed: Option<TcpListener>,
    ) -> Result<Self, server::Error> {
        let tls = tls.map(|files| Certificate::load(files, &[b"http/1.1"]));
        let tls = tls.transpose()?;
        let bound = handed
            .map_or_else(|| server::listen(address, BACKLOG), Ok)
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (bound, listener) = bound.map_err(|source| server::Error::Bind {
            address: address.to_string(),
            source,
        })?;
        // The settings have been looked at; where a socket that was handed over is, only now.
        let guarded = token.is_some() || tls.as_ref().is_some_and(|tls| tls.asks_callers());
        if !bound.ip().is_loopback() && !guarded {
            return Err(server::Error::OpenAdmin { address: bound });
        }
        if address.ip().is_loopback() && !bound.ip().is_loopback() && tls.is_none() {
            tracing::warn!("{}", plain_token(bound));
        }
        Ok(Self {
            listener,
            address: bound,
            token,
            tls,
        })
    }

    /// Its certificate, where it speaks TLS.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.tls.as_ref()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until dropped, which ends every connection.
    pub async fn serve(self, watched: Watched) {
        let desk = Arc::new(Desk {
            open_names: self.tls.as_ref().is_some_and(|tls| tls.asks_callers()),
            token: self.token,
            watched,
        });
        let mut reread = tokio::time::interval(server::REREAD);
        reread.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tasks = JoinSet::new();
        let mut connected = Connected::default();
        let mut sample = tokio::time::interval(history::EVERY);
        sample.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(_) = tasks.join_next() => {}
                _ = sample.tick() => History::take(&desk.watched),
                _ = reread.tick(), if self.tls.is_some() => {
                    if let Some(tls) = &self.tls {
                        tls.look_again();
                    }
                }
                accepted = self.listener.accept() => {
                    if let Ok((stream, peer)) = accepted {
                        let tls = self.tls.as_ref().map(|tls| tls.acceptor());
                        let task = tasks.spawn(Arc::clone(&desk).receive(stream, tls));
                        connected.enter(peer.ip(), task);
                    } else {
                        // Out of descriptors: the callers of the other listener go first.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }
}

/// What answers.
#[derive(Debug)]
struct Desk {
    token: Option<Secret>,
    /// The handshake has shown who calls, so `Host` need not.
    open_names: bool,
    watched: Watched,
}

impl Desk {
    /// Shakes hands where that is asked for, and attends.
    async fn receive(self: Arc<Self>, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else {
            return self.attend(stream).await;
        };
        match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.attend(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake of an operator failed"),
            Err(_) => tracing::debug!("TLS handshake of an operator took too long"),
        }
    }

    async fn attend(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| {
            let desk = Arc::clone(&self);
            async move { Ok::<_, Infallible>(desk.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        // A connection that breaks off is the caller's affair.
        let _ = connection.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let head = request.method() == Method::HEAD;
        let mut answer = self.find(request).await;
        if head {
            *answer.body_mut() = Full::default();
        }
        guard(&mut answer);
        answer
    }

    async fn find(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match path.as_str() {
            "/livez" if reads => return text(StatusCode::OK, "ok\n"),
            "/readyz" if reads => return self.readiness(),
            _ => {}
        }
        if self.token.is_none() && !self.open_names && !names_this_machine(&request) {
            return problem(
                StatusCode::MISDIRECTED_REQUEST,
                "Host does not name this machine",
            );
        }
        match path.as_str() {
            "/" if reads => {
                return page(
                    "text/html; charset=utf-8",
                    include_str!("dashboard/page.html"),
                );
            }
            "/dashboard.css" if reads => {
                return page(
                    "text/css; charset=utf-8",
                    include_str!("dashboard/page.css"),
                );
            }
            "/dashboard.js" if reads => {
                return page(
                    "text/javascript; charset=utf-8",
                    include_str!("dashboard/page.js"),
                );
            }
            _ => {}
        }
        if !self.admits(&request) {
            let mut answer = problem(StatusCode::UNAUTHORIZED, "admin_token is wanted");
            let challenge = HeaderValue::from_static("Bearer realm=\"graph-photo-proxy admin\"");
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
            return answer;
        }
        match path.as_str() {
            "/metrics" if reads => self.metrics(),
            "/figures" if reads => self.figures(request.uri().query() == Some("history")),
            "/config" if reads => self.config(),
            "/explain" if reads => explain::answer(&self.watched, &request),
            "/purge" if *request.method() == Method::POST => {
                purge::answer(&self.watched, request).await
            }
            "/purge" => not_allowed("POST"),
            "/metrics" | "/figures" | "/config" | "/explain" | "/" | "/livez" | "/readyz" => {
                not_allowed("GET, HEAD")
            }
            _ => problem(StatusCode::NOT_FOUND, "no such page"),
        }
    }

    /// Whether the caller has the token, where one is asked for.
    fn admits(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (given.next(), given.next()) else {
            return false;
        };
        match field.as_bytes().split_at_checked(7) {
            Some((scheme, given)) => {
                scheme.eq_ignore_ascii_case(b"Bearer ") && token.matches(given)
            }
            None => false,
        }
    }

    fn readiness(&self) -> Answer {
        match self.watched.readiness() {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why.word()),
        }
    }

    fn metrics(&self) -> Answer {
        match metrics::text(&self.watched) {
            Ok(text) => page(metrics::CONTENT_TYPE, text),
            Err(_) => problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the figures cannot be written",
            ),
        }
    }

    fn figures(&self, with_history: bool) -> Answer {
        let figures = if with_history {
            report::with_history(&self.watched)
        } else {
            report::figures(&self.watched)
        };
        json_page(StatusCode::OK, &figures)
    }

    fn config(&self) -> Answer {
        json_page(StatusCode::OK, &report::settings(&self.watched))
    }
}

/// Whether `Host` is one name of this machine's loopback, with any port.
fn names_this_machine(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Some(authority) = host
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Authority>().ok())
    else {
        return false;
    };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What every answer carries.
fn guard(answer: &mut Answer) {
    let fields = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
}

fn page(kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn text(status: StatusCode, words: &'static str) -> Answer {
    let mut answer = page("text/plain; charset=utf-8", words);
    *answer.status_mut() = status;
    answer
}

pub(super) fn json_page(status: StatusCode, value: &Value) -> Answer {
    let mut answer = page("application/json", value.to_string());
    *answer.status_mut() = status;
    answer
}

pub(super) fn problem(status: StatusCode, words: &str) -> Answer {
    json_page(status, &json!({ "error": words }))
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "no such method here");
    answer
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}
