//! Accepts connections within the limits, owns their tasks, and drains them at the end.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connection::{self, Protocol, Shared};
use super::listener::{self, Listener, Stream};
use super::place::{Peers, Place};
use super::tls::{Certificate, EITHER, REREAD};
use super::{Drained, Error, Listeners, Service, Tls};

/// First and longest pause after the system had no descriptor or memory for a connection.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long connections are still taken up after shutdown has begun: enough to empty the
/// backlog, whose state we learn only when the runtime has asked the system for it.
const LATECOMERS: Duration = Duration::from_millis(5);

/// The listener with TLS.
#[derive(Debug)]
pub(super) struct Secure {
    listener: TcpListener,
    certificate: Arc<Certificate>,
}

impl Secure {
    /// On a socket that was handed over, or at the address of the settings.
    pub(super) fn bind(tls: &Tls, handed: Option<TcpListener>) -> Result<Self, Error> {
        let certificate = Certificate::load(&tls.files, EITHER)?;
        let listener = match handed {
            Some(listener) => listener,
            None => listener::bind_tcp(tls.listen)?,
        };
        Ok(Self {
            listener,
            certificate,
        })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) const fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }
}

/// A connection just accepted.
enum Accepted {
    Plain(Stream, Option<IpAddr>),
    Secure(TcpStream, IpAddr),
}

impl Accepted {
    fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Plain(_, peer) => *peer,
            Self::Secure(_, peer) => Some(*peer),
        }
    }
}

/// Serves until `shutdown` resolves, then lets answers in flight end, but no longer than the
/// configured time. Dropping it cuts every connection.
pub async fn serve<S: Service>(
    listeners: Listeners,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let Listeners {
        config,
        plain,
        secure,
        connections,
        ..
    } = listeners;
    let permits = config.max_connections.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(permits));
    let mut held = Connections {
        service,
        certificate: secure
            .as_ref()
            .map(|secure| Arc::clone(&secure.certificate)),
        peers: Peers::new(config.max_connections_per_peer),
        gauge: connections,
        shared: Arc::new(Shared::new(config)),
        tasks: JoinSet::new(),
    };
    let mut reread = tokio::time::interval(REREAD);
    reread.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pause = PAUSE;
    let mut shutdown = pin!(shutdown);
    let mut permit: Option<OwnedSemaphorePermit> = None;
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = held.tasks.join_next() => note_panic(&ended),
            _ = reread.tick(), if secure.is_some() => {
                if let Some(secure) = &secure {
                    secure.certificate.look_again();
                }
            }
            // The permit comes first: a caller over the limit waits in the backlog, where
            // it costs us nothing.
            taken = Arc::clone(&permits).acquire_owned(), if permit.is_none() => {
                permit = taken.ok();
            }
            accepted = next(plain.as_ref(), secure.as_ref()), if permit.is_some() => {
                match accepted {
                    Ok(accepted) => {
                        pause = PAUSE;
                        held.take_up(accepted, permit.take());
                    }
                    Err(error) if is_about_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection; pausing");
                        tokio::select! {
                            () = &mut shutdown => break,
                            () = tokio::time::sleep(pause) => {}
                        }
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
    }
    drop(permit);
    // Callers whose connection the system has already accepted for us would see a reset.
    let mut late = pin!(tokio::time::sleep(LATECOMERS));
    while let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
        tokio::select! {
            () = &mut late => break,
            accepted = next(plain.as_ref(), secure.as_ref()) => match accepted {
                Ok(accepted) => held.take_up(accepted, Some(permit)),
                Err(_) => break,
            },
        }
    }
    drop((plain, secure));
    drain(&held.shared, held.tasks).await
}

/// The connections held, and what each new one is given.
struct Connections<S> {
    service: S,
    certificate: Option<Arc<Certificate>>,
    peers: Peers,
    gauge: Arc<AtomicUsize>,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl<S: Service> Connections<S> {
    /// Starts serving a connection, or drops it where its peer has its share.
    fn take_up(&mut self, accepted: Accepted, permit: Option<OwnedSemaphorePermit>) {
        let Some(place) = Place::take(permit, accepted.peer(), &self.peers, &self.gauge) else {
            return;
        };
        let acceptor = self
            .certificate
            .as_ref()
            .map(|certificate| certificate.acceptor());
        let shared = Arc::clone(&self.shared);
        let service = self.service.clone();
        self.tasks.spawn(async move {
            let _place = place;
            begin(accepted, acceptor, shared, service).await;
        });
    }
}

/// Asks all connections to end, waits, and cuts those that have not.
async fn drain(shared: &Shared, mut tasks: JoinSet<()>) -> Drained {
    shared.leave();
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            note_panic(&ended);
        }
    };
    let _ = tokio::time::timeout(shared.config.drain_timeout, all).await;
    let cut = tasks.len();
    tasks.shutdown().await;
    Drained { cut }
}

/// The next connection of either listener.
async fn next(plain: Option<&Listener>, secure: Option<&Secure>) -> io::Result<Accepted> {
    let plain = async {
        match plain {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    };
    let secure = async {
        match secure {
            Some(secure) => listener::accept_tcp(&secure.listener).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = plain => accepted.map(|(stream, peer)| Accepted::Plain(stream, peer)),
        accepted = secure => accepted.map(|(stream, peer)| Accepted::Secure(stream, peer)),
    }
}

/// Shakes hands where needed, and serves the connection.
async fn begin<S: Service>(
    accepted: Accepted,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    service: S,
) {
    match (accepted, acceptor) {
        (Accepted::Plain(stream, _), _) => {
            connection::run(stream, Protocol::Any, shared, service).await;
        }
        (Accepted::Secure(stream, _), Some(acceptor)) => {
            let handshake = acceptor.accept(stream);
            let handshake = tokio::time::timeout(shared.config.handshake_timeout, handshake);
            let shaken = tokio::select! {
                shaken = handshake => shaken,
                // A caller is done with it before we are (RFC 8446 §2), and sends its request.
                () = shared.last_word() => return,
            };
            match shaken {
                Ok(Ok(stream)) => {
                    let protocol = match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => Protocol::Http2,
                        _ => Protocol::Http1,
                    };
                    let stream = Stream::Tls(Box::new(stream));
                    connection::run(stream, protocol, shared, service).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
        (Accepted::Secure(..), None) => {}
    }
}

fn note_panic(ended: &Result<(), tokio::task::JoinError>) {
    if ended.as_ref().is_err_and(tokio::task::JoinError::is_panic) {
        tracing::error!("answering a request panicked; its connection was closed");
    }
}

/// Errors that end one connection before it began, and say nothing about the next.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotConnected
    )
}
