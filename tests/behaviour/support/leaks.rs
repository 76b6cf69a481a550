//! All that the proxies of this process say, and whether a secret is in it: every line of every
//! test is looked through for every token, principal name and id of the Graph it ran against.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::Graph;
use graph_photo_proxy::ops::telemetry;

/// How much is kept that nobody will look through any more.
const KEPT: usize = 1 << 20;
/// How many bytes of a secret find it.
const WINDOW: usize = 8;

/// The log of this process since the first line that somebody has yet to look through.
#[derive(Default)]
struct Log {
    text: Vec<u8>,
    /// How much was dropped before it.
    dropped: usize,
    /// Where those who listen began, by number.
    listeners: BTreeMap<u64, usize>,
    next: u64,
}

static LOG: Mutex<Log> = Mutex::new(Log {
    text: Vec::new(),
    dropped: 0,
    listeners: BTreeMap::new(),
    next: 0,
});

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where lines go.
struct Line;

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        log().text.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens from when it is made.
pub(crate) struct Listener(u64);

impl Listener {
    /// Begins. The first one has the proxy's own log, at its finest, written to memory.
    pub(crate) fn start() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let finest = [("log", "warn,graph_photo_proxy=trace")];
            let config = Config::with(finest).unwrap();
            telemetry::start_into(&config.ops, || Line).unwrap();
        });
        let mut log = log();
        let (number, from) = (log.next, log.dropped + log.text.len());
        log.next += 1;
        log.listeners.insert(number, from);
        Self(number)
    }

    /// What has been said since, by anybody, in small letters.
    pub(crate) fn heard(&self) -> Vec<u8> {
        let log = log();
        let from = log.listeners[&self.0] - log.dropped;
        log.text[from..].to_ascii_lowercase()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut log = log();
        log.listeners.remove(&self.0);
        let end = log.dropped + log.text.len();
        let first = log.listeners.values().copied().min().unwrap_or(end);
        let unwanted = first - log.dropped;
        if unwanted > KEPT || unwanted == log.text.len() {
            log.text.drain(..unwanted);
            log.dropped += unwanted;
        }
    }
}

/// What must not be said, found by the last bytes of each: those differ.
pub(crate) struct Secrets {
    all: Vec<String>,
    by_end: HashMap<[u8; WINDOW], Vec<usize>>,
    /// Which ends there may be, by a hash of 16 bits.
    may_be: Vec<bool>,
}

impl Secrets {
    /// Every token that this Graph has issued, and every id and principal name of its tenant.
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut all = Vec::new();
        for token in graph.issued() {
            let parts = token.split('.').filter(|part| part.len() > 20);
            all.extend(parts.map(str::to_ascii_lowercase));
        }
        let tenant = graph.tenant();
        for person in &tenant.people {
            all.extend([person.id.to_lowercase(), person.upn.to_lowercase()]);
        }
        all.extend(tenant.groups.iter().map(|group| group.id.to_lowercase()));
        all.extend(tenant.contacts.iter().map(|one| one.id.to_lowercase()));
        Self::new(all)
    }

    fn new(all: Vec<String>) -> Self {
        let (mut by_end, mut may_be) = (HashMap::new(), vec![false; 1 << 16]);
        for (at, secret) in all.iter().enumerate() {
            let end: [u8; WINDOW] = *secret.as_bytes().last_chunk().unwrap();
            may_be[hash(end)] = true;
            by_end.entry(end).or_insert_with(Vec::new).push(at);
        }
        Self {
            all,
            by_end,
            may_be,
        }
    }

    /// The first secret in a text of small letters, and the line it is in.
    pub(crate) fn found_in(&self, text: &[u8]) -> Option<(&str, String)> {
        for (at, window) in text.windows(WINDOW).enumerate() {
            let end: [u8; WINDOW] = *window.first_chunk().unwrap();
            if !self.may_be[hash(end)] {
                continue;
            }
            for found in self.by_end.get(&end).into_iter().flatten() {
                let secret = &self.all[*found];
                if text[..at + WINDOW].ends_with(secret.as_bytes()) {
                    return Some((secret, line_around(text, at)));
                }
            }
        }
        None
    }
}

fn hash(end: [u8; WINDOW]) -> usize {
    let mixed = u64::from_le_bytes(end).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from(mixed >> 48).unwrap()
}

fn line_around(text: &[u8], at: usize) -> String {
    let begin = text[..at].iter().rposition(|byte| *byte == b'\n');
    let end = text[at..].iter().position(|byte| *byte == b'\n');
    let line = &text[begin.map_or(0, |at| at + 1)..end.map_or(text.len(), |length| at + length)];
    String::from_utf8_lossy(line).into_owned()
}

/// Fails where a text holds what looks like an object id, a principal name or a token, whoever
/// issued it.
pub(crate) fn nothing_looks_secret(text: &[u8]) {
    let is_guid = |window: &[u8]| {
        window.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    // The dash of a GUID is looked for first: most of a log has none there.
    let guid = text
        .windows(36)
        .position(|window| window[8] == b'-' && window[23] == b'-' && is_guid(window));
    let token = text.windows(5).position(|window| window == b"eyj0e");
    let name = text.iter().position(|byte| *byte == b'@');
    let said = guid.or(token).or(name).map(|at| line_around(text, at));
    assert_eq!(said, None, "said aloud");
}
