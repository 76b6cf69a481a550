//! Reads HTTP/1 as strictly as RFC 9112 is written; pure, and the same for every split.
//!
//! hyper 1.12 lets through what another parser may read differently: `Content-Length` beside
//! `Transfer-Encoding`, lines that end in a bare LF, a `#fragment` it cuts off. [`Scanner`]
//! follows the bytes of one connection (head, body by length or by chunks, next head) and
//! refuses a message before its last head byte, so that hyper never sees a whole one.
//!
//! In a head the caller hands the bytes from the head's start each time; in a body every
//! byte is handed once and bodies by length are skipped by counting.

use std::ops::Range;

use http::Uri;
use memchr::{memchr, memchr_iter, memchr2, memchr3};

use super::chunks::{Chunks, Step};
use crate::render::Problem;

/// Longest request target; 16 KiB is far above the 2 to 8 KiB that Graph accepts.
pub(super) const MAX_TARGET: usize = 16 * 1024;
/// What a request line may hold beside its target: a method, two spaces, the version.
const MAX_LINE: usize = MAX_TARGET + 128;
/// Most fields in one head: as many as hyper parses without a heap allocation.
pub(super) const MAX_FIELDS: usize = 100;

/// Where a connection is in its sequence of messages.
#[derive(Debug)]
pub(super) struct Scanner {
    max_head: usize,
    phase: Phase,
    heads: u64,
    /// The fields of the head that is arriving.
    fields: Vec<Field>,
    /// The field names of heads that have passed, as they were spelled: one a line, an empty line
    /// behind each head.
    names: Vec<u8>,
}

/// Where a field stands, counted from its head's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Range<usize>,
    /// Without the white space around it.
    pub(super) value: Range<usize>,
}

/// A head that is whole and without fault, and that no body follows.
#[derive(Debug)]
pub(super) struct Alone<'a> {
    /// All of it, the empty line included.
    pub(super) bytes: &'a [u8],
    /// Where its method, and where its target stands.
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    /// HTTP/1.0.
    pub(super) is_old: bool,
    pub(super) fields: &'a [Field],
}

#[derive(Debug)]
enum Phase {
    Head(Head),
    Sized(u64),
    Chunked(Chunks),
}

/// What one call of [`Scanner::scan`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// How many bytes at the front belong to whole heads and to bodies.
    pub(super) passed: usize,
    /// Why the bytes after those may not be passed on, ever.
    pub(super) refused: Option<Problem>,
    /// All bytes were a head that was taken.
    pub(super) answered: bool,
}

impl Scanner {
    /// At the start of a connection; `max_head` bounds one head, and a body's trailers.
    pub(super) fn new(max_head: usize) -> Self {
        Self {
            max_head,
            phase: Phase::Head(Head::default()),
            heads: 0,
            fields: Vec::new(),
            names: Vec::new(),
        }
    }

    /// How many heads have passed whole.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Hands over the names of the heads that have passed whole since the last call.
    pub(super) fn take_names(&mut self, take: impl FnOnce(&[u8])) {
        if !self.names.is_empty() {
            take(&self.names);
            self.names.clear();
        }
    }

    /// Whether the next byte belongs to a body.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.phase, Phase::Head(_))
    }

    /// Forgets what has been read of the head that is arriving: it will be handed over anew.
    pub(super) fn again(&mut self) {
        if !self.in_body() {
            self.phase = Phase::Head(Head::default());
        }
    }

    /// Whether the next byte begins a head.
    pub(super) fn is_between(&self) -> bool {
        matches!(&self.phase, Phase::Head(head) if head.checked == 0)
    }

    /// Follows `bytes`, which begin where the last call's `passed` ended.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan {
        self.scan_or(bytes, |_| false)
    }

    /// The same; where `bytes` are one head and nothing else, `answer` may take it: then it
    /// counts, and does not pass.
    pub(super) fn scan_or(
        &mut self,
        bytes: &[u8],
        answer: impl FnOnce(&Alone<'_>) -> bool,
    ) -> Scan {
        let mut answer = Some(answer);
        let mut passed = 0;
        let mut refused = None;
        while let Some(rest) = bytes.get(passed..)
            && !rest.is_empty()
        {
            match &mut self.phase {
                Phase::Head(head) => match head.scan(rest, self.max_head, &mut self.fields) {
                    Ok(Some((length, next))) => {
                        self.heads += 1;
                        let is_alone = length == bytes.len() && matches!(next, Phase::Head(_));
                        let alone = head.alone(rest, &self.fields);
                        self.phase = next;
                        if let Some(answer) = answer.take_if(|_| is_alone)
                            && answer(&alone)
                        {
                            return Scan {
                                passed: 0,
                                refused: None,
                                answered: true,
                            };
                        }
                        passed += length;
                        self.note_names(rest);
                    }
                    Ok(None) => break,
                    Err(problem) => {
                        refused = Some(problem);
                        break;
                    }
                },
                Phase::Sized(left) => {
                    let here = usize::try_from(*left).map_or(rest.len(), |l| l.min(rest.len()));
                    passed += here;
                    *left -= here as u64;
                    if *left == 0 {
                        self.phase = Phase::Head(Head::default());
                    }
                }
                Phase::Chunked(chunks) => {
                    let (used, step) = chunks.scan(rest, self.max_head);
                    passed += used;
                    match step {
                        Step::More => {}
                        Step::End => self.phase = Phase::Head(Head::default()),
                        Step::Bad => {
                            refused = Some(Problem::BadHeader);
                            break;
                        }
                    }
                }
            }
        }
        Scan {
            passed,
            refused,
            answered: false,
        }
    }

    /// The head that was taken last passes after all.
    pub(super) fn pass(&mut self, head: &[u8]) {
        self.note_names(head);
    }

    /// Keeps the names of a head that passes.
    fn note_names(&mut self, head: &[u8]) {
        for field in &self.fields {
            self.names
                .extend_from_slice(head.get(field.name.clone()).unwrap_or_default());
            self.names.push(b'\n');
        }
        self.names.push(b'\n');
    }
}

