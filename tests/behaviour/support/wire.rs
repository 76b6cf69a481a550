//! A Graph and a caller of raw bytes: scripts decide what is sent, to the byte.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Long enough for anything on loopback; only a failing test waits for it.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A Graph on loopback that counts its connections and keeps the messages it was sent.
pub(crate) struct RawGraph {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Message>>>,
    task: AbortHandle,
}

impl RawGraph {
    /// Runs `serve` on every connection, with the connection's number.
    pub(crate) async fn serving<F, Fut>(serve: F) -> Self
    where
        F: Fn(usize, Wire) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (count, seen_by) = (Arc::clone(&connections), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(number, Wire::of(stream, Arc::clone(&seen_by))));
            }
        });
        Self {
            address,
            connections,
            seen,
            task: task.abort_handle(),
        }
    }

    /// Gives the same answer to every request, and keeps its connections.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::serving(move |_, mut wire| {
            let answer = answer.clone();
            async move {
                while wire.request().await.is_some() {
                    wire.send(&answer).await;
                }
            }
        })
        .await
    }

    /// As a setting.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The whole messages seen so far.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawGraph {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, seen from Graph or from the caller.
pub(crate) struct Wire {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<Message>>>,
    buffer: Vec<u8>,
}

impl Wire {
    fn of(stream: TcpStream, seen: Arc<Mutex<Vec<Message>>>) -> Self {
        Self {
            stream,
            seen,
            buffer: Vec::new(),
        }
    }

    /// A caller's connection.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::try_to(address).await.unwrap()
    }

    /// A caller's connection; `None` where it is refused.
    pub(crate) async fn try_to(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).unwrap();
        Some(Self::of(stream, Arc::default()))
    }

    /// Sends bytes; that the other end has gone shows in what is read.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Sends bytes, and whether the other end took them.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends no more.
    pub(crate) async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.ok()?;
        (read > 0).then_some(())
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// So many bytes; `None` when the other end closes first.
    pub(crate) async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Some(self.take(count))
    }

    /// Everything up to and with `end`; `None` when the other end closes first.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            let found = self.buffer.get(from..).unwrap_or_default();
            if let Some(at) = found.windows(end.len()).position(|part| part == end) {
                return Some(self.take(from + at + end.len()));
            }
            from = self.buffer.len().saturating_sub(end.len());
            self.more().await?;
        }
    }

    /// The head of the next message.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            if head != b"\r\n\r\n" {
                return Some(Message::of(&head));
            }
        }
    }

    /// The next request, head and body, which is kept in [`RawGraph::seen`].
    pub(crate) async fn request(&mut self) -> Option<Message> {
        let mut message = self.head().await?;
        if message.is_chunked() {
            self.chunks(&mut message).await?;
        } else {
            message.body = self.exactly(message.length().unwrap_or(0)).await?;
        }
        self.seen.lock().unwrap().push(message.clone());
        Some(message)
    }

    /// The next answer, to a request of that method; interim answers are passed over.
    pub(crate) async fn answer(&mut self, method: &str) -> Option<Message> {
        let mut message = self.head().await?;
        while message.status() < 200 {
            message = self.head().await?;
        }
        let bodiless = method == "HEAD" || matches!(message.status(), 204 | 304);
        if bodiless {
            return Some(message);
        }
        if message.is_chunked() {
            self.chunks(&mut message).await?;
        } else if let Some(length) = message.length() {
            message.body = self.exactly(length).await?;
        } else {
            while self.more().await.is_some() {}
            message.body = self.take(self.buffer.len());
        }
        Some(message)
    }

    async fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let line = self.until(b"\r\n").await?;
            let digits = String::from_utf8_lossy(&line).trim().to_owned();
            let size = usize::from_str_radix(&digits, 16).unwrap();
            if size == 0 {
                break;
            }
            message.body.extend(self.exactly(size).await?);
            assert_eq!(self.exactly(2).await?, b"\r\n");
        }
        loop {
            let line = self.until(b"\r\n").await?;
            if line == b"\r\n" {
                return Some(());
            }
            message.trailers.push(field(&line));
        }
    }

    /// Everything until the other end closes, whichever way it does.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        self.take(self.buffer.len())
    }

    /// Reads and drops until the other end closes; how many bytes.
    pub(crate) async fn drain(&mut self) -> usize {
        let mut count = std::mem::take(&mut self.buffer).len();
        let mut waste = vec![0; 1 << 16];
        while let Ok(read) = self.stream.read(&mut waste).await
            && read > 0
        {
            count += read;
        }
        count
    }
}

/// One HTTP/1 message, taken apart and not interpreted.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) line: String,
    /// Names as spelled, values without the space around them; a byte is a char.
    pub(crate) fields: Vec<(String, String)>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    fn of(head: &[u8]) -> Self {
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .filter(|line| !matches!(line, [] | [b'\r']));
        Self {
            line: latin1(lines.next().unwrap()).trim_end().to_owned(),
            fields: lines.map(field).collect(),
            ..Self::default()
        }
    }

    /// The values of a field, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let mine = self.fields.iter();
        mine.filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        let code = self.line.split(' ').nth(1).unwrap_or_default();
        code.parse().unwrap()
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.values("transfer-encoding") == ["chunked"]
    }

    pub(crate) fn length(&self) -> Option<usize> {
        let values = self.values("content-length");
        values.first().map(|value| value.parse().unwrap())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        latin1(&self.body)
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.line)?;
        for (name, value) in &self.fields {
            writeln!(f, "{name}: {value}")?;
        }
        let shown = self.body.get(..self.body.len().min(400));
        writeln!(f, "\n{}", latin1(shown.unwrap_or_default()))?;
        for (name, value) in &self.trailers {
            writeln!(f, "{name}: {value}")?;
        }
        Ok(())
    }
}

fn field(line: &[u8]) -> (String, String) {
    let line = latin1(line);
    let (name, value) = line.split_once(':').unwrap();
    (
        name.to_owned(),
        value.trim_matches([' ', '\t', '\r', '\n']).to_owned(),
    )
}

/// Bytes as text: a byte is a char, so nothing is lost.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// And back.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

/// Within patience.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future)
        .await
        .expect("this takes no time on loopback")
}
