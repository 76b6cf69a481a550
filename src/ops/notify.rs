//! Readiness for a service manager: `sd_notify(3)`, by hand over a Unix datagram.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Callers are taken up.
    Ready,
    /// The drain has begun.
    Stopping,
}

/// Tells the service manager, where there is one. That nobody hears it is worth a line and
/// no more: the proxy serves all the same.
pub fn tell(socket: Option<&OsStr>, state: State) {
    let Some(socket) = socket else { return };
    if let Err(error) = send(socket, state) {
        tracing::warn!(%error, ?state, "the service manager could not be told");
    }
}

fn send(socket: &OsStr, state: State) -> io::Result<()> {
    let address = match socket.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let words: &[u8] = match state {
        State::Ready => b"READY=1",
        State::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(words, &address)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_hears_both_states_by_an_abstract_name() {
        let name = format!("graph-photo-proxy-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let socket = format!("@{name}");
        let mut heard = [0; 32];
        for (state, words) in [
            (State::Ready, &b"READY=1"[..]),
            (State::Stopping, b"STOPPING=1"),
        ] {
            tell(Some(OsStr::new(&socket)), state);
            let length = manager.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], words);
        }
    }

    #[test]
    fn a_manager_who_is_not_there_stops_nothing() {
        tell(Some(OsStr::new("/nowhere/notify")), State::Ready);
        tell(None, State::Ready);
    }
}
