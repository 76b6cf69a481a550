//! The faces of the simulated tenant, as real JPEGs that carry whose and which they are.

mod canvas;
mod clothes;
mod draw;
mod emblem;
mod hair;
mod looks;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder};

/// The application segment the mark stands in; nothing well known uses it.
const SEGMENT: u8 = 10;
/// What a mark begins with.
const SIGN: &[u8] = b"simulated-photo\0";
/// How many bytes of drawn faces a process keeps before it starts over.
const KEPT: usize = 96 << 20;

/// Whose photo it is, and which of the owner's uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The owner's id.
    pub owner: String,
    /// Counts the owner's uploads, from 1.
    pub upload: u64,
    /// The side in pixels that was asked for.
    pub side: u32,
}

#[derive(Debug, Default)]
struct Drawn {
    bytes: usize,
    faces: HashMap<(String, u64, u32), Bytes>,
}

/// A picture depends on nothing but its owner, upload and side, so each is drawn once a process.
static DRAWN: LazyLock<Mutex<Drawn>> = LazyLock::new(Mutex::default);

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motif {
    /// A person.
    Face,
    /// The sign of a group or team.
    Emblem,
}

/// Which of two lists a person's name is taken from, so that it goes with the face.
pub(super) fn short_haired(owner: &str) -> bool {
    looks::Looks::short_haired(owner)
}

/// A person's photo of that upload at that side, as a JPEG.
pub fn jpeg(owner: &str, upload: u64, side: u32) -> Bytes {
    picture(Motif::Face, owner, upload, side)
}

/// The photo of that owner's upload at that side, as a JPEG.
pub fn picture(motif: Motif, owner: &str, upload: u64, side: u32) -> Bytes {
    let key = (owner.to_owned(), upload, side);
    if let Some(face) = drawn().faces.get(&key) {
        return face.clone();
    }
    let face = Bytes::from(encode(motif, owner, upload, side));
    let mut drawn = drawn();
    if drawn.bytes > KEPT {
        *drawn = Drawn::default();
    }
    drawn.bytes += face.len();
    drawn.faces.insert(key, face.clone());
    face
}

fn drawn() -> std::sync::MutexGuard<'static, Drawn> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(motif: Motif, owner: &str, upload: u64, side: u32) -> Vec<u8> {
    let rgba = match motif {
        Motif::Face => draw::face(owner, upload, side),
        Motif::Emblem => emblem::emblem(owner, upload, side),
    };
    let mut bytes = Vec::with_capacity(32 << 10);
    let mut mark = SIGN.to_vec();
    mark.extend_from_slice(format!("{owner}\0{upload}\0{side}").as_bytes());
    let side = u16::try_from(side).unwrap_or(u16::MAX);
    let mut jpeg = Encoder::new(&mut bytes, 86);
    // Neither step can fail: the segment is short, and the buffer has side × side pixels.
    let marked = jpeg.add_app_segment(SEGMENT, mark);
    let encoded = jpeg.encode(&rgba, side, side, ColorType::Rgba);
    debug_assert!(marked.is_ok() && encoded.is_ok(), "a face was not encoded");
    bytes
}

/// Reads the mark of a photo the simulator made, wherever the photo has been since.
pub fn mark(bytes: &[u8]) -> Option<Mark> {
    segments(bytes)
        .filter(|(kind, _)| *kind == 0xe0 | SEGMENT)
        .find_map(|(_, content)| {
            let text = std::str::from_utf8(content.strip_prefix(SIGN)?).ok()?;
            let mut words = text.split('\0');
            Some(Mark {
                owner: words.next()?.to_owned(),
                upload: words.next()?.parse().ok()?,
                side: words.next()?.parse().ok()?,
            })
        })
}

/// Width and height of a JPEG or PNG; none for anything else.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    if let Some(png) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        let number = |at: usize| {
            let four = png.get(at..at + 4)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*four))
        };
        return Some((number(8)?, number(12)?));
    }
    segments(bytes)
        .find(|(kind, _)| matches!(kind, 0xc0..=0xc2))
        .and_then(|(_, frame)| match frame {
            [_, h1, h2, w1, w2, ..] => Some((
                u32::from(u16::from_be_bytes([*w1, *w2])),
                u32::from(u16::from_be_bytes([*h1, *h2])),
            )),
            _ => None,
        })
}

/// The marker segments of a JPEG before its picture data: kind and content.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).unwrap_or_default();
    std::iter::from_fn(move || match rest {
        [0xff, kind, high, low, after @ ..] if *kind != 0xda => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (content, after) = after.split_at_checked(length.checked_sub(2)?)?;
            rest = after;
            Some((*kind, content))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::target::SIDES;

    #[test]
    fn every_size_is_a_whole_jpeg_that_says_whose_it_is() {
        for side in SIDES.into_iter().chain([200]) {
            let face = jpeg("somebody", 3, side);
            assert!(face.starts_with(&[0xff, 0xd8]) && face.ends_with(&[0xff, 0xd9]));
            assert_eq!(dimensions(&face), Some((side, side)));
            let expected = Mark {
                owner: "somebody".to_owned(),
                upload: 3,
                side,
            };
            assert_eq!(mark(&face), Some(expected));
        }
    }

    #[test]
    fn faces_differ_by_owner_and_by_upload() {
        assert_ne!(jpeg("a", 1, 96), jpeg("b", 1, 96));
        assert_ne!(jpeg("a", 1, 96), jpeg("a", 2, 96));
        assert_eq!(jpeg("a", 1, 96), jpeg("a", 1, 96));
    }

    #[test]
    fn what_is_not_ours_has_no_mark() {
        for bytes in [&b""[..], b"\xff\xd8", b"\xff\xd8\xff\xea\x00\x01", b"text"] {
            assert_eq!(mark(bytes), None);
            assert_eq!(dimensions(bytes), None);
        }
    }
}
