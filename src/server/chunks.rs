//! The chunked body of an HTTP/1 request, byte by byte (RFC 9112 §7.1).
//!
//! Strict where leniency has been an attack: CRLF only, no control bytes in an extension,
//! no fold in a trailer, sizes that fit. Data is skipped by counting.

use super::scan::is_token;

/// Most digits of a chunk size; 15 hexadecimal digits cannot overflow 64 bits.
const MAX_DIGITS: u8 = 15;

/// Where a chunked body is.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// The size being read, then the data bytes still to come.
    left: u64,
    digits: u8,
    /// Bytes of extensions and trailers, bounded together.
    extra: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    SizePad,
    Extension,
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    EndFeed,
}

/// What a call of [`Chunks::scan`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All bytes belong to the body, and it goes on.
    More,
    /// The body has ended after the bytes used.
    End,
    /// The next byte breaks the framing.
    Bad,
}

impl Chunks {
    /// Follows `bytes`; says how many belong to the body. `max_extra` bounds extensions and
    /// trailers.
    pub(super) fn scan(&mut self, bytes: &[u8], max_extra: usize) -> (usize, Step) {
        let mut used = 0;
        while let Some(byte) = bytes.get(used) {
            if self.at == At::Data {
                let here = bytes.len() - used;
                let here = usize::try_from(self.left).map_or(here, |left| left.min(here));
                used += here;
                self.left -= here as u64;
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            let ended = self.at == At::EndFeed;
            let Some(next) = self.after(*byte) else {
                return (used, Step::Bad);
            };
            if self.extra > max_extra {
                return (used, Step::Bad);
            }
            self.at = next;
            used += 1;
            if ended {
                return (used, Step::End);
            }
        }
        (used, Step::More)
    }

    /// Where one byte of framing leads; `None` where it may not stand.
    fn after(&mut self, byte: u8) -> Option<At> {
        let control = (byte < b' ' && byte != b'\t') || byte == 0x7F;
        Some(match (self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() && self.digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left * 16 + u64::from(digit);
                self.digits += 1;
                At::Size
            }
            (At::Size | At::SizePad, b'\r') if self.digits > 0 => At::SizeFeed,
            (At::Size | At::SizePad, b' ' | b'\t') if self.digits > 0 => {
                self.extra += 1;
                At::SizePad
            }
            (At::Size | At::SizePad, b';') if self.digits > 0 => At::Extension,
            (At::Extension, b'\r') => At::SizeFeed,
            (At::Extension, _) if !control => {
                self.extra += 1;
                At::Extension
            }
            (At::SizeFeed, b'\n') => {
                self.digits = 0;
                if self.left == 0 {
                    At::Trailer
                } else {
                    At::Data
                }
            }
            (At::DataReturn, b'\r') => At::DataFeed,
            (At::DataFeed, b'\n') => At::Size,
            (At::Trailer, b'\r') | (At::EndFeed, b'\n') => At::EndFeed,
            (At::Trailer | At::TrailerName, _) if is_token(byte) => {
                self.extra += 1;
                At::TrailerName
            }
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerValue, b'\r') => At::TrailerFeed,
            (At::TrailerValue, _) if !control => {
                self.extra += 1;
                At::TrailerValue
            }
            (At::TrailerFeed, b'\n') => At::Trailer,
            _ => return None,
        })
    }
}
