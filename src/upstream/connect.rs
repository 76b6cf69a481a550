//! How a connection to Graph is made: TCP, an egress proxy's tunnel where one is set, TLS.
//!
//! The time limit covers all three. A connection remembers whether it has served an answer,
//! which tells a kept connection that went away from a new one that never worked.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tower_service::Service;

use super::error::SetupError;
use super::pool::Config;

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// After this long without a byte the other end is asked whether it still lives: pass-through
/// has no time limit of its own, and a vanished peer must not hold a connection for good.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The connection could not be made within its time.
#[derive(Debug, thiserror::Error)]
#[error("the connection took too long to be made")]
pub(super) struct TimedOut;

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    secure: HttpsConnector<Tcp>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(config: &Config) -> Result<Self, SetupError> {
        let secure = HttpsConnectorBuilder::new()
            .with_tls_config(tls(config)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Tcp::new(config)?);
        Ok(Self {
            secure,
            timeout: config.connect_timeout,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = BoxError;
    type Future = BoxFuture<Link>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.secure.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.timeout, self.secure.call(target));
        Box::pin(async move {
            let stream = connecting.await.map_err(|_| TimedOut)??;
            Ok(Link {
                stream,
                used: Used::default(),
            })
        })
    }
}

/// Whether a connection has served an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Used(Arc<AtomicBool>);

impl Used {
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that carries its [`Used`] mark.
pub(super) struct Link {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    used: Used,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.used.clone())
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

/// The bytes below TLS: to Graph itself, or through the egress proxy.
#[derive(Clone)]
enum Tcp {
    Direct(HttpConnector),
    Tunnelled(Tunnel<HttpConnector>),
}

impl Tcp {
    fn new(config: &Config) -> Result<Self, SetupError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let Some(proxy) = egress(config)? else {
            return Ok(Self::Direct(tcp));
        };
        let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        Ok(Self::Tunnelled(match proxy.basic_auth() {
            Some(credentials) => tunnel.with_auth(credentials.clone()),
            None => tunnel,
        }))
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Tunnelled(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(target);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
            Self::Tunnelled(tunnel) => {
                let connecting = tunnel.call(with_port(target));
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
        }
    }
}

/// A tunnel takes 443 for granted, so a plain target needs its port said.
fn with_port(target: Uri) -> Uri {
    let (Some(host), None) = (target.host(), target.port()) else {
        return target;
    };
    if target.scheme() != Some(&Scheme::HTTP) {
        return target;
    }
    format!("http://{host}:80/").parse().unwrap_or(target)
}

/// The egress proxy for our one authority, if it is to be reached by one.
fn egress(config: &Config) -> Result<Option<Intercept>, SetupError> {
    let Some(proxy) = &config.proxy else {
        return Ok(None);
    };
    if proxy.scheme() != Some(&Scheme::HTTP) || proxy.host().is_none_or(str::is_empty) {
        return Err(SetupError::Proxy);
    }
    if !config.proxy_for_loopback && config.base.host().is_some_and(is_loopback) {
        return Ok(None);
    }
    let no_proxy = config.no_proxy.as_deref().unwrap_or_default();
    // The matcher's own `*` covers names, but not addresses.
    if no_proxy.split(',').any(|entry| entry.trim() == "*") {
        return Ok(None);
    }
    let matcher = Matcher::builder()
        .all(proxy.to_string())
        .no(no_proxy)
        .build();
    Ok(matcher.intercept(&config.base))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn tls(config: &Config) -> Result<ClientConfig, SetupError> {
    let roots = if config.base.scheme() == Some(&Scheme::HTTPS) {
        roots(config)?
    } else {
        RootCertStore::empty()
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

/// The system's roots and the operator's. A system root that cannot be read is passed over:
/// stores hold old ones, and one less can only refuse a connection, never allow one.
fn roots(config: &Config) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = &config.ca_file {
        let unreadable = |error: rustls_pki_types::pem::Error| SetupError::CaFile(error.into());
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            let added = roots.add(certificate);
            added.map_err(|error| SetupError::CaFile(error.into()))?;
            found = true;
        }
        if !found {
            return Err(SetupError::CaFileEmpty);
        }
    }
    if roots.is_empty() {
        return Err(SetupError::NoRoots);
    }
    Ok(roots)
}
