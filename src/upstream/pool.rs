//! The connections to Graph: pooled, HTTP/1.1 or HTTP/2 as Graph likes, to one authority.
//!
//! Every request's target is rebuilt here from the configured scheme and authority and the
//! caller's raw path and query, so nothing a caller sends can choose where a token goes.
//!
//! A request without a body that may be repeated (GET, HEAD) and whose kept connection turns
//! out to be closed is sent once more, on a new connection (RFC 9112 §9.3.1), as long as the
//! budget of repeats lasts. Nothing else is ever sent twice.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;

use super::connect::{Connector, Used};
use super::error::{Error, SetupError};
use crate::precedence::SpawnBehind;
use crate::render::Body;

/// How long an idle connection is kept. Below the shortest idle limit in front of Graph that
/// is plausible (a minute); a longer one meets closed connections more often.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept; more would only matter to a burst of pass-through over HTTP/1.1.
const IDLE_CONNECTIONS: usize = 64;
/// Bound on an answer's head and on what HTTP/1.1 holds of a body in each direction.
const H1_BUFFER: usize = 128 * 1024;
/// What Graph may send on one HTTP/2 stream ahead of a slow caller: the memory bound of a
/// stream, and at 50 ms of distance still 10 MB/s.
const H2_STREAM_WINDOW: u32 = 512 * 1024;
/// The window of a whole HTTP/2 connection: that of 128 streams, so that callers who do not
/// read never hold up the others. (hyper's adaptive window makes both windows the same size:
/// one stalled download would stop every photo on the connection.)
const H2_CONNECTION_WINDOW: u32 = 128 * H2_STREAM_WINDOW;
/// What is held of one request body while an HTTP/2 stream waits for Graph to read.
const H2_SEND_BUFFER: usize = 256 * 1024;
/// Bound on an answer's head over HTTP/2.
const H2_HEADER_LIST: u32 = 64 * 1024;
/// How often a busy HTTP/2 connection is asked for a sign of life, and how long that may take.
const H2_PING: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));

/// Where Graph is, and how long we wait for it.
#[derive(Clone)]
pub struct Config {
    /// Scheme and authority of Graph; plain `http` only to a loopback address.
    pub base: Uri,
    /// The egress proxy, `http://[user:password@]host:port`, by which Graph is reached.
    pub proxy: Option<Uri>,
    /// Hosts reached without the egress proxy, as in `NO_PROXY`: comma-separated names (with
    /// all below them), addresses, networks, or `*`.
    pub no_proxy: Option<String>,
    /// Whether the proxy is also used for a loopback upstream. True only where the operator
    /// named the proxy for this product; one found in `HTTPS_PROXY` was not meant for loopback.
    pub proxy_for_loopback: bool,
    /// Extra PEM roots, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be made, proxy and TLS included.
    pub connect_timeout: Duration,
    /// How long the first byte of an answer may take on photo requests.
    pub first_byte_timeout: Duration,
    /// How long a whole photo may take.
    pub photo_timeout: Duration,
    /// How long the next piece of a request's body may be awaited from the caller.
    pub body_timeout: Duration,
    /// Photo requests in flight per tenant and application.
    pub concurrency: usize,
    /// Photo requests that may wait per tenant and application.
    pub queue: usize,
    /// The longest wait believed, whatever Graph names.
    pub throttle_cap: Duration,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("base", &self.base)
            // May hold a password.
            .field("proxy", &self.proxy.as_ref().map(|_| "set"))
            .field("no_proxy", &self.no_proxy)
            .field("proxy_for_loopback", &self.proxy_for_loopback)
            .field("ca_file", &self.ca_file)
            .field("connect_timeout", &self.connect_timeout)
            .field("first_byte_timeout", &self.first_byte_timeout)
            .field("photo_timeout", &self.photo_timeout)
            .field("body_timeout", &self.body_timeout)
            .field("concurrency", &self.concurrency)
            .field("queue", &self.queue)
            .field("throttle_cap", &self.throttle_cap)
            .finish()
    }
}

/// The client of Graph. Cheap to clone.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    scheme: Scheme,
    authority: Authority,
    /// What `Host` says towards a plain upstream. Over TLS the version is only known once a
    /// connection is chosen, and the client adds `Host` where that speaks HTTP/1.1.
    host: Option<HeaderValue>,
    /// For pass-through. Photos have connections of their own, because Graph bounds the streams
    /// of an HTTP/2 connection, and long transfers must not use them up.
    passing: legacy::Client<Connector, Body>,
    photos: legacy::Client<Connector, Body>,
    /// Never reuses a connection: for the one repeat.
    fresh: legacy::Client<Connector, Body>,
    repeats: Repeats,
    first_byte_timeout: Duration,
    photo_timeout: Duration,
    body_timeout: Duration,
}

