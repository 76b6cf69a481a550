//! Sockets that a service manager has bound for us: `sd_listen_fds(3)`.
//!
//! It holds them while the proxy is started anew, so that callers wait and are not refused. Each
//! has the name of the setting whose address it takes the place of; nothing is guessed, because
//! a listener that is not where it is thought to be is one that tokens are sent to.

use std::io;
use std::net;
use std::os::unix;

use listenfd::ListenFd;

use super::Error;

/// The names a socket may have, which are settings.
const NAMES: [&str; 3] = ["listen", "tls_listen", "admin"];

/// What was handed over. Sockets that nobody takes are closed on drop.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(&'static str, Socket)>);

/// A listening socket, which does not block.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(net::TcpListener),
    Unix(unix::net::UnixListener),
}

impl Inherited {
    /// Takes what this process was started with (`LISTEN_FDS`, `LISTEN_PID`), under these names
    /// (`LISTEN_FDNAMES`, colons between). To be called once, before there are threads: what it
    /// finds is taken out of the environment.
    ///
    /// # Errors
    ///
    /// Where a socket has no name of ours, or one that another has, or does not listen.
    pub fn take(names: &str) -> Result<Self, Error> {
        let mut handed = ListenFd::from_env();
        let mut names = names.split(':');
        let mut sockets: Vec<(&'static str, Socket)> = Vec::new();
        for index in 0..handed.len() {
            let given = names.next().unwrap_or_default();
            let Some(name) = NAMES.into_iter().find(|name| *name == given) else {
                let name = given.to_owned();
                return Err(Error::NamelessSocket { name });
            };
            if sockets.iter().any(|(known, _)| *known == name) {
                return Err(Error::TwoSockets { name });
            }
            let socket = Socket::of(&mut handed, index);
            let socket = socket.map_err(|source| Error::NoListeningSocket { name, source })?;
            sockets.push((name, socket));
        }
        Ok(Self(sockets))
    }

    /// The socket of that name, of whichever kind.
    pub(super) fn any(&mut self, name: &str) -> Option<Socket> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// The socket of that name, which must be one of TCP.
    ///
    /// # Errors
    ///
    /// When it is another.
    pub fn tcp(&mut self, name: &'static str) -> Result<Option<tokio::net::TcpListener>, Error> {
        let wrong = |source| Error::NoListeningSocket { name, source };
        match self.any(name) {
            None => Ok(None),
            Some(Socket::Tcp(listener)) => tokio::net::TcpListener::from_std(listener)
                .map(Some)
                .map_err(wrong),
            Some(Socket::Unix(_)) => Err(wrong(io::Error::other("it is not one of TCP"))),
        }
    }

    /// That every socket has been taken.
    ///
    /// # Errors
    ///
    /// When the settings leave off what one of them is for.
    pub fn all_taken(&self) -> Result<(), Error> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::UnwantedSocket { name }),
        }
    }
}

impl Socket {
    fn of(handed: &mut ListenFd, index: usize) -> io::Result<Self> {
        if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
            listener.set_nonblocking(true)?;
            return Ok(Self::Tcp(listener));
        }
        let listener = handed.take_unix_listener(index)?;
        let listener = listener.ok_or(io::ErrorKind::NotFound)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener))
    }
}
