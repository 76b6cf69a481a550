//! The listeners: accept, front checks, limits, timeouts, draining. The only user of HTTP in.
//!
//! [`bind`] takes the addresses, [`serve`] answers until it is told to leave. A [`Service`]
//! sees only requests whose framing is beyond doubt, with one valid host, a target that can
//! be forwarded, and no field that would change who is asking; everything else has been
//! answered in Graph's manner of speaking, or closed.
//!
//! Every wait has a bound in [`Config`], every task an owner: connections belong to
//! [`serve`], and dropping it ends them all. A service that panics costs its connection
//! (HTTP/2: its stream) and nothing else.
//!
//! Read `connection`, then `guard` and `scan` (what hyper would let through), then `front`;
//! `shortcut` is the way of photos past hyper.

mod accept;
mod activity;
mod chunks;
mod config;
mod connection;
mod cork;
mod eager;
mod front;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod guard;
mod inherited;
mod listener;
pub(crate) mod own;
mod place;
mod scan;
mod shortcut;
mod spelling;
mod tls;
mod validity;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;

pub use accept::serve;
pub use config::{Config, Development, Listen, Tls, TlsFiles};
pub use inherited::Inherited;
pub use listener::listen;
pub(crate) use spelling::Spelled;
#[cfg(feature = "demo")]
pub(crate) use tls::EITHER;
pub(crate) use tls::REREAD;
pub use tls::{Certificate, TlsError};
#[cfg(feature = "tls-dev")]
pub(crate) use validity::ends as certificate_ends;

use crate::render::{Body, Shape, Wire};

/// What the listeners put behind every connection.
pub trait Service: Clone + Send + Sync + 'static {
    /// What is known of a request that is not answered at once.
    type Unanswered: Send;
    /// Where that is a question with an answer of one piece.
    type Question: Send;

    /// Answers one request that has passed the front checks, where nothing has to be waited for.
    ///
    /// # Errors
    ///
    /// What is known of it, where something has: it goes on to [`Service::answer`].
    fn at_once<B, S>(&self, request: &mut Request<B>) -> Result<S, Self::Unanswered>
    where
        B: http_body::Body,
        S: Shape;

    /// What of that is a question whose answer is likely to be all here when it comes, so that it may
    /// go past hyper.
    ///
    /// # Errors
    ///
    /// What was given, where it is something for [`Service::answer`].
    fn question(&self, unanswered: Self::Unanswered) -> Result<Self::Question, Self::Unanswered>;

    /// Answers such a question, in a request without a body. The future is polled whenever it can go
    /// on, and dropped when the caller leaves.
    fn ask(
        &self,
        request: Request<Empty<Bytes>>,
        question: Self::Question,
    ) -> impl Future<Output = Wire> + Send + 'static;

    /// Answers one that was not answered at once.
    ///
    /// The future is dropped when an HTTP/1 caller closes, or an HTTP/2 caller resets. Where it is
    /// `attended` it is polled whenever it can go on, until then; else a caller who does not read
    /// earlier answers may hold it up.
    fn answer(
        &self,
        request: Request<Incoming>,
        unanswered: Self::Unanswered,
        attended: bool,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Why the listeners cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a plain nor a TLS listener is asked for.
    #[error("no listener is configured")]
    NoListener,
    /// The system refuses the address.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address or path.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Another process listens on the Unix socket.
    #[error("another process listens on {path}")]
    SocketInUse {
        /// The path.
        path: PathBuf,
    },
    /// The path of the Unix socket is taken by something that is no socket.
    #[error("{path} exists and is not a socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A socket was handed over, and nothing says what for.
    #[error(
        "a socket was handed over under the name \"{name}\": FileDescriptorName= must be listen, tls_listen or admin"
    )]
    NamelessSocket {
        /// The name it has.
        name: String,
    },
    /// Two sockets were handed over for one setting.
    #[error("two sockets were handed over as {name}, which can be one")]
    TwoSockets {
        /// The setting.
        name: &'static str,
    },
    /// What was handed over is no socket, or not of the kind that is wanted.
    #[error("what was handed over as {name} is not a socket to listen on: {source}")]
    NoListeningSocket {
        /// The setting.
        name: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A socket was handed over for what the settings leave off.
    #[error("a socket was handed over as {name}, which the settings leave off")]
    UnwantedSocket {
        /// The setting.
        name: &'static str,
    },
    /// The operator's listener would be open to other machines.
    #[error(
        "the socket handed over as admin is at {address}, beyond loopback: that needs admin_token or admin_client_ca"
    )]
    OpenAdmin {
        /// Where it is.
        address: SocketAddr,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Where callers can connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Plain HTTP over TCP.
    Tcp(SocketAddr),
    /// Plain HTTP over a Unix socket.
    Unix(PathBuf),
    /// HTTP over TLS.
    Tls(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls(address) => write!(f, "https://{address}"),
        }
    }
}

/// The bound listeners; connections wait in the backlog until [`serve`] takes them.
#[derive(Debug)]
pub struct Listeners {
    config: Config,
    plain: Option<listener::Listener>,
    secure: Option<accept::Secure>,
    addresses: Vec<Address>,
    connections: Arc<AtomicUsize>,
}

/// Takes the addresses of the configuration and reads the certificate.
///
/// Must be called inside a tokio runtime. A Unix socket's file is removed when the
/// [`Listeners`] are dropped or [`serve`] ends.
///
/// # Errors
///
/// One sentence for the operator: which address or file, and what is wrong with it.
pub fn bind(config: &Config) -> Result<Listeners, Error> {
    bind_or_inherit(config, &mut Inherited::default())
}

/// The same, where sockets that were handed over take the place of the addresses.
///
/// # Errors
///
/// As [`bind`], and where a socket is not of the kind its setting wants.
pub fn bind_or_inherit(config: &Config, inherited: &mut Inherited) -> Result<Listeners, Error> {
    let plain = match &config.listen {
        None => None,
        Some(listen) => Some(match inherited.any("listen") {
            Some(socket) => listener::Listener::inherit(socket)?,
            None => listener::Listener::bind(listen)?,
        }),
    };
    let secure = match &config.tls {
        None => None,
        Some(tls) => Some(accept::Secure::bind(tls, inherited.tcp("tls_listen")?)?),
    };
    let unknown = |source| Error::Bind {
        address: "a listener".to_owned(),
        source,
    };
    let mut addresses = Vec::new();
    if let Some(plain) = &plain {
        addresses.push(plain.address().map_err(unknown)?);
    }
    if let Some(secure) = &secure {
        addresses.push(Address::Tls(secure.address().map_err(unknown)?));
    }
    if addresses.is_empty() {
        return Err(Error::NoListener);
    }
    Ok(Listeners {
        config: config.clone(),
        plain,
        secure,
        addresses,
        connections: Arc::new(AtomicUsize::new(0)),
    })
}

impl Listeners {
    /// Where callers can connect, with the ports the system chose; the plain one first.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The certificate of the listener with TLS.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.secure.as_ref().map(accept::Secure::certificate)
    }

    /// The number of connections held, for the metrics; live while [`serve`] runs.
    pub fn connections(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.connections)
    }
}

/// How the end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections cut at the deadline with an answer still in flight.
    pub cut: usize,
}

impl Drained {
    /// Whether every answer in flight was sent.
    pub const fn is_complete(self) -> bool {
        self.cut == 0
    }
}