impl Upstream {
    /// Sets the client up; makes no connection yet.
    ///
    /// # Errors
    ///
    /// See [`SetupError`].
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        let parts = config.base.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(SetupError::Base);
        };
        let plain = scheme == Scheme::HTTP;
        let bare = parts.path_and_query.is_none_or(|path| path == "/");
        if !(plain || scheme == Scheme::HTTPS) || authority.as_str().contains('@') || !bare {
            return Err(SetupError::Base);
        }
        let host = if plain {
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| SetupError::Base)?;
            Some(host)
        } else {
            None
        };
        let connector = Connector::new(config)?;
        Ok(Self(Arc::new(Inner {
            scheme,
            authority,
            host,
            passing: client(connector.clone(), IDLE_CONNECTIONS),
            photos: client(connector.clone(), IDLE_CONNECTIONS),
            fresh: client(connector, 0),
            repeats: Repeats::new(),
            first_byte_timeout: config.first_byte_timeout,
            photo_timeout: config.photo_timeout,
            body_timeout: config.body_timeout,
        })))
    }

    /// The moment by which a photo asked for now must be whole.
    pub fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.0.photo_timeout
    }

    pub(super) fn first_byte_timeout(&self) -> Duration {
        self.0.first_byte_timeout
    }

    pub(super) fn body_timeout(&self) -> Duration {
        self.0.body_timeout
    }

    /// The `Host` to send ourselves; see [`Inner::host`].
    pub(super) fn host(&self) -> Option<&HeaderValue> {
        self.0.host.as_ref()
    }

    /// The one place a target is made: our scheme and authority, the caller's raw path and query.
    pub(super) fn target(&self, path: Option<PathAndQuery>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.0.scheme.clone());
        parts.authority = Some(self.0.authority.clone());
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        Uri::from_parts(parts).expect("scheme, authority and path are all there")
    }

    /// [`Upstream::exchange`] on the connections for photos.
    pub(super) fn exchange_photo(
        &self,
        request: Request<Body>,
        again: impl FnOnce() -> Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, Error>> {
        self.exchange(&self.0.photos, request, Some(again))
    }

    /// [`Upstream::exchange`] on the connections for pass-through.
    pub(super) fn exchange_passing(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, Error>> {
        let repeatable = matches!(*request.method(), Method::GET | Method::HEAD)
            && request.body().is_end_stream();
        let (head, body) = request.into_parts();
        let again = repeatable.then(|| head.clone());
        let again = again.map(|head| || Request::from_parts(head, Body::empty()));
        self.exchange(&self.0.passing, Request::from_parts(head, body), again)
    }

    /// Sends one request and waits for the head of its answer; `again` makes it anew, where it may
    /// be repeated. Dropping the future ends the exchange: the stream is reset, or the connection
    /// closed.
    async fn exchange(
        &self,
        kept: &legacy::Client<Connector, Body>,
        request: Request<Body>,
        again: Option<impl FnOnce() -> Request<Body>>,
    ) -> Result<Response<Incoming>, Error> {
        self.0.repeats.earn();
        let first = kept.request(request).await;
        let answer = match (first, again) {
            (Err(error), Some(again)) if closed_while_kept(&error) && self.0.repeats.spend() => {
                self.0.fresh.request(again()).await
            }
            (answer, _) => answer,
        };
        let mut answer = answer.map_err(Error::from_client)?;
        if let Some(used) = answer.extensions_mut().remove::<Used>() {
            used.mark();
        }
        Ok(answer)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

fn client(connector: Connector, idle_connections: usize) -> legacy::Client<Connector, Body> {
    legacy::Client::builder(SpawnBehind)
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle_connections)
        .http1_preserve_header_case(true)
        .http1_max_buf_size(H1_BUFFER)
        .http2_initial_stream_window_size(H2_STREAM_WINDOW)
        .http2_initial_connection_window_size(H2_CONNECTION_WINDOW)
        .http2_max_send_buf_size(H2_SEND_BUFFER)
        .http2_max_header_list_size(H2_HEADER_LIST)
        .http2_keep_alive_interval(H2_PING.0)
        .http2_keep_alive_timeout(H2_PING.1)
        // Only requests of which no byte was written; all methods, and safe for all.
        .retry_canceled_requests(true)
        .build(connector)
}

/// Whether the exchange failed the way a kept connection does that Graph had closed: it had
/// served before, and what failed is the connection or stream, not the reading of an answer.
fn closed_while_kept(error: &legacy::Error) -> bool {
    let mut extras = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    let served_before = extras.get::<Used>().is_some_and(Used::is_marked);
    let unreadable = error
        .source()
        .and_then(|cause| cause.downcast_ref::<hyper::Error>())
        .is_some_and(|cause| cause.is_parse() || cause.is_user());
    served_before && !error.is_connect() && !unreadable
}

/// How many requests may still be sent again: one in ten, so that a failing Graph is not
/// asked twice for everything.
struct Repeats(AtomicU32);

impl Repeats {
    /// A repeat costs ten; every request earns one.
    const COST: u32 = 10;
    /// Ten repeats in a row, as when Graph drops every kept connection at once.
    const MOST: u32 = 10 * Self::COST;

    const fn new() -> Self {
        Self(AtomicU32::new(Self::MOST))
    }

    fn earn(&self) {
        let more = |saved: u32| (saved < Self::MOST).then_some(saved + 1);
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn spend(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(Self::COST);
        let spent = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        spent.is_ok()
    }
}
