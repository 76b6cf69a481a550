//! The real binary as a process of its own: its memory, its log, its end.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A running `graph-photo-proxy`. Killed when dropped.
pub(crate) struct Binary {
    child: Child,
    /// Where its plain listener is.
    pub(crate) address: SocketAddr,
    /// Where its TLS listener is, if it has one.
    pub(crate) secure: Option<SocketAddr>,
    /// Where the operator's listener is, if it is on.
    pub(crate) admin: Option<SocketAddr>,
    log: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
}

impl Binary {
    /// Starts it before that upstream; later settings go before these.
    pub(crate) fn start(upstream: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graph-photo-proxy"));
        command
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut all = vec![
            ("listen", "127.0.0.1:0"),
            ("admin", "off"),
            ("upstream", upstream),
        ];
        all.retain(|(key, _)| !settings.iter().any(|(set, _)| set == key));
        for (key, value) in all.iter().chain(settings) {
            command.arg(format!("--{}={value}", key.replace('_', "-")));
        }
        let mut child = command.spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        let reading = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = errors.read(&mut piece)
                && let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty())
            {
                written.lock().unwrap().extend_from_slice(piece);
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // In the order in which they are printed.
        let mut next = |name: &str| loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some((_, address)) = line.split_once(name) {
                break address.parse().unwrap();
            }
        };
        let is_set = |key: &str| settings.iter().any(|(set, _)| *set == key);
        let address = next("listen http://");
        let secure = is_set("tls_listen").then(|| next("tls_listen https://"));
        let scheme = if is_set("admin_tls_cert") {
            "https"
        } else {
            "http"
        };
        let admin = is_set("admin").then(|| next(&format!("admin {scheme}://")));
        Self {
            child,
            address,
            secure,
            admin,
            log,
            reading: Some(reading),
        }
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let done = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(done.success());
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits for its end, off the runtime's threads; how it ended, and all that it logged.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let waiting = tokio::task::spawn_blocking(move || {
            let status = self.child.wait().unwrap();
            self.reading.take().unwrap().join().unwrap();
            let log = self.log.lock().unwrap().clone();
            (status, String::from_utf8_lossy(&log).into_owned())
        });
        super::wire::soon(waiting).await.unwrap()
    }

    /// What its memory is now, and was at most, in KiB.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let figure = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (figure("VmRSS:"), figure("VmHWM:"))
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            super::leaks::nothing_looks_secret(self.log().to_lowercase().as_bytes());
        }
    }
}