/// One head on its way in.
#[derive(Debug, Default)]
struct Head {
    /// How many bytes from the head's start have been judged: whole lines only.
    checked: usize,
    has_line: bool,
    is_old: bool,
    method: Range<usize>,
    target: Range<usize>,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    fn alone<'a>(&self, bytes: &'a [u8], fields: &'a [Field]) -> Alone<'a> {
        Alone {
            bytes,
            method: self.method.clone(),
            target: self.target.clone(),
            is_old: self.is_old,
            fields,
        }
    }

    /// Judges each line that is whole. `Some` with the head's length once it has ended.
    fn scan(
        &mut self,
        head: &[u8],
        max: usize,
        fields: &mut Vec<Field>,
    ) -> Result<Option<(usize, Phase)>, Problem> {
        loop {
            let rest = head.get(self.checked..).unwrap_or_default();
            let feed = memchr(b'\n', rest);
            let end = feed.map_or(head.len(), |feed| self.checked + feed + 1);
            if !self.has_line && end > self.checked + MAX_LINE && self.checked + MAX_LINE <= max {
                return Err(Problem::TargetTooLong);
            }
            if end > max {
                return Err(Problem::HeadTooLarge);
            }
            let Some(line) = feed.and_then(|feed| rest.get(..feed)) else {
                return Ok(None);
            };
            // RFC 9112 §2.2 allows a recipient to take a bare LF as a line's end; it is how
            // two parsers come to see two different messages.
            let line = line.strip_suffix(b"\r").ok_or(Problem::BadHeader)?;
            let start = std::mem::replace(&mut self.checked, end);
            if !line.is_empty() {
                if self.has_line {
                    if fields.len() >= MAX_FIELDS {
                        return Err(Problem::HeadTooLarge);
                    }
                    fields.push(self.field(line, start)?);
                } else {
                    fields.clear();
                    self.request_line(line, start)?;
                }
            } else if self.has_line {
                return Ok(Some((end, self.framing()?)));
            }
        }
    }

