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
            let writes = if stream.connected().is_negotiated_h2() {
                Writes::Fail
            } else {
                Writes::Work
            };
            Ok(Link {
                stream,
                used: Used::default(),
                writes,
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

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection that carries its [`Used`] mark.
///
/// Over HTTP/1.1 one that takes no more is still read: whoever refuses an upload in the middle of
/// it answers and closes, and what is sent after that fails before the answer has been read. So
/// no more is sent (RFC 9112 §9.5), and reading says how it ends.
pub(super) struct Link {
    stream: Stream,
    used: Used,
    writes: Writes,
}

/// What a write that fails means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// It has not failed yet.
    Work,
    /// It has: no more is sent.
    Ended,
    /// The end of the connection: HTTP/2 does not read while it cannot write.
    Fail,
}

impl Link {
    /// Writes, where that still goes.
    fn send<W>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<W>>,
    ) -> Poll<io::Result<W>> {
        if self.writes == Writes::Ended {
            return Poll::Pending;
        }
        let written = write(Pin::new(&mut self.stream), context);
        if self.writes == Writes::Work && matches!(written, Poll::Ready(Err(_))) {
            self.writes = Writes::Ended;
            // It is read once more, whatever it was read before the write.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        written
    }
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
        self.send(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send(context, Write::poll_flush)
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
        self.send(context, |stream, context| {
            stream.poll_write_vectored(context, slices)
        })
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::rt::ReadBuf;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::task::yield_now;

    use super::*;

    /// A connection whose other end has answered and closed, with what it was sent unread; and how
    /// the first write ended that did not go well.
    async fn refused(writes: Writes) -> (Link, Poll<io::Result<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut link = Link {
            stream: MaybeHttpsStream::Http(TokioIo::new(ours.unwrap())),
            used: Used::default(),
            writes,
        };
        let write = async |link: &mut Link| {
            poll_fn(|context| Poll::Ready(Pin::new(&mut *link).poll_write(context, b"."))).await
        };
        assert!(matches!(write(&mut link).await, Poll::Ready(Ok(1))));
        let (mut theirs, _) = theirs.unwrap();
        theirs.readable().await.unwrap();
        theirs.write_all(b"answer").await.unwrap();
        drop(theirs);
        loop {
            let written = write(&mut link).await;
            if !matches!(written, Poll::Ready(Ok(_))) {
                return (link, written);
            }
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_was_answered_before_a_write_failed_is_read() {
        let (mut link, written) = refused(Writes::Work).await;
        assert!(written.is_pending());
        let mut room = [0; 16];
        let mut read = ReadBuf::new(&mut room);
        poll_fn(|context| Pin::new(&mut link).poll_read(context, read.unfilled()))
            .await
            .unwrap();
        assert_eq!(read.filled(), b"answer");
        // Nothing more is sent, and the end is seen.
        let more = poll_fn(|context| Poll::Ready(Pin::new(&mut link).poll_write(context, b".")));
        assert!(more.await.is_pending());
        let mut read = ReadBuf::new(&mut room);
        let end = poll_fn(|context| Pin::new(&mut link).poll_read(context, read.unfilled())).await;
        assert!(end.is_err() || read.filled().is_empty());
    }

    #[tokio::test]
    async fn over_http2_a_write_that_fails_is_the_end() {
        let (_, written) = refused(Writes::Fail).await;
        assert!(matches!(written, Poll::Ready(Err(_))));
    }
}
