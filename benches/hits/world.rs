//! Who lives here: 10,000 owners, their photos, and the tokens that ask for them.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Outcome, say};

/// Each asked for by one token: 10,000 things are held, whoever holds them.
pub(crate) const OWNERS: usize = 10_000;
/// As long as Graph's tokens are.
pub(crate) const TOKEN: usize = 1_800;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Small,
    Large,
    Metadata,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Small, Self::Large, Self::Metadata];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Small => "2 KB",
            Self::Large => "60 KB",
            Self::Metadata => "metadata",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// As an argument.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Metadata => "metadata",
        }
    }

    /// The path by which an owner is asked for.
    pub(crate) fn path(self, owner: usize) -> String {
        let id = format!("{owner:08x}-1234-4567-89ab-{:012x}", owner * 7_919);
        match self {
            Self::Small => format!("/v1.0/users/{id}/photos/48x48/$value"),
            Self::Large => format!("/v1.0/users/{id}/photo/$value"),
            Self::Metadata => format!("/v1.0/users/{id}/photo"),
        }
    }
}

/// What an owner's answer holds.
pub(crate) fn body(kind: Kind, owner: usize) -> Vec<u8> {
    let length = match kind {
        Kind::Small => 2_000,
        Kind::Large => 60_000,
        Kind::Metadata => {
            return format!(
                "{{\"@odata.context\":\"https://graph.microsoft.com/v1.0/$metadata#users('{owner:08x}-1234-4567-89ab-{:012x}')/photo/$entity\",\
                 \"@odata.mediaContentType\":\"image/jpeg\",\"@odata.mediaEtag\":\"\\\"{owner:016x}\\\"\",\
                 \"id\":\"240X240\",\"height\":240,\"width\":240}}",
                owner * 7_919
            )
            .into_bytes();
        }
    };
    let mut state = owner as u64 + 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An application's token, unlike any other: the same principal, renewed many times.
pub(crate) fn token(nth: usize) -> String {
    let claims = concat!(
        "{\"tid\":\"00000000-0000-4000-8000-0000000000a1\",\"oid\":\"00000000-0000-4000-8000-0000000000b1\",",
        "\"appid\":\"00000000-0000-4000-8000-0000000000c1\",\"idtyp\":\"app\",\"roles\":[\"User.Read.All\"],",
        "\"exp\":4102444800}"
    );
    let mut token = format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims));
    let mut state = 77_u64;
    while token.len() < TOKEN {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let _ = write!(token, "{:08x}", state >> 32);
    }
    token.truncate(TOKEN - SIGNED);
    let _ = write!(token, "{:0SIGNED$x}", signed(nth));
    token
}

/// By how many digits at its end a token differs from the others, and by which.
const SIGNED: usize = 16;
const fn signed(nth: usize) -> u64 {
    (nth as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Requests: owners and tokens take turns until each has been named. Each is made as it is sent,
/// so that where there are many, only the server has many things to go to.
pub(crate) struct Requests {
    /// The first of them.
    pattern: Vec<u8>,
    /// Where it names the owner, and where the digits end by which its token differs.
    id: usize,
    signed: usize,
    owners: Range<usize>,
    tokens: usize,
}

impl Requests {
    pub(crate) fn of(kind: Kind, tokens: usize, owners: Range<usize>) -> Self {
        let (path, token) = (kind.path(0), token(0));
        let pattern = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nUser-Agent: hits\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        Self {
            id: pattern.find("00000000-").unwrap_or_default(),
            signed: pattern.len() - 4,
            pattern: pattern.into_bytes(),
            owners,
            tokens,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.owners.len().max(self.tokens)
    }

    /// Writes the `nth` over what stands there.
    pub(crate) fn write(&self, nth: usize, to: &mut Vec<u8>) {
        if to.len() != self.pattern.len() {
            to.clone_from(&self.pattern);
        }
        let owner = self.owners.start + nth % self.owners.len();
        digits(to, self.id + 8, 8, owner as u64);
        digits(to, self.id + 36, 12, (owner * 7_919) as u64);
        digits(to, self.signed, SIGNED, signed(nth % self.tokens));
    }
}

/// Writes so many digits, the last of them before `end`.
fn digits(text: &mut [u8], end: usize, count: usize, mut value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in text.iter_mut().take(end).rev().take(count) {
        *place = DIGITS.get((value & 15) as usize).copied().unwrap_or(b'0');
        value >>= 4;
    }
}

/// Graph: answers every path above, one thread a connection, and counts what it is asked.
/// `/count` tells.
pub(crate) fn graph() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&format!("listen http://{}", listener.local_addr()?))?;
    let asked = Arc::new(AtomicU64::new(0));
    for stream in listener.incoming().flatten() {
        let asked = Arc::clone(&asked);
        std::thread::spawn(move || serve(stream, &asked));
    }
    Ok(())
}

fn serve(stream: TcpStream, asked: &AtomicU64) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 14, stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut field = String::new();
        loop {
            field.clear();
            if reader.read_line(&mut field)? == 0 || field.trim().is_empty() {
                break;
            }
        }
        let path = line.split(' ').nth(1).unwrap_or_default();
        if path == "/count" {
            let text = asked.load(Ordering::Relaxed).to_string();
            write!(
                writer,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            )?;
            continue;
        }
        asked.fetch_add(1, Ordering::Relaxed);
        let id = path.split('/').nth(3).unwrap_or_default();
        let owner = id
            .get(..8)
            .and_then(|id| usize::from_str_radix(id, 16).ok());
        let owner = owner.unwrap_or(0);
        let (kind, media) = match path {
            _ if path.contains("/photos/") => (Kind::Small, "image/jpeg"),
            _ if path.contains("/photo/") => (Kind::Large, "image/jpeg"),
            _ => (Kind::Metadata, "application/json"),
        };
        let body = body(kind, owner);
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nETag: \"{owner:016x}\"\r\n\
             Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nDate: Fri, 02 Jan 2026 00:00:00 GMT\r\n\
             OData-Version: 4.0\r\nCache-Control: max-age=86400\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        writer.write_all(&answer)?;
    }
}
