//! What the operator decides about the listeners; built by `config`, read here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where and within which bounds callers are served.
#[derive(Debug, Clone)]
pub struct Config {
    /// The plain listener: HTTP/1.1, and HTTP/2 with prior knowledge (RFC 9113 §3.3).
    pub listen: Option<Listen>,
    /// The listener with TLS: HTTP/1.1 and HTTP/2 by ALPN.
    pub tls: Option<Tls>,
    /// Connections held at once, over both listeners; the next one waits in the backlog.
    pub max_connections: usize,
    /// Connections held at once for one IP address; the next one is closed. Not applied to a
    /// Unix socket, whose callers have no address.
    pub max_connections_per_peer: Option<usize>,
    /// Bytes of one request head, request line included; more is refused with 431. Tokens
    /// of 15 KB are seen in the wild, so less than 32 KiB will hurt someone.
    pub max_header_bytes: usize,
    /// Requests in flight on one HTTP/2 connection.
    pub max_streams: u32,
    /// From the first byte of a head (or the start of a connection) to the end of the head.
    pub header_timeout: Duration,
    /// How long a connection may stand still: between requests, or inside one while the
    /// caller neither sends nor takes a byte.
    pub idle_timeout: Duration,
    /// From the start of a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// How long answers in flight may take to end once shutdown has begun.
    pub drain_timeout: Duration,
}

/// The address of the plain listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket, made on start and removed at the end.
    Unix(PathBuf),
}

/// The listener with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// A TCP address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What it shakes hands with.
    pub files: TlsFiles,
}

/// What a listener with TLS reads, and reads again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then the rest of its chain.
    pub cert: PathBuf,
    /// PEM: the private key of the first certificate.
    pub key: PathBuf,
    /// PEM: whose certificates callers must show; nobody's when there is none.
    pub client_ca: Option<PathBuf>,
}

/// A certificate that is made here, for development.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Development {
    /// Where it and its CA are kept.
    pub directory: PathBuf,
    /// Host names and IP addresses it is for, besides those of this machine alone.
    pub names: Vec<String>,
}

impl Development {
    /// The file of the certificate and its key.
    pub fn leaf(&self) -> PathBuf {
        self.directory.join("localhost.pem")
    }
}
