//! `graph-photo-proxy health`: asks the proxy of these settings on this machine whether it is
//! ready, for those who can run a command and cannot ask by HTTP (Compose, in an image without a
//! shell).

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use super::Config;
use crate::server::{TlsError, TlsFiles, own};

/// For each of connecting, sending and reading.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line is in it.
const ENOUGH: u64 = 4096;

const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Why the proxy is not well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// There is nobody to ask.
    #[error("admin is off, and /readyz is there")]
    Off,
    /// It could not be asked.
    #[error("the admin listener at {address} cannot be asked: {source}")]
    Unasked {
        /// Where it should be.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else's certificate was shown.
    #[error("what listens at {address} shows another certificate than admin_tls_cert holds")]
    NotOurs {
        /// Where the listener should be.
        address: SocketAddr,
    },
    /// It hears only callers with a certificate, and has broken off.
    #[error(
        "the admin listener at {address} hears only callers with a certificate of admin_client_ca; ask its /readyz with one, for admin_tls_cert, which health showed, was not taken: {source}"
    )]
    Stranger {
        /// Where it is.
        address: SocketAddr,
        /// How it broke off.
        source: io::Error,
    },
    /// TLS cannot be spoken here.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It was asked, and says no.
    #[error("not ready: {0}")]
    NotReady(String),
}

/// Asks `/readyz` of the admin listener of these settings.
///
/// # Errors
///
/// When it does not say that it is ready.
pub fn ask(config: &Config) -> Result<(), Unwell> {
    let address = reachable(config.admin.ok_or(Unwell::Off)?);
    let unasked = |source| Unwell::Unasked { address, source };
    let stream = connect(address).map_err(unasked)?;
    let answer = match &config.admin_tls {
        None => exchange(stream).map_err(unasked)?,
        Some(files) => exchange_over_tls(stream, address, files)?,
    };
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let why = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim());
    let why = why.filter(|why| !why.is_empty());
    Err(Unwell::NotReady(why.unwrap_or("no answer").to_owned()))
}

/// Where a listener on all addresses can be reached from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn exchange(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The same, with the listener of these files and no other.
fn exchange_over_tls(
    stream: TcpStream,
    address: SocketAddr,
    files: &TlsFiles,
) -> Result<String, Unwell> {
    let caller = Arc::new(own::caller(files)?);
    let connection = ClientConnection::new(caller, address.ip().into()).map_err(TlsError::Setup)?;
    exchange(StreamOwned::new(connection, stream)).map_err(|source| {
        let cause = source.get_ref().and_then(|error| error.downcast_ref());
        match &files.client_ca {
            _ if cause == Some(&own::NOT_OURS) => Unwell::NotOurs { address },
            // In TLS 1.3 a certificate is judged after the handshake, and the connection just ends.
            Some(_) => Unwell::Stranger { address, source },
            None => Unwell::Unasked { address, source },
        }
    })
}
