//! `graph-photo-proxy health`: asks the proxy of these settings on this machine whether it is
//! ready, for those who can run a command and cannot ask by HTTP (Compose, in an image without a
//! shell).

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::Config;

/// For each of connecting, sending and reading.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line is in it.
const ENOUGH: u64 = 4096;

/// Why the proxy is not well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// There is nobody to ask.
    #[error("admin is off, and /readyz is there")]
    Off,
    /// It is to be asked over TLS, which this does not speak.
    #[error("the admin listener speaks TLS: ask its /readyz by HTTPS")]
    Secure,
    /// It could not be asked.
    #[error("the admin listener at {address} cannot be asked: {source}")]
    Unasked {
        /// Where it should be.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// It was, and says no.
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
    if config.admin_tls.is_some() {
        return Err(Unwell::Secure);
    }
    let answer = exchange(address).map_err(|source| Unwell::Unasked { address, source })?;
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

fn exchange(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
