//! The load: 64 kept connections, each with one request on its way, answered one after another.
//!
//! One thread over epoll that looks at nothing but each answer's status and length, so that it
//! needs less of its core than any server under test needs of its own.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::world::Requests;

/// As many as a busy app keeps open.
pub(crate) const CONNECTIONS: usize = 64;
/// Larger than any answer here, so that one read may take a whole one.
const BUFFER: usize = 128 * 1024;

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) answers: u64,
    /// How long each answer took, in microseconds, sorted.
    pub(crate) took: Vec<u32>,
}

impl Run {
    /// The time within which this part of all answers came, in microseconds.
    pub(crate) fn within(&self, part: f64) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a position in a list of thousands"
        )]
        let at = (self.took.len() as f64 * part) as usize;
        let last = self.took.len().saturating_sub(1);
        self.took.get(at.min(last)).copied().unwrap_or(0)
    }
}

/// Grows with each run.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// When to stop asking.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Every request has been asked once.
    Each,
    /// That long has passed; requests are drawn in an order that knows no turn.
    Time(Duration),
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    got: usize,
    /// Length of the whole answer, once its head is here.
    whole: Option<usize>,
    begun: Instant,
    buffer: Vec<u8>,
}

/// Asks until it is time, and says how it went.
pub(crate) fn run(
    address: SocketAddr,
    requests: &Requests,
    connections: usize,
    until: Until,
) -> io::Result<Run> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections);
    let mut turn = Turn::new(requests.count(), until);
    let begun = now();
    let mut open = Vec::with_capacity(connections);
    for at in 0..connections.min(requests.count()) {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(at), both)?;
        let Some(nth) = turn.next() else { break };
        let mut request = Vec::new();
        requests.write(nth, &mut request);
        open.push(Some(Connection {
            stream,
            request,
            sent: 0,
            got: 0,
            whole: None,
            begun,
            buffer: vec![0; BUFFER],
        }));
    }
    let mut took = Vec::new();
    let mut busy = open.len();
    while busy > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(20)))?;
        if events.is_empty() {
            return Err(io::Error::new(ErrorKind::TimedOut, "no answer for 20 s"));
        }
        for event in &events {
            let Some(slot) = open.get_mut(event.token().0) else {
                continue;
            };
            let Some(connection) = slot else { continue };
            if event.is_error() {
                return Err(io::Error::other("the connection failed"));
            }
            while connection.step()? {
                let ended = now();
                let micros = ended.duration_since(connection.begun).as_micros();
                took.push(u32::try_from(micros).unwrap_or(u32::MAX));
                let Some(nth) = turn.next_at(ended.duration_since(begun)) else {
                    *slot = None;
                    busy -= 1;
                    break;
                };
                requests.write(nth, &mut connection.request);
                connection.begin(ended);
            }
        }
    }
    took.sort_unstable();
    Ok(Run {
        answers: took.len() as u64,
        took,
    })
}

impl Connection {
    fn begin(&mut self, at: Instant) {
        self.sent = 0;
        self.got = 0;
        self.whole = None;
        self.begun = at;
    }

    /// Sends and reads as far as it goes; says whether an answer is whole.
    fn step(&mut self) -> io::Result<bool> {
        while let Some(rest) = self
            .request
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())
        {
            match self.stream.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if is_early(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.sent == self.request.len() {
                // Nothing can be here yet: the answer has an event of its own.
                return Ok(false);
            }
        }
        loop {
            let room = self.buffer.get_mut(self.got..).unwrap_or_default();
            match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.got += count,
                Err(error) if is_early(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
            let so_far = self.buffer.get(..self.got).unwrap_or_default();
            if self.whole.is_none() {
                self.whole = whole(so_far)?;
            }
            if self.whole.is_some_and(|whole| self.got >= whole) {
                return Ok(true);
            }
        }
    }
}

/// The length of the answer, head and body, once its head is whole.
fn whole(answer: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = Finder::new(b"\r\n\r\n").find(answer) else {
        return Ok(None);
    };
    let head = answer.get(..end).unwrap_or_default();
    if !head.starts_with(b"HTTP/1.1 200") {
        let text = String::from_utf8_lossy(head).into_owned();
        return Err(io::Error::other(text));
    }
    let length = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        if !name.eq_ignore_ascii_case(b"content-length:") {
            return None;
        }
        std::str::from_utf8(value)
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    });
    let length = length.ok_or_else(|| io::Error::other("an answer without its length"))?;
    Ok(Some(end + 4 + length))
}

fn is_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}

/// Which request comes next.
struct Turn {
    count: usize,
    until: Until,
    given: usize,
    state: u64,
}

impl Turn {
    fn new(count: usize, until: Until) -> Self {
        Self {
            count,
            until,
            given: 0,
            // Another order in each run: what one has fetched is not what the next one asks for.
            state: RUNS.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed),
        }
    }

    fn next(&mut self) -> Option<usize> {
        self.next_at(Duration::ZERO)
    }

    fn next_at(&mut self, passed: Duration) -> Option<usize> {
        match self.until {
            Until::Each => {
                self.given += 1;
                (self.given <= self.count).then(|| self.given - 1)
            }
            Until::Time(time) if passed >= time => None,
            Until::Time(_) => {
                self.state = self
                    .state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let drawn = usize::try_from(self.state >> 33).unwrap_or(0);
                Some(drawn % self.count)
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