    /// `method SP request-target SP HTTP-version` (RFC 9112 §3), one space each.
    fn request_line(&mut self, line: &[u8], start: usize) -> Result<(), Problem> {
        let mut spaces = memchr_iter(b' ', line);
        let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next())
        else {
            return Err(Problem::BadTarget);
        };
        let (Some(method), Some(target), Some(version)) = (
            line.get(..first),
            line.get(first + 1..second),
            line.get(second + 1..),
        ) else {
            return Err(Problem::BadTarget);
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Problem::BadTarget);
        }
        if target.len() > MAX_TARGET {
            return Err(Problem::TargetTooLong);
        }
        // A fragment is never sent (RFC 9110 §4.2.5); hyper would cut it off in silence.
        if target.is_empty() || has_control(target) || memchr2(b'#', b'\t', target).is_some() {
            return Err(Problem::BadTarget);
        }
        if !is_readable(target) {
            return Err(Problem::BadTarget);
        }
        self.is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Problem::BadTarget),
        };
        self.has_line = true;
        self.method = start..start + first;
        self.target = start + first + 1..start + second;
        Ok(())
    }

    /// `field-name ":" OWS field-value OWS` (RFC 9112 §5): no folds, no space before the
    /// colon, no control bytes. Keeps what frames the body, says where name and value stand.
    fn field(&mut self, line: &[u8], start: usize) -> Result<Field, Problem> {
        let colon = line.iter().position(|byte| !is_token(*byte));
        let Some((name, [b':', value @ ..])) = colon.and_then(|at| line.split_at_checked(at))
        else {
            return Err(Problem::BadHeader);
        };
        if name.is_empty() || has_control(value) {
            return Err(Problem::BadHeader);
        }
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = decimal(value.trim_ascii()).ok_or(Problem::BadHeader)?;
                if self.length.replace(length).is_some() {
                    return Err(Problem::BadHeader);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !chunked || self.chunked {
                    return Err(Problem::BadHeader);
                }
                self.chunked = true;
            }
            _ => {}
        }
        // Controls but tab have been refused: this is OWS and nothing else.
        let before = value.len() - value.trim_ascii_start().len();
        let from = start + name.len() + 1 + before;
        Ok(Field {
            name: start..start + name.len(),
            value: from..from + value.trim_ascii().len(),
        })
    }

    /// What follows this head (RFC 9112 §6.3); both framings at once is an attack (§6.1).
    fn framing(&self) -> Result<Phase, Problem> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Problem::BadHeader),
            (true, None) if self.is_old => Err(Problem::BadHeader),
            (true, None) => Ok(Phase::Chunked(Chunks::default())),
            (false, None | Some(0)) => Ok(Phase::Head(Self::default())),
            (false, Some(length)) => Ok(Phase::Sized(length)),
        }
    }
}

/// `1*DIGIT` that fits: no sign, no list, no empty value (RFC 9110 §8.6).
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The head with what no URI may hold and yet is sent (`$search="x"` of callers that encode
/// nothing) percent-encoded in its target, as hyper cannot hold it otherwise. To Graph both are
/// the same (RFC 3986 §2.4). `None` where there is nothing to encode.
pub(super) fn encoded(head: &[u8]) -> Option<Vec<u8>> {
    let start = head
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let length = memchr(b'\n', head.get(start..)?)?;
    let (line, rest) = head.get(start..)?.split_at(length);
    let mut mended = Vec::with_capacity(head.len() + 32);
    let mut spaces = 0;
    for byte in line {
        spaces += usize::from(*byte == b' ');
        // Behind the first space, before the second.
        match byte {
            b'"' if spaces == 1 => mended.extend_from_slice(b"%22"),
            b'<' if spaces == 1 => mended.extend_from_slice(b"%3C"),
            b'>' if spaces == 1 => mended.extend_from_slice(b"%3E"),
            b'`' if spaces == 1 => mended.extend_from_slice(b"%60"),
            _ => mended.push(*byte),
        }
    }
    if mended.len() == line.len() {
        return None;
    }
    mended.extend_from_slice(rest);
    Some(mended)
}

/// Whether hyper can hold the target, which has no control and no `#`. What it cannot, it
/// would answer itself, with an empty 400.
fn is_readable(target: &[u8]) -> bool {
    if target.first() != Some(&b'/') {
        return Uri::try_from(target).is_ok(); // Rare.
    }
    let mark = memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(mark);
    memchr3(b'<', b'>', b'`', path).is_none()
        && memchr3(b'<', b'>', b'"', query).is_none()
        && std::str::from_utf8(target).is_ok()
}

/// `tchar` (RFC 9110 §5.6.2), by table: a name is read byte by byte.
#[inline]
pub(super) fn is_token(byte: u8) -> bool {
    #[expect(
        clippy::indexing_slicing,
        reason = "runs in the compiler, where a slip is a build error"
    )]
    static TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < table.len() {
            #[expect(clippy::cast_possible_truncation, reason = "below 256")]
            let is = matches!(
                byte as u8,
                b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
                | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
            );
            table[byte] = is;
            byte += 1;
        }
        table
    };
    TOKEN.get(usize::from(byte)).is_some_and(|is| *is)
}

/// Whether a byte is a control other than tab.
///
/// Text of visible ASCII and spaces, as nearly all is, is known by its farthest byte alone: a
/// token of 1,800 bytes is looked at in a few hundred steps.
fn has_control(bytes: &[u8]) -> bool {
    let farthest = bytes
        .iter()
        .fold(0, |most: u8, byte| most.max(byte.wrapping_sub(b' ')));
    farthest > b'~' - b' ' && has_control_among_all(bytes)
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "without an early end the loop runs in wide steps"
)]
fn has_control_among_all(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| {
        found | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7F)
    })
}
