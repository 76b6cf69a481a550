//! The sockets callers connect to, TCP and Unix, and one stream type over both and TLS.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_rustls::server::TlsStream;

use super::inherited::Socket;
use super::{Error, Listen};

/// Connections the system may hold for us before we accept them.
const BACKLOG: u32 = 1024;

/// The plain listener.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        path: PathBuf,
        /// None where the socket was handed over: then it is not ours.
        _file: Option<SocketFile>,
    },
}

impl Listener {
    pub(super) fn bind(listen: &Listen) -> Result<Self, Error> {
        match listen {
            Listen::Tcp(address) => Ok(Self::Tcp(bind_tcp(*address)?)),
            Listen::Unix(path) => {
                clear_stale(path)?;
                let bound = UnixListener::bind(path)
                    .and_then(|listener| Ok((listener, SocketFile::of(path)?)));
                let (listener, file) = bound.map_err(|source| Error::Bind {
                    address: path.display().to_string(),
                    source,
                })?;
                Ok(Self::Unix {
                    listener,
                    path: path.clone(),
                    _file: Some(file),
                })
            }
        }
    }

    /// The socket that was handed over.
    pub(super) fn inherit(socket: Socket) -> Result<Self, Error> {
        let wrong = |source| Error::NoListeningSocket {
            name: "listen",
            source,
        };
        match socket {
            Socket::Tcp(listener) => TcpListener::from_std(listener)
                .map(Self::Tcp)
                .map_err(wrong),
            Socket::Unix(listener) => {
                let listener = UnixListener::from_std(listener).map_err(wrong)?;
                let address = listener.local_addr().map_err(wrong)?;
                let path = address.as_pathname().map(Path::to_path_buf);
                Ok(Self::Unix {
                    listener,
                    path: path.unwrap_or_default(),
                    _file: None,
                })
            }
        }
    }

    /// The next connection, with its peer's address where it has one.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = accept_tcp(listener).await?;
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }

    pub(super) fn address(&self) -> io::Result<super::Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(super::Address::Tcp),
            Self::Unix { path, .. } => Ok(super::Address::Unix(path.clone())),
        }
    }
}

/// A TCP listener of callers, or why there is none.
pub(super) fn bind_tcp(address: SocketAddr) -> Result<TcpListener, Error> {
    listen(address, BACKLOG).map_err(|source| Error::Bind {
        address: address.to_string(),
        source,
    })
}

/// A TCP listener that can be bound again at once after a restart.
///
/// # Errors
///
/// What the system says.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// The next TCP connection, without Nagle's delay: answers are written whole.
pub(super) async fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer.ip().to_canonical()))
}

/// Removes a socket that nobody listens on any more; anything else stays and is an error.
fn clear_stale(path: &Path) -> Result<(), Error> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let at = || path.to_path_buf();
    if !found.file_type().is_socket() {
        return Err(Error::NotASocket { path: at() });
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Error::SocketInUse { path: at() });
    }
    fs::remove_file(path).map_err(|source| Error::Bind {
        address: path.display().to_string(),
        source,
    })
}

/// The file of a Unix socket; removed on drop, unless another has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// One accepted connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The same call on whichever stream it is.
macro_rules! on_stream {
    ($stream:expr, $call:ident($($argument:expr),*)) => {
        match $stream.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$call($($argument),*),
            Stream::Unix(stream) => Pin::new(stream).$call($($argument),*),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).$call($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, poll_read(context, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_shutdown(context))
    }
}
